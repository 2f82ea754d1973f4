package git

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
)

// object is what a push sends.
type object struct {
	kind  kind
	id    id
	size  int64
	open  func() (io.ReadCloser, error) // the content, where it is not in raw
	raw   []byte                        // the content, or with base the delta
	base  id                            // not zero: raw is a delta of this object, which the host has
	dense bool                          // compressed already
}

// writePack writes a pack of objects (gitformat-pack(5)). Content that is no
// longer what it was when it was named is an error, before the pack is whole.
func writePack(w io.Writer, objects []object) error {
	sum := sha1.New()
	out := io.MultiWriter(w, sum)
	head := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(objects)))
	if _, err := out.Write(head); err != nil {
		return err
	}
	packed, err := zlib.NewWriterLevel(out, zlib.DefaultCompression)
	if err != nil {
		return err
	}
	for i := range objects {
		o := &objects[i]
		k, size := o.kind, o.size
		if !o.base.isZero() {
			k, size = refDelta, int64(len(o.raw))
		}
		c := byte(k)<<4 | byte(size&15)
		head = head[:0]
		for size >>= 4; size > 0; size >>= 7 {
			head = append(head, c|0x80)
			c = byte(size & 0x7f)
		}
		head = append(head, c)
		if !o.base.isZero() {
			head = append(head, o.base[:]...)
		}
		if _, err := out.Write(head); err != nil {
			return err
		}
		z := packed
		if o.dense {
			if z, err = zlib.NewWriterLevel(out, zlib.NoCompression); err != nil {
				return err
			}
		} else {
			z.Reset(out)
		}
		if err := o.copy(z); err != nil {
			return err
		}
		if err := z.Close(); err != nil {
			return err
		}
	}
	_, err = w.Write(sum.Sum(nil))
	return err
}

func (o *object) copy(w io.Writer) error {
	if o.open == nil {
		_, err := w.Write(o.raw)
		return err
	}
	r, err := o.open()
	if err != nil {
		return err
	}
	defer r.Close()
	h := newHash(o.kind, o.size)
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(r, o.size+1))
	if err != nil {
		return err
	}
	if n != o.size || id(h.Sum(nil)) != o.id {
		return fmt.Errorf("a file of %d bytes changed while it was sent", o.size)
	}
	return nil
}
