// Package git keeps a tree in a branch of a git repository, on any host that
// speaks git's protocol by HTTP or ssh, or on this machine. Nothing is cloned.
//
// A version is the commit at the branch's end. Of a version the commit and its
// folders are fetched, without files (a partial, shallow fetch); files are fetched
// one by one, by their id, when they are read. A publish sends the new files, the
// folders on their way and a commit, and the host moves the branch from the commit
// that the publish was made on to the new one, or refuses: the push is the
// compare-and-swap, and readers see all of it or nothing.
//
// Files that a change does not name stay as they are, whoever put them there.
//
// Nothing large is held in memory: what is sent is read as it goes, what is
// fetched goes to a file in Options.Dir. A host that can't leave out files, or
// gives none by its id, sends the whole branch to that folder; Options.Say is told.
//
// The formats are those of gitprotocol-v2(5), gitprotocol-pack(5),
// gitprotocol-http(5) and gitformat-pack(5). Repositories that name objects by
// SHA-256 are refused.
package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// agent is how a host is told who asks.
const agent = "distropack"

// History says what becomes of earlier versions.
type History int

const (
	// Squash makes each version a commit without parents, so that a branch does not
	// grow. The host has to allow forced pushes.
	Squash History = iota
	// Keep makes each version the child of the one before.
	Keep
)

// Options of a Git. URL is required; for ssh SSHKey and KnownHosts too.
type Options struct {
	// URL is where the repository is: https://, http://, ssh:// or file://, also
	// user@host:path or a path. There is no user (but for ssh), password or token
	// in it.
	URL     string
	Branch  string // "" means "gh-pages"
	Folder  string // where in the branch the tree lies; "" is the top
	History History

	// User and Token are for HTTP. Token is asked for each conversation; it may be
	// called concurrently. nil asks without one.
	User  string // "" means "x-access-token", which GitHub expects; GitLab takes any
	Token func(ctx context.Context) (string, error)

	SSHKey        []byte // private key, as ssh-keygen writes it
	SSHPassphrase string
	KnownHosts    []byte // lines of a known_hosts file; other hosts are refused

	Name, Email string    // of author and committer; "" means DistroPack
	Now         time.Time // of the commit; the zero time means 1970

	HTTP *http.Client // nil means one with net/http's defaults; redirections are handled here
	Dir  string       // for temporary files; "" means os.TempDir
	Say  func(string) // told what an operator should know; nil drops it
}

// Git is a publish.Destination.
type Git struct {
	link     link
	text     string
	branch   string
	folder   string
	history  History
	author   string
	email    string
	now      int64
	say      func(string)
	scratch  scratch
	patience time.Duration
	loading  chan struct{} // holds one while a version is fetched

	mu       sync.Mutex
	offer    *advert    // the host's, if it speaks version 2
	versions []*version // the latest first
	full     bool       // versions have to be fetched with all files
	noSingle bool       // the host gives no file by its id
	whole    *version   // fetched last with all files
	packs    []*packFile
	removals []func() error
	ids      map[formats.Ref]id
	tokens   []string // to be kept out of errors
}

var _ publish.Destination = (*Git)(nil)

