package rpm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

func TestIdentifyNamesThePackage(t *testing.T) {
	f := newTestFormat(t, Options{}, nil)
	for platform, want := range map[string]string{
		"amd64": "x86_64", "arm64": "aarch64", "arm/v6": "armv6hl", "arm/v7": "armv7hl", "386": "i386", "riscv64": "riscv64",
		"ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64", "all": "noarch",
	} {
		p, err := formats.ParsePlatform(platform)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Identify(helloSpec(), p)
		full := formats.Identity{Filename: "hello-1.3.0~rc.1+build.5-3." + want + ".rpm", Name: "hello", Version: "2:1.3.0~rc.1+build.5-3", Arch: want}
		if err != nil || got != full {
			t.Errorf("Identify for %s = %+v, %v; want %+v", platform, got, err, full)
		}
		// rpm's own words for the CPU in name(isa).
		isa := run(t, "rpm", "--target", want+"-linux", "--eval", "%{?_isa}")
		if got := "(" + arches[p.CPU()].isa + ")"; strings.TrimSpace(isa) != strings.TrimPrefix(got, "()") {
			t.Errorf("isa of %s is %q, rpm says %q", platform, got, isa)
		}
	}
	for _, p := range formats.LinuxPlatforms() {
		if _, err := f.Identify(helloSpec(), p); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func TestIdentifyRefusesWhatRpmCannotCarry(t *testing.T) {
	f := newTestFormat(t, Options{}, nil)
	for want, change := range map[string]func(*formats.Spec){
		"rpm takes letters": func(s *formats.Spec) { s.Name = "hello world" },
		`name ""`:           func(s *formats.Spec) { s.Name = "" },
		`name "-x"`:         func(s *formats.Spec) { s.Name = "-x" },
		`name "a/b"`:        func(s *formats.Spec) { s.Name = "a/b" },
		`name "a..b"`:       func(s *formats.Spec) { s.Name = "a..b" },
		`-3.x86_64.rpm" is 282 bytes long; file systems take 255`: func(s *formats.Spec) { s.Name = strings.Repeat("a", 250) },
		"start with a digit": func(s *formats.Spec) { s.Version = "v1" },
		`version "1..2" has two dots in a row, which rpm refuses`: func(s *formats.Spec) { s.Version = "1..2" },
		`release "1-2"`: func(s *formats.Spec) { s.Release = "1-2" },
		`epoch "one"`:   func(s *formats.Spec) { s.Epoch = "one" },
		"1970 to 2106":  func(s *formats.Spec) { s.Time = time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) },
		`summary "a\nb" has a control character; it must be one line`:                                                func(s *formats.Spec) { s.Summary = "a\nb" },
		`homepage "a\x1bb" has a control character; it must`:                                                         func(s *formats.Spec) { s.Homepage = "a\x1bb" },
		`description "a\xff" is not UTF-8`:                                                                           func(s *formats.Spec) { s.Description = "a\xff" },
		`description "a\x00" has a control character`:                                                                func(s *formats.Spec) { s.Description = "a\x00" },
		`source: name "a b": rpm takes letters`:                                                                      func(s *formats.Spec) { s.Source = "a b" },
		`depends: relation "a [amd64]" is not of the form name, name >= version or (a or b)`:                         func(s *formats.Spec) { s.Depends = []string{"a [amd64]"} },
		`provides: "a | b": rpm takes alternatives and other rich relations only in depends, predepends, conflicts,`: func(s *formats.Spec) { s.Provides = []string{"a | b"} },
		`replaces: "(a or b)": rpm takes alternatives`:                                                               func(s *formats.Spec) { s.Replaces = []string{"(a or b)"} },
		`conflicts: relation "(a if b)": "if" makes no sense where one of several suffices; use "and"`:               func(s *formats.Spec) { s.Conflicts = []string{"(a if b)"} },
		`field "Filename" can't be set in an rpm package; Distribution, DistURL, DistTag, BugURL,`:                   func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Filename", Value: "x"}} },
		`field "Size"`:     func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Size", Value: "1"}} },
		`field "Name"`:     func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "Name", Value: "x"}} },
		"there twice":      func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "VCS", Value: "x"}, {Key: "VCS", Value: "y"}} },
		"field BugURL":     func(s *formats.Spec) { s.Fields = []formats.Field{{Key: "BugURL", Value: "x\ny"}} },
		"changelog author": func(s *formats.Spec) { s.Changelog = []formats.Change{{Maintainer: "a\nb"}} },
		"changelog of 0.9: time 1960-01-01T12:00:00Z is outside of what rpm can carry": func(s *formats.Spec) {
			s.Changelog = []formats.Change{{Version: "0.9", Time: time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC)}}
		},
		`changelog of 1 "a\x00" has a control character`: func(s *formats.Spec) { s.Changelog = []formats.Change{{Version: "1", Lines: []string{"a\x00"}}} },
		`service "x" is not the name of a unit`:          func(s *formats.Spec) { s.Services = []formats.Service{{Unit: "x"}} },
	} {
		spec := helloSpec()
		change(spec)
		if id, err := f.Identify(spec, amd64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Identify = %+v, %v; want an error with %q", id, err, want)
		}
	}
	for want, p := range map[string]formats.Platform{
		"platform darwin/amd64: rpm packages are for linux":       {OS: "darwin", Arch: "amd64"},
		`platform linux/mips: rpm has no word for the CPU "mips"`: {OS: "linux", Arch: "mips"},
		`platform linux/arm: rpm has no word for the CPU "arm"`:   {OS: "linux", Arch: "arm"},
	} {
		if id, err := f.Identify(helloSpec(), p); err == nil || err.Error() != want {
			t.Errorf("platform %s gave %+v, %v; want %s", p, id, err, want)
		}
	}
}

