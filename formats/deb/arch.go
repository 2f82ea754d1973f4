package deb

import "github.com/distropack/distropack/formats"

// Arch returns Debian's word for a platform; ok is false where it has none.
func Arch(p formats.Platform) (word string, ok bool) {
	word, err := archOf(p)
	return word, err == nil
}
