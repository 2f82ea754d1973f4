package git

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

var errPack = errors.New("the host's pack is damaged: try again, and if that does not help, let git fsck look at the repository")

const (
	maxTree  = 64 << 20  // a folder's list, or a commit
	maxTrees = 256 << 20 // all that is kept of a version
)

// packScanner reads a pack from its start to its end (gitformat-pack(5)) and
// checks its checksum.
type packScanner struct {
	r    *packBuffer
	left uint32
	z    io.ReadCloser
}

// packObject is an object as it lies in a pack. size is that of body, which is a
// delta where kind is ofsDelta or refDelta.
type packObject struct {
	kind   kind
	size   int64
	offset int64
	base   int64 // ofsDelta: the base's offset
	baseID id    // refDelta
	body   io.Reader
}

func scanPack(r io.Reader) (*packScanner, error) {
	s := &packScanner{r: &packBuffer{r: r, sum: sha1.New()}}
	var head [12]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return nil, early(err, errEnded)
	}
	if v := binary.BigEndian.Uint32(head[4:]); string(head[:4]) != "PACK" || v != 2 && v != 3 {
		return nil, errPack
	}
	s.left = binary.BigEndian.Uint32(head[8:])
	return s, nil
}

// next returns the next object, whose body is to be read to its end first. After
// the last one it is nil, and the checksum was right.
func (s *packScanner) next() (*packObject, error) {
	if s.left == 0 {
		return nil, s.r.finish()
	}
	s.left--
	o, err := packHeader(s.r, s.r.offset())
	if err != nil {
		return nil, err
	}
	if s.z == nil {
		s.z, err = zlib.NewReader(s.r)
	} else {
		err = s.z.(zlib.Resetter).Reset(s.r, nil)
	}
	if err != nil {
		return nil, inflateError(err)
	}
	o.body = &exact{s.z, o.size}
	return o, nil
}

// packHeader reads what precedes an object's compressed bytes.
func packHeader(r io.ByteReader, offset int64) (*packObject, error) {
	o := &packObject{offset: offset}
	c, err := r.ReadByte()
	if err != nil {
		return nil, early(err, errEnded)
	}
	o.kind, o.size = kind(c>>4&7), int64(c&15)
	for shift := 4; c&0x80 != 0; shift += 7 {
		if c, err = r.ReadByte(); err != nil {
			return nil, early(err, errEnded)
		}
		if shift > 40 {
			return nil, errPack
		}
		o.size |= int64(c&0x7f) << shift
	}
	switch o.kind {
	case commitKind, treeKind, blobKind, tagKind:
	case ofsDelta:
		// Each continuation adds one, so that no distance has two forms.
		back := int64(-1)
		for more := true; more; {
			if c, err = r.ReadByte(); err != nil {
				return nil, early(err, errEnded)
			}
			if back > 1<<50 {
				return nil, errPack
			}
			back = (back+1)<<7 | int64(c&0x7f)
			more = c&0x80 != 0
		}
		if o.base = offset - back; o.base < 12 || back <= 0 {
			return nil, errPack
		}
	case refDelta:
		for i := range o.baseID {
			if o.baseID[i], err = r.ReadByte(); err != nil {
				return nil, early(err, errEnded)
			}
		}
	default:
		return nil, errPack
	}
	return o, nil
}

// exact reads an inflated object, which must have the size that was announced.
type exact struct {
	r    io.Reader
	left int64
}

func (e *exact) Read(b []byte) (int, error) {
	if e.left == 0 {
		var one [1]byte
		if n, err := e.r.Read(one[:]); n > 0 {
			return 0, errPack
		} else if err != io.EOF {
			return 0, inflateError(err)
		}
		return 0, io.EOF
	}
	n, err := e.r.Read(b[:min(int64(len(b)), e.left)])
	e.left -= int64(n)
	if err == io.EOF {
		if e.left > 0 {
			return n, errPack
		}
		err = nil // the checksum is behind the data: the next call reads it
	}
	return n, inflateError(err)
}

func inflateError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return errEnded
	case errors.Is(err, zlib.ErrChecksum), errors.Is(err, zlib.ErrHeader), errors.Is(err, zlib.ErrDictionary), errors.As(err, new(flate.CorruptInputError)):
		return errPack
	}
	return err
}

// packBuffer reads ahead, but hashes only what was taken from it.
type packBuffer struct {
	r          io.Reader
	sum        hash.Hash
	buf        [32 << 10]byte
	start, end int
	before     int64 // bytes taken out of earlier buffers
	err        error
}

func (p *packBuffer) offset() int64 { return p.before + int64(p.start) }

func (p *packBuffer) fill() error {
	if p.err != nil {
		return p.err
	}
	p.sum.Write(p.buf[:p.start])
	p.before += int64(p.start)
	p.start = 0
	for p.end = 0; p.end == 0 && p.err == nil; {
		p.end, p.err = p.r.Read(p.buf[:])
	}
	if p.end > 0 {
		return nil
	}
	return p.err
}

