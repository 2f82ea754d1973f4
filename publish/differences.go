package publish

import (
	"fmt"
	"maps"
	"slices"

	"github.com/distropack/distropack/formats"
)

// Differences says in words how two files of one name differ.
func Differences(old, new *formats.Meta, oldRef, newRef formats.Ref) []string {
	var d []string
	group := func(m *formats.Meta) map[string]string {
		g := make(map[string]string)
		for _, f := range m.Fields {
			if g[f.Key] != "" {
				g[f.Key] += ", "
			}
			g[f.Key] += f.Value
		}
		return g
	}
	a, b := group(old), group(new)
	keys := slices.Sorted(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		if a[k] != b[k] {
			d = append(d, fmt.Sprintf("%s: was %q, is %q", k, clip(a[k]), clip(b[k])))
		}
	}
	for _, f := range old.Files {
		if _, ok := slices.BinarySearch(new.Files, f); !ok && !slices.Contains(new.Files, f) {
			d = append(d, "file gone: "+f)
		}
	}
	for _, f := range new.Files {
		if !slices.Contains(old.Files, f) {
			d = append(d, "file new: "+f)
		}
	}
	if len(d) == 0 {
		d = append(d, "same description and file list: the content of files differs")
	}
	d = append(d, fmt.Sprintf("published: %d bytes, SHA-256 %s", oldRef.Size, oldRef.SHA256), fmt.Sprintf("new:       %d bytes, SHA-256 %s", newRef.Size, newRef.SHA256))
	const most = 20
	if len(d) > most {
		d = append(d[:most:most], fmt.Sprintf("and %d more", len(d)-most))
	}
	return d
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
