package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline/config"
	destall "github.com/distropack/distropack/publish/dest/all"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

func (a *app) cmdSchema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of distropack.yml",
		Example: `  distropack schema > distropack.schema.json`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := config.Schema(known())
			if err != nil {
				return err
			}
			_, err = a.out.Write(b)
			return err
		},
	}
}

// known is what a configuration may name.
func known() config.Options {
	return config.Options{Formats: formatsall.Kinds(), Clients: repoall.Kinds(), Places: destall.Kinds()}
}

// cmdDocs writes what is generated: docs/config.md and the manual pages.
func (a *app) cmdDocs() *cobra.Command {
	return &cobra.Command{
		Use:    "docs FOLDER",
		Short:  "Write config.md, distropack.schema.json and manual pages into a folder",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := config.Markdown(known())
			if err != nil {
				return err
			}
			schema, err := config.Schema(known())
			if err != nil {
				return err
			}
			man := filepath.Join(args[0], "man")
			if err := os.MkdirAll(man, 0o755); err != nil {
				return err
			}
			for name, b := range map[string][]byte{"config.md": text, "distropack.schema.json": schema} {
				if err := os.WriteFile(filepath.Join(args[0], name), b, 0o644); err != nil {
					return err
				}
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "DISTROPACK", Section: "1", Source: "DistroPack", Manual: "DistroPack Manual", Date: &manDate}, man)
		},
	}
}
