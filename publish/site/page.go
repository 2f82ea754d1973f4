package site

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/publish"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string
	//go:embed page.js
	pageScript string
)

// Page is what a template gets.
type Page struct {
	Root string // the way to the top of the tree: "./", "../../"

	Name, Title, Initial string
	Summary              string   // the first line of the description
	Paragraphs           []string // the rest of it
	Homepage, License    string
	URL, Notice          string
	Released             Date
	Version              string // "" where packages differ
	Command, Wget        string // the one-line installers
	Script               template.JS
	Style                template.CSS
	Policy               string // the Content-Security-Policy for Style and Script
	Channels             []PageChannel
	Packages             []PagePackage // one per name; on the page of one package that one alone
	Package              *PagePackage  // on the page of one package
	Keys                 []PageKey
	Counts               []Count
	Badge                template.HTML // the badge as SVG
	BadgeMarkdown        string
}

// PageChannel is a channel with its guides.
type PageChannel struct {
	Name    string
	ID      string // unique in the page
	Default bool
	Command string // the one-line installer
	Guides  []PageGuide
}

// PageGuide is how one client installs.
type PageGuide struct {
	ID       string
	Client   string
	Title    string
	Families string
	First    bool
	Main     []PageSection // what everybody needs
	More     []PageSection // upgrade, remove, verify
}

// PageSection is a titled list of steps.
type PageSection struct {
	Title string
	Steps []publish.Step
}

// PagePackage is a package in all its channels.
type PagePackage struct {
	Name, Summary string
	Latest        string // in the first channel that has it
	Deprecated    string
	Notice        string
	Channels      []PageReleases
}

// PageReleases is what a channel has of a package.
type PageReleases struct {
	Channel  string
	Latest   *PageVersion // nil if there is none
	Versions []PageVersion
}

// PageVersion is one version.
type PageVersion struct {
	Version   string
	Time      Date
	Notice    string
	Latest    bool
	Downloads []PageDownload
}

// PageDownload is one file.
type PageDownload struct {
	Label, Format, Arch string
	Name                string // the file's
	Link                string // from the page
	Size                string
	SHA256              string
}

// PageKey is a public key.
type PageKey struct {
	Name, Kind, Algorithm string
	Groups                []string // the fingerprint, four digits each
	Fingerprint           string
	Link                  string
	Check                 string // a command that prints the fingerprint of the served key
}

// Date is a day to read and a moment for programs; the zero Date is unknown.
type Date struct{ Day, ISO string }

func date(t time.Time) Date {
	if t.IsZero() {
		return Date{}
	}
	return Date{t.UTC().Format("2 January 2006"), t.UTC().Format(time.RFC3339)}
}

func renderPages(in *Input) ([]publish.File, error) {
	text := cmp.Or(in.Template, pageText)
	tmpl, err := template.New("page").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	names, byName := in.byName()
	index := newPage(in, "./", names, byName, false)
	b, err := execute(tmpl, index)
	if err != nil {
		return nil, err
	}
	files := []publish.File{file("index.html", b)}
	for _, name := range names {
		path := "packages/" + name + "/index.html"
		if in.Known != nil && !slices.ContainsFunc(byName[name], func(p *Package) bool { return !p.Same }) {
			if f, ok := in.Known(path); ok {
				files = append(files, f)
				continue
			}
		}
		page := newPage(in, "../../", []string{name}, byName, true)
		b, err := execute(tmpl, page)
		if err != nil {
			return nil, fmt.Errorf("page of package %q: %w", name, err)
		}
		files = append(files, file(path, b))
	}
	return files, nil
}

