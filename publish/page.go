package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/distropack/distropack/formats"
)

// pageNames is how many names share a page on average. A page is read, rendered
// and compressed as a whole for one new package; the state grows by one entry per
// page. At 10,000 packages 128 keeps both near 10 ms.
const pageNames = 128

// startsPage reports whether a page begins at name. It depends on the name alone,
// so that the cut does not depend on the order in which packages came.
func startsPage(name string) bool {
	h := fnv.New32a()
	h.Write([]byte(name))
	x := h.Sum32()
	x ^= x >> 15 // FNV mixes its low bits badly for short names
	x *= 0x2c1b3c6d
	x ^= x >> 12
	return x%pageNames == 0
}

func recordsPath(d formats.Digest) string { return RecordsDir + "/" + d.String() + ".jsonl" }

// renderPage renders records, one JSON object a line.
func renderPage(recs []*Record) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, r := range recs {
		if err := e.Encode(r); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// parsePage is the inverse of renderPage.
func parsePage(b []byte) ([]*Record, error) {
	if len(b) > 0 && b[len(b)-1] != '\n' {
		return nil, fmt.Errorf("line %d is cut off", bytes.Count(b, []byte("\n"))+1)
	}
	lines := slices.Collect(bytes.Lines(b))
	recs := make([]*Record, len(lines))
	err := each(len(lines), func(i int) (err error) {
		if recs[i], err = parseLine(lines[i]); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return recs, nil
}

// parseNamed returns the records of one name in a page, without parsing the
// others: renderPage wrote each name in one way only.
func parseNamed(b []byte, name string) ([]*Record, error) {
	var quoted bytes.Buffer
	quoted.WriteString(`"name":`)
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	if err := e.Encode(name); err != nil {
		return nil, err
	}
	key := bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))
	var recs []*Record
	for line := range bytes.Lines(b) {
		if !bytes.Contains(line, key) {
			continue
		}
		r, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		if r.Meta.Name == name {
			recs = append(recs, r)
		}
	}
	return recs, nil
}

// page is a page while a change is made.
type page struct {
	state *pageState // of the base; nil for a page that is new
	mu    sync.Mutex // guards what loading sets
	text  []byte     // as the base has it, once read
	recs  []*Record  // once loaded
	ready bool       // recs are there
	dirty bool       // differs from the base; recs is the page's own then
}

func (p *page) first() string {
	if p.state != nil && !p.ready {
		return p.state.First
	}
	if len(p.recs) == 0 {
		return ""
	}
	return p.recs[0].Meta.Name
}

// partition is a partition while a change is made.
type partition struct {
	name    string
	base    *partitionState // nil where new
	pages   []*page
	changed bool // its records differ from the base
	render  bool // every page is to be rendered anew
}

func newPartition(name string, base *partitionState) *partition {
	p := &partition{name: name, base: base}
	if base == nil {
		p.changed = true // an empty index is an index
		return p
	}
	for _, s := range base.Pages {
		p.pages = append(p.pages, &page{state: s})
	}
	return p
}

// loader reads pages of one version.
type loader struct {
	dst     Destination
	version string
}

// read fetches a page's text; p.mu is held.
func (l *loader) read(ctx context.Context, p *page) (err error) {
	if p.text == nil {
		p.text, err = readRef(ctx, l.dst, l.version, recordsPath(p.state.Ref.SHA256), p.state.Ref)
	}
	return err
}

// load reads a page and parses it.
func (l *loader) load(ctx context.Context, p *page) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ready {
		return nil
	}
	err := l.read(ctx, p)
	if err != nil {
		return err
	}
	path := recordsPath(p.state.Ref.SHA256)
	if p.recs, err = parsePage(p.text); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(p.recs) != p.state.Records || len(p.recs) == 0 {
		return fmt.Errorf("read %s: %d records, want %d", path, len(p.recs), p.state.Records)
	}
	p.ready, p.text = true, nil
	return nil
}

// modify makes recs the page's own, to be changed in place.
func (p *page) modify() {
	if !p.dirty {
		p.recs, p.dirty = slices.Clone(p.recs), true
	}
}

