package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/each"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/pipeline/source"
	"github.com/distropack/distropack/publish"
)

// detacher is a format whose finished file is accompanied by a signature.
type detacher interface {
	Detached() (suffix string, scheme formats.Scheme)
}

// defaultMemory bounds what packages being made hold in memory.
const defaultMemory = 256 << 20

// pack makes the packages, and nothing of them if one fails.
func (r *run) pack(ctx context.Context) error {
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return err
	}
	r.journal = openJournal(r.Out, r.Resume || r.Packed)
	if r.Packed {
		return r.takePackages(ctx)
	}
	work, err := os.MkdirTemp("", "distropack-work-")
	if err != nil {
		return err
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(work) })
	slots := &source.Slots{
		Project: &source.Tree{FS: r.Files, Limit: int64(r.project.Limits.File)}, Sources: r.project.Sources, File: r.project.File,
		Release: source.Release{Version: r.release.Version, Tag: r.release.Tag, Commit: r.release.Commit, Time: r.release.Time.Unix()},
		Assets:  r.Assets, Work: work, Log: r.Output, Logs: filepath.Join(r.Out, "logs"), Environ: r.Environ,
	}
	if r.Commands {
		slots.Dir = r.Dir
	}
	if d := r.project.Dir; d != "." && d != "" { // paths are relative to the configuration
		if slots.Project, err = slots.Project.Sub(d); err != nil {
			return err
		}
		if slots.Dir != "" {
			slots.Dir = filepath.Join(slots.Dir, filepath.FromSlash(d))
		}
	}
	targets := r.todo.Targets
	// A missing slot fails before anything is built.
	var errs []error
	type input struct {
		files []formats.File
		spec  *formats.Spec
	}
	inputs := make([]input, len(targets))
	for i := range targets {
		t := &targets[i]
		files, err := slots.Contents(ctx, r.project, t.Config, t.Format, t.Platform)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		spec, err := r.spec(slots, t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		inputs[i] = input{files, spec}
	}
	if err := joinDistinct(errs); err != nil {
		return err
	}

	// Targets of one platform share compressed pieces, so that the formats of a
	// platform are made together.
	order := make([]int, len(targets))
	for i := range order {
		order[i] = i
	}
	limits := each.Limits{Jobs: r.Jobs, Memory: cmp.Or(r.Memory, defaultMemory)}
	count := counter{m: len(targets)}
	made, errs := each.Do(ctx, limits, r.FailFast, order, func(int) int64 { return 16 << 20 }, func(ctx context.Context, i int) (*Artifact, error) {
		t := &targets[i]
		n := count.next()
		r.progress(Event{Step: "package", Name: t.Filename, N: n, M: len(targets)})
		a, err := r.makeOne(ctx, t, inputs[i].spec, inputs[i].files)
		ev := Event{Step: "package", Name: t.Filename, Done: true, Err: err, N: n, M: len(targets)}
		if a != nil {
			ev.Size = a.Size
		}
		r.progress(ev)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", t.Filename, err)
		}
		return a, nil
	})
	r.note(made)
	return errors.Join(errs...)
}

// note puts what was made into the report; nil stands for what failed.
func (r *run) note(made []*Artifact) {
	for _, a := range made {
		if a == nil {
			continue
		}
		r.made = append(r.made, a)
		r.report.Artifacts = append(r.report.Artifacts, a)
		for _, b := range a.beside {
			ref := b.Blob.Ref()
			r.report.Artifacts = append(r.report.Artifacts, &Artifact{Type: "signature", Name: a.Name + b.Suffix, Path: a.Path + b.Suffix, Size: ref.Size, SHA256: ref.SHA256})
		}
	}
}

// takePackages takes over what another process made and noted in the journal.
func (r *run) takePackages(ctx context.Context) error {
	made, errs := each.Do(ctx, each.Limits{Jobs: r.Jobs}, false, r.todo.Targets, nil, func(ctx context.Context, t plan.Target) (*Artifact, error) {
		name := filepath.Join(r.Out, t.Filename)
		a, err := r.takePackage(ctx, &t, name)
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", t.Filename, err)
		}
		if a == nil {
			return nil, fmt.Errorf("package %s: it is not what the journal of packages says was made: make the packages again", t.Filename)
		}
		return a, nil
	})
	r.note(made)
	return errors.Join(errs...)
}

