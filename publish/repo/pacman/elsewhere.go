package pacman

import (
	"fmt"
	"net/url"
	"path"

	"github.com/distropack/distropack/publish"
)

var _ publish.Elsewhere = (*Repo)(nil)

// ListsElsewhere is true where there are Servers: pacman looks for a package at
// each server of the section in turn, under the name in the database, and for its
// signature at the one that had the package. So the lines have to be in people's
// pacman.conf before the package is.
//
// A file that a Server does not have counts against it, and after three pacman
// leaves it out for the rest of the transaction. Seen with 6.0 and 7.0: three large
// packages, which come first, and a small one was no longer found in the tree. So
// there are CacheServer lines, too, which are asked for packages before the tree is,
// and may lack any. pacman 6.0 warns that it does not know the word, and goes by
// Server; there the second run succeeds, with the three in its cache.
func (r *Repo) ListsElsewhere() bool { return len(r.env.Servers) > 0 }

// checkPlace refuses what pacman would not find: a package that does not lie in the
// folder of its database, or elsewhere under another name than the database has.
func checkPlace(rec *publish.Record, dir string) error {
	if rec.URL == "" {
		if path.Join(dir, path.Base(rec.Path)) != rec.Path {
			return fmt.Errorf("the package does not lie in %q, where its database does: leave pacman's dir as it was, or begin a new tree", path.Clean(dir))
		}
		return nil
	}
	u, err := url.Parse(rec.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("the address where %s lies is not of the form https://host/folder/file", path.Base(rec.Path))
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("its address at %s has a user, a query or a fragment: pacman asks for the name alone", u.Host)
	}
	if got, want := path.Base(u.Path), path.Base(rec.Path); got != want {
		return fmt.Errorf("it lies at %s as %q, but pacman asks for %q: GitHub puts dots for characters of an asset's name, such as an epoch's colon; keep the package in the tree", u.Host, got, want)
	}
	return nil
}
