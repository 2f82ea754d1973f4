// Package dnf writes rpm-md repositories, which dnf, yum and zypper read.
//
// A channel is one repository for all CPUs, in rpm/<channel>/, or one per CPU where
// its folder is said to have {arch}:
//
//	repodata/repomd.xml                     names the indexes by digest
//	repodata/repomd.xml.asc                 its detached OpenPGP signature
//	repodata/repomd.xml.key                 the key, which zypper offers to import
//	repodata/<sha256>-primary.xml.zst       what packages are, need and provide
//	repodata/<sha256>-filelists.xml.zst     their files
//	repodata/<sha256>-other.xml.zst         their changelogs
//	Packages/h/hello-1.2.0-1.x86_64.rpm
//
// The entries agree with those of createrepo_c for the same packages; sqlite
// copies, module and group data are not written. Format:
// https://github.com/rpm-software-management/createrepo_c and
// https://en.opensuse.org/openSUSE:Standards_Rpm_Metadata
//
// The entry of a package that lies elsewhere has an xml:base.
//
// rpm-md has neither an expiry date nor a guard against old indexes: a mirror can
// serve an older, rightly signed repomd.xml and no client will say so.
package dnf

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/rpm"
	"github.com/distropack/distropack/publish"
)

// Options are the keys of a site's dnf section.
type Options struct {
	Compression string            `yaml:"compression" enum:"zstd,gzip" doc:"How indexes are compressed: zstd, or gzip for the yum of CentOS 7 and Amazon Linux 2; zstd where absent."`
	Dirs        map[string]string `yaml:"dirs" doc:"The folder of each channel's repository, the one that repodata/ lies in; rpm/ and the channel where absent, . for the top. {arch} stands for dnf's $basearch: el9/{arch} makes a repository per CPU."`
	Packages    string            `yaml:"packages" enum:"letter,flat" doc:"Where packages lie in a repository: below Packages/ by their first letter (letter), or beside repodata/ (flat); letter where absent."`
}

// Kind returns the kind that serves rpm packages.
func Kind() publish.RepoKind {
	return publish.RepoKind{
		Name:    "dnf",
		Formats: []string{"rpm"},
		Options: &Options{},
		New: func(s formats.Section, env publish.RepoEnv) (publish.Repo, error) {
			r, err := New(s, env)
			if err != nil {
				return nil, err
			}
			return r, nil
		},
	}
}

// Repo writes rpm-md repositories. It may be used concurrently.
type Repo struct {
	env    publish.RepoEnv
	form   publish.Form
	dirs   map[string]string  // by channel, as in Options
	layout string             // for Settings: what of the layout is not as usual
	flat   bool               // packages lie beside repodata/
	key    *formats.PublicKey // nil: unsigned
}

var _ publish.Indexed = (*Repo)(nil)

// New reads the options and opens the signing key's public half.
func New(s formats.Section, env publish.RepoEnv) (*Repo, error) {
	var o Options
	if err := s.Decode(&o); err != nil {
		return nil, err
	}
	r := &Repo{env: env}
	switch o.Compression {
	case "", "zstd":
		r.form = publish.Zstd
	case "gzip":
		r.form = publish.Gzip
	default:
		return nil, fmt.Errorf("compression %q is unknown: use zstd or gzip", o.Compression)
	}
	if !legalName.MatchString(env.Name) {
		return nil, fmt.Errorf("repository name %q: use lower-case letters, digits and -", env.Name)
	}
	for _, c := range env.Channels {
		if !legalChannel.MatchString(c) {
			return nil, fmt.Errorf("channel %q: use lower-case letters, digits and . _ -", c)
		}
	}
	if err := r.lay(&o); err != nil {
		return nil, err
	}
	if env.Key == "" {
		return r, nil
	}
	if env.Keys == nil {
		return nil, fmt.Errorf("signing key %q was not opened: without it the repository can't be signed", env.Key)
	}
	var err error
	r.key, err = env.Keys.Public(env.Key, formats.OpenPGPArmor)
	return r, err
}

// lay reads where repositories and packages lie.
func (r *Repo) lay(o *Options) error {
	switch o.Packages {
	case "", "letter":
	case "flat":
		r.flat = true
	default:
		return fmt.Errorf("packages %q is unknown: use letter or flat", o.Packages)
	}
	if len(o.Dirs) > 0 || r.flat {
		r.layout = fmt.Sprintf("dirs %q\nflat %t\n", o.Dirs, r.flat)
	}
	r.dirs = o.Dirs
	owners := make(map[string]string)
	for _, c := range r.env.Channels {
		d := r.pattern(c)
		if d != "." && !legalDir.MatchString(strings.ReplaceAll(d, "{arch}", "arch")) {
			return fmt.Errorf("dirs: %q of channel %s is no folder of the tree: use letters, digits and . - _, and {arch}", d, c)
		}
		for _, p := range r.partitions(c, nil) {
			if other, ok := owners[r.dir(p)]; ok {
				return fmt.Errorf("dirs: channels %s and %s have one folder %q: give each its own", other, c, path.Clean(r.dir(p)))
			}
			owners[r.dir(p)] = c
		}
	}
	return nil
}

// pattern is the folder of a channel's repositories, with {arch} where there is one
// per CPU.
func (r *Repo) pattern(channel string) string { return cmp.Or(r.dirs[channel], "rpm/"+channel) }

