package keys

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// maxText bounds what is read as a key. A certificate with many signatures is
// some 100 KiB.
const maxText = 1 << 20

// parts is a bundle taken apart, before anything in it is looked at.
type parts struct {
	openpgp []byte // packets
	rsa     *rsa.PrivateKey
	usign   *usignKey
}

// readParts reads a bundle, base64 of one, or the file that text names. No error
// quotes text: it may be a key that was pasted wrongly.
func readParts(text string) (parts, error) {
	if len(text) > maxText {
		return parts{}, fmt.Errorf("the key is longer than %d bytes", maxText)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return parts{}, errors.New("the key is empty")
	}
	if !strings.Contains(text, "\n") && strings.Contains(text, `\n`) {
		// Some secret stores hand out line breaks as backslash and n.
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	if looksLikeKey(text) {
		return readText(text)
	}
	// A file comes first: a long path of letters, digits and slashes is base64, too.
	if !strings.ContainsAny(text, "\n\x00") && len(text) < 4096 {
		if raw, err := readFile(text); err == nil {
			p, err := readRaw(raw)
			if err != nil {
				return p, fmt.Errorf("file %s: %w", text, err)
			}
			return p, nil
		}
	}
	if raw, ok := decodeBase64(text); ok {
		return readRaw(raw)
	}
	return parts{}, errors.New("the key is neither armored text, nor base64 of it, nor a file that can be read")
}

// readRaw reads what a file or base64 held: text, binary OpenPGP, or once more
// base64.
func readRaw(raw []byte) (parts, error) {
	if len(raw) > 0 && raw[0]&0x80 != 0 {
		return parts{openpgp: raw}, nil
	}
	text := strings.TrimSpace(string(raw))
	if looksLikeKey(text) {
		return readText(text)
	}
	if inner, ok := decodeBase64(text); ok && (looksLikeKey(string(inner)) || inner[0]&0x80 != 0) {
		if inner[0]&0x80 != 0 {
			return parts{openpgp: inner}, nil
		}
		return readText(string(inner))
	}
	return parts{}, errors.New("there is no private key in it")
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.New("not a file")
	}
	return io.ReadAll(io.LimitReader(f, maxText))
}

func looksLikeKey(text string) bool {
	return strings.Contains(text, "-----BEGIN ") || strings.HasPrefix(text, usignComment) || strings.Contains(text, "\n"+usignComment)
}

// decodeBase64 decodes text of one or many lines, with or without padding.
func decodeBase64(text string) ([]byte, bool) {
	flat := strings.Join(strings.Fields(text), "")
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(flat, "="))
	return raw, err == nil && len(raw) >= 64
}

const (
	pgpBegin = "-----BEGIN PGP PRIVATE KEY BLOCK-----"
	pgpEnd   = "-----END PGP PRIVATE KEY BLOCK-----"
)

func readText(text string) (p parts, err error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	rest := text
	if before, block, found := strings.Cut(text, pgpBegin); found {
		body, after, found := strings.Cut(block, pgpEnd)
		if !found {
			return p, errors.New("the OpenPGP block has no end: the key was cut off")
		}
		if strings.Contains(after, pgpBegin) {
			return p, errors.New("there are two OpenPGP keys in it; export one: gpg --export-secret-keys --armor <fingerprint>")
		}
		if !strings.Contains(body, "\n") {
			return p, errors.New("the OpenPGP block has lost its line breaks; store base64 of it on one line instead")
		}
		if p.openpgp, err = dearmor(pgpBegin + body + pgpEnd); err != nil {
			return p, err
		}
		rest = before + after
	}
	if strings.Contains(rest, "-----BEGIN PGP PUBLIC KEY BLOCK-----") && p.openpgp == nil {
		return p, errPublicOnly
	}
	if p.rsa, err = readPEM(rest); err != nil {
		return p, err
	}
	if p.usign, err = findUsign(rest); err != nil {
		return p, err
	}
	if p.openpgp == nil && p.rsa == nil && p.usign == nil {
		return p, errors.New("there is no private key in it")
	}
	return p, nil
}

func dearmor(text string) ([]byte, error) {
	block, err := armor.Decode(strings.NewReader(text))
	if err != nil {
		return nil, errors.New("the OpenPGP block is damaged: its armor can't be read")
	}
	raw, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, errors.New("the OpenPGP block is damaged: its armor can't be read")
	}
	return raw, nil
}

func readPEM(text string) (*rsa.PrivateKey, error) {
	var found *rsa.PrivateKey
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return found, nil
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errPEMEncrypted
			}
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errPEMEncrypted
		default:
			continue
		}
		// x509's own errors name types and never numbers, but a leaf that only
		// says what is wrong is as useful.
		if err != nil {
			return nil, fmt.Errorf("the %s block can't be read as a key", block.Type)
		}
		r, ok := key.(*rsa.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("the %s block holds a key of another kind than RSA; apk needs RSA", block.Type)
		}
		if found != nil {
			return nil, errors.New("there are two RSA keys in it; keep one")
		}
		found = r
	}
}

var errPEMEncrypted = errors.New("the RSA key is encrypted; take the passphrase off: openssl pkey -in key.pem -out plain.pem")

// Bundle returns all parts as one text, for backup and for Import. Equal keys
// give equal text.
func (k *Key) Bundle() Secret {
	var b bytes.Buffer
	b.WriteString("# A DistroPack signing key. Whoever has this text can sign as you: keep it secret, keep a copy.\n")
	if k.entity != nil {
		fmt.Fprintf(&b, "# OpenPGP %s\n%s", k.Fingerprint(), armored("PGP PRIVATE KEY BLOCK", k.secret))
	}
	if k.rsa != nil {
		der, err := x509.MarshalPKCS8PrivateKey(k.rsa)
		if err != nil {
			panic("an RSA key can always be written: " + err.Error())
		}
		fmt.Fprintf(&b, "# RSA %s, for apk\n", rsaID(&k.rsa.PublicKey))
		pem.Encode(&b, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	if k.usign != nil {
		fmt.Fprintf(&b, "# Ed25519 %s, for opkg\n%s", k.usign.id(), k.usign.secretFile())
	}
	return NewSecret(b.String())
}

// Line returns the bundle in base64 on one line.
func (k *Key) Line() Secret {
	return NewSecret(base64.StdEncoding.EncodeToString([]byte(k.Bundle().Reveal())))
}

// armored wraps OpenPGP packets in ASCII armor with its checksum, without which
// rpm 4 does not read keys.
func armored(kind string, packets []byte) []byte {
	var b bytes.Buffer
	w, err := armor.EncodeWithChecksumOption(&b, kind, nil, true)
	if err == nil {
		_, err = w.Write(packets)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("armor into memory can't fail: " + err.Error())
	}
	b.WriteByte('\n')
	return b.Bytes()
}
