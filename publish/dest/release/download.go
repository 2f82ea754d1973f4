package release

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Assets lists the files of a tag's release or draft by name. The error is
// fs.ErrNotExist if there is no release.
func (p *Place) Assets(ctx context.Context, tag string) ([]Info, error) {
	m, err := p.filesOf(ctx, tag)
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, f := range m {
		i := Info{Name: f.Name, Size: f.Size, State: f.State}
		i.SHA256, i.Known = f.sha256()
		list = append(list, i)
	}
	slices.SortFunc(list, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (p *Place) filesOf(ctx context.Context, tag string) (map[string]*file, error) {
	h, err := p.find(ctx, tag)
	var m map[string]*file
	switch {
	case err != nil:
	case h == nil:
		err = fs.ErrNotExist
	default:
		m, _, err = p.files(ctx, h.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("release %s of %s/%s: %w", tag, p.o.Owner, p.o.Repo, err)
	}
	return m, nil
}

// Download opens a file of a tag's release or draft by the name it was attached
// under. Where the host knows its digest, the last Read says whether the bytes are
// the right ones. The error is fs.ErrNotExist if there is no such file, or half of
// it.
func (p *Place) Download(ctx context.Context, tag, name string) (io.ReadCloser, error) {
	m, err := p.filesOf(ctx, tag)
	if err != nil {
		return nil, err
	}
	f := m[HostName(name)]
	if f == nil || f.State != uploaded {
		return nil, fmt.Errorf("release %s of %s/%s: file %s: %w", tag, p.o.Owner, p.o.Repo, name, fs.ErrNotExist)
	}
	r, err := p.fetch(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("release %s of %s/%s: %w", tag, p.o.Owner, p.o.Repo, err)
	}
	c := &checked{ReadCloser: r, name: f.Name, left: f.Size, hash: sha256.New()}
	c.want, c.known = f.sha256()
	return c, nil
}

// checked compares what is read with what was promised.
type checked struct {
	io.ReadCloser
	name  string
	left  int64
	hash  hash.Hash
	want  formats.Digest
	known bool
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	c.left -= int64(n)
	c.hash.Write(b[:n])
	switch {
	case c.left < 0:
		return n, fmt.Errorf("file %s is longer than the host says", c.name)
	case err == io.EOF && c.left > 0:
		return n, fmt.Errorf("file %s: %w", c.name, io.ErrUnexpectedEOF)
	case err == io.EOF && c.known && formats.Digest(c.hash.Sum(nil)) != c.want:
		return n, fmt.Errorf("file %s: the bytes are not those of sha256 %s", c.name, c.want)
	}
	return n, err
}
