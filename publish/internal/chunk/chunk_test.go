package chunk

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestJoinedPiecesAreOneFileForTheTools(t *testing.T) {
	texts := []string{"head\n", strings.Repeat("Package: a\nVersion: 1\n\n", 5000), "", "x", strings.Repeat("z", 100000), "tail\n"}
	for _, c := range []Codec{Gzip, Zstd} {
		for n := 0; n <= len(texts); n++ {
			var pieces []Piece
			want := strings.Join(texts[:n], "")
			for _, s := range texts[:n] {
				packed, err := Pack(c, []byte(s))
				if err != nil {
					t.Fatal(err)
				}
				pieces = append(pieces, Piece{int64(len(s)), crc32.ChecksumIEEE([]byte(s)), packed})
				back := make([]byte, len(s))
				if err := Unpack(back, c, packed); err != nil || string(back) != s {
					t.Errorf("%s: a piece of %d bytes came back as something else, %v", c, len(s), err)
				}
				if len(s) > 0 {
					for _, wrong := range []int{len(s) - 1, len(s) + 1} {
						want := fmt.Sprintf("a piece of an index holds %d bytes, want %d", len(s), wrong)
						if err := Unpack(make([]byte, wrong), c, packed); err == nil || err.Error() != want {
							t.Errorf("%s: a piece of %d bytes taken for one of %d: %v", c, len(s), wrong, err)
						}
					}
				}
			}
			tool := map[Codec]string{Gzip: "gzip", Zstd: "zstd"}[c]
			cmd := exec.Command(tool, "-dc")
			cmd.Stdin = bytes.NewReader(slices.Concat(Join(c, pieces)...))
			if out, err := cmd.Output(); err != nil || string(out) != want {
				t.Errorf("%s of %d pieces: %d bytes, %v; want %d", tool, n, len(out), err, len(want))
			}
		}
	}
}

func TestNeighboursInMemoryAreOnePart(t *testing.T) {
	file := []byte("abcdefgh")
	limited := file[4:6:6] // what lies behind it is not its own
	for _, c := range []struct {
		parts [][]byte
		want  int
	}{
		{[][]byte{file[:2], file[2:5], file[5:]}, 1},
		{[][]byte{file[:2], nil, file[2:5]}, 1},
		{[][]byte{file[:2], file[3:5]}, 2},
		{[][]byte{file[:2], []byte("XY"), file[4:6]}, 3},
		{[][]byte{limited, file[6:]}, 2},
	} {
		var got [][]byte
		for _, p := range c.parts {
			got = Append(got, p)
		}
		if len(got) != c.want || string(slices.Concat(got...)) != string(slices.Concat(c.parts...)) {
			t.Errorf("%q became %q, want %d parts", c.parts, got, c.want)
		}
	}
	if string(file) != "abcdefgh" {
		t.Errorf("the file is now %q", file)
	}
}
