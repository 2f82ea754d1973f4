package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

func TestPagesAreValidHTML(t *testing.T) {
	if _, err := exec.LookPath("tidy"); err != nil {
		t.Skip("tidy is not installed")
	}
	for name, b := range render(t, sample()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		cmd := exec.Command("tidy", "-q", "-e", "--show-info", "no")
		cmd.Stdin = bytes.NewReader(b)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// allowed returns what a page's policy allows for a directive.
func allowed(t *testing.T, page []byte, directive string) string {
	t.Helper()
	m := regexp.MustCompile(`http-equiv="Content-Security-Policy" content="([^"]*)"`).FindSubmatch(page)
	if m == nil {
		t.Fatal("page has no Content-Security-Policy")
	}
	for _, d := range strings.Split(html.UnescapeString(string(m[1])), ";") {
		if name, value, _ := strings.Cut(strings.TrimSpace(d), " "); name == directive {
			return value
		}
	}
	return ""
}

func TestPolicyAllowsExactlyThePagesOwnStyleAndScript(t *testing.T) {
	for name, b := range render(t, sample()) {
		if !strings.HasSuffix(name, ".html") {
			continue
		}
		for tag, directive := range map[string]string{"style": "style-src", "script": "script-src"} {
			ms := regexp.MustCompile(`(?s)<`+tag+`>(.*?)</`+tag+`>`).FindAllSubmatch(b, -1)
			if len(ms) != 1 || bytes.Count(b, []byte("<"+tag)) != 1 {
				t.Fatalf("%s has %d %s elements", name, len(ms), tag)
			}
			sum := sha256.Sum256(ms[0][1])
			if got, want := allowed(t, b, directive), "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'"; got != want {
				t.Errorf("%s: %s is %s, want %s", name, directive, got, want)
			}
		}
		if got := allowed(t, b, "default-src"); got != "'none'" {
			t.Errorf("%s: default-src is %s", name, got)
		}
	}
}

func TestTextIsTextInEveryFile(t *testing.T) {
	const evil = `<script>alert(1)</script><img src=x onerror=alert(2)>"'$(touch pwned)` + "`id`" + `{{.Name}}`
	in := sample()
	in.Title, in.Description, in.License, in.Notice = evil, evil+"\n\n"+evil, evil, evil
	in.Homepage = `https://x.example/"onclick="alert(1)`
	for i := range in.Packages {
		p := &in.Packages[i]
		p.Description, p.Deprecated, p.Notice = evil, evil, evil
		p.Versions[0].Notice = evil
		p.Versions[0].Downloads[0].Label = evil
	}
	for _, list := range in.Guides {
		for _, g := range list {
			g.Title = evil
			g.Add[0].Text, g.Add[0].Command = evil, evil
		}
	}
	in.Keys[0].Name, in.Keys[0].Algorithm = evil, evil
	for name, b := range render(t, in) {
		switch {
		case strings.HasSuffix(name, ".html"):
			if bytes.Contains(b, []byte("<script>alert")) || bytes.Contains(b, []byte("<img")) || bytes.Contains(b, []byte(`"onclick=`)) {
				t.Errorf("%s carries markup from text", name)
			}
		case name == "badge.svg":
			if bytes.Contains(b, []byte("<script")) {
				t.Errorf("%s carries markup from text", name)
			}
		case name == "install.sh":
			dir := t.TempDir()
			s := shell{t: t, script: b, dir: dir}
			out, code := s.run("dash", "--dry-run", "--distro", "debian")
			if code != 0 || !strings.Contains(out, evil) {
				t.Errorf("install.sh ended with %d:\n%s", code, out)
			}
			if s.exists("pwned") {
				t.Error("a title was run")
			}
		}
	}
}

func TestEveryPackageHasAPageOfItsOwn(t *testing.T) {
	in := sample()
	files := render(t, in)
	page := string(files["packages/hello-server/index.html"])
	for _, want := range []string{
		"curl -fsSL " + sampleURL + "/install.sh | sh -s -- --package hello-server",
		"sudo apt-get install hello-server",
		`href="../../apt/pool/main/hello-server_1.4.1-1_arm64.deb"`,
		`href="../../install.sh"`,
		in.Packages[3].Versions[0].Downloads[0].SHA256.String(),
		"11 February 2026",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("page of hello-server lacks %q", want)
		}
	}
	if strings.Contains(page, `>beta</label>`) {
		t.Error("page of hello-server offers a channel that lacks it")
	}
	if page := string(files["packages/hello-compat/index.html"]); !strings.Contains(page, in.Packages[2].Deprecated) {
		t.Error("page of hello-compat does not say that it is deprecated")
	}
	if page := string(files["packages/hello/index.html"]); !strings.Contains(page, "Withdrawn: greeted") {
		t.Error("page of hello lacks the notice of 1.4.0")
	}
}

func TestLinksEscapeWhatStandsInNamesOfFiles(t *testing.T) {
	if got, want := pathURL("a/hello_1:2~rc+1 x#?%.deb"), "a/hello_1:2~rc%2B1%20x%23%3F%25.deb"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTemplateCanBeReplaced(t *testing.T) {
	in := sample()
	in.Template = `{{.Title}} {{.Root}} {{with .Package}}{{.Name}}{{end}}`
	files := render(t, in)
	if got := string(files["index.html"]); got != "Hello ./ " {
		t.Errorf("index is %q", got)
	}
	if got := string(files["packages/hello/index.html"]); got != "Hello ../../ hello" {
		t.Errorf("page is %q", got)
	}
	for _, bad := range []string{"{{.Nothing}}", "{{", "<a href={{if .Title}}'{{end}}>"} {
		in.Template = bad
		if _, err := Render(in); err == nil || !strings.HasPrefix(err.Error(), "template: ") {
			t.Errorf("template %q gave %v", bad, err)
		}
	}
	in.Template = "{{with .Package}}{{.Nothing}}{{end}}"
	if _, err := Render(in); err == nil || !strings.HasPrefix(err.Error(), `page of package "hello": template: `) {
		t.Errorf("a template that fails for packages gave %v", err)
	}
}

func TestFingerprintCommandsPrintTheFingerprint(t *testing.T) {
	in := sample()
	for _, tool := range []string{"openssl", "sha256sum", "od", "base64"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	check := func(k Key, data, want string) {
		t.Helper()
		pk := in.pageKey(&k, "")
		_, pipe, _ := strings.Cut(pk.Check, " | ")
		cmd := exec.Command("sh", "-c", pipe)
		cmd.Stdin = strings.NewReader(data)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(strings.ReplaceAll(string(out), " ", ""), want) {
			t.Errorf("%s printed %q, %v; want %s", pipe, out, err, want)
		}
	}
	number := "\x9f\x8e\x7d\x6c\x5b\x4a\x39\x21"
	check(in.Keys[2], "untrusted comment: public key\n"+base64.StdEncoding.EncodeToString([]byte("Ed"+number+strings.Repeat("k", 32)))+"\n", in.Keys[2].Fingerprint)

	pem, err := exec.Command("sh", "-c", "openssl genrsa 2048 2>/dev/null | openssl pkey -pubout").Output()
	if err != nil {
		t.Fatal(err)
	}
	der, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Split(string(pem), "\n")[1:len(strings.Split(string(pem), "\n"))-2], ""))
	sum := sha256.Sum256(der)
	const hexDigits = "0123456789abcdef"
	want := ""
	for _, b := range sum[:8] {
		want += string(hexDigits[b>>4]) + string(hexDigits[b&15])
	}
	check(in.Keys[1], string(pem), want)

	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("gpg is not installed")
	}
	t.Setenv("GNUPGHOME", t.TempDir())
	gen := exec.Command("sh", "-c", "chmod 700 $GNUPGHOME && gpg --batch --quiet --passphrase '' --quick-generate-key 'A <a@example.org>' ed25519 sign 0 2>/dev/null && gpg --armor --export && gpg --with-colons --fingerprint 2>/dev/null | sed -n 's/^fpr:*//p' | tr -d : >&2; gpgconf --kill all")
	var fpr bytes.Buffer
	gen.Stderr = &fpr
	cert, err := gen.Output()
	if err != nil {
		t.Fatal(err, fpr.String())
	}
	check(in.Keys[0], string(cert), strings.TrimSpace(fpr.String()))
}
