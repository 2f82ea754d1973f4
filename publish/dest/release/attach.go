package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// pause is how long to wait before looking again.
const pause = 5 * time.Second

// item is an asset on its way.
type item struct {
	Asset
	host     string // its name there
	tries    int
	sent     int64 // the asset's ID on the host, if this run uploaded it
	read     int64 // the same, if its bytes were read back and are ours
	broke    bool  // an upload by this run broke off
	replaced bool
	err      error // of the last try
}

// Attach sees to it that the release of a tag has the assets, and publishes it if
// it is a draft. It may be run again, and by several at once: whatever it finds
// done is kept. See the package's comment for what it never does.
func (p *Place) Attach(ctx context.Context, rel Release, assets []Asset, o AttachOptions) (*Result, error) {
	wrap := func(err error) error {
		return fmt.Errorf("release %s of %s/%s: %w", rel.Tag, p.o.Owner, p.o.Repo, err)
	}
	if rel.Tag == "" {
		return nil, fmt.Errorf("release of %s/%s: there is no tag to release: name one", p.o.Owner, p.o.Repo)
	}
	if err := errors.Join(Check(assets)...); err != nil {
		return nil, wrap(err)
	}
	for range tries {
		res, err := p.attach(ctx, rel, assets, o)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return nil, wrap(err)
		}
		return res, nil
	}
	return nil, wrap(errGone)
}

func (p *Place) attach(ctx context.Context, rel Release, assets []Asset, o AttachOptions) (*Result, error) {
	if err := p.checkTag(ctx, rel); err != nil {
		return nil, err
	}
	h, created, err := p.obtain(ctx, rel)
	if err != nil {
		return nil, err
	}
	items := make([]*item, len(assets))
	for i, a := range assets {
		items[i] = &item{Asset: a, host: HostName(a.Name)}
		if a.Name != items[i].host {
			p.o.Say(fmt.Sprintf("%s is called %s on the release: the host keeps only letters, digits and . _ - + @", a.Name, items[i].host))
		}
	}
	if h, err = p.complete(ctx, h, items, o); err != nil {
		return nil, err
	}
	res := &Result{Created: created}
	if h.Draft && !o.KeepDraft {
		if err := p.checkTag(ctx, rel); err != nil {
			return nil, err
		}
		if h, res.Published, err = p.publish(ctx, h, rel); err != nil {
			return nil, err
		}
	}
	res.ID, res.URL = h.ID, h.URL
	for _, it := range items {
		switch {
		case it.sent == 0:
			res.Kept = append(res.Kept, it.Name)
		case it.replaced:
			res.Replaced = append(res.Replaced, it.Name)
		default:
			res.Uploaded = append(res.Uploaded, it.Name)
		}
	}
	return res, nil
}

// complete uploads until the host's list has every item, and returns the release
// as it then was.
func (p *Place) complete(ctx context.Context, h *hosted, items []*item, o AttachOptions) (*hosted, error) {
	var waited time.Duration
	for {
		todo, waiting, err := p.survey(ctx, h, items, o)
		if err != nil {
			return nil, err
		}
		if len(todo) == 0 && !waiting {
			return h, nil
		}
		if len(todo) == 0 {
			if err := p.o.Wait(ctx, pause); err != nil {
				return nil, err
			}
			waited += pause
			o.Alone = o.Alone || waited > patience(MaxSize) // whatever the host's clock says
			continue
		}
		if err := p.calm(ctx, todo); err != nil {
			return nil, err
		}
		if p.carryOut(ctx, h.ID, todo); ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var again bool
		var errs []error
		for _, j := range todo {
			switch err := j.it.err; {
			case err == nil:
			case retry(err) && j.it.tries < tries:
				again = true
			default:
				errs = append(errs, err)
			}
		}
		if !again && errs == nil {
			continue
		}
		// Somebody may have published, or deleted, the release.
		now, err := p.get(ctx, h.ID)
		if err != nil {
			return nil, err
		}
		if now == nil {
			return nil, errGone
		}
		if now.Draft == h.Draft && errs != nil {
			return nil, errors.Join(errs...)
		}
		h = now
	}
}

// calm waits before something is tried again, and ends what was tried enough.
func (p *Place) calm(ctx context.Context, todo []job) error {
	most := 0
	for _, j := range todo {
		if j.it.tries == tries {
			return fmt.Errorf("%s was uploaded %d times and is not there as it was sent: something on the way changes it, or somebody deletes it", j.it.host, tries)
		}
		most = max(most, j.it.tries)
	}
	if most == 0 {
		return nil
	}
	return p.o.Wait(ctx, time.Second<<(most-1))
}

