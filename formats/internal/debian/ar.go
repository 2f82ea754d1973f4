package debian

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	arMagic   = "!<arch>\n"
	arHeader  = 60
	arMembers = 32 // a package has three, or a few more with signatures
)

// ArWriter writes the common ar format as deb(5) has it: names of at most 16
// bytes without a slash.
type ArWriter struct {
	w  io.Writer
	at time.Time
}

// NewArWriter begins an archive whose members bear the time at.
func NewArWriter(w io.Writer, at time.Time) (*ArWriter, error) {
	_, err := io.WriteString(w, arMagic)
	return &ArWriter{w, Stamp(at)}, err
}

// Add writes one member of exactly size bytes.
func (a *ArWriter) Add(name string, size int64, content io.WriterTo) error {
	if size > 9_999_999_999 {
		return fmt.Errorf("%s is %d bytes; an ar archive takes at most 9,999,999,999: leave out files", name, size)
	}
	if _, err := fmt.Fprintf(a.w, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, a.at.Unix(), 0, 0, "100644", size); err != nil {
		return err
	}
	n, err := content.WriteTo(a.w)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%s is %d bytes, was to be %d", name, n, size)
	}
	if size%2 == 1 {
		_, err = a.w.Write([]byte{'\n'})
	}
	return err
}

// ArMember is a part of an archive.
type ArMember struct {
	Name string
	*io.SectionReader
}

// ReadAr lists the members of an archive of size bytes. It reads their headers
// only.
func ReadAr(r io.ReaderAt, size int64) ([]ArMember, error) {
	var magic [len(arMagic)]byte
	if _, err := r.ReadAt(magic[:], 0); err != nil || string(magic[:]) != arMagic {
		return nil, fmt.Errorf("the file is no ar archive")
	}
	var members []ArMember
	var h [arHeader]byte
	for off := int64(len(arMagic)); off < size; {
		if len(members) == arMembers {
			return nil, fmt.Errorf("the archive has more than %d members", arMembers)
		}
		if off+arHeader > size {
			return nil, fmt.Errorf("the archive ends inside a header, at byte %d", size)
		}
		if _, err := r.ReadAt(h[:], off); err != nil && err != io.EOF {
			return nil, err
		}
		n, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		if err != nil || n < 0 || !bytes.Equal(h[58:], []byte("`\n")) {
			return nil, fmt.Errorf("the archive has a broken header at byte %d", off)
		}
		off += arHeader
		if n > size-off {
			return nil, fmt.Errorf("the archive ends inside a member, at byte %d", size)
		}
		name := strings.TrimRight(string(h[:16]), " ")
		members = append(members, ArMember{strings.TrimSuffix(name, "/"), io.NewSectionReader(r, off, n)})
		off += n + n%2
	}
	return members, nil
}
