package vault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// process starts the signer, and starts it again when it ended.
type process struct {
	exe  string
	args []string
	log  func(string)

	mu     sync.Mutex
	child  *child // nil before the first, and after close
	failed int    // children one after the other that ended soon
	closed bool
}

// child is one signer process.
type child struct {
	control *net.UnixConn
	cmd     *exec.Cmd
	started time.Time
	said    *tail
	ended   chan struct{} // closed after err is set
	err     error
}

// soon is how long a signer runs at least, if nothing is wrong with it.
const soon = 5 * time.Second

// open returns a connection to the signer, which it starts where need be. One
// that keeps ending is started after ever longer pauses, up to 5 seconds.
func (p *process) open(ctx context.Context) (exchange, error) {
	for {
		ch, wait, err := p.running()
		if err != nil {
			return nil, err
		}
		if ch != nil {
			conn, err := ch.connect()
			if err == nil {
				return &signerConn{conn, ch}, nil
			}
			// It ended a moment ago; running sees that once it is known.
			select {
			case <-ch.ended:
				continue
			case <-time.After(10 * time.Second):
				return nil, fmt.Errorf("%w: %w", ErrSignerGone, err)
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// running returns the child, or how long to wait before one may be started.
func (p *process) running() (*child, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, fmt.Errorf("%w: it was closed", ErrSignerGone)
	}
	if ch := p.child; ch != nil {
		select {
		case <-ch.ended:
			ch.control.Close()
			if time.Since(ch.started) < soon {
				p.failed++
			} else {
				p.failed = 0
			}
			p.child = nil
			if p.failed > 1 {
				return nil, min(100*time.Millisecond<<min(p.failed, 10), 5*time.Second), nil
			}
		default:
			return ch, 0, nil
		}
	}
	ch, err := p.start()
	if err != nil {
		return nil, 0, fmt.Errorf("%w: it can't be started: %w", ErrSignerGone, err)
	}
	p.child = ch
	return ch, 0, nil
}

func (p *process) start() (*child, error) {
	control, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	ch := &child{control: control, started: time.Now(), said: &tail{log: p.log}, ended: make(chan struct{})}
	ch.cmd = exec.Command(p.exe, p.args...)
	ch.cmd.Env = []string{}
	ch.cmd.Dir = "/"
	ch.cmd.ExtraFiles = []*os.File{theirs} // SignerFD
	ch.cmd.Stderr = ch.said
	ch.cmd.WaitDelay = time.Second
	ownGroup(ch.cmd)
	if err := ch.cmd.Start(); err != nil {
		control.Close()
		return nil, err
	}
	go func() {
		ch.err = ch.cmd.Wait()
		close(ch.ended)
	}()
	return ch, nil
}

// connect makes a pair and hands one end to the child.
func (ch *child) connect() (*net.UnixConn, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := send(ch.control, theirs); err != nil {
		ours.Close()
		return nil, err
	}
	return ours, nil
}

// close ends the child by closing its connection, and kills it after 5 seconds.
func (p *process) close() error {
	p.mu.Lock()
	ch := p.child
	p.child, p.closed = nil, true
	p.mu.Unlock()
	if ch == nil {
		return nil
	}
	err := ch.control.Close()
	select {
	case <-ch.ended:
	case <-time.After(5 * time.Second):
		ch.cmd.Process.Kill()
		<-ch.ended
	}
	return err
}

// signerConn is a connection to a child.
type signerConn struct {
	*net.UnixConn
	child *child
}

// why waits a moment for the child's end, to say what it printed.
func (c *signerConn) why() error {
	select {
	case <-c.child.ended:
	case <-time.After(time.Second):
		return errors.New("it closed the connection")
	}
	text := "it ended"
	if c.child.err != nil {
		text += " (" + c.child.err.Error() + ")"
	}
	if said := c.child.said.last(); said != "" {
		text += ": " + said
	}
	return errors.New(text)
}

// tail passes lines on and keeps the last one.
type tail struct {
	log func(string)

	mu     sync.Mutex
	line   []byte
	newest string
}

// maxLine bounds a line of the signer's, in bytes.
const maxLine = 2048

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range b {
		if c != '\n' {
			if len(t.line) < maxLine {
				t.line = append(t.line, c)
			}
			continue
		}
		if text := strings.TrimSpace(string(t.line)); text != "" {
			t.newest = text
			if t.log != nil {
				t.log(text)
			}
		}
		t.line = t.line[:0]
	}
	return len(b), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.line)); text != "" {
		return text
	}
	return t.newest
}
