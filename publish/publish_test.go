package publish_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/publishtest"
)

var ctx = context.Background()

func toy() *publishtest.Toy {
	return &publishtest.Toy{Label: "toys", Channels: []string{"stable", "beta"}, Forms: []publish.Form{publish.Plain, publish.Gzip, publish.Zstd}}
}

func add(channel string, ps ...publish.Package) publish.Edit {
	var e publish.Edit
	for _, p := range ps {
		e.Add = append(e.Add, publish.Addition{Package: p, Channels: []string{channel}})
	}
	return e
}

// sign stands in for a key: a digest with a secret.
func sign(_ context.Context, r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(r)
	return fmt.Appendf(nil, "%x", sha256.Sum256(append(b, "secret"...))), err
}

func verify(message, signature []byte) error {
	want, _ := sign(ctx, bytes.NewReader(message))
	if !bytes.Equal(want, signature) {
		return errors.New("wrong signature")
	}
	return nil
}

func options() publish.Options {
	return publish.Options{Time: 1000, Now: 1000, Sign: sign, Verify: verify}
}

func run(t *testing.T, d publish.Destination, e publish.Edit, o publish.Options) *publish.Result {
	t.Helper()
	res, err := publish.Publish(ctx, d, []publish.Repo{toy()}, e, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func lines(m *publishtest.Mem, path string) []string {
	var out []string
	for _, l := range strings.Split(strings.TrimSpace(string(m.Read(path))), "\n") {
		if f := strings.Fields(l); len(f) == 4 && strings.HasSuffix(f[3], ".toy") {
			out = append(out, f[0]+" "+f[1])
		}
	}
	return out
}

func TestPublishTwiceChangesNothing(t *testing.T) {
	m := new(publishtest.Mem)
	p := []publish.Package{publishtest.ToyPackage("hello", "1.0", "a64"), publishtest.ToyPackage("data", "1.0", "all")}
	if res := run(t, m, add("stable", p...), options()); !res.Changed || len(res.Added) != 3 {
		t.Fatalf("first: %+v", res)
	}
	before := m.Files()
	o := options()
	o.Time, o.Now = 5000, 5000
	if res := run(t, m, add("stable", p...), o); res.Changed || res.Unchanged != 3 {
		t.Errorf("second: %+v", res)
	}
	if !maps.EqualFunc(before, m.Files(), bytes.Equal) {
		t.Error("the tree changed")
	}
	if got := lines(m, "lists/stable/a64/list"); !slices.Equal(got, []string{"data 1.0", "hello 1.0"}) {
		t.Errorf("a64 lists %v", got)
	}
	if m.Read("lists/beta/x86/list") == nil {
		t.Error("an empty partition has no index")
	}
}

// However packages arrive, the tree's indexes are those of one big publish.
func TestOneByOneEqualsAllAtOnce(t *testing.T) {
	var ps []publish.Package
	for i := range 600 {
		ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%03d", i%400), fmt.Sprintf("1.%d", i/400), []string{"a64", "x86", "all"}[i%3]))
	}
	whole := new(publishtest.Mem)
	run(t, whole, add("stable", ps...), options())
	r := rand.New(rand.NewPCG(1, 2))
	parts := new(publishtest.Mem)
	rest := slices.Clone(ps)
	r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	o := options()
	o.AllowOlder = true
	for len(rest) > 0 {
		n := min(len(rest), 1+r.IntN(40))
		run(t, parts, add("stable", rest[:n]...), o)
		rest = rest[n:]
	}
	// And some come and go.
	var gone []publish.Package
	for i := range 50 {
		gone = append(gone, publishtest.ToyPackage(fmt.Sprintf("q%03d", i), "1", "all"))
	}
	run(t, parts, add("stable", gone...), o)
	var e publish.Edit
	for _, p := range gone {
		e.Remove = append(e.Remove, publish.Selection{Name: p.Meta.Name})
	}
	run(t, parts, e, o)
	for path, want := range whole.Files() {
		if strings.HasPrefix(path, ".distropack/state") {
			continue
		}
		if got := parts.Read(path); !bytes.Equal(got, want) {
			t.Errorf("%s differs: %d bytes, want %d", path, len(got), len(want))
		}
	}
	if err := publish.Check(ctx, parts, []publish.Repo{toy()}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

func TestOneNewPackageTouchesItsPageOnly(t *testing.T) {
	var ps []publish.Package
	for i := range 2000 {
		ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%04d", i), "1", "a64"))
	}
	m := new(publishtest.Mem)
	run(t, m, add("stable", ps...), options())
	m.Opened = nil
	res := run(t, m, add("stable", publishtest.ToyPackage("p1000", "2", "a64")), options())
	pages := 0
	for path := range m.Opened {
		switch {
		case strings.HasPrefix(path, publish.RecordsDir):
			pages++
		case strings.HasPrefix(path, "pool/"), strings.Contains(path, "x86"), strings.Contains(path, "beta"):
			t.Errorf("read %s", path)
		}
	}
	if pages != 1 {
		t.Errorf("read %d pages of records, want 1", pages)
	}
	// package, page, three lists, three by hash, root, state
	if len(res.Change.Put) != 10 {
		for _, f := range res.Change.Put {
			t.Log(f.Path)
		}
		t.Errorf("wrote %d files, want 10", len(res.Change.Put))
	}
	m.Opened = nil
	if res := run(t, m, add("stable", publishtest.ToyPackage("p1000", "2", "a64")), options()); res.Changed || len(m.Opened) > 2 {
		t.Errorf("publishing it again: changed %v, read %v", res.Changed, m.Opened)
	}
}

func TestConcurrentPublishersLoseNothing(t *testing.T) {
	const n = 8
	m := new(publishtest.Mem)
	run(t, m, add("stable", publishtest.ToyPackage("base", "1", "all")), options())
	// All of them see the same head first, or the test would pass without a
	// compare-and-swap.
	var barrier sync.WaitGroup
	barrier.Add(n)
	var calls sync.Map
	m.OnHead = func() {
		// The first call of each goroutine waits; later ones pass.
		id := goid()
		if _, again := calls.LoadOrStore(id, true); !again {
			barrier.Done()
			barrier.Wait()
		}
	}
	var wg sync.WaitGroup
	conflicts := make([]int, n)
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			o := options()
			o.Tries = n + 1
			res, err := publish.Publish(ctx, m, []publish.Repo{toy()}, add("stable", publishtest.ToyPackage(fmt.Sprint("pkg", i), "1", "all")), o)
			if err != nil {
				t.Error(err)
				return
			}
			conflicts[i] = res.Tries - 1
		}()
	}
	wg.Wait()
	m.OnHead = nil
	if got := lines(m, "lists/stable/a64/list"); len(got) != n+1 {
		t.Errorf("%d packages are listed, want %d: %v", len(got), n+1, got)
	}
	total := 0
	for _, c := range conflicts {
		total += c
	}
	if total < n-1 {
		t.Errorf("%d conflicts among %d publishers: the barrier did not hold", total, n)
	}
	if err := publish.Check(ctx, m, []publish.Repo{toy()}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

func TestLostAnswersAndLostWritesAreRepaired(t *testing.T) {
	edits := []publish.Edit{
		add("stable", publishtest.ToyPackage("a", "1", "all")),
		add("stable", publishtest.ToyPackage("a", "2", "all"), publishtest.ToyPackage("b", "1", "x86")),
		{Promote: []publish.Promotion{{Selection: publish.Selection{Channel: "stable", Name: "b"}, To: "beta"}}},
	}
	clean := new(publishtest.Mem)
	for _, e := range edits {
		run(t, clean, e, options())
	}
	for _, apply := range []bool{false, true} {
		for bad := range edits {
			m := new(publishtest.Mem)
			for i, e := range edits {
				if i == bad {
					m.Once(apply)
					if _, err := publish.Publish(ctx, m, []publish.Repo{toy()}, e, options()); !errors.Is(err, publishtest.ErrInjected) {
						t.Fatalf("edit %d: %v", i, err)
					}
				}
				run(t, m, e, options())
			}
			if !maps.EqualFunc(clean.Files(), m.Files(), bytes.Equal) {
				t.Errorf("fault at edit %d (applied %v): the tree differs from a clean run's", bad, apply)
			}
		}
	}
}

func TestOlderAndOtherContentAreRefused(t *testing.T) {
	m := new(publishtest.Mem)
	run(t, m, add("stable", publishtest.ToyPackage("a", "2", "x86")), options())
	before := m.Files()
	var older *publish.OlderError
	if _, err := publish.Publish(ctx, m, []publish.Repo{toy()}, add("stable", publishtest.ToyPackage("a", "1", "x86")), options()); !errors.As(err, &older) {
		t.Errorf("older version: %v", err)
	}
	other := publishtest.ToyPackage("a", "2", "x86")
	other.Blob = publishtest.ToyPackage("zzz", "9", "x86").Blob
	other.Meta.Fields[0].Value = "77"
	var differs *publish.DiffersError
	_, err := publish.Publish(ctx, m, []publish.Repo{toy()}, add("stable", other), options())
	if !errors.As(err, &differs) || !strings.Contains(err.Error(), `Size: was "7", is "77"`) {
		t.Errorf("other content: %v", err)
	}
	if !maps.EqualFunc(before, m.Files(), bytes.Equal) {
		t.Error("a refusal changed the tree")
	}
	o := options()
	o.AllowOlder = true
	run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86")), o)
	if got := lines(m, "lists/stable/x86/list"); !slices.Equal(got, []string{"a 1", "a 2"}) {
		t.Errorf("lists %v", got)
	}
}

func TestReplacingAVersionKeepsTheTreeWhole(t *testing.T) {
	d, err := dir.Open(t.TempDir()+"/tree", dir.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	both := func(p publish.Package) publish.Edit {
		return publish.Edit{Add: []publish.Addition{{Package: p, Channels: []string{"stable", "beta"}}}}
	}
	run(t, d, both(publishtest.ToyPackage("a", "1", "all")), options())
	other := publishtest.ToyPackage("a", "1", "all")
	other.Blob = publishtest.ToyPackage("something longer", "1", "all").Blob
	o := options()
	o.Replace = true
	if _, err := publish.Publish(ctx, d, []publish.Repo{toy()}, add("stable", other), o); err == nil || !strings.Contains(err.Error(), "replace it in all channels at once") {
		t.Errorf("replaced in one of two channels: %v", err)
	}
	if res := run(t, d, both(other), o); res.Bytes != other.Blob.Ref().Size {
		t.Errorf("the tree has %d bytes, want %d", res.Bytes, other.Blob.Ref().Size)
	}
	if err := publish.Check(ctx, d, []publish.Repo{toy()}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
}

func TestWhatFitsNoTreeIsRefusedInWords(t *testing.T) {
	remote := toy()
	remote.Remote = true
	elsewhere := func(url string) publish.Edit {
		e := add("stable", publishtest.ToyPackage("big", "1", "x86"))
		e.Add[0].URL = url
		return e
	}
	for _, c := range []struct {
		want string
		e    publish.Edit
		site string
	}{
		{"big 1: the address where it lies is not of the form https://host/path", elsewhere("ftp://example.org/big"), ""},
		{"big 1: the address where it lies is not of the form https://host/path", elsewhere("https://example.org/big?token=secret"), ""},
		{"big 1: the address where it lies is not of the form https://host/path", elsewhere("https://me:secret@example.org/big"), ""},
		{"repository toy: pool/a_1_x86.toy belongs to partition nightly/x86, which does not exist: add its platform", add("nightly", publishtest.ToyPackage("a", "1", "x86")), ""},
		{"a selection names neither package nor project: name one", publish.Edit{Remove: []publish.Selection{{Channel: "stable"}}}, ""},
		{`path "../index.html" can't be part of a tree`, publish.Edit{}, "../index.html"},
	} {
		m := new(publishtest.Mem)
		o := options()
		if c.site != "" {
			o.Site = func(context.Context, *publish.View) ([]publish.File, error) {
				return []publish.File{{Path: c.site, Blob: formats.Bytes(nil)}}, nil
			}
		}
		_, err := publish.Publish(ctx, m, []publish.Repo{remote}, c.e, o)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q", err, c.want)
		}
		if len(m.Files()) > 0 {
			t.Errorf("%d files were written", len(m.Files()))
		}
	}
}

// A version has the same bytes in the tree and elsewhere.
func TestAVersionElsewhereIsTheSameVersion(t *testing.T) {
	remote := toy()
	remote.Remote = true
	m := new(publishtest.Mem)
	if _, err := publish.Publish(ctx, m, []publish.Repo{remote}, add("stable", publishtest.ToyPackage("a", "1", "x86")), options()); err != nil {
		t.Fatal(err)
	}
	other := publishtest.ToyPackage("a", "1", "x86")
	other.Blob = publishtest.ToyPackage("something longer", "1", "x86").Blob
	e := add("beta", other)
	e.Add[0].URL = "https://example.org/releases/a_1_x86.toy"
	want := "partition stable/x86 lists pool/a_1_x86.toy with other content than toy beta/x86: replace it in all channels at once"
	if _, err := publish.Publish(ctx, m, []publish.Repo{remote}, e, options()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	e.Add[0].Package = publishtest.ToyPackage("a", "1", "x86")
	if _, err := publish.Publish(ctx, m, []publish.Repo{remote}, e, options()); err != nil {
		t.Errorf("the same bytes: %v", err)
	}
}

type namesake struct{ *publishtest.Toy }

func (namesake) Name() string { return "namesake" }

// What could not be read again is not written.
func TestRepositoriesThatWriteOneFileAreRefused(t *testing.T) {
	m := new(publishtest.Mem)
	run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86")), options())
	before := m.Files()
	other := namesake{toy()}
	other.Label = "others"
	_, err := publish.Publish(ctx, m, []publish.Repo{other}, add("stable", publishtest.ToyPackage("b", "1", "x86")), options())
	if err == nil || !strings.Contains(err.Error(), "nobody could read the tree again (do two repositories write one file?)") {
		t.Errorf("got %v", err)
	}
	if !maps.EqualFunc(before, m.Files(), slices.Equal) {
		t.Error("the tree changed")
	}
}

func TestRetention(t *testing.T) {
	versions := []string{"1.0.0", "1.0.1", "1.1.0", "1.1.1", "1.2.0"}
	for name, c := range map[string]struct {
		keep publish.Keep
		want []string
	}{
		"all":       {publish.Keep{}, versions},
		"versions":  {publish.Keep{Versions: 2}, versions[3:]},
		"latest":    {publish.Keep{Versions: 1}, versions[4:]},
		"pin":       {publish.Keep{Versions: 1, Pin: []string{"1.0.1"}}, []string{"1.0.1", "1.2.0"}},
		"per minor": {publish.Keep{PerMinor: 1}, []string{"1.0.1", "1.1.1", "1.2.0"}},
		"bytes":     {publish.Keep{Bytes: 25}, versions[3:]}, // 11 bytes each
		"too small": {publish.Keep{Bytes: 1}, versions[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			m := new(publishtest.Mem)
			for i, v := range versions {
				o := options()
				o.Time, o.Now, o.Keep = int64(1000+i), int64(1000+i), c.keep
				run(t, m, add("stable", publishtest.ToyPackage("a", v, "x86")), o)
			}
			var got []string
			for _, l := range lines(m, "lists/stable/x86/list") {
				got = append(got, strings.TrimPrefix(l, "a "))
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("kept %v, want %v", got, c.want)
			}
			// Without grace what went is deleted by the next change.
			o := options()
			o.Time, o.Now = 9000, 9000
			run(t, m, add("beta", publishtest.ToyPackage("z", "1", "x86")), o)
			for _, v := range versions {
				if has, want := m.Read("pool/a_"+v+"_x86.toy") != nil, slices.Contains(c.want, v); has != want {
					t.Errorf("file of %s is there: %v, want %v", v, has, want)
				}
			}
		})
	}
}

func TestRetiredFilesOutliveTheirGenerationsAndGrace(t *testing.T) {
	m := new(publishtest.Mem)
	gen := func(i int, now int64) []string {
		o := options()
		o.Time, o.Now, o.Grace = now, now, 100
		run(t, m, add("stable", publishtest.ToyPackage("a", fmt.Sprint(i), "x86")), o)
		var hashes []string
		for p := range m.Files() {
			if strings.HasPrefix(p, "lists/by-hash/") {
				hashes = append(hashes, p)
			}
		}
		return hashes
	}
	first := gen(0, 1000)
	alive := func() (n int) {
		for _, p := range first {
			if m.Read(p) != nil {
				n++
			}
		}
		return n
	}
	gen(1, 2000)
	if alive() != len(first) {
		t.Error("went with the next generation")
	}
	gen(2, 3000)
	if alive() != len(first) {
		t.Error("went after one generation, Keep is 2")
	}
	gen(3, 3001)
	if got := alive(); got == len(first) {
		t.Error("nothing went after Keep generations and the grace")
	}
}

func TestPromotionSharesTheFile(t *testing.T) {
	m := new(publishtest.Mem)
	run(t, m, add("beta", publishtest.ToyPackage("a", "1", "all"), publishtest.ToyPackage("a", "2", "all")), options())
	e := publish.Edit{Promote: []publish.Promotion{{Selection: publish.Selection{Channel: "beta", Name: "a", Version: "2"}, To: "stable"}}}
	res := run(t, m, e, options())
	for _, f := range res.Change.Put {
		if strings.HasPrefix(f.Path, "pool/") {
			t.Errorf("copied %s", f.Path)
		}
	}
	for _, arch := range []string{"a64", "x86"} {
		if got := lines(m, "lists/stable/"+arch+"/list"); !slices.Equal(got, []string{"a 2"}) {
			t.Errorf("%s lists %v", arch, got)
		}
	}
	if res := run(t, m, e, options()); res.Changed {
		t.Error("promoting again changed the tree")
	}
	// Withdrawn from beta, the file stays for stable.
	run(t, m, publish.Edit{Remove: []publish.Selection{{Channel: "beta", Name: "a"}}}, options())
	run(t, m, add("stable", publishtest.ToyPackage("z", "1", "all")), options())
	if m.Read("pool/a_2_all.toy") == nil || m.Read("pool/a_1_all.toy") != nil {
		t.Error("the pool is wrong after the withdrawal")
	}
	if _, err := publish.Publish(ctx, m, []publish.Repo{toy()}, publish.Edit{Remove: []publish.Selection{{Name: "nope"}}}, options()); err == nil {
		t.Error("removing what is not there is no error")
	}
}

func TestForgedTreesAreRefused(t *testing.T) {
	build := func() *publishtest.Mem {
		m := new(publishtest.Mem)
		run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86"), publishtest.ToyPackage("b", "1", "x86")), options())
		return m
	}
	page := func(m *publishtest.Mem) string {
		for p := range m.Files() {
			if strings.HasPrefix(p, publish.RecordsDir) {
				return p
			}
		}
		t.Fatal("no page")
		return ""
	}
	const forged, unsigned = ".distropack/state: the state of the tree is not signed by this key: wrong signature", ".distropack/state: the state of the tree is not signed by this key: there is no signature"
	for _, c := range []struct {
		name, want string
		forge      func(m *publishtest.Mem)
	}{
		{"state changed", forged, func(m *publishtest.Mem) { flip(m, publish.StatePath, 20) }},
		{"signature gone", unsigned, func(m *publishtest.Mem) {
			s := m.Read(publish.StatePath)
			m.Set(publish.StatePath, s[:bytes.Index(s, []byte("\n\n"))+1])
		}},
		{"state truncated", unsigned, func(m *publishtest.Mem) { s := m.Read(publish.StatePath); m.Set(publish.StatePath, s[:len(s)/2]) }},
		{"state empty", unsigned, func(m *publishtest.Mem) { m.Set(publish.StatePath, nil) }},
		{"page changed", "the file was changed from outside: it is 530 bytes with SHA-256 ", func(m *publishtest.Mem) { flip(m, page(m), 5) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := build()
			c.forge(m)
			before := m.Files()
			_, err := publish.Publish(ctx, m, []publish.Repo{toy()}, add("stable", publishtest.ToyPackage("a", "2", "x86")), options())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("published on a forged tree: %v, want %q", err, c.want)
			}
			if !maps.EqualFunc(before, m.Files(), bytes.Equal) {
				t.Error("the tree changed")
			}
		})
	}
	t.Run("index changed", func(t *testing.T) {
		m := new(publishtest.Mem)
		var ps []publish.Package
		for i := range 1000 {
			ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%04d", i), "1", "x86"))
		}
		run(t, m, add("stable", ps...), options())
		flip(m, "lists/stable/x86/list", 3000)
		if err := publish.Check(ctx, m, []publish.Repo{toy()}, verify, publish.CheckOptions{}); err == nil {
			t.Error("check found nothing")
		}
		// Nothing of it is taken over: it is made of the records again, as after a
		// commit that ended halfway.
		run(t, m, add("stable", publishtest.ToyPackage("p0000", "2", "x86")), options())
		if err := publish.Check(ctx, m, []publish.Repo{toy()}, verify, publish.CheckOptions{}); err != nil {
			t.Error(err)
		}
	})
}

// Whichever of an index's files were changed from outside, and however, nothing
// of them is taken over.
func TestChangedIndexesAreMadeAnew(t *testing.T) {
	var ps []publish.Package
	for i := range 700 {
		ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%04d", i), "1", "x86"))
	}
	late := add("stable", publishtest.ToyPackage("p0300", "2", "x86"))
	damages := map[string]func([]byte) []byte{
		"front":  func(b []byte) []byte { b[30] ^= 1; return b },
		"back":   func(b []byte) []byte { b[len(b)-40] ^= 1; return b },
		"cut":    func(b []byte) []byte { return b[:len(b)/2] },
		"longer": func(b []byte) []byte { return append(b, b...) },
		"other":  func(b []byte) []byte { return bytes.Repeat([]byte{'x'}, len(b)) },
		"gone":   func([]byte) []byte { return nil },
	}
	for _, forms := range [][]publish.Form{{publish.Plain, publish.Gzip, publish.Zstd}, {publish.Gzip}, {publish.Zstd, publish.Gzip}, {publish.Plain}} {
		repo := &publishtest.Toy{Label: "toys", Channels: []string{"stable"}, Forms: forms}
		do := func(m *publishtest.Mem, e publish.Edit) {
			t.Helper()
			if _, err := publish.Publish(ctx, m, []publish.Repo{repo}, e, options()); err != nil {
				t.Fatal(err)
			}
		}
		name := func(f publish.Form) string { return "lists/stable/x86/list" + string(f) }
		want := new(publishtest.Mem)
		do(want, add("stable", ps...))
		do(want, late)
		for which := 1; which < 1<<len(forms); which++ {
			for kind, damage := range damages {
				m := new(publishtest.Mem)
				do(m, add("stable", ps...))
				for i, f := range forms {
					if which>>i&1 == 1 {
						m.Set(name(f), damage(bytes.Clone(m.Read(name(f)))))
					}
				}
				do(m, late)
				for _, f := range forms {
					if !bytes.Equal(m.Read(name(f)), want.Read(name(f))) {
						t.Errorf("forms %q, damage %q to %b: %s is not what it should be", forms, kind, which, name(f))
					}
				}
				if err := publish.Check(ctx, m, []publish.Repo{repo}, verify, publish.CheckOptions{}); err != nil {
					t.Errorf("forms %q, damage %q to %b: %v", forms, kind, which, err)
				}
			}
		}
	}
}

func flip(m *publishtest.Mem, path string, at int) {
	b := bytes.Clone(m.Read(path))
	b[at] ^= 1
	m.Set(path, b)
}

// A package that lies elsewhere is listed where clients can fetch it, and is no
// part of the tree.
func TestPackagesThatLieElsewhere(t *testing.T) {
	repo := &publishtest.Toy{Label: "toys", Channels: []string{"stable"}, Forms: []publish.Form{publish.Plain}, Remote: true}
	e := add("stable", publishtest.ToyPackage("big", "1", "x86"))
	e.Add[0].URL = "https://example.org/big"
	m := new(publishtest.Mem)
	if _, err := publish.Publish(ctx, m, []publish.Repo{toy()}, e, options()); err == nil {
		t.Error("listed by a repository whose clients can't fetch it")
	}
	res, err := publish.Publish(ctx, m, []publish.Repo{repo}, e, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range res.Change.Put {
		if strings.HasPrefix(f.Path, "pool/") {
			t.Errorf("%s is in the tree", f.Path)
		}
	}
	if res.Bytes != 0 || len(res.Added) != 1 {
		t.Errorf("%d bytes, added %v", res.Bytes, res.Added)
	}
	if again, err := publish.Publish(ctx, m, []publish.Repo{repo}, e, options()); err != nil || again.Changed {
		t.Errorf("again: %v, %v", again, err)
	}
	if err := publish.Check(ctx, m, []publish.Repo{repo}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
	res, err = publish.Publish(ctx, m, []publish.Repo{repo}, publish.Edit{Remove: []publish.Selection{{Name: "big"}}}, options())
	if err != nil || len(res.Removed) != 1 || res.Bytes != 0 {
		t.Errorf("removed: %v, %v", res, err)
	}
	for range 4 {
		if res, err = publish.Publish(ctx, m, []publish.Repo{repo}, publish.Edit{Refresh: true}, options()); err != nil || slices.ContainsFunc(res.Change.Delete, func(p string) bool { return strings.HasPrefix(p, "pool/") }) {
			t.Errorf("deletes %v, %v", res.Change.Delete, err)
		}
	}
}

func TestOtherSettingsRenderEverythingAnew(t *testing.T) {
	m := new(publishtest.Mem)
	run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86")), options())
	r := toy()
	r.Label = "games"
	if _, err := publish.Publish(ctx, m, []publish.Repo{r}, publish.Edit{}, options()); err != nil {
		t.Fatal(err)
	}
	if got := string(m.Read("lists/stable/x86/list")); !strings.HasPrefix(got, "1 records of games\n") || !strings.Contains(got, "a 1 ") {
		t.Errorf("list = %q", got)
	}
}

func TestIndexTimeNeverGoesBack(t *testing.T) {
	m := new(publishtest.Mem)
	o := options()
	o.Time = 5000
	run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86")), o)
	o.Time = 4000
	run(t, m, add("stable", publishtest.ToyPackage("a", "2", "x86")), o)
	if got := string(m.Read("lists/stable/root")); !strings.HasPrefix(got, "stable at 5000\n") {
		t.Errorf("root = %q", got)
	}
}

func TestDryRunWritesNothing(t *testing.T) {
	m := new(publishtest.Mem)
	o := options()
	o.DryRun = true
	res := run(t, m, add("stable", publishtest.ToyPackage("a", "1", "x86")), o)
	if len(m.Files()) != 0 || !res.Changed || len(res.Change.Put) == 0 {
		t.Errorf("%d files, %+v", len(m.Files()), res)
	}
}

// A foreign package may have file names in Latin-1. What is kept of them, and so
// every index, is the same before and after the records were read back.
func TestTextThatIsNotUTF8IsTheSameWhenReadBack(t *testing.T) {
	m := new(publishtest.Mem)
	p := publishtest.ToyPackage("cafe", "1", "x86")
	p.Meta.Fields[0].Value = "\xff"
	p.Meta.Files = []string{"/usr/bin/caf\xe9"}
	run(t, m, add("stable", p), options())
	if err := publish.Check(ctx, m, []publish.Repo{toy()}, verify, publish.CheckOptions{Deep: true}); err != nil {
		t.Error(err)
	}
	if res := run(t, m, add("stable", p), options()); res.Changed {
		t.Error("the same package again changed the tree")
	}
	if p.Meta.Files[0] != "/usr/bin/caf\xe9" {
		t.Error("the argument was changed")
	}
}
