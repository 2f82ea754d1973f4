// Package publish keeps signed package repositories in a tree of files that any
// web server can serve.
//
// A repository is a list of Records; its index files are a pure function of them.
// The records are kept in the published tree itself, under .distropack/, in pages
// of about a hundred and in a state file that is signed and names every page by
// digest (docs/state.md). A Repo turns records into the index of one client (apt,
// dnf, pacman, apk, opkg, brew); a Destination holds the tree (a directory, a git
// branch, a bucket).
//
// A change says "these packages are in, those are out", so it means the same on
// any base: where another publisher was faster, the change is made again on what
// that one left. Neither clock nor environment is read here.
package publish

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/distropack/distropack/formats"
)

// ErrConflict says that the tree is no longer what a change was made on.
var ErrConflict = errors.New("the tree was changed by another publish")

// Destination holds a tree. Its methods may be called concurrently.
type Destination interface {
	// Head names the tree's present version; "" is the empty tree.
	Head(ctx context.Context) (version string, err error)
	// Open reads a file of a version, fs.ErrNotExist where there is none. Only
	// the version that Head named last, and its successors, need be readable.
	Open(ctx context.Context, version, path string) (io.ReadCloser, error)
	// Commit makes c the successor of base, or returns ErrConflict if base is no
	// longer the head. Readers see the tree before or after it; where the place
	// can't do that, they see content before the indexes that name it, and
	// pointers last. An error other than ErrConflict leaves open whether it was
	// done: ask Head.
	Commit(ctx context.Context, base string, c *Change) (version string, err error)
}

// Stager is a Destination that can begin to store content before the change is
// known that it is part of: while indexes are hashed and signed, the disk works.
type Stager interface {
	// Stage returns nil where it does not pay.
	Stage(ctx context.Context) Stage
}

// Stage holds content that the next Commit may use. It may be used concurrently.
type Stage interface {
	// Put begins to store what parts hold, one behind the other; parts must not
	// change until Close. The function it returns is told their Ref once that is
	// known: a Commit of a File with this Ref then takes what is stored. Failures
	// are forgotten: such a file is written by the Commit.
	Put(parts [][]byte) (is func(formats.Ref))
	// Close ends it and removes what no Commit took.
	Close()
}

// Prober is a Destination that can tell, before anything is built, whether it is
// there and lets itself be written to.
type Prober interface {
	Probe(ctx context.Context) error
}

// Bounded is a Destination that can't hold everything.
type Bounded interface {
	Bounds() Bounds
}

// Bounds are sizes in bytes; 0 is no bound.
type Bounds struct {
	File  int64  // the largest file
	Warn  int64  // of all packages, from which people are warned
	Total int64  // of all packages, from which a publish is refused
	Why   string // whose bounds they are, for messages
}

// Sweeper is a Destination in which publishes that lost or died leave files that no
// version names.
type Sweeper interface {
	// Leftovers looks for them: files that a publish wrote, longer than grace ago
	// by the place's own clock (0: whenever), and that known does not hold. Nothing
	// is deleted.
	Leftovers(ctx context.Context, grace time.Duration, known func(path string) bool) (*Leftovers, error)
}

// Leftovers are what publishes left behind.
type Leftovers struct {
	// Files are to be deleted by a Change on the version by which they are not
	// known: a publish that has begun to make use of one is then refused, and
	// writes it again. Sorted.
	Files []string
	// Uploads are the paths of files that nobody went on writing. They are no
	// files yet.
	Uploads []string
	// GiveUp frees what Uploads take up; nil where there are none.
	GiveUp func(ctx context.Context) error
}

// Eraser is a Destination whose Commit can't take the state away.
type Eraser interface {
	// Erase makes the tree that base is the empty one: it deletes its state and
	// files, or returns ErrConflict if base is no longer the head. With base "" it
	// deletes files of a tree that has no state. It may be called again after an
	// error, with what is left.
	Erase(ctx context.Context, base string, files []string) error
}

// DestinationKind makes a Destination from a section of a site.
type DestinationKind struct {
	Name    string // the section's: "git"
	Options any    // pointer to the zero value of the options, for the schema
	New     func(formats.Section, DestinationEnv) (Destination, error)
}

// DestinationEnv is what a Destination may use besides its options.
type DestinationEnv struct {
	Base   string                           // the folder that relative file names are below
	URL    string                           // where the tree is served, without a trailing slash; "" if unknown
	Temp   string                           // for temporary files; "" means the system's folder
	Lookup func(name string) (string, bool) // variables of the environment
	Now    time.Time
	Say    func(string) // told what an operator should know
	Shared bool         // the place is not the tree's alone: nothing in it may be rewritten
}

// Change is what turns one version of a tree into the next.
type Change struct {
	Message string
	Put     []File   // no two with one path
	Delete  []string // paths; one that is not there is no error
}

