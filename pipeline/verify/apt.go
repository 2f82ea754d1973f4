package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/pipeline/each"
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
		n := 0
		return stanzas(text, func(s *stanza) error {
			if s.name == "" || s.version == "" || s.filename == "" {
				return fmt.Errorf("package %.100q version %.100q has no %s", s.name, s.version, firstEmpty(s))
			}
			w, weak, err := s.want()
			if err != nil {
				return err
			}
			if n++; n > r.MaxPackages {
				return tooMany(r.MaxPackages)
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

func tooMany(limit int) error { return fmt.Errorf("it lists more than %d packages", limit) }

func firstEmpty(s *stanza) string {
	switch {
	case s.name == "":
		return "Package"
	case s.version == "":
		return "Version"
	}
	return "Filename"
}