// at returns the index of the page that name belongs to; -1 where there is none.
func (p *partition) at(name string) int {
	i, found := slices.BinarySearchFunc(p.pages, name, func(pg *page, n string) int { return strings.Compare(pg.first(), n) })
	if !found {
		i--
	}
	if i < 0 && len(p.pages) > 0 {
		i = 0
	}
	return i
}

// named returns the records of one name, from old to new.
func (p *partition) named(ctx context.Context, l *loader, name string) ([]*Record, error) {
	i := p.at(name)
	if i < 0 {
		return nil, nil
	}
	pg := p.pages[i]
	pg.mu.Lock()
	defer pg.mu.Unlock()
	if !pg.ready { // publishing what is there already needs no more than this
		if err := l.read(ctx, pg); err != nil {
			return nil, err
		}
		recs, err := parseNamed(pg.text, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", recordsPath(pg.state.Ref.SHA256), err)
		}
		return recs, nil
	}
	start, _ := slices.BinarySearchFunc(pg.recs, name, func(r *Record, n string) int { return strings.Compare(r.Meta.Name, n) })
	end := start
	for end < len(pg.recs) && pg.recs[end].Meta.Name == name {
		end++
	}
	return slices.Clone(pg.recs[start:end]), nil
}

// all loads and returns every record in order.
func (p *partition) all(ctx context.Context, l *loader) ([]*Record, error) {
	var recs []*Record
	for _, pg := range p.pages {
		if err := l.load(ctx, pg); err != nil {
			return nil, err
		}
		recs = append(recs, pg.recs...)
	}
	return recs, nil
}

// put adds a record.
func (p *partition) put(ctx context.Context, l *loader, r *Record, less func(a, b *Record) bool) error {
	i := p.at(r.Meta.Name)
	if i < 0 {
		p.pages, i = []*page{{ready: true}}, 0
	}
	pg := p.pages[i]
	if err := l.load(ctx, pg); err != nil {
		return err
	}
	at, _ := slices.BinarySearchFunc(pg.recs, r, func(a, b *Record) int {
		if less(a, b) {
			return -1
		}
		return 1 // after its equals: they can't be, paths differ
	})
	pg.modify()
	pg.recs = slices.Insert(pg.recs, at, r)
	p.changed = true
	return nil
}

// drop removes the record of a name at a path.
func (p *partition) drop(ctx context.Context, l *loader, name, path string) error {
	i := p.at(name)
	if i < 0 {
		return nil
	}
	pg := p.pages[i]
	if err := l.load(ctx, pg); err != nil {
		return err
	}
	at := slices.IndexFunc(pg.recs, func(r *Record) bool { return r.Meta.Name == name && r.Path == path })
	if at < 0 {
		return nil
	}
	pg.modify()
	pg.recs = slices.Delete(pg.recs, at, at+1)
	p.changed = true
	if len(pg.recs) == 0 {
		p.pages = slices.Delete(p.pages, i, i+1)
	}
	return nil
}

// recut makes the pages what they are for this set of names, however it came
// about: a page begins at the first name and at each name that startsPage.
func (p *partition) recut(ctx context.Context, l *loader) error {
	var out []*page
	for _, pg := range p.pages {
		// A page whose first name starts none belongs to the one before it.
		if len(out) > 0 && !startsPage(pg.first()) {
			last := out[len(out)-1]
			if err := errJoin(l.load(ctx, last), l.load(ctx, pg)); err != nil {
				return err
			}
			last.recs = append(slices.Clone(last.recs), pg.recs...)
			last.dirty = true
			pg = last
		} else {
			out = append(out, pg)
		}
		if !pg.dirty {
			continue
		}
		out = out[:len(out)-1]
		start := 0
		for i, r := range pg.recs {
			if i > start && r.Meta.Name != pg.recs[i-1].Meta.Name && startsPage(r.Meta.Name) {
				out = append(out, &page{recs: pg.recs[start:i:i], ready: true, dirty: true})
				start = i
			}
		}
		out = append(out, &page{recs: pg.recs[start:], ready: true, dirty: true})
	}
	p.pages = out
	return nil
}
