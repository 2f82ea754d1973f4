package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"github.com/distropack/distropack/formats"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/keys"
	"github.com/distropack/distropack/pipeline/plan"
)

// A release that builds for two hours reads states that others signed meanwhile.
func TestStatesSignedDuringARunAreNotFromTheFuture(t *testing.T) {
	secret, err := testKey()
	if err != nil {
		t.Fatal(err)
	}
	later := now.Add(2 * time.Hour)
	refs := map[string]keys.Secret{plan.PackageKey: secret}
	others, err := keys.Open("hello", refs, keys.Options{Now: later})
	if err != nil {
		t.Fatal(err)
	}
	sign, err := others.Signer(plan.PackageKey, formats.OpenPGP)
	if err != nil {
		t.Fatal(err)
	}
	state := []byte("state")
	signature, err := sign(t.Context(), strings.NewReader("state"))
	if err != nil {
		t.Fatal(err)
	}

	ring, err := keys.Open("hello", refs, keys.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	clock := now
	verify, err := (&pipeline.Site{Plan: &plan.Site{Key: plan.PackageKey}, Keys: ring}).Verify(func() time.Time { return clock })
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(state, signature); err == nil || !strings.Contains(err.Error(), "is from the future") {
		t.Errorf("two hours ahead: %v", err)
	}
	clock = later
	if err := verify(state, signature); err != nil {
		t.Errorf("two hours on: %v", err)
	}
}
