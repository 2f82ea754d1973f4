package gittest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// SSH is a bare repository behind an ssh server.
type SSH struct {
	URL        string
	Dir        string
	Key        []byte // a private key the server takes
	KnownHosts []byte // a line with the server's own key
	Addr       string
}

// NewKey makes an ssh key: private as ssh-keygen writes it.
func NewKey(t testing.TB, passphrase string) (private []byte, signer ssh.Signer) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err = ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block), signer
}

// ServeSSH makes an empty repository and serves it by ssh until the test ends.
// With Version0 the server refuses variables, as many do.
func ServeSSH(t testing.TB, o Options) *SSH {
	t.Helper()
	_, host := NewKey(t, "")
	private, user := NewKey(t, "")
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), user.PublicKey().Marshal()) {
			return nil, io.EOF
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dir := Repository(t, o)
	s := &SSH{URL: "ssh://git@" + l.Addr().String() + dir, Dir: dir, Key: private, Addr: l.Addr().String()}
	s.KnownHosts = []byte(knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, host.PublicKey()) + "\n")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveConn(conn, config, o)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		(&Server{Dir: dir}).Fsck(t)
	})
	return s
}

func serveConn(conn net.Conn, config *ssh.ServerConfig, o Options) {
	_, chans, reqs, err := ssh.NewServerConn(conn, config)
	if err != nil {
		conn.Close()
		return
	}
	go ssh.DiscardRequests(reqs)
	for c := range chans {
		if c.ChannelType() != "session" {
			c.Reject(ssh.UnknownChannelType, "")
			continue
		}
		ch, reqs, err := c.Accept()
		if err != nil {
			return
		}
		go serveSession(ch, reqs, o)
	}
}

func serveSession(ch ssh.Channel, reqs <-chan *ssh.Request, o Options) {
	defer ch.Close()
	env := environment()
	for r := range reqs {
		switch r.Type {
		case "env":
			var v struct{ Name, Value string }
			ok := ssh.Unmarshal(r.Payload, &v) == nil && !o.Version0
			if ok {
				env = append(env, v.Name+"="+v.Value)
			}
			r.Reply(ok, nil)
		case "exec":
			var v struct{ Command string }
			service := ""
			if ssh.Unmarshal(r.Payload, &v) == nil {
				service, _, _ = strings.Cut(v.Command, " ")
			}
			if service != "git-upload-pack" && service != "git-receive-pack" {
				r.Reply(false, nil)
				return
			}
			r.Reply(true, nil)
			cmd := exec.Command("sh", "-c", v.Command)
			cmd.Env, cmd.Stdout, cmd.Stderr = env, ch, ch.Stderr()
			// By hand, since Run would wait for the client to close its side.
			in, err := cmd.StdinPipe()
			if err != nil || cmd.Start() != nil {
				return
			}
			go func() { io.Copy(in, ch); in.Close() }()
			status := make([]byte, 4)
			if err := cmd.Wait(); err != nil {
				status[3] = 1
			}
			ch.SendRequest("exit-status", false, status)
			return
		default:
			r.Reply(false, nil)
		}
	}
}
