package git

import (
	"context"
	"fmt"
	"io"
	"time"
)

// patience is how long a host may be silent while it is talked to. git's own
// services send a sign of life every five seconds.
const patience = 5 * time.Minute

// watch ends a conversation in which nothing moves any more.
type watch struct {
	timer *time.Timer
	limit time.Duration
}

// watched returns a context that ends with ctx, with stop, or when nothing was read
// or written for as long as limit.
func watched(ctx context.Context, limit time.Duration) (c context.Context, w *watch, stop func()) {
	c, cancel := context.WithCancelCause(ctx)
	w = &watch{limit: limit}
	w.timer = time.AfterFunc(limit, func() {
		cancel(fmt.Errorf("the host was silent for %s: try again later", limit))
	})
	return c, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

func (w *watch) moved(n int) {
	if n > 0 {
		w.timer.Reset(w.limit)
	}
}

// reader and writer tell the watch that something moved.
func (w *watch) reader(r io.Reader) io.Reader           { return &watchedReader{r, w} }
func (w *watch) writer(c io.WriteCloser) io.WriteCloser { return &watchedWriter{c, w} }

type watchedReader struct {
	r io.Reader
	w *watch
}

func (r *watchedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.w.moved(n)
	return n, err
}

type watchedWriter struct {
	io.WriteCloser
	w *watch
}

func (c *watchedWriter) Write(b []byte) (int, error) {
	n, err := c.WriteCloser.Write(b)
	c.w.moved(n)
	return n, err
}

// watchedTalk is a conversation that is watched until it is closed.
type watchedTalk struct {
	talk
	stop func()
}

func (t *watchedTalk) Close() error {
	err := t.talk.Close()
	t.stop()
	return err
}

// talk begins a conversation under a watch.
func (g *Git) talk(ctx context.Context, service string) (talk, error) {
	c, w, stop := watched(ctx, g.patience)
	t, err := g.link.begin(c, service, w)
	if err != nil {
		if c.Err() != nil {
			err = context.Cause(c)
		}
		stop()
		return nil, err
	}
	return &watchedTalk{t, stop}, nil
}
