package pack

import (
	"archive/tar"
	"bytes"
	"fmt"

	"github.com/distropack/distropack/formats"
)

// Tar writes one entry of a tar archive: h as archive/tar renders it, then
// content, then padding. content is nil for entries without one; otherwise it
// sets h.Size.
func (p *Packer) Tar(h *tar.Header, content formats.Blob) error {
	head := *h
	head.Size = 0
	if content != nil {
		head.Size = content.Ref().Size
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&head); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if _, err := p.Write(b.Bytes()); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	if err := p.Blob(content); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	if rest := head.Size % 512; rest != 0 {
		_, err := p.Write(make([]byte, 512-rest))
		return err
	}
	return nil
}

// EndTar writes the two zero blocks that end an archive.
func (p *Packer) EndTar() error {
	_, err := p.Write(make([]byte, 1024))
	return err
}
