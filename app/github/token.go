package github

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// early is how long before its end a token is not used any more.
const early = 5 * time.Minute

// tokens are those in use.
type tokens struct {
	mu    sync.Mutex
	known map[string]*grant
}

// grant is one token, or one to come.
type grant struct {
	turn    chan struct{} // has room for whoever looks or asks
	token   string
	expires time.Time
}

func (t *tokens) grant(key string, now time.Time) *grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = make(map[string]*grant)
	}
	g := t.known[key]
	if g == nil {
		// Those of jobs long done are not kept.
		maps.DeleteFunc(t.known, func(_ string, g *grant) bool {
			select {
			case g.turn <- struct{}{}:
				defer func() { <-g.turn }()
				return g.token != "" && now.After(g.expires)
			default:
				return false
			}
		})
		g = &grant{turn: make(chan struct{}, 1)}
		t.known[key] = g
	}
	return g
}

// Token returns a token for one repository, by its id, or for all of the
// installation's if repo is 0, with some of the installation's permissions, such as
// "contents": "read", or with all of them if permissions is nil. It is good for
// five minutes at least. The same one is returned until then.
//
// Errors are ErrNoInstallation, ErrSuspended, ErrForbidden where the installation
// lacks one of the permissions, and ErrNotFound where it lacks the repository.
func (c *Client) Token(ctx context.Context, repo int64, permissions map[string]string) (token string, expires time.Time, err error) {
	g, err := c.grant(ctx, repo, permissions)
	if err != nil {
		return "", time.Time{}, err
	}
	return g.token, g.expires, nil
}

// anyToken is the one for our own requests.
func (c *Client) anyToken(ctx context.Context) (string, func(), error) {
	g, err := c.grant(ctx, 0, nil)
	if err != nil {
		return "", nil, err
	}
	return g.token, func() { c.forget(g.token) }, nil
}

// forget drops a token that GitHub refuses, unless there is another by now.
func (c *Client) forget(token string) {
	g := c.app.tokens.grant(c.key(0, nil), c.app.line.now())
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	if g.token == token {
		g.token = ""
	}
}

func (c *Client) key(repo int64, permissions map[string]string) string {
	key := fmt.Sprintf("%d %d %t", c.id, repo, permissions == nil)
	for _, name := range slices.Sorted(maps.Keys(permissions)) {
		key += " " + name + "=" + permissions[name]
	}
	return key
}

// grant returns a copy of a token that is good for a while.
func (c *Client) grant(ctx context.Context, repo int64, permissions map[string]string) (grant, error) {
	g := c.app.tokens.grant(c.key(repo, permissions), c.app.line.now())
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return grant{}, ctx.Err()
	}
	if g.token != "" && c.app.line.now().Add(early).Before(g.expires) {
		return grant{token: g.token, expires: g.expires}, nil
	}
	body := make(map[string]any)
	what := fmt.Sprintf("a token for installation %d", c.id)
	if repo != 0 {
		body["repository_ids"] = []int64{repo}
		what += fmt.Sprintf(" and repository %d", repo)
	}
	if permissions != nil {
		body["permissions"] = permissions
		var words []string
		for _, name := range slices.Sorted(maps.Keys(permissions)) {
			words = append(words, name+": "+permissions[name])
		}
		what += " with " + strings.Join(words, ", ")
	}
	var in struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	// Repeating is harmless: a token that nobody has seen ends by itself.
	q := request{what: what, method: http.MethodPost, path: fmt.Sprintf("app/installations/%d/access_tokens", c.id), body: body, asApp: true, minting: true}
	if _, err := c.app.as.call(ctx, q, &in); err != nil {
		return grant{}, err
	}
	if in.Token == "" {
		return grant{}, &Error{Subject: what, Host: c.app.line.api.Host, Message: "the answer has no token", Advice: "check the API's address"}
	}
	g.token, g.expires = in.Token, in.Expires
	return grant{token: g.token, expires: g.expires}, nil
}
