package git

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// A delta makes an object of another: the sizes of both, then "copy this part of
// the base" and "here are new bytes" (gitformat-pack(5)).

const (
	deltaBlock  = 16      // bytes that must be equal for a copy
	maxDelta    = 4 << 20 // a longer delta is not worth its memory
	maxCopySize = 0xffff  // all readers of packs take it
)

// makeDelta returns what makes target of base; nil where that saves less than
// half of target.
func makeDelta(base, target []byte) []byte {
	if len(base) < deltaBlock || len(target) < deltaBlock || len(base) > 1<<31-1 {
		return nil
	}
	limit := min(len(target)/2, maxDelta)

	// Where each block of the base begins; the first of equal ones is kept, so
	// that runs of one byte cost nothing.
	bits := 8
	for 1<<bits < len(base)/deltaBlock {
		bits++
	}
	table := make([]uint32, 1<<bits)
	slot := func(b []byte) uint64 {
		x := binary.LittleEndian.Uint64(b)*0x9e3779b97f4a7c15 ^ binary.LittleEndian.Uint64(b[8:])*0xc2b2ae3d27d4eb4f
		return (x ^ x>>29) * 0xbf58476d1ce4e5b9 >> (64 - bits)
	}
	for i := (len(base) - deltaBlock) / deltaBlock * deltaBlock; i >= 0; i -= deltaBlock {
		table[slot(base[i:])] = uint32(i) + 1
	}

	out := binary.AppendUvarint(nil, uint64(len(base)))
	out = binary.AppendUvarint(out, uint64(len(target)))
	fresh := 0 // where bytes that are not yet written begin
	insert := func(to int) {
		for fresh < to {
			n := min(to-fresh, 127)
			out = append(out, byte(n))
			out = append(out, target[fresh:fresh+n]...)
			fresh += n
		}
	}
	next := 0 // where the base goes on after the last copy: tried first
	for at := 0; at+deltaBlock <= len(target); {
		from := -1
		if next+deltaBlock <= len(base) && string(base[next:next+deltaBlock]) == string(target[at:at+deltaBlock]) {
			from = next
		} else if p := int(table[slot(target[at:])]) - 1; p >= 0 && string(base[p:p+deltaBlock]) == string(target[at:at+deltaBlock]) {
			from = p
		}
		if from < 0 {
			at++
			if at-fresh > limit {
				return nil
			}
			continue
		}
		for from > 0 && at > fresh && base[from-1] == target[at-1] {
			from, at = from-1, at-1
		}
		n := deltaBlock
		for from+n < len(base) && at+n < len(target) && base[from+n] == target[at+n] {
			n++
		}
		insert(at)
		for off, left := from, n; left > 0; {
			size := min(left, maxCopySize)
			out = appendCopy(out, off, size)
			off, left = off+size, left-size
		}
		at += n
		fresh, next = at, from+n
		if len(out) > limit {
			return nil
		}
	}
	insert(len(target))
	if len(out) > limit {
		return nil
	}
	return out
}

func appendCopy(out []byte, off, size int) []byte {
	at := len(out)
	out = append(out, 0x80)
	for i := range 4 {
		if b := byte(off >> (8 * i)); b != 0 {
			out[at] |= 1 << i
			out = append(out, b)
		}
	}
	for i := range 2 {
		if b := byte(size >> (8 * i)); b != 0 {
			out[at] |= 0x10 << i
			out = append(out, b)
		}
	}
	return out
}

var errDelta = errors.New("a delta in the host's pack is damaged: let git fsck look at the repository")

// deltaSizes reads the sizes a delta begins with.
func deltaSizes(d io.ByteReader) (base, result int64, err error) {
	b, err := binary.ReadUvarint(d)
	if err != nil {
		return 0, 0, errDelta
	}
	r, err := binary.ReadUvarint(d)
	if err != nil || b > 1<<40 || r > 1<<40 {
		return 0, 0, errDelta
	}
	return int64(b), int64(r), nil
}

// applyDelta writes what d, whose sizes are read, makes of base.
func applyDelta(w io.Writer, base io.ReaderAt, baseSize, size int64, d *bufio.Reader) error {
	for done := int64(0); done < size; {
		op, err := d.ReadByte()
		if err != nil {
			return errDelta
		}
		if op == 0 {
			return errDelta
		}
		n := int64(op)
		var from io.Reader = d
		if op&0x80 != 0 {
			var args [7]byte
			for i := range args {
				if op&(1<<i) != 0 {
					if args[i], err = d.ReadByte(); err != nil {
						return errDelta
					}
				}
			}
			off := int64(binary.LittleEndian.Uint32(args[:]))
			n = int64(args[4]) | int64(args[5])<<8 | int64(args[6])<<16
			if n == 0 {
				n = 0x10000
			}
			if off+n > baseSize {
				return errDelta
			}
			from = io.NewSectionReader(base, off, n)
		}
		if done += n; done > size {
			return errDelta
		}
		if _, err := io.CopyN(w, from, n); err == io.EOF {
			return errDelta
		} else if err != nil { // of w, such as a full disk
			return err
		}
	}
	if _, err := d.ReadByte(); err != io.EOF {
		return errDelta
	}
	return nil
}
