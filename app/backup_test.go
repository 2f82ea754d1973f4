package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

// A copy that is made while the server writes is a whole one, and a server starts from
// it as if nothing had happened.
func TestABackupComesBack(t *testing.T) {
	w := newWorld(t)
	r := w.start()
	ctx := t.Context()
	if err := (&keys{store: r.store, signer: r.signer}).Import(ctx, "installation:42", "main", []byte(smallKey()), ""); err != nil {
		t.Fatal(err)
	}
	writing, stop := context.WithCancel(ctx)
	wrote := make(chan int)
	go func() {
		n := 0
		for ; writing.Err() == nil; n++ {
			if err := r.store.AppendPublishLog(ctx, &store.LogEntry{Repository: 7, Kind: "x", Subject: fmt.Sprint(n)}); err != nil {
				t.Error(err)
			}
		}
		wrote <- n
	}()
	out := filepath.Join(t.TempDir(), "b%20?#a")
	until(t, "the first entry", func() bool { l, _ := r.store.PublishLog(ctx, 7, 0, 1); return len(l) > 0 })
	files, err := Backup(ctx, w.dir, "", out)
	stop()
	if n := <-wrote; n == 0 {
		t.Error("nothing was written meanwhile")
	}
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
		if st, err := os.Stat(f); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, st.Mode(), err)
		}
	}
	slices.Sort(names)
	there, err := os.ReadDir(out)
	if err != nil || strings.Join(names, " ") != "app-engine.db app.db server.identity signer.identity" || len(there) != 4 {
		t.Errorf("made %q; there are %v, %v", names, there, err)
	}
	var m *Mistake
	if _, err := Backup(ctx, w.dir, "", out); !errors.As(err, &m) || !strings.Contains(err.Error(), "is there already: a backup is never replaced; name a new folder") {
		t.Errorf("a second time: %v", err)
	}
	nothing := filepath.Join(t.TempDir(), "x")
	if _, err := Backup(ctx, t.TempDir(), "", nothing); !errors.As(err, &m) || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("of nothing: %v", err)
	}
	if exists(nothing) {
		t.Error("half a backup was left")
	}
	r.end()

	w.dir = out
	r = w.start()
	if _, _, err := r.store.VerifyPublishLog(ctx); err != nil {
		t.Error(err)
	}
	if b, err := (&keys{store: r.store, signer: r.signer}).Export(ctx, "installation:42", "main", passphrase); err != nil || len(b.Data) == 0 {
		t.Errorf("the key of the backup: %v", err)
	}
}

// Postgres is for its own tools; what opens its secrets is copied.
func TestABackupOfPostgresHasTheIdentities(t *testing.T) {
	database := storetest.Postgres(t)
	w := newWorld(t)
	w.start(func(o *Options) { o.Database = database })
	files, err := Backup(t.Context(), w.dir, database, filepath.Join(t.TempDir(), "b"))
	if err != nil || len(files) != 2 {
		t.Errorf("got %q, %v", files, err)
	}
}
