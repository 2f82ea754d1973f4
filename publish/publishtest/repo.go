package publishtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Keys signs by a digest: the same bytes, the same signature. Other makes another
// key of it.
type Keys struct{ Other bool }

var _ formats.Keys = Keys{}

// Signer implements formats.Keys.
func (k Keys) Signer(key string, s formats.Scheme) (formats.Signer, error) {
	return func(_ context.Context, r io.Reader) ([]byte, error) {
		b, err := io.ReadAll(r)
		sum := sha256.Sum256(fmt.Appendf(b, "%s %s %v", key, s, k.Other))
		if s == formats.OpenPGPClear {
			return fmt.Appendf(b, "signed %x\n", sum), err
		}
		return fmt.Appendf(nil, "%x\n", sum), err
	}, nil
}

// Public implements formats.Keys.
func (k Keys) Public(key string, s formats.Scheme) (*formats.PublicKey, error) {
	id := "AABBCCDDEEFF00112233445566778899AABBCCDD"
	if k.Other {
		id = "0000000000000000000000000000000000000001"
	}
	p := &formats.PublicKey{Name: key + ".asc", ID: id, Data: []byte("public " + id + "\n"), Binary: []byte(id)}
	switch s {
	case formats.RSA256:
		p.Name = key + "-" + strings.ToLower(id[:8]) + ".rsa.pub"
	case formats.Usign:
		p.ID = strings.ToLower(id[:16])
		p.Name = p.ID
	}
	return p, nil
}

// Env is a site with two channels and two CPUs.
func Env() publish.RepoEnv {
	return publish.RepoEnv{
		Name: "hello", Title: "Hello", Description: "Greets", Origin: "Example", URL: "https://example.org/hello", Channels: []string{"stable", "beta"},
		Platforms: []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}}, Keys: Keys{}, Key: "main",
	}
}

// packages makes real packages of a format: names, three versions, CPUs.
func packages(t *testing.T, kind formats.Kind) []publish.Package {
	t.Helper()
	f, err := kind.New(formats.NoSection, formats.Env{Scratch: formats.NewScratch(t.TempDir())})
	if err != nil {
		t.Fatal(err)
	}
	platforms := []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, formats.All}
	if kind.AnyOS {
		platforms = []formats.Platform{{OS: "linux", Arch: "amd64"}, {OS: "linux", Arch: "arm64"}, {OS: "darwin", Arch: "arm64"}}
	}
	var all []publish.Package
	for i, name := range []string{"alpha", "beta-tools", "libgamma1", "zeta"} {
		for j, version := range []string{"1.0.0", "1.1.0-rc.1", "1.1.0", "1.10.0"} {
			for k, p := range platforms {
				if p == formats.All {
					continue
				}
				spec := &formats.Spec{Name: name, Version: version, Time: time.Unix(int64(1780000000+1000*j), 0).UTC(), Summary: "Package " + name, Description: "More of it.\n",
					Maintainer: "Ann <ann@example.org>", License: "MIT", Homepage: "https://example.org/" + name, Source: "hello"}
				files := []formats.File{{Path: "/usr/bin/" + name, Type: formats.Regular, Mode: 0o755, Content: formats.Bytes(fmt.Appendf(nil, "%s %s %d %d", name, version, i, k))}}
				var b bytes.Buffer
				if err := f.Write(context.Background(), &b, spec, p, files); err != nil {
					t.Fatal(err)
				}
				m, err := f.Describe(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, publish.Package{Blob: formats.Bytes(b.Bytes()), Meta: m, Version: version})
			}
		}
	}
	if !kind.AnyOS { // and one for every CPU
		spec := &formats.Spec{Name: "data", Version: "2.0.0", Time: time.Unix(1780000000, 0).UTC(), Summary: "Data", Maintainer: "Ann <ann@example.org>", License: "MIT"}
		var b bytes.Buffer
		if err := f.Write(context.Background(), &b, spec, formats.All, []formats.File{{Path: "/usr/share/data", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("d"))}}); err != nil {
			t.Fatal(err)
		}
		m, err := f.Describe(context.Background(), bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, publish.Package{Blob: formats.Bytes(b.Bytes()), Meta: m, Version: "2.0.0"})
	}
	return all
}

