package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, url string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// each opens a new store in each database, with a clock at noon.
func each(t *testing.T, f func(t *testing.T, s *store.Store, c *clock)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, url string) {
		c := &clock{t: noon}
		f(t, open(t, url, store.Options{Now: c.now}), c)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		t.Errorf("%s = %s, want %s", what, g, w)
	}
}

func missing(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%s: %v, want ErrNotFound", what, err)
	}
}

func TestRowsComeBackAsTheyWere(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		must(t, s.Ping(ctx))
		later := noon.Add(time.Hour)

		i := &store.Installation{ID: 42, Account: "octo", AccountID: 7, AccountType: "Organization", Suspended: true}
		must(t, s.SaveInstallation(ctx, i))
		c.pass(time.Hour)
		i.Account, i.Suspended, i.Removed = "octo2", false, true
		must(t, s.SaveInstallation(ctx, i))
		got, err := s.Installation(ctx, 42)
		must(t, err)
		want := &store.Installation{ID: 42, Account: "octo2", AccountID: 7, AccountType: "Organization", Removed: true, Created: noon, Updated: later}
		equal(t, "Installation", got, want)
		list, err := s.Installations(ctx)
		must(t, err)
		equal(t, "Installations", list, []*store.Installation{want})
		_, err = s.Installation(ctx, 1)
		missing(t, "Installation", err)

		v := &store.Sealed{Scope: "repository:7", Name: "apt", Kind: "key", Public: []byte(`{"id":"x"}`), Blob: []byte{0, 1, 255}, Created: noon, Expires: later}
		must(t, s.PutSealed(ctx, v))
		must(t, s.PutSealed(ctx, &store.Sealed{Scope: "app", Name: "apt", Kind: "secret"}))
		v.Blob = []byte{2}
		must(t, s.PutSealed(ctx, v))
		sealed, err := s.Sealed(ctx, "repository:7", "apt")
		must(t, err)
		equal(t, "Sealed", sealed, v)
		sealedList, err := s.ListSealed(ctx, "repository:7")
		must(t, err)
		bare := *v
		bare.Blob = nil
		equal(t, "ListSealed", sealedList, []*store.Sealed{&bare})
		must(t, s.DeleteSealed(ctx, "repository:7", "apt"))
		must(t, s.DeleteSealed(ctx, "repository:7", "apt"))
		_, err = s.Sealed(ctx, "repository:7", "apt")
		missing(t, "Sealed", err)

		_, err = s.Setting(ctx, "a")
		missing(t, "Setting", err)
		must(t, s.SetSetting(ctx, "a", []byte{0, 255}))
		must(t, s.SetSetting(ctx, "a", []byte{0, 254}))
		b, err := s.Setting(ctx, "a")
		must(t, err)
		equal(t, "Setting", b, []byte{0, 254})
		set, err := s.SetSettingOnce(ctx, "a", []byte("x"))
		if set || err != nil {
			t.Errorf("SetSettingOnce of a set one: %v, %v", set, err)
		}
	})
}

func TestTextThatPostgresCannotHold(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		must(t, s.SaveInstallation(t.Context(), &store.Installation{ID: 1, Account: "a\x00b\xffc"}))
		i, err := s.Installation(t.Context(), 1)
		must(t, err)
		equal(t, "Account", i.Account, "ab\ufffdc")
	})
}

func TestRepositoriesAreKeptById(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		r := &store.Repository{ID: 1, Installation: 42, Owner: "octo", Name: "hello", DefaultBranch: "main", Private: true}
		must(t, s.SaveRepository(ctx, r))
		c.pass(time.Minute)
		r.Name = "hi"
		must(t, s.SaveRepository(ctx, r))
		got, err := s.RepositoryByName(ctx, "Octo", "HI")
		must(t, err)
		equal(t, "renamed", got, &store.Repository{ID: 1, Installation: 42, Owner: "octo", Name: "hi", DefaultBranch: "main", Private: true, Created: noon, Updated: noon.Add(time.Minute)})
		_, err = s.RepositoryByName(ctx, "octo", "hello")
		missing(t, "the old name", err)

		// Another takes the name before the event of the first one's removal is seen.
		c.pass(time.Minute)
		must(t, s.SaveRepository(ctx, &store.Repository{ID: 2, Installation: 43, Owner: "octo", Name: "hi"}))
		if got, err := s.RepositoryByName(ctx, "octo", "hi"); err != nil || got.ID != 2 {
			t.Errorf("RepositoryByName = %v, %v, want the one saved last", got, err)
		}
		c.pass(time.Minute)
		r.Removed = true
		must(t, s.SaveRepository(ctx, r))
		if got, err := s.RepositoryByName(ctx, "octo", "hi"); err != nil || got.ID != 2 {
			t.Errorf("RepositoryByName = %v, %v, want the one that is not removed", got, err)
		}
		if _, err := s.Repository(ctx, 3); err == nil || !strings.Contains(err.Error(), "repository 3") {
			t.Errorf("Repository(3): %v", err)
		}
		for installation, want := range map[int64]int{0: 2, 42: 1, 44: 0} {
			if list, err := s.Repositories(ctx, installation); err != nil || len(list) != want {
				t.Errorf("Repositories(%d) = %d, %v, want %d", installation, len(list), err, want)
			}
		}
	})
}

