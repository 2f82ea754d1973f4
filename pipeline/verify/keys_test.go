package verify

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

// The clock goes over one tree, whose indexes are valid for 30 days and whose key
// ends in a year.
func TestFindingsOfTime(t *testing.T) {
	made := now.Add(48 * time.Hour)
	end := now.AddDate(-1, 0, 0).Add(2 * 365 * 24 * time.Hour)
	f := generation(t, 1)
	ofSuites := func(word string) []string {
		return []string{word + " dists/beta/InRelease", word + " dists/stable/InRelease"}
	}
	const key = " keys/hello.asc"
	for _, c := range []struct {
		name string
		at   time.Time
		want []string
	}{
		{"at once", made, nil},
		{"three weeks on", made.Add(22 * 24 * time.Hour), nil},
		{"a day before Valid-Until", made.Add(29 * 24 * time.Hour), ofSuites("warning apt stale")},
		{"after Valid-Until", made.Add(31 * 24 * time.Hour), ofSuites("error apt expired")},
		{"89 days before the key ends", end.AddDate(0, 0, -89), append(ofSuites("error apt expired"), "warning  key-expires"+key)},
		{"after the key's end", end.Add(time.Hour), append(ofSuites("error apt expired"), "error  expired"+key)},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, see(t, f, Options{Now: c.at}), c.want...)
		})
	}
	for days, want := range map[int]string{80: "less than 90 days", 29: "less than 30 days", 6: "less than 7 days"} {
		rep := see(t, f, Options{Now: end.AddDate(0, 0, -days)})
		if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Code == "key-expires" && strings.Contains(f.Text, want) }) {
			t.Errorf("%d days before: %v, want %q", days, rep.Findings, want)
		}
	}
}

func TestAReleaseFromTheFutureIsFound(t *testing.T) {
	f := generation(t, 1)
	head := "Date: " + later.Add(time.Minute).Format("Mon, 02 Jan 2006 15:04:05 UTC") + "\n"
	f[suite+"Release"] = []byte(head)
	signRelease(t, f, "", "SHA256:\n")
	expect(t, see(t, f, Options{}), "error apt future "+suite+"InRelease")
	expect(t, see(t, f, Options{Now: later.Add(55 * time.Second)}))
	// dnf and the others refuse signatures from the future.
	rep := see(t, generation(t, 1), Options{Now: now.Add(24 * time.Hour), Clients: []string{"dnf:rpm/stable", "pacman:arch/x86_64/hello"}})
	expect(t, rep, "error dnf signature rpm/stable/repodata/repomd.xml.asc", "error pacman signature arch/x86_64/hello.db.sig", "error pacman signature arch/x86_64/hello.files.sig")
}

