package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/publish/publishtest"
)

// cdnUpdates is how many updates clients make behind the CDN; go test's -cdn-updates
// asks for more or fewer.
var cdnUpdates = flag.Int("cdn-updates", 1000, "client updates behind the simulated CDN")

const (
	cdnSeed      = 3
	cdnPublishes = 30
)

// cdnSite publishes the sample often: without compilation, for one CPU, in one
// channel. What nothing names any more stays for twice the time a cache keeps
// files, not for the usual day: else nothing would ever go in these hours.
func cdnSite(config string) string {
	for _, edit := range [][2]string{
		{`CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$OUT/hello" .`, `printf '#!/bin/sh\necho hello %s\n' "$VERSION" >"$OUT/hello"`},
		{"  beta: {tags: \"v*\", prereleases: true}\n", ""},
		{"[linux/amd64, linux/arm64]", "[linux/amd64]"},
		{"[deb, rpm, arch, apk, ipk, tar.gz, zip]", "[deb, rpm, arch, ipk]"},
		{"    keep: {versions: 5}\n", "    keep: {versions: 1, grace: 20m}\n    clients: [apt, dnf, pacman, opkg]\n    pacman: {sign-database: true}\n"},
		{"publish:\n", "  - name: hello-doc\n    formats: [deb, rpm, arch, ipk]\n    contents:\n      - {src: LICENSE, dst: /usr/share/doc/hello-doc/copyright, type: doc}\npublish:\n"},
	} {
		if !strings.Contains(config, edit[0]) {
			panic("the sample's distropack.yml has no " + edit[0])
		}
		config = strings.Replace(config, edit[0], edit[1], 1)
	}
	return config
}

// publishHistory publishes n versions, 1 to 20 simulated minutes apart.
func publishHistory(t *testing.T, p *published, n int) *history {
	t.Helper()
	rng := rand.New(rand.NewPCG(cdnSeed, 0))
	h := &history{changes: make(map[string]bool)}
	// After the key was made, and before the clock of clients.
	at := time.Now().Add(-40 * time.Hour).Truncate(time.Second)
	for i := range n {
		version := fmt.Sprintf("1.0.%d", i)
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out, now: at, environ: append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", at.Unix()))}
		if code := a.main(context.Background(), []string{"-C", p.project, "release", "--version", version, "--key", p.key}); code != 0 {
			t.Fatalf("release %s: exit %d\n%s", version, code, out.String())
		}
		h.record(t, p.dir, version+"-1", at.Unix())
		at = at.Add(time.Minute + time.Duration(rng.IntN(19*60+1))*time.Second)
	}
	return h
}

// signedPair is a file and its signature, which a CDN serves each of its own moment.
type signedPair struct {
	client    string
	file, sig string
	check     func(file, sig []byte) error

	known map[[2]*object]error
}

// holds checks that the signature is one of the file.
func (p *signedPair) holds(file, sig *object) error {
	key := [2]*object{file, sig}
	err, ok := p.known[key]
	if !ok {
		err = p.check(file.body, sig.body)
		p.known[key] = err
	}
	return err
}

const (
	dnfRepomd = "rpm/stable/repodata/repomd.xml"
	pacmanDB  = "arch/x86_64/hello.db"
	opkgIndex = "opkg/stable/x86_64/Packages"
)

// signedPairs are those of all formats; apt, apk and brew have none.
func signedPairs(t *testing.T, h *history) []*signedPair {
	t.Helper()
	last := h.trees[len(h.trees)-1]
	public := last["keys/hello.asc"].body
	openPGP := func(file, sig []byte) error { return keys.Verify(public, bytes.NewReader(file), sig, time.Now()) }
	var usign *keys.UsignKey
	for path, o := range last {
		if ok, _ := filepath.Match("keys/????????????????", path); ok {
			var err error
			if usign, err = keys.OpenUsign(o.body); err != nil {
				t.Fatal(err)
			}
		}
	}
	if usign == nil {
		t.Fatal("the tree has no usign key")
	}
	return []*signedPair{
		{"dnf and zypper", dnfRepomd, dnfRepomd + ".asc", openPGP, make(map[[2]*object]error)},
		{"pacman with a signed database", pacmanDB, pacmanDB + ".sig", openPGP, make(map[[2]*object]error)},
		{"opkg", opkgIndex + ".gz", opkgIndex + ".sig", func(file, sig []byte) error { // which signs the plain index
			z, err := gzip.NewReader(bytes.NewReader(file))
			if err != nil {
				return err
			}
			plain, err := io.ReadAll(z)
			if err != nil {
				return err
			}
			return usign.Verify(plain, sig)
		}, make(map[[2]*object]error)},
	}
}

