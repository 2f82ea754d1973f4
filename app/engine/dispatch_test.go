package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distropack/distropack/app/store/storetest"
)

func TestChoose(t *testing.T) {
	// A job is queue/group#created, with ! if it is exclusive and x if it is cancelled.
	parse := func(s string) candidate {
		c := candidate{id: s, exclusive: strings.Contains(s, "!"), ended: strings.Contains(s, "x")}
		s = strings.Trim(s, "!x")
		head, n, _ := strings.Cut(s, "#")
		c.queue, c.group, _ = strings.Cut(head, "/")
		fmt.Sscan(n, &c.created)
		return c
	}
	for _, tt := range []struct {
		name, waiting, running string
		used                   int
		want                   string
	}{
		{"oldest first", "q/#2 q/#1 q/#3", "", 0, "q/#1 q/#2 q/#3"},
		{"workers", "q/#1 q/#2 q/#3 q/#4 q/#5", "", 2, "q/#1 q/#2"},
		{"no worker", "q/#1", "", 4, ""},
		{"an installation has its share", "q/a#1 q/a#2 q/a#3", "", 0, "q/a#1 q/a#2"},
		{"others count too", "q/a#1 q/a#2", "q/a q/a", 0, ""},
		{"who runs least is first", "q/a#1 q/a#2 q/b#3", "q/a", 0, "q/b#3 q/a#1"},
		{"in turn", "q/a#1 q/a#2 q/b#3 q/b#4", "", 0, "q/a#1 q/b#3 q/a#2 q/b#4"},
		{"one of a partition", "q/p#1! q/p#2! q/o#3!", "", 0, "q/p#1! q/o#3!"},
		{"a partition is busy", "q/p#1!", "q/p", 0, ""},
		{"queues do not share", "q/a#1 z/a#2 z/p#3!", "q/a q/a q/p", 4, "z/a#2 z/p#3!"},
		{"cancelled without a worker", "q/a#1 q/a#9x", "q/a q/a", 4, "q/a#9x"},
		{"cancelled, but its partition is busy", "q/p#1!x", "q/p", 0, ""},
	} {
		var waiting []candidate
		for _, s := range strings.Fields(tt.waiting) {
			waiting = append(waiting, parse(s))
		}
		running := map[place]int{}
		for _, s := range strings.Fields(tt.running) {
			q, g, _ := strings.Cut(s, "/")
			running[place{q, g}]++
		}
		before := maps.Clone(running)
		var got []string
		for _, c := range choose(waiting, running, map[string]int{"q": tt.used}, 4, 2) {
			got = append(got, c.id)
		}
		if strings.Join(got, " ") != tt.want || !maps.Equal(running, before) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// gauge counts what runs at once.
type gauge struct {
	mu       sync.Mutex
	now, max map[string]int
	order    []string
}

func newGauge() *gauge { return &gauge{now: map[string]int{}, max: map[string]int{}} }

func (g *gauge) in(group, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.order = append(g.order, id)
	for _, k := range []string{group, "all"} {
		g.now[k]++
		g.max[k] = max(g.max[k], g.now[k])
	}
}

func (g *gauge) out(group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now[group]--
	g.now["all"]--
}

func TestAnInstallationWithManyJobsDoesNotKeepOthersWaiting(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		g := newGauge()
		var nodes []*Engine
		for _, name := range []string{"a", "b"} {
			e := node(t, url, name, func(o *Options) { o.Workers, o.PerInstallation = 3, 2 })
			e.Handle("k", "release", func(ctx context.Context, r *Run) error {
				group, _, _ := strings.Cut(r.ID, "-")
				g.in(group, r.ID)
				defer g.out(group)
				_, err := Step(r, "one", func(context.Context) (int, error) { return 0, nil })
				return err
			})
			nodes = append(nodes, e)
		}
		var ids []string
		add := func(group string, n int) {
			for i := range n {
				id := fmt.Sprintf("%s-%02d", group, i)
				ids = append(ids, id)
				enqueue(t, nodes[0], "k", id, group)
			}
		}
		add("big", 40)
		add("small", 3)
		for _, e := range nodes {
			start(t, e)
		}
		for _, id := range ids {
			ends(t, nodes[1], id, Done)
		}
		if g.max["big"] > 2 || g.max["small"] > 2 || g.max["all"] > 4 {
			t.Errorf("at once: %v", g.max)
		}
		last := slices.IndexFunc(g.order, func(id string) bool { return id == "small-02" })
		if last > 12 || len(g.order) != len(ids) {
			t.Errorf("the last of the small one is number %d of %d: %s", last, len(g.order), g.order)
		}
	})
}

func TestAPartitionHasOneAtATimeAcrossNodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		g := newGauge()
		var nodes []*Engine
		for _, name := range []string{"a", "b"} {
			e := node(t, url, name, nil)
			e.Handle("release", "release", func(ctx context.Context, r *Run) error {
				var all []Child
				for i := range 6 {
					p := []string{"pages", "bucket"}[i%2]
					all = append(all, Child{"publish", p, "publish", fmt.Sprintf("%s %s %d", r.ID, p, i), []byte(p)})
				}
				for _, err := range r.Children(all...) {
					if err != nil {
						return err
					}
				}
				return r.Child("publish", "", "publish", r.ID+" free", nil)
			})
			e.Handle("publish", "", func(ctx context.Context, r *Run) error {
				_, err := Step(r, "push", func(ctx context.Context) (int, error) {
					g.in(string(r.Input), r.ID)
					defer g.out(string(r.Input))
					for range 5 { // time enough for another to begin
						if _, err := e.Counts(ctx); err != nil {
							return 0, err
						}
					}
					return 0, nil
				})
				return err
			})
			start(t, e)
			nodes = append(nodes, e)
		}
		for i := range 4 {
			enqueue(t, nodes[i%2], "release", fmt.Sprint("r", i), fmt.Sprint(i))
		}
		for i := range 4 {
			ends(t, nodes[0], fmt.Sprint("r", i), Done)
		}
		if g.max["pages"] != 1 || g.max["bucket"] != 1 || len(g.order) != 28 {
			t.Errorf("at once: %v; %d pushes", g.max, len(g.order))
		}
		// Of one release, in a partition, those added first are first.
		var own []string
		for _, id := range g.order {
			if strings.HasPrefix(id, "r0 pages") {
				own = append(own, id)
			}
		}
		if !slices.IsSorted(own) || len(own) != 3 {
			t.Errorf("order: %s", own)
		}
	})
}
