// Package downloads lists what people fetch without a client: archives, under
// downloads/<name>/<version>/, with a SHA256SUMS per channel (the form of
// sha256sum(1)) and its signature. What lies elsewhere is listed there by its name
// alone: that is what people have who fetched it and check the file beside them.
package downloads

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Formats lists what this repository takes.
var Formats = []string{"tar.gz", "tar.zst", "tar.xz", "zip"}

// Repo lists archives.
type Repo struct {
	env   publish.RepoEnv
	keyID string
}

var (
	_ publish.Elsewhere = (*Repo)(nil)
	_ publish.Indexed   = (*Repo)(nil)
)

// Kind is downloads in the list of repositories.
func Kind() publish.RepoKind {
	return publish.RepoKind{Name: "downloads", Formats: Formats, New: func(_ formats.Section, env publish.RepoEnv) (publish.Repo, error) {
		r := &Repo{env: env}
		if env.Key != "" {
			pub, err := env.Keys.Public(env.Key, formats.OpenPGP)
			if err != nil {
				return nil, err
			}
			r.keyID = pub.ID
		}
		return r, nil
	}}
}

// Name implements publish.Repo.
func (r *Repo) Name() string { return "downloads" }

// ListsElsewhere is true: people follow whatever address the page has.
func (r *Repo) ListsElsewhere() bool { return true }

// Settings implements publish.Repo.
func (r *Repo) Settings() string { return "1 " + r.keyID }

// Partitions implements publish.Repo: the channels.
func (r *Repo) Partitions() []string { return slices.Clone(r.env.Channels) }

// Indexes implements publish.Indexed: the channel's SHA256SUMS.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	if !slices.Contains(r.env.Channels, channel) {
		return nil
	}
	return []publish.ClientIndex{{Path: r.list(channel)}}
}

// list is where a channel's SHA256SUMS lies.
func (r *Repo) list(channel string) string {
	if channel != r.env.Channels[0] {
		return "downloads/" + sums + "-" + channel
	}
	return "downloads/" + sums
}

var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+~-]*$`)

// Place implements publish.Repo. All channels share the files.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if !slices.Contains(Formats, m.Format) || !slices.Contains(r.env.Channels, channel) {
		return nil, nil
	}
	p, err := Path(m)
	if err != nil {
		return nil, err
	}
	return []publish.Placement{{Partition: channel, Path: p}}, nil
}

// Path is where an archive lies in a tree.
func Path(m *formats.Meta) (string, error) {
	system, cpu := m.Get("os"), m.Get("arch")+m.Get("variant")
	for _, s := range []string{m.Name, m.Version, system, cpu} {
		if !word.MatchString(s) {
			return "", fmt.Errorf("archive %q of version %q for %q, %q: not words for a path", m.Name, m.Version, system, cpu)
		}
	}
	return path.Join("downloads", m.Name, m.Version, fmt.Sprintf("%s_%s_%s_%s.%s", m.Name, m.Version, system, cpu, m.Format)), nil
}

// Less implements publish.Repo.
func (r *Repo) Less(a, b *publish.Record) bool {
	if a.Meta.Name != b.Meta.Name {
		return a.Meta.Name < b.Meta.Name
	}
	// A release behind the version ("1.2.0-2") would read as a pre-release, so
	// upstream's version decides first.
	c := cmp.Or(formats.CompareVersions(cmp.Or(a.Version, a.Meta.Version), cmp.Or(b.Version, b.Meta.Version)),
		cmp.Compare(len(a.Meta.Version), len(b.Meta.Version)), strings.Compare(a.Meta.Version, b.Meta.Version), strings.Compare(a.Path, b.Path))
	return c < 0
}

// Root implements publish.Repo.
func (r *Repo) Root(partition string) string { return partition }

const sums = "SHA256SUMS"

// Streams implements publish.Repo.
func (r *Repo) Streams(string) []publish.Stream {
	return []publish.Stream{{Name: sums, Forms: []publish.Form{publish.Plain}, Head: func(int) []byte { return nil }, Page: func(recs []*publish.Record) ([]byte, error) {
		var b bytes.Buffer
		for _, rec := range recs {
			name := strings.TrimPrefix(rec.Path, "downloads/")
			if rec.URL != "" {
				u, err := url.Parse(rec.URL)
				if err != nil {
					return nil, fmt.Errorf("%s: the address where it lies is no URL: use https://host/folder/file", rec.Path)
				}
				if name = path.Base(u.Path); !word.MatchString(name) {
					return nil, fmt.Errorf("%s: it lies at %s as %q, which is no word for a line of %s", rec.Path, u.Host, name, sums)
				}
			}
			fmt.Fprintf(&b, "%s  %s\n", rec.Ref.SHA256, name)
		}
		return b.Bytes(), nil
	}}}
}

// Finish implements publish.Repo.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	x := in.Partitions[0].Find(sums, publish.Plain)
	name := r.list(in.Root)
	out := &publish.RootOutput{Files: []publish.RootFile{{Path: name, Class: publish.Pointer, Blob: x.Blob, Partition: in.Root, Stream: sums}}}
	if r.env.Key == "" {
		return out, nil
	}
	sign, err := r.env.Keys.Signer(r.env.Key, formats.OpenPGPArmor)
	if err != nil {
		return nil, err
	}
	text, err := x.Blob.Open()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	sig, err := sign(ctx, text)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", name, err)
	}
	out.Files = append(out.Files, publish.RootFile{Path: name + ".asc", Class: publish.Pointer, Blob: formats.Bytes(sig)})
	return out, nil
}

// Guide implements publish.Repo: there is nothing to set up.
func (r *Repo) Guide(context.Context, *publish.GuideInput) (*publish.Guide, error) { return nil, nil }
