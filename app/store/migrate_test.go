package store

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/distropack/distropack/app/store/storetest"
)

func opened(t testing.TB, url string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// with returns the migrations and one more file.
func with(t testing.TB, name, content string) fs.FS {
	t.Helper()
	files := fstest.MapFS{name: {Data: []byte(content)}}
	names, err := fs.Glob(migrations, "migrations/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: b}
	}
	return files
}

func TestManyOpenANewDatabaseAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				s, err := Open(t.Context(), url, Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Beat(t.Context(), "a"); err != nil {
					t.Error(err)
				}
				s.Close()
			})
		}
		all.Wait()
		s := opened(t, url, Options{})
		if n, err := one(t.Context(), s.read(), value[int64], "SELECT COUNT(*) FROM migrations"); err != nil || *n != 2 {
			t.Errorf("%d migrations were made, %v, want 2", *n, err)
		}
	})
}

func TestADatabaseFromTheFutureIsRefused(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := opened(t, url, Options{})
		if err := s.migrate(t.Context(), with(t, "migrations/0003_next.sql", "CREATE TABLE next (a BIGINT); CREATE TABLE next2 (b BLOB)")); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		_, err := Open(t.Context(), url, Options{})
		if err == nil || !strings.Contains(err.Error(), "version 3") || !strings.Contains(err.Error(), "up to 2") {
			t.Errorf("Open: %v", err)
		}
	})
}

func TestAFailedMigrationChangesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := opened(t, url, Options{})
		err := s.migrate(t.Context(), with(t, "migrations/0003_next."+s.dialect.name()+".sql", "CREATE TABLE next (a BIGINT); CREATE TABLE settings (b BIGINT)"))
		if err == nil || !strings.Contains(err.Error(), "migration 3 (next)") {
			t.Errorf("migrate: %v", err)
		}
		if _, err := all(t.Context(), s.read(), value[int64], "SELECT a FROM next"); err == nil {
			t.Error("half a migration stays")
		}
		opened(t, url, Options{})
		// A file of the other database alone leaves a gap.
		other := map[string]string{"sqlite": "postgres", "postgres": "sqlite"}[s.dialect.name()]
		files := with(t, "migrations/0003_next."+other+".sql", "nonsense").(fstest.MapFS)
		if err := s.migrate(t.Context(), files); err != nil {
			t.Errorf("migrate: %v", err)
		}
		files["migrations/0004_last.sql"] = &fstest.MapFile{Data: []byte("nonsense")}
		if err := s.migrate(t.Context(), files); err == nil || !strings.Contains(err.Error(), "want number 0003") {
			t.Errorf("migrate: %v", err)
		}
	})
}

func TestSchemasAreApart(t *testing.T) {
	url := storetest.Postgres(t)
	a, b := opened(t, url, Options{Schema: "a_1"}), opened(t, url, Options{Schema: "b"})
	for _, s := range []*Store{a, b} {
		if set, err := s.SetSettingOnce(t.Context(), "x", nil); err != nil || !set {
			t.Errorf("SetSettingOnce = %v, %v", set, err)
		}
	}
	opened(t, url, Options{}) // and apart from public
}
