// Package release attaches a release's files to the GitHub release of its tag.
//
// The release stays a draft until every file is there and was seen in the host's
// own list with the right size and digest; then it is published, in one request.
// So nobody ever finds a release with half its files, and it works where published
// releases are immutable. Whatever broke off is taken up by the next run: files
// that are there are kept, half-uploaded ones are uploaded again, a second draft
// that lost a race is deleted. A file whose bytes are others than ours is never
// replaced unasked, and a published immutable release is left as it is.
//
// The host: https://docs.github.com/rest/releases, also GitHub Enterprise. Its
// lists are taken to show what was created before they were asked for.
package release

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
)

// Options say where releases are and who asks.
type Options struct {
	API     string // "" is github.com; else the server's URL, as "https://github.example.org"
	Uploads string // "" follows from API
	Owner   string
	Repo    string

	// Token returns the token for the next request: it may be another each time.
	// nil sends none, which is enough to read public releases.
	Token func(context.Context) (string, error)
	HTTP  *http.Client // nil: http.DefaultClient. It must not add a token of its own

	// Wait returns when the time has passed or the context ends; nil waits. Like
	// Token and Say it may be called concurrently.
	Wait    func(context.Context, time.Duration) error
	MaxWait time.Duration // the longest that one request may wait for the host's limits; 0: 5 minutes
	Jobs    int           // uploads at once; 0: 4
	Say     func(string)  // told what people should know; nil drops it
}

// Place holds the releases of one repository. Its methods may be called
// concurrently.
type Place struct {
	o        Options
	api      *url.URL
	uploads  *url.URL
	web      string // where people see the host, without a trailing slash
	http     *http.Client
	download *http.Client
	secrets  *secrets
}

// Open checks the options. Nothing is sent.
func Open(o Options) (*Place, error) {
	for what, v := range map[string]string{"owner": o.Owner, "repository": o.Repo} {
		if v == "" || v == "." || v == ".." || strings.ContainsFunc(v, func(r rune) bool { return !letter(r) && r != '.' }) {
			return nil, fmt.Errorf("%s %q is not a name that GitHub has", what, v)
		}
	}
	p := &Place{o: o, secrets: new(secrets)}
	if err := p.locate(); err != nil {
		return nil, err
	}
	if p.o.Wait == nil {
		p.o.Wait = wait
	}
	if p.o.MaxWait == 0 {
		p.o.MaxWait = 5 * time.Minute
	}
	if p.o.Jobs <= 0 {
		p.o.Jobs = 4
	}
	if p.o.Say == nil {
		p.o.Say = func(string) {}
	}
	client := o.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	api, download := *client, *client
	api.CheckRedirect = stay
	api.Transport = bounded{client.Transport}
	download.CheckRedirect = secure
	p.http, p.download = &api, &download
	return p, nil
}

// locate finds the three URLs of a host.
func (p *Place) locate() error {
	api := p.o.API
	if api == "" {
		api = "https://api.github.com"
	}
	var err error
	if p.api, err = base(api, "api/v3/"); err != nil {
		return err
	}
	uploads := *p.api
	tenant, isAPI := strings.CutPrefix(p.api.Host, "api.")
	if isAPI {
		// github.com and ghe.com have a name for each purpose, others a path.
		uploads.Host = "uploads." + tenant
		p.web = p.api.Scheme + "://" + tenant
	} else {
		root, _ := strings.CutSuffix(p.api.Path, "api/v3/")
		uploads.Path = root + "api/uploads/"
		p.web = p.api.Scheme + "://" + p.api.Host + strings.TrimSuffix(root, "/")
	}
	p.uploads = &uploads
	if p.o.Uploads != "" {
		p.uploads, err = base(p.o.Uploads, "api/uploads/")
	}
	return err
}

// base parses the URL of an API; path is where servers have it that have no host
// of its own for it.
func base(raw, path string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the API's URL is not of the form https://host/path")
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
		return nil, fmt.Errorf("%s://%s would carry the token in the clear: use https", u.Scheme, u.Host)
	}
	if !strings.HasSuffix(u.Path, "/") {
		u.Path += "/"
	}
	if !strings.HasSuffix(u.Path, path) && !strings.HasPrefix(u.Host, "api.") && !strings.HasPrefix(u.Host, "uploads.") {
		u.Path += path
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// wait is Options.Wait where none is given.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release says what the release of a tag is to be.
type Release struct {
	Tag string
	// Commit is the commit the files were built from, in full. The tag must point
	// to it; where there is no such tag yet, the host makes one there when the
	// release is published. "" takes the tag where it is, and it must be there.
	Commit     string
	Title      string // "": the tag
	Notes      string // Markdown
	Prerelease bool
	Latest     bool // the release is to be the one that "latest" leads to; never for a pre-release
}

// Asset is a file to attach.
type Asset struct {
	Name  string // see HostName
	Type  string // media type; "": application/octet-stream
	Label string // shown instead of the name; "": none, or Name where the host has another
	Blob  formats.Blob
}

// AttachOptions say how to deal with what is there.
type AttachOptions struct {
	// Replace replaces files of the same name and other bytes. In a published
	// release the new file is uploaded as "distropack-next.NAME" and renamed when the
	// old one is gone, so that people miss it for two short requests only.
	Replace   bool
	KeepDraft bool // do not publish a draft
	// Alone says that nobody else attaches files to this tag now: half-uploaded
	// files are then replaced at once. Without it they are left a while to whoever
	// may be uploading them: a minute, and a second for each MiB, ten minutes at
	// most.
	Alone bool
}

// Result is what Attach found and did. Its lists have the names that the assets
// were given under, in their order.
type Result struct {
	ID        int64
	URL       string // of the release, for people; a draft's is another than the published release's
	Created   bool   // the release was not there before
	Published bool   // it was published now
	Uploaded  []string
	Kept      []string // were there already
	Replaced  []string // were there with other bytes
}

// Info is a file of a release.
type Info struct {
	Name   string // on the host
	Size   int64  // bytes
	SHA256 formats.Digest
	Known  bool   // the host told SHA256
	State  string // "uploaded", or "starter" while it is half there
}

// AssetURL is where everybody can download an asset once its release is
// published. It does not depend on the release: any program can know it before.
func (p *Place) AssetURL(tag, name string) string {
	return fmt.Sprintf("%s/%s/%s/releases/download/%s/%s", p.web, p.o.Owner, p.o.Repo, escape(tag), url.PathEscape(HostName(name)))
}

// escape escapes a tag for a path; its slashes stay.
func escape(tag string) string {
	words := strings.Split(tag, "/")
	for i, w := range words {
		words[i] = url.PathEscape(w)
	}
	return strings.Join(words, "/")
}

// path is the path of something of the repository, below the API.
func (p *Place) path(format string, args ...any) string {
	return fmt.Sprintf("repos/%s/%s/", p.o.Owner, p.o.Repo) + fmt.Sprintf(format, args...)
}

// Latest is the folder in which everybody finds the files of the newest release
// that is no pre-release, by their names alone.
func (p *Place) Latest() string {
	return fmt.Sprintf("%s/%s/%s/releases/latest/download", p.web, p.o.Owner, p.o.Repo)
}
