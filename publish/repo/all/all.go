// Package all lists every repository kind. To add one, write its folder beside
// this and a line here.
package all

import (
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/repo/apk"
	"github.com/distropack/distropack/publish/repo/apt"
	"github.com/distropack/distropack/publish/repo/brew"
	"github.com/distropack/distropack/publish/repo/dnf"
	"github.com/distropack/distropack/publish/repo/downloads"
	"github.com/distropack/distropack/publish/repo/opkg"
	"github.com/distropack/distropack/publish/repo/pacman"
)

// Kinds returns the kinds in the order in which the install page shows them.
func Kinds() []publish.RepoKind {
	return []publish.RepoKind{apt.Kind(), dnf.Kind(), pacman.Kind(), apk.Kind(), opkg.Kind(), brew.Kind(), downloads.Kind()}
}
