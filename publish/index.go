package publish

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io/fs"
	"slices"
	"sync"

	"github.com/ulikunitz/xz"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish/internal/chunk"
)

func errJoin(errs ...error) error { return errors.Join(errs...) }

// builder renders the indexes of one partition, taking over the pieces of pages
// that did not change from the base's files.
type builder struct {
	loader
	repo  Repo
	base  *repoState // nil for a new repository
	early Stage      // nil: indexes are stored by the commit
}

// built is what becomes of a partition: its next state, its record pages as files
// and its indexes.
type built struct {
	state *partitionState
	pages []File
	Built
}

// build renders a partition after recut.
func (b *builder) build(ctx context.Context, p *partition) (*built, error) {
	out := &built{state: &partitionState{Name: p.name}, Built: Built{Partition: p.name, Changed: true}}
	oldPage := make([]int, len(p.pages)) // the base's page that a page is, or -1
	at := make(map[formats.Digest]int)
	if p.base != nil {
		for i, s := range p.base.Pages {
			at[s.Ref.SHA256] = i
		}
	}
	texts := make([][]byte, len(p.pages)) // of pages that changed
	err := each(len(p.pages), func(i int) (err error) {
		if p.pages[i].dirty {
			texts[i], err = renderPage(p.pages[i].recs)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, pg := range p.pages {
		oldPage[i] = -1
		s := pg.state
		if pg.dirty {
			blob := formats.Bytes(texts[i])
			s = &pageState{First: pg.first(), Records: len(pg.recs), Ref: blob.Ref()}
			if _, ok := at[s.Ref.SHA256]; !ok {
				out.pages = append(out.pages, File{Path: recordsPath(s.Ref.SHA256), Class: Content, Blob: blob})
			}
		}
		if old, ok := at[s.Ref.SHA256]; ok && !p.render {
			oldPage[i] = old
		}
		out.state.Pages = append(out.state.Pages, s)
		out.Records += s.Records
	}
	streams := b.repo.Streams(p.name)
	out.state.Streams = make([]*streamState, len(streams))
	indexes := make([][]IndexFile, len(streams))
	err = together(len(streams), func(i int) (err error) {
		if out.state.Streams[i], indexes[i], err = b.stream(ctx, p, streams[i], oldPage, out.Records); err != nil {
			return fmt.Errorf("index %s: %w", streams[i].Name, err)
		}
		return nil
	})
	out.Indexes = slices.Concat(indexes...)
	return out, err
}

// stream renders one index in all its forms.
func (b *builder) stream(ctx context.Context, p *partition, s Stream, oldPage []int, records int) (*streamState, []IndexFile, error) {
	n := len(p.pages) + 2
	x := &index{Stream: s, early: b.early, texts: make([][]byte, n), old: make([]int, n)}
	if p.base != nil {
		x.base = p.base.stream(s.Name)
	}
	for i := range x.texts {
		x.old[i] = -1
		if i > 0 && i < n-1 && x.base != nil && oldPage[i-1] >= 0 {
			x.old[i] = oldPage[i-1] + 1
		}
	}
	x.texts[0], x.texts[n-1] = s.Head(records), s.Tail
	x.render = func(i int) error {
		if i == 0 || i == n-1 {
			return nil
		}
		if err := b.load(ctx, p.pages[i-1]); err != nil {
			return err
		}
		text, err := s.Page(p.pages[i-1].recs)
		x.texts[i], x.old[i] = text, -1
		return err
	}
	err := each(n, func(i int) error {
		if x.old[i] >= 0 {
			return nil
		}
		return x.render(i)
	})
	if err != nil {
		return nil, nil, err
	}
	// The base's files are used before it is known that they are what the state
	// says, since that takes as long as all else. One that is not is left out in
	// the next round.
	bad := make(map[Form]bool)
	for {
		froms, err := b.oldIndexes(ctx, p, x, bad)
		if err != nil {
			return nil, nil, err
		}
		before := len(bad)
		st, files, err := x.build(froms, bad)
		if err != nil || len(bad) == before {
			return st, files, err
		}
	}
}

// index is one index text that is being made, in pieces: the head, the pages, the
// tail.
type index struct {
	Stream
	base   *streamState      // nil where there is none
	old    []int             // by piece: the base's piece that it is, or -1
	texts  [][]byte          // by piece; nil where it is the base's
	render func(i int) error // makes the text of a page
	early  Stage             // or nil
}

func (x *index) takesOver() bool {
	return slices.ContainsFunc(x.old, func(i int) bool { return i >= 0 })
}

// build puts the index together in all its forms. Forms whose base file is not
// what the state says are added to bad; the result is then of no use.
func (x *index) build(froms map[Form]*oldIndex, bad map[Form]bool) (*streamState, []IndexFile, error) {
	n := len(x.old)
	st := &streamState{Name: x.Name, Sizes: make([]int64, n), CRCs: make([]uint32, n), Forms: make([]*streamForms, len(x.Forms))}
	pieces, err := x.text(froms, st)
	if err != nil {
		return nil, nil, err
	}
	// The digest of the text and its forms are made side by side: each is a pass
	// over megabytes.
	parts := make([][][]byte, len(x.Forms)+1)
	refs := make([]formats.Ref, len(parts))
	changed := make([]bool, len(parts))
	err = together(len(parts), func(i int) (err error) {
		form := Plain
		if i < len(x.Forms) {
			form = x.Forms[i]
			st.Forms[i] = &streamForms{Form: form, Packed: st.Sizes}
			if form == Plain { // the last of all
				return nil
			}
			if parts[i], st.Forms[i].Packed, err = x.pack(form, froms[form], pieces, st); err != nil {
				return err
			}
		} else {
			for _, p := range pieces {
				parts[i] = chunk.Append(parts[i], p)
			}
		}
		stored := x.store(form, parts[i])
		refs[i], changed[i] = digests(froms[form], parts[i])
		if !changed[i] {
			stored(refs[i])
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	last := len(x.Forms)
	st.Plain = refs[last]
	var files []IndexFile
	for i, form := range x.Forms {
		k := i
		if form == Plain {
			k = last
		}
		if changed[k] {
			bad[form] = true
		}
		st.Forms[i].Ref = refs[k]
		files = append(files, IndexFile{Stream: x.Name, Form: form, Plain: st.Plain, Blob: formats.Parts(refs[k], parts[k])})
	}
	return st, files, nil
}

// store begins to store a form that is as large as to make the disk work for
// long.
func (x *index) store(form Form, parts [][]byte) (is func(formats.Ref)) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if x.early == nil || size < 128<<10 || !slices.Contains(x.Forms, form) {
		return func(formats.Ref) {}
	}
	return x.early.Put(parts)
}

// text returns the pieces of the text and fills in their sizes and sums. Where
// the base has no form to take pieces from, they are rendered.
func (x *index) text(froms map[Form]*oldIndex, st *streamState) ([][]byte, error) {
	from := froms[Plain]
	for _, form := range []Form{Zstd, Gzip} {
		if from == nil {
			from = froms[form]
		}
	}
	pieces := make([][]byte, len(x.old))
	return pieces, each(len(pieces), func(i int) error {
		if x.old[i] >= 0 && from == nil {
			if err := x.render(i); err != nil {
				return err
			}
		}
		k := x.old[i]
		if k < 0 {
			pieces[i] = x.texts[i]
			st.Sizes[i], st.CRCs[i] = int64(len(pieces[i])), crc32.ChecksumIEEE(pieces[i])
			return nil
		}
		st.Sizes[i], st.CRCs[i] = x.base.Sizes[k], x.base.CRCs[k]
		if from.codec == chunk.Plain {
			pieces[i] = from.packed(k)
			return nil
		}
		pieces[i] = make([]byte, st.Sizes[i])
		if err := chunk.Unpack(pieces[i], from.codec, from.packed(k)); err != nil {
			if from.check() != nil { // it is not the file that was written
				return x.renderInstead(i, pieces, st)
			}
			return err
		}
		return nil
	})
}

// renderInstead makes a piece of the records where the base's can't be read; what
// is wrong with its file is found when it is hashed.
func (x *index) renderInstead(i int, pieces [][]byte, st *streamState) error {
	if err := x.render(i); err != nil {
		return err
	}
	pieces[i] = x.texts[i]
	st.Sizes[i], st.CRCs[i] = int64(len(pieces[i])), crc32.ChecksumIEEE(pieces[i])
	return nil
}

// pack makes one form of a text, taking over from the base's those pieces that
// are old. from is nil where the base does not have the form.
func (x *index) pack(form Form, from *oldIndex, plain [][]byte, st *streamState) ([][]byte, []int64, error) {
	if form == Xz {
		// Several xz blocks would do for the clients that matter, but no
		// library writes them; the option costs a whole compression.
		packed, err := packXz(plain)
		return [][]byte{packed}, nil, err
	}
	codec := chunk.Codec(form)
	pieces := make([]chunk.Piece, len(plain))
	sizes := make([]int64, len(plain))
	err := each(len(plain), func(i int) (err error) {
		pieces[i].Plain, pieces[i].CRC = st.Sizes[i], st.CRCs[i]
		if k := x.old[i]; k >= 0 && from != nil {
			pieces[i].Packed = from.packed(k)
		} else {
			pieces[i].Packed, err = chunk.Pack(codec, plain[i])
		}
		sizes[i] = int64(len(pieces[i].Packed))
		return err
	})
	return chunk.Join(codec, pieces), sizes, err
}

func packXz(plain [][]byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		return nil, err
	}
	for _, p := range plain {
		if _, err := w.Write(p); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
}

// oldIndex is an index of the base in one form, cut into pieces. That it is what
// the state says is not known before check or digests.
type oldIndex struct {
	codec   chunk.Codec
	path    string
	ref     formats.Ref
	bytes   []byte
	offsets []int64
}

func (o *oldIndex) packed(i int) []byte { return o.bytes[o.offsets[i]:o.offsets[i+1]] }

func (o *oldIndex) check() error {
	if got := formats.Bytes(o.bytes).Ref(); got != o.ref {
		return changed(o.path, got, o.ref)
	}
	return nil
}

// digests returns what parts are together, and whether from is not what the state
// says of it. What both start with is hashed once.
func digests(from *oldIndex, parts [][]byte) (is formats.Ref, changed bool) {
	h := sha256.New()
	shared := 0
	if from != nil {
		for len(parts) > 0 && startsWith(from.bytes[shared:], parts[0]) {
			h.Write(parts[0])
			shared += len(parts[0])
			parts = parts[1:]
		}
	}
	is.Size = int64(shared)
	var was sync.WaitGroup
	if from != nil {
		old, err := h.(hash.Cloner).Clone()
		if err != nil {
			panic(err) // crypto/sha256 never fails to
		}
		was.Go(func() {
			old.Write(from.bytes[shared:])
			changed = int64(len(from.bytes)) != from.ref.Size || formats.Digest(old.Sum(nil)) != from.ref.SHA256
		})
	}
	for _, p := range parts {
		h.Write(p)
		is.Size += int64(len(p))
	}
	is.SHA256 = formats.Digest(h.Sum(nil))
	was.Wait()
	return is, changed
}

// startsWith reports whether b starts with part; it does not look at long parts
// that lie elsewhere.
func startsWith(b, part []byte) bool {
	if len(part) == 0 || len(part) > len(b) {
		return len(part) == 0
	}
	return &b[0] == &part[0] || len(part) < 1<<10 && bytes.Equal(b[:len(part)], part)
}

// oldIndexes reads the base's forms of an index that pieces can be taken from,
// but the bad ones.
func (b *builder) oldIndexes(ctx context.Context, p *partition, x *index, bad map[Form]bool) (map[Form]*oldIndex, error) {
	froms := make(map[Form]*oldIndex)
	if !x.takesOver() {
		return froms, nil
	}
	// Only forms that are made again: the digests of those are looked at.
	forms := slices.DeleteFunc(slices.Clone(x.Forms), func(f Form) bool { return bad[f] || f == Xz })
	found := make([]*oldIndex, len(forms))
	err := together(len(forms), func(i int) (err error) {
		found[i], err = b.oldIndex(ctx, p, x.base, forms[i])
		return err
	})
	for i, o := range found {
		if o != nil {
			froms[forms[i]] = o
		}
	}
	return froms, err
}

// oldIndex returns the base's index of a stream; nil if it has none in this form.
func (b *builder) oldIndex(ctx context.Context, p *partition, s *streamState, form Form) (*oldIndex, error) {
	if s == nil || b.base == nil || form == Xz {
		return nil, nil
	}
	sf := s.form(form)
	root := b.base.root(b.repo.Root(p.name))
	if sf == nil || root == nil || sf.Packed == nil {
		return nil, nil
	}
	for _, f := range root.Files {
		if f.Partition != p.name || f.Stream != s.Name || f.Form != form {
			continue
		}
		whole, err := readFile(ctx, b.dst, b.version, f.Path, f.Ref.Size)
		// A commit that ended halfway in a place that replaces file by file leaves
		// an index that the state does not know: it is made of the records again.
		if errors.Is(err, errTooLarge) || errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if int64(len(whole)) < f.Ref.Size {
			return nil, nil
		}
		o := &oldIndex{codec: chunk.Codec(form), path: f.Path, ref: f.Ref, bytes: whole, offsets: make([]int64, len(sf.Packed)+1)}
		o.offsets[0] = f.Offset + chunk.HeadSize(o.codec)
		for i, n := range sf.Packed {
			o.offsets[i+1] = o.offsets[i] + n
		}
		if end := o.offsets[len(sf.Packed)]; end > int64(len(whole)) || slices.Min(sf.Packed) < 0 || f.Offset < 0 {
			return nil, fmt.Errorf("%s: damaged: %s is said to have %d bytes of pieces, it has %d", StatePath, f.Path, end, len(whole))
		}
		return o, nil
	}
	return nil, nil
}

// together calls f for 0 to n-1, all at once: for a handful of things that each
// take milliseconds. It returns all errors in order.
func together(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// each calls f for 0 to n-1, two at a time where there is enough to do, and
// returns all errors in order.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	if n < 16 {
		for i := range n {
			errs[i] = f(i)
		}
		return errors.Join(errs...)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < n; i += workers {
				errs[i] = f(i)
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

// workers renders and compresses pieces; more than the machines of CI have CPUs.
const workers = 4
