// Package apk writes repositories for apk, the package manager of Alpine Linux and
// of OpenWrt since 25.12: apk/<channel>/<arch>/ with APKINDEX.tar.gz and the
// packages NAME-VERSION-rN.apk beside it.
//
// The index is in the form that apk 2 and apk 3 both read
// (https://man.archlinux.org/man/apk-v2.5, apk-repositories(5)): a gzip member with
// a tar that is cut before its end, holding the signature, and a gzip member with
// a tar of DESCRIPTION and APKINDEX. The signature is RSA over SHA-256 of the
// second member's compressed bytes, and its name ends in the file name that the
// key has in /etc/apk/keys.
//
// apk looks for a package next to the index it found it in, and only there; so
// packages of every CPU (noarch) lie in each CPU's directory, and the index says
// they are of that CPU, as "apk index --rewrite-arch" does.
//
// It neither builds nor signs packages, and writes no index in apk 3's own format.
package apk

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	apkformat "github.com/distropack/distropack/formats/apk"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/internal/cpu"
)

// Options are the keys of apk: in a site.
type Options struct {
	Arches map[string][]string `yaml:"arches" doc:"apk's words for a CPU, by platform, where Alpine's do not do: amd64: [x86_64], arm64: [aarch64, aarch64_cortex-a53]. A package is listed under each word of its CPU."`
}

// Kind makes repositories for apk.
func Kind() publish.RepoKind {
	return publish.RepoKind{
		Name:    "apk",
		Formats: []string{"apk"},
		Options: &Options{},
		New: func(s formats.Section, env publish.RepoEnv) (publish.Repo, error) {
			var o Options
			if err := s.Decode(&o); err != nil {
				return nil, err
			}
			return New(o, env)
		},
	}
}

// Repo writes the indexes of apk.
type Repo struct {
	env  publish.RepoEnv
	cpus []cpu.CPU
	key  *formats.PublicKey // nil: unsigned
	sign formats.Signer
}

var _ publish.Indexed = (*Repo)(nil)

