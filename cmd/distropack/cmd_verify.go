package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/pipeline/verify"
)

type verifyFlags struct {
	clients, fingerprints, keys, expect []string
	packages                            string
	serial                              int64
	wait                                time.Duration
	jobs                                int
}

func (a *app) cmdVerify() *cobra.Command {
	o := &verifyFlags{}
	c := &cobra.Command{
		Use:   "verify URL|DIR",
		Short: "Look at a published tree as each client does, and check all of it",
		Long: `Verify fetches what apt, dnf, zypper, pacman, apk, opkg, Homebrew and people who
download fetch, from a public address or a folder, and checks every signature,
digest, size and date, the keys' ends and, over HTTP, what caches are told. It
uses nothing that DistroPack keeps for itself, so it also looks at trees that
other programs made.

With --wait it looks again and again until every client would succeed and sees
what --expect names: behind a CDN that keeps files for some minutes, a release is
done when this ends.

It exits with 1 where a client would fail, or take what it must not.`,
		Example: `  distropack verify https://ann.github.io/hello
  distropack verify dist/public --packages hashes
  distropack verify https://ann.github.io/hello --wait 15m --expect hello@1.2.0`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.verify(c.Context(), o, args[0]) },
	}
	f := c.Flags()
	f.StringSliceVar(&o.clients, "client", nil, "only these `clients`: apt, or apt:dists/stable for one place")
	f.StringVar(&o.packages, "packages", "sizes", "how packages are looked at: none, `sizes` or hashes")
	f.StringSliceVar(&o.keys, "key", nil, "a public key's `file` to trust; those in the tree where absent")
	f.StringSliceVar(&o.fingerprints, "fingerprint", nil, "trust only keys with this `fingerprint`")
	f.DurationVar(&o.wait, "wait", 0, "look again until all is well, for at most this `time`")
	f.StringSliceVar(&o.expect, "expect", nil, "with --wait: `NAME@VERSION` that clients are to see")
	f.Int64Var(&o.serial, "serial", 0, "with --wait: the tree's serial `number`, or a later one")
	f.IntVarP(&o.jobs, "jobs", "j", 0, "packages looked at at once")
	return c
}

func (a *app) verify(ctx context.Context, o *verifyFlags, place string) error {
	depth, ok := map[string]verify.Depth{"none": verify.None, "sizes": verify.Sizes, "hashes": verify.Hashes}[o.packages]
	if !ok {
		return usagef("--packages %s: none, sizes or hashes", o.packages)
	}
	vo := verify.Options{Clients: o.clients, Fingerprints: o.fingerprints, Packages: depth, Now: a.now, Jobs: o.jobs}
	for _, name := range o.keys {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("--key %s: there is no such file", name)
		}
		if err != nil {
			return err
		}
		vo.Keys = append(vo.Keys, verify.Key{Name: name[strings.LastIndexByte(name, '/')+1:], Data: b})
	}
	var until verify.Expect
	until.Serial = o.serial
	for _, e := range o.expect {
		name, version := nameVersion(e)
		if version == "" {
			return usagef("--expect %s: want NAME@VERSION", e)
		}
		until.Packages = append(until.Packages, verify.Expected{Name: name, Version: version})
	}
	if o.wait == 0 && (len(o.expect) > 0 || o.serial > 0) {
		return usagef("--expect and --serial need --wait")
	}
	if strings.HasPrefix(place, "http://") || strings.HasPrefix(place, "https://") {
		fetch, err := verify.HTTP(place, &http.Client{Timeout: 5 * time.Minute})
		if err != nil {
			return &usageError{err}
		}
		vo.Fetch = fetch
	} else {
		if st, err := os.Stat(place); err != nil || !st.IsDir() {
			return usagef("%s is neither an http address nor a folder", place)
		}
		d, err := verify.Dir(place)
		if err != nil {
			return err
		}
		defer d.Close()
		vo.Fetch = d
	}
	var rep *verify.Report
	var err error
	if o.wait > 0 {
		limited, cancel := context.WithTimeout(ctx, o.wait)
		defer cancel()
		rep, err = verify.Wait(limited, vo, until, sleep)
	} else {
		rep, err = verify.Run(ctx, vo)
	}
	if errors.Is(err, verify.ErrCall) {
		return &usageError{err}
	}
	if rep != nil {
		if e := a.show(rep, func(w io.Writer) { showVerified(w, rep) }); e != nil {
			return e
		}
	}
	if err == nil && !rep.Good() {
		err = fmt.Errorf("%s is not what clients need it to be", place)
	}
	return err
}

func showVerified(w io.Writer, rep *verify.Report) {
	rows := [][]string{{"CLIENT", "PLACE", "PACKAGES", "SIGNED", ""}}
	for _, c := range rep.Clients {
		signed, good := "no", "good"
		if c.Signed {
			signed = "yes"
		}
		if !c.Good {
			good = "WRONG"
		}
		rows = append(rows, []string{c.Client, c.Path, fmt.Sprint(c.Packages), signed, good})
	}
	table(w, rows)
	for _, f := range rep.Findings {
		fmt.Fprintln(w, f)
	}
	for _, k := range rep.Keys {
		if !k.Used {
			continue
		}
		from := ""
		if k.From != "" && !k.Pinned {
			from = ", taken from the tree itself: compare it with what you know"
		}
		fmt.Fprintf(w, "key %s (%s%s)\n", k.Fingerprint, k.Kind, from)
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
