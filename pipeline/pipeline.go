// Package pipeline is the line from a tag to signed repositories: configuration,
// plan, files, packages, signatures, indexes, publication, report. The command
// line, the Action and the App build a Job and show a Report; everything between
// is here, one step per file.
//
// Neither environment nor clock is read here: both arrive in Env and Job.
package pipeline

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/release"
)

// Step is a step of the line; Job.Stop names the last one to take.
type Step int

const (
	All     Step = iota // the whole line
	Check               // read the configuration
	Plan                // say what would be made
	Package             // make the packages
	Attach              // put them on the GitHub release, and publish that
)

// Job is one release to make: plain data.
type Job struct {
	Files       fs.FS       // the project; os.Root's FS, or a commit's
	Dir         string      // the same on disk, for commands; "" where there is none
	Config      string      // path of the configuration in Files
	PackageDirs []string    // package directories instead of a configuration
	Release     Release     // what is released
	Out         string      // the folder on disk for packages
	Stop        Step        // the last step; the zero Step takes all
	Site        string      // only this site; "" takes all
	Only        plan.Filter // only these packages, formats, platforms
	Assets      string      // a folder with the assets of the release, for sources of that kind
	SiteDirs    string      // sites' folders are below this one on disk; "" means below Dir
	SiteURL     string      // where not "": the one site's address, whatever the configuration says
	SiteDir     string      // with SiteURL: its folder

	Repository string // owner/name on GitHub, as far as the caller knows
	Resume     bool   // take over what the journal in Out says is done
	Packed     bool   // another process made the packages in Out: none is made here, nor are their sources read
	Attached   bool   // another run put them on the GitHub release: it is not looked at again
	Alone      bool   // nobody else attaches the packages to the GitHub release: half-uploaded ones are replaced at once
	Rotating   bool   // Env.Keys has a key "also": indexes are signed with it as well
	NotLatest  bool   // a newer version is released: the GitHub release is not to be the newest

	FailFast   bool // stop at the first failure
	AllowOlder bool // publish a version older than the newest
	Replace    bool // publish other bytes for a version
	DryRun     bool // make everything, publish nothing
	Unsigned   bool // sign nothing
}

// Release says what is released, as far as the caller knows.
type Release struct {
	Tag     string
	Commit  string    // in full
	Version string    // wins over every extractor
	Channel string    // wins over the channels' tags
	Time    time.Time // of the commit; packages bear it
}

// Env is what a Run may use.
type Env struct {
	Log      *slog.Logger // nil drops
	Output   io.Writer    // what commands print; nil drops
	Formats  []formats.Kind
	Repos    []publish.RepoKind
	Places   []publish.DestinationKind
	Environ  []string                                      // of commands; what looks like a key is taken out
	Lookup   func(name string) (string, bool)              // variables of the configuration
	Open     func(dir string) (publish.Destination, error) // a site's folder
	HTTP     *http.Client                                  // for GitHub; nil means net/http's
	Token    func(context.Context) (string, error)         // for the GitHub release, where the configuration has none; nil: GITHUB_TOKEN
	Pause    func(ctx context.Context, n int) error        // waits after the n-th conflict; nil does not
	Wait     func(context.Context, time.Duration) error    // for the limits of GitHub; nil waits by the clock
	Now      time.Time                                     // when the run began
	Clock    func() time.Time                              // the time it is by then; nil means Now
	Keys     Keyring                                       // signs instead of the configuration's keys; nil: those are opened
	Key      keys.Secret                                   // signs where the configuration names no key
	Pass     keys.Secret                                   // its passphrase
	Commands bool                                          // sources may run commands
	Jobs     int                                           // packages at once; 0 means the number of CPUs
	Memory   int64                                         // bytes that packages being made may take; 0 means 256 MiB
	Progress func(Event)                                   // told what happens; called from several goroutines; nil drops
	Tool     string                                        // "distropack 1.2.0", for traces
}

// Keyring has the keys of a run. Those of a key that is rotated sign both.
type Keyring interface {
	formats.Keys
	// Verifier checks what the key signed, detached, by the time at.
	Verifier(key string, at time.Time) (func(message, signature []byte) error, error)
}

// Event is a step that began or ended.
type Event struct {
	Step string // "package", "publish"
	Name string // "hello_1.0-1_amd64.deb"
	Done bool
	Size int64
	Err  error
	N, M int // the N-th of M
}

func (e *Env) clock() time.Time {
	if e.Clock == nil {
		return e.Now
	}
	return e.Clock()
}

func (e *Env) progress(ev Event) {
	if e.Progress != nil {
		e.Progress(ev)
	}
}

// Run takes the line. The Report holds what was made, after an error too. Running
// again repeats nothing that is done: packages come out the same, what is
// published stays.
func Run(ctx context.Context, env Env, job Job) (*Report, error) {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	r := &run{Env: env, Job: job, report: &Report{}}
	defer r.close()
	for _, s := range []struct {
		step Step
		name string
		do   func(context.Context) error
	}{
		{Check, "config", r.config},
		{Plan, "plan", r.plan},
		{Plan, "places", r.openPlaces},
		{Package, "package", r.pack},
		{Package, "checksums", r.checksums},
		{Attach, "fits", r.fits},
		{Attach, "release", r.attach},
		{All, "publish", r.publish},
	} {
		if r.Stop != All && (s.step > r.Stop || s.step == All) {
			break
		}
		env.Log.Debug("step", "step", s.name)
		if err := s.do(ctx); err != nil {
			return r.report, err
		}
		if err := ctx.Err(); err != nil {
			return r.report, err
		}
	}
	return r.report, nil
}

// publishes reports whether the run changes anything outside of Out.
func (r *run) publishes() bool { return (r.Stop == All || r.Stop == Attach) && !r.DryRun }

// run is one Run. Each step reads what those before it set, and sets its own.
type run struct {
	Env
	Job
	project *config.Project // config
	keyring Keyring         // plan; nil: unsigned
	release plan.Release    // plan
	todo    *plan.Plan      // plan
	made    []*Artifact     // pack
	report  *Report

	releases *release.Place                 // places; nil without a GitHub release
	places   map[string]*place              // by site
	taps     map[string]publish.Destination // by site
	journal  *journal                       // pack
	warnings sync.Mutex                     // guards report.Warnings
	dirs     map[string]string              // package directories by package name
	closers  []func() error
}

func (r *run) close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// IsConfig reports whether err is a mistake in the configuration or the call,
// which running again will not cure.
func IsConfig(err error) bool {
	var one *config.Error
	var many config.Errors
	return errors.As(err, &one) || errors.As(err, &many) || errors.Is(err, ErrUsage)
}

// ErrUsage marks mistakes in what the caller asked for.
var ErrUsage = errors.New("usage")
