package hook

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// firstRead holds most payloads at once.
const firstRead = 32 << 10

var errMemory = errors.New("too many webhooks are being read at once")

// body reads it all. Memory is asked for as bytes arrive, and not as they are
// announced, so that who only promises holds nothing. done gives it back, and is never
// nil.
func (h *handler) body(w http.ResponseWriter, r *http.Request) (b []byte, done func(), err error) {
	var held int64
	done = func() { h.memory.Add(-held) }
	if r.ContentLength > h.MaxBody {
		return nil, done, h.tooLarge()
	}
	c := http.NewResponseController(w)
	// Wall time, as the connection counts. Who can't have a deadline reads without one.
	if c.SetReadDeadline(time.Now().Add(h.Timeout)) == nil {
		// The server goes on reading, to learn if the client leaves.
		defer c.SetReadDeadline(time.Time{})
	}
	size := min(int64(firstRead), h.MaxBody)
	if r.ContentLength >= 0 {
		size = min(size, r.ContentLength)
	}
	in := http.MaxBytesReader(w, r.Body, h.MaxBody)
	for {
		more := size - held
		held += more
		if h.memory.Add(more) > h.MaxMemory {
			return nil, done, errMemory
		}
		b = append(make([]byte, 0, size+1), b...) // one more, to read the end into
		for int64(len(b)) <= size {
			n, err := in.Read(b[len(b) : size+1])
			b = b[:len(b)+n]
			var large *http.MaxBytesError
			switch {
			case err == io.EOF:
				return b, done, nil
			case errors.As(err, &large):
				return nil, done, h.tooLarge()
			case err != nil:
				return nil, done, refuse(http.StatusBadRequest, fmt.Errorf("the body ended after %d bytes", len(b)))
			}
		}
		size = min(size*4, h.MaxBody)
		if r.ContentLength > int64(len(b)) {
			size = min(size, r.ContentLength)
		}
	}
}

func (h *handler) tooLarge() error {
	return refuse(http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes", h.MaxBody))
}
