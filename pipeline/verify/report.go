package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Severity says what a Finding means for clients.
type Severity string

const (
	Error   Severity = "error"   // a client fails, or takes what it must not
	Warning Severity = "warning" // some client fails, or will
	Note    Severity = "note"    // worth knowing
)

// Finding is one thing that is wrong. Code is a stable word:
//
//	missing       a file is not there
//	unreachable   it can't be read
//	size, hash    it is not what its index says
//	signature     a signature is wrong
//	unsigned      there is none
//	no-key        there is no key to check one with
//	torn          two files are of two publishes
//	expired       an index or a key is past its end
//	key-expires   a key ends soon
//	weak-key      clients refuse such keys, or will
//	weak-hash     only digests that are not trusted any more
//	revoked       a key is revoked
//	future        an index is from the future
//	stale         an index ends soon
//	index         an index can't be read
//	count         an index does not have as many packages as it says
//	listed-twice  an index has a package twice
//	path          an index names what is no path in the tree
//	too-large     a file is longer than is read
//	cache-control caches keep a file too long
//	content-type  a page stands where a file should be
//	content-length, content-encoding    other headers
//	outside       a file lies elsewhere and was not looked at
type Finding struct {
	Severity Severity `json:"severity"`
	Client   string   `json:"client,omitempty"`
	Path     string   `json:"path,omitempty"`
	Code     string   `json:"code"`
	Text     string   `json:"text"`
}

// String is a line for people: "error: apt: pool/a.deb: it is not there (missing)".
func (f Finding) String() string {
	parts := slices.DeleteFunc([]string{string(f.Severity), f.Client, f.Path, f.Text}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ") + " (" + f.Code + ")"
}

// Report is what Run saw. It is the same for the same tree.
type Report struct {
	Clients  []ClientReport `json:"clients"`
	Findings []Finding      `json:"findings"` // errors first
	Keys     []KeyReport    `json:"keys"`
	Packages int64          `json:"packages"` // files that were looked at
	Bytes    int64          `json:"bytes"`    // that were read of them
	Serial   int64          `json:"serial,omitempty"`
	Time     time.Time      `json:"time,omitzero"` // of the tree, as install.json says
}

// Good reports whether there is no Finding of severity Error.
func (r *Report) Good() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity == Error })
}

// ClientReport is one repository.
type ClientReport struct {
	Client     string    `json:"client"`
	Path       string    `json:"path"`   // of the tree, or an address outside of it
	Good       bool      `json:"good"`   // no Error is about it
	Signed     bool      `json:"signed"` // it has a signature that was found good
	Date       time.Time `json:"date,omitzero"`
	ValidUntil time.Time `json:"valid_until,omitzero"`
	Indexes    int       `json:"indexes"`  // that were read
	Packages   int       `json:"packages"` // that they list
	Bytes      int64     `json:"bytes"`    // of those packages
}

// KeyReport is one public key.
type KeyReport struct {
	Kind        string    `json:"kind"` // "openpgp", "rsa", "usign"
	Fingerprint string    `json:"fingerprint"`
	User        string    `json:"user,omitempty"`
	Algorithm   string    `json:"algorithm,omitempty"`
	Bits        int       `json:"bits,omitempty"`
	Expires     time.Time `json:"expires,omitzero"`
	From        string    `json:"from,omitempty"` // its path in the tree; "" where the caller gave it
	Pinned      bool      `json:"pinned"`         // by Options.Fingerprints
	Used        bool      `json:"used"`           // a good signature is by it
}

// log gathers what was found. It may be used concurrently.
type log struct {
	mu    sync.Mutex
	found []located
	items map[string]*item
	keys  []*KeyReport
	files int64
	bytes int64
}

// located is a Finding and the repositories it is about.
type located struct {
	Finding
	about []*target
}

// add notes a finding about a repository; t may be nil.
func (l *log) add(t *target, s Severity, path, code, format string, args ...any) {
	f := located{Finding: Finding{Severity: s, Path: path, Code: code, Text: fmt.Sprintf(format, args...)}}
	if t != nil {
		f.Client, f.about = t.Client, []*target{t}
	}
	l.put(f)
}

func (l *log) put(f located) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.found = append(l.found, f)
}

// most is how many findings of one client and code are listed one by one.
const most = 100

func (r *run) report(targets []*target) *Report {
	rep := &Report{Clients: []ClientReport{}, Findings: []Finding{}, Keys: []KeyReport{}, Packages: r.files, Bytes: r.bytes}
	bad := make(map[*target]bool)
	for _, f := range r.found {
		rep.Findings = append(rep.Findings, f.Finding)
		for _, t := range f.about {
			bad[t] = bad[t] || f.Severity == Error
		}
	}
	for _, t := range targets {
		t.Good = !bad[t]
		rep.Clients = append(rep.Clients, t.ClientReport)
	}
	for _, k := range r.keys {
		rep.Keys = append(rep.Keys, *k)
	}
	slices.SortFunc(rep.Keys, func(a, b KeyReport) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Fingerprint, b.Fingerprint), strings.Compare(a.From, b.From))
	})
	if r.site != nil {
		rep.Serial, rep.Time = r.site.list.Serial, r.site.list.Time
	}
	rep.Findings = shorten(rep.Findings)
	return rep
}

var severities = []Severity{Error, Warning, Note}

// shorten sorts findings, drops repetitions, and counts what is above most.
func shorten(all []Finding) []Finding {
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(slices.Index(severities, a.Severity), slices.Index(severities, b.Severity)),
			cmp.Compare(slices.Index(clients, a.Client), slices.Index(clients, b.Client)),
			strings.Compare(a.Code, b.Code), strings.Compare(a.Path, b.Path), strings.Compare(a.Text, b.Text))
	})
	all = slices.Compact(all)
	out := []Finding{}
	for len(all) > 0 {
		first := all[0]
		n := slices.IndexFunc(all, func(f Finding) bool {
			return f.Severity != first.Severity || f.Client != first.Client || f.Code != first.Code
		})
		if n < 0 {
			n = len(all)
		}
		out = append(out, all[:min(n, most)]...)
		if n > most {
			out = append(out, Finding{first.Severity, first.Client, "", first.Code, fmt.Sprintf("and %d more like these", n-most)})
		}
		all = all[n:]
	}
	return out
}
