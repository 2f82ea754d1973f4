// Package gittest serves git repositories to tests, the way hosts do: git's own
// http-backend behind a server that wants a token, and git's own programs behind
// an ssh server. Who uses it needs git installed.
package gittest

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// Options of a Server. The zero value is a host like the large ones, open to all.
type Options struct {
	Token    string // the password that basic auth wants; "" wants none
	NoFilter bool   // uploadpack.allowFilter is off, as git has it by default
	NoAnyID  bool   // uploadpack.allowAnySHA1InWant is off; version 2 of the protocol does not ask for it
	Version0 bool   // nothing but the oldest version of the protocol
	SHA256   bool   // the repository's object format
	TLS      bool
	Hostile  bool // the repository may hold what git fsck refuses

	// Wrap, if set, is put around the handler: to count, to break, to redirect.
	Wrap func(http.Handler) http.Handler
	// PreReceive, if set, is the body of a hook (sh) that may refuse pushes.
	PreReceive string
}

// Server is a bare repository and the server before it.
type Server struct {
	URL  string // of the repository, without a token
	Dir  string // the bare repository
	HTTP *httptest.Server

	Requests atomic.Int64 // that reached git
	In, Out  atomic.Int64 // bytes of bodies, as git saw them
}

// Repository makes an empty bare repository with the server's settings.
func Repository(t testing.TB, o Options) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo.git")
	format := "sha1"
	if o.SHA256 {
		format = "sha256"
	}
	Git(t, "", "init", "-q", "--bare", "--object-format="+format, "--initial-branch=main", dir)
	for _, c := range [][2]string{
		{"http.receivepack", "true"}, {"receive.fsckObjects", "true"}, {"receive.denyNonFastForwards", "false"}, {"gc.auto", "0"}, {"receive.autogc", "false"},
		{"uploadpack.allowFilter", yes(!o.NoFilter)}, {"uploadpack.allowAnySHA1InWant", yes(!o.NoAnyID)},
	} {
		Git(t, dir, "config", c[0], c[1])
	}
	if o.PreReceive != "" {
		if err := os.WriteFile(filepath.Join(dir, "hooks", "pre-receive"), []byte("#!/bin/sh\n"+o.PreReceive+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// Serve makes an empty repository and serves it until the test ends. The test then
// fails if `git fsck --strict` finds a fault in it.
func Serve(t testing.TB, o Options) *Server {
	t.Helper()
	return ServeDir(t, Repository(t, o), o)
}

// ServeDir serves the bare repository in dir, whose settings stay as they are.
func ServeDir(t testing.TB, dir string, o Options) *Server {
	t.Helper()
	s := &Server{Dir: dir}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.Version0 {
			r.Header.Del("Git-Protocol")
		}
		s.backend(t, w, r)
	})
	if o.Token != "" {
		h = wantToken(o.Token, h)
	}
	if o.Wrap != nil {
		h = o.Wrap(h)
	}
	if o.TLS {
		s.HTTP = httptest.NewTLSServer(h)
	} else {
		s.HTTP = httptest.NewServer(h)
	}
	s.URL = s.HTTP.URL + "/" + filepath.Base(dir)
	t.Cleanup(func() {
		s.HTTP.Close()
		if !o.Hostile {
			s.Fsck(t)
		}
	})
	return s
}

// wantToken asks for basic auth as hosts do.
func wantToken(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, ok := r.BasicAuth()
		if !ok || password != token {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "Invalid username or token.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Fsck fails the test if the repository has a fault.
func (s *Server) Fsck(t testing.TB) {
	t.Helper()
	if _, err := os.Stat(s.Dir); err != nil {
		return
	}
	for line := range strings.Lines(Git(t, s.Dir, "fsck", "--strict", "--no-dangling", "--no-progress")) {
		if !strings.HasPrefix(line, "notice: ") { // such as a HEAD whose branch does not exist yet
			t.Errorf("git fsck says %s", line)
		}
	}
}

// Git runs git in dir, apart from the user's settings, and returns what it prints.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	out, err := command(dir, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Import feeds `git fast-import` in dir with what write gives. Little is
// compressed, which is fast.
func Import(t testing.TB, dir string, write func(io.Writer)) {
	t.Helper()
	cmd := command(dir, "-c", "core.compression=1", "-c", "pack.compression=1", "-c", "fastimport.unpackLimit=1", "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	write(w)
	w.Flush() // what was wrong git says
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("git fast-import: %v\n%s", err, said.Bytes())
	}
}

// Tip returns the commit a branch ends with; "" if there is no such branch.
func (s *Server) Tip(t testing.TB, branch string) string {
	t.Helper()
	return strings.TrimSpace(Git(t, s.Dir, "for-each-ref", "--format=%(objectname)", "refs/heads/"+branch))
}

// Files returns the paths of a branch, one a line, sorted.
func (s *Server) Files(t testing.TB, branch string) string {
	t.Helper()
	return strings.TrimSpace(Git(t, s.Dir, "ls-tree", "-r", "--name-only", branch))
}

// Show returns a file of a branch.
func (s *Server) Show(t testing.TB, branch, path string) string {
	t.Helper()
	return Git(t, s.Dir, "cat-file", "blob", branch+":"+path)
}

func command(dir string, args ...string) *exec.Cmd {
	cmd := exec.Command("git", args...) // also when the test has ended, for Fsck
	cmd.Dir = dir
	cmd.Env = environment()
	return cmd
}

// environment of git: nobody's settings, any owner of the files.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}
