package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// server is a tree that a web server serves.
type server struct {
	base   *url.URL
	client *http.Client
}

var (
	_ Fetcher  = (*server)(nil)
	_ Outsider = (*server)(nil)
)

// HTTP reads a tree that is served at address. The client's timeouts count; its
// default is used where nil. Errors never hold the address' password.
func HTTP(address string, client *http.Client) (Fetcher, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("the address is not of the form https://host/path")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the address of %s has a query or fragment: give the folder of the tree alone", u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	if client == nil {
		client = http.DefaultClient
	}
	return &server{u, client}, nil
}

// address of a file. A plus means a space to some servers of buckets.
func (s *server) address(name string) string {
	u := *s.base
	u.Path += "/" + name
	u.RawPath = strings.ReplaceAll((&url.URL{Path: u.Path}).EscapedPath(), "+", "%2B")
	return u.String()
}

func (s *server) Open(ctx context.Context, name string) (*File, error) {
	return s.do(ctx, http.MethodGet, s.address(name))
}

// Stat implements Fetcher by HEAD.
func (s *server) Stat(ctx context.Context, name string) (*File, error) {
	f, err := s.do(ctx, http.MethodHead, s.address(name))
	var status statusError
	if errors.As(err, &status) && (status.code == http.StatusMethodNotAllowed || status.code == http.StatusNotImplemented) {
		f, err = s.Open(ctx, name) // the body is not read
	}
	if err != nil {
		return nil, err
	}
	err = f.Close()
	f.ReadCloser = nil
	return f, err
}

// OpenURL implements Outsider.
func (s *server) OpenURL(ctx context.Context, address string) (*File, error) {
	return s.do(ctx, http.MethodGet, address)
}

func (s *server) do(ctx context.Context, method, address string) (*File, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, errors.New("its address is not one that can be fetched")
	}
	// Package managers ask for bytes as they are; Go would unpack what a server
	// packs, and drop the length.
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := s.client.Do(req)
	if err != nil {
		var u *url.Error // has the whole address in it
		if errors.As(err, &u) {
			err = u.Err
		}
		return nil, err
	}
	switch {
	case resp.StatusCode == http.StatusOK:
	default:
		resp.Body.Close()
		return nil, statusError{resp.StatusCode, resp.Status}
	}
	f := &File{ReadCloser: resp.Body, Size: resp.ContentLength, Header: resp.Header}
	if at, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		f.Modified = at
	}
	return f, nil
}

// statusError is an answer other than 200.
type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return fmt.Sprintf("the server answers %.60q", e.text) }

// Is reports whether the file is not there. Buckets that may not be listed say 403
// then.
func (e statusError) Is(err error) bool {
	return err == fs.ErrNotExist && (e.code == http.StatusNotFound || e.code == http.StatusGone || e.code == http.StatusForbidden)
}

// longest is how long caches may keep what changes with each publish: GitHub Pages
// says 10 minutes, and nobody can change that.
const longest = 10 * time.Minute

// class is how a file changes.
type class int

const (
	pointer class = iota // under its name, with each publish
	fixed                // never
	other                // seldom, or it is fetched for our own sake
)

// headers judges how a file is served.
func (r *run) headers(t *target, name string, f *File, c class) {
	h := f.Header
	if h == nil {
		return
	}
	if age, ok := fresh(h); c == pointer && ok && age > longest {
		r.add(t, Warning, name, "cache-control", "caches keep it for %s: for that long clients get an old index after a publish; serve it with Cache-Control: no-cache, or max-age up to 600", age)
	}
	kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "text/html") && !strings.HasSuffix(name, ".html") {
		r.add(t, Warning, name, "content-type", "it is served as text/html: is it a page that stands in for a missing file?")
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		r.add(t, Warning, name, "content-encoding", "it is served with Content-Encoding: %.40q though that was not asked for: some clients then unpack it and find another digest", e)
	}
	if f.Size < 0 && c == fixed {
		r.add(t, Warning, name, "content-length", "it is served without a length: clients can neither show progress nor see that it was cut off")
	}
}

// fresh reads for how long shared caches keep a response; ok is false if it does
// not say.
func fresh(h http.Header) (age time.Duration, ok bool) {
	shared := false
	for _, line := range h.Values("Cache-Control") {
		for _, d := range strings.Split(strings.ToLower(line), ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(d), "=")
			switch key {
			case "no-cache", "no-store":
				return 0, true
			case "max-age", "s-maxage":
				n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
				if err != nil || key == "max-age" && shared {
					continue
				}
				age, ok, shared = time.Duration(n)*time.Second, true, key == "s-maxage"
			}
		}
	}
	if !ok {
		end, err := http.ParseTime(h.Get("Expires"))
		now, err2 := http.ParseTime(h.Get("Date"))
		if err == nil && err2 == nil {
			return end.Sub(now), true
		}
	}
	return age, ok
}
