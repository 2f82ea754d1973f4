package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// StatePath is where the state lies in a tree; RecordsDir holds the pages.
// Everything under PrivateDir is DistroPack's own; a mirror may leave it out.
const (
	PrivateDir = ".distropack"
	StatePath  = PrivateDir + "/state"
	RecordsDir = PrivateDir + "/records"
)

const (
	stateFormat  = 1
	maxStateSize = 64 << 20
	maxPageSize  = 256 << 20
	maxIndexSize = 4 << 30 // before compression
)

// state is the root of a tree: what it holds, named by digest. Its form in the
// tree is described in docs/state.md.
type state struct {
	Format       int            `json:"format"`
	Serial       int64          `json:"serial"` // counts changes, from 1
	Time         int64          `json:"time"`   // Unix time of the newest index
	Bytes        int64          `json:"bytes"`  // of packages, each path once
	Repositories []*repoState   `json:"repositories"`
	SiteSettings formats.Digest `json:"siteSettings"`
	Site         []*fileState   `json:"site,omitempty"`    // files no repository brings
	Retired      []*retiredFile `json:"retired,omitempty"` // files nothing names any more, still there
}

type repoState struct {
	Name       string            `json:"name"`
	Settings   formats.Digest    `json:"settings"` // of Repo.Settings
	Partitions []*partitionState `json:"partitions"`
	Roots      []*rootState      `json:"roots"`
}

type partitionState struct {
	Name    string         `json:"name"`
	Pages   []*pageState   `json:"pages,omitempty"`
	Streams []*streamState `json:"streams,omitempty"`
}

// pageState names one page of records: those whose names are not before First
// and before the next page's First. The first page takes all smaller names too.
type pageState struct {
	First   string      `json:"first"`
	Records int         `json:"records"`
	Ref     formats.Ref `json:"ref"`
}

// streamState tells how an index is cut: head, one piece per page, tail.
type streamState struct {
	Name  string         `json:"name"`
	Plain formats.Ref    `json:"plain"`
	Sizes []int64        `json:"sizes"` // of the pieces' texts
	CRCs  []uint32       `json:"crcs"`
	Forms []*streamForms `json:"forms"`
}

type streamForms struct {
	Form   Form        `json:"form"`
	Ref    formats.Ref `json:"ref"`
	Packed []int64     `json:"packed,omitempty"` // sizes of the pieces in the file; none for xz
}

type rootState struct {
	Name  string       `json:"name"`
	Keep  int          `json:"keep"`
	Files []*fileState `json:"files"`
}

type fileState struct {
	Path  string      `json:"path"`
	Class Class       `json:"class"`
	Ref   formats.Ref `json:"ref"`

	Partition string `json:"partition,omitempty"`
	Stream    string `json:"stream,omitempty"`
	Form      Form   `json:"form,omitempty"`
	Offset    int64  `json:"offset,omitempty"`
}

type retiredFile struct {
	Path   string `json:"path"`
	Serial int64  `json:"serial"` // the first change without it
	Time   int64  `json:"time"`   // of that change
	Keep   int    `json:"keep"`   // changes it outlives
}

// ErrForged says that a tree's state is not signed by a key it is checked with.
var ErrForged = errors.New("the state of the tree is not signed by this key")

// readState reads and checks the state of a version; nil where the tree has none.
func readState(ctx context.Context, dst Destination, version string, verify Verify) (*state, error) {
	if version == "" {
		return nil, nil
	}
	b, err := readFile(ctx, dst, version, StatePath, maxStateSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseState(b, verify)
}

// parseState takes JSON, an empty line and a signature apart.
func parseState(b []byte, verify Verify) (*state, error) {
	message, signature, _ := bytes.Cut(b, []byte("\n\n"))
	if verify != nil {
		if len(signature) == 0 {
			return nil, fmt.Errorf("%s: %w: there is no signature", StatePath, ErrForged)
		}
		if err := verify(append(message[:len(message):len(message)], '\n'), signature); err != nil {
			return nil, fmt.Errorf("%s: %w: %v", StatePath, ErrForged, err)
		}
	}
	var s state
	d := json.NewDecoder(bytes.NewReader(message))
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%s: truncated or damaged: %w", StatePath, err)
	}
	if s.Format != stateFormat {
		return nil, fmt.Errorf("%s: format %d; this program reads format %d: use a newer one", StatePath, s.Format, stateFormat)
	}
	if s.holes() {
		return nil, fmt.Errorf("%s: damaged: a list has null in it", StatePath)
	}
	return &s, s.check()
}

// holes reports whether a list has an element that is null: JSON allows it,
// nothing here expects it.
func (s *state) holes() bool {
	if hole(s.Repositories) || hole(s.Site) || hole(s.Retired) {
		return true
	}
	for _, r := range s.Repositories {
		if hole(r.Partitions) || hole(r.Roots) {
			return true
		}
		for _, p := range r.Partitions {
			if hole(p.Pages) || hole(p.Streams) {
				return true
			}
			for _, st := range p.Streams {
				if hole(st.Forms) {
					return true
				}
			}
		}
		for _, root := range r.Roots {
			if hole(root.Files) {
				return true
			}
		}
	}
	return false
}

