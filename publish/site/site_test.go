package site

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/publish"
)

var (
	update = flag.Bool("update", false, "rewrite the files in testdata")
	keep   = flag.String("keep", "", "write the sample's site to this folder")
)

// The page's style and script are files of their own; golden files leave them out.
var inline = regexp.MustCompile(`(?s)(<style>|<script>).*?(</style>|</script>)|'?(&#39;)?sha256-[A-Za-z0-9+/=&#;]*?(&#39;|')`)

func TestSiteIsWhatTheGoldenFileSays(t *testing.T) {
	in := sample()
	in.Channels = in.Channels[:1]
	in.Guides = map[string][]*publish.Guide{"stable": {in.Guides["stable"][0], in.Guides["stable"][6]}}
	in.Indexes = in.Indexes[:4]
	in.Packages = in.Packages[:1]
	in.Packages[0].Versions = in.Packages[0].Versions[:2]
	for i := range in.Packages[0].Versions {
		in.Packages[0].Versions[i].Downloads = in.Packages[0].Versions[i].Downloads[:2]
	}
	files := render(t, in)
	var got []byte // txtar
	for _, name := range []string{"index.html", "packages/hello/index.html", "install.sh", "install.json", "badge.svg"} {
		got = fmt.Appendf(got, "-- %s --\n%s", name, inline.ReplaceAll(files[name], []byte("$1…$2")))
		delete(files, name)
	}
	for name := range files {
		t.Errorf("unexpected file %s", name)
	}
	const golden = "testdata/site.txtar"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i, l := range gotLines {
		if i >= len(wantLines) || l != wantLines[i] {
			t.Fatalf("line %d of %s is now %q; go test -update rewrites it", i+1, golden, l)
		}
	}
	if len(wantLines) > len(gotLines) {
		t.Errorf("%s is longer than the site", golden)
	}
}

