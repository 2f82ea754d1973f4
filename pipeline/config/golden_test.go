package config_test

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/publish"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type debOptions struct {
	Compression string            `yaml:"compression" enum:"xz,zstd,gzip" doc:"How the payload is compressed; xz where absent."`
	Fields      map[string]string `yaml:"fields" doc:"Further fields of the control file."`
	Level       int               `yaml:"level" doc:"The level of the compressor."`
}

type gitOptions struct {
	Branch string `yaml:"branch" doc:"The branch."`
}

type aptOptions struct {
	Components []string      `yaml:"components" doc:"The components; main where absent."`
	ValidUntil time.Duration `yaml:"valid-until" doc:"How long an index stays valid; for ever where absent."`
}

// options know formats and clients of these tests only: the package must not know
// the real ones.
func options(env map[string]string) config.Options {
	o := config.Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
	for _, name := range []string{"deb", "rpm", "arch", "apk", "ipk", "tar.gz", "zip"} {
		k := formats.Kind{Name: name}
		if name == "deb" {
			k.Options = (*debOptions)(nil)
		}
		o.Formats = append(o.Formats, k)
	}
	for _, name := range []string{"apt", "dnf", "pacman", "apk"} {
		k := publish.RepoKind{Name: name}
		if name == "apt" {
			k.Options = &aptOptions{}
		}
		o.Clients = append(o.Clients, k)
	}
	o.Places = []publish.DestinationKind{{Name: "git", Options: &gitOptions{}}}
	return o
}

func envOf(data []byte) map[string]string {
	env := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			env[k] = strings.ReplaceAll(v, `\n`, "\n")
		}
	}
	return env
}

// TestErrorsReadAsWritten compares every error of a file with what the case
// wants. A case has distropack.yml or manifest.yaml, env and want.
func TestErrorsReadAsWritten(t *testing.T) {
	names, err := filepath.Glob("testdata/errors/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			file, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			ar := parseArchive(file)
			var env map[string]string
			var got, want []byte
			wantAt := -1
			for i, f := range ar.files {
				switch f.name {
				case "env":
					env = envOf(f.data)
				case "want":
					want, wantAt = f.data, i
				}
			}
			for _, f := range ar.files {
				var err error
				switch f.name {
				case "distropack.yml":
					_, err = config.Parse(f.name, f.data, options(env))
				case "manifest.yaml":
					_, err = config.ParseManifest(f.name, f.data)
				default:
					continue
				}
				if err == nil {
					t.Fatalf("%s was accepted", f.name)
				}
				var errs config.Errors
				if !errors.As(err, &errs) {
					t.Fatalf("%T, want config.Errors", err)
				}
				got = append([]byte(err.Error()), '\n')
			}
			for k, v := range env {
				if len(v) > 3 && bytes.Contains(got, []byte(v)) {
					t.Errorf("the error tells the value of %s: %s", k, got)
				}
			}
			if *update {
				if wantAt < 0 {
					ar.files = append(ar.files, archived{name: "want"})
					wantAt = len(ar.files) - 1
				}
				ar.files[wantAt].data = got
				if err := os.WriteFile(name, ar.format(), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// TestExamplesParse keeps the good examples good.
func TestExamplesParse(t *testing.T) {
	for name, data := range examples(t) {
		if _, err := config.Parse(name, data, options(exampleEnv)); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
	}
}

var exampleEnv = map[string]string{"DISTROPACK_KEY": "-----BEGIN PGP PRIVATE KEY BLOCK-----\nx", "WHO": "Jane Doe <jane@example.org>", "N": "3"}

func examples(t *testing.T) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	dir := os.DirFS("testdata/good")
	names, err := fs.Glob(dir, "*.yml")
	if err != nil || len(names) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = data
	}
	return all
}
