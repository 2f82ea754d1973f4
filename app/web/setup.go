package web

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/distropack/distropack/app/store"
)

// The settings of this package.
const (
	setupSetting  = "web.setup"  // JSON of setupKept
	adminsSetting = "web.admins" // JSON list of GitHub's user ids
)

// setupLasts is how long the link of a start is good for.
const setupLasts = 24 * time.Hour

type setupKept struct {
	Hash    string
	Expires time.Time
}

// SetupLink returns a link for whoever runs this server: to make the GitHub App, and
// to become the one who administers. Links of earlier calls end. It is "" if there is
// nothing left to set up.
func (s *Site) SetupLink(ctx context.Context) (string, error) {
	app, err := s.o.Setup.App(ctx)
	if err != nil {
		return "", err
	}
	admins, err := s.admins(ctx)
	if err != nil {
		return "", err
	}
	if app != nil && len(admins) > 0 {
		return "", nil
	}
	token := random()
	value, err := json.Marshal(setupKept{hashed(token), s.o.Now().Add(setupLasts)})
	if err != nil {
		return "", err
	}
	return s.o.URL + "/setup?token=" + token, s.o.Store.SetSetting(ctx, setupSetting, value)
}

func (s *Site) admins(ctx context.Context) ([]int64, error) {
	all := slices.Clone(s.o.Admins)
	value, err := s.o.Store.Setting(ctx, adminsSetting)
	if errors.Is(err, store.ErrNotFound) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	var kept []int64
	if err := json.Unmarshal(value, &kept); err != nil {
		return nil, err
	}
	return append(all, kept...), nil
}

func (s *Site) isAdmin(ctx context.Context, user int64) (bool, error) {
	all, err := s.admins(ctx)
	return slices.Contains(all, user), err
}

// mayset checks a token of the link. Once there is an App and somebody administers, no
// link is good for anything.
func (s *Site) maySet(ctx context.Context, token string) (bool, error) {
	value, err := s.o.Store.Setting(ctx, setupSetting)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	var kept setupKept
	if err := json.Unmarshal(value, &kept); err != nil {
		return false, err
	}
	return token != "" && kept.Hash != "" && subtle.ConstantTimeCompare([]byte(hashed(token)), []byte(kept.Hash)) == 1 && s.o.Now().Before(kept.Expires), nil
}

var errSetupLink = &problem{status: http.StatusForbidden, text: "This link is not valid, or not any more. When the server starts and is not set up yet, it prints a new one."}

// setupVisit returns the token of the cookie if it is good.
func (s *Site) setupVisit(r *http.Request) (string, error) {
	c, err := r.Cookie(s.cookieName("setup"))
	if err != nil {
		return "", errSetupLink
	}
	ok, err := s.maySet(r.Context(), c.Value)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", errSetupLink
	}
	return c.Value, nil
}

// setupState ties GitHub's answer to the browser that began.
func setupState(token string) string { return hashed("state " + token) }

type setupView struct {
	App          *App
	Install      string
	Organization string
	Post         string
	Manifest     string
	URL          string
	Hook         bool // GitHub can reach this server, as far as its address says
}

// organizationName is what GitHub allows as the name of an account.
var organizationName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,38}$`)

func (s *Site) setupPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	if token := r.URL.Query().Get("token"); token != "" {
		ok, err := s.maySet(ctx, token)
		if err != nil {
			return err
		}
		if !ok {
			return errSetupLink
		}
		// From here on in a cookie, so that the token stays in no history and no screenshot.
		s.setCookie(w, "setup", token, 3600)
		http.Redirect(w, r, "/setup", http.StatusSeeOther)
		return nil
	}
	token, err := s.setupVisit(r)
	if err != nil {
		return err
	}
	app, err := s.o.Setup.App(ctx)
	if err != nil {
		return err
	}
	view := setupView{App: app, URL: s.o.URL, Hook: s.secure, Organization: r.URL.Query().Get("organization")}
	if app != nil {
		view.Install = app.URL + "/installations/new"
	} else {
		if view.Organization != "" && !organizationName.MatchString(view.Organization) {
			return bad("An organization's name has letters, digits and hyphens only.", nil)
		}
		post, manifest, err := s.o.Setup.Manifest(view.Organization, setupState(token))
		if err != nil {
			return err
		}
		view.Post, view.Manifest = post, string(manifest)
		to, err := url.Parse(post)
		if err != nil {
			return err
		}
		w.Header().Set("Content-Security-Policy", policy(" "+to.Scheme+"://"+to.Host))
	}
	s.render(w, r, v, http.StatusOK, "setup", &page{Title: "Set up", Data: view})
	return nil
}

// setupCreated gets the code for the App that GitHub made.
func (s *Site) setupCreated(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	token, err := s.setupVisit(r)
	if err != nil {
		return err
	}
	again := func(text string, err error) error {
		return &problem{status: http.StatusBadRequest, text: text, err: err, link: "/setup", linkText: "Back to the set-up"}
	}
	q := r.URL.Query()
	if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(setupState(token))) != 1 {
		return again("What GitHub sent back does not belong to this set-up. Begin again.", nil)
	}
	app, err := s.o.Setup.App(ctx)
	if err != nil {
		return err
	}
	if app == nil {
		if q.Get("code") == "" {
			return again("GitHub did not make the App.", nil)
		}
		if _, err := s.o.Setup.Create(ctx, q.Get("code")); err != nil {
			var refusal *Refusal
			if errors.As(err, &refusal) {
				return again(refusal.Text, nil)
			}
			return again("GitHub did not hand over the App. Its code is good for an hour and for one time. Begin again, and delete the App of this attempt on GitHub.", err)
		}
	}
	http.Redirect(w, r, "/setup", http.StatusSeeOther)
	return nil
}

// setupClaim makes the first person with the link the one who administers.
func (s *Site) setupClaim(w http.ResponseWriter, r *http.Request, v *visit) error {
	if _, err := s.setupVisit(r); err != nil {
		return err
	}
	value, err := json.Marshal([]int64{v.session.User})
	if err != nil {
		return err
	}
	set, err := s.o.Store.SetSettingOnce(r.Context(), adminsSetting, value)
	if err != nil {
		return err
	}
	if !set {
		return errSetupLink
	}
	// The link has done its work.
	if err := s.o.Store.SetSetting(r.Context(), setupSetting, []byte("{}")); err != nil {
		return err
	}
	s.setCookie(w, "setup", "", -1)
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
	return nil
}
