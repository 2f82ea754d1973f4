package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

// object is what a path held from some publish on.
type object struct {
	body     []byte
	etag     string
	modified int64 // simulated Unix time
}

// history is an origin over simulated time: the tree after each publish.
type history struct {
	at       []int64 // Unix times of the publishes, ascending
	versions []string
	trees    []map[string]*object
	changes  map[string]bool // paths whose content changes: pointers
	lag      int64           // seconds in which a publish's pointers land, each by itself, as in a bucket; 0: all at once
}

// record adds the tree in dir as it is after a publish.
func (h *history) record(t *testing.T, dir, version string, at int64) {
	t.Helper()
	var last map[string]*object
	if n := len(h.trees); n > 0 {
		last = h.trees[n-1]
	}
	tree := make(map[string]*object)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(name, ".") {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		o := last[name]
		switch {
		case o == nil:
			o = newObject(b, at)
		case !bytes.Equal(o.body, b):
			o = newObject(b, at)
			h.changes[name] = true
		}
		tree[name] = o
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.at, h.versions, h.trees = append(h.at, at), append(h.versions, version), append(h.trees, tree)
}

func newObject(b []byte, at int64) *object {
	return &object{b, `"` + formats.Bytes(b).Ref().SHA256.String()[:16] + `"`, at}
}

// generation is the publish that was the last one at a time; -1 before the first.
func (h *history) generation(at int64) int {
	n, _ := slices.BinarySearch(h.at, at+1)
	return n - 1
}

// get returns what the origin had under a path; nil if nothing.
func (h *history) get(path string, at int64) *object {
	g := h.generation(at)
	if g > 0 && h.lag > 0 && h.changes[path] && at < h.at[g]+int64(draw(g, path)%uint64(h.lag)) {
		g--
	}
	if g < 0 {
		return nil
	}
	return h.trees[g][path]
}

// without is the history of a tree that lacks some files.
func (h *history) without(lacks func(tree map[string]*object, path string) bool) *history {
	c := *h
	c.trees = nil
	for _, tree := range h.trees {
		less := make(map[string]*object)
		for path, o := range tree {
			if !lacks(tree, path) {
				less[path] = o
			}
		}
		c.trees = append(c.trees, less)
	}
	return &c
}

// current says whether a client may see a version at a time: it was the newest at
// some moment of the maxAge seconds before it.
func (h *history) current(version string, from, to int64) error {
	g := slices.Index(h.versions, version)
	if oldest, newest := max(0, h.generation(from-maxAge)), h.generation(to); g < oldest || g > newest {
		return fmt.Errorf("version %q was not current in the %d s before: those are %q", version, maxAge, h.versions[oldest:newest+1])
	}
	return nil
}

// maxAge is how long GitHub Pages lets a CDN keep any file, missing ones too.
const maxAge = 600

// cdn is a network of caches before an origin. Each of its edges keeps each path by
// itself from the moment it was asked for it, errors too, for maxAge seconds of
// simulated time. It is deterministic as long as times do not go back.
type cdn struct {
	origin *history
	seed   uint64
	// busy edges are asked by others, too: what they hold may be of any moment of the
	// last maxAge seconds, for each path another one. Nobody asks for a file before
	// it is there.
	busy bool
	// revalidates: the origin says no-cache of what changes, and edges ask each time.
	revalidates bool

	mu       sync.Mutex
	held     map[place]holding
	visitors map[string]*visitor
}

type place struct {
	edge int
	path string
}

type holding struct {
	from int64 // when it was fetched
	obj  *object
}

// edges is how many there are. Odd ones take If-Modified-Since for equal times
// only, as nginx does.
const edges = 3

func newCDN(h *history, seed uint64) *cdn {
	return &cdn{origin: h, seed: seed, held: make(map[place]holding), visitors: make(map[string]*visitor)}
}

// draw is a random number that depends on its arguments alone.
func draw(args ...any) uint64 {
	h := fnv.New128a()
	for _, a := range args {
		fmt.Fprintln(h, a)
	}
	sum := h.Sum(nil)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum), binary.BigEndian.Uint64(sum[8:]))).Uint64()
}