// Each file of the tree is served 0 to 600 s stale, by itself, while versions are
// published; machines of all clients update all the time.
func TestClientsBehindACDN(t *testing.T) {
	start := time.Now()
	p := publishSample(t, cdnSite)
	h := publishHistory(t, p, cdnPublishes)
	t.Logf("%d publishes in %.1f simulated hours took %.0f s", len(h.at), float64(h.at[len(h.at)-1]-h.at[0])/3600, time.Since(start).Seconds())
	if !slices.ContainsFunc(slices.Collect(maps.Keys(h.trees[0])), func(path string) bool {
		return strings.Contains(path, "/by-hash/") && h.trees[cdnPublishes-1][path] == nil
	}) {
		t.Error("no index of the first publish was removed: nothing is proven of what is kept")
	}
	t.Run("pairs", func(t *testing.T) { measurePairs(t, h) })
	// At most two clients run at a time, each before a CDN of its own, so that the
	// edges are always asked in the same order.
	t.Run("clients", func(t *testing.T) {
		t.Run("apt", func(t *testing.T) { t.Parallel(); aptBehindCDN(t, p, h) })
		t.Run("others", func(t *testing.T) {
			t.Parallel()
			t.Run("pacman", func(t *testing.T) { pacmanBehindCDN(t, p, h) })
			t.Run("dnf and zypper", func(t *testing.T) { rpmBehindCDN(t, p, h) })
		})
	})
}

// machine is a client that updates through a CDN again and again.
type machine struct {
	name string
	// update fetches the indexes; fresh begins without any. install fetches the
	// package, too. It returns the versions that the client sees then.
	update func(t *testing.T, fresh, install bool) (versions []string, out string, err error)
	pair   *signedPair // what can tear; nil: nothing

	has map[string]*object // the files of its last update that was right
}

// tears reports whether file and signature are no pair after an update. A client that
// is told that nothing is new uses what it has.
func (m *machine) tears(v *visitor) bool {
	has := maps.Clone(m.has)
	for _, s := range v.served {
		if s.status == http.StatusOK && (s.path == m.pair.file || s.path == m.pair.sig) {
			has[s.path] = s.obj
		}
	}
	file, sig := has[m.pair.file], has[m.pair.sig]
	if file != nil && sig != nil && m.pair.holds(file, sig) != nil {
		return true
	}
	m.has = has
	return false
}

// tally counts updates.
type tally struct{ updates, torn, installs int }

// drive has n updates made by the machines, each at a random moment of the history
// and at a random edge; every fifth fetches a package. Machines named fresh start
// from scratch each time. An update that meets a torn pair has to fail, and no other
// may; then the client sees all packages as they were at one moment of the last
// maxAge seconds.
func drive(t *testing.T, c *cdn, n int, machines []*machine) tally {
	t.Helper()
	rng := rand.New(rand.NewPCG(c.seed, uint64(n)))
	first, last := c.origin.at[0]+maxAge, c.origin.at[len(c.origin.at)-1]+2*maxAge
	var times []int64
	for range n {
		times = append(times, first+rng.Int64N(last-first))
	}
	slices.Sort(times)
	var sum tally
	var now int64
	for i, at := range times {
		m := machines[rng.IntN(len(machines))]
		now = max(now, at)
		v := c.visit(m.name, rng.IntN(edges), now)
		fresh, install := strings.HasSuffix(m.name, "fresh"), i%5 == 4
		if fresh || m.has == nil {
			m.has = make(map[string]*object)
		}
		versions, out, err := m.update(t, fresh, install)
		began := now
		c.mu.Lock()
		now = v.at
		v.served = slices.Clone(v.served)
		c.mu.Unlock()
		sum.updates++
		if m.pair != nil && m.tears(v) {
			if sum.torn++; err == nil {
				t.Errorf("%s took a torn pair:\n%s%s", m.name, out, c.said(v))
			} else if !tornWords.MatchString(out) {
				t.Errorf("%s met a torn pair and fails for another reason:\n%s", m.name, out)
			}
			continue
		}
		if err != nil {
			t.Errorf("update %d, %s at edge %d, %d s after the last publish: %v\n%s\n%s", i, m.name, v.edge, began-c.origin.at[c.origin.generation(began)], err, out, c.said(v))
			continue
		}
		if install {
			sum.installs++
		}
		if len(versions) < 2 || len(slices.Compact(slices.Clone(versions))) != 1 {
			t.Errorf("%s sees versions %q, want one for all\n%s", m.name, versions, out)
			continue
		}
		if err := c.origin.current(versions[0], began, now); err != nil {
			t.Errorf("%s: %v\n%s", m.name, err, c.said(v))
		}
	}
	return sum
}

