package rpm

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

func describeFile(t testing.TB, name string) *formats.Meta {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := newTestFormat(t, Options{}, nil).Describe(t.Context(), f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func number(t testing.TB, m *formats.Meta, key string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(m.Get(key), 10, 64)
	if err != nil {
		t.Fatalf("field %s: %v", key, err)
	}
	return n
}

func TestDescribeSaysWhatWasWritten(t *testing.T) {
	name := save(t, newTestFormat(t, Options{}, nil), helloSpec(), amd64, helloFiles())
	m := describeFile(t, name)
	id, err := newTestFormat(t, Options{}, nil).Identify(helloSpec(), amd64)
	if err != nil {
		t.Fatal(err)
	}
	if m.Format != "rpm" || m.Name != id.Name || m.Version != id.Version || m.Arch != id.Arch {
		t.Errorf("got %s %s %s %s, want %+v", m.Format, m.Name, m.Version, m.Arch, id)
	}
	for key, want := range map[string]string{
		"summary": "Greets the wörld", "description": "A program that greets.\n\nSecond paragraph.", "epoch": "2",
		"version": "1.3.0~rc.1+build.5", "release": "3", "license": "MIT", "vendor": "Example Inc.", "group": "utils",
		"buildhost": "distropack", "sourcerpm": "hello-src-1.3.0~rc.1+build.5-3.src.rpm", "url": "https://example.com/hello",
		"packager": "Ann Example <ann@example.com>", "buildtime": strconv.FormatInt(released.Unix(), 10), "size": "3407910",
	} {
		if got := m.Get(key); got != want {
			t.Errorf("field %s is %q, want %q", key, got, want)
		}
	}
	for key, want := range map[string][]string{
		"provides":    {"greeter\tEQ\t0\t1.0\t\t0", "hello\tEQ\t2\t1.3.0~rc.1+build.5\t3\t0", "hello(x86-64)\tEQ\t2\t1.3.0~rc.1+build.5\t3\t0"},
		"conflicts":   {"bad\tLT\t0\t2\t\t0"},
		"obsoletes":   {"hola\tLE\t0\t0.9\t\t0"},
		"recommends":  {"nice\t\t\t\t\t0"},
		"suggests":    {"nicer\tGT\t0\t2\t\t0"},
		"supplements": {"(x and y)\t\t\t\t\t0"},
		"enhances":    {"z\t\t\t\t\t0"},
		"changelog": {"1772625600\tAnn Example <ann@example.com> - 1.3.0\t- Greets twice.\n- Second",
			"1770206400\tBob <bob@example.com> - 1.2.0\t- Greets once."},
	} {
		if got := m.All(key); !slices.Equal(got, want) {
			t.Errorf("field %s is %q, want %q", key, got, want)
		}
	}
	for _, want := range []string{"(a or b >= 1)\t\t\t\t\t0", "libx\tEQ\t1\t2.0\t3\t0", "shadow\t\t\t\t\t1", "y\tGE\t0\t2\t\t0", "perl(Carp)\t\t\t\t\t0"} {
		want = strings.Replace(want, "libx\tEQ", "libx\tGE", 1)
		if !slices.Contains(m.All("requires"), want) {
			t.Errorf("requires lack %q: %q", want, m.All("requires"))
		}
	}
	want := []string{"/etc/hello.conf", "/etc/hello.keep", "/usr/bin/big", "/usr/bin/hello", "/usr/bin/hi", "/usr/share/doc/hello/", "/usr/share/doc/hello/README",
		"/usr/share/hello/", "/usr/share/hello/large", "/usr/share/hello/ünïcode name", "/var/lib/hello/", "/var/lib/hello/state"}
	if !slices.Equal(m.Files, want) || !slices.Equal(m.Ghosts, []string{"/var/lib/hello/state"}) {
		t.Errorf("files %q, ghosts %q", m.Files, m.Ghosts)
	}
}

// primary is what createrepo_c says of a package.
type primary struct {
	Packages []struct {
		Name        string `xml:"name"`
		Arch        string `xml:"arch"`
		Summary     string `xml:"summary"`
		Description string `xml:"description"`
		Packager    string `xml:"packager"`
		URL         string `xml:"url"`
		Version     struct {
			Epoch string `xml:"epoch,attr"`
			Ver   string `xml:"ver,attr"`
			Rel   string `xml:"rel,attr"`
		} `xml:"version"`
		Time struct {
			Build string `xml:"build,attr"`
		} `xml:"time"`
		Size struct {
			Installed string `xml:"installed,attr"`
			Archive   string `xml:"archive,attr"`
		} `xml:"size"`
		Format struct {
			License   string `xml:"license"`
			Vendor    string `xml:"vendor"`
			Group     string `xml:"group"`
			BuildHost string `xml:"buildhost"`
			SourceRPM string `xml:"sourcerpm"`
			Range     struct {
				Start string `xml:"start,attr"`
				End   string `xml:"end,attr"`
			} `xml:"header-range"`
			Relations []struct {
				XMLName xml.Name
				Entries []struct {
					Name  string `xml:"name,attr"`
					Flags string `xml:"flags,attr"`
					Epoch string `xml:"epoch,attr"`
					Ver   string `xml:"ver,attr"`
					Rel   string `xml:"rel,attr"`
					Pre   string `xml:"pre,attr"`
				} `xml:"entry"`
			} `xml:",any"`
		} `xml:"format"`
	} `xml:"package"`
}

func TestDescribeAgreesWithCreaterepo(t *testing.T) {
	dir := t.TempDir()
	put := func(name string) {
		if err := os.Rename(name, filepath.Join(dir, filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	f := newTestFormat(t, Options{}, nil)
	put(save(t, f, helloSpec(), amd64, helloFiles()))
	plain := &formats.Spec{Name: "plain", Version: "1", Time: released}
	put(save(t, f, plain, formats.All, nil))
	big := talking("9.9", false)
	put(saveLarge(t, big, helloFiles()))
	for _, name := range buildWithRpmbuild(t) {
		put(name)
	}
	run(t, "createrepo_c", "--quiet", "--compatibility", dir)
	found, err := filepath.Glob(filepath.Join(dir, "repodata/*primary.xml.gz"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	var p primary
	if err := xml.Unmarshal([]byte(run(t, "gzip", "-dc", found[0])), &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Packages) != 5 {
		t.Errorf("createrepo_c lists %d packages, want 5", len(p.Packages))
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.rpm"))
	metas := map[string]*formats.Meta{}
	for _, name := range names {
		m := describeFile(t, name)
		metas[m.Name+" "+m.Arch] = m
	}
	for _, c := range p.Packages {
		m := metas[c.Name+" "+c.Arch]
		if m == nil {
			t.Errorf("createrepo_c lists %s %s, we don't", c.Name, c.Arch)
			continue
		}
		for key, want := range map[string]string{
			"summary": c.Summary, "description": c.Description, "packager": c.Packager, "url": c.URL,
			"epoch": c.Version.Epoch, "version": c.Version.Ver, "release": c.Version.Rel, "buildtime": c.Time.Build,
			"size": c.Size.Installed, "archivesize": c.Size.Archive, "license": c.Format.License, "vendor": c.Format.Vendor,
			"group": c.Format.Group, "buildhost": c.Format.BuildHost, "sourcerpm": c.Format.SourceRPM,
			"headerstart": c.Format.Range.Start, "headerend": c.Format.Range.End,
		} {
			if got := m.Get(key); got != want {
				t.Errorf("%s: field %s is %q, createrepo_c says %q", c.Name, key, got, want)
			}
		}
		theirs := map[string][]string{}
		for _, k := range c.Format.Relations {
			for _, e := range k.Entries {
				if e.Pre == "" {
					e.Pre = "0"
				}
				theirs[k.XMLName.Local] = append(theirs[k.XMLName.Local], strings.Join([]string{e.Name, e.Flags, e.Epoch, e.Ver, e.Rel, e.Pre}, "\t"))
			}
		}
		for _, k := range relationTags {
			// createrepo_c leaves out what rpm itself or the package provides.
			ours := slices.DeleteFunc(m.All(k.field), func(s string) bool {
				return k.field == "requires" && (strings.HasPrefix(s, "rpmlib(") || slices.Contains(m.All("provides"), s))
			})
			slices.Sort(ours)
			slices.Sort(theirs[k.field])
			if !slices.Equal(ours, theirs[k.field]) {
				t.Errorf("%s: %s are\n%q, createrepo_c says\n%q", c.Name, k.field, ours, theirs[k.field])
			}
		}
	}
}

// buildWithRpmbuild makes a binary and a source package that are not ours.
func buildWithRpmbuild(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	spec := filepath.Join(dir, "foreign.spec")
	const text = `Name: foreign
Version: 1.0
Release: 1
Epoch: 3
Summary: Not made by us
License: MIT
Requires: (a or b)
Requires: foo >= 1:1.2-3
Requires(pre): bar
Recommends: zip = 1
%description
hi
%install
mkdir -p %{buildroot}/etc %{buildroot}/usr/share/d
echo a > %{buildroot}/etc/f.conf
%files
%config /etc/f.conf
%dir /usr/share/d
%ghost /etc/gh
%pre
echo pre
%changelog
* Mon Jan 01 2024 A B <a@b> - 1.0-1
- hey
`
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "rpmbuild", "-ba", "--quiet", "--define", "_topdir "+dir, spec)
	var names []string
	for _, pattern := range []string{"RPMS/*/*.rpm", "SRPMS/*.rpm"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		names = append(names, found...)
	}
	return names
}

func TestForeignPackagesAreDescribed(t *testing.T) {
	names := buildWithRpmbuild(t)
	bin, src := describeFile(t, names[0]), describeFile(t, names[1])
	if bin.Name != "foreign" || bin.Version != "3:1.0-1" || bin.Arch != "x86_64" {
		t.Errorf("binary package: %s %s %s", bin.Name, bin.Version, bin.Arch)
	}
	if want := []string{"/etc/f.conf", "/etc/gh", "/usr/share/d/"}; !slices.Equal(bin.Files, want) || !slices.Equal(bin.Ghosts, want[1:2]) {
		t.Errorf("binary package: files %q, ghosts %q", bin.Files, bin.Ghosts)
	}
	if src.Arch != "src" || src.Get("sourcerpm") != "" || !slices.Equal(src.Files, []string{"foreign.spec"}) {
		t.Errorf("source package: arch %s, source %q, files %q", src.Arch, src.Get("sourcerpm"), src.Files)
	}
}

func TestDamagedPackagesAreRefused(t *testing.T) {
	b := write(t, newTestFormat(t, Options{}, nil), helloSpec(), amd64, helloFiles())
	m, err := describe(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	start, end := number(t, m, "headerstart"), number(t, m, "headerend")
	// Nothing behind the header is read.
	if _, err := describe(bytes.NewReader(b[:end]), end); err != nil {
		t.Errorf("without its payload: %v", err)
	}
	beyond := fmt.Sprintf("main header: header of %d bytes reaches beyond the end of the file", end-start)
	for n, want := range map[int64]string{
		0:          "the file is 0 bytes long, shorter than the lead of an rpm package",
		50:         "the file is 50 bytes long, shorter than the lead of an rpm package",
		96:         "signature header: the file ends at byte 96, where a header should be",
		start:      fmt.Sprintf("main header: the file ends at byte %d, where a header should be", start),
		start + 20: beyond,
		end - 1:    beyond,
	} {
		if m, err := describe(bytes.NewReader(b[:n]), n); err == nil || err.Error() != want {
			t.Errorf("%d of %d bytes gave %+v, %v; want %s", n, len(b), m, err, want)
		}
	}
	flips := map[int64]string{
		0:          "the file starts with fd ab ee db, which is no rpm package",
		4:          "rpm package of format 19; formats 3 and 4 are read",
		leadSize:   "signature header: header starts with 9e ad e8 01, not with its magic",
		start:      "main header: header starts with 9e ad e8 01, not with its magic",
		start + 9:  "main header: header has 10486", // and two digits
		start + 12: "main header: header is 26843",
	}
	for at := start + 97; at < end; at += 97 {
		flips[at] = "main header is damaged: its SHA-256 is "
	}
	for at, want := range flips {
		bad := bytes.Clone(b[:end])
		bad[at] ^= 0x10
		if _, err := describe(bytes.NewReader(bad), end); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("a flip at byte %d: %v, want %s", at, err, want)
		}
	}
}

// plainHeader is the least a main header says.
func plainHeader(name string) *header {
	h := &header{}
	h.string(tagName, name)
	h.string(tagVersion, "1")
	h.string(tagRelease, "1")
	h.string(tagArch, "noarch")
	h.string(tagSourceRPM, "x.src.rpm")
	return h
}

func TestHeadersThatContradictThemselvesAreRefused(t *testing.T) {
	for want, change := range map[string]func(h *header){
		"header has 1 file names, but 2 directory numbers": func(h *header) {
			h.strings(tagBaseNames, "a")
			h.int32s(tagDirIndexes, 0, 0)
		},
		`file "a" is in the directory with number 7, but there are only 2`: func(h *header) {
			h.strings(tagBaseNames, "a")
			h.strings(tagDirNames, "/", "/b/")
			h.int32s(tagDirIndexes, 7)
		},
		"header has 1 paths, but 2 modes and 0 flags": func(h *header) {
			h.strings(tagOldFilenames, "/a")
			h.int32s(tagFileModes, 0, 0)
		},
		"header has 1 provides, but 2 flags and 0 versions": func(h *header) {
			h.strings(tagProvideName, "a")
			h.int32s(tagProvideFlags, 0, 0)
		},
		`provides: "a\tb " has a tab or a line break`: func(h *header) { h.strings(tagProvideName, "a\tb") },
		"header has 1 changelog times, but 0 authors and 2 texts": func(h *header) {
			h.int32s(tagChangelogTime, 0)
			h.strings(tagChangelogText, "a", "b")
		},
		"tag 1011 is of kind 4, not text":                 func(h *header) { h.int32s(tagVendor, 1) },
		"tag 1006 is of kind 6, not numbers":              func(h *header) { h.string(tagBuildTime, "x") },
		"tag 1011: 500 values at offset 6 do not fit in ": func(h *header) { h.add(tagVendor, kindStringArray, 500, []byte{0}) },
		"tag 5056: text 10 of 17 has no end":              func(h *header) { h.add(tagEnhanceVersion, kindStringArray, 17, []byte("x")) },
		"tag 5057: 10 numbers do not fit in the header":   func(h *header) { h.add(tagEnhanceFlags, kindInt32, 10, make([]byte, 4)) },
	} {
		h := plainHeader("x")
		change(h)
		if err := describeHeader(t, h); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, name := range []string{"", "../x", "a\nb"} {
		want := fmt.Sprintf("the package's name %q is empty or has a slash or a control character", name)
		if err := describeHeader(t, plainHeader(name)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestHeadersThatNoRpmReadsAreNotWritten(t *testing.T) {
	for want, h := range map[string]*header{
		"the header would be 67108928 bytes, rpm packages are read up to 67108864; leave out files": {values: []value{{tagName, kindBin, maxHeader, make([]byte, maxHeader)}}},
		`text "a\x00b" has a zero byte`: plainHeader("a\x00b"),
	} {
		if _, err := h.bytes(tagHeaderImmutable); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestHostileHeadersTakeLittleMemory(t *testing.T) {
	// A million files in one directory of a megabyte.
	h := plainHeader("x")
	h.strings(tagDirNames, "/"+strings.Repeat("a", 1<<20)+"/")
	h.strings(tagBaseNames, make([]string, 1<<20)...)
	h.int32s(tagDirIndexes, make([]uint32, 1<<20)...)
	if err := describeHeader(t, h); err == nil || !strings.Contains(err.Error(), "paths take more than 67108864 bytes") {
		t.Errorf("got %v", err)
	}
	h.strings(tagProvideName, make([]string, maxValues+1)...)
	if err := describeHeader(t, h); err == nil || !strings.Contains(err.Error(), "tag 1047 has 4194305 values; 4194304 are read at most") {
		t.Errorf("got %v", err)
	}
}

// describeHeader describes a package of that header.
func describeHeader(t testing.TB, h *header) error {
	t.Helper()
	sig, err := (&header{}).bytes(tagHeaderSignatures)
	if err != nil {
		t.Fatal(err)
	}
	main, err := h.bytes(tagHeaderImmutable)
	if err != nil {
		t.Fatal(err)
	}
	b := slices.Concat(lead("x", arches["all"]), sig, make([]byte, alignUp(len(sig), 8)-len(sig)), main)
	_, err = describe(bytes.NewReader(b), int64(len(b)))
	return err
}

func FuzzDescribe(f *testing.F) {
	small := &formats.Spec{Name: "x", Version: "1", Epoch: "1", Changelog: []formats.Change{{Lines: []string{"y"}}}}
	for _, files := range [][]formats.File{nil, {{Path: "/a/b", Type: formats.Dir}, {Path: "/a/c", Type: formats.Ghost}}} {
		b := write(f, newTestFormat(f, Options{}, nil), small, formats.All, files)
		m, err := describe(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:number(f, m, "headerend")])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// The digest would refuse nearly everything, so the header is parsed too
		// as if it were right.
		if m, err := describe(bytes.NewReader(b), int64(len(b))); err == nil && (m.Name == "" || m.Version == "") {
			t.Errorf("described as %+v", m)
		}
		if len(b) <= leadSize {
			return
		}
		sig, raw, err := readIndex(bytes.NewReader(b), leadSize, int64(len(b)))
		if err != nil {
			return
		}
		h, _, err := readIndex(bytes.NewReader(b), int64(alignUp(leadSize+len(raw), 8)), int64(len(b)))
		if err != nil {
			return
		}
		m, err := newMeta(sig, h, 0, 0)
		if err != nil {
			return
		}
		for _, k := range relationTags {
			for _, v := range m.All(k.field) {
				if strings.Count(v, "\t") != 5 || strings.ContainsAny(v, "\n\r") {
					t.Errorf("%s: %q has not six columns", k.field, v)
				}
			}
		}
	})
}

// The theorem: what header renders, index reads.
func FuzzHeaderReadsBack(f *testing.F) {
	f.Add("a", "b\xff", uint32(7), uint64(1<<40), 3)
	f.Fuzz(func(t *testing.T, a, b string, n uint32, m uint64, count int) {
		count = count & 0xff
		list := make([]string, count)
		nums := make([]uint32, count)
		for i := range list {
			list[i] = fmt.Sprint(a, i)
			nums[i] = n + uint32(i)
		}
		h := &header{}
		h.int64(tagLongSize, m)
		h.strings(tagBaseNames, list...)
		h.string(tagName, b)
		h.int32s(tagFileFlags, nums...)
		raw, err := h.bytes(tagHeaderImmutable)
		if strings.Contains(a, "\x00") && count > 0 || strings.Contains(b, "\x00") {
			if err == nil {
				t.Fatal("a text with a zero byte was taken")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		x := parseIndex(raw)
		gotA, errA := x.strings(tagBaseNames)
		gotB, errB := x.string(tagName)
		gotN, errN := x.ints(tagFileFlags)
		gotM, errM := x.int(tagLongSize)
		if errA != nil || errB != nil || errN != nil || errM != nil {
			t.Fatal(errA, errB, errN, errM)
		}
		if !slices.Equal(gotA, list) && count > 0 || gotB != b || gotM != m || len(gotN) != count {
			t.Errorf("read back %q %q %d %d", gotA, gotB, gotM, gotN)
		}
	})
}
