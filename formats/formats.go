// Package formats is the vocabulary of package files: what goes into one (Spec,
// File), what comes out (Meta), and who writes and reads it (Format).
//
// A Format is named after the file it writes (deb, rpm, arch, apk, ipk, tar.gz).
// It knows nothing of repositories, YAML, clocks, hosts or the environment: the
// same values always give the same bytes.
package formats

import (
	"context"
	"io"
	"time"
)

// Format writes and reads one kind of package file. Its methods may be called
// concurrently.
type Format interface {
	// Name is the word used in distropack.yml: "deb", "rpm", "tar.gz".
	Name() string

	// Identify says what the package of spec for p will be called, without I/O,
	// so that a plan can show every name. It is where illegal names, versions
	// and relations are refused.
	Identify(spec *Spec, p Platform) (Identity, error)

	// Write writes the package. It changes neither spec nor files, and writes
	// the same bytes for the same values. After an error what was written to w
	// is worthless.
	Write(ctx context.Context, w io.Writer, spec *Spec, p Platform, files []File) error

	// Describe reads back what a package file of this format says of itself. It
	// reads as little of r as it can, and never trusts a length it has not
	// bounded.
	Describe(ctx context.Context, r io.ReaderAt, size int64) (*Meta, error)
}

// Kind makes a Format from a section of the configuration.
type Kind struct {
	Name    string
	Options any  // pointer to the zero value of the options New decodes, for the schema; nil if there are none
	AnyOS   bool // packages run on systems other than Linux too
	New     func(Section, Env) (Format, error)
}

// Section is a piece of configuration that its owner decodes. Errors carry
// file:line:col. Decode leaves v as it is where the section is absent.
type Section interface {
	Decode(v any) error
}

// NoSection is the absent section.
var NoSection Section = noSection{}

type noSection struct{}

func (noSection) Decode(any) error { return nil }

// Env is what a Format may use besides its options.
type Env struct {
	Keys    Keys     // nil: nothing can be signed
	Key     string   // the name of the key packages are signed with; "" leaves them unsigned
	Scratch *Scratch // compressed pieces shared between packages; nil: the format makes its own
}

// Identity is what a package is called.
type Identity struct {
	Filename string // "hello_1.2.0-1_amd64.deb": no directory
	Name     string // the package's name in this format
	Version  string // the whole version in this format's form: "1.2.0~rc.1-1"
	Arch     string // this format's word for the architecture
}

// Spec is what is said of one package in every format: overrides are applied,
// variables expanded, scripts read. A Format maps it to its own words.
type Spec struct {
	Name    string
	Version string // upstream's version without a leading v: "1.3.0-rc.1+build.5", or any text that is not SemVer
	Epoch   string // digits, or ""
	Release string // "1" where empty
	Time    time.Time

	Summary     string // one line
	Description string // further paragraphs, lines ended by \n; may be empty
	Homepage    string
	License     string // an SPDX expression; never guessed
	Maintainer  string // Name <mail>
	Vendor      string
	Section     string // "utils"
	Priority    string // "optional"
	Source      string // the project the package comes from; the name where empty

	Relations
	Essential bool

	Scripts   Scripts
	Services  []Service
	Changelog []Change // newest first
	Fields    []Field  // verbatim additions, already those of this format
}

// Relations are the package's ties to others. An entry is "name", "name >= 1.2",
// or a format's own syntax where overrides named the format.
type Relations struct {
	Depends    []string
	PreDepends []string
	Recommends []string
	Suggests   []string
	Conflicts  []string
	Provides   []string
	Replaces   []string
}

// Scripts are the bodies of lifecycle scripts, "" where there is none. They
// start with a #! line or are POSIX sh.
type Scripts struct {
	PreInstall  string // before the files of a first installation, and of an upgrade where PreUpgrade is empty
	PostInstall string // after the files of a first installation, and of an upgrade where PostUpgrade is empty
	PreRemove   string // before the files go, on removal only
	PostRemove  string // after the files went, on removal only
	PreUpgrade  string
	PostUpgrade string
}

// Service is a systemd unit that the package brings and that is looked after by
// its scripts: enabled and started on installation, restarted on upgrade,
// stopped and disabled on removal.
type Service struct {
	Unit   string // "hello.service"
	Enable bool   // enable on first installation
	Start  bool   // start on first installation; restart on upgrade
}

// Change is one entry of a changelog.
type Change struct {
	Version    string
	Time       time.Time
	Maintainer string
	Lines      []string
}

// Field is one line of a format's own description of a package.
type Field struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// Meta is what a package file says of itself.
type Meta struct {
	Format  string `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"` // whole: epoch, version, release in the format's form
	Arch    string `json:"arch"`    // the format's word

	// Fields are the raw pairs of the format, in the order of the file: the
	// control paragraph of a deb, the lines of a .PKGINFO. Keys may repeat.
	Fields []Field `json:"fields,omitempty"`

	// Files lists absolute paths, sorted; directories end in "/". Ghosts are
	// those of them that the package owns without bringing them.
	Files  []string `json:"files,omitempty"`
	Ghosts []string `json:"ghosts,omitempty"`
}

// Get returns the first value of key, or "".
func (m *Meta) Get(key string) string {
	for _, f := range m.Fields {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// All returns every value of key in order.
func (m *Meta) All(key string) []string {
	var all []string
	for _, f := range m.Fields {
		if f.Key == key {
			all = append(all, f.Value)
		}
	}
	return all
}
