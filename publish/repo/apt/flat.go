package apt

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// FlatInput is what a flat suite is made from.
type FlatInput struct {
	Channel string // whose Suite and Codename it bears
	At      int64  // Unix time of the index; where the suite is replaced, never before that of the previous one
	// Records are the packages beside the index, in any order; there may be none.
	// Where URL is set, all of them lie in one folder, and the last part of each URL
	// is the file's name there: hosts may rename what they are given.
	Records []*publish.Record
}

// Flat returns the files of a suite without folders: Packages, Packages.gz,
// Release, and with a key InRelease and Release.gpg. Their paths are plain names,
// to lie beside the packages, as assets of a release or in a folder of a bucket;
// apt reads them with "Suites: /". Origin, Label, Suite and Codename are those of
// the channel's suite, so what people pin by holds for both.
//
// A release's assets are never signed again, so there is no Valid-Until; and there
// are no by-hash files, since assets have no folders: for the moment in which a
// suite is replaced file by file, apt can find an index that is not the one its
// InRelease lists, and says so.
func (r *Repo) Flat(ctx context.Context, in FlatInput) ([]publish.File, error) {
	suite := r.suites[in.Channel]
	if suite == "" {
		return nil, fmt.Errorf("apt: there is no channel %q", in.Channel)
	}
	recs := slices.Clone(in.Records)
	slices.SortStableFunc(recs, func(a, b *publish.Record) int {
		switch {
		case r.Less(a, b):
			return -1
		case r.Less(b, a):
			return 1
		}
		return 0
	})
	var index bytes.Buffer
	arches := slices.Clone(r.arches)
	lies := make(map[string]*publish.Record)
	folder := ""
	for _, rec := range recs {
		if rec.Meta.Format != "deb" {
			return nil, fmt.Errorf("apt: %s is a package of format %q, and a suite lists deb", rec.Path, rec.Meta.Format)
		}
		name, at, err := fileName(rec)
		if err != nil {
			return nil, fmt.Errorf("apt: %s: %w", rec.Path, err)
		}
		if other := lies[name]; other != nil {
			if other.Ref == rec.Ref { // a package for all CPUs is in several partitions
				continue
			}
			return nil, fmt.Errorf("apt: %s %s and %s %s have one name in a flat suite: %s", other.Meta.Name, other.Meta.Version, rec.Meta.Name, rec.Meta.Version, name)
		}
		lies[name] = rec
		if at != "" && folder != "" && at != folder {
			return nil, fmt.Errorf("apt: packages of one flat suite lie in %s and in %s: apt looks beside the index only", folder, at)
		}
		folder = firstOf(at, folder)
		if err := stanza(&index, rec, name); err != nil {
			return nil, fmt.Errorf("apt: %s: %w", rec.Path, err)
		}
		index.WriteByte('\n')
		if rec.Meta.Arch != "all" {
			arches = append(arches, rec.Meta.Arch)
		}
	}
	slices.Sort(arches)

	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(index.Bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	files := []publish.File{
		{Path: packages, Class: publish.Index, Blob: formats.Bytes(index.Bytes())},
		{Path: packages + ".gz", Class: publish.Index, Blob: formats.Bytes(packed.Bytes())},
	}

	var b bytes.Buffer
	for _, l := range [][2]string{
		{"Origin", r.origin}, {"Label", r.label}, {"Suite", suite}, {"Codename", firstOf(r.codenames[suite], suite)},
		{"Date", time.Unix(in.At, 0).UTC().Format(dateForm)}, {"Acquire-By-Hash", "no"},
		{"Architectures", strings.Join(slices.Compact(arches), " ")}, {"Description", r.env.Description},
	} {
		if l[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", l[0], l[1])
		}
	}
	b.WriteString("SHA256:\n")
	for _, f := range files {
		ref := f.Blob.Ref()
		fmt.Fprintf(&b, " %s %d %s\n", ref.SHA256, ref.Size, f.Path)
	}
	release := publish.File{Path: "Release", Class: publish.Pointer, Blob: formats.Bytes(b.Bytes())}
	signed, err := r.sign(ctx, b.Bytes())
	if err != nil {
		return nil, err
	}
	return append(append(files, release), signed...), nil
}

// fileName returns the name of a package's file beside the index, and the folder
// it lies in as far as that is known.
func fileName(rec *publish.Record) (name, folder string, err error) {
	name = path.Base(rec.Path)
	if rec.URL != "" {
		u, err := url.Parse(rec.URL)
		if err != nil {
			return "", "", errors.New("the address where it lies is no URL: use https://host/folder/file.deb")
		}
		if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return "", "", fmt.Errorf("its address at %s has a user, a query or a fragment: apt asks for the name alone", u.Host)
		}
		name, folder = path.Base(u.Path), u.Scheme+"://"+u.Host+path.Dir(u.Path)
	}
	if !legalFile(name) {
		return "", "", fmt.Errorf("%q is no name of a package's file", name)
	}
	return name, folder, nil
}

// legalFile tells names that fit a line of an index and need no quoting: what
// stands in pools.
func legalFile(name string) bool {
	return strings.HasSuffix(name, ".deb") && !strings.HasPrefix(name, ".") && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~_-") == ""
}
