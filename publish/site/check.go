package site

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What stands unquoted or in double quotes in a shell, in a path or in an address
// is made of harmless characters only. `-` never comes first: it would be an option.
var (
	nameWord    = regexp.MustCompile(`^[a-z0-9][a-z0-9.+-]{0,127}$`)
	packageWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}$`)
	channelWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	clientWord  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	systemWord  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}$`)
	versionWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+:~^-]{0,127}$`)
	hexWord     = regexp.MustCompile(`^([0-9A-Fa-f]{4}){2,32}$`)
	addressText = regexp.MustCompile(`^[A-Za-z0-9._~:/%@+,=!-]+$`)
)

// complete checks in and returns a copy with the defaults filled in.
func complete(in *Input) (*Input, error) {
	c := *in
	if c.Title == "" {
		c.Title = c.Name
	}
	if c.Default == "" && len(c.Channels) > 0 {
		c.Default = c.Channels[0]
	}
	c.Packages = slices.Clone(c.Packages)
	for i := range c.Packages {
		if p := &c.Packages[i]; p.Latest == "" && len(p.Versions) > 0 {
			p.Latest = p.Versions[0].Version
		}
	}
	return &c, c.check()
}

// faults collects what is wrong.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

func (f *faults) word(what, s string, re *regexp.Regexp) {
	if !re.MatchString(s) {
		f.add("%s %q has characters that are not allowed; it has to match %s", what, s, re)
	}
}

// text refuses what no page or terminal should get; newlines only where lines is set.
func (f *faults) text(what, s string, lines bool) {
	if len(s) > 64<<10 {
		f.add("%s is %d bytes long, 64 KiB are the most", what, len(s))
		return
	}
	bad := func(r rune) bool {
		// Bidi overrides show a reader another text than the one that is run.
		return unicode.IsControl(r) && !(lines && (r == '\n' || r == '\t')) ||
			r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		f.add("%s %.100q has a control character or is not UTF-8", what, s)
	}
}

func (f *faults) path(what, s string) {
	f.text(what, s, false)
	if !fs.ValidPath(s) || s == "." || strings.ContainsAny(s, "\\'\"`$<>") {
		f.add("%s %q is not a relative, clean path", what, s)
	}
}

// address reports whether s is one; a password in it is not repeated.
func (f *faults) address(what, s string) bool {
	_, rest, _ := strings.Cut(s, "://")
	if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") {
		f.add("%s has a name or password in it, which everybody would read: leave it out", what)
		return false
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.ContainsFunc(s, unicode.IsControl) {
		f.add("%s %q is not an http or https address", what, s)
		return false
	}
	return true
}

func (in *Input) check() error {
	var f faults
	f.word("name", in.Name, nameWord)
	f.text("title", in.Title, false)
	f.text("description", in.Description, true)
	f.text("license", in.License, false)
	f.text("notice", in.Notice, true)
	if in.Homepage != "" {
		f.address("homepage", in.Homepage)
	}
	if f.address("url", in.URL) && (!addressText.MatchString(in.URL) || strings.HasSuffix(in.URL, "/")) {
		f.add("url %q has characters that a shell would read, or ends in /", in.URL)
	}
	if in.At.IsZero() {
		f.add("release time is not set")
	}
	in.checkGuides(&f)
	in.checkIndexes(&f)
	in.checkPackages(&f)
	for _, k := range in.Keys {
		what := fmt.Sprintf("key %q", k.Name)
		f.text(what, k.Name, false)
		f.text(what+": kind", k.Kind, false)
		f.text(what+": algorithm", k.Algorithm, false)
		f.word(what+": fingerprint", k.Fingerprint, hexWord)
		f.path(what+": path", k.Path)
		if !addressText.MatchString(k.Path) {
			f.add("%s: path %q has characters that a shell would read", what, k.Path)
		}
	}
	return errors.Join(f...)
}

func (in *Input) checkGuides(f *faults) {
	if len(in.Channels) == 0 {
		f.add("there is no channel")
	}
	for i, c := range in.Channels {
		f.word("channel", c, channelWord)
		if slices.Contains(in.Channels[:i], c) {
			f.add("channel %q is there twice", c)
		}
	}
	if in.Default != "" && !slices.Contains(in.Channels, in.Default) {
		f.add("default channel %q is not among the channels", in.Default)
	}
	for c := range in.Guides {
		if !slices.Contains(in.Channels, c) {
			f.add("guides for %q, which is not a channel", c)
		}
	}
	for _, c := range in.Channels {
		for _, g := range in.Guides[c] {
			what := fmt.Sprintf("guide %q", g.Client)
			f.word("client", g.Client, clientWord)
			f.text(what+": title", g.Title, false)
			for _, w := range g.Families {
				f.word(what+": family", w, systemWord)
			}
			for _, w := range g.CPUs {
				f.word(what+": CPU", w, systemWord)
			}
			if g.Probe != "" {
				f.word(what+": probe", g.Probe, systemWord)
			}
			for _, steps := range steps(g) {
				for _, s := range steps {
					f.text(what+": text", s.Text, false)
					f.text(what+": command", s.Command, true)
				}
			}
			f.text(what+": setup", g.Setup, true)
			f.text(what+": install", g.InstallSh, true)
		}
	}
}

func (in *Input) checkIndexes(f *faults) {
	for _, x := range in.Indexes {
		what := fmt.Sprintf("index of %q", x.Client)
		f.word("client", x.Client, clientWord)
		if !slices.Contains(in.Channels, x.Channel) {
			f.add("%s: channel %q is not among the channels", what, x.Channel)
		}
		if x.Arch != "" {
			f.word(what+": CPU", x.Arch, systemWord)
		}
		switch {
		case x.URL == "" && x.Path != ".":
			f.path(what+": path", x.Path)
		case x.URL != "" && x.Path != "":
			f.add("%s has a path, %q, and an address, %q: one of them is where it lies", what, x.Path, x.URL)
		case x.URL != "":
			f.address(what+": url", x.URL)
		}
	}
}

func (in *Input) checkPackages(f *faults) {
	type place struct{ name, channel string }
	seen := make(map[place]bool)
	for _, p := range in.Packages {
		what := fmt.Sprintf("package %q", p.Name)
		f.word("package", p.Name, packageWord)
		f.text(what+": description", p.Description, true)
		f.text(what+": deprecated", p.Deprecated, true)
		f.text(what+": notice", p.Notice, true)
		if !slices.Contains(in.Channels, p.Channel) {
			f.add("%s: channel %q is not among the channels", what, p.Channel)
		}
		if at := (place{p.Name, p.Channel}); seen[at] {
			f.add("%s is in channel %q twice", what, p.Channel)
		} else {
			seen[at] = true
		}
		if p.Latest != "" {
			f.word(what+": latest version", p.Latest, versionWord)
		}
		for _, v := range p.Versions {
			f.word(what+": version", v.Version, versionWord)
			f.text(what+": notice", v.Notice, true)
			for _, d := range v.Downloads {
				f.path(what+": path", d.Path)
				if d.URL != "" && !strings.HasPrefix(d.URL, "https://") && !strings.HasPrefix(d.URL, "http://") {
					f.add("%s: %s lies at an address that does not begin with https:// or http://", what, d.Path)
				}
				for _, s := range []string{d.Label, d.Client, d.Format, d.Arch} {
					f.text(what+": download", s, false)
				}
				if d.Size < 0 {
					f.add("%s: %s has %d bytes", what, d.Path, d.Size)
				}
			}
		}
	}
}
