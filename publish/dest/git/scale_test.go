package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/gittest"
	"github.com/distropack/distropack/publish/publishtest"
)

// branch is a repository with n files of a size and an index of them.
func branch(t testing.TB, n, size int) *gittest.Server {
	t.Helper()
	s := gittest.Serve(t, gittest.Options{})
	packed := noise(9, size+n)
	gittest.Import(t, s.Dir, func(w io.Writer) {
		fmt.Fprintf(w, "commit refs/heads/gh-pages\ncommitter a <a@example.org> 1000000000 +0000\ndata 2\nx\n")
		file := func(path string, b []byte) {
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n", path, len(b))
			w.Write(b)
			io.WriteString(w, "\n")
		}
		for i := range n {
			file(poolPath(i), packed[i:i+size])
		}
		file("CNAME", []byte("example.org"))
		file(publish.StatePath, bytes.Repeat([]byte("state\n"), 2000))
		file(packages, index(n))
		file(packages+".gz", zipped(index(n)))
	})
	return s
}

const packages = "apt/dists/stable/main/binary-amd64/Packages"

func poolPath(i int) string {
	return fmt.Sprintf("apt/pool/main/p/package-%d/package-%d_1.%d.0-1_amd64.deb", i/10, i/10, i%10)
}

func index(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "Package: package-%d\nVersion: 1.%d.0-1\nArchitecture: amd64\nMaintainer: Some One <one@example.org>\nInstalled-Size: %d\nDepends: libc6 (>= 2.34)\nFilename: %s\nSize: %d\nSHA256: %x\nSection: utils\nPriority: optional\nDescription: the package %d\n It does what packages do.\n\n",
			i/10, i%10, i*7, poolPath(i), i*1000, noise(uint64(i), 32), i)
	}
	return b.Bytes()
}

func zipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

// add does what a publish of one package does: it reads the state and the index,
// and puts the package, another state and another index.
func add(ctx context.Context, g *Git, n int, pkg formats.Blob) error {
	base, err := g.Head(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "distropack-add-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	grown := func(path, more string) (formats.Blob, error) {
		r, err := g.Open(ctx, base, path)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		f, err := os.Create(filepath.Join(dir, filepath.Base(path)))
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(f, io.MultiReader(r, strings.NewReader(more)))
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		return formats.FileBlob(f.Name())
	}
	state, err := grown(publish.StatePath, ".")
	if err != nil {
		return err
	}
	text, err := grown(packages, "Package: new\n\n")
	if err != nil {
		return err
	}
	c := &publish.Change{Message: "add", Put: []publish.File{
		{Path: poolPath(n), Blob: pkg},
		{Path: packages, Class: publish.Index, Blob: text},
		{Path: publish.StatePath, Class: publish.Pointer, Blob: state},
	}}
	_, err = g.Commit(ctx, base, c)
	return err
}

// wire counts the bytes of connections, headers and all.
type wire struct{ n atomic.Int64 }

func (w *wire) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		return &counted{c, w}, err
	}}}
}

type counted struct {
	net.Conn
	w *wire
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.w.n.Add(int64(n))
	return n, err
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.w.n.Add(int64(n))
	return n, err
}

// What goes over the wire is the package, the folders' lists and what is read.
func TestTrafficIsTheChange(t *testing.T) {
	publishtest.Need(t, "git")
	const n, size = 3000, 1 << 20
	s := branch(t, n, 2000)
	w := &wire{}
	g := open(t, Options{URL: s.URL, HTTP: w.client()})
	if err := add(t.Context(), g, n, formats.Bytes(noise(1, size))); err != nil {
		t.Fatal(err)
	}
	if over := w.n.Load() - size; over > 500<<10 {
		t.Errorf("%d bytes besides the package", over)
	} else {
		t.Logf("%d bytes besides the package", over)
	}
	// The second in a row knows the folders, and sends differences.
	before := w.n.Load()
	if err := add(t.Context(), g, n+1, formats.Bytes(noise(2, size))); err != nil {
		t.Fatal(err)
	}
	if over := w.n.Load() - before - size; over > 250<<10 {
		t.Errorf("%d bytes besides the second package", over)
	} else {
		t.Logf("%d bytes besides the second package", over)
	}
	// Another publisher's version costs what is new in it.
	if err := add(t.Context(), open(t, Options{URL: s.URL}), n+2, formats.Bytes(noise(3, size))); err != nil {
		t.Fatal(err)
	}
	before = w.n.Load()
	v := head(t, g)
	if got := read(t, g, v, "CNAME"); got != "example.org" {
		t.Errorf("CNAME = %q", got)
	}
	if got := w.n.Load() - before; got > 40<<10 {
		t.Errorf("%d bytes for another's version", got)
	} else {
		t.Logf("%d bytes for another's version", got)
	}
	if got := strings.Count(s.Files(t, "gh-pages"), "\n") + 1; got != n+4+3 {
		t.Errorf("%d files", got)
	}
}

