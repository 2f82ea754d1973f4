package pacman

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the wanted parts of testdata/*.txtar")

// parseTxtar reads a comment and files after "-- name --" lines, as txtar has them.
func parseTxtar(b []byte) (comment []byte, names []string, files map[string][]byte) {
	files = make(map[string][]byte)
	name := ""
	for line := range bytes.Lines(b) {
		if n, ok := bytes.CutPrefix(line, []byte("-- ")); ok {
			if n, ok := bytes.CutSuffix(n, []byte(" --\n")); ok {
				name = string(n)
				names, files[name] = append(names, name), nil
				continue
			}
		}
		if name == "" {
			comment = append(comment, line...)
			continue
		}
		files[name] = append(files[name], line...)
	}
	return comment, names, files
}

// golden compares what a case makes with the files under want/ of its archive.
func golden(t *testing.T, pattern string, render func(t *testing.T, in map[string][]byte) map[string][]byte) {
	t.Helper()
	cases, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(cases) == 0 {
		t.Fatalf("no case %s (%v)", pattern, err)
	}
	for _, c := range cases {
		t.Run(filepath.Base(c), func(t *testing.T) {
			archive, err := os.ReadFile(c)
			if err != nil {
				t.Fatal(err)
			}
			out, names, files := parseTxtar(archive)
			got := render(t, files)
			if *update {
				for _, n := range names {
					if !strings.HasPrefix(n, "want/") {
						out = append(append(out, "-- "+n+" --\n"...), files[n]...)
					}
				}
				for _, n := range slices.Sorted(maps.Keys(got)) {
					out = append(append(out, "-- want/"+n+" --\n"...), got[n]...)
				}
				if err := os.WriteFile(c, out, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			for _, n := range names {
				if rest, ok := strings.CutPrefix(n, "want/"); ok && got[rest] == nil {
					t.Errorf("%s is not made", rest)
				}
			}
			for n, b := range got {
				if want := files["want/"+n]; !bytes.Equal(b, want) {
					t.Errorf("%s:\n--- got\n%s--- want\n%s", n, b, want)
				}
			}
		})
	}
}
