package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

func (a *app) cmdRepo() *cobra.Command {
	c := &cobra.Command{
		Use:   "repo",
		Short: "Look after a published tree: add, remove, promote, roll back, check",
		Long: `Repo works on a tree in a folder, with the packages that are there and without a
release. The tree is described by a site of the distropack.yml here whose folder it
is, or by what distropack repo create was told.`,
	}
	c.AddCommand(a.repoCreate(), a.repoAdd(), a.repoList(), a.repoRemove(), a.repoPromote(), a.repoRollback(), a.repoCheck(), a.repoAdopt(), a.repoGC(), a.repoSign(), a.repoDelete())
	return c
}

var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (a *app) repoCreate() *cobra.Command {
	o := &repoFlags{}
	var s settings
	c := &cobra.Command{
		Use:     "create DIR",
		Short:   "Make an empty tree that needs no distropack.yml",
		Example: `  distropack repo create /srv/packages --name acme --url https://packages.acme.example --key acme.key`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !shortName.MatchString(s.Name) {
				return usagef("--name %q: lower-case letters, digits and - only; files on people's machines are called so", s.Name)
			}
			if s.URL != "" && !strings.HasPrefix(s.URL, "https://") && !strings.HasPrefix(s.URL, "http://") {
				return usagef("--url %q: want http:// or https://", s.URL)
			}
			s.URL = strings.TrimRight(s.URL, "/")
			if len(s.Channels) == 0 {
				return usagef("--channels is empty: name one at least, such as stable")
			}
			for _, name := range s.Channels {
				if !shortName.MatchString(name) {
					return usagef("--channels: %q: lower-case letters, digits and - only; addresses are called so", name)
				}
			}
			name := filepath.Join(args[0], settingsFile)
			for _, sign := range []string{name, filepath.Join(args[0], publish.StatePath)} {
				if _, err := os.Stat(sign); err == nil {
					return usagef("%s is a tree already", args[0])
				}
			}
			if _, _, err := s.project(); err != nil {
				return err
			}
			b, err := json.MarshalIndent(&s, "", "  ")
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(name, append(b, '\n'), 0o644); err != nil {
				return err
			}
			r, err := a.repository(o, args[0])
			if err != nil {
				return errors.Join(err, os.Remove(name))
			}
			return a.publish(c, r, publish.Edit{})
		},
	}
	o.add(c)
	f := c.Flags()
	f.StringVar(&s.Name, "name", "", "a short `name`, required")
	f.StringVar(&s.Title, "title", "", "the heading of the install page")
	f.StringVar(&s.Description, "description", "", "what is in it")
	f.StringVar(&s.URL, "url", "", "where the tree will be served; without it there is no install page")
	f.StringSliceVar(&s.Channels, "channels", []string{"stable"}, "the channels, the usual one first")
	f.StringSliceVar(&s.Platforms, "platforms", []string{"linux/amd64", "linux/arm64"}, "the platforms")
	f.StringSliceVar(&s.Clients, "clients", nil, "the clients; all where absent")
	c.MarkFlagRequired("name")
	return c
}

func (a *app) repoAdd() *cobra.Command {
	o := &repoFlags{}
	var channels []string
	var rf releaseFlags
	c := &cobra.Command{
		Use:     "add DIR PACKAGE...",
		Short:   "Add package files, or folders of them: all, or, if one is bad, none",
		Example: `  distropack repo add /srv/packages build/*.deb build/*.rpm`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			r.options.AllowOlder, r.options.Replace, r.options.DryRun = rf.allowOlder, rf.replace, rf.dryRun
			channels, err := r.channels(channels)
			if err != nil {
				return err
			}
			packages, err := r.intake(c, args[1:])
			if err != nil {
				return err
			}
			var e publish.Edit
			for _, p := range packages {
				e.Add = append(e.Add, publish.Addition{Package: p, Channels: channels})
			}
			r.options.Message = fmt.Sprintf("add %d packages", len(packages))
			return a.publish(c, r, e)
		},
	}
	o.add(c)
	rf.publishing(c)
	c.Flags().StringSliceVar(&channels, "channel", nil, "the `channels`; the first one where absent")
	return c
}

// intake reads package files; what pacman wants signed is signed.
func (r *repository) intake(c *cobra.Command, names []string) ([]publish.Package, error) {
	var sign formats.Signer
	if r.site.Keys != nil {
		var err error
		if sign, err = r.site.Keys.Signer(plan.PackageKey, formats.OpenPGP); err != nil {
			return nil, err
		}
	}
	packages, err := pipeline.Intake(c.Context(), formatsall.Kinds(), names, sign)
	for i := range packages {
		packages[i].Project = r.site.Project.Project
	}
	return packages, err
}

func (r *repository) channels(names []string) ([]string, error) {
	if len(names) == 0 {
		return r.site.Plan.Channels[:1], nil
	}
	for _, n := range names {
		if !slices.Contains(r.site.Plan.Channels, n) {
			return nil, usagef("there is no channel %q; there are: %s", n, join(r.site.Plan.Channels))
		}
	}
	return names, nil
}

