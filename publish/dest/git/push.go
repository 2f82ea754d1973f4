package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distropack/distropack/publish"
)

// push moves the branch from base to commit, and sends objects. The host compares
// base with what is there and swaps: publish.ErrConflict where it is another one,
// a *refusal where it will not; any other error leaves open what became of it, if
// sent, else nothing did.
func (g *Git) push(ctx context.Context, base, commit id, objects func(thin bool) []object) (sent bool, err error) {
	t, err := g.talk(ctx, receivePack)
	if err != nil {
		return false, err
	}
	defer t.Close()
	a, err := t.advert(g.branch)
	if err != nil {
		return false, t.explain(err)
	}
	switch {
	case a.tip == commit:
		return false, nil // made before, by a push that was not heard of
	case a.tip != base:
		return false, publish.ErrConflict
	case !a.has("report-status"):
		return false, errors.New("the host does not report what becomes of a push")
	}
	banded := a.has("side-band-64k")
	caps := "report-status"
	for _, c := range []string{"side-band-64k", "quiet"} {
		if a.has(c) {
			caps += " " + c
		}
	}
	if a.has("object-format") {
		caps += " object-format=sha1"
	}
	if a.has("agent") {
		caps += " agent=" + agent
	}
	list := objects(!a.has("no-thin"))
	p, err := t.ask(func(w io.Writer) error {
		b := appendLine(nil, "%s %s refs/heads/%s\x00 %s", base, commit, g.branch, caps)
		if _, err := w.Write(append(b, "0000"...)); err != nil {
			return err
		}
		return writePack(w, list)
	})
	if err != nil {
		return true, t.explain(err)
	}
	words := &strings.Builder{}
	report := p
	if banded {
		band := &sideband{p: p, words: words}
		report = newPackets(band)
	}
	err = readReport(report, "refs/heads/"+g.branch)
	if banded { // what hooks say after it, and so that they can end
		io.Copy(io.Discard, report.r)
	}
	var no *refusal
	if errors.As(err, &no) {
		no.words = words.String()
		return true, no
	}
	if err = t.explain(err); err != nil && words.Len() > 0 {
		return true, &refusal{reason: err.Error(), words: words.String()}
	}
	return true, err
}

// readReport reads what became of a push (gitprotocol-pack(5), report-status).
func readReport(p *packets, ref string) error {
	line, err := p.text()
	if err != nil {
		return err
	}
	unpacked, ok := strings.CutPrefix(line, "unpack ")
	if !ok {
		return fmt.Errorf("the host reports %q", printable(line, 100))
	}
	var result error = errors.New("the host does not say what became of the branch")
	for {
		line, kind, err := p.next()
		if err == io.EOF {
			err = errEnded
		}
		if err != nil {
			return err
		}
		if kind != packetData {
			break
		}
		text := strings.TrimSuffix(string(line), "\n")
		if text == "ok "+ref {
			result = nil
		} else if reason, ok := strings.CutPrefix(text, "ng "+ref+" "); ok {
			result = &refusal{reason: reason}
		}
	}
	if unpacked != "ok" {
		return &refusal{reason: "unpack: " + unpacked}
	}
	return result
}
