package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sayers are the functions whose literals people read: errors, hints, warnings.
var sayers = []string{"Errorf", "New", "usagef", "fail", "add", "warn", "say", "Say"}

var formatVerb = regexp.MustCompile(`%[-+# 0-9.*\[\]]*[a-zA-Z%]|\n`)

// Every text of an error stands in a test: a Go test's literals, a script or a
// golden file. What nobody provoked may say anything.
func TestEveryErrorTextStandsInATest(t *testing.T) {
	var texts []said
	var tests strings.Builder
	err := filepath.WalkDir(filepath.Join("..", ".."), func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		switch {
		case d.IsDir() && (base == ".git" || base == "fuzz"):
			return fs.SkipDir
		case d.IsDir() && base == "app" && filepath.Base(filepath.Dir(name)) == "..":
			return fs.SkipDir // its texts join when the App is whole
		case d.IsDir():
		case strings.Contains(filepath.ToSlash(name), "/testdata/"):
			b, err := os.ReadFile(name)
			tests.WriteString(strings.ReplaceAll(string(b), `\`, "") + "\n") // a script's patterns escape
			return err
		case strings.HasSuffix(base, "_test.go"), strings.HasSuffix(base, ".go") && strings.HasSuffix(filepath.Base(filepath.Dir(name)), "test"):
			tests.WriteString(parse(t, name).literals)
		case strings.HasSuffix(base, ".go"):
			texts = append(texts, parse(t, name).texts...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range texts {
		if !quoted(tests.String(), x.text) {
			t.Errorf("%s: no test has %q", x.at, x.text)
		}
	}
	if len(texts) < 800 {
		t.Errorf("found only %d texts", len(texts))
	}
}

// quoted says whether tests have the longest part of a text between its verbs,
// or three words of it in a row.
func quoted(tests, text string) bool {
	if strings.Contains(tests, text) {
		return true
	}
	words := strings.Fields(text)
	for i := 0; i+3 <= len(words); i++ {
		if run := strings.Join(words[i:i+3], " "); len(run) >= 12 && strings.Contains(tests, run) {
			return true
		}
	}
	return false
}

type (
	said   struct{ at, text string }
	parsed struct {
		texts    []said
		literals string // all of them, a line each
	}
)

// parse reads a Go file.
func parse(t *testing.T, name string) (p parsed) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			p.literals += literal(n) + "\n"
		case *ast.CallExpr:
			if !slices.Contains(sayers, called(n)) {
				break
			}
			for _, arg := range n.Args {
				part := slices.MaxFunc(formatVerb.Split(literal(arg), -1), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
				part = strings.Trim(part, ` :;,."'()`)
				if len(part) >= 12 && strings.Count(part, " ") >= 2 {
					p.texts = append(p.texts, said{set.Position(arg.Pos()).String(), part})
				}
			}
		}
		return true
	})
	return p
}

// called is the last part of a called function's name.
func called(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// literal is the text of a literal, or of literals joined by +.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, _ := strconv.Unquote(e.Value)
			return s
		}
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return literal(e.X) + literal(e.Y)
		}
	}
	return ""
}