func TestSameInputGivesSameFiles(t *testing.T) {
	first := render(t, sample())
	if *keep != "" {
		for name, b := range first {
			at := filepath.Join(*keep, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, b, 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 5 {
		for name, b := range render(t, sample()) {
			if !bytes.Equal(b, first[name]) {
				t.Errorf("%s differs", name)
			}
		}
	}
	in := sample()
	in.At = in.At.In(time.FixedZone("east", 9*3600))
	for name, b := range render(t, in) {
		if !bytes.Equal(b, first[name]) {
			t.Errorf("%s depends on the time zone", name)
		}
	}
}

func TestRenderLeavesInputAlone(t *testing.T) {
	in := sample()
	in.Title, in.Default = "", ""
	render(t, in)
	if in.Title != "" || in.Default != "" || in.Packages[0].Latest != "" {
		t.Errorf("Render wrote into its input: %q %q %q", in.Title, in.Default, in.Packages[0].Latest)
	}
}

func TestWrongInputIsRefusedByName(t *testing.T) {
	for _, c := range []struct {
		name, want string
		break_     func(*Input)
	}{
		{"shell in name", `name "a;rm -rf"`, func(in *Input) { in.Name = "a;rm -rf" }},
		{"path in name", `name "../x"`, func(in *Input) { in.Name = "../x" }},
		{"newline in title", `title "Hello\nrm -rf /" has a control character or is not UTF-8`, func(in *Input) { in.Title = "Hello\nrm -rf /" }},
		{"bidi in title", "title", func(in *Input) { in.Title = "Hello \u202egnp.exe" }},
		{"escape in description", "description", func(in *Input) { in.Description = "\x1b]0;x" }},
		{"long description", "description is 70000 bytes long, 64 KiB are the most", func(in *Input) { in.Description = strings.Repeat("x", 70000) }},
		{"no url", `url ""`, func(in *Input) { in.URL = "" }},
		{"url with shell", `url "https://x/$(id)" has characters that a shell would read`, func(in *Input) { in.URL = "https://x/$(id)" }},
		{"url with quote", "has characters that a shell would read, or ends in /", func(in *Input) { in.URL = "https://x/'" }},
		{"url with password", "url has a name or password in it, which everybody would read: leave it out", func(in *Input) { in.URL = "https://u:secret@x/" }},
		{"homepage with password", "homepage has a name or password in it", func(in *Input) { in.Homepage = "https://u:secret@x y/" }},
		{"url with slash", `url "https://x/" has characters that a shell would read, or ends in /`, func(in *Input) { in.URL = "https://x/" }},
		{"file url", "url", func(in *Input) { in.URL = "file:///etc" }},
		{"script homepage", `homepage "javascript:alert(1)" is not an http or https address`, func(in *Input) { in.Homepage = "javascript:alert(1)" }},
		{"channel", `channel "a b"`, func(in *Input) { in.Channels[1] = "a b" }},
		{"channel twice", "twice", func(in *Input) { in.Channels[1] = "stable" }},
		{"default", `default channel "nightly"`, func(in *Input) { in.Default = "nightly" }},
		{"package", "package \"`id`\"", func(in *Input) { in.Packages[0].Name = "`id`" }},
		{"package option", `package "-o"`, func(in *Input) { in.Packages[0].Name = "-o" }},
		{"package twice", `package "hello" is in channel "stable" twice`, func(in *Input) { in.Packages[1] = in.Packages[0] }},
		{"version", "version", func(in *Input) { in.Packages[0].Versions[0].Version = "1 2" }},
		{"download", `package "hello": path "../../etc/passwd" is not a relative, clean path`, func(in *Input) { in.Packages[0].Versions[0].Downloads[0].Path = "../../etc/passwd" }},
		{"download elsewhere", "lies at an address that does not begin with https:// or http://", func(in *Input) { in.Packages[0].Versions[0].Downloads[0].URL = "ftp://u:secret@x/y" }},
		{"key", "fingerprint", func(in *Input) { in.Keys[0].Fingerprint = "xyz" }},
		{"key path", `key "Hello release key": path "a b|sh" has characters that a shell would read`, func(in *Input) { in.Keys[0].Path = "a b|sh" }},
		{"client", "client", func(in *Input) { in.Guides["stable"][0].Client = "apt; id" }},
		{"family", "family", func(in *Input) { in.Guides["stable"][0].Families = []string{"debian\nEND_OF_LIST"} }},
		{"index", `index of "apt": path "../x" is not a relative, clean path`, func(in *Input) { in.Indexes[0].Path = "../x" }},
		{"index nowhere", `index of "apt": path "" is not a relative, clean path`, func(in *Input) { in.Indexes[0].Path = "" }},
		{"index at two places", `index of "apt" has a path, "x", and an address, "https://files.example.org/latest/"`, func(in *Input) { in.Indexes[1].Path = "x" }},
		{"index elsewhere", `index of "apt": url "ftp://x/" is not an http or https address`, func(in *Input) { in.Indexes[1].URL = "ftp://x/" }},
		{"index with password", `index of "apt": url has a name or password in it`, func(in *Input) { in.Indexes[1].URL = "https://u:secret@x/" }},
		{"index of no channel", `index of "dnf": channel "nightly" is not among the channels`, func(in *Input) { in.Indexes[2].Channel = "nightly" }},
		{"index of no client", `client "apt; id"`, func(in *Input) { in.Indexes[0].Client = "apt; id" }},
		{"index for no CPU", `index of "apk": CPU "x\n"`, func(in *Input) { in.Indexes[3].Arch = "x\n" }},
		{"time", "release time is not set", func(in *Input) { in.At = time.Time{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := sample()
			c.break_(in)
			if _, err := Render(in); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error is %v, want one with %q", err, c.want)
			}
		})
	}
	in := sample()
	in.Name, in.License = "A B", "\x00"
	if _, err := Render(in); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes gave %v", err)
	}
}

func TestBadgeIsXMLAndCountsFilesOnce(t *testing.T) {
	in := sample()
	in.Title = `A<b> & "c"`
	svg := renderBadge(in)
	d := xml.NewDecoder(bytes.NewReader(svg))
	text := ""
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if c, ok := tok.(xml.CharData); ok {
			text += string(c) + "|"
		}
	}
	// 8 versions × 2 CPUs; the rpms are listed for dnf and zypper alike.
	if !strings.Contains(text, "rpm 16|") || !strings.Contains(text, `A<b> & "c"|`) {
		t.Errorf("badge says %q", text)
	}
}

func TestMarkdownOfBadgeEscapesTitle(t *testing.T) {
	in := sample()
	in.Title = "a]b[c`"
	if got, want := in.badgeMarkdown(), "[![a\\]b\\[c\\` packages]("+sampleURL+"/badge.svg)]("+sampleURL+"/)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestListSaysWhatThePageSays(t *testing.T) {
	in := sample()
	b := render(t, in)["install.json"]
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var l List
	if err := d.Decode(&l); err != nil {
		t.Fatal(err)
	}
	if l.Version != 1 || l.Name != "hello" || l.Command != "curl -fsSL "+sampleURL+"/install.sh | sh" || l.DefaultChannel != "stable" {
		t.Errorf("head is %d %q %q %q", l.Version, l.Name, l.Command, l.DefaultChannel)
	}
	if len(l.Channels) != 2 || len(l.Channels[0].Clients) != 7 || len(l.Packages) != 4 || len(l.Keys) != 3 || len(l.Indexes) != 8 {
		t.Fatalf("%d channels, %d packages, %d keys, %d indexes", len(l.Channels), len(l.Packages), len(l.Keys), len(l.Indexes))
	}
	if got, want := l.Channels[0].Clients[0].Packages, []string{"hello", "hello-server", "hello-compat"}; !slices.Equal(got, want) {
		t.Errorf("apt has %v, want %v", got, want)
	}
	if got := l.Packages[0].Versions[0].Downloads[0]; got.URL != sampleURL+"/apt/pool/main/hello_1.4.2-1_amd64.deb" || got.SHA256 != in.Packages[0].Versions[0].Downloads[0].SHA256 {
		t.Errorf("first download is %+v", got)
	}
	if bytes.Contains(b, []byte(": null")) {
		t.Error("a list is null instead of empty")
	}
}

func TestEmptyProjectHasASite(t *testing.T) {
	files := render(t, &Input{Name: "x", URL: "https://x.example", At: time.Unix(1, 0), Channels: []string{"stable"}})
	if bytes.Contains(files["install.json"], []byte(": null")) {
		t.Error("a list is null instead of empty")
	}
}

func TestGuideFilesAreJoined(t *testing.T) {
	in := sample()
	files, err := GuideFiles(in.Guides)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Path)
	}
	if want := []string{"apt/hello-beta.sources", "apt/hello-stable.sources", "keys/hello.asc"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	in.Guides["beta"][1].Files[0].Blob = formats.Bytes([]byte("other"))
	if _, err := GuideFiles(in.Guides); err == nil || err.Error() != `guides bring two different files called "keys/hello.asc"` {
		t.Errorf("two files with one path gave %v", err)
	}
}
