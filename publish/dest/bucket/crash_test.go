package bucket

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

// byDigest is an index that pointers of a generation name.
func byDigest(gen string) string {
	return fmt.Sprintf("index/%x", sha256.Sum256([]byte("index of "+gen)))
}

// generation is a change with one of everything: content that is new, replaced and
// deleted, indexes named by digest and not, signed and loose pointers.
func generation(gen string, more ...string) *publish.Change {
	c := put(publish.StatePath, gen, "pool/new-"+gen, "package of "+gen, "pool/same", "same", "pool/rebuilt", "rebuilt in "+gen)
	add := func(class publish.Class, files ...string) {
		for i := 0; i < len(files); i += 2 {
			c.Put = append(c.Put, publish.File{Path: files[i], Class: class, Blob: formats.Bytes([]byte(files[i+1]))})
		}
	}
	add(publish.Index, byDigest(gen), "index of "+gen, ".distropack/index/list", "private index of "+gen)
	for _, p := range pointers {
		add(publish.Pointer, p, p+" of "+gen)
	}
	add(publish.Pointer, "dists/main/Packages", "index of "+gen) // the same bytes as the one by digest
	add(publish.Pointer, more...)
	return c
}

var pointers = []string{"dists/InRelease", "dists/Release", "dists/Release.gpg", "rpm/repodata/repomd.xml", "rpm/repodata/repomd.xml.asc", "arch/x.db", "arch/x.db.sig", "index.html"}

func first() *publish.Change { return generation("1", "only/first", "gone") }

func second() *publish.Change {
	c := generation("2", "only/second", "new")
	c.Delete = []string{"pool/new-1", "only/first", "never/was"}
	return c
}

// lookAt reads the tree as a client does and returns how many pairs of file and
// signature are of different generations.
func lookAt(t *testing.T, s *buckettest.Server, prefix string) (torn int) {
	t.Helper()
	read := func(p string) string { return string(s.Read(t, prefix+"/"+p)) }
	gen := func(p string) string {
		for _, g := range []string{"1", "2"} {
			if read(p) == p+" of "+g {
				return g
			}
		}
		t.Errorf("%s is %q", p, read(p))
		return ""
	}
	seen := make(map[string]string)
	for _, p := range pointers {
		seen[p] = gen(p)
		if read(byDigest(seen[p])) == "" {
			t.Errorf("%s is of generation %s, whose index is missing", p, seen[p])
		}
		if seen[p] == "2" && read(publish.StatePath) != "2" {
			t.Errorf("%s is visible before the commit", p)
		}
		if base, ok := signs(p); ok && seen[p] != seen[base] {
			torn++
		}
	}
	if read("pool/same") != "same" {
		t.Errorf("pool/same is %q", read("pool/same"))
	}
	return torn
}

// again is what a job does that runs once more.
func again(t *testing.T, s *buckettest.Server, prefix string) {
	t.Helper()
	b := open(t, options(s, prefix))
	head, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Read(t, prefix+"/"+publish.StatePath)) == "2" {
		return // published: nothing is to be committed
	}
	if _, err := b.Commit(ctx, head, second()); err != nil {
		t.Fatal(err)
	}
}

func tree(t *testing.T, s *buckettest.Server, prefix string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for k, v := range s.Objects(t, prefix+"/") {
		all[strings.TrimPrefix(k, prefix+"/")] = v
	}
	return all
}

func differ(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(want)) {
		if got[p] != want[p] {
			t.Errorf("%s is %q, want %q", p, got[p], want[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[p]; !ok {
			t.Errorf("%s is left", p)
		}
	}
}

// Wherever a publish dies, before or after its last request was done, readers see
// one generation's pointers or the other's, and the next run gives the tree of a
// clean one.
func TestDeathAtAnyRequestIsMadeGood(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "clean")), first())
	s.On(nil)
	b := open(t, options(s, "clean"))
	commit(t, b, second())
	requests := len(s.Requests())
	want := tree(t, s, "clean")
	if requests < 20 {
		t.Fatalf("%d requests: too few for all that is to be tried", requests)
	}
	torn := 0
	for n := 1; n <= requests; n++ {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%02d done=%v", n, done), func(t *testing.T) {
				prefix := fmt.Sprintf("dead-%d-%v", n, done)
				s.On(nil)
				commit(t, open(t, options(s, prefix)), first())
				o := options(s, prefix)
				o.Tries = 1
				b := open(t, o)
				s.On(func(i int, _ *http.Request) buckettest.Fault {
					return buckettest.Fault{Drop: i > n || i == n && !done, Lose: i == n && done}
				})
				head, err := b.Head(ctx)
				if err == nil {
					_, err = b.Commit(ctx, head, second())
				}
				s.On(nil)
				pairs := lookAt(t, s, prefix)
				if torn += min(pairs, 1); err == nil && pairs > 0 {
					t.Error("it is done, and a signature is not of its file")
				}
				again(t, s, prefix)
				if lookAt(t, s, prefix) != 0 {
					t.Error("a signature is not of its file")
				}
				differ(t, tree(t, s, prefix), want)
			})
		}
	}
	// There are seven files in folders with signatures, put last.
	t.Logf("signatures were not of their files after %d of %d deaths", torn, 2*requests)
	if torn > 2*7 {
		t.Errorf("%d deaths tore a pair", torn)
	}
}

