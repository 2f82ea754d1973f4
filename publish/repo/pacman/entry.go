package pacman

import (
	"archive/tar"
	"bytes"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/distropack/distropack/publish"
)

// Streams are db and files. Their texts are tars without the two zero blocks that
// end one, which come in the tail alone: pacman stops at the first, in silence.
func (r *Repo) Streams(partition string) []publish.Stream {
	dir, _ := r.database(partition)
	stream := func(name string, withFiles bool) publish.Stream {
		return publish.Stream{
			Name:  name,
			Forms: []publish.Form{r.form},
			Head:  func(int) []byte { return nil },
			Page: func(recs []*publish.Record) ([]byte, error) {
				var b bytes.Buffer
				w := tar.NewWriter(&b)
				for i, rec := range recs {
					if i+1 < len(recs) && recs[i+1].Meta.Name == rec.Meta.Name {
						continue // superseded
					}
					err := checkPlace(rec, dir)
					if err == nil {
						err = entry(w, rec, withFiles)
					}
					if err != nil {
						return nil, fmt.Errorf("%s: %w", rec.Path, err)
					}
				}
				err := w.Flush() // pads the last file; the end blocks are Close's
				return b.Bytes(), err
			},
			Tail: make([]byte, 1024),
		}
	}
	return []publish.Stream{stream("db", false), stream("files", true)}
}

// entry writes a package's directory with its desc, and files if asked for.
func entry(w *tar.Writer, rec *publish.Record, withFiles bool) error {
	dir := rec.Meta.Name + "-" + rec.Meta.Version
	if !legalPart.MatchString(dir) {
		return fmt.Errorf("%q can't name a directory of the database", dir)
	}
	text, err := desc(rec)
	if err != nil {
		return err
	}
	put := func(name string, typ byte, mode int64, text []byte) error {
		h := &tar.Header{
			Typeflag: typ, Name: name, Mode: mode, Size: int64(len(text)),
			Uname: "root", Gname: "root", ModTime: time.Unix(rec.Added, 0),
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err := w.Write(text)
		return err
	}
	if err := put(dir+"/", tar.TypeDir, 0o755, nil); err != nil {
		return err
	}
	if err := put(dir+"/desc", tar.TypeReg, 0o644, text); err != nil {
		return err
	}
	if withFiles {
		text, err := fileList(rec.Meta.Files)
		if err != nil {
			return err
		}
		return put(dir+"/files", tar.TypeReg, 0o644, text)
	}
	return nil
}

// blocks are the keys of a .PKGINFO and of desc, in repo-add's order. What stands
// for "" is not from the .PKGINFO.
var blocks = []struct{ key, block string }{
	{"", "FILENAME"},
	{"pkgname", "NAME"},
	{"pkgbase", "BASE"},
	{"pkgver", "VERSION"},
	{"pkgdesc", "DESC"},
	{"group", "GROUPS"},
	{"", "CSIZE"},
	{"size", "ISIZE"},
	{"", "SHA256SUM"},
	{"url", "URL"},
	{"license", "LICENSE"},
	{"arch", "ARCH"},
	{"builddate", "BUILDDATE"},
	{"packager", "PACKAGER"},
	{"replaces", "REPLACES"},
	{"conflict", "CONFLICTS"},
	{"provides", "PROVIDES"},
	{"depend", "DEPENDS"},
	{"optdepend", "OPTDEPENDS"},
	{"makedepend", "MAKEDEPENDS"},
	{"checkdepend", "CHECKDEPENDS"},
}

// single are the keys that pacman takes one value of.
var single = map[string]bool{
	"pkgname": true, "pkgbase": true, "pkgver": true, "pkgdesc": true, "size": true,
	"url": true, "arch": true, "builddate": true, "packager": true,
}

// desc renders what pacman knows of a package before it fetches it.
func desc(rec *publish.Record) ([]byte, error) {
	m := &rec.Meta
	values := make(map[string][]string, len(blocks))
	for _, f := range m.Fields {
		// A line break in a value would start a value, or a block, of its own.
		v := strings.Join(strings.Fields(f.Value), " ")
		if v == "" || single[f.Key] && len(values[f.Key]) > 0 {
			continue
		}
		values[f.Key] = append(values[f.Key], v)
	}
	for _, c := range [...][2]string{{"pkgname", m.Name}, {"pkgver", m.Version}, {"arch", m.Arch}} {
		if got := values[c[0]]; len(got) != 1 || got[0] != c[1] {
			return nil, fmt.Errorf("its .PKGINFO has %s %q, its record %q", c[0], got, c[1])
		}
	}
	for _, key := range []string{"size", "builddate"} {
		for _, v := range values[key] {
			if _, err := strconv.ParseUint(v, 10, 63); err != nil {
				return nil, fmt.Errorf("%s %q is not a number", key, v)
			}
		}
	}
	var b bytes.Buffer
	for _, bl := range blocks {
		list := values[bl.key]
		switch bl.block {
		case "FILENAME":
			list = []string{path.Base(rec.Path)}
		case "CSIZE":
			list = []string{strconv.FormatInt(rec.Ref.Size, 10)}
		case "SHA256SUM":
			list = []string{rec.Ref.SHA256.String()}
		}
		if len(list) == 0 {
			continue
		}
		b.WriteString("%" + bl.block + "%\n")
		for _, v := range list {
			b.WriteString(v)
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// fileList renders the paths of a package without the slash in front, as they
// stand in the package.
func fileList(files []string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("%FILES%\n")
	for _, f := range files {
		f = strings.TrimPrefix(f, "/")
		if f == "" {
			continue
		}
		if strings.ContainsAny(f, "\n\r\x00") {
			return nil, fmt.Errorf("path %q has a control character", f)
		}
		b.WriteString(f)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}
