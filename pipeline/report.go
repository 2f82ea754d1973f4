package pipeline

import (
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/publish"
)

// Report is what a Run did.
type Report struct {
	Plan      *plan.Plan     `json:"plan,omitempty"`
	Artifacts []*Artifact    `json:"artifacts,omitempty"`
	Release   *ReleaseReport `json:"release,omitempty"`
	Sites     []*SiteReport  `json:"sites,omitempty"`
	Skipped   []string       `json:"skipped,omitempty"` // legs that an earlier run had done, and why
	Warnings  []string       `json:"warnings,omitempty"`
}

// Artifact is a file that was made.
type Artifact struct {
	Type     string            `json:"type"` // "package", "signature", "checksums"
	Name     string            `json:"name"` // of the file
	Path     string            `json:"path"` // on disk
	Size     int64             `json:"size"`
	SHA256   formats.Digest    `json:"sha256"`
	Package  string            `json:"package,omitempty"`
	Format   string            `json:"format,omitempty"`
	Platform *formats.Platform `json:"platform,omitempty"`
	Version  string            `json:"version,omitempty"`
	Arch     string            `json:"arch,omitempty"`

	meta   *formats.Meta
	blob   formats.Blob
	beside []publish.Beside
}

// ReleaseReport is what became of the GitHub release.
type ReleaseReport struct {
	Tag       string   `json:"tag"`
	URL       string   `json:"url,omitempty"`
	Created   bool     `json:"created"`
	Published bool     `json:"published"`
	Uploaded  []string `json:"uploaded,omitempty"`
	Kept      []string `json:"kept,omitempty"`
	Replaced  []string `json:"replaced,omitempty"`
}

// SiteReport is what became of a site.
type SiteReport struct {
	Site    string           `json:"site"`
	Place   string           `json:"place"`           // a folder, or the kind of place
	Tap     string           `json:"tap,omitempty"`   // "changed" or "unchanged", where there is one
	Large   []string         `json:"large,omitempty"` // packages that lie in the GitHub release
	URL     string           `json:"url,omitempty"`
	Changed bool             `json:"changed"`
	Version string           `json:"version,omitempty"` // of the tree, as the place names it
	Serial  int64            `json:"serial"`
	Bytes   int64            `json:"bytes"` // of packages in the tree
	Added   []publish.Listed `json:"added,omitempty"`
	Removed []publish.Listed `json:"removed,omitempty"`
	Written []WrittenFile    `json:"written,omitempty"`
	Deleted []string         `json:"deleted,omitempty"`

	// Abandoned are files whose upload nobody ended, and which was given up.
	Abandoned []string `json:"abandoned,omitempty"`
}

// WrittenFile is a file a publish wrote, or would write.
type WrittenFile struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}
