package verify

import (
	"bytes"
	"context"
	"encoding/json"
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

var (
	sourceSuites = regexp.MustCompile(`(?m)^Suites:[ \t]*(.+)$`)
	repoBase     = regexp.MustCompile(`(?m)^baseurl=(.+)$`)
	confSection  = regexp.MustCompile(`(?m)^\[([^\]\n]+)\]$`)
	confServer   = regexp.MustCompile(`(?m)^Server = (.+)$`)
	formulaURL   = regexp.MustCompile(`\S+/Formula/[^\s"']*\.rb`)
)

// siteTargets finds repositories as people do who follow the instructions: by the
// files that they fetch, and by where packages lie.
func (r *run) siteTargets(ctx context.Context, s *siteInfo) {
	add := func(client, p string) {
		if validPath(p) || p == "." {
			s.targets = append(s.targets, client+":"+p)
		}
	}
	s.far = make(map[string]string)
	folders := make(map[string][]string) // channel and client → where its packages lie
	for _, p := range s.list.Packages {
		for _, v := range p.Versions {
			for _, d := range v.Downloads {
				at, ok := below(s.list.URL, d.URL)
				if !ok {
					s.far[d.SHA256.String()] = d.URL
					continue
				}
				dir := path.Dir(at)
				switch d.Client {
				case "apk", "opkg":
					add(d.Client, dir)
				case "pacman":
					folders[p.Channel] = append(folders[p.Channel], dir)
				}
			}
		}
	}
	downloads := false
	for _, c := range s.list.Counts {
		downloads = downloads || strings.HasPrefix(c.Format, "tar.") || c.Format == "zip"
	}
	for i, ch := range s.list.Channels {
		for _, c := range ch.Clients {
			for _, address := range c.Files {
				p, ok := below(s.list.URL, address)
				if !ok {
					continue
				}
				ext := path.Ext(p)
				if ext != ".sources" && ext != ".repo" && ext != ".conf" {
					continue
				}
				b, err := r.get(ctx, nil, p, maxSmall)
				if err != nil {
					continue
				}
				switch ext {
				case ".sources":
					for _, m := range sourceSuites.FindAllStringSubmatch(string(b), -1) {
						for _, suite := range strings.Fields(m[1]) {
							if strings.HasSuffix(suite, "/") { // flat, beside the packages of a release
								continue
							}
							add("apt", path.Join("dists", suite))
						}
					}
				case ".repo":
					for _, m := range repoBase.FindAllStringSubmatch(string(b), -1) {
						if dir, ok := below(s.list.URL, strings.TrimRight(m[1], "/ ")); ok {
							add("dnf", dir)
						}
					}
				case ".conf":
					section := confSection.FindStringSubmatch(string(b))
					if section == nil || confServer.FindString(string(b)) == "" {
						continue
					}
					for _, dir := range unique(folders[ch.Name]) {
						add("pacman", path.Join(dir, section[1]))
					}
				}
			}
			for _, step := range c.Install {
				for _, m := range formulaURL.FindAllString(step.Command, -1) {
					for _, name := range c.Packages {
						if p, ok := below(s.list.URL, strings.ReplaceAll(m, "$PACKAGE", strings.ToLower(name))); ok && c.Client == "brew" {
							s.formulae = append(s.formulae, p)
							add("brew", path.Dir(path.Dir(p)))
						}
					}
				}
			}
		}
		if downloads {
			name := "downloads/SHA256SUMS"
			if i > 0 {
				name += "-" + ch.Name
			}
			add("downloads", name)
		}
	}
	add("site", sitePath)
	s.targets = unique(s.targets)
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
