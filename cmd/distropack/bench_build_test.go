package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
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

// payload is 60 MiB of real programs, from an offset on: what compresses like
// something made up says little.
func payload(t *testing.T, offset int, programs ...string) string {
	t.Helper()
	var all []byte
	for _, p := range programs {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	const n = 60 << 20
	for len(all) < offset+n {
		all = append(all, all...)
	}
	return string(all[offset : offset+n])
}

func benchBuild(t *testing.T, r *results) {
	needs(t, "tar", "gzip")
	nfpm, ours := nfpmCommand(t), built(t)
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goCommand := filepath.Join(strings.TrimSpace(string(goroot)), "bin", "go")
	dir := t.TempDir()
	for i, cpu := range []string{"amd64", "arm64"} {
		put(t, filepath.Join(dir, "dist", "linux_"+cpu, "tool"), payload(t, i*12345, ours, nfpm, goCommand))
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
		_, held := peak(t, dir, nil, ours, "build", "--version", "1.0.0", "--unsigned", "-q", "-o", t.TempDir())
		memory = max(memory, held)
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
	for i := range count {
		name := fmt.Sprintf("share/d%03d/f%05d.txt", i/200, i)
		put(t, filepath.Join(dir, filepath.FromSlash(name)), strings.Repeat(fmt.Sprintf("file %d\n", i), 40))
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
	mine := median(5, func(int) {
		peer(t, dir, nil, ours, "build", "--version", "1.0.0", "--unsigned", "-q", "-o", t.TempDir())
	})
	theirs := median(5, func(int) { peer(t, dir, nil, nfpm, "package", "-f", "nfpm.yaml", "-p", "rpm", "-t", t.TempDir()) })
	r.compare("rpm of 20,000 small files", mine, "nfpm package", theirs, 0.5)
}
