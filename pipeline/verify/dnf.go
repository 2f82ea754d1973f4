package verify

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"
)

// repomd is what matters of repomd.xml. See
// https://en.opensuse.org/openSUSE:Standards_Rpm_Metadata.
type repomd struct {
	XMLName  xml.Name `xml:"repomd"`
	Revision string   `xml:"revision"`
	Data     []struct {
		Type     string   `xml:"type,attr"`
		Checksum checksum `xml:"checksum"`
		Open     checksum `xml:"open-checksum"`
		Location struct {
			Href string `xml:"href,attr"`
			Base string `xml:"base,attr"`
		} `xml:"location"`
		Size     string `xml:"size"`
		OpenSize string `xml:"open-size"`
	} `xml:"data"`
}

type checksum struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

// want puts a digest and a size together; both may be absent.
func (c checksum) want(size string) (w want, err error) {
	w.size = -1
	if c.Text = strings.TrimSpace(c.Text); c.Text != "" {
		if w.sum, err = makeSum(c.Type, c.Text); err != nil {
			return w, err
		}
	}
	if size = strings.TrimSpace(size); size != "" {
		n, err := strconv.ParseUint(size, 10, 62)
		if err != nil {
			return w, fmt.Errorf("size %.40q is not a number", size)
		}
		w.size = int64(n)
	}
	return w, nil
}

// dnf looks at an rpm-md repository as dnf and zypper do.
func (r *run) dnf(ctx context.Context, t *target) {
	name := path.Join(t.Path, "repodata/repomd.xml")
	text, err := r.get(ctx, t, name, maxPointer)
	if err != nil {
		r.lost(t, Error, name, err)
		return
	}
	sig, err := r.get(ctx, t, name+".asc", maxSmall)
	switch {
	case isMissing(err):
		r.add(t, Warning, name, "unsigned", "there is no repomd.xml.asc: clients with repo_gpgcheck=1 refuse the repository, others take whatever a mirror serves")
	case err != nil:
		r.lost(t, Error, name+".asc", err)
		return
	default:
		if !r.signature(t, name+".asc", "repomd.xml", text, sig, func() document { return r.repomdIsSound(ctx, t, text) }) && !r.trust.ring.Empty() {
			return
		}
	}
	var md repomd
	if err := xml.Unmarshal(text, &md); err != nil {
		r.add(t, Error, name, "index", "it can't be read: %v", err)
		return
	}
	t.Date = md.time()
	r.rpmData(ctx, t, name, &md)
}

