package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	secret "github.com/distropack/distropack/pipeline/keys"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

// keys are the signing keys of installations and repositories: rows of the store that
// the signer alone can open.
type keys struct {
	store  *store.Store
	signer *vault.Client
}

var _ web.Keys = (*keys)(nil)

// Names of the rows that releases sign with: the key, and while keys are rotated a
// second one that indexes are signed with as well.
const (
	mainKey = "main"
	nextKey = "also"
)

func (k *keys) List(ctx context.Context, scope string) ([]web.Key, error) {
	rows, err := k.store.ListSealed(ctx, scope)
	if err != nil {
		return nil, err
	}
	var list []web.Key
	for _, row := range rows {
		if row.Kind != vault.KindKey {
			continue
		}
		p, err := vault.ParsePublic(row.Public)
		if err != nil {
			return nil, fmt.Errorf("key %s of %s: %w", row.Name, scope, err)
		}
		key := web.Key{Name: row.Name, User: p.User, Fingerprint: p.Fingerprint, Created: row.Created, Expires: p.Expires, Warnings: p.Warnings}
		if row.Name == nextKey {
			key.State = "next"
		}
		for _, part := range []web.KeyPart{
			{Use: "apt, dnf, zypper, pacman", ID: p.Fingerprint, File: "key.asc", Text: p.Certificate},
			{Use: "apk", ID: p.RSA, File: "key.rsa.pub", Text: p.RSAKey},
			{Use: "opkg", ID: p.Usign, File: "key.pub", Text: p.UsignKey},
		} {
			if part.Text != "" {
				key.Parts = append(key.Parts, part)
			}
		}
		list = append(list, key)
	}
	return list, nil
}

func (k *keys) New(ctx context.Context, scope string, n web.NewKey) error {
	if err := k.free(ctx, scope, n.Name); err != nil {
		return err
	}
	b := vault.Binding{Scope: scope, Name: n.Name, Kind: vault.KindKey}
	made, err := k.signer.NewKey(ctx, b, vault.NewOptions{Name: n.Owner, Email: n.Email, Lifetime: n.Lasts})
	if err != nil {
		return err
	}
	return k.put(ctx, b, made)
}

func (k *keys) Import(ctx context.Context, scope, name string, private []byte, passphrase string) error {
	if err := k.free(ctx, scope, name); err != nil {
		return err
	}
	b := vault.Binding{Scope: scope, Name: name, Kind: vault.KindKey}
	made, err := k.signer.ImportKey(ctx, b, secret.NewSecret(string(private)), secret.NewSecret(passphrase))
	if errors.Is(err, vault.ErrSignerGone) {
		return err
	}
	if err != nil {
		return &web.Refusal{Text: "The key was not taken: " + err.Error() + "."}
	}
	return k.put(ctx, b, made)
}

func (k *keys) put(ctx context.Context, b vault.Binding, made *vault.Made) error {
	// Making one takes seconds, in which another may have come.
	if err := k.free(ctx, b.Scope, b.Name); err != nil {
		return err
	}
	row := sealedRow(b, made.Blob)
	row.Public, row.Expires = made.Public.JSON(), made.Public.Expires
	return k.store.PutSealed(ctx, row)
}

// free refuses a name that a key has: what it signed could not be checked any more.
func (k *keys) free(ctx context.Context, scope, name string) error {
	_, err := k.store.Sealed(ctx, scope, name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return &web.Refusal{Text: fmt.Sprintf("There is a key or a secret of the name %s already.", name)}
}

func (k *keys) row(ctx context.Context, scope, name string) (*store.Sealed, vault.Binding, error) {
	b := vault.Binding{Scope: scope, Name: name, Kind: vault.KindKey}
	row, err := k.store.Sealed(ctx, scope, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && row.Kind != vault.KindKey {
		return nil, b, &web.Refusal{Text: fmt.Sprintf("There is no key of the name %s.", name)}
	}
	return row, b, err
}

func (k *keys) Export(ctx context.Context, scope, name, passphrase string) (*web.Backup, error) {
	row, b, err := k.row(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	text, err := k.signer.ExportKey(ctx, b, row.Blob, vault.ExportOptions{Passphrase: secret.NewSecret(passphrase)})
	if err != nil {
		return nil, err
	}
	return &web.Backup{File: strings.ReplaceAll(scope, ":", "-") + "-" + name + ".key.age", Data: text}, nil
}

// userID is how OpenPGP writes whose key it is.
var userID = regexp.MustCompile(`^(.+?)(?: \(.*\))? <([^<>]+)>$`)

// Replace makes the key that follows, for the same user and as long a time; indexes are
// signed by both from the next release on.
func (k *keys) Replace(ctx context.Context, scope, name string) error {
	row, _, err := k.row(ctx, scope, name)
	if err != nil {
		return err
	}
	if name != mainKey {
		return &web.Refusal{Text: "Only the key " + mainKey + " can be replaced."}
	}
	p, err := vault.ParsePublic(row.Public)
	if err != nil {
		return err
	}
	who := userID.FindStringSubmatch(p.User)
	if who == nil {
		return &web.Refusal{Text: "This key says of nobody whose it is, so make or import one of the name " + nextKey + " yourself."}
	}
	n := web.NewKey{Name: nextKey, Owner: who[1], Email: who[2]}
	if !p.Expires.IsZero() {
		n.Lasts = p.Expires.Sub(row.Created).Round(24 * time.Hour)
	}
	return k.New(ctx, scope, n)
}
