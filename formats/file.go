package formats

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// FileType says what a File is.
type FileType string

const (
	Regular FileType = "file"
	Config  FileType = "config"  // a configuration file: a local change survives an upgrade, the new one is put beside it
	Keep    FileType = "keep"    // a configuration file whose local change stays in place (rpm's noreplace)
	Doc     FileType = "doc"     // documentation (rpm's %doc)
	Dir     FileType = "dir"     // a directory the package owns
	Symlink FileType = "symlink" // Target says where to
	Ghost   FileType = "ghost"   // owned, not brought (rpm only; others leave it out)
)

// File is one entry of a package. Path is absolute and clean. Mode holds the
// permission bits and setuid, setgid and sticky as fs.FileMode bits.
type File struct {
	Path    string
	Type    FileType
	Mode    fs.FileMode
	Owner   string // "root" where empty
	Group   string // "root" where empty
	Target  string // of a symlink
	Content Blob   // of Regular, Config, Keep and Doc
}

// IsRegular reports whether the entry has content.
func (f *File) IsRegular() bool {
	return f.Type == Regular || f.Type == Config || f.Type == Keep || f.Type == Doc
}

// IsConfig reports whether the entry is marked as configuration.
func (f *File) IsConfig() bool { return f.Type == Config || f.Type == Keep }

// Size is the length of the content in bytes; 0 for entries without one.
func (f *File) Size() int64 {
	if f.Content == nil || !f.IsRegular() {
		return 0
	}
	return f.Content.Ref().Size
}

// OwnerOr returns the owner, or "root".
func (f *File) OwnerOr() string { return orRoot(f.Owner) }

// GroupOr returns the group, or "root".
func (f *File) GroupOr() string { return orRoot(f.Group) }

func orRoot(s string) string {
	if s == "" {
		return "root"
	}
	return s
}

// UnixMode returns the permission bits as stat(2) has them: 04755 for a setuid
// program.
func (f *File) UnixMode() uint32 {
	m := uint32(f.Mode.Perm())
	if f.Mode&fs.ModeSetuid != 0 {
		m |= 0o4000
	}
	if f.Mode&fs.ModeSetgid != 0 {
		m |= 0o2000
	}
	if f.Mode&fs.ModeSticky != 0 {
		m |= 0o1000
	}
	return m
}

// SortFiles returns files sorted by path, so that a directory precedes what is in
// it. files is left as it is.
func SortFiles(files []File) []File {
	// Mostly a long sorted list with a few added at its end.
	n := sorted(files)
	if n == len(files) {
		return slices.Clone(files)
	}
	late := slices.Clone(files[n:])
	slices.SortFunc(late, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	all := make([]File, 0, len(files))
	for i := range n {
		for len(late) > 0 && late[0].Path < files[i].Path {
			all, late = append(all, late[0]), late[1:]
		}
		all = append(all, files[i])
	}
	return append(all, late...)
}

// sorted returns how many files from the first on are in order.
func sorted(files []File) int {
	for i := 1; i < len(files); i++ {
		if files[i].Path < files[i-1].Path {
			return i
		}
	}
	return len(files)
}

// WithParents returns files and every directory above them that is not among
// them (mode 0755, root), sorted by path. It is for formats whose archives list
// parents; implied says which directories were added.
func WithParents(files []File) (all []File, implied map[string]bool) {
	have := make(map[string]bool, len(files))
	for _, f := range files {
		have[f.Path] = true
	}
	implied = make(map[string]bool)
	all = slices.Clone(files)
	for _, f := range files {
		for d := path.Dir(f.Path); d != "/" && d != "."; d = path.Dir(d) {
			if have[d] {
				continue
			}
			have[d], implied[d] = true, true
			all = append(all, File{Path: d, Type: Dir, Mode: fs.ModeDir | 0o755})
		}
	}
	return SortFiles(all), implied
}

// CheckFiles refuses entries no format can carry: relative or unclean paths, two
// entries with one path, a file without content, a symlink without target, a
// path below something that is not a directory.
func CheckFiles(files []File) error {
	if sorted(files) < len(files) {
		files = SortFiles(files)
	}
	for i := range files {
		f := &files[i]
		switch {
		case !strings.HasPrefix(f.Path, "/") || path.Clean(f.Path) != f.Path || f.Path == "/":
			return fmt.Errorf("path %q is not an absolute, clean path", f.Path)
		case !utf8.ValidString(f.Path):
			return fmt.Errorf("path %q is not UTF-8: rename the file", f.Path)
		case strings.ContainsAny(f.Path, "\n\r\x00"):
			return fmt.Errorf("path %q has a control character", f.Path)
		case i > 0 && files[i-1].Path == f.Path:
			return fmt.Errorf("path %q is there twice", f.Path)
		case f.IsRegular() && f.Content == nil:
			return fmt.Errorf("file %q has no content", f.Path)
		case f.Type == Symlink && f.Target == "":
			return fmt.Errorf("symlink %q has no target", f.Path)
		}
		switch f.Type {
		case Regular, Config, Keep, Doc, Dir, Symlink, Ghost:
		default:
			return fmt.Errorf("file %q has the unknown type %q", f.Path, f.Type)
		}
	}
	above := make(map[string]string) // folder: a file below it
	last := ""
	for i := range files {
		p := files[i].Path
		if dir := p[:strings.LastIndexByte(p, '/')]; dir != last {
			last = dir
			for d := dir; d != ""; d = d[:strings.LastIndexByte(d, '/')] {
				if _, ok := above[d]; ok {
					break
				}
				above[d] = p
			}
		}
	}
	for i := range files {
		if f := &files[i]; f.Type != Dir {
			if below, ok := above[f.Path]; ok {
				return fmt.Errorf("path %q is below %q, which is a %s", below, f.Path, f.Type)
			}
		}
	}
	return nil
}

// Digest is a SHA-256 sum. Its text form is lower-case hexadecimal.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether the digest was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText renders the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText parses 64 lower-case hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error {
	bad := len(b) != 2*len(d) || bytes.ContainsAny(b, "ABCDEF")
	if !bad {
		_, err := hex.Decode(d[:], b)
		bad = err != nil
	}
	if bad {
		return fmt.Errorf("digest %q is not 64 lower-case hexadecimal digits", b)
	}
	return nil
}