// dir is where the repository of a partition lies: "" or with a trailing slash.
func (r *Repo) dir(partition string) string {
	channel, arch, _ := strings.Cut(partition, "/")
	return slashed(path.Clean(strings.ReplaceAll(r.pattern(channel), "{arch}", arch)))
}

// slashed puts a slash behind a directory of the tree, none behind the top.
func slashed(dir string) string {
	if dir == "." {
		return ""
	}
	return dir + "/"
}

// partitions of a channel: itself, or one per $basearch with packages for m's CPU;
// nil stands for all.
func (r *Repo) partitions(channel string, m *formats.Meta) []string {
	if !strings.Contains(r.pattern(channel), "{arch}") {
		return []string{channel}
	}
	var all []string
	for _, p := range r.env.Platforms {
		base, ok := basearch[p.CPU()]
		if ok && p.OS == "linux" && (m == nil || everywhere(m.Arch) || slices.Contains(arches[p.CPU()], m.Arch)) && !slices.Contains(all, channel+"/"+base) {
			all = append(all, channel+"/"+base)
		}
	}
	return all
}

var (
	legalDir     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
	legalName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	legalChannel = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	legalPart    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~^-]*$`) // of a file name
)

// Name is "dnf".
func (r *Repo) Name() string { return "dnf" }

// Settings tells what of the options and of this package reaches the indexes.
// Raise the number where the rendering changes.
func (r *Repo) Settings() string {
	key := ""
	if r.key != nil {
		key = r.key.ID
	}
	return fmt.Sprintf("dnf 1\ncompression %s\nkey %s\n%s", r.form, key, r.layout)
}

// Partitions are the channels, or <channel>/<basearch> where CPUs are apart.
func (r *Repo) Partitions() []string {
	var all []string
	for _, c := range r.env.Channels {
		all = append(all, r.partitions(c, nil)...)
	}
	return all
}

// Indexes are the channel's repositories: one for all CPUs, or one per $basearch.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	if !slices.Contains(r.env.Channels, channel) {
		return nil
	}
	var all []publish.ClientIndex
	for _, p := range r.partitions(channel, nil) {
		_, arch, _ := strings.Cut(p, "/")
		all = append(all, publish.ClientIndex{Arch: arch, Path: path.Clean(r.dir(p))})
	}
	return all
}

// Root is the partition: each has a repomd.xml of its own.
func (r *Repo) Root(partition string) string { return partition }

// Place takes binary packages of the configured CPUs, noarch and source packages.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "rpm" || !r.serves(m.Arch) {
		return nil, nil
	}
	if !slices.Contains(r.env.Channels, channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", channel, strings.Join(r.env.Channels, " "))
	}
	version, release := splitVersion(m.Version)
	for _, part := range []string{m.Name, version, release, m.Arch} {
		if !legalPart.MatchString(part) {
			return nil, fmt.Errorf("package %q %q: %q can't be part of a file name", m.Name, m.Version, part)
		}
	}
	file := m.Name + "-" + version + "-" + release + "." + m.Arch + ".rpm"
	if !r.flat {
		file = "Packages/" + strings.ToLower(m.Name[:1]) + "/" + file
	}
	var places []publish.Placement
	for _, p := range r.partitions(channel, m) {
		places = append(places, publish.Placement{Partition: p, Path: r.dir(p) + file})
	}
	return places, nil
}

// splitVersion takes "[epoch:]version-release" apart; the epoch is no part of
// file names.
func splitVersion(v string) (version, release string) {
	if _, rest, ok := strings.Cut(v, ":"); ok {
		v = rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// arches has rpm's words for CPUs; the first is ours, x86 has grown several.
var arches = map[string][]string{
	"amd64":   {"x86_64"},
	"arm64":   {"aarch64"},
	"armv6":   {"armv6hl"},
	"armv7":   {"armv7hl"},
	"386":     {"i386", "i486", "i586", "i686"},
	"riscv64": {"riscv64"},
	"ppc64le": {"ppc64le"},
	"s390x":   {"s390x"},
	"loong64": {"loongarch64"},
}

// basearch has dnf's $basearch of CPUs.
var basearch = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armhfp", "armv7": "armhfp", "386": "i386",
	"riscv64": "riscv64", "ppc64le": "ppc64le", "s390x": "s390x", "loong64": "loongarch64",
}

// everywhere tells packages that every CPU's repository lists.
func everywhere(arch string) bool { return arch == "noarch" || arch == "src" || arch == "nosrc" }

func (r *Repo) serves(arch string) bool {
	return everywhere(arch) || slices.ContainsFunc(r.env.Platforms, func(p formats.Platform) bool {
		return p.OS == "linux" && slices.Contains(arches[p.CPU()], arch)
	})
}

// Less orders by name, then by rpm's comparison of versions.
func (r *Repo) Less(a, b *publish.Record) bool {
	return cmp.Or(
		strings.Compare(a.Meta.Name, b.Meta.Name),
		rpm.Compare(a.Meta.Version, b.Meta.Version),
		strings.Compare(a.Meta.Version, b.Meta.Version), // 1.0 and 1.00 are one version to rpm
		strings.Compare(a.Meta.Arch, b.Meta.Arch),
		strings.Compare(a.Path, b.Path),
	) < 0
}
