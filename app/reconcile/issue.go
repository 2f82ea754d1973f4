package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/github"
)

// issue is Options.Warn where nothing else is given: an issue per key, with a comment
// for each further warning. An App that may not write issues, or a repository without
// them, is no error: the check of each release says it too.
func (l *Loop) issue(ctx context.Context, w Warning) error {
	app := l.o.GitHub()
	if app == nil {
		return errors.New("there is no App yet")
	}
	c, r := app.Installation(w.Installation), w.Repository
	// The marker finds the issue again, whatever people make of its title.
	marker := "<!-- distropack key " + strings.Map(marked, w.Scope+" "+w.Name) + " -->"
	title := "A signing key expires on " + w.Expires.UTC().Format("2 January 2006")
	text := check.Plain(strings.ToUpper(w.Text[:1])+w.Text[1:], 1000) + ".\n"
	there, err := c.FindIssue(ctx, r.Owner, r.Name, marker)
	switch {
	case errors.Is(err, github.ErrNotFound):
		_, err = c.OpenIssue(ctx, r.Owner, r.Name, title, text+l.advice(w)+"\n"+marker)
	case err == nil && !strings.Contains(there.Body, text):
		err = c.Comment(ctx, r.Owner, r.Name, there.Number, text)
	}
	if errors.Is(err, github.ErrForbidden) {
		l.log.Info("no issue can be opened about a key; checks say it", "repository", r.ID, "key", w.Name, "err", err)
		return nil
	}
	return err
}

func (l *Loop) advice(w Warning) string {
	var b strings.Builder
	b.WriteString("\nAfter that day apt, dnf, zypper and pacman refuse what is published, and people get no updates. ")
	b.WriteString("A key that is extended stays the same key; a new one takes the old one's place while both sign.\n")
	if l.o.KeyPage != nil {
		if page := l.o.KeyPage(w.Scope); page != "" {
			fmt.Fprintf(&b, "\nIt is done on this page: %s\n", page)
		}
	}
	return b.String()
}

// marked keeps a marker within its comment.
func marked(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(" :._", c) {
		return c
	}
	return '_'
}