func TestOfManyExactlyOneSetsASetting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		a, b := open(t, url, store.Options{}), open(t, url, store.Options{})
		var sets = make(chan bool, 40)
		var all sync.WaitGroup
		for i := range cap(sets) {
			all.Go(func() {
				s := a
				if i%2 == 0 {
					s = b
				}
				set, err := s.SetSettingOnce(t.Context(), "first", []byte{byte(i)})
				if err != nil {
					t.Error(err)
				}
				sets <- set
			})
		}
		all.Wait()
		n := 0
		for range cap(sets) {
			if <-sets {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d were the first", n)
		}
	})
}

func TestQuotas(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		c.pass(30 * time.Minute)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := s.Count(ctx, "jobs", 1, 2); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		must(t, s.Count(ctx, "bytes", 1, 1<<40))
		c.pass(time.Hour)
		must(t, s.Count(ctx, "jobs", 1, 1))
		for _, test := range []struct {
			kind  string
			who   int64
			since time.Time
			want  int64
		}{
			{"jobs", 1, noon.Add(59 * time.Minute), 41}, // the hour counts as a whole
			{"jobs", 1, noon.Add(time.Hour), 1},
			{"jobs", 1, noon.Add(2 * time.Hour), 0},
			{"jobs", 2, noon, 0},
			{"bytes", 1, noon, 1 << 40},
		} {
			if n, err := s.Used(ctx, test.kind, test.who, test.since); err != nil || n != test.want {
				t.Errorf("Used(%s, %d, %s) = %d, %v, want %d", test.kind, test.who, test.since, n, err, test.want)
			}
		}
	})
}

func TestNodes(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		must(t, s.Beat(ctx, "a"))
		must(t, s.Beat(ctx, "b"))
		c.pass(time.Minute)
		must(t, s.Beat(ctx, "b"))
		c.pass(time.Second)
		stale, err := s.StaleNodes(ctx, time.Minute)
		must(t, err)
		equal(t, "StaleNodes", stale, []string{"a"})
		must(t, s.ForgetNode(ctx, "a"))
		stale, err = s.StaleNodes(ctx, time.Minute)
		must(t, err)
		equal(t, "StaleNodes", stale, []string(nil))
	})
}

func TestSessions(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		c := &clock{t: noon}
		s := open(t, url, store.Options{Now: c.now})
		ctx := t.Context()
		v := &store.Session{ID: "s3cret-cookie", User: 5, Login: "octo", Token: []byte{1}, Expires: noon.Add(time.Hour)}
		must(t, s.SaveSession(ctx, v))
		got, err := s.Session(ctx, v.ID)
		must(t, err)
		equal(t, "Session", got, v)
		if rows := dump(t, url, "sessions"); len(rows) != 1 || strings.Contains(rows[0], "s3cret") {
			t.Errorf("the database holds %q, want the hash only", rows)
		}
		_, err = s.Session(ctx, "s3cret-other")
		missing(t, "an unknown session", err)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v names the session", err)
		}
		c.pass(time.Hour)
		_, err = s.Session(ctx, v.ID)
		missing(t, "an expired session", err)
		v.Expires = c.now().Add(time.Hour)
		must(t, s.SaveSession(ctx, v))
		must(t, s.DeleteSession(ctx, v.ID))
		_, err = s.Session(ctx, v.ID)
		missing(t, "a deleted session", err)
	})
}

