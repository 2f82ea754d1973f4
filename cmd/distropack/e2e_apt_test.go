package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// instructions are what the install page tells the users of one client.
type instructions struct {
	Client                                string
	Add, Install, Upgrade, Remove, Verify []struct{ Command string }
}

// instructionsFor reads what the page and install.json say, with the package's name
// filled in.
func instructionsFor(t *testing.T, dir, channel, client string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "install.json"))
	if err != nil {
		t.Fatal(err)
	}
	var page struct {
		Channels []struct {
			Name    string
			Clients []instructions
		}
	}
	if err := json.Unmarshal(b, &page); err != nil {
		t.Fatal(err)
	}
	for _, ch := range page.Channels {
		for _, c := range ch.Clients {
			if ch.Name != channel || c.Client != client {
				continue
			}
			script := make(map[string]string)
			for name, steps := range map[string][]struct{ Command string }{"add": c.Add, "install": c.Install, "upgrade": c.Upgrade, "remove": c.Remove, "verify": c.Verify} {
				for _, s := range steps {
					script[name] += strings.ReplaceAll(s.Command, "$PACKAGE", "hello") + "\n"
				}
			}
			return script
		}
	}
	t.Fatalf("install.json has nothing for %s in %s:\n%s", client, channel, b)
	return nil
}

// follow runs the page's commands like somebody who answers every question with yes.
func (r *debRoot) follow(t *testing.T, script string) string {
	t.Helper()
	return r.run(t, "sudo() { env \"$@\"; }\nyes | (\nset -e\n"+script+")")
}

// accessLog serves a tree and writes down what was asked for.
type accessLog struct {
	url string

	mu      sync.Mutex
	asked   []string // paths, in order
	missing []string // those of them that were not there
}

type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// serveLogged serves the tree in dir; instead gives files other contents.
func serveLogged(t *testing.T, dir string, instead map[string][]byte) *accessLog {
	t.Helper()
	l := &accessLog{}
	h := treeHandler(dir)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sw := &statusWriter{w, http.StatusOK}
		if b, ok := instead[r.URL.Path]; ok {
			sw.Write(b)
		} else {
			h.ServeHTTP(sw, r)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.asked = append(l.asked, r.URL.Path)
		if sw.code == http.StatusNotFound {
			l.missing = append(l.missing, r.URL.Path)
		}
	}))
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

// take returns what was asked for since the last call.
func (l *accessLog) take() (asked, missing []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked, missing = l.asked, l.missing
	l.asked, l.missing = nil, nil
	return asked, missing
}

// trust adds the repository as the page's .sources file, served at another address.
func (r *debRoot) trust(t *testing.T, p *published, file, url string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "apt", file))
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, "/etc/apt/sources.list.d/"+file, strings.Replace(string(b), p.url, url, 1))
}

// aptOnly makes the site for apt alone.
func aptOnly(config string) string {
	return strings.Replace(config, "    keep: {versions: 5}\n", "    clients: [apt]\n    keep: {versions: 5}\n", 1)
}

func TestAptInstallsUpgradesAndRemovesAsThePageSays(t *testing.T) {
	onDebian(t, func(t *testing.T, r *debRoot) {
		p := publishSample(t, nil)
		p.release(t, "1.0.0")
		page := instructionsFor(t, p.dir, "stable", "apt")
		r.follow(t, page["add"])
		r.update(t)
		r.follow(t, page["install"])
		if got := r.installed(t, "hello"); got != "1.0.0-1" {
			t.Fatalf("installed is %q, want 1.0.0-1", got)
		}
		if got := r.run(t, "hello; hello --version; cat /var/lib/hello/log"); got != "Hello, world\nhello 1.0.0\ninstalled\n" {
			t.Errorf("hello and its log say %q", got)
		}
		if got := r.run(t, "dpkg --verify hello"); got != "" {
			t.Errorf("dpkg --verify hello says %q of a package just installed", got)
		}

		if got, _ := r.try("cp -a /usr/bin/hello /tmp; echo >>/usr/bin/hello; dpkg --verify hello; cp -a /tmp/hello /usr/bin"); !strings.Contains(got, " /usr/bin/hello") {
			t.Errorf("dpkg --verify hello does not notice the changed program: %q", got)
		}
		r.run(t, "cp -a /tmp/hello /usr/bin; echo greeting=Moin >/etc/hello.conf")
		if got, _ := r.try("dpkg --verify hello"); !strings.Contains(got, " c /etc/hello.conf") {
			t.Errorf("dpkg --verify hello does not notice the changed configuration file: %q", got)
		}
		p.release(t, "1.1.0")
		r.follow(t, page["upgrade"])
		if got := r.run(t, "hello; hello --version; cat /var/lib/hello/log"); got != "Moin\nhello 1.1.0\ninstalled\ninstalled\n" {
			t.Errorf("after the upgrade hello and its log say %q", got)
		}
		if got := r.run(t, "apt-get -s dist-upgrade"); !strings.Contains(got, "\n0 upgraded, 0 newly installed, 0 to remove") {
			t.Errorf("after the upgrade there is something left to do:\n%s", got)
		}

		r.follow(t, page["remove"])
		for name, want := range map[string]bool{"/usr/bin/hello": false, "/usr/lib/systemd/system/hello.service": false, "/var/lib/hello/log": false,
			"/etc/apt/sources.list.d/hello.sources": false, "/etc/hello.conf": true} {
			if got := r.has(t, name); got != want {
				t.Errorf("after the removal %s is there: %v, want %v", name, got, want)
			}
		}
		r.run(t, "apt-get -y purge hello")
		if got := r.run(t, "apt-get clean; find /etc /usr /var -name '*hello*' -o -name '*distropack*'"); got != "" {
			t.Errorf("purged, hello left\n%s", got)
		}
		if got := r.run(t, "dpkg-query -W | grep hello || :"); got != "" {
			t.Errorf("purged, dpkg still knows %q", got)
		}
	})
}

