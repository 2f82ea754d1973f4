package config

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/distropack/distropack/formats"
)

var _ formats.Section = Section{}

// Section is a piece of the file that a format or a client decodes: the deb key
// of a package, the apt key of a site. The zero Section is the absent one.
type Section struct {
	n    *node
	file string
}

// Decode fills the struct that v points to by its yaml tags. Keys it has no field
// for are mistakes; all mistakes are returned at once, as Errors. Fields that the
// section does not name stay as they are.
func (s Section) Decode(v any) error {
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return fmt.Errorf("section: can't decode into %T, a pointer is wanted", v)
	}
	if s.n == nil {
		return nil
	}
	l := &loader{file: s.file}
	(&decoder{l: l}).value(s.n, p.Elem(), nil)
	return l.errs.sorted()
}

// Wrap returns err with the place and path of the section, so that what a format
// finds wrong with its options later on still names a line. An err that has a
// place is returned as it is; so is any error of an absent section.
func (s Section) Wrap(err error) error {
	var placed *Error
	if err == nil || s.n == nil || errors.As(err, &placed) {
		return err
	}
	return &Error{s.file, s.n.pos.Line, s.n.pos.Col, s.n.path(), err, ""}
}

// checkSection decodes into a new value of the type options points to and adds
// the mistakes. Where there are no options every key is one.
func (c *checker) checkSection(s Section, owner string, options any) {
	if options == nil {
		if s.n.kind != null {
			c.fail(s.n, "remove it", "%s has no options", owner)
		}
		return
	}
	v := reflect.New(reflect.TypeOf(options).Elem())
	if err := s.Decode(v.Interface()); err != nil {
		var errs Errors
		if errors.As(err, &errs) {
			c.l.errs = append(c.l.errs, errs...)
		}
	}
}
