package dnf

import (
	"bytes"
	"context"
	"fmt"
	"strconv"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// generations is how many publishes an index outlives: a client that read
// repomd.xml a moment ago fetches what that one named.
const generations = 3

// Finish names the indexes by digest and signs repomd.xml.
func (r *Repo) Finish(ctx context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	if len(in.Partitions) != 1 {
		return nil, fmt.Errorf("a repository has one partition, not %d", len(in.Partitions))
	}
	part := &in.Partitions[0]
	out := &publish.RootOutput{Keep: generations}
	t := text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n")
	at := strconv.FormatInt(in.At, 10)
	t.element("revision", at)
	for _, s := range r.Streams(in.Root) {
		index := part.Find(s.Name, r.form)
		if index == nil {
			return nil, fmt.Errorf("partition %s has no index %s.xml.%s", part.Partition, s.Name, r.form)
		}
		ref := index.Blob.Ref()
		href := "repodata/" + ref.SHA256.String() + "-" + s.Name + ".xml." + string(r.form)
		t.raw(`<data type="` + s.Name + "\">\n")
		t.raw(`<checksum type="sha256">` + ref.SHA256.String() + "</checksum>\n")
		t.raw(`<open-checksum type="sha256">` + index.Plain.SHA256.String() + "</open-checksum>\n")
		t.raw(`<location href="` + href + "\"/>\n")
		t.element("timestamp", at)
		t.element("size", strconv.FormatInt(ref.Size, 10))
		t.element("open-size", strconv.FormatInt(index.Plain.Size, 10))
		t.raw("</data>\n")
		out.Files = append(out.Files, publish.RootFile{
			Path: r.dir(in.Root) + href, Class: publish.Index, Blob: index.Blob,
			Partition: part.Partition, Stream: s.Name, Form: r.form,
		})
	}
	t.raw("</repomd>\n")

	pointer := func(suffix string, b []byte) {
		out.Files = append(out.Files, publish.RootFile{
			Path: r.dir(in.Root) + "repodata/repomd.xml" + suffix, Class: publish.Pointer, Blob: formats.Bytes(b),
		})
	}
	pointer("", t)
	if r.key == nil {
		return out, nil
	}
	sign, err := r.env.Keys.Signer(r.env.Key, formats.OpenPGPArmor)
	if err != nil {
		return nil, err
	}
	sig, err := sign(ctx, bytes.NewReader(t))
	if err != nil {
		return nil, fmt.Errorf("sign repomd.xml: %w", err)
	}
	pointer(".asc", sig)
	pointer(".key", r.key.Data)
	return out, nil
}
