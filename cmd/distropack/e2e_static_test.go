package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tool runs a program and fails the test if it fails; it skips where the program
// is missing, but not in CI.
func tool(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(args[0]); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", args[0])
		}
		t.Skipf("%s is not installed", args[0])
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The files of one real tree that no package manager here reads, or that people
// read themselves, each checked by a program that knows the form.
func TestPublishedFilesAreWhatTheirReadersExpect(t *testing.T) {
	p := publishSample(t, nil)
	p.release(t, "1.0.0")
	p.release(t, "1.1.0")
	read := func(t *testing.T, name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("install.sh", func(t *testing.T) {
		name := filepath.Join(p.dir, "install.sh")
		tool(t, "", "shellcheck", "-s", "sh", name)
		tool(t, "", "dash", "-n", name)
		tool(t, "", "busybox", "sh", "-n", name)
		tool(t, "", "bash", "--posix", "-n", name)
	})
	t.Run("index.html", func(t *testing.T) {
		for _, name := range []string{"index.html", "packages/hello/index.html"} {
			tool(t, string(read(t, name)), "tidy", "-e", "-q", "--show-warnings", "no", "--drop-empty-elements", "no")
			// What a browser would fetch by itself lies in the page, or is not there.
			if m := regexp.MustCompile(`(?i)<(?:script|img|iframe|source|video)[^>]+src=|<link[^>]+rel="?(?:stylesheet|icon|preload)[^>]+href="?(?:https?:|/)|@import|url\((?:"|')?https?:`).Find(read(t, name)); m != nil {
				t.Errorf("%s fetches something: %s", name, m)
			}
		}
	})
	t.Run("install.json", func(t *testing.T) {
		var v struct {
			Name     string
			Packages []struct{ Name, Latest string }
		}
		if err := json.Unmarshal(read(t, "install.json"), &v); err != nil || v.Name != "hello" || len(v.Packages) == 0 || v.Packages[0].Latest != "1.1.0" {
			t.Errorf("%v: %+v", err, v)
		}
	})
	t.Run("badge.svg", func(t *testing.T) {
		if err := xml.Unmarshal(read(t, "badge.svg"), new(struct{})); err != nil {
			t.Error(err)
		}
	})
	t.Run("SHA256SUMS", func(t *testing.T) {
		cmd := exec.Command("sha256sum", "--strict", "-c", "SHA256SUMS")
		cmd.Dir = filepath.Join(p.dir, "downloads")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		ring := filepath.Join(t.TempDir(), "ring.gpg")
		if err := os.WriteFile(ring, read(t, "keys/hello.gpg"), 0o644); err != nil {
			t.Fatal(err)
		}
		tool(t, "", "gpgv", "--keyring", ring, filepath.Join(p.dir, "downloads/SHA256SUMS.asc"), filepath.Join(p.dir, "downloads/SHA256SUMS"))
		cmd = exec.Command("sha256sum", "--strict", "-c", "SHA256SUMS")
		cmd.Dir = filepath.Join(p.project, "dist")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("dist: %v\n%s", err, out)
		}
	})
	t.Run("usign signature of the opkg feed", func(t *testing.T) {
		for _, arch := range []string{"x86_64", "aarch64_generic"} {
			feed := filepath.Join(p.dir, "opkg/stable", arch)
			tool(t, "", "signify-openbsd", "-V", "-p", filepath.Join(p.dir, "keys/hello.usign.pub"), "-x", filepath.Join(feed, "Packages.sig"), "-m", filepath.Join(feed, "Packages"))
			z, err := gzip.NewReader(bytes.NewReader(read(t, "opkg/stable/"+arch+"/Packages.gz")))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || !bytes.Equal(plain, read(t, "opkg/stable/"+arch+"/Packages")) {
				t.Errorf("Packages.gz of %s is not Packages: %v", arch, err)
			}
			if n := strings.Count(string(plain), "Package: hello\n"); n != 2 {
				t.Errorf("the feed of %s lists hello %d times, want both versions", arch, n)
			}
			// And refuses another text.
			other := filepath.Join(t.TempDir(), "Packages")
			if err := os.WriteFile(other, append(plain, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("signify-openbsd", "-V", "-p", filepath.Join(p.dir, "keys/hello.usign.pub"), "-x", filepath.Join(feed, "Packages.sig"), "-m", other).CombinedOutput(); err == nil {
				t.Errorf("a changed feed verifies\n%s", out)
			}
		}
	})
	t.Run("RSA signatures of apk", func(t *testing.T) {
		index := read(t, "apk/stable/x86_64/APKINDEX.tar.gz")
		checkAPK(t, p, index)
		pkg := read(t, "apk/stable/x86_64/hello-1.1.0-r1.apk")
		checkAPK(t, p, pkg)
		// The index names the package by the SHA-1 of its control part.
		body := members(t, index)[1]
		text := member(t, body, "APKINDEX")
		if !strings.Contains(text, "P:hello\nV:1.1.0-r1\n") || !strings.Contains(text, fmt.Sprintf("S:%d\n", len(pkg))) {
			t.Errorf("APKINDEX:\n%s", text)
		}
		sum := tool(t, string(raw(t, pkg, 1)), "openssl", "dgst", "-sha1", "-r")
		hex := strings.Fields(sum)[0]
		var digest []byte
		if _, err := fmt.Sscanf(hex, "%x", &digest); err != nil {
			t.Fatal(err)
		}
		if want := "C:Q1" + base64.StdEncoding.EncodeToString(digest) + "\n"; !strings.Contains(text, want) {
			t.Errorf("APKINDEX has no %q:\n%s", want, text)
		}
	})
	t.Run("Homebrew formula", func(t *testing.T) {
		name := filepath.Join(p.dir, "brew/Formula/hello.rb")
		tool(t, "", "ruby", "-wc", name)
		text := string(read(t, "brew/Formula/hello.rb"))
		pairs := regexp.MustCompile(`(?s)url "([^"]+)"\s+(?:version "[^"]+"\s+)?sha256 "([0-9a-f]{64})"`).FindAllStringSubmatch(text, -1)
		if len(pairs) < 2 {
			t.Fatalf("the formula names %d archives:\n%s", len(pairs), text)
		}
		for _, m := range pairs {
			resp, err := http.Get(m[1])
			if err != nil {
				t.Fatal(err)
			}
			h := sha256.New()
			_, err = io.Copy(h, resp.Body)
			resp.Body.Close()
			if got := fmt.Sprintf("%x", h.Sum(nil)); err != nil || got != m[2] {
				t.Errorf("%s has SHA-256 %s, the formula says %s (%v)", m[1], got, m[2], err)
			}
		}
	})
}

// checkAPK verifies an apk's or index's signature over its second gzip stream.
func checkAPK(t *testing.T, p *published, b []byte) {
	t.Helper()
	parts := members(t, b)
	r := tar.NewReader(bytes.NewReader(parts[0]))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	key, ok := strings.CutPrefix(h.Name, ".SIGN.RSA256.")
	if !ok {
		t.Fatalf("the first entry is %q", h.Name)
	}
	sig, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"sig": sig, "data": raw(t, b, 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "", "openssl", "dgst", "-sha256", "-verify", filepath.Join(p.dir, "keys", key), "-signature", filepath.Join(dir, "sig"), filepath.Join(dir, "data"))
}

// streams finds where the gzip streams of b begin and end.
func streams(t *testing.T, b []byte) (texts [][]byte, ends []int) {
	t.Helper()
	r := bytes.NewReader(b)
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for {
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		texts, ends = append(texts, text), append(ends, len(b)-r.Len())
		if err := z.Reset(r); err == io.EOF {
			return texts, ends
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func members(t *testing.T, b []byte) [][]byte {
	t.Helper()
	texts, _ := streams(t, b)
	if len(texts) < 2 {
		t.Fatalf("%d gzip streams, want at least 2", len(texts))
	}
	return texts
}

// raw returns the compressed bytes of the n-th stream.
func raw(t *testing.T, b []byte, n int) []byte {
	t.Helper()
	_, ends := streams(t, b)
	start := 0
	if n > 0 {
		start = ends[n-1]
	}
	return b[start:ends[n]]
}

func member(t *testing.T, b []byte, name string) string {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(b))
	for {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("no %s: %v", name, err)
		}
		if h.Name == name {
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
}
