package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
)

// ClientOptions is what a Client needs besides the signer.
type ClientOptions struct {
	// Signed is told of each signature before the caller gets it: for the publish
	// log. Its error keeps the signature back. nil tells nobody.
	Signed func(context.Context, Signature) error
	// Log gets the lines the signer prints; nil drops them.
	Log func(line string)
}

// Signature is one that the signer made.
type Signature struct {
	Repository   int64
	Installation int64
	Release      string
	Key          string // "main"
	Fingerprint  string // what PublicKey.ID is, for this scheme
	Scheme       string
	Digest       string // SHA-256 of the message, in hexadecimal
	Size         int64  // of the message
}

// Client asks a signer. It may be used concurrently.
type Client struct {
	link
	signed  func(context.Context, Signature) error
	process *process
}

// StartSigner starts exe with args, which must call RunSigner, in an empty
// environment, and waits until it answers. ctx bounds that wait only. When the
// signer ends, the next request starts it again. Close ends it.
func StartSigner(ctx context.Context, exe string, args []string, o ClientOptions) (*Client, error) {
	p := &process{exe: exe, args: args, log: o.Log}
	c := &Client{link: link{p.open}, signed: o.Signed, process: p}
	if _, _, err := c.call(ctx, &request{Op: opPing}, nil); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Close ends the signer and waits for it. Requests under way fail.
func (c *Client) Close() error { return c.process.close() }

// Made is a key that was made or imported: the blob for its row, and its public
// half.
type Made struct {
	Blob   []byte
	Public *Public
}

// NewOptions says whose key is made.
type NewOptions struct {
	Name     string        // of the user ID
	Email    string        // of the user ID
	Lifetime time.Duration // DefaultLifetime where 0
}

// NewKey makes a key with parts for all clients: OpenPGP with RSA-4096, RSA for
// apk, Ed25519 for opkg. It takes seconds. Who makes a key at first use must see
// to it that only one of two is kept.
func (c *Client) NewKey(ctx context.Context, b Binding, o NewOptions) (*Made, error) {
	return c.made(ctx, &request{Op: opNew, Binding: b, Name: o.Name, Email: o.Email, Lifetime: o.Lifetime})
}

// ImportKey seals a user's key after it has signed something: what keys.Import
// reads, or a backup of ExportKey for a passphrase. The passphrase is the key's or
// the backup's; the sealed key needs none.
func (c *Client) ImportKey(ctx context.Context, b Binding, text, passphrase keys.Secret) (*Made, error) {
	return c.made(ctx, &request{Op: opImport, Binding: b, Text: text.Reveal(), Passphrase: passphrase.Reveal()})
}

func (c *Client) made(ctx context.Context, q *request) (*Made, error) {
	r, blob, err := c.call(ctx, q, nil)
	if err != nil {
		return nil, err
	}
	return &Made{blob, r.Public}, nil
}

// ExportOptions says for whom a backup is encrypted: one of the two.
type ExportOptions struct {
	Recipient  string      // of age: "age1…"
	Passphrase keys.Secret // at least 12 bytes
}

// ExportKey returns an armored age file of the key's bundle.
func (c *Client) ExportKey(ctx context.Context, b Binding, blob []byte, o ExportOptions) ([]byte, error) {
	_, out, err := c.call(ctx, &request{Op: opExport, Binding: b, Blob: blob, Recipient: o.Recipient, Passphrase: o.Passphrase.Reveal()}, nil)
	return out, err
}

// ResealKey seals a key again where an older identity of the signer sealed it.
func (c *Client) ResealKey(ctx context.Context, b Binding, blob []byte) (out []byte, changed bool, err error) {
	r, out, err := c.call(ctx, &request{Op: opReseal, Binding: b, Blob: blob}, nil)
	if err != nil {
		return blob, false, err
	}
	return out, r.Changed, nil
}

// PublicKey says what a sealed key's public half is.
func (c *Client) PublicKey(ctx context.Context, b Binding, blob []byte) (*Public, error) {
	r, _, err := c.call(ctx, &request{Op: opPublic, Binding: b, Blob: blob}, nil)
	if err != nil {
		return nil, err
	}
	return r.Public, nil
}

// link is the way to who answers requests.
type link struct {
	// open returns a connection for one request. again says that the last one
	// ended without an answer.
	open func(ctx context.Context) (exchange, error)
}

// exchange is a connection for one request.
type exchange interface {
	io.ReadWriteCloser
	SetDeadline(time.Time) error
	// why explains that the other side has gone.
	why() error
}

// tries is how often a request is made whose answer does not come because the
// signer ended.
const tries = 3

// call makes a request and returns its answer. Where the signer ends meanwhile it
// is made again, if the message can be read again.
func (l link) call(ctx context.Context, q *request, message io.Reader) (*response, []byte, error) {
	again := func() error { return nil }
	if message != nil {
		again = rewinder(message)
	}
	for n := 1; ; n++ {
		r, body, err := l.once(ctx, q, message)
		if !errors.Is(err, ErrSignerGone) || n == tries || ctx.Err() != nil || again() != nil {
			return r, body, err
		}
	}
}

// rewinder returns what brings r back to where it is now.
func rewinder(r io.Reader) func() error {
	if s, ok := r.(io.Seeker); ok {
		if start, err := s.Seek(0, io.SeekCurrent); err == nil {
			return func() error { _, err := s.Seek(start, io.SeekStart); return err }
		}
	}
	return func() error { return errors.New("it can't be read twice") }
}

func (l link) once(ctx context.Context, q *request, message io.Reader) (*response, []byte, error) {
	c, err := l.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	gone := func(error) (*response, []byte, error) {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		return nil, nil, fmt.Errorf("%w: %w", ErrSignerGone, c.why())
	}
	write := writeJSON(c, q)
	if write == nil && message != nil {
		var read error
		if _, read, write = writePieces(c, message); read != nil {
			return nil, nil, read
		}
	}
	// Where writing fails the answer may be there nevertheless: it was refused
	// before all was read.
	var r response
	if err := readJSON(c, maxResponse, &r); err != nil {
		return gone(err)
	}
	body, err := readFrame(c, maxBody)
	if err != nil {
		return gone(err)
	}
	if r.Error != "" {
		return nil, nil, answered(&r)
	}
	if write != nil {
		return gone(write)
	}
	return &r, body, nil
}

// answered is an error as the signer said it.
func answered(r *response) error {
	if r.Sealed {
		return &refused{r.Error}
	}
	return errors.New(r.Error)
}

// refused is an ErrSealed whose text came from the signer.
type refused struct{ text string }

func (e *refused) Error() string        { return e.text }
func (e *refused) Is(target error) bool { return target == ErrSealed }
