// Package release takes a tag to packages that people install: the durable workflow
// of one release, what events ask of it, and the check run that says how it goes.
//
// A release is a row of the store with the id rel:{repository id}:{tag}:{commit} and
// a job of the engine. Its steps:
//
//	resolve   what the tag is at now, peeled; who is installed
//	look      distropack.yml at that commit, and no other file
//	quota     what the installation may still use
//	fetch     the files of the commit, with a token for reading this repository
//	plan      what will be made, and for which places
//	assets    waits for files of the GitHub release that the configuration takes
//	package   in a child without keys, network and environment (app/packer)
//	attach    the GitHub release: a draft is filled and published
//	publish   one child job per place, one at a time per place of whoever's
//	probe     the published address, until clients would see the release
//	finish    how it ended, and the check run
//
// Each step may be repeated: what it finds done is kept. Steps that need files make
// them again where they are missing (folder.go): a node that takes over another's
// release has none of its files, and packages come out the same. What passes by itself
// (limits, GitHub in trouble, a full disk, a quota) is waited for by durable sleeps,
// which hold no worker; people see why.
//
// Secrets and keys: the server passes a repository's sealed secrets to its places
// only (variable.go), and keys to nobody: they are opened by the signer.
package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/app/engine"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/packer"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
)

// Options of Releases. Store, Engine, GitHub, Signer, Sealer and Dir are needed.
type Options struct {
	Store  *store.Store
	Engine *engine.Engine // made with Errors: check.Kinds()
	GitHub *github.App
	Signer Signer        // opens keys
	Sealer *vault.Sealer // opens the secrets of repositories
	Dir    string        // work folders, of this node alone

	Formats []formats.Kind            // nil: all
	Repos   []publish.RepoKind        // nil: all
	Places  []publish.DestinationKind // nil: all; they are guarded (place.go)
	Folders string                    // trees of sites with a dir are below this folder, as OWNER/DIR; "" refuses them
	Private bool                      // places and addresses may lie in private networks and be without TLS

	URL  string // of the App's pages, without a trailing slash, for check runs; "": they lead nowhere
	Git  string // where repositories are, without a trailing slash; "": https://github.com
	API  string // of GitHub; "": github.API
	Tool string // "distropack 1.2.0", for traces

	Packer packer.Options
	Limits Limits
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil drops
	HTTP   *http.Client     // for files of GitHub releases; nil: the default one
	Probe  *http.Client     // for published trees; nil: HTTP
}

// Signer is what of a vault.Client is needed.
type Signer interface {
	Keyring(ctx context.Context, r vault.Repository, refs ...vault.KeyRef) (pipeline.Keyring, error)
	NewKey(ctx context.Context, b vault.Binding, o vault.NewOptions) (*vault.Made, error)
}

// Limits bound releases. Zero fields have the values behind them.
type Limits struct {
	Assets     time.Duration // waited for files of the GitHub release: 2 h
	AssetBytes int64         // of those files: 4 GiB
	Quiet      time.Duration // the newest of them is this old, as more may follow: 15 s
	Look       time.Duration // between two looks for them: 15 s
	Probe      time.Duration // waited until a published tree is seen: 15 min
	Patience   time.Duration // waited for what passes by itself, per step: 24 h
	Pause      time.Duration // the first of those pauses; each is twice the one before: 2 s
	Tree       int64         // bytes of a commit's files: 2 GiB
	Check      time.Duration // between two changes of a running release's check run: 15 s

	// Quotas of an installation; 0 is no bound.
	ReleasesHour int64
	MinutesDay   int64
	BytesDay     int64
}

func (l *Limits) fill() {
	l.Assets = cmp.Or(l.Assets, 2*time.Hour)
	l.AssetBytes = cmp.Or(l.AssetBytes, 4<<30)
	l.Quiet = cmp.Or(l.Quiet, 15*time.Second)
	l.Look = cmp.Or(l.Look, 15*time.Second)
	l.Probe = cmp.Or(l.Probe, 15*time.Minute)
	l.Patience = cmp.Or(l.Patience, 24*time.Hour)
	l.Pause = cmp.Or(l.Pause, 2*time.Second)
	l.Tree = cmp.Or(l.Tree, 2<<30)
	l.Check = cmp.Or(l.Check, 15*time.Second)
}

// The kinds of jobs, and their queues.
const (
	kindRelease  = "release"
	kindPublish  = "publish"  // a child: one place of a release
	kindPlan     = "plan"     // of a pull request
	kindTell     = "tell"     // brings a check run up to date
	kindRollback = "rollback" // withdraws a release

	queueRelease = "release"
	queuePublish = "publish"
	queueSmall   = "small"
)

// Releases makes releases. It is safe for concurrent use.
type Releases struct {
	Options
	log *slog.Logger

	mu      sync.Mutex
	folders map[string]*sync.Mutex // by work folder
	told    map[string]time.Time   // when a check run was changed last, by release
}

// New registers the kinds of jobs on the engine, which must not be started yet.
func New(o Options) (*Releases, error) {
	for name, missing := range map[string]bool{"Store": o.Store == nil, "Engine": o.Engine == nil, "GitHub": o.GitHub == nil, "Signer": o.Signer == nil, "Sealer": o.Sealer == nil, "Dir": o.Dir == ""} {
		if missing {
			return nil, fmt.Errorf("releases: %s is missing", name)
		}
	}
	o.fill()
	r := &Releases{Options: o, log: o.Log, folders: map[string]*sync.Mutex{}, told: map[string]time.Time{}}
	o.Engine.Handle(kindRelease, queueRelease, r.release)
	o.Engine.Handle(kindPublish, queuePublish, r.publish)
	o.Engine.Handle(kindTell, queueSmall, r.tellJob)
	o.Engine.Handle(kindPlan, queueSmall, r.planJob)
	o.Engine.Handle(kindRollback, queueSmall, r.rollbackJob)
	return r, nil
}

// id names a release.
func id(repository int64, tag, commit string) string {
	return fmt.Sprintf("rel:%d:%s:%s", repository, tag, commit)
}

// page is where people look at a release.
func (s *Releases) page(r *store.Release) string {
	if s.URL == "" {
		return ""
	}
	tag := strings.Split(r.Tag, "/")
	for i := range tag {
		tag[i] = url.PathEscape(tag[i])
	}
	return fmt.Sprintf("%s/repositories/%d/releases/%s/%s", strings.TrimRight(s.URL, "/"), r.Repository, r.Commit, strings.Join(tag, "/"))
}

// ErrUnknown says that a release, a repository or its tag is not known here.
var ErrUnknown = errors.New("not known here")
