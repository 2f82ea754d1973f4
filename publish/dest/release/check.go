package release

import (
	"fmt"
	"strings"
)

// The host's limits: https://docs.github.com/repositories/releasing-projects-on-github/about-releases
const (
	MaxAssets = 1000    // of a release
	MaxSize   = 2 << 30 // an asset is smaller, in bytes
)

// letter reports whether the host keeps r in names of assets. Found by trying, by
// others: its documentation speaks of special characters and names none.
func letter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '+' || r == '@'
}

// HostName is the name an asset has on the host, which would rewrite others: what
// is no ASCII letter, digit, "_", "-", "+" or "@" becomes a dot, several in a row
// become one, and none is at either end. So a Debian pre-release
// "hello_1.3.0~rc.1-1_amd64.deb" is called "hello_1.3.0.rc.1-1_amd64.deb".
func HostName(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !letter(r) })
	return strings.Join(words, ".")
}

// Check says what the host would refuse or change beyond what HostName tells.
// Nothing is sent and no file is read.
func Check(assets []Asset) []error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(assets) > MaxAssets {
		fail("%d files are more than the %d a release can have: put packages into the tree or a bucket instead", len(assets), MaxAssets)
	}
	taken := make(map[string]string)
	for _, a := range assets {
		host := HostName(a.Name)
		other, twice := taken[host]
		taken[host] = a.Name
		switch {
		case host == "" || strings.ContainsFunc(a.Name, func(r rune) bool { return r < ' ' || r > '~' || r == '/' || r == '\\' }):
			fail("file name %q can't be kept on a release: use ASCII letters, digits and . _ - + @", a.Name)
			continue
		case len(a.Name) > 255:
			fail("file name %q has %d characters, and 255 is the most", a.Name, len(a.Name))
		case twice && other == a.Name:
			fail("file name %q is there twice", a.Name)
		case twice:
			fail("files %q and %q would both be called %q on the release: rename one", other, a.Name, host)
		}
		if a.Blob == nil {
			fail("file %q has no content", a.Name)
			continue
		}
		switch size := a.Blob.Ref().Size; {
		case size == 0:
			fail("file %q is empty, and a release takes no empty files", a.Name)
		case size >= MaxSize:
			fail("file %q has %d bytes, and a release takes files below 2 GiB: put it into a bucket", a.Name, size)
		}
	}
	return errs
}
