package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// content is a file to put, and what was found out about it.
type content struct {
	blob  formats.Blob
	id    id
	dense bool
}

// commit makes c the successor of base.
func (g *Git) commit(ctx context.Context, base string, c *publish.Change) (string, error) {
	if err := g.checkChange(c); err != nil {
		return "", err
	}
	old := &version{trees: trees{}}
	if base != "" {
		var err error
		if old, err = g.load(ctx, base); err != nil {
			// A version that is not the head any more need not be there any more.
			if now, e := g.tip(ctx); e == nil && now.String() != base {
				return "", publish.ErrConflict
			}
			return "", err
		}
	}
	there := make(map[id]bool)
	if err := old.trees.each(func(i id) { there[i] = true }); err != nil {
		return "", err
	}

	// Everything is read and checked before anything is sent.
	e := &edits{}
	contents := make(map[string]content, len(c.Put))
	for _, p := range c.Delete {
		e.set(path.Join(g.folder, p), id{})
	}
	for _, f := range c.Put {
		known, err := g.name(ctx, f.Blob, there)
		if err != nil {
			return "", fmt.Errorf("%s: %w", f.Path, err)
		}
		contents[f.Path] = known
		e.set(path.Join(g.folder, f.Path), known.id)
	}
	var made []newTree
	root, err := old.trees.edit(old.root, e, "", &made)
	if err != nil {
		return "", err
	}
	if root.isZero() {
		root = emptyTree
		made = append(made, newTree{id: emptyTree})
	}
	if base != "" && root == old.root {
		now, err := g.tip(ctx)
		if err != nil {
			return "", err
		}
		if now != old.commit {
			return "", publish.ErrConflict
		}
		return base, nil
	}

	text := g.commitText(root, old.commit, c.Message)
	commit := hashOf(commitKind, text)
	objects := func(thin bool) []object { return g.objects(text, made, contents, c.Put, old, there, thin) }
	if err := g.settle(ctx, old.commit, commit, objects); err != nil {
		return "", err
	}
	g.learnTree(old, commit, root, text, made)
	return commit.String(), nil
}

func (g *Git) checkChange(c *publish.Change) error {
	seen := make(map[string]bool, len(c.Put))
	for _, f := range c.Put {
		if !fs.ValidPath(f.Path) || f.Path == "." {
			return fmt.Errorf("path %q: %w", f.Path, fs.ErrInvalid)
		}
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("%s is put twice", f.Path)
		}
		seen[f.Path] = true
	}
	for _, p := range c.Delete {
		if !fs.ValidPath(p) || p == "." {
			return fmt.Errorf("path %q: %w", p, fs.ErrInvalid)
		}
	}
	return nil
}

// name finds a content's id by reading it, and checks that it is what its Ref
// says. What is known to be there is not read.
func (g *Git) name(ctx context.Context, b formats.Blob, there map[id]bool) (content, error) {
	ref := b.Ref()
	if object, ok := g.learned(ref); ok && there[object] {
		return content{blob: b, id: object}, nil
	}
	r, err := b.Open()
	if err != nil {
		return content{}, err
	}
	defer r.Close()
	name, digest, density := newHash(blobKind, ref.Size), sha256.New(), &density{}
	n, err := io.Copy(io.MultiWriter(name, digest, density), io.LimitReader(contextReader{ctx, r}, ref.Size+1))
	if err != nil {
		return content{}, err
	}
	if n != ref.Size || formats.Digest(digest.Sum(nil)) != ref.SHA256 {
		return content{}, fmt.Errorf("the content is not what was announced (%d bytes with SHA-256 %s): it was changed meanwhile; try again", ref.Size, ref.SHA256)
	}
	object := id(name.Sum(nil))
	g.learn(object, ref)
	return content{b, object, density.high()}, nil
}

// contextReader stops when ctx does.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}

// density guesses from samples whether content is compressed already.
type density struct {
	count [256]int
	n     int
}

func (d *density) Write(b []byte) (int, error) {
	sample := b[:min(len(b), 512)]
	for _, c := range sample {
		d.count[c]++
	}
	d.n += len(sample)
	return len(b), nil
}

// high reports more than 7.9 bits in a byte, in enough bytes to know.
func (d *density) high() bool {
	if d.n < 8<<10 {
		return false
	}
	bits := 0.0
	for _, c := range d.count {
		if c > 0 {
			p := float64(c) / float64(d.n)
			bits -= p * math.Log2(p)
		}
	}
	return bits > 7.9
}

