package github

import (
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v4"
)

// signer makes the proofs that ghinstallation sends, by our clock instead of the
// machine's.
type signer struct {
	key *rsa.PrivateKey
	now func() time.Time
}

// Clocks differ: GitHub refuses a proof from its future, and one that lasts for
// more than ten minutes by its clock.
const (
	proofBefore = time.Minute
	proofAfter  = 4 * time.Minute
)

// Sign returns a proof with the issuer of claims.
func (s signer) Sign(claims jwt.Claims) (string, error) {
	c, ok := claims.(*jwt.RegisteredClaims)
	if !ok {
		return "", fmt.Errorf("claims of the kind %T", claims)
	}
	now := s.now().Truncate(time.Second)
	mine := &jwt.RegisteredClaims{Issuer: c.Issuer, IssuedAt: jwt.NewNumericDate(now.Add(-proofBefore)), ExpiresAt: jwt.NewNumericDate(now.Add(proofAfter))}
	return jwt.NewWithClaims(jwt.SigningMethodRS256, mine).SignedString(s.key)
}
