//go:build ignore

// Slice cuts GitHub's OpenAPI description down to the operations that the double
// knows, or will know for the App, and what they refer to.
//
//	npm pack @octokit/openapi && tar xf octokit-openapi-*.tgz
//	go run slice.go package/generated/api.github.com.json testdata/github.json.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
)

const repo = "/repos/{owner}/{repo}"

// wanted are paths and their methods; "*" takes all.
var wanted = map[string]string{
	repo:                                                 "get",
	repo + "/releases":                                   "*",
	repo + "/releases/generate-notes":                    "*",
	repo + "/releases/latest":                            "*",
	repo + "/releases/tags/{tag}":                        "*",
	repo + "/releases/{release_id}":                      "*",
	repo + "/releases/{release_id}/assets":               "*",
	repo + "/releases/assets/{asset_id}":                 "*",
	repo + "/immutable-releases":                         "get",
	repo + "/git/ref/{ref}":                              "*",
	repo + "/git/matching-refs/{ref}":                    "*",
	repo + "/git/tags/{tag_sha}":                         "*",
	repo + "/git/commits/{commit_sha}":                   "*",
	repo + "/tags":                                       "*",
	repo + "/contents/{path}":                            "get",
	repo + "/zipball/{ref}":                              "*",
	repo + "/tarball/{ref}":                              "*",
	repo + "/check-runs":                                 "*",
	repo + "/check-runs/{check_run_id}":                  "*",
	repo + "/check-runs/{check_run_id}/annotations":      "*",
	repo + "/commits/{ref}/check-runs":                   "*",
	repo + "/issues":                                     "*",
	repo + "/issues/{issue_number}":                      "get patch",
	repo + "/issues/{issue_number}/comments":             "*",
	repo + "/installation":                               "*",
	"/app":                                               "*",
	"/app/hook/config":                                   "get",
	"/app/hook/deliveries":                               "*",
	"/app/hook/deliveries/{delivery_id}":                 "*",
	"/app/hook/deliveries/{delivery_id}/attempts":        "*",
	"/app/installations":                                 "*",
	"/app/installations/{installation_id}":               "get",
	"/app/installations/{installation_id}/access_tokens": "*",
	"/installation/repositories":                         "*",
	"/rate_limit":                                        "*",
	repo + "/pulls/{pull_number}":                        "get",
	repo + "/pulls/{pull_number}/files":                  "*",
	"/app-manifests/{code}/conversions":                  "*",
	"/user":                                              "get",
	"/user/installations":                                "get",
	"/user/installations/{installation_id}/repositories": "get",
}

// extra are what answers of every operation are checked against.
var extra = []string{"basic-error", "validation-error"}

// hooks are webhooks whose payloads the double sends.
var hooks = []string{
	"ping", "push", "create", "delete",
	"release-created", "release-published", "release-edited", "release-deleted",
	"repository-renamed", "repository-transferred", "repository-deleted",
	"installation-created", "installation-deleted", "installation-suspend", "installation-unsuspend",
	"installation-repositories-added", "installation-repositories-removed",
	"check-run-rerequested", "check-run-requested-action", "check-suite-rerequested",
	"pull-request-opened", "pull-request-synchronize", "pull-request-closed",
}

var methods = []string{"get", "post", "put", "patch", "delete"}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: go run slice.go api.github.com.json github.json.gz")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		log.Fatal(err)
	}
	out, err := slice(doc)
	if err != nil {
		log.Fatal(err)
	}
	b, err := json.Marshal(out)
	if err != nil {
		log.Fatal(err)
	}
	var z bytes.Buffer
	w, _ := gzip.NewWriterLevel(&z, gzip.BestCompression) // the level is a valid one
	if _, err := w.Write(b); err != nil {
		log.Fatal(err)
	}
	if err := w.Close(); err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], z.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	log.Printf("%s: %d bytes, %d packed", os.Args[2], len(b), z.Len())
}

// slice returns the wanted part of a description.
func slice(doc map[string]any) (map[string]any, error) {
	paths := make(map[string]any)
	all := doc["paths"].(map[string]any)
	for p, which := range wanted {
		item, ok := all[p].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("path %s is not described", p)
		}
		keep := make(map[string]any)
		for _, m := range methods {
			if op, ok := item[m]; ok && (which == "*" || slices.Contains(strings.Fields(which), m)) {
				keep[m] = lean(op)
			}
		}
		if len(keep) == 0 {
			return nil, fmt.Errorf("path %s has none of the methods %s", p, which)
		}
		paths[p] = keep
	}
	// The list of an App's installations demands of each account that it is a person's
	// and an enterprise's at once; one installation by itself is described rightly.
	at := paths["/app/installations"].(map[string]any)
	for _, k := range []string{"get", "responses", "200", "content", "application/json", "schema"} {
		at = at[k].(map[string]any)
	}
	at["items"] = map[string]any{"$ref": "#/components/schemas/installation"}
	from := doc["components"].(map[string]any)
	parts := make(map[string]any)
	var need func(v any) error
	take := func(kind, name string) error {
		group, _ := parts[kind].(map[string]any)
		if group == nil {
			group = make(map[string]any)
			parts[kind] = group
		}
		if _, ok := group[name]; ok {
			return nil
		}
		v, ok := from[kind].(map[string]any)[name]
		if !ok {
			return fmt.Errorf("component %s/%s is not described", kind, name)
		}
		group[name] = lean(v)
		return need(group[name])
	}
	need = func(v any) error {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if ref, ok := x.(string); ok && k == "$ref" {
					kind, name, ok := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
					if !ok {
						return fmt.Errorf("reference %q leads nowhere", ref)
					}
					if err := take(kind, name); err != nil {
						return err
					}
				} else if err := need(x); err != nil {
					return err
				}
			}
		case []any:
			for _, x := range v {
				if err := need(x); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := need(paths); err != nil {
		return nil, err
	}
	for _, name := range extra {
		if err := take("schemas", name); err != nil {
			return nil, err
		}
	}
	for _, name := range hooks {
		if err := take("schemas", "webhook-"+name); err != nil {
			return nil, err
		}
	}
	// The description's list of states lacks "starter", which its own text of the
	// upload names.
	state := parts["schemas"].(map[string]any)["release-asset"].(map[string]any)["properties"].(map[string]any)["state"].(map[string]any)
	if enum := state["enum"].([]any); !slices.Contains(enum, any("starter")) {
		state["enum"] = append(enum, "starter")
	}
	return map[string]any{"openapi": doc["openapi"], "info": doc["info"], "servers": doc["servers"], "paths": paths, "components": parts}, nil
}

// lean drops the examples of bodies; what checks something stays as it is.
func lean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		_, body := v["schema"]
		m := make(map[string]any, len(v))
		for k, x := range v {
			if k != "examples" || !body {
				m[k] = lean(x)
			}
		}
		return m
	case []any:
		s := make([]any, len(v))
		for i, x := range v {
			s[i] = lean(x)
		}
		return s
	}
	return v
}
