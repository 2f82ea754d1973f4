package debian

import (
	"bufio"
	"bytes"
	"context"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/distropack/distropack/formats"
)

func TestVersionsAreOrderedAsDebianSays(t *testing.T) {
	ordered := []string{
		"~~", "~~a", "~", "", "0", "1.0~alpha", "1.0~rc.1-1", "1.0~rc.2-1", "1.0~rc.10-1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0+build.5-1", "1.0.1-1", "1.2", "1.10", "1.10a", "1.10+", "1:0.1", "2:0",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			want := sign(i - j)
			if a == "" && b == "0" || a == "0" && b == "" {
				want = 0
			}
			if got := Compare(a, b); got != want {
				t.Errorf("Compare(%q, %q) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestCompareAgreesWithDpkg(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("dpkg is not installed")
	}
	r := rand.New(rand.NewPCG(3, 4))
	version := func() string {
		const chars = "0011290.+-~abzAZ"
		v := string("0123456789"[r.IntN(10)])
		if r.IntN(4) == 0 {
			v = string("0123"[r.IntN(4)]) + ":" + v
		}
		for range r.IntN(7) {
			v += string(chars[r.IntN(len(chars))])
		}
		return strings.TrimRight(v, "-")
	}
	// dpkg is asked about many pairs by one shell: a process each is slow enough.
	var script strings.Builder
	type pair struct{ a, b string }
	var pairs []pair
	for range 500 {
		a := version()
		b := version()
		if r.IntN(3) == 0 { // differences deep inside
			b = a + string("~+.0a"[r.IntN(5)])
		}
		pairs = append(pairs, pair{a, b})
		script.WriteString("if dpkg --compare-versions '" + a + "' lt '" + b + "'; then echo -1; elif dpkg --compare-versions '" + a + "' eq '" + b + "'; then echo 0; else echo 1; fi\n")
	}
	out, err := exec.Command("sh", "-c", script.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Fields(string(out))
	for i, p := range pairs {
		if got := Compare(p.a, p.b); []string{"-1", "0", "1"}[got+1] != answers[i] {
			t.Errorf("Compare(%q, %q) = %d, dpkg says %s", p.a, p.b, got, answers[i])
		}
	}
}

func FuzzCompareIsAnOrder(f *testing.F) {
	f.Add("1.0~rc1-1", "1:1.0", "a:b-")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if Compare(a, a) != 0 {
			t.Errorf("%q differs from itself", a)
		}
		if Compare(a, b) != -Compare(b, a) {
			t.Errorf("Compare(%q, %q) is not the opposite of its reverse", a, b)
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Errorf("%q <= %q <= %q, but not the first and the last", a, b, c)
		}
	})
}

func TestSemVerOrderSurvives(t *testing.T) {
	ordered := []string{"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-0", "1.0.1"}
	for i := 1; i < len(ordered); i++ {
		a, errA := Version(&formats.Spec{Version: ordered[i-1]})
		b, errB := Version(&formats.Spec{Version: ordered[i]})
		if errA != nil || errB != nil || Compare(a, b) != -1 || CheckVersion(a) != nil {
			t.Errorf("%s (%s) is not before %s (%s): %v %v", ordered[i-1], a, ordered[i], b, errA, errB)
		}
	}
}

func TestParagraphIsReadInOrder(t *testing.T) {
	got, err := ParseParagraph([]byte("\n\nPackage:  a \r\nDescription: one\n two\n .\n  three \n\tfour\nConffiles:\n /etc/a 00\n\n \n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []formats.Field{{Key: "Package", Value: "a"}, {Key: "Description", Value: "one\ntwo\n.\n three\nfour"}, {Key: "Conffiles", Value: "\n/etc/a 00"}}
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("field %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestBrokenParagraphsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"": "the control paragraph is empty", "\n": "the control paragraph is empty",
		" a": "line 1 continues a field, but there is none yet",
		"a":  `line 1 is no field: "a"`, ":": `line 1 is no field: ":"`, "#a: b": `no field: "#a: b"`, "-a: b": `no field: "-a: b"`,
		"x: y\na b: c": `line 2 is no field: "a b: c"`, "ä: b": `line 1 is no field: "ä: b"`,
		"a: b\na: c": "field a is there twice", "a: b\nA: c": "field A is there twice",
		"a: b\n\nc: d": "line 3 begins a second paragraph",
		"a: \x00":      `line 1 has the control character '\x00'`, "a: b\rc": `line 1 has the control character '\r'`,
	} {
		if f, err := ParseParagraph([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseParagraph(%q) = %q, %v; want %s", text, f, err, want)
		}
	}
}

func FuzzParagraphRendersWhatItParsed(f *testing.F) {
	f.Add([]byte("Package: a\nDescription: one\n two\n .\n  three\n"))
	f.Add([]byte("A:\n b\nC: \xff\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := ParseParagraph(b)
		if err != nil {
			return
		}
		text, err := RenderParagraph(fields)
		if err != nil {
			t.Fatalf("%q was parsed from %q, but: %v", fields, b, err)
		}
		again, err := ParseParagraph(text)
		if err != nil || len(again) != len(fields) {
			t.Fatalf("%q was rendered as %q and read as %q, %v", fields, text, again, err)
		}
		for i := range fields {
			if fields[i] != again[i] {
				t.Fatalf("%q was rendered as %q and read as %q", fields[i], text, again[i])
			}
		}
	})
}

func FuzzRelationsAreStable(f *testing.F) {
	f.Add("a | b (>= 1)")
	f.Fuzz(func(t *testing.T, entry string) {
		r := Relation{Field: "Depends", Alternatives: true, Versions: AllVersions, Name: func(string) error { return nil }}
		text, err := r.Render([]string{entry})
		if err != nil {
			return
		}
		if again, err := r.Render([]string{text}); err != nil || again != text {
			t.Errorf("%q became %q, then %q, %v", entry, text, again, err)
		}
	})
}

func FuzzArIsBounded(f *testing.F) {
	var b bytes.Buffer
	a, err := NewArWriter(&b, Stamp(formats.Spec{}.Time))
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{"2.0\n", "odd"} {
		if err := a.Add("x", int64(len(body)), strings.NewReader(body)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := ReadAr(bytes.NewReader(b), int64(len(b)))
		for _, m := range members {
			if m.Size() > int64(len(b)) {
				t.Errorf("member %q is %d of %d bytes, %v", m.Name, m.Size(), len(b), err)
			}
		}
	})
}

func TestArWriterRefusesWrongSizes(t *testing.T) {
	for size, want := range map[int64]string{
		1e10: "data.tar is 10000000000 bytes; an ar archive takes at most 9,999,999,999: leave out files",
		5:    "data.tar is 4 bytes, was to be 5",
	} {
		a, err := NewArWriter(&bytes.Buffer{}, Stamp(formats.Spec{}.Time))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Add("data.tar", size, strings.NewReader("four")); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func compressXz(t testing.TB, b []byte, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip("xz is not installed")
	}
	cmd := exec.Command("xz", append([]string{"-c"}, args...)...)
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestXzGuardPassesStreamsAndStopsGreedyOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	plain := make([]byte, 600<<10) // random bytes make chunks that are not compressed
	for i := range plain {
		if i > 300<<10 {
			plain[i] = byte(r.IntN(3))
			continue
		}
		plain[i] = byte(r.Uint32())
	}
	for _, args := range [][]string{{"-0"}, {"-9"}, {"-6", "--block-size=100KiB", "-T2"}, {"--check=crc32"}, {"--check=none"}, {"--check=sha256"}} {
		packed := compressXz(t, plain, args...)
		got, done, err := Decompress(context.Background(), bytes.NewReader(packed), 1<<30)
		if err != nil {
			t.Errorf("%v: %v", args, err)
			continue
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(got); err != nil || !bytes.Equal(b.Bytes(), plain) {
			t.Errorf("%v: %d bytes, %v; want %d", args, b.Len(), err, len(plain))
		}
		done()
		guard := &xzGuard{r: bufio.NewReader(bytes.NewReader(packed))}
		if n, err := (&bytes.Buffer{}).ReadFrom(guard); err != nil || n != int64(len(packed)) || !guard.ended {
			t.Errorf("%v: the guard passed %d of %d bytes and lost its way: %v", args, n, len(packed), err)
		}
	}
	broken := compressXz(t, plain[:1000])
	broken[12+4*(int(broken[12])+1)] = 3 // the first chunk's control byte, behind the block's header
	for want, packed := range map[string][]byte{
		"an xz block asks for a dictionary of more than 64 MiB": compressXz(t, plain[:1000], "--lzma2=dict=128MiB"),
		"an xz block uses another filter than LZMA2":            compressXz(t, plain[:1000], "--x86", "--lzma2=dict=1MiB"),
		"an xz block is broken":                                 broken,
	} {
		got, done, err := Decompress(context.Background(), bytes.NewReader(packed), 1<<30)
		if err == nil {
			_, err = (&bytes.Buffer{}).ReadFrom(got)
			done()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := xz.NewReader(bytes.NewReader(compressXz(t, nil))); err != nil {
		t.Errorf("empty: %v", err)
	}
}

func FuzzXzGuardChangesNothing(f *testing.F) {
	f.Add(compressXz(f, []byte("hello")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, done, err := Decompress(context.Background(), bytes.NewReader(b), 1<<16)
		if err != nil {
			return
		}
		defer done()
		(&bytes.Buffer{}).ReadFrom(r) // must end and not panic
	})
}

func TestDecompressionIsBounded(t *testing.T) {
	r, done, err := Decompress(context.Background(), bytes.NewReader(make([]byte, 1000)), 999)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	const want = "the archive unpacks to more than 999 bytes, which is all that is read of one"
	if n, err := (&bytes.Buffer{}).ReadFrom(r); err == nil || err.Error() != want || n != 999 {
		t.Errorf("read %d bytes of at most 999, %v; want %s", n, err, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := ReadFiles(ctx, bytes.NewReader(make([]byte, 1<<20))); err == nil {
		t.Error("reading went on after the context ended")
	}
}

func TestDescriptionLinesFollowPolicy(t *testing.T) {
	got, err := Description(" short ", "\n\nfirst\tx\r\n\n   \n  code  \n.dot\n\n")
	if want := "short\nfirst        x\n.\n.\n  code\n .dot"; err != nil || got != want {
		t.Errorf("Description = %q, %v; want %q", got, err, want)
	}
}
