package main

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/testdata/sample"
)

// distropack runs the program in this process, as main would.
func distropack(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &err, environ: append(os.Environ(), env...), now: time.Now()}
	code = a.main(context.Background(), args)
	return out.String(), err.String(), code
}

// must runs the program and fails the test if it fails.
func must(t *testing.T, env []string, args ...string) string {
	t.Helper()
	out, stderr, code := distropack(t, env, args...)
	if code != 0 {
		t.Fatalf("distropack %s: exit %d\n%s%s", strings.Join(args, " "), code, out, stderr)
	}
	return out
}

// testKey is made once per run: RSA-4096 takes seconds.
var testKey = sync.OnceValues(func() (string, error) {
	k, err := keys.New("Test releases", "test@example.org", time.Now().Add(-48*time.Hour), nil, keys.NewOptions{})
	if err != nil {
		return "", err
	}
	return k.Bundle().Reveal(), nil
})

// otherKey signs what must not be trusted.
var otherKey = sync.OnceValues(func() (string, error) {
	k, err := keys.New("Somebody else", "else@example.org", time.Now().Add(-48*time.Hour), nil, keys.NewOptions{Bits: 3072})
	if err != nil {
		return "", err
	}
	return k.Bundle().Reveal(), nil
})

// published is the sample project with a site that is served over HTTP.
type published struct {
	project string // the project's folder
	dir     string // the tree
	url     string
	key     string // file of the private key
}

// publishSample writes the sample project and serves the tree it will have. edit
// changes its distropack.yml; nil leaves it.
func publishSample(t *testing.T, edit func(config string) string) *published {
	t.Helper()
	p := &published{project: t.TempDir()}
	if err := sample.Write(p.project); err != nil {
		t.Fatal(err)
	}
	text, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	p.key = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(p.key, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.dir = filepath.Join(p.project, "dist", "public")
	s := httptest.NewServer(treeHandler(p.dir))
	t.Cleanup(s.Close)
	p.url = s.URL
	name := filepath.Join(p.project, "distropack.yml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.Replace(string(b), "http://127.0.0.1:8008", p.url, 1)
	if edit != nil {
		config = edit(config)
	}
	if err := os.WriteFile(name, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// release publishes a version of the sample. SOURCE_DATE_EPOCH makes later
// versions later: 1.1.0 is a day after 1.0.0.
func (p *published) release(t *testing.T, version string, args ...string) {
	t.Helper()
	must(t, []string{"SOURCE_DATE_EPOCH=" + epochs[version]}, append([]string{"-C", p.project, "release", "--version", version, "--key", p.key}, args...)...)
}

// epochs are the release times of the sample's versions: past, and after the key
// was made is not needed, since signatures are dated no earlier than their key.
var epochs = map[string]string{"1.0.0": "1780000000", "1.1.0-rc.1": "1780040000", "1.1.0": "1780086400"}

func TestPublishingTheSampleTwiceWritesNothing(t *testing.T) {
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	before := snapshot(t, p.dir)
	p.release(t, "1.0.0")
	if after := snapshot(t, p.dir); after != before {
		t.Errorf("the tree changed:\n%s\nwas\n%s", after, before)
	}
	must(t, nil, "-C", p.project, "repo", "check", p.dir, "--key", p.key, "--deep")
	p.release(t, "1.1.0")
	must(t, nil, "-C", p.project, "repo", "check", p.dir, "--key", p.key, "--deep")
}

// snapshot lists a tree with sizes and times of change.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(name string, st os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if !st.IsDir() {
			b.WriteString(rel + " " + st.ModTime().String() + "\n")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What rsync -rt --delete would make, files and folders and nothing else, is a
// whole tree: there are no links that point out of it, and no state beside it.
func TestAPlainCopyIsAMirror(t *testing.T) {
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	p.release(t, "1.1.0")
	err := filepath.WalkDir(p.dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !d.Type().IsRegular() {
			t.Errorf("%s is neither file nor folder", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(t.TempDir(), "mirror")
	if err := os.CopyFS(mirror, os.DirFS(p.dir)); err != nil {
		t.Fatal(err)
	}
	must(t, nil, "-C", p.project, "repo", "check", mirror, "--site", "public", "--key", p.key, "--deep")
}
