package git

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Settings are the keys of a site's git section.
type Settings struct {
	URL        string       `yaml:"url" doc:"The repository: https, ssh, user@host:path or a path. No password or token in it."`
	Branch     string       `yaml:"branch" doc:"The branch; gh-pages where absent."`
	Folder     string       `yaml:"folder" doc:"Where in the branch the tree lies; the top where absent."`
	History    string       `yaml:"history" enum:"squash,keep" doc:"squash: one commit without parents each time, so that the branch does not grow; keep: a commit on the one before. squash where absent."`
	User       string       `yaml:"user" doc:"The user name for HTTP; what GitHub and GitLab take for a token where absent."`
	Token      string       `yaml:"token" doc:"The token for HTTP; DISTROPACK_GIT_TOKEN, or for GitHub's own hosts GITHUB_TOKEN, where absent. Write it as a variable."`
	SSHKey     string       `yaml:"ssh-key" doc:"The private key for ssh: its text, or a file. Write it as a variable."`
	KnownHosts string       `yaml:"known-hosts" doc:"The ssh hosts that are trusted: lines of a known_hosts file, or its name; ~/.ssh/known_hosts where absent."`
	Author     string       `yaml:"author" doc:"Name <mail> of the commits; DistroPack's where absent."`
	MaxFile    formats.Size `yaml:"max-file" doc:"The largest file that the host takes; 95MB where absent, since GitHub refuses 100."`
	MaxTotal   formats.Size `yaml:"max-total" doc:"The most bytes of packages that the branch may hold; 900MB where absent, since GitHub Pages ends at 1 GB."`
}

// What GitHub takes, with some room: https://docs.github.com/pages/getting-started-with-github-pages/github-pages-limits
const (
	maxFile  = 95e6
	warnAt   = 500e6
	maxTotal = 900e6
)

// Kind returns the kind of place "git".
func Kind() publish.DestinationKind {
	return publish.DestinationKind{Name: "git", Options: &Settings{}, New: func(s formats.Section, env publish.DestinationEnv) (publish.Destination, error) {
		p, err := fromSettings(s, env)
		if err != nil {
			return nil, err
		}
		return p, nil
	}}
}

// place is a branch with its bounds.
type place struct {
	*Git
	bounds publish.Bounds
}

// Bounds implements publish.Bounded.
func (p *place) Bounds() publish.Bounds { return p.bounds }

// Probe implements publish.Prober: whether the repository is there and lets itself
// be read. Whether it may be written to shows with the push.
func (p *place) Probe(ctx context.Context) error {
	_, err := p.Head(ctx)
	return err
}

func fromSettings(section formats.Section, env publish.DestinationEnv) (*place, error) {
	var s Settings
	if err := section.Decode(&s); err != nil {
		return nil, err
	}
	if s.URL == "" {
		return nil, errors.New("git: url is missing: the repository that holds the tree")
	}
	o := Options{URL: s.URL, Branch: s.Branch, Folder: s.Folder, User: s.User, SSHPassphrase: variable(env, "DISTROPACK_SSH_PASSPHRASE"), Now: env.Now, Dir: env.Temp, Say: env.Say}
	if s.History == "keep" || env.Shared {
		o.History = Keep
	}
	if env.Shared {
		if s.History == "squash" {
			return nil, errors.New("git: history: squash would rewrite a repository that is not the tree's alone: remove it")
		}
		o.Branch = cmp.Or(s.Branch, "main")
	}
	if s.Author != "" {
		name, mail, ok := strings.Cut(strings.TrimSuffix(s.Author, ">"), " <")
		if !ok || name == "" || mail == "" {
			return nil, fmt.Errorf("git: author %q is not of the form Name <mail>", s.Author)
		}
		o.Name, o.Email = name, mail
	}
	if token := s.token(env); token != "" {
		o.Token = func(context.Context) (string, error) { return token, nil }
	}
	var err error
	if s.SSHKey != "" {
		if o.SSHKey, err = textOrFile(env.Base, s.SSHKey, "PRIVATE KEY", "ssh-key"); err != nil {
			return nil, err
		}
	}
	if s.KnownHosts != "" {
		if o.KnownHosts, err = textOrFile(env.Base, s.KnownHosts, " ", "known-hosts"); err != nil {
			return nil, err
		}
	} else if home := variable(env, "HOME"); home != "" {
		o.KnownHosts, err = os.ReadFile(filepath.Join(home, ".ssh", "known_hosts"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	g, err := Open(o)
	if err != nil {
		return nil, err
	}
	p := &place{g, publish.Bounds{File: maxFile, Warn: warnAt, Total: maxTotal, Why: "GitHub refuses files of 100 MB and sites of 1 GB; for other hosts set git.max-file and git.max-total"}}
	if s.MaxFile > 0 {
		p.bounds.File = int64(s.MaxFile)
	}
	if s.MaxTotal > 0 {
		p.bounds.Total = int64(s.MaxTotal)
		p.bounds.Warn = p.bounds.Total / 2
	}
	return p, nil
}

// token is the configuration's, or one from the environment. GitHub's own goes to
// GitHub's hosts alone.
func (s *Settings) token(env publish.DestinationEnv) string {
	if s.Token != "" {
		return s.Token
	}
	if t := variable(env, "DISTROPACK_GIT_TOKEN"); t != "" {
		return t
	}
	u, err := url.Parse(s.URL)
	if err != nil || u.Scheme != "https" {
		return ""
	}
	own := "github.com"
	if server, err := url.Parse(variable(env, "GITHUB_SERVER_URL")); err == nil && server.Host != "" {
		own = server.Host
	}
	if u.Host != own {
		return ""
	}
	return variable(env, "GITHUB_TOKEN")
}

func variable(env publish.DestinationEnv, name string) string {
	if env.Lookup == nil {
		return ""
	}
	v, _ := env.Lookup(name)
	return v
}

// textOrFile returns text itself where it holds mark, else the content of the
// file of that name. Errors do not repeat it: it may be a secret.
func textOrFile(base, text, mark, what string) ([]byte, error) {
	if strings.Contains(text, mark) || strings.Contains(text, "\n") {
		return append([]byte(strings.TrimSpace(text)), '\n'), nil
	}
	name := text
	if !filepath.IsAbs(name) {
		name = filepath.Join(base, name)
	}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("git: %s is neither the text nor the name of a file", what)
	}
	return b, err
}
