// Package all lists the formats. A new one is a folder beside this and a line
// here.
package all

import (
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/apk"
	"github.com/distropack/distropack/formats/arch"
	"github.com/distropack/distropack/formats/archive"
	"github.com/distropack/distropack/formats/deb"
	"github.com/distropack/distropack/formats/ipk"
	"github.com/distropack/distropack/formats/rpm"
)

// Kinds lists the formats in the order in which people are shown them.
func Kinds() []formats.Kind {
	return append([]formats.Kind{
		deb.Kind(),
		rpm.Kind(),
		arch.Kind(),
		apk.Kind(),
		ipk.Kind(),
	}, archive.Kinds()...)
}
