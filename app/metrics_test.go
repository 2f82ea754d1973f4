package app

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"
)

var metricLine = regexp.MustCompile(`^(# (HELP|TYPE) distropack_[a-z_]+ \S.*|distropack_[a-z_]+(\{[a-z]+="([^"\\\n]|\\.)*"(,[a-z]+="([^"\\\n]|\\.)*")*\})? -?[0-9.e+-]+)$`)

func checkMetrics(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !metricLine.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("no line of Prometheus' format: %q", line)
		}
	}
}

func TestMetricsHaveTheFormat(t *testing.T) {
	m := newMetrics()
	for _, d := range []time.Duration{time.Millisecond, 30 * time.Millisecond, 50 * time.Millisecond, time.Minute} {
		m.webhook("filed", d)
	}
	m.page(200)
	m.page(204)
	m.page(404)
	var b bytes.Buffer
	odd := family{name: "odd", kind: "gauge", help: "x"}
	odd.add(-1.5, "name", "a\"b\\c\nd", "more", "é")
	for _, f := range append(m.counted(), odd) {
		f.write(&b)
	}
	checkMetrics(t, b.String())
	for _, want := range []string{
		`distropack_webhooks_total{outcome="filed"} 4`, `distropack_webhooks_total{outcome="refused"} 0`,
		`distropack_webhook_seconds_bucket{le="0.005"} 1`, `distropack_webhook_seconds_bucket{le="0.05"} 3`, `distropack_webhook_seconds_bucket{le="10"} 3`,
		`distropack_webhook_seconds_bucket{le="+Inf"} 4`, `distropack_webhook_seconds_sum 60.081`, `distropack_webhook_seconds_count 4`,
		`distropack_requests_total{status="2xx"} 2`, `distropack_requests_total{status="4xx"} 1`, `distropack_odd{name="a\"b\\c\nd",more="é"} -1.5`,
		"# TYPE distropack_webhook_seconds histogram",
	} {
		if !strings.Contains(b.String(), want+"\n") {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	var fresh bytes.Buffer
	for _, f := range newMetrics().counted() {
		f.write(&fresh)
	}
	if !strings.Contains(fresh.String(), `distropack_webhook_seconds_bucket{le="+Inf"} 0`) {
		t.Errorf("a histogram of nothing has no buckets:\n%s", &fresh)
	}
}

func TestQuantile(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		q    float64
		want float64
	}{{nil, 1, 0}, {[]float64{3}, 0.5, 3}, {[]float64{1, 2, 3, 4}, 0.5, 3}, {[]float64{1, 2, 3, 4}, 1, 4}, {[]float64{1, 2, 3, 4}, 0, 1}} {
		if got := quantile(c.of, c.q); got != c.want {
			t.Errorf("quantile(%v, %v) = %v, want %v", c.of, c.q, got, c.want)
		}
	}
}
