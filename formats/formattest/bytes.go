package formattest

import (
	"bytes"
	"context"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/formats/internal/pack"
)

// large is the content that goes through a Scratch.
func large() []formats.File {
	big := formats.Bytes(random(pack.Large+777, 1))
	return append(Files(),
		formats.File{Path: "/usr/lib/hello/big", Type: formats.Regular, Mode: 0o644, Content: big},
		formats.File{Path: "/usr/lib/hello/big-again", Type: formats.Regular, Mode: 0o755, Content: big},
		formats.File{Path: "/usr/lib/hello/soft", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes(bytes.Repeat([]byte("soft "), 300_000))},
	)
}

func sameBytes(t *testing.T, s *suite) {
	files := large()
	first := write(t, s.format(t, nil), Spec(), linux, files)

	// Another folder, another place for temporary files, another umask, time zone
	// and number of CPUs; the same moment and the same files told otherwise.
	t.Chdir(t.TempDir())
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	t.Setenv("HOSTNAME", "elsewhere")
	defer setUmask(setUmask(0o077))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	local := time.Local
	defer func() { time.Local = local }()
	time.Local = time.FixedZone("elsewhere", 5*3600+1800)
	spec := Spec()
	spec.Time = spec.Time.In(time.Local)
	slices.Reverse(files)
	if second := write(t, s.format(t, nil), spec, linux, files); !bytes.Equal(first, second) {
		t.Errorf("elsewhere it is %d other bytes, here %d; they part at %d", len(second), len(first), firstDifference(first, second))
	}

	scratch := formats.NewScratch(t.TempDir())
	f := s.format(t, scratch)
	for i := range 2 {
		if third := write(t, f, Spec(), linux, large()); !bytes.Equal(first, third) {
			t.Errorf("run %d with a shared scratch gives other bytes; they part at %d", i, firstDifference(first, third))
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func sameSigned(t *testing.T, s *suite) {
	if s.keys == nil {
		t.Skip("there are no keys to sign with")
	}
	var runs [2][]byte
	for i := range runs {
		f, err := s.kind.New(formats.NoSection, formats.Env{Keys: s.keys, Key: "main"})
		if err != nil {
			t.Fatal(err)
		}
		runs[i] = write(t, f, Spec(), linux, Files())
		m := describe(t, f, runs[i])
		if id, err := f.Identify(Spec(), linux); err != nil || m.Name != id.Name || m.Version != id.Version {
			t.Errorf("signed it is %s %s, identify says %s %s, %v", m.Name, m.Version, id.Name, id.Version, err)
		}
	}
	if !bytes.Equal(runs[0], runs[1]) {
		t.Errorf("two signed runs part at %d", firstDifference(runs[0], runs[1]))
	}
}

func argumentsStay(t *testing.T, s *suite) {
	f := s.format(t, nil)
	spec, files := Spec(), Files()
	slices.Reverse(files) // a sort in place would show
	spec.Services = []formats.Service{{Unit: "hello.service", Enable: true, Start: true}}
	unit := formats.File{Path: "/usr/lib/systemd/system/hello.service", Type: formats.Regular, Mode: 0o644, Content: formats.Bytes([]byte("[Service]\nExecStart=/usr/bin/hello\n"))}
	files = append(make([]formats.File, 0, 64), append(files, unit)...) // an append in place would show too
	want := slices.Clone(files)
	wantSpec := *spec
	wantSpec.Depends = slices.Clone(spec.Depends)
	wantSpec.Provides = slices.Clone(spec.Provides)
	wantSpec.Changelog = slices.Clone(spec.Changelog)
	if _, err := f.Identify(spec, linux); err != nil {
		t.Fatal(err)
	}
	write(t, f, spec, linux, files)
	if !reflect.DeepEqual(*spec, wantSpec) {
		t.Errorf("the spec became %+v", *spec)
	}
	if !reflect.DeepEqual(files, want) {
		t.Error("the list of files was changed")
	}
	if behind := files[:len(files)+1][len(files)]; behind.Path != "" {
		t.Errorf("%q was written behind the list of files", behind.Path)
	}
}

func concurrent(t *testing.T, s *suite) {
	f := s.format(t, formats.NewScratch(t.TempDir()))
	spec, files := Spec(), large()
	want := write(t, s.format(t, nil), spec, linux, files)
	var wg sync.WaitGroup
	for range 4 { // more than there are CPUs
		wg.Go(func() {
			var b bytes.Buffer
			if err := f.Write(context.Background(), &b, spec, linux, files); err != nil || !bytes.Equal(b.Bytes(), want) {
				t.Errorf("one of four gave %d bytes, %v; want %d", b.Len(), err, len(want))
				return
			}
			if _, err := f.Describe(context.Background(), bytes.NewReader(want), int64(len(want))); err != nil {
				t.Error(err)
			}
			if _, err := f.Identify(spec, linux); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
