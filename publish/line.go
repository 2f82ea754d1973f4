package publish

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/distropack/distropack/formats"
)

// parseLine reads a record. A page is parsed as a whole for one new package, and
// encoding/json takes longer for that than everything else but signing; so what
// renderPage writes, keys in its order and no spaces, is read here, at a tenth of
// the time, and what looks different in any way is left to encoding/json.
func parseLine(line []byte) (*Record, error) {
	p := lineParser{rest: strings.TrimSuffix(string(line), "\n")}
	var r Record
	if p.record(&r); !p.failed && p.rest == "" {
		return &r, nil
	}
	r = Record{}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// lineParser reads from the front of rest. After the first thing it does not
// expect it reads nothing more.
type lineParser struct {
	rest   string
	failed bool
}

// next takes text from the front, if it is there.
func (p *lineParser) next(text string) bool {
	rest, ok := strings.CutPrefix(p.rest, text)
	if ok = ok && !p.failed; ok {
		p.rest = rest
	}
	return ok
}

// must takes text from the front.
func (p *lineParser) must(text string) {
	if !p.next(text) {
		p.failed = true
	}
}

func (p *lineParser) record(r *Record) {
	p.must(`{"path":`)
	r.Path = p.text()
	if p.next(`,"url":`) {
		r.URL = p.text()
	}
	p.must(`,"ref":`)
	r.Ref = p.ref()
	if p.next(`,"project":`) {
		r.Project = p.text()
	}
	if p.next(`,"version":`) {
		r.Version = p.text()
	}
	p.must(`,"added":`)
	r.Added = p.number()
	if p.next(`,"beside":`) {
		p.list(func() {
			p.must(`{"suffix":`)
			b := BesideRef{Suffix: p.text()}
			p.must(`,"ref":`)
			b.Ref = p.ref()
			p.must(`}`)
			r.Beside = append(r.Beside, b)
		})
	}
	p.must(`,"meta":{"format":`)
	m := &r.Meta
	m.Format = p.text()
	p.must(`,"name":`)
	m.Name = p.text()
	p.must(`,"version":`)
	m.Version = p.text()
	p.must(`,"arch":`)
	m.Arch = p.text()
	if p.next(`,"fields":`) {
		m.Fields = make([]formats.Field, 0, 24)
		p.list(func() {
			p.must(`{"k":`)
			f := formats.Field{Key: p.text()}
			p.must(`,"v":`)
			f.Value = p.text()
			p.must(`}`)
			m.Fields = append(m.Fields, f)
		})
	}
	if p.next(`,"files":`) {
		p.list(func() { m.Files = append(m.Files, p.text()) })
	}
	if p.next(`,"ghosts":`) {
		p.list(func() { m.Ghosts = append(m.Ghosts, p.text()) })
	}
	p.must(`}}`)
}

// list calls item at each of the things between brackets: at least one, since
// empty lists are left out.
func (p *lineParser) list(item func()) {
	p.must(`[`)
	for !p.failed {
		item()
		if p.next(`]`) {
			return
		}
		p.must(`,`)
	}
}

func (p *lineParser) ref() formats.Ref {
	p.must(`{"sha256":`)
	d, err := formats.ParseDigest(p.text())
	if err != nil {
		p.failed = true
	}
	p.must(`,"size":`)
	n := p.number()
	p.must(`}`)
	return formats.Ref{SHA256: d, Size: n}
}

func (p *lineParser) number() int64 {
	end := 0
	for end < len(p.rest) && end < 20 && (p.rest[end] >= '0' && p.rest[end] <= '9' || p.rest[end] == '-') {
		end++
	}
	n, err := strconv.ParseInt(p.rest[:end], 10, 64)
	if err != nil || p.rest[:end] != strconv.FormatInt(n, 10) {
		p.failed = true
	}
	p.rest = p.rest[end:]
	return n
}

// text takes a string.
func (p *lineParser) text() string {
	p.must(`"`)
	end := strings.IndexByte(p.rest, '"')
	if p.failed || end < 0 {
		p.failed = true
		return ""
	}
	s := p.rest[:end]
	if strings.IndexByte(s, '\\') >= 0 {
		return p.escaped()
	}
	p.rest = p.rest[end+1:]
	p.check(s)
	return s
}

// check fails where encoding/json would refuse a text or change it.
func (p *lineParser) check(s string) {
	ascii := true
	for i := range len(s) {
		if s[i] < ' ' {
			p.failed = true
		}
		ascii = ascii && s[i] < utf8.RuneSelf
	}
	if !ascii && !utf8.ValidString(s) {
		p.failed = true
	}
}

// escapes are those of one letter.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escaped takes the rest of a string in which something is escaped.
func (p *lineParser) escaped() string {
	b := make([]byte, 0, 64)
	for {
		i := strings.IndexAny(p.rest, `"\`)
		if i < 0 || i+1 >= len(p.rest) && p.rest[i] == '\\' {
			p.failed = true
			return ""
		}
		p.check(p.rest[:i])
		b = append(b, p.rest[:i]...)
		if p.rest[i] == '"' {
			p.rest = p.rest[i+1:]
			return string(b)
		}
		c := escapes[p.rest[i+1]]
		if c == 0 { // \u1234
			p.failed = true
			return ""
		}
		b = append(b, c)
		p.rest = p.rest[i+2:]
	}
}
