package githubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// handlers by GitHub's name of the operation. All but the last hold the lock from
// beginning to end.
var handlers = map[string]func(*call) answer{
	"repos/get":                      getRepository,
	"repos/check-immutable-releases": getImmutable,
	"git/get-ref":                    getRef,
	"git/get-tag":                    getTag,
	"git/get-commit":                 getCommit,
	"repos/list-releases":            listReleases,
	"repos/create-release":           createRelease,
	"repos/generate-release-notes":   generateNotes,
	"repos/get-latest-release":       getLatest,
	"repos/get-release-by-tag":       getReleaseByTag,
	"repos/get-release":              getRelease,
	"repos/update-release":           updateRelease,
	"repos/delete-release":           deleteRelease,
	"repos/list-release-assets":      listAssets,
	"repos/get-release-asset":        getAsset,
	"repos/update-release-asset":     updateAsset,
	"repos/delete-release-asset":     deleteAsset,
	"repos/upload-release-asset":     uploadAsset, // lets go of the lock while bytes come
}

// serve answers one request to the API, or to the pages beside it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	defer s.ended()
	w.Header().Set("Date", s.now().Format(http.TimeFormat))
	if !strings.HasPrefix(r.URL.Path, apiPath) && !strings.HasPrefix(r.URL.Path, uploadPath) {
		s.servePage(w, r)
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+Path(r))
	fault := s.fault
	s.mu.Unlock()
	c := &call{s: s, r: r}
	if fault != nil {
		c.fault = fault(r)
	}
	upload := strings.HasPrefix(r.URL.Path, uploadPath)
	c.route, c.params = s.desc.find(r.Method, Path(r), upload)
	if c.route == nil {
		s.t.Errorf("%s %s: GitHub's description, as far as the double has it, knows no such operation", r.Method, Path(r))
		s.write(w, c, notFound())
		return
	}
	if !upload {
		var err error
		if c.body, err = io.ReadAll(io.LimitReader(r.Body, 1<<20)); err != nil {
			return // the client went away
		}
	}
	if err := s.desc.checkRequest(c); err != nil {
		s.t.Errorf("request %s %s: %v", r.Method, r.URL, err)
		s.write(w, c, refuse(http.StatusBadRequest, "Problems parsing JSON"))
		return
	}
	if c.fault.hits() && !c.fault.Done && c.fault.Stop == 0 {
		s.fail(w, c)
		return
	}
	a := s.answer(c)
	if c.fault.hits() {
		s.fail(w, c)
		return
	}
	s.write(w, c, a)
}

func (s *Server) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.moved)
	s.moved = make(chan struct{})
}

// answer checks who asks and lets the operation's handler answer.
func (s *Server) answer(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a, ok := s.admit(c); !ok {
		return a
	}
	h := handlers[c.route.Operation.OperationID]
	if h == nil {
		s.t.Errorf("%s %s: the double does not do %s yet", c.r.Method, Path(c.r), c.route.Operation.OperationID)
		return notFound()
	}
	return h(c)
}

// admit settles what the token may do.
func (s *Server) admit(c *call) (answer, bool) {
	if a, ok := s.authorize(c); !ok {
		return a, false
	}
	owner, ok := c.params["owner"]
	if !ok {
		return answer{}, true
	}
	c.repo = s.find(owner, c.params["repo"])
	if c.repo == nil || !s.sees(c, c.repo) {
		return notFound(), false
	}
	if c.r.Method == http.MethodGet {
		return answer{}, true
	}
	if !c.known {
		return refuse(http.StatusUnauthorized, "Requires authentication"), false
	}
	if !c.grant.Write {
		return refuse(http.StatusForbidden, "Resource not accessible by integration"), false
	}
	return answer{}, true
}

func (s *Server) authorize(c *call) (answer, bool) {
	head := c.r.Header.Get("Authorization")
	if head == "" {
		return answer{}, true
	}
	kind, token, _ := strings.Cut(head, " ")
	if k := strings.ToLower(kind); k == "bearer" || k == "token" {
		c.grant, c.known = s.o.Tokens[token]
	}
	if !c.known {
		return refuse(http.StatusUnauthorized, "Bad credentials"), false
	}
	return answer{}, true
}

// sees reports whether a repository exists for who asks.
func (s *Server) sees(c *call, r *Repository) bool {
	if c.known && (c.grant.Only == nil || slices.Contains(c.grant.Only, r.Owner+"/"+r.Name)) {
		return true
	}
	return !r.private
}

// writes reports whether who asks may write: only they see drafts.
func (c *call) writes() bool { return c.known && c.grant.Write }

// fail answers with the call's fault.
func (s *Server) fail(w http.ResponseWriter, c *call) {
	f := c.fault
	if f.Cut || f.Stop > 0 {
		panic(http.ErrAbortHandler)
	}
	for k, v := range f.Header {
		w.Header()[k] = v
	}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := s.desc.checkAnswer(c, f.Status, w.Header(), []byte(f.Body)); err != nil {
			s.t.Errorf("answer of a fault to %s %s: %v", c.r.Method, Path(c.r), err)
		}
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
}

// write gives an answer after checking it.
func (s *Server) write(w http.ResponseWriter, c *call, a answer) {
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	var body []byte
	if a.body != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(a.body); err != nil {
			s.t.Errorf("answer to %s %s: %v", c.r.Method, Path(c.r), err)
		}
		body = b.Bytes()
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	h.Set("X-Ratelimit-Limit", "5000")
	h.Set("X-Ratelimit-Remaining", "4000")
	h.Set("X-Ratelimit-Reset", fmt.Sprint(s.now().Unix()+3600))
	h.Set("X-Github-Media-Type", "github.v3; format=json")
	if c.route != nil {
		if err := s.desc.checkAnswer(c, a.status, h, body); err != nil {
			s.t.Errorf("answer %d to %s %s: %v", a.status, c.r.Method, Path(c.r), err)
		}
	}
	w.WriteHeader(a.status)
	w.Write(body)
}

// decode reads a request's JSON into v. It was checked before.
func (c *call) decode(v any) {
	if len(c.body) > 0 {
		if err := json.Unmarshal(c.body, v); err != nil {
			c.s.t.Errorf("request %s %s: %v", c.r.Method, Path(c.r), err)
		}
	}
}
