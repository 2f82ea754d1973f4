package verify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// stanza has the fields of one paragraph of a Packages file that matter here.
type stanza struct {
	name, version, arch string
	filename            string
	size                string
	sums                [4]string // as in stanzaSums
}

var stanzaSums = [4]string{"sha256", "sha512", "sha1", "md5"}

// field returns where a key's value goes; nil if it does not matter. Keys differ
// between apt and opkg.
func (s *stanza) field(key []byte) *string {
	switch strings.ToLower(string(key)) {
	case "package":
		return &s.name
	case "version":
		return &s.version
	case "architecture":
		return &s.arch
	case "filename":
		return &s.filename
	case "size":
		return &s.size
	case "sha256", "sha256sum":
		return &s.sums[0]
	case "sha512":
		return &s.sums[1]
	case "sha1":
		return &s.sums[2]
	case "md5sum":
		return &s.sums[3]
	}
	return nil
}

// maxLine bounds a line that matters; others may be as long as they like.
const maxLine = 64 << 10

// stanzas calls f for each paragraph of a text in the form of Debian's control
// files (deb822(5)).
func stanzas(r io.Reader, f func(*stanza) error) error {
	in := bufio.NewReaderSize(r, maxLine)
	s := &stanza{}
	any := false
	end := func() error {
		if !any {
			return nil
		}
		err := f(s)
		s, any = &stanza{}, false
		return err
	}
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		last := err != nil
		switch {
		case long:
			if !any {
				return fmt.Errorf("line %d is longer than %d bytes", n, maxLine)
			}
		case len(bytes.TrimSpace(line)) == 0:
			if err := end(); err != nil {
				return err
			}
		case line[0] == ' ' || line[0] == '\t':
			if !any {
				return fmt.Errorf("line %d continues a field, but there is none", n)
			}
		default:
			key, value, ok := bytes.Cut(line, []byte(":"))
			if !ok || bytes.ContainsAny(key, " \t") {
				return fmt.Errorf("line %d is no field: %.60q", n, line)
			}
			any = true
			if to := s.field(key); to != nil {
				if *to != "" {
					return fmt.Errorf("line %d: field %s is there twice", n, key)
				}
				*to = string(bytes.TrimSpace(value))
			}
		}
		if last {
			return end()
		}
	}
}

// want returns size and the strongest digest; weak says that there is none that
// is still trusted.
func (s *stanza) want() (w want, weak bool, err error) {
	n, err := strconv.ParseUint(s.size, 10, 62)
	if err != nil {
		return w, false, fmt.Errorf("package %.100q: size %.40q is not a number", s.name, s.size)
	}
	w.size = int64(n)
	for i, text := range s.sums {
		if text == "" {
			continue
		}
		if w.sum, err = makeSum(stanzaSums[i], text); err != nil {
			return w, false, fmt.Errorf("package %.100q: %w", s.name, err)
		}
		break
	}
	return w, w.algorithm == "" || w.weak(), nil
}

// twice finds packages that an index lists more than once.
type twice map[string]string

// add notes a package by what tells it from others; differ is set where the two
// are not one file.
func (t *twice) add(id, content string) (again, differ bool) {
	if *t == nil {
		*t = make(twice)
	}
	old, again := (*t)[id]
	(*t)[id] = content
	return again, again && old != content
}

// listedTwice notes it.
func (r *run) listedTwice(t *target, index, id string, differ bool) {
	if differ {
		r.add(t, Error, index, "listed-twice", "it lists %.200s twice, with different content: which one a client takes is left to chance", id)
		return
	}
	r.add(t, Warning, index, "listed-twice", "it lists %.200s twice", id)
}
