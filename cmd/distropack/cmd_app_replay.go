package main

import (
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	server "github.com/distropack/distropack/app"
)

func (a *app) appReplay() *cobra.Command {
	var o appData
	var p server.Replayed
	var secretFile string
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Deliver a saved webhook once more, signed",
		Long: `Replay signs a payload as GitHub does, and delivers it: to a running server with --to,
else into the database, where the server that uses it finds it within seconds. GitHub
shows payloads on the App's page "Advanced"; - reads standard input.`,
		Example: `  distropack app replay push.json --event push --dir /var/lib/distropack
  distropack app replay push.json --event push --to http://127.0.0.1:8080`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			database, log, err := a.dataOf(c, &o)
			if err != nil {
				return err
			}
			if p.Secret, err = a.secretOf("WEBHOOK_SECRET", "--webhook-secret-file", secretFile); err != nil {
				return err
			}
			if p.Event == "" {
				return usagef("say which event it is, as in the header X-GitHub-Event: --event push")
			}
			if u, err := url.Parse(p.To); p.To != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
				return usagef("--to %q: want the address of a server, such as http://127.0.0.1:8080", p.To)
			}
			in := a.in
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return &usageError{err}
				}
				defer f.Close()
				in = f
			}
			const most = 25 << 20 // GitHub sends no more
			if p.Body, err = io.ReadAll(io.LimitReader(in, most+1)); err != nil {
				return err
			}
			if len(p.Body) > most {
				return usagef("%s is larger than a webhook can be, which is 25 MiB", args[0])
			}
			answer, err := server.Replay(c.Context(), o.dir, database, p, log)
			if err != nil {
				return asUsage(err)
			}
			fmt.Fprintln(a.out, answer)
			return nil
		},
	}
	f := c.Flags()
	o.flags(f)
	f.StringVar(&p.Event, "event", "", "the `event`, as in the header X-GitHub-Event")
	f.StringVar(&p.GUID, "delivery", "", "the delivery's `id`; a new one where absent. One that is known is not handled again, unless it failed")
	f.StringVar(&p.To, "to", "", "the `address` of a running server; into the database where absent")
	f.StringVar(&secretFile, "webhook-secret-file", "", "the `file` with the webhook secret; that of the App in --dir where absent")
	return c
}
