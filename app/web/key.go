package web

import (
	"net/http"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type keysView struct {
	List   []keyView
	Path   string // of this page
	Shared string // where an installation's keys are, on the page of a repository
	Owner  string // a proposal for the name in a new key
}

type keyView struct {
	Name, User, State string
	Groups            []string
	Parts             []KeyPart
	Created, Expires  moment
	Soon              string // "expires in 12 days"
	Warnings          []string
}

// scopePath is where the pages of the visit's subject begin, and what to call it.
func (v *visit) scopePath() string {
	if v.repository != nil {
		return "/repositories/" + itoa(v.repository.ID)
	}
	return "/installations/" + itoa(v.installation.ID)
}

// subjectCrumbs are the way to the visit's subject, itself included.
func (s *Site) subjectCrumbs(r *http.Request, v *visit) ([]crumb, error) {
	if v.repository != nil {
		return s.crumbs(r.Context(), v.repository)
	}
	return []crumb{s.crumbOf(v.installation)}, nil
}

func (s *Site) keysPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	all, err := s.o.Keys.List(r.Context(), v.scope())
	if err != nil {
		return err
	}
	view := keysView{Path: v.scopePath() + "/keys"}
	if v.repository != nil {
		view.Shared = "/installations/" + itoa(v.repository.Installation) + "/keys"
		view.Owner = clean(v.repository.Owner + "/" + v.repository.Name)
	} else {
		view.Owner = clean(v.installation.Account)
	}
	for _, k := range all {
		kv := keyView{Name: clean(k.Name), User: clean(k.User), State: clean(k.State), Groups: groups(clean(k.Fingerprint)), Created: day(k.Created), Expires: day(k.Expires), Soon: soon(k.Expires, s.o.Now())}
		for _, p := range k.Parts {
			kv.Parts = append(kv.Parts, KeyPart{clean(p.Use), clean(p.ID), clean(p.File), cleanLines(p.Text)})
		}
		for _, text := range k.Warnings {
			kv.Warnings = append(kv.Warnings, clean(text))
		}
		view.List = append(view.List, kv)
	}
	crumbs, err := s.subjectCrumbs(r, v)
	if err != nil {
		return err
	}
	s.render(w, r, v, http.StatusOK, "keys", &page{Title: "Keys", Crumbs: crumbs, Data: view})
	return nil
}

// soon warns 90 days ahead; "" if there is time.
func soon(expires, now time.Time) string {
	left := expires.Sub(now)
	switch {
	case expires.IsZero() || left > 90*24*time.Hour:
		return ""
	case left <= 0:
		return "expired"
	case left < 48*time.Hour:
		return "expires in less than two days"
	}
	return "expires in " + itoa(int(left/(24*time.Hour))) + " days"
}

// entryName is what keys and tokens may be called.
var entryName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$`)

func entry(r *http.Request) (string, error) {
	name := strings.TrimSpace(r.PostForm.Get("name"))
	if !entryName.MatchString(name) {
		return "", &Refusal{"A name has 1 to 63 letters, digits, spaces, dots, hyphens and underscores, and begins with a letter or digit."}
	}
	return name, nil
}

func (s *Site) newKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, err := entry(r)
	if err != nil {
		return err
	}
	owner, email := strings.TrimSpace(r.PostForm.Get("owner")), strings.TrimSpace(r.PostForm.Get("email"))
	// What OpenPGP puts around an address must not stand in the name.
	if owner == "" || len(owner) > 100 || strings.ContainsAny(owner, "<>()") || owner != clean(owner) {
		return &Refusal{"Give the name that people will see in the key, without brackets."}
	}
	if a, err := mail.ParseAddress(email); err != nil || a.Address != email {
		return &Refusal{"Give an address for the key, such as packages@example.org."}
	}
	years, err := strconv.Atoi(r.PostForm.Get("years"))
	if err != nil || years < 0 || years > 20 {
		return &Refusal{"A key lasts 1 to 20 years."}
	}
	if err := s.o.Keys.New(r.Context(), v.scope(), NewKey{name, owner, email, time.Duration(years) * 365 * 24 * time.Hour}); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/keys", "key")
}

func (s *Site) importKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	name, err := entry(r)
	if err != nil {
		return err
	}
	private := strings.ReplaceAll(r.PostForm.Get("private"), "\r\n", "\n") // browsers send forms so
	if strings.TrimSpace(private) == "" {
		return &Refusal{"Paste the private key."}
	}
	if err := s.o.Keys.Import(r.Context(), v.scope(), name, []byte(private), r.PostForm.Get("passphrase")); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/keys", "import")
}

// shortestPassphrase keeps a backup from being guessed.
const shortestPassphrase = 12

func (s *Site) exportKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	pass := r.PostForm.Get("passphrase")
	if len(pass) < shortestPassphrase {
		return &Refusal{"The passphrase of a backup has 12 characters at least. Whoever has the backup and the passphrase has the key."}
	}
	if pass != r.PostForm.Get("again") {
		return &Refusal{"The two passphrases differ."}
	}
	b, err := s.o.Keys.Export(r.Context(), v.scope(), r.PostForm.Get("name"), pass)
	if err != nil {
		return err
	}
	s.o.Log.Info("key exported", "request", v.id, "scope", v.scope(), "key", r.PostForm.Get("name"), "by", v.by())
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(b.File)+`"`)
	_, _ = w.Write(b.Data) // whoever asked has gone
	return nil
}

var oddInFile = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// fileName is safe within quotes.
func fileName(name string) string { return oddInFile.ReplaceAllString(name, "_") }

func (s *Site) replaceKey(w http.ResponseWriter, r *http.Request, v *visit) error {
	if err := s.o.Keys.Replace(r.Context(), v.scope(), r.PostForm.Get("name")); err != nil {
		return err
	}
	return back(w, r, v.scopePath()+"/keys", "replace")
}
