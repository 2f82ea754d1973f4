package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
)

// corpus is a folder of small, real packages of one format, all of one payload
// under different names.
type corpus struct {
	dir   string   // has the packages that are there from the start
	more  []string // packages to add one by one, beside dir
	names []string // of the files in dir
}

// extra is how many packages are kept for adding.
const extra = 8

// makeCorpus writes n packages of a format and those to add later. Names are made
// of words, since the cut of indexes depends on them.
func makeCorpus(t *testing.T, format string, n int) *corpus {
	t.Helper()
	c := &corpus{dir: filepath.Join(t.TempDir(), "packages")}
	late := filepath.Join(t.TempDir(), "late")
	for _, d := range []string{c.dir, late} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	text := func(n int) formats.Blob {
		b := make([]byte, 0, n+80)
		for i := 0; len(b) < n; i++ {
			b = fmt.Appendf(b, "line %d of a file that a small package brings\n", i*i)
		}
		return formats.Bytes(b)
	}
	program, manual, config := text(3000), text(1200), text(200)
	files := func(name string) []formats.File {
		return []formats.File{
			{Path: "/usr/bin/" + name, Type: formats.Regular, Mode: 0o755, Content: program},
			{Path: "/etc/" + name + ".conf", Type: formats.Config, Mode: 0o644, Content: config},
			{Path: "/usr/lib/" + name + "/plugin.so", Type: formats.Regular, Mode: 0o644, Content: program},
			{Path: "/usr/share/doc/" + name + "/README", Type: formats.Doc, Mode: 0o644, Content: manual},
			{Path: "/usr/share/man/man1/" + name + ".1", Type: formats.Regular, Mode: 0o644, Content: manual},
		}
	}
	words := []string{"lib", "py", "go", "tool", "data", "x", "mail", "net", "font", "kernel", "web", "doc", "db"}
	platform := formats.Platform{OS: "linux", Arch: "amd64"}
	jobs := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for range runtime.GOMAXPROCS(0) {
		scratch := formats.NewScratch(t.TempDir())
		wg.Go(func() {
			for i := range jobs {
				name := fmt.Sprintf("%s%s-%05d", words[i%len(words)], words[i/7%len(words)], i*7919%100003)
				spec := &formats.Spec{
					Name: name, Version: fmt.Sprintf("%d.%d.%d", i%4, i%10, i%17), Time: time.Unix(1_750_000_000, 0),
					Summary:     "A small package, number " + fmt.Sprint(i),
					Description: "It stands for the packages of a repository of some size and\nhas a description of three lines, a few files, and relations to others\nas packages usually have them.\n",
					Homepage:    "https://example.org/" + name, License: "MIT", Maintainer: "Ann Example <ann@example.org>", Section: "utils",
					Relations: formats.Relations{Depends: []string{"libc6", "zlib1g >= 1.2", "ca-certificates"}},
				}
				dir := c.dir
				if i >= n {
					dir = late
				}
				err := writePackage(format, scratch, dir, spec, platform, files(name))
				if err != nil {
					mu.Lock()
					failed = err
					mu.Unlock()
				}
			}
		})
	}
	for i := range n + extra {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	if failed != nil {
		t.Fatal(failed)
	}
	c.names, c.more = glob(t, c.dir), glob(t, late)
	return c
}

func glob(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func writePackage(format string, scratch *formats.Scratch, dir string, spec *formats.Spec, p formats.Platform, files []formats.File) error {
	for _, k := range formatsall.Kinds() {
		if k.Name != format {
			continue
		}
		f, err := k.New(formats.NoSection, formats.Env{Scratch: scratch})
		if err != nil {
			return err
		}
		id, err := f.Identify(spec, p)
		if err != nil {
			return err
		}
		w, err := os.Create(filepath.Join(dir, id.Filename))
		if err != nil {
			return err
		}
		if err := f.Write(context.Background(), w, spec, p, files); err != nil {
			return err
		}
		return w.Close()
	}
	return fmt.Errorf("unknown format %q", format)
}