func TestAptReadsTheOneLineForm(t *testing.T) {
	p := publishSample(t, aptOnly)
	p.release(t, "1.0.0")
	onDebian(t, func(t *testing.T, r *debRoot) {
		r.run(t, "mkdir -p /etc/apt/keyrings; curl -fsSL -o /etc/apt/keyrings/hello.asc "+p.url+"/keys/hello.asc; curl -fsSL -o /etc/apt/sources.list.d/hello.list "+p.url+"/apt/hello.list")
		r.update(t)
		r.run(t, "apt-get -y install hello; hello")
	})
	onDebian(t, func(t *testing.T, r *debRoot) { // the binary key
		r.run(t, "mkdir -p /etc/apt/keyrings; curl -fsSL -o /etc/apt/keyrings/hello.gpg "+p.url+"/keys/hello.gpg; curl -fsSL "+p.url+"/apt/hello.list | sed s/hello.asc/hello.gpg/ >/etc/apt/sources.list.d/hello.list")
		r.update(t)
		if got := r.candidate(t, "hello"); got != "1.0.0-1" {
			t.Errorf("candidate is %q, want 1.0.0-1", got)
		}
	})
}

func TestAptKeepsAChangedConfigurationFileThatThePackageChangesToo(t *testing.T) {
	onDebian(t, func(t *testing.T, r *debRoot) {
		p := publishSample(t, aptOnly)
		p.release(t, "1.0.0")
		r.trust(t, p, "hello.sources", p.url)
		r.update(t)
		r.run(t, "apt-get -y install hello; echo greeting=Moin >/etc/hello.conf")
		if err := os.WriteFile(filepath.Join(p.project, "hello.conf"), []byte("greeting=Hi\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		p.release(t, "1.1.0")
		r.update(t)
		r.run(t, "apt-get -y -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold upgrade")
		if got := r.run(t, "hello --version; hello; hello -config /etc/hello.conf.dpkg-dist"); got != "hello 1.1.0\nMoin\nHi\n" {
			t.Errorf("version, greeting and the package's greeting are %q", got)
		}
	})
}

func TestAptFindsAPrereleaseInBetaOnly(t *testing.T) {
	onDebian(t, func(t *testing.T, r *debRoot) {
		p := publishSample(t, aptOnly)
		p.release(t, "1.0.0")
		r.trust(t, p, "hello.sources", p.url)
		r.update(t)
		r.run(t, "apt-get -y install hello")
		p.release(t, "1.1.0-rc.1")
		r.update(t)
		if got := r.candidate(t, "hello"); got != "1.0.0-1" {
			t.Errorf("after the release candidate stable has %q, want 1.0.0-1", got)
		}
		r.trust(t, p, "hello-beta.sources", p.url)
		r.update(t)
		if got := r.candidate(t, "hello"); got != "1.1.0~rc.1-1" {
			t.Errorf("beta has %q, want 1.1.0~rc.1-1", got)
		}
		r.run(t, "apt-get -y upgrade; dpkg --compare-versions 1.1.0~rc.1-1 lt 1.1.0-1")
		if got := r.run(t, "hello --version"); got != "hello 1.1.0-rc.1\n" {
			t.Errorf("hello --version says %q", got)
		}
		p.release(t, "1.1.0")
		r.update(t)
		r.run(t, "apt-get -y upgrade")
		if got := r.installed(t, "hello"); got != "1.1.0-1" {
			t.Errorf("after the release %q is installed, want 1.1.0-1", got)
		}
	})
}
