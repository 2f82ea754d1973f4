package verify

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

// pacman looks at a sync database: NAME.db and NAME.files with their signatures.
// See https://gitlab.archlinux.org/pacman/pacman/-/blob/master/lib/libalpm/be_sync.c.
func (r *run) pacman(ctx context.Context, t *target) {
	var lists [2]map[string]bool
	for i, suffix := range []string{".db", ".files"} {
		items, names := r.database(ctx, t, t.Path+suffix, i == 0)
		if i == 0 {
			r.need(t, items...)
		}
		lists[i] = names
	}
	if lists[0] == nil || lists[1] == nil {
		return
	}
	for _, n := range sortedKeys(lists[0]) {
		if !lists[1][n] {
			r.add(t, Warning, t.Path+".files", "torn", "it lacks %.100s, which .db has: the two are of two publishes, and pacman -F does not find its files", n)
			return
		}
	}
	for _, n := range sortedKeys(lists[1]) {
		if !lists[0][n] {
			r.add(t, Warning, t.Path+".files", "torn", "it has %.100s, which .db lacks: the two are of two publishes", n)
			return
		}
	}
}

// database reads one database; names is nil where it can't be taken.
func (r *run) database(ctx context.Context, t *target, name string, first bool) (items []*item, names map[string]bool) {
	b, err := r.get(ctx, t, name, maxPacked)
	if err != nil {
		if first || !isMissing(err) {
			r.lost(t, Error, name, err)
		} else {
			r.add(t, Warning, name, "missing", "it is not there: pacman -Fy fails")
		}
		return nil, nil
	}
	t.addIndex(r)
	quiet := &run{Options: r.Options, log: &log{}, see: r.see}
	items, names, broken := quiet.parseDatabase(ctx, t, name, b)
	sig, err := r.get(ctx, t, name+".sig", maxSmall)
	switch {
	case isMissing(err):
		if t.Signed && !first {
			r.add(t, Error, name+".sig", "missing", "it is not there, though .db has one")
		} else if first {
			r.add(t, Note, name, "unsigned", "the database is not signed: a mirror can serve an old one, or leave packages out")
		}
	case err != nil:
		r.lost(t, Error, name+".sig", err)
		return nil, nil
	default:
		ok := r.signature(t, name+".sig", path.Base(name), b, sig, func() document { return document{sound: broken == nil} })
		if !ok && !r.trust.ring.Empty() {
			return nil, nil
		}
	}
	if broken != nil {
		var large errTooLarge
		if errors.As(broken, &large) {
			r.add(t, Error, name, "too-large", "after decompression %v", large)
		} else {
			r.add(t, Error, name, "index", "it can't be read: %v", broken)
		}
		return nil, nil
	}
	if first {
		for _, f := range quiet.found {
			r.put(f)
		}
	}
	return items, names
}

// parseDatabase reads the tar of a database.
func (r *run) parseDatabase(ctx context.Context, t *target, name string, b []byte) (items []*item, names map[string]bool, err error) {
	plain, _, stop, err := unpacker(bytes.NewReader(b))
	defer stop()
	if err != nil {
		return nil, nil, err
	}
	text := &counter{ctx: ctx, r: plain, limit: r.MaxIndex}
	names = make(map[string]bool)
	var seen twice
	n := 0
	in := tar.NewReader(text)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if h.Typeflag != tar.TypeReg || path.Base(h.Name) != "desc" {
			continue
		}
		it, id, err := r.desc(t, name, in)
		if err != nil {
			return nil, nil, fmt.Errorf("%.200q: %w", h.Name, err)
		}
		if n++; n > r.MaxPackages {
			return nil, nil, tooMany(r.MaxPackages)
		}
		if again, differ := seen.add(id, it.hex); again {
			r.listedTwice(t, name, id, differ)
		}
		names[id] = true
		if it.path != "" {
			items = append(items, it)
		}
	}
	_, err = io.Copy(io.Discard, text) // the checksum stands at the end
	return items, names, err
}

// desc reads the entry of one package: blocks of %KEY% and values, each ended by
// an empty line.
func (r *run) desc(t *target, index string, text io.Reader) (*item, string, error) {
	values := make(map[string]string)
	key := ""
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxSmall)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "":
			key = ""
		case key == "" && strings.HasPrefix(line, "%") && strings.HasSuffix(line, "%"):
			key = line
		case key != "" && values[key] == "":
			values[key] = line
		}
	}
	if err := lines.Err(); err != nil {
		return nil, "", err
	}
	for _, k := range []string{"%FILENAME%", "%NAME%", "%VERSION%"} {
		if values[k] == "" {
			return nil, "", fmt.Errorf("it has no %s", k)
		}
	}
	it := &item{kind: archFile, want: want{size: -1}}
	if s := values["%CSIZE%"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 62)
		if err != nil {
			return nil, "", fmt.Errorf("%%CSIZE%% %.40q is not a number", s)
		}
		it.size = int64(n)
	}
	var err error
	switch {
	case values["%SHA256SUM%"] != "":
		it.sum, err = makeSum("sha256", values["%SHA256SUM%"])
	case values["%MD5SUM%"] != "":
		it.sum, err = makeSum("md5", values["%MD5SUM%"])
		r.add(t, Warning, index, "weak-hash", "package %.100s has no SHA-256", values["%NAME%"])
	}
	if err != nil {
		return nil, "", err
	}
	if r.see != nil {
		r.see(t, values["%NAME%"], values["%VERSION%"])
	}
	// pacman takes no folder in a file name.
	name := values["%FILENAME%"]
	if strings.Contains(name, "/") {
		r.add(t, Error, index, "path", "it names %.200q, which is no path in the tree", name)
	} else if full, ok := r.place(t, index, path.Dir(t.Path), name); ok {
		it.path = full
	}
	return it, values["%NAME%"] + " " + values["%VERSION%"], nil
}
