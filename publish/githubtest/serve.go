package githubtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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

	"repos/list-tags":         listTags,
	"git/list-matching-refs":  listMatchingRefs,
	"repos/get-content":       getContent,
	"checks/create":           createCheck,
	"checks/get":              getCheck,
	"checks/update":           updateCheck,
	"checks/list-for-ref":     listChecks,
	"checks/list-annotations": listAnnotations,
	"issues/list-for-repo":    listIssues,
	"issues/get":              getIssue,
	"issues/create":           createIssue,
	"issues/update":           updateIssue,
	"issues/list-comments":    listComments,
	"issues/create-comment":   createComment,
	"pulls/get":               getPull,
	"pulls/list-files":        listPullFiles,

	"apps/get-authenticated":                              getApp,
	"apps/list-installations":                             listInstallations,
	"apps/get-installation":                               getInstallation,
	"apps/get-repo-installation":                          getRepositoryInstallation,
	"apps/create-installation-access-token":               createToken,
	"apps/list-repos-accessible-to-installation":          listInstalledRepositories,
	"apps/list-webhook-deliveries":                        listDeliveries,
	"apps/get-webhook-delivery":                           getDelivery,
	"apps/redeliver-webhook-delivery":                     redeliver,
	"apps/create-from-manifest":                           convert,
	"users/get-authenticated":                             getUser,
	"apps/list-installations-for-authenticated-user":      listUserInstallations,
	"apps/list-installation-repos-for-authenticated-user": listUserRepositories,
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
	c.route, c.params = s.desc.find(r.Method, s.named(Path(r)), upload)
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
		status := http.StatusBadRequest
		if json.Valid(c.body) {
			status = http.StatusUnprocessableEntity
		}
		s.write(w, c, refuse(status, "Invalid request."))
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

// named is the path of a request by a repository's name instead of its id, which
// GitHub does not describe but leads to where a repository has another name.
func (s *Server) named(path string) string {
	rest, ok := strings.CutPrefix(path, "/repositories/")
	if !ok {
		return path
	}
	id, rest, more := strings.Cut(rest, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.repos {
		if fmt.Sprint(r.id) == id {
			path = "/repos/" + r.Owner + "/" + r.Name
			if more {
				path += "/" + rest
			}
		}
	}
	return path
}

// answer checks who asks and lets the operation's handler answer.
func (s *Server) answer(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, admitted := s.admit(c)
	if admitted {
		h := handlers[c.op()]
		if h == nil {
			s.t.Errorf("%s %s: the double does not do %s yet", c.r.Method, Path(c.r), c.op())
			h = func(*call) answer { return notFound() }
		}
		if b := c.budget(); b != nil {
			b.running++
			b.usage.Together = max(b.usage.Together, b.running)
			defer func() { b.running-- }()
		}
		a = h(c)
	}
	a = c.tagged(a)
	a.limits = make(http.Header)
	c.headers(a.limits)
	return a
}

// tagged gives an answer its ETag, and takes its body away if the client has it.
func (c *call) tagged(a answer) answer {
	if c.r.Method != http.MethodGet || a.status != http.StatusOK {
		return a
	}
	b := a.raw
	if b == nil {
		b, _ = json.Marshal(a.body) // write reports what can't be
	}
	sum := sha256.Sum256(b)
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	if c.r.Header.Get("If-None-Match") == tag {
		c.refund()
		return answer{status: http.StatusNotModified, header: http.Header{"Etag": {tag}}}
	}
	if a.header == nil {
		a.header = make(http.Header)
	}
	a.header.Set("Etag", tag)
	return a
}

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
	if a.raw != nil {
		body = a.raw
		h.Set("Content-Type", "application/vnd.github.raw+json; charset=utf-8")
	} else if a.body != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(a.body); err != nil {
			s.t.Errorf("answer to %s %s: %v", c.r.Method, Path(c.r), err)
		}
		body = b.Bytes()
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if a.limits == nil {
		a.limits = make(http.Header)
		s.mu.Lock()
		c.headers(a.limits)
		s.mu.Unlock()
	}
	for k, v := range a.limits {
		h[k] = v
	}
	h.Set("X-Github-Media-Type", "github.v3; format=json")
	// Where things went and what has not changed is described for few operations, and
	// raw files for none.
	if c.route != nil && a.raw == nil && (a.status < 300 || a.status >= 400 || a.status == http.StatusFound) {
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
