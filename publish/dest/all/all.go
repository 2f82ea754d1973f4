// Package all lists every kind of place that a tree can lie in besides a folder.
// To add one, write its folder beside this and a line here.
package all

import (
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/bucket"
	"github.com/distropack/distropack/publish/dest/git"
)

// Kinds returns the kinds, sorted by name.
func Kinds() []publish.DestinationKind {
	return []publish.DestinationKind{bucket.Kind(), git.Kind()}
}
