package publish_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/dest/dir"
	"github.com/distropack/distropack/publish/publishtest"
)

// backwards has the old after the new.
type backwards struct{ *publishtest.Toy }

func (r backwards) Less(a, b *publish.Record) bool { return r.Toy.Less(b, a) }

// second is another repository whose packages have the paths of the first's.
type second struct{ *publishtest.Toy }

func (r second) Name() string { return "second" }

// resign changes the state as somebody would who has the key.
func resign(t *testing.T, m *publishtest.Mem, old, new string) {
	t.Helper()
	message, _, _ := bytes.Cut(m.Read(publish.StatePath), []byte("\n\n"))
	changed := append(regexp.MustCompile(old).ReplaceAll(message, []byte(new)), '\n')
	if bytes.Equal(changed[:len(changed)-1], message) {
		t.Fatalf("%s is nowhere in %s", old, message)
	}
	sig, err := sign(ctx, bytes.NewReader(changed))
	if err != nil {
		t.Fatal(err)
	}
	m.Set(publish.StatePath, append(append(changed, '\n'), sig...))
}

func TestCheckSaysWhatIsWrong(t *testing.T) {
	publishTo := func(m *publishtest.Mem, r publish.Repo, e publish.Edit) {
		t.Helper()
		o := options()
		o.AllowOlder = true
		o.Site = func(context.Context, *publish.View) ([]publish.File, error) {
			return []publish.File{{Path: "index.html", Class: publish.Pointer, Blob: formats.Bytes([]byte("hello"))}}, nil
		}
		var repos []publish.Repo
		if r != nil {
			repos = append(repos, r)
		}
		if _, err := publish.Publish(ctx, m, repos, e, o); err != nil {
			t.Fatal(err)
		}
	}
	a := add("stable", publishtest.ToyPackage("a", "1", "x86"))
	file := formats.Bytes([]byte("a 1 x86")).Ref()
	stable := toy()
	stable.Channels = []string{"stable"}
	remote := toy()
	remote.Remote, remote.Channels = true, []string{"beta"}
	for _, c := range []struct {
		name, want string
		make       func(m *publishtest.Mem)
		repos      []publish.Repo
		deep       bool
	}{
		{"nothing there", "there is no tree: publish something first", func(*publishtest.Mem) {}, nil, false},
		{"new repository", "repository toy: not published yet", func(m *publishtest.Mem) { publishTo(m, nil, publish.Edit{}) }, nil, false},
		{"new channel", "repository toy: partition beta/a64: not published yet\nrepository toy: partition beta/x86: not published yet", func(m *publishtest.Mem) { publishTo(m, stable, a) }, nil, false},
		{"disorder", "repository toy: partition stable/x86: records are not in order", func(m *publishtest.Mem) {
			publishTo(m, backwards{toy()}, a)
			publishTo(m, backwards{toy()}, add("stable", publishtest.ToyPackage("a", "2", "x86")))
		}, nil, false},
		{"two contents", "repository second: pool/a_1_x86.toy is listed with two contents", func(m *publishtest.Mem) {
			publishTo(m, stable, a)
			e := add("beta", publishtest.ToyPackage("a", "1", "x86"))
			e.Add[0].Blob, e.Add[0].URL = formats.Bytes([]byte("other")), "https://example.org/a"
			publishTo(m, second{remote}, e)
		}, []publish.Repo{stable, second{remote}}, false},
		{"wrong sum", ".distropack/state: the packages are 7 bytes, the state says 70", func(m *publishtest.Mem) {
			publishTo(m, toy(), a)
			resign(t, m, `"bytes":7,`, `"bytes":70,`)
		}, nil, false},
		{"index changed", "lists/stable/x86/list: is ", func(m *publishtest.Mem) {
			publishTo(m, toy(), a)
			flip(m, "lists/stable/x86/list", 3)
		}, nil, false},
		{"package changed", fmt.Sprintf("pool/a_1_x86.toy: is 5 bytes with SHA-256 %s, want 7 with %s", formats.Bytes([]byte("other")).Ref().SHA256, file.SHA256), func(m *publishtest.Mem) {
			publishTo(m, toy(), a)
			m.Set("pool/a_1_x86.toy", []byte("other"))
		}, nil, true},
		{"other settings", "repository toy: its options changed since the last publish", func(m *publishtest.Mem) {
			r := toy()
			r.Label = "games"
			publishTo(m, r, a)
		}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := new(publishtest.Mem)
			c.make(m)
			if c.repos == nil {
				c.repos = []publish.Repo{toy()}
			}
			err := publish.Check(ctx, m, c.repos, verify, publish.CheckOptions{Deep: c.deep})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A package that was cut off is found without reading it.
func TestCheckComparesSizes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tree")
	d, err := dir.Open(name, dir.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	run(t, d, add("stable", publishtest.ToyPackage("a", "1", "x86")), options())
	if err := os.Truncate(filepath.Join(name, "pool/a_1_x86.toy"), 2); err != nil {
		t.Fatal(err)
	}
	if err := publish.Check(ctx, d, []publish.Repo{toy()}, verify, publish.CheckOptions{}); err == nil || err.Error() != "pool/a_1_x86.toy: 2 bytes, want 7" {
		t.Error(err)
	}
}

// A state that is signed and wrong nevertheless takes nothing from files that are
// shorter than it says.
func TestPiecesBeyondTheirFileAreRefused(t *testing.T) {
	var ps []publish.Package
	for i := range 700 {
		ps = append(ps, publishtest.ToyPackage(fmt.Sprintf("p%04d", i), "1", "x86"))
	}
	m := new(publishtest.Mem)
	run(t, m, add("stable", ps...), options())
	size := len(m.Read("lists/stable/x86/listgz"))
	resign(t, m, `("form":"gz","ref":{[^}]*},"packed":\[)(\d+),(\d+)`, `${1}${2},1000000`)
	_, err := publish.Publish(ctx, m, []publish.Repo{toy()}, add("stable", publishtest.ToyPackage("p0300", "2", "x86")), options())
	if want := fmt.Sprintf(" bytes of pieces, it has %d", size); err == nil || !strings.Contains(err.Error(), ".distropack/state: damaged: lists/stable/x86/listgz is said to have ") || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}
