package bucket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

const (
	commitsDir = publish.PrivateDir + "/commits"
	maxStage   = 1 << 30

	// Larger files get a staged object of their own, so that a stage can be held
	// in memory.
	maxInline    = 8 << 20
	maxAllInline = 32 << 20
)

// stage is what is left to do once a state is committed: one line of JSON, then
// the bytes of files one after another.
type stage struct {
	Format int            `json:"format"` // 1
	State  formats.Digest `json:"state"`
	Put    []staged       `json:"put,omitempty"`
	Delete []string       `json:"delete,omitempty"`
	Own    []string       `json:"own,omitempty"` // further objects that belong to the stage

	body []byte
}

const stageFormat = 1

// staged is a file that replaces what is at its path.
type staged struct {
	Path   string        `json:"path"`
	Class  publish.Class `json:"class"`
	Ref    formats.Ref   `json:"ref"`
	Was    string        `json:"was,omitempty"`    // the ETag of what it replaces; "" for nothing
	Unsure bool          `json:"unsure,omitempty"` // Was is not known
	From   string        `json:"from,omitempty"`   // a path of the bucket that has these bytes
	Offset int64         `json:"offset,omitempty"` // without From: where they begin in the body
}

// stagePath is where the stage of a state lies.
func stagePath(state formats.Digest) string { return commitsDir + "/" + state.String() }

// paths are the objects that hold the stage.
func (s *stage) paths() []string { return append([]string{stagePath(s.State)}, s.Own...) }

// isOurs reports whether a path is this package's, and no change may bring it.
func isOurs(p string) bool {
	return p == memoryPath || p == probePath || p == commitsDir || isStage(p)
}

// isStage reports whether a path is a stage's.
func isStage(p string) bool { return strings.HasPrefix(p, commitsDir+"/") && fs.ValidPath(p) }

// newStage says where each file's bytes are to be found: among those of the change
// that keep their name, in the stage, or in objects of their own, which it returns.
func newStage(state formats.Digest, replace []replacement, kept map[formats.Ref]string, gone []string) (*stage, []object) {
	s := &stage{Format: stageFormat, State: state, Delete: gone}
	var own []object
	for _, r := range replace {
		ref := r.blob.Ref()
		f := staged{Path: r.path, Class: r.class, Ref: ref, Was: r.was, Unsure: r.unsure, From: kept[ref]}
		if f.From == "" {
			held, ok := formats.Held(r.blob)
			if ok && ref.Size <= maxInline && int64(len(s.body))+ref.Size <= maxAllInline {
				f.Offset = int64(len(s.body))
				for _, part := range held {
					s.body = append(s.body, part...)
				}
			} else {
				f.From = stagePath(state) + "." + ref.SHA256.String()
				kept[ref] = f.From
				s.Own = append(s.Own, f.From)
				own = append(own, object{f.From, publish.Index, r.blob})
			}
		}
		s.Put = append(s.Put, f)
	}
	return s, own
}

func (s *stage) render() ([]byte, error) {
	head, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return append(append(head, '\n'), s.body...), nil
}

func parseStage(text []byte, state formats.Digest) (*stage, error) {
	head, body, ok := bytes.Cut(text, []byte("\n"))
	s := &stage{body: body}
	if !ok {
		return nil, errors.New("it is truncated")
	}
	if err := json.Unmarshal(head, s); err != nil {
		return nil, err
	}
	if s.Format != stageFormat {
		return nil, fmt.Errorf("it has format %d, this program knows %d: use a newer one", s.Format, stageFormat)
	}
	if s.State != state {
		return nil, fmt.Errorf("it is of the state %s", s.State)
	}
	for i := range s.Put {
		f := &s.Put[i]
		if !fs.ValidPath(f.Path) || f.Path == publish.StatePath || isOurs(f.Path) {
			return nil, fmt.Errorf("path %q can't be put", f.Path)
		}
		if f.From != "" {
			if !fs.ValidPath(f.From) {
				return nil, fmt.Errorf("path %q can't be read", f.From)
			}
			continue
		}
		if f.Offset < 0 || f.Ref.Size < 0 || f.Offset > int64(len(body)) || f.Ref.Size > int64(len(body))-f.Offset {
			return nil, fmt.Errorf("%s is said to have bytes that are not there", f.Path)
		}
		if blob := formats.Bytes(s.bytes(f)); blob.Ref() != f.Ref {
			return nil, fmt.Errorf("%s has other bytes than it is said to", f.Path)
		}
	}
	for _, p := range s.Delete {
		if !fs.ValidPath(p) || p == publish.StatePath || p == memoryPath {
			return nil, fmt.Errorf("path %q can't be deleted", p)
		}
	}
	return s, nil
}

func (s *stage) bytes(f *staged) []byte { return s.body[f.Offset : f.Offset+f.Ref.Size] }

// blob is the content of a staged file as the bucket has it.
func (b *Bucket) blob(ctx context.Context, s *stage, f *staged) formats.Blob {
	if f.From == "" {
		return formats.Bytes(s.bytes(f))
	}
	return &remote{ctx, b, f.From, f.Ref}
}

// remote is content in the bucket. It may be other than its Ref says: who puts it
// anywhere compares.
type remote struct {
	ctx  context.Context
	b    *Bucket
	path string
	ref  formats.Ref
}

func (r *remote) Ref() formats.Ref             { return r.ref }
func (r *remote) Open() (io.ReadCloser, error) { return r.b.Open(r.ctx, "", r.path) }
