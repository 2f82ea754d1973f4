package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// NewOptions says what key New makes. The zero value is right for every client.
type NewOptions struct {
	Bits    int           // of RSA: 4096 where 0, at least 3072
	Ed25519 bool          // an Ed25519 OpenPGP key, and an RSA key beside it for apk
	Expires time.Duration // after at; never where 0
}

// New makes a key for name and email: one OpenPGP RSA key that certifies and
// signs, without subkeys, since that is what every client reads, and the parts
// derived from it. random is the system's source where nil; Go takes RSA keys
// from the system's source in any case.
func New(name, email string, at time.Time, random io.Reader, o NewOptions) (*Key, error) {
	if random == nil {
		random = rand.Reader
	}
	if o.Bits == 0 {
		o.Bits = 4096
	}
	if o.Bits < goodRSA || o.Bits > 8192 {
		return nil, fmt.Errorf("RSA with %d bits: %d to 8192 are possible", o.Bits, goodRSA)
	}
	if o.Expires != 0 && o.Expires < time.Hour || o.Expires > 100*365*24*time.Hour {
		return nil, fmt.Errorf("a key can't expire after %s: an hour to 100 years are possible", o.Expires)
	}
	if name == "" {
		return nil, fmt.Errorf("the key needs a name")
	}
	user := packet.NewUserId(name, "", email)
	if user == nil {
		return nil, fmt.Errorf("user %q <%s>: parentheses, angle brackets and control characters are not possible", name, email)
	}
	at = at.UTC().Truncate(time.Second)
	second, err := rsa.GenerateKey(random, o.Bits)
	if err != nil {
		return nil, err
	}
	k := &Key{}
	primary := packet.NewSignerPrivateKey(at, second)
	if o.Ed25519 {
		k.rsa = sorted(second)
		if primary, err = newEd25519(at, random); err != nil {
			return nil, err
		}
	}
	packets, err := certified(primary, user.Id, o.Expires)
	if err != nil {
		return nil, err
	}
	if err := k.openEntity(packets, Secret{}, at); err != nil {
		return nil, err
	}
	if err := k.derive(); err != nil {
		return nil, err
	}
	return k, k.try(at)
}

// newEd25519 takes the key out of an entity that go-crypto makes: it has no other
// way to a key that gpg 2.2 can read.
func newEd25519(at time.Time, random io.Reader) (*packet.PrivateKey, error) {
	config := signConfig(at)
	config.Rand = random
	config.Algorithm = packet.PubKeyAlgoEdDSA
	e, err := openpgp.NewEntity("x", "", "x@x", config)
	if err != nil {
		return nil, err
	}
	return e.PrivateKey, nil
}

// signConfig makes signatures that are the same bytes every time: without it
// go-crypto puts random salt into a notation.
func signConfig(at time.Time) *packet.Config {
	salt := false
	return &packet.Config{
		DefaultHash:                           crypto.SHA512,
		Time:                                  func() time.Time { return at },
		NonDeterministicSignaturesViaNotation: &salt,
	}
}
