package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/distropack/distropack"

type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Standard     bool
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports,Standard", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []listed
	d := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var l listed
		if err := d.Decode(&l); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

// layers from the bottom up; each may import those below it and itself.
var layers = []string{"formats", "publish", "pipeline", "action", "app", "cmd"}

// doors are the only packages that may import a dependency.
var doors = map[string][]string{
	"github.com/goreleaser/nfpm":              {"formats/internal/nfpm"},
	"github.com/go-git/":                      {"cmd/distropack", "app/checkout"},
	"golang.org/x/crypto/ssh":                 {"publish/dest/git", "publish/gittest"},
	"github.com/aws/":                         {"publish/dest/bucket", "publish/buckettest"},
	"github.com/getkin/kin-openapi":           {"publish/githubtest"},
	"github.com/google/go-github":             {"publish/dest/release", "app/github"},
	"github.com/bradleyfalzon/ghinstallation": {"app/github"},
	"github.com/golang-jwt/jwt":               {"app/github", "publish/githubtest"},
	"github.com/dbos-inc/":                    {"app/engine"},
	"modernc.org/sqlite":                      {"app/store", "app/engine"},
	"github.com/jackc/pgx":                    {"app/store", "app/store/storetest", "app/engine"},
	"filippo.io/age":                          {"app/vault"},
	"github.com/ProtonMail/go-crypto":         {"pipeline/keys"},
	"gopkg.in/yaml.v3":                        {"pipeline/config"},
	"github.com/spf13/cobra":                  {"cmd/distropack"},
}

// blind are folders whose subfolders may not import each other; all may import
// every one, internal may be imported by every one.
var blind = []string{"formats", "publish", "publish/repo", "publish/dest"}

// violation says why from may not import to; "" if it may.
func violation(from, to string) string {
	for prefix, allowed := range doors {
		if strings.HasPrefix(to, prefix) && !slices.Contains(allowed, from) {
			return "only " + strings.Join(allowed, ", ") + " may"
		}
	}
	rel, ours := strings.CutPrefix(to, module+"/")
	if !ours {
		return ""
	}
	a, b := slices.Index(layers, top(from)), slices.Index(layers, top(rel))
	if b > a && a >= 0 {
		return "a lower layer imports a higher one"
	}
	if top(from) == "app" && top(rel) == "action" {
		return "app and action know nothing of each other"
	}
	if strings.HasSuffix(rel, "test") && !strings.HasSuffix(from, "test") {
		return "test helpers are for tests"
	}
	for _, parent := range blind {
		x, y := child(parent, from), child(parent, rel)
		if x == "" || y == "" || x == y || x == "all" || x == "internal" || y == "internal" || strings.HasSuffix(x, "test") {
			continue
		}
		// The folders below publish that hold siblings of their own are seen by them.
		if parent == "publish" && (x == "repo" || x == "dest") && y != "repo" && y != "dest" && y != "site" {
			continue
		}
		return x + " and " + y + " are siblings below " + parent
	}
	return ""
}

func top(p string) string { s, _, _ := strings.Cut(p, "/"); return s }

func child(parent, p string) string {
	rest, ok := strings.CutPrefix(p, parent+"/")
	if !ok {
		return ""
	}
	return top(rest)
}

func TestImportsPointOneWay(t *testing.T) {
	for _, l := range list(t) {
		from := strings.TrimPrefix(l.ImportPath, module+"/")
		for _, to := range l.Imports {
			if why := violation(from, to); why != "" {
				t.Errorf("%s imports %s: %s", from, to, why)
			}
		}
	}
}

func TestPlantedViolationsAreFound(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"formats/deb", module + "/publish"}, {"publish", module + "/pipeline"}, {"pipeline", module + "/app"},
		{"formats/deb", module + "/formats/rpm"}, {"publish/repo/apt", module + "/publish/repo/dnf"}, {"publish/dest/dir", module + "/publish/repo/apt"},
		{"publish/dest/dir", module + "/publish/site"}, {"pipeline", "gopkg.in/yaml.v3"}, {"formats/rpm", "github.com/goreleaser/nfpm/v2"}, {"pipeline", module + "/publish/publishtest"},
		{"publish/site", "github.com/ProtonMail/go-crypto/openpgp"}, {"app", module + "/action"},
	} {
		if violation(c.from, c.to) == "" {
			t.Errorf("%s may import %s", c.from, c.to)
		}
	}
	for _, c := range []struct{ from, to string }{
		{"publish", module + "/formats"}, {"publish/repo/apt", module + "/formats/deb"}, {"publish/repo/apt", module + "/publish"}, {"formats/all", module + "/formats/deb"},
		{"formats/deb", module + "/formats/internal/pack"}, {"cmd/distropack", module + "/pipeline/keys"}, {"pipeline/config", "gopkg.in/yaml.v3"},
	} {
		if why := violation(c.from, c.to); why != "" {
			t.Errorf("%s may not import %s: %s", c.from, c.to, why)
		}
	}
}

// Below the faces nothing reads the clock or the environment: the same values
// give the same bytes.
func TestNothingBelowTheFacesReadsClockOrEnvironment(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{.Dir}}{{range .GoFiles}} {{.}}{{end}}", module+"/formats/...", module+"/publish/...", module+"/pipeline/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		if strings.HasSuffix(f[0], "test") { // helpers of tests, which violation keeps out of all else
			continue
		}
		for _, name := range f[2:] {
			found, _ := exec.Command("grep", "-nE", `\b(time\.Now|os\.Getenv|os\.Environ|os\.LookupEnv|os\.Hostname)\(`, path.Join(f[1], name)).Output()
			if len(found) > 0 {
				t.Errorf("%s/%s: %s", strings.TrimPrefix(f[0], module+"/"), name, found)
			}
		}
	}
}
