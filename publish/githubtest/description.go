package githubtest

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

//go:embed testdata/github.json.gz
var packed []byte

// description is what GitHub says of its API.
type description struct {
	doc    *openapi3.T
	routes []*route // paths with more fixed words first
}

// route is one described operation.
type route struct {
	routers.Route
	words []string // of the path: "{tag}" is any word
	rest  bool     // the last word takes slashes
}

// upload reports whether the operation is on the host for uploads.
func (r *route) upload() bool { return r.Operation.Servers != nil }

var load = sync.OnceValues(func() (*description, error) {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	d := &description{doc: doc}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			r := &route{words: strings.Split(path[1:], "/")}
			r.Spec, r.Path, r.PathItem, r.Method, r.Operation = doc, path, item, method, op
			switch r.words[len(r.words)-1] {
			case "{tag}", "{ref}", "{path}":
				r.rest = true
			}
			d.routes = append(d.routes, r)
			if op.RequestBody != nil {
				closeObject(op.RequestBody.Value.Content.Get("application/json"))
			}
		}
	}
	for _, name := range []string{"release", "release-asset", "git-ref", "git-tag"} {
		forbidOthers(doc.Components.Schemas[name].Value)
	}
	slices.SortFunc(d.routes, func(a, b *route) int {
		return strings.Compare(strings.ReplaceAll(a.Path, "{", "~"), strings.ReplaceAll(b.Path, "{", "~"))
	})
	return d, nil
})

// closeObject refuses fields that GitHub does not know: it drops them in silence,
// and a misspelt one would do nothing.
func closeObject(m *openapi3.MediaType) {
	if m != nil {
		forbidOthers(m.Schema.Value)
	}
}

func forbidOthers(s *openapi3.Schema) {
	if len(s.Properties) > 0 {
		no := false
		s.AdditionalProperties.Has = &no
	}
}

// find returns the operation of a request and its path's parameters.
func (d *description) find(method, path string, upload bool) (*route, map[string]string) {
	words := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, r := range d.routes {
		if r.Method != method || r.upload() != upload {
			continue
		}
		if params, ok := r.match(words); ok {
			return r, params
		}
	}
	return nil, nil
}

func (r *route) match(words []string) (map[string]string, bool) {
	if len(words) < len(r.words) || len(words) > len(r.words) && !r.rest {
		return nil, false
	}
	params := make(map[string]string)
	for i, w := range r.words {
		name, ok := strings.CutPrefix(w, "{")
		if !ok {
			if w != words[i] {
				return nil, false
			}
			continue
		}
		v := words[i]
		if r.rest && i == len(r.words)-1 {
			v = strings.Join(words[i:], "/")
		}
		params[strings.TrimSuffix(name, "}")] = v
	}
	return params, true
}

func (d *description) input(c *call) *openapi3filter.RequestValidationInput {
	r := c.r.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(c.body))
	return &openapi3filter.RequestValidationInput{Request: r, PathParams: c.params, Route: &c.route.Route, Options: &openapi3filter.Options{
		AuthenticationFunc:                openapi3filter.NoopAuthenticationFunc,
		SkipSettingDefaults:               true,
		MultiError:                        true,
		RejectWhenRequestBodyNotSpecified: true,
		ExcludeRequestBody:                c.route.upload(), // raw bytes, of any type
	}}
}

// checkRequest says what GitHub's description has against a request.
func (d *description) checkRequest(c *call) error {
	for name := range c.r.URL.Query() {
		if c.route.Operation.Parameters.GetByInAndName("query", name) == nil {
			return fmt.Errorf("query parameter %q is not described", name)
		}
	}
	if v := c.r.Header.Get("X-Github-Api-Version"); v != "" && v != "2022-11-28" {
		return fmt.Errorf("API version %q is not the described one", v)
	}
	return openapi3filter.ValidateRequest(context.Background(), d.input(c))
}

// checkAnswer says what GitHub's description has against an answer. Errors that
// the operation does not describe, such as 401, have to be GitHub's basic error.
func (d *description) checkAnswer(c *call, status int, header http.Header, body []byte) error {
	described := c.route.Operation.Responses.Status(status)
	if described == nil || status >= 400 && len(described.Value.Content) == 0 {
		if status < 400 {
			return fmt.Errorf("status %d is not described", status)
		}
		kind := "basic-error"
		if status == http.StatusUnprocessableEntity {
			kind = "validation-error"
		}
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			return err
		}
		return d.doc.Components.Schemas[kind].Value.VisitJSON(v)
	}
	in := &openapi3filter.ResponseValidationInput{RequestValidationInput: d.input(c), Status: status, Header: header, Options: &openapi3filter.Options{MultiError: true}}
	if err := openapi3filter.ValidateResponse(context.Background(), in.SetBodyBytes(body)); err != nil {
		return err
	}
	return checkURLs(body)
}

// checkURLs refuses fields that end in url and hold none: the description's format
// "uri" is not checked by the validator.
func checkURLs(body []byte) error {
	var v any
	if len(body) == 0 || json.Unmarshal(body, &v) != nil {
		return nil
	}
	var walk func(key string, v any) error
	walk = func(key string, v any) error {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if err := walk(k, x); err != nil {
					return err
				}
			}
		case []any:
			for _, x := range v {
				if err := walk(key, x); err != nil {
					return err
				}
			}
		case string:
			if strings.HasSuffix(key, "url") {
				if u, err := url.Parse(strings.NewReplacer("{", "", "}", "").Replace(v)); err != nil || u.Host == "" {
					return fmt.Errorf("field %q is not a URL: %q", key, v)
				}
			}
		}
		return nil
	}
	return walk("", v)
}
