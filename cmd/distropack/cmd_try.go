package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/testdata/sample"
)

func (a *app) cmdTry() *cobra.Command {
	var addr, out, version string
	var noServe bool
	c := &cobra.Command{
		Use:   "try",
		Short: "Release the project here, or the sample, with a throwaway key, and serve it",
		Long: `Try takes the whole line without asking for anything: the project in this folder,
or, where there is none, a sample; a key that is thrown away; every format; every
repository; the install page. Nothing leaves this machine, nothing is written into
the project.`,
		Example: `  distropack try
  distropack try --no-serve -o /tmp/tried`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				d, err := os.MkdirTemp("", "distropack-try-")
				if err != nil {
					return err
				}
				out = d
				if !noServe {
					defer os.RemoveAll(d)
				}
			}
			out, err := filepath.Abs(out)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return err
			}
			isSample := false
			if _, err := os.Stat(filepath.Join(a.dir, a.config)); errors.Is(err, fs.ErrNotExist) {
				isSample = true
				a.dir, a.config = filepath.Join(out, "sample"), "distropack.yml"
				if err := os.MkdirAll(a.dir, 0o755); err != nil {
					return err
				}
				if err := sample.Write(a.dir); err != nil {
					return err
				}
			}
			p, err := a.open()
			if err != nil {
				return err
			}
			defer p.root.Close()
			l, err := net.Listen("tcp", addr)
			if err != nil { // taken: any will do
				if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
					return err
				}
			}
			defer l.Close()
			url := "http://" + l.Addr().String()
			o := &releaseFlags{out: filepath.Join(out, "packages"), version: version}
			job, err := a.job(c.Context(), p, o, nil)
			if err != nil {
				return err
			}
			if isSample {
				job.Release = pipeline.Release{Tag: "v1.0.0", Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
			} else if job.Release.Tag == "" && version == "" {
				job.Release.Version = "0.1.0"
			}
			tree := filepath.Join(out, "tree")
			job.SiteURL, job.SiteDir = url, tree
			key, err := keys.New("DistroPack trial", "trial@localhost", a.now.Add(-time.Hour), nil, keys.NewOptions{Bits: 3072})
			if err != nil {
				return err
			}
			env := a.pipelineEnv(p, o)
			env.Key = key.Bundle()
			start := time.Now()
			rep, err := pipeline.Run(c.Context(), env, job)
			if err != nil {
				return err
			}
			err = a.show(rep, func(w io.Writer) {
				showArtifacts(w, rep)
				fmt.Fprintf(w, "\n%d packages in every format, signed and indexed for %d clients, in %.1f s\n", len(rep.Plan.Targets), len(rep.Plan.Sites[0].Clients), time.Since(start).Seconds())
				fmt.Fprintf(w, "tree: %s\n", tree)
			})
			if err != nil || noServe {
				return err
			}
			fmt.Fprintf(a.err, "\nthe install page is at %s/\nfrom another shell:  curl -fsSL %s/install.sh | sh\nend with Ctrl-C; nothing of it stays\n", url, url)
			return serve(c.Context(), l, tree)
		},
	}
	f := c.Flags()
	f.StringVarP(&addr, "listen", "l", "127.0.0.1:8008", "the `address`; another port where it is taken")
	f.StringVarP(&out, "output", "o", "", "the `folder` for everything; a temporary one where absent")
	f.StringVar(&version, "version", "", "the `version`; the tag's, or 0.1.0, where absent")
	f.BoolVar(&noServe, "no-serve", false, "stop when the tree is made")
	return c
}
