package arch

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/ulikunitz/xz"
)

// maxDictionary is what xz -9 asks for. The decoder sets aside whatever a block's
// header says, up to 4 GiB.
const maxDictionary = 64 << 20

var errXz = errors.New("the xz stream is damaged or has filters besides LZMA2")

// newXz decompresses one xz stream, of any number of blocks.
func newXz(r *bufio.Reader) (io.Reader, error) {
	return xz.ReaderConfig{SingleStream: true}.NewReader(&blocks{r: r})
}

// blocks passes an xz stream on and looks at each block's header before. A block
// need not say how long it is, so the chunks of LZMA2 are followed one by one. See
// https://tukaani.org/xz/xz-file-format.txt.
type blocks struct {
	r     *bufio.Reader
	head  []byte // looked at, to be passed on
	raw   int64  // bytes behind head to be passed on without a look
	check int    // length of the checksum after a block
	begun bool
	in    bool  // in a block
	data  int64 // bytes of the block's data so far
}

func (b *blocks) Read(p []byte) (int, error) {
	for len(b.head) == 0 && b.raw == 0 {
		if err := b.step(); err != nil {
			return 0, err
		}
	}
	if len(b.head) > 0 {
		n := copy(p, b.head)
		b.head = b.head[n:]
		return n, nil
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.raw)])
	b.raw -= int64(n)
	return n, err
}

// take reads n bytes that the decoder gets to see too.
func (b *blocks) take(n int) ([]byte, error) {
	at := len(b.head)
	b.head = append(b.head, make([]byte, n)...)
	_, err := io.ReadFull(b.r, b.head[at:])
	return b.head[at:], err
}

// step looks at the next header.
func (b *blocks) step() error {
	b.head = nil
	switch {
	case !b.begun:
		h, err := b.take(12)
		if err != nil {
			return err
		}
		b.begun = true
		b.check = []int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[h[7]&15]
		return nil
	case b.in:
		return b.chunk()
	}
	size, err := b.take(1)
	if err != nil {
		return err
	}
	if size[0] == 0 { // the index, which ends the stream
		b.raw = math.MaxInt64
		return nil
	}
	n := int(size[0])*4 + 3
	if _, err := b.take(n); err != nil {
		return err
	}
	b.in, b.data = true, 0
	return checkDictionary(b.head[1:])
}

// chunk looks at the header of one LZMA2 chunk.
func (b *blocks) chunk() error {
	c, err := b.take(1)
	if err != nil {
		return err
	}
	control, size := c[0], 0
	switch {
	case control == 0: // the end: padding to four bytes, and the checksum
		b.in = false
		_, err := b.take(int(3-b.data%4) + b.check)
		return err
	case control <= 2: // stored
		h, err := b.take(2)
		if err != nil {
			return err
		}
		size = int(h[0])<<8 + int(h[1]) + 1
	case control >= 0x80:
		h, err := b.take(4)
		if err != nil {
			return err
		}
		size = int(h[2])<<8 + int(h[3]) + 1
		if control >= 0xc0 {
			size++ // new properties
		}
	default:
		return errXz
	}
	b.raw = int64(size)
	b.data += int64(len(b.head)) + b.raw
	return nil
}

// checkDictionary takes a block header behind its size: flags, perhaps two
// lengths, and one filter, which is LZMA2 with the dictionary's size.
func checkDictionary(h []byte) error {
	flags := h[0]
	if flags&3 != 0 {
		return errXz
	}
	at := 1
	for _, bit := range []byte{0x40, 0x80} {
		if flags&bit == 0 {
			continue
		}
		for at < len(h) && h[at]&0x80 != 0 {
			at++
		}
		at++
	}
	if at+3 > len(h) || h[at] != 0x21 || h[at+1] != 1 || h[at+2] > 40 {
		return errXz
	}
	bits := h[at+2]
	if size := int64(2|bits&1) << (bits/2 + 11); size > maxDictionary {
		return fmt.Errorf("the xz stream asks for %d bytes of memory; %d are allowed", size, maxDictionary)
	}
	return nil
}
