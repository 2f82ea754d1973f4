package git

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

func TestSSHWantsKeyAndHost(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.ServeSSH(t, gittest.Options{})
	other := gittest.ServeSSH(t, gittest.Options{})
	locked, _ := gittest.NewKey(t, "open sesame")
	for _, c := range []struct {
		o    Options
		want []string
	}{
		{Options{KnownHosts: s.KnownHosts}, []string{"an ssh key is needed: give the private key, and add its public half to the repository's deploy keys with permission to write"}},
		{Options{SSHKey: s.Key}, []string{"known hosts are needed, since otherwise anyone could pass for 127.0.0.1: take the line that `ssh-keyscan -p "}},
		{Options{SSHKey: s.Key, KnownHosts: other.KnownHosts}, []string{"host 127.0.0.1 is not among the known hosts; its key is ssh-ed25519 SHA256:", "then add the line that `ssh-keyscan -p "}},
		{Options{SSHKey: s.Key, KnownHosts: []byte(strings.Replace(string(other.KnownHosts), port(other.Addr), port(s.Addr), 1))}, []string{"host 127.0.0.1 has another key than the known one: ssh-ed25519 SHA256:", "Somebody may be in between"}},
		{Options{SSHKey: other.Key, KnownHosts: s.KnownHosts}, []string{"host 127.0.0.1 does not take the ssh key: add its public half to the repository's deploy keys, with permission to write"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts}, []string{"the ssh key has a passphrase: give it too"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts, SSHPassphrase: "wrong"}, []string{"the ssh key can't be read: it is to be a private key as ssh-keygen writes it, with the right passphrase"}},
		{Options{SSHKey: locked, KnownHosts: s.KnownHosts, SSHPassphrase: "open sesame"}, []string{"does not take the ssh key"}},
		{Options{SSHKey: []byte("nonsense"), KnownHosts: s.KnownHosts}, []string{"the ssh key can't be read"}},
		{Options{SSHKey: s.Key, KnownHosts: []byte("nonsense")}, []string{"known hosts: "}},
		{Options{SSHKey: s.Key, KnownHosts: s.KnownHosts, URL: s.URL + "x"}, []string{"there is no such repository, or this key may not see it: the host says"}},
	} {
		if c.o.URL == "" {
			c.o.URL = s.URL
		}
		c.o.Dir = t.TempDir()
		g, err := Open(c.o)
		if err == nil {
			_, err = g.Head(t.Context())
			g.Close()
		}
		wants(t, err, c.want...)
	}
	// A connection that the host closed meanwhile is made anew.
	g := open(t, sshOptions(s))
	commit(t, g, put("a", "1"))
	g.link.(*shell).client.Close()
	v := commit(t, g, put("a", string(noise(3, 3<<20))))
	if got := read(t, g, v, "a"); got != string(noise(3, 3<<20)) {
		t.Errorf("a has %d bytes", len(got))
	}
}

func port(addr string) string { return addr[strings.LastIndex(addr, ":")+1:] }

// A host whose known key is of a kind that it has no more, and one that speaks
// something else.
func TestSSHHostsThatAreOthers(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.ServeSSH(t, gittest.Options{})
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	o := sshOptions(s)
	o.KnownHosts = []byte(knownhosts.Line([]string{knownhosts.Normalize(s.Addr)}, other) + "\n")
	_, err = open(t, o).Head(t.Context())
	wants(t, err, "host 127.0.0.1 has no key of the kind that is known of it: it may have been changed; compare what it publishes")

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			conn.Close()
		}
	}()
	o = sshOptions(s)
	o.URL = "ssh://git@" + l.Addr().String() + "/a"
	_, err = open(t, o).Head(t.Context())
	wants(t, err, "ssh to 127.0.0.1: ")
}

// What a host's or this machine's git says before it gives up stands in the error.
func TestLastWordsOfGitAreToldOn(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.ServeSSH(t, gittest.Options{})
	bin := t.TempDir()
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for _, c := range []struct{ does, byShell, here string }{
		{"echo ERROR: Repository not found. >&2; exit 1", `there is no such repository, or this key may not see it: the host says "ERROR: Repository not found."`, `there is no such repository on this machine: correct the path; git says "ERROR: Repository not found."`},
		{"echo ERROR: Permission to a/b.git denied to deploy key >&2; exit 1", `the host does not allow that: give the key permission to write; it says "ERROR: Permission to a/b.git denied to deploy key"`, `this user may not do that with the repository: give access to its files; git says "ERROR: Permission`},
		{"echo Maintenance until noon. >&2; exit 1", `the answer ended early: the host says "Maintenance until noon."`, `the answer ended early: the host says "Maintenance until noon."`},
		{"exit 1", "the answer ended early (Process exited with status 1)", "the answer ended early (exit status 1)"},
		{"echo Welcome to the host", `an answer that is not git's: "Welcome to the host"; correct the URL, and keep proxies and login scripts from writing there`, `an answer that is not git's: "Welcome to the host"`},
	} {
		for _, name := range []string{"git", "git-upload-pack"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+c.does+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		_, err := open(t, sshOptions(s)).Head(t.Context())
		wants(t, err, s.URL+", branch gh-pages: "+c.byShell)
		_, err = open(t, Options{URL: s.Dir}).Head(t.Context())
		wants(t, err, s.Dir+", branch gh-pages: "+c.here)
		for _, name := range []string{"git", "git-upload-pack"} { // git fsck wants its own at the end
			if err := os.Remove(filepath.Join(bin, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", bin)
	_, err := open(t, Options{URL: s.Dir}).Head(t.Context())
	wants(t, err, "git is not installed, and a repository on this machine needs it")
}
