package web

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/distropack/distropack/app/store"
)

// visit is a request whose right was checked, with what that needed.
type visit struct {
	id      string // of the request
	pattern string // of the route
	program bool   // a bearer token instead of a session

	session *session     // nil: nobody, or a program
	token   *store.Token // nil: a person
	admin   bool         // runs this server; asked for pages only

	repository   *store.Repository
	manages      bool // may change things of the repository or the installation
	installation *store.Installation
	delivery     *store.Delivery
	releases     []*store.Release // one, but for theReleases
}

// by is who asks, for Actions.
func (v *visit) by() string {
	if v.token != nil {
		return "token " + v.token.Name + " of " + v.token.By
	}
	return v.session.Login
}

// scope is where keys, secrets and tokens of the visit's subject are.
func (v *visit) scope() string {
	if v.repository != nil {
		return repositoryScope(v.repository.ID)
	}
	return installationScope(v.installation.ID)
}

func repositoryScope(id int64) string   { return "repository:" + strconv.FormatInt(id, 10) }
func installationScope(id int64) string { return "installation:" + strconv.FormatInt(id, 10) }

// form is how much of a form or a body is read: keys are a few KiB.
const form = 256 << 10

// guard decides whether a request may go on, and fills the visit. What somebody may not
// see is not found, just like what is not there.
func (s *Site) guard(w http.ResponseWriter, r *http.Request, v *visit, rt *route) error {
	r.Body = http.MaxBytesReader(w, r.Body, form)
	if err := s.who(r, v, rt.needs); err != nil {
		return err
	}
	if r.Method == http.MethodPost && !v.program {
		if err := r.ParseForm(); err != nil {
			return bad("The form could not be read.", err)
		}
		given := r.PostForm.Get("form")
		if v.session == nil || subtle.ConstantTimeCompare([]byte(given), []byte(v.session.form)) != 1 {
			return forbidden("This form is not from here, or it is from an earlier session. Open the page again and repeat what you did.")
		}
	}
	if err := s.subject(r, v, rt.about); err != nil {
		return err
	}
	return s.allowed(r.Context(), v, rt.needs)
}

// who finds out who asks, and ends requests of nobody where somebody is needed.
func (s *Site) who(r *http.Request, v *visit, needs need) error {
	if v.program {
		t, err := s.tokenOf(r)
		v.token = t
		return err
	}
	if needs == anyone {
		return nil
	}
	session, err := s.current(r)
	if err != nil {
		return err
	}
	v.session = session
	if needs == visitor || needs == setupLink {
		return nil
	}
	if session == nil {
		return signInFirst()
	}
	return nil
}

// subject looks up what the address names.
func (s *Site) subject(r *http.Request, v *visit, a about) (err error) {
	ctx := r.Context()
	switch a {
	case aRepository, aRelease:
		if v.repository, err = s.o.Store.Repository(ctx, number(r.PathValue("repository"))); err != nil {
			return err
		}
		if a == aRelease {
			id := releaseID(v.repository.ID, r.PathValue("tag"), r.PathValue("commit"))
			rel, err := s.o.Store.Release(ctx, id)
			if err != nil {
				return err
			}
			v.releases = []*store.Release{rel}
		}
	case aNamed:
		v.repository, err = s.o.Store.RepositoryByName(ctx, r.PathValue("owner"), r.PathValue("name"))
	case anInstallation:
		v.installation, err = s.o.Store.Installation(ctx, number(r.PathValue("installation")))
	case aDelivery:
		if v.delivery, err = s.o.Store.Delivery(ctx, r.PathValue("guid")); err != nil {
			return err
		}
		if text := r.PathValue("installation"); text != "" {
			if v.delivery.Installation != number(text) {
				return store.ErrNotFound
			}
			v.installation, err = s.o.Store.Installation(ctx, number(text))
		}
	case theReleases:
		ids := r.URL.Query()["id"]
		if len(ids) == 0 || len(ids) > 100 {
			return bad("Name 1 to 100 releases by id=.", nil)
		}
		for _, id := range ids {
			rel, err := s.o.Store.Release(ctx, id)
			if err != nil {
				return err
			}
			v.releases = append(v.releases, rel)
		}
	}
	return err
}

