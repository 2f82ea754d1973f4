package publishtest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Toy is the smallest repository that has all a real one has: partitions per
// channel and CPU, packages for all CPUs, a stream in several forms, a root above
// two partitions. Its versions are compared as text.
type Toy struct {
	Label    string // part of the settings
	Channels []string
	Forms    []publish.Form
	Pages    int  // counts rendered pages; guard it yourself
	Remote   bool // lists packages that lie elsewhere
}

// ListsElsewhere implements publish.Elsewhere.
func (r *Toy) ListsElsewhere() bool { return r.Remote }

var _ publish.Elsewhere = (*Toy)(nil)

var toyArches = []string{"a64", "x86"}

func (r *Toy) Name() string     { return "toy" }
func (r *Toy) Settings() string { return r.Label + fmt.Sprint(r.Forms) }

func (r *Toy) Partitions() []string {
	var all []string
	for _, c := range r.Channels {
		for _, a := range toyArches {
			all = append(all, c+"/"+a)
		}
	}
	return all
}

func (r *Toy) Place(m *formats.Meta, channel string) ([]publish.Placement, error) {
	if m.Format != "toy" {
		return nil, nil
	}
	var places []publish.Placement
	for _, a := range toyArches {
		if m.Arch == a || m.Arch == "all" {
			places = append(places, publish.Placement{Partition: channel + "/" + a, Path: fmt.Sprintf("pool/%s_%s_%s.toy", m.Name, m.Version, m.Arch)})
		}
	}
	return places, nil
}

func (r *Toy) Less(a, b *publish.Record) bool {
	return cmp.Or(strings.Compare(a.Meta.Name, b.Meta.Name), strings.Compare(a.Meta.Version, b.Meta.Version), strings.Compare(a.Path, b.Path)) < 0
}

func (r *Toy) Root(partition string) string { return path.Dir(partition) }

func (r *Toy) Streams(partition string) []publish.Stream {
	return []publish.Stream{{
		Name:  "list",
		Forms: r.Forms,
		Head:  func(n int) []byte { return fmt.Appendf(nil, "%d records of %s\n", n, r.Label) },
		Page: func(recs []*publish.Record) ([]byte, error) {
			r.Pages++
			var b bytes.Buffer
			for _, rec := range recs {
				fmt.Fprintf(&b, "%s %s %s %s\n", rec.Meta.Name, rec.Meta.Version, rec.Ref.SHA256, rec.Path)
				for _, f := range rec.Meta.Files {
					fmt.Fprintf(&b, " %s\n", f)
				}
			}
			return b.Bytes(), nil
		},
		Tail: []byte("end\n"),
	}}
}

func (r *Toy) Finish(_ context.Context, in *publish.RootInput) (*publish.RootOutput, error) {
	out := &publish.RootOutput{Keep: 2}
	root := fmt.Sprintf("%s at %d\n", in.Root, in.At)
	for _, p := range in.Partitions {
		for _, x := range p.Indexes {
			name := path.Join("lists", p.Partition, x.Stream+string(x.Form))
			root += fmt.Sprintf("%s %s\n", x.Blob.Ref().SHA256, name)
			out.Files = append(out.Files,
				publish.RootFile{Path: name, Class: publish.Pointer, Blob: x.Blob, Partition: p.Partition, Stream: x.Stream, Form: x.Form},
				publish.RootFile{Path: "lists/by-hash/" + x.Blob.Ref().SHA256.String(), Class: publish.Index, Blob: x.Blob})
		}
	}
	out.Files = append(out.Files, publish.RootFile{Path: "lists/" + in.Root + "/root", Class: publish.Pointer, Blob: formats.Bytes([]byte(root))})
	return out, nil
}

func (r *Toy) Guide(context.Context, *publish.GuideInput) (*publish.Guide, error) {
	return &publish.Guide{Client: "toy"}, nil
}

// ToyPackage is a package for Toy.
func ToyPackage(name, version, arch string) publish.Package {
	b := formats.Bytes([]byte(name + " " + version + " " + arch))
	return publish.Package{Blob: b, Version: version, Meta: &formats.Meta{Format: "toy", Name: name, Version: version, Arch: arch,
		Fields: []formats.Field{{Key: "Size", Value: fmt.Sprint(b.Ref().Size)}}, Files: []string{"/usr/bin/" + name}}}
}
