package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/publish"
)

// tree is a signed tree of one client in a folder, opened as the command line
// opens it. What is measured of ours is what repo add does between opening the
// keys and printing the result: read, describe and hash the packages, check the
// state, render, sign with RSA-4096, write and wait for the disk.
type tree struct {
	*repository
	t   *testing.T
	key string
}

func newTree(t *testing.T, client string) *tree {
	t.Helper()
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tree")
	must(t, nil, "repo", "create", dir, "--name", "bench", "--channels", "stable", "--platforms", "linux/amd64", "--clients", client, "--key", key)
	a := &app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, environ: os.Environ(), now: time.Now()}
	r, err := a.repository(&repoFlags{key: key}, dir)
	if err != nil {
		t.Fatal(err)
	}
	return &tree{r, t, key}
}

// add publishes package files, or folders of them.
func (tr *tree) add(names ...string) *publish.Result {
	tr.t.Helper()
	c := &cobra.Command{}
	c.SetContext(context.Background())
	packages, err := tr.intake(c, names)
	if err != nil {
		tr.t.Fatal(err)
	}
	return tr.publish(packages)
}

// addUnsigned is add without a signature for each package: it is for the tools
// that make none.
func (tr *tree) addUnsigned(names ...string) *publish.Result {
	tr.t.Helper()
	packages, err := pipeline.Intake(context.Background(), formatsall.Kinds(), names, nil)
	if err != nil {
		tr.t.Fatal(err)
	}
	return tr.publish(packages)
}

func (tr *tree) publish(packages []publish.Package) *publish.Result {
	tr.t.Helper()
	var e publish.Edit
	for _, p := range packages {
		e.Add = append(e.Add, publish.Addition{Package: p, Channels: []string{"stable"}})
	}
	res, err := publish.Publish(context.Background(), tr.dst, tr.site.Plan.Repos, e, tr.options)
	if err != nil {
		tr.t.Fatal(err)
	}
	return res
}

// adds fills a tree with the corpus and adds packages one by one. It returns what
// filling took, the first single one, and the median of those after it.
func (tr *tree) adds(c *corpus) (fill, first, next time.Duration) {
	tr.t.Helper()
	unix.Sync() // ours waits for the disk: not for what others wrote
	fill = median(1, func(int) { tr.addUnsigned(c.dir) })
	first = median(1, func(int) { tr.add(c.more[0]) })
	next = median(extra-1, func(i int) {
		if res := tr.add(c.more[i+1]); !res.Changed {
			tr.t.Fatalf("%s was there already", c.more[i+1])
		}
	})
	return fill, first, next
}

// unchanged publishes once more what is there and measures it: nothing may be
// written.
func (tr *tree) unchanged(r *results, what string, c *corpus) {
	tr.t.Helper()
	before := snapshot(tr.t, tr.dir)
	took := median(11, func(int) {
		if tr.add(c.more[1]).Changed {
			tr.t.Error("publishing a package again changed the tree")
		}
	})
	wrote := ""
	if snapshot(tr.t, tr.dir) != before {
		wrote = ", and files were written"
	}
	r.bound("publish again, "+what, seconds(took)+wrote, "<= 0.02s, no byte written", took <= 20*time.Millisecond && wrote == "")
}

// index is what an index takes without placing the packages, as createrepo_c and
// repo-add work: read, describe, hash, render, sign.
func (tr *tree) index(names ...string) time.Duration {
	tr.t.Helper()
	o := tr.options
	tr.options.DryRun = true
	defer func() { tr.options = o }()
	return median(3, func(int) { tr.addUnsigned(names...) })
}

