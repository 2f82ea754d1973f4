package git

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// Whatever base and target are: the delta of them makes the target again.
func FuzzDelta(f *testing.F) {
	f.Add([]byte(strings.Repeat("abc", 40)), []byte(strings.Repeat("abc", 30)+"x"+strings.Repeat("abc", 20)))
	f.Add(bytes.Repeat([]byte{0}, 200_000), bytes.Repeat([]byte{0}, 170_000))
	f.Add(noise(1, 70_000), append(noise(1, 70_000)[100:], "end"...))
	f.Add([]byte("short"), []byte("shorter"))
	f.Fuzz(func(t *testing.T, base, target []byte) {
		d := makeDelta(base, target)
		if d == nil {
			return
		}
		if len(d) > len(target)/2 {
			t.Errorf("a delta of %d bytes for %d", len(d), len(target))
		}
		got, err := patch(base, d)
		if err != nil || !bytes.Equal(got, target) {
			t.Errorf("patched to %d bytes, %v; want %d", len(got), err, len(target))
		}
	})
}

func TestDeltaIsSmall(t *testing.T) {
	old := noise(1, 300_000)
	edited := slices.Concat(old[:1000], []byte("new"), old[1000:100_000], old[150_000:], []byte("end"))
	if d := makeDelta(old, edited); d == nil || len(d) > 200 {
		t.Errorf("the delta has %d bytes", len(d))
	}
	if d := makeDelta(old, noise(2, 300_000)); d != nil {
		t.Errorf("a delta of %d bytes for something else", len(d))
	}
}

// A damaged delta is an error, and never more than it announced.
func FuzzPatch(f *testing.F) {
	base := noise(1, 1000)
	f.Add(makeDelta(base, append(slices.Clone(base[:900]), "end"...)))
	f.Add([]byte{0xe8, 7, 5, 0x80})
	f.Fuzz(func(t *testing.T, d []byte) {
		if len(d) > 2 && d[len(d)-1]&0x80 != 0 {
			return
		}
		if b, err := patch(base, d); err == nil && len(b) > maxTree {
			t.Errorf("%d bytes", len(b))
		}
	})
}

// packed writes a pack of objects, and fills in sizes and ids of those that are
// no deltas.
func packed(t testing.TB, objects ...object) []byte {
	t.Helper()
	for i := range objects {
		if o := &objects[i]; o.base.isZero() {
			o.size, o.id = int64(len(o.raw)), hashOf(o.kind, o.raw)
		}
	}
	var b bytes.Buffer
	if err := writePack(&b, objects); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packOf writes a pack of blobs, trees and a delta.
func packOf(t testing.TB) ([]byte, []object) {
	t.Helper()
	list := []entry{{fileMode, "a", hashOf(blobKind, []byte("1"))}}
	for i := range 100 {
		list = append(list, entry{fileMode, fmt.Sprintf("f%03d", i), hashOf(blobKind, []byte{byte(i)})})
	}
	tree, blob := renderTree(list), noise(7, 50_000)
	list[3].id = id{1}
	next := renderTree(list)
	objects := []object{
		{kind: commitKind, raw: []byte("tree " + hashOf(treeKind, tree).String() + "\n\nx\n")},
		{kind: blobKind, raw: blob, dense: true},
		{kind: treeKind, raw: tree},
		{kind: treeKind, raw: makeDelta(tree, next), base: hashOf(treeKind, tree), id: hashOf(treeKind, next)},
		{kind: blobKind},
	}
	return packed(t, objects...), objects
}

func temp(t testing.TB) *scratch { return &scratch{dir: t.TempDir()} }

func save(t testing.TB, pack []byte) (*packFile, *folders, error) {
	s := temp(t)
	f, err := os.CreateTemp(s.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return savePack(bytes.NewReader(pack), f, nil, s.temp)
}

func TestPackIsReadAsItWasWritten(t *testing.T) {
	pack, objects := packOf(t)
	f, err := readFolders(bytes.NewReader(pack), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, g, err := save(t, pack)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		switch o.kind {
		case commitKind:
			if f.commits[o.id] == nil || g.commits[o.id] == nil {
				t.Errorf("commit %s is lost", o.id)
			}
		case treeKind:
			if f.trees[o.id] == nil || g.trees[o.id] == nil {
				t.Errorf("tree %s is lost", o.id)
			}
		}
		r, ok, err := p.open(o.id)
		if err != nil || !ok {
			t.Fatalf("%s %s: %v %v", o.kind, o.id, ok, err)
		}
		b, err := io.ReadAll(r)
		if hashOf(o.kind, b) != o.id || err != nil {
			t.Errorf("%s %s is read as %d bytes, %v", o.kind, o.id, len(b), err)
		}
		r.Close()
	}
	if len(p.at) != len(objects) {
		t.Errorf("%d objects, want %d", len(p.at), len(objects))
	}
}

// A pack that is cut off is errEnded, one with another byte is an error in words
// of ours.
func TestDamagedPackIsNoticed(t *testing.T) {
	pack, _ := packOf(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := r.IntN(len(pack))
		if _, err := readFolders(bytes.NewReader(pack[:n]), nil); !errors.Is(err, errEnded) {
			t.Errorf("cut at %d: %v", n, err)
		}
		bad := slices.Clone(pack)
		bad[n] ^= 1 << r.IntN(8)
		_, err := readFolders(bytes.NewReader(bad), nil)
		_, _, err2 := save(t, bad)
		for _, err := range []error{err, err2} {
			if !errors.Is(err, errPack) && !errors.Is(err, errEnded) && !errors.Is(err, errDelta) && !errors.Is(err, errNoBase) {
				t.Errorf("another byte at %d: %v", n, err)
			}
		}
	}
	if _, err := readFolders(bytes.NewReader(append(slices.Clone(pack), 0)), nil); err == nil {
		t.Error("a byte behind the pack: no error")
	}
}

func FuzzPack(f *testing.F) {
	pack, _ := packOf(f)
	f.Add(pack)
	f.Add(pack[:40])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := readFolders(bytes.NewReader(b), nil)
		_, _, err2 := save(t, b)
		if err == nil && len(b) < 32 || err2 == nil && len(b) < 32 {
			t.Error("no error")
		}
	})
}

func FuzzTree(f *testing.F) {
	f.Add(renderTree([]entry{{fileMode, "a", id{1}}, {folderMode, "b", id{2}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseTree(b)
		if err == nil && !bytes.Equal(renderTree(list), b) {
			t.Errorf("%q is rendered as %q", b, renderTree(list))
		}
	})
}

func FuzzPackets(f *testing.F) {
	f.Add([]byte("000eversion 2\n0015agent=git/2.39.5\n0000"), true)
	f.Add([]byte("0032"+strings.Repeat("a", 40)+" HEAD\x00 x\n0000"), false)
	f.Add([]byte("000eunpack ok\n0019ok refs/heads/gh-pages\n0000"), false)
	f.Fuzz(func(t *testing.T, b []byte, band bool) {
		readAdvert(newPackets(bytes.NewReader(b)), "gh-pages")
		readReport(newPackets(bytes.NewReader(b)), "refs/heads/gh-pages")
		skipSections(newPackets(bytes.NewReader(b)))
		skipAnswers(newPackets(bytes.NewReader(b)), band)
		var words strings.Builder
		n, _ := io.Copy(io.Discard, &sideband{p: newPackets(bytes.NewReader(b)), words: &words})
		if n > int64(len(b)) || words.Len() > 2*maxWords {
			t.Errorf("%d bytes and %d of words out of %d", n, words.Len(), len(b))
		}
	})
}
