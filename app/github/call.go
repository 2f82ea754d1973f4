package github

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-github/v60/github"
)

// line is the way to one host.
type line struct {
	api       *url.URL // with a trailing slash
	transport http.RoundTripper
	timeout   time.Duration
	now       func() time.Time
	wait      func(context.Context, time.Duration) error
	log       *slog.Logger
}

func newLine(o Options) (*line, error) {
	l := &line{timeout: 30 * time.Second, now: o.Now, wait: o.Wait, log: o.Log}
	var next http.RoundTripper
	if o.HTTP != nil {
		next = o.HTTP.Transport
		if o.HTTP.Timeout > 0 {
			l.timeout = o.HTTP.Timeout
		}
	}
	l.transport = bounded{next}
	if l.now == nil {
		l.now = time.Now
	}
	if l.wait == nil {
		l.wait = pause
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	api, err := base(o.API, API)
	if err != nil {
		return nil, err
	}
	l.api = api
	return l, nil
}

// base reads the address of a host's API or pages.
func base(text, otherwise string) (*url.URL, error) {
	if text == "" {
		text = otherwise
	}
	u, err := url.Parse(strings.TrimRight(text, "/") + "/")
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("%q is no address of GitHub: write it as https://HOST/api/v3", Redact(text))
	}
	return u, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// caller is somebody who asks.
type caller struct {
	line      *line
	name      string
	gauge     *gauge
	transport http.RoundTripper // nil: line's
	// token returns what to send and what to call when the host refuses it though
	// it should be good yet; nil for a token that can't be renewed.
	token func(ctx context.Context) (token string, renew func(), err error)
}

// request is one request to the API.
type request struct {
	what    string // is asked for, for errors
	method  string // "": GET
	path    string // relative to the API, escaped
	query   url.Values
	body    any // nil: none
	accept  string
	etag    string // of the answer that is known
	once    bool   // must not be repeated where it is not known whether it was carried out
	needs   string // permission, for errors
	asApp   bool
	minting bool // a token is asked for
	secrets []string
}

// reply is the answer to a request that succeeded.
type reply struct {
	header http.Header
	same   bool // status 304
}

// tries is how often a request is made whose answers are broken.
const tries = 3

// call makes a request and decodes its answer into v, nil for none.
func (c caller) call(ctx context.Context, q request, v any) (*reply, error) {
	renewed := false
	for n := 1; ; n++ {
		r, renew, err := c.send(ctx, q, v)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if renew != nil && !renewed {
			renewed = true
			renew()
			n--
			continue
		}
		if q.once || !broken(err) || n >= tries {
			return nil, err
		}
		c.line.log.Debug("github has trouble", "request", q.what, "try", n, "err", err)
		if err := c.line.wait(ctx, pauseAfter(n)); err != nil {
			return nil, err
		}
	}
}

// send makes a request once, wherever the repository is by now. renew is not nil
// if the host refused a token that can be had anew.
func (c caller) send(ctx context.Context, q request, v any) (r *reply, renew func(), err error) {
	token := ""
	var again func()
	if c.token != nil {
		if token, again, err = c.token(ctx); err != nil {
			return nil, nil, err
		}
		q.secrets = append([]string{token}, q.secrets...)
	}
	u, err := c.line.api.Parse(q.path)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", q.what, err)
	}
	u.RawQuery = q.query.Encode()
	for hop := 0; ; hop++ {
		if until, ok := c.gauge.open(c.line.now()); !ok {
			return nil, nil, &Limit{Until: until, Subject: c.name}
		}
		res, err := c.once(ctx, q, u, token)
		if res == nil {
			if err == nil {
				err = fmt.Errorf("no answer")
			}
			return nil, nil, q.failed(c.line.api.Host, nil, err, q.secrets)
		}
		now := c.line.now()
		c.gauge.note(res.Header, now)
		if err == nil {
			r, err := q.read(c.line.api.Host, res, v)
			return r, nil, err
		}
		res.Body.Close()
		if res.StatusCode == http.StatusAccepted { // go-github's error for what GitHub does later
			return &reply{header: res.Header}, nil, nil
		}
		if res.StatusCode == http.StatusNotModified && q.etag != "" {
			return &reply{header: res.Header, same: true}, nil, nil
		}
		to, moved := c.moved(res)
		if moved && hop < 3 {
			u = to
			continue
		}
		e := q.failed(c.line.api.Host, res, err, q.secrets)
		if until, ok := limited(res, e.Message, now); ok {
			c.gauge.close(until)
			return nil, nil, &Limit{Until: until, Subject: c.name}
		}
		if res.StatusCode == http.StatusUnauthorized {
			return nil, again, e
		}
		return nil, nil, e
	}
}

// moved is where a renamed or transferred repository is by now: on the same host,
// or the token would leave it. GitHub answers other methods than GET with 307,
// and a client that makes a GET of them would do something else.
func (c caller) moved(res *http.Response) (*url.URL, bool) {
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, false
	}
	to, err := res.Location()
	if err != nil || to.Scheme != c.line.api.Scheme || to.Host != c.line.api.Host || !strings.HasPrefix(to.Path, c.line.api.Path) {
		return nil, false
	}
	return to, true
}

// once makes a request. go-github's client remembers limits and compares them with
// the wall clock, so each request has one of its own.
func (c caller) once(ctx context.Context, q request, u *url.URL, token string) (*http.Response, error) {
	rt := c.transport
	if rt == nil {
		rt = c.line.transport
	}
	hc := &http.Client{Transport: rt, Timeout: c.line.timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	gh := github.NewClient(hc)
	gh.BaseURL, gh.UserAgent = c.line.api, "distropack"
	method := q.method
	if method == "" {
		method = http.MethodGet
	}
	req, err := gh.NewRequest(method, u.String(), q.body)
	if err != nil {
		return nil, err
	}
	if q.accept != "" {
		req.Header.Set("Accept", q.accept)
	}
	if q.etag != "" {
		req.Header.Set("If-None-Match", q.etag)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := gh.BareDo(ctx, req)
	if res == nil {
		return nil, err
	}
	return res.Response, err
}

// read decodes an answer's body into v. A *[]byte takes it as it is.
func (q *request) read(host string, res *http.Response, v any) (*reply, error) {
	defer res.Body.Close()
	var err error
	switch v := v.(type) {
	case nil:
		_, err = io.Copy(io.Discard, res.Body)
	case *[]byte:
		*v, err = io.ReadAll(res.Body)
	default:
		err = json.NewDecoder(res.Body).Decode(v)
	}
	if err != nil {
		return nil, q.failed(host, nil, err, q.secrets)
	}
	return &reply{header: res.Header}, nil
}

// bounded keeps answers from filling the memory.
type bounded struct{ next http.RoundTripper }

// maxAnswer is far above a page of 100 releases with long notes.
const maxAnswer = 64 << 20

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

// escape makes a path of words that may hold anything; slashes within them stay.
func escape(words ...string) string {
	var out []string
	for _, w := range words {
		for _, part := range strings.Split(w, "/") {
			out = append(out, url.PathEscape(part))
		}
	}
	return strings.Join(out, "/")
}

// pauseAfter is how long to wait after so many tries.
func pauseAfter(n int) time.Duration { return time.Second / 2 << (n - 1) }
