package web

import (
	"net/http"
	"regexp"
	"strings"
)

type secretsView struct {
	List   []secretRow
	Path   string
	Shared string // where an installation's secrets are, on the page of a repository
}

type secretRow struct {
	Name  string
	Given moment
}

func (s *Site) secretsPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	all, err := s.o.Secrets.List(r.Context(), v.scope())
	if err != nil {
		return err
	}
	view := secretsView{Path: v.scopePath() + "/secrets"}
	if v.repository != nil {
		view.Shared = "/installations/" + itoa(v.repository.Installation) + "/secrets"
	}
	for _, x := range all {
		view.List = append(view.List, secretRow{clean(x.Name), at(x.Created)})
	}
	crumbs, err := s.subjectCrumbs(r, v)
	if err != nil {
		return err
	}
	s.render(w, r, v, http.StatusOK, "secrets", &page{Title: "Secrets", Crumbs: crumbs, Data: view})
	return nil
}

// secretName is a name as distropack.yml writes it after a dollar sign.
var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

func (s *Site) setSecret(w http.ResponseWriter, r *http.Request, v *visit) error {
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if !secretName.MatchString(name) {
		return &Refusal{"The name of a secret has letters, digits and underscores, as in BUCKET_SECRET."}
	}
	// Browsers send line breaks as two characters, which no key file has.
	value := strings.ReplaceAll(r.PostForm.Get("value"), "\r\n", "\n")
	if value == "" {
		return &Refusal{"The secret is empty."}
	}
	if err := s.o.Secrets.Set(r.Context(), v.scope(), name, []byte(value)); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/secrets", "secret")
}

func (s *Site) deleteSecret(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.o.Secrets.Delete(r.Context(), v.scope(), r.PostForm.Get("name")); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/secrets", "unsecret")
}
