package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/each"
	"github.com/distropack/distropack/publish"
)

// suffixes say what a file is by its name, longest first.
var suffixes = []struct{ suffix, format string }{
	{".pkg.tar.zst", "arch"}, {".pkg.tar.xz", "arch"}, {".pkg.tar.gz", "arch"},
	{".tar.zst", "tar.zst"}, {".tar.gz", "tar.gz"}, {".tar.xz", "tar.xz"},
	{".deb", "deb"}, {".rpm", "rpm"}, {".apk", "apk"}, {".ipk", "ipk"}, {".opk", "ipk"}, {".zip", "zip"},
}

// FormatOf names the format of a package file by its name; "" if it is none.
func FormatOf(name string) string {
	for _, s := range suffixes {
		if strings.HasSuffix(name, s.suffix) {
			return s.format
		}
	}
	return ""
}

// indexName matches what clients read first and no package is called.
var indexName = regexp.MustCompile(`^APKINDEX\.tar\.gz$|\.(db|files)\.tar\.[a-z]+$`)

// Intake reads package files that something else made, to publish them. A
// folder stands for the packages in it. sign makes the signature that a format
// wants beside a package and that is not there; nil leaves it out. All that can't
// be read is reported, and nothing is returned then.
func Intake(ctx context.Context, kinds []formats.Kind, names []string, sign formats.Signer) ([]publish.Package, error) {
	var files []string
	var errs []error
	for _, name := range names {
		st, err := os.Stat(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if !st.IsDir() {
			files = append(files, name)
			continue
		}
		n := len(files)
		err = filepath.WalkDir(name, func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && at != name && strings.HasPrefix(d.Name(), ".") {
				return fs.SkipDir
			}
			if d.Type().IsRegular() && FormatOf(at) != "" && !indexName.MatchString(d.Name()) {
				files = append(files, at)
			}
			return nil
		})
		if err == nil && len(files) == n {
			err = fmt.Errorf("%s: there is no package in this folder", name)
		}
		errs = append(errs, err)
	}
	packages, failed := each.Do(ctx, each.Limits{}, false, files, nil, func(ctx context.Context, name string) (publish.Package, error) {
		p, err := intake(ctx, kinds, name, sign)
		if err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		return p, nil
	})
	if err := errors.Join(append(errs, failed...)...); err != nil {
		return nil, err
	}
	return packages, nil
}

var (
	epochPart   = regexp.MustCompile(`^[0-9]+:`)
	releasePart = regexp.MustCompile(`-r?[0-9][0-9A-Za-z.+~]*$`)
	prerelease  = regexp.MustCompile(`-(alpha|beta|pre|rc)`)
	prePart     = regexp.MustCompile(`^([0-9.]*[0-9])_?(alpha|beta|pre|rc)\.?([0-9]*)$`)
)

// upstream finds the version that was released in a format's: 1.2.0-rc.1 in
// 1.2.0~rc.1-1, 1.2.0rc.1-1 and 1.2.0_rc1-r1, so that the packages of one release
// are promoted, rolled back and shown together.
func upstream(version string) string {
	v := epochPart.ReplaceAllString(version, "")
	if formats.IsSemVer(v) && prerelease.MatchString(v) && !releasePart.MatchString(v) {
		return v // of an archive: the release is not part of it
	}
	v = releasePart.ReplaceAllString(v, "")
	if m := prePart.FindStringSubmatch(v); m != nil {
		v = m[1] + "-" + m[2]
		if m[3] != "" {
			v += "." + m[3]
		}
	}
	return strings.Replace(v, "~", "-", 1)
}

// readPackage hashes a package file and asks it what it is. Most packages are small,
// and are read once for both.
func readPackage(ctx context.Context, f formats.Format, name string) (formats.Blob, *formats.Meta, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	st, err := r.Stat()
	if err != nil {
		return nil, nil, err
	}
	buffer := intakeBuffers.Get().(*[128 << 10]byte)
	defer intakeBuffers.Put(buffer)
	if st.Size() <= int64(len(buffer)) {
		content := buffer[:st.Size()]
		if _, err := io.ReadFull(r, content); err != nil {
			return nil, nil, fmt.Errorf("changed while it was read: %w", err)
		}
		ref := formats.Ref{SHA256: sha256.Sum256(content), Size: st.Size()}
		m, err := f.Describe(ctx, bytes.NewReader(content), ref.Size)
		return formats.KnownFile(name, ref), m, err
	}
	h := sha256.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{r}, buffer[:])
	if err != nil {
		return nil, nil, err
	}
	m, err := f.Describe(ctx, r, n)
	return formats.KnownFile(name, formats.Ref{SHA256: formats.Digest(h.Sum(nil)), Size: n}), m, err
}

var intakeBuffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

func intake(ctx context.Context, kinds []formats.Kind, name string, sign formats.Signer) (publish.Package, error) {
	var p publish.Package
	format := FormatOf(name)
	i := slices.IndexFunc(kinds, func(k formats.Kind) bool { return k.Name == format })
	if i < 0 {
		return p, fmt.Errorf("not a package: known are .deb .rpm .pkg.tar.zst .apk .ipk .opk .tar.gz .tar.zst .tar.xz .zip")
	}
	f, err := kinds[i].New(formats.NoSection, formats.Env{})
	if err != nil {
		return p, err
	}
	if p.Blob, p.Meta, err = readPackage(ctx, f, name); err != nil {
		return p, err
	}
	p.Version = upstream(p.Meta.Version)
	d, ok := f.(detacher)
	if !ok {
		return p, nil
	}
	suffix, _ := d.Detached()
	switch b, err := formats.FileBlob(name + suffix); {
	case err == nil:
		p.Beside = []publish.Beside{{Suffix: suffix, Blob: b}}
	case errors.Is(err, fs.ErrNotExist) && sign != nil:
		content, err := p.Blob.Open()
		if err != nil {
			return p, err
		}
		defer content.Close()
		sig, err := sign(ctx, content)
		if err != nil {
			return p, err
		}
		p.Beside = []publish.Beside{{Suffix: suffix, Blob: formats.Bytes(sig)}}
	case !errors.Is(err, fs.ErrNotExist):
		return p, err
	}
	return p, nil
}
