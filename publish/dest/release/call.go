package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/distropack/distropack/formats"
)

// request is one request to the API.
type request struct {
	what   string // is to be done, for errors
	method string
	path   string
	accept string // "": JSON
	body   any    // nil: none
	again  bool   // may be repeated where it is not known whether it was carried out

	upload formats.Blob // the body instead, to the host for uploads
	kind   string       // of upload
}

// tries is how often a request is made whose answers are broken.
const tries = 4

// call makes a request and decodes its answer into v, nil for none. It waits where
// the host asks for it. The header is that of the last answer.
func (p *Place) call(ctx context.Context, q request, v any) (http.Header, error) {
	for n := 1; ; n++ {
		res, err := p.send(ctx, q)
		if err == nil {
			err = p.decode(q, res, v)
			if err == nil {
				return res.Header, nil
			}
		}
		if !q.again || !broken(err) || n == tries {
			return nil, err
		}
		if err := p.o.Wait(ctx, time.Second<<(n-1)); err != nil {
			return nil, err
		}
	}
}

func (p *Place) decode(q request, res *http.Response, v any) error {
	defer res.Body.Close()
	var err error
	if v == nil {
		_, err = io.Copy(io.Discard, res.Body)
	} else {
		err = json.NewDecoder(res.Body).Decode(v)
	}
	if err != nil {
		f := p.failed(q.what, nil, err)
		f.broke = true
		return f
	}
	return nil
}

// send makes a request until the host's limits let it through. The caller closes
// the body. A redirect that is not followed is an answer too, if q.accept is set.
func (p *Place) send(ctx context.Context, q request) (*http.Response, error) {
	var waited time.Duration
	for n := 0; ; n++ {
		res, err := p.once(ctx, q)
		if err == nil {
			return res.Response, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if ours, ok := err.(*unsent); ok {
			return nil, fmt.Errorf("%s: %w", q.what, ours.err)
		}
		if res == nil || res.Response == nil {
			return nil, p.failed(q.what, nil, err)
		}
		if q.accept != "" && res.StatusCode == http.StatusFound {
			return res.Response, nil
		}
		pause, limited := limit(res, err, n)
		if !limited {
			return nil, p.failed(q.what, res, err)
		}
		if waited+pause > p.o.MaxWait {
			return nil, &LimitError{Host: p.api.Host, Wait: pause}
		}
		p.o.Say(fmt.Sprintf("%s asks to wait %s", p.api.Host, pause))
		if err := p.o.Wait(ctx, pause); err != nil {
			return nil, err
		}
		waited += pause
	}
}

// once makes a request. go-github's client remembers limits and compares them with
// the wall clock, so each request has one of its own.
func (p *Place) once(ctx context.Context, q request) (*github.Response, error) {
	c := github.NewClient(p.http)
	c.BaseURL, c.UploadURL = p.api, p.uploads
	req, err := p.request(c, q)
	if err != nil {
		return nil, &unsent{err}
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if p.o.Token != nil {
		token, err := p.o.Token(ctx)
		if err != nil {
			closeBody(req)
			return nil, &unsent{fmt.Errorf("the token: %w", err)}
		}
		if token != "" {
			p.secrets.add(token)
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return c.BareDo(ctx, req)
}

// unsent is why a request could not be made.
type unsent struct{ err error }

func (u *unsent) Error() string { return u.err.Error() }

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

func (p *Place) request(c *github.Client, q request) (*http.Request, error) {
	if q.upload == nil {
		return c.NewRequest(q.method, q.path, q.body)
	}
	r, err := q.upload.Open()
	if err != nil {
		return nil, err
	}
	req, err := c.NewUploadRequest(q.path, r, q.upload.Ref().Size, q.kind)
	if err != nil {
		r.Close()
		return nil, err
	}
	req.GetBody = q.upload.Open // a renamed repository redirects uploads
	return req, nil
}

// limit says how long the host wants us to wait; false if that is not what the
// answer is about. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
func limit(res *github.Response, err error, n int) (time.Duration, bool) {
	h := res.Header
	none := h.Get("X-Ratelimit-Remaining") == "0"
	_, secondary := err.(*github.AbuseRateLimitError)
	after, hasAfter := strconv.Atoi(h.Get("Retry-After"))
	if res.StatusCode != http.StatusTooManyRequests && (res.StatusCode != http.StatusForbidden || !none && !secondary && hasAfter != nil) {
		return 0, false
	}
	if hasAfter == nil {
		return max(time.Second, time.Duration(after)*time.Second), true
	}
	if reset, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); none && err == nil {
		// The host's own clock, not ours, says how far away that is.
		if now, ok := date(h); ok {
			return max(time.Second, time.Unix(reset, 0).Sub(now)), true
		}
	}
	return time.Minute << min(n, 6), true
}

// date is the host's clock when it answered.
func date(h http.Header) (time.Time, bool) {
	t, err := http.ParseTime(h.Get("Date"))
	return t, err == nil
}

// stay follows redirects within the host, which keep the token: repositories that
// were renamed. Downloads lead elsewhere and are followed without a token.
func stay(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("more than 5 redirects: check the API's URL")
	}
	first := via[0]
	if req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || first.Header.Get("Accept") == octets {
		return http.ErrUseLastResponse
	}
	return nil
}

// secure follows a download's redirects, but not out of https.
func secure(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 {
		return errors.New("more than 5 redirects")
	}
	if req.URL.Scheme != "https" && via[0].URL.Scheme == "https" {
		return fmt.Errorf("%s leads to %s, without https", via[0].URL.Host, req.URL.Host)
	}
	return nil
}

const octets = "application/octet-stream"

// bounded keeps answers of the API from filling the memory.
type bounded struct{ next http.RoundTripper }

// maxAnswer is far above a page of 100 releases with long notes.
const maxAnswer = 256 << 20

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err != nil || r.Header.Get("Accept") == octets {
		return res, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxAnswer), res.Body}
	return res, nil
}

// all reads every page of a list.
func all[T any](ctx context.Context, p *Place, q request) (list []T, h http.Header, err error) {
	q.method, q.again = http.MethodGet, true
	first := q.path
	for page := 1; ; page++ {
		q.path = fmt.Sprintf("%s?per_page=100&page=%d", first, page)
		var some []T
		if h, err = p.call(ctx, q, &some); err != nil {
			return nil, nil, err
		}
		list = append(list, some...)
		// A page may hold less than was asked for: only the link tells the end.
		if !strings.Contains(h.Get("Link"), `rel="next"`) {
			return list, h, nil
		}
	}
}
