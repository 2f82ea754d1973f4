// Package githubtest is a double of GitHub for tests: its REST API for releases and
// for GitHub Apps, the webhooks it sends, and the pages where Apps are made and
// people sign in, kept in memory.
//
// Each request that it gets and each answer that it gives is checked against
// GitHub's own OpenAPI description (testdata/github.json.gz); what does not fit
// fails the test and names the field. On top of that it behaves as GitHub does
// where the description is silent: drafts have no tag, several drafts may wait for
// one tag, names of assets are rewritten, an upload that ends early leaves an
// asset in the state "starter", a published release may be immutable, downloads
// lead to another host that must not get the token; Apps prove with their key who
// they are and get tokens that end, for some repositories and permissions; limits of
// requests are enforced; renamed repositories are redirected to.
package githubtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token may read and write everything where Options.Tokens says nothing else. It
// has the form of an installation's token: dots and any length.
const Token = "ghs_1234_eyJhbGciOiJub25lIn0.secret-part.of_the-token"

// Grant is what a token may do.
type Grant struct {
	Write bool     // contents: write
	Only  []string // "owner/name" of the repositories it sees; nil: all
}

// Options of a Server. The zero value is github.com with one token.
type Options struct {
	Tokens    map[string]Grant // nil: Token may do everything
	Now       func() time.Time // nil: time.Now
	PageSize  int              // the most a page holds; 0: 100, as GitHub
	NoDigests bool             // assets have no digest, as on older servers
	Forget    bool             // assets' bytes are hashed and dropped
	Limits    Limits           // of each App and installation; tokens of Tokens have none
}

// Server is a GitHub in memory. Its methods may be called concurrently.
type Server struct {
	URL       string // of the API, with a trailing slash
	UploadURL string // of the API's uploads, with a trailing slash
	FilesURL  string // of the host that downloads lead to, without a slash

	t     testing.TB
	o     Options
	desc  *description
	web   string
	front *httptest.Server
	files *httptest.Server

	mu       sync.Mutex
	repos    []*Repository
	names    map[string]*Repository // that had "owner/name"
	accounts []*account
	apps     []*App
	minted   map[string]*token
	tokens   int
	people   []*Person
	browser  string // login of who sits there
	sessions map[string]*userToken
	codes    map[string]*consent
	made     map[string]*made
	sending  int
	fault    func(*http.Request) Fault
	requests []string
	lastID   int64
	uploads  int
	moved    chan struct{} // closed and made anew at each end of a request
}

// New starts a server that ends with the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.PageSize == 0 {
		o.PageSize = 100
	}
	if o.Tokens == nil {
		o.Tokens = map[string]Grant{Token: {Write: true}}
	}
	d, err := load()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, o: o, desc: d, moved: make(chan struct{}), names: make(map[string]*Repository), minted: make(map[string]*token), sessions: make(map[string]*userToken), codes: make(map[string]*consent), made: make(map[string]*made)}
	s.files = httptest.NewServer(http.HandlerFunc(s.serveFile))
	s.front = httptest.NewServer(http.HandlerFunc(s.serve))
	s.web = s.front.URL
	s.URL, s.UploadURL, s.FilesURL = s.web+apiPath, s.web+uploadPath, s.files.URL
	t.Cleanup(func() {
		s.Settle(context.Background()) // each webhook has an end
		s.front.Close()
		s.files.Close()
	})
	return s
}

// The paths below a host's name where GitHub Enterprise Server has the API.
const (
	apiPath    = "/api/v3/"
	uploadPath = "/api/uploads/"
)

// On sets what is asked before each request is carried out; nil takes it away. f
// may be called concurrently and must not read the body.
func (s *Server) On(f func(r *http.Request) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Requests returns method and path of each request to the API so far, as
// "POST /repos/o/r/releases", in the order they came.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count is the number of requests so far whose text has the prefix.
func (s *Server) Count(prefix string) int {
	n := 0
	for _, r := range s.Requests() {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// Uploading returns how many uploads are under way, and a channel that is closed
// when the next request ends.
func (s *Server) Uploading() (n int, moved <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uploads, s.moved
}

func (s *Server) now() time.Time { return s.o.Now().UTC().Truncate(time.Second) }

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}

// Path returns the path of a request below the API, whichever of the two URLs it
// came by: "/repos/o/r/releases".
func Path(r *http.Request) string {
	for _, p := range []string{apiPath, uploadPath} {
		if rest, ok := strings.CutPrefix(r.URL.Path, p); ok {
			return "/" + rest
		}
	}
	return r.URL.Path
}

// IsUpload reports whether a request uploads an asset.
func IsUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, uploadPath)
}

// call is one request that is being answered. Handlers hold the server's lock.
type call struct {
	s      *Server
	r      *http.Request
	route  *route
	params map[string]string
	body   []byte // of requests that are no uploads
	known  bool   // some token was given:
	grant  Grant  // what one of Options.Tokens may do
	token  *token // an installation's
	app    *App   // an App's own proof
	person *Person

	personApp *App // that person has the token from
	spent     bool
	repo      *Repository
	fault     Fault
}

// answer is what a handler says.
type answer struct {
	status int
	header http.Header
	body   any    // nil: none
	raw    []byte // instead of body
	limits http.Header
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

func redirect(to string) answer {
	return answer{status: http.StatusFound, header: http.Header{"Location": {to}}}
}

// refuse is an error as GitHub words it.
func refuse(status int, message string) answer {
	return answer{status: status, body: map[string]any{
		"message":           message,
		"documentation_url": "https://docs.github.com/rest",
		"status":            fmt.Sprint(status),
	}}
}

func notFound() answer { return refuse(http.StatusNotFound, "Not Found") }

// invalid is GitHub's 422 for one field.
func invalid(resource, code, field, message string) answer {
	e := map[string]any{"resource": resource, "code": code, "field": field}
	if message != "" {
		e["message"] = message
	}
	a := refuse(http.StatusUnprocessableEntity, "Validation Failed")
	a.body.(map[string]any)["errors"] = []any{e}
	return a
}
