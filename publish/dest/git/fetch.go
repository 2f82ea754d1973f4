package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// wanted is what to fetch.
type wanted struct {
	object id
	folder bool // a commit, of which the trees alone are wanted
	full   bool // a commit with everything
	have   id   // a commit whose objects are here; zero: none
}

// errGone says that a host does not give an object by its id, be it that it has
// none or that it gives only what a branch begins with.
var errGone = errors.New("the host does not give this object")

// begin starts to talk to the host about what it has.
func (g *Git) begin(ctx context.Context) (talk, *advert, error) {
	t, err := g.talk(ctx, uploadPack)
	if err != nil {
		return nil, nil, err
	}
	if g.link.stateless() {
		g.mu.Lock()
		a := g.offer
		g.mu.Unlock()
		if a != nil {
			return t, a, nil
		}
	}
	a, err := t.advert(g.branch)
	if err != nil {
		err = t.explain(err)
		t.Close()
		return nil, nil, err
	}
	if a.version == 2 { // the other versions' names the branches, which change
		g.mu.Lock()
		g.offer = a
		g.mu.Unlock()
	}
	return t, a, nil
}

// tip asks for the commit at the branch's end; zero where there is no branch.
func (g *Git) tip(ctx context.Context) (tip id, err error) {
	err = again(ctx, func() error {
		t, a, err := g.begin(ctx)
		if err != nil {
			return err
		}
		defer t.Close()
		if a.version != 2 {
			tip = a.tip
			return nil
		}
		tip, err = listed(t, a, g.branch)
		return t.explain(err)
	})
	return tip, err
}

// listed asks for one branch (gitprotocol-v2(5), ls-refs).
func listed(t talk, a *advert, branch string) (tip id, err error) {
	var b []byte
	b = appendCommand(b, a, "ls-refs")
	b = append(b, "0001"...)
	b = appendLine(b, "ref-prefix refs/heads/%s\n", branch)
	b = append(b, "0000"...)
	p, err := t.ask(func(w io.Writer) error { _, err := w.Write(b); return err })
	if err != nil {
		return id{}, err
	}
	for {
		line, kind, err := p.next()
		if err == io.EOF {
			return id{}, errEnded
		}
		if err != nil {
			return id{}, err
		}
		if kind != packetData {
			return tip, nil
		}
		hash, name, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		if name, _, _ = strings.Cut(name, " "); name == "refs/heads/"+branch {
			if tip, err = parseID(hash); err != nil {
				return id{}, err
			}
		}
	}
}

func appendCommand(b []byte, a *advert, command string) []byte {
	b = appendLine(b, "command=%s\n", command)
	b = appendLine(b, "agent=%s\n", agent)
	if a.has("object-format") {
		b = appendLine(b, "object-format=sha1\n")
	}
	return b
}

// offers tells whether the host can do something about fetching.
func (a *advert) offers(feature string) bool {
	if a.version == 2 {
		return slices.Contains(strings.Fields(a.caps["fetch"]), feature)
	}
	return a.has(feature)
}

// fetch asks for a pack, which take reads to its end. Where an answer ends early
// it is asked for once more.
func (g *Git) fetch(ctx context.Context, w wanted, take func(io.Reader) error) error {
	return again(ctx, func() error {
		t, a, err := g.begin(ctx)
		if err != nil {
			return err
		}
		defer t.Close()
		err = fetchPack(t, a, w, take)
		var said *hostError
		if errors.As(err, &said) && (strings.Contains(said.words, "not our ref") || strings.Contains(said.words, "unadvertised object") || strings.Contains(said.words, "want not valid")) {
			return fmt.Errorf("%w, %s: %w", errGone, w.object, err)
		}
		if err = t.explain(err); err != nil && a.version != 2 && !w.folder && !w.full && strings.Contains(err.Error(), "not our ref") {
			return fmt.Errorf("%w, %s: %w", errGone, w.object, err)
		}
		return err
	})
}

// again calls f once more where an answer ended early.
func again(ctx context.Context, f func() error) error {
	err := f()
	if errors.Is(err, errEnded) && ctx.Err() == nil {
		err = f()
	}
	return err
}

func fetchPack(t talk, a *advert, w wanted, take func(io.Reader) error) error {
	shallow := (w.folder || w.full) && a.offers("shallow")
	var b []byte
	if a.version == 2 {
		b = appendCommand(b, a, "fetch")
		b = append(b, "0001"...)
		b = appendLine(b, "no-progress\n")
		b = appendLine(b, "ofs-delta\n")
		if !w.have.isZero() {
			// Without it git leaves out nothing that a commit without parents shares
			// with the one that is here.
			b = appendLine(b, "thin-pack\n")
		}
		b = appendLine(b, "want %s\n", w.object)
		if shallow && !w.have.isZero() {
			b = appendLine(b, "shallow %s\n", w.have)
		}
		if shallow {
			b = appendLine(b, "deepen 1\n")
		}
		if w.folder {
			b = appendLine(b, "filter blob:none\n")
		}
		if !w.have.isZero() {
			b = appendLine(b, "have %s\n", w.have)
		}
		b = appendLine(b, "done\n")
		b = append(b, "0000"...)
	} else {
		if !a.has("side-band-64k") {
			return errors.New("the host's git is too old (it lacks side-band-64k): update it")
		}
		caps := "side-band-64k no-progress"
		if a.has("ofs-delta") {
			caps += " ofs-delta"
		}
		if w.folder {
			caps += " filter"
		}
		if a.has("agent") {
			caps += " agent=" + agent
		}
		b = appendLine(b, "want %s %s\n", w.object, caps)
		if shallow {
			b = appendLine(b, "deepen 1\n")
		}
		if w.folder {
			b = appendLine(b, "filter blob:none\n")
		}
		b = append(b, "0000"...)
		b = appendLine(b, "done\n")
	}
	p, err := t.ask(func(out io.Writer) error { _, err := out.Write(b); return err })
	if err != nil {
		return err
	}
	if a.version == 2 {
		err = skipSections(p)
	} else {
		err = skipAnswers(p, shallow)
	}
	if err != nil {
		return err
	}
	return take(&sideband{p: p, words: &strings.Builder{}})
}

// skipSections reads up to the pack in an answer of version 2.
func skipSections(p *packets) error {
	for {
		line, kind, err := p.next()
		if err == io.EOF {
			return errEnded
		}
		if err != nil {
			return err
		}
		if kind == packetFlush || kind == packetEnd {
			return errors.New("the host sends no pack")
		}
		if kind == packetData && strings.TrimSuffix(string(line), "\n") == "packfile" {
			return nil
		}
	}
}

// skipAnswers reads up to the pack in an answer of the older versions.
func skipAnswers(p *packets, shallow bool) error {
	for shallow {
		_, kind, err := p.next()
		if err == io.EOF {
			return errEnded
		}
		if err != nil {
			return err
		}
		shallow = kind != packetFlush
	}
	line, err := p.text()
	if err == nil && line != "NAK" {
		err = fmt.Errorf("the host answers %q where NAK was expected", printable(line, 80))
	}
	return err
}
