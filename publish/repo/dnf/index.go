package dnf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// Streams are primary, filelists and other, in the order of repomd.xml. The root
// element opens in the head and closes in the tail: clients check neither length
// nor digest of the text, so a lost end shows only as XML that ends early.
func (r *Repo) Streams(partition string) []publish.Stream {
	stream := func(name, root, xmlns string, render func(*text, *publish.Record, string) error) publish.Stream {
		return publish.Stream{
			Name:  name,
			Forms: []publish.Form{r.form},
			Head: func(records int) []byte {
				return fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%s xmlns=\"http://linux.duke.edu/metadata/%s\" packages=\"%d\">\n", root, xmlns, records)
			},
			Page: func(recs []*publish.Record) ([]byte, error) {
				var t text
				for _, rec := range recs {
					if err := render(&t, rec, r.dir(partition)); err != nil {
						return nil, fmt.Errorf("%s: %w", rec.Path, err)
					}
				}
				return t, nil
			},
			Tail: []byte("</" + root + ">\n"),
		}
	}
	return []publish.Stream{
		stream("primary", "metadata", `common" xmlns:rpm="http://linux.duke.edu/metadata/rpm`, primary),
		stream("filelists", "filelists", "filelists", filelists),
		stream("other", "otherdata", "other", other),
	}
}

// primary renders a package's entry of primary.xml.
func primary(t *text, rec *publish.Record, dir string) error {
	m := &rec.Meta
	base, href := "", ""
	if rec.URL != "" {
		var err error
		if base, href, err = location(rec.URL); err != nil {
			return err
		}
	} else {
		var ok bool
		if href, ok = strings.CutPrefix(rec.Path, dir); !ok {
			return fmt.Errorf("the package does not lie below %s, and an index names nothing else: leave dnf's dirs as they were, or begin a new tree", dir)
		}
	}
	rels, err := parseRelations(m)
	if err != nil {
		return err
	}
	get := fieldsOf(m)
	t.raw("<package type=\"rpm\">\n")
	t.element("name", m.Name)
	t.element("arch", m.Arch)
	if err := t.version(get); err != nil {
		return err
	}
	t.raw(`<checksum type="sha256" pkgid="YES">` + rec.Ref.SHA256.String() + "</checksum>\n")
	for _, key := range [...]string{"summary", "description", "packager", "url"} {
		t.element(key, get[key])
	}
	numbers := make(map[string]string, 5)
	for _, key := range [...]string{"buildtime", "size", "archivesize", "headerstart", "headerend"} {
		if numbers[key], err = number(key, get[key]); err != nil {
			return err
		}
	}
	t.raw(`<time file="` + strconv.FormatInt(rec.Added, 10) + `" build="` + numbers["buildtime"] + "\"/>\n")
	t.raw(`<size package="` + strconv.FormatInt(rec.Ref.Size, 10) + `" installed="` + numbers["size"] + `" archive="` + numbers["archivesize"] + "\"/>\n")
	t.raw("<location")
	if base != "" {
		t.attr("xml:base", base)
	}
	t.attr("href", href)
	t.raw("/>\n<format>\n")
	for _, key := range [...]string{"license", "vendor", "group", "buildhost", "sourcerpm"} {
		t.element("rpm:"+key, get[key])
	}
	t.raw(`<rpm:header-range start="` + numbers["headerstart"] + `" end="` + numbers["headerend"] + "\"/>\n")
	for i, list := range rels {
		t.relations(relationKinds[i], list)
	}
	t.files(m, true)
	t.raw("</format>\n</package>\n")
	return nil
}

// fieldsOf returns the first value of each key; a header is asked for twenty.
func fieldsOf(m *formats.Meta) map[string]string {
	get := make(map[string]string, 24)
	for _, f := range m.Fields {
		if _, ok := get[f.Key]; !ok {
			get[f.Key] = f.Value
		}
	}
	return get
}