// ParseDigest parses what Digest.String made.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	return d, d.UnmarshalText([]byte(s))
}

// Ref names content: what it hashes to and how long it is in bytes.
type Ref struct {
	SHA256 Digest `json:"sha256"`
	Size   int64  `json:"size"`
}

// Blob is content that can be read any number of times, concurrently.
type Blob interface {
	Ref() Ref
	Open() (io.ReadCloser, error)
}

// Bytes returns b as a Blob. b must not change any more.
func Bytes(b []byte) Blob {
	return bytesBlob{Ref{sha256.Sum256(b), int64(len(b))}, b}
}

type bytesBlob struct {
	ref Ref
	b   []byte
}

func (b bytesBlob) Ref() Ref                     { return b.ref }
func (b bytesBlob) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.b)), nil }

// FileBlob hashes the file name and returns it as a Blob. The file must not
// change any more; where its length has changed, Open says so.
func FileBlob(name string) (Blob, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	return fileBlob{Ref{Digest(h.Sum(nil)), n}, name}, nil
}

// KnownFile returns the file name as a Blob whose Ref is known already.
func KnownFile(name string, ref Ref) Blob { return fileBlob{ref, name} }

type fileBlob struct {
	ref  Ref
	name string
}

func (b fileBlob) Ref() Ref { return b.ref }

func (b fileBlob) Open() (io.ReadCloser, error) {
	f, err := os.Open(b.name)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err != nil || st.Size() != b.ref.Size {
		f.Close()
		if err == nil {
			err = fmt.Errorf("%s changed while it was used: %d bytes, was %d", b.name, st.Size(), b.ref.Size)
		}
		return nil, err
	}
	return f, nil
}

// Path returns where the content lies on disk, for destinations that can link
// instead of copy.
func (b fileBlob) Path() string { return b.name }

// Parts returns what parts hold, one behind the other, as a Blob. ref must be
// theirs: they are not hashed again.
func Parts(ref Ref, parts [][]byte) Blob { return partsBlob{ref, parts} }

type partsBlob struct {
	ref   Ref
	parts [][]byte
}

func (b partsBlob) Ref() Ref { return b.ref }

func (b partsBlob) Open() (io.ReadCloser, error) {
	readers := make([]io.Reader, len(b.parts))
	for i, p := range b.parts {
		readers[i] = bytes.NewReader(p)
	}
	return io.NopCloser(io.MultiReader(readers...)), nil
}

// Held returns the content of a Blob that Bytes or Parts made: it is what Ref
// names, and need not be read to know it.
func Held(b Blob) (content [][]byte, ok bool) {
	switch b := b.(type) {
	case bytesBlob:
		return [][]byte{b.b}, true
	case partsBlob:
		return b.parts, true
	}
	return nil, false
}

// ReadAll returns the content of b.
func ReadAll(b Blob) ([]byte, error) {
	if held, ok := Held(b); ok {
		if len(held) == 1 {
			return held[0], nil
		}
		all := make([]byte, 0, b.Ref().Size)
		for _, p := range held {
			all = append(all, p...)
		}
		return all, nil
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