var (
	channelForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	archForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_.+-]*$`)
	nameForm    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9+._-]*$`)
	versionForm = regexp.MustCompile(`^[0-9][a-zA-Z0-9._~-]*$`)
	keyForm     = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9@+._-]*$`)
)

// New returns a repository of env's channels and platforms. It asks for the public
// key at once, so that a key that can't sign shows before anything is published.
func New(o Options, env publish.RepoEnv) (*Repo, error) {
	r := &Repo{env: env}
	for _, ch := range env.Channels {
		if !channelForm.MatchString(ch) {
			return nil, fmt.Errorf("channel %q can't be a directory: use lower-case letters, digits and . - _", ch)
		}
	}
	var err error
	if r.cpus, err = cpu.Words(alpine, o.Arches, env.Platforms, archForm); err != nil {
		return nil, fmt.Errorf("arches: %w", err)
	}
	if env.Key == "" {
		return r, nil
	}
	if env.Keys == nil {
		return nil, fmt.Errorf("key %q is not there: no keys were opened", env.Key)
	}
	if r.key, err = env.Keys.Public(env.Key, formats.RSA256); err != nil {
		return nil, err
	}
	if !keyForm.MatchString(r.key.Name) {
		return nil, fmt.Errorf("key file name %q can't stand in /etc/apk/keys: name the project by letters, digits and . + _ - only", r.key.Name)
	}
	r.sign, err = env.Keys.Signer(env.Key, formats.RSA256)
	return r, err
}

// Name is "apk".
func (r *Repo) Name() string { return "apk" }

// Settings renders what the indexes depend on besides the records.
func (r *Repo) Settings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apk 1\nname %q\n", r.env.Name)
	for _, c := range r.cpus {
		fmt.Fprintf(&b, "cpu %s %q\n", c.Platform, c.Words)
	}
	if r.key != nil {
		fmt.Fprintf(&b, "key %s %s\n", r.key.Name, r.key.ID)
	}
	return b.String()
}

// Partitions lists <channel>/<arch>.
func (r *Repo) Partitions() []string {
	var all []string
	for _, ch := range r.env.Channels {
		for _, c := range r.cpus {
			for _, w := range c.Words {
				all = append(all, ch+"/"+w)
			}
		}
	}
	return all
}

// Indexes are the channel's folders, one per word of each CPU.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	if !slices.Contains(r.env.Channels, channel) {
		return nil
	}
	var all []publish.ClientIndex
	for _, c := range r.cpus {
		for _, w := range c.Words {
			all = append(all, publish.ClientIndex{Arch: w, Path: "apk/" + channel + "/" + w})
		}
	}
	return all
}

// Place lists m under every word of its CPU; noarch packages under all.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "apk" {
		return nil, nil
	}
	if !slices.Contains(r.env.Channels, channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", channel, strings.Join(r.env.Channels, " "))
	}
	if !nameForm.MatchString(m.Name) || !versionForm.MatchString(m.Version) {
		return nil, fmt.Errorf("package %q version %q can't be a file name that apk asks for", m.Name, m.Version)
	}
	var places []publish.Placement
	for _, c := range r.cpus {
		if m.Arch != "noarch" && m.Arch != "all" && !slices.Contains(c.Words, m.Arch) {
			continue
		}
		for _, w := range c.Words {
			part := channel + "/" + w
			places = append(places, publish.Placement{
				Partition: part,
				Path:      "apk/" + part + "/" + m.Name + "-" + m.Version + ".apk",
			})
		}
	}
	return places, nil
}

// Less orders by name, then by apk's comparison of versions.
func (r *Repo) Less(a, b *publish.Record) bool {
	return cmp.Or(
		strings.Compare(a.Meta.Name, b.Meta.Name),
		apkformat.Compare(a.Meta.Version, b.Meta.Version),
		strings.Compare(a.Meta.Version, b.Meta.Version),
	) < 0
}

// Root is the partition itself: each index is signed on its own.
func (r *Repo) Root(partition string) string { return partition }

// Streams lists APKINDEX. Its text has no head, since the header of the tar around
// it holds the length of the whole: Finish writes that.
func (r *Repo) Streams(partition string) []publish.Stream {
	_, arch, _ := strings.Cut(partition, "/")
	return []publish.Stream{{
		Name:  stream,
		Forms: []publish.Form{publish.Gzip},
		Head:  func(int) []byte { return nil },
		Page:  func(recs []*publish.Record) ([]byte, error) { return page(recs, arch) },
	}}
}

const stream = "APKINDEX"

func page(recs []*publish.Record, arch string) ([]byte, error) {
	var b []byte
	for _, rec := range recs {
		e, err := NewEntry(rec, arch)
		if err == nil {
			b, err = e.append(b)
		}
		if err != nil {
			return nil, fmt.Errorf("package %s %s: %w", rec.Meta.Name, rec.Meta.Version, err)
		}
	}
	return b, nil
}

// Finish writes APKINDEX.tar.gz, and the engine's own copy of the index to take
// pieces from next time: in the public file they stand in another gzip member.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	out := &publish.RootOutput{}
	for i := range in.Partitions {
		p := &in.Partitions[i]
		idx := p.Find(stream, publish.Gzip)
		if idx == nil {
			return nil, fmt.Errorf("partition %s has no index %s", p.Partition, stream)
		}
		packed, err := formats.ReadAll(idx.Blob)
		if err != nil {
			return nil, err
		}
		channel, _, _ := strings.Cut(p.Partition, "/")
		index, err := member(packed, idx.Plain.Size, r.env.Name+" "+channel, in.At)
		if err != nil {
			return nil, fmt.Errorf("partition %s: %w", p.Partition, err)
		}
		if r.sign != nil {
			if index, err = r.signed(ctx, index, in.At); err != nil {
				return nil, fmt.Errorf("partition %s: %w", p.Partition, err)
			}
		}
		out.Files = append(out.Files,
			publish.RootFile{
				Path:      ".distropack/index/apk/" + p.Partition + "/APKINDEX.gz",
				Class:     publish.Index,
				Blob:      idx.Blob,
				Partition: p.Partition, Stream: stream, Form: publish.Gzip,
			},
			publish.RootFile{
				Path:  "apk/" + p.Partition + "/APKINDEX.tar.gz",
				Class: publish.Pointer,
				Blob:  formats.Bytes(index),
			})
	}
	return out, nil
}

// alpine has Alpine's word of each CPU.
var alpine = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armhf", "armv7": "armv7", "386": "x86",
	"riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64",
}
