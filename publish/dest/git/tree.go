package git

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The modes of a tree's entries that matter here; others stay as they are.
const (
	fileMode   = "100644"
	execMode   = "100755"
	folderMode = "40000"
)

// entry is a line of a tree.
type entry struct {
	mode string
	name string
	id   id
}

func (e *entry) isFolder() bool { return e.mode == folderMode || e.mode == "040000" }
func (e *entry) isFile() bool   { return strings.HasPrefix(e.mode, "100") }

var errTree = errors.New("a folder's list in the branch is damaged")

// nextEntry cuts the first entry off a tree's bytes. Mode and name share b.
func nextEntry(b []byte) (mode, name []byte, object id, rest []byte, err error) {
	mode, b, ok := bytes.Cut(b, []byte(" "))
	if !ok || len(mode) == 0 || len(mode) > 6 {
		return nil, nil, id{}, nil, errTree
	}
	name, b, ok = bytes.Cut(b, []byte{0})
	if !ok || len(name) == 0 || len(b) < len(object) {
		return nil, nil, id{}, nil, errTree
	}
	return mode, name, id(b), b[len(object):], nil
}

func parseTree(b []byte) ([]entry, error) {
	var list []entry
	for len(b) > 0 {
		mode, name, object, rest, err := nextEntry(b)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{string(mode), string(name), object})
		b = rest
	}
	return list, nil
}

// renderTree is the reverse of parseTree; it keeps the order.
func renderTree(list []entry) []byte {
	var b []byte
	for _, e := range list {
		b = append(b, e.mode...)
		b = append(b, ' ')
		b = append(b, e.name...)
		b = append(b, 0)
		b = append(b, e.id[:]...)
	}
	return b
}

// sortTree puts entries into git's order: a folder's name counts as if it ended
// with a slash.
func sortTree(list []entry) {
	key := func(e *entry) string {
		if e.isFolder() {
			return e.name + "/"
		}
		return e.name
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(key(&a), key(&b)) })
}

// trees are the folders of versions, by id.
type trees map[id][]byte

// lookup finds what lies at a path below the tree root. ok is false where there is
// nothing.
func (t trees) lookup(root id, p string) (found entry, ok bool, err error) {
	found = entry{mode: folderMode, id: root}
	if p == "" || p == "." {
		return found, true, nil
	}
	for name := range strings.SplitSeq(p, "/") {
		if !found.isFolder() {
			return entry{}, false, nil
		}
		b, have := t[found.id]
		if !have {
			return entry{}, false, fmt.Errorf("the host left out folder %s of the branch", found.id)
		}
		found = entry{}
		for len(b) > 0 {
			mode, n, object, rest, err := nextEntry(b)
			if err != nil {
				return entry{}, false, err
			}
			if string(n) == name {
				found = entry{string(mode), name, object}
				break
			}
			b = rest
		}
		if found.name == "" {
			return entry{}, false, nil
		}
	}
	return found, true, nil
}

// keep copies what is reachable from root into to: the folders on the way to
// folder and all below it. It reports the first one that is missing.
func (t trees) keep(to trees, root id, folder string) (missing id, ok bool, err error) {
	if root == emptyTree {
		to[root] = nil
		return id{}, true, nil
	}
	b, have := t[root]
	if !have {
		return root, false, nil
	}
	if _, done := to[root]; done && folder == "" {
		return id{}, true, nil
	}
	to[root] = b
	first, rest, _ := strings.Cut(folder, "/")
	for len(b) > 0 {
		mode, name, object, after, err := nextEntry(b)
		if err != nil {
			return id{}, false, err
		}
		b = after
		if string(mode) != folderMode && string(mode) != "040000" || first != "" && string(name) != first {
			continue
		}
		if missing, ok, err := t.keep(to, object, rest); !ok || err != nil {
			return missing, ok, err
		}
	}
	return id{}, true, nil
}

// emptyTree is the id of a tree without entries.
var emptyTree = hashOf(treeKind, nil)

