package dnf

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/distropack/distropack/publish"
)

var _ publish.Elsewhere = (*Repo)(nil)

// ListsElsewhere is true: dnf fetches a package from the xml:base of its entry.
// zypper goes by the .repo file alone; see ZypperGuide.
func (r *Repo) ListsElsewhere() bool { return true }

// location splits the address of a package that does not lie in the tree into
// the xml:base and the href of its entry. Clients take the base as it is and
// encode the href, so the base is percent-encoded and the href is not: "%7E" was
// seen to reach servers as "%257E", from dnf and from zypper.
func location(address string) (base, href string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", errors.New("the address where it lies is no URL: use https://host/folder/file.rpm")
	}
	// What signs an address for a while stands in its query, and the index stays.
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", "", fmt.Errorf("its address at %s has a user, a query or a fragment: use one that everybody can fetch for ever", u.Host)
	}
	path := u.EscapedPath()
	i := strings.LastIndexByte(path, '/') + 1
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || i == 0 {
		return "", "", fmt.Errorf("its address %q is not of the form https://host/folder/file.rpm", address)
	}
	if href, err = url.PathUnescape(path[i:]); err != nil || !legalPart.MatchString(href) {
		return "", "", fmt.Errorf("its address %q ends in %q, which is no name of a package's file", address, href)
	}
	return u.Scheme + "://" + u.Host + path[:i], href, nil
}