// Revision changes whenever pages of the same Input would come out otherwise than
// by another version of this program.
var Revision = func() string {
	h := sha256.New()
	for _, text := range []string{"1", pageText, pageStyle, pageScript, scriptTables, scriptMain} {
		fmt.Fprintf(h, "%d %s", len(text), text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}()

// released is when the latest version came; tree's date where that is not known.
func (p *PagePackage) released(tree Date) Date {
	for _, c := range p.Channels {
		if c.Latest != nil && c.Latest.Version == p.Latest && c.Latest.Time != (Date{}) {
			return c.Latest.Time
		}
	}
	return tree
}

func execute(tmpl *template.Template, p *Page) ([]byte, error) {
	var b bytes.Buffer
	if err := tmpl.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("template: %w", err)
	}
	return b.Bytes(), nil
}

// byName lists the names of packages in order, and each one's channels.
func (in *Input) byName() (names []string, packages map[string][]*Package) {
	packages = make(map[string][]*Package)
	for i := range in.Packages {
		p := &in.Packages[i]
		if len(packages[p.Name]) == 0 {
			names = append(names, p.Name)
		}
		packages[p.Name] = append(packages[p.Name], p)
	}
	return names, packages
}

// newPage fills the page of all packages, or of the one that names has. The page
// of a package says nothing of the tree, so that a publish changes those of its
// own packages only.
func newPage(in *Input, root string, names []string, byName map[string][]*Package, one bool) *Page {
	p := &Page{
		Root: root, Name: in.Name, Title: in.Title, Homepage: in.Homepage, License: in.License,
		Initial: strings.ToUpper(string([]rune(in.Title)[:1])),
		URL:     in.URL, Notice: in.Notice, Released: date(in.At),
	}
	p.Summary, p.Paragraphs = paragraphs(in.Description)
	for _, name := range names {
		p.Packages = append(p.Packages, in.pagePackage(name, root, byName[name]))
	}
	only := ""
	if one {
		only = names[0]
		p.Package = &p.Packages[0]
		p.Version, p.Released = p.Package.Latest, p.Package.released(p.Released)
	} else {
		p.Version, p.Counts, p.Badge, p.BadgeMarkdown = in.version(), in.counts(), template.HTML(renderBadge(in)), in.badgeMarkdown()
	}
	p.Command = in.command("", only)
	p.Wget = strings.Replace(p.Command, "curl -fsSL", "wget -qO-", 1)
	most := 0
	for i, c := range in.Channels {
		pc := PageChannel{Name: c, ID: fmt.Sprintf("channel-%d", i+1), Default: c == in.Default, Command: in.command(c, only)}
		for j, g := range in.Guides[c] {
			if pg, ok := in.pageGuide(c, g, only); ok {
				pg.ID = fmt.Sprintf("%s-%d-%d", g.Client, i+1, j+1)
				pg.First = len(pc.Guides) == 0
				pc.Guides = append(pc.Guides, pg)
			}
		}
		if len(pc.Guides) > 0 || p.Package == nil {
			p.Channels = append(p.Channels, pc)
		}
		most = max(most, len(pc.Guides))
	}
	// A package that the default channel lacks is shown in the first that has it.
	if !slices.ContainsFunc(p.Channels, func(c PageChannel) bool { return c.Default }) && len(p.Channels) > 0 {
		p.Channels[0].Default = true
		p.Command = p.Channels[0].Command
	}
	for _, k := range in.Keys {
		p.Keys = append(p.Keys, in.pageKey(&k, root))
	}
	p.Style = template.CSS(pageStyle + tabRules(max(most, len(in.Channels))))
	p.Script = template.JS(pageScript)
	p.Policy = fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; img-src data:; base-uri 'none'; form-action 'none'",
		sourceHash(string(p.Style)), sourceHash(string(p.Script)))
	return p
}

// sourceHash is how a Content-Security-Policy allows an inline element.
func sourceHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// tabRules ties the nth radio button of a group to its label and panel, so that
// tabs work without a script.
func tabRules(n int) string {
	var b strings.Builder
	rule := func(parts string, declarations string) {
		for i := 1; i <= n; i++ {
			if i > 1 {
				b.WriteString(",\n")
			}
			b.WriteString(strings.ReplaceAll(parts, "N", fmt.Sprint(i)))
		}
		fmt.Fprintf(&b, " { %s }\n", declarations)
	}
	if n > 0 {
		rule(".tabs > input:nth-of-type(N):checked ~ .panels > :nth-child(N)", "display: block")
		rule(".tabs > input:nth-of-type(N):checked ~ .labels > :nth-child(N)", "background: var(--on); border-color: var(--accent); color: var(--text)")
		rule(".tabs > input:nth-of-type(N):focus-visible ~ .labels > :nth-child(N)", "outline: 3px solid var(--focus); outline-offset: 2px")
	}
	return b.String()
}
