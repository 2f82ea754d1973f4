package apk

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

// members splits a file into its gzip members.
func members(t *testing.T, file []byte) (packed, plain [][]byte) {
	t.Helper()
	r := bytes.NewReader(file)
	for r.Len() > 0 {
		start := len(file) - r.Len()
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, text)
		packed = append(packed, file[start:len(file)-r.Len()])
	}
	return packed, plain
}

func pagesOf(n, per int) [][]*publish.Record {
	var pages [][]*publish.Record
	for i := range n {
		if i%per == 0 {
			pages = append(pages, nil)
		}
		pages[len(pages)-1] = append(pages[len(pages)-1], record(fmt.Sprintf("pkg%05d", i), "1.2.0-r0", "x86_64"))
	}
	return pages
}

func TestTheIndexIsASignatureMemberAndATarMember(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	for _, n := range []int{0, 1, 3, 500} {
		index := finish(t, r, build(t, r, "stable/x86_64", pagesOf(n, 100)...))
		_, plain := members(t, index)
		if len(plain) != 2 {
			t.Fatalf("%d packages: %d gzip members, want 2", n, len(plain))
		}
		if len(plain[0])%block != 0 || len(plain[1])%block != 0 {
			t.Errorf("members of %d and %d bytes are not whole blocks", len(plain[0]), len(plain[1]))
		}
		if bytes.HasSuffix(plain[0], make([]byte, 2*block)) {
			t.Error("the signature's tar is ended: tar readers stop there")
		}
		if !bytes.HasSuffix(plain[1], make([]byte, 2*block)) {
			t.Error("the index's tar is not ended")
		}
		got := make(map[string]string)
		tr := tar.NewReader(bytes.NewReader(bytes.Join(plain, nil)))
		var names []string
		for {
			h, err := tr.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			got[h.Name] = string(b)
			names = append(names, h.Name)
			if h.ModTime.Unix() != 1700000000 || h.Mode != 0o644 || h.Uid != 0 {
				t.Errorf("%s: header %+v", h.Name, h)
			}
		}
		want := ".SIGN.RSA256." + r.key.Name + " DESCRIPTION APKINDEX"
		if s := strings.Join(names, " "); s != want {
			t.Errorf("entries %s, want %s", s, want)
		}
		if got["DESCRIPTION"] != "hello stable" {
			t.Errorf("DESCRIPTION %q", got["DESCRIPTION"])
		}
		entries, err := Parse([]byte(got["APKINDEX"]))
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) != n {
			t.Errorf("%d entries, want %d", len(entries), n)
		}
	}
}

func TestUnsignedIndexIsOneMember(t *testing.T) {
	env := testEnv()
	env.Key = ""
	r := newRepo(t, Options{}, env)
	packed, _ := members(t, finish(t, r, build(t, r, "stable/x86_64", pagesOf(3, 2)...)))
	if len(packed) != 1 {
		t.Errorf("%d members, want 1", len(packed))
	}
}

func TestDamagedEngineFilesAreRefused(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	b := build(t, r, "stable/x86_64", pagesOf(3, 2)...)
	file, err := formats.ReadAll(b.Indexes[0].Blob)
	if err != nil {
		t.Fatal(err)
	}
	plain := b.Indexes[0].Plain.Size
	for name, c := range map[string]struct {
		file  []byte
		plain int64
		want  string
	}{
		"empty":     {nil, plain, "the index is not the gzip file the engine makes"},
		"short":     {file[:15], plain, "the index is not the gzip file the engine makes"},
		"flags":     {append([]byte{0x1f, 0x8b, 8, 8}, file[4:]...), plain, "the index is not the gzip file the engine makes"},
		"cut":       {file[:len(file)-1], plain, fmt.Sprintf("the index does not end as a gzip file of %d bytes", plain)},
		"no end":    {append(bytes.Clone(file[:len(file)-10]), make([]byte, 10)...), plain, "the index does not end as a gzip file"},
		"two files": {append(bytes.Clone(file), file...)[:len(file)+20], plain, "the index does not end as a gzip file"},
		"length":    {file, plain + 1, fmt.Sprintf("the index does not end as a gzip file of %d bytes", plain+1)},
	} {
		b.Indexes[0].Blob, b.Indexes[0].Plain.Size = formats.Bytes(c.file), c.plain
		_, err := r.Finish(t.Context(), &publish.RootInput{Root: b.Partition, Partitions: []publish.Built{b}})
		if err == nil || !strings.Contains(err.Error(), "partition stable/x86_64: "+c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func tool(t *testing.T, name string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err != nil {
		t.Skip(name + " is not installed")
	}
	return p
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(t *testing.T, dir, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpenSSLVerifiesTheSecondMember(t *testing.T) {
	openssl := tool(t, "openssl")
	r := newRepo(t, Options{}, testEnv())
	packed, plain := members(t, finish(t, r, build(t, r, "stable/x86_64", pagesOf(300, 100)...)))
	dir := t.TempDir()
	tr := tar.NewReader(bytes.NewReader(plain[0]))
	if _, err := tr.Next(); err != nil {
		t.Fatal(err)
	}
	sig, err := io.ReadAll(tr)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "sig", sig)
	write(t, dir, "index", packed[1])
	write(t, dir, "key.pem", r.key.Data)
	run(t, dir, openssl, "dgst", "-sha256", "-verify", "key.pem", "-signature", "sig", "index")
	packed[1][len(packed[1])/2] ^= 1
	write(t, dir, "index", packed[1])
	if out, err := exec.Command(openssl, "dgst", "-sha256", "-verify", filepath.Join(dir, "key.pem"), "-signature", filepath.Join(dir, "sig"), filepath.Join(dir, "index")).CombinedOutput(); err == nil {
		t.Errorf("a flipped bit was accepted: %s", out)
	}
}

func TestOtherProgramsReadTheSplicedIndex(t *testing.T) {
	r := newRepo(t, Options{}, testEnv())
	index := finish(t, r, build(t, r, "stable/x86_64", pagesOf(300, 100)...))
	dir := t.TempDir()
	write(t, dir, "APKINDEX.tar.gz", index)
	for _, c := range []struct{ name, script string }{
		{"gzip", "gzip -t APKINDEX.tar.gz && tar -xzOf APKINDEX.tar.gz APKINDEX"},
		{"busybox", "busybox zcat APKINDEX.tar.gz | busybox tar -xOf - APKINDEX"},
		{"bsdtar", "bsdtar -xOf APKINDEX.tar.gz APKINDEX"},
		{"python3", `python3 -c 'import gzip,io,tarfile,sys; sys.stdout.write(tarfile.open(fileobj=io.BytesIO(gzip.open("APKINDEX.tar.gz").read())).extractfile("APKINDEX").read().decode())'`},
	} {
		t.Run(c.name, func(t *testing.T) {
			tool(t, c.name)
			if got := strings.Count(run(t, dir, "sh", "-c", c.script), "\nP:pkg"); got != 300 {
				t.Errorf("%d packages, want 300", got)
			}
		})
	}
}
