package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

// secrets are what releases need of places, sealed for the server.
type secrets struct {
	store  *store.Store
	sealer *vault.Sealer
}

var _ web.Secrets = (*secrets)(nil)

func (s *secrets) List(ctx context.Context, scope string) ([]web.Secret, error) {
	rows, err := s.store.ListSealed(ctx, scope)
	if err != nil {
		return nil, err
	}
	var list []web.Secret
	for _, row := range rows {
		if row.Kind == vault.KindSecret {
			list = append(list, web.Secret{Name: row.Name, Created: row.Created})
		}
	}
	return list, nil
}

func (s *secrets) Set(ctx context.Context, scope, name string, value []byte) error {
	if err := s.mine(ctx, scope, name); err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b := vault.Binding{Scope: scope, Name: name, Kind: vault.KindSecret}
	blob, err := s.sealer.Seal(b, value)
	if err != nil {
		return err
	}
	return s.store.PutSealed(ctx, sealedRow(b, blob))
}

func (s *secrets) Delete(ctx context.Context, scope, name string) error {
	if err := s.mine(ctx, scope, name); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	}
	return s.store.DeleteSealed(ctx, scope, name)
}

// mine keeps away from keys, which have their names in the same place.
func (s *secrets) mine(ctx context.Context, scope, name string) error {
	row, err := s.store.Sealed(ctx, scope, name)
	if err == nil && row.Kind != vault.KindSecret {
		return &web.Refusal{Text: fmt.Sprintf("%s is the name of a key: choose another for the secret.", name)}
	}
	return err
}

// sealedRow is the row that a blob is bound to.
func sealedRow(b vault.Binding, blob []byte) *store.Sealed {
	return &store.Sealed{Scope: b.Scope, Name: b.Name, Kind: b.Kind, Public: []byte("{}"), Blob: blob}
}
