package rpm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
)

// maxPaths bounds the paths of one package: a header of 64 MiB could otherwise
// repeat one long directory a million times.
const maxPaths = 64 << 20

// Describe reads lead and headers, not the payload. Where the signature header
// has a SHA-256 of the main header, it must be right.
func (f *Format) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return describe(r, size)
}

func describe(r io.ReaderAt, size int64) (*formats.Meta, error) {
	var start [leadSize]byte
	if n, err := r.ReadAt(start[:], 0); n < leadSize {
		if err != nil && err != io.EOF {
			return nil, err
		}
		return nil, fmt.Errorf("the file is %d bytes long, shorter than the lead of an rpm package", n)
	}
	if string(start[:4]) != leadMagic {
		return nil, fmt.Errorf("the file starts with % x, which is no rpm package", start[:4])
	}
	if start[4] < 3 || start[4] > 4 {
		return nil, fmt.Errorf("rpm package of format %d; formats 3 and 4 are read", start[4])
	}
	sig, sigRaw, err := readIndex(r, leadSize, size)
	if err != nil {
		return nil, fmt.Errorf("signature header: %w", err)
	}
	headerStart := int64(alignUp(leadSize+len(sigRaw), 8))
	h, raw, err := readIndex(r, headerStart, size)
	if err != nil {
		return nil, fmt.Errorf("main header: %w", err)
	}
	if err := checkDigest(sig, raw); err != nil {
		return nil, err
	}
	return newMeta(sig, h, headerStart, headerStart+int64(len(raw)))
}

func checkDigest(sig *index, raw []byte) error {
	want, err := sig.string(tagSigSHA256)
	if err != nil || want == "" {
		return err
	}
	sum := sha256.Sum256(raw)
	if got := hex.EncodeToString(sum[:]); !strings.EqualFold(got, want) {
		return fmt.Errorf("main header is damaged: its SHA-256 is %s, the package says %q", got, want)
	}
	return nil
}

// newMeta says what the headers say. start and end are the main header's place.
func newMeta(sig, h *index, start, end int64) (*formats.Meta, error) {
	m := &formats.Meta{Format: "rpm"}
	var err error
	text := func(t tag) (s string) {
		if err == nil {
			s, err = h.string(t)
		}
		return s
	}
	m.Name = text(tagName)
	v := evr{version: text(tagVersion), release: text(tagRelease), released: true}
	m.Arch = text(tagArch)
	if err != nil {
		return nil, err
	}
	for _, t := range []struct{ what, text string }{{"name", m.Name}, {"version", v.version}, {"release", v.release}, {"architecture", m.Arch}} {
		if t.text == "" || hasControl(t.text) || strings.Contains(t.text, "/") {
			return nil, fmt.Errorf("the package's %s %q is empty or has a slash or a control character", t.what, t.text)
		}
	}
	// rpm itself tells source packages by the lack of this tag.
	if !h.has(tagSourceRPM) {
		m.Arch = "src"
	}
	epoch, err := h.int(tagEpoch)
	if err != nil {
		return nil, err
	}
	if epoch != 0 {
		v.epoch = fmt.Sprint(epoch)
	}
	m.Version = v.String()
	if m.Fields, err = readFields(sig, h, v, start, end); err != nil {
		return nil, err
	}
	return m, readPaths(h, m)
}

// readPaths fills m.Files and m.Ghosts.
func readPaths(h *index, m *formats.Meta) error {
	paths, err := joinPaths(h)
	if err != nil || len(paths) == 0 {
		return err
	}
	modes, err := h.ints(tagFileModes)
	if err != nil {
		return err
	}
	flags, err := h.ints(tagFileFlags)
	if err != nil {
		return err
	}
	if len(modes) != len(paths) || len(flags) != len(paths) {
		return fmt.Errorf("header has %d paths, but %d modes and %d flags", len(paths), len(modes), len(flags))
	}
	for i, p := range paths {
		if modes[i]&modeType == modeDir && p != "/" {
			p += "/"
		}
		m.Files = append(m.Files, p)
		if flags[i]&fileGhost != 0 {
			m.Ghosts = append(m.Ghosts, p)
		}
	}
	slices.Sort(m.Files)
	slices.Sort(m.Ghosts)
	return nil
}

func joinPaths(h *index) ([]string, error) {
	names, err := h.strings(tagBaseNames)
	if err != nil {
		return nil, err
	}
	if names == nil {
		return h.strings(tagOldFilenames) // before rpm 4
	}
	dirs, err := h.strings(tagDirNames)
	if err != nil {
		return nil, err
	}
	at, err := h.ints(tagDirIndexes)
	if err != nil {
		return nil, err
	}
	if len(at) != len(names) {
		return nil, fmt.Errorf("header has %d file names, but %d directory numbers", len(names), len(at))
	}
	total := 0
	for i, name := range names {
		if at[i] >= uint64(len(dirs)) {
			return nil, fmt.Errorf("file %q is in the directory with number %d, but there are only %d", name, at[i], len(dirs))
		}
		dir := dirs[at[i]]
		if total += len(dir) + len(name) + 1; total > maxPaths {
			return nil, fmt.Errorf("paths take more than %d bytes", maxPaths)
		}
		names[i] = dir + name
	}
	return names, nil
}
