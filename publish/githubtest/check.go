package githubtest

import (
	"fmt"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// CheckRun is a check run as it stands.
type CheckRun struct {
	ID                        int64
	App                       int64
	Name, HeadSHA, ExternalID string
	Status, Conclusion        string // Conclusion is "" until it is completed
	DetailsURL                string
	Title, Summary, Text      string
	Annotations               []CheckAnnotation
	Actions                   []CheckAction
	Started, Completed        string // RFC 3339
	Requests                  int    // that made or changed it
}

// CheckAnnotation is a remark on lines of a file.
type CheckAnnotation struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn *int   `json:"start_column"`
	EndColumn   *int   `json:"end_column"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title"`
	Details     string `json:"raw_details"`
}

// CheckAction is a button of a check run.
type CheckAction struct {
	Label       string `json:"label"`
	Description string `json:"description"`
	Identifier  string `json:"identifier"`
}

type check struct {
	CheckRun
	app *App
}

// Checks returns all check runs, oldest first.
func (r *Repository) Checks() []CheckRun {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	var all []CheckRun
	for _, k := range r.checks {
		v := k.CheckRun
		v.Annotations, v.Actions = slices.Clone(v.Annotations), slices.Clone(v.Actions)
		all = append(all, v)
	}
	return all
}

// Rerun sends check_run rerequested for a check run, as the button of GitHub does.
// The run stays as it is.
func (r *Repository) Rerun(id int64) {
	r.press(id, "rerequested", nil)
}

// Press sends check_run requested_action for one of a check run's actions.
func (r *Repository) Press(id int64, identifier string) {
	r.press(id, "requested_action", map[string]any{"requested_action": map[string]any{"identifier": identifier}})
}

func (r *Repository) press(id int64, action string, more map[string]any) {
	r.s.mu.Lock()
	var sent []*delivery
	for _, k := range r.checks {
		if k.ID != id {
			continue
		}
		body := map[string]any{"check_run": r.checkJSON(k)}
		for name, v := range more {
			body[name] = v
		}
		for _, d := range r.fire("check_run", action, r.Owner, body) {
			if d.app == k.app { // only who made it is told
				sent = append(sent, d)
			}
		}
	}
	r.s.mu.Unlock()
	r.s.send(sent)
}

// RerunAll sends check_suite rerequested for a commit, to all Apps with runs there.
func (r *Repository) RerunAll(commit string) {
	r.s.mu.Lock()
	var sent []*delivery
	seen := make(map[*App]bool)
	for _, k := range r.checks {
		if k.HeadSHA != commit || seen[k.app] {
			continue
		}
		seen[k.app] = true
		suite := map[string]any{"id": r.suite(k.app, commit), "node_id": node("CS", commit), "head_sha": commit, "head_branch": "main", "status": "completed", "conclusion": "failure", "app": k.app.json(), "url": r.api("/check-suites/%d", r.suite(k.app, commit))}
		for _, d := range r.fire("check_suite", "rerequested", r.Owner, map[string]any{"check_suite": suite}) {
			if d.app == k.app {
				sent = append(sent, d)
			}
		}
	}
	r.s.mu.Unlock()
	r.s.send(sent)
}

// suite is the id of the check suite that an App has on a commit.
func (r *Repository) suite(a *App, commit string) int64 {
	n := a.ID * 1000
	for _, c := range commit[:8] {
		n = n*31 + int64(c)
	}
	return n & (1<<40 - 1)
}

func (r *Repository) checkJSON(k *check) map[string]any {
	opt := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	details := k.DetailsURL
	if details == "" {
		details = k.app.s.web + "/" + k.app.Slug
	}
	return r.s.fill("check-run", map[string]any{
		"id": k.ID, "node_id": node("CR", k.ID), "head_sha": k.HeadSHA, "name": k.Name, "external_id": k.ExternalID, "url": r.api("/check-runs/%d", k.ID),
		"html_url": r.page("/runs/%d", k.ID), "details_url": details, "status": k.Status, "conclusion": opt(k.Conclusion), "started_at": opt(k.Started), "completed_at": opt(k.Completed),
		"output": map[string]any{"title": opt(k.Title), "summary": opt(k.Summary), "text": opt(k.Text), "annotations_count": len(k.Annotations), "annotations_url": r.api("/check-runs/%d/annotations", k.ID)},
		"app":    k.app.json(), "pull_requests": []any{},
		"check_suite": map[string]any{"id": r.suite(k.app, k.HeadSHA), "app": k.app.json(), "head_sha": k.HeadSHA},
	})
}

// checkEdit is the body of the requests that make and change check runs.
type checkEdit struct {
	Name       *string `json:"name"`
	HeadSHA    *string `json:"head_sha"`
	ExternalID *string `json:"external_id"`
	DetailsURL *string `json:"details_url"`
	Status     *string `json:"status"`
	Conclusion *string `json:"conclusion"`
	Started    *string `json:"started_at"`
	Completed  *string `json:"completed_at"`
	Output     *struct {
		Title       *string           `json:"title"`
		Summary     *string           `json:"summary"`
		Text        *string           `json:"text"`
		Annotations []CheckAnnotation `json:"annotations"`
	} `json:"output"`
	Actions *[]CheckAction `json:"actions"`
}

