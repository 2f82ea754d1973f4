package verify

import (
	"cmp"
	"context"
	"errors"
	"hash"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// kind says what else is looked at in a package besides size and digest.
type kind int

const (
	file kind = iota
	rpmFile
	archFile // has a signature beside it
	apkFile
)

// item is a package that one or more indexes name.
type item struct {
	path    string
	address string // outside the tree: its whole URL
	kind    kind
	control string // apk: SHA-1 of its control part in hexadecimal
	want
	claims []*claim // what indexes say of its bytes; set by need
}

// claim is what indexes say of a file, and which say so.
type claim struct {
	want
	about []*target
}

// about lists the repositories that name a package, in the order of reports.
func (it *item) about() []*target {
	var all []*target
	for _, c := range it.claims {
		all = append(all, c.about...)
	}
	return all
}

// tally counts packages of a repository with and without a signature.
type tally struct {
	mu           sync.Mutex
	signed, bare []string
}

func (t *tally) note(signed bool, path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if signed {
		t.signed = append(t.signed, path)
	} else {
		t.bare = append(t.bare, path)
	}
}

// need notes packages of a repository. A file is looked at once, however many
// indexes name it.
func (r *run) need(t *target, items ...*item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Packages += len(items)
	if r.items == nil {
		r.items = make(map[string]*item)
	}
	for _, it := range items {
		t.Bytes += max(it.size, 0)
		// pacman and SHA256SUMS name files alone; install.json says where those lie
		// that the tree does not hold. It need not be trusted: the digest is the index's.
		if r.site != nil && it.address == "" && it.algorithm == "sha256" {
			if far, ok := r.site.far[it.hex]; ok {
				if shown, full, err := outside(far); err == nil {
					it.path, it.address = shown, full
				}
			}
		}
		old := r.items[it.path]
		if old == nil {
			it.claims = nil
			old = it
			r.items[it.path] = it
		}
		old.kind, old.control = max(old.kind, it.kind), cmp.Or(old.control, it.control)
		i := slices.IndexFunc(old.claims, func(c *claim) bool { return c.want == it.want })
		if i < 0 {
			i = len(old.claims)
			old.claims = append(old.claims, &claim{want: it.want})
		}
		if c := old.claims[i]; !slices.Contains(c.about, t) {
			c.about = append(c.about, t)
		}
	}
}

// order sorts who names a package: repositories were read side by side.
func (it *item) order() {
	by := func(a, b *target) int {
		return cmp.Or(cmp.Compare(slices.Index(clients, a.Client), slices.Index(clients, b.Client)), strings.Compare(a.Path, b.Path))
	}
	for _, c := range it.claims {
		slices.SortFunc(c.about, by)
	}
	slices.SortFunc(it.claims, func(a, b *claim) int { return by(a.about[0], b.about[0]) })
}

// length is how long a package is, if an index says so and none says otherwise; else -1.
func (it *item) length() int64 {
	n := int64(-1)
	for _, c := range it.claims {
		if n >= 0 && c.size >= 0 && c.size != n {
			return -1
		}
		n = max(n, c.size)
	}
	return n
}

// addIndex counts an index that was read.
func (t *target) addIndex(r *run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.Indexes++
}

// sortedKeys are the keys of a map, in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// packages looks at all that was noted. Jobs goroutines take one after another, in
// the order of paths, which is mostly that on the disk.
func (r *run) packages(ctx context.Context) {
	if r.Packages == None {
		return
	}
	paths := sortedKeys(r.items)
	for _, it := range r.items {
		it.order()
	}
	var next, done, bytes atomic.Int64
	var wg sync.WaitGroup
	for range min(r.Jobs, len(paths)) {
		wg.Go(func() {
			buf := make([]byte, 256<<10) // stays in the CPU's cache
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if i >= int64(len(paths)) {
					return
				}
				it := r.items[paths[i]]
				n := r.look(ctx, it, buf)
				total := bytes.Add(n)
				if r.Progress != nil {
					r.Progress(Event{it.path, int(done.Add(1)), len(paths), total})
				}
			}
		})
	}
	wg.Wait()
	r.files, r.bytes = r.files+int64(len(paths)), r.bytes+bytes.Load()
	if ctx.Err() == nil {
		r.unsigned()
	}
}

