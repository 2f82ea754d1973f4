package release

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/event"
	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/hook"
	"github.com/distropack/distropack/app/store"
)

// Handle does what an event asks for: it writes rows and adds jobs, and nothing that
// takes long. It may be called twice for an event, and in any order: an event says
// where to look, and the jobs look. For hook.DispatcherOptions.
func (s *Releases) Handle(ctx context.Context, e *event.Event, d *store.Delivery) error {
	if e.Kind == event.Ignored {
		return hook.Ignore(e.Note)
	}
	if err := s.keep(ctx, e); err != nil {
		return err
	}
	switch e.Kind {
	case event.TagPushed, event.ReleasePublished:
		return s.tagged(ctx, e)
	case event.ReleaseEdited:
		return s.edited(ctx, e)
	case event.TagDeleted:
		return s.cancelAll(ctx, store.ReleaseFilter{Repository: e.Repository.ID, Tag: e.Tag}, "The tag was deleted.")
	case event.RepositoryDeleted:
		return s.cancelAll(ctx, store.ReleaseFilter{Repository: e.Repository.ID}, "The repository was deleted.")
	case event.RepositoriesRemoved:
		for _, r := range e.Repositories {
			if err := s.cancelAll(ctx, store.ReleaseFilter{Repository: r.ID}, "The App was removed from the repository."); err != nil {
				return err
			}
		}
	case event.InstallationDeleted:
		return s.cancelAll(ctx, store.ReleaseFilter{Installation: e.Installation.ID}, "The App was uninstalled.")
	case event.InstallationCreated, event.InstallationSuspended, event.InstallationUnsuspended, event.PermissionsAccepted, event.RepositoriesAdded:
		return s.resume(ctx, e)
	case event.CheckRerequested, event.ActionRequested:
		return s.asked(ctx, e)
	case event.PullRequestChanged:
		return s.planLater(ctx, e.Repository.ID, e.Installation.ID, e.PullRequest, e.Commit, "")
	case event.ReleaseDeleted:
		return hook.Ignore("what was published stays: roll it back with the button of its check, or delete the tag before it is published")
	case event.Ping, event.AuthorizationRevoked:
		return hook.Ignore("nothing to do")
	}
	return nil
}

// keep writes down what an event says of installations and repositories.
func (s *Releases) keep(ctx context.Context, e *event.Event) error {
	if id := e.Installation.ID; id != 0 {
		if err := s.keepInstallation(ctx, e); err != nil {
			return err
		}
	}
	if r := e.Repository; r != nil {
		gone := e.Kind == event.RepositoryDeleted
		if err := s.keepRepository(ctx, r, e.Installation.ID, gone); err != nil {
			return err
		}
	}
	for _, r := range e.Repositories {
		if err := s.keepRepository(ctx, r, e.Installation.ID, e.Kind == event.RepositoriesRemoved); err != nil {
			return err
		}
	}
	return nil
}

