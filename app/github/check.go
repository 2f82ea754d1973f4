package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// Check is a check run. With UpdateCheck, fields that are zero stay as they are.
type Check struct {
	Name       string
	HeadSHA    string // commit; not with UpdateCheck
	ExternalID string
	Status     string // "queued", "in_progress" or "completed"
	Conclusion string // of completed: "success", "failure", "neutral", "cancelled", "skipped", "timed_out" or "action_required"
	DetailsURL string
	Title      string
	Summary    string // Markdown; what is beyond 65,535 bytes is cut off
	Text       string // the same

	// Annotations are added to those that are there: hand each over once. Any number;
	// they are sent fifty at a time.
	Annotations []Annotation
	// Actions are buttons, three at most. nil leaves those that are there, an empty
	// list takes them away.
	Actions            []Action
	Started, Completed time.Time
}

// Annotation is a remark on lines of a file.
type Annotation struct {
	Path                   string
	StartLine, EndLine     int    // from 1; an EndLine before StartLine is StartLine
	StartColumn, EndColumn int    // 0: none; only with one line
	Level                  string // "notice", "warning" or "failure"
	Message                string
	Title, Details         string
}

// Action is a button; pressing it sends check_run with the action requested_action.
type Action struct {
	Label       string // 20 characters at most
	Description string // 40
	Identifier  string // 20
}

// GitHub's bounds: https://docs.github.com/rest/checks/runs#create-a-check-run
const (
	maxText        = 65535
	maxAnnotations = 50
	maxActions     = 3
)

type checkJSON struct {
	Name        string      `json:"name,omitempty"`
	HeadSHA     string      `json:"head_sha,omitempty"`
	ExternalID  string      `json:"external_id,omitempty"`
	Status      string      `json:"status,omitempty"`
	Conclusion  string      `json:"conclusion,omitempty"`
	DetailsURL  string      `json:"details_url,omitempty"`
	StartedAt   string      `json:"started_at,omitempty"`
	CompletedAt string      `json:"completed_at,omitempty"`
	Output      *outputJSON `json:"output,omitempty"`
	Actions     *[]any      `json:"actions,omitempty"`
}

type outputJSON struct {
	Title       string           `json:"title"`
	Summary     string           `json:"summary"`
	Text        string           `json:"text,omitempty"`
	Annotations []annotationJSON `json:"annotations,omitempty"`
}

type annotationJSON struct {
	Path        string `json:"path"`
	StartLine   int    `json:"start_line"`
	EndLine     int    `json:"end_line"`
	StartColumn int    `json:"start_column,omitempty"`
	EndColumn   int    `json:"end_column,omitempty"`
	Level       string `json:"annotation_level"`
	Message     string `json:"message"`
	Title       string `json:"title,omitempty"`
	Details     string `json:"raw_details,omitempty"`
}

// json makes a request's body, without annotations.
func (k *Check) json() (*checkJSON, error) {
	b := &checkJSON{Name: k.Name, HeadSHA: k.HeadSHA, ExternalID: k.ExternalID, Status: k.Status, Conclusion: k.Conclusion, DetailsURL: k.DetailsURL, StartedAt: stamp(k.Started), CompletedAt: stamp(k.Completed)}
	if k.Title != "" || k.Summary != "" || k.Text != "" || len(k.Annotations) > 0 {
		b.Output = &outputJSON{Title: cut(k.Title, 255), Summary: cut(k.Summary, maxText), Text: cut(k.Text, maxText)}
		if b.Output.Title == "" {
			b.Output.Title = k.Name
		}
		if b.Output.Title == "" {
			b.Output.Title = "DistroPack"
		}
		if b.Output.Summary == "" {
			b.Output.Summary = b.Output.Title
		}
	}
	if k.Actions == nil {
		return b, nil
	}
	if len(k.Actions) > maxActions {
		return nil, fmt.Errorf("check %q has %d actions, and %d are the most", k.Name, len(k.Actions), maxActions)
	}
	actions := []any{}
	for _, a := range k.Actions {
		if over(a.Label, 20) || over(a.Description, 40) || over(a.Identifier, 20) {
			return nil, fmt.Errorf("action %q of check %q: a label and an identifier have 1 to 20 characters, a description 1 to 40", a.Label, k.Name)
		}
		actions = append(actions, map[string]string{"label": a.Label, "description": a.Description, "identifier": a.Identifier})
	}
	b.Actions = &actions
	return b, nil
}

func over(text string, most int) bool { return text == "" || utf8.RuneCountInString(text) > most }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// cut keeps a text within a number of bytes and says so at its end.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const end = "…"
	return strings.ToValidUTF8(text[:most-len(end)], "") + end
}

func (a *Annotation) json() annotationJSON {
	j := annotationJSON{Path: a.Path, StartLine: max(1, a.StartLine), EndLine: max(1, a.StartLine, a.EndLine), Level: a.Level, Message: cut(a.Message, 64<<10), Title: cut(a.Title, 255), Details: cut(a.Details, 64<<10)}
	if j.StartLine == j.EndLine && a.StartColumn > 0 {
		j.StartColumn, j.EndColumn = a.StartColumn, max(a.StartColumn, a.EndColumn)
	}
	return j
}

