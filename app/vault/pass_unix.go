//go:build unix

package vault

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// errNoConn is a byte that came without a connection, as where the process has no
// file descriptor left.
var errNoConn = errors.New("no connection came")

// pair returns two ends of a socket pair: one to use, one to hand over.
func pair() (*net.UnixConn, *os.File, error) {
	// Between the two calls a child started elsewhere must not inherit the ends.
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "socket")
	ours, err := fromFile(os.NewFile(uintptr(fds[0]), "socket"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Pair returns both ends of a socket pair: one for Relay, and a file for the child
// that calls Dial with its number. The caller closes both.
func Pair() (*net.UnixConn, *os.File, error) { return pair() }

// fromFile takes f over.
func fromFile(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("it is no Unix socket")
	}
	return u, nil
}

// inherited takes over the socket that a parent passed as fd.
func inherited(fd uintptr) (*net.UnixConn, error) {
	f := os.NewFile(fd, "socket")
	if f == nil {
		return nil, fmt.Errorf("file descriptor %d is not there", fd)
	}
	c, err := fromFile(f)
	if err != nil {
		return nil, fmt.Errorf("file descriptor %d: %w: DistroPack starts this command itself", fd, err)
	}
	return c, nil
}

// send hands f over.
func send(conn *net.UnixConn, f *os.File) error {
	_, _, err := conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(int(f.Fd())), nil)
	return err
}

// receive waits for a connection to be handed over. At most one is taken of what
// comes at once: the kernel closes what there is no room for.
func receive(conn *net.UnixConn) (net.Conn, error) {
	var one [1]byte
	rights := make([]byte, syscall.CmsgSpace(4))
	n, rn, _, _, err := conn.ReadMsgUnix(one[:], rights)
	if err != nil {
		return nil, err
	}
	if n == 0 && rn == 0 {
		return nil, io.EOF
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:rn])
	if err != nil {
		return nil, errNoConn
	}
	var found *net.UnixConn
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			continue
		}
		for _, fd := range fds {
			syscall.CloseOnExec(fd)
			f := os.NewFile(uintptr(fd), "socket")
			if found != nil {
				f.Close()
				continue
			}
			found, _ = fromFile(f)
		}
	}
	if found == nil {
		return nil, errNoConn
	}
	return found, nil
}
