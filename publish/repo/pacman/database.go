package pacman

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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
	streams := r.Streams(part.Partition)
	sigs, errs := make([][]byte, len(streams)), make([]error, len(streams))
	var wg sync.WaitGroup // RSA takes longer than all else
	for i, s := range streams {
		index := part.Find(s.Name, r.form)
		switch {
		case index == nil:
			errs[i] = fmt.Errorf("partition %s has no index %s.%s", part.Partition, s.Name, r.form)
		case r.signDB:
			wg.Go(func() {
				if sigs[i], errs[i] = r.sign(ctx, index.Blob); errs[i] != nil {
					errs[i] = fmt.Errorf("sign %s: %w", dir+name+"."+s.Name, errs[i])
				}
			})
		}
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	out := &publish.RootOutput{}
	for i, s := range streams {
		file := dir + name + "." + s.Name
		out.Files = append(out.Files, publish.RootFile{
			Path: file, Class: publish.Pointer, Blob: part.Find(s.Name, r.form).Blob,
			Partition: part.Partition, Stream: s.Name, Form: r.form,
		})
		if r.signDB {
			out.Files = append(out.Files, publish.RootFile{Path: file + ".sig", Class: publish.Pointer, Blob: formats.Bytes(sigs[i])})
		}
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
