package pipeline_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/pipeline"
	repoall "github.com/distropack/distropack/publish/repo/all"
)

// planned plans a release of a small project with more configuration.
func planned(t *testing.T, more string, rel pipeline.Release, files map[string]string, dir string) (*pipeline.Report, error) {
	t.Helper()
	fsys := fstest.MapFS{"distropack.yml": {Data: []byte("version: 1\nproject: hello\nmaintainer: Ann <ann@example.org>\npackages:\n  - contents: [{src: a, dst: /a}]\npublish: []\n" + more)}}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	env := pipeline.Env{Formats: formatsall.Kinds(), Repos: repoall.Kinds(), Now: now, Commands: dir != "", Environ: []string{"PATH=" + os.Getenv("PATH"), "DISTROPACK_KEY=secret"}}
	return pipeline.Run(context.Background(), env, pipeline.Job{Files: fsys, Dir: dir, Config: "distropack.yml", Release: rel, Stop: pipeline.Plan, Unsigned: true})
}

const twoChannels = "channels:\n  stable: {tags: \"v*\"}\n  beta: {tags: \"v*\", prereleases: true}\n"

func TestVersionsAndChannelsComeFromTheRelease(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name, more string
		rel        pipeline.Release
		files      map[string]string
		want       string // version and channels, or the error
	}{
		{"a tag", twoChannels, pipeline.Release{Tag: "v1.2.0"}, nil, "1.2.0 stable beta"},
		{"a pre-release", twoChannels, pipeline.Release{Tag: "v1.2.0-rc.1"}, nil, "1.2.0-rc.1 beta"},
		{"a pre-release into a channel by name", twoChannels, pipeline.Release{Tag: "v1.2.0-rc.1", Channel: "stable"}, nil, "1.2.0-rc.1 stable"},
		{"a version", twoChannels, pipeline.Release{Version: "3.0.0"}, nil, "3.0.0 stable beta"},
		{"a version wins over the tag", twoChannels, pipeline.Release{Tag: "v1.2.0", Version: "3.0.0"}, nil, "3.0.0 stable beta"},
		{"a tag that no channel takes", twoChannels, pipeline.Release{Tag: "nightly"}, nil, `no channel takes tag "nightly"`},
		{"a pre-release that no channel takes", "", pipeline.Release{Tag: "v1.2.0-rc.1"}, nil, "no channel takes"},
		{"no channel of that name", twoChannels, pipeline.Release{Tag: "v1.0.0", Channel: "stabel"}, nil, `there is no channel "stabel"; there are: stable (tags v*, no pre-releases), beta (tags v*)`},
		{"neither tag nor version", twoChannels, pipeline.Release{}, nil, "no tag is given and the commit has none"},
		{"a tag with a slash", "channels:\n  cli: {tags: \"cli/*\", version: cli}\nversions:\n  cli: {tag: \"^cli/v(.+)$\"}\n", pipeline.Release{Tag: "cli/v2.0.0"}, nil, "2.0.0 cli"},
		{"a tag without a version", "channels:\n  cli: {tags: \"cli*\", version: cli}\nversions:\n  cli: {tag: \"^cli/v(.+)$\"}\n", pipeline.Release{Tag: "cli2"}, nil, `"^cli/v(.+)$" finds no version in the tag "cli2"`},
		{"a file", "channels:\n  stable: {version: file}\nversions:\n  file: {file: VERSION, regex: \"version = (.+)\"}\n", pipeline.Release{Tag: "v9"}, map[string]string{"VERSION": "a\nversion = 1.4.2\n"}, "1.4.2 stable"},
		{"a file that is not there", "channels:\n  stable: {version: file}\nversions:\n  file: {file: VERSION, regex: \"(.+)\"}\n", pipeline.Release{Tag: "v9"}, nil, "versions.file: VERSION is not in the project"},
		{"a file without it", "channels:\n  stable: {version: file}\nversions:\n  file: {file: VERSION, regex: \"x(.+)\"}\n", pipeline.Release{Tag: "v9"}, map[string]string{"VERSION": "1"}, `"x(.+)" finds no version in VERSION`},
		{"a constant", "channels:\n  stable: {version: one}\nversions:\n  one: {value: 1.0.0}\n", pipeline.Release{Tag: "v9"}, nil, "1.0.0 stable"},
		{"a commit", "channels:\n  nightly: {tags: nightly, version: snapshot, prereleases: true}\nversions:\n  snapshot: {commit: true}\n", pipeline.Release{Tag: "nightly", Commit: "0123456789abcdef", Time: at}, nil, "0.0.0-20260102030405+g0123456 nightly"},
		{"a commit that is not known", "channels:\n  nightly: {version: snapshot, prereleases: true}\nversions:\n  snapshot: {commit: true}\n", pipeline.Release{Tag: "v1"}, nil, "the commit is not known: use --version"},
		{"a command", "channels:\n  stable: {version: run}\nversions:\n  run: {command: \"echo v1.5.$((1+1))$DISTROPACK_KEY\"}\n", pipeline.Release{Tag: "v9"}, nil, "1.5.2 stable"},
		{"a command that fails", "channels:\n  stable: {version: run}\nversions:\n  run: {command: \"echo because; exit 3\"}\n", pipeline.Release{Tag: "v9"}, nil, "exit status 3; it said:\nbecause"},
		{"a command that says too much", "channels:\n  stable: {version: run}\nversions:\n  run: {command: \"echo 1; echo 2\"}\n", pipeline.Release{Tag: "v9"}, nil, "want a version alone"},
		{"two versions at once", "channels:\n  a: {version: x}\n  b: {version: y}\nversions:\n  x: {value: 1.0.0}\n  y: {value: 2.0.0}\n", pipeline.Release{Tag: "v9"}, nil, "the version is 2.0.0 here and 1.0.0 in channel a: one release has one version"},
		{"what is no version", twoChannels, pipeline.Release{Version: "a b"}, nil, `version "a b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			rep, err := planned(t, c.more, c.rel, c.files, t.TempDir())
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				if !pipeline.IsConfig(err) {
					t.Errorf("%v is not a mistake of the user's", err)
				}
				return
			}
			if got := rep.Plan.Release.Version + " " + strings.Join(rep.Plan.Release.Channels, " "); got != c.want {
				t.Errorf("released %q, want %q", got, c.want)
			}
		})
	}
	_, err := planned(t, "channels:\n  stable: {version: run}\nversions:\n  run: {command: \"echo 1\"}\n", pipeline.Release{Tag: "v9"}, nil, "")
	if err == nil || !strings.Contains(err.Error(), "commands are not run here: use --version") {
		t.Errorf("without a folder: %v", err)
	}
}

func TestAReleaseFromTheFutureIsDatedNow(t *testing.T) {
	rep, err := planned(t, "", pipeline.Release{Tag: "v1.0.0", Time: now.Add(24 * time.Hour)}, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	if got := rep.Plan.Release.Time; !got.Equal(now) {
		t.Errorf("time %v, want %v", got, now)
	}
}

// artifacts.json has GoReleaser's words: who reads its file reads ours.
func TestTheListOfArtifactsIsOneOfGoReleaser(t *testing.T) {
	env, job := small(t, "1.0.0", now, nil)
	job.Stop = pipeline.Package
	rep, err := pipeline.Run(context.Background(), env, job)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(job.Out, "artifacts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name, Path, Goos, Goarch, Type, SHA256 string
		Size                                   int64
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]int)
	for _, a := range list {
		types[a.Type]++
		if a.Type == "" || a.Path != filepath.Base(job.Out)+"/"+a.Name {
			t.Errorf("entry %+v", a)
		}
		if a.Type == "Linux Package" && (a.Goos != "linux" || a.Goarch != "amd64") {
			t.Errorf("entry %+v", a)
		}
		st, err := os.Stat(filepath.Join(job.Out, a.Name))
		if err != nil || st.Size() != a.Size {
			t.Errorf("entry %+v: %v", a, err)
		}
	}
	if want := map[string]int{"Linux Package": 5, "Archive": 2, "Signature": 2, "Checksum": 1}; !maps.Equal(types, want) {
		t.Errorf("types %v, want %v", types, want)
	}
	if len(list) != len(rep.Artifacts) {
		t.Errorf("%d entries, the report has %d", len(list), len(rep.Artifacts))
	}
	sums, err := os.ReadFile(filepath.Join(job.Out, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 8 || !slices.IsSortedFunc(lines, func(a, b string) int { return strings.Compare(a[66:], b[66:]) }) {
		t.Errorf("SHA256SUMS:\n%s", sums)
	}
	for _, a := range rep.Artifacts {
		if a.Type == "package" && !slices.Contains(lines, fmt.Sprintf("%s  %s", a.SHA256, a.Name)) {
			t.Errorf("SHA256SUMS lacks %s", a.Name)
		}
	}
}

func TestIfOnePackageFailsNothingIsPublished(t *testing.T) {
	p := places["memory"](t)
	env, job := small(t, "1.0.0", now, p.dst)
	// A folder stands where a package is to be written.
	if err := os.MkdirAll(filepath.Join(job.Out, "hello-1.0.0-1.x86_64.rpm", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	rep, err := pipeline.Run(context.Background(), env, job)
	if err == nil || !strings.Contains(err.Error(), "package hello-1.0.0-1.x86_64.rpm: ") {
		t.Errorf("error %v", err)
	}
	if rep == nil || len(rep.Artifacts) == 0 || len(rep.Sites) != 0 {
		t.Errorf("the report is %+v", rep)
	}
	if n := len(p.files()); n != 0 {
		t.Errorf("%d files were published", n)
	}
	if parts, _ := filepath.Glob(filepath.Join(job.Out, "*.part")); len(parts) > 0 {
		t.Errorf("left behind: %v", parts)
	}
}

// liar reads another version from its packages than was written.
type liar struct{ formats.Format }

func (l liar) Describe(ctx context.Context, r io.ReaderAt, size int64) (*formats.Meta, error) {
	m, err := l.Format.Describe(ctx, r, size)
	if err == nil {
		m.Version = "9.9"
	}
	return m, err
}

func TestAPackageThatSaysOtherThanThePlanIsNotPublished(t *testing.T) {
	p := places["memory"](t)
	env, job := small(t, "1.0.0", now, p.dst)
	env.Formats = slices.Clone(env.Formats)
	for i, k := range env.Formats {
		if k.Name == "deb" {
			env.Formats[i].New = func(s formats.Section, e formats.Env) (formats.Format, error) {
				f, err := k.New(s, e)
				return liar{f}, err
			}
		}
	}
	_, err := pipeline.Run(context.Background(), env, job)
	if err == nil || !strings.Contains(err.Error(), "package hello_1.0.0-1_amd64.deb: read back: it is hello 9.9 (amd64), was to be hello 1.0.0-1 (amd64)") {
		t.Errorf("error %v", err)
	}
	if n := len(p.files()); n != 0 {
		t.Errorf("%d files were published", n)
	}
	if left, _ := filepath.Glob(filepath.Join(job.Out, "*.deb*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestACancelledRunPublishesNothing(t *testing.T) {
	p := places["memory"](t)
	env, job := small(t, "1.0.0", now, p.dst)
	ctx, cancel := context.WithCancel(context.Background())
	env.Progress = func(pipeline.Event) { cancel() }
	if _, err := pipeline.Run(ctx, env, job); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
	if n := len(p.files()); n != 0 {
		t.Errorf("%d files were published", n)
	}
}
