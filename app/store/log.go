package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// LogLine is one line of a release's log.
type LogLine struct {
	Seq  int64 // given by the store, growing within the release from 1, without gaps
	At   time.Time
	Leg  string // "": of the release as a whole
	Text string
}

func (l *LogLine) columns() []any { return []any{&l.Seq, at(&l.At), &l.Leg, &l.Text} }

// progress counts what happens to a release; see migrations/0001_tables.sql.
type progress struct {
	version, seq, bytes int64
	full                bool
}

func (p *progress) columns() []any { return []any{&p.version, &p.seq, &p.bytes, &p.full} }

const (
	lineBytes = 32 << 10 // longer lines are cut, and say so
	lineCost  = 24       // what a line counts besides its text and leg, so that empty lines are bounded too
	lineBatch = 200      // lines in one statement
)

// AppendLog adds lines in their order. Text with line breaks becomes several lines, a
// zero At means now. A release's log is bounded: at its end one line says so, and what comes
// after is dropped, which is no error. It returns ErrNotFound if there is no such release.
func (s *Store) AppendLog(ctx context.Context, release string, lines []LogLine) error {
	lines = s.split(lines)
	if len(lines) == 0 {
		return nil
	}
	var version int64
	err := s.write(ctx, func(ctx context.Context, q querier) error {
		// The row stays locked until the end: numbers are given in the order of commits,
		// so that who reads after a number never misses a smaller one.
		p, err := one(ctx, q, (*progress).columns, "UPDATE progress SET version = version + 1 WHERE release = ? AND NOT log_full RETURNING version, log_seq, log_bytes, log_full", release)
		if errors.Is(err, ErrNotFound) { // or full
			_, err = one(ctx, q, value[string], "SELECT release FROM progress WHERE release = ?", release)
			return err
		}
		if err != nil {
			return err
		}
		version = p.version
		for batch := range slices.Chunk(p.add(lines, s.logLimit), lineBatch) {
			var args []any
			for _, l := range batch {
				args = append(args, release, l.Seq, l.At, l.Leg, l.Text)
			}
			values := strings.TrimSuffix(strings.Repeat("(?, ?, ?, ?, ?), ", len(batch)), ", ")
			if _, err := q.exec(ctx, "INSERT INTO lines (release, seq, at, leg, text) VALUES "+values, args...); err != nil {
				return err
			}
		}
		_, err = q.exec(ctx, "UPDATE progress SET log_seq = ?, log_bytes = ?, log_full = ? WHERE release = ?", p.seq, p.bytes, p.full, release)
		return err
	})
	if err != nil {
		return about(err, "release %s: log", release)
	}
	s.watch.changed(release, version)
	return nil
}

// add numbers and counts lines and returns those that are kept.
func (p *progress) add(lines []LogLine, limit int64) []LogLine {
	var kept []LogLine
	for _, l := range lines {
		cost := int64(len(l.Text) + len(l.Leg) + lineCost)
		if p.full = p.bytes+cost > limit; p.full {
			l.Leg, l.Text = "", "this log has reached "+size(limit)+", which is the most that is kept: what follows is not here"
		}
		p.bytes += cost
		p.seq++
		l.Seq = p.seq
		kept = append(kept, l)
		if p.full {
			break
		}
	}
	return kept
}

// split returns the lines as they are kept.
func (s *Store) split(lines []LogLine) []LogLine {
	now := s.now()
	var split []LogLine
	for _, l := range lines {
		if l.At.IsZero() {
			l.At = now
		}
		l.Leg = text(l.Leg)
		for t := range strings.SplitSeq(strings.TrimRight(l.Text, "\r\n"), "\n") {
			l.Text = text(strings.TrimSuffix(t, "\r"))
			if len(l.Text) > lineBytes {
				l.Text = strings.ToValidUTF8(l.Text[:lineBytes], "") + fmt.Sprintf(" … (%d bytes more)", len(l.Text)-lineBytes)
			}
			split = append(split, l)
		}
	}
	return split
}

func size(n int64) string {
	if n%(1<<20) == 0 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

// Log returns the lines after a number, the oldest first. A limit of 0 means 1,000; at
// most 10,000.
func (s *Store) Log(ctx context.Context, release string, after int64, limit int) ([]LogLine, error) {
	list, err := all(ctx, s.read(), (*LogLine).columns, "SELECT seq, at, leg, text FROM lines WHERE release = ? AND seq > ? ORDER BY seq LIMIT ?", release, after, bounded(limit, 1000, 10000))
	return plain(list), about(err, "release %s: log", release)
}

// LogTail returns the last n lines, the oldest first; n as the limit of Log.
func (s *Store) LogTail(ctx context.Context, release string, n int) ([]LogLine, error) {
	list, err := all(ctx, s.read(), (*LogLine).columns, "SELECT seq, at, leg, text FROM lines WHERE release = ? ORDER BY seq DESC LIMIT ?", release, bounded(n, 1000, 10000))
	slices.Reverse(list)
	return plain(list), about(err, "release %s: log", release)
}

func plain(list []*LogLine) []LogLine {
	var lines []LogLine
	for _, l := range list {
		lines = append(lines, *l)
	}
	return lines
}
