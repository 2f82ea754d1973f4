package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func TestPublishLogIsAChain(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		ctx := t.Context()
		stores := []*store.Store{open(t, url, store.Options{}), open(t, url, store.Options{})}
		if seq, hash, err := stores[0].VerifyPublishLog(ctx); seq != 0 || hash != "" || err != nil {
			t.Errorf("an empty log: %d, %q, %v", seq, hash, err)
		}
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for k := range 10 {
					a := &store.LogEntry{Repository: int64(i + 1), Release: "r", Kind: "package", Subject: fmt.Sprint(k), Digest: "d\xff"}
					b := &store.LogEntry{Repository: int64(i + 1), Release: "r", Kind: "index", Subject: fmt.Sprint(k), At: noon.Add(1999)}
					if err := stores[i%2].AppendPublishLog(ctx, a, b); err != nil {
						t.Error(err)
					}
					if b.Seq != a.Seq+1 || b.Previous != a.Hash || b.Hash == "" || a.At.IsZero() {
						t.Errorf("appended %+v and %+v", a, b)
					}
				}
			})
		}
		all.Wait()
		seq, hash, err := stores[0].VerifyPublishLog(ctx)
		if seq != 160 || err != nil {
			t.Errorf("VerifyPublishLog = %d, %v, want 160 entries", seq, err)
		}
		last, err := stores[0].PublishLog(ctx, 0, 159, 0)
		must(t, err)
		if len(last) != 1 || last[0].Hash != hash {
			t.Errorf("the last entry is %v, want the hash %s", last, hash)
		}
		mine, err := stores[0].PublishLog(ctx, 3, 0, 0)
		must(t, err)
		if len(mine) != 20 || store.Verify(mine) != nil {
			t.Errorf("%d entries of a repository, %v", len(mine), store.Verify(mine))
		}
		for i, e := range mine {
			if e.Repository != 3 || e.Subject != fmt.Sprint(i/2) {
				t.Errorf("entry %d of the repository is %+v", i, e)
			}
		}
	})
}

// TestPublishLogSum compares with what Python's hashlib gives for the text in Sum's comment.
func TestPublishLogSum(t *testing.T) {
	e := &store.LogEntry{Seq: 2, At: noon, Repository: 7, Release: "rel:7:v1:abc", Kind: "package", Subject: "hello_1_amd64.deb é", Digest: "d1", Previous: "p"}
	if got, want := e.Sum(), "9d37179440382249078cd3a886b45c884cd00af2a310f0978c646471a523aa8d"; got != want {
		t.Errorf("Sum = %s, want %s", got, want)
	}
}

func TestPublishLogIsAppendOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		for range 3 {
			must(t, s.AppendPublishLog(t.Context(), &store.LogEntry{Repository: 1, Kind: "package", Subject: "a"}))
		}
		const columns = "(seq, at, repository, release, kind, subject, digest, previous, hash)"
		tries := []string{
			"UPDATE publish_log SET subject = 'b' WHERE seq = 2",
			"DELETE FROM publish_log WHERE seq = 3",
			"INSERT INTO publish_log " + columns + " SELECT 9, at, repository, release, kind, subject, digest, hash, 'x' FROM publish_log WHERE seq = 3",
			"INSERT INTO publish_log " + columns + " SELECT 4, at, repository, release, kind, subject, digest, previous, 'x' FROM publish_log WHERE seq = 3",
		}
		if strings.HasPrefix(url, "sqlite:") {
			tries = append(tries, "INSERT OR REPLACE INTO publish_log "+columns+" SELECT seq, at, repository, release, kind, 'b', digest, previous, hash FROM publish_log WHERE seq = 2")
		} else {
			tries = append(tries, "TRUNCATE publish_log",
				"INSERT INTO publish_log "+columns+" SELECT seq, at, repository, release, kind, 'b', digest, previous, hash FROM publish_log WHERE seq = 2 ON CONFLICT (seq) DO UPDATE SET subject = 'b'")
		}
		before := dump(t, url, "publish_log")
		for _, try := range tries {
			if _, err := raw(t, url).Exec(try); err == nil || !strings.Contains(err.Error(), "publish log") {
				t.Errorf("%s: %v", try, err)
			}
		}
		equal(t, "the log", dump(t, url, "publish_log"), before)
	})
}