// The same for the first publish of all, which tries the store as well.
func TestDeathOfTheFirstPublishIsMadeGood(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "clean")), first())
	requests := len(s.Requests())
	want := tree(t, s, "clean")
	for n := 1; n <= requests; n++ {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("%02d done=%v", n, done), func(t *testing.T) {
				prefix := fmt.Sprintf("dead-%d-%v", n, done)
				o := options(s, prefix)
				o.Tries = 1
				b := open(t, o)
				s.On(func(i int, _ *http.Request) buckettest.Fault {
					return buckettest.Fault{Drop: i > n || i == n && !done, Lose: i == n && done}
				})
				if head, err := b.Head(ctx); err == nil {
					b.Commit(ctx, head, first())
				}
				s.On(nil)
				got := tree(t, s, prefix)
				for _, p := range pointers {
					if got[p] != "" && (got[publish.StatePath] == "" || got[byDigest("1")] == "") {
						t.Errorf("%s is visible, and what it names is not", p)
					}
				}
				b = open(t, options(s, prefix))
				head, err := b.Head(ctx)
				if err == nil && head == "" {
					_, err = b.Commit(ctx, head, first())
				}
				if err != nil {
					t.Fatal(err)
				}
				differ(t, tree(t, s, prefix), want)
			})
		}
	}
}

// A package that is replaced, too large for the stage itself: until the commit
// clients get the old bytes, after it any later run brings the new ones.
func TestReplacedLargePackageSurvivesDeath(t *testing.T) {
	s := buckettest.Serve(t)
	older, newer := make1(9<<20, 1), make1(9<<20, 2)
	commit(t, open(t, options(s, "l")), withFile(put(publish.StatePath, "1"), "pool/a.deb", older))
	var committed atomic.Bool
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/"+publish.StatePath) {
			committed.Store(true)
		}
		return buckettest.Fault{Drop: committed.Load() && strings.HasSuffix(r.URL.Path, "/pool/a.deb")}
	})
	o := options(s, "l")
	o.Tries = 1
	b := open(t, o)
	head, err := b.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Commit(ctx, head, withFile(put(publish.StatePath, "2"), "pool/a.deb", newer)); err == nil {
		t.Fatal("the publish did not die")
	}
	s.On(nil)
	if got := formats.Bytes(s.Read(t, "l/pool/a.deb")).Ref(); got != older.ref {
		t.Errorf("the package is %v before it was replaced", got)
	}
	b = open(t, options(s, "l"))
	if _, err := b.Head(ctx); err != nil {
		t.Fatal(err)
	}
	if got := formats.Bytes(s.Read(t, "l/pool/a.deb")).Ref(); got != newer.ref {
		t.Errorf("the package is %v after the next run", got)
	}
	commit(t, b, put(publish.StatePath, "3"))
	for p := range tree(t, s, "l") {
		if strings.HasPrefix(p, commitsDir) && strings.Contains(p, newer.ref.SHA256.String()) {
			t.Errorf("%s is left", p)
		}
	}
}

// One request that fails, or whose answer is lost, is no failure of the publish.
func TestOneLostRequestIsRepeated(t *testing.T) {
	s := buckettest.Serve(t)
	commit(t, open(t, options(s, "clean")), first())
	s.On(nil)
	commit(t, open(t, options(s, "clean")), second())
	requests := len(s.Requests())
	want := tree(t, s, "clean")
	for _, kind := range []string{"dropped", "lost", "slow down", "truncated"} {
		step := 1
		if kind != "lost" { // the others are the SDK's to handle: samples do
			step = 3
		}
		for n := 1; n <= requests; n += step {
			prefix := fmt.Sprintf("%s-%d", strings.ReplaceAll(kind, " ", "-"), n)
			s.On(nil)
			commit(t, open(t, options(s, prefix)), first())
			var faults atomic.Int32
			s.On(func(i int, r *http.Request) buckettest.Fault {
				if i != n {
					return buckettest.Fault{}
				}
				faults.Add(1)
				switch kind {
				case "dropped":
					return buckettest.Fault{Drop: true}
				case "lost":
					return buckettest.Fault{Lose: true}
				case "truncated":
					return buckettest.Fault{Truncate: r.Method == http.MethodGet, Drop: r.Method != http.MethodGet}
				}
				return buckettest.Fault{Status: 503, Code: "SlowDown", Message: "Please reduce your request rate."}
			})
			commit(t, open(t, options(s, prefix)), second())
			if faults.Load() != 1 {
				t.Errorf("%s: %d faults", prefix, faults.Load())
			}
			s.On(nil)
			t.Run(prefix, func(t *testing.T) { differ(t, tree(t, s, prefix), want) })
		}
	}
}