// Class is a file's place in the order in which files may become visible.
type Class int

const (
	Content Class = iota // packages, digest-named files: never change
	Index                // indexes that a pointer names
	Pointer              // what clients fetch first: InRelease, repomd.xml, APKINDEX
)

// File is one file to put into a tree.
type File struct {
	Path  string // slash-separated, relative, fs.ValidPath
	Class Class
	Blob  formats.Blob
	From  string // a path of the base version with the same content, or ""; places that can link or copy do so
}

// Record is one package in one partition of a repository.
type Record struct {
	Path    string       `json:"path"`          // in the tree
	URL     string       `json:"url,omitempty"` // where the file lies instead, and what is beside it; "" for the tree
	Ref     formats.Ref  `json:"ref"`
	Project string       `json:"project,omitempty"`
	Version string       `json:"version,omitempty"` // upstream's: "1.3.0-rc.1"
	Added   int64        `json:"added"`             // Unix time of the release that brought it
	Beside  []BesideRef  `json:"beside,omitempty"`
	Meta    formats.Meta `json:"meta"`
}

// BesideRef is a file at Record.Path plus Suffix.
type BesideRef struct {
	Suffix string      `json:"suffix"`
	Ref    formats.Ref `json:"ref"`
}

// Package is a package file to publish.
type Package struct {
	Blob    formats.Blob
	Meta    *formats.Meta
	Project string // whose release it is of
	Version string // upstream's
	// Beside are files that go next to the package under its name plus the
	// suffix: ".sig" for pacman.
	Beside []Beside
}

// Beside is a file that accompanies a package.
type Beside struct {
	Suffix string
	Blob   formats.Blob
}

// Placement is one place where a package is listed.
type Placement struct {
	Partition string // "stable/main/amd64"
	Path      string // where the package lies in the tree; several placements may share it
}

// Repo writes the indexes of one client. All methods are pure but for Finish,
// which signs, and may be called concurrently.
type Repo interface {
	// Name is the client's: "apt".
	Name() string

	// Settings renders whatever options change the output, signing keys'
	// fingerprints among them. Where it differs from what the state remembers,
	// every index is made anew.
	Settings() string

	// Partitions lists the partitions that exist even when empty. Every
	// partition that Place names is among them: what is configured decides, not
	// what happens to be published.
	Partitions() []string

	// Place says where the repository lists m in the channel. It is empty for
	// packages of formats or CPUs that the repository does not serve.
	Place(m *formats.Meta, channel string) ([]Placement, error)

	// Less orders the records of a partition: by name, bytewise, then from old
	// to new by the format's own comparison of versions.
	Less(a, b *Record) bool

	// Root names what the partition's indexes are signed and published with:
	// "stable" for "stable/main/amd64". Partitions of one root change together.
	Root(partition string) string

	// Streams lists the index texts of a partition, always the same ones.
	Streams(partition string) []Stream

	// Finish returns the files of a root: its indexes at their public paths and
	// the signed files above them. It is called when something in the root
	// changed, with all its partitions.
	Finish(ctx context.Context, in *RootInput) (*RootOutput, error)

	// Guide tells people and install.sh how to use the repository; nil where
	// there is nothing to set up.
	Guide(ctx context.Context, in *GuideInput) (*Guide, error)
}

// Elsewhere is a Repo whose clients can fetch packages from another address than
// the tree's: it heeds Record.URL.
type Elsewhere interface {
	Repo
	ListsElsewhere() bool
}

// Guides is a Repo that serves several clients: dnf's repository is zypper's too.
// Guide then gives the first of them.
type Guides interface {
	Guides(ctx context.Context, in *GuideInput) ([]*Guide, error)
}

// Indexed is a Repo whose clients read indexes. Homebrew's read single formulae,
// which the Guide names.
type Indexed interface {
	Repo
	// Indexes lists what clients of a channel are pointed at, always in the same
	// order: all that Finish writes for the channel's part of Partitions, whether
	// packages are listed there or not. It is empty for a channel that is not
	// published here.
	Indexes(channel string) []ClientIndex
}

// ClientIndex is an index that clients are pointed at.
type ClientIndex struct {
	Arch string // the client's word for the CPU that it is for: "x86_64"; "" where it is for all

	// Path is that of the folder with Release, repodata/, APKINDEX.tar.gz or
	// Packages, "." for the top of the tree; of pacman's database without .db; of
	// the file SHA256SUMS.
	Path string
	URL  string // the folder's address, where it is not in the tree; Path is "" then
}

