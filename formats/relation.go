package formats

import (
	"fmt"
	"strings"
)

// Relation is one parsed entry of Relations: a name and, where Op is not "", a
// version it is compared with.
type Relation struct {
	Name    string
	Op      string // "", "<", "<=", "=", ">=", ">"
	Version string
}

// ParseRelation reads "name", "name>=1.2", "name >= 1.2", "name (>= 1.2)" and
// Debian's << and >>. Anything else, alternatives ("a | b", "(a or b)") among
// them, is a format's own syntax: ok is false.
func ParseRelation(s string) (r Relation, ok bool) {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, "|,[]{}") || strings.HasPrefix(s, "(") {
		return r, false
	}
	i := strings.IndexAny(s, "<>=( \t")
	if i < 0 {
		return Relation{Name: s}, s != ""
	}
	r.Name = s[:i]
	rest := strings.TrimSpace(s[i:])
	if strings.HasPrefix(rest, "(") {
		if !strings.HasSuffix(rest, ")") {
			return r, false
		}
		rest = strings.TrimSpace(rest[1 : len(rest)-1])
	}
	for _, op := range []struct{ text, op string }{
		{">=", ">="}, {"<=", "<="}, {"<<", "<"}, {">>", ">"}, {"==", "="}, {"=", "="}, {"<", "<"}, {">", ">"},
	} {
		if v, found := strings.CutPrefix(rest, op.text); found {
			r.Op, r.Version = op.op, strings.TrimSpace(v)
			break
		}
	}
	if r.Name == "" || r.Op == "" || r.Version == "" || strings.ContainsAny(r.Version, " \t<>=()") {
		return r, false
	}
	return r, true
}

// Alternatives reads "a | b >= 1": the entries of an alternative in the shared
// spelling. ok is false if s is no such list.
func Alternatives(s string) (rs []Relation, ok bool) {
	if !strings.Contains(s, "|") {
		return nil, false
	}
	for _, part := range strings.Split(s, "|") {
		r, ok := ParseRelation(part)
		if !ok {
			return nil, false
		}
		rs = append(rs, r)
	}
	return rs, true
}

// Version is upstream's version taken apart after SemVer 2.0.0. For text that is
// not SemVer, Core holds all of it.
type Version struct {
	Core  string // "1.3.0"
	Pre   string // "rc.1"
	Build string // "build.5"
}

// SplitVersion takes v apart. "1.3-rc.1" (a core of fewer numbers) is taken
// apart as well; a part after "-" that starts with a digit is kept in the core
// where the core is not three numbers, since it is no pre-release there.
func SplitVersion(v string) Version {
	s := Version{Core: v}
	if core, build, found := strings.Cut(s.Core, "+"); found {
		s.Core, s.Build = core, build
	}
	core, pre, found := strings.Cut(s.Core, "-")
	if !found || pre == "" || !numeric(core) {
		return s
	}
	if strings.Count(core, ".") != 2 && pre[0] >= '0' && pre[0] <= '9' {
		return s
	}
	s.Core, s.Pre = core, pre
	return s
}

func numeric(s string) bool {
	for _, part := range strings.Split(s, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// CheckVersion refuses versions no format can carry.
func CheckVersion(v string) error {
	switch {
	case v == "":
		return fmt.Errorf("the version is empty")
	case v[0] < '0' || v[0] > '9':
		return fmt.Errorf("version %q does not start with a digit", v)
	}
	for _, c := range v {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune(".-+~_", c)) {
			return fmt.Errorf("version %q has the character %q; only letters, digits and . - + ~ _ are allowed", v, c)
		}
	}
	return nil
}

// IsSemVer reports whether v is a version by SemVer 2.0.0.
func IsSemVer(v string) bool {
	core, build, hasBuild := strings.Cut(v, "+")
	core, pre, hasPre := strings.Cut(core, "-")
	nums := strings.Split(core, ".")
	if len(nums) != 3 {
		return false
	}
	for _, n := range nums {
		if n == "" || strings.Trim(n, "0123456789") != "" || len(n) > 1 && n[0] == '0' {
			return false
		}
	}
	idents := func(s string, strict bool) bool {
		for _, id := range strings.Split(s, ".") {
			if id == "" || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
				return false
			}
			if strict && len(id) > 1 && id[0] == '0' && strings.Trim(id, "0123456789") == "" {
				return false
			}
		}
		return true
	}
	return (!hasPre || idents(pre, true)) && (!hasBuild || idents(build, false))
}
