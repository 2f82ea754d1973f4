package source

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

const maxAssetFiles = 100000

// assets takes files whose names match pattern from the folder of the release's
// assets; archives are unpacked, without a top folder that all their files share.
func (s *Slots) assets(pattern, title string) (*Tree, error) {
	if s.Assets == "" {
		return nil, errors.New("no assets were given")
	}
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	entries, err := os.ReadDir(s.Assets)
	if err != nil {
		return nil, err
	}
	out, err := os.MkdirTemp(s.Work, "assets-")
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return nil, err
	}
	found := false
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		if ok, _ := path.Match(pattern, e.Name()); !ok || !e.Type().IsRegular() {
			continue
		}
		found = true
		if err := unpack(root, filepath.Join(s.Assets, e.Name()), s.Project.Limit); err != nil {
			return nil, fmt.Errorf("asset %s: %w", e.Name(), escape(err))
		}
	}
	if !found {
		return nil, fmt.Errorf("no asset matches %q; there are: %s: %w", pattern, strings.Join(names, " "), fs.ErrNotExist)
	}
	return &Tree{FS: Folder(root), Name: title, Limit: s.Project.Limit}, nil
}

// unpack puts the files of an archive, or the file itself, into root. os.Root
// refuses what leads outside.
func unpack(root *os.Root, name string, limit int64) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	base := filepath.Base(name)
	write := func(name string, mode fs.FileMode, r io.Reader) error {
		if d := path.Dir(name); d != "." {
			if err := root.MkdirAll(d, 0o755); err != nil {
				return err
			}
		}
		perm := fs.FileMode(0o644)
		if mode&0o111 != 0 {
			perm = 0o755
		}
		w, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, perm)
		if err != nil {
			return err
		}
		if limit > 0 {
			r = io.LimitReader(r, limit+1)
		}
		n, err := io.Copy(w, r)
		if err == nil && limit > 0 && n > limit {
			err = fmt.Errorf("%s is larger than %s: raise limits.file, or leave it out", name, Sized(limit))
		}
		return errors.Join(err, w.Close())
	}
	switch {
	case strings.HasSuffix(base, ".zip"):
		st, err := f.Stat()
		if err != nil {
			return err
		}
		z, err := zip.NewReader(f, st.Size())
		if err != nil {
			return err
		}
		var all []string
		for _, e := range z.File {
			all = append(all, e.Name)
		}
		if len(all) > maxAssetFiles {
			return fmt.Errorf("more than %d files", maxAssetFiles)
		}
		top := sharedTop(all)
		for _, e := range z.File {
			if !e.Mode().IsRegular() {
				continue
			}
			r, err := e.Open()
			if err != nil {
				return err
			}
			err = write(strings.TrimPrefix(e.Name, top), e.Mode(), r)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
		return nil
	case strings.HasSuffix(base, ".tar.gz"), strings.HasSuffix(base, ".tgz"), strings.HasSuffix(base, ".tar.zst"), strings.HasSuffix(base, ".tar.xz"), strings.HasSuffix(base, ".tar"):
		var all []string
		if err := eachTar(f, base, func(h *tar.Header, _ io.Reader) error {
			all = append(all, path.Clean(h.Name)+strings.Repeat("/", btoi(h.Typeflag == tar.TypeDir)))
			if len(all) > maxAssetFiles {
				return fmt.Errorf("more than %d files", maxAssetFiles)
			}
			return nil
		}); err != nil {
			return err
		}
		top := sharedTop(all)
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return eachTar(f, base, func(h *tar.Header, r io.Reader) error {
			if h.Typeflag != tar.TypeReg {
				return nil
			}
			return write(strings.TrimPrefix(path.Clean(h.Name), top), fs.FileMode(h.Mode), r)
		})
	}
	return write(base, 0o755, f)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func eachTar(f io.Reader, name string, do func(*tar.Header, io.Reader) error) error {
	r := f
	switch path.Ext(name) {
	case ".gz", ".tgz":
		z, err := gzip.NewReader(f)
		if err != nil {
			return err
		}
		r = z
	case ".zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	case ".xz":
		z, err := xz.NewReader(f)
		if err != nil {
			return err
		}
		r = z
	}
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeXGlobalHeader { // git archive begins with one
			continue
		}
		if err := do(h, t); err != nil {
			return err
		}
	}
}

// sharedTop returns "name/" if all entries lie in that folder, or "".
func sharedTop(names []string) string {
	if len(names) == 0 {
		return ""
	}
	top, _, found := strings.Cut(names[0], "/")
	if !found || slices.ContainsFunc(names, func(n string) bool { return !strings.HasPrefix(n, top+"/") }) {
		return ""
	}
	return top + "/"
}