func (s *Releases) keepInstallation(ctx context.Context, e *event.Event) error {
	was, err := s.Store.Installation(ctx, e.Installation.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := store.Installation{ID: e.Installation.ID}
	if was != nil {
		now = *was
	}
	if a := e.Installation.Account; a.Login != "" {
		now.Account, now.AccountID, now.AccountType = a.Login, a.ID, a.Type
	} else if now.Account == "" && e.Repository != nil { // an event that came before that of the installation
		now.Account, now.AccountID, now.AccountType = e.Repository.Owner.Login, e.Repository.Owner.ID, e.Repository.Owner.Type
	}
	switch e.Kind {
	case event.InstallationCreated, event.InstallationUnsuspended, event.InstallationDeleted, event.InstallationSuspended:
		// Events come in any order, and the last one to come need not be right.
		is, err := s.GitHub.FindInstallation(ctx, e.Installation.ID)
		switch {
		case errors.Is(err, github.ErrNoInstallation):
			now.Removed = true
		case err != nil:
			return err
		default:
			now.Suspended, now.Removed = is.Suspended, false
		}
	}
	if was != nil && *was == now || now.Account == "" {
		return nil
	}
	return s.Store.SaveInstallation(ctx, &now)
}

func (s *Releases) keepRepository(ctx context.Context, r *event.Repository, installation int64, gone bool) error {
	was, err := s.Store.Repository(ctx, r.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	now := store.Repository{ID: r.ID}
	if was != nil {
		now = *was
	}
	if installation != 0 {
		now.Installation = installation
	}
	if r.Owner.Login != "" {
		now.Owner = r.Owner.Login
	}
	if r.DefaultBranch != "" {
		now.DefaultBranch = r.DefaultBranch
	}
	now.Name, now.Private, now.Removed = r.Name, r.Private, gone
	if was != nil && *was == now || now.Owner == "" {
		return nil
	}
	return s.Store.SaveRepository(ctx, &now)
}

// tagged begins the release of a tag. A release that was published for a tag whose
// release failed for want of its files has that tried again.
func (s *Releases) tagged(ctx context.Context, e *event.Event) error {
	repo, err := s.repository(ctx, e.Repository.ID)
	if unusable(err) {
		return hook.Ignore("the App is not installed there, or suspended")
	}
	if err != nil {
		return err
	}
	commit := e.Commit
	if commit == "" {
		commit, _, err = s.client(repo).Resolve(ctx, repo.Owner, repo.Name, e.Tag)
		if errors.Is(err, github.ErrNotFound) || unusable(err) {
			return hook.Ignore("the tag is not there any more, or can't be seen")
		}
		if err != nil {
			return err
		}
	}
	cause := "a push of the tag"
	if e.Kind == event.ReleasePublished {
		cause = "a published release"
	}
	if e.Sender.Login != "" {
		cause += " by " + e.Sender.Login
	}
	id, err := s.begin(ctx, repo, e.Tag, commit, cause, nil)
	if err != nil || e.Kind != event.ReleasePublished {
		return err
	}
	return s.wanting(ctx, id, cause)
}

func unusable(err error) bool {
	return errors.Is(err, github.ErrNoInstallation) || errors.Is(err, github.ErrSuspended) || errors.Is(err, ErrUnknown)
}

// edited has releases of the tag that failed for want of files look again.
func (s *Releases) edited(ctx context.Context, e *event.Event) error {
	all, err := s.Store.Releases(ctx, store.ReleaseFilter{Repository: e.Repository.ID, Tag: e.Tag, States: []store.State{store.Failed}})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return hook.Ignore("no release waits for it")
	}
	return s.wanting(ctx, all[0].ID, "an edited release")
}

// wanting begins a release again that failed for want of files.
func (s *Releases) wanting(ctx context.Context, id, cause string) error {
	r, err := s.Store.Release(ctx, id)
	if err != nil || r.State != store.Failed || r.Step != "assets" {
		return err
	}
	return s.again(ctx, id, cause, nil)
}

// resume begins releases again that ended since GitHub let the App do nothing.
func (s *Releases) resume(ctx context.Context, e *event.Event) error {
	if in, err := s.Store.Installation(ctx, e.Installation.ID); err != nil || in.Suspended || in.Removed {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	all, err := s.Store.Releases(ctx, store.ReleaseFilter{Installation: e.Installation.ID, States: []store.State{store.Failed}, Limit: 1000})
	if err != nil {
		return err
	}
	for _, r := range all {
		if rowOf(r).Waits == waitsForOwner {
			if err := s.again(ctx, r.ID, "", nil); err != nil {
				return err
			}
		}
	}
	return nil
}

var attempt = regexp.MustCompile(`#\d+$`)

// asked does what somebody pressed a button of a check run for.
func (s *Releases) asked(ctx context.Context, e *event.Event) error {
	if rest, ok := strings.CutPrefix(e.ExternalID, "plan:"); ok {
		parts := strings.Split(rest, ":")
		if len(parts) < 3 || parts[0] != strconv.FormatInt(e.Repository.ID, 10) {
			return hook.Ignore("its check run is none of ours")
		}
		number, err := strconv.Atoi(parts[1])
		if err != nil {
			return hook.Ignore("its check run is none of ours")
		}
		return s.planLater(ctx, e.Repository.ID, e.Installation.ID, number, parts[2], fmt.Sprintf(":%d", s.Now().UnixMilli()))
	}
	var all []*store.Release
	if e.ExternalID != "" {
		r, err := s.Store.Release(ctx, attempt.ReplaceAllString(e.ExternalID, ""))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err == nil && r.Repository == e.Repository.ID { // the id came from outside
			all = append(all, r)
		}
	} else {
		rows, err := s.Store.Releases(ctx, store.ReleaseFilter{Repository: e.Repository.ID, Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Commit == e.Commit {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 {
		return hook.Ignore("there is no release of that check run")
	}
	by := e.Sender.Login
	for _, r := range all {
		var err error
		switch {
		case e.Kind == event.CheckRerequested || e.RequestedAction == check.RerunLeg:
			err = s.Restart(ctx, by, r.ID)
		case e.RequestedAction == check.Republish:
			err = s.Republish(ctx, by, r.ID)
		case e.RequestedAction == check.Rollback:
			err = s.Rollback(ctx, by, r.ID)
		default:
			return hook.Ignore(fmt.Sprintf("there is no button %q", e.RequestedAction))
		}
		var refusal *Refusal
		if errors.As(err, &refusal) {
			return hook.Ignore(refusal.Text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
