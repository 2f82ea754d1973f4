package publish_test

import (
	"bytes"
	"runtime"
)

// goid names the goroutine, for a barrier that lets each through once.
func goid() string {
	b := make([]byte, 64)
	b = b[:runtime.Stack(b, false)]
	return string(bytes.Fields(b)[1])
}
