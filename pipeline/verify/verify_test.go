package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
)

func TestAWholeTreeHasNoFindings(t *testing.T) {
	for _, depth := range []Depth{Sizes, Hashes, None} {
		rep := see(t, generation(t, 1), Options{Packages: depth})
		expect(t, rep)
		n := map[string]int{}
		for _, c := range rep.Clients {
			n[c.Client]++
			if !c.Good || c.Packages == 0 && c.Client != "opkg" || !c.Signed && c.Client != "brew" && c.Client != "site" {
				t.Errorf("%+v", c)
			}
		}
		for _, k := range rep.Keys {
			if !k.Used {
				t.Errorf("key %+v was not used", k)
			}
		}
		t.Log(n, rep.Packages, rep.Bytes, rep.Keys)
	}
}

// Several goroutines look at one tree; the report is the same each time.
func TestAReportIsTheSameForTheSameTree(t *testing.T) {
	f := generation(t, 1)
	for _, p := range []string{deb, rpm, pkg, apk, ipk, tgz, db + ".db", feed + "Packages", suite + "Release"} {
		f[p] = flip(f[p], len(f[p])/2)
	}
	var first []byte
	for i := range 10 {
		b, err := json.Marshal(see(t, f, Options{Packages: Hashes, Jobs: 1 + i%5}))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		}
		if !bytes.Equal(b, first) {
			t.Fatalf("report %d is\n%s\nthe first was\n%s", i, b, first)
		}
	}
	var back Report
	if err := json.Unmarshal(first, &back); err != nil || len(back.Findings) < 8 {
		t.Errorf("%v: %s", err, first)
	}
}

func TestAFindingIsALine(t *testing.T) {
	for f, want := range map[Finding]string{
		{Error, "apt", "pool/a.deb", "missing", "it is not there"}:      "error: apt: pool/a.deb: it is not there (missing)",
		{Warning, "", "keys/a.asc", "weak-key", "it is weak"}:           "warning: keys/a.asc: it is weak (weak-key)",
		{Error, "", "", "no-key", "there is no key"}:                    "error: there is no key (no-key)",
		{Error, "apk", "", "missing", "there is no repository for apk"}: "error: apk: there is no repository for apk (missing)",
	} {
		if f.String() != want {
			t.Errorf("%q, want %q", f, want)
		}
	}
}

func TestManyFindingsAreCounted(t *testing.T) {
	var all []Finding
	for i := range 250 {
		all = append(all, Finding{Error, "apt", fmt.Sprintf("pool/%03d", i), "missing", "it is not there"}, Finding{Warning, "apt", "x", "stale", "same"})
	}
	got := shorten(all)
	if len(got) != most+2 || got[0].Path != "pool/000" || got[most].Text != "and 150 more like these" || got[most+1].Code != "stale" {
		t.Errorf("%d findings, the last are %v", len(got), got[len(got)-3:])
	}
}
