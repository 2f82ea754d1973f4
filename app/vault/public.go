package vault

import (
	"encoding/json"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline/keys"
)

// Public is what everyone may know of a signing key: for the database and the
// pages. Nothing is decided by it, since who can write to the database can change
// it; signatures are checked with what the signer says of the sealed key.
type Public struct {
	User        string    `json:"user,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"` // OpenPGP, upper-case hexadecimal
	Schemes     string    `json:"schemes"`               // in words
	Expires     time.Time `json:"expires,omitzero"`      // zero: never
	Certificate string    `json:"certificate,omitempty"` // armored
	RSA         string    `json:"rsa,omitempty"`         // the number people compare; apk
	RSAKey      string    `json:"rsaKey,omitempty"`      // PEM
	Usign       string    `json:"usign,omitempty"`       // the key number; opkg
	UsignKey    string    `json:"usignKey,omitempty"`    // usign's public key file
	Warnings    []string  `json:"warnings,omitempty"`    // clients it will not work for
}

// JSON renders it for store.Sealed.Public.
func (p *Public) JSON() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		panic("strings and a time can always be written: " + err.Error())
	}
	return b
}

// ParsePublic reads what JSON wrote.
func ParsePublic(b []byte) (*Public, error) {
	p := new(Public)
	return p, json.Unmarshal(b, p)
}

func publicOf(k *keys.Key, now time.Time) *Public {
	p := &Public{User: k.User(), Fingerprint: k.Fingerprint(), Schemes: k.Schemes(), Expires: k.Expires(), Warnings: k.Warnings(now)}
	ring := keys.Of("key", map[string]*keys.Key{"main": k}, now)
	if pub, err := ring.Public("main", formats.OpenPGP); err == nil {
		p.Certificate = string(pub.Data)
	}
	if pub, err := ring.Public("main", formats.RSA256); err == nil {
		p.RSA, p.RSAKey = pub.ID, string(pub.Data)
	}
	if pub, err := ring.Public("main", formats.Usign); err == nil {
		p.Usign, p.UsignKey = pub.ID, string(pub.Data)
	}
	return p
}
