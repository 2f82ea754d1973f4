package opkg

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden is a txtar file (golang.org/x/tools/txtar) of a comment and named texts.
type golden struct {
	path    string
	comment string
	names   []string
	texts   map[string]string
}

func readGolden(t *testing.T, path string) *golden {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g := &golden{path: path, texts: make(map[string]string)}
	name := ""
	for line := range strings.Lines(string(b)) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			name = strings.TrimSuffix(n, " --\n")
			g.names = append(g.names, name)
			g.texts[name] = ""
			continue
		}
		if name == "" {
			g.comment += line
		} else {
			g.texts[name] += line
		}
	}
	return g
}

// check compares got with the text of name, or makes it that text under -update.
func (g *golden) check(t *testing.T, name, got string) {
	t.Helper()
	want, ok := g.texts[name]
	if ok && got == want {
		return
	}
	if !*update {
		t.Errorf("%s: %s is\n%s\nwant\n%s", g.path, name, got, want)
		return
	}
	if !ok {
		g.names = append(g.names, name)
	}
	g.texts[name] = got
	var b bytes.Buffer
	b.WriteString(g.comment)
	for _, n := range g.names {
		b.WriteString("-- " + n + " --\n" + g.texts[n])
	}
	if err := os.WriteFile(g.path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
