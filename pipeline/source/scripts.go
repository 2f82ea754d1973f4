package source

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
)

const (
	maxScript    = 1 << 20
	maxChangelog = 16 << 20
)

// Scripts reads lifecycle scripts. {custom.NAME} in them is replaced by the
// package's custom values; other braces are the shell's.
func (s *Slots) Scripts(p *config.Project, pkg *config.Package, c config.Scripts) (formats.Scripts, error) {
	var out formats.Scripts
	var errs []error
	for _, x := range []struct {
		name, file string
		to         *string
	}{
		{"preinstall", c.PreInstall, &out.PreInstall}, {"postinstall", c.PostInstall, &out.PostInstall},
		{"preremove", c.PreRemove, &out.PreRemove}, {"postremove", c.PostRemove, &out.PostRemove},
		{"preupgrade", c.PreUpgrade, &out.PreUpgrade}, {"postupgrade", c.PostUpgrade, &out.PostUpgrade},
	} {
		if x.file == "" {
			continue
		}
		text, err := s.script(path.Clean(x.file))
		if err == nil {
			text, err = custom(text, pkg.Custom)
		}
		if err != nil {
			errs = append(errs, placed(p.File, pkg.Pos, "packages."+pkg.Name+".scripts."+x.name, err))
		}
		*x.to = text
	}
	return out, errors.Join(errs...)
}

func (s *Slots) script(name string) (string, error) {
	b, err := ReadFile(s.Project.FS, name, maxScript)
	if err != nil {
		return "", err
	}
	if st, err := fs.Stat(s.Project.FS, name); err != nil {
		return "", err
	} else if st.Mode()&0o111 == 0 {
		return "", fmt.Errorf("%s is not executable: chmod +x it (in git: git update-index --chmod=+x)", name)
	}
	if strings.ContainsRune(string(b), 0) {
		return "", fmt.Errorf("%s is not a script: it has a zero byte", name)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n"), nil
}

// custom replaces {custom.NAME}.
func custom(text string, values map[string]string) (string, error) {
	const open = "{custom."
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, open)
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, found := strings.Cut(rest, "}")
		v, ok := values[name]
		if !found || !ok {
			return "", fmt.Errorf("line %d: unknown variable {custom.%s}: add it below custom", 1+strings.Count(b.String(), "\n"), strings.SplitN(name, "\n", 2)[0])
		}
		b.WriteString(v)
		text = after
	}
}

// Changelog reads the changes of a project: Markdown with a heading of level 2
// per version ("## [1.2.0] - 2026-01-31", "## v1.2.0"). Entries newer than the
// released version are left out. Where there is no file, the release is the only
// entry.
func (s *Slots) Changelog(name, maintainer string, fallback formats.Change) ([]formats.Change, error) {
	if name == "" {
		return []formats.Change{fallback}, nil
	}
	b, err := ReadFile(s.Project.FS, path.Clean(name), maxChangelog)
	if err != nil {
		return nil, err
	}
	all := parseChangelog(string(b), maintainer)
	for i, c := range all {
		if c.Version == fallback.Version {
			if c.Time.IsZero() {
				all[i].Time = fallback.Time
			}
			all = all[i:]
			break
		}
		if i == len(all)-1 { // the release has no entry of its own
			all = append([]formats.Change{fallback}, all...)
			break
		}
	}
	if len(all) == 0 {
		return []formats.Change{fallback}, nil
	}
	// An entry without a date was made no later than the one above it.
	for i := range all {
		if all[i].Time.IsZero() {
			all[i].Time = fallback.Time
			if i > 0 {
				all[i].Time = all[i-1].Time
			}
		}
	}
	const most = 50
	return all[:min(most, len(all))], nil
}
