package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// tokenPrefix lets scanners of leaked secrets know one.
const tokenPrefix = "dpk_"

// tokenActions are what a token may be allowed to do.
var tokenActions = []struct{ Name, Text string }{
	{"read", "read releases, their states and logs"},
	{"release", "begin releases"},
	{"control", "cancel, run again, publish moved tags, roll back"},
}

// tokenOf returns the token of a program.
func (s *Site) tokenOf(r *http.Request) (*store.Token, error) {
	no := &problem{status: http.StatusUnauthorized, text: "Send a valid token: Authorization: Bearer " + tokenPrefix + "…. Tokens are made on the page of a repository or an installation."}
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	value = strings.TrimSpace(value)
	if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(value, tokenPrefix) {
		return nil, no
	}
	t, err := s.o.Store.TokenByHash(r.Context(), hashed(value))
	if errors.Is(err, store.ErrNotFound) {
		return nil, no
	}
	if err != nil {
		return nil, err
	}
	if !t.Expires.IsZero() && !s.o.Now().Before(t.Expires) {
		return nil, no
	}
	return t, nil
}

type tokensView struct {
	List    []tokenRow
	Path    string
	Actions []struct{ Name, Text string }
	Made    string // shown once
	MadeFor string
	API     string
}

type tokenRow struct {
	Name, By         string
	Actions          string
	Created, Expires moment
	Used             moment
	Expired          bool
}

func (s *Site) tokensPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.showTokens(w, r, v, "", "")
}

func (s *Site) showTokens(w http.ResponseWriter, r *http.Request, v *visit, made, name string) error {
	all, err := s.o.Store.Tokens(r.Context(), v.scope())
	if err != nil {
		return err
	}
	view := tokensView{Path: v.scopePath() + "/tokens", Actions: tokenActions, Made: made, MadeFor: name, API: s.o.URL + "/api/v1"}
	now := s.o.Now()
	for _, t := range all {
		view.List = append(view.List, tokenRow{
			Name: clean(t.Name), By: clean(t.By), Actions: strings.Join(t.Actions, ", "), Created: day(t.Created), Expires: day(t.Expires), Used: at(t.LastUsed),
			Expired: !t.Expires.IsZero() && !now.Before(t.Expires),
		})
	}
	crumbs, err := s.subjectCrumbs(r, v)
	if err != nil {
		return err
	}
	s.render(w, r, v, http.StatusOK, "tokens", &page{Title: "API tokens", Crumbs: crumbs, Data: view})
	return nil
}

// newToken makes a token and shows it on the answer itself: the only place it is.
func (s *Site) newToken(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, err := entry(r)
	if err != nil {
		return err
	}
	var actions []string
	for _, a := range tokenActions {
		if slices.Contains(r.PostForm["action"], a.Name) {
			actions = append(actions, a.Name)
		}
	}
	if len(actions) == 0 {
		return &Refusal{"Choose what the token may do."}
	}
	days, err := strconv.Atoi(r.PostForm.Get("days"))
	if err != nil || days < 0 || days > 3650 {
		return &Refusal{"Choose how long the token is good for."}
	}
	value := tokenPrefix + random()
	now := s.o.Now()
	t := &store.Token{Name: name, Hash: hashed(value), Scope: v.scope(), Actions: actions, Created: now, By: v.session.Login}
	if days > 0 {
		t.Expires = now.Add(time.Duration(days) * 24 * time.Hour)
	}
	if err := s.o.Store.CreateToken(r.Context(), t); errors.Is(err, store.ErrExists) {
		return &Refusal{"There is a token of this name already. Revoke it first, or choose another name."}
	} else if err != nil {
		return err
	}
	s.o.Log.Info("token made", "request", v.id, "scope", v.scope(), "token", name, "by", v.by())
	return s.showTokens(w, r, v, value, name)
}

func (s *Site) revokeToken(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.o.Store.DeleteToken(r.Context(), v.scope(), r.PostForm.Get("name")); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/tokens", "untoken")
}
