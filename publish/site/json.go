package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// List is install.json. Fields are only ever added; Version grows should one
// change its meaning.
type List struct {
	Version        int           `json:"version"`
	Name           string        `json:"name"`
	Title          string        `json:"title"`
	Description    string        `json:"description"`
	Homepage       string        `json:"homepage,omitempty"`
	License        string        `json:"license,omitempty"`
	URL            string        `json:"url"`
	Notice         string        `json:"notice,omitempty"`
	Time           time.Time     `json:"time"`
	Serial         int64         `json:"serial"`
	Script         string        `json:"script"`
	Command        string        `json:"command"`
	Badge          string        `json:"badge"`
	BadgeMarkdown  string        `json:"badge_markdown"`
	Counts         []ListCount   `json:"counts"`
	DefaultChannel string        `json:"default_channel"`
	Channels       []ListChannel `json:"channels"`
	Indexes        []ListIndex   `json:"indexes"` // by client, then channel; absent in lists of older programs
	Packages       []ListPackage `json:"packages"`
	Keys           []ListKey     `json:"keys"`
}

// ListCount is how many files of a format there are.
type ListCount struct {
	Format string `json:"format"`
	Files  int    `json:"files"`
}

// ListChannel is a channel and how its clients use it. In commands $PACKAGE
// stands for a package's name.
type ListChannel struct {
	Name    string       `json:"name"`
	Clients []ListClient `json:"clients"`
}

// ListClient is a publish.Guide.
type ListClient struct {
	Client   string     `json:"client"`
	Title    string     `json:"title"`
	Families []string   `json:"families"`       // words of ID and ID_LIKE in os-release(5)
	CPUs     []string   `json:"cpus,omitempty"` // of uname -m; absent: any
	Packages []string   `json:"packages"`
	Add      []ListStep `json:"add"`
	Install  []ListStep `json:"install"`
	Upgrade  []ListStep `json:"upgrade"`
	Remove   []ListStep `json:"remove"`
	Verify   []ListStep `json:"verify"`
	Files    []string   `json:"files,omitempty"` // addresses of static files: .sources, .repo
}

// ListStep is one command.
type ListStep struct {
	Text    string `json:"text,omitempty"`
	Command string `json:"command"`
}

// ListIndex is an index that clients of a channel are pointed at, whether packages
// are listed there or not. Several channels may have one. Homebrew's formulae are
// none: the commands name them.
type ListIndex struct {
	Client  string `json:"client"` // the repository's, as in ListDownload: zypper reads dnf's
	Channel string `json:"channel"`
	Arch    string `json:"arch,omitempty"` // the client's word for a CPU; absent: all
	Path    string `json:"path,omitempty"` // below the list's URL, as in publish.ClientIndex
	URL     string `json:"url,omitempty"`  // where it lies instead; there is no path then
}

// ListPackage is a package in one channel.
type ListPackage struct {
	Name        string        `json:"name"`
	Channel     string        `json:"channel"`
	Description string        `json:"description,omitempty"`
	Page        string        `json:"page"`
	Latest      string        `json:"latest"`
	Deprecated  string        `json:"deprecated,omitempty"`
	Notice      string        `json:"notice,omitempty"`
	Versions    []ListVersion `json:"versions"` // newest first
}

// ListVersion is one version of a package.
type ListVersion struct {
	Version   string         `json:"version"`
	Time      time.Time      `json:"time"`
	Notice    string         `json:"notice,omitempty"`
	Downloads []ListDownload `json:"downloads"`
}

// ListDownload is a file.
type ListDownload struct {
	Label  string         `json:"label,omitempty"`
	Client string         `json:"client,omitempty"`
	Format string         `json:"format"`
	Arch   string         `json:"arch"`
	URL    string         `json:"url"`
	Size   int64          `json:"size"`
	SHA256 formats.Digest `json:"sha256"`
}

// ListKey is a public key.
type ListKey struct {
	Name        string `json:"name"`
	Kind        string `json:"kind"`
	Algorithm   string `json:"algorithm,omitempty"`
	Fingerprint string `json:"fingerprint"`
	URL         string `json:"url"`
}

