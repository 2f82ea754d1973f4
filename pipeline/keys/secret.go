package keys

import (
	"fmt"
	"log/slog"
)

const hidden = "[secret]"

// Secret is text that must not be seen. Under every verb of fmt, in JSON and in
// logs it is "[secret]". The zero Secret is empty.
type Secret struct {
	// A pointer, since fmt looks into the unexported fields of a struct around
	// this one without asking for methods; of a pointer it prints an address.
	text *string
}

// NewSecret hides text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the text. It is the only way to it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsEmpty reports whether there is no text.
func (s Secret) IsEmpty() bool { return s.text == nil || *s.text == "" }

// Format prints "[secret]" for every verb.
func (s Secret) Format(f fmt.State, _ rune) { f.Write([]byte(hidden)) }

// String is "[secret]".
func (s Secret) String() string { return hidden }

// MarshalText is "[secret]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue is "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
