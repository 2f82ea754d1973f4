// Package sample is the project that distropack try releases and that the tests
// take through every client: a program with a man page, a configuration file, a
// systemd unit, shell completions and a script, built for two CPUs.
package sample

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

//go:embed all:hello
var files embed.FS

// Write writes the project into dir, which must exist. The file go.mod.txt
// becomes go.mod: under its own name it could not be embedded.
func Write(dir string) error {
	return fs.WalkDir(files, "hello", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(strings.TrimSuffix(strings.TrimPrefix(name, "hello"), ".txt")))
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		return os.WriteFile(to, b, mode)
	})
}
