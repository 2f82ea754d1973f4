// Package pacman writes the repositories of pacman, libalpm's sync databases.
//
// All channels share a directory per CPU, so that a promotion copies no package;
// that directory and the names of databases can be said (Options):
//
//	arch/x86_64/hello.db             what stable's packages are, need and provide
//	arch/x86_64/hello.db.sig         its detached, binary OpenPGP signature
//	arch/x86_64/hello.files          the same with lists of files, for pacman -F
//	arch/x86_64/hello-beta.db        another channel
//	arch/x86_64/hello-1.2.0-1-x86_64.pkg.tar.zst, .sig
//
// A database is a compressed tar of a directory per package, named name-version,
// with the file desc and in .files also the file files: blocks of %KEY%, values one
// a line, an empty line. It lists the newest version of each name; older files
// stay where they are. Both names are real files, since static hosts serve no
// symlinks. pacman looks for the signature of a package beside the package even
// where the database holds a copy, so it holds none. A package that lies elsewhere
// is found by lines for another server, under the same name. Format: repo-add(8), and
// https://gitlab.archlinux.org/pacman/pacman/-/blob/master/lib/libalpm/be_sync.c
//
// The format has neither an expiry date nor a guard against old databases.
package pacman

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/publish"
)

// Options are the keys of a site's pacman section.
type Options struct {
	Compression   string            `yaml:"compression" enum:"gzip,zstd" doc:"How databases are compressed: gzip or zstd; gzip where absent."`
	Dir           string            `yaml:"dir" doc:"The folder of databases and packages; arch/{arch} where absent, . for the top. {arch} stands for pacman's $arch, {repo} for the database."`
	Databases     map[string]string `yaml:"databases" doc:"The database of each channel, which is the section's name in pacman.conf. Where absent it is the site's name, and -channel behind it for all channels but stable, or the first."`
	SignDatabase  *bool             `yaml:"sign-database" doc:"Signs databases beside packages; true where absent."`
	CheckDatabase *bool             `yaml:"check-database" doc:"The section for pacman.conf asks for the database's signature, besides each package's. Behind a cache that keeps files for minutes database and signature can be of two publishes, and updates then fail for a while: false where absent on a git branch, true elsewhere."`
}

