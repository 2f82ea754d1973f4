package formattest

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func describeAgrees(t *testing.T, s *suite) {
	f := s.format(t, nil)
	for _, c := range []struct {
		version, release, epoch string
		platform                formats.Platform
	}{
		{"1.2.0", "", "", linux},
		{"1.2.0", "7", "", formats.Platform{OS: "linux", Arch: "arm64"}},
		{"1.3.0-rc.1", "1", "", formats.Platform{OS: "linux", Arch: "arm", Variant: "v7"}},
		{"1.3.0-beta.2+build.5", "1", "", linux},
		{"2026.03.01", "1", "", linux},
		{"1.2.0", "1", "3", linux},
		{"1.2.0", "1", "", formats.All},
	} {
		spec := Spec()
		spec.Version, spec.Release, spec.Epoch = c.version, c.release, c.epoch
		name := fmt.Sprintf("version %q release %q epoch %q for %s", c.version, c.release, c.epoch, c.platform)
		id, err := f.Identify(spec, c.platform)
		if err != nil {
			// A format may lack a word for an epoch; it then says so.
			if c.epoch == "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		again, err := f.Identify(spec, c.platform)
		if err != nil || again != id {
			t.Errorf("%s: Identify says %+v, then %+v, %v", name, id, again, err)
		}
		if id.Filename == "" || path.Base(id.Filename) != id.Filename || strings.ContainsAny(id.Filename, " \t\n/\\?#%") {
			t.Errorf("%s: file name %q is not safe in paths and URLs", name, id.Filename)
		}
		m := describe(t, f, write(t, f, spec, c.platform, Files()))
		got := formats.Identity{Filename: id.Filename, Name: m.Name, Version: m.Version, Arch: m.Arch}
		if got != id {
			t.Errorf("%s: Describe says %+v, Identify %+v", name, got, id)
		}
		if m.Format != s.kind.Name {
			t.Errorf("%s: Format = %q, want %q", name, m.Format, s.kind.Name)
		}
	}
}

func differentNames(t *testing.T, s *suite) {
	f := s.format(t, nil)
	seen := make(map[string]string)
	add := func(what string, spec *formats.Spec) {
		id, err := f.Identify(spec, linux)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		if other, ok := seen[id.Filename]; ok {
			t.Errorf("%s and %s are both %q", other, what, id.Filename)
		}
		seen[id.Filename] = what
	}
	for _, version := range []string{"1.2.0", "1.2.1", "1.3.0-rc.1", "1.3.0-rc.2", "1.3.0"} {
		for _, release := range []string{"1", "2"} {
			spec := Spec()
			spec.Version, spec.Release = version, release
			add(version+" release "+release, spec)
		}
	}
	other := Spec()
	other.Name = "hello2"
	add("hello2", other)

	// Formats whose repositories keep CPUs apart by folders have the same file
	// name for all, so the word is what must differ. Debian has one for both arms.
	words := make(map[string]formats.Platform)
	for _, p := range formats.LinuxPlatforms() {
		id, err := f.Identify(Spec(), p)
		if err != nil {
			continue // not every format knows every CPU
		}
		if twin, ok := words[id.Arch]; ok && (twin.Arch != "arm" || p.Arch != "arm") {
			t.Errorf("%s and %s are both %q", twin, p, id.Arch)
		}
		words[id.Arch] = p
	}
	if len(words) < 3 {
		t.Errorf("it serves only %v", words)
	}
	for _, system := range []string{"darwin/arm64", "windows/amd64", "freebsd/amd64"} {
		p, err := formats.ParsePlatform(system)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Identify(Spec(), p); (err == nil) != s.kind.AnyOS {
			t.Errorf("%s: %v; the kind says AnyOS = %v", p, err, s.kind.AnyOS)
		}
	}
}

func filesComeBack(t *testing.T, s *suite) {
	f := s.format(t, nil)
	files := append(Files(), formats.File{Path: "/var/log/hello.log", Type: formats.Ghost, Mode: 0o644})
	m := describe(t, f, write(t, f, Spec(), linux, files))
	if !slices.IsSorted(m.Files) {
		t.Errorf("Files are not sorted: %q", m.Files)
	}
	if lost := missing(m.Files, describeFiles(files)); len(lost) > 0 {
		t.Errorf("%q are not in %q", lost, m.Files)
	}
	for _, name := range m.Files {
		if !strings.HasPrefix(name, "/") || path.Clean(name) != strings.TrimSuffix(name, "/") {
			t.Errorf("%q is not an absolute, clean path", name)
		}
	}
	ghost := slices.Contains(m.Files, "/var/log/hello.log")
	if ghost != slices.Contains(m.Ghosts, "/var/log/hello.log") {
		t.Errorf("the ghost is in Files: %v; Ghosts are %q", ghost, m.Ghosts)
	}
}

func emptyPackage(t *testing.T, s *suite) {
	f := s.format(t, nil)
	spec := &formats.Spec{Name: "empty", Version: "1.0.0", Time: Spec().Time, Summary: "Nothing", Maintainer: "A <a@example.org>", License: "MIT"}
	m := describe(t, f, write(t, f, spec, linux, nil))
	if m.Name != "empty" {
		t.Errorf("it says its name is %q", m.Name)
	}
	bare := &formats.Spec{Name: "bare", Version: "1.0.0", Time: Spec().Time}
	if _, err := f.Identify(bare, linux); err != nil {
		return // a format may ask for a maintainer or summary, and says so at once
	}
	if m := describe(t, f, write(t, f, bare, linux, nil)); m.Name != "bare" {
		t.Errorf("it says its name is %q", m.Name)
	}
}

func manyFiles(t *testing.T, s *suite) {
	f := s.format(t, nil)
	files := append(thousand(), large()...)
	m := describe(t, f, write(t, f, Spec(), linux, files))
	if lost := missing(m.Files, describeFiles(files)); len(lost) > 0 {
		t.Errorf("%d files were lost, %q first", len(lost), lost[0])
	}
}

func noInjection(t *testing.T, s *suite) {
	f := s.format(t, nil)
	clean := describe(t, f, write(t, f, Spec(), linux, Files()))
	for _, evil := range []string{"x\nEvil: yes", "x\nevil = yes", "x\n\nEvil: yes", "x\rEvil: yes", "x\n%EVIL%\nyes", "x\nE:yes"} {
		for name, set := range map[string]func(*formats.Spec){
			"Summary":     func(s *formats.Spec) { s.Summary = evil },
			"Description": func(s *formats.Spec) { s.Description = evil + "\n" },
			"Homepage":    func(s *formats.Spec) { s.Homepage = evil },
			"License":     func(s *formats.Spec) { s.License = evil },
			"Maintainer":  func(s *formats.Spec) { s.Maintainer = evil },
			"Vendor":      func(s *formats.Spec) { s.Vendor = evil },
			"Section":     func(s *formats.Spec) { s.Section = evil },
			"Priority":    func(s *formats.Spec) { s.Priority = evil },
			"Source":      func(s *formats.Spec) { s.Source = evil },
			"Depends":     func(s *formats.Spec) { s.Depends = []string{evil} },
			"Provides":    func(s *formats.Spec) { s.Provides = []string{evil} },
			"Recommends":  func(s *formats.Spec) { s.Recommends = []string{evil} },
			"Epoch":       func(s *formats.Spec) { s.Epoch = "1" + evil },
			"Release":     func(s *formats.Spec) { s.Release = "1" + evil },
		} {
			spec := Spec()
			set(spec)
			if _, err := f.Identify(spec, linux); err != nil {
				continue
			}
			m := describe(t, f, write(t, f, spec, linux, Files()))
			for _, field := range m.Fields {
				key := strings.ToLower(strings.Trim(field.Key, "% "))
				if (key == "evil" || key == "e") && clean.Get(field.Key) == "" {
					t.Errorf("%s %q made the field %q", name, evil, field.Key)
				}
			}
			if !reflect.DeepEqual(m.Files, clean.Files) {
				t.Errorf("%s %q changed the files to %q", name, evil, m.Files)
			}
		}
	}
}
