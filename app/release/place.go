package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/bucket"
	"github.com/distropack/distropack/publish/dest/git"
)

// guarded are the kinds of places as strangers may use them from a server: nothing
// of its disk, its environment, its keys or its network is theirs. Branches at GitHub
// get a token where the App is allowed to write; the error is why there is none, and
// says nothing about the configuration where it passes by itself.
func (j *job) guarded(ctx context.Context, w *world) ([]publish.DestinationKind, error) {
	tokens := make(map[string]string) // by address
	for i := range w.project.Publish {
		site := &w.project.Publish[i]
		for _, key := range []string{"git", "tap", "bucket"} {
			section, ok := site.Options[key]
			if !ok {
				continue
			}
			if err := j.reach(ctx, w, key, section, tokens); err != nil {
				return nil, fmt.Errorf("site %s: %w", site.Site, err)
			}
		}
	}
	kinds := slices.Clone(j.Places)
	for i, k := range kinds {
		kinds[i].New = func(section formats.Section, env publish.DestinationEnv) (publish.Destination, error) {
			env.Temp = w.dir()
			var err error
			switch k.Name {
			case "git":
				env, err = j.guardGit(section, env, tokens)
			case "bucket":
				err = j.guardBucket(section, env)
			}
			if err != nil {
				return nil, err
			}
			return k.New(section, env)
		}
	}
	return kinds, nil
}

// reach looks at the host of a place, and finds the token for it. What is wrong with
// the section itself is left to the guards.
func (j *job) reach(ctx context.Context, w *world, key string, section formats.Section, tokens map[string]string) error {
	if key == "bucket" {
		var s bucket.Settings
		if err := section.Decode(&s); err != nil || s.Endpoint == "" {
			return err
		}
		u, err := url.Parse(s.Endpoint)
		if err != nil {
			return nil
		}
		return j.outside(ctx, u.Hostname())
	}
	var s git.Settings
	if err := section.Decode(&s); err != nil {
		return err
	}
	u, ssh, err := gitAddress(s.URL)
	if err != nil {
		return nil
	}
	if err := j.outside(ctx, u.Hostname()); err != nil {
		return err
	}
	if _, own := w.vars.lookup("DISTROPACK_GIT_TOKEN"); ssh || own || s.Token != "" {
		return nil
	}
	token, err := j.branchToken(ctx, w, s.URL)
	tokens[s.URL] = token
	return err
}

