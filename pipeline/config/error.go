package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one mistake in a file. It prints as
//
//	distropack.yml:12:5: packages[1].formats[0]: unknown format "dbe" (did you mean "deb"?)
//
// Values that came from the environment are never part of it; the variable's
// name stands for them.
type Error struct {
	File      string
	Line, Col int    // from 1; 0 where there is no place
	Path      string // of the value: packages[1].formats[0]; "" for the file itself
	Err       error
	Hint      string // what to do, or ""
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, max(e.Col, 1))
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	b.WriteString(e.Err.Error())
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Errors are all mistakes of a file, in the order of the file.
type Errors []*Error

// Error has one line per mistake.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, err := range e {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As see every mistake.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, err := range e {
		all[i] = err
	}
	return all
}

// maxErrors bounds the list: whoever made more has another problem.
const maxErrors = 100

// maxKept bounds what is collected: some are of one place.
const maxKept = 10 * maxErrors

// sorted returns the errors by position without those that say the same of one
// place: a block that 36 packages share through an alias is wrong once. It
// returns nil, not an empty Errors, where there are none.
func (e Errors) sorted() error {
	if len(e) == 0 {
		return nil
	}
	s := slices.Clone(e)
	slices.SortStableFunc(s, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	type place struct {
		line, col int
		text      string
	}
	seen := make(map[place]bool, len(s))
	s = slices.DeleteFunc(s, func(e *Error) bool {
		p := place{e.Line, e.Col, e.Err.Error()}
		was := seen[p]
		seen[p] = true
		return was
	})
	if len(s) > maxErrors {
		left := fmt.Sprint(len(s) - maxErrors)
		if len(e) >= maxKept {
			left = "at least " + left
		}
		last := *s[maxErrors]
		last.Path, last.Hint = "", ""
		last.Err = fmt.Errorf("and %s more mistakes from here on", left)
		s = append(s[:maxErrors:maxErrors], &last)
	}
	return s
}
