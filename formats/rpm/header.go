package rpm

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// kind is the type of a header's value.
type kind uint32

const (
	kindInt16       kind = 3
	kindInt32       kind = 4
	kindInt64       kind = 5
	kindString      kind = 6
	kindBin         kind = 7
	kindStringArray kind = 8
	kindI18NString  kind = 9
)

// align is what the offset of a value is a multiple of.
func (k kind) align() int {
	switch k {
	case kindInt16:
		return 2
	case kindInt32:
		return 4
	case kindInt64:
		return 8
	}
	return 1
}

const (
	headerMagic = "\x8e\xad\xe8\x01\x00\x00\x00\x00"
	introSize   = 16 // the magic and two lengths
	entrySize   = 16
	maxHeader   = 64 << 20 // bytes of index and data
	maxEntries  = 1 << 20
	maxValues   = 1 << 22 // of one tag
)

// header gathers values in any order; bytes lays them out. The first mistake is
// kept and returned there.
type header struct {
	values []value
	err    error
}

type value struct {
	tag   tag
	kind  kind
	count int
	data  []byte
}

// add takes over data.
func (h *header) add(t tag, k kind, count int, data []byte) {
	if count > 0 {
		h.values = append(h.values, value{t, k, count, data})
	}
}

func (h *header) text(k kind, t tag, s string) {
	h.noNUL(s)
	h.add(t, k, 1, append([]byte(s), 0))
}

func (h *header) noNUL(s string) {
	if h.err == nil && strings.IndexByte(s, 0) >= 0 {
		h.err = fmt.Errorf("text %q has a zero byte", s)
	}
}

func (h *header) string(t tag, s string) { h.text(kindString, t, s) }
func (h *header) i18n(t tag, s string)   { h.text(kindI18NString, t, s) }

// optional leaves the tag out where s is "".
func (h *header) optional(t tag, s string) {
	if s != "" {
		h.string(t, s)
	}
}

func (h *header) strings(t tag, list ...string) {
	n := 0
	for _, s := range list {
		n += len(s) + 1
	}
	data := make([]byte, 0, n)
	for _, s := range list {
		h.noNUL(s)
		data = append(append(data, s...), 0)
	}
	h.add(t, kindStringArray, len(list), data)
}

func (h *header) int32s(t tag, list ...uint32) {
	data := make([]byte, 0, 4*len(list))
	for _, v := range list {
		data = binary.BigEndian.AppendUint32(data, v)
	}
	h.add(t, kindInt32, len(list), data)
}

func (h *header) int64(t tag, v uint64) {
	h.add(t, kindInt64, 1, binary.BigEndian.AppendUint64(nil, v))
}

func (h *header) bin(t tag, b []byte) { h.add(t, kindBin, len(b), b) }

// bytes renders the header with everything in one region, which is what digests
// and signatures cover and what rpm keeps unchanged in its database.
func (h *header) bytes(region tag) ([]byte, error) {
	if h.err != nil {
		return nil, h.err
	}
	values := slices.Clone(h.values)
	slices.SortStableFunc(values, func(a, b value) int { return int(a.tag) - int(b.tag) })
	size := 0
	for i, v := range values {
		if i > 0 && v.tag == values[i-1].tag {
			panic(fmt.Sprintf("tag %d is there twice", v.tag)) // tags are written by this package alone
		}
		size = alignUp(size, v.kind.align()) + len(v.data)
	}
	count, dataLen := len(values)+1, size+entrySize
	total := introSize + count*entrySize + dataLen
	if total > maxHeader {
		return nil, fmt.Errorf("the header would be %d bytes, rpm packages are read up to %d; leave out files", total, maxHeader)
	}

	b := make([]byte, 0, total)
	b = append(b, headerMagic...)
	b = binary.BigEndian.AppendUint32(b, uint32(count))
	b = binary.BigEndian.AppendUint32(b, uint32(dataLen))
	b = appendEntry(b, region, kindBin, size, entrySize)
	off := 0
	for _, v := range values {
		off = alignUp(off, v.kind.align())
		b = appendEntry(b, v.tag, v.kind, off, v.count)
		off += len(v.data)
	}
	start := len(b)
	for _, v := range values {
		for (len(b)-start)%v.kind.align() != 0 {
			b = append(b, 0)
		}
		b = append(b, v.data...)
	}
	// The region's trailer says how far before it the index starts.
	return appendEntry(b, region, kindBin, -count*entrySize, entrySize), nil
}

func appendEntry(b []byte, t tag, k kind, off, count int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(t))
	b = binary.BigEndian.AppendUint32(b, uint32(k))
	b = binary.BigEndian.AppendUint32(b, uint32(int32(off)))
	return binary.BigEndian.AppendUint32(b, uint32(count))
}

func alignUp(n, a int) int { return (n + a - 1) / a * a }