func (r *run) takePackage(ctx context.Context, t *plan.Target, name string) (*Artifact, error) {
	b, err := formats.FileBlob(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || r.journal.outcome("package "+t.Filename) != b.Ref().SHA256.String() {
		return nil, err
	}
	return r.takeOver(ctx, t, name, b)
}

// joinDistinct joins errors, each text once: a missing slot is missing for all
// formats.
func joinDistinct(errs []error) error {
	seen := make(map[string]bool)
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool {
		twice := seen[err.Error()]
		seen[err.Error()] = true
		return twice
	})...)
}

// spec completes a target's spec by what is read from files.
func (r *run) spec(slots *source.Slots, t *plan.Target) (*formats.Spec, error) {
	spec := *t.Spec
	var err error
	if _, ok := r.dirs[t.Package]; ok {
		spec.Scripts = source.DirScripts(t.Package)
	} else if spec.Scripts, err = slots.Scripts(r.project, t.Config, t.Scripts); err != nil {
		return nil, err
	}
	fallback := formats.Change{Version: spec.Version, Time: spec.Time, Maintainer: spec.Maintainer, Lines: []string{"New version."}}
	if spec.Changelog, err = slots.Changelog(r.project.Changelog, spec.Maintainer, fallback); err != nil {
		return nil, &config.Error{File: r.project.File, Path: "changelog", Err: err}
	}
	return &spec, nil
}

// makeOne writes one package and reads back what it says of itself.
func (r *run) makeOne(ctx context.Context, t *plan.Target, spec *formats.Spec, files []formats.File) (a *Artifact, err error) {
	name := filepath.Join(r.Out, t.Filename)
	in, err := r.packageInputs(t, spec, files)
	if err != nil {
		return nil, err
	}
	if b, err := r.journal.madeAlready(t.Filename, name, in); err != nil {
		return nil, err
	} else if b != nil {
		if a, err := r.takeOver(ctx, t, name, b); a != nil || err != nil {
			return a, err
		}
	}
	part := name + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			os.Remove(part)
			a = nil
		}
	}()
	w := &hashed{ctx: ctx, w: f, h: sha256.New()}
	if err := t.Writer.Write(ctx, w, spec, t.Platform, files); err != nil {
		return nil, err
	}
	ref := formats.Ref{SHA256: formats.Digest(w.h.Sum(nil)), Size: w.n}
	meta, err := t.Writer.Describe(ctx, f, ref.Size)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	if meta.Name != t.Name || meta.Version != t.Version || meta.Arch != t.Arch {
		return nil, fmt.Errorf("read back: it is %s %s (%s), was to be %s %s (%s)", meta.Name, meta.Version, meta.Arch, t.Name, t.Version, t.Arch)
	}
	if err := os.Rename(part, name); err != nil {
		return nil, err
	}
	if a, err = r.artifact(ctx, t, name, ref, meta); err != nil {
		return nil, err
	}
	return a, r.journal.note("package "+t.Filename, in, ref.SHA256.String())
}

// packageInputs is the digest of what a package is made of.
func (r *run) packageInputs(t *plan.Target, spec *formats.Spec, files []formats.File) (formats.Digest, error) {
	list := make([]any, 0, 6*len(files))
	for i := range files {
		f := &files[i]
		var ref formats.Ref
		if f.Content != nil {
			ref = f.Content.Ref()
		}
		list = append(list, f.Path, f.Type, f.Mode, f.Owner, f.Group, f.Target, ref)
	}
	key := ""
	if r.keyring != nil {
		for _, scheme := range []formats.Scheme{formats.OpenPGP, formats.RSA256} {
			if p, err := r.keyring.Public(plan.PackageKey, scheme); err == nil {
				key += " " + p.ID
			}
		}
	}
	return inputs(r.Tool, r.project.Sum, t.Format, t.Platform, spec, key, list)
}