// small returns a folder with the first n packages of a corpus, as links.
func (c *corpus) small(t *testing.T, n int) *corpus {
	t.Helper()
	dir := t.TempDir()
	for _, name := range c.names[:n] {
		if err := os.Link(name, filepath.Join(dir, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	return &corpus{dir: dir, more: c.more, names: glob(t, dir)}
}

// command measures distropack repo add as a process: with start, keys and output.
func (tr *tree) command(program, name string) time.Duration {
	tr.t.Helper()
	return peer(tr.t, "", nil, program, "repo", "add", tr.dir, name, "--key", tr.key, "-q")
}

const thousands = 10_000

func benchApt(t *testing.T, r *results) {
	needs(t, "reprepro", "aptly", "gpg")
	c := makeCorpus(t, "deb", thousands)
	env, key := peerKey(t)

	dir := t.TempDir()
	conf := "Codename: stable\nArchitectures: amd64\nComponents: main\nSignWith: " + key + "\nContents: .gz\n"
	put(t, filepath.Join(dir, "conf", "distributions"), conf)
	reprepro := func(names ...string) time.Duration {
		return peer(t, "", env, "reprepro", append([]string{"-s", "-b", dir, "includedeb", "stable"}, names...)...)
	}
	repreproFill := reprepro(c.names...)
	repreproAdd := median(5, func(i int) { reprepro(c.more[i]) })

	home := t.TempDir()
	put(t, filepath.Join(home, "conf"), `{"rootDir": "`+home+`/aptly", "architectures": ["amd64"], "gpgProvider": "gpg"}`)
	aptly := func(args ...string) time.Duration {
		return peer(t, "", env, "aptly", append([]string{"-config=" + filepath.Join(home, "conf")}, args...)...)
	}
	aptly("repo", "create", "-distribution=stable", "-component=main", "bench")
	aptlyFill := aptly("repo", "add", "bench", c.dir) + aptly("publish", "repo", "-batch", "-gpg-key="+key, "bench")

	few := newTree(t, "apt")
	_, _, at100 := few.adds(c.small(t, 100))
	tr := newTree(t, "apt")
	fill, first, next := tr.adds(c)
	r.compare("apt: add 1 to 10,000", next, "reprepro", repreproAdd, 0.1)
	r.compare("apt: add 1 to 10,000, against ours at 100", next, "at 100", at100, 2)
	best, name := min(repreproFill, aptlyFill), "reprepro"
	if aptlyFill < repreproFill {
		name = "aptly"
	}
	r.compare("apt: 10,000 from scratch, placed in the tree", fill, name, best, 0.25)
	r.note("apt: reprepro took %s and aptly %s for 10,000 from scratch; our first single addition after that took %s, since it links the whole tree once", seconds(repreproFill), seconds(aptlyFill), seconds(first))
	tr.unchanged(r, "apt with 10,000", c)
	ours := built(t)
	again := tr.command(ours, c.more[0])
	if _, err := publish.Publish(context.Background(), tr.dst, tr.site.Plan.Repos, publish.Edit{Remove: []publish.Selection{{Name: strings.SplitN(filepath.Base(c.more[0]), "_", 2)[0]}}}, tr.options); err != nil {
		t.Fatal(err)
	}
	r.note("apt: the whole command repo add, with its start and opening the keys, took %s to add 1 and %s for what was there already", seconds(tr.command(ours, c.more[0])), seconds(again))
	r.note("apt: all three sign with RSA-4096 and copy packages; ours waits for the disk, writes by-hash files and zstd, too")
}

func benchDnf(t *testing.T, r *results) {
	needs(t, "createrepo_c")
	c := makeCorpus(t, "rpm", thousands)
	// It does not sign, nor place packages; without the sqlite copies it is at its
	// fastest.
	create := func(args ...string) time.Duration {
		return peer(t, "", nil, "createrepo_c", append([]string{"-q", "--no-database", c.dir}, args...)...)
	}
	scratch := median(3, func(int) {
		if err := os.RemoveAll(filepath.Join(c.dir, "repodata")); err != nil {
			t.Fatal(err)
		}
		create()
	})
	var late []string
	update := median(5, func(i int) {
		name := filepath.Join(c.dir, filepath.Base(c.more[i]))
		if err := os.Link(c.more[i], name); err != nil {
			t.Fatal(err)
		}
		late = append(late, name)
		create("--update")
	})
	for _, name := range append(late, filepath.Join(c.dir, "repodata")) {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}

	tr := newTree(t, "dnf")
	index := tr.index(c.dir)
	fill, first, next := tr.adds(c)
	r.compare("dnf: add 1 to 10,000", next, "createrepo_c --update", update, 0.05)
	r.compare("dnf: index of 10,000 from scratch", index, "createrepo_c", scratch, 0.5)
	r.compare("dnf: 10,000 from scratch, placed in the tree", fill, "createrepo_c", scratch, 0)
	r.note("dnf: our first single addition took %s, since it links the whole tree once; ours is signed, createrepo_c does not sign", seconds(first))
	tr.unchanged(r, "dnf with 10,000", c)
}

func benchPacman(t *testing.T, r *results) {
	needs(t, "repo-add", "gpg")
	c := makeCorpus(t, "arch", thousands)
	env, key := peerKey(t)
	few := c.small(t, 1000)
	repoAdd := func(db string, names ...string) time.Duration {
		return peer(t, "", env, "repo-add", append([]string{"-q", "-s", "-k", key, db}, names...)...)
	}
	scratch := repoAdd(filepath.Join(t.TempDir(), "bench.db.tar.gz"), few.names...)

	small := newTree(t, "pacman")
	index := small.index(few.dir)
	tr := newTree(t, "pacman")
	_, first, next := tr.adds(c)
	// repo-add would take an hour to come to 10,000: it goes on from our database.
	dir := t.TempDir()
	for _, suffix := range []string{"db", "files"} {
		b, err := os.ReadFile(filepath.Join(tr.dir, "arch", "x86_64", "bench."+suffix))
		if err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(dir, "bench."+suffix+".tar.gz"), string(b))
	}
	one := median(3, func(i int) { repoAdd(filepath.Join(dir, "bench.db.tar.gz"), c.more[i]) })
	r.compare("pacman: add 1 to 10,000", next, "repo-add", one, 0.02)
	r.compare("pacman: database of 1,000 from scratch", index, "repo-add", scratch, 0.001)
	r.note("pacman: our first single addition took %s; additions include the package's own signature, which repo-add does not make; databases are signed by both", seconds(first))
	tr.unchanged(r, "pacman with 10,000", c)
}

// put writes a file and the folders above it.
func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
