package pipeline

import "testing"

func TestThePackagesOfOneReleaseHaveOneUpstreamVersion(t *testing.T) {
	for want, all := range map[string][]string{
		"1.2.0":       {"1.2.0-1", "1:1.2.0-1", "1.2.0-r1", "1.2.0", "1.2.0-2ubuntu1", "1.2.0-1.fc40"},
		"1.2.0-rc.1":  {"1.2.0~rc.1-1", "1.2.0rc.1-1", "1.2.0_rc1-r1", "1.2.0-rc.1"},
		"2.0.0-alpha": {"2.0.0~alpha-1", "2.0.0alpha-1", "2.0.0_alpha-r1", "2.0.0-alpha"},
		"20260101":    {"20260101-1", "20260101"},
	} {
		for _, v := range all {
			if got := upstream(v); got != want {
				t.Errorf("upstream(%q) = %q, want %q", v, got, want)
			}
		}
	}
}
