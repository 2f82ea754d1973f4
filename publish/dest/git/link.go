package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The services of a git host.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// link is a way to a host: HTTP, ssh, or a program on this machine. It may be used
// concurrently.
type link interface {
	// begin starts a conversation with a service. It ends with Close, at the latest
	// when ctx does. The watch is told of what moves.
	begin(ctx context.Context, service string, w *watch) (talk, error)
	// stateless tells whether what a host offers need not be read each time.
	stateless() bool
	close() error
}

// talk is one conversation: the host's advertisement, one request, its answer.
type talk interface {
	// advert reads what the host has to offer.
	advert(branch string) (*advert, error)
	// ask sends a request, and ends it; the answer begins where the returned
	// packets do.
	ask(request func(io.Writer) error) (*packets, error)
	// explain makes the best of an error: where the host closed the connection, it
	// may have said why elsewhere.
	explain(err error) error
	Close() error
}

// advert is what a host offers: capabilities, and for the first versions of the
// protocol all branches, of which one is kept.
type advert struct {
	version int
	caps    map[string]string
	tip     id // of the branch; zero if there is none
}

func (a *advert) has(name string) bool { _, ok := a.caps[name]; return ok }

// readAdvert reads an advertisement (gitprotocol-pack(5), gitprotocol-v2(5)).
func readAdvert(p *packets, branch string) (*advert, error) {
	a := &advert{caps: make(map[string]string)}
	capability := func(s string) {
		k, v, _ := strings.Cut(s, "=")
		if len(a.caps) < 200 {
			a.caps[k] = v
		}
	}
	for first := true; ; {
		line, kind, err := p.next()
		if err == io.EOF {
			return nil, errEnded
		}
		if err != nil {
			return nil, err
		}
		if kind != packetData {
			return a, a.check()
		}
		text := strings.TrimSuffix(string(line), "\n")
		switch {
		case strings.HasPrefix(text, "# service="): // HTTP puts this and a flush before the rest
			_, kind, err := p.next()
			if err != nil {
				return nil, early(err, errEnded)
			}
			if kind != packetFlush {
				return nil, errors.New("the host's advertisement is damaged")
			}
		case first && text == "version 2":
			a.version, first = 2, false
		case first && text == "version 1":
			a.version = 1
		case a.version == 2:
			capability(text)
		case strings.HasPrefix(text, "shallow "):
		default:
			ref, caps, _ := strings.Cut(text, "\x00")
			if first {
				first = false
				for c := range strings.FieldsSeq(caps) {
					capability(c)
				}
			}
			hash, name, _ := strings.Cut(ref, " ")
			if name != "refs/heads/"+branch {
				if len(hash) == 64 {
					return nil, errSHA256
				}
				continue
			}
			if a.tip, err = parseID(hash); err != nil {
				return nil, err
			}
		}
	}
}

func (a *advert) check() error {
	if f, ok := a.caps["object-format"]; ok && !strings.Contains(" "+f+" ", " sha1 ") {
		if f == "sha256" {
			return errSHA256
		}
		return fmt.Errorf("the repository names its objects by %q, which is not supported: make one with --object-format=sha1", printable(f, 40))
	}
	return nil
}
