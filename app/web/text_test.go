package web

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCleanTakesWhatTerminalsObey(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext": "plain\ttext", "ä€ 😀 👩‍🔧": "ä€ 😀 👩‍🔧", "\x1b[1;31mred\x1b[0m": "red", "\x1b]0;title\x07x": "x", "\x1b]8;;http://e\x1b\\link\x1b]8;;\x1b\\": "link",
		"a\rb": "a�b", "a\x00b": "a�b", "a\x7fb": "a�b", "a\u009bb": "a�b", "a\u202eb": "a�b", "a\u2066b": "a�b", "a\xffb": "a�b", "\x1b": "", "\x1b[": "", "\x1b[31": "", "\x1b]0;x": "",
		"\x1b(Bx": "Bx", "\x1b\x1b[31mx": "x", "\ufeffx": "�x",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := cleanLines("a\r\nb\x1b[0m\n\n"); got != "a\nb" {
		t.Errorf("cleanLines = %q", got)
	}
	if got := short("äöü", 2); got != "äö…" || short("äö", 2) != "äö" {
		t.Errorf("short = %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("\x1b[31mred\x1b[0m\x1b]0;t\x07\u202e\xff")
	f.Fuzz(func(t *testing.T, in string) {
		got := clean(in)
		if !utf8.ValidString(got) || len(got) > 3*len(in) || clean(got) != got {
			t.Errorf("clean(%q) = %q", in, got)
		}
		for _, c := range got {
			if c != '\t' && hidden(c) {
				t.Errorf("clean(%q) has %U", in, c)
			}
		}
	})
}

func TestTimesAndSizesAsPeopleReadThem(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0.0 s", 1540 * time.Millisecond: "1.5 s", 59_999 * time.Millisecond: "59 s", time.Minute: "1 min 0 s", 3599 * time.Second: "59 min 59 s", 90 * time.Minute: "1 h 30 min", 100 * time.Hour: "100 h 0 min",
	} {
		if got := lasted(d); got != want {
			t.Errorf("lasted(%s) = %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 12_345_678: "12 MB", 5e9: "5.0 GB", 7e15: "7000 TB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	if got := strings.Join(groups("ABCD EF01 23"), "|"); got != "ABCD|EF01|23" {
		t.Errorf("groups = %q", got)
	}
}
