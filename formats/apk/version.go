package apk

import (
	"fmt"
	"strings"

	"github.com/distropack/distropack/formats"
)

// Version returns VERSION-rRELEASE. apk's versions are numbers, one letter and
// suffixes from a fixed list, so upstream's are mapped:
//
//	1.3.0-rc.1          1.3.0_rc1          alpha a, beta b, pre preview milestone m, rc c cr
//	1.3.0-dev.20260105  1.3.0_alpha_pre20260105: other words are older than alpha
//	1.3.0-5             1.3.0_alpha_alpha5: numbers alone are older still
//	1.3.0-rc.1.2        1.3.0_rc1_p2
//	1.3.0+build.5       1.3.0_p5: words in build metadata and commits are dropped
//	9.6p1 2.0b3         9.6_p1 2.0_beta3
//	2026-01-05          2026.01.05
//
// The revision is the release as it is. There are no epochs; Epoch is left out. A
// version that can't be mapped so that its place in the order stays is refused.
func Version(spec *formats.Spec) (string, error) {
	v, err := upstream(spec.Version)
	if err != nil {
		return "", err
	}
	release := spec.Release
	if release == "" {
		release = "1"
	}
	if strings.Trim(release, "0123456789") != "" {
		return "", fmt.Errorf("release %q is not a number: write 0, 1 or 2, which apk calls r0, r1 and r2", spec.Release)
	}
	n, err := digits(release)
	if err != nil {
		return "", fmt.Errorf("release %w", err)
	}
	return v + "-r" + n, nil
}

func upstream(version string) (string, error) {
	if err := formats.CheckVersion(version); err != nil {
		return "", err
	}
	v := formats.SplitVersion(strings.ToLower(version))
	if core, pre, found := strings.Cut(v.Core, "~"); found {
		v.Core, v.Pre = core, strings.Trim(pre+"."+v.Pre, ".")
	}
	s, err := mapCore(v.Core, &v)
	if err == nil && v.Pre != "" {
		var pre string
		pre, err = mapPre(v.Pre)
		s += pre
	}
	if err == nil && v.Build != "" {
		var build string
		build, err = mapBuild(v.Build)
		if build != "" && v.Pre != "" && !isDigit(s[len(s)-1]) {
			s += "0" // 1.0_rc_p5 would be newer than 1.0_rc1
		}
		s += build
	}
	if err != nil {
		return "", fmt.Errorf("version %q: %w", version, err)
	}
	return s, nil
}

// mapCore maps what stands before the pre-release. Words in it become v's
// pre-release, as in 1.0rc1, or suffixes.
func mapCore(s string, v *formats.Version) (string, error) {
	if err := checkNumbers(s); err != nil {
		return "", err
	}
	core := strings.ReplaceAll(s, "-", ".")
	if isVersion(core) {
		return core, nil
	}
	n := 0 // the length of the numbers at the front
	for i := range len(core) {
		if isDigit(core[i]) {
			n = i + 1
		} else if core[i] != '.' || i > 0 && core[i-1] == '.' {
			break
		}
	}
	head, tail := core[:n], strings.TrimLeft(core[n:], "._")
	w := span(tail, isLower)
	switch word, rest := tail[:w], strings.TrimLeft(tail[w:], "._"); {
	case (word == "p" || word == "pl" || word == "patch" || word == "post") && strings.Trim(rest, "0123456789") == "":
		d, err := digits(rest)
		return head + "_p" + d, err
	case words4pre[word] != "":
		v.Pre = strings.Trim(tail+"."+v.Pre, ".")
		return head, nil
	}
	return "", fmt.Errorf("apk has no form for %q: its versions are numbers, one letter, and alpha, beta, pre, rc or p with a number", s[n:])
}

// checkNumbers refuses numbers that apk's arithmetic overflows on.
func checkNumbers(s string) error {
	for _, run := range strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' }) {
		if _, err := digits(run); err != nil {
			return err
		}
	}
	return nil
}

// words4pre are the words of pre-releases that apk has a suffix for.
var words4pre = map[string]string{
	"alpha": "_alpha", "a": "_alpha", "beta": "_beta", "b": "_beta",
	"pre": "_pre", "preview": "_pre", "milestone": "_pre", "m": "_pre",
	"rc": "_rc", "c": "_rc", "cr": "_rc",
}

// mapPre maps the identifiers of a pre-release: a word and a number, and numbers.
func mapPre(pre string) (string, error) {
	var b strings.Builder
	open, numbered, dropped := false, false, false // open: the suffix at the end has no number yet
	for i, t := range tokens(pre) {
		switch {
		case t.number:
			n, err := digits(t.text)
			if err != nil {
				return "", err
			}
			switch {
			case b.Len() == 0:
				b.WriteString("_alpha_alpha")
			case !open:
				b.WriteString("_p")
			}
			b.WriteString(n)
			open, numbered = false, true
		case t.hash:
			dropped = true
		case i > 0:
			return "", fmt.Errorf("pre-release %q has the word %q behind others, which apk can't order; use one word and numbers", pre, t.text)
		case words4pre[t.text] != "":
			b.WriteString(words4pre[t.text])
			open = true
		default:
			b.WriteString("_alpha_pre")
			open = true
		}
	}
	if dropped && !numbered {
		return "", fmt.Errorf("pre-release %q is told apart by a commit alone, which apk can't order; put a number or date before it", pre)
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("pre-release %q has no word or number", pre)
	}
	return b.String(), nil
}

// mapBuild maps the numbers of build metadata.
func mapBuild(build string) (string, error) {
	var b strings.Builder
	for _, t := range tokens(build) {
		if !t.number {
			continue
		}
		n, err := digits(t.text)
		if err != nil {
			return "", err
		}
		b.WriteString("_p" + n)
	}
	return b.String(), nil
}

type token struct {
	text   string
	number bool
	hash   bool // a commit, with or without git describe's g
}

// tokens takes identifiers apart where letters and digits meet. Letters inside an
// identifier that starts with a digit are dropped, as in 20260105t120000z.
func tokens(s string) []token {
	var ts []token
	for _, id := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(".-_+~", r) }) {
		hex := strings.TrimPrefix(id, "g")
		if len(hex) >= 7 && span(hex, isHex) == len(hex) && strings.Trim(hex, "0123456789") != "" {
			ts = append(ts, token{text: id, hash: true})
			continue
		}
		for rest := id; rest != ""; {
			n := span(rest, isDigit)
			if n > 0 {
				ts = append(ts, token{text: rest[:n], number: true})
				rest = rest[n:]
				continue
			}
			n = span(rest, isLower)
			if !isDigit(id[0]) {
				ts = append(ts, token{text: rest[:n]})
			}
			rest = rest[n:]
		}
	}
	return ts
}

// digits bounds a number to what fits into 64 bits and cuts leading zeros.
func digits(s string) (string, error) {
	t := strings.TrimLeft(s, "0")
	if len(t) > 18 {
		return "", fmt.Errorf("%q is a number of more than 18 digits", s)
	}
	if t == "" && s != "" {
		t = "0"
	}
	return t, nil
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
