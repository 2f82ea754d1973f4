package verify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scanner reads the tags of an XML text one by one. It takes the XML that indexes
// of rpm-md are written in, ten times as fast as encoding/xml: elements,
// attributes, text, comments and CDATA. A DOCTYPE, which can define entities that
// grow, is refused.
type scanner struct {
	r     *bufio.Reader
	tag   tag
	text  []byte // before the tag, as it stands there
	stack []byte // names of the open elements, each behind its length
	depth int
	lens  [maxDepth]int
	buf   []byte
	begun bool
}

const (
	maxDepth = 32
	maxTag   = 1 << 20
)

// tag is an element's start or end. name and attrs are good until the next one.
type tag struct {
	name  []byte
	attrs []byte
	end   bool // </name>
	empty bool // <name/>: no tag for the end follows
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, 64<<10)}
}

// until reads up to and with a byte, into b.
func (s *scanner) until(b []byte, c byte) ([]byte, error) {
	for {
		part, err := s.r.ReadSlice(c)
		b = append(b, part...)
		if len(b) > maxTag {
			return b, fmt.Errorf("a tag or text is longer than %d bytes", maxTag)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b, err
		}
	}
}

// next goes to the next tag. It returns io.EOF after the root element.
func (s *scanner) next() error {
	s.text = s.text[:0]
	for {
		var err error
		at := len(s.text)
		s.text, err = s.until(s.text, '<')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return err
			}
			if s.depth > 0 || !s.begun {
				return errors.New("the XML ends early")
			}
			if len(bytes.TrimSpace(s.text[at:])) > 0 {
				return errors.New("text follows the XML")
			}
			return io.EOF
		}
		s.text = s.text[:len(s.text)-1]
		special, err := s.special()
		if err != nil {
			return early(err)
		}
		if special {
			continue
		}
		return s.element()
	}
}

func early(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the XML ends early")
	}
	return err
}

// special skips what is no element; the text of a CDATA section is kept.
func (s *scanner) special() (bool, error) {
	head, err := s.r.Peek(1)
	if err != nil {
		return false, err
	}
	switch head[0] {
	case '?':
		return true, s.skip("?>", nil)
	case '!':
		head, err := s.r.Peek(8)
		switch {
		case err != nil:
			return false, err
		case bytes.HasPrefix(head, []byte("!--")):
			return true, s.skip("-->", nil)
		case string(head) == "![CDATA[":
			if _, err := s.r.Discard(8); err != nil {
				return false, err
			}
			at := len(s.text)
			if err := s.skip("]]>", &s.text); err != nil {
				return false, err
			}
			s.text = append(s.text[:at], escape(s.text[at:])...)
			return true, nil
		}
		return false, errors.New("the XML has a DOCTYPE, which is not read")
	}
	return false, nil
}

// escape makes text of CDATA what unescape takes.
func escape(b []byte) []byte { return bytes.ReplaceAll(bytes.Clone(b), []byte("&"), []byte("&amp;")) }

// skip reads up to and with end; what comes before is added to keep.
func (s *scanner) skip(end string, keep *[]byte) error {
	last := end[len(end)-1]
	s.buf = s.buf[:0]
	for {
		var err error
		if s.buf, err = s.until(s.buf, last); err != nil {
			return err
		}
		if bytes.HasSuffix(s.buf, []byte(end)) {
			if keep != nil {
				*keep = append(*keep, s.buf[:len(s.buf)-len(end)]...)
			}
			return nil
		}
		if keep == nil {
			s.buf = append(s.buf[:0], s.buf[max(0, len(s.buf)-len(end)):]...)
		}
	}
}

// element reads a tag behind its "<".
func (s *scanner) element() error {
	s.buf = s.buf[:0]
	for {
		var err error
		if s.buf, err = s.until(s.buf, '>'); err != nil {
			return early(err)
		}
		if !inQuotes(s.buf) { // a ">" may stand in an attribute's value
			break
		}
	}
	b := s.buf[:len(s.buf)-1]
	t := &s.tag
	*t = tag{}
	if b, t.end = bytes.CutPrefix(b, []byte("/")); !t.end {
		b, t.empty = bytes.CutSuffix(b, []byte("/"))
	}
	n := bytes.IndexAny(b, " \t\r\n")
	if n < 0 {
		n = len(b)
	}
	t.name, t.attrs = b[:n], bytes.TrimSpace(b[n:])
	if len(t.name) == 0 {
		return errors.New("the XML has a tag without a name")
	}
	switch {
	case t.end:
		if s.depth == 0 || string(s.top()) != string(t.name) {
			return fmt.Errorf("the XML closes %.40q, which is not what is open", t.name)
		}
		s.stack = s.stack[:len(s.stack)-s.lens[s.depth-1]]
		s.depth--
	case s.depth == 0 && s.begun:
		return errors.New("the XML has two roots")
	case !t.empty:
		if s.depth == maxDepth {
			return fmt.Errorf("the XML is nested more than %d deep", maxDepth)
		}
		s.lens[s.depth] = len(t.name)
		s.stack = append(s.stack, t.name...)
		s.depth++
	}
	s.begun = true
	return nil
}

// inQuotes reports whether a tag ends within a value.
func inQuotes(b []byte) bool {
	if bytes.IndexByte(b, '\'') < 0 {
		return bytes.Count(b, []byte(`"`))%2 != 0
	}
	quote := byte(0)
	for _, c := range b {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return quote != 0
}

// top is the name of the innermost open element.
func (s *scanner) top() []byte { return s.stack[len(s.stack)-s.lens[s.depth-1]:] }

// attr returns the value of an attribute, "" if there is none.
func (t *tag) attr(name string) string {
	b := t.attrs
	for len(b) > 0 {
		key, rest, ok := bytes.Cut(b, []byte("="))
		if !ok {
			return ""
		}
		rest = bytes.TrimLeft(rest, " \t\r\n")
		if len(rest) == 0 || rest[0] != '"' && rest[0] != '\'' {
			return ""
		}
		value, after, ok := bytes.Cut(rest[1:], rest[:1])
		if !ok {
			return ""
		}
		if string(bytes.TrimSpace(key)) == name {
			return unescape(value)
		}
		b = after
	}
	return ""
}

// unescape puts characters in the place of references to them.
func unescape(b []byte) string {
	if bytes.IndexByte(b, '&') < 0 {
		return string(b)
	}
	var out strings.Builder
	for len(b) > 0 {
		before, rest, ok := bytes.Cut(b, []byte("&"))
		out.Write(before)
		if !ok {
			break
		}
		name, after, ok := bytes.Cut(rest, []byte(";"))
		c, known := entities[string(name)]
		if num, ok := bytes.CutPrefix(name, []byte("#")); ok {
			base := 10
			if h, ok := bytes.CutPrefix(num, []byte("x")); ok {
				num, base = h, 16
			}
			n, err := strconv.ParseUint(string(num), base, 21)
			c, known = rune(n), err == nil && utf8.ValidRune(rune(n))
		}
		if !ok || !known {
			out.WriteByte('&')
			b = rest
			continue
		}
		out.WriteRune(c)
		b = after
	}
	return out.String()
}

var entities = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}
