package release

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/distropack/distropack/app/check"
	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/verify"
)

// seen is what a look at a published tree saw.
type seen struct {
	Seen bool   `json:"seen"`
	Why  string `json:"why,omitempty"` // not
}

// probePauses are between looks: caches before GitHub Pages take up to ten minutes.
var probePauses = []time.Duration{2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 30 * time.Second, time.Minute}

// probe looks at a published tree as clients do, until they would see the release. It
// only warns: the release is out, and where the address leads is not the App's.
func (j *job) probe(site target) error {
	if site.URL == "" {
		return nil
	}
	var spent time.Duration
	for n := 0; ; n++ {
		got, err := do(j, "probe", func(ctx context.Context) (seen, error) { return j.seeSite(ctx, site, spent) })
		if err != nil || got.Seen || spent >= j.Limits.Probe {
			return err
		}
		d := min(probePauses[min(n, len(probePauses)-1)], j.Limits.Probe-spent)
		spent += d
		if err := j.run.Sleep(d); err != nil {
			return err
		}
	}
}

// errAgain ends verify.Wait after one look.
var errAgain = errors.New("look again")

// seeSite looks once; spent is how long it was looked for already.
func (j *job) seeSite(ctx context.Context, site target, spent time.Duration) (seen, error) {
	r, err := j.Store.Release(ctx, j.in.Release)
	if err != nil {
		return seen{}, err
	}
	x := rowOf(r)
	o := verify.Options{Packages: verify.None, Now: j.Now()}
	var expect verify.Expect
	for _, rep := range x.Sites {
		if rep.Site == site.Name {
			expect.Serial = rep.Serial
		}
	}
	rec := j.record(ctx)
	defer rec.close()
	leg := rec.begin(legProbe, site.URL)
	if u, err := url.Parse(site.URL); err == nil {
		err = j.outside(ctx, u.Hostname())
		if err == nil {
			o.Fetch, err = verify.HTTP(site.URL, j.Probe)
		}
		if err != nil {
			return j.unseen(ctx, rec, leg, site, spent, err.Error())
		}
	}
	if o.Fingerprints, err = j.fingerprints(ctx, r); err != nil {
		return seen{}, err
	}
	limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	rep, err := verify.Wait(limited, o, expect, func(context.Context, time.Duration) error { return errAgain })
	if err == nil {
		for _, f := range rep.Findings {
			if f.Severity == verify.Warning {
				rec.say(site.Name, f.String())
			}
		}
		rec.say(site.Name, fmt.Sprintf("%s is seen by clients (serial %d)", site.URL, rep.Serial))
		rec.end(leg, nil)
		return seen{Seen: true}, nil
	}
	if ctx.Err() != nil {
		return seen{}, ctx.Err()
	}
	why := err.Error()
	if rep != nil {
		for _, f := range rep.Findings {
			if f.Severity == verify.Error {
				why = f.String()
				break
			}
		}
	}
	return j.unseen(ctx, rec, leg, site, spent, why)
}

// unseen says why clients do not see a release yet, and at last warns.
func (j *job) unseen(ctx context.Context, rec *recorder, leg *store.Leg, site target, spent time.Duration, why string) (seen, error) {
	why = check.Redact(strings.TrimSuffix(why, ": "+errAgain.Error()))
	if spent < j.Limits.Probe {
		rec.set(leg, func(l *store.Leg) { l.State, l.Short = store.Waiting, "not seen yet: "+why })
		return seen{Why: why}, nil
	}
	text := fmt.Sprintf("site %s: it is published, but %s after it clients would not see it at %s: %s", site.Name, j.Limits.Probe, site.URL, why)
	rec.say(site.Name, text)
	rec.set(leg, func(l *store.Leg) { l.State, l.Short, l.Ended = store.Ignored, "not seen: "+why, j.Now() })
	_, err := j.change(ctx, j.in.Release, func(_ *store.Release, x *row) { x.warn(text) })
	return seen{Why: why}, err
}

// fingerprints are those of the keys that clients have to find in a tree of the
// repository.
func (j *job) fingerprints(ctx context.Context, r *store.Release) ([]string, error) {
	repo, err := j.repository(ctx, r.Repository)
	if err != nil {
		return nil, err
	}
	ring, names, err := j.keyring(ctx, repo, "", "probe", j.Now())
	if err != nil {
		return nil, err
	}
	var all []string
	for _, name := range names {
		for _, scheme := range []formats.Scheme{formats.OpenPGP, formats.RSA256, formats.Usign} {
			if p, err := ring.Public(name, scheme); err == nil {
				all = append(all, strings.Fields(p.ID)...)
			}
		}
	}
	return all, nil
}
