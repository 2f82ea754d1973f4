package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// LogEntry says that something was published. Seq, Previous and Hash are the store's.
type LogEntry struct {
	Seq        int64 // from 1, without gaps, over all repositories
	At         time.Time
	Repository int64
	Release    string
	Kind       string
	Subject    string
	Digest     string
	Previous   string // Hash of the entry with Seq-1; "" for the first
	Hash       string // see Sum
}

const publishLogColumns = "seq, at, repository, release, kind, subject, digest, previous, hash"

func (e *LogEntry) columns() []any {
	return []any{&e.Seq, at(&e.At), &e.Repository, &e.Release, &e.Kind, &e.Subject, &e.Digest, &e.Previous, &e.Hash}
}

// Sum is what Hash has to be: the SHA-256, in hexadecimal, of Previous, Seq, At (in
// microseconds since 1970), Repository, Release, Kind, Subject and Digest, each written as
// its length in bytes, a colon, itself and a comma; numbers are decimal.
func (e *LogEntry) Sum() string {
	h := sha256.New()
	for _, field := range []string{e.Previous, strconv.FormatInt(e.Seq, 10), strconv.FormatInt(micros(e.At), 10), strconv.FormatInt(e.Repository, 10), e.Release, e.Kind, e.Subject, e.Digest} {
		fmt.Fprintf(h, "%d:%s,", len(field), field)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Verify checks entries in the order of Seq, such as PublishLog returns: each bears the
// hash of its own fields, and where one follows another without a gap, that one's hash too.
func Verify(entries []*LogEntry) error {
	var before *LogEntry
	for _, e := range entries {
		if e.Hash != e.Sum() {
			return fmt.Errorf("entry %d of the publish log was changed: its hash is %s, its fields give %s", e.Seq, e.Hash, e.Sum())
		}
		if e.Seq == 1 && e.Previous != "" {
			return fmt.Errorf("entry 1 of the publish log follows %s, want nothing", e.Previous)
		}
		if before != nil && e.Seq <= before.Seq {
			return fmt.Errorf("entry %d of the publish log comes after entry %d", e.Seq, before.Seq)
		}
		if before != nil && e.Seq == before.Seq+1 && e.Previous != before.Hash {
			return fmt.Errorf("entry %d of the publish log follows %s, but the hash of entry %d is %s", e.Seq, e.Previous, before.Seq, before.Hash)
		}
		before = e
	}
	return nil
}

// AppendPublishLog adds entries, all or none, in their order. It fills Seq, Previous and
// Hash, and At if it is zero. The database refuses to change or delete an entry.
func (s *Store) AppendPublishLog(ctx context.Context, entries ...*LogEntry) error {
	if len(entries) == 0 {
		return nil
	}
	now := s.now()
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		if err := s.dialect.lock(ctx, q, "publish log"); err != nil {
			return err
		}
		last, err := one(ctx, q, (*LogEntry).columns, "SELECT "+publishLogColumns+" FROM publish_log ORDER BY seq DESC LIMIT 1")
		if errors.Is(err, ErrNotFound) {
			last, err = &LogEntry{}, nil
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.At = stored(e.At); e.At.IsZero() {
				e.At = now
			}
			e.Release, e.Kind, e.Subject, e.Digest = text(e.Release), text(e.Kind), text(e.Subject), text(e.Digest)
			e.Seq, e.Previous = last.Seq+1, last.Hash
			e.Hash = e.Sum()
			if _, err := q.exec(ctx, "INSERT INTO publish_log ("+publishLogColumns+") VALUES ("+marks(9)+")",
				e.Seq, e.At, e.Repository, e.Release, e.Kind, e.Subject, e.Digest, e.Previous, e.Hash); err != nil {
				return err
			}
			last = e
		}
		return nil
	}), "publish log")
}

// PublishLog returns the entries of a repository, or all (0), after a number, the oldest
// first. A limit of 0 means 1,000; at most 10,000.
func (s *Store) PublishLog(ctx context.Context, repository int64, after int64, limit int) ([]*LogEntry, error) {
	var w where
	w.add("seq > ?", after)
	if repository != 0 {
		w.add("repository = ?", repository)
	}
	w.args = append(w.args, bounded(limit, 1000, 10000))
	list, err := all(ctx, s.read(), (*LogEntry).columns, "SELECT "+publishLogColumns+" FROM publish_log"+w.String()+" ORDER BY seq LIMIT ?", w.args...)
	return list, about(err, "publish log")
}

// VerifyPublishLog reads the whole log, checks it and that no entry is missing, and
// returns the last one's number and hash ("" if there is none). Whoever can write to the
// database could make a log of their own or leave out the end: keep the pair elsewhere, and
// compare later that the entry of that number still has that hash.
func (s *Store) VerifyPublishLog(ctx context.Context) (seq int64, hash string, err error) {
	last := &LogEntry{}
	for {
		entries, err := s.PublishLog(ctx, 0, last.Seq, 0)
		if err != nil {
			return 0, "", err
		}
		if len(entries) == 0 {
			return last.Seq, last.Hash, nil
		}
		if entries[0].Seq != last.Seq+1 || entries[len(entries)-1].Seq != last.Seq+int64(len(entries)) {
			return 0, "", fmt.Errorf("entries of the publish log are missing between %d and %d", last.Seq, entries[len(entries)-1].Seq)
		}
		if last.Seq > 0 {
			entries = append([]*LogEntry{last}, entries...)
		}
		if err := Verify(entries); err != nil {
			return 0, "", err
		}
		last = entries[len(entries)-1]
	}
}