// takeOver describes a package that an earlier run made; nil if it is not what
// the plan says.
func (r *run) takeOver(ctx context.Context, t *plan.Target, name string, b formats.Blob) (*Artifact, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	meta, err := t.Writer.Describe(ctx, f, b.Ref().Size)
	if err != nil || meta.Name != t.Name || meta.Version != t.Version || meta.Arch != t.Arch {
		return nil, nil
	}
	a, err := r.artifact(ctx, t, name, b.Ref(), meta)
	if err == nil {
		r.skip("%s: made by an earlier run of the same inputs", t.Filename)
	}
	return a, err
}

// artifact describes a finished package and signs it, where the signature is a
// file of its own.
func (r *run) artifact(ctx context.Context, t *plan.Target, name string, ref formats.Ref, meta *formats.Meta) (*Artifact, error) {
	platform := t.Platform
	a := &Artifact{Type: "package", Name: t.Filename, Path: name, Size: ref.Size, SHA256: ref.SHA256, Package: t.Package, Format: t.Format,
		Platform: &platform, Version: t.Version, Arch: t.Arch, meta: meta, blob: formats.KnownFile(name, ref)}
	if d, ok := t.Writer.(detacher); ok && r.keyring != nil {
		suffix, scheme := d.Detached()
		sig, err := r.sign(ctx, plan.PackageKey, scheme, a.blob)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(name+suffix, sig, 0o644); err != nil {
			return nil, err
		}
		a.beside = []publish.Beside{{Suffix: suffix, Blob: formats.Bytes(sig)}}
	}
	return a, nil
}

func (r *run) sign(ctx context.Context, key string, scheme formats.Scheme, b formats.Blob) ([]byte, error) {
	sign, err := r.keyring.Signer(key, scheme)
	if err != nil {
		return nil, err
	}
	in, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return sign(ctx, in)
}

// hashed hashes what it passes on, and stops with its context: nFPM and other
// writers know none.
type hashed struct {
	ctx context.Context
	w   io.Writer
	h   interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func (w *hashed) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.w.Write(b)
	w.h.Write(b[:n])
	w.n += int64(n)
	return n, err
}

// sumsOf renders SHA256SUMS, by name.
func sumsOf(names map[string]formats.Digest) []byte {
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(&b, "%s  %s\n", names[name], name)
	}
	return b.Bytes()
}

// checksums writes SHA256SUMS and its signature beside the packages, and
// artifacts.json, in whose form GoReleaser's users know it.
func (r *run) checksums(ctx context.Context) error {
	names := make(map[string]formats.Digest)
	for _, a := range r.report.Artifacts {
		names[a.Name] = a.SHA256
	}
	text := sumsOf(names)
	put := func(kind, name string, b []byte) error {
		at := filepath.Join(r.Out, name)
		ref := formats.Bytes(b).Ref()
		r.report.Artifacts = append(r.report.Artifacts, &Artifact{Type: kind, Name: name, Path: at, Size: ref.Size, SHA256: ref.SHA256})
		return os.WriteFile(at, b, 0o644)
	}
	if err := put("checksums", "SHA256SUMS", text); err != nil {
		return err
	}
	if r.keyring != nil {
		sig, err := r.sign(ctx, plan.PackageKey, formats.OpenPGPArmor, formats.Bytes(text))
		if err != nil {
			return err
		}
		if err := put("signature", "SHA256SUMS.asc", sig); err != nil {
			return err
		}
	}
	return r.writeList(path.Base(r.Out))
}

// writeList writes artifacts.json. Its paths are those GoReleaser would give:
// below the folder's own name.
func (r *run) writeList(dir string) error {
	var b bytes.Buffer
	b.WriteString("[\n")
	for i, a := range r.report.Artifacts {
		item := listItem{Name: a.Name, Path: path.Join(dir, a.Name), Type: listTypes[a.Type], Size: a.Size, SHA256: a.SHA256.String(), Format: a.Format, Version: a.Version}
		if a.Platform != nil {
			item.Goos, item.Goarch, item.Goarm = a.Platform.OS, a.Platform.Arch, strings.TrimPrefix(a.Platform.Variant, "v")
		}
		line, err := item.render()
		if err != nil {
			return err
		}
		b.Write(line)
		if i < len(r.report.Artifacts)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	return os.WriteFile(filepath.Join(r.Out, "artifacts.json"), b.Bytes(), 0o644)
}
