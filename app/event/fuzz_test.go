package event

import (
	"strings"
	"testing"
	"unicode"
)

// Parse never panics, and what it does not refuse is safe to use.
func FuzzParse(f *testing.F) {
	seen := map[key]bool{}
	for _, x := range examples(f) {
		h, err := ReadHead(x.name, x.body)
		if err != nil {
			f.Fatal(err)
		}
		if k := (key{x.name, h.Action}); meanings[k].kind != "" && !seen[k] {
			seen[k] = true
			f.Add(x.name, x.body)
		}
	}
	f.Add("push", body(`"ref":"refs/tags/v1","after":"`+commit+`","head_commit":{"id":"`+commit+`"}`))
	f.Add("installation_target", []byte(`{"action":"renamed","installation":{"id":7},"account":{"id":1,"login":"a"},"changes":{"login":{"from":"b"}}}`))
	f.Add("star", []byte(`{"action":null}`))
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		e, err := Parse(name, body)
		if err != nil {
			if e != nil {
				t.Error("an event beside an error")
			}
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		h, err := ReadHead(name, body)
		if err != nil || h.Action != e.Action {
			t.Errorf("the head says %+v, %v; the event %q", h, err, e.Action)
		}
		if (e.Kind == Ignored) != (e.Note != "") || e.Kind == "" {
			t.Errorf("kind %q with the note %q", e.Kind, e.Note)
		}
		if e.Installation.ID < 0 || e.Release < 0 || e.CheckRun < 0 || e.PullRequest < 0 || e.Sender.ID < 0 {
			t.Errorf("an id is negative: %+v", e)
		}
		for _, r := range append(e.Repositories, e.Repository) {
			if r != nil && (r.ID <= 0 || !safe(r.Name) || !safe(r.Owner.Login) || strings.ContainsAny(r.Name+r.Owner.Login, "/ ")) {
				t.Errorf("repository %+v", r)
			}
		}
		for _, s := range []string{e.Name, e.Action, e.Tag, e.Ref, e.Commit, e.From, e.Sender.Login, e.Installation.Account.Login, e.ExternalID, e.RequestedAction} {
			if !safe(s) {
				t.Errorf("%q is not safe to use", s)
			}
		}
	})
}

func safe(s string) bool {
	if strings.HasPrefix(s, "../") || strings.Contains(s, "/../") || strings.HasSuffix(s, "/..") || s == ".." || len(s) > 600 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) < 0
}