// number reads an id; 0, which nothing has, for anything else.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// allowed checks the right itself.
func (s *Site) allowed(ctx context.Context, v *visit, needs need) (err error) {
	if v.session != nil {
		if v.admin, err = s.isAdmin(ctx, v.session.User); err != nil {
			return err
		}
	}
	switch needs {
	case anyone, visitor, signedIn, bearer:
		return nil
	case setupLink:
		return nil // by the handlers themselves: the link comes in the address first, in a cookie then
	case siteAdmin:
		if !v.admin {
			return notFound()
		}
		return nil
	case readInstallation, manageInstallation:
		if v.program {
			return notFound()
		}
		return s.allowedInstallation(ctx, v, needs)
	case readRepository, startRelease, controlRelease, manageRepository:
		if v.program {
			return s.allowedToken(ctx, v, needs)
		}
		acc, err := s.access(ctx, v.session, v.repository.ID)
		if errors.Is(err, ErrNotVisible) {
			return notFound()
		}
		if err != nil {
			return err
		}
		v.manages = acc.Admin || acc.Maintain
		if needs != readRepository && !v.manages {
			return forbidden("This needs the role admin or maintain on the repository.")
		}
		return nil
	}
	return notFound()
}

func (s *Site) allowedInstallation(ctx context.Context, v *visit, needs need) error {
	sees, manages, err := s.installationRight(ctx, v.session, v.installation)
	if err != nil {
		return err
	}
	v.manages = manages
	if !sees && !manages {
		return notFound()
	}
	if needs == manageInstallation && !manages {
		return forbidden("This is for the account itself, or for people who are admin of each repository that it gave to " + s.o.Name + ".")
	}
	return nil
}

// installationRight says whether a person sees anything of an installation, and whether
// they may change what holds for all of it. GitHub tells an App with our few permissions
// nothing of an organization's owners; but who is admin of every repository that an
// installation has gains nothing by managing what they share.
func (s *Site) installationRight(ctx context.Context, se *session, in *store.Installation) (sees, manages bool, err error) {
	if in.AccountType == "User" && in.AccountID == se.User {
		return true, true, nil
	}
	seen, err := s.visible(ctx, se)
	if err != nil {
		return false, false, err
	}
	all, err := s.o.Store.Repositories(ctx, in.ID)
	if err != nil {
		return false, false, err
	}
	known := 0
	manages = true
	for _, r := range all {
		if r.Removed {
			continue
		}
		known++
		acc := seen[r.ID]
		sees = sees || acc != nil
		manages = manages && acc != nil && acc.Admin
	}
	return sees, manages && known > 0, nil
}

// allowedToken checks scope and actions of a token against all that the address names.
func (s *Site) allowedToken(ctx context.Context, v *visit, needs need) error {
	action := map[need]string{readRepository: "read", startRelease: "release", controlRelease: "control"}[needs]
	if action == "" {
		return notFound()
	}
	list := []*store.Repository{v.repository}
	if v.repository == nil {
		list = nil
		for _, rel := range v.releases {
			r, err := s.o.Store.Repository(ctx, rel.Repository)
			if err != nil {
				return err
			}
			list = append(list, r)
		}
	}
	for _, r := range list {
		if !covers(v.token.Scope, r) {
			return notFound()
		}
		in, err := s.o.Store.Installation(ctx, r.Installation)
		if err != nil {
			return err
		}
		if in.Removed || in.Suspended {
			return forbidden("The installation of " + in.Account + " is suspended or removed.")
		}
	}
	if !slices.Contains(v.token.Actions, action) {
		return forbidden("The token " + v.token.Name + " does not have the right \"" + action + "\".")
	}
	return nil
}

// covers says whether a token of a scope is for a repository.
func covers(scope string, r *store.Repository) bool {
	return !r.Removed && (scope == repositoryScope(r.ID) || scope == installationScope(r.Installation))
}

// releaseID is the store's name of a release.
func releaseID(repository int64, tag, commit string) string {
	return "rel:" + strconv.FormatInt(repository, 10) + ":" + tag + ":" + commit
}

// ReleasePath is where the page of a release is, from the top of the site: what a check
// run links to. It holds the repository's id and outlives a rename.
func ReleasePath(r *store.Release) string { return releasePath(r, "releases") }

func releasePath(r *store.Release, what string) string {
	var b strings.Builder
	b.WriteString("/repositories/" + strconv.FormatInt(r.Repository, 10) + "/" + what + "/" + url.PathEscape(r.Commit))
	for part := range strings.SplitSeq(r.Tag, "/") {
		b.WriteString("/" + url.PathEscape(part))
	}
	return b.String()
}
