package bucket

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/buckettest"
)

// counted counts how often it is read.
type counted struct {
	made
	n *int
}

func (c counted) Open() (io.ReadCloser, error) {
	*c.n++
	return c.made.Open()
}

// A package that is promoted to another folder is copied by the store, where it
// is what it is said to be and the store can; else it is sent.
func TestPromotedPackagesAreCopiedByTheStore(t *testing.T) {
	big, small, wrong := make1(2<<20, 1), make1(1000, 2), make1(2<<20, 3)
	for name, c := range map[string]struct {
		from  string
		blob  made
		fault buckettest.Fault // of what only a copy asks for
		sent  bool
	}{
		"copied":              {from: "beta/a 1+b.rpm", blob: big},
		"too small to pay":    {from: "beta/small.rpm", blob: small, sent: true},
		"other bytes":         {from: "beta/a 1+b.rpm", blob: wrong, sent: true},
		"not there":           {from: "beta/none.rpm", blob: big, sent: true},
		"nothing to copy":     {blob: big, sent: true},
		"store can't":         {from: "beta/a 1+b.rpm", blob: big, fault: buckettest.Fault{Status: 501, Code: "NotImplemented", Message: "no"}, sent: true},
		"refused at once":     {from: "beta/a 1+b.rpm", blob: big, fault: buckettest.Fault{Status: 403, Code: "AccessDenied", Message: "no"}, sent: true},
		"source just changed": {from: "beta/a 1+b.rpm", blob: big, fault: buckettest.Fault{Status: 412, Code: "PreconditionFailed", Message: "no"}, sent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := buckettest.Serve(t)
			o := options(s, "p")
			o.Say = func(said string) { t.Error(said) }
			b := open(t, o)
			first := withFile(put(publish.StatePath, "1"), "beta/a 1+b.rpm", big)
			commit(t, b, withFile(first, "beta/small.rpm", small))
			s.On(func(_ int, r *http.Request) buckettest.Fault {
				if r.Header.Get("X-Amz-Copy-Source") != "" {
					return c.fault
				}
				return buckettest.Fault{}
			})
			reads := 0
			ch := put(publish.StatePath, "2")
			ch.Put = append(ch.Put, publish.File{Path: "stable/a.rpm", From: c.from, Blob: counted{c.blob, &reads}})
			commit(t, b, ch)
			h, got := s.Get(t, "p/stable/a.rpm")
			if formats.Bytes(got).Ref() != c.blob.ref || h.Get("Content-Type") != "application/x-rpm" || h.Get("Cache-Control") != forever || h.Get("X-Amz-Meta-Sha256") != c.blob.ref.SHA256.String() {
				t.Errorf("%d bytes came, with %v", len(got), h)
			}
			if sent := reads > 0; sent != c.sent {
				t.Errorf("sent: %v, want %v:\n%s", sent, c.sent, strings.Join(s.Requests(), "\n"))
			}
			if left := uploads(t, s); len(left) > 0 {
				t.Errorf("unfinished uploads are left: %q", left)
			}
		})
	}
}

// Where another publish was faster, its file is not written over by a copy.
func TestCopiesWriteNothingOver(t *testing.T) {
	s := buckettest.Serve(t)
	b := open(t, options(s, "p"))
	big, theirs := make1(2<<20, 1), make1(2<<20, 2)
	commit(t, b, withFile(put(publish.StatePath, "1"), "beta/a.rpm", big))
	s.On(func(_ int, r *http.Request) buckettest.Fault {
		if r.Header.Get("X-Amz-Copy-Source") != "" { // between the look and the end
			if _, err := b.put(ctx, object{"stable/a.rpm", publish.Content, theirs}, condition{}); err != nil {
				t.Error(err)
			}
		}
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, publish.StatePath) {
			if got := formats.Bytes(s.Read(t, "p/stable/a.rpm")).Ref(); got != theirs.ref {
				t.Errorf("before the commit the file is %v", got)
			}
		}
		return buckettest.Fault{}
	})
	ch := put(publish.StatePath, "2")
	ch.Put = append(ch.Put, publish.File{Path: "stable/a.rpm", From: "beta/a.rpm", Blob: big})
	commit(t, b, ch)
	if got := formats.Bytes(s.Read(t, "p/stable/a.rpm")).Ref(); got != big.ref {
		t.Errorf("after the commit the file is %v", got)
	}
	if !slices.ContainsFunc(s.Requests(), func(r string) bool { return strings.Contains(r, "partNumber") }) {
		t.Error("nothing was copied")
	}
}
