package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/eddsa"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// certified returns the packets of a new key: the key, the user ID, and a
// signature of type positive certification, RFC 9580 5.2.1.7, that lets the key
// certify and sign until lifetime after its creation. The signature is written
// here and not by go-crypto, since that one marks the expiry as critical: rpm
// 4.18 then refuses to import the key.
func certified(priv *packet.PrivateKey, user string, lifetime time.Duration) ([]byte, error) {
	var b, pub bytes.Buffer
	if err := priv.Serialize(&b); err != nil {
		return nil, err
	}
	if err := (&packet.OpaquePacket{Tag: tagUserID, Contents: []byte(user)}).Serialize(&b); err != nil {
		return nil, err
	}
	if err := priv.PublicKey.Serialize(&pub); err != nil {
		return nil, err
	}
	body, err := packet.NewOpaqueReader(&pub).Next()
	if err != nil {
		return nil, err
	}

	sub := func(kind byte, value ...byte) []byte { return append([]byte{byte(len(value) + 1), kind}, value...) }
	hashed := sub(2, binary.BigEndian.AppendUint32(nil, uint32(priv.CreationTime.Unix()))...)
	if lifetime > 0 {
		hashed = append(hashed, sub(9, binary.BigEndian.AppendUint32(nil, uint32(lifetime/time.Second))...)...)
	}
	hashed = append(hashed, sub(27, 0x01|0x02)...)                                                      // may certify and sign
	hashed = append(hashed, sub(21, 10, 8)...)                                                          // prefers SHA-512, then SHA-256
	hashed = append(hashed, sub(25, 1)...)                                                              // the primary user ID
	hashed = append(hashed, sub(33, append([]byte{4}, priv.Fingerprint...)...)...)                      // the issuer
	unhashed := sub(16, binary.BigEndian.AppendUint64(nil, priv.KeyId)...)                              // the issuer, for old readers
	sig := []byte{4, byte(packet.SigTypePositiveCert), byte(priv.PubKeyAlgo), 10, 0, byte(len(hashed))} // SHA-512
	sig = append(sig, hashed...)

	h := sha512.New()
	h.Write(binary.BigEndian.AppendUint16([]byte{0x99}, uint16(len(body.Contents))))
	h.Write(body.Contents)
	h.Write(binary.BigEndian.AppendUint32([]byte{0xb4}, uint32(len(user))))
	h.Write([]byte(user))
	h.Write(sig)
	h.Write(binary.BigEndian.AppendUint32([]byte{4, 0xff}, uint32(len(sig))))
	sum := h.Sum(nil)

	sig = append(sig, 0, byte(len(unhashed)))
	sig = append(sig, unhashed...)
	sig = append(sig, sum[0], sum[1])
	switch key := priv.PrivateKey.(type) {
	case *rsa.PrivateKey:
		s, err := rsa.SignPKCS1v15(nil, key, crypto.SHA512, sum)
		if err != nil {
			return nil, err
		}
		sig = append(sig, mpi(s)...)
	case *eddsa.PrivateKey:
		s := ed25519.Sign(ed25519.NewKeyFromSeed(seed32(key.MarshalByteSecret())), sum)
		sig = append(append(sig, mpi(s[:32])...), mpi(s[32:])...)
	default:
		return nil, fmt.Errorf("a key of type %T can't certify itself", key)
	}
	err = (&packet.OpaquePacket{Tag: tagSignature, Contents: sig}).Serialize(&b)
	return b.Bytes(), err
}

// mpi writes a number as OpenPGP does: its length in bits, then its bytes
// without leading zeros.
func mpi(b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	n := len(b) * 8
	for first := byte(0x80); len(b) > 0 && b[0]&first == 0; first >>= 1 {
		n--
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(n)), b...)
}

// seed32 gives a number read from an MPI its leading zeros back.
func seed32(b []byte) []byte {
	return append(make([]byte, max(0, 32-len(b))), b...)
}
