package arch

import "strings"

// Compare orders two pacman versions, [epoch:]pkgver[-pkgrel], as vercmp(8) does:
// it returns -1, 0 or 1. Versions without a pkgrel compare equal to those with
// any. Like pacman's, the order is not transitive over strange texts.
func Compare(a, b string) int {
	if a == b {
		return 0
	}
	epochA, verA, relA, hasRelA := parts(a)
	epochB, verB, relB, hasRelB := parts(b)
	if c := compareText(epochA, epochB); c != 0 {
		return c
	}
	if c := compareText(verA, verB); c != 0 {
		return c
	}
	if hasRelA && hasRelB {
		return compareText(relA, relB)
	}
	return 0
}

// parts takes a version apart. The release starts after the last "-".
func parts(s string) (epoch, version, release string, hasRelease bool) {
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	epoch, version = "0", s
	if digits < len(s) && s[digits] == ':' {
		version = s[digits+1:]
		if digits > 0 {
			epoch = s[:digits]
		}
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		version, release, hasRelease = version[:i], version[i+1:], true
	}
	return epoch, version, release, hasRelease
}

// compareText walks both texts segment by segment: runs of digits compare as
// numbers, runs of letters as text, a number is newer than a word, and a longer
// separator is newer than a shorter one.
func compareText(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" && b != "" {
		sepA, sepB := separator(a), separator(b)
		a, b = a[sepA:], b[sepB:]
		if a == "" || b == "" {
			break
		}
		if sepA != sepB {
			return sign(sepA - sepB)
		}
		number := isDigit(a[0])
		segA, segB := segment(a, number), segment(b, number)
		if segB == 0 { // one has a number where the other has a word
			if number {
				return 1
			}
			return -1
		}
		wordA, wordB := a[:segA], b[:segB]
		a, b = a[segA:], b[segB:]
		if number {
			wordA, wordB = strings.TrimLeft(wordA, "0"), strings.TrimLeft(wordB, "0")
			if len(wordA) != len(wordB) {
				return sign(len(wordA) - len(wordB))
			}
		}
		if c := strings.Compare(wordA, wordB); c != 0 {
			return c
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isLetter(b[0]), a != "" && isLetter(a[0]):
		return -1 // a word left over makes a version older: 1.0rc1 < 1.0
	}
	return 1
}

func separator(s string) int {
	n := 0
	for n < len(s) && !isDigit(s[n]) && !isLetter(s[n]) {
		n++
	}
	return n
}

func segment(s string, number bool) int {
	n := 0
	for n < len(s) && (number && isDigit(s[n]) || !number && isLetter(s[n])) {
		n++
	}
	return n
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
