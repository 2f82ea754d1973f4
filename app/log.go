package app

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/distropack/distropack/app/check"
)

// NewLogger writes lines of text or JSON, without what looks like a secret, whoever
// logs it.
func NewLogger(w io.Writer, json bool, level slog.Level) *slog.Logger {
	// It is asked about the message too.
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		a.Value = redacted(a.Value)
		return a
	}}
	var h slog.Handler = slog.NewTextHandler(w, o)
	if json {
		h = slog.NewJSONHandler(w, o)
	}
	return slog.New(h)
}

// redacted is a value as it may be shown; groups were taken apart before.
func redacted(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(check.Redact(v.String()))
	case slog.KindAny:
		switch x := v.Any().(type) {
		case *slog.Source, slog.Level:
			return v
		case error:
			return slog.StringValue(check.Redact(x.Error()))
		default:
			return slog.StringValue(check.Redact(fmt.Sprint(x)))
		}
	}
	return v
}
