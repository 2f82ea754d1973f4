package web

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
)

// longLine is how many characters of a line pages show; log.txt has all of it.
const longLine = 4000

// pageLines is how many lines a page of a log has.
const pageLines = 1000

// logLine is a line as pages and the script show it.
type logLine struct {
	N    int64  `json:"n"`
	At   string `json:"at"`
	Leg  string `json:"leg"`
	Text string `json:"text"`
}

type logView struct {
	Lines []logLine
	First int64 // 0 if there are none
	Last  int64
}

func newLogLine(l store.LogLine) logLine {
	return logLine{l.Seq, l.At.UTC().Format("15:04:05"), clean(l.Leg), short(clean(l.Text), longLine)}
}

func newLogView(lines []store.LogLine) logView {
	v := logView{Lines: make([]logLine, len(lines))}
	for i, l := range lines {
		v.Lines[i] = newLogLine(l)
	}
	if len(lines) > 0 {
		v.First, v.Last = lines[0].Seq, lines[len(lines)-1].Seq
	}
	return v
}

// Earlier says whether there are lines before these.
func (v logView) Earlier() bool { return v.First > 1 }

type logPageView struct {
	Tag, Back, Text    string
	Path               string
	Log                logView
	Total              int64
	FirstPage, Earlier string // addresses; "" where there is nothing
	Later, LastPage    string
}

// pagerAt is the pager above or below the lines; each needs a name of its own.
type pagerAt struct {
	Where string
	View  logPageView
}

// Above is the pager before the lines.
func (v logPageView) Above() pagerAt { return pagerAt{"before the lines", v} }

// Below is the one after them.
func (v logPageView) Below() pagerAt { return pagerAt{"after the lines", v} }

// logPage shows a part of a log: the end of it, or what follows after=.
func (s *Site) logPage(w http.ResponseWriter, r *http.Request, v *visit) error {
	ctx := r.Context()
	rel := v.releases[0]
	tail, err := s.o.Store.LogTail(ctx, rel.ID, pageLines)
	if err != nil {
		return err
	}
	view := logPageView{Tag: clean(rel.Tag), Back: ReleasePath(rel), Path: releasePath(rel, "log"), Text: releasePath(rel, "log.txt"), Log: newLogView(tail)}
	view.Total = view.Log.Last
	if text := r.URL.Query().Get("after"); text != "" {
		lines, err := s.o.Store.Log(ctx, rel.ID, number(text), pageLines)
		if err != nil {
			return err
		}
		view.Log = newLogView(lines)
	}
	if view.Log.First > 1 {
		view.FirstPage = view.Path + "?after=0"
		view.Earlier = view.Path + "?after=" + itoa(max(0, view.Log.First-1-pageLines))
	}
	if view.Log.Last < view.Total {
		view.Later, view.LastPage = view.Path+"?after="+itoa(view.Log.Last), view.Path
	}
	crumbs, err := s.crumbs(ctx, v.repository)
	if err != nil {
		return err
	}
	s.render(w, r, v, http.StatusOK, "log", &page{Title: "Log of " + view.Tag, Crumbs: append(crumbs, crumb{view.Tag, view.Back}), Data: view})
	return nil
}

// logText writes a whole log as text, in pieces.
func (s *Site) logText(w http.ResponseWriter, r *http.Request, v *visit) error {
	return s.writeLog(w, r, v.releases[0], number(r.URL.Query().Get("after")))
}

func (s *Site) writeLog(w http.ResponseWriter, r *http.Request, rel *store.Release, after int64) error {
	const piece = 2000
	rc := http.NewResponseController(w)
	out := bufio.NewWriterSize(w, 64<<10)
	for begun := false; ; {
		lines, err := s.o.Store.Log(r.Context(), rel.ID, after, piece)
		if err != nil {
			if begun {
				panic(http.ErrAbortHandler) // half a log must not look like one
			}
			return err
		}
		if !begun {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			begun = true
		}
		// A reader that stands still is let go, however long a log takes.
		_ = rc.SetWriteDeadline(time.Now().Add(time.Minute)) // servers of tests may not know it
		for _, l := range lines {
			after = l.Seq
			out.WriteString(l.At.UTC().Format("2006-01-02T15:04:05.000Z"))
			if l.Leg != "" {
				out.WriteString(" [" + clean(l.Leg) + "]")
			}
			out.WriteString(" " + clean(l.Text) + "\n")
		}
		if len(lines) < piece {
			_ = out.Flush() // whoever asked has gone
			return nil
		}
	}
}

// escapePath escapes what stands between slashes.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
