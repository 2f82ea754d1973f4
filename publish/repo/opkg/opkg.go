// Package opkg writes feeds for opkg, the package manager of OpenWrt before 25.12
// and of Yocto: opkg/<channel>/<arch>/ with Packages, Packages.gz and the packages
// beside them. There is neither a Release file nor a pool: opkg asks for
// <feed>/Packages.gz and for what Filename says, relative to the feed.
//
// Packages holds the packages' control paragraphs with Filename, Size and
// SHA256sum. It is signed twice, both times over the uncompressed text:
// Packages.sig is usign's (Ed25519; OpenWrt's "option check_signature"), and
// Packages.asc OpenPGP's (Yocto's "option signature_type gpg-asc"). A feed without
// packages is an empty index, not a missing one.
//
// opkg takes no package whose architecture is not among its own; those of every
// CPU (all) lie in each feed.
package opkg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/ipk"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/internal/cpu"
)

// Options are the keys of opkg: in a site.
type Options struct {
	Arches     map[string][]string `yaml:"arches" doc:"opkg's words for a CPU, by platform, where the usual one does not do: arm64: [aarch64_generic, aarch64_cortex-a53]. Each has a feed of its own."`
	Extension  string              `yaml:"extension" enum:"ipk,opk" doc:"What package files end in; ipk where absent."`
	NewestOnly bool                `yaml:"newest-only" doc:"Lists only the newest version of each package; all that are kept where absent."`
}

// Kind makes feeds for opkg.
func Kind() publish.RepoKind {
	return publish.RepoKind{
		Name:    "opkg",
		Formats: []string{"ipk"},
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

// Repo writes the indexes of opkg.
type Repo struct {
	env   publish.RepoEnv
	o     Options
	cpus  []cpu.CPU
	usign *signature // nil: unsigned
	armor *signature
}

var _ publish.Indexed = (*Repo)(nil)

type signature struct {
	key  *formats.PublicKey
	sign formats.Signer
}

var (
	channelForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	archForm    = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.+-]*$`)
	nameForm    = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9+._-]*$`)
	versionForm = regexp.MustCompile(`^([0-9]+:)?[a-zA-Z0-9][a-zA-Z0-9.+~-]*$`)
	keyForm     = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// New returns feeds for env's channels and platforms. It asks for the public keys
// at once, so that a key that can't sign shows before anything is published.
func New(o Options, env publish.RepoEnv) (*Repo, error) {
	r := &Repo{env: env, o: o}
	switch o.Extension {
	case "":
		r.o.Extension = "ipk"
	case "ipk", "opk":
	default:
		return nil, fmt.Errorf("extension %q is neither ipk nor opk", o.Extension)
	}
	for _, ch := range env.Channels {
		if !channelForm.MatchString(ch) {
			return nil, fmt.Errorf("channel %q can't be a directory: use lower-case letters, digits and . - _", ch)
		}
	}
	var err error
	if r.cpus, err = cpu.Words(openwrt, o.Arches, env.Platforms, archForm); err != nil {
		return nil, fmt.Errorf("arches: %w", err)
	}
	if env.Key == "" {
		return r, nil
	}
	if env.Keys == nil {
		return nil, fmt.Errorf("key %q is not there: no keys were opened", env.Key)
	}
	if r.usign, err = open(env, formats.Usign); err != nil {
		return nil, err
	}
	if !keyForm.MatchString(r.usign.key.Name) {
		return nil, fmt.Errorf("key file name %q is not the 16 digits opkg looks for in /etc/opkg/keys", r.usign.key.Name)
	}
	r.armor, err = open(env, formats.OpenPGPArmor)
	return r, err
}

func open(env publish.RepoEnv, s formats.Scheme) (*signature, error) {
	key, err := env.Keys.Public(env.Key, s)
	if err != nil {
		return nil, err
	}
	// While keys are rotated the tree has two ("main+also"); opkg reads one
	// signature of a file, so the first signs alone.
	first, _, _ := strings.Cut(env.Key, "+")
	sign, err := env.Keys.Signer(first, s)
	if err != nil {
		return nil, err
	}
	return &signature{key, sign}, nil
}

// Name is "opkg".
func (r *Repo) Name() string { return "opkg" }

// Settings renders what the indexes depend on besides the records.
func (r *Repo) Settings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "opkg 1\nextension %s\nnewest-only %t\n", r.o.Extension, r.o.NewestOnly)
	for _, c := range r.cpus {
		fmt.Fprintf(&b, "cpu %s %q\n", c.Platform, c.Words)
	}
	if r.usign != nil {
		fmt.Fprintf(&b, "usign %s\nopenpgp %s\n", r.usign.key.ID, r.armor.key.ID)
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

// Indexes are the channel's feeds, one per word of each CPU.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	if !slices.Contains(r.env.Channels, channel) {
		return nil
	}
	var all []publish.ClientIndex
	for _, c := range r.cpus {
		for _, w := range c.Words {
			all = append(all, publish.ClientIndex{Arch: w, Path: "opkg/" + channel + "/" + w})
		}
	}
	return all
}

