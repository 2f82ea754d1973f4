package githubtest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// proven checks what an App sends to prove that it is the App, as GitHub does: a
// signature by its key with RS256, an end within ten minutes, a beginning that is
// not to come.
func (s *Server) proven(proof string) (*App, string) {
	const broken = "A JSON web token could not be decoded"
	parts := strings.Split(proof, ".")
	if len(parts) != 3 {
		return nil, broken
	}
	var head struct{ Alg string }
	var claims struct {
		Iss      any
		Iat, Exp json.Number
	}
	for i, v := range []any{&head, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(b, v) != nil {
			return nil, broken
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || head.Alg != "RS256" {
		return nil, broken
	}
	iss := fmt.Sprint(claims.Iss)
	if f, ok := claims.Iss.(float64); ok {
		iss = strconv.FormatInt(int64(f), 10)
	}
	at := slices.IndexFunc(s.apps, func(a *App) bool { return iss == fmt.Sprint(a.ID) || iss == a.ClientID })
	if at < 0 {
		return nil, "Integration not found"
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(&s.apps[at].Key.PublicKey, crypto.SHA256, sum[:], signature) != nil {
		return nil, broken
	}
	exp, err := claims.Exp.Int64()
	now := s.now()
	switch {
	case err != nil || !now.Before(time.Unix(exp, 0)):
		return nil, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"
	case time.Unix(exp, 0).After(now.Add(10 * time.Minute)):
		return nil, "'Expiration time' claim ('exp') is too far in the future"
	}
	if iat, err := claims.Iat.Int64(); err != nil || time.Unix(iat, 0).After(now) {
		return nil, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued"
	}
	return s.apps[at], ""
}
