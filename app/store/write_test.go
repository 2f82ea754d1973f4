package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

// TestSQLiteIsSetUp reads what no test can feel without pulling the plug.
func TestSQLiteIsSetUp(t *testing.T) {
	s := opened(t, storetest.SQLite(t), Options{})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0"} {
		if v, err := one(t.Context(), querier{s.writer, s.dialect}, value[string], "PRAGMA "+pragma); err != nil || *v != want {
			t.Errorf("%s = %q, %v, want %q", pragma, *v, err, want)
		}
	}
	if _, err := s.reader.Exec("DELETE FROM settings"); err == nil {
		t.Error("a reader writes")
	}
	if _, err := s.writer.Exec("INSERT INTO legs SELECT 'none', 'a', 1, '', '', '', '', 0, 0, 0, 0, 0"); err == nil {
		t.Error("a leg without a release is kept")
	}
}

func TestWritersThatFailTakeNobodyAlong(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := opened(t, url, Options{})
		var all sync.WaitGroup
		for i := range 60 {
			all.Go(func() {
				wrong := errors.New("wrong")
				defer func() {
					if r := recover(); (r != nil) != (i%4 == 3) {
						t.Errorf("write %d: recovered %v", i, r)
					}
				}()
				err := s.write(t.Context(), func(ctx context.Context, q querier) error {
					if _, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint(i), []byte{}); err != nil {
						return err
					}
					switch i % 4 {
					case 1:
						return wrong
					case 2: // the database's own error
						_, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint(i), []byte{})
						return err
					case 3:
						panic("on purpose")
					}
					return nil
				})
				if (err == nil) != (i%4 == 0) || i%4 == 1 && err != wrong {
					t.Errorf("write %d: %v", i, err)
				}
			})
		}
		all.Wait()
		n, err := one(t.Context(), s.read(), value[int64], "SELECT COUNT(*) FROM settings")
		if err != nil || *n != 15 {
			t.Errorf("%d rows are there, %v, want 15", *n, err)
		}
	})
}

// TestWaitingWritersShareACommit counts transactions: a commit in SQLite waits for the disk.
func TestWaitingWritersShareACommit(t *testing.T) {
	s := opened(t, storetest.SQLite(t), Options{})
	const writers, times = 50, 10
	var mu sync.Mutex
	transactions := map[any]int{}
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for k := range times {
				if err := s.write(t.Context(), func(ctx context.Context, q querier) error {
					mu.Lock()
					transactions[q.db]++ // kept, so that no two have one address
					mu.Unlock()
					_, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?)", fmt.Sprint(i, k), []byte{})
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if len(transactions) > writers*times/3 {
		t.Errorf("%d writes took %d transactions", writers*times, len(transactions))
	}
	if n, err := one(t.Context(), s.read(), value[int64], "SELECT COUNT(*) FROM settings"); err != nil || *n != writers*times {
		t.Errorf("%d rows are there, %v, want %d", *n, err, writers*times)
	}
}

// TestAFullDiskIsSaidAndPasses bounds the database's size, which SQLite reports as it does a full disk.
func TestAFullDiskIsSaidAndPasses(t *testing.T) {
	s := opened(t, storetest.SQLite(t), Options{})
	receive := func(i int) error {
		fresh, err := s.Receive(t.Context(), &Delivery{GUID: fmt.Sprint(i), Body: make([]byte, 20000)})
		if fresh != (err == nil) {
			t.Errorf("Receive = %v, %v", fresh, err)
		}
		return err
	}
	if _, err := s.writer.Exec("PRAGMA max_page_count = 100"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	said := map[int]bool{}
	full := 0
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			err := receive(i)
			mu.Lock()
			defer mu.Unlock()
			if said[i] = err == nil; err == nil {
				return
			}
			if full++; !strings.Contains(err.Error(), "full") {
				t.Errorf("Receive: %v", err)
			}
		})
	}
	all.Wait()
	if full == 0 {
		t.Error("nothing was refused")
	}
	if _, err := s.writer.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		_, err := s.Delivery(t.Context(), fmt.Sprint(i))
		if said[i] != (err == nil) {
			t.Errorf("delivery %d: said to be kept: %v; %v", i, said[i], err)
		}
		if !said[i] {
			if err := receive(i); err != nil {
				t.Errorf("with space again: %v", err)
			}
		}
	}
}

func TestAWriterThatWaitsCanGiveUp(t *testing.T) {
	s := opened(t, storetest.SQLite(t), Options{})
	inside, leave := make(chan struct{}), make(chan struct{})
	var first sync.WaitGroup
	first.Go(func() {
		if err := s.write(t.Context(), func(context.Context, querier) error { close(inside); <-leave; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.SetSetting(ctx, "a", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("SetSetting: %v, want context.DeadlineExceeded", err)
	}
	// Readers need not wait.
	if _, err := s.Setting(t.Context(), "a"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Setting: %v", err)
	}
	close(leave)
	first.Wait()
}

func TestPostgresRepeatsWhatOthersUndid(t *testing.T) {
	s := opened(t, storetest.Postgres(t), Options{})
	for _, name := range []string{"a", "b"} {
		if err := s.SetSetting(t.Context(), name, []byte{0}); err != nil {
			t.Fatal(err)
		}
	}
	// Each has one row and wants the other's: a deadlock, of which Postgres ends one.
	var met, all sync.WaitGroup
	met.Add(2)
	var mu sync.Mutex
	tries := 0
	for _, names := range [][]string{{"a", "b"}, {"b", "a"}} {
		meet := sync.OnceFunc(func() { met.Done(); met.Wait() })
		all.Go(func() {
			if err := s.write(t.Context(), func(ctx context.Context, q querier) error {
				mu.Lock()
				tries++
				mu.Unlock()
				for _, name := range names {
					if _, err := q.exec(ctx, "UPDATE settings SET value = ? WHERE name = ?", []byte{1}, name); err != nil {
						return err
					}
					meet()
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tries < 3 {
		t.Errorf("%d tries, want one more than there are writers", tries)
	}
}

func TestWatchingEndsWithItsContext(t *testing.T) {
	s := opened(t, storetest.SQLite(t), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	s.Watch(ctx, "a")
	_, stop := s.Watch(t.Context(), "b")
	if got := fmt.Sprint(s.watch.releases()); got != "[a b]" {
		t.Errorf("watched: %s", got)
	}
	cancel()
	stop()
	for end := time.Now().Add(10 * time.Second); len(s.watch.releases()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it goes on")
		}
	}
	s.watch.polling.Wait() // nobody watches, so nobody polls
}
