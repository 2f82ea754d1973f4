package git

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// web reaches a host through HTTP (gitprotocol-http(5)).
type web struct {
	client *http.Client
	user   string
	token  func(context.Context) (string, error)

	mu   sync.Mutex
	base string // the repository's URL, after redirections
}

// smallRequest is how much is sent with its length and from memory; as much as git
// does. Longer requests have no length and are sent as they are made.
const smallRequest = 1 << 20

func newWeb(a *address, o *Options) *web {
	w := &web{user: o.User, token: o.Token, base: a.scheme + "://" + a.host + a.path, client: &http.Client{}}
	if o.HTTP != nil {
		*w.client = *o.HTTP
	}
	if w.user == "" {
		w.user = "x-access-token"
	}
	// Redirections are followed by advert, which knows to whom the token may go.
	w.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w
}

func (w *web) close() error    { w.client.CloseIdleConnections(); return nil }
func (w *web) stateless() bool { return true }

func (w *web) begin(ctx context.Context, service string, alive *watch) (talk, error) {
	t := &request{web: w, ctx: ctx, service: service, watch: alive}
	if w.token != nil {
		var err error
		if t.token, err = w.token(ctx); err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
	}
	return t, nil
}

// request is a conversation by HTTP.
type request struct {
	web     *web
	ctx     context.Context
	service string
	token   string
	watch   *watch
	body    io.Closer // of the answer

	sender *sender
}

func (t *request) explain(err error) error {
	if err != nil && t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	if errors.Is(err, errEnded) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: something between here and the host, such as a proxy, cut it off; try again, or raise the proxy's limits on size and time", errEnded)
	}
	return err
}

func (t *request) Close() error {
	var err error
	if t.body != nil {
		err = t.body.Close()
		t.body = nil
	}
	if t.sender != nil {
		t.sender.stop()
		t.sender = nil
	}
	return err
}

func (t *request) do(method, address string, body io.Reader, length int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(t.ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", agent)
	if t.token != "" {
		r.SetBasicAuth(t.web.user, t.token)
	}
	if t.service == uploadPack {
		r.Header.Set("Git-Protocol", "version=2")
	}
	if method == http.MethodPost {
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/x-"+t.service+"-request")
		r.Header.Set("Accept", "application/x-"+t.service+"-result")
	}
	res, err := t.web.client.Do(r)
	if err != nil {
		return nil, t.unreachable(err)
	}
	return res, nil
}

// unreachable says why there was no answer at all.
func (t *request) unreachable(err error) error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("the host's certificate is signed by an authority that this machine does not know: install that authority's certificate (%w)", err)
	case errors.As(err, &name):
		return fmt.Errorf("the host's certificate is for another name: correct the URL (%w)", err)
	case errors.As(err, &invalid):
		return fmt.Errorf("the host's certificate is not valid; is this machine's clock right? (%w)", err)
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("the host does not speak TLS there: correct the URL's scheme or port (%w)", err)
	case errors.As(err, &dns):
		return fmt.Errorf("the host's name is not found: correct the URL, or look at this machine's network (%w)", err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return t.explain(errEnded)
	case strings.Contains(err.Error(), "parse Location header"): // net/http has no type for it
		return errLocation
	}
	return err
}

func (t *request) advert(branch string) (*advert, error) {
	t.web.mu.Lock()
	base := t.web.base
	t.web.mu.Unlock()
	const query = "/info/refs?service="
	for range 6 {
		res, err := t.do(http.MethodGet, base+query+t.service, nil, 0)
		if err != nil {
			return nil, err
		}
		if to := res.Header.Get("Location"); to != "" && res.StatusCode >= 300 && res.StatusCode < 400 {
			res.Body.Close()
			if base, err = follow(base+query+t.service, to, query+t.service); err != nil {
				return nil, err
			}
			continue
		}
		t.body = res.Body
		if err := t.check(res, "advertisement"); err != nil {
			return nil, err
		}
		a, err := readAdvert(newPackets(t.watch.reader(res.Body)), branch)
		if err != nil {
			return nil, err
		}
		// To the end, so that the connection is used again.
		io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		err = t.Close()
		t.web.mu.Lock()
		t.web.base = base
		t.web.mu.Unlock()
		return a, err
	}
	return nil, errors.New("the host redirects in circles: correct the URL")
}

// follow returns the base that a redirection leads to. It has to be the same host,
// and no less protected: it will be shown the token.
func follow(from, to, suffix string) (string, error) {
	u, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	v, err := u.Parse(to)
	if err != nil {
		return "", errLocation
	}
	place := printable(v.Scheme+"://"+v.Host+strings.TrimSuffix(v.Path, "/info/refs"), 200)
	upgraded := u.Scheme == "http" && v.Scheme == "https" && u.Hostname() == v.Hostname() && u.Port() == "" && v.Port() == ""
	if (u.Scheme != v.Scheme || u.Host != v.Host) && !upgraded {
		return "", fmt.Errorf("the host redirects to %s, which is not shown the token: if that is right, make it the URL", place)
	}
	v.User = nil
	base, ok := strings.CutSuffix(v.String(), suffix)
	if !ok {
		return "", fmt.Errorf("the host redirects to %s, which is no git repository: correct the URL", place)
	}
	return base, nil
}

