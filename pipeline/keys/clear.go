package keys

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/distropack/distropack/formats"
)

// clearSigner writes the cleartext signature framework, RFC 9580 7: lines that
// start with "-" get "- " before them; what is signed are the lines without
// white space at their ends, with CR LF between them and none after the last.
// It is done here since go-crypto's writer puts the end of the armor onto the
// last line of base64, which gpgv 2.2 refuses.
func (r *Keyring) clearSigner(found []*Key) formats.Signer {
	return func(ctx context.Context, message io.Reader) ([]byte, error) {
		var out bytes.Buffer
		out.WriteString("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n")
		h := sha512.New()
		in := bufio.NewReader(reader{ctx, message})
		for first := true; ; first = false {
			line, err := in.ReadBytes('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, err
			}
			if len(line) == 0 && !first {
				break
			}
			line = bytes.TrimRight(line, " \t\r\n")
			if !first {
				h.Write([]byte("\r\n"))
			}
			h.Write(line)
			if bytes.HasPrefix(line, []byte("-")) {
				out.WriteString("- ")
			}
			out.Write(line)
			out.WriteByte('\n')
			if err != nil {
				break
			}
		}
		sigs, err := r.packets(found, packet.SigTypeText, h)
		if err != nil {
			return nil, err
		}
		out.Write(armored("PGP SIGNATURE", sigs))
		return out.Bytes(), nil
	}
}
