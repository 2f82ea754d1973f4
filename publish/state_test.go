package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func sampleState() *state {
	ref := formats.Bytes([]byte("x")).Ref()
	return &state{
		Format: 1, Serial: 7, Time: 1780000000, Bytes: 12, SiteSettings: ref.SHA256,
		Repositories: []*repoState{{
			Name: "apt", Settings: ref.SHA256,
			Partitions: []*partitionState{{
				Name: "stable/main/amd64", Pages: []*pageState{{First: "a", Records: 2, Ref: ref}, {First: "m", Records: 1, Ref: ref}},
				Streams: []*streamState{{Name: "Packages", Plain: formats.Ref{SHA256: ref.SHA256, Size: 11}, Sizes: []int64{0, 5, 6, 0}, CRCs: []uint32{0, 1, 2, 0},
					Forms: []*streamForms{{Form: Gzip, Ref: ref, Packed: []int64{0, 4, 4, 0}}, {Form: Xz, Ref: ref}}}},
			}},
			Roots: []*rootState{{Name: "stable", Keep: 3, Files: []*fileState{{Path: "dists/stable/InRelease", Class: Pointer, Ref: ref}, {Path: "p.gz", Class: Pointer, Ref: ref, Partition: "stable/main/amd64", Stream: "Packages", Form: Gzip, Offset: 3}}}},
		}},
		Site:    []*fileState{{Path: "index.html", Class: Pointer, Ref: ref}},
		Retired: []*retiredFile{{Path: "old", Serial: 3, Time: 5, Keep: 3}},
	}
}

func TestStateComesBackAsItWas(t *testing.T) {
	s := sampleState()
	b, err := s.render(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseState(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, s) {
		t.Errorf("came back as %+v", got)
	}
}

func TestDamagedStatesAreRefusedInWords(t *testing.T) {
	render := func(change func(s *state)) string {
		s := sampleState()
		change(s)
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b) + "\n"
	}
	for want, text := range map[string]string{
		"truncated or damaged": render(func(*state) {})[:50],
		"format 2; this program reads format 1: use a newer one": render(func(s *state) { s.Format = 2 }),
		"damaged: a list has null in it":                         render(func(s *state) { s.Repositories[0].Roots[0].Files[1] = nil }),
		"stable/main/amd64 has 2 pages and an index of 0 pieces": render(func(s *state) { s.Repositories[0].Partitions[0].Streams[0].Sizes = nil }),
		"a piece of -5 bytes":                                    render(func(s *state) { s.Repositories[0].Partitions[0].Streams[0].Sizes[1] = -5 }),
		"11 bytes in pieces":                                     render(func(s *state) { s.Repositories[0].Partitions[0].Streams[0].Sizes[1] = 7 }),
		"unsorted pages":                                         render(func(s *state) { s.Repositories[0].Partitions[0].Pages[0].First = "z" }),
		`path "../x"`:                                            render(func(s *state) { s.Repositories[0].Roots[0].Files[0].Path = "../x" }),
		"4 and 1 pieces":                                         render(func(s *state) { s.Repositories[0].Partitions[0].Streams[0].Forms[0].Packed = []int64{1} }),
	} {
		if _, err := parseState([]byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestPagesBeginWhereNamesSay(t *testing.T) {
	n, starts := 20000, 0
	for i := range n {
		if startsPage(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + json.Number(strings.Repeat("1", i%5)).String() + string(rune('0'+i/26%10)) + string(rune('a'+i/260%26)) + string(rune('a'+i/6760))) {
			starts++
		}
	}
	if mean := n / max(1, starts); mean < pageNames/2 || mean > pageNames*2 {
		t.Errorf("%d pages of %d names: %d names a page, want about %d", starts, n, mean, pageNames)
	}
}

// parse∘render is the identity on what parse accepts, and parse never panics.
func FuzzState(f *testing.F) {
	b, err := sampleState().render(context.Background(), func(context.Context, io.Reader) ([]byte, error) { return []byte("sig\n"), nil })
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"format":1,"repositories":[null]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseState(b, nil)
		if err != nil {
			return
		}
		text, err := s.render(context.Background(), nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseState(text, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		second, err := again.render(context.Background(), nil)
		if err != nil || !bytes.Equal(text, second) {
			t.Errorf("rendered differently: %v\n%s\n%s", err, text, second)
		}
	})
}

func FuzzPage(f *testing.F) {
	rec := &Record{Path: "pool/a", Ref: formats.Bytes(nil).Ref(), Version: "1", Added: 5, Beside: []BesideRef{{Suffix: ".sig"}},
		Meta: formats.Meta{Format: "deb", Name: "a", Version: "1-1", Arch: "all", Fields: []formats.Field{{Key: "Description", Value: "x\n<&>\u2028"}}, Files: []string{"/a"}}}
	b, err := renderPage([]*Record{rec, rec})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("null\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		recs, err := parsePage(b)
		if err != nil {
			return
		}
		text, err := renderPage(recs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parsePage(text)
		if err != nil || !reflect.DeepEqual(recs, again) {
			t.Errorf("%v\n%s", err, text)
		}
	})
}
