package main

import (
	"cmp"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
)

func (a *app) cmdRelease() *cobra.Command {
	o := &releaseFlags{}
	c := &cobra.Command{
		Use:   "release [PACKAGE-DIR...]",
		Short: "Make the packages, sign them and publish them",
		Long: `Release takes the whole line: it reads distropack.yml, makes every package,
signs, and publishes to every site. Running it again repeats nothing that is done.

With package directories (assets/, manifest.yaml, scripts/) instead of a
distropack.yml the packages are made, not published.`,
		Example: `  distropack release                    the tag at this commit
  distropack release --version 1.2.0    without a tag
  distropack release -n                 list what would be written, publish nothing`,
		RunE: func(c *cobra.Command, dirs []string) error {
			stop := pipeline.All
			if len(dirs) > 0 {
				stop = pipeline.Package
			}
			rep, err := a.line(c, o, dirs, stop)
			if err != nil {
				return err
			}
			return a.show(rep, func(w io.Writer) { a.showRelease(w, rep, o) })
		},
	}
	o.selection(c)
	o.building(c)
	o.publishing(c)
	return c
}

func (a *app) cmdBuild() *cobra.Command {
	o := &releaseFlags{}
	c := &cobra.Command{
		Use:   "build [PACKAGE-DIR...]",
		Short: "Make the packages only",
		Long: `Build makes the packages, SHA256SUMS and artifacts.json, and publishes nothing.
Package directories (assets/, manifest.yaml, scripts/install.sh,
scripts/uninstall.sh) need no distropack.yml.`,
		Example: `  distropack build --version 1.2.0 --format deb,rpm
  distropack build ./my-package         from a package directory`,
		RunE: func(c *cobra.Command, dirs []string) error {
			rep, err := a.line(c, o, dirs, pipeline.Package)
			if err != nil {
				return err
			}
			return a.show(rep, func(w io.Writer) { showArtifacts(w, rep) })
		},
	}
	o.selection(c)
	o.building(c)
	return c
}

func (a *app) cmdPlan() *cobra.Command {
	o := &releaseFlags{}
	c := &cobra.Command{
		Use:   "plan [PACKAGE-DIR...]",
		Short: "Say what a release would make: every package and every place",
		Long: `Plan lists every package a release makes and where each repository lists it,
without building or reading anything but the configuration. For the bytes, too:
distropack release --dry-run.`,
		Example: `  distropack plan
  distropack plan --tag v1.3.0-rc.1 --json`,
		RunE: func(c *cobra.Command, dirs []string) error {
			rep, err := a.line(c, o, dirs, pipeline.Plan)
			if err != nil {
				return err
			}
			return a.show(rep.Plan, func(w io.Writer) { showPlan(w, rep.Plan) })
		},
	}
	o.selection(c)
	return c
}

func (a *app) cmdTargets() *cobra.Command {
	o := &releaseFlags{}
	c := &cobra.Command{
		Use:     "targets",
		Short:   "List what is made, for a CI matrix",
		Example: `  distropack targets --version 0.0.0 --json`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			rep, err := a.line(c, o, nil, pipeline.Plan)
			if err != nil {
				return err
			}
			return a.show(rep.Plan.Targets, func(w io.Writer) { showTargets(w, rep.Plan.Targets) })
		},
	}
	o.selection(c)
	return c
}

// line takes the line up to a step.
func (a *app) line(c *cobra.Command, o *releaseFlags, dirs []string, stop pipeline.Step) (*pipeline.Report, error) {
	p, err := a.open()
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	if o.out == "" {
		o.out = "dist"
	}
	if err := keyIsThere(o.key); err != nil {
		return nil, err
	}
	for i, d := range dirs {
		if dirs[i], err = p.inside(d); err != nil {
			return nil, err
		}
	}
	job, err := a.job(c.Context(), p, o, dirs)
	if err != nil {
		return nil, err
	}
	job.Stop = stop
	rep, err := pipeline.Run(c.Context(), a.pipelineEnv(p, o), job)
	a.warn(rep)
	return rep, err
}

