package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
)

func (a *app) cmdCheck() *cobra.Command {
	return &cobra.Command{
		Use:     "check [PACKAGE-DIR...]",
		Aliases: []string{"validate"},
		Short:   "Find all mistakes in distropack.yml at once",
		Long:    `Check reads the configuration and reports every mistake with its place and what to do. It builds nothing.`,
		Example: `  distropack check
  distropack check --json               for an editor or a CI annotation`,
		RunE: func(c *cobra.Command, dirs []string) error {
			_, err := a.line(c, &releaseFlags{}, dirs, pipeline.Check)
			var errs config.Errors
			if errors.As(err, &errs) && a.json {
				type mistake struct {
					File  string `json:"file"`
					Line  int    `json:"line"`
					Col   int    `json:"col"`
					Path  string `json:"path"`
					Error string `json:"error"`
					Hint  string `json:"hint,omitempty"`
				}
				list := []mistake{}
				for _, e := range errs {
					list = append(list, mistake{e.File, e.Line, e.Col, e.Path, e.Err.Error(), e.Hint})
				}
				if err := a.show(list, nil); err != nil {
					return err
				}
				return &usageError{fmt.Errorf("%s in %s", mistakes(errs), a.config)}
			}
			if err != nil {
				return err
			}
			return a.show([]int{}, func(w io.Writer) {
				if !a.quiet {
					fmt.Fprintf(w, "%s has no mistakes\n", a.config)
				}
			})
		},
	}
}