// retry reports whether the list of files may show that an upload's error does not
// matter: the connection broke, or another program was faster.
func retry(err error) bool {
	var f *failure
	return broken(err) || errors.As(err, &f) && (f.status == http.StatusNotFound || f.is("name", "already_exists"))
}

// job is one thing to do about an item.
type job struct {
	it     *item
	do     verdict
	old    *file // what is there now
	next   *file // what was to take its place when a run broke off
	public bool  // the release is published
}

// survey compares the items with the host's list. waiting says that somebody may
// be uploading one of them.
func (p *Place) survey(ctx context.Context, h *hosted, items []*item, o AttachOptions) (todo []job, waiting bool, err error) {
	there, now, err := p.files(ctx, h.ID)
	if err != nil {
		return nil, false, err
	}
	var errs []error
	added := 0
	for _, it := range items {
		old, next := there[it.host], there[nextName(it.host)]
		do, err := p.compare(ctx, it, old, now, o)
		if err == nil && do != keep && next != nil && it.busy(next, now, o) {
			do, old = await, next
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case do == keep:
			it.err = nil
		case h.Immutable && old == nil:
			errs = append(errs, fmt.Errorf("%s is missing", it.host))
		case h.Immutable:
			errs = append(errs, fmt.Errorf("%s is there with other bytes, or half", it.host))
		case do == await:
			waiting = true
			p.o.Say(fmt.Sprintf("%s is half uploaded since %s: somebody may be at it, so it is left for %s", it.host, now.Sub(old.Created), patience(it.Blob.Ref().Size)))
		default:
			todo = append(todo, job{it, do, old, next, !h.Draft})
		}
		if old == nil || do == replace && !h.Draft {
			added++
		}
	}
	if n := len(there) + added; n > MaxAssets {
		errs = append(errs, fmt.Errorf("it would have %d files, and %d is the most: delete some, or put packages into the tree or a bucket", n, MaxAssets))
	}
	switch err := errors.Join(errs...); {
	case err == nil:
		return todo, waiting, nil
	case h.Immutable:
		return nil, false, fmt.Errorf("it is published and immutable, so its files can't be changed: make a new tag\n%w", err)
	case o.Replace:
		return nil, false, err
	default:
		return nil, false, fmt.Errorf("%w\nNothing was replaced: make a new tag, or ask for files to be replaced", err)
	}
}

// carryOut does the jobs, Options.Jobs at once, and leaves in each item what came
// of it.
func (p *Place) carryOut(ctx context.Context, id int64, todo []job) {
	queue := make(chan job)
	var running sync.WaitGroup
	for range min(p.o.Jobs, len(todo)) {
		running.Go(func() {
			for j := range queue {
				j.it.tries++
				j.it.err = p.do(ctx, id, j)
			}
		})
	}
	for _, j := range todo {
		queue <- j
	}
	close(queue)
	running.Wait()
}

func (p *Place) do(ctx context.Context, id int64, j job) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if j.next != nil && !j.next.has(j.it.Blob.Ref()) {
		if err := p.delete(ctx, j.next); err != nil {
			return err
		}
		j.next = nil
	}
	if j.next != nil || j.do == replace && j.public {
		return p.exchange(ctx, id, j)
	}
	if j.old != nil {
		if err := p.delete(ctx, j.old); err != nil {
			return err
		}
		j.it.replaced = j.it.replaced || j.do == replace
	}
	return p.upload(ctx, id, j.it, j.it.host)
}

// exchange uploads a file beside the one that people download now, and gives it the
// name of that one afterwards: so they miss it for two short requests and not for
// an upload.
func (p *Place) exchange(ctx context.Context, id int64, j job) error {
	if j.next != nil {
		j.it.sent = j.next.ID
	} else if err := p.upload(ctx, id, j.it, nextName(j.it.host)); err != nil {
		return err
	}
	if j.old != nil {
		if err := p.delete(ctx, j.old); err != nil {
			return err
		}
	}
	j.it.replaced = true
	return p.rename(ctx, j.it.sent, j.it.host)
}

// nextName is what a file is called until it takes the place of another.
func nextName(host string) string { return "distropack-next." + host }