// Place lists m in the feed of its architecture; packages of every CPU in all.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "ipk" {
		return nil, nil
	}
	if !slices.Contains(r.env.Channels, channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", channel, strings.Join(r.env.Channels, " "))
	}
	if !nameForm.MatchString(m.Name) || !versionForm.MatchString(m.Version) || !archForm.MatchString(m.Arch) {
		return nil, fmt.Errorf("package %q version %q for %q can't be a file name", m.Name, m.Version, m.Arch)
	}
	_, version, found := strings.Cut(m.Version, ":") // as dpkg: no epoch in file names
	if !found {
		version = m.Version
	}
	var places []publish.Placement
	for _, c := range r.cpus {
		for _, w := range c.Words {
			if m.Arch != w && m.Arch != "all" && m.Arch != "noarch" {
				continue
			}
			part := channel + "/" + w
			places = append(places, publish.Placement{
				Partition: part,
				Path:      fmt.Sprintf("opkg/%s/%s_%s_%s.%s", part, m.Name, version, m.Arch, r.o.Extension),
			})
		}
	}
	return places, nil
}

// Less orders by name, then by dpkg's comparison of versions.
func (r *Repo) Less(a, b *publish.Record) bool {
	return cmp.Or(
		strings.Compare(a.Meta.Name, b.Meta.Name),
		ipk.Compare(a.Meta.Version, b.Meta.Version),
		strings.Compare(a.Meta.Version, b.Meta.Version),
	) < 0
}

// Root is the partition itself: each feed is signed on its own.
func (r *Repo) Root(partition string) string { return partition }

// Streams lists Packages.
func (r *Repo) Streams(partition string) []publish.Stream {
	return []publish.Stream{{
		Name:  stream,
		Forms: []publish.Form{publish.Plain, publish.Gzip},
		Head:  func(int) []byte { return nil },
		Page:  func(recs []*publish.Record) ([]byte, error) { return page(recs, r.o.NewestOnly) },
	}}
}

const stream = "Packages"

// Finish writes the indexes and their signatures.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	out := &publish.RootOutput{}
	for i := range in.Partitions {
		p := &in.Partitions[i]
		dir := "opkg/" + p.Partition + "/"
		for _, form := range []publish.Form{publish.Plain, publish.Gzip} {
			idx := p.Find(stream, form)
			if idx == nil {
				return nil, fmt.Errorf("partition %s has no index %s in form %q", p.Partition, stream, form)
			}
			path := dir + stream
			if form != publish.Plain {
				path += "." + string(form)
			}
			out.Files = append(out.Files, publish.RootFile{
				Path: path, Class: publish.Pointer, Blob: idx.Blob,
				Partition: p.Partition, Stream: stream, Form: form,
			})
		}
		if r.usign == nil {
			continue
		}
		plain := p.Find(stream, publish.Plain).Blob
		for _, s := range []struct {
			suffix string
			*signature
		}{{".sig", r.usign}, {".asc", r.armor}} {
			sig, err := signBlob(ctx, s.sign, plain)
			if err != nil {
				return nil, fmt.Errorf("partition %s: sign %s%s: %w", p.Partition, stream, s.suffix, err)
			}
			out.Files = append(out.Files, publish.RootFile{
				Path: dir + stream + s.suffix, Class: publish.Pointer, Blob: formats.Bytes(sig),
			})
		}
	}
	return out, nil
}

func signBlob(ctx context.Context, sign formats.Signer, b formats.Blob) (sig []byte, err error) {
	f, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return sign(ctx, f)
}

// openwrt has the word that formats/ipk writes for each CPU.
var openwrt = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64_generic", "armv6": "arm_arm1176jzf-s_vfp", "armv7": "arm_cortex-a7_neon-vfpv4",
	"386": "i386_pentium4", "riscv64": "riscv64_generic", "ppc64le": "powerpc64le", "s390x": "s390x",
	"loong64": "loongarch64_generic",
}
