package app

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

type quiet struct{ text string }

func (q quiet) LogValue() slog.Value { return slog.StringValue(q.text) }

// Whatever somebody logs, in whichever place, a secret does not get there.
func TestSecretsAreNotLogged(t *testing.T) {
	const token = "ghs_1234_eyJhbGciOiJub25lIn0.secret-part.of_the-token"
	for _, json := range []bool{false, true} {
		var b bytes.Buffer
		log := NewLogger(&b, json, slog.LevelDebug)
		log.Info("in the message " + token)
		log.Warn("in values", "text", token, "err", fmt.Errorf("x: %w", errors.New("https://u:"+token+"@h/?code=abcdef")), "list", []string{"a", token}, "own", quiet{token}, "dur", 3)
		log.With("with", token).WithGroup("group").Error("in groups", slog.Group("inner", "deep", token), "key", "-----BEGIN RSA PRIVATE KEY-----\nMIIsecret-part\n-----END RSA PRIVATE KEY-----")
		out := b.String()
		for _, bad := range []string{"secret-part", "abcdef", "u:"} {
			if strings.Contains(out, bad) {
				t.Errorf("json %v: %q is in\n%s", json, bad, out)
			}
		}
		for _, good := range []string{"in the message", "in values", "in groups", "dur", "deep", "with"} {
			if !strings.Contains(out, good) {
				t.Errorf("json %v: %q is not in\n%s", json, good, out)
			}
		}
		if n := strings.Count(out, "[secret]"); n < 8 {
			t.Errorf("json %v: %d are hidden in\n%s", json, n, out)
		}
	}
}
