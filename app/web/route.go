package web

import (
	"fmt"
	"net/http"
	"strings"
)

// need is the right that a route asks for. Further down never means more: each is
// checked by itself in guard.go.
type need int

const (
	anyone             need = iota // nobody is asked who they are
	visitor                        // the same, but a session is looked at if there is one
	setupLink                      // the one-time link that the server printed
	signedIn                       // a person with a session
	siteAdmin                      // who runs this server
	readRepository                 // whoever sees the repository on GitHub; tokens with "read"
	startRelease                   // admin or maintain on GitHub; tokens with "release"
	controlRelease                 // admin or maintain on GitHub; tokens with "control"
	manageRepository               // admin or maintain on GitHub; no token
	readInstallation               // whoever sees one of its repositories
	manageInstallation             // its account, or admin of each of its repositories; no token
	bearer                         // any valid token
)

// about is what an address names. It is looked up before the right is checked.
type about int

const (
	nothing        about = iota
	aRepository          // {repository}
	aNamed               // {owner} and {name}
	aRelease             // {repository}, {commit} and {tag...}
	anInstallation       // {installation}
	aDelivery            // {guid} of the installation, if there is one
	theReleases          // each id of the query
)

// route is an address: who may come, what it names, and who answers.
type route struct {
	pattern string // as of http.ServeMux, with the method
	needs   need
	about   about
	handle  handler
}

type handler func(s *Site, w http.ResponseWriter, r *http.Request, v *visit) error

// program says that the route is for programs: bearer tokens, JSON, no cookies.
func (r *route) program() bool { return strings.Contains(r.pattern, " /api/v1/") }

