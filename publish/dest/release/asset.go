package release

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/distropack/distropack/formats"
)

// file is an asset as the host has it. go-github's own struct does not know its
// digest.
type file struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	State   string    `json:"state"`
	Size    int64     `json:"size"`
	Digest  string    `json:"digest"` // "sha256:…"; "" where the host has none
	Created time.Time `json:"created_at"`
}

// uploaded is the state of an asset that is all there.
const uploaded = "uploaded"

// sha256 is the file's digest; false where the host has none.
func (f *file) sha256() (formats.Digest, bool) {
	d, err := formats.ParseDigest(strings.TrimPrefix(f.Digest, "sha256:"))
	return d, err == nil && strings.HasPrefix(f.Digest, "sha256:")
}

// has reports whether the host knows the file to be what ref names.
func (f *file) has(ref formats.Ref) bool {
	d, known := f.sha256()
	return f.State == uploaded && known && d == ref.SHA256
}

// files lists a release's assets by name, and says what time it is there, or zero
// if the host doesn't.
func (p *Place) files(ctx context.Context, id int64) (map[string]*file, time.Time, error) {
	list, h, err := all[*file](ctx, p, request{what: "list the release's files", path: p.path("releases/%d/assets", id)})
	if err != nil {
		return nil, time.Time{}, err
	}
	m := make(map[string]*file)
	for _, f := range list {
		m[f.Name] = f
	}
	now, _ := date(h)
	return m, now, nil
}

// patience is how long a file may stay half uploaded before it counts as left
// behind.
func patience(size int64) time.Duration {
	return min(10*time.Minute, time.Minute+time.Duration(size>>20)*time.Second)
}

// busy reports whether somebody may be uploading f.
func (it *item) busy(f *file, now time.Time, o AttachOptions) bool {
	return f.State != uploaded && !it.broke && !o.Alone && now.Sub(f.Created) < patience(it.Blob.Ref().Size)
}

// verdict is what is to be done about one asset.
type verdict int

const (
	keep    verdict = iota // it is there
	upload                 // it is not
	redo                   // what is there is half of it
	replace                // what is there is something else
	await                  // somebody may be uploading it
)

// compare says what is to be done about an asset; h is what the host has under its
// name, nil for nothing. An error says that the bytes are others than ours.
func (p *Place) compare(ctx context.Context, a *item, h *file, now time.Time, o AttachOptions) (verdict, error) {
	ref := a.Blob.Ref()
	if h == nil {
		return upload, nil
	}
	if h.State != uploaded {
		if a.busy(h, now, o) {
			return await, nil
		}
		return redo, nil
	}
	theirs, known := h.sha256()
	switch {
	case known && theirs == ref.SHA256, !known && h.Size == ref.Size && (h.ID == a.sent || h.ID == a.read):
		return keep, nil
	case !known:
		d, err := p.hash(ctx, h)
		if err != nil {
			return 0, err
		}
		if d == ref.SHA256 {
			a.read = h.ID
			return keep, nil
		}
		theirs = d
	}
	// What a proxy cut short begins like ours. Nobody meant it to be like that.
	if h.Size < ref.Size {
		d, err := hashStart(a.Blob, h.Size)
		if err != nil {
			return 0, err
		}
		if d == theirs {
			return redo, nil
		}
	}
	if h.ID == a.sent {
		return redo, nil // garbled on its way
	}
	if o.Replace {
		return replace, nil
	}
	return 0, fmt.Errorf("%s is there with other bytes: sha256 %s, %d bytes, and this run has sha256 %s, %d bytes", a.host, theirs, h.Size, ref.SHA256, ref.Size)
}

// hashStart hashes the first n bytes of b.
func hashStart(b formats.Blob, n int64) (formats.Digest, error) {
	r, err := b.Open()
	if err != nil {
		return formats.Digest{}, err
	}
	defer r.Close()
	h := sha256.New()
	_, err = io.CopyN(h, r, n)
	return formats.Digest(h.Sum(nil)), err
}

// hash downloads an asset and hashes it, for hosts without digests.
func (p *Place) hash(ctx context.Context, f *file) (formats.Digest, error) {
	r, err := p.fetch(ctx, f)
	if err != nil {
		return formats.Digest{}, err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err == nil && n != f.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return formats.Digest{}, fmt.Errorf("download %s: %w", f.Name, err)
	}
	return formats.Digest(h.Sum(nil)), nil
}

// fetch opens the bytes of an asset. They may be on another host, which gets no
// token: its URL is signed.
func (p *Place) fetch(ctx context.Context, f *file) (io.ReadCloser, error) {
	what := "download " + f.Name
	var last error
	for n := range tries {
		if n > 0 {
			if err := p.o.Wait(ctx, time.Second<<(n-1)); err != nil {
				return nil, err
			}
		}
		res, err := p.send(ctx, request{what: what, method: http.MethodGet, path: p.path("releases/assets/%d", f.ID), accept: octets})
		if err == nil && res.StatusCode == http.StatusFound {
			res, err = p.follow(ctx, what, res.Header.Get("Location"))
		}
		if err == nil {
			return res.Body, nil
		}
		last = err
		if !broken(err) {
			break
		}
	}
	return nil, last
}

// follow gets what a redirect leads to.
func (p *Place) follow(ctx context.Context, what, location string) (*http.Response, error) {
	u, err := p.api.Parse(location)
	if err != nil || location == "" || u.Scheme != "https" && u.Scheme != p.api.Scheme {
		return nil, fmt.Errorf("%s: %s leads to no https URL", what, p.api.Host)
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Header: make(http.Header)}
	res, err := p.download.Do(req.WithContext(ctx))
	if err != nil {
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err // the URL is as good as the file
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &failure{host: u.Host, what: what, text: p.secrets.hide(err.Error())}
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, &failure{host: u.Host, repo: "the store for files", what: what, status: res.StatusCode}
	}
	return res, nil
}

// delete deletes an asset; that it is gone already is no error.
func (p *Place) delete(ctx context.Context, f *file) error {
	return p.remove(ctx, "delete "+f.Name, p.path("releases/assets/%d", f.ID))
}

// rename gives an asset another name.
func (p *Place) rename(ctx context.Context, id int64, name string) error {
	body := &github.ReleaseAsset{Name: &name}
	_, err := p.call(ctx, request{what: "give " + name + " its name", method: http.MethodPatch, path: p.path("releases/assets/%d", id), body: body, again: true}, new(file))
	return err
}

// upload sends an asset under a name and remembers what became of it.
func (p *Place) upload(ctx context.Context, id int64, a *item, name string) error {
	q := url.Values{"name": {name}}
	switch {
	case a.Label != "":
		q.Set("label", a.Label)
	case a.host != a.Name:
		q.Set("label", a.Name)
	}
	kind := a.Type
	if kind == "" {
		kind = octets
	}
	got := new(file)
	_, err := p.call(ctx, request{what: "upload " + name, method: http.MethodPost, path: p.path("releases/%d/assets?%s", id, q.Encode()), upload: a.Blob, kind: kind}, got)
	// Only after an answer that broke off a half-uploaded file is ours.
	a.broke = broken(err)
	if err == nil {
		a.sent = got.ID
		if got.Name != name {
			return fmt.Errorf("upload %s: the host calls it %q: choose another name", name, got.Name)
		}
	}
	return err
}
