package pipeline

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/config"
	"github.com/distropack/distropack/pipeline/plan"
	"github.com/distropack/distropack/pipeline/source"
)

// resolve finds the version and the channels of the release.
func (r *run) resolve(ctx context.Context) (plan.Release, error) {
	rel := plan.Release{Tag: r.Release.Tag, Commit: r.Release.Commit, Time: r.Release.Time.UTC()}
	if rel.Time.After(r.Now) { // one index from the future hides all later ones from apt
		rel.Time = r.Now.UTC()
	}
	candidates := r.project.Channels
	if r.Release.Channel != "" {
		candidates = nil
		for _, c := range r.project.Channels {
			if c.Name == r.Release.Channel {
				candidates = config.Channels{c}
			}
		}
		if candidates == nil {
			return rel, fmt.Errorf("%w: there is no channel %q; there are: %s", ErrUsage, r.Release.Channel, channelNames(r.project.Channels))
		}
	}
	if rel.Tag == "" && r.Release.Version == "" && r.Release.Channel == "" {
		return rel, fmt.Errorf("%w: no tag is given and the commit has none: tag it, or use --tag, --version or --channel", ErrUsage)
	}
	for _, c := range candidates {
		forced := r.Release.Channel != "" || rel.Tag == ""
		if !forced && !matchTag(cmp.Or(c.Tags, "v*"), rel.Tag) {
			continue
		}
		version := r.Release.Version
		if version == "" {
			var err error
			if version, err = r.extract(ctx, c); err != nil {
				return rel, err
			}
		}
		if r.Release.Channel == "" && formats.SplitVersion(version).Pre != "" && !c.Prereleases {
			continue
		}
		if rel.Version != "" && rel.Version != version {
			return rel, &config.Error{File: r.project.File, Line: c.Pos.Line, Col: c.Pos.Col, Path: "channels." + c.Name,
				Err: fmt.Errorf("the version is %s here and %s in channel %s: one release has one version", version, rel.Version, rel.Channels[0])}
		}
		rel.Version = version
		rel.Channels = append(rel.Channels, c.Name)
	}
	if len(rel.Channels) == 0 {
		return rel, fmt.Errorf("%w: %w tag %q version %q; there are: %s", ErrUsage, ErrNoChannel, rel.Tag, r.Release.Version, channelNames(r.project.Channels))
	}
	if err := formats.CheckVersion(rel.Version); err != nil {
		return rel, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return rel, nil
}

// ErrNoChannel says that a tag is of no interest to the project.
var ErrNoChannel = errors.New("no channel takes")

// Takes reports whether a channel may take releases of the tag; whether it does can
// hang on their version.
func Takes(p *config.Project, tag string) bool {
	return slices.ContainsFunc(p.Channels, func(c config.Channel) bool { return matchTag(cmp.Or(c.Tags, "v*"), tag) })
}

func channelNames(cs config.Channels) string {
	var names []string
	for _, c := range cs {
		text := c.Name + " (tags " + cmp.Or(c.Tags, "v*")
		if !c.Prereleases {
			text += ", no pre-releases"
		}
		names = append(names, text+")")
	}
	return strings.Join(names, ", ")
}

// matchTag matches a pattern in which * stands for any text, slashes too.
func matchTag(pattern, tag string) bool {
	parts := strings.Split(pattern, "*")
	for i, p := range parts {
		parts[i] = regexp.QuoteMeta(p)
	}
	ok, _ := regexp.MatchString("^"+strings.Join(parts, ".*")+"$", tag)
	return ok
}

// extract finds the version for a channel.
func (r *run) extract(ctx context.Context, c config.Channel) (string, error) {
	name := cmp.Or(c.Version, "tag")
	x, ok := r.project.Versions[name]
	if !ok {
		if name != "tag" {
			return "", &config.Error{File: r.project.File, Line: c.Pos.Line, Col: c.Pos.Col, Path: "channels." + c.Name + ".version", Err: fmt.Errorf("there is no version extractor %q", name)}
		}
		x.Tag = `^v?(.+)$`
	}
	v, err := r.extractBy(ctx, x)
	if err != nil {
		return "", &config.Error{File: r.project.File, Line: x.Pos.Line, Col: x.Pos.Col, Path: "versions." + name, Err: err}
	}
	return v, nil
}

const maxVersionFile = 16 << 20

func (r *run) extractBy(ctx context.Context, x config.Extractor) (string, error) {
	group := func(pattern, text, where string) (string, error) {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return "", err
		}
		m := re.FindStringSubmatch(text)
		if len(m) < 2 || m[1] == "" {
			return "", fmt.Errorf("%q finds no version in %s", pattern, where)
		}
		return m[1], nil
	}
	switch {
	case x.Value != "":
		return x.Value, nil
	case x.File != "":
		name := path.Join(r.project.Dir, x.File)
		b, err := source.ReadFile(r.Files, name, maxVersionFile)
		if err != nil {
			return "", err
		}
		return group(x.Regex, string(b), name)
	case x.Command != "":
		if !r.Commands || r.Dir == "" {
			return "", fmt.Errorf("commands are not run here: use --version")
		}
		return r.versionCommand(ctx, x.Command)
	case x.Commit:
		if r.Release.Commit == "" {
			return "", fmt.Errorf("the commit is not known: use --version")
		}
		return fmt.Sprintf("0.0.0-%s+g%s", r.Release.Time.UTC().Format("20060102150405"), r.Release.Commit[:min(7, len(r.Release.Commit))]), nil
	}
	if r.Release.Tag == "" {
		return "", fmt.Errorf("no tag is given and the commit has none: tag it, or use --tag or --version")
	}
	return group(cmp.Or(x.Tag, `^v?(.+)$`), r.Release.Tag, fmt.Sprintf("the tag %q", r.Release.Tag))
}

func (r *run) versionCommand(ctx context.Context, command string) (string, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-ec", command)
	cmd.Dir = r.Dir
	cmd.Env = source.Environment(r.Environ)
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := source.Run(cmd, r.Output); err != nil {
		return "", fmt.Errorf("command %q: %w", command, err)
	}
	v := strings.TrimPrefix(strings.TrimSpace(out.String()), "v")
	if v == "" || strings.ContainsAny(v, "\n ") {
		return "", fmt.Errorf("command %q printed %q, want a version alone", command, out.String())
	}
	return v, nil
}
