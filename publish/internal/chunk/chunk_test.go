package chunk

import (
	"bytes"
	"hash/crc32"
	"os/exec"
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
				back, err := Unpack(nil, c, packed, int64(len(s)))
				if err != nil || string(back) != s {
					t.Errorf("%s: piece of %d bytes came back as %d, %v", c, len(s), len(back), err)
				}
			}
			tool := map[Codec]string{Gzip: "gzip", Zstd: "zstd"}[c]
			cmd := exec.Command(tool, "-dc")
			cmd.Stdin = bytes.NewReader(Join(c, pieces))
			if out, err := cmd.Output(); err != nil || string(out) != want {
				t.Errorf("%s of %d pieces: %d bytes, %v; want %d", tool, n, len(out), err, len(want))
			}
		}
	}
}
