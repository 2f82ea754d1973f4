package site

import (
	"fmt"
	"testing"
	"time"

	"github.com/distropack/distropack/publish"
)

// BenchmarkRender renders the site of many packages: the time per package must
// not grow with their number.
func BenchmarkRender(b *testing.B) {
	for _, n := range []int{300, 3000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			in := &Input{Name: "many", URL: "https://example.org", At: time.Unix(1, 0), Channels: []string{"stable"}}
			g := &publish.Guide{Client: "apt", Title: "Debian", Install: []publish.Step{{Command: `sudo apt install "$PACKAGE"`}}, Setup: "true", InstallSh: "true"}
			in.Guides = map[string][]*publish.Guide{"stable": {g}}
			for i := range n {
				name := fmt.Sprintf("package-%04d", i)
				d := Download{Client: "apt", Format: "deb", Arch: "amd64", Path: "pool/" + name + ".deb", Size: 1}
				in.Packages = append(in.Packages, Package{Name: name, Description: "One of many", Channel: "stable", Versions: []Version{{Version: "1.0", Time: time.Unix(1, 0), Downloads: []Download{d}}}})
			}
			for b.Loop() {
				if _, err := Render(in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*n), "µs/package")
		})
	}
}