// each calls f for the id of every file and link.
func (t trees) each(f func(id)) error {
	for _, b := range t {
		for len(b) > 0 {
			mode, _, object, rest, err := nextEntry(b)
			if err != nil {
				return err
			}
			if b = rest; mode[0] == '1' {
				f(object)
			}
		}
	}
	return nil
}

// edits are what is to become of one folder.
type edits struct {
	folders map[string]*edits
	files   map[string]id // the zero id: delete
}

func (e *edits) at(p string) (*edits, string) {
	dir, name := path.Split(p)
	for part := range strings.SplitSeq(strings.TrimSuffix(dir, "/"), "/") {
		if part == "" {
			continue
		}
		if e.folders == nil {
			e.folders = make(map[string]*edits)
		}
		next := e.folders[part]
		if next == nil {
			next = &edits{}
			e.folders[part] = next
		}
		e = next
	}
	if e.files == nil {
		e.files = make(map[string]id)
	}
	return e, name
}

// set says what is to lie at a path; the zero id means nothing.
func (e *edits) set(p string, object id) {
	folder, name := e.at(p)
	folder.files[name] = object
}

// hasPuts tells whether the folder will hold something because of the edits.
func (e *edits) hasPuts() bool {
	for _, object := range e.files {
		if !object.isZero() {
			return true
		}
	}
	for _, f := range e.folders {
		if f.hasPuts() {
			return true
		}
	}
	return false
}

// newTree is a tree that an edit made.
type newTree struct {
	id   id
	base id // the tree it was, zero if there was none
	raw  []byte
}

// edit makes the tree that e turns root into, and adds what is new to made, which
// t is left without. root is zero where there was none, and the result is zero
// where nothing is left. where is the folder's path, for messages.
func (t trees) edit(root id, e *edits, where string, made *[]newTree) (id, error) {
	var list []entry
	if !root.isZero() && root != emptyTree {
		raw, have := t[root]
		if !have {
			return id{}, fmt.Errorf("the host left out folder %s of the branch", root)
		}
		var err error
		if list, err = parseTree(raw); err != nil {
			return id{}, err
		}
	}
	index := make(map[string]int, len(list))
	for i := range list {
		index[list[i].name] = i
	}
	gone := func(i int) { list[i].id = id{} }

	// What goes makes room for what comes.
	for name, object := range e.files {
		if i, have := index[name]; have && object.isZero() && !list[i].isFolder() {
			gone(i)
			delete(index, name)
		}
	}
	for name, sub := range e.folders {
		i, have := index[name]
		switch {
		case !have:
			if !sub.hasPuts() {
				continue
			}
			object, err := t.edit(id{}, sub, path.Join(where, name), made)
			if err != nil {
				return id{}, err
			}
			list = append(list, entry{folderMode, name, object})
			index[name] = len(list) - 1
		case list[i].isFolder():
			object, err := t.edit(list[i].id, sub, path.Join(where, name), made)
			if err != nil {
				return id{}, err
			}
			list[i].id = object
			if object.isZero() {
				delete(index, name)
			}
		case sub.hasPuts():
			return id{}, fmt.Errorf("%s is a file in the branch, so nothing can be put below it: delete or rename it", path.Join(where, name))
		}
	}
	for name, object := range e.files {
		if object.isZero() {
			continue
		}
		i, have := index[name]
		switch {
		case !have:
			list = append(list, entry{fileMode, name, object})
		case list[i].isFolder():
			return id{}, fmt.Errorf("%s is a folder in the branch, so no file can be put there: delete or rename it", path.Join(where, name))
		case list[i].id == object && list[i].isFile():
		default:
			list[i].mode, list[i].id = fileMode, object
		}
	}
	list = slices.DeleteFunc(list, func(e entry) bool { return e.id.isZero() })
	if len(list) == 0 {
		return id{}, nil
	}
	sortTree(list)
	raw := renderTree(list)
	now := hashOf(treeKind, raw)
	if now != root {
		*made = append(*made, newTree{now, root, raw})
	}
	return now, nil
}
