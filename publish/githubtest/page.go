package githubtest

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// page cuts a list as the request's per_page and page ask, and says in a Link
// header where the others are.
func page[T any](c *call, all []T, show func(T) any) answer {
	q := c.r.URL.Query()
	size := number(q.Get("per_page"), 30)
	size = max(1, min(size, c.s.o.PageSize))
	at := max(1, number(q.Get("page"), 1))
	last := max(1, (len(all)+size-1)/size)
	from := min(len(all), (at-1)*size)
	shown := []any{}
	for _, x := range all[from:min(len(all), from+size)] {
		shown = append(shown, show(x))
	}
	a := ok(shown)
	var links []string
	link := func(rel string, n int) {
		u := url.URL{Path: c.r.URL.Path}
		q.Set("page", fmt.Sprint(n))
		u.RawQuery = q.Encode()
		links = append(links, fmt.Sprintf(`<%s%s>; rel="%s"`, c.s.web, u.String(), rel))
	}
	if at > 1 {
		link("prev", at-1)
		link("first", 1)
	}
	if at < last {
		link("next", at+1)
		link("last", last)
	}
	if links != nil {
		a.header = http.Header{"Link": {strings.Join(links, ", ")}}
	}
	return a
}

// pageOf is page for lists that stand within an object beside their length.
func pageOf[T any](c *call, name string, all []T, show func(T) any) answer {
	a := page(c, all, show)
	a.body = map[string]any{"total_count": len(all), name: a.body}
	return a
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}
