package verify

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"strings"
)

// downloads looks at a SHA256SUMS file, as sha256sum -c does, and its signature.
func (r *run) downloads(ctx context.Context, t *target) {
	text, err := r.get(ctx, t, t.Path, maxPointer)
	if err != nil {
		r.lost(t, Error, t.Path, err)
		return
	}
	t.addIndex(r)
	quiet := &run{Options: r.Options, log: &log{}, see: r.see}
	items, broken := quiet.sums(t, text)
	if !r.sumsSigned(ctx, t, text, items, broken) {
		return
	}
	if broken != nil {
		r.add(t, Error, t.Path, "index", "it can't be read: %v", broken)
		return
	}
	for _, f := range quiet.found {
		r.put(f)
	}
	r.need(t, items...)
}

// sumsSigned checks the signature, under each name that is usual.
func (r *run) sumsSigned(ctx context.Context, t *target, text []byte, items []*item, broken error) bool {
	for _, suffix := range []string{".asc", ".sig", ".gpg"} {
		name := t.Path + suffix
		sig, err := r.get(ctx, t, name, maxSmall)
		if isMissing(err) {
			continue
		}
		if err != nil {
			r.lost(t, Error, name, err)
			return false
		}
		return r.signature(t, name, path.Base(t.Path), text, sig, func() document {
			return document{sound: broken == nil && r.allMatch(ctx, items)}
		}) || r.trust.ring.Empty()
	}
	r.add(t, Warning, t.Path, "unsigned", "it is not signed: whoever can change the files can change it")
	return true
}

// allMatch reports whether files have the digests that a list states. It reads
// them, and so says no unless packages are read anyway.
func (r *run) allMatch(ctx context.Context, items []*item) bool {
	if r.Packages != Hashes || len(items) == 0 {
		return false
	}
	quiet := &run{Options: r.Options, log: &log{}, trust: r.trust}
	t := &target{}
	quiet.Progress = nil
	quiet.need(t, items...)
	quiet.packages(ctx)
	return len(quiet.found) == 0
}

// sums reads lines of "<sha256>  <path>".
func (r *run) sums(t *target, text []byte) ([]*item, error) {
	var items []*item
	var seen twice
	n := 0
	for raw := range bytes.Lines(text) {
		n++
		line := strings.TrimRight(string(raw), "\r\n")
		if line == "" {
			continue
		}
		digest, rest, _ := strings.Cut(line, " ")
		name, ok := strings.CutPrefix(rest, " ")
		if !ok {
			name, ok = strings.CutPrefix(rest, "*")
		}
		if !ok {
			return nil, fmt.Errorf("line %d is not a digest, two blanks and a path", n)
		}
		s, err := makeSum("sha256", digest)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		full, ok := r.place(t, t.Path, path.Dir(t.Path), name)
		if !ok {
			continue
		}
		if again, differ := seen.add(name, s.hex); again {
			r.listedTwice(t, t.Path, name, differ)
		}
		if r.see != nil {
			product, version := "", ""
			if parts := strings.Split(name, "/"); len(parts) > 2 { // name/version/file
				product, version = parts[len(parts)-3], parts[len(parts)-2]
			}
			r.see(t, product, version)
		}
		items = append(items, &item{path: full, want: want{-1, s}})
	}
	return items, nil
}
