package verify

import (
	"context"
	"path"
	"regexp"
	"strings"

	"github.com/distropack/distropack/publish/site"
)

var (
	sourceSuites = regexp.MustCompile(`(?m)^Suites:[ \t]*(.+)$`)
	repoBase     = regexp.MustCompile(`(?m)^baseurl=(.+)$`)
	confSection  = regexp.MustCompile(`(?m)^\[([^\]\n]+)\]$`)
	confServer   = regexp.MustCompile(`(?m)^Server = (.+)$`)
)

// instructed finds the repositories of a site whose install.json lists no indexes
// yet: by the files that people are told to fetch, and by where packages lie. An
// index without packages is not found, nor one that no instruction names; sites
// could not choose their layout then.
func (r *run) instructed(ctx context.Context, l *site.List) (targets []string) {
	add := func(client, p string) {
		if validPath(p) || p == "." {
			targets = append(targets, client+":"+p)
		}
	}
	folders := make(map[string][]string) // channel → where its packages for pacman lie
	for _, p := range l.Packages {
		for _, v := range p.Versions {
			for _, d := range v.Downloads {
				at, ok := below(l.URL, d.URL)
				switch {
				case !ok:
				case d.Client == "apk" || d.Client == "opkg":
					add(d.Client, path.Dir(at))
				case d.Client == "pacman":
					folders[p.Channel] = append(folders[p.Channel], path.Dir(at))
				}
			}
		}
	}
	downloads := false
	for _, c := range l.Counts {
		downloads = downloads || strings.HasPrefix(c.Format, "tar.") || c.Format == "zip"
	}
	for i, ch := range l.Channels {
		for _, c := range ch.Clients {
			for _, address := range c.Files {
				p, ok := below(l.URL, address)
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
						if dir, ok := below(l.URL, strings.TrimRight(m[1], "/ ")); ok {
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
		}
		if downloads {
			name := "downloads/SHA256SUMS"
			if i > 0 {
				name += "-" + ch.Name
			}
			add("downloads", name)
		}
	}
	return targets
}
