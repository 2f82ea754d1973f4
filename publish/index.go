package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
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
	old map[string][]byte // base files by path
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
	for i, pg := range p.pages {
		oldPage[i] = -1
		s := pg.state
		if pg.dirty {
			text, err := renderPage(pg.recs)
			if err != nil {
				return nil, err
			}
			blob := formats.Bytes(text)
			s = &pageState{First: pg.first(), Records: len(pg.recs), Ref: blob.Ref()}
			if _, ok := at[s.Ref.SHA256]; !ok {
				out.pages = append(out.pages, File{Path: recordsPath(s.Ref.SHA256), Class: Content, Blob: blob})
			}
		}
		if old, ok := at[s.Ref.SHA256]; ok && !p.render {
			oldPage[i] = old
		} else if err := b.load(ctx, pg); err != nil {
			return nil, err
		}
		out.state.Pages = append(out.state.Pages, s)
		out.Records += s.Records
	}
	for _, stream := range b.repo.Streams(p.name) {
		st, files, err := b.stream(ctx, p, stream, oldPage, out.Records)
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", stream.Name, err)
		}
		out.state.Streams = append(out.state.Streams, st)
		out.Indexes = append(out.Indexes, files...)
	}
	return out, nil
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

	// The plain text is needed for its digest, and by forms that are not cut.
	// Where the base has no plain file its pieces are unpacked.
	var plainFrom *oldIndex
	if slices.ContainsFunc(old, func(i int) bool { return i >= 0 }) {
		for _, f := range []Form{Plain, Zstd, Gzip} {
			if plainFrom, err = b.oldIndex(ctx, p, oldStream, f); err != nil {
				return nil, nil, err
			}
			if plainFrom != nil {
				break
			}
		}
		if plainFrom == nil { // nothing to reuse
			for i := range old {
				if old[i] >= 0 {
					if err := render(i); err != nil {
						return nil, nil, err
					}
				}
			}
		}
	}
	st := &streamState{Name: s.Name, Sizes: make([]int64, n), CRCs: make([]uint32, n)}
	var plain []byte
	{
		size := 0
		for i := range texts {
			if old[i] >= 0 {
				size += int(oldStream.Sizes[old[i]])
			} else {
				size += len(texts[i])
			}
		}
		plain = make([]byte, 0, size)
	}
	for i := range texts {
		if old[i] < 0 {
			plain = append(plain, texts[i]...)
			st.Sizes[i], st.CRCs[i] = int64(len(texts[i])), crc32.ChecksumIEEE(texts[i])
			continue
		}
		if plain, err = plainFrom.unpack(plain, old[i]); err != nil {
			return nil, nil, err
		}
		st.Sizes[i], st.CRCs[i] = oldStream.Sizes[old[i]], oldStream.CRCs[old[i]]
	}
	plainBlob := formats.Bytes(plain)
	st.Plain = plainBlob.Ref()

	var files []IndexFile
	for _, form := range s.Forms {
		f := &streamForms{Form: form}
		var blob formats.Blob
		switch form {
		case Plain:
			blob, f.Packed = plainBlob, slices.Clone(st.Sizes)
		case Xz:
			// Several xz blocks would do for the clients that matter, but no
			// library writes them; the option costs a whole compression.
			packed, err := packXz(plain)
			if err != nil {
				return nil, nil, err
			}
			blob = formats.Bytes(packed)
		default:
			codec := chunk.Codec(form)
			from, err := b.oldIndex(ctx, p, oldStream, form)
			if err != nil {
				return nil, nil, err
			}
			pieces := make([]chunk.Piece, n)
			offsets := make([]int64, n+1)
			for i := range pieces {
				offsets[i+1] = offsets[i] + st.Sizes[i]
			}
			err = each(n, func(i int) error {
				pieces[i].Plain, pieces[i].CRC = st.Sizes[i], st.CRCs[i]
				if old[i] >= 0 && from != nil {
					pieces[i].Packed = from.packed(old[i])
					return nil
				}
				var err error
				pieces[i].Packed, err = chunk.Pack(codec, plain[offsets[i]:offsets[i+1]])
				return err
			})
			if err != nil {
				return nil, nil, err
			}
			f.Packed = make([]int64, n)
			for i := range pieces {
				f.Packed[i] = int64(len(pieces[i].Packed))
			}
			blob = formats.Bytes(chunk.Join(codec, pieces))
		}
		f.Ref = blob.Ref()
		st.Forms = append(st.Forms, f)
		files = append(files, IndexFile{Stream: s.Name, Form: form, Plain: st.Plain, Blob: blob})
	}
	return st, files, nil
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
	sizes   []int64
}

func (o *oldIndex) packed(i int) []byte { return o.bytes[o.offsets[i]:o.offsets[i+1]] }

func (o *oldIndex) unpack(dst []byte, i int) ([]byte, error) {
	return chunk.Unpack(dst, o.codec, o.packed(i), o.sizes[i])
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
		whole, err := b.file(ctx, f)
		if err != nil {
			return nil, err
		}
		o := &oldIndex{codec: chunk.Codec(form), sizes: s.Sizes, offsets: make([]int64, len(sf.Packed)+1)}
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
	defer b.mu.Unlock()
	if got, ok := b.old[f.Path]; ok {
		return got, nil
	}
	got, err := readRef(ctx, b.dst, b.version, f.Path, f.Ref)
	if err != nil {
		return nil, err
	}
	if b.old == nil {
		b.old = make(map[string][]byte)
	}
	b.old[f.Path] = got
	return got, nil
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
