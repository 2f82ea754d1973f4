package dnf

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/rpm"
)

// relation is one entry of provides, requires and the like.
type relation struct {
	name                          string
	flag, epoch, version, release string // flag is "" where any version will do
	pre                           bool   // needed by a scriptlet
}

// parseRelation reads the six columns that formats/rpm writes.
func parseRelation(s string) (relation, error) {
	var col [6]string
	rest, found := s, true
	for i := range col {
		if !found {
			return relation{}, fmt.Errorf("%q has %d columns, want 6", s, i)
		}
		col[i], rest, found = strings.Cut(rest, "\t")
	}
	if found {
		return relation{}, fmt.Errorf("%q has more than 6 columns", s)
	}
	r := relation{name: col[0], flag: col[1], epoch: col[2], version: col[3], release: col[4]}
	switch col[5] {
	case "1":
		r.pre = true
	case "0", "":
	default:
		return r, fmt.Errorf("%q: pre is %q, want 0 or 1", s, col[5])
	}
	switch r.flag {
	case "", "EQ", "LT", "LE", "GT", "GE":
	default:
		return r, fmt.Errorf("%q: %q is no comparison", s, r.flag)
	}
	if r.name == "" {
		return r, fmt.Errorf("%q names nothing", s)
	}
	if r.flag == "" {
		r.epoch, r.version, r.release = "", "", ""
	}
	if r.version != "" && r.epoch == "" {
		r.epoch = "0"
	}
	return r, nil
}

// relationKinds are the keys of a record's relations, which are the names of
// their elements too, in createrepo_c's order.
var relationKinds = [...]string{"provides", "requires", "conflicts", "obsoletes", "suggests", "enhances", "recommends", "supplements"}

// relations holds a package's relations by the index of their kind.
type relations [len(relationKinds)][]relation

const provides, requires = 0, 1

func parseRelations(m *formats.Meta) (relations, error) {
	var rs relations
	for _, f := range m.Fields {
		for i, kind := range relationKinds {
			if f.Key != kind {
				continue
			}
			r, err := parseRelation(f.Value)
			if err != nil {
				return rs, fmt.Errorf("%s: %w", kind, err)
			}
			rs[i] = append(rs[i], r)
		}
	}
	rs[requires] = listed(rs[requires], rs[provides], m.Files)
	return rs, nil
}

// listed returns the requirements that an index names: not those rpm itself
// answers, not what the package brings, nothing twice, and of libc's versions the
// highest alone, which implies the others.
func listed(reqs, provs []relation, files []string) []relation {
	type nameVersion struct{ name, flag, epoch, version, release string }
	key := func(r relation) nameVersion { return nameVersion{r.name, r.flag, r.epoch, r.version, r.release} }
	provided := make(map[nameVersion]bool, len(provs))
	for _, p := range provs {
		provided[key(p)] = true
	}
	var own map[string]bool // made for the first requirement of a file
	last := make(map[string]relation)
	var out []relation
	var libc *relation
	for _, r := range reqs {
		if strings.HasPrefix(r.name, "rpmlib(") || provided[key(r)] {
			continue
		}
		if r.name[0] == '/' && isPrimary(r.name) {
			if own == nil {
				own = make(map[string]bool, len(files))
				for _, f := range files {
					own[f] = true
				}
			}
			if own[r.name] {
				continue
			}
		}
		if old, ok := last[r.name]; ok && old == r {
			continue
		}
		if strings.HasPrefix(r.name, "libc.so.6") {
			if libc == nil || rpm.Compare(libcVersion(libc.name), libcVersion(r.name)) < 0 {
				libc = &r
			}
			continue
		}
		last[r.name] = r
		out = append(out, r)
	}
	if libc != nil {
		out = append(out, *libc)
	}
	return out
}

// libcVersion returns "2.34" of "libc.so.6(GLIBC_2.34)(64bit)", "" where there is
// no version.
func libcVersion(name string) string {
	_, rest, _ := strings.Cut(name, "(")
	inner, _, found := strings.Cut(rest, ")")
	if i := strings.IndexAny(inner, "0123456789"); found && i >= 0 {
		return inner[i:]
	}
	return ""
}

// isPrimary reports whether primary.xml lists a file: those that packages are
// asked for by, so that clients need the file lists for no others.
func isPrimary(path string) bool {
	return strings.HasPrefix(path, "/etc/") || path == "/usr/lib/sendmail" || strings.Contains(path, "bin/")
}