// blame notes a finding about a package and those who name it.
func (r *run) blame(about []*target, s Severity, name, code, text string) {
	r.put(located{Finding{s, about[0].Client, name, code, text}, about})
}

// match blames the indexes that are wrong about a package, and reports whether all
// are right.
func (r *run) match(it *item, match func(want) (code, text string)) bool {
	var wrong []*target
	var code, text string
	for _, c := range it.claims {
		if cd, tx := match(c.want); cd != "" {
			if len(wrong) == 0 {
				code, text = cd, tx
			}
			wrong = append(wrong, c.about...)
		}
	}
	if len(wrong) > 0 {
		r.blame(wrong, Error, it.path, code, text)
	}
	return len(wrong) == 0
}

// look looks at one package and returns how much it read.
func (r *run) look(ctx context.Context, it *item, buf []byte) int64 {
	if it.address != "" {
		return r.lookOutside(ctx, it, buf)
	}
	get := r.Fetch.Open
	if r.Packages == Sizes {
		get = r.Fetch.Stat
	}
	f, err := get(ctx, it.path)
	if err != nil {
		r.gone(it, it.path, err)
		return 0
	}
	if f.ReadCloser != nil {
		defer f.Close()
	}
	r.headers(it.claims[0].about[0], it.path, f, fixed)
	long := f.Size >= 0 && !r.match(it, func(w want) (string, string) { return want{size: w.size}.match(f.Size, nil) })
	if r.Packages == Hashes {
		if long {
			return 0
		}
		return r.hash(ctx, it, f, buf)
	}
	if it.kind == archFile {
		_, err := r.Fetch.Stat(ctx, it.path+".sig")
		r.beside(it, err)
	}
	return 0
}

// observer looks at a package while it is hashed. verdict is asked after the last
// byte; code is "" if all is well.
type observer interface {
	io.Writer
	verdict() (s Severity, name, code, text string)
}

// hash reads a package to its end.
func (r *run) hash(ctx context.Context, it *item, f io.Reader, buf []byte) (n int64) {
	sums := make(map[string]hash.Hash) // one, but where indexes state different kinds of digests
	for _, c := range it.claims {
		if c.algorithm != "" && sums[c.algorithm] == nil {
			sums[c.algorithm] = c.want.hash()
		}
	}
	see := r.observe(ctx, it)
	if c, ok := see.(io.Closer); ok {
		defer c.Close()
	}
	limit := int64(-1)
	if size := it.length(); size >= 0 {
		limit = size + 1 // more than that is wrong already
	}
	for limit < 0 || n < limit {
		if ctx.Err() != nil {
			return n
		}
		k, err := f.Read(buf)
		n += int64(k)
		for _, h := range sums {
			h.Write(buf[:k])
		}
		if see != nil {
			see.Write(buf[:k])
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.gone(it, it.path, err)
			return n
		}
	}
	if it.kind == apkFile && see != nil && (it.length() < 0 || n == it.length()) { // all that APKINDEX states is in its parts
		if s, name, code, text := see.verdict(); code != "" {
			r.blame(it.about(), s, name, code, text)
			return n
		}
	}
	fits := r.match(it, func(w want) (string, string) { return w.match(n, sums[w.algorithm]) })
	if see != nil && (fits || len(it.claims) > 1) {
		if s, name, code, text := see.verdict(); code != "" && (fits || code == "signature") {
			r.blame(it.about(), s, name, code, text)
		}
	}
	return n
}

// observe returns what else looks at a package; nil if nothing does.
func (r *run) observe(ctx context.Context, it *item) observer {
	switch it.kind {
	case rpmFile:
		return &rpmCheck{run: r, item: it}
	case apkFile:
		return newAPKCheck(it)
	case archFile:
		sig, err := r.signatureOf(ctx, it)
		if r.beside(it, err) {
			return r.newSigCheck(it, sig)
		}
	}
	return nil
}