// public is a key's certificate.
func public(t testing.TB, key func() (*keys.Key, error), s formats.Scheme) *formats.PublicKey {
	t.Helper()
	k, err := key()
	if err != nil {
		t.Fatal(err)
	}
	p, err := keys.Of("hello", map[string]*keys.Key{"main": k}, now).Public("main", s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestKeysThatAreGiven(t *testing.T) {
	f := generation(t, 1)
	var all []Key
	for _, s := range []formats.Scheme{formats.OpenPGP, formats.RSA256, formats.Usign} {
		p := public(t, testKey, s)
		all = append(all, Key{p.Name, p.Data})
	}
	rep := see(t, f, Options{Keys: all, Packages: Hashes})
	expect(t, rep)
	for _, k := range rep.Keys {
		if k.From != "" || !k.Used || k.Pinned {
			t.Errorf("%+v", k)
		}
	}

	// One OpenPGP certificate says nothing of apk, nor of usign.
	rep = see(t, f, Options{Keys: all[:1]})
	expect(t, rep,
		"warning apk no-key apk/beta/x86_64/APKINDEX.tar.gz", "warning apk no-key apk/stable/x86_64/APKINDEX.tar.gz",
		"warning opkg no-key opkg/beta/x86_64/Packages.sig", "warning opkg no-key opkg/stable/x86_64/Packages.sig")

	other := public(t, otherKey, formats.OpenPGP)
	rep = see(t, f, Options{Keys: []Key{{other.Name, other.Data}}, Packages: Hashes, Clients: []string{"apt:dists/stable", "dnf:rpm/stable", "pacman:arch/x86_64/hello", "downloads:downloads/SHA256SUMS", "opkg:opkg/stable/x86_64"}})
	expect(t, rep, "error apt signature dists/stable/InRelease", "error dnf signature rpm/stable/repodata/repomd.xml.asc",
		"error pacman signature arch/x86_64/hello.db.sig", "error pacman signature arch/x86_64/hello.files.sig",
		"error downloads signature downloads/SHA256SUMS.asc", "error opkg signature opkg/stable/x86_64/Packages.asc")
	if rep.Good() || slices.ContainsFunc(rep.Clients, func(c ClientReport) bool { return c.Good || c.Signed }) {
		t.Errorf("%+v", rep.Clients)
	}

	expect(t, see(t, f, Options{Keys: []Key{{"x.asc", []byte("nonsense")}}, Clients: []string{"dnf:rpm/stable"}}),
		"error  key x.asc", "warning dnf no-key rpm/stable/repodata/repomd.xml.asc")
}

func TestAPinnedFingerprintIsAskedFor(t *testing.T) {
	f := generation(t, 1)
	id := public(t, testKey, formats.OpenPGP).ID
	rep := see(t, f, Options{Fingerprints: []string{strings.ToLower(id[:20] + " " + id[20:])}})
	expect(t, rep)
	if i := slices.IndexFunc(rep.Keys, func(k KeyReport) bool { return k.Fingerprint == id }); i < 0 || !rep.Keys[i].Pinned {
		t.Errorf("%+v", rep.Keys)
	}
	// A tree that somebody made anew, with keys of his own, is whole by itself.
	wrong := public(t, otherKey, formats.OpenPGP).ID
	rep = see(t, f, Options{Fingerprints: []string{wrong}, Clients: []string{"apt:dists/stable"}})
	expect(t, rep, "error  no-key ", "warning apt no-key dists/stable/InRelease")
	// usign's and RSA's numbers are as long as each other.
	usign := public(t, testKey, formats.Usign).ID
	rep = see(t, f, Options{Fingerprints: []string{usign, public(t, testKey, formats.RSA256).ID}})
	expect(t, rep)
	rep = see(t, f, Options{Fingerprints: []string{usign}, Clients: []string{"apk:apk/stable/x86_64"}})
	expect(t, rep, "warning apk no-key "+apkidx)
}

func TestUnsignedTreesAreSaidToBe(t *testing.T) {
	rep := see(t, unsigned(t), Options{Packages: Hashes})
	for _, f := range rep.Findings {
		if f.Severity == Error || f.Code != "unsigned" {
			t.Error(f)
		}
	}
	for _, client := range []string{"apt", "dnf", "pacman", "apk", "opkg", "downloads"} {
		if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Client == client }) {
			t.Errorf("%s: nothing is said", client)
		}
	}
	for _, c := range rep.Clients {
		if c.Signed || !c.Good {
			t.Errorf("%+v", c)
		}
	}
}

func TestWhatCanNotBeLookedAtIsAnError(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "Fetch is nil"},
		{Options{Fetch: FS(mapFS(nil))}, "no repository was found"},
		{Options{Fetch: FS(mapFS(generation(t, 1))), Clients: []string{"yum"}}, `client "yum" is not known; there are: apt`},
		{Options{Fetch: FS(mapFS(generation(t, 1))), Clients: []string{"apt:../x"}}, `"../x" is no path in the tree`},
	} {
		_, err := Run(context.Background(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	expect(t, see(t, map[string][]byte{"a": nil}, Options{Clients: []string{"apt"}}), "error apt missing ")
}
