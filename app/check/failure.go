package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"github.com/distropack/distropack/app/checkout"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// Reasons why a release ends that nothing else names.
var (
	ErrNoConfig  = errors.New("there is no distropack.yml at this commit")
	ErrQuota     = errors.New("the quota is used up")
	ErrAssets    = errors.New("files of the GitHub release did not come")
	ErrPublished = errors.New("this version is published from another commit")
)

// QuotaError says what an installation has used up; it is ErrQuota.
type QuotaError struct {
	What  string // "releases an hour", "minutes of packaging a day", "bytes a day"
	Most  string // the number of them
	Until time.Time
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("%v: %s %s are the most, until %s", ErrQuota, e.Most, e.What, stamp(e.Until))
}

// Is makes it ErrQuota.
func (e *QuotaError) Is(target error) bool { return target == ErrQuota }

// AssetError says which files a release waited for in vain; it is ErrAssets.
type AssetError struct {
	Missing []string // names or patterns
	There   []string // names of those that are there
	Waited  time.Duration
}

func (e *AssetError) Error() string {
	return fmt.Sprintf("%v within %s: missing %q, there %q", ErrAssets, lasted(e.Waited), e.Missing, e.There)
}

// Is makes it ErrAssets.
func (e *AssetError) Is(target error) bool { return target == ErrAssets }

// PublishedError says that a tag was moved after its version was published; it is
// ErrPublished.
type PublishedError struct{ Tag, Published, Now string } // commits

func (e *PublishedError) Error() string {
	return fmt.Sprintf("%v: %s was published from %s, and is at %s now", ErrPublished, e.Tag, e.Published, e.Now)
}

// Is makes it ErrPublished.
func (e *PublishedError) Is(target error) bool { return target == ErrPublished }

// Kinds are the errors that Explain recognizes by errors.Is, by names that stay:
// for engine.Options.Errors, so that an error that was read back is still
// explained. What an error's own fields say is lost there: explain it in the step
// that has it.
func Kinds() map[string]error {
	return map[string]error{
		"no config": ErrNoConfig, "quota": ErrQuota, "assets": ErrAssets, "published": ErrPublished,
		"checkout moved": checkout.ErrMoved, "checkout too large": checkout.ErrTooLarge, "checkout not found": checkout.ErrNotFound,
		"github suspended": github.ErrSuspended, "github no installation": github.ErrNoInstallation, "github forbidden": github.ErrForbidden,
		"github refused": github.ErrRefused, "github too large": github.ErrTooLarge, "github not found": github.ErrNotFound,
		"conflict": publish.ErrConflict, "forged": publish.ErrForged, "usage": pipeline.ErrUsage, "nothing to make": plan.ErrNothing,
		"sealed": vault.ErrSealed, "signer gone": vault.ErrSignerGone,
		"no space": syscall.ENOSPC, "disk quota": syscall.EDQUOT, "no file": fs.ErrNotExist,
		"deadline": context.DeadlineExceeded, "canceled": context.Canceled,
	}
}

// TimedOut reports whether err says that something took too long, or never came.
func TimedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrAssets) || limitOf(err) == "time"
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