// time is when repomd.xml says it was made, if its revision is a time.
func (md *repomd) time() time.Time {
	n, err := strconv.ParseInt(strings.TrimSpace(md.Revision), 10, 64)
	if err != nil || n < 1e9 || n > 1e11 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// repomdIsSound looks at the indexes without noting anything.
func (r *run) repomdIsSound(ctx context.Context, t *target, text []byte) document {
	var md repomd
	if xml.Unmarshal(text, &md) != nil || len(md.Data) == 0 {
		return document{}
	}
	quiet := &run{Options: r.Options, log: &log{}, trust: r.trust}
	quiet.rpmData(ctx, &target{ClientReport: ClientReport{Client: t.Client, Path: t.Path}}, path.Join(t.Path, "repodata/repomd.xml"), &md)
	return document{sound: len(quiet.found) == 0, time: md.time()}
}

// rpmData looks at the indexes that repomd.xml names.
func (r *run) rpmData(ctx context.Context, t *target, index string, md *repomd) {
	counts := make(map[string]int)
	named := false // primary
	for _, d := range md.Data {
		named = named || d.Type == "primary"
		w, err := d.Checksum.want(d.Size)
		open, err2 := d.Open.want(d.OpenSize)
		if err := errors.Join(err, err2); err != nil {
			r.add(t, Error, index, "index", "its entry %.40q can't be read: %v", d.Type, err)
			continue
		}
		if w.algorithm == "" {
			r.add(t, Error, index, "index", "its entry %.40q has no checksum", d.Type)
			continue
		}
		if d.Location.Base != "" {
			r.add(t, Note, index, "outside", "its entry %.40q lies outside the tree and was not looked at", d.Type)
			continue
		}
		name, ok := r.place(t, index, t.Path, d.Location.Href)
		if !ok {
			continue
		}
		if w.weak() {
			r.add(t, Warning, name, "weak-hash", "repomd.xml lists it by %s: clients do not take that for proof", strings.ToUpper(w.algorithm))
		}
		var parse func(io.Reader) error
		l := &rpmList{run: &run{Options: r.Options, log: &log{}, see: r.see}, t: t, index: name, stated: -1}
		switch d.Type {
		case "primary", "filelists", "other":
			l.primary = d.Type == "primary"
			parse = l.parse
		}
		got, err := r.index(ctx, t, name, w, open, fixed, parse)
		if err != nil {
			r.lost(t, Error, name, err)
			continue
		}
		t.addIndex(r)
		if strings.HasSuffix(name, ".zck") { // its header has a digest of its own; it is not unpacked here
			open, got.broken = want{size: -1}, nil
		}
		if !r.judge(t, name, got, w, open) || parse == nil {
			continue
		}
		for _, f := range l.found {
			r.put(f)
		}
		if l.stated != l.n {
			r.add(t, Error, name, "count", "it says it has %d packages, there are %d", l.stated, l.n)
		}
		counts[d.Type] = l.n
		r.need(t, l.items...)
	}
	n, ok := counts["primary"]
	for _, other := range []string{"filelists", "other"} {
		if m, there := counts[other]; ok && there && m != n {
			r.add(t, Error, index, "count", "primary lists %d packages, %s %d", n, other, m)
		}
	}
	if !named {
		r.add(t, Error, index, "index", "it names no index primary")
	}
}

// rpmList reads primary, filelists or other.
type rpmList struct {
	*run
	t       *target
	index   string
	primary bool
	stated  int // the number of packages that the root element says
	n       int
	items   []*item
	seen    twice
}

// rpmEntry is one package of primary.
type rpmEntry struct {
	name, arch, epoch, version, release string
	checksum                            checksum
	size, href, base                    string
}

func (l *rpmList) parse(text io.Reader) error {
	s := newScanner(text)
	var e rpmEntry
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t := &s.tag
		switch {
		case s.depth == 1 && !t.end && l.stated < 0:
			n, err := strconv.ParseUint(t.attr("packages"), 10, 31)
			if err != nil {
				return fmt.Errorf("its root says %.40q packages, which is not a number", t.attr("packages"))
			}
			l.stated = int(n)
		case s.depth == 1 && (t.end || t.empty) && string(t.name) == "package":
			if l.n++; l.n > l.MaxPackages {
				return tooMany(l.MaxPackages)
			}
			if l.primary {
				if err := l.add(&e); err != nil {
					return fmt.Errorf("package %.100q: %w", e.name, err)
				}
			}
			e = rpmEntry{}
		case l.primary && (s.depth == 3 && !t.end || s.depth == 2):
			e.set(s)
		}
	}
}

// set takes a child of a package: at its start, or its end where its text counts.
func (e *rpmEntry) set(s *scanner) {
	t := &s.tag
	switch string(t.name) {
	case "name":
		if t.end {
			e.name = unescape(s.text)
		}
	case "arch":
		if t.end {
			e.arch = unescape(s.text)
		}
	case "checksum":
		if t.end {
			e.checksum.Text = unescape(s.text)
		} else {
			e.checksum.Type = t.attr("type")
		}
	case "version":
		if !t.end {
			e.epoch, e.version, e.release = t.attr("epoch"), t.attr("ver"), t.attr("rel")
		}
	case "size":
		if !t.end {
			e.size = t.attr("package")
		}
	case "location":
		if !t.end {
			e.href, e.base = t.attr("href"), t.attr("xml:base")
		}
	}
}

func (l *rpmList) add(e *rpmEntry) error {
	w, err := e.checksum.want(e.size)
	switch {
	case err != nil:
		return err
	case w.algorithm == "":
		return errors.New("it has no checksum")
	case e.name == "":
		return errors.New("it has no name")
	case e.version == "":
		return errors.New("it has no version")
	case e.href == "":
		return errors.New("it has no location")
	}
	version := e.version + "-" + e.release
	if e.epoch != "" && e.epoch != "0" {
		version = e.epoch + ":" + version
	}
	if l.see != nil {
		l.see(l.t, e.name, version)
	}
	id := strings.Join([]string{e.name, version, e.arch}, " ")
	if again, differ := l.seen.add(id, w.hex); again {
		l.listedTwice(l.t, l.index, id, differ)
	}
	if w.weak() {
		l.run.add(l.t, Warning, l.index, "weak-hash", "package %.100s has no digest better than %s", e.name, strings.ToUpper(w.algorithm))
	}
	if e.base != "" {
		it := &item{want: w, kind: rpmFile}
		if it.path, it.address, err = outside(strings.TrimRight(e.base, "/") + "/" + e.href); err != nil {
			return err
		}
		l.items = append(l.items, it)
		return nil
	}
	name, ok := l.place(l.t, l.index, l.t.Path, e.href)
	if ok {
		l.items = append(l.items, &item{path: name, kind: rpmFile, want: w})
	}
	return nil
}