// commitText renders the commit (gitformat-pack(5) calls it an object, its form is
// that of git cat-file).
func (g *Git) commitText(root, parent id, message string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "tree %s\n", root)
	if g.history == Keep && !parent.isZero() {
		fmt.Fprintf(&b, "parent %s\n", parent)
	}
	for _, who := range []string{"author", "committer"} {
		fmt.Fprintf(&b, "%s %s <%s> %d +0000\n", who, g.author, g.email, g.now)
	}
	message = strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(message, "?"), "\x00", "?"))
	if message == "" {
		message = "Publish"
	}
	fmt.Fprintf(&b, "\n%s\n", message)
	return b.Bytes()
}

// objects are what a push sends: the commit, and the folders and files that base
// lacks. thin: as differences from what base has, where that is shorter.
func (g *Git) objects(text []byte, made []newTree, contents map[string]content, put []publish.File, base *version, there map[id]bool, thin bool) []object {
	list := []object{{kind: commitKind, id: hashOf(commitKind, text), size: int64(len(text)), raw: text}}
	sent := make(map[id]bool)
	for _, t := range made {
		if sent[t.id] || base.trees[t.id] != nil {
			continue
		}
		sent[t.id] = true
		o := object{kind: treeKind, id: t.id, size: int64(len(t.raw)), raw: t.raw}
		if was := base.trees[t.base]; thin && was != nil {
			if d := makeDelta(was, t.raw); d != nil {
				o.raw, o.base = d, t.base
			}
		}
		list = append(list, o)
	}
	// One content may have several names, and an index's name by hash replaces
	// nothing.
	replaced := make(map[id]id)
	for _, f := range put {
		if was, ok, err := base.trees.lookup(base.root, path.Join(g.folder, f.Path)); ok && err == nil {
			replaced[contents[f.Path].id] = was.id
		}
	}
	for _, f := range put {
		c := contents[f.Path]
		if sent[c.id] || there[c.id] {
			continue
		}
		sent[c.id] = true
		o := object{kind: blobKind, id: c.id, size: c.blob.Ref().Size, open: c.blob.Open, dense: c.dense}
		if was, ok := replaced[c.id]; thin && ok {
			if d := g.difference(was, c); d != nil {
				o.open, o.raw, o.base = nil, d, was
			}
		}
		list = append(list, o)
	}
	return list
}

// maxCompared is the size of two files that are compared in memory.
const maxCompared = 24 << 20

// difference makes a delta of a file from the one that it replaces, if that one
// was read; nil where there is none that saves something.
func (g *Git) difference(was id, c content) []byte {
	old := g.scratch.get(was)
	if old == nil || old.Size()+c.blob.Ref().Size > maxCompared {
		return nil
	}
	base := make([]byte, old.Size())
	if _, err := io.ReadFull(old, base); err != nil {
		return nil
	}
	r, err := c.blob.Open()
	if err != nil {
		return nil // whoever sends it will say so
	}
	defer r.Close()
	target := make([]byte, c.blob.Ref().Size)
	if _, err := io.ReadFull(r, target); err != nil || hashOf(blobKind, target) != c.id {
		return nil
	}
	return makeDelta(base, target)
}

// raceTries and racePause are for hosts that refuse a push because another one is
// under way: it ends soon, and then the branch has moved, or not.
const (
	raceTries = 6
	racePause = 100 * time.Millisecond
)

// settle pushes, and finds out what became of it.
func (g *Git) settle(ctx context.Context, base, commit id, objects func(bool) []object) error {
	pause := racePause
	for try := 1; ; try++ {
		sent, err := g.push(ctx, base, commit, objects)
		if err == nil || !sent || errors.Is(err, publish.ErrConflict) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		now, e := g.tip(ctx)
		switch {
		case e != nil:
			return fmt.Errorf("%w (whether the branch was changed is not known: %w)", err, e)
		case now == commit:
			return nil
		case now != base:
			return publish.ErrConflict
		}
		var no *refusal
		if !errors.As(err, &no) || !no.isRace() || try == raceTries {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause *= 2
	}
}

// learnTree remembers the version that a push made.
func (g *Git) learnTree(old *version, commit, root id, text []byte, made []newTree) {
	all := maps.Clone(old.trees)
	for _, t := range made {
		all[t.id] = t.raw
	}
	v := &version{commit, root, text, make(trees)}
	if _, ok, err := all.keep(v.trees, root, g.folder); ok && err == nil {
		g.remember(v)
	}
}
