package verify

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
)

// release fetches the signed text and checks it; nil where there is none to go on
// with.
func (r *run) release(ctx context.Context, t *target) []byte {
	in, rel, gpg := path.Join(t.Path, "InRelease"), path.Join(t.Path, "Release"), path.Join(t.Path, "Release.gpg")
	var have [3][]byte
	for i, name := range []string{in, rel, gpg} {
		b, err := r.get(ctx, t, name, maxPointer)
		if err != nil && !isMissing(err) {
			r.lost(t, Error, name, err)
			return nil
		}
		have[i] = b
	}
	clear, text, sig := have[0], have[1], have[2]
	switch {
	case clear == nil && text == nil:
		r.add(t, Error, in, "missing", "neither InRelease nor Release is there")
		return nil
	case clear == nil && sig == nil:
		r.add(t, Warning, in, "unsigned", "the suite is not signed: apt refuses it unless told to trust it")
		return text
	case clear == nil:
		if !r.signature(t, gpg, "Release", text, sig, func() document { return document{} }) && !r.trust.ring.Empty() {
			return nil
		}
		return text
	}
	signed, ok := r.inRelease(t, in, clear)
	if !ok {
		return nil
	}
	if text == nil {
		return signed
	}
	same := bytes.Equal(trimLines(text), trimLines(signed))
	if sig == nil {
		r.add(t, Warning, gpg, "missing", "Release is there without its signature: clients that do not read InRelease refuse it")
	} else if t.Signed && !r.signature(t, gpg, "Release", text, sig, func() document {
		d := document{sound: same, proven: same}
		if made, other := dateOf(text), dateOf(signed); !same && !made.IsZero() && !made.Equal(other) {
			d = document{sound: true, proven: true} // it dates itself otherwise than InRelease
		}
		return d
	}) {
		return signed
	}
	if !same {
		r.add(t, Error, rel, "torn", "it is not the text of InRelease: the two are of two publishes; clients that read the one see other packages than those that read the other")
	}
	return signed
}

// inRelease checks the clear-signed text.
func (r *run) inRelease(t *target, name string, message []byte) ([]byte, bool) {
	if r.trust.ring.Empty() {
		r.add(t, Warning, name, "no-key", noKey)
		text, err := keys.ClearText(message)
		if err != nil {
			r.add(t, Error, name, "signature", "%v", err)
		}
		return text, err == nil
	}
	text, by, err := r.trust.ring.Clear(message, r.Now)
	if err != nil {
		r.add(t, Error, name, "signature", "%v", err)
		return nil, false
	}
	r.trust.use(by.Fingerprint)
	t.Signed = true
	return text, true
}

func dateOf(text []byte) time.Time {
	rel, err := parseRelease(text)
	if err != nil {
		return time.Time{}
	}
	return rel.date
}

// trimLines takes white space off the ends of lines, which clear signing does not
// keep.
func trimLines(b []byte) []byte {
	var out []byte
	for line := range bytes.Lines(bytes.TrimSpace(b)) {
		out = append(append(out, bytes.TrimRight(line, " \t\r\n")...), '\n')
	}
	return out
}

// entry is a file that Release lists, by its strongest digests.
type entry struct {
	path string
	want
	strongest sum // by-hash files are named by it
}

type release struct {
	date, until time.Time
	hasDate     bool
	byHash      bool
	entries     []entry
}

// parseRelease reads what matters of a Release file.
func parseRelease(text []byte) (*release, error) {
	rel := &release{}
	byPath := make(map[string]*entry)
	algorithm := ""
	n := 0
	for raw := range bytes.Lines(text) {
		n++
		line := strings.TrimRight(string(raw), " \t\r\n")
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if algorithm == "" {
				continue
			}
			f := strings.Fields(line)
			if len(f) != 3 {
				return nil, fmt.Errorf("line %d is not a digest, a size and a path", n)
			}
			size, err := strconv.ParseUint(f[1], 10, 62)
			if err != nil {
				return nil, fmt.Errorf("line %d: size %.40q is not a number", n, f[1])
			}
			s, err := makeSum(algorithm, f[0])
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			e := byPath[f[2]]
			if e == nil {
				e = &entry{path: f[2], want: want{int64(size), s}, strongest: s}
				byPath[f[2]] = e
			}
			if e.size != int64(size) {
				return nil, fmt.Errorf("line %d: %.200q has two sizes", n, f[2])
			}
			if s.algorithm == "sha256" || e.weak() && !s.weak() {
				e.sum = s
			}
			if s.algorithm == "sha512" || e.strongest.weak() {
				e.strongest = s
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok && line != "" {
			return nil, fmt.Errorf("line %d is no field: %.60q", n, line)
		}
		value = strings.TrimSpace(value)
		algorithm = ""
		var err error
		switch strings.ToLower(key) {
		case "date":
			rel.date, err = parseDate(value)
			rel.hasDate = true
		case "valid-until":
			rel.until, err = parseDate(value)
		case "acquire-by-hash":
			rel.byHash = value == "yes"
		case "sha256", "sha512", "sha1":
			algorithm = strings.ToLower(key)
		case "md5sum":
			algorithm = "md5"
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	for _, p := range sortedKeys(byPath) {
		rel.entries = append(rel.entries, *byPath[p])
	}
	return rel, nil
}

func parseDate(s string) (time.Time, error) {
	for _, form := range []string{"Mon, _2 Jan 2006 15:04:05 MST", time.RFC1123Z, "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if at, err := time.Parse(form, s); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("date %.60q is not of the form Mon, 02 Jan 2006 15:04:05 UTC", s)
}

// aptDates looks at freshness. apt takes a Release that is up to 10 seconds ahead.
func (r *run) aptDates(t *target, rel *release) {
	name := path.Join(t.Path, "InRelease")
	t.Date, t.ValidUntil = rel.date, rel.until
	switch {
	case !rel.hasDate:
		r.add(t, Warning, name, "index", "it has no Date: apt can't tell a newer one from an older one")
	case rel.date.After(r.Now.Add(10 * time.Second)):
		r.add(t, Error, name, "future", "its Date is %s, now it is %s: apt refuses it until then", rel.date.Format(time.RFC3339), r.Now.UTC().Format(time.RFC3339))
	}
	if rel.until.IsZero() {
		return
	}
	left, whole := rel.until.Sub(r.Now), rel.until.Sub(rel.date)
	switch {
	case left <= 0:
		r.add(t, Error, name, "expired", "its Valid-Until passed on %s: apt refuses it; publish again", rel.until.Format(time.RFC3339))
	case left < min(whole/4, 7*24*time.Hour):
		r.add(t, Warning, name, "stale", "its Valid-Until is %s, three quarters of its time are over: publish again before that", rel.until.Format(time.RFC3339))
	}
}

var packed = []string{".gz", ".zst", ".xz", ".bz2", ".lzma", ".lz4"}

// groups are the forms of one file: Packages, Packages.gz.
func (rel *release) groups() [][]entry {
	byStem := make(map[string][]entry)
	for _, e := range rel.entries {
		byStem[stem(e.path)] = append(byStem[stem(e.path)], e)
	}
	var all [][]entry
	for _, s := range sortedKeys(byStem) {
		all = append(all, byStem[s])
	}
	return all
}

func stem(p string) string {
	if ext := path.Ext(p); slices.Contains(packed, ext) {
		return strings.TrimSuffix(p, ext)
	}
	return p
}
