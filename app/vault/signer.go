package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Options is what a signer needs.
type Options struct {
	Sealer *Sealer          // of the signer's own identity
	Now    func() time.Time // nil means time.Now
	Keep   time.Duration    // how long a key stays open; 5 minutes where 0
	Most   int              // how many are open at most; 64 where 0
	Idle   time.Duration    // how long a request may send nothing; 2 minutes where 0
	Work   int              // requests at once; 64 where 0. More wait
}

// SignerFD is the file descriptor a child of StartSigner finds its connection at.
const SignerFD = 3

// RunSigner is the signer process: it guards its memory, opens the identity file
// and serves the connection at SignerFD until the server closes it.
func RunSigner(ctx context.Context, identityFile string) error {
	if err := Protect(); err != nil {
		return err
	}
	conn, err := inherited(SignerFD)
	if err != nil {
		return err
	}
	defer conn.Close()
	sealer, err := OpenSealer(identityFile)
	if err != nil {
		return err
	}
	return ServeSigner(ctx, conn, Options{Sealer: sealer})
}

// ServeSigner answers requests until the other side closes conn, which returns
// nil, or ctx ends. It returns when all requests have ended.
func ServeSigner(ctx context.Context, conn *net.UnixConn, o Options) error {
	o.Now = nowOr(o.Now)
	o.Idle = cmp.Or(o.Idle, 2*time.Minute)
	s := &signer{Options: o, memory: make(chan struct{}, 1)}
	s.keys = &opened{keep: cmp.Or(o.Keep, 5*time.Minute), most: cmp.Or(o.Most, 64), now: o.Now, open: s.open, all: make(map[[32]byte]*entry)}

	ctx, stop := context.WithCancel(ctx)
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		t := time.NewTicker(s.keys.keep/2 + time.Millisecond)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				s.keys.sweep()
			}
		}
	})
	err := accept(ctx, conn, cmp.Or(o.Work, 64), s.serve)
	stop()
	sweeper.Wait()
	return err
}

func nowOr(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// accept hands every connection that comes over conn to serve, in up to most
// goroutines, and waits for them.
func accept(ctx context.Context, conn *net.UnixConn, most int, serve func(context.Context, net.Conn)) error {
	ctx, cancel := context.WithCancel(ctx)
	slots := make(chan struct{}, most)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	for {
		c, err := receive(conn)
		switch {
		case ctx.Err() != nil:
			if c != nil {
				c.Close()
			}
			return ctx.Err()
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errNoConn):
			continue
		case err != nil:
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			c.Close()
			return ctx.Err()
		}
		all.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
			serve(ctx, c)
		})
	}
}

// signer is one ServeSigner.
type signer struct {
	Options
	keys   *opened
	memory chan struct{} // held by who has a whole message in memory
}

// serve answers the one request of a connection.
func (s *signer) serve(ctx context.Context, c net.Conn) {
	in := idle{c, s.Idle}
	var q request
	if err := readJSON(in, maxRequest, &q); err != nil {
		answer(c, &response{Error: "the request can't be read: " + err.Error()}, nil)
		return
	}
	r, body, err := s.do(ctx, &q, &pieces{r: in})
	if err != nil {
		r, body = &response{Error: err.Error(), Sealed: errors.Is(err, ErrSealed)}, nil
	}
	answer(c, r, body)
}

// answer writes a response; that nobody waits for it any more is no error.
func answer(c net.Conn, r *response, body []byte) {
	c.SetWriteDeadline(time.Now().Add(time.Minute))
	if writeJSON(c, r) == nil {
		writeFrame(c, body)
	}
}

// idle is a connection that must send something every so often.
type idle struct {
	net.Conn
	most time.Duration
}

func (i idle) Read(b []byte) (int, error) {
	i.SetReadDeadline(time.Now().Add(i.most))
	n, err := i.Conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("nothing came for %s", i.most)
	}
	return n, err
}

// do does what is asked. A panic is an error: what goes wrong with one key must
// not take the others' signer away. Its value is not told, as it may be part of a
// key.
func (s *signer) do(ctx context.Context, q *request, message io.Reader) (r *response, body []byte, err error) {
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%s: the signer made a mistake and gave up this request", q.Op)
		}
	}()
	r = &response{}
	switch q.Op {
	case opPing:
		return r, nil, nil
	case opNew:
		return s.make(q)
	case opImport:
		return s.take(q)
	case opExport:
		body, err = s.export(q)
		return r, body, err
	case opReseal:
		if err := keyOnly(q.Binding); err != nil {
			return nil, nil, err
		}
		body, r.Changed, err = s.Sealer.Reseal(q.Binding, q.Blob)
		return r, body, err
	case opPublic:
		k, err := s.keys.key(q.Binding, q.Blob)
		if err != nil {
			return nil, nil, err
		}
		r.Public = publicOf(k, s.Now())
		return r, nil, nil
	case opRing:
		ring, err := s.ring(q)
		if err != nil {
			return nil, nil, err
		}
		r.Halves = halves(ring, ring.Names())
		return r, nil, nil
	case opSign:
		return s.sign(ctx, q, message)
	}
	return nil, nil, fmt.Errorf("the signer does not know %q", q.Op)
}