// Stream is one index text of a partition: Head, the pages' texts, Tail. A page
// holds all records of one or more names, so Page may drop superseded versions.
// Each page is rendered on its own and compressed on its own.
type Stream struct {
	Name  string // "Packages"
	Forms []Form // the forms Finish wants
	Head  func(records int) []byte
	Page  func(recs []*Record) ([]byte, error)
	Tail  []byte
}

// Form is the compression of an index.
type Form string

const (
	Plain Form = ""
	Gzip  Form = "gz"
	Zstd  Form = "zst"
	Xz    Form = "xz"
)

// RootInput is what Finish works from.
type RootInput struct {
	Root       string
	At         int64 // Unix time of the index: never before that of the previous one
	Serial     int64 // counts the changes of the tree, from 1
	Partitions []Built
}

// Built is the state of one partition's indexes.
type Built struct {
	Partition string
	Records   int
	Changed   bool // false: the blobs are those of the last publish
	Indexes   []IndexFile
}

// Find returns the built index of a stream in one form; nil if there is none.
func (b *Built) Find(stream string, form Form) *IndexFile {
	for i := range b.Indexes {
		if b.Indexes[i].Stream == stream && b.Indexes[i].Form == form {
			return &b.Indexes[i]
		}
	}
	return nil
}

// IndexFile is one stream of a partition in one form.
type IndexFile struct {
	Stream string
	Form   Form
	Plain  formats.Ref  // of the text before compression
	Blob   formats.Blob // the file; in an unchanged partition it is read from the tree when opened
}

// RootOutput is what Finish returns.
type RootOutput struct {
	// Files are all files of the root, unchanged ones too. What the previous
	// output had and this one lacks is retired: it stays for Keep publishes and
	// Options.Grace, but for no more than 100 publishes and an hour.
	Files []RootFile
	// Keep is how many generations a retired file outlives at least; with Keep 0 it
	// is no index that somebody might look for, and goes with the grace.
	Keep int
}

// RootFile is one file of a root. Index names the built index whose bytes it
// starts or ends with, so that the next publish finds pieces to reuse.
type RootFile struct {
	Path  string
	Class Class
	Blob  formats.Blob

	Partition string // with Stream: the file holds this index
	Stream    string
	Form      Form
	Offset    int64 // where the index begins in the file: apk puts a signature before it
}

// GuideInput is what a Guide may say besides the repository's own options.
type GuideInput struct {
	URL      string   // where the tree is served, without a trailing slash
	Title    string   // the project's, for comments
	Channel  string   // whose instructions these are
	Packages []string // names that can be installed, sorted
}

// Guide is how a client is told of a repository. The site shows it as text and
// puts Setup into install.sh.
type Guide struct {
	Client   string   // "apt"
	Title    string   // "Debian, Ubuntu and derivatives"
	Families []string // ID and ID_LIKE words of os-release(5) that it is for; most specific guides are tried first
	Probe    string   // a program whose presence settles the matter where os-release does not: "apt-get"
	CPUs     []string // `uname -m` words served: "x86_64"; nil: any

	Files []File // static files for the tree: hello.sources, hello.repo, keys

	// Steps are for people: each a shell command that works verbatim as root
	// or, where it starts with sudo, as a user with sudo.
	Add     []Step // adds the repository
	Install []Step // "$PACKAGE" stands for the package
	Upgrade []Step
	Remove  []Step
	Verify  []Step // shows that signatures are in force

	// Setup is the body of a POSIX sh function for install.sh that adds the
	// repository; InstallSh one that installs "$@". They may use: run CMD… (as root; shown
	// with --dry-run), put MODE PATH (standard input into a file, as root),
	// fetch URL PATH (as root), say TEXT, and $YES ("1" with -y, "" otherwise).
	Setup     string
	InstallSh string
}

// Step is one instruction.
type Step struct {
	Text    string // why, in a few words; may be empty
	Command string
}

// RepoKind makes a Repo from a section of the configuration.
type RepoKind struct {
	Name    string
	Formats []string // of packages it lists: {"deb"}
	Options any      // pointer to the zero value of the options, for the schema; nil if there are none
	New     func(formats.Section, RepoEnv) (Repo, error)
}

// RepoEnv is what a Repo may use besides its options.
type RepoEnv struct {
	Name        string // short, [a-z0-9-]: names files such as hello.sources and pacman's database
	Title       string
	Description string
	Origin      string // who publishes: apt's Origin
	URL         string // where the tree is served, without a trailing slash; "" if unknown
	Channels    []string
	Platforms   []formats.Platform // without formats.All
	Servers     []string           // addresses of folders where packages lie that the tree does not hold
	Stale       bool               // a cache nobody can purge serves each file as it was up to minutes ago
	Flat        bool               // Servers hold flat repositories of apt's with the .deb files that lie there
	Keys        formats.Keys       // nil: nothing can be signed
	Key         string             // the signing key's name; "" leaves indexes unsigned
}
