package config

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// linuxFormats are the package formats of Linux distributions, whose packages
// have a maintainer, relations and overrides.
var linuxFormats = []string{"deb", "rpm", "arch", "apk", "ipk"}

func isLinux(format string) bool { return slices.Contains(linuxFormats, format) }

// defaultFormats are the formats of a package that names none.
func (o *Options) defaultFormats() []string {
	var names []string
	for _, k := range o.Formats {
		if isLinux(k.Name) || k.Name == "tar.gz" {
			names = append(names, k.Name)
		}
	}
	return names
}

// fill puts the documented defaults where the file said nothing.
func (p *Project) fill(o *Options) {
	p.Title = cmp.Or(p.Title, p.Project)
	p.Section = cmp.Or(p.Section, "utils")
	p.Priority = cmp.Or(p.Priority, "optional")
	p.Release = cmp.Or(p.Release, "1")
	p.Limits.File = cmp.Or(p.Limits.File, 2<<30)
	p.Limits.Files = cmp.Or(p.Limits.Files, 200_000)
	if p.Versions == nil {
		p.Versions = make(map[string]Extractor)
	}
	if _, ok := p.Versions["tag"]; !ok {
		p.Versions["tag"] = Extractor{Tag: "^v?(.+)$"}
	}
	if len(p.Channels) == 0 {
		p.Channels = Channels{{Name: "stable"}}
	}
	for i := range p.Channels {
		c := &p.Channels[i]
		c.Tags = cmp.Or(c.Tags, "v*")
		c.Version = cmp.Or(c.Version, "tag")
	}
	if len(p.Platforms) == 0 {
		p.Platforms = []formats.Platform{{OS: "linux", Arch: "amd64"}}
	}
	for i := range p.Packages {
		p.Packages[i].fill(p, o)
	}
	for i := range p.Publish {
		p.Publish[i].fill(p, o)
	}
}

// placed reports whether a site's tree lies elsewhere than in a folder.
func (o *Options) placed(s *Site) bool {
	return slices.ContainsFunc(o.Places, func(k publish.DestinationKind) bool { _, ok := s.Options[k.Name]; return ok })
}

func (k *Package) fill(p *Project, o *Options) {
	k.Name = cmp.Or(k.Name, p.Project)
	k.Description = cmp.Or(k.Description, p.Description)
	k.Homepage = cmp.Or(k.Homepage, p.Homepage)
	k.License = cmp.Or(k.License, p.License)
	k.Maintainer = cmp.Or(k.Maintainer, p.Maintainer)
	k.Section = cmp.Or(k.Section, p.Section)
	k.Priority = cmp.Or(k.Priority, p.Priority)
	k.Release = cmp.Or(k.Release, p.Release)
	if len(k.Formats) == 0 {
		k.Formats = o.defaultFormats()
	}
	if len(k.Platforms) == 0 {
		k.Platforms = slices.Clone(p.Platforms)
	}
	for i := range k.Contents {
		c := &k.Contents[i]
		c.Type = cmp.Or(c.Type, "file")
		c.Mode = cmp.Or(c.Mode, c.FileInfo.Mode)
		c.Owner = cmp.Or(c.Owner, c.FileInfo.Owner, "root")
		c.Group = cmp.Or(c.Group, c.FileInfo.Group, "root")
	}
	yes := true
	for i := range k.Services {
		s := &k.Services[i]
		s.Enable = cmp.Or(s.Enable, &yes)
		s.Start = cmp.Or(s.Start, &yes)
	}
}

func (s *Site) fill(p *Project, o *Options) {
	s.Name = cmp.Or(s.Name, clientName(p.Project))
	s.Title = cmp.Or(s.Title, p.Title)
	if s.Dir = cmp.Or(s.Dir, "dist/"+s.Site); o.placed(s) {
		s.Dir = ""
	} else {
		s.Dir = path.Clean(s.Dir)
	}
	s.URL = strings.TrimRight(s.URL, "/")
	s.Keep.Grace = cmp.Or(s.Keep.Grace, Duration(24*time.Hour))
	if s.Clients == nil {
		for _, k := range o.Clients {
			s.Clients = append(s.Clients, k.Name)
		}
	}
	if len(s.Channels) == 0 {
		for _, c := range p.Channels {
			s.Channels = append(s.Channels, c.Name)
		}
	}
}

// clientName makes a project's name one that clients take: "g++" is "g", "a.b"
// is "a-b".
func clientName(project string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r == '.' || r == '+' {
			return '-'
		}
		return r
	}, project), "-")
}