func (a *app) repoList() *cobra.Command {
	o := &repoFlags{}
	c := &cobra.Command{
		Use:     "list DIR [NAME]",
		Short:   "List what is published",
		Example: `  distropack repo list dist/public hello`,
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			o.unsignedIfNoKey(a)
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			v, err := publish.Read(c.Context(), r.dst, r.site.Plan.Repos, r.options.Verify)
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 1 {
				name = args[1]
			}
			list := []publish.Listed{}
			err = v.Each(c.Context(), name, func(repo, part string, rec *publish.Record) error {
				list = append(list, publish.Listed{Repo: repo, Partition: part, Name: rec.Meta.Name, Version: rec.Meta.Version, Path: rec.Path, Size: rec.Ref.Size})
				return nil
			})
			if err != nil {
				return err
			}
			return a.show(list, func(w io.Writer) {
				rows := [][]string{{"CLIENT", "REPOSITORY", "NAME", "VERSION", "SIZE", "PATH"}}
				for _, l := range list {
					rows = append(rows, []string{l.Repo, l.Partition, l.Name, l.Version, size(l.Size), l.Path})
				}
				table(w, rows)
			})
		},
	}
	o.add(c)
	return c
}

// unsignedIfNoKey lets a command that writes nothing do without a key: the tree's
// signature is then not checked.
func (o *repoFlags) unsignedIfNoKey(a *app) {
	if o.key == "" && a.env("DISTROPACK_KEY") == "" {
		o.unsigned = true
	}
}

func (a *app) repoRemove() *cobra.Command {
	o := &repoFlags{}
	var channel, client string
	var dry bool
	c := &cobra.Command{
		Use:     "remove DIR NAME[@VERSION]...",
		Aliases: []string{"rm", "withdraw"},
		Short:   "Take packages out; their files stay for the grace period",
		Example: `  distropack repo remove dist/public hello@1.2.0`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			var e publish.Edit
			for _, arg := range args[1:] {
				name, version := nameVersion(arg)
				e.Remove = append(e.Remove, publish.Selection{Repo: client, Channel: channel, Name: name, Version: version})
			}
			r.options.DryRun, r.options.Message = dry, "remove "+strings.Join(args[1:], " ")
			return a.publish(c, r, e)
		},
	}
	o.add(c)
	c.Flags().StringVar(&channel, "channel", "", "only from this `channel`")
	c.Flags().StringVar(&client, "client", "", "only for this `client`")
	c.Flags().BoolVarP(&dry, "dry-run", "n", false, "change nothing, list what would be written")
	return c
}

func (a *app) repoPromote() *cobra.Command {
	o := &repoFlags{}
	var from, to string
	var rf releaseFlags
	c := &cobra.Command{
		Use:     "promote DIR NAME[@VERSION]... --from CHANNEL --to CHANNEL",
		Short:   "List packages of one channel in another, without building or copying them",
		Example: `  distropack repo promote dist/public hello@1.3.0-rc.2 --from beta --to stable`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			if _, err := r.channels([]string{from, to}); err != nil {
				return err
			}
			if from == to {
				return usagef("--from and --to are both %s", from)
			}
			var e publish.Edit
			for _, arg := range args[1:] {
				name, version := nameVersion(arg)
				e.Promote = append(e.Promote, publish.Promotion{Selection: publish.Selection{Channel: from, Name: name, Version: version}, To: to})
			}
			r.options.AllowOlder, r.options.DryRun = rf.allowOlder, rf.dryRun
			r.options.Message = "promote " + strings.Join(args[1:], " ") + " to " + to
			return a.publish(c, r, e)
		},
	}
	o.add(c)
	rf.publishing(c)
	c.Flags().StringVar(&from, "from", "", "the `channel` that has them, required")
	c.Flags().StringVar(&to, "to", "", "the `channel` that gets them, required")
	c.MarkFlagRequired("from")
	c.MarkFlagRequired("to")
	return c
}

func (a *app) repoRollback() *cobra.Command {
	o := &repoFlags{}
	var channel string
	var dry bool
	c := &cobra.Command{
		Use:   "rollback DIR NAME",
		Short: "Withdraw the newest version of a package: the one before is the newest again",
		Long: `Rollback takes the newest version out of every repository of the channel. New
installations get the version before. Clients that have the withdrawn version keep
it until a newer one comes: no package manager goes back by itself.`,
		Example: `  distropack repo rollback dist/public hello`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			v, err := publish.Read(c.Context(), r.dst, r.site.Plan.Repos, r.options.Verify)
			if err != nil {
				return err
			}
			newest, versions := "", map[string]bool{}
			err = v.Each(c.Context(), args[1], func(repo, part string, rec *publish.Record) error {
				version := rec.Version
				if version == "" {
					version = rec.Meta.Version
				}
				versions[version] = true
				if newest == "" || formats.CompareVersions(newest, version) < 0 {
					newest = version
				}
				return nil
			})
			if err != nil {
				return err
			}
			switch len(versions) {
			case 0:
				return fmt.Errorf("no package %s is published: see what is with: distropack repo list %s", args[1], args[0])
			case 1:
				return fmt.Errorf("%s has one version, %s: there is none to go back to; to withdraw it all the same: distropack repo remove", args[1], newest)
			}
			r.options.DryRun, r.options.Message = dry, "roll back "+args[1]+" "+newest
			return a.publish(c, r, publish.Edit{Remove: []publish.Selection{{Channel: channel, Name: args[1], Version: newest}}})
		},
	}
	o.add(c)
	c.Flags().StringVar(&channel, "channel", "", "only in this `channel`")
	c.Flags().BoolVarP(&dry, "dry-run", "n", false, "change nothing, list what would be written")
	return c
}

