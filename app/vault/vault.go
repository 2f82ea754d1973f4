// Package vault keeps secrets sealed at rest and signs without letting the server
// see a signing key.
//
// # Sealed blobs
//
// A Sealer seals with age (age-encryption.org/v1, X25519): each record has a data
// key of its own, which is wrapped for the identity in a file. The blob is
//
//	"dpv1"                 the version of this format
//	8 bytes                which identity: of the SHA-256 of its recipient
//	an age file            of: length (4 bytes, big endian) and JSON of the Binding,
//	                       32 bytes of HMAC-SHA256 over those and the secret, the secret
//
// The Binding names the row a blob belongs to. A blob that was copied to another
// row is refused. The HMAC's key is derived from the identity: age hides, but
// whoever knows the recipient could make a blob; this one can't. What is not
// noticed is an older blob of the same row being put back.
//
// # Two identities
//
// The server has a Sealer for what it needs itself: webhook secrets, the App's
// key, OAuth and bucket secrets. Signing keys are sealed by the signer, a process
// of its own with another identity file (StartSigner, ServeSigner). Keys are made,
// imported, exported and used there; the server passes blobs on and can't open
// them.
//
// # What the signer signs
//
// The signer reads whole messages and hashes them itself, though that costs a copy
// (see BenchmarkSign: hashing is slower than the copy). A signer of ready-made
// hashes would sign anything: apk's signature is PKCS #1 over a SHA-256, and so is
// an OpenPGP certification by the same RSA key. Whoever could have a hash signed
// could add a subkey of their own to the certificate. Since the signer sees the
// message, it signs by RSA256 only what begins like a gzip file, as all that apk
// reads does and no OpenPGP certification can.
package vault

import (
	"errors"
	"fmt"
	"strconv"
)

// The kinds of sealed records.
const (
	KindSecret = "secret"
	KindKey    = "key"
)

// AppScope is the scope of the server's own secrets.
const AppScope = "app"

// InstallationScope is the scope of an installation's records.
func InstallationScope(id int64) string { return "installation:" + strconv.FormatInt(id, 10) }

// RepositoryScope is the scope of a repository's records, by GitHub's number.
func RepositoryScope(id int64) string { return "repository:" + strconv.FormatInt(id, 10) }

// Binding names the row that a sealed blob belongs to.
type Binding struct {
	Scope string `json:"scope"` // AppScope, InstallationScope or RepositoryScope
	Name  string `json:"name"`  // of the record, such as "main"
	Kind  string `json:"kind"`  // KindSecret or KindKey
}

func (b Binding) String() string { return fmt.Sprintf("%s %s of %s", b.Kind, b.Name, b.Scope) }

func (b Binding) check() error {
	if b.Scope == "" || b.Name == "" || b.Kind != KindSecret && b.Kind != KindKey || len(b.Scope)+len(b.Name) > maxBinding {
		return fmt.Errorf("scope %q, name %q, kind %q name no record", b.Scope, b.Name, b.Kind)
	}
	return nil
}

// maxBinding bounds scope and name together, in bytes.
const maxBinding = 1024

// ErrSealed marks a blob that can't be opened: for another row or identity, or
// damaged.
var ErrSealed = errors.New("a sealed record can't be opened")

// ErrSignerGone marks a request that the signer did not answer: it ended, or can't
// be started. Asking again is harmless.
var ErrSignerGone = errors.New("the signer is gone")
