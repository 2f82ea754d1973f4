package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/config"
)

// progress shows on a terminal what is being done, once it takes over a second,
// and with -v every step as a line.
func (a *app) progress() func(pipeline.Event) {
	if a.quiet || a.json {
		return nil
	}
	terminal := isTerminal(a.err)
	if !terminal && !a.verbose {
		return nil
	}
	var mu sync.Mutex
	start := time.Now()
	done := 0
	return func(e pipeline.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Done {
			done++
		}
		if a.verbose {
			if e.Done && e.Err == nil {
				fmt.Fprintf(a.err, "%s %d/%d %s %s\n", e.Step, done, e.M, e.Name, size(e.Size))
			}
			return
		}
		if time.Since(start) > time.Second {
			fmt.Fprintf(a.err, "\r\x1b[K%s %d/%d %s", e.Step, e.N, e.M, e.Name)
			if e.Done && e.N == e.M {
				fmt.Fprint(a.err, "\r\x1b[K")
			}
		}
	}
}

// size renders bytes for people.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

// table prints rows in columns.
func table(w io.Writer, rows [][]string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	t.Flush()
}

// warn prints the warnings of a report.
func (a *app) warn(rep *pipeline.Report) {
	if a.quiet || a.json || rep == nil {
		return
	}
	for _, w := range rep.Warnings {
		fmt.Fprintln(a.err, "warning: "+w)
	}
}

// mistakes counts the errors of a configuration.
func mistakes(errs config.Errors) string {
	if len(errs) == 1 {
		return "1 mistake"
	}
	return fmt.Sprintf("%d mistakes", len(errs))
}