// apply changes a check run; the description has checked how long things are, but
// not all that GitHub refuses.
func (in *checkEdit) apply(s *Server, k *check) (answer, bool) {
	set(&k.Name, in.Name)
	set(&k.HeadSHA, in.HeadSHA)
	set(&k.ExternalID, in.ExternalID)
	set(&k.DetailsURL, in.DetailsURL)
	set(&k.Started, in.Started)
	set(&k.Completed, in.Completed)
	if in.Status != nil {
		if k.Status == "completed" && *in.Status != "completed" {
			k.Conclusion, k.Completed = "", ""
		}
		k.Status = *in.Status
	}
	if in.Conclusion != nil {
		k.Conclusion, k.Status = *in.Conclusion, "completed"
		if k.Completed == "" {
			k.Completed = s.now().Format(time.RFC3339)
		}
	}
	if k.Status == "completed" && k.Conclusion == "" {
		return invalid("CheckRun", "missing_field", "conclusion", ""), false
	}
	if in.Actions != nil {
		for _, a := range *in.Actions {
			if a.Label == "" || utf8.RuneCountInString(a.Description) > 40 {
				return invalid("CheckRun", "invalid", "actions", ""), false
			}
		}
		k.Actions = *in.Actions
	}
	if in.Output == nil {
		return answer{}, true
	}
	set(&k.Title, in.Output.Title)
	set(&k.Summary, in.Output.Summary)
	set(&k.Text, in.Output.Text)
	if k.Title == "" || len(k.Summary) > 65535 || len(k.Text) > 65535 {
		return invalid("CheckRun", "invalid", "output", "title is missing, or summary or text is too long"), false
	}
	for _, a := range in.Output.Annotations {
		switch {
		case a.StartLine < 1, a.EndLine < a.StartLine, a.Path == "", a.Message == "", len(a.Message) > 64<<10, len(a.Details) > 64<<10, utf8.RuneCountInString(a.Title) > 255,
			(a.StartColumn != nil || a.EndColumn != nil) && a.StartLine != a.EndLine:
			return invalid("CheckRun", "invalid", "annotations", fmt.Sprintf("annotation of %q, line %d", a.Path, a.StartLine)), false
		}
	}
	k.Annotations = append(k.Annotations, in.Output.Annotations...)
	return answer{}, true
}

func createCheck(c *call) answer {
	var in checkEdit
	c.decode(&in)
	k := &check{app: c.token.in.App}
	k.Status, k.App = "queued", k.app.ID
	if a, ok := in.apply(c.s, k); !ok {
		return a
	}
	if k.Started == "" {
		k.Started = c.s.now().Format(time.RFC3339)
	}
	if !c.repo.has(k.HeadSHA) {
		return refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+k.HeadSHA)
	}
	k.ID, k.Requests = c.s.nextID(), 1
	c.repo.checks = append(c.repo.checks, k)
	return created(ok(c.repo.checkJSON(k)))
}

func (c *call) check() *check {
	for _, k := range c.repo.checks {
		if fmt.Sprint(k.ID) == c.params["check_run_id"] {
			return k
		}
	}
	return nil
}

func getCheck(c *call) answer {
	k := c.check()
	if k == nil {
		return notFound()
	}
	return ok(c.repo.checkJSON(k))
}

func updateCheck(c *call) answer {
	k := c.check()
	if k == nil {
		return notFound()
	}
	if k.app != c.token.in.App {
		return refuse(http.StatusForbidden, "Invalid app_id `"+itoa(c.token.in.App.ID)+"` - check run can only be modified by the GitHub App that created it.")
	}
	var in checkEdit
	c.decode(&in)
	next := *k
	next.Annotations = slices.Clone(k.Annotations)
	if a, ok := in.apply(c.s, &next); !ok {
		return a
	}
	next.Requests++
	*k = next
	return ok(c.repo.checkJSON(k))
}

func listChecks(c *call) answer {
	sha := c.repo.at(c.params["ref"])
	if sha == "" {
		return refuse(http.StatusUnprocessableEntity, "No commit found for SHA: "+c.params["ref"])
	}
	q := c.r.URL.Query()
	var all []*check
	seen := make(map[string]bool)
	for _, k := range slices.Backward(c.repo.checks) {
		key := itoa(k.App) + k.Name
		switch {
		case k.HeadSHA != sha, q.Get("app_id") != "" && q.Get("app_id") != itoa(k.App), q.Get("check_name") != "" && q.Get("check_name") != k.Name, q.Get("status") != "" && q.Get("status") != k.Status:
			continue
		case q.Get("filter") != "all" && seen[key]:
			continue
		}
		seen[key] = true
		all = append(all, k)
	}
	return pageOf(c, "check_runs", all, func(k *check) any { return c.repo.checkJSON(k) })
}

func listAnnotations(c *call) answer {
	k := c.check()
	if k == nil {
		return notFound()
	}
	return page(c, k.Annotations, func(a CheckAnnotation) any {
		return map[string]any{"path": a.Path, "start_line": a.StartLine, "end_line": a.EndLine, "start_column": a.StartColumn, "end_column": a.EndColumn, "annotation_level": a.Level, "message": a.Message, "title": a.Title, "raw_details": a.Details, "blob_href": c.repo.page("/blob/%s/%s", k.HeadSHA, a.Path)}
	})
}