// tornWords is what clients say of a signature that is not of the file.
var tornWords = regexp.MustCompile(`(?i)PGP signature|bad gpg signature|signature verification failed`)

// share is n updates of 1,000.
func share(n int) int { return max(4, n**cdnUpdates/1000) }

// behind starts a CDN before the history; busy edges are the harsher ones.
func behind(t *testing.T, h *history, change func(c *cdn)) (c *cdn, url string) {
	t.Helper()
	c = newCDN(h, cdnSeed)
	c.busy = true
	if change != nil {
		change(c)
	}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, s.URL
}

// aptMachines are four machines of each Debian release.
func aptMachines(t *testing.T, p *published, url string) []*machine {
	t.Helper()
	var all []*machine
	for _, s := range debianSuites {
		for _, kind := range []string{"a", "b", "c", "fresh"} {
			name := s.name + "-" + kind
			r := s.open(t)
			r.trust(t, p, "hello.sources", url+"/"+name)
			r.put(t, "/etc/apt/apt.conf.d/50once", "Acquire::Retries \"0\";\n") // or a second try would hide what the first met
			all = append(all, &machine{name: name, update: func(t *testing.T, fresh, install bool) ([]string, string, error) {
				t.Helper()
				script := "apt-get update --error-on=any\necho = update\napt-cache policy hello hello-doc | sed -n 's/^  Candidate: //p'\n"
				if fresh {
					script = "rm -rf /var/lib/apt/lists/* /var/cache/apt/*\n" + script
				}
				if install {
					script += "cd /tmp\nrm -f *.deb\napt-get -q download hello >log 2>&1 || { cat log; exit 1; }\ndpkg-deb -f hello_*.deb Version\n"
				}
				out, err := r.try(script)
				update, rest, _ := strings.Cut(out, "= update\n")
				if m := complaint.FindString(update); m != "" && err == nil {
					err = errors.New(m)
				}
				return strings.Fields(rest), out, err
			}})
		}
	}
	return all
}

func aptBehindCDN(t *testing.T, p *published, h *history) {
	c, url := behind(t, h, nil)
	report(t, "apt", drive(t, c, share(500), aptMachines(t, p, url)), 0, 0)
	// Were older generations not kept by hash, this run would see it.
	none, url := behind(t, h.without(staleByHash), nil)
	machines := aptMachines(t, p, url)
	var failed int
	for g := range h.at[1:] {
		m := machines[g%len(machines)]
		none.visit(m.name, g%edges, h.at[g+1]+60)
		if _, _, err := m.update(t, true, false); err != nil {
			failed++
		}
	}
	t.Logf("apt without older generations by hash: %d of %d updates a minute after a publish fail", failed, len(h.at)-1)
	if failed == 0 {
		t.Error("apt needs no older generations by hash: the CDN is not stale enough to prove anything")
	}
}

// staleByHash reports what would not be there if only the newest indexes were kept
// by hash.
func staleByHash(tree map[string]*object, path string) bool {
	dir, _, ok := strings.Cut(path, "by-hash/")
	if !ok {
		return false
	}
	for other, o := range tree {
		if strings.HasPrefix(other, dir) && !strings.Contains(other, "/by-hash/") && bytes.Equal(o.body, tree[path].body) {
			return false
		}
	}
	return true
}

func pacmanBehindCDN(t *testing.T, p *published, h *history) {
	publishtest.Need(t, "pacman", "pacman-key", "gpg")
	k := newClone(t, "pacman", "pacman-key", "gpg")
	k.arch(p)
	machines := func(url, level string, pair *signedPair) []*machine {
		var all []*machine
		for _, kind := range []string{"a", "b", "c", "fresh"} {
			name := "pacman-" + kind
			home := "/tmp/" + strings.ReplaceAll(level, " ", "-") + kind
			k.must("mkdir", "-p", home+"/db", home+"/cache")
			conf := home + "/pacman.conf"
			k.write(conf, "[options]\nArchitecture = auto\nDBPath = "+home+"/db\nCacheDir = "+home+"/cache\nSigLevel = Never\n[hello]\nSigLevel = "+level+"\nServer = "+url+"/"+name+"/arch/$arch\n")
			all = append(all, &machine{name: name, pair: pair, update: func(t *testing.T, fresh, install bool) ([]string, string, error) {
				t.Helper()
				script := "pacman --noconfirm --config " + conf + " -Sy\necho = update\npacman --config " + conf + " -Sl hello | cut -d ' ' -f 3\n"
				if fresh {
					script = "rm -rf " + home + "/db/sync " + home + "/cache/*\n" + script
				}
				if install {
					script += "rm -rf " + home + "/cache/*\npacman --noconfirm --config " + conf + " -Sw hello >" + home + "/log 2>&1 || { cat " + home + "/log; exit 1; }\nls " + home + "/cache | sed -n 's/^hello-\\(.*\\)-x86_64.pkg.tar.zst$/\\1/p'\n"
				}
				out, err := k.run("sh", "-euc", script)
				_, rest, _ := strings.Cut(out, "= update\n")
				return strings.Fields(rest), out, err
			}})
		}
		return all
	}
	c, url := behind(t, h, nil)
	report(t, "pacman, database signature not asked for", drive(t, c, share(250), machines(url, "Required DatabaseNever", nil)), 0, 0)
	signed := signedPairs(t, h)[1]
	c, url = behind(t, h, nil)
	report(t, "pacman, database signature required", drive(t, c, share(100), machines(url, "Required", signed)), 0.1, 0.4)
	c, url = behind(t, h, func(c *cdn) { c.revalidates = true })
	report(t, "pacman, database signature required, no-cache on pointers", drive(t, c, share(50), machines(url, "Required DatabaseRequired", signed)), 0, 0.02)
}

