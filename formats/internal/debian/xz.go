package debian

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
)

// maxDict is the largest dictionary accepted, as xz(1) -9 has it. The decoder
// reserves what a block's header asks for, up to 4 GiB.
const maxDict = 64 << 20

// newXzReader reads one xz stream whose blocks ask for no more than maxDict.
func newXzReader(r io.Reader) (io.Reader, error) {
	return xz.ReaderConfig{SingleStream: true}.NewReader(&xzGuard{r: bufio.NewReaderSize(r, 4096)})
}

// xzGuard passes an xz stream through and looks at every block header before it
// does. It walks the chunks of LZMA2 by their lengths, since a block's length need
// not be in its header.
type xzGuard struct {
	r     *bufio.Reader
	next  func(*xzGuard) error // looks at what follows and sets pass
	pass  int64                // bytes that were looked at
	ended bool                 // only the index is left
	begun bool
	check int64 // the length of a block's checksum
	data  int64 // the length of the block's data so far
}

func (g *xzGuard) Read(b []byte) (int, error) {
	if !g.begun {
		g.begun, g.next = true, (*xzGuard).stream
	}
	for g.pass == 0 && !g.ended {
		if err := g.next(g); err != nil {
			return 0, err
		}
	}
	if !g.ended && int64(len(b)) > g.pass {
		b = b[:g.pass]
	}
	n, err := g.r.Read(b)
	g.pass -= min(int64(n), g.pass)
	return n, err
}

func (g *xzGuard) peek(n int) ([]byte, error) {
	b, err := g.r.Peek(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (g *xzGuard) stream() error {
	b, err := g.peek(12)
	if err != nil {
		return err
	}
	// The lengths of the sixteen kinds of checksum, xz file format 2.1.1.2.
	g.check = []int64{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}[b[7]&15]
	g.pass, g.next = 12, (*xzGuard).block
	return nil
}

func (g *xzGuard) block() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	if b[0] == 0 {
		g.ended = true
		return nil
	}
	size := 4 * (int(b[0]) + 1)
	if b, err = g.peek(size); err != nil {
		return err
	}
	g.pass, g.next, g.data = int64(size), (*xzGuard).chunk, 0
	flags, b := b[1], b[2:]
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			b = nil
			return 0
		}
		b = b[n:]
		return v
	}
	for _, bit := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&bit != 0 {
			number()
		}
	}
	if flags&3 != 0 || number() != 0x21 || number() != 1 || len(b) == 0 {
		return fmt.Errorf("an xz block uses another filter than LZMA2")
	}
	if d := b[0]; d > 40 || (2|int64(d&1))<<(d/2+11) > maxDict {
		return fmt.Errorf("an xz block asks for a dictionary of more than %d MiB", maxDict>>20)
	}
	return nil
}

func (g *xzGuard) chunk() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	switch control := b[0]; {
	case control == 0:
		g.data++
		g.pass = 1 + (4-g.data%4)%4 + g.check
		g.next = (*xzGuard).block
		return nil
	case control < 3: // not compressed
		if b, err = g.peek(3); err != nil {
			return err
		}
		g.pass = 3 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	case control >= 0x80:
		if b, err = g.peek(5); err != nil {
			return err
		}
		g.pass = 5 + int64(binary.BigEndian.Uint16(b[3:])) + 1
		if control >= 0xc0 { // with new properties
			g.pass++
		}
	default:
		return fmt.Errorf("an xz block is broken")
	}
	g.data += g.pass
	return nil
}