// routes are all of them. What is not here is not found.
var routes = []route{
	{"GET /{$}", visitor, nothing, (*Site).home},
	{"GET /healthz", anyone, nothing, (*Site).healthz},
	{"GET /readyz", anyone, nothing, (*Site).readyz},
	{"GET /assets/{file}", anyone, nothing, (*Site).asset},
	{"GET /api", visitor, nothing, (*Site).apiPage},

	{"GET /setup", setupLink, nothing, (*Site).setupPage},
	{"GET /setup/github", setupLink, nothing, (*Site).setupCreated},
	{"POST /setup/claim", signedIn, nothing, (*Site).setupClaim},
	{"GET /signin", anyone, nothing, (*Site).signIn},
	{"GET /signin/github", anyone, nothing, (*Site).signInCallback},
	{"POST /signout", signedIn, nothing, (*Site).signOut},
	{"GET /installed", signedIn, nothing, (*Site).installed},

	{"GET /admin", siteAdmin, nothing, (*Site).adminPage},
	{"GET /admin/deliveries", siteAdmin, nothing, (*Site).deliveriesPage},
	{"GET /admin/deliveries/{guid}", siteAdmin, aDelivery, (*Site).deliveryPage},
	{"POST /admin/deliveries/{guid}/redeliver", siteAdmin, aDelivery, (*Site).redeliver},

	{"GET /installations/{installation}", readInstallation, anInstallation, (*Site).installationPage},
	{"GET /installations/{installation}/deliveries", manageInstallation, anInstallation, (*Site).deliveriesPage},
	{"GET /installations/{installation}/deliveries/{guid}", manageInstallation, aDelivery, (*Site).deliveryPage},
	{"POST /installations/{installation}/deliveries/{guid}/redeliver", manageInstallation, aDelivery, (*Site).redeliver},
	{"GET /installations/{installation}/keys", manageInstallation, anInstallation, (*Site).keysPage},
	{"POST /installations/{installation}/keys/new", manageInstallation, anInstallation, (*Site).newKey},
	{"POST /installations/{installation}/keys/import", manageInstallation, anInstallation, (*Site).importKey},
	{"POST /installations/{installation}/keys/export", manageInstallation, anInstallation, (*Site).exportKey},
	{"POST /installations/{installation}/keys/replace", manageInstallation, anInstallation, (*Site).replaceKey},
	{"GET /installations/{installation}/secrets", manageInstallation, anInstallation, (*Site).secretsPage},
	{"POST /installations/{installation}/secrets/set", manageInstallation, anInstallation, (*Site).setSecret},
	{"POST /installations/{installation}/secrets/delete", manageInstallation, anInstallation, (*Site).deleteSecret},
	{"GET /installations/{installation}/tokens", manageInstallation, anInstallation, (*Site).tokensPage},
	{"POST /installations/{installation}/tokens/new", manageInstallation, anInstallation, (*Site).newToken},
	{"POST /installations/{installation}/tokens/revoke", manageInstallation, anInstallation, (*Site).revokeToken},

	{"GET /{owner}/{name}", readRepository, aNamed, (*Site).namedRepository},
	{"GET /repositories/{repository}", readRepository, aRepository, (*Site).repositoryPage},
	{"POST /repositories/{repository}/release", startRelease, aRepository, (*Site).startRelease},
	{"GET /repositories/{repository}/keys", manageRepository, aRepository, (*Site).keysPage},
	{"POST /repositories/{repository}/keys/new", manageRepository, aRepository, (*Site).newKey},
	{"POST /repositories/{repository}/keys/import", manageRepository, aRepository, (*Site).importKey},
	{"POST /repositories/{repository}/keys/export", manageRepository, aRepository, (*Site).exportKey},
	{"POST /repositories/{repository}/keys/replace", manageRepository, aRepository, (*Site).replaceKey},
	{"GET /repositories/{repository}/secrets", manageRepository, aRepository, (*Site).secretsPage},
	{"POST /repositories/{repository}/secrets/set", manageRepository, aRepository, (*Site).setSecret},
	{"POST /repositories/{repository}/secrets/delete", manageRepository, aRepository, (*Site).deleteSecret},
	{"GET /repositories/{repository}/tokens", manageRepository, aRepository, (*Site).tokensPage},
	{"POST /repositories/{repository}/tokens/new", manageRepository, aRepository, (*Site).newToken},
	{"POST /repositories/{repository}/tokens/revoke", manageRepository, aRepository, (*Site).revokeToken},

	{"GET /repositories/{repository}/releases/{commit}/{tag...}", readRepository, aRelease, (*Site).releasePage},
	{"GET /repositories/{repository}/events/{commit}/{tag...}", readRepository, aRelease, (*Site).events},
	{"GET /repositories/{repository}/log/{commit}/{tag...}", readRepository, aRelease, (*Site).logPage},
	{"GET /repositories/{repository}/log.txt/{commit}/{tag...}", readRepository, aRelease, (*Site).logText},
	{"POST /repositories/{repository}/cancel/{commit}/{tag...}", controlRelease, aRelease, (*Site).act},
	{"POST /repositories/{repository}/restart/{commit}/{tag...}", controlRelease, aRelease, (*Site).act},
	{"POST /repositories/{repository}/republish/{commit}/{tag...}", controlRelease, aRelease, (*Site).act},
	{"POST /repositories/{repository}/rollback/{commit}/{tag...}", controlRelease, aRelease, (*Site).act},

	{"GET /api/v1/repositories", bearer, nothing, (*Site).apiRepositories},
	{"GET /api/v1/repositories/{owner}/{name}/releases", readRepository, aNamed, (*Site).apiReleases},
	{"POST /api/v1/repositories/{owner}/{name}/releases", startRelease, aNamed, (*Site).apiStart},
	{"GET /api/v1/status", readRepository, theReleases, (*Site).apiStatus},
	{"GET /api/v1/log", readRepository, theReleases, (*Site).apiLog},
	{"POST /api/v1/cancel", controlRelease, theReleases, (*Site).apiAct},
	{"POST /api/v1/restart", controlRelease, theReleases, (*Site).apiAct},
	{"POST /api/v1/republish", controlRelease, theReleases, (*Site).apiAct},
	{"POST /api/v1/rollback", controlRelease, theReleases, (*Site).apiAct},
}

// routes makes the handler of a table, and wraps it in what holds for every request.
func (s *Site) routes(table []route) (http.Handler, error) {
	mux := http.NewServeMux()
	for _, rt := range table {
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			v := &visit{id: requestID(r.Context()), program: rt.program(), pattern: rt.pattern}
			err := s.guard(w, r, v, &rt)
			if err == nil {
				err = rt.handle(s, w, r, v)
			}
			if err != nil {
				s.fail(w, r, v, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		v := &visit{id: requestID(r.Context()), program: strings.HasPrefix(r.URL.Path, "/api/")}
		if !v.program {
			v.session, _ = s.current(r) // for the bar above the page only
		}
		s.fail(w, r, v, notFound())
	})
	// Only the cookies' SameSite and the token of each form stand behind this one, which
	// lets through whoever sends neither Origin nor Sec-Fetch-Site.
	foreign := http.NewCrossOriginProtection()
	if err := foreign.AddTrustedOrigin(s.o.URL); err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	foreign.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, &visit{id: requestID(r.Context())}, forbidden("This request came from another site, so nothing was done."))
	}))
	return s.always(foreign.Handler(mux)), nil
}
