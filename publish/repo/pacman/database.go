package pacman

import (
	"context"
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Finish puts the databases at their names and signs them. They are overwritten
// in place, so nothing is retired but what a change of options leaves behind.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	if len(in.Partitions) != 1 {
		return nil, fmt.Errorf("a database has one partition, not %d", len(in.Partitions))
	}
	part := &in.Partitions[0]
	dir, name := r.database(part.Partition)
	out := &publish.RootOutput{}
	for _, s := range r.Streams(part.Partition) {
		index := part.Find(s.Name, r.form)
		if index == nil {
			return nil, fmt.Errorf("partition %s has no index %s.%s", part.Partition, s.Name, r.form)
		}
		file := dir + name + "." + s.Name
		out.Files = append(out.Files, publish.RootFile{
			Path: file, Class: publish.Pointer, Blob: index.Blob,
			Partition: part.Partition, Stream: s.Name, Form: r.form,
		})
		if !r.signDB {
			continue
		}
		sig, err := r.sign(ctx, index.Blob)
		if err != nil {
			return nil, fmt.Errorf("sign %s: %w", file, err)
		}
		out.Files = append(out.Files, publish.RootFile{Path: file + ".sig", Class: publish.Pointer, Blob: formats.Bytes(sig)})
	}
	return out, nil
}

func (r *Repo) sign(ctx context.Context, b formats.Blob) ([]byte, error) {
	// While keys are rotated the tree has two ("main+also"). pacman takes a file
	// for wrongly signed unless it knows the keys of all signatures in it, so the
	// first signs alone.
	first, _, _ := strings.Cut(r.env.Key, "+")
	sign, err := r.env.Keys.Signer(first, formats.OpenPGP)
	if err != nil {
		return nil, err
	}
	f, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return sign(ctx, f)
}
