package web

import (
	"context"
	"errors"
	"time"
)

// GitHub is what signing in needs. A token is a user's; none of the errors has it.
type GitHub interface {
	// AuthorizeURL is where a browser goes to sign in. The verifier binds the code that
	// it comes back with to whoever has it (PKCE).
	AuthorizeURL(redirect, state, verifier string) string
	// Exchange trades that code.
	Exchange(ctx context.Context, code, redirect, verifier string) (UserToken, error)
	User(ctx context.Context, token string) (*User, error)
	// Repositories lists what the user sees of all installations.
	Repositories(ctx context.Context, token string) ([]Access, error)
	// Repository asks for one, which may be public and in none of the lists. The error
	// is ErrNotVisible if the user does not see it.
	Repository(ctx context.Context, token string, id int64) (*Access, error)
}

var (
	// ErrNotVisible says that a user does not see a repository.
	ErrNotVisible = errors.New("not visible to this user")
	// ErrUnauthorized says that GitHub does not take a user's token any more.
	ErrUnauthorized = errors.New("the user's token is not valid any more")
)

// UserToken speaks for a user.
type UserToken struct {
	Token   string
	Expires time.Time // zero: never
}

// User is somebody on GitHub.
type User struct {
	ID    int64
	Login string
}

// Access is a repository and what a user may do with it.
type Access struct {
	ID           int64
	Installation int64 // in the list; 0 where a repository was asked for by itself
	Owner, Name  string
	Admin        bool
	Maintain     bool
}

// Setup makes the GitHub App that this server is.
type Setup interface {
	// App is what there is; nil if it was not made yet. It is asked for each page of the
	// start, so it should answer from memory.
	App(ctx context.Context) (*App, error)
	// Manifest is what GitHub makes the App from, and where a browser posts it: for an
	// organization, or for the person if organization is "". GitHub sends people to
	// /setup/github with a code and the state, later to /signin/github, and to
	// /installed when they have installed the App.
	Manifest(organization, state string) (post string, manifest []byte, err error)
	// Create trades the code that GitHub answered with, and keeps what it gets sealed.
	Create(ctx context.Context, code string) (*App, error)
}

// App is the GitHub App.
type App struct {
	ID   int64
	Name string
	URL  string // its page on GitHub; below it is installations/new
}

// Actions are what people and programs may have done. by is who asked: a login, or
// "token NAME of LOGIN". A Refusal says why something is not possible.
type Actions interface {
	// Release begins the release of a tag, of some targets only if any are named, and
	// returns its id; its row is in the store by then. One that exists already is
	// returned as it is.
	Release(ctx context.Context, by string, repository int64, tag string, targets []string) (id string, err error)
	Cancel(ctx context.Context, by, release string) error
	// Restart runs again what failed or was cancelled; what is done stays done.
	Restart(ctx context.Context, by, release string) error
	// Republish publishes a version anew whose tag has moved since.
	Republish(ctx context.Context, by, release string) error
	// Rollback withdraws a release: people get the one before it.
	Rollback(ctx context.Context, by, release string) error
	// Redeliver handles a webhook again.
	Redeliver(ctx context.Context, by, guid string) error
}

// Keys are signing keys. A scope is "installation:42" or "repository:7".
type Keys interface {
	List(ctx context.Context, scope string) ([]Key, error)
	New(ctx context.Context, scope string, k NewKey) error
	// Import keeps a key after it has signed something with it.
	Import(ctx context.Context, scope, name string, private []byte, passphrase string) error
	// Export returns a key for a backup, locked with the passphrase.
	Export(ctx context.Context, scope, name, passphrase string) (*Backup, error)
	// Replace begins a rotation: a new key signs beside the old one.
	Replace(ctx context.Context, scope, name string) error
}

// Key is what everybody may know of a key.
type Key struct {
	Name        string
	User        string // whose: "Hello <hello@example.org>"
	State       string // for people: "current", "next", "retired"; "" means current
	Fingerprint string // OpenPGP's, hexadecimal; "" without such a part
	Parts       []KeyPart
	Created     time.Time
	Expires     time.Time // zero: never
	Warnings    []string  // clients it won't work for, days that are left
}

// KeyPart is the public half of a key for some clients.
type KeyPart struct {
	Use  string // "apt, dnf, zypper, pacman"
	ID   string // what people compare: a fingerprint, a number
	File string // the name it is served under
	Text string // an armoured certificate, PEM, usign's form
}

// NewKey says what key to make: one with parts for all clients.
type NewKey struct {
	Name  string
	Owner string        // the name in it
	Email string        // the address in it
	Lasts time.Duration // 0: for as long as is usual
}

// Backup is a file to keep.
type Backup struct {
	File string // its name
	Data []byte
}

// Secrets are what releases of a repository need of places. Their values go in and
// never come out.
type Secrets interface {
	List(ctx context.Context, scope string) ([]Secret, error)
	Set(ctx context.Context, scope, name string, value []byte) error
	Delete(ctx context.Context, scope, name string) error
}

// Secret is all that may be shown of one.
type Secret struct {
	Name    string
	Created time.Time // when its value was last given
}

// Refusal is an error that people are shown as it is: a plain sentence that says what
// is wrong and what to do. All other errors are logged, and people get a number.
type Refusal struct{ Text string }

func (r *Refusal) Error() string { return r.Text }
