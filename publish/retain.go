package publish

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Keep says what stays of old versions. The newest version of a name always
// stays. The zero Keep keeps everything.
type Keep struct {
	Versions int      // the newest versions of each name in a partition; 0 means all
	PerMinor int      // of each x.y of a name, the newest; 0 means all
	Bytes    int64    // of packages in the whole tree; 0 means no bound
	Pin      []string // versions that stay, upstream's or whole
}

func (k *Keep) pinned(r *Record) bool {
	return slices.Contains(k.Pin, r.Version) || slices.Contains(k.Pin, r.Meta.Version)
}

// surplus returns the records of one name that go, given from old to new. All
// records of one version stay or go together.
func (k *Keep) surplus(recs []*Record) []*Record {
	versions, perMinor := 0, make(map[string]int)
	var out []*Record
	last := ""
	counted := false
	for _, r := range slices.Backward(recs) {
		if r.Meta.Version == last && counted {
			if len(out) > 0 && out[len(out)-1].Meta.Version == last {
				out = append(out, r)
			}
			continue
		}
		last, counted = r.Meta.Version, true
		if k.pinned(r) {
			continue
		}
		m := minor(r)
		versions++
		perMinor[m]++
		if k.Versions > 0 && versions > k.Versions || k.PerMinor > 0 && perMinor[m] > k.PerMinor {
			out = append(out, r)
		}
	}
	return out
}

// minor returns x.y of a version x.y.z.
func minor(r *Record) string {
	v := cmp.Or(r.Version, r.Meta.Version)
	parts := strings.SplitN(v, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// retain drops what is surplus of one name.
func (t *txn) retain(ctx context.Context, r *repoTxn, p *partition, name string) error {
	recs, err := p.named(ctx, &t.loader, name)
	if err != nil {
		return err
	}
	for _, rec := range t.o.Keep.surplus(recs) {
		if err := t.unlist(ctx, r, p, rec); err != nil {
			return err
		}
	}
	return nil
}

// fitBudget drops the oldest versions until the packages fit into Keep.Bytes.
// It reads every record, but only where the tree is over its budget.
func (t *txn) fitBudget(ctx context.Context) error {
	k := &t.o.Keep
	if k.Bytes <= 0 || t.bytes <= k.Bytes {
		return nil
	}
	type entry struct {
		r   *repoTxn
		p   *partition
		rec *Record
	}
	var entries []entry
	stays := make(map[string]bool) // paths
	for _, r := range t.repos {
		for _, p := range r.parts {
			recs, err := p.all(ctx, &t.loader)
			if err != nil {
				return err
			}
			for i, rec := range recs {
				newest := i == len(recs)-1 || recs[i+1].Meta.Name != rec.Meta.Name
				if newest || k.pinned(rec) {
					stays[rec.Path] = true
				}
				entries = append(entries, entry{r, p, rec})
			}
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.rec.Added, b.rec.Added) })
	for len(entries) > 0 && t.bytes > k.Bytes {
		at := entries[0].rec.Added
		// One release goes as a whole: half of it would leave some CPUs behind.
		for len(entries) > 0 && entries[0].rec.Added == at {
			e := entries[0]
			entries = entries[1:]
			if !stays[e.rec.Path] {
				if err := t.unlist(ctx, e.r, e.p, e.rec); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
