package site

import (
	"cmp"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// paragraphs cuts a description into its first line and what follows.
func paragraphs(s string) (summary string, rest []string) {
	summary, s, _ = strings.Cut(strings.TrimSpace(s), "\n")
	for _, p := range strings.Split(s, "\n\n") {
		if p = oneLine(p); p != "" {
			rest = append(rest, p)
		}
	}
	return oneLine(summary), rest
}

// command is the one-line installer; an empty channel is the default one.
func (in *Input) command(channel, name string) string {
	var options string
	if channel != "" && channel != in.Default {
		options += " --channel " + channel
	}
	if name != "" && len(in.Packages) > 1 {
		options += " --package " + name
	}
	line := fmt.Sprintf("curl -fsSL %s/install.sh | sh", in.URL)
	if options != "" {
		line += " -s --" + options
	}
	return line
}

// pageGuide shows a guide for one package, or where name is empty for the one
// that is called like the project, or the first.
func (in *Input) pageGuide(channel string, g *publish.Guide, name string) (PageGuide, bool) {
	l := in.list(channel, g.Client)
	if name != "" && !l.has[name] {
		return PageGuide{}, false
	}
	if name == "" && slices.Contains(l.usual, in.Name) {
		name = in.Name
	}
	if name == "" && len(l.usual)+len(l.deprecated) > 0 {
		name = slices.Concat(l.usual, l.deprecated)[0]
	}
	pg := PageGuide{Client: g.Client, Title: g.Title, Families: strings.Join(g.Families, " ")}
	lists := steps(g)
	for i, title := range []string{"Add the repository", "Install " + cmp.Or(name, "a package"), "Upgrade", "Remove", "Check that signatures are verified"} {
		if len(lists[i]) == 0 {
			continue
		}
		s := PageSection{Title: title}
		for _, step := range lists[i] {
			s.Steps = append(s.Steps, publish.Step{Text: step.Text, Command: withPackage(strings.Trim(step.Command, "\n"), cmp.Or(name, "PACKAGE"))})
		}
		if i < 2 {
			pg.Main = append(pg.Main, s)
		} else {
			pg.More = append(pg.More, s)
		}
	}
	return pg, true
}

// steps lists all steps of a guide.
func steps(g *publish.Guide) [5][]publish.Step {
	return [5][]publish.Step{g.Add, g.Install, g.Upgrade, g.Remove, g.Verify}
}

// pagePackage shows a package of which these are all channels.
func (in *Input) pagePackage(name, root string, packages []*Package) PagePackage {
	pp := PagePackage{Name: name}
	for _, channel := range in.Channels {
		for _, p := range packages {
			if p.Channel != channel {
				continue
			}
			summary, _ := paragraphs(p.Description)
			pp.Summary, pp.Deprecated = cmp.Or(pp.Summary, summary), cmp.Or(pp.Deprecated, p.Deprecated)
			pp.Notice = cmp.Or(pp.Notice, p.Notice)
			if channel == in.Default || pp.Latest == "" {
				pp.Latest = p.Latest
			}
			pp.Channels = append(pp.Channels, pageReleases(p, root))
		}
	}
	return pp
}

func pageReleases(p *Package, root string) PageReleases {
	r := PageReleases{Channel: p.Channel}
	for _, v := range p.Versions {
		pv := PageVersion{Version: v.Version, Time: date(v.Time), Notice: v.Notice, Latest: v.Version == p.Latest}
		seen := make(map[string]bool)
		for _, d := range v.Downloads {
			if seen[d.Path] {
				continue
			}
			seen[d.Path] = true
			pd := PageDownload{Label: cmp.Or(d.Label, d.Format), Format: d.Format, Arch: d.Arch, Name: path.Base(d.Path), Link: cmp.Or(d.URL, root+pathURL(d.Path)), Size: size(d.Size)}
			if d.SHA256 != (formats.Digest{}) {
				pd.SHA256 = d.SHA256.String()
			}
			pv.Downloads = append(pv.Downloads, pd)
		}
		r.Versions = append(r.Versions, pv)
	}
	for i := range r.Versions {
		if r.Versions[i].Latest {
			r.Latest = &r.Versions[i]
			break
		}
	}
	return r
}

func (in *Input) pageKey(k *Key, root string) PageKey {
	pk := PageKey{Name: k.Name, Kind: k.Kind, Algorithm: k.Algorithm, Fingerprint: k.Fingerprint, Link: root + pathURL(k.Path)}
	for s := k.Fingerprint; s != ""; s = s[4:] {
		pk.Groups = append(pk.Groups, s[:4])
	}
	get := "curl -fsSL " + in.URL + "/" + k.Path
	switch formats.Scheme(k.Kind) {
	case formats.OpenPGP, formats.OpenPGPArmor, formats.OpenPGPClear:
		pk.Kind, pk.Check = "OpenPGP", get+" | gpg --show-keys --with-fingerprint"
	case formats.RSA256:
		pk.Kind, pk.Check = "PEM", get+" | openssl pkey -pubin -outform DER | sha256sum | cut -c1-16"
	case formats.Usign:
		// After two lines and "Ed" come the eight bytes of the key's number.
		pk.Kind, pk.Check = "usign", get+" | tail -n 1 | base64 -d | od -An -tx1 -j2 -N8 | tr -d ' '"
	}
	return pk
}

// pathURL escapes a path for a link: + and ~ stand in names of packages.
func pathURL(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(parts[i]), "+", "%2B")
	}
	return strings.Join(parts, "/")
}

// size is n bytes as people read them.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000*1000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	case n < 1000*1000*1000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}
