package verify

import (
	"context"
	"net/url"
	"strings"
)

// elsewhere is a folder outside the tree: that of a release's files.
type elsewhere struct {
	outside Outsider
	base    string // with a slash at its end
}

var _ Fetcher = elsewhere{}

func (e elsewhere) Open(ctx context.Context, name string) (*File, error) {
	return e.outside.OpenURL(ctx, e.base+strings.ReplaceAll((&url.URL{Path: name}).EscapedPath(), "+", "%2B"))
}

// Stat implements Fetcher; the body is not read.
func (e elsewhere) Stat(ctx context.Context, name string) (*File, error) {
	f, err := e.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	err = f.Close()
	f.ReadCloser = nil
	return f, err
}

// checkElsewhere looks at a repository outside the tree and at its packages, by the
// same keys.
func (r *run) checkElsewhere(ctx context.Context, t *target) {
	out, ok := r.Fetch.(Outsider)
	if !ok {
		r.add(t, Note, t.Path, "outside", "it lies outside the tree and was not looked at")
		return
	}
	far := &run{Options: r.Options, log: &log{}, trust: r.trust}
	far.Fetch, far.Progress = elsewhere{out, t.Path}, nil
	if r.see != nil {
		far.see = func(_ *target, name, version string) { r.see(t, name, version) }
	}
	top := &target{ClientReport: ClientReport{Client: t.Client, Path: "."}}
	far.check(ctx, top)
	far.packages(ctx)
	at := t.Path
	t.ClientReport = top.ClientReport
	t.Path = at
	for _, f := range far.found {
		f.Path, f.about = at+f.Path, []*target{t}
		r.put(f)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files, r.bytes = r.files+far.files, r.bytes+far.bytes
}
