package event

import "errors"

// key is an event and its action, which is "" for events without.
type key struct{ name, action string }

// needs is what a payload must have.
type needs int

const (
	nothing      needs = iota
	installation       // without one the event is ignored
	repository         // that, and a repository
)

// meaning is what an event of a name and action is to us. Its payload may make it
// another kind, or ignore it.
type meaning struct {
	kind  Kind
	needs needs
}

// meanings is all that is not ignored.
var meanings = map[key]meaning{
	{"push", ""}:   {TagPushed, repository},
	{"create", ""}: {TagPushed, repository},

	{"release", "published"}:   {ReleasePublished, repository},
	{"release", "released"}:    {ReleasePublished, repository},
	{"release", "prereleased"}: {ReleasePublished, repository},
	{"release", "edited"}:      {ReleaseEdited, repository},
	{"release", "deleted"}:     {ReleaseDeleted, repository},
	{"release", "unpublished"}: {ReleaseDeleted, repository},

	{"repository", "renamed"}:     {RepositoryRenamed, repository},
	{"repository", "transferred"}: {RepositoryTransferred, repository},
	{"repository", "deleted"}:     {RepositoryDeleted, repository},
	{"repository", "privatized"}:  {RepositoryChanged, repository},
	{"repository", "publicized"}:  {RepositoryChanged, repository},
	{"repository", "archived"}:    {RepositoryChanged, repository},
	{"repository", "unarchived"}:  {RepositoryChanged, repository},
	{"repository", "edited"}:      {RepositoryChanged, repository},

	{"installation", "created"}:                  {InstallationCreated, installation},
	{"installation", "deleted"}:                  {InstallationDeleted, installation},
	{"installation", "suspend"}:                  {InstallationSuspended, installation},
	{"installation", "unsuspend"}:                {InstallationUnsuspended, installation},
	{"installation", "new_permissions_accepted"}: {PermissionsAccepted, installation},
	{"installation_repositories", "added"}:       {RepositoriesAdded, installation},
	{"installation_repositories", "removed"}:     {RepositoriesRemoved, installation},
	{"installation_target", "renamed"}:           {InstallationRenamed, installation},

	{"check_run", "rerequested"}:      {CheckRerequested, repository},
	{"check_run", "requested_action"}: {ActionRequested, repository},
	{"check_suite", "rerequested"}:    {CheckRerequested, repository},

	{"pull_request", "opened"}:      {PullRequestChanged, repository},
	{"pull_request", "synchronize"}: {PullRequestChanged, repository},
	{"pull_request", "reopened"}:    {PullRequestChanged, repository},

	{"github_app_authorization", "revoked"}: {AuthorizationRevoked, nothing},
	{"ping", ""}:                            {Ping, nothing},
}

// payload is a small struct of an event: what all have, and what is special about it.
type payload interface {
	common() *shared
	read(e *Event) error // after what is common was
}

// payloads makes one for each event that has a meaning.
var payloads = map[string]func() payload{
	"push":                      func() payload { return new(push) },
	"create":                    func() payload { return new(create) },
	"release":                   func() payload { return new(release) },
	"repository":                func() payload { return new(repositoryChange) },
	"installation":              func() payload { return new(installationChange) },
	"installation_repositories": func() payload { return new(repositoriesChange) },
	"installation_target":       func() payload { return new(targetChange) },
	"check_run":                 func() payload { return new(checkRun) },
	"check_suite":               func() payload { return new(checkSuite) },
	"pull_request":              func() payload { return new(pullRequest) },
	"github_app_authorization":  func() payload { return new(authorization) },
	"ping":                      func() payload { return new(ping) },
}

// shared is what events have in common.
type shared struct {
	Action       string            `json:"action"`
	Installation *installationJSON `json:"installation"`
	Repository   *repositoryJSON   `json:"repository"`
	Sender       *accountJSON      `json:"sender"`
}

func (s *shared) common() *shared { return s }

// read fills e, whose kind is known, from p.
func read(p payload, e *Event, n needs) error {
	if err := p.common().fill(e); err != nil {
		return err
	}
	switch {
	case n >= installation && e.Installation.ID == 0:
		e.ignore("it names no installation: it comes from a webhook of the repository or organization, and not from the App's")
		return nil
	case n >= repository && e.Repository == nil:
		return errors.New("it names no repository")
	}
	return p.read(e)
}

func (s *shared) fill(e *Event) (err error) {
	if s.Sender != nil {
		if e.Sender, err = s.Sender.account("sender"); err != nil {
			return err
		}
	}
	if s.Installation != nil {
		if e.Installation, err = s.Installation.installation(); err != nil {
			return err
		}
	}
	if s.Repository != nil {
		e.Repository, err = s.Repository.repository()
	}
	return err
}