func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		v := &store.Token{Scope: "installation:1", Name: "ci", Hash: "h1", Actions: []string{"release", "read"}, Created: noon, Expires: noon.Add(time.Hour), By: "octo"}
		must(t, s.CreateToken(ctx, v))
		for _, again := range []*store.Token{{Scope: v.Scope, Name: v.Name, Hash: "h2"}, {Scope: "app", Name: "ci", Hash: "h1"}} {
			if err := s.CreateToken(ctx, again); !errors.Is(err, store.ErrExists) {
				t.Errorf("CreateToken(%s, %s, %s): %v, want ErrExists", again.Scope, again.Name, again.Hash, err)
			}
		}
		must(t, s.CreateToken(ctx, &store.Token{Scope: "app", Name: "ci", Hash: "h2"}))
		got, err := s.TokenByHash(ctx, "h1")
		must(t, err)
		want := *v
		want.LastUsed = noon
		equal(t, "TokenByHash", got, &want)
		// Within a minute the use is not written again.
		c.pass(59 * time.Second)
		if got, err := s.TokenByHash(ctx, "h1"); err != nil || !got.LastUsed.Equal(noon) {
			t.Errorf("LastUsed = %v, %v, want noon", got, err)
		}
		c.pass(time.Second)
		if _, err := s.TokenByHash(ctx, "h1"); err != nil {
			t.Error(err)
		}
		list, err := s.Tokens(ctx, "installation:1")
		must(t, err)
		want.LastUsed = noon.Add(time.Minute)
		equal(t, "Tokens", list, []*store.Token{&want})
		c.pass(time.Hour)
		_, err = s.TokenByHash(ctx, "h1")
		missing(t, "an expired token", err)
		if _, err := s.TokenByHash(ctx, "h2"); err != nil {
			t.Errorf("a token without an end: %v", err)
		}
		must(t, s.DeleteToken(ctx, "app", "ci"))
		_, err = s.TokenByHash(ctx, "h2")
		missing(t, "a deleted token", err)
	})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "file")
	must(t, os.WriteFile(blocked, nil, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "text.db"), []byte(strings.Repeat("this is no database ", 100)), 0o600))
	for url, want := range map[string]string{
		"":                                  "neither sqlite:",
		"mysql://u:hunter2@h/d":             "neither sqlite:",
		"sqlite:":                           "want sqlite:/path",
		"sqlite://host/app.db":              "want sqlite:/path",
		"sqlite:" + blocked + "/app.db":     "not a directory",
		"sqlite:" + dir + "/text.db":        "not a database",
		"postgres://u:hunter2":              "can't be read",
		"postgres://u:hunter2@h:p/d":        "can't be read",
		"postgres://u:hun%ter2@h/d":         "can't be read",
		"postgres://u:hunter2@127.0.0.1:1/": "refused",
	} {
		s, err := store.Open(t.Context(), url, store.Options{})
		if err == nil {
			s.Close()
			t.Errorf("Open(%q) works", url)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ter2") {
			t.Errorf("Open(%q): %v, want %q", url, err, want)
		}
	}
	if _, err := store.Open(t.Context(), "postgres://h/d", store.Options{Schema: `a"; DROP`}); err == nil || !strings.Contains(err.Error(), "schema") {
		t.Errorf("Open with a bad schema: %v", err)
	}
}

func TestSQLiteFilesAreTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "a?b#c%20")
	s := open(t, "sqlite:"+dir+"/app.db", store.Options{})
	must(t, s.SetSetting(t.Context(), "a", nil))
	for _, name := range []string{"", "app.db", "app.db-wal", "app.db-shm"} {
		st, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if st.Mode().Perm()&^fs.FileMode(0o700) != 0 {
			t.Errorf("%s has mode %v", name, st.Mode())
		}
	}
}

func TestMemory(t *testing.T) {
	a, b := open(t, "sqlite::memory:", store.Options{}), open(t, "sqlite::memory:", store.Options{})
	must(t, a.SetSetting(t.Context(), "x", []byte("1")))
	if v, err := a.Setting(t.Context(), "x"); string(v) != "1" || err != nil {
		t.Errorf("Setting = %q, %v", v, err)
	}
	_, err := b.Setting(t.Context(), "x")
	missing(t, "another store in memory", err)
}

func TestAClosedStoreSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		must(t, s.Close())
		must(t, s.Close())
		if err := s.Beat(t.Context(), "a"); !errors.Is(err, store.ErrClosed) {
			t.Errorf("Beat: %v, want ErrClosed", err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Error("Ping of a closed store works")
		}
	})
}

func TestACancelledWriterWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.SetSetting(ctx, "a", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("SetSetting: %v, want context.Canceled", err)
		}
		_, err := s.Setting(t.Context(), "a")
		missing(t, "Setting", err)
	})
}