// signatureOf reads the signature beside a package, wherever that lies.
func (r *run) signatureOf(ctx context.Context, it *item) ([]byte, error) {
	if it.address == "" {
		return r.get(ctx, nil, it.path+".sig", maxSmall)
	}
	far, ok := r.Fetch.(Outsider)
	if !ok {
		return nil, fs.ErrNotExist
	}
	f, err := far.OpenURL(ctx, it.address+".sig")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSmall))
}

// beside notes whether a package has a signature beside it.
func (r *run) beside(it *item, err error) bool {
	missing := err != nil && isMissing(err)
	if err != nil && !missing {
		r.gone(it, it.path+".sig", err)
		return false
	}
	for _, t := range it.about() {
		if t.Client == "pacman" {
			t.packages.note(!missing, it.path)
		}
	}
	return !missing
}

// gone notes why a package can't be had.
func (r *run) gone(it *item, name string, err error) {
	l := &log{}
	(&run{log: l}).lost(it.claims[0].about[0], Error, name, err)
	for _, f := range l.found {
		f.about = it.about()
		r.put(f)
	}
}

// unsigned notes repositories whose packages bear no signature. Where some do and
// some do not, those that do not are mistakes.
func (r *run) unsigned() {
	seen := make(map[*target]bool)
	for _, p := range sortedKeys(r.items) {
		for _, t := range r.items[p].about() {
			if seen[t] {
				continue
			}
			seen[t] = true
			bare, signed := t.packages.bare, t.packages.signed
			switch {
			case len(bare) == 0:
			case len(signed) == 0 && (t.Client == "dnf" || !t.Signed):
				r.add(t, Note, t.Path, "unsigned", "none of its %d packages is signed: clients that check packages refuse them", len(bare))
			case len(signed) == 0:
				r.add(t, Warning, t.Path, "unsigned", "none of its %d packages is signed, though the index is: clients with SigLevel = Required refuse them", len(bare))
			default:
				for _, name := range bare {
					if t.Client == "pacman" {
						r.add(t, Error, name+".sig", "missing", "it is not there, though other packages have a signature: clients refuse the package")
					} else {
						r.add(t, Error, name, "unsigned", "it bears no signature, though other packages do: clients with gpgcheck=1 refuse it")
					}
				}
			}
		}
	}
}

// lookOutside reads a package that lies elsewhere, where that is possible.
func (r *run) lookOutside(ctx context.Context, it *item, buf []byte) int64 {
	far, ok := r.Fetch.(Outsider)
	if !ok || r.Packages != Hashes {
		r.blame(it.about(), Note, it.path, "outside", "it lies outside the tree and was not looked at")
		return 0
	}
	f, err := far.OpenURL(ctx, it.address)
	if err != nil {
		r.gone(it, it.path, err)
		return 0
	}
	defer f.Close()
	return r.hash(ctx, it, f, buf)
}

// sigCheck checks a detached signature while its package is hashed.
type sigCheck struct {
	io.Writer
	end func() (Severity, string, string, string)
}

func (c sigCheck) verdict() (Severity, string, string, string) { return c.end() }

// newSigCheck checks the signature beside a package.
func (r *run) newSigCheck(it *item, sig []byte) observer {
	name := it.path + ".sig"
	fail := func(s Severity, code, text string) observer {
		return sigCheck{io.Discard, func() (Severity, string, string, string) { return s, name, code, text }}
	}
	if r.trust.ring.Empty() {
		return fail(Warning, "no-key", noKey)
	}
	c, err := r.trust.ring.Check(sig)
	if err != nil {
		return fail(Error, "signature", err.Error())
	}
	return sigCheck{c, func() (Severity, string, string, string) {
		by, err := c.Good(r.Now)
		if err != nil {
			return Error, name, "signature", err.Error()
		}
		r.trust.use(by.Fingerprint)
		return "", "", "", ""
	}}
}
