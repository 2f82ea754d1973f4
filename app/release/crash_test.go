package release_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/github"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
	"github.com/distropack/distropack/publish/githubtest"
)

// node is the main function of a process of the App that a test may kill. It ends
// when its standard input does.
func node(spec string) error {
	var n nodeOptions
	if err := json.Unmarshal([]byte(spec), &n); err != nil {
		return err
	}
	s, err := serve(context.Background(), n, nil, nil, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if n.Recover != "" {
		if err := s.engine.Recover(context.Background(), n.Recover); err != nil {
			return err
		}
	}
	fmt.Println(s.hook.URL)
	io.Copy(io.Discard, os.Stdin)
	s.stop()
	return nil
}

// process is such a process.
type process struct {
	cmd   *exec.Cmd
	in    io.Closer
	log   *strings.Builder
	ended chan struct{}
	once  sync.Once
}

func (w *world) process(n nodeOptions) *process {
	w.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	n.Key = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(w.double.Key)})
	spec, err := json.Marshal(n)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &process{cmd: exec.Command(exe, "app-node", string(spec)), log: &strings.Builder{}, ended: make(chan struct{})}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.cmd.Stderr = p.log
	in, err := p.cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	p.in = in
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.cmd.Wait()
		w.t.Fatalf("the node does not start: %v\n%s", err, p.log)
	}
	w.double.Hook(strings.TrimSpace(url) + github.HookPath)
	go func() { p.cmd.Wait(); close(p.ended) }()
	w.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	p.once.Do(func() { p.cmd.Process.Kill() })
	<-p.ended
}

func (p *process) end() {
	p.in.Close()
	<-p.ended
}

// installed prepares a world whose nodes are processes.
func (w *world) installed() {
	w.t.Helper()
	s := w.begin()
	s.engine.Stop(0)
	s.stop()
	var err error
	if w.store, err = store.Open(w.t.Context(), w.url, store.Options{}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.store.Close() })
	w.double.Hook("")
}

// once fails unless all of a release came out, and nothing twice.
func (w *world) once(r *store.Release, version string) {
	w.t.Helper()
	w.want(r, store.Done)
	rel := w.releaseOf(r.Tag)
	var names []string
	for _, a := range rel.Assets {
		names = append(names, a.Name)
		if a.State != githubtest.Uploaded {
			w.t.Errorf("%s is %s", a.Name, a.State)
		}
	}
	slices.Sort(names)
	if want := 8; len(names) != want || len(slices.Compact(names)) != want { // 5 packages, a signature, SHA256SUMS and .asc
		w.t.Errorf("the release has %q", names)
	}
	w.good(version)
	log, err := w.store.PublishLog(w.t.Context(), w.repo.ID(), 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]int{}
	for _, e := range log {
		if e.Release == r.ID {
			seen[e.Kind+" "+e.Subject]++
		}
	}
	for what, n := range seen {
		if n != 1 {
			w.t.Errorf("%s stands in the publish log %d times", what, n)
		}
	}
	if len(seen) == 0 {
		w.t.Error("the publish log has nothing of it")
	}
	c := w.check(r.Commit)
	if c.Conclusion != "success" || !strings.Contains(c.Text, "apt") {
		w.t.Errorf("the check run is %+v", c)
	}
	if n := len(w.repo.Checks()); n != 1 {
		w.t.Errorf("there are %d check runs", n)
	}
	if w.t.Failed() {
		w.dump(r.ID)
	}
}

// killedAt releases v1.0.0 by a process that is killed when it makes the n-th request
// to GitHub or the git host, before or after that is carried out. Another process then
// does the rest: on the same node, or on another. It returns how many requests there
// were until then.
func killedAt(t *testing.T, url string, n int, after, other bool) (requests int, killed bool) {
	w := newWorld(t, url, githubtest.Options{})
	w.installed()
	commit := w.project("one")
	var mu sync.Mutex
	var first *process
	count := func(begun bool) (dead bool) {
		mu.Lock()
		defer mu.Unlock()
		if killed || first == nil {
			return killed && begun
		}
		if begun {
			requests++
		}
		if requests == n && begun != after {
			killed = true
			first.kill()
		}
		return killed
	}
	w.hub.On(func(*http.Request) githubtest.Fault {
		mu.Lock()
		was := killed
		mu.Unlock()
		if dead := count(true); dead && !was {
			return githubtest.Cut(false)
		}
		if after && !was {
			// Carried out, and then the process is gone.
			return githubtest.Fault{Done: true, Cut: count(false)}
		}
		return githubtest.Fault{}
	})
	w.mu.Lock()
	w.wait = func(*http.Request) { count(true) }
	w.mu.Unlock()
	p := w.process(w.nodeOptions())
	mu.Lock()
	first = p
	mu.Unlock()
	w.tag("v1.0.0", commit)
	select {
	case <-p.ended:
	case <-w.over("v1.0.0", commit):
		if n == 0 {
			w.once(w.ended("v1.0.0", commit), "1.0.0")
		}
		p.end()
		return requests, false
	}
	next := w.nodeOptions()
	if other {
		next.Node, next.Recover = "b", "a"
	}
	q := w.process(next)
	// GitHub sends again what did not arrive, as the App would ask for.
	if _, err := w.store.Release(t.Context(), fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit)); err != nil {
		for _, d := range w.double.Deliveries() {
			if d.Event == "push" {
				w.double.Send(d)
			}
		}
	}
	w.once(w.ended("v1.0.0", commit), "1.0.0")
	if t.Failed() {
		t.Logf("killed at request %d, after %v: %s\n%s", n, after, p.log, q.log)
	}
	q.end()
	return requests, true
}

