package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
)

// RelayOptions says what a child may have signed. The zero value is right for
// packages.
type RelayOptions struct {
	Names   []string         // keys whose public halves it sees; "main" where nil
	Sign    []string         // keys that sign for it; "main" where nil
	Schemes []formats.Scheme // OpenPGP, OpenPGPArmor and RSA256 where nil: packages need no more
	Most    int64            // signatures; 10,000 where 0
	Idle    time.Duration    // how long it may send nothing within a request; 2 minutes where 0
}

// Relay lets the child at the other end of conn use ring, and nothing else: it
// names no repository and sees no sealed key. It answers up to 8 requests at once
// until the child closes conn, which returns nil, or ctx ends.
func Relay(ctx context.Context, conn *net.UnixConn, ring pipeline.Keyring, o RelayOptions) error {
	if o.Names == nil {
		o.Names = []string{"main"}
	}
	if o.Sign == nil {
		o.Sign = []string{"main"}
	}
	if o.Schemes == nil {
		o.Schemes = []formats.Scheme{formats.OpenPGP, formats.OpenPGPArmor, formats.RSA256}
	}
	if o.Most == 0 {
		o.Most = 10_000
	}
	if o.Idle == 0 {
		o.Idle = 2 * time.Minute
	}
	r := &relay{RelayOptions: o, ring: ring}
	return accept(ctx, conn, 8, r.serve)
}

type relay struct {
	RelayOptions
	ring pipeline.Keyring
	made atomic.Int64
}

// maxAsk bounds a child's request, in bytes.
const maxAsk = 64 << 10

func (r *relay) serve(ctx context.Context, c net.Conn) {
	in := idle{c, r.Idle}
	var q request
	if err := readJSON(in, maxAsk, &q); err != nil {
		answer(c, &response{Error: "the request can't be read: " + err.Error()}, nil)
		return
	}
	resp, body, err := r.do(ctx, &q, &pieces{r: in})
	if err != nil {
		resp, body = &response{Error: err.Error()}, nil
	}
	answer(c, resp, body)
}

func (r *relay) do(ctx context.Context, q *request, message io.Reader) (*response, []byte, error) {
	switch q.Op {
	case opRing:
		return &response{Halves: halves(r.ring, r.Names)}, nil, nil
	case opSign:
	default:
		return nil, nil, fmt.Errorf("a package's maker can have nothing signed by %q: only %s", q.Op, opSign)
	}
	switch {
	case q.Repository.ID != 0 || len(q.Keys) > 0:
		return nil, nil, errors.New("a package's maker can't choose the repository or the keys")
	case !slices.Contains(r.Sign, q.Key):
		return nil, nil, fmt.Errorf("key %q signs no packages here", q.Key)
	case !slices.Contains(r.Schemes, q.Scheme):
		return nil, nil, fmt.Errorf("no package is signed by %q", q.Scheme)
	case r.made.Add(1) > r.Most:
		return nil, nil, fmt.Errorf("%d signatures were made for this release: no more are", r.Most)
	}
	sign, err := r.ring.Signer(q.Key, q.Scheme)
	if err != nil {
		return nil, nil, err
	}
	digest, count := sha256.New(), &counter{r: message, most: mostOf(q.Scheme)}
	sig, err := sign(ctx, io.TeeReader(count, digest))
	if err != nil {
		return nil, nil, err
	}
	return &response{Digest: hex.EncodeToString(digest.Sum(nil)), Size: count.n}, sig, nil
}

// Dial returns the keys that a Relay serves at fd, of which the child of a server
// may have packages signed.
func Dial(fd uintptr) (pipeline.Keyring, error) {
	conn, err := inherited(fd)
	if err != nil {
		return nil, err
	}
	return dial(conn)
}

// dial takes conn over.
func dial(conn *net.UnixConn) (*keyring, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ring, err := newKeyring(ctx, link{func(context.Context) (exchange, error) {
		ours, theirs, err := pair()
		if err != nil {
			return nil, err
		}
		defer theirs.Close()
		if err := send(conn, theirs); err != nil {
			ours.Close()
			return nil, fmt.Errorf("%w: the server closed the connection", ErrSignerGone)
		}
		return relayConn{ours}, nil
	}}, request{}, nil)
	if err != nil {
		conn.Close()
	}
	return ring, err
}

// relayConn is a connection to a relay.
type relayConn struct{ *net.UnixConn }

func (relayConn) why() error { return errors.New("the server closed the connection") }
