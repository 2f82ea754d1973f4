package github

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// pageSize is the most GitHub gives at once.
const pageSize = 100

// pages reads a list page by page, each into what page returns. more says after
// each page whether to go on.
func (c caller) pages(ctx context.Context, q request, page func() any, more func() bool) error {
	if q.query == nil {
		q.query = url.Values{}
	}
	q.query.Set("per_page", fmt.Sprint(pageSize))
	for {
		r, err := c.call(ctx, q, page())
		if err != nil {
			return err
		}
		next := next(r.header)
		if next == nil || !more() {
			return nil
		}
		// Only what to ask is taken from the answer, never whom.
		q.query = next
	}
}

// list reads every page of a list of T.
func list[T any](ctx context.Context, c caller, q request) ([]T, error) {
	var all []T
	var some []T
	err := c.pages(ctx, q, func() any { all = append(all, some...); some = nil; return &some }, always)
	if err != nil {
		return nil, err
	}
	return append(all, some...), nil
}

func always() bool { return true }

// next is the query of a list's next page; nil if there is none. A page may hold
// less than was asked for: only the link tells the end.
func next(h http.Header) url.Values {
	for _, link := range strings.Split(h.Get("Link"), ",") {
		addr, rel, _ := strings.Cut(link, ";")
		if !strings.Contains(rel, `rel="next"`) {
			continue
		}
		if u, err := url.Parse(strings.Trim(strings.TrimSpace(addr), "<>")); err == nil {
			return u.Query()
		}
	}
	return nil
}

// changed reads every page of a list unless all of them are as etag says, which a
// former call returned; "" is no former call. Asking for what has not changed
// does not count against GitHub's limit.
func changed[T any](ctx context.Context, c caller, q request, etag string) (all []T, now string, same bool, err error) {
	known := strings.Fields(etag)
	q.query = url.Values{"per_page": {fmt.Sprint(pageSize)}}
	if len(known) > 0 {
		same, err := unchanged(ctx, c, q, known)
		if err != nil {
			return nil, "", false, err
		}
		if same {
			return nil, etag, true, nil
		}
	}
	var tags []string
	for page := 1; ; page++ {
		q.query.Set("page", fmt.Sprint(page))
		var some []T
		r, err := c.call(ctx, q, &some)
		if err != nil {
			return nil, "", false, err
		}
		all = append(all, some...)
		if e := r.header.Get("Etag"); e != "" && !strings.ContainsAny(e, " \t") {
			tags = append(tags, e)
		}
		// A full last page is followed by an empty one, which is asked for too: what
		// is added behind it changes no other page.
		if next(r.header) == nil && len(some) < pageSize {
			if len(tags) != page {
				return all, "", false, nil
			}
			return all, strings.Join(tags, " "), false, nil
		}
	}
}

func unchanged(ctx context.Context, c caller, q request, known []string) (bool, error) {
	for i, e := range known {
		q.query.Set("page", fmt.Sprint(i+1))
		q.etag = e
		r, err := c.call(ctx, q, nil)
		if err != nil || !r.same {
			return false, err
		}
	}
	return true, nil
}
