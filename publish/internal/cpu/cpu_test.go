package cpu

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/distropack/distropack/formats"
)

var word = regexp.MustCompile(`^[a-z0-9_]+$`)

func words(t *testing.T, own map[string][]string, platforms ...string) (string, error) {
	t.Helper()
	var list []formats.Platform
	for _, text := range platforms {
		p, err := formats.ParsePlatform(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	all, err := Words(map[string]string{"amd64": "x86_64", "arm64": "aarch64"}, own, list, word)
	return fmt.Sprint(all), err
}

func TestOwnWordsStandForUsualOnes(t *testing.T) {
	got, err := words(t, map[string][]string{"linux/arm64": {"aarch64_generic", "aarch64_cortex"}}, "linux/amd64", "linux/arm64", "darwin/arm64")
	if want := "[{linux/amd64 [x86_64]} {linux/arm64 [aarch64_generic aarch64_cortex]}]"; err != nil || got != want {
		t.Errorf("words are %s, %v; want %s", got, err, want)
	}
}

func TestWrongWordsAreRefused(t *testing.T) {
	for want, own := range map[string]map[string][]string{
		`platform "linux/amd64" has no word: list at least one`: {"linux/amd64": {}},
		`platform "linux/amd64" is there twice`:                 {"linux/amd64": {"a"}, "amd64": {"b"}},
		`platform "linux/amd64": "x86 64" is no name of a CPU`:  {"linux/amd64": {"x86 64"}},
		`platform "linux/arm64": "all" is no name of a CPU`:     {"linux/arm64": {"all"}},
		`"x86_64" stands for linux/amd64 and for linux/arm64`:   {"linux/arm64": {"x86_64"}},
		`platform "linux/potato"`:                               {"linux/potato": {"p"}},
	} {
		if got, err := words(t, own, "linux/amd64", "linux/arm64"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v gave %s, %v; want %q", own, got, err, want)
		}
	}
}
