package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

func validPath(p string) bool { return fs.ValidPath(p) && p != "." }

// list returns all paths of a place that can tell them, sorted; nil where it can't.
func (r *run) list(ctx context.Context) ([]string, error) {
	l, ok := r.Fetch.(Lister)
	if !ok {
		return nil, nil
	}
	paths := []string{}
	err := l.List(ctx, func(p string) error {
		if paths = append(paths, p); len(paths) > maxFiles {
			return fmt.Errorf("there are more than %d files", maxFiles)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the tree can't be listed: %w", plain(err))
	}
	slices.Sort(paths)
	r.listed = paths
	return paths, nil
}

// find names the repositories to look at, in the order of clients.
func (r *run) find(ctx context.Context, paths []string) ([]*target, error) {
	var all []string
	switch {
	case paths != nil:
		all = walk(paths)
		if r.site != nil { // what is listed has to be there
			all = append(all, r.site.indexes...)
		}
	case r.site != nil && r.site.broken == nil:
		all = r.site.targets
	default:
		all = r.probe(ctx)
	}
	all = unique(all)
	if len(r.Clients) > 0 {
		var asked []string
		for _, c := range r.Clients {
			client, dir, named := strings.Cut(c, ":")
			if named {
				if dir = path.Clean(dir); dir != "." && !validPath(dir) {
					return nil, fmt.Errorf("%w: client %q: %q is no path in the tree", ErrCall, c, dir)
				}
				asked = append(asked, client+":"+dir)
				continue
			}
			n := len(asked)
			for _, a := range all {
				if strings.HasPrefix(a, client+":") {
					asked = append(asked, a)
				}
			}
			if len(asked) == n {
				r.log.put(located{Finding: Finding{Error, client, "", "missing", "there is no repository for it that could be found; name it: " + client + ":<path>"}})
			}
		}
		all = unique(asked)
	}
	if len(all) == 0 && len(r.found) == 0 {
		return nil, r.nothing(ctx, paths)
	}
	var targets []*target
	for _, client := range clients {
		for _, a := range all {
			if p, ok := strings.CutPrefix(a, client+":"); ok {
				targets = append(targets, &target{ClientReport: ClientReport{Client: client, Path: p}})
			}
		}
	}
	return targets, nil
}

// nothing says why there is nothing to look at.
func (r *run) nothing(ctx context.Context, paths []string) error {
	if paths == nil {
		if _, err := r.Fetch.Stat(ctx, sitePath); err != nil && !isMissing(err) {
			return fmt.Errorf("the tree can't be read: %w", err)
		}
		return errors.New("no repository was found: there is no install.json, and none in the usual places; name one, such as apt:dists/stable")
	}
	return errors.New("no repository was found in it")
}

// walk finds repositories by the names of files.
func walk(paths []string) []string {
	have := make(map[string]bool, len(paths))
	exts := make(map[string]bool) // folder and extension of a file in it
	for _, p := range paths {
		have[p] = true
		exts[path.Dir(p)+" "+path.Ext(p)] = true
	}
	var all []string
	add := func(client, p string) { all = append(all, client+":"+p) }
	for _, p := range paths {
		dir, base := path.Dir(p), path.Base(p)
		stem, ext := strings.TrimSuffix(base, path.Ext(base)), path.Ext(base)
		inSuite := strings.HasPrefix(p, "dists/") || strings.Contains(p, "/dists/")
		switch {
		case base == "InRelease",
			base == "Release" && have[path.Join(dir, "Release.gpg")],
			base == "Release" && path.Base(path.Dir(dir)) == "dists",
			base == "Release" && !inSuite && (have[path.Join(dir, "Packages")] || have[path.Join(dir, "Packages.gz")]):
			add("apt", dir)
		case base == "repomd.xml" && path.Base(dir) == "repodata":
			add("dnf", path.Dir(dir))
		case ext == ".db" && (have[path.Join(dir, stem+".files")] || have[p+".sig"] || have[p+".tar.gz"] || have[p+".tar.zst"]):
			add("pacman", path.Join(dir, stem))
		case base == "APKINDEX.tar.gz":
			add("apk", dir)
		case (base == "Packages" || base == "Packages.gz") && !inSuite && !have[path.Join(dir, "Release")] && !have[path.Join(dir, "InRelease")]:
			if exts[dir+" .ipk"] || exts[dir+" .opk"] || have[path.Join(dir, "Packages.sig")] || have[path.Join(dir, "Packages.asc")] || strings.HasPrefix(p, "opkg/") {
				add("opkg", dir)
			}
		case ext == ".rb" && path.Base(dir) == "Formula":
			add("brew", path.Dir(dir))
		case strings.HasPrefix(base, "SHA256SUMS") && !slices.Contains([]string{".asc", ".sig", ".gpg"}, ext):
			add("downloads", p)
		case p == sitePath:
			add("site", p)
		}
	}
	return all
}

// probe tries usual paths of a place that can't be listed.
func (r *run) probe(ctx context.Context) []string {
	var all []string
	for _, try := range []struct{ client, target, file string }{
		{"apt", ".", "InRelease"},
		{"apt", ".", "Release"},
		{"apt", "dists/stable", "dists/stable/InRelease"},
		{"apt", "dists/stable", "dists/stable/Release"},
		{"dnf", ".", "repodata/repomd.xml"},
		{"dnf", "rpm", "rpm/repodata/repomd.xml"},
		{"dnf", "rpm/stable", "rpm/stable/repodata/repomd.xml"},
		{"apk", ".", "APKINDEX.tar.gz"},
		{"apk", "x86_64", "x86_64/APKINDEX.tar.gz"},
		{"apk", "aarch64", "aarch64/APKINDEX.tar.gz"},
		{"apk", "apk/stable/x86_64", "apk/stable/x86_64/APKINDEX.tar.gz"},
		{"apk", "apk/stable/aarch64", "apk/stable/aarch64/APKINDEX.tar.gz"},
		{"opkg", ".", "Packages.sig"},
		{"downloads", "SHA256SUMS", "SHA256SUMS"},
		{"downloads", "downloads/SHA256SUMS", "downloads/SHA256SUMS"},
	} {
		if _, err := r.Fetch.Stat(ctx, try.file); err == nil {
			all = append(all, try.client+":"+try.target)
		}
	}
	return all
}
