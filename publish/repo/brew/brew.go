// Package brew writes Homebrew formulae for the plain archives of a release:
// brew/Formula/<name>.rb, the tree of a tap (https://docs.brew.sh/Taps), with the
// archives of the newest version for Linux and macOS on 64-bit Intel and ARM.
//
// A formula installs what is in an archive; it never builds. It names each archive
// by URL and SHA-256, so a formula that comes from the right place is all that
// vouches for them: Homebrew knows no signatures. Formulae of the first channel
// bear the package's name, those of others <name>-<channel>.
//
// The index of a channel (Stream "formulae") is not for clients. It holds the
// formulae, each behind a line "-- hello.rb 1234" with its length in bytes, and
// Finish cuts them apart.
package brew

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Options are the keys of brew: in a site.
type Options struct {
	Description string             `yaml:"description" doc:"What brew info says, up to 80 characters; the project's description where absent."`
	Homepage    string             `yaml:"homepage" doc:"The project's page; the site's where absent."`
	License     string             `yaml:"license" doc:"An SPDX expression. Left out where absent."`
	Test        string             `yaml:"test" doc:"Arguments the program is run with by brew test: --version. Where absent the test is that the program is there."`
	Dir         string             `yaml:"dir" doc:"The folder of the tap in the tree; brew where absent. With . the published branch is a tap itself."`
	Tap         string             `yaml:"tap" doc:"The tap that people add, owner/name, where the formulae are in a Git repository. Without it the instructions fetch single formulae."`
	TapURL      string             `yaml:"tap-url" doc:"The tap's Git repository, where it is not github.com/owner/homebrew-name."`
	Formulae    map[string]Formula `yaml:"formulae" doc:"What differs for a package, by its name."`
}

// Formula is what a site says of one formula.
type Formula struct {
	Description string   `yaml:"description" doc:"Overrides the site's."`
	Homepage    string   `yaml:"homepage" doc:"Overrides the site's."`
	License     string   `yaml:"license" doc:"Overrides the site's."`
	Test        string   `yaml:"test" doc:"Overrides the site's."`
	Depends     []string `yaml:"depends" doc:"Formulae that are needed to run it."`
	Conflicts   []string `yaml:"conflicts" doc:"Formulae that can't be linked at once."`
	Caveats     string   `yaml:"caveats" doc:"What people are told after installing."`
}

// Kind makes taps for Homebrew.
func Kind() publish.RepoKind {
	return publish.RepoKind{
		Name:    "brew",
		Formats: []string{"tar.gz"},
		Options: &Options{},
		New: func(s formats.Section, env publish.RepoEnv) (publish.Repo, error) {
			var o Options
			if err := s.Decode(&o); err != nil {
				return nil, err
			}
			return New(o, env)
		},
	}
}

// Repo writes the formulae of a tap.
type Repo struct {
	env publish.RepoEnv
	o   Options
}

var _ publish.Elsewhere = (*Repo)(nil)

var (
	channelForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_-]*$`)
	versionForm = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~_-]*$`)
	tapForm     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*/[A-Za-z0-9_][A-Za-z0-9._-]*$`)
	dirForm     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
)

// New returns the tap of env's channels. Without env.URL there is nothing a
// formula could name, so there are no formulae until there is one.
func New(o Options, env publish.RepoEnv) (*Repo, error) {
	for _, ch := range env.Channels {
		if !channelForm.MatchString(ch) {
			return nil, fmt.Errorf("channel %q can't be part of a formula's name: use lower-case letters, digits and . - _", ch)
		}
	}
	o.Dir = cmp.Or(o.Dir, "brew")
	if o.Dir != "." && !dirForm.MatchString(o.Dir) {
		return nil, fmt.Errorf("dir %q is no folder of the tree: use letters, digits and . - _", o.Dir)
	}
	if o.Tap != "" && !tapForm.MatchString(o.Tap) {
		return nil, fmt.Errorf("tap %q is not of the form owner/name", o.Tap)
	}
	if strings.ContainsAny(o.TapURL, " \t\r\n'\"\\$`") || o.TapURL != "" && o.Tap == "" {
		return nil, fmt.Errorf("tap-url %q needs tap, and may have neither spaces nor quotes", o.TapURL)
	}
	return &Repo{env, o}, nil
}

// Name is "brew".
func (r *Repo) Name() string { return "brew" }

// ListsElsewhere is true: a formula names the whole address of each archive.
func (r *Repo) ListsElsewhere() bool { return true }

// Settings renders what formulae depend on besides the records.
func (r *Repo) Settings() string {
	// Maps are printed by fmt in the order of their keys.
	return fmt.Sprintf("brew 1\nurl %q\nname %q\ndescription %q\nchannels %q\noptions %q\n",
		r.env.URL, r.env.Title, r.env.Description, r.env.Channels, fmt.Sprintf("%q", r.o))
}

// Partitions lists the channels.
func (r *Repo) Partitions() []string { return slices.Clone(r.env.Channels) }

// Place lists archives for Linux and macOS on 64-bit CPUs; they lie under
// downloads/<name>/<version>/.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "tar.gz" {
		return nil, nil
	}
	if !slices.Contains(r.env.Channels, channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", channel, strings.Join(r.env.Channels, " "))
	}
	if _, ok := platformOf(m); !ok {
		return nil, nil
	}
	if !nameForm.MatchString(m.Name) || !versionForm.MatchString(m.Version) {
		return nil, fmt.Errorf("archive %q version %q can't be a file name", m.Name, m.Version)
	}
	if _, err := className(r.formulaName(m.Name, channel)); err != nil {
		return nil, err
	}
	file := fmt.Sprintf("%s_%s_%s_%s%s.tar.gz", m.Name, m.Version, m.Get("os"), m.Get("arch"), m.Get("variant"))
	return []publish.Placement{{Partition: channel, Path: "downloads/" + m.Name + "/" + m.Version + "/" + file}}, nil
}