// ParseList reads an install.json. The packages are those that it was made of.
func ParseList(b []byte) (l *List, packages []Package, err error) {
	l = new(List)
	if err := json.Unmarshal(b, l); err != nil {
		return nil, nil, fmt.Errorf("install.json: %w", err)
	}
	if l.Version != 1 {
		return nil, nil, fmt.Errorf("install.json: version %d is unknown", l.Version)
	}
	for _, lp := range l.Packages {
		p := Package{Name: lp.Name, Channel: lp.Channel, Description: lp.Description, Latest: lp.Latest, Deprecated: lp.Deprecated, Notice: lp.Notice}
		for _, lv := range lp.Versions {
			v := Version{Version: lv.Version, Time: lv.Time, Notice: lv.Notice}
			for _, ld := range lv.Downloads {
				d := Download{Label: ld.Label, Client: ld.Client, Format: ld.Format, Arch: ld.Arch, Size: ld.Size, SHA256: ld.SHA256}
				if rest, ok := strings.CutPrefix(ld.URL, l.URL+"/"); !ok {
					d.URL = ld.URL
				} else if d.Path, err = url.PathUnescape(rest); err != nil {
					return nil, nil, fmt.Errorf("install.json: %w", err)
				}
				v.Downloads = append(v.Downloads, d)
			}
			p.Versions = append(p.Versions, v)
		}
		packages = append(packages, p)
	}
	return l, packages, nil
}

func renderJSON(in *Input) ([]byte, error) {
	l := List{
		Version: 1, Name: in.Name, Title: in.Title, Description: in.Description, Homepage: in.Homepage,
		License: in.License, URL: in.URL, Notice: in.Notice, Time: in.At.UTC(), Serial: in.Serial,
		Script: in.URL + "/install.sh", Command: in.command("", ""),
		Badge: in.URL + "/badge.svg", BadgeMarkdown: in.badgeMarkdown(),
		DefaultChannel: in.Default,
		Counts:         []ListCount{}, Channels: []ListChannel{}, Indexes: []ListIndex{}, Packages: []ListPackage{}, Keys: []ListKey{},
	}
	for _, c := range in.counts() {
		l.Counts = append(l.Counts, ListCount(c))
	}
	for _, name := range in.Channels {
		c := ListChannel{Name: name, Clients: []ListClient{}}
		for _, g := range in.Guides[name] {
			c.Clients = append(c.Clients, in.listClient(name, g))
		}
		l.Channels = append(l.Channels, c)
	}
	for _, x := range in.Indexes {
		l.Indexes = append(l.Indexes, ListIndex{x.Client, x.Channel, x.Arch, x.Path, x.URL})
	}
	for _, p := range in.Packages {
		l.Packages = append(l.Packages, in.listPackage(&p))
	}
	for _, k := range in.Keys {
		l.Keys = append(l.Keys, ListKey{k.Name, k.Kind, k.Algorithm, k.Fingerprint, in.URL + "/" + pathURL(k.Path)})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // commands are full of & and <, and nobody puts this into a page
	enc.SetIndent("", "  ")
	err := enc.Encode(l)
	return b.Bytes(), err
}

func (in *Input) listClient(channel string, g *publish.Guide) ListClient {
	usual, deprecated := in.names(channel, g.Client)
	c := ListClient{
		Client: g.Client, Title: g.Title, Families: append([]string{}, g.Families...), CPUs: g.CPUs,
		Packages: append(append([]string{}, usual...), deprecated...),
		Add:      listSteps(g.Add), Install: listSteps(g.Install), Upgrade: listSteps(g.Upgrade),
		Remove: listSteps(g.Remove), Verify: listSteps(g.Verify),
	}
	for _, f := range g.Files {
		c.Files = append(c.Files, in.URL+"/"+pathURL(f.Path))
	}
	return c
}

func (in *Input) listPackage(p *Package) ListPackage {
	lp := ListPackage{
		Name: p.Name, Channel: p.Channel, Description: p.Description, Latest: p.Latest,
		Page:       in.URL + "/packages/" + pathURL(p.Name) + "/",
		Deprecated: p.Deprecated, Notice: p.Notice, Versions: []ListVersion{},
	}
	for _, v := range p.Versions {
		lv := ListVersion{Version: v.Version, Time: v.Time.UTC(), Notice: v.Notice, Downloads: []ListDownload{}}
		for _, d := range v.Downloads {
			lv.Downloads = append(lv.Downloads, ListDownload{d.Label, d.Client, d.Format, d.Arch, d.address(in.URL), d.Size, d.SHA256})
		}
		lp.Versions = append(lp.Versions, lv)
	}
	return lp
}

func listSteps(steps []publish.Step) []ListStep {
	list := []ListStep{}
	for _, s := range steps {
		list = append(list, ListStep{s.Text, s.Command})
	}
	return list
}
