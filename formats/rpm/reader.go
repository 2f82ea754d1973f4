package rpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// index is a header that was read. Values are looked at when asked for, so what
// nobody asks for may be nonsense.
type index struct {
	entries []byte // 16 bytes each
	data    []byte
}

// readIndex reads the header at off of a file of size bytes. raw are its bytes,
// from its magic to the end of its data.
func readIndex(r io.ReaderAt, off, size int64) (h *index, raw []byte, err error) {
	var intro [introSize]byte
	if size-off < int64(len(intro)) {
		return nil, nil, fmt.Errorf("the file ends at byte %d, where a header should be", size)
	}
	if _, err := r.ReadAt(intro[:], off); err != nil && err != io.EOF {
		return nil, nil, err
	}
	n, err := indexSize(intro[:])
	if err != nil {
		return nil, nil, err
	}
	if int64(n) > size-off {
		return nil, nil, fmt.Errorf("header of %d bytes reaches beyond the end of the file", n)
	}
	raw = make([]byte, n)
	copy(raw, intro[:]) // read once: a file that changes meanwhile can't contradict itself
	if k, err := r.ReadAt(raw[introSize:], off+introSize); k < n-introSize {
		return nil, nil, err
	}
	return parseIndex(raw), raw, nil
}

// indexSize reads the length of a header from its first bytes.
func indexSize(intro []byte) (int, error) {
	if string(intro[:4]) != headerMagic[:4] {
		return 0, fmt.Errorf("header starts with % x, not with its magic", intro[:4])
	}
	count, data := int64(binary.BigEndian.Uint32(intro[8:])), int64(binary.BigEndian.Uint32(intro[12:]))
	if count > maxEntries {
		return 0, fmt.Errorf("header has %d entries; %d are read at most", count, maxEntries)
	}
	n := introSize + count*entrySize + data
	if n > maxHeader {
		return 0, fmt.Errorf("header is %d bytes long; %d are read at most", n, maxHeader)
	}
	return int(n), nil
}

// parseIndex takes over raw, which is as long as indexSize says.
func parseIndex(raw []byte) *index {
	split := introSize + int(binary.BigEndian.Uint32(raw[8:]))*entrySize
	return &index{raw[introSize:split], raw[split:]}
}

// find returns the first value of a tag; ok is false if there is none.
func (h *index) find(t tag) (k kind, data []byte, count int, ok bool, err error) {
	for e := h.entries; len(e) > 0; e = e[entrySize:] {
		if tag(binary.BigEndian.Uint32(e)) != t {
			continue
		}
		k = kind(binary.BigEndian.Uint32(e[4:]))
		off, n := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		if n > maxValues {
			return 0, nil, 0, false, fmt.Errorf("tag %d has %d values; %d are read at most", t, n, maxValues)
		}
		if int64(off) > int64(len(h.data)) || int64(n) > int64(len(h.data))-int64(off) {
			return 0, nil, 0, false, fmt.Errorf("tag %d: %d values at offset %d do not fit in %d bytes", t, n, off, len(h.data))
		}
		return k, h.data[off:], int(n), true, nil
	}
	return 0, nil, 0, false, nil
}

// has reports whether there is such a tag.
func (h *index) has(t tag) bool {
	_, _, _, ok, err := h.find(t)
	return ok || err != nil
}

// strings returns the texts of a tag, nil if there is none.
func (h *index) strings(t tag) ([]string, error) {
	k, data, count, ok, err := h.find(t)
	if !ok {
		return nil, err
	}
	switch k {
	case kindString:
		count = 1
	case kindStringArray, kindI18NString:
	default:
		return nil, fmt.Errorf("tag %d is of kind %d, not text", t, k)
	}
	list := make([]string, count)
	for i := range list {
		n := bytes.IndexByte(data, 0)
		if n < 0 {
			return nil, fmt.Errorf("tag %d: text %d of %d has no end", t, i+1, count)
		}
		list[i], data = string(data[:n]), data[n+1:]
	}
	return list, nil
}

// string returns the first text of a tag, "" if there is none.
func (h *index) string(t tag) (string, error) {
	list, err := h.strings(t)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0], nil
}

// ints returns the numbers of a tag, nil if there is none.
func (h *index) ints(t tag) ([]uint64, error) {
	k, data, count, ok, err := h.find(t)
	if !ok {
		return nil, err
	}
	width := k.align()
	if width == 1 {
		return nil, fmt.Errorf("tag %d is of kind %d, not numbers", t, k)
	}
	if count > len(data)/width {
		return nil, fmt.Errorf("tag %d: %d numbers do not fit in the header", t, count)
	}
	list := make([]uint64, count)
	for i := range list {
		switch k {
		case kindInt16:
			list[i] = uint64(binary.BigEndian.Uint16(data[2*i:]))
		case kindInt32:
			list[i] = uint64(binary.BigEndian.Uint32(data[4*i:]))
		case kindInt64:
			list[i] = binary.BigEndian.Uint64(data[8*i:])
		}
	}
	return list, nil
}

// int returns the first number under any of the tags, 0 if there is none.
func (h *index) int(tags ...tag) (uint64, error) {
	for _, t := range tags {
		list, err := h.ints(t)
		if err != nil {
			return 0, err
		}
		if len(list) > 0 {
			return list[0], nil
		}
	}
	return 0, nil
}
