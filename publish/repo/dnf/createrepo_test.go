package dnf

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
	"github.com/distropack/distropack/publish/publishtest"
)

// node is an element as text: attributes sorted, text trimmed where there are
// children.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Children []node     `xml:",any"`
}

// lines renders a package's entry, a fact a line: path of elements, attributes,
// text. Times of files and places are left out: they differ rightly.
func (n *node) lines(prefix string) []string {
	name := prefix + "/" + n.XMLName.Local
	if n.XMLName.Local == "location" {
		return nil
	}
	var attrs []string
	for _, a := range n.Attrs {
		if n.XMLName.Local == "time" && a.Name.Local == "file" {
			continue
		}
		attrs = append(attrs, a.Name.Local+"="+a.Value)
	}
	slices.Sort(attrs)
	text := n.Text
	if len(n.Children) > 0 {
		text = ""
	}
	out := []string{fmt.Sprintf("%s %q %q", name, attrs, text)}
	for i := range n.Children {
		out = append(out, n.Children[i].lines(name)...)
	}
	return out
}

// entries parses an index and returns the lines of each package by name and
// architecture.
func entries(t *testing.T, text []byte) map[string][]string {
	t.Helper()
	var root node
	if err := xml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for i := range root.Children {
		n := &root.Children[i]
		id := ""
		for _, a := range n.Attrs {
			if a.Name.Local == "pkgid" {
				id = a.Value
			}
		}
		for _, c := range n.Children {
			if c.XMLName.Local == "checksum" {
				id = c.Text
			}
		}
		all[id] = n.lines("")
	}
	return all
}

