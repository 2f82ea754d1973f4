package bucket

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

// cloudflare is a double that checks what it is asked, and a client that reaches it.
func cloudflare(t *testing.T, answer func(w http.ResponseWriter, files []string)) *http.Client {
	t.Helper()
	double := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Files []string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Files) == 0 || len(in.Files) > 30 {
			t.Errorf("%d files, %v", len(in.Files), err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/client/v4/zones/zone1/purge_cache" || r.Header.Get("Authorization") != "Bearer hunter2" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		answer(w, in.Files)
	}))
	t.Cleanup(double.Close)
	return &http.Client{Transport: reroute(strings.TrimPrefix(double.URL, "http://"))}
}

type reroute string

func (to reroute) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || r.URL.Host != "api.cloudflare.com" {
		return nil, fmt.Errorf("asked %s", r.URL)
	}
	r = r.Clone(r.Context())
	r.URL = &url.URL{Scheme: "http", Host: string(to), Path: r.URL.Path}
	return http.DefaultTransport.RoundTrip(r)
}

func TestCloudflareForgetsWhatWasReplaced(t *testing.T) {
	s := buckettest.Serve(t)
	var asked []string
	requests := 0
	hc := cloudflare(t, func(w http.ResponseWriter, files []string) {
		requests++
		asked = append(asked, files...)
		fmt.Fprint(w, `{"success":true,"errors":[],"messages":[],"result":{"id":"1"}}`)
	})
	o := options(s, "c")
	o.Purge = Cloudflare("zone1", "hunter2", hc, "https://pkg.example.org/")
	var h heard
	o.Say = h.say
	b := open(t, o)
	files := []string{publish.StatePath, "1", "pool/a", "a", "top/index.html", "page", "top/a b", "x"}
	for i := range 40 {
		files = append(files, fmt.Sprint("top/", i), "x")
	}
	commit(t, b, put(files...))
	if requests != 2 || len(asked) != 44 || h.String() != "" {
		t.Errorf("%d requests for %d files; it said %q", requests, len(asked), h.String())
	}
	for _, want := range []string{"https://pkg.example.org/.distropack/state", "https://pkg.example.org/top/39", "https://pkg.example.org/top/index.html", "https://pkg.example.org/top/", "https://pkg.example.org/top/a%20b"} {
		if !slices.Contains(asked, want) {
			t.Errorf("%s was not purged", want)
		}
	}
	if slices.ContainsFunc(asked, func(u string) bool { return strings.Contains(u, "pool/") }) {
		t.Errorf("content was purged: %q", asked)
	}
}

func TestFailedPurgeOnlyWarns(t *testing.T) {
	s := buckettest.Serve(t)
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, files []string)
		want   string
	}{
		"refused": {func(w http.ResponseWriter, _ []string) {
			w.WriteHeader(403)
			fmt.Fprint(w, `{"success":false,"errors":[{"code":10000,"message":"Authentication error for hunter2"}]}`)
		}, "403 Forbidden; Authentication error for [secret] (10000)"},
		"no JSON": {func(w http.ResponseWriter, _ []string) { w.WriteHeader(502) }, "502 Bad Gateway"},
		"cut":     {func(http.ResponseWriter, []string) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			var h heard
			o := options(s, name)
			o.Say = h.say
			o.Purge = Cloudflare("zone1", "hunter2", cloudflare(t, c.answer), "https://pkg.example.org")
			commit(t, open(t, o), put(publish.StatePath, "1", "top/x", "x"))
			if said := h.String(); !strings.Contains(said, c.want) || strings.Contains(said, "hunter2") {
				t.Errorf("it said %q, want %q", said, c.want)
			}
		})
	}
}