// Content that the branch has is not sent again, under whatever path; where it is
// to be read from the branch, that is done once.
func TestKnownContentIsNotSentAgain(t *testing.T) {
	publishtest.Need(t, "git")
	s := gittest.Serve(t, gittest.Options{})
	large := formats.Bytes(noise(1, 2<<20))
	commit(t, open(t, Options{URL: s.URL}), &publish.Change{Put: []publish.File{{Path: "a/p", Blob: large}}})
	w := &wire{}
	g := open(t, Options{URL: s.URL, HTTP: w.client()})
	v := commit(t, g, &publish.Change{Put: []publish.File{{Path: "b/p", Blob: large, From: "a/p"}, {Path: "c/p", Blob: large}}})
	if got := w.n.Load(); got > 20<<10 {
		t.Errorf("%d bytes for content that is there", got)
	}
	b := &inBranch{t, g, v, "a/p", large.Ref(), 0}
	v = commit(t, g, &publish.Change{Delete: []string{"a/p"}, Put: []publish.File{{Path: "d/p", Blob: b, From: "a/p"}}})
	if b.opened != 0 {
		t.Errorf("the content was read %d times, though its id is known", b.opened)
	}
	g = open(t, Options{URL: s.URL, HTTP: w.client()})
	w.n.Store(0)
	b = &inBranch{t, g, v, "d/p", large.Ref(), 0}
	commit(t, g, &publish.Change{Put: []publish.File{{Path: "e/p", Blob: b, From: "d/p"}}})
	if got := w.n.Load(); b.opened != 1 || got > 2<<20+30<<10 {
		t.Errorf("%d bytes and %d readings for a copy", got, b.opened)
	}
	if got := s.Files(t, "gh-pages"); got != "b/p\nc/p\nd/p\ne/p" {
		t.Errorf("files are %q", got)
	}
}

// inBranch is a file of the branch itself.
type inBranch struct {
	t      *testing.T
	g      *Git
	v      string
	path   string
	ref    formats.Ref
	opened int
}

func (b *inBranch) Ref() formats.Ref { return b.ref }
func (b *inBranch) Open() (io.ReadCloser, error) {
	b.opened++
	return b.g.Open(b.t.Context(), b.v, b.path)
}

// A host without filters sends a branch as a whole once, and then what is new.
func TestWholeBranchIsFetchedOnce(t *testing.T) {
	publishtest.Need(t, "git")
	const size = 1 << 20
	for _, history := range []History{Squash, Keep} {
		s := gittest.Serve(t, gittest.Options{NoFilter: true})
		w := &wire{}
		g, other := open(t, Options{URL: s.URL, HTTP: w.client(), History: history}), open(t, Options{URL: s.URL, History: history})
		v := commit(t, other, put("large", string(noise(1, size)), "text", strings.Repeat("text\n", 1000)))
		if got := read(t, g, v, "large"); got != string(noise(1, size)) {
			t.Errorf("large has %d bytes", len(got))
		}
		before := w.n.Load()
		if before < size {
			t.Errorf("only %d bytes were fetched", before)
		}
		for i := range 3 {
			v = commit(t, other, put("small", fmt.Sprint(i), "text", strings.Repeat("text\n", 1000+i)))
			if got := read(t, g, v, "small") + fmt.Sprint(len(read(t, g, v, "text"))); got != fmt.Sprintf("%d%d", i, 5000+5*i) {
				t.Errorf("small and text are %s", got)
			}
		}
		if got := w.n.Load() - before; got > 50<<10 {
			t.Errorf("%d bytes for three small changes", got)
		}
	}
}

