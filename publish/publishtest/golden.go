package publishtest

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

// Update says that golden files are to be rewritten: go test -update.
var Update = flag.Bool("update", false, "rewrite the golden files in testdata")

// Golden is a txtar file: a comment, then texts after "-- name --" lines.
type Golden struct {
	Texts map[string]string

	path    string
	comment string
	names   []string
}

// ReadGolden reads a golden file; where it is to be rewritten it need not exist.
func ReadGolden(t *testing.T, path string) *Golden {
	t.Helper()
	g := &Golden{path: path, Texts: make(map[string]string)}
	b, err := os.ReadFile(path)
	if err != nil {
		if *Update && os.IsNotExist(err) {
			return g
		}
		t.Fatal(err)
	}
	name := ""
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			name = strings.TrimSuffix(n, " --\n")
			g.names = append(g.names, name)
			g.Texts[name] = ""
			continue
		}
		if name == "" {
			g.comment += line
		} else {
			g.Texts[name] += line
		}
	}
	return g
}

// Check compares got with the text of name, or makes it that text under -update.
func (g *Golden) Check(t *testing.T, name, got string) {
	t.Helper()
	want, ok := g.Texts[name]
	if ok && got == want {
		return
	}
	if !*Update {
		t.Errorf("%s: %s is\n%s\nwant\n%s", g.path, name, got, want)
		return
	}
	if !ok {
		g.names = append(g.names, name)
	}
	g.Texts[name] = got
	g.write(t)
}

func (g *Golden) write(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString(g.comment)
	for _, n := range g.names {
		b.WriteString("-- " + n + " --\n" + g.Texts[n])
	}
	if err := os.MkdirAll(filepath.Dir(g.path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Cases runs render on each golden file of testdata that matches pattern, and
// compares what it returns, by name, with the texts called want/<name>: all of
// them, and no others.
func Cases(t *testing.T, pattern string, render func(t *testing.T, in map[string][]byte) map[string][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/" + pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no case %s (%v)", pattern, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			g := ReadGolden(t, file)
			in := make(map[string][]byte)
			for n, text := range g.Texts {
				in[n] = []byte(text)
			}
			got := render(t, in)
			wanted := func(n string) bool { return strings.HasPrefix(n, "want/") }
			for _, n := range g.names {
				if rest, ok := strings.CutPrefix(n, "want/"); ok && got[rest] == nil && !*Update {
					t.Errorf("%s is not made", rest)
				}
			}
			if *Update {
				g.names = slices.DeleteFunc(g.names, wanted)
				maps.DeleteFunc(g.Texts, func(n, _ string) bool { return wanted(n) })
				g.write(t)
			}
			for _, n := range slices.Sorted(maps.Keys(got)) {
				g.Check(t, "want/"+n, string(got[n]))
			}
		})
	}
}