// gitAddress reads an address as git does, but for paths of this machine.
func gitAddress(address string) (u *url.URL, ssh bool, err error) {
	u, err = url.Parse(address)
	if err == nil && strings.Contains(address, "://") {
		return u, strings.Contains(u.Scheme, "ssh"), nil
	}
	host, _, ok := strings.Cut(address, ":")
	if !ok || strings.Contains(address, "://") || strings.ContainsAny(host, `/\`) || !strings.Contains(host, ".") {
		return nil, false, errors.New("git: url is not of the form https://host/path or git@host:path: the App publishes to no repository on its server")
	}
	if _, after, at := strings.Cut(host, "@"); at {
		host = after
	}
	return &url.URL{Scheme: "ssh", Host: host}, true, nil
}

// guardGit lets through https and ssh with keys that are given as text. A branch of
// the App's GitHub gets the App's token as an environment variable would give it.
func (j *job) guardGit(section formats.Section, env publish.DestinationEnv, tokens map[string]string) (publish.DestinationEnv, error) {
	var s git.Settings
	if err := section.Decode(&s); err != nil {
		return env, err
	}
	for what, text := range map[string]string{"ssh-key": s.SSHKey, "known-hosts": s.KnownHosts} {
		if text != "" && !strings.Contains(text, "\n") && !strings.Contains(text, " ") {
			return env, fmt.Errorf("git: %s names a file, and the App reads none of its server: give the text itself, as a secret of the repository", what)
		}
	}
	u, ssh, err := gitAddress(s.URL)
	if err != nil {
		return env, err
	}
	switch u.Scheme {
	case "https":
	case "ssh", "git+ssh", "ssh+git":
		if s.KnownHosts == "" {
			return env, errors.New("git: known-hosts is missing: without it nobody knows whose host answers; give its line of ~/.ssh/known_hosts")
		}
	case "http":
		if !j.Private && !strings.HasPrefix(s.URL, j.Git+"/") {
			return env, errors.New("git: url has no TLS: use https or ssh")
		}
	default:
		return env, fmt.Errorf("git: the App publishes to no repository on its server: %q is not https or ssh", u.Scheme)
	}
	lookup, token := env.Lookup, tokens[s.URL]
	env.Lookup = func(name string) (string, bool) {
		switch {
		case name == "DISTROPACK_GIT_TOKEN" && token != "" && !ssh:
			return token, true
		case name == "GITHUB_TOKEN", name == "HOME":
			return "", false
		}
		return lookup(name)
	}
	return env, nil
}

// guardBucket wants keys of the configuration: without them Amazon's tools would
// look for those of the server.
func (j *job) guardBucket(section formats.Section, env publish.DestinationEnv) error {
	var s bucket.Settings
	if err := section.Decode(&s); err != nil {
		return err
	}
	if key, _ := env.Lookup("AWS_ACCESS_KEY_ID"); cmp.Or(s.AccessKey, key) == "" {
		return errors.New("bucket: access-key is missing: the App has no keys of its own; give access-key and secret-key as secrets of the repository")
	}
	if s.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(s.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && j.Private) {
		return errors.New("bucket: endpoint is not of the form https://host")
	}
	return nil
}

// shared is what providers use behind their own translation (RFC 6598), and clouds for
// services of a machine's own.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// outside refuses hosts of networks that are not the internet's: the server's own.
func (s *Releases) outside(ctx context.Context, host string) error {
	if own, err := url.Parse(s.Git); s.Private || err == nil && own.Hostname() == host {
		return nil
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("host %s: %w", host, err)
	}
	for _, ip := range all {
		if ip = ip.Unmap(); !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
			return fmt.Errorf("%w: host %s is in a private network, and this server publishes to none", pipeline.ErrUsage, host)
		}
	}
	return nil
}

// Publishers is the file by which a repository lets others of its account publish to
// its branches, on its default branch: a line per owner/name, # begins a comment.
const Publishers = ".github/distropack-publishers"

// branchToken returns a token for a branch of the App's GitHub; "" for other hosts. A
// repository gets one for itself. For another one of the same installation that one
// must say so: else whoever may write to any repository of an account could
// overwrite the branches of all of them.
func (j *job) branchToken(ctx context.Context, w *world, address string) (string, error) {
	rest, ok := strings.CutPrefix(strings.TrimRight(address, "/"), j.Git+"/")
	if !ok {
		return "", nil
	}
	owner, name, ok := strings.Cut(strings.TrimSuffix(rest, ".git"), "/")
	if !ok || strings.Contains(name, "/") {
		return "", nil
	}
	to, me := w.repo, w.repo.Owner+"/"+w.repo.Name
	c := j.client(w.repo)
	if !sameName(owner+"/"+name, me) {
		var err error
		to, err = j.Store.RepositoryByName(ctx, owner, name)
		if errors.Is(err, store.ErrNotFound) || err == nil && (to.Installation != w.repo.Installation || to.Removed) {
			return "", fmt.Errorf("%w: the App may not write to %s/%s: install it there too, on the same account, or give a token", pipeline.ErrUsage, owner, name)
		}
		if err != nil {
			return "", err
		}
		text, err := c.File(ctx, to.Owner, to.Name, Publishers, to.DefaultBranch, 64<<10)
		if err != nil && !errors.Is(err, github.ErrNotFound) {
			return "", err
		}
		if !listed(string(text), me) {
			return "", fmt.Errorf("%w: %s/%s does not let %s publish to its branches: add the line %s to %s on its branch %s, or give a token", pipeline.ErrUsage, to.Owner, to.Name, me, me, Publishers, to.DefaultBranch)
		}
	}
	token, _, err := c.Token(ctx, to.ID, map[string]string{"contents": "write"})
	return token, err
}

// listed reports whether a file of publishers names a repository.
func listed(text, name string) bool {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if sameName(strings.TrimSpace(line), name) {
			return true
		}
	}
	return false
}

func sameName(a, b string) bool { return strings.EqualFold(a, b) }

func sameAddress(a, b string) bool {
	trim := func(s string) string { return strings.TrimSuffix(strings.TrimRight(s, "/"), "/api/v3") }
	return strings.EqualFold(trim(a), trim(b))
}

// targetOf is the same for sites that are published to the same tree, whoever's they
// are.
func (j *job) targetOf(w *world, site *plan.Site) string {
	kind, section, ok := pipeline.PlaceOf(j.Places, site.Config)
	if !ok {
		dir := filepath.FromSlash(site.Dir)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(w.folders(), dir)
		}
		return "dir " + dir
	}
	switch kind.Name {
	case "git":
		var s git.Settings
		if section.Decode(&s) == nil {
			address := strings.TrimSuffix(strings.TrimRight(s.URL, "/"), ".git")
			if strings.HasPrefix(address, j.Git+"/") { // GitHub does not mind case
				address = strings.ToLower(address)
			}
			return "git " + address + " " + cmp.Or(s.Branch, "gh-pages") // one push at a time, whatever the folder
		}
	case "bucket":
		var s bucket.Settings
		if section.Decode(&s) == nil {
			return "bucket " + strings.TrimRight(s.Endpoint, "/") + " " + s.Name + " " + path.Clean("/"+s.Prefix)
		}
	}
	return fmt.Sprintf("%s %d %s", kind.Name, w.repo.ID, site.Name)
}

// closed closes what a place holds open.
func closed(d publish.Destination) error {
	if c, ok := d.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
