package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// shell reaches a host through ssh. One connection serves all conversations; where
// the host closed it meanwhile it is made anew.
type shell struct {
	addr   string // host:port
	host   string // as ssh-keyscan takes it
	path   string
	config *ssh.ClientConfig

	mu     sync.Mutex
	client *ssh.Client
}

// newShell checks key and known hosts.
func newShell(a *address, o *Options) (*shell, error) {
	host, port, err := net.SplitHostPort(a.host)
	if err != nil {
		host, port = strings.Trim(a.host, "[]"), "22"
	}
	scan := "ssh-keyscan " + host
	if port != "22" {
		scan = "ssh-keyscan -p " + port + " " + host
	}
	if len(o.SSHKey) == 0 {
		return nil, fmt.Errorf("%s: an ssh key is needed: give the private key, and add its public half to the repository's deploy keys with permission to write", a.text)
	}
	if len(bytes.TrimSpace(o.KnownHosts)) == 0 {
		return nil, fmt.Errorf("%s: known hosts are needed, since otherwise anyone could pass for %s: take the line that `%s` gives, after comparing it with what the host publishes", a.text, host, scan)
	}
	var signer ssh.Signer
	if o.SSHPassphrase != "" {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(o.SSHKey, []byte(o.SSHPassphrase))
	} else {
		signer, err = ssh.ParsePrivateKey(o.SSHKey)
	}
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, fmt.Errorf("%s: the ssh key has a passphrase: give it too", a.text)
	case err != nil: // its text could tell of the key
		return nil, fmt.Errorf("%s: the ssh key can't be read: it is to be a private key as ssh-keygen writes it, with the right passphrase", a.text)
	}
	lines, err := newKnown(o)
	if err != nil {
		return nil, fmt.Errorf("%s: known hosts: %w", a.text, err)
	}
	s := &shell{addr: net.JoinHostPort(host, port), host: host, path: a.path}
	s.config = &ssh.ClientConfig{
		User:              a.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyAlgorithms: lines.algorithms(s.addr),
		Timeout:           30 * time.Second,
		HostKeyCallback: func(addr string, remote net.Addr, key ssh.PublicKey) error {
			err := lines.check(addr, remote, key)
			var wrong *knownhosts.KeyError
			switch {
			case err == nil:
				return nil
			case errors.As(err, &wrong) && len(wrong.Want) == 0:
				return &hostKeyError{fmt.Sprintf("host %s is not among the known hosts; its key is %s %s: compare that with what the host publishes, then add the line that `%s` gives", host, key.Type(), ssh.FingerprintSHA256(key), scan)}
			}
			return &hostKeyError{fmt.Sprintf("host %s has another key than the known one: %s %s. Somebody may be in between; if the host publishes this fingerprint, replace its line by what `%s` gives", host, key.Type(), ssh.FingerprintSHA256(key), scan)}
		},
	}
	return s, nil
}

type hostKeyError struct{ text string }

func (e *hostKeyError) Error() string { return e.text }

// known are the known hosts.
type known struct{ check ssh.HostKeyCallback }

// newKnown reads known_hosts text. The package that understands it takes files.
func newKnown(o *Options) (*known, error) {
	f, err := os.CreateTemp(o.Dir, "distropack-known-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(o.KnownHosts)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	check, err := knownhosts.New(f.Name())
	if err != nil {
		return nil, errors.New(strings.ReplaceAll(err.Error(), f.Name(), "line"))
	}
	return &known{check}, nil
}

// algorithms are those of the keys that are known of a host, so that it does not
// show another of its keys; nil where none is known.
func (k *known) algorithms(addr string) []string {
	var wrong *knownhosts.KeyError
	if err := k.check(addr, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &wrong) {
		return nil
	}
	var list []string
	for _, w := range wrong.Want {
		if t := w.Key.Type(); t == ssh.KeyAlgoRSA {
			list = append(list, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		} else {
			list = append(list, t)
		}
	}
	return list
}

// noKey is a key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("not a key") }

func (s *shell) stateless() bool { return false }

func (s *shell) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		return nil
	}
	err := s.client.Close()
	s.client = nil
	return err
}

// session opens a session on the connection, or on a new one.
func (s *shell) session(ctx context.Context) (*ssh.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		if session, err := s.client.NewSession(); err == nil {
			return session, nil
		}
		s.client.Close()
		s.client = nil
	}
	d := net.Dialer{Timeout: s.config.Timeout}
	conn, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	// A host that accepts the connection and then keeps silent.
	timer := time.AfterFunc(s.config.Timeout, func() { conn.Close() })
	c, chans, reqs, err := ssh.NewClientConn(conn, s.addr, s.config)
	timer.Stop()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		var key *hostKeyError
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &key):
			return nil, key
		case strings.Contains(err.Error(), "unable to authenticate"):
			return nil, fmt.Errorf("host %s does not take the ssh key: add its public half to the repository's deploy keys, with permission to write", s.host)
		case strings.Contains(err.Error(), "no common algorithm for host key"):
			return nil, fmt.Errorf("host %s has no key of the kind that is known of it: it may have been changed; compare what it publishes, then replace its line among the known hosts", s.host)
		}
		return nil, fmt.Errorf("ssh to %s: %w", s.host, err)
	}
	s.client = ssh.NewClient(c, chans, reqs)
	return s.client.NewSession()
}

func (s *shell) begin(ctx context.Context, service string, w *watch) (talk, error) {
	session, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	in, err := session.StdinPipe()
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	t := &stream{ctx: ctx, in: newPackets(w.reader(out)), out: w.writer(pipeWriter{in}), said: &bounded{}}
	session.Stderr = t.said
	session.Setenv("GIT_PROTOCOL", "version=2") // a host that refuses it speaks the older one
	if err := session.Start(service + " " + quote(s.path)); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	t.stop = context.AfterFunc(ctx, func() { session.Close() })
	t.wait = func() error {
		go io.Copy(io.Discard, out) // what is still to come would block the program
		done := make(chan error, 1)
		go func() { done <- session.Wait() }()
		select {
		case err := <-done:
			session.Close()
			return err
		case <-time.After(5 * time.Second):
			session.Close()
			return <-done
		}
	}
	return t, nil
}

// quote makes one word of s for the host's shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
