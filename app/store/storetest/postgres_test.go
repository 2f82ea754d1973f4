//go:build unix

package storetest

import (
	"database/sql"
	"testing"
)

func TestPostgresIsReal(t *testing.T) {
	for range 2 { // the second time it is running already
		db, err := sql.Open("pgx", Postgres(t))
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d tables in a new database, %v", n, err)
		}
		if _, err := db.Exec("CREATE TABLE a (b int)"); err != nil {
			t.Error(err)
		}
		db.Close()
	}
}
