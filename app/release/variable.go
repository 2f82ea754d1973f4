package release

import (
	"context"
	"reflect"
	"regexp"
	"strings"
	"sync"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline/config"
)

// variables are what ${NAME} stands for: secrets of the repository and of its
// account, sealed until one is asked for, and a few words that the configuration of
// other ways to release has. Nothing of the server's environment is among them.
type variables struct {
	fixed   map[string]string
	secrets map[string]func() (string, error)

	mu    sync.Mutex
	asked map[string]bool // secrets
	err   error
}

func (s *Releases) variables(ctx context.Context, repo *store.Repository) (*variables, error) {
	v := &variables{fixed: s.fixed(repo), secrets: map[string]func() (string, error){}, asked: map[string]bool{}}
	for _, scope := range []string{vault.InstallationScope(repo.Installation), vault.RepositoryScope(repo.ID)} { // the repository's win
		all, err := s.Store.ListSealed(ctx, scope)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			if x.Kind != vault.KindSecret {
				continue
			}
			v.secrets[x.Name] = sync.OnceValues(func() (string, error) {
				row, err := s.Store.Sealed(ctx, scope, x.Name)
				if err != nil {
					return "", err
				}
				text, err := s.Sealer.Open(vault.Binding{Scope: scope, Name: x.Name, Kind: vault.KindSecret}, row.Blob)
				return string(text), err
			})
		}
	}
	return v, nil
}

// fixed variables are no secrets. Keys and the App's token come another way, and are
// empty here, so that a configuration that names them for other ways to release
// works, and none can print them.
func (s *Releases) fixed(repo *store.Repository) map[string]string {
	return map[string]string{
		"GITHUB_REPOSITORY": repo.Owner + "/" + repo.Name, "GITHUB_REPOSITORY_OWNER": repo.Owner, "GITHUB_API_URL": s.API, "GITHUB_SERVER_URL": s.Git,
		"GITHUB_TOKEN": "", "DISTROPACK_KEY": "", "DISTROPACK_PASSPHRASE": "",
	}
}

func (v *variables) lookup(name string) (string, bool) {
	if text, ok := v.fixed[name]; ok {
		return text, true
	}
	open, ok := v.secrets[name]
	if !ok {
		return "", false
	}
	text, err := open()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked[name] = true
	if err != nil {
		v.err = err
		return "", false
	}
	return text, true
}

// blank is lookup for who must not know secrets: their names stand for them.
func (v *variables) blank(name string) (string, bool) {
	if text, ok := v.fixed[name]; ok {
		return text, true
	}
	if _, ok := v.secrets[name]; ok {
		return "x", true
	}
	return "", false
}

// blanks are all variables as blank has them.
func (v *variables) blanks() map[string]string {
	all := make(map[string]string)
	for name := range v.fixed {
		all[name], _ = v.blank(name)
	}
	for name := range v.secrets {
		all[name], _ = v.blank(name)
	}
	return all
}

func (v *variables) used() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.asked) > 0
}

var (
	topKey   = regexp.MustCompile(`^["']?([A-Za-z-]+)["']?\s*:`)
	variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)`)
)

// misplaced returns the lines, from 1, that name a secret elsewhere than below
// publish, github and signing: what stands there is published.
func (v *variables) misplaced(text []byte) []int {
	var lines []int
	top := ""
	for i, line := range strings.Split(string(text), "\n") {
		if m := topKey.FindStringSubmatch(line); m != nil {
			top = m[1]
		}
		if top == "publish" || top == "github" || top == "signing" || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, m := range variable.FindAllStringSubmatch(line, -1) {
			if _, secret := v.secrets[m[1]]; secret {
				lines = append(lines, i+1)
				break
			}
		}
	}
	return lines
}

// samePublic reports whether two readings of a configuration differ in nothing but
// how it is published: aliases of YAML can carry a value anywhere.
func samePublic(a, b *config.Project) bool {
	return reflect.DeepEqual(public(a), public(b))
}

func public(p *config.Project) *config.Project {
	c := *p
	c.Publish, c.GitHub, c.Signing, c.Sum = nil, nil, config.Signing{}, [32]byte{}
	c.Packages = append([]config.Package(nil), p.Packages...)
	for i := range c.Packages {
		c.Packages[i].Options = nil // nodes of the file, which lead to all others
	}
	return &c
}