func unpack(t *testing.T, name string, b []byte) []byte {
	t.Helper()
	var r io.Reader
	var err error
	switch path.Ext(name) {
	case ".zst":
		r, err = zstd.NewReader(bytes.NewReader(b))
	case ".gz":
		r, err = gzip.NewReader(bytes.NewReader(b))
	default:
		t.Fatalf("%s: unknown compression", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// specimen is an rpm whose every field is said, built by rpmbuild.
const specimen = `
Name: specimen
Epoch: 2
Version: 1.0~rc1
Release: 3
Summary: A <b>& "quoted" summary
License: MIT AND Apache-2.0
Vendor: Example & Sons
Packager: Ann <ann@example.org>
URL: https://example.org/?a=1&b=2
Group: Development/Tools
BuildArch: noarch
Provides: virtual = 4:5.6-7, bare, specimen(feature) >= 1
Requires: bash >= 4.0, /usr/bin/own-tool, /etc/own.conf, (a or b), dup, dup, virtual = 4:5.6-7
Requires: libc.so.6(GLIBC_2.4)(64bit), libc.so.6(GLIBC_2.34)(64bit), libc.so.6()(64bit), /usr/share/own-data
Requires(post): coreutils
Requires(pre): /usr/sbin/groupadd, sed < 9
Conflicts: enemy < 2.0
Obsoletes: ancestor <= 1.0-1
Recommends: friend
Suggests: idea > 3
Supplements: (x and y)
Enhances: thing = 1.5
%description
First line, with <markup> & ünïcödé.

  Second paragraph.
%install
mkdir -p %{buildroot}/usr/bin %{buildroot}/etc/own.d %{buildroot}/usr/lib %{buildroot}/usr/share/own-data/bin %{buildroot}/opt/sbin
echo tool >%{buildroot}/usr/bin/own-tool
echo conf >%{buildroot}/etc/own.conf
echo mail >%{buildroot}/usr/lib/sendmail
echo x >%{buildroot}/usr/share/own-data/bin/x
echo 'a & b' >'%{buildroot}/usr/share/own-data/a & <b>'
echo y >%{buildroot}/opt/sbin/y
%post
echo hi
%pre
echo pre
%files
/usr/bin/own-tool
%config(noreplace) /etc/own.conf
%dir /etc/own.d
%ghost /etc/own.ghost
/usr/lib/sendmail
/usr/share/own-data
/opt/sbin/y
%changelog
* Tue Mar 04 2025 Ann <ann@example.org> - 1.0-3
- third & <last>
- with two lines
* Mon Mar 03 2025 Bob <bob@example.org> - 1.0-2
- same day two
* Mon Mar 03 2025 Ann <ann@example.org> - 1.0-1
- same day one
` + ten

const ten = `* Sun Mar 02 2025 A <a@e.org>
- c
* Sun Mar 02 2025 A <a@e.org>
- b
* Sun Mar 02 2025 A <a@e.org>
- a
* Sat Mar 01 2025 A <a@e.org>
- z
* Fri Feb 28 2025 A <a@e.org>
- y
* Thu Feb 27 2025 A <a@e.org>
- x
* Wed Feb 26 2025 A <a@e.org>
- w
* Tue Feb 25 2025 A <a@e.org>
- v
* Mon Feb 24 2025 A <a@e.org>
- u
* Sun Feb 23 2025 A <a@e.org>
- t
`

func rpmbuild(t *testing.T, spec string, more ...string) []publish.Package {
	t.Helper()
	publishtest.Need(t, "rpmbuild")
	top := t.TempDir()
	write(t, top+"/x.spec", []byte(spec))
	publishtest.MustRun(t, nil, "rpmbuild", append([]string{"-ba", "--define", "_topdir " + top, "--define", "_buildhost builder.example", top + "/x.spec"}, more...)...)
	var all []publish.Package
	for _, pattern := range []string{"RPMS/*/*.rpm", "SRPMS/*.rpm"} {
		names, err := filepath.Glob(top + "/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, describe(t, b, "1.0"))
		}
	}
	return all
}

func TestEntriesAgreeWithCreaterepo(t *testing.T) {
	publishtest.Need(t, "createrepo_c")
	amd64 := formats.Platform{OS: "linux", Arch: "amd64"}
	pkgs := rpmbuild(t, specimen)
	if len(pkgs) != 2 {
		t.Fatalf("rpmbuild made %d packages, want a binary and a source package", len(pkgs))
	}
	pkgs = append(pkgs,
		build(t, nil, "", formats.Spec{Name: "hello", Version: "1.2.0", Description: "Says hello.\nTwice.\n", Homepage: "https://example.org",
			Relations: formats.Relations{Depends: []string{"bash >= 4", "glibc"}, Provides: []string{"greeter"}, Conflicts: []string{"rude < 3"}},
			Scripts:   formats.Scripts{PostInstall: "echo hi\n"},
		}, amd64, file("/usr/bin/hello", "#!/bin/sh\necho hello\n"), file("/usr/share/doc/hello/README", "x"),
			formats.File{Path: "/etc/hello.conf", Type: formats.Config, Mode: 0o644, Content: formats.Bytes([]byte("a=b\n"))}),
		build(t, nil, "", formats.Spec{Name: "hello-data", Version: "1.2.0-rc.1"}, formats.All, file("/usr/share/hello/data", "d")),
	)
	for _, form := range []string{"zstd", "gzip"} {
		t.Run(form, func(t *testing.T) {
			r := newRepo(t, Options{Compression: form}, publish.RepoEnv{})
			tree := &publishtest.Mem{}
			put(t, tree, r, release, "stable", pkgs...)

			dir := t.TempDir()
			for name, b := range tree.Files() {
				if rel, ok := strings.CutPrefix(name, "rpm/stable/"); ok && path.Ext(name) == ".rpm" {
					write(t, filepath.Join(dir, rel), b)
				}
			}
			publishtest.MustRun(t, nil, "createrepo_c", "--quiet", "--no-database", dir)
			for _, stream := range []string{"primary", "filelists", "other"} {
				theirs := make(map[string][]string)
				names, _ := filepath.Glob(dir + "/repodata/*-" + stream + ".xml.*")
				for _, n := range names {
					b, err := os.ReadFile(n)
					if err != nil {
						t.Fatal(err)
					}
					theirs = entries(t, unpack(t, n, b))
				}
				var ours map[string][]string
				for name, b := range tree.Files() {
					if strings.HasPrefix(name, "rpm/stable/repodata/") && strings.Contains(name, "-"+stream+".xml.") {
						ours = entries(t, unpack(t, name, b))
					}
				}
				if len(ours) != len(pkgs) || len(theirs) != len(pkgs) {
					t.Fatalf("%s: %d entries, createrepo_c has %d, want %d", stream, len(ours), len(theirs), len(pkgs))
				}
				for id, want := range theirs {
					got := ours[id]
					for i := range max(len(got), len(want)) {
						g, w := "", ""
						if i < len(got) {
							g = got[i]
						}
						if i < len(want) {
							w = want[i]
						}
						if g != w {
							t.Errorf("%s %.8s:\n got %s\nwant %s", stream, id, g, w)
							break
						}
					}
				}
			}
		})
	}
}
