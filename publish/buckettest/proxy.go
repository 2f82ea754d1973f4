package buckettest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Fault says what becomes of a request. The zero Fault lets it pass.
type Fault struct {
	Drop     bool // the connection ends before the server sees the request
	Lose     bool // the server does what it is asked, and the connection ends before it answers
	Truncate bool // the answer's body ends halfway, the connection with it
	Shorten  bool // the answer's body is half, and its Content-Length says so

	// Ignore makes the server act as if the request had not these headers.
	Ignore []string

	// Status answers in the server's place, with Code and Message as S3 words
	// errors and Header besides.
	Status  int
	Code    string
	Message string
	Header  http.Header
}

// On sets what becomes of requests from here on; nil lets all pass. n counts
// requests from 1, since the last call of On. f may be called concurrently; it may
// wait, for making publishers meet, and it must not read the request's body.
func (s *Server) On(f func(n int, r *http.Request) Fault) {
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	s.proxy.on, s.proxy.seen = f, nil
}

// Requests lists the requests since the last call of On, as "PUT key" with the
// bucket left out, in the order in which they came.
func (s *Server) Requests() []string {
	s.proxy.mu.Lock()
	defer s.proxy.mu.Unlock()
	return append([]string{}, s.proxy.seen...)
}

// proxy stands between clients and the server.
type proxy struct {
	server *Server
	to     *http.Transport
	pass   *httputil.ReverseProxy

	mu   sync.Mutex
	on   func(int, *http.Request) Fault
	seen []string
}

func newProxy(s *Server, socket string) *proxy {
	p := &proxy{server: s}
	p.to = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 32,
	}
	p.pass = &httputil.ReverseProxy{
		Transport: p.to,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", "versitygw"
			r.Out.Host = r.In.Host // which is signed
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	return p
}

func (p *proxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = nil
}

// straight asks the server anonymously, past faults and counting.
func (p *proxy) straight(method, path string) (*http.Response, error) {
	req, err := http.NewRequest(method, "http://versitygw"+path, nil)
	if err != nil {
		return nil, err
	}
	return p.to.RoundTrip(req)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, p.describe(r))
	n, on := len(p.seen), p.on
	p.mu.Unlock()
	var f Fault
	if on != nil {
		f = on(n, r)
	}
	switch {
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Lose:
		if r.Header.Get("Expect") != "" { // else the client waits for leave to send
			w.WriteHeader(http.StatusContinue)
		}
		p.pass.ServeHTTP(&discard{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		io.Copy(io.Discard, r.Body)
		for k, v := range f.Header {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(f.Status)
		if r.Method != http.MethodHead && f.Code != "" {
			fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", f.Code, f.Message)
		}
	case f.Truncate || f.Shorten:
		p.truncate(w, r, f.Shorten)
	default:
		if len(f.Ignore) > 0 {
			if err := p.without(r, f.Ignore); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		p.pass.ServeHTTP(w, r)
	}
}

// describe is a request without what differs from run to run.
func (p *proxy) describe(r *http.Request) string {
	key := r.URL.Path
	if rest, ok := cutBucket(key, p.server.Bucket); ok {
		key = rest
	}
	what := r.Method
	q := r.URL.Query()
	for _, sub := range []string{"delete", "uploads", "uploadId", "partNumber", "list-type"} {
		if q.Has(sub) {
			what += "?" + sub
		}
	}
	return what + " " + key
}

func cutBucket(path, bucket string) (string, bool) {
	rest := path[min(len(path), 1):]
	if len(rest) < len(bucket) || rest[:len(bucket)] != bucket {
		return "", false
	}
	rest = rest[len(bucket):]
	return rest[min(len(rest), 1):], true
}

// without takes headers out of a signed request and signs it again.
func (p *proxy) without(r *http.Request, headers []string) error {
	touched := false
	for _, h := range headers {
		touched = touched || r.Header.Get(h) != ""
		r.Header.Del(h)
	}
	if !touched || r.Header.Get("Authorization") == "" {
		return nil
	}
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return err
	}
	url := *r.URL
	r.URL.Host = r.Host
	r.Header.Del("Authorization")
	creds := aws.Credentials{AccessKeyID: p.server.AccessKey, SecretAccessKey: p.server.SecretKey}
	err = v4.NewSigner().SignHTTP(r.Context(), creds, r, r.Header.Get("X-Amz-Content-Sha256"), "s3", p.server.Region, at, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	r.URL = &url
	return err
}

// truncate gives half of a body, and promises the whole or is silent about it.
func (p *proxy) truncate(w http.ResponseWriter, r *http.Request, silent bool) {
	got := &recorded{discard: discard{header: http.Header{}}}
	p.pass.ServeHTTP(got, r)
	for k, v := range got.header {
		w.Header()[k] = v
	}
	half := got.body.Bytes()[:got.body.Len()/2]
	w.Header().Set("Content-Length", strconv.Itoa(got.body.Len()))
	if silent {
		w.Header().Set("Content-Length", strconv.Itoa(len(half)))
	}
	w.WriteHeader(got.status)
	w.Write(half)
	if silent {
		return
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler)
}

// discard is an answer nobody gets.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(status int) {
	if status >= 200 {
		d.status = status
	}
}
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }

type recorded struct {
	discard
	body bytes.Buffer
}

func (r *recorded) Write(b []byte) (int, error) { return r.body.Write(b) }
