package source

import (
	"bytes"
	"path"
	"regexp"
	"slices"

	"github.com/klauspost/compress/gzip"

	"github.com/distropack/distropack/formats"
)

// compressed are the formats whose distributions ship manual pages in gzip
// (Debian policy 12.1; rpmbuild and makepkg do it by themselves).
var compressed = []string{"deb", "rpm", "arch"}

var manualPage = regexp.MustCompile(`^/usr/(?:local/)?share/man/(?:[^/]+/)?man[0-9a-z]+/[^/]+\.[0-9][0-9a-z]*$`)

// manuals compresses the manual pages among files, and lets links to them follow.
func manuals(format string, files []formats.File) ([]formats.File, error) {
	if !slices.Contains(compressed, format) {
		return files, nil
	}
	out := slices.Clone(files)
	for i := range out {
		f := &out[i]
		if !manualPage.MatchString(f.Path) {
			continue
		}
		switch {
		case f.Type == formats.Symlink:
			to := f.Target
			if !path.IsAbs(to) {
				to = path.Join(path.Dir(f.Path), to)
			}
			if manualPage.MatchString(to) {
				f.Path, f.Target = f.Path+".gz", f.Target+".gz"
			}
		case f.IsRegular():
			text, err := formats.ReadAll(f.Content)
			if err != nil {
				return nil, err
			}
			var b bytes.Buffer
			z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
			if err != nil {
				return nil, err
			}
			if _, err := z.Write(text); err != nil {
				return nil, err
			}
			if err := z.Close(); err != nil {
				return nil, err
			}
			// klauspost writes the time of a zero ModTime as it is; no time at all
			// is four zero bytes, RFC 1952 2.3.1.
			packed := b.Bytes()
			copy(packed[4:8], []byte{0, 0, 0, 0})
			f.Path, f.Content = f.Path+".gz", formats.Bytes(packed)
		}
	}
	return out, nil
}