// Repo checks what every repository must keep to. kinds are the package formats
// that it lists.
func Repo(t *testing.T, kind publish.RepoKind, kinds []formats.Kind) {
	ctx := context.Background()
	open := func(t *testing.T, env publish.RepoEnv) publish.Repo {
		t.Helper()
		r, err := kind.New(formats.NoSection, env)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var ps []publish.Package
	for _, k := range kinds {
		if slices.Contains(kind.Formats, k.Name) {
			ps = append(ps, packages(t, k)...)
		}
	}
	if len(ps) == 0 {
		t.Fatalf("no format of %v is known", kind.Formats)
	}
	addAll := func(ps []publish.Package, channels ...string) publish.Edit {
		var e publish.Edit
		for _, p := range ps {
			e.Add = append(e.Add, publish.Addition{Package: p, Channels: channels})
		}
		return e
	}
	o := publish.Options{Time: 1780000000, Now: 1780000000, AllowOlder: true}
	run := func(t *testing.T, d publish.Destination, r publish.Repo, e publish.Edit, o publish.Options) *publish.Result {
		t.Helper()
		res, err := publish.Publish(ctx, d, []publish.Repo{r}, e, o)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}

	t.Run("partitions are named once and have roots and streams", func(t *testing.T) {
		r := open(t, Env())
		parts := r.Partitions()
		if len(parts) == 0 || r.Name() != kind.Name {
			t.Fatalf("%s has the partitions %v", r.Name(), parts)
		}
		for i, p := range parts {
			if slices.Contains(parts[:i], p) {
				t.Errorf("partition %s is there twice", p)
			}
			if r.Root(p) == "" {
				t.Errorf("partition %s has no root", p)
			}
			names := func() (n []string) {
				for _, s := range r.Streams(p) {
					n = append(n, s.Name)
				}
				return n
			}
			if a, b := names(), names(); len(a) == 0 || !slices.Equal(a, b) {
				t.Errorf("partition %s has the streams %v, then %v", p, a, b)
			}
		}
		parts[0] = "changed"
		if slices.Contains(r.Partitions(), "changed") {
			t.Error("the caller can change the repository's partitions")
		}
	})
	t.Run("packages are placed where partitions are", func(t *testing.T) {
		r := open(t, Env())
		paths := make(map[string]formats.Digest)
		for _, p := range ps {
			for _, ch := range []string{"stable", "beta"} {
				places, err := r.Place(p.Meta, ch)
				if err != nil {
					t.Fatal(err)
				}
				for _, pl := range places {
					if !slices.Contains(r.Partitions(), pl.Partition) {
						t.Errorf("%s goes to partition %s, which is not there", p.Meta.Name, pl.Partition)
					}
					if !fs.ValidPath(pl.Path) || strings.HasPrefix(pl.Path, ".") {
						t.Errorf("%s goes to %q", p.Meta.Name, pl.Path)
					}
					if d, ok := paths[pl.Path]; ok && d != p.Blob.Ref().SHA256 {
						t.Errorf("two packages go to %s", pl.Path)
					}
					paths[pl.Path] = p.Blob.Ref().SHA256
				}
			}
			other := *p.Meta
			other.Format = "unknown"
			if places, err := r.Place(&other, "stable"); err != nil || len(places) != 0 {
				t.Errorf("a package of an unknown format is placed at %v, %v", places, err)
			}
			for _, evil := range []string{"../x", "a/b", "", "a\nb", "a b", "$(id)"} {
				other := *p.Meta
				other.Name = evil
				other.Fields = nil
				if places, err := r.Place(&other, "stable"); err == nil && len(places) > 0 {
					t.Errorf("a package called %q is placed at %v", evil, places)
				}
			}
		}
		if len(paths) == 0 {
			t.Error("nothing is placed")
		}
	})
	t.Run("the order is one: by name, then from old to new", func(t *testing.T) {
		r := open(t, Env())
		var recs []*publish.Record
		for _, p := range ps {
			if places, err := r.Place(p.Meta, "stable"); err == nil && len(places) > 0 {
				recs = append(recs, &publish.Record{Path: places[0].Path, Ref: p.Blob.Ref(), Version: p.Version, Meta: *p.Meta})
			}
		}
		for _, a := range recs {
			if r.Less(a, a) {
				t.Errorf("%s is before itself", a.Path)
			}
			for _, b := range recs {
				if r.Less(a, b) && r.Less(b, a) {
					t.Errorf("%s and %s are before each other", a.Path, b.Path)
				}
				if a.Meta.Name < b.Meta.Name && !r.Less(a, b) {
					t.Errorf("%s is not before %s", a.Path, b.Path)
				}
				if a.Meta.Name == b.Meta.Name && formats.CompareVersions(a.Version, b.Version) < 0 && !r.Less(a, b) {
					t.Errorf("%s %s is not before %s", a.Meta.Name, a.Meta.Version, b.Meta.Version)
				}
			}
		}
	})
	t.Run("an index is the sum of its pages", func(t *testing.T) {
		r := open(t, Env())
		byPart := make(map[string][]*publish.Record)
		for _, p := range ps {
			places, err := r.Place(p.Meta, "stable")
			if err != nil {
				t.Fatal(err)
			}
			for _, pl := range places {
				byPart[pl.Partition] = append(byPart[pl.Partition], &publish.Record{Path: pl.Path, Ref: p.Blob.Ref(), Version: p.Version, Added: 1780000000, Meta: *p.Meta})
			}
		}
		for part, recs := range byPart {
			slices.SortStableFunc(recs, func(a, b *publish.Record) int {
				switch {
				case r.Less(a, b):
					return -1
				case r.Less(b, a):
					return 1
				}
				return strings.Compare(a.Path, b.Path)
			})
			for _, s := range r.Streams(part) {
				whole, err := s.Page(recs)
				if err != nil {
					t.Fatal(err)
				}
				var sum []byte
				for start, i := 0, 1; i <= len(recs); i++ {
					if i == len(recs) || recs[i].Meta.Name != recs[start].Meta.Name {
						page, err := s.Page(recs[start:i])
						if err != nil {
							t.Fatal(err)
						}
						sum, start = append(sum, page...), i
					}
				}
				if !bytes.Equal(whole, sum) {
					t.Errorf("%s of %s: one page of all is %d bytes, pages by name are %d", s.Name, part, len(whole), len(sum))
				}
				if len(whole) == 0 {
					t.Errorf("%s of %s says nothing of %d packages", s.Name, part, len(recs))
				}
			}
		}
	})
	t.Run("publishing again writes nothing, and all of it checks", func(t *testing.T) {
		m := new(Mem)
		r := open(t, Env())
		run(t, m, r, addAll(ps, "stable"), o)
		before := m.Files()
		if res := run(t, m, open(t, Env()), addAll(ps, "stable"), o); res.Changed {
			t.Errorf("the second publish wrote %d files", len(res.Change.Put))
		}
		if err := publish.Check(ctx, m, []publish.Repo{r}, nil, publish.CheckOptions{Deep: true}); err != nil {
			t.Error(err)
		}
		again := new(Mem)
		run(t, again, open(t, Env()), addAll(ps, "stable"), o)
		if !maps.EqualFunc(before, again.Files(), bytes.Equal) {
			t.Error("the same packages gave another tree")
		}
	})
	t.Run("one at a time gives the indexes of all at once", func(t *testing.T) {
		whole, parts := new(Mem), new(Mem)
		run(t, whole, open(t, Env()), addAll(ps, "stable"), o)
		for _, p := range ps {
			run(t, parts, open(t, Env()), addAll([]publish.Package{p}, "stable"), o)
		}
		for path, want := range whole.Files() {
			if path == publish.StatePath {
				continue
			}
			if got := parts.Read(path); !bytes.Equal(got, want) {
				t.Errorf("%s differs", path)
			}
		}
	})
	t.Run("every write may fail, both ways, and a second run equals a clean one", func(t *testing.T) {
		half := len(ps) / 2
		edits := []publish.Edit{addAll(ps[:half], "stable"), addAll(ps[half:], "beta"), {Remove: []publish.Selection{{Name: "alpha"}}}}
		clean := new(Mem)
		for _, e := range edits {
			run(t, clean, open(t, Env()), e, o)
		}
		for _, apply := range []bool{false, true} {
			for bad := range edits {
				m := new(Mem)
				for i, e := range edits {
					if i == bad {
						m.Once(apply)
						if _, err := publish.Publish(ctx, m, []publish.Repo{open(t, Env())}, e, o); err == nil {
							t.Fatal("the fault was not told")
						}
						if apply && len(e.Remove) > 0 {
							continue // it is done; to remove it again is an error that says so
						}
					}
					run(t, m, open(t, Env()), e, o)
				}
				if !maps.EqualFunc(clean.Files(), m.Files(), bytes.Equal) {
					t.Errorf("fault at edit %d (applied: %v): the tree differs from a clean run's", bad, apply)
				}
			}
		}
	})
	t.Run("another key signs everything anew", func(t *testing.T) {
		m := new(Mem)
		run(t, m, open(t, Env()), addAll(ps[:3], "stable"), o)
		env := Env()
		env.Keys = Keys{Other: true}
		res := run(t, m, open(t, env), publish.Edit{}, o)
		signs := kind.Name != "brew" // a formula names its archive by SHA-256, and is not signed
		if signs && !res.Changed {
			t.Error("nothing changed")
		}
		clean := new(Mem)
		run(t, clean, open(t, env), addAll(ps[:3], "stable"), o)
		for path, want := range clean.Files() {
			if path != publish.StatePath && !bytes.Equal(m.Read(path), want) {
				t.Errorf("%s is not what the new key alone would give", path)
			}
		}
	})
	t.Run("unsigned trees are possible", func(t *testing.T) {
		env := Env()
		env.Keys, env.Key = nil, ""
		m := new(Mem)
		r := open(t, env)
		run(t, m, r, addAll(ps, "stable"), o)
		if err := publish.Check(ctx, m, []publish.Repo{r}, nil, publish.CheckOptions{Deep: true}); err != nil {
			t.Error(err)
		}
	})
	t.Run("guides say how, in sh that runs anywhere", func(t *testing.T) {
		r := open(t, Env())
		for _, ch := range Env().Channels {
			in := &publish.GuideInput{URL: "https://example.org/hello", Title: "Hello", Channel: ch, Packages: []string{"alpha"}}
			var guides []*publish.Guide
			if many, ok := r.(publish.Guides); ok {
				all, err := many.Guides(ctx, in)
				if err != nil {
					t.Fatal(err)
				}
				guides = all
			} else if g, err := r.Guide(ctx, in); err != nil {
				t.Fatal(err)
			} else if g != nil {
				guides = append(guides, g)
			}
			for _, g := range guides {
				if g.Client == "" || g.Title == "" || len(g.Add) == 0 || len(g.Install) == 0 || len(g.Upgrade) == 0 || len(g.Remove) == 0 || g.Setup == "" || g.InstallSh == "" {
					t.Errorf("the guide for %s (%s) is not whole", g.Client, ch)
				}
				for _, f := range g.Files {
					if !fs.ValidPath(f.Path) {
						t.Errorf("file %q", f.Path)
					}
				}
				for what, body := range map[string]string{"setup": g.Setup, "install": g.InstallSh} {
					for _, sh := range [][]string{{"dash", "-n"}, {"busybox", "sh", "-n"}, {"bash", "--posix", "-n"}} {
						if _, err := exec.LookPath(sh[0]); err != nil {
							t.Logf("%s is not installed", sh[0])
							continue
						}
						cmd := exec.Command(sh[0], sh[1:]...)
						cmd.Stdin = strings.NewReader("f() {\n" + body + "\n}\n")
						if out, err := cmd.CombinedOutput(); err != nil {
							t.Errorf("%s of %s under %s: %v\n%s", what, g.Client, sh[0], err, out)
						}
					}
				}
			}
		}
	})
}
