package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
)

// startSigner starts the process that has the signing keys. Each signature is in the
// publish log before anybody gets it.
func startSigner(ctx context.Context, exe, dir string, s *store.Store, log *slog.Logger) (*vault.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return vault.StartSigner(ctx, exe, []string{SignerCommand, SignerIdentity(dir)}, vault.ClientOptions{
		Log: func(line string) { log.Warn("the signer says", "text", line) },
		Signed: func(ctx context.Context, v vault.Signature) error {
			return s.AppendPublishLog(ctx, &store.LogEntry{
				Repository: v.Repository, Release: v.Release, Kind: "signature", Subject: v.Key + " " + v.Scheme + " " + v.Fingerprint, Digest: v.Digest,
			})
		},
	})
}

// startTime is how long the signer may take to answer first: one that never does is
// not this program.
const startTime = 30 * time.Second
