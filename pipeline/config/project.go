// Package config reads distropack.yml.
//
// All mistakes of a file are reported at once, each with file:line:col, the path
// of the value and a hint. Unknown keys are mistakes. ${VAR} is replaced in every
// scalar from the environment the caller hands in; nothing else is read from
// outside. The tags doc and enum feed the JSON Schema and docs/config.md.
package config

import (
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Project is a whole distropack.yml.
type Project struct {
	Version     int                  `yaml:"version" doc:"The version of this file's format: 1."`
	Project     string               `yaml:"project" doc:"The project's name: lower-case letters, digits and - . +; repositories and the install page are named after it."`
	Title       string               `yaml:"title" doc:"The name as people write it; the project's name where absent."`
	Description string               `yaml:"description" doc:"What the project does. The first line is the summary."`
	Homepage    string               `yaml:"homepage" doc:"The project's page, http or https."`
	License     string               `yaml:"license" doc:"An SPDX expression. Never guessed."`
	Maintainer  string               `yaml:"maintainer" doc:"Name <mail> of who answers for the packages."`
	Vendor      string               `yaml:"vendor" doc:"The organisation behind the packages."`
	Section     string               `yaml:"section" doc:"Debian's section; utils where absent."`
	Priority    string               `yaml:"priority" doc:"Debian's priority; optional where absent."`
	Changelog   string               `yaml:"changelog" doc:"A file with the changes: Markdown with a heading per version (keepachangelog.com)."`
	Release     string               `yaml:"release" doc:"The package release, for rebuilds of one version; 1 where absent."`
	Versions    map[string]Extractor `yaml:"versions" doc:"Named ways to find the version; a channel selects one. tag is always there."`
	Channels    Channels             `yaml:"channels" doc:"Channels by name, and which tags go there. One named stable, for all tags without a pre-release, where absent."`
	Platforms   []formats.Platform   `yaml:"platforms" doc:"os/arch of what is packaged; linux/amd64 where absent. noarch packages need no platform of their own."`
	Sources     map[string]Source    `yaml:"sources" doc:"Named slots that files come from. src: \"slot:path\" takes from one."`
	Ignore      []string             `yaml:"ignore" doc:"Patterns of files that never reach a package, beside .git, .env and node_modules."`
	Limits      Limits               `yaml:"limits" doc:"Bounds on what is taken in."`
	Packages    []Package            `yaml:"packages" doc:"The packages made of one release."`
	Publish     []Site               `yaml:"publish" doc:"Where the release is published."`
	GitHub      *GitHub              `yaml:"github" doc:"The GitHub release that the packages are attached to; none where absent."`
	Signing     Signing              `yaml:"signing" doc:"The keys packages and indexes are signed with."`

	Sum  formats.Digest `yaml:"-"` // of all values, with what variables stand for: another one means another configuration
	File string         `yaml:"-"` // the name errors carry
	Dir  string         `yaml:"-"` // the folder of the file inside the project, "." for its root: paths are relative to it
}

// Channels keeps the order of the file.
type Channels []Channel

// Channel is one stream of releases that people subscribe to.
type Channel struct {
	Name        string `yaml:"-"`
	Tags        string `yaml:"tags" doc:"A pattern of tags: v* where absent. * matches any text."`
	Prereleases bool   `yaml:"prereleases" doc:"Takes versions with a pre-release part too."`
	Version     string `yaml:"version" doc:"The name of the version extractor; tag where absent."`
	Pos         Pos    `yaml:"-"`
}

// Extractor is one way to find a version; exactly one of its fields is set.
type Extractor struct {
	Tag     string `yaml:"tag" doc:"A regular expression on the tag; group 1 is the version. An optional v is cut off where absent."`
	File    string `yaml:"file" doc:"A file in which regex is searched."`
	Regex   string `yaml:"regex" doc:"With file: group 1 over the whole file is the version."`
	Command string `yaml:"command" doc:"A shell command in the project's folder that prints the version."`
	Value   string `yaml:"value" doc:"A constant."`
	Commit  bool   `yaml:"commit" doc:"0.0.0 followed by the commit's time and hash: for snapshots."`
	Pos     Pos    `yaml:"-"`
}

// Source fills one slot; exactly one of its kinds is set.
type Source struct {
	Files      string `yaml:"files" doc:"A folder of the project. {os} {arch} {variant} {platform} {version} {tag} are replaced."`
	Assets     string `yaml:"assets" doc:"A pattern of assets of the release; archives are unpacked."`
	GoReleaser string `yaml:"goreleaser" doc:"GoReleaser's dist/artifacts.json: binaries by platform."`
	Command    string `yaml:"command" doc:"A shell command, run for each platform with GOOS, GOARCH, GOARM, VERSION and OUT set; it writes into $OUT."`
	PackageDir string `yaml:"package-dir" doc:"A package directory: assets, manifest.yaml, scripts."`
	Optional   bool   `yaml:"optional" doc:"The slot may stay empty."`
	Pos        Pos    `yaml:"-"`
}

// Limits bounds input.
type Limits struct {
	File  Bytes `yaml:"file" doc:"The largest file taken into a package; 2GiB where absent."`
	Files int   `yaml:"files" doc:"The most files in one package; 200000 where absent."`
}

// Package is one package in all its formats. The words for contents, scripts and
// relations are nFPM's.
type Package struct {
	Name        string             `yaml:"name" doc:"The package's name; the project's where absent."`
	Description string             `yaml:"description" doc:"Overrides the project's."`
	Homepage    string             `yaml:"homepage" doc:"Overrides the project's."`
	License     string             `yaml:"license" doc:"Overrides the project's."`
	Maintainer  string             `yaml:"maintainer" doc:"Overrides the project's."`
	Section     string             `yaml:"section" doc:"Overrides the project's."`
	Priority    string             `yaml:"priority" doc:"Overrides the project's."`
	Epoch       string             `yaml:"epoch" doc:"Digits. Raise it only where a version went backwards."`
	Release     string             `yaml:"release" doc:"Overrides the project's."`
	Formats     []string           `yaml:"formats" doc:"Package formats; all Linux ones and tar.gz where absent."`
	Platforms   []formats.Platform `yaml:"platforms" doc:"Overrides the project's. [noarch] is for packages that run everywhere."`
	Contents    []Content          `yaml:"contents" doc:"The files of the package."`
	Services    []Service          `yaml:"services" doc:"systemd units, each a file of the project or just a unit's name where contents brings it."`
	Overridable `yaml:",inline"`
	Essential   bool                   `yaml:"essential" doc:"Debian's Essential."`
	Overrides   map[string]Overridable `yaml:"overrides" doc:"Replaces relations and scripts for one format: deb, rpm, arch, apk, ipk."`
	Options     map[string]Section     `yaml:"-"` // by format: the keys deb, rpm, arch, apk, ipk, …
	Custom      map[string]string      `yaml:"custom" doc:"Own variables: {custom.NAME} in scripts of this package."`
	Pos         Pos                    `yaml:"-"`
}

// Overridable is what a package may say differently per format.
type Overridable struct {
	Depends    []string `yaml:"depends" doc:"Packages needed to run."`
	PreDepends []string `yaml:"predepends" doc:"Packages needed before installation (deb, ipk, and rpm's Requires(pre))."`
	Recommends []string `yaml:"recommends" doc:"Packages usually wanted with it."`
	Suggests   []string `yaml:"suggests" doc:"Packages that add to it."`
	Conflicts  []string `yaml:"conflicts" doc:"Packages that can't be there at once."`
	Provides   []string `yaml:"provides" doc:"Names it also answers to."`
	Replaces   []string `yaml:"replaces" doc:"Packages it takes over from."`
	Scripts    Scripts  `yaml:"scripts" doc:"Lifecycle scripts."`
}

// Scripts are paths of files in the project.
type Scripts struct {
	PreInstall  string `yaml:"preinstall" doc:"Before the files of an installation or upgrade."`
	PostInstall string `yaml:"postinstall" doc:"After the files of an installation or upgrade."`
	PreRemove   string `yaml:"preremove" doc:"Before a removal; not on upgrade."`
	PostRemove  string `yaml:"postremove" doc:"After a removal; not on upgrade."`
	PreUpgrade  string `yaml:"preupgrade" doc:"Before an upgrade, instead of preinstall."`
	PostUpgrade string `yaml:"postupgrade" doc:"After an upgrade, instead of postinstall."`
}

// Content is one entry of contents.
type Content struct {
	Src      string   `yaml:"src" doc:"A file, folder or pattern of the project, or slot:path. For a symlink: where it points to."`
	Dst      string   `yaml:"dst" doc:"The absolute path on the machine. Ends in / for a folder that src goes into. Manual pages below share/man are compressed for deb, rpm and arch, and get .gz."`
	Type     string   `yaml:"type" enum:"file,config,config|noreplace,doc,dir,symlink,tree,ghost" doc:"What it is; file where absent."`
	Mode     Mode     `yaml:"mode" doc:"Permission bits in octal: 0755. Those of the file's executable bit where absent: 0755 or 0644."`
	Owner    string   `yaml:"owner" doc:"root where absent."`
	Group    string   `yaml:"group" doc:"root where absent."`
	FileInfo FileInfo `yaml:"file_info" doc:"nFPM's spelling of mode, owner and group."`
	Packager string   `yaml:"packager" doc:"Only in this format."`
	Expand   bool     `yaml:"expand" doc:"Accepted for nFPM's sake: variables are always replaced."`
	Pos      Pos      `yaml:"-"`
}

// FileInfo is nFPM's file_info.
type FileInfo struct {
	Mode  Mode   `yaml:"mode" doc:"Permission bits in octal."`
	Owner string `yaml:"owner" doc:"Owner."`
	Group string `yaml:"group" doc:"Group."`
}

// Service is a systemd unit; a plain string is read as its src.
type Service struct {
	Src    string `yaml:"src" doc:"The unit's file in the project, or the name of one that contents brings."`
	Enable *bool  `yaml:"enable" doc:"Enable on installation; true where absent."`
	Start  *bool  `yaml:"start" doc:"Start on installation, restart on upgrade; true where absent."`
	Pos    Pos    `yaml:"-"`
}

// Unit is the name of a service's unit: the last part of its path in the project
// or in a slot.
func (p *Project) Unit(src string) string {
	if slot, rest, found := strings.Cut(src, ":"); found {
		if _, ok := p.Sources[slot]; ok {
			src = rest
		}
	}
	return path.Base(src)
}

// Site is one published tree.
type Site struct {
	Site     string             `yaml:"site" doc:"A name for the tree, unique in the file."`
	URL      string             `yaml:"url" doc:"Where the tree is served, http or https."`
	Dir      string             `yaml:"dir" doc:"The folder the tree is written to; dist/<site> where no other place is named."`
	Name     string             `yaml:"name" doc:"What repositories and files on people's machines are called: lower-case letters, digits, -; the project's name where absent."`
	Title    string             `yaml:"title" doc:"The heading of the install page."`
	Clients  []string           `yaml:"clients" doc:"The clients that are served; all where absent."`
	Channels []string           `yaml:"channels" doc:"The channels published here; all where absent."`
	Keep     Keep               `yaml:"keep" doc:"What is kept of old versions."`
	Key      string             `yaml:"key" doc:"Overrides signing.key for this site."`
	Large    Large              `yaml:"large" doc:"What becomes of packages that the place can't hold; refused where absent."`
	Options  map[string]Section `yaml:"-"` // by client or place: the keys apt, dnf, git, …
	Pos      Pos                `yaml:"-"`
}

// Large says where packages go that the site's place can't hold.
type Large struct {
	Over Bytes  `yaml:"over" doc:"The size from which a package counts as large; what the place can't hold where absent: 95MB in a git branch."`
	To   string `yaml:"to" enum:"release" doc:"release: clients fetch them from the GitHub release. dnf, pacman, brew and the page follow there; apt gets a flat repository among the release's files; apk and opkg can't."`
}

// GitHub is a release on GitHub.
type GitHub struct {
	Repository string `yaml:"repository" doc:"owner/name; GITHUB_REPOSITORY, or the repository the project was cloned from, where absent."`
	API        string `yaml:"api" doc:"The address of a GitHub Enterprise Server's API; GITHUB_API_URL or github.com where absent."`
	Token      string `yaml:"token" doc:"A token with contents: write; GITHUB_TOKEN where absent. Write it as a variable."`
	Draft      bool   `yaml:"draft" doc:"Leaves the release a draft, for a person to publish."`
	Title      string `yaml:"title" doc:"The release's title; project and version where absent."`
	Pos        Pos    `yaml:"-"`
}

// Keep is the retention of one site.
type Keep struct {
	Versions int      `yaml:"versions" doc:"The newest versions kept of each package, channel and CPU; all where absent."`
	PerMinor int      `yaml:"per-minor" doc:"Of each x.y, the newest z kept; all where absent."`
	Bytes    Bytes    `yaml:"bytes" doc:"The most bytes of packages in the tree; the oldest versions go first, the newest never."`
	Pin      []string `yaml:"pin" doc:"Versions that always stay."`
	Grace    Duration `yaml:"grace" doc:"How long a file that nothing names any more stays; 24h where absent."`
}

// Signing names the keys.
type Signing struct {
	Key  string `yaml:"key" doc:"The private key: its text, base64 of it, or a file. \"${DISTROPACK_KEY}\" takes it from the environment."`
	Also string `yaml:"also" doc:"A second key that indexes are signed with as well, while keys are rotated."`
}

// Pos is a place in the file, counted from 1; the zero Pos is unknown.
type Pos struct{ Line, Col int }