func TestOptionsThatAreUnknownAreRefused(t *testing.T) {
	for want, o := range map[string]Options{
		`compression "lzma" is not zstd, gzip or none`:              {Compression: "lzma"},
		`group "a\nb" has a control character; it must be one line`: {Group: "a\nb"},
		`engine "other": distropack and nfpm are known`:             {Engine: "other"},
	} {
		if _, err := Kind().New(options(o), formats.Env{}); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", o, err, want)
		}
	}
}

func TestWriteRefusesFilesRpmCannotCarry(t *testing.T) {
	f := newTestFormat(t, Options{}, nil)
	for want, bad := range map[string]formats.File{
		`path "relative" is not an absolute, clean path`: {Path: "relative", Type: formats.Dir},
		`file "/x" has no content`:                       {Path: "/x", Type: formats.Regular},
		`file "/x": "a\x00b" has a control character`:    {Path: "/x", Type: formats.Symlink, Target: "a\x00b"},
		`file "/x": "a\nb" has a control character`:      {Path: "/x", Type: formats.Dir, Owner: "a\nb"},
		`a/a/a"… is 4202 bytes long; rpm takes 4095`:     {Path: "/" + strings.Repeat("a/", 2100) + "b", Type: formats.Dir},
	} {
		if err := f.Write(t.Context(), &bytes.Buffer{}, helloSpec(), amd64, []formats.File{bad}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestTheSameValuesGiveTheSameBytes(t *testing.T) {
	files := helloFiles()
	spec := helloSpec()
	spec.Services, spec.Scripts = talking("1", true).Services, talking("1", true).Scripts
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip} {
		first := write(t, newTestFormat(t, Options{Compression: codec}, nil), spec, amd64, files)
		slices.Reverse(files)
		t.Setenv("TZ", "Asia/Tokyo")
		t.Setenv("SOURCE_DATE_EPOCH", "1")
		shared, err := Kind().New(options{Compression: codec}, formats.Env{Scratch: formats.NewScratch(t.TempDir())})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !bytes.Equal(first, write(t, shared, spec, amd64, files)) {
				t.Errorf("%s: other bytes", codec)
			}
		}
	}
}

func TestAPrivateScratchLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	f := newTestFormat(t, Options{}, nil)
	write(t, f, helloSpec(), amd64, helloFiles())
	full := errors.New("disk full")
	for limit := range 4 {
		w := &limited{limit * 1000, full}
		if err := f.Write(t.Context(), w, helloSpec(), amd64, helloFiles()); !errors.Is(err, full) {
			t.Errorf("Write = %v, want %v", err, full)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// limited takes n bytes, then fails.
type limited struct {
	n   int
	err error
}

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.n {
		return 0, l.err
	}
	l.n -= len(b)
	return len(b), nil
}

func TestCancelEndsWriting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := newTestFormat(t, Options{}, nil)
	if err := f.Write(ctx, &bytes.Buffer{}, helloSpec(), amd64, helloFiles()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// short says it is longer than it is.
type short struct{ formats.Blob }

func (s short) Ref() formats.Ref {
	r := s.Blob.Ref()
	r.Size++
	return r
}

func TestContentThatChangedIsRefused(t *testing.T) {
	f := newTestFormat(t, Options{}, nil)
	for _, n := range []int{0, 10, pack.Large - 1, pack.Large + 1} {
		want := fmt.Sprintf("/x: content is no longer %d bytes long", n+1)
		if n+1 >= pack.Large {
			want = fmt.Sprintf("/x: content is %d bytes, was to be %d", n, n+1)
		}
		files := []formats.File{{Path: "/x", Type: formats.Regular, Content: short{formats.Bytes(noise(n))}}}
		if err := f.Write(t.Context(), &bytes.Buffer{}, helloSpec(), amd64, files); err == nil || err.Error() != want {
			t.Errorf("content of %d bytes: %v, want %s", n, err, want)
		}
	}
	// What was compressed for another package already is read for the checksum alone.
	shared, err := Kind().New(options{}, formats.Env{Scratch: formats.NewScratch(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	whole := noise(pack.Large + 1)
	for _, b := range []formats.Blob{formats.Bytes(whole), formats.Parts(formats.Bytes(whole).Ref(), [][]byte{whole[1:]})} {
		err = shared.Write(t.Context(), &bytes.Buffer{}, helloSpec(), amd64, []formats.File{{Path: "/x", Type: formats.Regular, Content: b}})
	}
	if want := fmt.Sprintf("/x: content is %d bytes, was to be %d", pack.Large, pack.Large+1); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRpmlintHasNothingToSayOfOurSide(t *testing.T) {
	spec := helloSpec()
	spec.Epoch, spec.Version = "", "1.3.0"
	spec.Changelog = []formats.Change{{Version: "1.3.0-3", Time: released, Lines: []string{"Greets."}}}
	spec.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
	spec.Scripts = formats.Scripts{PostInstall: "true\n", PreRemove: "#!/usr/bin/python3\nprint()\n"}
	files := []formats.File{
		{Path: "/usr/bin/hello", Type: formats.Regular, Mode: 0o755, Content: formats.Bytes([]byte("#!/bin/sh\necho hello\n"))},
		{Path: "/usr/lib/systemd/system/hello.service", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("[Service]\nExecStart=/usr/bin/hello\n"))},
		{Path: "/usr/share/doc/hello", Type: formats.Dir, Mode: 0o755},
		{Path: "/usr/share/doc/hello/README", Type: formats.Doc, Mode: 0o644, Content: formats.Bytes([]byte("hello\n"))},
	}
	out, _ := try(t, "rpmlint", save(t, newTestFormat(t, Options{}, newGPGKeys(t, "ed25519")), spec, formats.All, files))
	for _, line := range strings.Split(out, "\n") {
		// The key is one that rpmlint never heard of.
		if strings.Contains(line, ": E: ") && !strings.Contains(line, "unknown-key") {
			t.Error(line)
		}
	}
	if !strings.Contains(out, "1 packages and 0 specfiles checked") {
		t.Errorf("rpmlint: %s", out)
	}
	t.Log(out)
}

func BenchmarkWrite20000Files(b *testing.B) {
	files := make([]formats.File, 20000)
	total := 0
	for i := range files {
		content := noise(400 + i%1000)
		total += len(content)
		files[i] = formats.File{
			Path: "/usr/share/many/" + strconv.Itoa(i/100) + "/file-" + strconv.Itoa(i) + ".txt",
			Type: formats.Regular, Mode: 0o644, Content: formats.Bytes(content),
		}
	}
	for _, codec := range []pack.Codec{pack.Zstd, pack.Gzip} {
		b.Run(string(codec), func(b *testing.B) {
			f := newTestFormat(b, Options{Compression: codec}, nil)
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				write(b, f, helloSpec(), amd64, files)
			}
		})
	}
}