func (a *app) repoCheck() *cobra.Command {
	o := &repoFlags{}
	var deep bool
	c := &cobra.Command{
		Use:     "check DIR",
		Short:   "Derive everything in a tree again and compare",
		Example: `  distropack repo check dist/public --deep`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			if err := publish.Check(c.Context(), r.dst, r.site.Plan.Repos, r.options.Verify, publish.CheckOptions{Deep: deep}); err != nil {
				return err
			}
			return a.show(map[string]bool{"ok": true}, func(w io.Writer) { fmt.Fprintf(w, "%s is what its records say\n", args[0]) })
		},
	}
	o.add(c)
	c.Flags().BoolVar(&deep, "deep", false, "read every package, too")
	return c
}

func (a *app) repoAdopt() *cobra.Command {
	o := &repoFlags{}
	var channels []string
	c := &cobra.Command{
		Use:   "adopt DIR",
		Short: "Take over a tree that another tool made",
		Long: `Adopt describes every package found in the tree and writes indexes and state for
them. Packages of a pool/ stay where they are; others are linked to where their
client looks for them. Nothing is deleted.`,
		Example: `  distropack repo adopt /srv/debian --key acme.key`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			head, err := r.dst.Head(c.Context())
			if err != nil {
				return err
			}
			if head != "" {
				v, err := publish.Read(c.Context(), r.dst, r.site.Plan.Repos, r.options.Verify)
				if err != nil {
					return err
				}
				if v.Count() > 0 {
					return usagef("%s is DistroPack's already: packages are added with distropack repo add", args[0])
				}
			}
			channels, err := r.channels(channels)
			if err != nil {
				return err
			}
			packages, err := r.intake(c, args[:1])
			if err != nil {
				return err
			}
			var e publish.Edit
			root, err := filepath.EvalSymlinks(args[0])
			if err != nil {
				return err
			}
			for _, p := range packages {
				add := publish.Addition{Package: p, Channels: channels}
				if at, ok := p.Blob.(interface{ Path() string }); ok && p.Meta.Format == "deb" {
					if full, err := filepath.EvalSymlinks(at.Path()); err == nil {
						if rel, err := filepath.Rel(root, full); err == nil && fs.ValidPath(filepath.ToSlash(rel)) {
							add.Path = filepath.ToSlash(rel)
						}
					}
				}
				e.Add = append(e.Add, add)
			}
			r.options.AllowOlder, r.options.Message = true, fmt.Sprintf("adopt %d packages", len(packages))
			return a.publish(c, r, e)
		},
	}
	o.add(c)
	c.Flags().StringSliceVar(&channels, "channel", nil, "the `channels`; the first one where absent")
	return c
}

func (a *app) repoGC() *cobra.Command {
	o := &repoFlags{}
	var dry bool
	c := &cobra.Command{
		Use:   "gc DIR",
		Short: "Delete files that nothing names any more and whose grace is over",
		Long: `Gc deletes what publishes leave for later: retired files whose grace is over. In a
bucket it also looks for what publishes left that died or lost a race: files that no
index names, and uploads that nobody went on with, older than keep.grace by the
store's clock. Files that DistroPack did not write are never deleted.

A tree in a bucket or a branch is named by its site.`,
		Example: `  distropack repo gc dist/public --dry-run`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			r.options.DryRun, r.options.Message = dry, "collect retired files"
			return a.publish(c, r, publish.Edit{Collect: true})
		},
	}
	o.add(c)
	c.Flags().BoolVarP(&dry, "dry-run", "n", false, "delete nothing, list what would go")
	return c
}

func (a *app) repoSign() *cobra.Command {
	o := &repoFlags{}
	c := &cobra.Command{
		Use:   "sign DIR",
		Short: "Sign every index again, with a new date",
		Long:  `Sign renews Valid-Until, and puts the signatures of a new key in place after a rotation.`,
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := a.repository(o, args[0])
			if err != nil {
				return err
			}
			r.options.Message = "sign again"
			return a.publish(c, r, publish.Edit{Refresh: true})
		},
	}
	o.add(c)
	return c
}
