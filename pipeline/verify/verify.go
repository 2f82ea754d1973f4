// Package verify looks at a published tree from outside, as its clients do. It
// fetches what apt, dnf and zypper, pacman, apk, opkg, Homebrew and people who
// download fetch, and checks each signature, digest, size, date and key. It
// trusts nothing that DistroPack keeps for itself (.distropack/ is not read), so
// it looks at trees of reprepro, createrepo_c or repo-add as well.
//
// # Finding repositories
//
// A place that can be listed (Dir, FS) is walked. The install.json of a site of
// ours lists all indexes: one that is not there is a finding. Without one some
// usual paths are tried over HTTP. Options.Clients names others.
//
// # What is not taken for granted
//
// Paths that an index names must be fs.ValidPath; a directory is never left.
// Indexes are read up to 512 MB after decompression, signed files up to 64 MB,
// keys and signatures up to 1 MB; what is longer is a finding. Packages are
// hashed as they are read and never held in memory.
//
// # Keys
//
// Without Options.Keys the keys are taken from the tree itself: then its
// signatures show that it is whole, not whose it is. Report.Keys says where each
// came from; Options.Fingerprints pins them.
package verify

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Depth says how thoroughly packages are looked at. Indexes are always read.
type Depth int

const (
	Sizes  Depth = iota // each package is there and as long as its index says
	Hashes              // each is read: digests, and signatures beside and inside
	None                // packages are not asked for
)

// Options says what is looked at, and how.
type Options struct {
	Fetch Fetcher

	// Clients limits what is looked at: "apt" means every repository of that
	// client that is found, "apt:dists/stable" the one there. Paths are the
	// folder of Release, repodata, APKINDEX.tar.gz, Packages or Formula; for
	// pacman the database without .db, for downloads the SHA256SUMS file. Empty
	// means all that are found.
	Clients []string

	Keys         []Key    // what to trust; empty: the keys in the tree
	Fingerprints []string // of OpenPGP (40 hex digits) and RSA or usign keys (16): other keys of that length are not trusted

	Packages    Depth
	Now         time.Time // asked about expiry and dates
	Jobs        int       // packages at once; 0 means the number of CPUs, and 8 over HTTP
	MaxIndex    int64     // bytes of an index after decompression; 0 means 512 MB
	MaxPackages int       // of one index; 0 means 10 million

	Progress func(Event) // told after each package; called from several goroutines; nil drops
}

// Key is a public key file: OpenPGP, armored or not, RSA in PEM, or usign's. Name
// is its file name, by which apk knows it.
type Key struct {
	Name string
	Data []byte
}

// Event says how far the packages are.
type Event struct {
	Path  string // of the package that was looked at
	Done  int    // packages so far
	Total int
	Bytes int64 // of packages read so far
}

// Bounds on what is read into memory or unpacked.
const (
	maxIndex   = 512 << 20 // an index after decompression, where Options do not say
	maxPacked  = 256 << 20 // an index that is held in memory
	maxPointer = 64 << 20  // Release, repomd.xml, SHA256SUMS, install.json
	maxSmall   = 1 << 20   // keys, signatures, formulae

	maxPackages = 10_000_000 // of an index, where Options do not say
	maxFiles    = 10_000_000 // of a place that can be listed
)

// Run looks at a tree. What is wrong with it are Findings of the Report; the error
// says that nothing could be looked at.
func Run(ctx context.Context, o Options) (*Report, error) {
	return look(ctx, o, nil)
}

// clients are the names of clients, in the order of reports.
var clients = []string{"apt", "dnf", "pacman", "apk", "opkg", "brew", "downloads", "site"}

func look(ctx context.Context, o Options, see func(t *target, name, version string)) (*Report, error) {
	if o.Fetch == nil {
		return nil, fmt.Errorf("%w: there is nothing to look at, Options.Fetch is nil", ErrCall)
	}
	for _, c := range o.Clients {
		if name, _, _ := strings.Cut(c, ":"); !slices.Contains(clients, name) {
			return nil, fmt.Errorf("%w: client %q is not known; there are: %s", ErrCall, name, strings.Join(clients, " "))
		}
	}
	if o.Jobs <= 0 {
		o.Jobs = runtime.GOMAXPROCS(0)
		if _, remote := o.Fetch.(*server); remote {
			o.Jobs = 8
		}
	}
	if o.MaxIndex <= 0 {
		o.MaxIndex = maxIndex
	}
	if o.MaxPackages <= 0 {
		o.MaxPackages = maxPackages
	}
	r := &run{Options: o, log: &log{}, see: see}
	paths, err := r.list(ctx)
	if err != nil {
		return nil, err
	}
	r.readSite(ctx)
	targets, err := r.find(ctx, paths)
	if err != nil {
		return nil, err
	}
	r.trust = newTrust(ctx, r, paths)
	var wg sync.WaitGroup
	room := make(chan struct{}, o.Jobs)
	for _, t := range targets {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			r.check(ctx, t)
		})
	}
	wg.Wait()
	r.packages(ctx)
	r.trust.judge(r)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return r.report(targets), nil
}

// run is one look at a tree.
type run struct {
	Options
	*log
	trust  *trust
	site   *siteInfo // nil: there is no install.json
	listed []string  // all paths, where the place can tell them
	see    func(t *target, name, version string)
}

// target is one repository.
type target struct {
	ClientReport
	packages tally
}

// check looks at one repository's indexes; packages are only noted.
func (r *run) check(ctx context.Context, t *target) {
	if strings.Contains(t.Path, "://") {
		r.checkElsewhere(ctx, t)
		return
	}
	switch t.Client {
	case "apt":
		r.apt(ctx, t)
	case "dnf":
		r.dnf(ctx, t)
	case "pacman":
		r.pacman(ctx, t)
	case "apk":
		r.apk(ctx, t)
	case "opkg":
		r.opkg(ctx, t)
	case "brew":
		r.brew(ctx, t)
	case "downloads":
		r.downloads(ctx, t)
	case "site":
		r.checkSite(ctx, t)
	}
}
