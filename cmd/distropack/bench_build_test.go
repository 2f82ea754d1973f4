package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	formatsall "github.com/distropack/distropack/formats/all"
	"github.com/distropack/distropack/formats/rpm"
)

// nfpmCommand builds nFPM's own command at the version of go.mod.
func nfpmCommand(t *testing.T) string {
	t.Helper()
	const module = "github.com/goreleaser/nfpm/v2"
	version, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", module).Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	bin := t.TempDir()
	install := exec.Command("go", "install", module+"/cmd/nfpm@"+strings.TrimSpace(string(version)))
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("nFPM's command can't be built: %v\n%s", err, out)
	}
	return filepath.Join(bin, "nfpm")
}

// payload is n bytes that compress to about half, as programs do: words of a
// fixed vocabulary between bytes of noise.
func payload(seed uint64, n int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	words := make([][]byte, 4096)
	for i := range words {
		words[i] = make([]byte, 4+random.IntN(12))
		for j := range words[i] {
			words[i][j] = byte(random.Uint32())
		}
	}
	b := make([]byte, 0, n+32)
	for len(b) < n {
		if random.IntN(3) == 0 {
			b = append(b, byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()))
		}
		b = append(b, words[int(random.ExpFloat64()*400)%len(words)]...)
	}
	return b[:n]
}

func benchBuild(t *testing.T, r *results) {
	needs(t, "tar", "gzip")
	nfpm, ours := nfpmCommand(t), built(t)
	dir := t.TempDir()
	for i, cpu := range []string{"amd64", "arm64"} {
		put(t, filepath.Join(dir, "dist", "linux_"+cpu, "tool"), string(payload(uint64(i), 60<<20)))
		put(t, filepath.Join(dir, "nfpm-"+cpu+".yaml"), `name: tool
arch: `+cpu+`
version: 1.0.0
maintainer: Ann Example <ann@example.org>
description: A tool of 60 MiB
license: MIT
rpm: {compression: zstd}
contents:
  - {src: dist/linux_`+cpu+`/tool, dst: /usr/bin/tool, file_info: {mode: 0755}}
`)
	}
	put(t, filepath.Join(dir, "distropack.yml"), `version: 1
project: tool
description: A tool of 60 MiB
license: MIT
maintainer: Ann Example <ann@example.org>
platforms: [linux/amd64, linux/arm64]
sources:
  bin: {files: "dist/{os}_{arch}/"}
packages:
  - name: tool
    formats: [deb, rpm, arch, apk, tar.gz]
    contents:
      - {src: "bin:tool", dst: /usr/bin/tool, mode: 0755}
`)
	var memory int64
	mine := median(3, func(int) {
		m := peer(t, dir, nil, ours, "build", "--version", "1.0.0", "--unsigned", "-q", "-o", t.TempDir()).memory
		memory = max(memory, m)
	})
	theirs := median(3, func(int) {
		out := t.TempDir() + "/"
		var jobs [][]string
		for _, cpu := range []string{"amd64", "arm64"} {
			for _, f := range []string{"deb", "rpm", "archlinux", "apk"} {
				jobs = append(jobs, []string{nfpm, "package", "-f", "nfpm-" + cpu + ".yaml", "-p", f, "-t", out})
			}
			jobs = append(jobs, []string{"tar", "-czf", out + "tool-" + cpu + ".tar.gz", "-C", "dist/linux_" + cpu, "tool"})
		}
		twoAtATime(t, dir, jobs)
	})
	r.compare("deb, rpm, arch, apk, tar.gz of 60 MiB, two CPUs", mine, "nFPM per artifact, tar -z", theirs, 0.35)
	r.bound("peak memory of that run", fmt.Sprintf("%d MiB", memory>>20), "<= 256 MiB", memory <= 256<<20)
	r.note("build: both unsigned, two at a time; nFPM's rpm is set to zstd as ours is, its default is slower")
}

// twoAtATime runs programs side by side.
func twoAtATime(t *testing.T, dir string, jobs [][]string) {
	t.Helper()
	next := make(chan []string)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for j := range next {
				cmd := exec.Command(j[0], j[1:]...)
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s", strings.Join(j, " "), err, out)
				}
			}
		})
	}
	for _, j := range jobs {
		next <- j
	}
	close(next)
	wg.Wait()
}

func benchSmall(t *testing.T, r *results) {
	nfpm, ours := nfpmCommand(t), built(t)
	dir := t.TempDir()
	const count = 20_000
	var files []formats.File
	for i := range count {
		name := fmt.Sprintf("share/d%03d/f%05d.txt", i/200, i)
		put(t, filepath.Join(dir, filepath.FromSlash(name)), strings.Repeat(fmt.Sprintf("file %d\n", i), 40))
		files = append(files, formats.File{Path: "/usr/share/many/" + strings.TrimPrefix(name, "share/"), Type: formats.Regular, Mode: 0o644})
	}
	put(t, filepath.Join(dir, "nfpm.yaml"), `name: many
arch: amd64
version: 1.0.0
maintainer: Ann Example <ann@example.org>
description: Many small files
license: MIT
rpm: {compression: zstd}
contents:
  - {src: share/, dst: /usr/share/many/, type: tree}
`)
	put(t, filepath.Join(dir, "distropack.yml"), `version: 1
project: many
description: Many small files
license: MIT
maintainer: Ann Example <ann@example.org>
platforms: [linux/amd64]
packages:
  - name: many
    formats: [rpm]
    contents:
      - {src: share, dst: /usr/share/many}
`)
	spec := &formats.Spec{Name: "many", Version: "1.0.0", Time: time.Unix(1_750_000_000, 0), Summary: "Many small files", License: "MIT", Maintainer: "Ann Example <ann@example.org>"}
	write := func(engine string) time.Duration {
		f := rpmFormat(t, engine)
		return median(5, func(int) {
			for i := range files {
				blob, err := formats.FileBlob(filepath.Join(dir, "share", strings.TrimPrefix(files[i].Path, "/usr/share/many/")))
				if err != nil {
					t.Fatal(err)
				}
				files[i].Content = blob
			}
			if err := f.Write(context.Background(), io.Discard, spec, formats.Platform{OS: "linux", Arch: "amd64"}, files); err != nil {
				t.Fatal(err)
			}
		})
	}
	r.compare("rpm of 20,000 small files, hashed and written", write("distropack"), "nFPM as a library", write("nfpm"), 0.5)
	mine := median(5, func(int) {
		peer(t, dir, nil, ours, "build", "--version", "1.0.0", "--unsigned", "-q", "-o", t.TempDir())
	})
	theirs := median(5, func(int) { peer(t, dir, nil, nfpm, "package", "-f", "nfpm.yaml", "-p", "rpm", "-t", t.TempDir()) })
	r.compare("rpm of 20,000 small files, as commands", mine, "nfpm package", theirs, 0.5)
}

// engineSection is configuration that says which engine writes.
type engineSection string

func (s engineSection) Decode(v any) error {
	o, ok := v.(*rpm.Options)
	if !ok {
		return fmt.Errorf("%T is not rpm's options", v)
	}
	o.Engine = string(s)
	return nil
}

func rpmFormat(t *testing.T, engine string) formats.Format {
	t.Helper()
	for _, k := range formatsall.Kinds() {
		if k.Name != "rpm" {
			continue
		}
		f, err := k.New(engineSection(engine), formats.Env{Scratch: formats.NewScratch(t.TempDir())})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	t.Fatal("there is no rpm")
	return nil
}
