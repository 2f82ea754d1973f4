package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/store/storetest"
)

func texts(lines []store.LogLine) string {
	var b []string
	for _, l := range lines {
		b = append(b, fmt.Sprintf("%d:%s", l.Seq, l.Text))
	}
	return strings.Join(b, " ")
}

func TestLog(t *testing.T) {
	each(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := t.Context()
		release(t, s, &store.Release{ID: "r"})
		must(t, s.AppendLog(ctx, "r", nil))
		must(t, s.AppendLog(ctx, "r", []store.LogLine{{Seq: 99, Text: "a\n", Leg: "deb"}, {Text: "b\r\nc", At: noon.Add(time.Hour)}}))
		must(t, s.AppendLog(ctx, "r", []store.LogLine{{Text: ""}, {Text: strings.Repeat("é", 20000)}}))
		lines, err := s.Log(ctx, "r", 0, 0)
		must(t, err)
		if len(lines) != 5 {
			t.Fatalf("Log = %d lines", len(lines))
		}
		equal(t, "Log", lines[:4], []store.LogLine{{Seq: 1, At: noon, Leg: "deb", Text: "a"}, {Seq: 2, At: noon.Add(time.Hour), Text: "b"}, {Seq: 3, At: noon.Add(time.Hour), Text: "c"}, {Seq: 4, At: noon}})
		if want := strings.Repeat("é", 16384) + " … (7232 bytes more)"; lines[4].Text != want {
			t.Errorf("a long line ends in %q", lines[4].Text[len(lines[4].Text)-40:])
		}
		for _, test := range []struct {
			got  func() ([]store.LogLine, error)
			want string
		}{
			{func() ([]store.LogLine, error) { return s.Log(ctx, "r", 1, 2) }, "2:b 3:c"},
			{func() ([]store.LogLine, error) { return s.Log(ctx, "r", 5, 0) }, ""},
			{func() ([]store.LogLine, error) { return s.LogTail(ctx, "r", 5) }, texts(lines)},
			{func() ([]store.LogLine, error) { lines, err := s.LogTail(ctx, "r", 3); return lines[:2], err }, "3:c 4:"},
			{func() ([]store.LogLine, error) { return s.Log(ctx, "none", 0, 0) }, ""},
		} {
			if lines, err := test.got(); err != nil || texts(lines) != test.want {
				t.Errorf("got %q, %v, want %q", texts(lines), err, test.want)
			}
		}
		missing(t, "AppendLog", s.AppendLog(ctx, "none", []store.LogLine{{Text: "a"}}))
	})
}

func TestALogIsBoundedAndSaysSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url, store.Options{LogLimit: 10 << 10})
		release(t, s, &store.Release{ID: "r"})
		signal, stop := s.Watch(t.Context(), "r")
		defer stop()
		var many []store.LogLine
		for range 50 {
			many = append(many, store.LogLine{Text: strings.Repeat("x", 76)}) // 100 each, as lines are counted
		}
		for range 4 {
			must(t, s.AppendLog(t.Context(), "r", many))
		}
		lines, err := s.Log(t.Context(), "r", 0, 0)
		must(t, err)
		if len(lines) != 103 || lines[101].Text != many[0].Text || !strings.Contains(lines[102].Text, "10240 bytes") {
			t.Errorf("%d lines are kept, the last is %q", len(lines), lines[len(lines)-1].Text)
		}
		<-signal
		must(t, s.AppendLog(t.Context(), "r", many))
		select {
		case <-signal:
			t.Error("what was dropped is signalled")
		default:
		}
	})
}

// TestWhoFollowsALogMissesNothing reads while others write, each time after the last number it saw.
func TestWhoFollowsALogMissesNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, url string) {
		stores := []*store.Store{open(t, url, store.Options{}), open(t, url, store.Options{})}
		release(t, stores[0], &store.Release{ID: "r"})
		const writers, times, batch = 6, 20, 7
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for k := range times {
					var lines []store.LogLine
					for n := range batch {
						lines = append(lines, store.LogLine{Leg: fmt.Sprint(i), Text: fmt.Sprint(k*batch + n)})
					}
					if err := stores[i%2].AppendLog(t.Context(), "r", lines); err != nil {
						t.Error(err)
					}
				}
			})
		}
		written := make(chan struct{})
		go func() { all.Wait(); close(written) }()
		var seen []store.LogLine
		for last := false; ; {
			var after int64
			if len(seen) > 0 {
				after = seen[len(seen)-1].Seq
			}
			lines, err := stores[1].Log(t.Context(), "r", after, 10)
			must(t, err)
			seen = append(seen, lines...)
			if len(lines) > 0 {
				continue
			}
			if last {
				break
			}
			select {
			case <-written:
				last = true
			default:
			}
		}
		if len(seen) != writers*times*batch {
			t.Errorf("%d lines were seen, want %d", len(seen), writers*times*batch)
		}
		next := map[string]int{}
		for i, l := range seen {
			if l.Seq != int64(i+1) {
				t.Fatalf("line %d has number %d", i+1, l.Seq)
			}
			if l.Text != fmt.Sprint(next[l.Leg]) {
				t.Fatalf("line %d of writer %s is %s, want %d", l.Seq, l.Leg, l.Text, next[l.Leg])
			}
			next[l.Leg]++
		}
	})
}
