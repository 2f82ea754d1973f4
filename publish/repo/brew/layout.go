package brew

import (
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/publish"
)

// layout is where the files of archives go.
type layout struct {
	steps    []step
	programs []string // paths in the archive, sorted
}

// step installs what matches a pattern of the archive into a place of Homebrew's.
type step struct{ place, pattern string }

// layoutOf looks at the files of all archives of a version: macOS may have other
// ones than Linux. Homebrew warns, no more, where a pattern finds nothing.
func layoutOf(recs []*publish.Record) *layout {
	l := &layout{}
	seen := make(map[step]bool)
	for _, rec := range recs {
		for _, f := range rec.Meta.Files {
			if strings.HasSuffix(f, "/") {
				continue
			}
			f = strings.TrimPrefix(f, "/")
			s, ok := place(f)
			if s.place == "bin" && path.Base(path.Dir(f)) == "bin" && !slices.Contains(l.programs, f) {
				l.programs = append(l.programs, f)
			}
			if ok && !seen[s] {
				seen[s] = true
				l.steps = append(l.steps, s)
			}
		}
	}
	// A program that lies at the top, as archives of others have it.
	for _, rec := range recs {
		for _, f := range rec.Meta.Files {
			if f == "/"+rec.Meta.Name && len(l.programs) == 0 {
				l.programs = []string{rec.Meta.Name}
				l.steps = append(l.steps, step{"bin", rec.Meta.Name})
			}
		}
	}
	slices.Sort(l.programs)
	slices.SortFunc(l.steps, func(a, b step) int {
		return 2*strings.Compare(a.place, b.place) + strings.Compare(a.pattern, b.pattern)
	})
	return l
}

// place says where a file of an archive goes; ok is false for what Homebrew takes
// by itself (README, LICENSE) or has no use for (systemd units).
func place(file string) (s step, ok bool) {
	top := ""
	rest := file
	for _, prefix := range []string{"usr/local/", "usr/"} { // archives of layout tree
		if after, found := strings.CutPrefix(rest, prefix); found {
			top, rest = prefix, after
			break
		}
	}
	dir, base := path.Split(rest)
	parts := strings.Split(rest, "/")
	if len(parts) < 2 || base == "" {
		return step{}, false
	}
	in := func(place, dir string) (step, bool) { return step{place, escape(top+dir) + "*"}, true }
	switch {
	case parts[0] == "bin" || parts[0] == "sbin":
		return in(parts[0], parts[0]+"/")
	case strings.HasPrefix(rest, "share/man/man") && len(parts) == 4 && len(parts[2]) == 4 && strings.Contains("12345678", parts[2][3:]):
		return in(parts[2], dir)
	case strings.HasPrefix(rest, "share/bash-completion/completions/") || strings.HasPrefix(rest, "etc/bash_completion.d/"):
		return in("bash_completion", dir)
	case strings.HasPrefix(rest, "share/zsh/site-functions/") || strings.HasPrefix(rest, "share/zsh/vendor-completions/"):
		return in("zsh_completion", dir)
	case strings.HasPrefix(rest, "share/fish/vendor_completions.d/"):
		return in("fish_completion", dir)
	case strings.HasPrefix(rest, "lib/systemd/") || strings.HasPrefix(rest, "etc/systemd/") || strings.HasPrefix(rest, "share/bash-completion/"):
		return step{}, false
	case len(parts) > 2 && slices.Contains([]string{"lib", "libexec", "include", "share", "etc"}, parts[0]):
		// The folder as a whole, so that what is in it stays together. Folders that
		// are treated apart above are named file by file.
		depth := 2
		for _, apart := range []string{"share/man", "share/zsh", "share/fish", "lib/systemd", "etc/systemd"} {
			if strings.HasPrefix(rest, apart+"/") {
				depth = len(parts) - 1
			}
		}
		if depth > 2 {
			return step{"(prefix/" + quote(strings.TrimSuffix(dir, "/")) + ")", escape(top+dir) + "*"}, true
		}
		return step{parts[0], escape(top + parts[0] + "/" + parts[1])}, true
	case slices.Contains([]string{"lib", "libexec", "include", "share", "etc"}, parts[0]):
		return step{parts[0], escape(top + rest)}, true
	default: // opt, var, own folders
		return step{"prefix", escape(top + parts[0])}, true
	}
}

// escape makes the characters of file names that mean something in a pattern
// stand for themselves.
func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(s)
}

// write writes the install method.
func (l *layout) write(w *writer) {
	w.line(0, "")
	w.line(1, "def install")
	for _, s := range l.steps {
		w.line(2, "%s.install Dir[%s]", s.place, quote(s.pattern))
	}
	if len(l.steps) == 0 { // its files are not known
		w.line(2, "prefix.install Dir[%s]", quote("*"))
	}
	w.line(1, "end")
}

// program returns the Ruby expression of the program to test; "" if there is none.
func (l *layout) program(name string) string {
	for _, p := range l.programs {
		if path.Base(p) == name {
			return "bin/" + quote(name)
		}
	}
	if len(l.programs) > 0 {
		return "bin/" + quote(path.Base(l.programs[0]))
	}
	return ""
}
