package app

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// The third connection waits until one of two ends; closing ends those that wait too.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := newBounded(inner, 2)
	taken := make(chan net.Conn)
	failed := make(chan error, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				failed <- err
				return
			}
			taken <- c
		}
	}()
	for range 3 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first, second := <-taken, <-taken
	select {
	case <-taken:
		t.Fatal("a third one is taken")
	case <-time.After(50 * time.Millisecond):
	}
	for range 2 { // twice gives one place back
		first.Close()
	}
	third := <-taken
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	second.Close()
	third.Close()
}

// Headers that are too large or never end, and forms that don't come, hold nothing.
func TestSlowAndLargeRequestsEnd(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 100<<10)+"\r\n\r\n")
	b := make([]byte, 12)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "HTTP/1.1 431" {
		t.Errorf("large headers got %q, %v", b, err)
	}
	s := r.server(nil)
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.WriteTimeout == 0 || s.ReadTimeout != 0 {
		t.Errorf("limits: %+v", s)
	}
}

func TestHeadersAreLoggedAsWords(t *testing.T) {
	for in, want := range map[string]string{"push": "push", "a\nlevel=ERROR b": "a?level?ERROR?b", strings.Repeat("x", 100): strings.Repeat("x", 64), "é\x00": "??", "72d3162e-cc78": "72d3162e-cc78"} {
		if got := word(in); got != want {
			t.Errorf("word(%q) = %q, want %q", in, got, want)
		}
	}
}
