package git

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zlib"
)

// packFile is a whole pack on the disk: what a host without filters sends. It may
// be read concurrently.
type packFile struct {
	f    *os.File
	at   map[id]int64
	more []*packFile // earlier ones, which deltas may be of
	temp func() (*os.File, func() error, error)
}

const (
	inMemory = 4 << 20 // a larger base of a delta is put into a file
	maxChain = 1000    // deltas upon deltas; git makes 50
)

// savePack writes a pack to f and returns its commits and trees. Deltas may be of
// what is in earlier packs.
func savePack(r io.Reader, f *os.File, earlier []*packFile, temp func() (*os.File, func() error, error)) (*packFile, *folders, error) {
	p := &packFile{f: f, at: make(map[id]int64), more: earlier, temp: temp}
	out := newFolders()
	w := bufio.NewWriterSize(f, 256<<10)
	s, err := scanPack(io.TeeReader(r, w))
	if err != nil {
		return nil, nil, err
	}
	var deltas []int64 // where they lie
	for {
		o, err := s.next()
		if err != nil {
			return nil, nil, err
		}
		if o == nil {
			break
		}
		switch o.kind {
		case ofsDelta, refDelta:
			deltas = append(deltas, o.offset)
			_, err = io.Copy(io.Discard, o.body)
		default:
			err = p.index(o.kind, o.size, o.offset, o.body, out)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if err := w.Flush(); err != nil {
		return nil, nil, err
	}
	// A base may come after what is made of it only where it is named by id.
	for len(deltas) > 0 {
		var later []int64
		for _, d := range deltas {
			o, err := p.object(d, 0)
			if errors.Is(err, errNoBase) {
				later = append(later, d)
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			if err := errors.Join(p.index(o.kind, o.size, d, o, out), o.Close()); err != nil {
				return nil, nil, err
			}
		}
		if len(later) == len(deltas) {
			return nil, nil, errNoBase
		}
		deltas = later
	}
	return p, out, nil
}

// index reads an object, and remembers where it lies.
func (p *packFile) index(k kind, size, offset int64, body io.Reader, out *folders) error {
	h := newHash(k, size)
	var b bytes.Buffer
	w := io.Writer(h)
	if k == commitKind || k == treeKind {
		if size > maxTree {
			return fmt.Errorf("a folder's list of %d bytes in the branch is too large: spread its files over more folders", size)
		}
		w = io.MultiWriter(h, &b)
	}
	if _, err := io.Copy(w, body); err != nil {
		return err
	}
	p.at[id(h.Sum(nil))] = offset
	return out.add(k, b.Bytes())
}

var errNoBase = errors.New("the base of a delta is missing in the host's pack: let git fsck look at the repository")

// opened is an object of a pack that is being read.
type opened struct {
	io.Reader
	kind  kind
	size  int64
	close func() error
}

func (o *opened) Close() error { return o.close() }

// open reads an object; ok is false where the pack has none of that id.
func (p *packFile) open(object id) (o *opened, ok bool, err error) {
	at, ok := p.at[object]
	if !ok {
		return nil, false, nil
	}
	o, err = p.object(at, 0)
	return o, true, err
}

// named reads the base of a delta, which may lie in an earlier pack.
func (p *packFile) named(object id, depth int) (*opened, error) {
	if at, ok := p.at[object]; ok {
		return p.object(at, depth)
	}
	for _, e := range p.more {
		if o, ok, err := e.open(object); ok || err != nil {
			return o, err
		}
	}
	return nil, errNoBase
}

func (p *packFile) object(offset int64, depth int) (*opened, error) {
	if depth > maxChain {
		return nil, errPack
	}
	r := bufio.NewReaderSize(io.NewSectionReader(p.f, offset, 1<<62), 16<<10)
	o, err := packHeader(r, offset)
	if err != nil {
		return nil, err
	}
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, inflateError(err)
	}
	body := &exact{z, o.size}
	if o.kind != ofsDelta && o.kind != refDelta {
		return &opened{body, o.kind, o.size, z.Close}, nil
	}
	defer z.Close()
	var base *opened
	if o.kind == ofsDelta {
		base, err = p.object(o.base, depth+1)
	} else {
		base, err = p.named(o.baseID, depth+1)
	}
	if err != nil {
		return nil, err
	}
	seekable, done, err := p.load(base)
	if err := errors.Join(err, base.Close()); err != nil {
		return nil, err
	}
	defer done()
	d := bufio.NewReader(body)
	baseSize, size, err := deltaSizes(d)
	if err != nil {
		return nil, err
	}
	if baseSize != base.size {
		return nil, errDelta
	}
	if size <= inMemory {
		var b bytes.Buffer
		if err := applyDelta(&b, seekable, baseSize, size, d); err != nil {
			return nil, err
		}
		return &opened{&b, base.kind, size, func() error { return nil }}, nil
	}
	f, remove, err := p.temp()
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = applyDelta(w, seekable, baseSize, size, d)
	if err = errors.Join(err, w.Flush()); err != nil {
		return nil, errors.Join(err, remove())
	}
	return &opened{io.NewSectionReader(f, 0, size), base.kind, size, remove}, nil
}

// load makes an object readable anywhere, until done is called.
func (p *packFile) load(o *opened) (r io.ReaderAt, done func() error, err error) {
	if at, ok := o.Reader.(io.ReaderAt); ok { // a temporary file, which lives until o is closed
		f, remove, err := p.temp()
		if err != nil {
			return nil, nil, err
		}
		if _, err := io.Copy(f, io.NewSectionReader(at, 0, o.size)); err != nil {
			return nil, nil, errors.Join(err, remove())
		}
		return f, remove, nil
	}
	if o.size <= inMemory {
		b := make([]byte, o.size)
		if _, err := io.ReadFull(o, b); err != nil {
			return nil, nil, early(err, errEnded)
		}
		return bytes.NewReader(b), func() error { return nil }, nil
	}
	f, remove, err := p.temp()
	if err != nil {
		return nil, nil, err
	}
	if _, err := io.Copy(f, o); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return f, remove, nil
}