// Open returns the tree in a branch, which need not exist yet. The options are
// checked; the host is not asked.
func Open(o Options) (*Git, error) {
	a, err := parseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	g := &Git{text: a.text, branch: o.Branch, folder: strings.Trim(o.Folder, "/"), history: o.History, author: o.Name, email: o.Email, say: o.Say}
	if g.branch == "" {
		g.branch = "gh-pages"
	}
	if g.folder == "." {
		g.folder = ""
	}
	if err := checkBranch(g.branch); err != nil {
		return nil, fmt.Errorf("%s: %w", g.text, err)
	}
	if g.folder != "" {
		if !fs.ValidPath(g.folder) || checkPath(g.folder) != nil {
			return nil, fmt.Errorf("%s: folder %q can't be in a branch", g.text, printable(g.folder, 200))
		}
	}
	if g.author == "" {
		g.author = "DistroPack"
	}
	if g.email == "" {
		g.email = "distropack@localhost"
	}
	for _, s := range []string{g.author, g.email} {
		if strings.ContainsAny(s, "<>\n\x00") || strings.TrimSpace(s) != s || strings.Trim(s, ".,:;<>\"\\'") == "" {
			return nil, fmt.Errorf("%s: %q can't be an author's name or address", g.text, printable(s, 100))
		}
	}
	if !o.Now.IsZero() {
		g.now = max(o.Now.Unix(), 0)
	}
	if g.say == nil {
		g.say = func(string) {}
	}
	g.scratch.dir = o.Dir
	g.patience = patience
	g.loading = make(chan struct{}, 1)
	g.ids = make(map[formats.Ref]id)

	switch a.scheme {
	case "file":
		g.link = &program{a.path}
	case "ssh":
		if g.link, err = newShell(a, &o); err != nil {
			return nil, err
		}
	default:
		if o.Token != nil {
			o.Token = g.remembering(o.Token)
			if a.scheme == "http" && !isLocal(a.host) {
				g.say(fmt.Sprintf("%s: the token goes to the host unencrypted: use https", g.text))
			}
		}
		g.link = newWeb(a, &o)
	}
	return g, nil
}

func isLocal(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is where the repository is, without anything secret.
func (g *Git) URL() string { return g.text }

// Close ends connections and deletes temporary files. Files that Open returned
// are to be closed before.
func (g *Git) Close() error {
	g.mu.Lock()
	removals := g.removals
	g.removals, g.packs, g.whole = nil, nil, nil
	g.mu.Unlock()
	err := errors.Join(g.link.close(), g.scratch.close())
	for _, remove := range removals {
		err = errors.Join(err, remove())
	}
	return err
}

// Head implements publish.Destination: the commit at the branch's end.
func (g *Git) Head(ctx context.Context) (string, error) {
	tip, err := g.tip(ctx)
	if err != nil {
		return "", g.fail(err)
	}
	if tip.isZero() {
		return "", nil
	}
	return tip.String(), nil
}

// Open implements publish.Destination. The file is here as a whole when Open
// returns.
func (g *Git) Open(ctx context.Context, version, path string) (io.ReadCloser, error) {
	if !fs.ValidPath(path) {
		return nil, fmt.Errorf("path %q: %w", path, fs.ErrInvalid)
	}
	if version == "" {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	v, err := g.load(ctx, version)
	if err != nil {
		return nil, g.fail(err)
	}
	r, err := g.open(ctx, v, path)
	if err != nil {
		return nil, g.fail(err)
	}
	return r, nil
}

// Commit implements publish.Destination.
func (g *Git) Commit(ctx context.Context, base string, c *publish.Change) (string, error) {
	v, err := g.commit(ctx, base, c)
	if err != nil {
		return "", g.fail(err)
	}
	return v, nil
}

// fail says of which branch an error is.
func (g *Git) fail(err error) error {
	if errors.Is(err, publish.ErrConflict) || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return &failure{text: fmt.Sprintf("%s, branch %s: %s", g.text, g.branch, masked(err.Error(), g.tokens)), err: err}
}

// failure is an error with a text that has no token in it, should the host have
// repeated it.
type failure struct {
	text string
	err  error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.err }

func masked(s string, secrets []string) string {
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "[secret]")
	}
	return s
}

// remembering notes the tokens that were used.
func (g *Git) remembering(token func(context.Context) (string, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		s, err := token(ctx)
		s = strings.TrimSpace(s)
		if err == nil && s != "" {
			g.mu.Lock()
			defer g.mu.Unlock()
			if len(g.tokens) == 0 || g.tokens[len(g.tokens)-1] != s {
				g.tokens = append(g.tokens[max(0, len(g.tokens)-9):], s)
			}
		}
		return s, err
	}
}