// platform is one a formula tells apart. CPU "all" stands for both.
type platform struct{ os, cpu string }

func platformOf(m *formats.Meta) (p platform, ok bool) {
	p = platform{m.Get("os"), m.Get("arch")}
	return p, (p.os == "linux" || p.os == "darwin") && slices.Contains([]string{"amd64", "arm64", "all"}, p.cpu)
}

// Less orders by name, then by upstream's version, then by release ("1.2.0-2", which
// would read as a pre-release). The archives of one version are equal: the engine
// takes what is less than the newest record for an older version.
func (r *Repo) Less(a, b *publish.Record) bool {
	return cmp.Or(
		strings.Compare(a.Meta.Name, b.Meta.Name),
		formats.CompareVersions(cmp.Or(a.Version, a.Meta.Version), cmp.Or(b.Version, b.Meta.Version)),
		cmp.Compare(len(a.Meta.Version), len(b.Meta.Version)),
		strings.Compare(a.Meta.Version, b.Meta.Version),
	) < 0
}

// Root is one for all channels: their formulae share a folder.
func (r *Repo) Root(partition string) string { return "brew" }

// Streams lists the formulae of a channel.
func (r *Repo) Streams(partition string) []publish.Stream {
	return []publish.Stream{{
		Name:  stream,
		Forms: []publish.Form{publish.Plain},
		Head:  func(int) []byte { return nil },
		Page:  func(recs []*publish.Record) ([]byte, error) { return r.page(recs, partition) },
	}}
}

const stream = "formulae"

func (r *Repo) page(recs []*publish.Record, channel string) ([]byte, error) {
	var b []byte
	if r.env.URL == "" {
		return b, nil
	}
	for len(recs) > 0 {
		name := recs[0].Meta.Name
		n := slices.IndexFunc(recs, func(rec *publish.Record) bool { return rec.Meta.Name != name })
		if n < 0 {
			n = len(recs)
		}
		newest := recs[:n:n]
		version := newest[n-1].Meta.Version
		newest = slices.DeleteFunc(slices.Clone(newest), func(rec *publish.Record) bool { return rec.Meta.Version != version })
		slices.SortFunc(newest, func(a, b *publish.Record) int { return strings.Compare(a.Path, b.Path) })
		text, err := r.formula(newest, channel)
		if err != nil {
			return nil, fmt.Errorf("formula of %s %s: %w", name, version, err)
		}
		b = fmt.Appendf(b, "-- %s.rb %d\n", r.formulaName(name, channel), len(text))
		b = append(b, text...)
		recs = recs[n:]
	}
	return b, nil
}

// cut takes the text of a stream apart into file names and formulae.
func cut(text []byte) (names []string, formulae [][]byte, err error) {
	for len(text) > 0 {
		line, rest, found := bytes.Cut(text, []byte("\n"))
		words := strings.Split(string(line), " ")
		if !found || len(words) != 3 || words[0] != "--" {
			return nil, nil, fmt.Errorf("formula %d does not begin with its name and length: %.60q", len(names)+1, line)
		}
		n, err := strconv.ParseUint(words[2], 10, 31)
		if !fileForm.MatchString(words[1]) {
			return nil, nil, fmt.Errorf("formula %q of %q bytes: it is no name of a formula's file", words[1], words[2])
		}
		if err != nil || n > uint64(len(rest)) {
			return nil, nil, fmt.Errorf("formula %q of %q bytes: there are %d left", words[1], words[2], len(rest))
		}
		names, formulae = append(names, words[1]), append(formulae, rest[:n:n])
		text = rest[n:]
	}
	return names, formulae, nil
}

var fileForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.+_-]*\.rb$`)

// Finish writes the formulae of all channels.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	out := &publish.RootOutput{}
	from := make(map[string]string) // file → channel
	for i := range in.Partitions {
		p := &in.Partitions[i]
		idx := p.Find(stream, publish.Plain)
		if idx == nil {
			return nil, fmt.Errorf("partition %s has no index %s", p.Partition, stream)
		}
		out.Files = append(out.Files, publish.RootFile{
			Path:  ".distropack/index/brew/" + p.Partition + "/" + stream,
			Class: publish.Index, Blob: idx.Blob,
			Partition: p.Partition, Stream: stream, Form: publish.Plain,
		})
		if idx.Plain.Size == 0 {
			continue
		}
		text, err := formats.ReadAll(idx.Blob)
		if err != nil {
			return nil, err
		}
		names, formulae, err := cut(text)
		if err != nil {
			return nil, fmt.Errorf("partition %s: %w", p.Partition, err)
		}
		for i, name := range names {
			if other, ok := from[name]; ok {
				return nil, fmt.Errorf("channels %s and %s both have a formula %s: rename a package", other, p.Partition, name)
			}
			from[name] = p.Partition
			path := "Formula/" + name
			if r.o.Dir != "." {
				path = r.o.Dir + "/" + path
			}
			out.Files = append(out.Files, publish.RootFile{Path: path, Class: publish.Pointer, Blob: formats.Bytes(formulae[i])})
		}
	}
	return out, nil
}
