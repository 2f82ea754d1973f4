package verify

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// statement finds what a formula says that matters here. Ruby is not run: a formula
// that makes its addresses up is not understood.
var statement = regexp.MustCompile(`(?m)^[ \t]*(url|sha256|version)[ \t]+"((?:[^"\\\n]|\\.)*)"`)

// brew looks at the formulae of a tap: each address has a digest, and what lies
// there has it. Homebrew knows no signatures.
func (r *run) brew(ctx context.Context, t *target) {
	dir := path.Join(t.Path, "Formula")
	var names []string
	if r.site != nil {
		names = append(names, r.site.formulae...)
	}
	for _, p := range r.listed {
		if path.Dir(p) == dir && path.Ext(p) == ".rb" {
			names = append(names, p)
		}
	}
	if len(names) == 0 {
		r.add(t, Error, dir, "missing", "no formula is known: the place can't be listed, and there is no install.json")
	}
	for _, name := range unique(names) {
		if path.Dir(name) != dir {
			continue
		}
		b, err := r.get(ctx, t, name, maxSmall)
		if err != nil {
			r.lost(t, Error, name, err)
			continue
		}
		t.addIndex(r)
		r.formula(ctx, t, name, string(b))
	}
}

// formula notes what a formula names.
func (r *run) formula(ctx context.Context, t *target, name, text string) {
	version, address := "", ""
	var items []*item
	end := func(digest string) {
		switch {
		case address == "" && digest == "":
		case address == "":
			r.add(t, Error, name, "index", "it has a sha256 without a url before it")
		case digest == "":
			r.add(t, Error, name, "index", "it names %.300q without a sha256", bare(address))
		default:
			s, err := makeSum("sha256", digest)
			it := &item{want: want{-1, s}}
			if err == nil {
				err = r.whereIs(ctx, it, address)
			}
			if err != nil {
				r.add(t, Error, name, "index", "%.300q: %v", bare(address), err)
				return
			}
			items = append(items, it)
		}
		address = ""
	}
	for _, m := range statement.FindAllStringSubmatch(text, -1) {
		value := ruby.Replace(m[2])
		switch m[1] {
		case "version":
			version = value
		case "url":
			if address != "" {
				end("")
			}
			address = value
		case "sha256":
			end(value)
		}
	}
	end("")
	if len(items) == 0 && !r.formulaFailed(name) {
		r.add(t, Error, name, "index", "it names nothing to download")
	}
	if r.see != nil {
		r.see(t, strings.TrimSuffix(path.Base(name), ".rb"), version)
	}
	r.need(t, items...)
}

// formulaFailed reports whether something was found in a formula already.
func (r *run) formulaFailed(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.found {
		if f.Path == name {
			return true
		}
	}
	return false
}

// ruby puts characters in the place of their escapes.
var ruby = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\#`, `#`)

// whereIs finds the file of an address: in the tree if that is where the tree is
// served, or where its path ends in one of the tree's and the tree's own address is
// not known.
func (r *run) whereIs(ctx context.Context, it *item, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("it is no address of the form https://host/path")
	}
	var bases []string
	if r.site != nil && r.site.broken == nil {
		bases = append(bases, r.site.list.URL)
	}
	if s, ok := r.Fetch.(*server); ok {
		bases = append(bases, s.base.String())
	}
	for _, b := range bases {
		if rel, ok := below(b, address); ok {
			it.path = rel
			return nil
		}
	}
	if len(bases) == 0 {
		for rest := strings.Trim(u.Path, "/"); rest != ""; {
			if _, err := r.Fetch.Stat(ctx, rest); err == nil {
				it.path = rest
				return nil
			}
			var ok bool
			if _, rest, ok = strings.Cut(rest, "/"); !ok {
				break
			}
		}
	}
	it.path, it.address, err = outside(address)
	return err
}

// outside takes an address that is not in the tree. shown has no query, which may
// be a secret.
func outside(address string) (shown, full string, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", "", fmt.Errorf("%.300q lies outside the tree, at no address of the form https://host/path", bare(address))
	}
	return bare(address), address, nil
}

// bare is an address without user and query.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
