// Package site writes what people fetch from a published tree besides packages:
//
//	index.html                 the install page: no request leaves it, it works without scripts
//	packages/<name>/index.html one page per package, with every version
//	install.sh                 finds the system's client, adds the repository, installs (POSIX sh)
//	install.json               the same for programs
//	badge.svg                  counts per format, for a README
//
// All of it is a pure function of Input: the repositories' guides, and what is
// listed. Text is escaped where it is shown; names and addresses that would have
// to be escaped in a shell are refused. What guides bring themselves (Setup,
// InstallSh, Steps) is taken as it is: a repository answers for its own shell.
//
// Packages, keys and the files of guides are not made here; see GuideFiles.
package site

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Input is everything the site says.
type Input struct {
	Name        string // the project's: lower-case letters, digits and - . +
	Title       string // Name where empty
	Description string // the first line is the summary; paragraphs end in an empty line
	Homepage    string // http or https, or ""
	License     string // SPDX, or ""
	URL         string // where the tree is served, without a trailing slash
	Notice      string // shown on every page: "this repository moved"

	At     time.Time // of the release
	Serial int64     // of the tree

	Channels []string // in the order in which they are offered
	Default  string   // the channel offered first; Channels[0] where empty
	// Guides are those of each channel; where several fit a system, the first
	// whose Probe is there is taken.
	Guides map[string][]*publish.Guide
	// Indexes are what clients are pointed at, in the order in which they are listed.
	Indexes []Index

	Packages []Package // by name, then in the order of Channels
	Keys     []Key

	// Known returns a file that an earlier Render made of the same Input but for
	// packages, Serial and At; nil knows none. Where a package is the same as then,
	// its page is taken from there.
	Known func(path string) (publish.File, bool)

	// Template replaces the text of the pages: html/template, executed with a
	// *Page for the index and once per package. It answers for its own
	// Content-Security-Policy; Page.Policy allows Page.Style and Page.Script only.
	Template string

	lists map[listKey]*nameList // of names, each made once
}

type listKey struct{ channel, client string }

// nameList is what names returns.
type nameList struct {
	usual, deprecated []string
	has               map[string]bool
}

// Index is what a client of a channel is pointed at.
type Index struct {
	Client  string // the repository's name
	Channel string
	publish.ClientIndex
}

// Package is a package in one channel.
type Package struct {
	Name        string
	Description string // the first line is shown
	Channel     string
	Latest      string    // Versions[0].Version where empty
	Versions    []Version // newest first
	Same        bool      // since Known's files were made
	Deprecated  string    // why, and what to use instead; install.sh leaves the package out unless it is asked for or the only one
	Notice      string
}

// Version is one version of a package in a channel.
type Version struct {
	Version   string
	Time      time.Time
	Notice    string // "withdrawn: …"
	Downloads []Download
}

// Download is a file people can fetch without a client.
type Download struct {
	Label  string // "Debian package"; Format where empty
	Client string // "apt"; "" for a file that no repository lists
	Format string // "deb"
	Arch   string // as people know it: "amd64"
	Path   string // in the tree
	URL    string // where the file lies instead; "" for the tree
	Size   int64  // in bytes
	SHA256 formats.Digest
}

// address is where the file is fetched from, of a tree served at url.
func (d *Download) address(url string) string {
	if d.URL != "" {
		return d.URL
	}
	return url + "/" + pathURL(d.Path)
}

// Key is a public key that signatures are checked with.
type Key struct {
	Name        string // "Hello release key"
	Kind        string // a formats.Scheme: "openpgp", "rsa256", "usign"
	Fingerprint string // hexadecimal, as formats.PublicKey.ID has it
	Path        string // in the tree
	Algorithm   string // "RSA 4096", or ""
}

// Render returns the files of the site. It reports every mistake of in at once.
func Render(in *Input) ([]publish.File, error) {
	in, err := complete(in)
	if err != nil {
		return nil, err
	}
	pages, err := renderPages(in)
	if err != nil {
		return nil, err
	}
	script, err := renderScript(in)
	if err != nil {
		return nil, err
	}
	list, err := renderJSON(in)
	if err != nil {
		return nil, err
	}
	return append(pages,
		file("install.sh", script),
		file("install.json", list),
		file("badge.svg", renderBadge(in)),
	), nil
}

// file is fetched by a name that stays the same, so caches must ask for it.
func file(path string, b []byte) publish.File {
	return publish.File{Path: path, Class: publish.Pointer, Blob: formats.Bytes(bytes.Clone(b))}
}

// GuideFiles returns the files all guides bring, sorted by path. Guides may bring
// the same file; two different files with one path are an error.
func GuideFiles(guides map[string][]*publish.Guide) ([]publish.File, error) {
	have := make(map[string]publish.File)
	for _, list := range guides {
		for _, g := range list {
			for _, f := range g.Files {
				if old, ok := have[f.Path]; ok && old.Blob.Ref() != f.Blob.Ref() {
					return nil, fmt.Errorf("guides bring two different files called %q", f.Path)
				}
				have[f.Path] = f
			}
		}
	}
	files := make([]publish.File, 0, len(have))
	for _, f := range have {
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b publish.File) int { return cmp.Compare(a.Path, b.Path) })
	return files, nil
}

// names returns the packages of a channel that can be installed with a client,
// in order. Where no download tells which client it is for, all can.
func (in *Input) names(channel, client string) (usual, deprecated []string) {
	l := in.list(channel, client)
	return l.usual, l.deprecated
}

// list is names; each is made once, since every package's page asks.
func (in *Input) list(channel, client string) *nameList {
	if l := in.lists[listKey{channel, client}]; l != nil {
		return l
	}
	l := &nameList{has: make(map[string]bool)}
	l.usual, l.deprecated = in.findNames(channel, client)
	for _, n := range l.usual {
		l.has[n] = true
	}
	for _, n := range l.deprecated {
		l.has[n] = true
	}
	if in.lists == nil {
		in.lists = make(map[listKey]*nameList)
	}
	in.lists[listKey{channel, client}] = l
	return l
}

func (in *Input) findNames(channel, client string) (usual, deprecated []string) {
	known := slices.ContainsFunc(in.Packages, func(p Package) bool { return p.Channel == channel && p.has(client) })
	for i := range in.Packages {
		p := &in.Packages[i]
		if p.Channel != channel || known && !p.has(client) {
			continue
		}
		if p.Deprecated != "" {
			deprecated = append(deprecated, p.Name)
			continue
		}
		usual = append(usual, p.Name)
	}
	if len(usual) == 0 { // there is nothing better to offer
		return deprecated, nil
	}
	return usual, deprecated
}

func (p *Package) has(client string) bool {
	for _, v := range p.Versions {
		for _, d := range v.Downloads {
			if d.Client == client {
				return true
			}
		}
	}
	return false
}

// version is the one version that all packages of the default channel have, or "".
func (in *Input) version() string {
	v := ""
	for _, p := range in.Packages {
		if p.Channel != in.Default || p.Deprecated != "" {
			continue
		}
		if v != "" && v != p.Latest {
			return ""
		}
		v = p.Latest
	}
	return v
}
