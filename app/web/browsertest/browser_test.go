package browsertest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/web/browsertest"
)

// A checker that finds nothing is worth nothing: each flaw is planted once.
func TestPlantedFlawsAreFound(t *testing.T) {
	planted := map[string]string{
		`<p style="color: #999">too pale</p>`:                                   "contrast",
		`<input id="x" style="border: 1px solid #eee"><label for="x">x</label>`: "hardly seen",
		`<button></button>`: "no name",
		`<input name="q">`:  "no name",
		`<button style="padding: 0; font-size: 8px">x</button>`: "too small",
		`<img src="data:,">`:                 "no alt",
		`<table><tr><th>x</th></tr></table>`: "heading of what",
		`<h4>deep</h4>`:                      "headings is left out",
		`<i id="a"></i><i id="a"></i>`:       "2 times",
		`<div style="overflow: auto; height: 20px"><p>x</p><p>x</p></div>`: "not by keys",
		`<div style="width: 5000px">x</div>`:                               "wide",
		`<p aria-labelledby="nobody">x</p>`:                                "names nothing",
		`<a href="/">x<button>y</button></a>`:                              "within a control",
		`<button tabindex="3">order</button>`:                              "order of its own",
		`<main>another</main>`:                                             "not one main",
		``:                                                                 "",
	}
	b := browsertest.Start(t)
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<!DOCTYPE html><html lang="en"><meta name="viewport" content="width=device-width"><title>t</title><main><h1>h</h1>` + strings.Repeat("<p>text</p>", 10) + body + `</main></html>`))
	}))
	defer srv.Close()
	for _, width := range []int{320, 800} {
		b.Device(width, 600, false)
		for html, want := range planted {
			body = html
			b.Open(srv.URL)
			flaws := b.Flaws()
			if want == "" && len(flaws) > 0 || want != "" && !strings.Contains(strings.Join(flaws, "\n"), want) {
				t.Errorf("%d wide, %s: found %q, want %q", width, html, flaws, want)
			}
		}
	}
}
