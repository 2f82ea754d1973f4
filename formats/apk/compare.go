package apk

import "strings"

// Compare orders two versions as apk 3 does: it returns -1, 0 or 1. Versions are
// numbers, a letter, suffixes, a commit and a revision in this order:
//
//	1.2.3 a _rc1 _p2 ~1a2b3c -r4
//
// They are compared part by part. Where one has ended or has a part of a later
// kind, it is the older one, but a suffix of a pre-release is older still. What is
// no version compares by its parts up to the fault, and there as older.
func Compare(a, b string) int {
	x, y := scanner{rest: a}, scanner{rest: b}
	x.first()
	y.first()
	for x.kind == y.kind && x.kind < end {
		if c := x.compare(&y); c != 0 {
			return c
		}
		x.next()
		y.next()
	}
	switch {
	case x.kind == y.kind:
		return 0
	case x.kind == suffix && x.rank < noSuffix:
		return -1
	case y.kind == suffix && y.rank < noSuffix:
		return 1
	case x.kind > y.kind:
		return -1
	}
	return 1
}

// isVersion reports whether apk accepts s.
func isVersion(s string) bool {
	x := scanner{rest: s}
	for x.first(); x.kind < end; x.next() {
	}
	return x.kind == end
}

// kind is a part's kind, in the order in which they may follow one another.
type kind int

const (
	firstNumber kind = iota
	number
	letter
	suffix
	suffixNumber
	commit
	revision
	end
	invalid
)

// suffixes in their order. Those before noSuffix are older than the version
// without one.
var suffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

const noSuffix = 4

// scanner holds one part of a version and what follows it.
type scanner struct {
	kind  kind
	text  string // the part: digits, the letter, the hash
	rank  int    // of a suffix
	value uint64 // of digits; wraps around as apk's does
	rest  string
}

func (s *scanner) first() {
	s.kind = firstNumber
	s.digits()
}

func (s *scanner) next() {
	if s.rest == "" {
		s.kind = end
		return
	}
	prev := s.kind
	s.kind = invalid
	switch c := s.rest[0]; {
	case c >= 'a' && c <= 'z':
		if prev <= number {
			s.kind, s.text, s.rest = letter, s.rest[:1], s.rest[1:]
		}
	case c == '.':
		if prev <= number {
			s.kind, s.rest = number, s.rest[1:]
			s.digits()
		}
	case isDigit(c):
		// Numbers end where digits do, so these follow a letter or suffix.
		if prev == suffix {
			s.kind = suffixNumber
			s.digits()
		}
	case c == '_':
		if prev <= suffixNumber {
			n := span(s.rest[1:], func(c byte) bool { return c >= 'a' && c <= 'z' })
			name := s.rest[1 : 1+n]
			for rank, known := range suffixes {
				if name != "" && name == known {
					s.kind, s.rank, s.rest = suffix, rank, s.rest[1+n:]
					break
				}
			}
		}
	case c == '~':
		if n := span(s.rest[1:], isHex); prev < commit && n > 0 {
			s.kind, s.text, s.rest = commit, s.rest[1:1+n], s.rest[1+n:]
		}
	case strings.HasPrefix(s.rest, "-r"):
		if prev < revision {
			s.kind, s.rest = revision, s.rest[2:]
			s.digits()
		}
	}
}

func (s *scanner) digits() {
	n := span(s.rest, isDigit)
	s.text, s.rest, s.value = s.rest[:n], s.rest[n:], 0
	for i := range n {
		s.value = s.value*10 + uint64(s.text[i]-'0')
	}
	if n == 0 {
		s.kind = invalid
	}
}

// compare orders two parts of one kind.
func (s *scanner) compare(o *scanner) int {
	switch s.kind {
	case number:
		// A number with a leading zero is a fraction, so to speak: 1.05 < 1.1.
		if s.text[0] == '0' || o.text[0] == '0' {
			return strings.Compare(s.text, o.text)
		}
		return order(s.value, o.value)
	case firstNumber, suffixNumber, revision:
		return order(s.value, o.value)
	case suffix:
		return order(s.rank, o.rank)
	}
	return strings.Compare(s.text, o.text)
}

func order[T int | uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || c >= 'a' && c <= 'f' }
