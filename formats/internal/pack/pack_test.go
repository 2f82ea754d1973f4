package pack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/distropack/distropack/formats"
)

func TestCombinedCRCIsTheCRCOfTheWhole(t *testing.T) {
	b := random(3 << 20)
	for _, cut := range []int{0, 1, 7, 4096, 1 << 20, len(b)} {
		got := formats.CombineCRC32(crc32.ChecksumIEEE(b[:cut]), crc32.ChecksumIEEE(b[cut:]), int64(len(b)-cut))
		if want := crc32.ChecksumIEEE(b); got != want {
			t.Errorf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32() >> 28)
	}
	return b
}

func pack(t *testing.T, codec Codec, scratch *formats.Scratch, parts ...any) []byte {
	t.Helper()
	p, err := New(context.Background(), codec, scratch)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		switch v := part.(type) {
		case []byte:
			_, err = p.Write(v)
		case formats.Blob:
			err = p.Blob(v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var out bytes.Buffer
	if _, err := d.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	if int64(out.Len()) != d.Size {
		t.Errorf("wrote %d bytes, Size says %d", out.Len(), d.Size)
	}
	return out.Bytes()
}

func TestPiecesReadBackAsOneFile(t *testing.T) {
	small, big, run := random(100), random(Large+17), random(3<<20)
	want := bytes.Join([][]byte{small, big, run, big, small}, nil)
	tools := map[Codec][]string{Gzip: {"gzip", "-dc"}, Zstd: {"zstd", "-dc"}}
	for _, codec := range []Codec{None, Gzip, Zstd} {
		t.Run(string(codec), func(t *testing.T) {
			scratch := formats.NewScratch(t.TempDir())
			packed := pack(t, codec, scratch, small, formats.Bytes(big), run, formats.Bytes(big), formats.Bytes(small))
			var r io.Reader = bytes.NewReader(packed)
			switch codec {
			case Gzip:
				z, err := gzip.NewReader(r)
				if err != nil {
					t.Fatal(err)
				}
				z.Multistream(false) // one member: what lazy readers stop after
				r = z
			case Zstd:
				z, err := zstd.NewReader(r)
				if err != nil {
					t.Fatal(err)
				}
				defer z.Close()
				r = z
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("read back %d bytes, %v; want %d bytes", len(got), err, len(want))
			}
			if tool := tools[codec]; tool != nil {
				cmd := exec.Command(tool[0], tool[1:]...)
				cmd.Stdin = bytes.NewReader(packed)
				if out, err := cmd.Output(); err != nil || !bytes.Equal(out, want) {
					t.Errorf("%s: %v, %d bytes; want %d", tool[0], err, len(out), len(want))
				}
			}
			again := pack(t, codec, formats.NewScratch(t.TempDir()), small, formats.Bytes(big), run, formats.Bytes(big), formats.Bytes(small))
			if !bytes.Equal(packed, again) {
				t.Error("two runs gave different bytes")
			}
		})
	}
}

func TestEmptyOutputIsValid(t *testing.T) {
	scratch := formats.NewScratch(t.TempDir())
	z, err := gzip.NewReader(bytes.NewReader(pack(t, Gzip, scratch)))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || len(b) != 0 {
		t.Errorf("gzip: %d bytes, %v", len(b), err)
	}
	d, _ := zstd.NewReader(nil)
	defer d.Close()
	if b, err := d.DecodeAll(pack(t, Zstd, scratch), nil); err != nil || len(b) != 0 {
		t.Errorf("zstd: %d bytes, %v", len(b), err)
	}
}

func TestContentThatChangedIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, random(Large), 0o600); err != nil {
		t.Fatal(err)
	}
	blob, err := formats.FileBlob(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, random(Large+1), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New(context.Background(), Gzip, formats.NewScratch(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	want := name + " changed while it was used: 262145 bytes, was 262144"
	if err := p.Blob(blob); fmt.Sprint(err) != want {
		t.Errorf("a file that grew: %v, want %s", err, want)
	}
}

func TestContentThatIsNotAsLongAsItSaysIsRefused(t *testing.T) {
	for _, size := range []int64{100, Large} {
		for _, n := range []int{int(size) - 1, int(size) + 1} {
			p, err := New(context.Background(), Zstd, formats.NewScratch(t.TempDir()))
			if err != nil {
				t.Fatal(err)
			}
			lying := formats.Parts(formats.Ref{Size: size}, [][]byte{random(n)})
			want := fmt.Sprintf("usr/x: content is %d bytes, was to be %d", n, size)
			if err := p.Tar(&tar.Header{Name: "usr/x"}, lying); fmt.Sprint(err) != want {
				t.Errorf("Tar: %v, want %s", err, want)
			}
			p.Abort()
		}
	}
}

func TestFinishedPackerTakesNoMore(t *testing.T) {
	scratch := formats.NewScratch(t.TempDir())
	refuses := func(p *Packer, want string) {
		t.Helper()
		_, err := p.Write([]byte("x"))
		_, again := p.Finish()
		for _, err := range []error{err, p.Blob(formats.Bytes(nil)), p.EndTar(), again} {
			if fmt.Sprint(err) != want {
				t.Errorf("got %v, want %s", err, want)
			}
		}
	}
	p, err := New(context.Background(), Gzip, scratch)
	if err != nil {
		t.Fatal(err)
	}
	d, err := p.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	refuses(p, "packer is finished")
	if p, err = New(context.Background(), Gzip, scratch); err != nil {
		t.Fatal(err)
	}
	p.Abort()
	refuses(p, "packer was given up")
	if _, err := New(context.Background(), "lzma", scratch); fmt.Sprint(err) != `unknown compression "lzma"; there are none, gzip and zstd` {
		t.Errorf("New: %v", err)
	}
}

func TestCancelEndsPacking(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p, err := New(ctx, Zstd, formats.NewScratch(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Abort()
	if err := p.Blob(formats.Bytes(random(Large))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