var errLocation = errors.New("the host redirects to something that is no URL: make the repository's present address the URL")

// check turns an answer that is not git's into an error that says what to do.
func (t *request) check(res *http.Response, what string) error {
	kind, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	want := "application/x-" + t.service + "-" + what
	if res.StatusCode == http.StatusOK && kind == want {
		return nil
	}
	words := ""
	if strings.HasPrefix(kind, "text/plain") || kind == "" {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		if words = printable(string(b), 300); words != "" {
			words = fmt.Sprintf("; the host says %q", words)
		}
	}
	to := "read it"
	if t.service == receivePack {
		to = `write to it (on GitHub "contents: write")`
	}
	switch code := res.StatusCode; {
	case code == http.StatusOK:
		return fmt.Errorf("the host's answer is not git's but %q: correct the URL, or the proxy in between", printable(kind, 60))
	case code == http.StatusUnauthorized && t.token == "":
		return fmt.Errorf("the host wants a token, and there is none: give one that may %s%s", to, words)
	case code == http.StatusUnauthorized:
		return fmt.Errorf("the host refuses the token: it is wrong or has expired; give one that may %s%s", to, words)
	case code == http.StatusForbidden && t.token == "":
		return fmt.Errorf("the host does not allow that without a token: give one that may %s%s", to, words)
	case code == http.StatusForbidden:
		return fmt.Errorf("the token does not suffice: give it permission to %s%s", to, words)
	case (code == http.StatusNotFound || code == http.StatusGone) && t.token == "":
		return fmt.Errorf("there is no such repository, or it is not shown without a token: correct the URL, or give a token that may %s%s", to, words)
	case code == http.StatusNotFound || code == http.StatusGone:
		return fmt.Errorf("there is no such repository, or this token may not see it: correct the URL, or give the token permission to %s%s", to, words)
	case code == http.StatusProxyAuthRequired:
		return fmt.Errorf("the proxy in between wants a password: put it where this machine's proxy is set%s", words)
	case code == http.StatusRequestEntityTooLarge:
		return fmt.Errorf("the push is larger than the host, or a proxy before it, takes: raise its limit, or keep large packages in a bucket or a release%s", words)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		when := "later"
		if s := printable(res.Header.Get("Retry-After"), 40); s != "" {
			when = "after " + s // a date
			if _, err := strconv.Atoi(s); err == nil {
				when = "in " + s + " seconds"
			}
		}
		return fmt.Errorf("the host is busy (HTTP %d): try again %s%s", code, when, words)
	case code == http.StatusLengthRequired:
		return errLength
	case code >= 300 && code < 400:
		return fmt.Errorf("the host redirects a request (HTTP %d), which is not followed with the token: make the repository's present address the URL%s", code, words)
	default:
		return fmt.Errorf("the host answers with HTTP %d: correct the URL, or try again later%s", code, words)
	}
}

var errLength = errors.New("the host, or a proxy before it, takes no request without a length (HTTP 411): allow chunked requests there")

func (t *request) ask(write func(io.Writer) error) (*packets, error) {
	t.web.mu.Lock()
	address := t.web.base + "/" + t.service
	t.web.mu.Unlock()

	s := send(write)
	t.sender = s
	start, err := io.ReadAll(io.LimitReader(s.r, smallRequest))
	if err != nil {
		return nil, err
	}
	body, length := io.Reader(bytes.NewReader(start)), int64(len(start))
	if len(start) == smallRequest {
		// A small request first: a refusal is to come before the long one is
		// under way.
		res, err := t.do(http.MethodPost, address, strings.NewReader("0000"), 4)
		if err != nil {
			return nil, err
		}
		err = t.check(res, "result")
		io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return nil, err
		}
		body, length = struct{ io.Reader }{t.watch.reader(io.MultiReader(body, s.r))}, -1
	}
	res, err := t.do(http.MethodPost, address, body, length)
	if e := s.failure(); e != nil { // what was to be sent could not be read
		if err == nil {
			res.Body.Close()
		}
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	t.body = res.Body
	if err := t.check(res, "result"); err != nil {
		return nil, err
	}
	return newPackets(t.watch.reader(res.Body)), nil
}

// sender makes what is written readable.
type sender struct {
	r    *io.PipeReader
	done chan struct{}

	mu  sync.Mutex
	err error
}

func send(write func(io.Writer) error) *sender {
	r, w := io.Pipe()
	s := &sender{r: r, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		err := write(w)
		if err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.mu.Lock()
			s.err = err
			s.mu.Unlock()
		}
		w.CloseWithError(err)
	}()
	return s
}

func (s *sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// stop waits for the writer, which learns that nobody reads any more.
func (s *sender) stop() {
	s.r.Close()
	<-s.done
}