func hole[T any](list []*T) bool { return slices.Contains(list, nil) }

// check refuses a state whose parts do not fit, so that what follows need not.
func (s *state) check() error {
	paths := make(map[string]formats.Ref)
	for _, r := range s.Repositories {
		for _, p := range r.Partitions {
			for _, st := range p.Streams {
				if want := len(p.Pages) + 2; len(st.Sizes) != want || len(st.CRCs) != want {
					return fmt.Errorf("%s: damaged: partition %s has %d pages and an index of %d pieces", StatePath, p.Name, len(p.Pages), len(st.Sizes))
				}
				total := int64(0)
				for _, n := range st.Sizes {
					if n < 0 || n > maxIndexSize-total {
						return fmt.Errorf("%s: damaged: partition %s has an index with a piece of %d bytes", StatePath, p.Name, n)
					}
					total += n
				}
				if total != st.Plain.Size {
					return fmt.Errorf("%s: damaged: partition %s has an index of %d bytes in pieces of %d", StatePath, p.Name, st.Plain.Size, total)
				}
				for _, f := range st.Forms {
					if f.Packed != nil && len(f.Packed) != len(st.Sizes) {
						return fmt.Errorf("%s: damaged: partition %s has an index of %d and %d pieces", StatePath, p.Name, len(st.Sizes), len(f.Packed))
					}
				}
			}
			if !slices.IsSortedFunc(p.Pages, func(a, b *pageState) int { return strings.Compare(a.First, b.First) }) {
				return fmt.Errorf("%s: damaged: partition %s has unsorted pages", StatePath, p.Name)
			}
		}
		for _, root := range r.Roots {
			for _, f := range root.Files {
				other, twice := paths[f.Path]
				if !fs.ValidPath(f.Path) || twice && other != f.Ref {
					return fmt.Errorf("%s: damaged: path %q", StatePath, f.Path)
				}
				paths[f.Path] = f.Ref
			}
		}
	}
	return nil
}

// render returns the state's file.
func (s *state) render(ctx context.Context, sign formats.Signer) ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	if sign == nil {
		return b, nil
	}
	sig, err := sign(ctx, bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", StatePath, err)
	}
	return append(append(b, '\n'), sig...), nil
}

func (s *state) repo(name string) *repoState {
	for _, r := range s.Repositories {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (r *repoState) partition(name string) *partitionState {
	for _, p := range r.Partitions {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (r *repoState) root(name string) *rootState {
	for _, root := range r.Roots {
		if root.Name == name {
			return root
		}
	}
	return nil
}

func (p *partitionState) records() int {
	n := 0
	for _, page := range p.Pages {
		n += page.Records
	}
	return n
}

func (p *partitionState) stream(name string) *streamState {
	for _, s := range p.Streams {
		if s.Name == name {
			return s
		}
	}
	return nil
}

func (s *streamState) form(f Form) *streamForms {
	for _, x := range s.Forms {
		if x.Form == f {
			return x
		}
	}
	return nil
}

// A file that is not what the state says is one of these, or fs.ErrNotExist.
var (
	errTooLarge = errors.New("more than")
	errChanged  = errors.New("the file was changed from outside")
)

// readFile reads a whole file of a version, at most limit bytes.
func readFile(ctx context.Context, dst Destination, version, path string, limit int64) ([]byte, error) {
	r, err := dst.Open(ctx, version, path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer r.Close()
	// The limit is the length, where that is known; a wrong state must not make
	// this take gigabytes, nor the largest there may be cost a clean page each.
	size := min(limit, 32<<20)
	if limit == maxStateSize {
		size = 64 << 10
	}
	b := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("read %s: %w %d bytes", path, errTooLarge, limit)
	}
	return b.Bytes(), nil
}

// readRef reads a file whose content is known by digest, and refuses any other.
func readRef(ctx context.Context, dst Destination, version, path string, ref formats.Ref) ([]byte, error) {
	b, err := readFile(ctx, dst, version, path, ref.Size)
	if err != nil {
		return nil, err
	}
	if got := formats.Bytes(b).Ref(); got != ref {
		return nil, changed(path, got, ref)
	}
	return b, nil
}

func changed(path string, got, want formats.Ref) error {
	return fmt.Errorf("read %s: %w: it is %d bytes with SHA-256 %s, want %d with %s", path, errChanged, got.Size, got.SHA256, want.Size, want.SHA256)
}

// treeBlob is a file of a version, read when opened.
type treeBlob struct {
	ctx     context.Context
	dst     Destination
	version string
	path    string
	ref     formats.Ref
}

func (b *treeBlob) Ref() formats.Ref             { return b.ref }
func (b *treeBlob) Open() (io.ReadCloser, error) { return b.dst.Open(b.ctx, b.version, b.path) }
