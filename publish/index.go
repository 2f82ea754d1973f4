package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
	repo Repo
	base *repoState // nil for a new repository

	mu  sync.Mutex
	old map[string]func() ([]byte, error) // base files by path, each read once
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
	texts := make([][]byte, n) // nil: the base's piece
	old := make([]int, n)      // the base's piece, or -1
	var oldStream *streamState
	if p.base != nil {
		oldStream = p.base.stream(s.Name)
	}
	for i := range texts {
		old[i] = -1
		if i > 0 && i < n-1 && oldStream != nil && oldPage[i-1] >= 0 {
			old[i] = oldPage[i-1] + 1
		}
	}
	texts[0], texts[n-1] = s.Head(records), s.Tail
	render := func(i int) error {
		if err := b.load(ctx, p.pages[i-1]); err != nil {
			return err
		}
		text, err := s.Page(p.pages[i-1].recs)
		if text == nil {
			text = []byte{}
		}
		texts[i], old[i] = text, -1
		return err
	}
	err := each(n, func(i int) error {
		if i == 0 || i == n-1 || old[i] >= 0 {
			return nil
		}
		return render(i)
	})
	if err != nil {
		return nil, nil, err
	}

	st := &streamState{Name: s.Name, Sizes: make([]int64, n), CRCs: make([]uint32, n)}
	plain, froms, err := b.text(ctx, p, s, oldStream, old, texts, st, render)
	if err != nil {
		return nil, nil, err
	}

	// The digest of the text and its forms are made side by side: each is a
	// pass over megabytes.
	var plainBlob formats.Blob
	blobs := make([]formats.Blob, len(s.Forms))
	st.Forms = make([]*streamForms, len(s.Forms))
	err = together(len(s.Forms)+1, func(i int) (err error) {
		if i == 0 {
			plainBlob = formats.Bytes(plain)
			return nil
		}
		form := s.Forms[i-1]
		if form == Plain {
			return nil
		}
		f := &streamForms{Form: form}
		blobs[i-1], f.Packed, err = pack(form, froms[form], plain, old, st)
		if err == nil {
			f.Ref = blobs[i-1].Ref()
		}
		st.Forms[i-1] = f
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	st.Plain = plainBlob.Ref()
	var files []IndexFile
	for i, form := range s.Forms {
		if form == Plain {
			blobs[i], st.Forms[i] = plainBlob, &streamForms{Form: form, Ref: st.Plain, Packed: slices.Clone(st.Sizes)}
		}
		files = append(files, IndexFile{Stream: s.Name, Form: form, Plain: st.Plain, Blob: blobs[i]})
	}
	return st, files, nil
}

// text puts the text of a stream together, of pieces in texts and of the base's,
// and fills in the sizes and sums of st. It returns the base's forms, too. Where
// the base has no form to take pieces from, they are rendered.
func (b *builder) text(ctx context.Context, p *partition, s Stream, oldStream *streamState, old []int, texts [][]byte, st *streamState, render func(int) error) ([]byte, map[Form]*oldIndex, error) {
	froms := make(map[Form]*oldIndex)
	var from *oldIndex
	if slices.ContainsFunc(old, func(i int) bool { return i >= 0 }) {
		all := []Form{Plain, Zstd, Gzip}
		found := make([]*oldIndex, len(all))
		err := together(len(all), func(i int) (err error) {
			found[i], err = b.oldIndex(ctx, p, oldStream, all[i])
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		for i, o := range found {
			froms[all[i]] = o
			if from == nil {
				from = o
			}
		}
	}
	offsets := make([]int64, len(texts)+1)
	for i := range texts {
		if old[i] >= 0 && from == nil {
			if err := render(i); err != nil {
				return nil, nil, err
			}
		}
		st.Sizes[i] = int64(len(texts[i]))
		if old[i] >= 0 {
			st.Sizes[i] = oldStream.Sizes[old[i]]
		}
		offsets[i+1] = offsets[i] + st.Sizes[i]
	}
	plain := make([]byte, offsets[len(texts)])
	err := each(len(texts), func(i int) error {
		at := plain[offsets[i]:offsets[i+1]]
		if old[i] < 0 {
			copy(at, texts[i])
			st.CRCs[i] = crc32.ChecksumIEEE(at)
			return nil
		}
		st.CRCs[i] = oldStream.CRCs[old[i]]
		return chunk.Unpack(at, from.codec, from.packed(old[i]))
	})
	return plain, froms, err
}

// pack makes one form of a text, taking over from the base's those pieces that
// old names. from is nil where the base does not have the form.
func pack(form Form, from *oldIndex, plain []byte, old []int, st *streamState) (formats.Blob, []int64, error) {
	if form == Xz {
		// Several xz blocks would do for the clients that matter, but no
		// library writes them; the option costs a whole compression.
		packed, err := packXz(plain)
		return formats.Bytes(packed), nil, err
	}
	codec := chunk.Codec(form)
	pieces := make([]chunk.Piece, len(old))
	offsets := make([]int64, len(old)+1)
	for i := range pieces {
		offsets[i+1] = offsets[i] + st.Sizes[i]
	}
	err := each(len(old), func(i int) (err error) {
		pieces[i].Plain, pieces[i].CRC = st.Sizes[i], st.CRCs[i]
		if old[i] >= 0 && from != nil {
			pieces[i].Packed = from.packed(old[i])
			return nil
		}
		pieces[i].Packed, err = chunk.Pack(codec, plain[offsets[i]:offsets[i+1]])
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	sizes := make([]int64, len(pieces))
	for i := range pieces {
		sizes[i] = int64(len(pieces[i].Packed))
	}
	return formats.Bytes(chunk.Join(codec, pieces)), sizes, nil
}

func packXz(plain []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := xz.NewWriter(&b)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

// oldIndex is an index of the base in one form, cut into pieces.
type oldIndex struct {
	codec   chunk.Codec
	bytes   []byte
	offsets []int64
}

func (o *oldIndex) packed(i int) []byte { return o.bytes[o.offsets[i]:o.offsets[i+1]] }

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
		whole, err := b.file(ctx, f)
		// A commit that ended halfway in a place that replaces file by file leaves
		// an index that the state does not know: it is made of the records again.
		if errors.Is(err, errChanged) || errors.Is(err, errTooLarge) || errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		o := &oldIndex{codec: chunk.Codec(form), offsets: make([]int64, len(sf.Packed)+1)}
		o.offsets[0] = f.Offset + chunk.HeadSize(o.codec)
		for i, n := range sf.Packed {
			o.offsets[i+1] = o.offsets[i] + n
		}
		if end := o.offsets[len(sf.Packed)]; end > int64(len(whole)) || slices.Min(sf.Packed) < 0 || f.Offset < 0 {
			return nil, fmt.Errorf("%s: damaged: %s is said to have %d bytes of pieces, it has %d", StatePath, f.Path, end, len(whole))
		}
		o.bytes = whole
		return o, nil
	}
	return nil, nil
}

// file reads a file of the base once. It is checked against the state, since what
// is taken over will be signed.
func (b *builder) file(ctx context.Context, f *fileState) ([]byte, error) {
	b.mu.Lock()
	read, ok := b.old[f.Path]
	if !ok {
		read = sync.OnceValues(func() ([]byte, error) { return readRef(ctx, b.dst, b.version, f.Path, f.Ref) })
		if b.old == nil {
			b.old = make(map[string]func() ([]byte, error))
		}
		b.old[f.Path] = read
	}
	b.mu.Unlock()
	return read()
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
