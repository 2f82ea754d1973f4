package verify

import (
	"context"
	"errors"
	"os"
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
	ofSuites := func(word, text string) []string {
		return []string{word + " dists/beta/InRelease: " + text, word + " dists/stable/InRelease: " + text}
	}
	stale := ofSuites("warning apt stale", "its Valid-Until is 2026-07-03T00:00:00Z, three quarters of its time are over: publish again before that")
	expired := ofSuites("error apt expired", "its Valid-Until passed on 2026-07-03T00:00:00Z: apt refuses it; publish again")
	const key = " keys/hello.asc"
	for _, c := range []struct {
		name string
		at   time.Time
		want []string
	}{
		{"at once", made, nil},
		{"three weeks on", made.Add(22 * 24 * time.Hour), nil},
		{"a day before Valid-Until", made.Add(29 * 24 * time.Hour), stale},
		{"after Valid-Until", made.Add(31 * 24 * time.Hour), expired},
		{"89 days before the key ends", end.AddDate(0, 0, -89), append(slices.Clip(expired), "warning  key-expires"+key+": on 2027-06-01: extend it and publish again, clients need the new certificate")},
		{"after the key's end", end.Add(time.Hour), append(slices.Clip(expired), "error  expired"+key+": expired on 2027-06-01: dnf, and apt before Debian 13, refuse all that it signed; extend it (gpg --quick-set-expire "+public(t, testKey, formats.OpenPGP).ID+" 2y) and publish again")},
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
	expect(t, see(t, f, Options{}), "error apt future "+suite+"InRelease: its Date is 2026-06-03T01:01:00Z, now it is 2026-06-03T01:00:00Z: apt refuses it until then")
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
		"warning apk no-key apk/beta/x86_64/APKINDEX.tar.gz", "warning apk no-key apk/stable/x86_64/APKINDEX.tar.gz: it is signed by \""+all[1].Name+"\", but there is no key of that name to check it with: give one",
		"warning opkg no-key opkg/beta/x86_64/Packages.sig", "warning opkg no-key opkg/stable/x86_64/Packages.sig: it is signed by usign key "+public(t, testKey, formats.Usign).ID+", but there is no such key to check it with: give one")

	other := public(t, otherKey, formats.OpenPGP)
	rep = see(t, f, Options{Keys: []Key{{other.Name, other.Data}}, Packages: Hashes, Clients: []string{"apt:dists/stable", "dnf:rpm/stable", "pacman:arch/x86_64/hello", "downloads:downloads/SHA256SUMS", "opkg:opkg/stable/x86_64"}})
	expect(t, rep, "error apt signature dists/stable/InRelease: not trusted here", "error dnf signature rpm/stable/repodata/repomd.xml.asc",
		"error pacman signature arch/x86_64/hello.db.sig", "error pacman signature arch/x86_64/hello.files.sig",
		"error downloads signature downloads/SHA256SUMS.asc", "error opkg signature opkg/stable/x86_64/Packages.asc")
	if rep.Good() || slices.ContainsFunc(rep.Clients, func(c ClientReport) bool { return c.Good || c.Signed }) {
		t.Errorf("%+v", rep.Clients)
	}

	expect(t, see(t, f, Options{Keys: []Key{{"x.asc", []byte("nonsense")}}, Clients: []string{"dnf:rpm/stable"}}),
		"error  key x.asc: it is no key that is known: ", "warning dnf no-key rpm/stable/repodata/repomd.xml.asc: it is signed, but there is no key to check it with: give one")
}

func TestFilesOfTheTreeThatAreNoKeys(t *testing.T) {
	f := generation(t, 1)
	f["keys/old.asc"] = []byte("nonsense")
	expect(t, see(t, f, Options{Clients: []string{"dnf:rpm/stable"}}), "error  key keys/old.asc: it is no key that is known: ")

	// Where the place can't be listed, apk's key is fetched when an index names it.
	delete(f, sitePath)
	name := "keys/" + public(t, testKey, formats.RSA256).Name
	f[name] = []byte("nonsense")
	s := serve(t, func() map[string][]byte { return f }, nil)
	expect(t, see(t, nil, Options{Fetch: overHTTP(t, s.URL), Clients: []string{"apk:apk/stable/x86_64"}}),
		"error  key "+name+": it is no key that is known: ", "warning apk no-key "+apkidx+": there is no key of that name to check it with: give one")
}

// testdata/keys are by gpg --faked-system-time 20260101T000000!, one with
// --cert-digest-algo SHA1.
func TestKeysThatClientsRefuse(t *testing.T) {
	for name, want := range map[string]string{
		"dsa":     "error  weak-key keys/x.asc: key 6039DB590F781AB3860CA0D168976439C5258B16 is DSA, which clients refuse",
		"rsa1024": "error  weak-key keys/x.asc: key CB68EF344D2B2711ADFCA9E2BDD6F74FD9670104 is RSA with 1024 bits, which clients refuse; 4096 is right",
		"rsa2048": "warning  weak-key keys/x.asc: key C308D060F37EB317347D4993310FFC16CC2F6B75 is RSA with 2048 bits: Debian 13 and later refuse it from 2030-02-01; 4096 is right",
		"sha1":    "error  weak-key keys/x.asc: key BFBE0D13B94475929AA550F5BCB2123D01129C71 is certified with SHA-1: Debian 13 and later refuse it; renew it: gpg --cert-digest-algo SHA512 --quick-set-expire BFBE0D13B94475929AA550F5BCB2123D01129C71 5y",
		"revoked": "warning  revoked keys/x.asc: key DB0D083610B1A9258AD7EC875EDE8DE5029874F1 is revoked", // another one is in use
	} {
		b, err := os.ReadFile("testdata/keys/" + name + ".asc")
		if err != nil {
			t.Fatal(err)
		}
		f := generation(t, 1)
		f["keys/x.asc"] = b
		expect(t, see(t, f, Options{Clients: []string{"apt:dists/stable"}}), want)
	}
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
	expect(t, rep, "error  no-key : there is no key with the fingerprint "+wrong, "warning apt no-key dists/stable/InRelease")
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
	for _, place := range []string{"rpm/stable", "arch/x86_64/hello"} {
		if want := "none of its 2 packages is signed: clients that check packages refuse them"; !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Path == place && f.Text == want }) {
			t.Errorf("%s: want %q in %v", place, want, rep.Findings)
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
		call bool
	}{
		{Options{}, "the call can't succeed: there is nothing to look at, Options.Fetch is nil", true},
		{Options{Fetch: FS(mapFS(nil))}, "no repository was found in it", false},
		{Options{Fetch: FS(mapFS(generation(t, 1))), Clients: []string{"yum"}}, `client "yum" is not known; there are: apt`, true},
		{Options{Fetch: FS(mapFS(generation(t, 1))), Clients: []string{"apt:../x"}}, `"../x" is no path in the tree`, true},
	} {
		_, err := Run(context.Background(), c.o)
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrCall) != c.call {
			t.Errorf("error %v, want %q, ErrCall: %v", err, c.want, c.call)
		}
	}
	expect(t, see(t, map[string][]byte{"a": nil}, Options{Clients: []string{"apt"}}), "error apt missing ")
}
