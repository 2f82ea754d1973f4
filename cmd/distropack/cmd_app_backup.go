package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	server "github.com/distropack/distropack/app"
)

func (a *app) appBackup() *cobra.Command {
	var o appData
	c := &cobra.Command{
		Use:   "backup FOLDER",
		Short: "Copy what the App needs to come back, while it runs",
		Long: `Backup writes a new folder: both SQLite databases as of one moment each, and the two
identity files that open what is sealed in them. Whoever has the folder has the keys:
keep it where nobody reads it, or the identities elsewhere than the databases.

To restore, put the files into an empty --dir and start the server: what happened since
is found on GitHub. Of Postgres only the identities are copied: use pg_dump, which
copies the schemas public and engine.`,
		Example: `  distropack app backup /backup/$(date +%F) --dir /var/lib/distropack`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			database, _, err := a.dataOf(c, &o)
			if err != nil {
				return err
			}
			files, err := server.Backup(c.Context(), o.dir, database, args[0])
			if err != nil {
				return asUsage(err)
			}
			return a.show(map[string]any{"files": files}, func(w io.Writer) {
				for _, f := range files {
					fmt.Fprintln(w, f)
				}
				if strings.HasPrefix(database, "postgres") {
					fmt.Fprintln(w, "the database is for pg_dump to copy")
				}
			})
		},
	}
	o.flags(c.Flags())
	return c
}