// Kind returns the kind that serves Arch packages.
func Kind() publish.RepoKind {
	return publish.RepoKind{
		Name:    "pacman",
		Formats: []string{"arch"},
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

// Repo writes pacman's databases. It may be used concurrently.
type Repo struct {
	env       publish.RepoEnv
	form      publish.Form
	main      string             // the channel whose database bears the bare name
	dir       string             // with {arch} and {repo}
	layout    string             // for Settings: what of the layout is not as usual
	databases map[string]string  // by channel, as in Options
	key       *formats.PublicKey // nil: unsigned
	signDB    bool
	checkDB   bool // clients are told to ask for the database's signature
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
	case "", "gzip":
		r.form = publish.Gzip
	case "zstd":
		r.form = publish.Zstd
	default:
		return nil, fmt.Errorf("compression %q is unknown: use gzip or zstd", o.Compression)
	}
	if !legalName.MatchString(env.Name) {
		return nil, fmt.Errorf("repository name %q: use lower-case letters, digits and -", env.Name)
	}
	for _, c := range env.Channels {
		if !legalChannel.MatchString(c) {
			return nil, fmt.Errorf("channel %q: use lower-case letters, digits and . _ -", c)
		}
	}
	if len(env.Channels) > 0 {
		r.main = env.Channels[0]
	}
	if slices.Contains(env.Channels, "stable") {
		r.main = "stable"
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
	r.signDB = o.SignDatabase == nil || *o.SignDatabase
	r.checkDB = r.signDB && !env.Stale
	if o.CheckDatabase != nil {
		if r.checkDB = *o.CheckDatabase; r.checkDB && !r.signDB {
			return nil, errors.New("check-database asks for what sign-database: false leaves out")
		}
	}
	var err error
	r.key, err = env.Keys.Public(env.Key, formats.OpenPGP)
	return r, err
}

// lay reads what databases are called and where they lie.
func (r *Repo) lay(o *Options) error {
	r.databases, r.dir = o.Databases, cmp.Or(o.Dir, "arch/{arch}")
	if len(o.Databases) > 0 || o.Dir != "" {
		r.layout = fmt.Sprintf("databases %q\ndir %s\n", o.Databases, r.dir)
	}
	if r.dir != "." && !legalDir.MatchString(strings.NewReplacer("{arch}", "arch", "{repo}", "repo").Replace(r.dir)) {
		return fmt.Errorf("dir %q is no folder of the tree: use letters, digits and . - _, {arch} and {repo}", r.dir)
	}
	if cpus := r.arches(); len(cpus) > 1 && !strings.Contains(r.dir, "{arch}") {
		return fmt.Errorf("dir %q is one folder for %s, and pacman needs one for each: put {arch} into it", r.dir, strings.Join(cpus, " and "))
	}
	owners := make(map[string]string)
	for _, c := range r.env.Channels {
		db := r.databaseName(c)
		if !legalDatabase.MatchString(db) {
			return fmt.Errorf("databases: %q of channel %s: use letters, digits and . _ + -", db, c)
		}
		if slices.Contains(reserved, db) {
			return fmt.Errorf("database %q of channel %s is taken: pacman or Arch Linux uses it, set name or databases to another word", db, c)
		}
		if other, ok := owners[db]; ok {
			return fmt.Errorf("databases: channels %s and %s have one database %q: give each its own", other, c, db)
		}
		owners[db] = c
	}
	return nil
}

// reserved names are sections of pacman.conf that everybody has; local is the
// database of what is installed.
var reserved = []string{"options", "local", "core", "extra", "community", "multilib", "testing"}

var (
	legalName     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
	legalChannel  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	legalDatabase = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	legalDir      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$`)
	// The first character of a package's name may not be a dot or hyphen; a
	// version has an epoch's colon.
	legalPart = regexp.MustCompile(`^[A-Za-z0-9@_+][A-Za-z0-9@._+:~-]*$`)
)

// Name is "pacman".
func (r *Repo) Name() string { return "pacman" }

// Settings tells what of the options and of this package reaches the databases.
// Raise the number where the rendering changes.
func (r *Repo) Settings() string {
	key := ""
	if r.key != nil {
		key = r.key.ID
	}
	return fmt.Sprintf("pacman 1\nname %s\nmain %s\ncompression %s\nsign %t\nkey %s\n%s", r.env.Name, r.main, r.form, r.signDB, key, r.layout)
}

// Partitions are the channels, each with every CPU.
func (r *Repo) Partitions() []string {
	var all []string
	for _, c := range r.env.Channels {
		for _, a := range r.arches() {
			all = append(all, c+"/"+a)
		}
	}
	return all
}

// Indexes are the channel's databases, one per CPU.
func (r *Repo) Indexes(channel string) []publish.ClientIndex {
	if !slices.Contains(r.env.Channels, channel) {
		return nil
	}
	var all []publish.ClientIndex
	for _, a := range r.arches() {
		dir, name := r.database(channel + "/" + a)
		all = append(all, publish.ClientIndex{Arch: a, Path: dir + name})
	}
	return all
}

// Root is the partition: each database is signed on its own.
func (r *Repo) Root(partition string) string { return partition }

// words has pacman's words for CPUs.
var words = map[string]string{
	"amd64": "x86_64", "arm64": "aarch64", "armv6": "armv6h", "armv7": "armv7h", "386": "i686",
	"riscv64": "riscv64", "ppc64le": "powerpc64le", "s390x": "s390x", "loong64": "loong64",
}

func (r *Repo) arches() []string {
	var all []string
	for _, p := range r.env.Platforms {
		if w, ok := words[p.CPU()]; ok && p.OS == "linux" {
			all = append(all, w)
		}
	}
	return all
}

// Place lists packages of arch any for every CPU; each directory has its own
// file, since a database can't name one elsewhere.
func (r *Repo) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "arch" {
		return nil, nil
	}
	var cpus []string
	for _, a := range r.arches() {
		if m.Arch == "any" || m.Arch == a {
			cpus = append(cpus, a)
		}
	}
	if len(cpus) == 0 {
		return nil, nil
	}
	if !slices.Contains(r.env.Channels, channel) {
		return nil, fmt.Errorf("channel %q is not published here (channels: %s)", channel, strings.Join(r.env.Channels, " "))
	}
	for _, part := range []string{m.Name, m.Version, m.Arch} {
		if !legalPart.MatchString(part) {
			return nil, fmt.Errorf("package %q %q: %q can't be part of a file name", m.Name, m.Version, part)
		}
	}
	var places []publish.Placement
	for _, a := range cpus {
		// libalpm knows the compression by the content. The suffix is the same
		// for all, since what a package says of itself leaves it out.
		file := m.Name + "-" + m.Version + "-" + m.Arch + ".pkg.tar.zst"
		part := channel + "/" + a
		dir, _ := r.database(part)
		places = append(places, publish.Placement{Partition: part, Path: dir + file})
	}
	return places, nil
}

// database returns the directory, "" or with a trailing slash, and the name of a
// partition's database.
func (r *Repo) database(partition string) (dir, name string) {
	channel, a, _ := strings.Cut(partition, "/")
	name = r.databaseName(channel)
	if r.dir != "." {
		dir = strings.NewReplacer("{arch}", a, "{repo}", name).Replace(r.dir) + "/"
	}
	return dir, name
}

func (r *Repo) databaseName(channel string) string {
	if db := r.databases[channel]; db != "" {
		return db
	}
	if channel == r.main {
		return r.env.Name
	}
	return r.env.Name + "-" + channel
}

// Less orders by name, then by pacman's comparison of versions.
func (r *Repo) Less(a, b *publish.Record) bool {
	return cmp.Or(
		strings.Compare(a.Meta.Name, b.Meta.Name),
		arch.Compare(a.Meta.Version, b.Meta.Version),
		strings.Compare(a.Meta.Version, b.Meta.Version), // 1.0 and 1.00 are one version to pacman
		strings.Compare(a.Meta.Arch, b.Meta.Arch),
		strings.Compare(a.Path, b.Path),
	) < 0
}