// CreateCheck makes a check run and returns its id, which is not 0 if only some
// annotations could not be added. If GitHub fails to answer, it looks for a run
// with the same ExternalID before it tries again; without one it does not.
func (c *Client) CreateCheck(ctx context.Context, owner, repo string, k Check) (id int64, err error) {
	body, err := k.json()
	if err != nil {
		return 0, err
	}
	rest := body.add(k.Annotations)
	what := fmt.Sprintf("%s/%s: check %q", owner, repo, k.Name)
	q := request{what: what, method: http.MethodPost, path: escape("repos", owner, repo, "check-runs"), body: body, once: true, needs: "checks: write"}
	var in struct{ ID int64 }
	if k.ExternalID == "" {
		_, err = c.as.call(ctx, q, &in)
	} else {
		err = c.create(ctx, q, &in, func() error {
			in.ID, err = c.FindCheck(ctx, owner, repo, k.HeadSHA, k.ExternalID)
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	return in.ID, c.annotate(ctx, owner, repo, in.ID, body, rest, len(k.Annotations)-len(rest))
}

// add takes as many annotations as fit and returns the others.
func (b *checkJSON) add(all []Annotation) []Annotation {
	n := min(len(all), maxAnnotations)
	if b.Output != nil {
		b.Output.Annotations = nil
	}
	for _, a := range all[:n] {
		b.Output.Annotations = append(b.Output.Annotations, a.json())
	}
	return all[n:]
}

// UpdateCheck changes a check run.
func (c *Client) UpdateCheck(ctx context.Context, owner, repo string, id int64, k Check) error {
	body, err := k.json()
	if err != nil {
		return err
	}
	if len(k.Annotations) == 0 {
		_, err := c.as.call(ctx, c.patch(owner, repo, id, body), nil)
		return err
	}
	there, err := c.annotations(ctx, owner, repo, id)
	if err != nil {
		return err
	}
	return c.annotate(ctx, owner, repo, id, body, k.Annotations, there)
}

func (c *Client) patch(owner, repo string, id int64, body *checkJSON) request {
	body.HeadSHA = "" // a run stays on its commit
	return request{what: fmt.Sprintf("%s/%s: check run %d", owner, repo, id), method: http.MethodPatch, path: escape("repos", owner, repo, "check-runs", fmt.Sprint(id)), body: body, needs: "checks: write"}
}

// annotate adds annotations fifty at a time, each with the rest of body. there is
// how many the run has: where GitHub fails to answer, their number tells whether
// it added those of the request.
func (c *Client) annotate(ctx context.Context, owner, repo string, id int64, body *checkJSON, rest []Annotation, there int) error {
	for len(rest) > 0 {
		all := len(rest)
		rest = body.add(rest)
		q := c.patch(owner, repo, id, body)
		q.once = true
		sent := there + all - len(rest)
		err := c.create(ctx, q, nil, func() error {
			n, err := c.annotations(ctx, owner, repo, id)
			if err == nil && n < sent {
				return &Error{Subject: q.what, Host: c.as.line.api.Host, Status: http.StatusNotFound, kind: ErrNotFound}
			}
			return err
		})
		if err != nil {
			return err
		}
		there = sent
	}
	return nil
}

// annotations returns how many a check run has.
func (c *Client) annotations(ctx context.Context, owner, repo string, id int64) (int, error) {
	var in struct {
		Output struct {
			Count int `json:"annotations_count"`
		}
	}
	_, err := c.as.call(ctx, request{what: fmt.Sprintf("%s/%s: check run %d", owner, repo, id), path: escape("repos", owner, repo, "check-runs", fmt.Sprint(id)), needs: "checks: read"}, &in)
	return in.Output.Count, err
}

// FindCheck returns the newest of the App's check runs on a commit with an
// ExternalID; ErrNotFound if there is none.
func (c *Client) FindCheck(ctx context.Context, owner, repo, commit, externalID string) (int64, error) {
	what := fmt.Sprintf("%s/%s: check %q on %s", owner, repo, externalID, commit)
	q := request{what: what, path: escape("repos", owner, repo, "commits", commit, "check-runs"), query: url.Values{"filter": {"all"}, "app_id": {fmt.Sprint(c.app.id)}}, needs: "checks: read"}
	var found int64
	var page struct {
		Runs []struct {
			ID         int64
			ExternalID string `json:"external_id"`
		} `json:"check_runs"`
	}
	take := func() {
		for _, r := range page.Runs {
			if r.ExternalID == externalID {
				found = max(found, r.ID)
			}
		}
		page.Runs = nil
	}
	if err := c.as.pages(ctx, q, func() any { take(); return &page }, always); err != nil {
		return 0, err
	}
	take()
	if found == 0 {
		return 0, &Error{Subject: what, Host: c.as.line.api.Host, Status: http.StatusNotFound, kind: ErrNotFound}
	}
	return found, nil
}
