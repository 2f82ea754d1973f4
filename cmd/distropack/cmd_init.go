package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distropack/distropack/pipeline/scaffold"
)

func (a *app) cmdInit() *cobra.Command {
	var force, dry bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a distropack.yml for this project",
		Long: `Init reads the project's own manifest (go.mod, Cargo.toml, package.json,
pyproject.toml, CMakeLists.txt, Gemfile, shard.yml, tauri.conf.json, Makefile,
.goreleaser.yml) and writes a distropack.yml that passes distropack check.`,
		Example: `  distropack init
  distropack init --dry-run             print it, write nothing`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			defer p.root.Close()
			found, err := scaffold.Detect(p.root.FS())
			if err != nil {
				return err
			}
			git := func(args ...string) string {
				out, err := exec.CommandContext(c.Context(), "git", append([]string{"-C", p.dir}, args...)...).Output()
				if err != nil {
					return "" // not a repository, or nothing set: init does without
				}
				return strings.TrimSpace(string(out))
			}
			text := scaffold.Render(found, scaffold.Options{
				GitName: git("config", "user.name"), GitEmail: git("config", "user.email"), Remote: git("remote", "get-url", "origin"), Folder: filepath.Base(p.dir),
			})
			name := filepath.ToSlash(filepath.Clean(a.config))
			if dry {
				return a.show(map[string]string{"file": name, "type": found.Type, "text": string(text)}, func(w io.Writer) { w.Write(text) })
			}
			flag := os.O_CREATE | os.O_WRONLY | os.O_EXCL
			if force {
				flag = os.O_CREATE | os.O_WRONLY | os.O_TRUNC
			}
			f, err := p.root.OpenFile(name, flag, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return usagef("%s is there already: --force replaces it, --dry-run shows what would be written", name)
			}
			if err != nil {
				return err
			}
			_, err = f.Write(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			kind := found.Type
			if kind == "" {
				kind = "unknown"
			}
			return a.show(map[string]string{"file": name, "type": kind}, func(w io.Writer) {
				fmt.Fprintf(w, "wrote %s (project type: %s)\nnext: distropack check, distropack plan --version 0.1.0, distropack keys new\n", name, kind)
			})
		},
	}
	c.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	c.Flags().BoolVarP(&dry, "dry-run", "n", false, "print the file, write nothing")
	return c
}
