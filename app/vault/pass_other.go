//go:build !unix

package vault

import (
	"errors"
	"net"
	"os"
)

var (
	errNoConn    = errors.New("no connection came")
	errNoSigners = errors.New("the signer needs Unix sockets, which this system lacks: run the App on Linux")
)

// Pair is not possible here.
func Pair() (*net.UnixConn, *os.File, error) { return pair() }

func pair() (*net.UnixConn, *os.File, error)   { return nil, nil, errNoSigners }
func inherited(uintptr) (*net.UnixConn, error) { return nil, errNoSigners }
func send(*net.UnixConn, *os.File) error       { return errNoSigners }
func receive(*net.UnixConn) (net.Conn, error)  { return nil, errNoSigners }
