package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// How each file begins.
var magics = map[string]string{"tar.gz": "\x1f\x8b\x08", "tar.zst": "\x28\xb5\x2f\xfd", "tar.xz": "\xfd7zXZ\x00"}

// Bounds on archives of others.
const (
	maxPlain   = 64 << 30 // bytes after decompression
	maxEntries = 1 << 20
	maxNames   = 64 << 20 // bytes of all names together
)

// Describe reads the archive's label and its list of files. Fields are os, arch
// and variant; Files are without the top folder, so "/bin/hello" is the same with
// and without wrap. A tar has no list, so it is read to its end.
func (a *Archive) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	var names []string
	var comment string
	var err error
	if a.name == "zip" {
		names, comment, err = listZip(ctx, r, size)
	} else {
		names, comment, err = a.listTar(ctx, io.NewSectionReader(r, 0, size))
	}
	if err != nil {
		return nil, err
	}
	top := topOf(names)
	l, ok := parseLabel(comment)
	if !ok {
		if l, ok = parseTop(top); !ok {
			return nil, fmt.Errorf("the archive does not say what it is of: it has no label, and its top folder %q is not name-version-os-arch", top)
		}
	}
	m := &formats.Meta{
		Format:  a.name,
		Name:    l.name,
		Version: l.version,
		Arch:    l.platform.OS + "-" + l.platform.CPU(),
		Fields:  []formats.Field{{Key: "os", Value: l.platform.OS}, {Key: "arch", Value: l.platform.Arch}},
	}
	if l.platform.Variant != "" {
		m.Fields = append(m.Fields, formats.Field{Key: "variant", Value: l.platform.Variant})
	}
	if _, wrapped := parseTop(top); !wrapped && top != l.name+"-"+l.version+"-"+m.Arch {
		top = ""
	}
	for _, name := range names {
		name = strings.TrimPrefix(name, top)
		if name = strings.TrimPrefix(name, "/"); name != "" {
			m.Files = append(m.Files, "/"+name)
		}
	}
	slices.Sort(m.Files)
	m.Files = slices.Compact(m.Files)
	return m, nil
}

// topOf returns the folder everything lies in, without a slash; "" if there is
// none.
func topOf(names []string) string {
	top := ""
	for i, name := range names {
		first, _, found := strings.Cut(name, "/")
		if !found || i > 0 && first != top {
			return ""
		}
		top = first
	}
	return top
}

// list gathers the names of entries.
type list struct {
	names []string
	bytes int
}

func (l *list) add(name string, dir bool) error {
	clean := strings.TrimPrefix(path.Clean("/"+name), "/")
	if clean == "" {
		return nil
	}
	if strings.ContainsAny(clean, "\x00\n\r") {
		return fmt.Errorf("entry %q has a control character in its name", clean)
	}
	if dir {
		clean += "/"
	}
	l.names = append(l.names, clean)
	if l.bytes += len(clean); l.bytes > maxNames || len(l.names) > maxEntries {
		return fmt.Errorf("the archive has more than %d entries, or names of more than %d bytes", maxEntries, maxNames)
	}
	return nil
}

func listZip(ctx context.Context, r io.ReaderAt, size int64) ([]string, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, "", err
	}
	var l list
	for _, f := range z.File {
		if err := l.add(f.Name, strings.HasSuffix(f.Name, "/")); err != nil {
			return nil, "", err
		}
	}
	return l.names, z.Comment, nil
}

func (a *Archive) listTar(ctx context.Context, r io.Reader) (names []string, comment string, err error) {
	head := make([]byte, len(magics[a.name]))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != magics[a.name] {
		return nil, "", fmt.Errorf("not a %s", a.name)
	}
	plain, done, err := debian.Decompress(ctx, io.MultiReader(bytes.NewReader(head), r), maxPlain)
	if err != nil {
		return nil, "", fmt.Errorf("not a %s: %w", a.name, err)
	}
	defer done()
	t := tar.NewReader(plain)
	var l list
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, "", fmt.Errorf("not a whole %s: %w", a.name, err)
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader:
			if comment == "" {
				comment = h.PAXRecords["comment"]
			}
		default:
			if err := l.add(h.Name, h.Typeflag == tar.TypeDir); err != nil {
				return nil, "", err
			}
		}
	}
	// What follows the end of the tar holds the checksum of all before it.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return nil, "", fmt.Errorf("not a whole %s: %w", a.name, err)
	}
	return l.names, comment, nil
}
