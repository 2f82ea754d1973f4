package app

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// metrics is what this process counts itself.
type metrics struct {
	began time.Time

	mu       sync.Mutex
	webhooks map[string]int64 // by outcome
	answered histogram        // webhooks
	pages    map[string]int64 // by class of status, "2xx"

	// What is asked of the database is kept for a moment: whoever scrapes often, or isn't
	// Prometheus at all, costs nothing.
	measured time.Time
	gauges   []family
}

func newMetrics() *metrics {
	return &metrics{
		began: time.Now(), webhooks: map[string]int64{"filed": 0, "known": 0, "refused": 0, "failed": 0}, pages: map[string]int64{},
		answered: newHistogram(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
	}
}

func (m *metrics) webhook(outcome string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.webhooks[outcome]++
	m.answered.observe(took.Seconds())
}

func (m *metrics) page(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages[strconv.Itoa(status/100)+"xx"]++
}

// histogram counts values by upper bounds; the last count is of all above.
type histogram struct {
	bounds []float64
	counts []int64
	sum    float64
}

func newHistogram(bounds ...float64) histogram {
	return histogram{bounds: bounds, counts: make([]int64, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

// family is a metric in Prometheus' text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
type family struct {
	name, kind, help string
	samples          []sample
}

// sample is one value; labels are pairs of name and value.
type sample struct {
	suffix string
	labels []string
	value  float64
}

var escapeLabel = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

func (f *family) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "# HELP distropack_%s %s\n# TYPE distropack_%s %s\n", f.name, f.help, f.name, f.kind)
	for _, s := range f.samples {
		b.WriteString("distropack_" + f.name + s.suffix)
		for i := 0; i+1 < len(s.labels); i += 2 {
			b.WriteString([]string{"{", ","}[min(i, 1)] + s.labels[i] + `="` + escapeLabel.Replace(s.labels[i+1]) + `"`)
		}
		if len(s.labels) > 0 {
			b.WriteByte('}')
		}
		b.WriteString(" " + strconv.FormatFloat(s.value, 'g', -1, 64) + "\n")
	}
}

func (f *family) add(value float64, labels ...string) {
	f.samples = append(f.samples, sample{labels: labels, value: value})
}

func (f *family) addAll(counts map[string]int64, label string) {
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		f.add(float64(counts[k]), label, k)
	}
}

func (f *family) addHistogram(h *histogram) {
	var n int64
	for i, c := range h.counts {
		n += c
		le := "+Inf"
		if i < len(h.bounds) {
			le = strconv.FormatFloat(h.bounds[i], 'g', -1, 64)
		}
		f.samples = append(f.samples, sample{"_bucket", []string{"le", le}, float64(n)})
	}
	f.samples = append(f.samples, sample{"_sum", nil, h.sum}, sample{"_count", nil, float64(n)})
}

// counted is what the process counted.
func (m *metrics) counted() []family {
	m.mu.Lock()
	defer m.mu.Unlock()
	hooks := family{name: "webhooks_total", kind: "counter", help: "Webhooks answered by this process."}
	hooks.addAll(m.webhooks, "outcome")
	took := family{name: "webhook_seconds", kind: "histogram", help: "Time to answer a webhook."}
	took.addHistogram(&m.answered)
	pages := family{name: "requests_total", kind: "counter", help: "Requests for pages and by programs."}
	pages.addAll(m.pages, "status")
	return []family{hooks, took, pages}
}

// quantile of sorted values: the least that so great a part is not above; 0 of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
