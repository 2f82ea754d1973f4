package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish/publishtest"
)

// served publishes two versions under a server's own address.
func served(t testing.TB, header func(http.ResponseWriter, string)) (string, map[string][]byte) {
	t.Helper()
	m := new(publishtest.Mem)
	s := serve(t, m.Files, header)
	publishVersion(t, m, s.URL, "1.0.0", now, testKey)
	publishVersion(t, m, s.URL, "1.1.0", now.Add(48*3600e9), testKey)
	return s.URL, m.Files()
}

func overHTTP(t testing.TB, address string) Fetcher {
	t.Helper()
	f, err := HTTP(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestOverHTTPInstallJSONNamesTheRepositories(t *testing.T) {
	url, files := served(t, nil)
	local := see(t, files, Options{Packages: Hashes})
	for _, depth := range []Depth{Sizes, Hashes} {
		rep := see(t, nil, Options{Fetch: overHTTP(t, url), Packages: depth})
		expect(t, rep)
		// All that a walk finds is found.
		if !slices.Equal(rep.Clients, local.Clients) {
			t.Errorf("over HTTP:\n%+v\non disk:\n%+v", rep.Clients, local.Clients)
		}
		if rep.Packages != local.Packages || rep.Serial != 2 || len(rep.Keys) != len(local.Keys) {
			t.Errorf("%d packages, serial %d, keys %+v", rep.Packages, rep.Serial, rep.Keys)
		}
	}
}

func TestHeadersAreJudged(t *testing.T) {
	url, _ := served(t, func(w http.ResponseWriter, p string) {
		switch p {
		case suite + "InRelease":
			w.Header().Set("Cache-Control", "public, max-age=3600")
		case repod + "repomd.xml":
			w.Header().Set("Cache-Control", "max-age=3600, s-maxage=60")
		case apkidx:
			w.Header().Set("Cache-Control", "max-age=600")
		case deb:
			w.Header().Set("Cache-Control", "max-age=31536000, immutable")
		case db + ".db":
			w.Header().Set("Date", "Mon, 01 Jun 2026 00:00:00 GMT")
			w.Header().Set("Expires", "Mon, 01 Jun 2026 01:00:00 GMT")
		case rpm:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		case ipk: // sent in pieces then
			w.Header().Set("Content-Encoding", "identity")
		case pkg + ".sig", "keys/hello.asc":
			w.Header().Set("Cache-Control", "max-age=31536000")
		case amd64 + "Packages.gz":
			w.Header().Set("Content-Encoding", "gzip")
		}
	})
	expect(t, see(t, nil, Options{Fetch: overHTTP(t, url), Packages: Hashes}),
		"warning apt cache-control "+suite+"InRelease: caches keep it for 1h0m0s: for that long clients get an old index after a publish",
		"warning pacman cache-control "+db+".db",
		"warning dnf content-type "+rpm+": it is served as text/html: is it a page that stands in for a missing file?",
		"warning apt content-encoding "+amd64+`Packages.gz: it is served with Content-Encoding: "gzip" though that was not asked for`,
		"warning opkg content-length "+ipk+": it is served without a length: clients can neither show progress nor see that it was cut off")
}

func TestAPlaceWithoutInstallJSONIsProbed(t *testing.T) {
	f := generation(t, 1)
	delete(f, "install.json")
	s := serve(t, func() map[string][]byte { return f }, nil)
	o := Options{Fetch: overHTTP(t, s.URL), Packages: Hashes}
	rep := see(t, nil, o)
	var got []string
	for _, c := range rep.Clients {
		got = append(got, c.Client+":"+c.Path)
	}
	if want := []string{"apt:dists/stable", "dnf:rpm/stable", "apk:apk/stable/x86_64", "downloads:downloads/SHA256SUMS"}; !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
	expect(t, rep) // with the key beside repomd.xml, and apk's by its name
	o.Clients = []string{"pacman:arch/x86_64/hello-beta"}
	expect(t, see(t, nil, o))
}

func TestWhatAServerAnswersIsToldWithoutSecrets(t *testing.T) {
	_, files := served(t, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p := strings.TrimPrefix(req.URL.Path, "/")
		switch {
		case p == deb:
			http.Error(w, "no", http.StatusServiceUnavailable)
		case p == "rpm/stable/Packages/h/hello-1.0.0-1.x86_64.rpm":
			http.Error(w, "a bucket says this of what is not there", http.StatusForbidden)
		case p == rpm: // a signed address that leads nowhere
			http.Redirect(w, req, "http://127.0.0.1:1/x?signature=topsecret", http.StatusFound)
		case files[p] == nil:
			http.NotFound(w, req)
		default:
			w.Header().Set("Content-Length", fmt.Sprint(len(files[p])))
			w.Write(files[p][:len(files[p])/2*2])
			if len(files[p])%2 == 1 {
				w.Write(files[p][len(files[p])-1:])
			}
		}
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("ann", "topsecret")
	rep := see(t, nil, Options{Fetch: overHTTP(t, u.String()), Packages: Hashes, Clients: []string{"apt:dists/stable", "dnf:rpm/stable"}})
	expect(t, rep, "error apt unreachable "+deb+`: it can't be read: the server answers "503 Service Unavailable"`, "error dnf unreachable "+rpm, "error dnf missing rpm/stable/Packages/h/hello-1.0.0-1.x86_64.rpm: it is not there: the server answers \"403 Forbidden\"")
	for _, f := range rep.Findings {
		if strings.Contains(f.String(), "topsecret") {
			t.Errorf("a secret is told: %s", f)
		}
	}
	const form = "the address is not of the form https://host/path"
	for bad, want := range map[string]string{
		"ftp://x/": form, "x": form, "https://%zztopsecret": form,
		"https://ann:topsecret@h/?token=topsecret": "the address of h has a query or fragment: give the folder of the tree alone",
	} {
		if _, err := HTTP(bad, nil); err == nil || err.Error() != want {
			t.Errorf("HTTP(%q): %v, want %q", bad, err, want)
		}
	}
	if _, err := overHTTP(t, s.URL).(Outsider).OpenURL(context.Background(), "https://h/%zztopsecret"); err == nil || err.Error() != "its address is not one that can be fetched" {
		t.Errorf("an address that is none: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, Options{Fetch: overHTTP(t, s.URL), Now: later}); err == nil || !errors.Is(err, context.Canceled) && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("cancelled: %v", err)
	}
}

func TestAServerWithoutHEADIsAskedByGET(t *testing.T) {
	f := generation(t, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, ok := f[strings.TrimPrefix(req.URL.Path, "/")]
		switch {
		case req.Method == http.MethodHead:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case !ok:
			http.NotFound(w, req)
		default:
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			w.Write(b)
		}
	}))
	t.Cleanup(s.Close)
	rep := see(t, nil, Options{Fetch: overHTTP(t, s.URL), Clients: []string{"apk", "dnf"}})
	expect(t, rep)
	if rep.Packages != 16 {
		t.Errorf("%d packages were looked at", rep.Packages)
	}
}

func TestABodyThatIsCutOffIsFound(t *testing.T) {
	f := generation(t, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p := strings.TrimPrefix(req.URL.Path, "/")
		b, ok := f[p]
		if !ok {
			http.NotFound(w, req)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		if p == deb {
			b = b[:len(b)-7]
		}
		w.Write(b)
	}))
	t.Cleanup(s.Close)
	o := Options{Fetch: overHTTP(t, s.URL), Packages: Hashes, Clients: []string{"apt:dists/stable"}}
	k := public(t, testKey, "openpgp")
	o.Keys = []Key{{k.Name, k.Data}}
	expect(t, see(t, nil, o), "error apt unreachable "+deb)
}

// A formula may name what lies elsewhere.
func TestArchivesElsewhereAreFetchedOverHTTPAlone(t *testing.T) {
	url, files := served(t, nil)
	far := serve(t, func() map[string][]byte { return map[string][]byte{"x.tar.gz": files[tgz]} }, nil)
	p := "brew/Formula/hello.rb"
	edited := generation(t, 1)
	for name, b := range files {
		edited[name] = b
	}
	edited[p] = replace(t, files[p], url+"/"+tgz, far.URL+"/x.tar.gz?token=secret")
	near := serve(t, func() map[string][]byte { return edited }, nil)

	expect(t, see(t, edited, Options{Packages: Hashes}), "note brew outside "+far.URL+"/x.tar.gz")
	o := Options{Fetch: overHTTP(t, near.URL), Packages: Hashes, Clients: []string{"brew"}}
	expect(t, see(t, nil, o))
	edited[p] = replace(t, edited[p], "x.tar.gz", "y.tar.gz")
	expect(t, see(t, nil, o), "error brew missing "+far.URL+"/y.tar.gz")
}