// get returns what an edge serves at a time, and since when it has it.
func (c *cdn) get(edge int, path string, at int64) holding {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.revalidates && c.origin.changes[path] {
		return holding{at, c.origin.get(path, at)}
	}
	key := place{edge, path}
	old, known := c.held[key]
	if known && at < old.from+maxAge {
		return old
	}
	x := holding{at, c.origin.get(path, at)}
	if c.busy && x.obj != nil {
		age := int64(draw(c.seed, edge, path, at-c.origin.at[0]) % maxAge)
		if known { // whoever fetched it did so after the last one had expired
			age = min(age, at-old.from-maxAge)
		}
		if o := c.origin.get(path, at-age); o != nil {
			x = holding{at - age, o}
		} else { // it came later; then it is as old as it can be
			x.from = x.obj.modified
		}
	}
	c.held[key] = x
	return x
}

// visitor is a client's machine. Its address is /NAME/, so that the CDN knows what
// time it is for it.
type visitor struct {
	at     int64 // the next request's time
	edge   int
	served []served
}

type served struct {
	path   string
	status int
	obj    *object
}

// visit begins an update of a machine.
func (c *cdn) visit(name string, edge int, at int64) *visitor {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := &visitor{at: at, edge: edge}
	c.visitors[name] = v
	return v
}

// said tells what the visitor was answered.
func (c *cdn) said(v *visitor) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	for _, s := range v.served {
		modified := int64(0)
		if s.obj != nil {
			modified = s.obj.modified
		}
		fmt.Fprintf(&b, "%d %s of generation %d\n", s.status, s.path, c.origin.generation(modified))
	}
	return b.String()
}

// ServeHTTP answers as the edge of the machine in the address does at its time.
func (c *cdn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	c.mu.Lock()
	v := c.visitors[name]
	if v == nil {
		c.mu.Unlock()
		http.Error(w, "nobody knows "+name, http.StatusTeapot)
		return
	}
	at, edge := v.at, v.edge
	v.at++ // a request takes a second
	c.mu.Unlock()

	x := c.get(edge, path, at)
	h := w.Header()
	// It is written down before the client has it, which may be gone by then.
	sw := headerFunc{w, func(status int) {
		c.mu.Lock()
		defer c.mu.Unlock()
		v.served = append(v.served, served{path, status, x.obj})
	}}
	h.Set("Date", time.Unix(at, 0).UTC().Format(http.TimeFormat))
	h.Set("Age", fmt.Sprint(at-x.from))
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d", maxAge))
	if c.revalidates && c.origin.changes[path] {
		h.Set("Cache-Control", "no-cache")
	}
	if x.obj == nil {
		http.Error(sw, "there is no such file", http.StatusNotFound)
		return
	}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("ETag", x.obj.etag)
	modified := time.Unix(x.obj.modified, 0).UTC()
	if edge%2 == 1 && r.Header.Get("If-Modified-Since") != modified.Format(http.TimeFormat) {
		r.Header.Del("If-Modified-Since")
	}
	http.ServeContent(sw, r, "", modified, bytes.NewReader(x.obj.body))
}

// headerFunc calls a function with the status before it is sent.
type headerFunc struct {
	http.ResponseWriter
	before func(status int)
}

func (w headerFunc) WriteHeader(status int) {
	w.before(status)
	w.ResponseWriter.WriteHeader(status)
}

// asks sends a request to the CDN for a machine.
func asks(c *cdn, name, path string, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/"+name+"/"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Result()
}

// toyHistory has a pointer that changes every 100 s and names a file of its own.
func toyHistory() *history {
	h := &history{changes: map[string]bool{"pointer": true}}
	for g := range int64(40) {
		at := 1000 + 100*g
		tree := map[string]*object{"pointer": newObject(fmt.Appendf(nil, "generation %d", g), at)}
		if g > 0 {
			for path, o := range h.trees[g-1] {
				tree[path] = cmp.Or(tree[path], o)
			}
		}
		tree[fmt.Sprintf("file-%d", g)] = newObject(fmt.Appendf(nil, "file %d", g), at)
		h.at, h.versions, h.trees = append(h.at, at), append(h.versions, fmt.Sprint(g)), append(h.trees, tree)
	}
	return h
}