// report tells how many updates met a torn pair, and fails where that is not the
// share expected: where a pair can tear and none does the CDN is not stale enough to
// prove anything.
func report(t *testing.T, who string, sum tally, least, most float64) {
	t.Helper()
	share := float64(sum.torn) / float64(sum.updates)
	t.Logf("%s: %d updates, %d met a torn pair (%.0f %%); %d fetched the package", who, sum.updates, sum.torn, 100*share, sum.installs)
	if float64(sum.torn) > 1+most*float64(sum.updates) || share < least && sum.updates >= 50 {
		t.Errorf("%s: %.0f %% of the updates met a torn pair, want %.0f to %.0f %%", who, 100*share, 100*least, 100*most)
	}
}

func rpmBehindCDN(t *testing.T, p *published, h *history) {
	publishtest.Need(t, "dnf", "zypper", "rpm")
	k := newClone(t, "dnf", "zypper", "rpm")
	k.rpms()
	k.must("rpm", "--import", p.url+"/keys/hello.asc")
	pair := signedPairs(t, h)[0]
	repo := string(h.trees[0]["rpm/hello.repo"].body)
	machines := func(url string) []*machine {
		var all []*machine
		for _, client := range []string{"dnf", "zypper"} {
			for _, kind := range []string{"a", "b", "c", "fresh"} {
				name := client + "-" + kind
				home := "/tmp/" + name
				k.must("mkdir", "-p", home+"/repos", home+"/cache")
				k.write(home+"/repos/hello.repo", strings.ReplaceAll(repo, p.url, url+"/"+name))
				script := dnfScript
				if client == "zypper" {
					script = zypperScript
				}
				all = append(all, &machine{name: name, pair: pair, update: func(t *testing.T, fresh, install bool) ([]string, string, error) {
					t.Helper()
					out, err := k.run("sh", "-euc", script, home, fmt.Sprint(fresh), fmt.Sprint(install))
					_, rest, _ := strings.Cut(out, "= update\n")
					return strings.Fields(rest), out, err
				}})
			}
		}
		return all
	}
	c, url := behind(t, h, nil)
	report(t, "dnf and zypper", drive(t, c, share(160), machines(url)), 0.1, 0.4)
}

// The scripts take the machine's folder, and whether to start from scratch and to
// fetch the package; what follows the mark are versions.
const (
	dnfScript = `
if [ $1 = true ]; then rm -rf $0/cache/*; fi
run="dnf -y --setopt=reposdir=$0/repos --setopt=cachedir=$0/cache --setopt=persistdir=$0/persist --setopt=retries=1"
$run --refresh makecache
echo = update
$run -C -q repoquery --qf '%{name} %{version}-%{release}' hello hello-doc | cut -d ' ' -f 2
if [ $2 = true ]; then
	rm -rf $0/packages
	$run -q install --downloadonly --downloaddir=$0/packages hello >$0/log 2>&1 || { cat $0/log; exit 1; }
	rpm -qp --qf '%{VERSION}-%{RELEASE}\n' $0/packages/hello-1*.rpm
fi
`
	zypperScript = `
if [ $1 = true ]; then rm -rf $0/cache/*; fi
run="zypper --non-interactive --reposd-dir $0/repos --cache-dir $0/cache"
$run refresh hello
echo = update
$run -q --no-refresh search -s --type package hello | awk -F '|' '$2 ~ / hello/ {print $4}'
if [ $2 = true ]; then
	rm -rf $0/cache/packages
	$run --no-refresh download hello >$0/log 2>&1 || { cat $0/log; exit 1; }
	rpm -qp --qf '%{VERSION}-%{RELEASE}\n' $(find $0/cache/packages -name 'hello-1*.rpm')
fi
`
)