// TestMain also is the process whose memory is measured: it publishes what
// MEASURE_FILE names to MEASURE_URL, and prints the most memory it had.
func TestMain(m *testing.M) {
	url := os.Getenv("MEASURE_URL")
	if url == "" {
		os.Exit(publishtest.Main(m))
	}
	n, err := strconv.Atoi(os.Getenv("MEASURE_N"))
	if err == nil {
		err = measure(url, os.Getenv("MEASURE_FILE"), n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println(strings.Fields(rest)[0])
}

func measure(url, file string, n int) error {
	b, err := formats.FileBlob(file)
	if err != nil {
		return err
	}
	g, err := Open(Options{URL: url})
	if err != nil {
		return err
	}
	defer g.Close()
	if n > 0 {
		return add(context.Background(), g, n, b)
	}
	_, err = g.Commit(context.Background(), "", &publish.Change{Put: []publish.File{{Path: "large", Blob: b}}})
	return err
}

// peak publishes in a process of its own and returns the most memory it had, in
// bytes.
func peak(t testing.TB, url string, n, size int) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "package")
	if err := os.WriteFile(file, noise(uint64(n), size), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MEASURE_URL="+url, "MEASURE_FILE="+file, fmt.Sprint("MEASURE_N=", n))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	kb, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func TestMemoryDoesNotGrowWithThePackage(t *testing.T) {
	publishtest.Need(t, "git")
	if runtime.GOOS != "linux" {
		t.Skip("the peak of memory is read from /proc")
	}
	bar := 64 << 20
	if raceEnabled {
		bar = 150 << 20
	}
	s := gittest.Serve(t, gittest.Options{})
	got := peak(t, s.URL, 0, 90<<20)
	t.Logf("90 MB: %.1f MiB", float64(got)/(1<<20))
	if got > bar {
		t.Errorf("a push of 90 MB took %d MB of memory", got>>20)
	}
	got = peak(t, branch(t, 3000, 1000).URL, 3000, 1<<20)
	t.Logf("3,000 files: %.1f MiB", float64(got)/(1<<20))
	if got > bar {
		t.Errorf("3,000 files took %d MB of memory", got>>20)
	}
}

func BenchmarkAddOne(b *testing.B) {
	publishtest.Need(b, "git")
	for _, n := range []int{3000, 30_000} {
		s := branch(b, n, 100_000*3000/n) // 300 MB
		next := n
		b.Run(fmt.Sprintf("%d files", n), func(b *testing.B) {
			w := &wire{}
			for b.Loop() {
				g, err := Open(Options{URL: s.URL, HTTP: w.client(), Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				next++
				if err := add(b.Context(), g, next, formats.Bytes(noise(uint64(next), 1<<20))); err != nil {
					b.Fatal(err)
				}
				g.Close()
			}
			b.ReportMetric(float64(w.n.Load())/float64(b.N)-1<<20, "B-over/op")
			b.ReportMetric(float64(peak(b, s.URL, next+1, 1<<20))/(1<<20), "MiB-peak")
			next++
		})
		b.Run(fmt.Sprintf("%d files, git clone", n), func(b *testing.B) {
			for b.Loop() {
				next++
				dir := filepath.Join(b.TempDir(), "clone")
				gittest.Git(b, "", "clone", "-q", "--depth", "1", "--branch", "gh-pages", s.URL, dir)
				name := filepath.Join(dir, poolPath(next))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					b.Fatal(err)
				}
				if err := os.WriteFile(name, noise(uint64(next), 1<<20), 0o644); err != nil {
					b.Fatal(err)
				}
				gittest.Git(b, dir, "add", "-A")
				gittest.Git(b, dir, "commit", "-q", "-m", "add")
				gittest.Git(b, dir, "push", "-q")
			}
		})
	}
}