func (t *text) version(get map[string]string) error {
	epoch, err := number("epoch", get["epoch"])
	if err != nil {
		return err
	}
	t.raw(`<version epoch="` + epoch + `"`)
	t.attr("ver", get["version"])
	t.attr("rel", get["release"])
	t.raw("/>\n")
	return nil
}

func (t *text) relations(kind string, list []relation) {
	if len(list) == 0 {
		return
	}
	t.raw("<rpm:" + kind + ">\n")
	for _, r := range list {
		t.raw("<rpm:entry")
		t.attr("name", r.name)
		if r.flag != "" {
			t.raw(` flags="` + r.flag + `"`)
			if r.epoch != "" {
				t.attr("epoch", r.epoch)
			}
			if r.version != "" {
				t.attr("ver", r.version)
			}
			if r.release != "" {
				t.attr("rel", r.release)
			}
		}
		if r.pre && kind == "requires" {
			t.raw(` pre="1"`)
		}
		t.raw("/>\n")
	}
	t.raw("</rpm:" + kind + ">\n")
}

// files renders the paths of a package; onlyPrimary leaves out those that
// primary.xml does not list.
func (t *text) files(m *formats.Meta, onlyPrimary bool) {
	var ghosts map[string]bool
	if len(m.Ghosts) > 0 {
		ghosts = make(map[string]bool, len(m.Ghosts))
		for _, g := range m.Ghosts {
			ghosts[g] = true
		}
	}
	for _, f := range m.Files {
		path, isDir := strings.CutSuffix(f, "/")
		if onlyPrimary && !isPrimary(path) {
			continue
		}
		switch {
		case isDir:
			t.raw(`<file type="dir">`)
		case ghosts[f]:
			t.raw(`<file type="ghost">`)
		default:
			t.raw("<file>")
		}
		t.value(path)
		t.raw("</file>\n")
	}
}

// identity opens an entry of filelists.xml or other.xml.
func (t *text) identity(rec *publish.Record) error {
	t.raw(`<package pkgid="` + rec.Ref.SHA256.String() + `"`)
	t.attr("name", rec.Meta.Name)
	t.attr("arch", rec.Meta.Arch)
	t.raw(">\n")
	return t.version(fieldsOf(&rec.Meta))
}

// filelists renders a package's entry of filelists.xml.
func filelists(t *text, rec *publish.Record, _ string) error {
	if err := t.identity(rec); err != nil {
		return err
	}
	t.files(&rec.Meta, false)
	t.raw("</package>\n")
	return nil
}

// changes is how many changelog entries other.xml has of a package.
const changes = 10

// other renders a package's entry of other.xml: its newest changes, the oldest of
// them first.
func other(t *text, rec *publish.Record, _ string) error {
	if err := t.identity(rec); err != nil {
		return err
	}
	type change struct {
		time         int64
		author, text string
	}
	var list []change
	for _, value := range rec.Meta.All("changelog") {
		if len(list) == changes {
			break
		}
		col := strings.SplitN(value, "\t", 3)
		if len(col) != 3 {
			return fmt.Errorf("changelog: %q has %d columns, want 3", value, len(col))
		}
		at, err := strconv.ParseInt(col[0], 10, 64)
		if err != nil {
			return fmt.Errorf("changelog: time %q is not a number", col[0])
		}
		list = append(list, change{at, strings.TrimRight(col[1], " "), col[2]})
	}
	// Clients sort changes by time, so each of those of one day is a second
	// later than the one it followed.
	for i := len(list) - 1; i > 0; i-- {
		if list[i-1].time <= list[i].time && list[i-1].time >= list[i].time-changes {
			list[i-1].time = list[i].time + 1
		}
	}
	for i := len(list) - 1; i >= 0; i-- {
		t.raw("<changelog")
		t.attr("author", list[i].author)
		t.raw(` date="` + strconv.FormatInt(list[i].time, 10) + `">`)
		t.value(list[i].text)
		t.raw("</changelog>\n")
	}
	t.raw("</package>\n")
	return nil
}