func TestTheCDNKeepsEachFileForTenMinutes(t *testing.T) {
	h := toyHistory()
	c := newCDN(h, 1)
	body := func(edge int, path string, at int64) string {
		t.Helper()
		c.visit("m", edge, at)
		res := asks(c, "m", path)
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(res.StatusCode, " ", strings.TrimSpace(string(b)))
	}
	for _, x := range []struct {
		edge int
		path string
		at   int64
		want string
	}{
		{0, "pointer", 1050, "200 generation 0"},
		{0, "pointer", 1649, "200 generation 0"},
		{1, "pointer", 1649, "200 generation 6"},
		{0, "pointer", 1650, "200 generation 6"},
		{0, "file-8", 1700, "404 there is no such file"},
		{0, "file-8", 2299, "404 there is no such file"},
		{1, "file-8", 2299, "200 file 8"},
		{0, "file-8", 2300, "200 file 8"},
	} {
		if got := body(x.edge, x.path, x.at); got != x.want {
			t.Errorf("edge %d serves %s at %d as %q, want %q", x.edge, x.path, x.at, got, x.want)
		}
	}
}

func TestTheCDNAnswersConditions(t *testing.T) {
	c := newCDN(toyHistory(), 1)
	stamp := func(at int64) string { return time.Unix(at, 0).UTC().Format(http.TimeFormat) }
	etag := newObject([]byte("generation 3"), 0).etag
	for _, x := range []struct {
		edge   int
		header []string
		status int
		body   string
	}{
		{0, nil, 200, "generation 3"},
		{0, []string{"If-None-Match", etag}, 304, ""},
		{0, []string{"If-None-Match", `"other"`}, 200, "generation 3"},
		{0, []string{"If-Modified-Since", stamp(1300)}, 304, ""},
		{0, []string{"If-Modified-Since", stamp(1299)}, 200, "generation 3"},
		{0, []string{"If-Modified-Since", stamp(1400)}, 304, ""},
		{1, []string{"If-Modified-Since", stamp(1300)}, 304, ""},
		{1, []string{"If-Modified-Since", stamp(1400)}, 200, "generation 3"},
		{0, []string{"Range", "bytes=11-"}, 206, "3"},
		{0, []string{"Range", "bytes=11-", "If-Range", etag}, 206, "3"},
		{0, []string{"Range", "bytes=11-", "If-Range", `"other"`}, 200, "generation 3"},
		{0, []string{"Range", "bytes=90-"}, 416, "invalid range: failed to overlap\n"},
	} {
		c.visit("m", x.edge, 1350)
		res := asks(c, "m", "pointer", x.header...)
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != x.status || string(b) != x.body {
			t.Errorf("edge %d answers %q with %d %q, want %d %q", x.edge, x.header, res.StatusCode, b, x.status, x.body)
		}
	}
}

