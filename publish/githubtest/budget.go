package githubtest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Limits are GitHub's bounds of requests, for each App and each installation:
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api.
// 0 is what GitHub has, less than 0 is none.
type Limits struct {
	Hour          int // requests an hour; 0: 5,000
	ContentMinute int // requests that make content, a minute; 0: 80
	ContentHour   int // the same, an hour; 0: 500
	AtOnce        int // requests under way; 0: 100
}

func (l Limits) or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Usage is what an installation asked for.
type Usage struct {
	Requests int // that counted
	Free     int // answered with 304, which do not count
	Content  int // that made content
	Primary  int // refused: no more in this hour
	Second   int // refused: too fast
	Minute   int // the most that made content within a minute
	Together int // the most under way at once
}

// budget is what is left of an App's or an installation's limits.
type budget struct {
	limits  Limits
	begun   time.Time // of the hour
	spent   int
	content []time.Time
	running int
	usage   Usage
}

// Usage returns what the installation asked for so far.
func (i *Installation) Usage() Usage {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	return i.budget.usage
}

func (c *call) budget() *budget {
	switch {
	case c.token != nil:
		return &c.token.in.budget
	case c.app != nil:
		return &c.app.budget
	}
	return nil
}

// makesContent reports whether the request counts as one that makes content.
func (c *call) makesContent() bool {
	return c.r.Method == http.MethodPost && strings.HasPrefix(c.route.Path, "/repos/") && !c.route.upload() && c.op() != "repos/generate-release-notes"
}

// spend counts a request, or refuses it.
func (c *call) spend() (answer, bool) {
	b := c.budget()
	if b == nil {
		return answer{}, true
	}
	now := c.s.now()
	if !now.Before(b.begun.Add(time.Hour)) {
		b.begun, b.spent = now, 0
	}
	if limit := b.limits.or(b.limits.Hour, 5000); limit >= 0 && b.spent >= limit {
		b.usage.Primary++
		return refuse(http.StatusForbidden, "API rate limit exceeded for installation."), false
	}
	b.spent++
	c.spent = true
	b.usage.Requests++
	if limit := b.limits.or(b.limits.AtOnce, 100); limit >= 0 && b.running >= limit {
		return b.secondary(c, time.Second), false
	}
	if !c.makesContent() {
		return answer{}, true
	}
	b.content = slices.DeleteFunc(b.content, func(t time.Time) bool { return !now.Before(t.Add(time.Hour)) })
	minute := 1
	for _, t := range b.content {
		if now.Before(t.Add(time.Minute)) {
			minute++
		}
	}
	if limit := b.limits.or(b.limits.ContentMinute, 80); limit >= 0 && minute > limit {
		return b.secondary(c, b.content[len(b.content)-limit].Add(time.Minute).Sub(now)), false
	}
	if limit := b.limits.or(b.limits.ContentHour, 500); limit >= 0 && len(b.content) >= limit {
		return b.secondary(c, b.content[len(b.content)-limit].Add(time.Hour).Sub(now)), false
	}
	b.content = append(b.content, now)
	b.usage.Content++
	b.usage.Minute = max(b.usage.Minute, minute)
	return answer{}, true
}

func (b *budget) secondary(c *call, wait time.Duration) answer {
	b.usage.Second++
	a := refuse(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
	a.header = http.Header{"Retry-After": {itoa(int64(max(time.Second, wait.Round(time.Second)) / time.Second))}}
	return a
}

// refund takes back what a request cost that was answered with 304.
func (c *call) refund() {
	if b := c.budget(); b != nil && c.spent {
		b.spent--
		b.usage.Requests--
		b.usage.Free++
	}
}

// headers says what is left.
func (c *call) headers(h http.Header) {
	limit, used, reset := 5000, 1000, c.s.now().Unix()+3600
	if b := c.budget(); b != nil {
		used, reset = b.spent, b.begun.Add(time.Hour).Unix()
		if limit = b.limits.or(b.limits.Hour, 5000); limit < 0 {
			limit = 1 << 30
		}
	}
	h.Set("X-Ratelimit-Limit", itoa(int64(limit)))
	h.Set("X-Ratelimit-Remaining", itoa(int64(max(0, limit-used))))
	h.Set("X-Ratelimit-Used", itoa(int64(used)))
	h.Set("X-Ratelimit-Reset", itoa(reset))
	h.Set("X-Ratelimit-Resource", "core")
}
