package verify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/publish/site"
)

// siteInfo is what install.json says of a site of ours.
type siteInfo struct {
	list     site.List
	targets  []string          // "apt:dists/stable"
	indexes  []string          // those of targets that are listed
	keys     []string          // paths
	formulae []string          // paths
	far      map[string]string // SHA-256 in hexadecimal → address of a package outside the tree
	broken   error
}

const sitePath = "install.json"

// readSite reads install.json where there is one. Nothing is noted here: it is a
// way to find repositories.
func (r *run) readSite(ctx context.Context) {
	quiet := &run{Options: r.Options, log: &log{}}
	b, err := quiet.get(ctx, nil, sitePath, maxPointer)
	if err != nil {
		return
	}
	s := &siteInfo{}
	s.broken = json.Unmarshal(b, &s.list)
	if s.broken == nil && s.list.Version != 1 {
		s.broken = fmt.Errorf("version %d; this program reads version 1", s.list.Version)
	}
	r.site = s
	if s.broken != nil {
		return
	}
	for _, k := range s.list.Keys {
		if p, ok := below(s.list.URL, k.URL); ok {
			s.keys = append(s.keys, p)
		}
	}
	quiet.siteTargets(ctx, s)
}

// below returns the path of an address in the tree that is served at base.
func below(base, address string) (string, bool) {
	rest, ok := strings.CutPrefix(address, strings.TrimRight(base, "/")+"/")
	if !ok || base == "" {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, "?")
	p, err := url.PathUnescape(rest)
	return p, err == nil && validPath(p)
}

// siteTargets finds repositories by what install.json lists, and formulae by what
// people fetch who follow the instructions.
func (r *run) siteTargets(ctx context.Context, s *siteInfo) {
	s.far = make(map[string]string)
	for _, p := range s.list.Packages {
		for _, v := range p.Versions {
			for _, d := range v.Downloads {
				if _, ok := below(s.list.URL, d.URL); !ok {
					s.far[d.SHA256.String()] = d.URL
				}
			}
		}
	}
	for _, x := range s.list.Indexes {
		if at, err := indexTarget(x); err == nil {
			s.indexes = append(s.indexes, at)
		}
	}
	s.targets = append(s.targets, s.indexes...)
	if s.list.Indexes == nil {
		s.targets = append(s.targets, r.instructed(ctx, &s.list)...)
	}
	s.formulae = formulaeOf(&s.list)
	for _, p := range s.formulae {
		s.targets = append(s.targets, "brew:"+path.Dir(path.Dir(p)))
	}
	s.targets = unique(append(s.targets, "site:"+sitePath))
}

// indexTarget is how a listed index is named among targets: "apt:dists/stable", or
// by an address with a slash at its end where it lies outside the tree.
func indexTarget(x site.ListIndex) (string, error) {
	if !slices.Contains(clients, x.Client) || x.Client == "site" {
		return "", errNoClient
	}
	if x.URL == "" {
		if x.Path != "." && !validPath(x.Path) {
			return "", fmt.Errorf("%.200q is no path in the tree", x.Path)
		}
		return x.Client + ":" + x.Path, nil
	}
	u, err := url.Parse(x.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%.200q is no address of the form https://host/folder/", bare(x.URL))
	}
	return x.Client + ":" + strings.TrimRight(u.String(), "/") + "/", nil
}

var errNoClient = errors.New("the client is not known")

var formulaURL = regexp.MustCompile(`\S+/Formula/[^\s"']*\.rb`)

// formulaeOf lists the paths of the formulae that the instructions name.
func formulaeOf(l *site.List) []string {
	var paths []string
	for _, ch := range l.Channels {
		for _, c := range ch.Clients {
			if c.Client != "brew" {
				continue
			}
			for _, step := range c.Install {
				for _, m := range formulaURL.FindAllString(step.Command, -1) {
					for _, name := range c.Packages {
						if p, ok := below(l.URL, strings.ReplaceAll(m, "$PACKAGE", strings.ToLower(name))); ok {
							paths = append(paths, p)
						}
					}
				}
			}
		}
	}
	return paths
}

func unique(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// checkSite looks at what people fetch: install.json, install.sh, keys, and the
// files that the page offers.
func (r *run) checkSite(ctx context.Context, t *target) {
	if _, err := r.get(ctx, t, sitePath, maxPointer); err != nil { // for its headers
		r.lost(t, Error, sitePath, err)
		return
	}
	t.addIndex(r)
	if r.site == nil || r.site.broken != nil {
		if r.site != nil {
			r.add(t, Error, sitePath, "index", "it can't be read: %v", r.site.broken)
		}
		return
	}
	l := &r.site.list
	t.Date = l.Time
	b, err := r.get(ctx, t, "install.sh", maxSmall)
	switch {
	case err != nil:
		r.lost(t, Error, "install.sh", err)
	case !bytes.HasPrefix(b, []byte("#!")) || !bytes.HasSuffix(b, []byte("\n")):
		r.add(t, Error, "install.sh", "index", "it does not begin as a script or is cut off")
	}
	for _, k := range l.Keys {
		p, ok := below(l.URL, k.URL)
		if !ok {
			r.add(t, Error, sitePath, "path", "its key %.60q lies outside of %.200q", k.Fingerprint, l.URL)
			continue
		}
		if !r.trust.given && !r.trust.has(k.Fingerprint) && r.pinned(pin(k.Fingerprint)) != unpinned {
			if _, err := r.get(ctx, nil, p, maxSmall); err == nil { // one that is not there was noted with the keys
				r.add(t, Error, p, "no-key", "it does not hold the key %.60q that install.json says it does", k.Fingerprint)
			}
		}
	}
	for _, x := range l.Indexes {
		_, err := indexTarget(x)
		switch {
		case errors.Is(err, errNoClient):
			r.add(t, Note, sitePath, "outside", "it lists an index for %.60q, which is not known here and was not looked at", x.Client)
		case err != nil:
			r.add(t, Error, sitePath, "path", "it lists an index for %.60q that can't be asked for: %v", x.Client, err)
		}
	}
	var items []*item
	for _, p := range l.Packages {
		for _, v := range p.Versions {
			for _, d := range v.Downloads {
				at, ok := below(l.URL, d.URL)
				if !ok {
					continue // placed elsewhere on purpose
				}
				if r.see != nil {
					r.see(t, p.Name, v.Version)
				}
				s, err := makeSum("sha256", d.SHA256.String())
				if err != nil {
					continue // a Digest always is one
				}
				items = append(items, &item{path: at, want: want{d.Size, s}})
			}
		}
	}
	r.need(t, items...)
}