func (p *packBuffer) ReadByte() (byte, error) {
	if p.start == p.end {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	p.start++
	return p.buf[p.start-1], nil
}

func (p *packBuffer) Read(b []byte) (int, error) {
	if p.start == p.end {
		if err := p.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.buf[p.start:p.end])
	p.start += n
	return n, nil
}

// finish compares the checksum at the end of the pack, and wants nothing behind it.
func (p *packBuffer) finish() error {
	p.sum.Write(p.buf[:p.start])
	p.before += int64(p.start)
	p.end = copy(p.buf[:], p.buf[p.start:p.end])
	p.start = 0
	want := p.sum.Sum(nil)
	p.sum = nil
	for p.end < len(want) && p.err == nil {
		var n int
		n, p.err = p.r.Read(p.buf[p.end:])
		p.end += n
	}
	if p.end < len(want) {
		return early(p.err, errEnded)
	}
	if !bytes.Equal(p.buf[:p.end], want) {
		return errPack
	}
	// To the end of the answer: a connection can be used again then.
	if p.err == nil {
		if _, err := io.ReadFull(p.r, p.buf[:1]); err != io.EOF {
			if err == nil {
				return errPack
			}
			return early(err, errEnded)
		}
	} else if p.err != io.EOF {
		return p.err
	}
	return nil
}

// folders are the commits and trees of a pack.
type folders struct {
	commits map[id][]byte
	trees   trees
	bytes   int64
}

func newFolders() *folders {
	return &folders{commits: make(map[id][]byte), trees: make(trees)}
}

func (f *folders) add(k kind, b []byte) error {
	if f.bytes += int64(len(b)); f.bytes > maxTrees {
		return fmt.Errorf("the lists of the branch's folders are larger than %d MB: use a branch with fewer files, or drop old versions", maxTrees>>20)
	}
	switch k {
	case commitKind:
		f.commits[hashOf(k, b)] = b
	case treeKind:
		f.trees[hashOf(k, b)] = b
	}
	return nil
}

// readFolders reads a pack without files. Files a host sends all the same are
// dropped. Deltas may be of what is in base.
func readFolders(r io.Reader, base *version) (*folders, error) {
	s, err := scanPack(r)
	if err != nil {
		return nil, err
	}
	out := newFolders()
	type whole struct {
		kind kind
		b    []byte
	}
	at := make(map[int64]whole)
	type pending struct {
		offset int64
		base   id
		delta  []byte
	}
	var later []pending
	byID := func(i id) (whole, bool) {
		if b, ok := out.trees[i]; ok {
			return whole{treeKind, b}, true
		}
		if b, ok := out.commits[i]; ok {
			return whole{commitKind, b}, true
		}
		if base == nil {
			return whole{}, false
		}
		if i == base.commit {
			return whole{commitKind, base.text}, true
		}
		b, ok := base.trees[i]
		return whole{treeKind, b}, ok
	}
	resolve := func(offset int64, from whole, delta []byte) error {
		b, err := patch(from.b, delta)
		if err != nil {
			return err
		}
		at[offset] = whole{from.kind, b}
		return out.add(from.kind, b)
	}
	for {
		o, err := s.next()
		if err != nil {
			return nil, err
		}
		if o == nil {
			break
		}
		from, have := whole{}, false
		switch o.kind {
		case ofsDelta:
			from, have = at[o.base]
		case refDelta:
			if from, have = byID(o.baseID); !have {
				from, have = whole{}, true // it may come later
			}
		case commitKind, treeKind:
			have = true
		}
		if !have {
			if _, err := io.Copy(io.Discard, o.body); err != nil {
				return nil, err
			}
			continue
		}
		if o.size > maxTree {
			return nil, fmt.Errorf("a folder's list of %d bytes in the branch is too large: spread its files over more folders", o.size)
		}
		b := make([]byte, o.size)
		if _, err := io.ReadFull(o.body, b); err != nil {
			return nil, err
		}
		if _, err := io.Copy(io.Discard, o.body); err != nil {
			return nil, err
		}
		switch {
		case o.kind == commitKind || o.kind == treeKind:
			at[o.offset] = whole{o.kind, b}
			err = out.add(o.kind, b)
		case from.kind == 0:
			later = append(later, pending{o.offset, o.baseID, b})
			if out.bytes += o.size; out.bytes > maxTrees {
				err = errPack
			}
		default:
			err = resolve(o.offset, from, b)
		}
		if err != nil {
			return nil, err
		}
	}
	for progress := true; progress && len(later) > 0; {
		progress = false
		var still []pending
		for _, p := range later {
			from, ok := byID(p.base)
			if !ok {
				still = append(still, p)
				continue
			}
			if err := resolve(p.offset, from, p.delta); err != nil {
				return nil, err
			}
			progress = true
		}
		later = still
	}
	return out, nil
}

// patch applies a delta in memory.
func patch(base, delta []byte) ([]byte, error) {
	d := bufio.NewReaderSize(bytes.NewReader(delta), 512)
	from, size, err := deltaSizes(d)
	if err != nil {
		return nil, err
	}
	if from != int64(len(base)) || size > maxTree {
		return nil, errDelta
	}
	var b bytes.Buffer
	b.Grow(int(size))
	if err := applyDelta(&b, bytes.NewReader(base), from, size, d); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