func TestVerifySeesEachChange(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{})
		for i := range 5 {
			must(t, s.AppendPublishLog(t.Context(), &store.LogEntry{At: noon.Add(time.Duration(i) * time.Second), Repository: 1, Release: "r", Kind: "package", Subject: "a", Digest: "d"}))
		}
		db := raw(t, url)
		run := func(query string) {
			t.Helper()
			if _, err := db.Exec(query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
		// Somebody who may do anything to the database, but can't know what was there before.
		if strings.HasPrefix(url, "sqlite:") {
			for _, name := range []string{"update", "delete", "insert"} {
				run("DROP TRIGGER publish_log_" + name)
			}
		} else {
			run("DROP TRIGGER publish_log_change ON publish_log")
			run("DROP TRIGGER publish_log_insert ON publish_log")
		}
		run("CREATE TABLE saved AS SELECT * FROM publish_log")
		for _, test := range []struct{ change, want string }{
			{"UPDATE publish_log SET at = at + 1 WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET repository = 2 WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET release = 's' WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET kind = 'index' WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET subject = 'b' WHERE seq = 1", "entry 1"},
			{"UPDATE publish_log SET digest = '' WHERE seq = 5", "entry 5"},
			{"UPDATE publish_log SET kind = 'packagea', subject = '' WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET previous = hash WHERE seq = 3", "entry 3"},
			{"UPDATE publish_log SET hash = previous WHERE seq = 3", "entry 3"},
			{"DELETE FROM publish_log WHERE seq = 3", "missing"},
			{"DELETE FROM publish_log WHERE seq = 1", "missing"},
			{"UPDATE publish_log SET seq = 6 WHERE seq = 3", "missing"},
		} {
			run(test.change)
			if _, _, err := s.VerifyPublishLog(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v, want %q", test.change, err, test.want)
			}
			run("DELETE FROM publish_log")
			run("INSERT INTO publish_log SELECT * FROM saved")
			if _, _, err := s.VerifyPublishLog(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestVerify(t *testing.T) {
	chain := func() []*store.LogEntry {
		var list []*store.LogEntry
		previous := ""
		for seq := int64(1); seq <= 4; seq++ {
			e := &store.LogEntry{Seq: seq, At: noon, Previous: previous}
			e.Hash = e.Sum()
			previous = e.Hash
			list = append(list, e)
		}
		return list
	}
	if err := store.Verify(chain()); err != nil {
		t.Error(err)
	}
	if err := store.Verify(append(chain()[:1], chain()[2:]...)); err != nil {
		t.Errorf("a part: %v", err)
	}
	for name, change := range map[string]func(l []*store.LogEntry) []*store.LogEntry{
		"another first":        func(l []*store.LogEntry) []*store.LogEntry { l[0].Previous = "x"; l[0].Hash = l[0].Sum(); return l[:1] },
		"an entry of its own":  func(l []*store.LogEntry) []*store.LogEntry { l[2].Subject = "x"; l[2].Hash = l[2].Sum(); return l },
		"the order":            func(l []*store.LogEntry) []*store.LogEntry { l[1], l[2] = l[2], l[1]; return l },
		"an entry twice":       func(l []*store.LogEntry) []*store.LogEntry { return append(l, l[3]) },
		"a changed last entry": func(l []*store.LogEntry) []*store.LogEntry { l[3].Digest = "x"; return l },
	} {
		if store.Verify(change(chain())) == nil {
			t.Errorf("%s is not seen", name)
		}
	}
}
