package git

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

// address is where a repository is.
type address struct {
	scheme string // "https", "http", "ssh" or "file"
	host   string // with the port if one was given
	user   string // for ssh
	path   string // on the host; for file of this machine
	text   string // for messages
}

// parseAddress understands what git does: https, http, ssh and file URLs,
// user@host:path and paths. Nothing secret may be in it, and no error repeats it
// where there is.
func parseAddress(s string) (*address, error) {
	if s == "" {
		return nil, errors.New("the repository's URL is missing")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, errors.New("the repository's URL has a control character")
	}
	if !strings.Contains(s, "://") {
		before, after, colon := strings.Cut(s, ":")
		drive := runtime.GOOS == "windows" && len(before) == 1
		if !colon || drive || strings.ContainsAny(before, `/\`) {
			p, err := filepath.Abs(s)
			if err != nil {
				return nil, err
			}
			return &address{scheme: "file", path: p, text: p}, nil
		}
		user, host, ok := strings.Cut(before, "@")
		if !ok {
			user, host = "git", before
		}
		if first, _, _ := strings.Cut(after, "/"); strings.Contains(first, "@") { // user:password@host:path
			return nil, errors.New("the repository's URL has a password in it: take it out and give the key by itself")
		}
		a := &address{scheme: "ssh", host: host, user: user, path: after, text: s}
		return a, a.check()
	}
	u, err := url.Parse(s)
	if err != nil { // its text would repeat the URL
		scheme, _, _ := strings.Cut(s, "://")
		return nil, fmt.Errorf("the repository's URL, which begins with %q, can't be understood", printable(scheme, 20)+"://")
	}
	a := &address{scheme: strings.ToLower(u.Scheme), host: u.Host, path: u.Path}
	a.text = a.scheme + "://" + a.host + u.EscapedPath()
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, fmt.Errorf("%s: the URL has a part behind ? or #: take it out", a.text)
	}
	if _, has := u.User.Password(); has {
		return nil, fmt.Errorf("%s: the URL has a password in it: take it out and give the token by itself", a.text)
	}
	switch a.scheme {
	case "http", "https":
		if u.User != nil {
			return nil, fmt.Errorf("%s: the URL has a user in it, which may be a token: take it out and give user and token by themselves", a.text)
		}
		a.path = strings.TrimRight(u.EscapedPath(), "/")
		a.text = a.scheme + "://" + a.host + a.path
	case "ssh", "git+ssh", "ssh+git":
		a.scheme, a.user = "ssh", "git"
		if u.User != nil {
			a.user = u.User.Username()
		}
		a.text = "ssh://" + a.user + "@" + a.host + u.EscapedPath()
		if strings.HasPrefix(a.path, "/~") {
			a.path = a.path[1:]
		}
	case "file":
		if a.host != "" && a.host != "localhost" {
			return nil, fmt.Errorf("%s: a file URL takes no host: use ssh or https", a.text)
		}
		a.host = ""
		if runtime.GOOS == "windows" {
			a.path = strings.TrimPrefix(a.path, "/")
		}
		a.path = filepath.FromSlash(a.path)
		return a, nil
	default:
		return nil, fmt.Errorf("%s: %s is not supported: use https, ssh or file", a.text, a.scheme)
	}
	return a, a.check()
}

func (a *address) check() error {
	switch {
	case a.host == "" || strings.HasPrefix(a.host, "-"):
		return fmt.Errorf("%s: the URL names no host", a.text)
	case strings.Trim(a.path, "/") == "" || strings.HasPrefix(a.path, "-"):
		return fmt.Errorf("%s: the URL names no repository", a.text)
	case a.scheme == "ssh" && (a.user == "" || strings.HasPrefix(a.user, "-")):
		return fmt.Errorf("%s: the URL names no user", a.text)
	}
	return nil
}

// checkBranch applies the rules of git-check-ref-format(1).
func checkBranch(name string) error {
	bad := strings.HasPrefix(name, "-") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || strings.Contains(name, "@{") || name == "@" ||
		strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) })
	for part := range strings.SplitSeq(name, "/") {
		bad = bad || part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock")
	}
	if bad || len(name) > 200 {
		return fmt.Errorf("%q can't be a branch's name", printable(name, 200))
	}
	return nil
}

// checkPath refuses what git itself would not check out.
func checkPath(p string) error {
	for part := range strings.SplitSeq(p, "/") {
		lower := strings.ToLower(strings.TrimRight(part, ". "))
		if lower == ".git" || lower == "git~1" || strings.ContainsRune(part, 0) {
			return fmt.Errorf("path %q can't be in a git branch", p)
		}
	}
	return nil
}
