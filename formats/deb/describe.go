package deb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/debian"
)

// Describe reads the control paragraph and the list of files. The list stands in
// the headers of data.tar, so all of it is unpacked, but nothing is kept.
func (d *Deb) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	members, err := debian.ReadAr(r, size)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 || members[0].Name != "debian-binary" {
		return nil, errors.New("the file is an ar archive, but no deb: it does not start with debian-binary")
	}
	version, err := io.ReadAll(io.LimitReader(members[0], 64))
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(version), "2.") {
		return nil, fmt.Errorf("the deb has the unknown format version %q", version)
	}
	m := &formats.Meta{Format: "deb"}
	seen := 0
	for _, part := range members[1:] {
		switch {
		case strings.HasPrefix(part.Name, "control.tar") && seen == 0:
			if m.Fields, err = debian.ReadControl(ctx, part); err != nil {
				return nil, fmt.Errorf("%s: %w", part.Name, err)
			}
			seen++
		case strings.HasPrefix(part.Name, "data.tar") && seen == 1:
			if m.Files, err = debian.ReadFiles(ctx, part); err != nil {
				return nil, fmt.Errorf("%s: %w", part.Name, err)
			}
			seen++
		case strings.HasPrefix(part.Name, "_"), seen == 2: // deb(5) lets others add members
		default:
			return nil, fmt.Errorf("the deb has the member %q out of place", part.Name)
		}
	}
	if seen != 2 {
		return nil, errors.New("the deb has no control.tar or no data.tar")
	}
	return m, debian.Fill(m)
}