func TestABusyCDNIsStaleButNotOlder(t *testing.T) {
	h := toyHistory()
	seen := make(map[int]bool)
	for seed := range uint64(50) {
		var answers [2]string
		for i := range answers {
			c := newCDN(h, seed)
			c.busy = true
			for at := int64(2000); at < 4800; at += 70 {
				x := c.get(0, "pointer", at)
				answers[i] += string(x.obj.body) + "\n"
				behind := h.generation(at) - h.generation(x.obj.modified)
				seen[behind] = true
				if x.from > at || x.from <= at-maxAge || behind < 0 || h.get("pointer", x.from) != x.obj {
					t.Errorf("seed %d: at %d the edge holds what it fetched at %d, %q", seed, at, x.from, x.obj.body)
				}
				newest := fmt.Sprintf("file-%d", h.generation(at))
				if c.get(0, newest, at).obj == nil {
					t.Errorf("seed %d: at %d there is no %s, which nobody asked for before it was there", seed, at, newest)
				}
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("seed %d serves another thing the second time", seed)
		}
	}
	if len(seen) != 7 {
		t.Errorf("the pointer was behind by %v generations, want 0 to 6", seen)
	}
	c := newCDN(h, 1)
	c.busy, c.revalidates = true, true
	for at := int64(2000); at < 4800; at += 70 {
		if got := c.get(0, "pointer", at).obj; got != h.get("pointer", at) {
			t.Errorf("at %d an edge that asks each time serves %q", at, got.body)
		}
	}
}

// hosting is a way to serve a tree, seen by a client that asks for a pair.
type hosting struct {
	name        string
	busy        bool
	revalidates bool
	lag         int64   // seconds in which the files of a publish land
	perHour     float64 // updates at one edge
	most        float64 // seconds, on average, for which a publish may tear a pair
}

var hostings = []hosting{
	{name: "each file 0 to 600 s stale", busy: true, perHour: 60, most: 205},
	{name: "600 s, edges with 60 updates an hour", perHour: 60, most: 4},
	{name: "600 s, edges with 6 updates an hour", perHour: 6, most: 4},
	{name: "no-cache on pointers", revalidates: true, perHour: 60, most: 2},
	{name: "no-cache on pointers, which land within 2 s", revalidates: true, lag: 2, perHour: 60, most: 3},
}

// edge returns a CDN that is hosted so.
func (k *hosting) edge(h *history, seed uint64) *cdn {
	slower := *h
	slower.lag = k.lag
	c := newCDN(&slower, seed)
	c.busy, c.revalidates = k.busy, k.revalidates
	return c
}

// retries are the waits after which a client that met a torn pair tries again; by
// the last one all is well again unless there was another publish.
var retries = []int64{60, 120, 300, maxAge + 1}

// tears counts updates that meet a torn pair, and those that would still meet one
// after each wait.
type tears struct {
	updates, torn int
	still         [4]int
}

// measure asks for file and signature as clients do, a second apart and at many
// moments between start and end.
func (k *hosting) measure(h *history, pair *signedPair, start, end int64, seeds uint64) tears {
	var sum tears
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 1))
		c := k.edge(h, seed)
		whole := func(c *cdn, at int64) bool {
			return pair.holds(c.get(0, pair.file, at).obj, c.get(0, pair.sig, at+1).obj) == nil
		}
		for at := start - rng.Int64N(maxAge); at < end; at += 1 + int64(rng.ExpFloat64()*3600/k.perHour) {
			if sum.updates++; whole(c, at) {
				continue
			}
			sum.torn++
			for i, wait := range retries {
				if !whole(c.fork(), at+wait) {
					sum.still[i]++
				}
			}
		}
	}
	return sum
}

// measurePairs counts signatures that are not of the file they are served with: in
// the hours of many publishes, and around one that stands alone.
func measurePairs(t *testing.T, h *history) {
	alone := &history{at: []int64{h.at[0], h.at[0] + 86400}, trees: h.trees[:2], changes: h.changes}
	for _, kind := range hostings {
		for _, pair := range signedPairs(t, h) {
			often := kind.measure(h, pair, h.at[0]+maxAge, h.at[len(h.at)-1]+maxAge, 100)
			start, end := alone.at[1]-3*maxAge, alone.at[1]+3*maxAge
			once := kind.measure(alone, pair, start, end, 4000)
			seconds := float64(once.torn) / float64(once.updates) * float64(end-start+maxAge/2)
			var later []string
			for i, wait := range retries {
				later = append(later, fmt.Sprintf("%d s %.0f %%", wait, 100*float64(once.still[i])/float64(max(once.torn, 1))))
			}
			t.Logf("%s; %s: %d of %d updates torn (%.2f %%); one publish alone tears for %.1f s, still torn after %s", kind.name, pair.client, often.torn, often.updates, 100*float64(often.torn)/float64(often.updates), seconds, strings.Join(later, ", "))
			if seconds > kind.most {
				t.Errorf("%s; %s: a publish tears the pair for %.1f s, want at most %.0f", kind.name, pair.client, seconds, kind.most)
			}
			if kind.busy && seconds < 150 {
				t.Errorf("%s; %s: a publish tears the pair for %.1f s: the CDN is hardly stale", kind.name, pair.client, seconds)
			}
			if n := once.still[len(retries)-1]; n > 0 {
				t.Errorf("%s; %s: %d of %d torn pairs are not whole after %d s without a publish", kind.name, pair.client, n, once.torn, maxAge+1)
			}
		}
	}
}

// fork is the CDN as it is now, to try what would happen.
func (c *cdn) fork() *cdn {
	return &cdn{origin: c.origin, seed: c.seed, busy: c.busy, revalidates: c.revalidates, held: maps.Clone(c.held)}
}