func showTargets(w io.Writer, targets []plan.Target) {
	rows := [][]string{{"PACKAGE", "FORMAT", "PLATFORM", "VERSION", "FILE"}}
	for _, t := range targets {
		rows = append(rows, []string{t.Package, t.Format, t.Platform.String(), t.Version, t.Filename})
	}
	table(w, rows)
}

func showPlan(w io.Writer, p *plan.Plan) {
	fmt.Fprintf(w, "%s %s (channels: %s)\n\n", p.Project, p.Release.Version, join(p.Release.Channels))
	showTargets(w, p.Targets)
	for _, s := range p.Sites {
		fmt.Fprintf(w, "\nsite %s in %s", s.Name, cmp.Or(s.Dir, "a "+placeWords[s.Place]))
		if s.URL != "" {
			fmt.Fprintf(w, ", served at %s", s.URL)
		}
		fmt.Fprintln(w)
		rows := [][]string{{"CLIENT", "REPOSITORY", "PATH"}}
		for _, pl := range s.Placements {
			rows = append(rows, []string{pl.Client, pl.Partition, pl.Path})
		}
		table(w, rows)
		if len(s.Large) > 0 {
			fmt.Fprintf(w, "\npackages too large for it:\n")
			rows := [][]string{{"CLIENT", "FROM", "WHY"}}
			for _, d := range s.Large {
				rows = append(rows, []string{d.Client, cmp.Or(d.From, "refused"), d.Why})
			}
			table(w, rows)
		}
	}
}

// placeWords say what kinds of places are.
var placeWords = map[string]string{"git": "git branch", "bucket": "bucket"}

func join(list []string) string {
	text := ""
	for i, s := range list {
		if i > 0 {
			text += ", "
		}
		text += s
	}
	return text
}

func showArtifacts(w io.Writer, rep *pipeline.Report) {
	rows := [][]string{{"FILE", "SIZE", "SHA-256"}}
	for _, a := range rep.Artifacts {
		rows = append(rows, []string{a.Path, size(a.Size), a.SHA256.String()[:16]})
	}
	table(w, rows)
}

func (a *app) showRelease(w io.Writer, rep *pipeline.Report, o *releaseFlags) {
	if len(rep.Sites) == 0 && rep.Release == nil {
		showArtifacts(w, rep)
		return
	}
	for _, s := range rep.Skipped {
		fmt.Fprintf(w, "skipped %s\n", s)
	}
	if r := rep.Release; r != nil {
		if o.dryRun {
			fmt.Fprintf(w, "GitHub release %s: would have %d files\n", r.Tag, len(r.Uploaded))
		} else {
			fmt.Fprintf(w, "GitHub release %s: %d files uploaded, %d were there: %s\n", r.Tag, len(r.Uploaded)+len(r.Replaced), len(r.Kept), r.URL)
		}
	}
	for _, s := range rep.Sites {
		switch {
		case o.dryRun:
			fmt.Fprintf(w, "%s: would write %d files, delete %d\n", s.Site, len(s.Written), len(s.Deleted))
			var rows [][]string
			for _, f := range s.Written {
				rows = append(rows, []string{"  " + f.Path, size(f.Size)})
			}
			for _, d := range s.Deleted {
				rows = append(rows, []string{"  " + d, "deleted"})
			}
			table(w, rows)
			for _, l := range s.Added {
				fmt.Fprintf(w, "  + %s %s (%s %s)\n", l.Name, l.Version, l.Repo, l.Partition)
			}
			for _, l := range s.Removed {
				fmt.Fprintf(w, "  - %s %s (%s %s)\n", l.Name, l.Version, l.Repo, l.Partition)
			}
		case !s.Changed:
			fmt.Fprintf(w, "%s: nothing to do, %s has all of it\n", s.Site, s.Place)
		default:
			fmt.Fprintf(w, "%s: %d packages listed, %d taken out, in %s (serial %d)\n", s.Site, len(s.Added), len(s.Removed), s.Place, s.Serial)
			for _, name := range s.Large {
				fmt.Fprintf(w, "  too large for it: %s, fetched from the GitHub release\n", name)
			}
			if s.Tap == "changed" {
				fmt.Fprintf(w, "  formula put into the tap\n")
			}
			if s.URL != "" {
				fmt.Fprintf(w, "  install page: %s/\n", s.URL)
			}
		}
	}
}
