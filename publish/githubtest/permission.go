package githubtest

import (
	"net/http"
	"slices"
	"strings"
)

// needs are the permissions of operations on a repository:
// https://docs.github.com/rest/authentication/permissions-required-for-github-apps
var needs = map[string]string{
	"repos/get":                      "metadata: read",
	"repos/list-tags":                "metadata: read",
	"repos/check-immutable-releases": "administration: read",
	"git/get-ref":                    "contents: read",
	"git/list-matching-refs":         "contents: read",
	"git/get-tag":                    "contents: read",
	"git/get-commit":                 "contents: read",
	"repos/get-content":              "contents: read",
	"repos/list-releases":            "contents: read",
	"repos/get-latest-release":       "contents: read",
	"repos/get-release-by-tag":       "contents: read",
	"repos/get-release":              "contents: read",
	"repos/list-release-assets":      "contents: read",
	"repos/get-release-asset":        "contents: read",
	"repos/create-release":           "contents: write",
	"repos/generate-release-notes":   "contents: write",
	"repos/update-release":           "contents: write",
	"repos/delete-release":           "contents: write",
	"repos/update-release-asset":     "contents: write",
	"repos/delete-release-asset":     "contents: write",
	"repos/upload-release-asset":     "contents: write",
	"checks/get":                     "checks: read",
	"checks/list-for-ref":            "checks: read",
	"checks/list-annotations":        "checks: read",
	"checks/create":                  "checks: write",
	"checks/update":                  "checks: write",
	"pulls/get":                      "pull_requests: read",
	"pulls/list-files":               "pull_requests: read",
	"issues/get":                     "issues: read",
	"issues/list-for-repo":           "issues: read",
	"issues/list-comments":           "issues: read",
	"issues/create":                  "issues: write",
	"issues/update":                  "issues: write",
	"issues/create-comment":          "issues: write",
}

func (c *call) op() string { return c.route.Operation.OperationID }

// admit settles what who asks may do.
func (s *Server) admit(c *call) (answer, bool) {
	if a, ok := s.authorize(c); !ok {
		return a, false
	}
	if a, ok := c.spend(); !ok {
		return a, false
	}
	if a, ok := c.fits(); !ok {
		return a, false
	}
	owner, ok := c.params["owner"]
	if !ok {
		return answer{}, true
	}
	c.repo = s.find(owner, c.params["repo"])
	if c.repo == nil {
		if r := s.former(owner, c.params["repo"]); r != nil && s.sees(c, r) {
			return c.moved(r), false
		}
		return notFound(), false
	}
	if c.app != nil {
		return answer{}, true // apps/get-repo-installation, as fits says
	}
	if !s.sees(c, c.repo) {
		return notFound(), false
	}
	return c.permitted()
}

// fits checks that the operation is for this kind of token.
func (c *call) fits() (answer, bool) {
	path := c.route.Path
	switch {
	case path == "/app" || strings.HasPrefix(path, "/app/") || path == "/repos/{owner}/{repo}/installation":
		if c.app == nil {
			return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded"), false
		}
	case c.app != nil:
		return refuse(http.StatusForbidden, "Resource not accessible by integration"), false
	case strings.HasPrefix(path, "/installation/"):
		if c.token == nil {
			return refuse(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation."), false
		}
	case path == "/user" || strings.HasPrefix(path, "/user/"):
		if c.person == nil {
			return refuse(http.StatusForbidden, "Resource not accessible by integration"), false
		}
	}
	return answer{}, true
}

// permitted checks the permissions of who asks for a repository they see.
func (c *call) permitted() (answer, bool) {
	need, known := needs[c.op()]
	write := c.r.Method != http.MethodGet
	no := refuse(http.StatusForbidden, "Resource not accessible by integration")
	switch {
	case !c.known && write:
		return refuse(http.StatusUnauthorized, "Requires authentication"), false
	case c.token != nil && !known:
		c.s.t.Errorf("%s %s: the double does not know the permission %s needs", c.r.Method, Path(c.r), c.op())
		return no, false
	case c.token != nil && c.token.covers(c.repo):
		return no, c.token.may(need)
	case c.token != nil, c.person != nil:
		return no, !write // somebody else's public repository
	case strings.HasPrefix(c.op(), "checks/") && write:
		return refuse(http.StatusForbidden, "You must authenticate via a GitHub App."), false
	}
	return no, !write || c.grant.Write
}

func (s *Server) authorize(c *call) (answer, bool) {
	head := c.r.Header.Get("Authorization")
	if head == "" {
		return answer{}, true
	}
	bad := refuse(http.StatusUnauthorized, "Bad credentials")
	kind, text, _ := strings.Cut(head, " ")
	if k := strings.ToLower(kind); k != "bearer" && k != "token" {
		return bad, false
	}
	if strings.HasPrefix(text, "eyJ") {
		app, why := s.proven(text)
		if app == nil {
			return refuse(http.StatusUnauthorized, why), false
		}
		c.app, c.known = app, true
		return answer{}, true
	}
	if t := s.minted[text]; t != nil {
		if t.in.removed || !s.now().Before(t.expires) {
			return bad, false
		}
		if !t.in.suspended.IsZero() {
			return suspended(), false
		}
		c.token, c.known = t, true
		return answer{}, true
	}
	if t := s.sessions[text]; t != nil && s.now().Before(t.expires) {
		c.person, c.personApp, c.known = t.person, t.app, true
		return answer{}, true
	}
	c.grant, c.known = s.o.Tokens[text]
	return bad, c.known
}

// sees reports whether a repository exists for who asks.
func (s *Server) sees(c *call, r *Repository) bool {
	switch {
	case c.token != nil && c.token.covers(r), c.person != nil && c.person.roles[r.id] != "":
		return true
	case c.token == nil && c.person == nil && c.app == nil && c.known && (c.grant.Only == nil || slices.Contains(c.grant.Only, r.Owner+"/"+r.Name)):
		return true
	}
	return !r.private
}

// writes reports whether who asks may write: only they see drafts.
func (c *call) writes() bool {
	if c.token != nil {
		return c.repo != nil && c.token.covers(c.repo) && c.token.may("contents: write")
	}
	return c.known && c.grant.Write
}

// moved leads to a repository that has another name by now. What is no GET keeps
// its method.
func (c *call) moved(r *Repository) answer {
	rest := strings.TrimPrefix(Path(c.r), "/repos/"+c.params["owner"]+"/"+c.params["repo"])
	to := c.s.URL + "repositories/" + itoa(r.id) + rest
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	status := http.StatusMovedPermanently
	if c.r.Method != http.MethodGet {
		status = http.StatusTemporaryRedirect
	}
	return answer{status: status, header: http.Header{"Location": {to}}, body: map[string]any{"message": "Moved Permanently", "url": to, "documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"}}
}
