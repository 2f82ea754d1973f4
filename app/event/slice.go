//go:build ignore

// Slice packs what the tests compare with: GitHub's example payloads, each once, and
// from its description of webhooks which fields the payloads of an event have.
//
//	npm pack @octokit/webhooks-examples @octokit/openapi-webhooks
//	for f in octokit-*.tgz; do mkdir ${f%-*}; tar xf $f -C ${f%-*}; done
//	go run slice.go octokit-webhooks-examples/package octokit-openapi-webhooks/package testdata
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: slice EXAMPLES DESCRIPTION OUT")
	}
	save(filepath.Join(os.Args[3], "examples.gz"), examples(os.Args[1]))
	save(filepath.Join(os.Args[3], "fields.gz"), fields(filepath.Join(os.Args[2], "generated", "api.github.com.json")))
}

// examples is a line per payload: event, where it is from, JSON.
func examples(dir string) []byte {
	names, err := filepath.Glob(filepath.Join(dir, "*", "index.json"))
	check(err)
	seen := map[string]bool{}
	var lines []string
	for _, name := range names {
		var events []struct {
			Name     string
			Examples []json.RawMessage
		}
		read(name, &events)
		for _, e := range events {
			for _, x := range e.Examples {
				var b bytes.Buffer
				check(json.Compact(&b, x))
				if key := e.Name + b.String(); !seen[key] {
					seen[key] = true
					lines = append(lines, fmt.Sprintf("%s %s %s\n", e.Name, filepath.Base(filepath.Dir(name)), b.String()))
				}
			}
		}
	}
	slices.SortStableFunc(lines, func(a, b string) int {
		x, _, _ := strings.Cut(a, " ")
		y, _, _ := strings.Cut(b, " ")
		return strings.Compare(x, y)
	})
	return []byte(strings.Join(lines, ""))
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]*schema
	Items      *schema
	Enum       []any
	OneOf      []*schema `json:"oneOf"`
	AnyOf      []*schema `json:"anyOf"`
	AllOf      []*schema `json:"allOf"`
}

// fields is a line per event and action, and then one per field down to the fifth
// level, "path type,type"; a list's elements are called "[]".
func fields(name string) []byte {
	var d struct {
		Webhooks map[string]struct {
			Post struct {
				GitHub struct {
					Subcategory string `json:"subcategory"`
				} `json:"x-github"`
				RequestBody struct {
					Content map[string]struct{ Schema *schema }
				}
			}
		}
		Components struct{ Schemas map[string]*schema }
	}
	read(name, &d)
	resolve := func(s *schema) *schema {
		for s != nil && s.Ref != "" {
			s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		}
		return s
	}
	var out []string
	for _, hook := range d.Webhooks {
		event := strings.ReplaceAll(hook.Post.GitHub.Subcategory, "-", "_")
		top := resolve(hook.Post.RequestBody.Content["application/json"].Schema)
		action := "-"
		if a := resolve(top.Properties["action"]); a != nil && len(a.Enum) == 1 {
			action = fmt.Sprint(a.Enum[0])
		}
		found := map[string]map[string]bool{}
		var walk func(path string, s *schema, depth int)
		walk = func(path string, s *schema, depth int) {
			if s = resolve(s); s == nil || depth > 5 {
				return
			}
			if path != "" {
				if found[path] == nil {
					found[path] = map[string]bool{}
				}
				for _, t := range strings.Fields(strings.Trim(fmt.Sprint(s.Type), "[]")) {
					if t != "null" && t != "<nil>" {
						found[path][t] = true
					}
				}
			}
			for _, other := range slices.Concat(s.OneOf, s.AnyOf, s.AllOf) {
				walk(path, other, depth)
			}
			for name, p := range s.Properties {
				if !strings.HasSuffix(name, "url") {
					walk(strings.TrimPrefix(path+"."+name, "."), p, depth+1)
				}
			}
			if s.Items != nil {
				walk(path+".[]", s.Items, depth+1)
			}
		}
		walk("", top, 0)
		var lines []string
		for path, types := range found {
			var ts []string
			for t := range types {
				ts = append(ts, t)
			}
			slices.Sort(ts)
			lines = append(lines, fmt.Sprintf(" %s %s\n", path, strings.Join(ts, ",")))
		}
		slices.Sort(lines)
		out = append(out, fmt.Sprintf("%s %s\n%s", event, action, strings.Join(lines, "")))
	}
	slices.Sort(out)
	return []byte(strings.Join(out, ""))
}

func read(name string, v any) {
	b, err := os.ReadFile(name)
	check(err)
	check(json.Unmarshal(b, v))
}

func save(name string, b []byte) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	check(err)
	_, err = z.Write(b)
	check(err)
	check(z.Close())
	check(os.WriteFile(name, out.Bytes(), 0o644))
	fmt.Printf("%s: %d bytes, %d packed\n", name, len(b), out.Len())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
