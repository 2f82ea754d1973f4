package gittest

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// backend answers a request through `git http-backend`. (net/http/cgi takes no
// chunked requests, which long pushes are.)
func (s *Server) backend(t testing.TB, w http.ResponseWriter, r *http.Request) {
	s.Requests.Add(1)
	ctx, kill := context.WithCancel(context.WithoutCancel(r.Context()))
	defer kill()
	cmd := exec.CommandContext(ctx, httpBackend()) // not by way of git, or kill would end git alone
	cmd.Env = append(environment(),
		"GIT_PROJECT_ROOT="+filepath.Dir(s.Dir), "GIT_HTTP_EXPORT_ALL=1", "PATH_INFO="+r.URL.Path, "QUERY_STRING="+r.URL.RawQuery,
		"REQUEST_METHOD="+r.Method, "CONTENT_TYPE="+r.Header.Get("Content-Type"), "REMOTE_ADDR=127.0.0.1", "REMOTE_USER=test",
		"HTTP_CONTENT_ENCODING="+r.Header.Get("Content-Encoding"), "GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
	if r.ContentLength >= 0 {
		cmd.Env = append(cmd.Env, "CONTENT_LENGTH="+strconv.FormatInt(r.ContentLength, 10))
	}
	cmd.WaitDelay = 5 * time.Second // a client that sends nothing more
	cmd.Stdin = &counter{&cut{r.Body, kill}, &s.In}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Error(err)
		return
	}
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	defer cmd.Wait() // how a service ended it says to the client
	answer := bufio.NewReader(out)
	head, err := textproto.NewReader(answer).ReadMIMEHeader()
	if err != nil {
		http.Error(w, "git http-backend: "+said.String(), http.StatusInternalServerError)
		return
	}
	code := http.StatusOK
	if status := head.Get("Status"); status != "" {
		code, _ = strconv.Atoi(strings.Fields(status)[0])
		head.Del("Status")
	}
	for k, v := range head {
		w.Header()[k] = v
	}
	w.WriteHeader(code)
	io.Copy(w, &counter{answer, &s.Out})
}

var httpBackend = sync.OnceValue(func() string {
	dir, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "git-http-backend" // Start says what is wrong
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "git-http-backend")
})

// cut is the body of a client that may die in the middle: git http-backend would
// wait for the rest of it for ever, and busily.
type cut struct {
	r    io.Reader
	kill func()
}

func (c *cut) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if err != nil && err != io.EOF {
		c.kill()
	}
	return n, err
}

type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
