package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed pages
var files embed.FS

// pages are the templates by name, and what they load.
type pages struct {
	templates map[string]*template.Template
	assets    map[string]asset // by the name in the address, which has a digest
	names     map[string]string
}

type asset struct {
	kind string
	data []byte
}

// page is what a template gets.
type page struct {
	Title  string
	Crumbs []crumb
	Live   bool // loads the script
	Data   any

	// The rest is filled by render.
	Site, Version string
	Login, Form   string // Form is the token of each form
	Admin         bool
	Done          string // what was done just now
}

type crumb struct{ Text, Link string }

func parsePages() (pages, error) {
	p := pages{templates: make(map[string]*template.Template), assets: make(map[string]asset), names: make(map[string]string)}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "live.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		data, err := files.ReadFile("pages/" + name)
		if err != nil {
			return p, err
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		served := strings.TrimSuffix(name, ext) + "-" + hex.EncodeToString(sum[:6]) + ext
		p.assets[served], p.names[name] = asset{kind, data}, "/assets/"+served
	}
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"asset": func(name string) string { return p.names[name] },
	}).ParseFS(files, "pages/layout.html", "pages/part_*.html")
	if err != nil {
		return p, err
	}
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil {
		return p, err
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base == "layout" || strings.HasPrefix(base, "part_") {
			continue
		}
		t, err := layout.Clone()
		if err != nil {
			return p, err
		}
		if p.templates[base], err = t.ParseFS(files, name); err != nil {
			return p, err
		}
	}
	return p, nil
}

// doneTexts are what a page says after an action; the address has the word only.
var doneTexts = map[string]string{
	"cancel":    "It was asked to stop. A step that is running ends within a few seconds.",
	"restart":   "It runs again. What was done stays done.",
	"republish": "The version is being published anew from where the tag is now.",
	"rollback":  "The release is being withdrawn.",
	"release":   "The release has begun.",
	"redeliver": "The delivery is being handled again.",
	"key":       "The key was made.",
	"import":    "The key was tested and kept.",
	"replace":   "A new key was made. Both sign until the old one is retired.",
	"secret":    "The secret was kept. It is not shown again.",
	"unsecret":  "The secret was deleted.",
	"untoken":   "The token was revoked.",
}

// render writes a page.
func (s *Site) render(w http.ResponseWriter, r *http.Request, v *visit, status int, name string, p *page) {
	p.Site, p.Version, p.Admin = s.o.Name, s.o.Version, v.admin
	if v.session != nil {
		p.Login, p.Form = v.session.Login, v.session.form
	}
	p.Done = doneTexts[r.URL.Query().Get("done")]
	var b bytes.Buffer
	if err := s.pages.templates[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		s.o.Log.Error("page was not made", "request", v.id, "page", name, "err", err)
		http.Error(w, "Something went wrong on this server. Request "+v.id, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked has gone
}

// part renders a piece of a page, for a page that is open.
func (s *Site) part(name, piece string, data any) (string, error) {
	var b strings.Builder
	if err := s.pages.templates[name].ExecuteTemplate(&b, piece, data); err != nil {
		return "", fmt.Errorf("part %s of page %s: %w", piece, name, err)
	}
	return b.String(), nil
}

func (s *Site) asset(w http.ResponseWriter, r *http.Request, v *visit) error {
	a, ok := s.pages.assets[r.PathValue("file")]
	if !ok {
		return notFound()
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.data))
	return nil
}

// back sends a browser on after an action.
func back(w http.ResponseWriter, r *http.Request, to, done string) error {
	http.Redirect(w, r, to+"?done="+done, http.StatusSeeOther)
	return nil
}