// over is closed when a release has ended.
func (w *world) over(tag, commit string) <-chan struct{} {
	done := make(chan struct{})
	ctx := w.t.Context()
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			r, err := w.store.Release(ctx, fmt.Sprintf("rel:%d:%s:%s", w.repo.ID(), tag, commit))
			if err == nil && !r.State.Open() {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	return done
}

// A process may be killed at each request that it makes. RELEASE_CRASHES=all takes
// every request, both ways, on both databases; without it some are taken.
func TestAKilledProcessRepeatsAndLosesNothing(t *testing.T) {
	all := os.Getenv("RELEASE_CRASHES") == "all"
	total, _ := killedAt(t, storetest.SQLite(t), 0, false, false)
	if total < 15 {
		t.Fatalf("a release makes %d requests", total)
	}
	t.Logf("a release makes %d requests", total)
	storetest.Each(t, func(t *testing.T, url string) {
		postgres := !strings.HasPrefix(url, "sqlite")
		var points []int
		for n := 1; n <= total; n++ {
			points = append(points, n)
		}
		if !all {
			rand.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
			points = points[:4]
		}
		for i, n := range points {
			for _, after := range []bool{false, true} {
				if !all && after == (i%2 == 0) {
					continue
				}
				t.Run(strconv.Itoa(n)+" "+strconv.FormatBool(after), func(t *testing.T) {
					database := storetest.SQLite
					if postgres {
						database = func(t testing.TB) string { return storetest.Postgres(t) }
					}
					killedAt(t, database(t), n, after, postgres)
				})
			}
		}
	})
}

// What GitHub does not answer is asked again; what takes an hour is waited for.
func TestGitHubFailsEachTwentiethTime(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	var mu sync.Mutex
	n := 0
	w.hub.On(func(r *http.Request) githubtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%20 != 0 {
			return githubtest.Fault{}
		}
		if n%40 == 0 {
			return githubtest.Cut(n%80 == 0)
		}
		return githubtest.Broken(502, n%3 == 0)
	})
	commits := map[string]string{}
	for i := range 8 {
		tag := fmt.Sprintf("v1.%d.0", i)
		commits[tag] = w.project(tag)
		w.tag(tag, commits[tag])
	}
	for tag, commit := range commits {
		w.want(w.ended(tag, commit), store.Done)
		w.releaseOf(tag)
		if c := w.check(commit); c.Conclusion != "success" {
			t.Errorf("%s: the check run is %+v", tag, c)
		}
		w.good(strings.TrimPrefix(tag, "v"))
	}
	if runs := len(w.repo.Checks()); runs != len(commits) {
		t.Errorf("there are %d check runs", runs)
	}
}

func TestAnHourWithoutGitHub(t *testing.T) {
	w := newWorld(t, storetest.SQLite(t), githubtest.Options{})
	w.begin()
	var mu sync.Mutex
	away := true
	asked := 0
	w.hub.On(func(r *http.Request) githubtest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if away {
			asked++
			return githubtest.Broken(503, false)
		}
		return githubtest.Fault{}
	})
	commit := w.project("one")
	w.tag("v1.0.0", commit)
	id := fmt.Sprintf("rel:%d:v1.0.0:%s", w.repo.ID(), commit)
	w.until("people see why it waits", func() bool {
		r, err := w.store.Release(t.Context(), id)
		return err == nil && r.State == store.Waiting && strings.Contains(r.Short, "trouble answering") && strings.Contains(r.Short, "next try")
	})
	w.until("it has tried often", func() bool {
		lines, _ := w.store.Log(t.Context(), id, 0, 0)
		n := 0
		for _, l := range lines {
			if strings.Contains(l.Text, "The next try is at") {
				n++
			}
		}
		return n > 6
	})
	mu.Lock()
	away = false
	mu.Unlock()
	w.once(w.ended("v1.0.0", commit), "1.0.0")
	left, err := os.ReadDir(filepath.Join(w.dir, "work-a"))
	if err != nil || len(left) != 0 {
		t.Errorf("work folders are left: %v, %v", left, err)
	}
}
