package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/pipeline/each"
	"github.com/distropack/distropack/pipeline/keys"
)

// apt looks at a suite as apt does: InRelease, or Release with Release.gpg, then
// all indexes that it lists, by name and by hash. See
// https://wiki.debian.org/DebianRepository/Format.
func (r *run) apt(ctx context.Context, t *target) {
	text := r.release(ctx, t)
	if text == nil {
		return
	}
	rel, err := parseRelease(text)
	if err != nil {
		r.add(t, Error, path.Join(t.Path, "Release"), "index", "it can't be read: %v", err)
		return
	}
	r.aptDates(t, rel)
	// Indexes of suites lie below dists/, the paths of packages count from the
	// folder above; a flat repository has all in one folder.
	base, _, inDists := strings.Cut("/"+t.Path+"/", "/dists/")
	base = strings.Trim(base, "/")
	if !inDists {
		base = t.Path
		if t.Path == "." {
			base = ""
		}
	}
	groups := rel.groups()
	each.Do(ctx, each.Limits{Jobs: r.Jobs}, false, groups, nil, func(ctx context.Context, g []entry) (struct{}, error) {
		r.aptGroup(ctx, t, rel, g, base)
		return struct{}{}, nil
	})
}

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

// aptGroup looks at all forms of one index. Release states the plain one whether it
// is there or not: what the others hold has to match it.
func (r *run) aptGroup(ctx context.Context, t *target, rel *release, g []entry, base string) {
	open := want{size: -1}
	for _, e := range g {
		if stem(e.path) == e.path {
			open = e.want
		}
	}
	listsPackages := path.Base(stem(g[0].path)) == "Packages"
	slices.SortStableFunc(g, func(a, b entry) int { return cmp.Compare(len(path.Ext(a.path)), len(path.Ext(b.path))) })
	var items []*item
	done := false
	missing := ""
	for _, e := range g {
		name, ok := r.place(t, path.Join(t.Path, "InRelease"), t.Path, e.path)
		if !ok {
			continue
		}
		if e.weak() {
			r.add(t, Warning, name, "weak-hash", "Release lists it by %s only: apt does not take that for proof", strings.ToUpper(e.algorithm))
		}
		var found []*item
		var parse func(io.Reader) error
		pack := &log{}
		if listsPackages && !done {
			parse = (&run{Options: r.Options, log: pack, see: r.see}).stanzas(t, name, base, &found)
		}
		got, err := r.index(ctx, t, name, e.want, want{size: -1, sum: sumLike(open)}, pointer, parse)
		if isMissing(err) && e.path == stem(e.path) {
			missing = name // one form is enough, and most archives keep only packed ones
			continue
		}
		if err != nil {
			r.lost(t, Error, name, err)
			continue
		}
		t.addIndex(r)
		text := open
		if e.path == stem(e.path) || path.Ext(e.path) == ".lzma" || path.Ext(e.path) == ".lz4" {
			text = want{size: -1} // not unpacked here
		}
		good, other := r.aptJudge(ctx, t, name, e, got, text, rel.byHash)
		if !good && !other {
			continue
		}
		again := parse
		if other {
			found, pack.found = nil, nil
		} else {
			again = nil
		}
		// apt never asks for the Release stub of a component.
		if rel.byHash && path.Base(name) != "Release" && !r.aptByHash(ctx, t, name, e, again) && other {
			continue
		}
		for _, f := range pack.found {
			r.put(f)
		}
		if parse != nil {
			items, done = found, true
		}
	}
	if missing != "" && len(g) == 1 && !strings.HasPrefix(path.Base(missing), "Contents") {
		r.add(t, Error, missing, "missing", "it is not there")
	}
	r.need(t, items...)
}

// sumLike is the digest's algorithm without a value, to hash by.
func sumLike(w want) sum { return sum{algorithm: w.algorithm} }

// aptJudge is judge, and tells an index of another publish from a damaged one: the
// former lies by hash under its own digest.
func (r *run) aptJudge(ctx context.Context, t *target, name string, e entry, got *read, open want, byHash bool) (good, other bool) {
	code, text := e.match(got.size, got.packed)
	if code == "" {
		return r.judgeText(t, name, got, open), false
	}
	if byHash && r.otherPublish(ctx, name) {
		r.add(t, Warning, name, "torn", "it is of another publish than InRelease: a cache or mirror serves both at once; apt fetches the right one by hash, clients that do not have to wait")
		return false, true
	}
	r.add(t, Error, name, code, "%s", text)
	return false, false
}

// otherPublish reports whether the file of a name also lies by hash, under the
// digest that it has now.
func (r *run) otherPublish(ctx context.Context, name string) bool {
	h := sha256.New()
	f, err := r.Fetch.Open(ctx, name)
	if err != nil {
		return false
	}
	defer f.Close()
	if _, err := io.Copy(h, io.LimitReader(f, r.MaxIndex)); err != nil {
		return false
	}
	_, err = r.Fetch.Stat(ctx, path.Join(path.Dir(name), "by-hash/SHA256", fmt.Sprintf("%x", h.Sum(nil))))
	return err == nil
}

// aptByHash looks at the file that apt asks for first.
func (r *run) aptByHash(ctx context.Context, t *target, name string, e entry, parse func(io.Reader) error) bool {
	folder := map[string]string{"sha256": "SHA256", "sha512": "SHA512", "sha1": "SHA1", "md5": "MD5Sum"}[e.strongest.algorithm]
	by := path.Join(path.Dir(name), "by-hash", folder, e.strongest.hex)
	got, err := r.index(ctx, t, by, e.want, want{size: -1}, fixed, parse)
	if err != nil {
		r.lost(t, Error, by, err)
		return false
	}
	if code, text := e.match(got.size, got.packed); code != "" {
		r.add(t, Error, by, code, "%s", text)
		return false
	}
	return parse == nil || r.judgeText(t, by, got, want{size: -1})
}

// stanzas returns a parser of Packages that gathers items.
func (r *run) stanzas(t *target, index, base string, items *[]*item) func(io.Reader) error {
	return func(text io.Reader) error {
		var seen twice
		bad := 0
		return stanzas(text, func(s *stanza) error {
			if s.name == "" || s.version == "" || s.filename == "" {
				return fmt.Errorf("package %.100q version %.100q has no %s", s.name, s.version, firstEmpty(s))
			}
			w, weak, err := s.want()
			if err != nil {
				return err
			}
			if bad++; bad > maxItems {
				return errors.New("it lists more than 10 million packages")
			}
			name, ok := r.place(t, index, base, s.filename)
			if !ok {
				return nil
			}
			if weak {
				r.add(t, Warning, index, "weak-hash", "package %.100s has no SHA-256: clients refuse it, or can't tell a forged one", s.name)
			}
			id := strings.Join([]string{s.name, s.version, s.arch}, " ")
			if again, differ := seen.add(id, w.hex); again {
				r.listedTwice(t, index, id, differ)
			}
			if r.see != nil {
				r.see(t, s.name, s.version)
			}
			*items = append(*items, &item{path: name, want: w})
			return nil
		})
	}
}

// maxItems bounds the packages of one index.
const maxItems = 10_000_000

func firstEmpty(s *stanza) string {
	switch {
	case s.name == "":
		return "Package"
	case s.version == "":
		return "Version"
	}
	return "Filename"
}
