package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/app/web"
)

// Vault is the keys of a data folder, without a server around them: for commands. One
// may be open while a server runs.
type Vault struct {
	store  *store.Store
	signer *vault.Client
	keys   *keys
}

// OpenVault opens the keys and starts a signer of its own. The caller closes it.
func OpenVault(ctx context.Context, dir, database, exe string, log *slog.Logger) (*Vault, error) {
	o := Options{Dir: dir, Database: database, Log: log}
	if err := o.check(); err != nil {
		return nil, err
	}
	if file, ok := databaseFile(o.Database); ok && !exists(file) {
		return nil, noDatabase(file)
	}
	v := &Vault{}
	var err error
	if v.store, err = store.Open(ctx, o.Database, store.Options{Log: o.Log}); err != nil {
		return nil, err
	}
	if v.signer, err = startSigner(ctx, exe, o.Dir, v.store, o.Log); err != nil {
		return nil, errors.Join(fmt.Errorf("signer: %w", err), v.store.Close())
	}
	v.keys = &keys{store: v.store, signer: v.signer}
	return v, nil
}

// Close ends the signer.
func (v *Vault) Close() error { return errors.Join(v.signer.Close(), v.store.Close()) }

// Scope finds out whose keys are meant: "installation:42", "repository:7", an account
// with an installation, or OWNER/NAME.
func (v *Vault) Scope(ctx context.Context, text string) (string, error) {
	if kind, number, ok := strings.Cut(text, ":"); ok {
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil || id <= 0 || kind != "installation" && kind != "repository" {
			return "", mistake("%q names nobody's keys: want OWNER/NAME, ACCOUNT, installation:ID or repository:ID", text)
		}
		return kind + ":" + number, nil
	}
	if owner, name, ok := strings.Cut(text, "/"); ok {
		r, err := v.store.RepositoryByName(ctx, owner, name)
		if errors.Is(err, store.ErrNotFound) {
			return "", mistake("the App knows no repository %s", text)
		}
		if err != nil {
			return "", err
		}
		return vault.RepositoryScope(r.ID), nil
	}
	all, err := v.store.Installations(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(all, func(in *store.Installation) bool { return strings.EqualFold(in.Account, text) && !in.Removed })
	if i < 0 {
		return "", mistake("the App is not installed by %q", text)
	}
	return vault.InstallationScope(all[i].ID), nil
}

// Export returns a key as a backup, locked with a passphrase.
func (v *Vault) Export(ctx context.Context, scope, name, passphrase string) ([]byte, error) {
	b, err := v.keys.Export(ctx, scope, name, passphrase)
	if err != nil {
		return nil, v.said(ctx, err)
	}
	return b.Data, nil
}

// Import keeps a key: what releases sign with where its name is main.
func (v *Vault) Import(ctx context.Context, scope, name string, private []byte, passphrase string) (*web.Key, error) {
	if err := v.keys.Import(ctx, scope, name, private, passphrase); err != nil {
		return nil, v.said(ctx, err)
	}
	all, err := v.keys.List(ctx, scope)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(k web.Key) bool { return k.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("the key %s of %s was deleted at once", name, scope)
	}
	return &all[i], nil
}

// said makes what pages tell people a mistake of the command line, with the keys there
// are.
func (v *Vault) said(ctx context.Context, err error) error {
	var refusal *web.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	rows, err := v.store.ListSealed(ctx, "")
	if err != nil {
		return err
	}
	text := strings.TrimSuffix(refusal.Text, ".")
	var there []string
	for _, row := range rows {
		if row.Kind == vault.KindKey {
			there = append(there, row.Name+" of "+row.Scope)
		}
	}
	if len(there) > 0 {
		text += "; there are: " + strings.Join(there, ", ")
	}
	return &Mistake{text}
}

// Rotated is what Rotate did.
type Rotated struct{ Secrets, Keys int }

// Rotate makes new identities and seals all secrets and keys anew, so that a copy of the
// old identities opens nothing that is there afterwards. No server may run: on Postgres
// none of all nodes, and each needs the new identity files. If it ends early, nothing is
// lost and it is to be run again.
func Rotate(ctx context.Context, dir, database, exe string, log *slog.Logger) (done Rotated, err error) {
	o := Options{Dir: dir, Database: database, Log: log}
	if err := o.check(); err != nil {
		return done, err
	}
	if !exists(ServerIdentity(o.Dir)) || !exists(SignerIdentity(o.Dir)) {
		return done, mistake("there are no identities in %s: --dir is the folder that distropack app was given", o.Dir)
	}
	l, err := lockFolder(o.Dir)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	for _, file := range []string{ServerIdentity(o.Dir), SignerIdentity(o.Dir)} {
		if err := vault.Rotate(file); err != nil {
			return done, err
		}
	}
	v, err := OpenVault(ctx, dir, database, exe, log)
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	sealer, err := vault.OpenSealer(ServerIdentity(o.Dir))
	if err != nil {
		return done, err
	}
	rows, err := v.store.ListSealed(ctx, "")
	if err != nil {
		return done, err
	}
	for _, r := range rows {
		row, err := v.store.Sealed(ctx, r.Scope, r.Name)
		if err != nil {
			return done, err
		}
		b := vault.Binding{Scope: row.Scope, Name: row.Name, Kind: row.Kind}
		if row.Kind == vault.KindKey {
			row.Blob, _, err = v.signer.ResealKey(ctx, b, row.Blob)
			done.Keys++
		} else {
			row.Blob, _, err = sealer.Reseal(b, row.Blob)
			done.Secrets++
		}
		if err != nil {
			return done, fmt.Errorf("%w; the old identities were kept", err)
		}
		if err := v.store.PutSealed(ctx, row); err != nil {
			return done, err
		}
		if err := v.copyOf(ctx, row); err != nil {
			return done, err
		}
	}
	for _, file := range []string{ServerIdentity(o.Dir), SignerIdentity(o.Dir)} {
		if err := vault.Retire(file); err != nil {
			return done, err
		}
	}
	return done, nil
}

// copyOf seals anew what package release keeps beside a key that it made: which of two
// that were made at once stays.
func (v *Vault) copyOf(ctx context.Context, row *store.Sealed) error {
	name := "release/key/" + row.Scope
	if row.Kind != vault.KindKey || row.Name != mainKey {
		return nil
	}
	if _, err := v.store.Setting(ctx, name); errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	text, err := json.Marshal(row)
	if err != nil {
		return err
	}
	return v.store.SetSetting(ctx, name, text)
}
