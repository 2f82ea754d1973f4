package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distropack/distropack/app/store/storetest"
)

func BenchmarkJobs(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := node(b, url(b), "a", func(o *Options) { o.Poll = 0 })
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				_, err := Step(r, "one", func(context.Context) (int, error) { return 1, nil })
				return err
			})
			start(b, e)
			b.ResetTimer()
			for i := range b.N {
				if err := e.Enqueue(b.Context(), "k", fmt.Sprint(i), "", nil); err != nil {
					b.Fatal(err)
				}
			}
			for i := range b.N {
				ends(b, e, fmt.Sprint(i), Done)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
		})
	}
}

// BenchmarkOneJob is how long one takes from Enqueue to its end.
func BenchmarkOneJob(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			e := node(b, url(b), "a", func(o *Options) { o.Poll = 0 })
			e.Handle("k", "q", func(ctx context.Context, r *Run) error {
				_, err := Step(r, "one", func(context.Context) (int, error) { return 1, nil })
				return err
			})
			start(b, e)
			b.ResetTimer()
			for i := range b.N {
				if err := e.Enqueue(b.Context(), "k", fmt.Sprint(i), "", nil); err != nil {
					b.Fatal(err)
				}
				ends(b, e, fmt.Sprint(i), Done)
			}
		})
	}
}

// BenchmarkIdle is what an engine costs that has nothing to do: its CPU time in
// thousandths of a second per second, and memory beyond that of the process.
func BenchmarkIdle(b *testing.B) {
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.SQLite, "postgres": storetest.Postgres} {
		b.Run(name, func(b *testing.B) {
			u := url(b)
			before := resident(b)
			e := node(b, u, "a", func(o *Options) { o.Poll = 0 })
			e.Handle("k", "q", func(ctx context.Context, r *Run) error { return nil })
			start(b, e)
			const rest = 5 * time.Second
			begin := cpu(b)
			for range b.N {
				time.Sleep(rest) // it is the rest that is measured
			}
			b.ReportMetric(float64((cpu(b)-begin).Milliseconds())/(float64(b.N)*rest.Seconds()), "cpu-ms/s")
			b.ReportMetric(float64(resident(b)-before)/1024, "MiB")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is in KiB.
func resident(b *testing.B) int {
	s, err := os.ReadFile(filepath.Join("/proc", "self", "status"))
	if err != nil {
		b.Skip(err)
	}
	var n int
	_, after, _ := strings.Cut(string(s), "VmRSS:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		b.Fatal(err)
	}
	return n
}
