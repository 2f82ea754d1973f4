package brew

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/distropack/distropack/publish"
)

// formula renders the formula of one version's archives, in the order of
// components that brew style asks for.
func (r *Repo) formula(recs []*publish.Record, channel string) ([]byte, error) {
	m := &recs[0].Meta
	name := r.formulaName(m.Name, channel)
	class, err := className(name)
	if err != nil {
		return nil, err
	}
	own := r.o.Formulae[m.Name]
	archives := make(map[platform]*publish.Record)
	for _, rec := range recs {
		p, ok := platformOf(&rec.Meta)
		if !ok {
			return nil, fmt.Errorf("archive %s is for a platform Homebrew does not have", rec.Path)
		}
		for _, cpu := range []string{"arm64", "amd64"} {
			q := platform{p.os, cpu}
			// An archive of its CPU is better than one of all.
			if p.cpu == cpu || p.cpu == "all" && archives[q] == nil {
				archives[q] = rec
			}
		}
	}

	w := &writer{}
	w.line(0, "# Made by DistroPack. The next release overwrites this file.")
	w.line(0, "class %s < Formula", class)
	if d := describe(cmp.Or(own.Description, r.o.Description, m.Get("description"), r.env.Description, r.env.Title, m.Name), name); d != "" {
		w.line(1, "desc %s", quote(d))
	}
	w.line(1, "homepage %s", quote(cmp.Or(own.Homepage, r.o.Homepage, m.Get("homepage"), r.env.URL)))
	w.line(1, "version %s", quote(m.Version))
	if l := cmp.Or(own.License, r.o.License, m.Get("license")); l != "" {
		w.line(1, "license %s", license(l))
	}
	r.platforms(w, archives, own.Depends)
	if len(own.Conflicts) > 0 {
		w.line(0, "")
	}
	for _, c := range own.Conflicts {
		w.line(1, "conflicts_with %s, because: %s", quote(c), quote("both install the same files"))
	}
	i := layoutOf(recs)
	i.write(w)
	if own.Caveats != "" {
		w.line(0, "")
		w.line(1, "def caveats")
		w.line(2, "%s", quote(strings.TrimRight(own.Caveats, "\n")+"\n"))
		w.line(1, "end")
	}
	test(w, i.program(m.Name), cmp.Or(own.Test, r.o.Test))
	w.line(0, "end")
	return []byte(w.String()), nil
}

// writer gathers lines of Ruby.
type writer struct{ strings.Builder }

func (w *writer) line(depth int, format string, args ...any) {
	if format != "" {
		w.WriteString(strings.Repeat("  ", depth))
	}
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// platforms writes what to download where. A formula without a URL can't be read
// at all, not even to say that it is not for this system; so a system or CPU
// without an archive names another's and a requirement that is not met.
func (r *Repo) platforms(w *writer, archives map[platform]*publish.Record, depends []string) {
	only := ""
	var systems []string
	for _, os := range []string{"darwin", "linux"} {
		if archives[platform{os, "arm64"}] != nil || archives[platform{os, "amd64"}] != nil {
			systems, only = append(systems, os), brewOS[os]
		}
	}
	depends = slices.Sorted(slices.Values(depends))
	if len(systems) == 1 {
		os := systems[0]
		arm, intel := archives[platform{os, "arm64"}], archives[platform{os, "amd64"}]
		if arm == nil || intel == nil || arm == intel {
			r.download(w, 1, cmp.Or(intel, arm))
		}
		w.line(0, "")
		if intel == nil {
			w.line(1, "depends_on arch: :arm64")
		} else if arm == nil {
			w.line(1, "depends_on arch: :x86_64")
		}
		for _, d := range depends {
			w.line(1, "depends_on %s", quote(d))
		}
		w.line(1, "depends_on :%s", only)
		if arm != nil && intel != nil && arm != intel {
			w.line(0, "")
			r.branch(w, 1, arm, intel)
		}
		return
	}
	if len(depends) > 0 {
		w.line(0, "")
	}
	for _, d := range depends {
		w.line(1, "depends_on %s", quote(d))
	}
	for _, os := range systems {
		w.line(0, "")
		w.line(1, "on_%s do", brewOS[os])
		arm, intel := archives[platform{os, "arm64"}], archives[platform{os, "amd64"}]
		switch {
		case arm == intel:
			r.download(w, 2, arm)
		case intel == nil:
			r.download(w, 2, arm)
			w.line(2, "depends_on arch: :arm64")
		case arm == nil:
			r.download(w, 2, intel)
			w.line(2, "depends_on arch: :x86_64")
		default:
			r.branch(w, 2, arm, intel)
		}
		w.line(1, "end")
	}
}

var brewOS = map[string]string{"darwin": "macos", "linux": "linux"}

// branch uses on_arm and on_intel, not Hardware::CPU: brew style refuses the
// latter in the body of a formula, and brew fetch --arch can't set it.
func (r *Repo) branch(w *writer, depth int, arm, intel *publish.Record) {
	for _, b := range []struct {
		word string
		rec  *publish.Record
	}{{"arm", arm}, {"intel", intel}} {
		w.line(depth, "on_%s do", b.word)
		r.download(w, depth+1, b.rec)
		w.line(depth, "end")
	}
}

func (r *Repo) download(w *writer, depth int, rec *publish.Record) {
	address := rec.URL
	if address == "" {
		// A plus means a space to some servers of buckets.
		address = r.env.URL + "/" + strings.ReplaceAll((&url.URL{Path: rec.Path}).EscapedPath(), "+", "%2B")
	}
	w.line(depth, "url %s", quote(address))
	w.line(depth, "sha256 %s", quote(rec.Ref.SHA256.String()))
}

// test writes what brew test does.
func test(w *writer, program, args string) {
	w.line(0, "")
	w.line(1, "test do")
	switch {
	case program == "":
		w.line(2, "assert_path_exists prefix")
	case args == "":
		w.line(2, "assert_path_exists %s", program)
	default:
		s := "system " + program
		for _, a := range strings.Fields(args) {
			s += ", " + quote(a)
		}
		w.line(2, "%s", s)
	}
	w.line(1, "end")
}

// maxDescription is what brew audit takes.
const maxDescription = 80

// describe makes text what Homebrew wants of a description: one line of at most 80
// characters that starts with a capital letter, with neither an article nor "name -",
// and ends without a full stop.
func describe(text, name string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	words := strings.Fields(text)
	if len(words) > 2 && strings.EqualFold(words[0], name) && slices.Contains([]string{"-", "–", "—", ":", "is"}, words[1]) {
		words = words[2:]
	} else if len(words) > 1 && strings.EqualFold(words[0], name+":") {
		words = words[1:]
	}
	for len(words) > 1 && slices.Contains([]string{"a", "an", "the"}, strings.ToLower(words[0])) {
		words = words[1:]
	}
	s := strings.Join(words, " ")
	for utf8.RuneCountInString(s) > maxDescription && len(words) > 1 {
		words = words[:len(words)-1]
		s = strings.Join(words, " ")
	}
	if utf8.RuneCountInString(s) > maxDescription {
		s = string([]rune(s)[:maxDescription])
	}
	if !strings.HasSuffix(s, "etc.") {
		s = strings.TrimRight(s, ".,;: ")
	}
	if first, n := utf8.DecodeRuneInString(s); n > 0 && first != utf8.RuneError {
		s = string(unicode.ToUpper(first)) + s[n:]
	}
	return s
}
