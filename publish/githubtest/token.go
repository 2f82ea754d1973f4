package githubtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// token is an installation's.
type token struct {
	in          *Installation
	repos       map[int64]bool // nil: all of the installation's
	permissions map[string]string
	expires     time.Time
}

func (t *token) covers(r *Repository) bool {
	return t.in.covers(r) && (t.repos == nil || t.repos[r.id])
}

// may reports whether the token has a permission as "contents: write".
func (t *token) may(need string) bool {
	name, level, _ := strings.Cut(need, ": ")
	has := t.permissions[name]
	return has != "" && (has == level || has == "admin" || has == "write" && level == "read")
}

// tokenLife is how long an installation's token is good.
const tokenLife = time.Hour

// createToken makes a token for some or all of an installation's repositories and
// permissions.
func createToken(c *call) answer {
	i := c.s.installation(c.params["installation_id"])
	if i == nil || i.App != c.app {
		return notFound()
	}
	if !i.suspended.IsZero() {
		return suspended()
	}
	var in struct {
		Repositories []string
		IDs          []int64 `json:"repository_ids"`
		Permissions  map[string]string
	}
	c.decode(&in)
	t := &token{in: i, permissions: maps.Clone(i.permissions), expires: c.s.now().Add(tokenLife)}
	if len(in.Permissions) > 0 {
		for name, level := range in.Permissions {
			if !t.may(name + ": " + level) {
				return refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
		}
		t.permissions = in.Permissions
		if t.permissions["metadata"] == "" {
			t.permissions = maps.Clone(in.Permissions)
			t.permissions["metadata"] = "read" // which every token has
		}
	}
	listed := []any{}
	if len(in.Repositories)+len(in.IDs) > 0 {
		t.repos = make(map[int64]bool)
		for _, r := range i.covered() {
			if slices.Contains(in.IDs, r.id) || slices.Contains(in.Repositories, r.Name) {
				t.repos[r.id] = true
				listed = append(listed, c.s.fill("repository", r.about()))
			}
		}
		if len(listed) != len(in.IDs)+len(in.Repositories) {
			return refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
		}
	}
	text := c.s.mint(fmt.Sprintf("ghs_%d_", i.App.ID))
	c.s.minted[text] = t
	body := map[string]any{"token": text, "expires_at": t.expires.Format(time.RFC3339), "permissions": t.permissions, "repository_selection": i.selection()}
	if t.repos != nil {
		body["repository_selection"], body["repositories"] = "selected", listed
	}
	return answer{status: http.StatusCreated, body: body}
}

// mint makes a token's text: any length, with dots, as GitHub's.
func (s *Server) mint(prefix string) string {
	s.tokens++
	seed := hash(prefix, fmt.Sprint(s.tokens))
	return prefix + "eyJhbGciOiJFUzI1NiJ9." + strings.Repeat(seed, 1+s.tokens%9) + "." + seed[:10] + "_-" + seed[10:20+s.tokens%7]
}

// code makes a text that is traded once for something else.
func (s *Server) code(kind string) string {
	s.tokens++
	return hash(kind, fmt.Sprint(s.tokens))
}

// TokenOf says what a token that the double gave is good for: names of its
// repositories, nil for all, and its permissions. ok is false for other texts.
func (s *Server) TokenOf(text string) (repos []string, permissions map[string]string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.minted[text]
	if t == nil {
		return nil, nil, false
	}
	for _, r := range s.repos {
		if t.repos[r.id] {
			repos = append(repos, r.Owner+"/"+r.Name)
		}
	}
	return repos, maps.Clone(t.permissions), true
}

// Revoke makes all tokens that were given so far unknown, as when the App's owner
// revokes them.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.minted)
}
