package apt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// keep is how many older generations of an index stay reachable by hash: a mirror
// or a CDN may serve a Release file that is as old.
const keep = 3

// Finish implements publish.Repo: the suite's Packages and Contents at their
// names and by hash, and Release, InRelease and Release.gpg.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	dir := path.Join(r.dir, "dists", in.Root)
	out := &publish.RootOutput{Keep: keep}
	type entry struct {
		path string
		ref  formats.Ref
	}
	var entries []entry
	var arches, components []string
	for i := range in.Partitions {
		p := &in.Partitions[i]
		parts := strings.Split(p.Partition, "/")
		if len(parts) != 3 {
			return nil, fmt.Errorf("partition %q is not suite/component/arch", p.Partition)
		}
		component, arch := parts[1], parts[2]
		arches, components = append(arches, arch), append(components, component)
		for _, x := range p.Indexes {
			name := path.Join(component, "binary-"+arch, packages)
			if x.Stream == contents {
				name = path.Join(component, "Contents-"+arch)
			}
			if x.Form != publish.Plain {
				name += "." + string(x.Form)
			}
			ref := x.Blob.Ref()
			entries = append(entries, entry{name, ref})
			if x.Stream == contents { // apt wants the plain file's hash too; it need not exist
				entries = append(entries, entry{strings.TrimSuffix(name, ".gz"), x.Plain})
			}
			out.Files = append(out.Files, publish.RootFile{Path: path.Join(dir, name), Class: publish.Pointer, Blob: x.Blob, Partition: p.Partition, Stream: x.Stream, Form: x.Form})
			if r.byHash {
				out.Files = append(out.Files, publish.RootFile{Path: path.Join(dir, path.Dir(name), "by-hash", "SHA256", ref.SHA256.String()), Class: publish.Index, Blob: x.Blob})
			}
		}
		stub := formats.Bytes(fmt.Appendf(nil, "Archive: %s\nOrigin: %s\nLabel: %s\nAcquire-By-Hash: %s\nComponent: %s\nArchitecture: %s\n", in.Root, r.origin, r.label, yes(r.byHash), component, arch))
		name := path.Join(component, "binary-"+arch, "Release")
		entries = append(entries, entry{name, stub.Ref()})
		out.Files = append(out.Files, publish.RootFile{Path: path.Join(dir, name), Class: publish.Pointer, Blob: stub})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Compare(a.path, b.path) })
	slices.Sort(arches)
	slices.Sort(components)

	var b bytes.Buffer
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\n", key, value)
		}
	}
	at := time.Unix(in.At, 0).UTC()
	line("Origin", r.origin)
	line("Label", r.label)
	line("Suite", in.Root)
	line("Codename", firstOf(r.codenames[in.Root], in.Root))
	line("Date", at.Format(dateForm))
	if r.validFor > 0 {
		line("Valid-Until", at.Add(r.validFor).Format(dateForm))
	}
	line("Acquire-By-Hash", yes(r.byHash))
	// Packages for all CPUs are in each CPU's index, there is no binary-all.
	line("No-Support-for-Architecture-all", "Packages")
	line("Architectures", strings.Join(slices.Compact(arches), " "))
	line("Components", strings.Join(slices.Compact(components), " "))
	line("Description", r.env.Description)
	b.WriteString("SHA256:\n")
	for _, e := range entries {
		fmt.Fprintf(&b, " %s %d %s\n", e.ref.SHA256, e.ref.Size, e.path)
	}
	release := b.Bytes()
	out.Files = append(out.Files, publish.RootFile{Path: path.Join(dir, "Release"), Class: publish.Pointer, Blob: formats.Bytes(release)})
	signed, err := r.sign(ctx, release)
	if err != nil {
		return nil, err
	}
	for _, f := range signed {
		out.Files = append(out.Files, publish.RootFile{Path: path.Join(dir, f.Path), Class: f.Class, Blob: f.Blob})
	}
	return out, nil
}

// sign returns InRelease and Release.gpg of a Release file; none without a key.
func (r *Repo) sign(ctx context.Context, release []byte) ([]publish.File, error) {
	if r.env.Key == "" {
		return nil, nil
	}
	signed := []struct {
		name   string
		scheme formats.Scheme
	}{{"InRelease", formats.OpenPGPClear}, {"Release.gpg", formats.OpenPGPArmor}}
	// Side by side: RSA takes longer than all of the above.
	sigs, errs := make([][]byte, len(signed)), make([]error, len(signed))
	var wg sync.WaitGroup
	for i, s := range signed {
		wg.Go(func() {
			sign, err := r.env.Keys.Signer(r.env.Key, s.scheme)
			if err == nil {
				sigs[i], err = sign(ctx, bytes.NewReader(release))
			}
			if err != nil {
				errs[i] = fmt.Errorf("sign %s: %w", s.name, err)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var files []publish.File
	for i, s := range signed {
		files = append(files, publish.File{Path: s.name, Class: publish.Pointer, Blob: formats.Bytes(sigs[i])})
	}
	return files, nil
}

// dateForm is RFC 2822 with the zone apt insists on.
const dateForm = "Mon, 02 Jan 2006 15:04:05 UTC"

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
