package verify

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
)

// A cache that has a publish's files one after another: the wait ends when all
// clients see it, and not before.
func TestWaitEndsWhenEveryClientSeesTheRelease(t *testing.T) {
	old, files := generation(t, 0), generation(t, 1)
	var mu sync.Mutex
	show := func() map[string][]byte { mu.Lock(); defer mu.Unlock(); return old }
	s := serve(t, show, nil)
	o := Options{Fetch: overHTTP(t, s.URL), Now: later, Keys: givenKeys(t), Clients: []string{"apt:dists/stable", "dnf:rpm/stable", "pacman:arch/x86_64/hello", "apk:apk/stable/x86_64", "opkg:opkg/stable/x86_64", "brew:brew", "downloads:downloads/SHA256SUMS"}}
	expected := Expect{Serial: 2, Packages: []Expected{
		{"apt", "dists/stable", "hello", "1.1.0-1"}, {"dnf", "", "hello", "1.1.0-1"}, {"pacman", "arch/x86_64/hello", "hello", "1.1.0"},
		{"apk", "", "hello", "1.1.0-r1"}, {"opkg", "", "hello-data", "1.1.0"}, {"brew", "", "hello", "1.1.0"}, {"downloads", "", "hello", "1.1.0"},
	}}
	// What arrives between two looks; content comes first, as publishing has it.
	pointers := []string{suite, repod + "repomd.xml", db + ".", apkidx, feed + "Packages", "brew/", sums, "install."}
	steps := []func(p string) bool{
		func(p string) bool { return strings.HasSuffix(p, ".deb") || strings.HasPrefix(p, "pool") },
		func(p string) bool { return hasPrefix(p, pointers) == -1 },
	}
	for i := range pointers {
		steps = append(steps, func(p string) bool { return hasPrefix(p, pointers) == i && !strings.HasSuffix(p, ".asc") })
		steps = append(steps, func(p string) bool { return hasPrefix(p, pointers) == i })
	}
	var pauses []time.Duration
	rep, err := Wait(context.Background(), o, expected, func(_ context.Context, d time.Duration) error {
		n := len(pauses)
		if pauses = append(pauses, d); n >= len(steps) {
			t.Fatal("it does not end")
		}
		mu.Lock()
		defer mu.Unlock()
		next := make(map[string][]byte)
		for p, b := range old {
			next[p] = b
		}
		for p, b := range files {
			if steps[n](p) {
				next[p] = b
			}
		}
		old = next
		return nil
	})
	if err != nil || !rep.Good() || rep.Serial != 2 {
		t.Fatalf("%v: %+v", err, rep)
	}
	// The last pointer is install.json, which has no signature: its first step is
	// enough.
	if len(pauses) != len(steps)-1 {
		t.Errorf("%d looks, want %d", len(pauses)+1, len(steps))
	}
	for i, want := range []time.Duration{2, 4, 8, 16, 32, 60, 60} {
		if pauses[i] != want*time.Second {
			t.Errorf("pauses are %v", pauses)
			break
		}
	}
}

func hasPrefix(p string, all []string) int {
	for i, s := range all {
		if strings.HasPrefix(p, s) {
			return i
		}
	}
	return -1
}

func givenKeys(t testing.TB) []Key {
	var all []Key
	for _, s := range []formats.Scheme{formats.OpenPGP, formats.RSA256, formats.Usign} {
		p := public(t, testKey, s)
		all = append(all, Key{p.Name, p.Data})
	}
	return all
}

func TestWaitSaysWhatIsMissing(t *testing.T) {
	gaveUp := errors.New("no more time")
	give := func(context.Context, time.Duration) error { return gaveUp }
	f := generation(t, 0)
	delete(f, "pool/main/h/hello/hello_1.0.0-1_amd64.deb")
	o := Options{Fetch: FS(mapFS(f)), Now: later}
	rep, err := Wait(context.Background(), o, Expect{Serial: 2, Packages: []Expected{{"dnf", "", "hello", "1.1.0-1"}}}, give)
	if !errors.Is(err, gaveUp) || rep == nil {
		t.Fatalf("%v: %v", err, rep)
	}
	for _, want := range []string{"the tree's serial is 1, 2 is expected", "hello 1.1.0-1 for dnf is not listed", "hello_1.0.0-1_amd64.deb: it is not there"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	// What is not there yet may come; what the caller got wrong will not.
	if _, err := Wait(context.Background(), Options{Fetch: FS(mapFS(nil))}, Expect{}, give); !errors.Is(err, gaveUp) || !strings.Contains(err.Error(), "no repository was found") {
		t.Errorf("an empty place: %v", err)
	}
	never := func(context.Context, time.Duration) error { t.Error("it waits"); return gaveUp }
	if _, err := Wait(context.Background(), Options{Fetch: FS(mapFS(f)), Clients: []string{"yum"}}, Expect{}, never); err == nil || !strings.Contains(err.Error(), `the call can't succeed: client "yum" is not known`) {
		t.Errorf("a wrong call: %v", err)
	}
	if _, err := Wait(context.Background(), o, Expect{}, nil); err == nil || err.Error() != "there is nothing to wait with: pause is nil" {
		t.Errorf("no pause: %v", err)
	}
}

func TestVersionsAreMatchedWithAndWithoutTheirRelease(t *testing.T) {
	for _, c := range []struct {
		want, have string
		ok         bool
	}{
		{"1.1.0", "1.1.0-1", true}, {"1.1.0-1", "1.1.0-1", true}, {"1.1.0", "1.1.0-r2", true}, {"1.1.0", "2:1.1.0-1", true}, {"2:1.1.0-1", "2:1.1.0-1", true},
		{"1.1.0", "1.1.0", true}, {"1.1.0", "1.1.0-rc.1", false}, {"1.1.0-2", "1.1.0-1", false}, {"1.1", "1.1.0-1", false}, {"1.1.0~rc.1", "1.1.0~rc.1-1", true}, {"1.1.0", "1.1.0~rc.1-1", false},
	} {
		if got := (Expected{Name: "x", Version: c.want}).matches("apt", "", "x", c.have); got != c.ok {
			t.Errorf("%s for %s: %v", c.have, c.want, got)
		}
	}
	e := Expected{Client: "apt", Path: "dists/stable", Name: "x", Version: "1"}
	if e.matches("dnf", "dists/stable", "x", "1") || e.matches("apt", "dists/beta", "x", "1") || e.matches("apt", "dists/stable", "y", "1") || !e.matches("apt", "dists/stable", "x", "1") {
		t.Error("client, path and name are not told apart")
	}
}
