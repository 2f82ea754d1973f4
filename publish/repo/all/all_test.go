package all

import (
	"slices"
	"strings"
	"testing"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
	"github.com/distropack/distropack/publish/repo/apt"
	"github.com/distropack/distropack/publish/repo/dnf"
	"github.com/distropack/distropack/publish/repo/opkg"
	"github.com/distropack/distropack/publish/repo/pacman"
)

func TestEveryRepositoryKeepsThePromises(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) { publishtest.Repo(t, kind, formatsall.Kinds()) })
	}
}

// section sets options.
type section func(options any)

func (s section) Decode(options any) error {
	s(options)
	return nil
}

// In a tree without packages all that clients read is a listed index or lies below
// one, and each listed index is there.
func TestIndexesAreWhatIsWrittenForClients(t *testing.T) {
	none := func(any) {}
	for _, c := range []struct {
		kind, layout string
		options      section
		change       func(*publish.RepoEnv)
		want         string // channel, arch, path or address
	}{
		{"apt", "as usual", none, nil, "stable - dists/stable, beta - dists/beta"},
		{"apt", "aliases in a folder", func(o any) {
			o.(*apt.Options).Dir, o.(*apt.Options).Aliases = "deb", map[string][]string{"stable": {"trixie", "noble"}}
		}, nil, "stable - deb/dists/stable, stable - deb/dists/trixie, stable - deb/dists/noble, beta - deb/dists/beta"},
		{"apt", "channels share a suite", func(o any) {
			o.(*apt.Options).Suites = map[string]string{"stable": "any", "beta": "any"}
			o.(*apt.Options).Components = map[string]string{"beta": "next"}
		}, nil, "stable - dists/any, beta - dists/any"},
		{"apt", "flat repositories", none, func(e *publish.RepoEnv) { e.Servers, e.Flat = []string{"https://h/latest"}, true },
			"stable - dists/stable, stable - https://h/latest/, beta - dists/beta, beta - https://h/latest/"},
		{"apt", "servers that are not flat", none, func(e *publish.RepoEnv) { e.Servers = []string{"https://h/latest"} }, "stable - dists/stable, beta - dists/beta"},
		{"apt", "no CPU of its own", none, func(e *publish.RepoEnv) { e.Platforms = nil }, ""},
		{"dnf", "as usual", none, nil, "stable - rpm/stable, beta - rpm/beta"},
		{"dnf", "a repository per CPU", func(o any) {
			o.(*dnf.Options).Dirs = map[string]string{"stable": "el9/{arch}", "beta": "."}
		}, nil, "stable x86_64 el9/x86_64, stable aarch64 el9/aarch64, beta - ."},
		{"pacman", "as usual", none, nil, "stable x86_64 arch/x86_64/hello, stable aarch64 arch/aarch64/hello, beta x86_64 arch/x86_64/hello-beta, beta aarch64 arch/aarch64/hello-beta"},
		{"pacman", "own names", func(o any) {
			o.(*pacman.Options).Dir, o.(*pacman.Options).Databases = "{repo}/{arch}", map[string]string{"stable": "Main"}
		}, nil, "stable x86_64 Main/x86_64/Main, stable aarch64 Main/aarch64/Main, beta x86_64 hello-beta/x86_64/hello-beta, beta aarch64 hello-beta/aarch64/hello-beta"},
		{"pacman", "at the top", func(o any) { o.(*pacman.Options).Dir = "." }, func(e *publish.RepoEnv) { e.Platforms = e.Platforms[:1] }, "stable x86_64 hello, beta x86_64 hello-beta"},
		{"apk", "as usual", none, nil, "stable x86_64 apk/stable/x86_64, stable aarch64 apk/stable/aarch64, beta x86_64 apk/beta/x86_64, beta aarch64 apk/beta/aarch64"},
		{"opkg", "own words", func(o any) {
			o.(*opkg.Options).Arches = map[string][]string{"arm64": {"aarch64_generic", "aarch64_cortex-a53"}}
		}, func(e *publish.RepoEnv) { e.Channels = e.Channels[:1] },
			"stable x86_64 opkg/stable/x86_64, stable aarch64_generic opkg/stable/aarch64_generic, stable aarch64_cortex-a53 opkg/stable/aarch64_cortex-a53"},
		{"downloads", "as usual", none, nil, "stable - downloads/SHA256SUMS, beta - downloads/SHA256SUMS-beta"},
		{"brew", "as usual", none, nil, ""},
	} {
		t.Run(c.kind+": "+c.layout, func(t *testing.T) {
			env := publishtest.Env()
			if c.change != nil {
				c.change(&env)
			}
			kinds := Kinds()
			kind := kinds[slices.IndexFunc(kinds, func(k publish.RepoKind) bool { return k.Name == c.kind })]
			r, err := kind.New(c.options, env)
			if err != nil {
				t.Fatal(err)
			}
			m := new(publishtest.Mem)
			if _, err := publish.Publish(t.Context(), m, []publish.Repo{r}, publish.Edit{}, publish.Options{Time: 1780000000, Now: 1780000000}); err != nil {
				t.Fatal(err)
			}
			var got, at []string
			if is, ok := r.(publish.Indexed); ok {
				for _, ch := range env.Channels {
					for _, x := range is.Indexes(ch) {
						arch := x.Arch
						if arch == "" {
							arch = "-"
						}
						got = append(got, ch+" "+arch+" "+x.Path+x.URL)
						if x.URL == "" {
							at = append(at, x.Path)
						}
					}
				}
				if more := is.Indexes("nightly"); len(more) > 0 {
					t.Errorf("a channel that is not published has %v", more)
				}
			}
			if list := strings.Join(got, ", "); list != c.want {
				t.Errorf("it lists %s\nwant     %s", list, c.want)
			}
			found := make(map[string]bool)
			for p := range m.Files() {
				if strings.HasPrefix(p, ".distropack/") {
					continue
				}
				i := slices.IndexFunc(at, func(a string) bool { return holds(c.kind, a, p) })
				if i < 0 {
					t.Errorf("%s belongs to no listed index", p)
					continue
				}
				found[at[i]] = true
			}
			for _, a := range at {
				if !found[a] {
					t.Errorf("%s is listed, and nothing is there", a)
				}
			}
		})
	}
}

// holds reports whether a file is of the index at a path.
func holds(kind, index, file string) bool {
	switch {
	case kind == "pacman":
		return strings.HasPrefix(file, index+".")
	case kind == "downloads":
		return file == index || file == index+".asc"
	case index == ".":
		return strings.HasPrefix(file, "repodata/")
	}
	return strings.HasPrefix(file, index+"/")
}
