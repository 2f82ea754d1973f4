package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/publish"
)

func (a *app) repoDelete() *cobra.Command {
	o := &repoFlags{}
	var all, yes bool
	c := &cobra.Command{
		Use:   "delete [DIR] [--site NAME] --yes",
		Short: "Delete a project's packages, or with the last of them the whole tree",
		Long: `Delete takes all packages of this project out of a tree that other projects
publish to as well; their files stay for the grace period, as with distropack repo
remove. Where there is no other project, or with --all, it deletes the tree: the
files that DistroPack wrote into the folder, the branch or the bucket's prefix, and
no others. With history: keep a branch has them in earlier commits still.

Without --yes nothing is deleted: it lists what would go. Files of GitHub releases
and formulae in a tap are not touched.`,
		Example: `  distropack repo delete --site public          list what would go
  distropack repo delete --site public --yes`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && o.site == "" {
				return usagef("name the tree: its folder, or --site NAME")
			}
			r, err := a.repository(o, strings.Join(args, ""))
			if err != nil {
				return err
			}
			v, err := publish.Read(c.Context(), r.dst, r.site.Plan.Repos, r.options.Verify)
			if err != nil {
				return err
			}
			projects, err := v.Projects(c.Context())
			if err != nil {
				return err
			}
			own := r.site.Project.Project
			others := slices.DeleteFunc(slices.Clone(projects), func(p string) bool { return p == own })
			switch {
			case len(others) == 0 || all:
				err = a.deleteTree(c, r, yes)
			case len(others) == len(projects):
				return fmt.Errorf("%s has no package of %s; it has those of other projects (%s), and --all deletes them", r.dir, own, named(others))
			default:
				r.options.DryRun, r.options.Message = !yes, "delete the packages of "+own
				err = a.publish(c, r, publish.Edit{Remove: []publish.Selection{{Project: own}}})
			}
			if err == nil && !yes {
				return usagef("nothing is deleted yet; to delete it add --yes")
			}
			return err
		},
	}
	o.add(c)
	c.Flags().BoolVar(&all, "all", false, "the packages of all projects, and the tree")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

// named lists projects; a package that was taken over from elsewhere has none.
func named(projects []string) string {
	return join(slices.Collect(func(yield func(string) bool) {
		for _, p := range projects {
			if !yield(cmp.Or(p, "unnamed")) {
				return
			}
		}
	}))
}

// deletion is what repo delete reports of a tree.
type deletion struct {
	Site    string            `json:"site"`
	Deleted bool              `json:"deleted"` // false: these would go
	Files   []publish.Holding `json:"files"`
}

// deleteTree deletes, or lists, the files of a tree and what publishes that died
// left beside it.
func (a *app) deleteTree(c *cobra.Command, r *repository, yes bool) error {
	version, files, err := publish.Holdings(c.Context(), r.dst, r.options.Verify)
	if err != nil {
		return err
	}
	if s, ok := r.dst.(publish.Sweeper); ok {
		left, err := s.Leftovers(c.Context(), 0, func(p string) bool {
			_, found := slices.BinarySearchFunc(files, p, func(h publish.Holding, p string) int { return strings.Compare(h.Path, p) })
			return found
		})
		if err != nil {
			return err
		}
		for _, p := range left.Files {
			files = append(files, publish.Holding{Path: p, Size: -1})
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("there is no tree in %s: nothing is to be deleted", r.dir)
	}
	if r.settings != "" { // which repo create wrote
		files = append(files, publish.Holding{Path: settingsFile, Size: -1})
	}
	paths := make([]string, len(files))
	for i, h := range files {
		paths[i] = h.Path
	}
	slices.Sort(paths)
	if yes {
		if err := publish.Erase(c.Context(), r.dst, version, "delete the tree", paths); err != nil {
			return err
		}
	}
	return a.show(&deletion{r.site.Plan.Name, yes, files}, func(w io.Writer) {
		if yes {
			fmt.Fprintf(w, "%s: deleted %d files in %s\n", r.site.Plan.Name, len(files), r.dir)
			return
		}
		fmt.Fprintf(w, "%s: would delete %d files in %s\n", r.site.Plan.Name, len(files), r.dir)
		var rows [][]string
		for _, h := range files {
			n := ""
			if h.Size >= 0 {
				n = size(h.Size)
			}
			rows = append(rows, []string{"  " + h.Path, n})
		}
		table(w, rows)
	})
}
