// Package event reads what GitHub sends by webhook: it checks the signature and says
// what a payload means to us. An event says "look there", and nothing more: whatever
// a tag or a release is now, the reader asks GitHub, by the ids given here. Payloads
// are read into small structs of our own, because official libraries refuse some
// official payloads. Nothing here does I/O.
//
// Payloads are described at
// https://docs.github.com/en/webhooks/webhook-events-and-payloads.
package event

import "fmt"

// Kind is what an event means to us.
type Kind string

// The kinds. Which fields of Event are set beside Name, Action, Installation and
// Sender, stands behind each.
const (
	Ignored Kind = "ignored" // Note; of Installation and Repository what was well-formed

	TagPushed  Kind = "tag pushed"  // Repository, Tag, Ref; Commit and Moved where known
	TagDeleted Kind = "tag deleted" // Repository, Tag, Ref

	ReleasePublished Kind = "release published" // Repository, Tag, Ref, Release, Prerelease; also a pre-release that became a release, or the reverse
	ReleaseEdited    Kind = "release edited"    // the same; never a draft
	ReleaseDeleted   Kind = "release deleted"   // the same; deleted, or made a draft again

	RepositoryRenamed     Kind = "repository renamed"     // Repository as it is now, From
	RepositoryTransferred Kind = "repository transferred" // Repository as it is now, From
	RepositoryDeleted     Kind = "repository deleted"     // Repository
	RepositoryChanged     Kind = "repository changed"     // Repository: private or public, archived or not, another default branch

	InstallationCreated     Kind = "installation created" // Repositories
	InstallationDeleted     Kind = "installation deleted"
	InstallationSuspended   Kind = "installation suspended"
	InstallationUnsuspended Kind = "installation unsuspended"
	InstallationRenamed     Kind = "installation renamed" // Installation as it is now, From
	PermissionsAccepted     Kind = "permissions accepted"
	RepositoriesAdded       Kind = "repositories added"   // Repositories
	RepositoriesRemoved     Kind = "repositories removed" // Repositories

	CheckRerequested Kind = "check rerequested" // Repository, Commit, and CheckRun with ExternalID, or CheckSuite for all runs of it
	ActionRequested  Kind = "action requested"  // Repository, Commit, CheckRun, ExternalID, RequestedAction

	PullRequestChanged   Kind = "pull request changed"  // Repository, PullRequest, Ref, Commit, Fork
	AuthorizationRevoked Kind = "authorization revoked" // Sender is who signed in no longer; no Installation
	Ping                 Kind = "ping"                  // no Installation
)

// Account is a user or an organization.
type Account struct {
	ID    int64
	Login string
	Type  string // "User", "Organization", "Bot"; "" if not said
}

// Installation is where the App is installed. Most events name its ID only.
type Installation struct {
	ID        int64 // 0: none
	Account   Account
	Suspended bool
}

// Repository is known by ID; the names change.
type Repository struct {
	ID            int64
	Owner         Account // in lists of an installation, Login alone
	Name          string
	DefaultBranch string // "" if not said
	Private       bool
	Archived      bool
}

// Event is what one delivery means. Its names and ids are safe to use: tags are what
// git takes, owners and repositories what GitHub allows, all can be shown to people,
// and an id that is set is positive.
type Event struct {
	Name   string // the header X-GitHub-Event
	Action string // "" where the event has none
	Kind   Kind
	Note   string // why it is ignored

	Installation Installation
	Sender       Account // zero if not said
	Repository   *Repository
	Repositories []*Repository
	From         string // the name before: "owner/name" of a repository, the login of an account

	Tag    string // without refs/tags/
	Ref    string // refs/tags/… or refs/pull/…/head
	Commit string // a hint, "" if not said; never a tag object's id
	Moved  bool   // the tag was there before and points elsewhere now

	Release    int64
	Prerelease bool

	PullRequest int
	Fork        bool // the pull request's head is another repository's, or its repository is gone

	CheckRun        int64
	CheckSuite      int64
	ExternalID      string // ours, from when the check was made
	RequestedAction string // ours, the button's identifier
}

// Parse says what a payload means. The body must have passed Verify. An event or an
// action that is of no use to us is of kind Ignored. An error means that the body is
// not JSON, that something needed is missing, or that a name or an id is not one that
// GitHub gives; parsing it again is of no use.
func Parse(name string, body []byte) (*Event, error) {
	used := payloads[name]
	if used == nil {
		return unused(name, body)
	}
	p := used()
	broken, unfit := object(body, p)
	if broken != nil {
		return nil, fmt.Errorf("%s event: %w", name, broken)
	}
	m, ok := meanings[key{name, p.common().Action}]
	if !ok {
		return unused(name, body)
	}
	e := &Event{Name: name, Action: p.common().Action, Kind: m.kind}
	err := inWords(unfit)
	if err == nil {
		err = read(p, e, m.needs)
	}
	if err != nil {
		return nil, fmt.Errorf("%s event: %w", name, err)
	}
	return e, nil
}

func unused(name string, body []byte) (*Event, error) {
	h, err := ReadHead(name, body)
	if err != nil {
		return nil, err
	}
	e := &Event{Name: name, Action: h.Action, Installation: Installation{ID: h.Installation}, Repository: h.repository()}
	e.ignore("DistroPack does not use this event")
	return e, nil
}

func (e *Event) ignore(why string) { e.Kind, e.Note = Ignored, why }
