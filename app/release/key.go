package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/distropack/distropack/app/store"
	"github.com/distropack/distropack/app/vault"
	"github.com/distropack/distropack/pipeline"
	"github.com/distropack/distropack/pipeline/plan"
)

// keyring has the keys of a repository sign for a release; the names are those of the
// keys there are. The repository's own keys win over its account's. Where there is no
// key for packages, one is made for the account: at its first release.
func (s *Releases) keyring(ctx context.Context, repo *store.Repository, release, project string, at time.Time) (pipeline.Keyring, []string, error) {
	refs := make(map[string]vault.KeyRef)
	for _, scope := range []string{vault.InstallationScope(repo.Installation), vault.RepositoryScope(repo.ID)} {
		all, err := s.Store.ListSealed(ctx, scope)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range all {
			if x.Kind != vault.KindKey {
				continue
			}
			row, err := s.Store.Sealed(ctx, scope, x.Name)
			if err != nil {
				return nil, nil, err
			}
			refs[x.Name] = refOf(x.Name, row)
		}
	}
	if _, ok := refs[plan.PackageKey]; !ok {
		row, err := s.makeKey(ctx, repo)
		if err != nil {
			return nil, nil, fmt.Errorf("the key of %s can't be made: %w", repo.Owner, err)
		}
		refs[plan.PackageKey] = refOf(plan.PackageKey, row)
	}
	var names []string
	var list []vault.KeyRef
	for name := range refs {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		list = append(list, refs[name])
	}
	ring, err := s.Signer.Keyring(ctx, vault.Repository{ID: repo.ID, Installation: repo.Installation, Release: release, Project: project, At: at}, list...)
	return ring, names, err
}

// keyNames are the names of the keys there are, without opening any.
func (s *Releases) keyNames(ctx context.Context, repo *store.Repository) ([]string, error) {
	names := []string{plan.PackageKey}
	for _, scope := range []string{vault.InstallationScope(repo.Installation), vault.RepositoryScope(repo.ID)} {
		all, err := s.Store.ListSealed(ctx, scope)
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			if x.Kind == vault.KindKey && !slices.Contains(names, x.Name) {
				names = append(names, x.Name)
			}
		}
	}
	return names, nil
}

// makeKey makes the key of an account. Of several that are made at once one is kept:
// the setting decides, and the row follows it.
func (s *Releases) makeKey(ctx context.Context, repo *store.Repository) (*store.Sealed, error) {
	scope := vault.InstallationScope(repo.Installation)
	setting := "release/key/" + scope
	text, err := s.Store.Setting(ctx, setting)
	if errors.Is(err, store.ErrNotFound) {
		s.log.Info("a key is made", "installation", repo.Installation, "account", repo.Owner)
		host := "users.noreply.github.com"
		if u, err := url.Parse(s.Git); err == nil && u.Hostname() != "github.com" && u.Hostname() != "" {
			host = "users.noreply." + u.Hostname()
		}
		b := vault.Binding{Scope: scope, Name: plan.PackageKey, Kind: vault.KindKey}
		made, err := s.Signer.NewKey(ctx, b, vault.NewOptions{Name: repo.Owner + " packages", Email: strings.ToLower(repo.Owner) + "@" + host})
		if err != nil {
			return nil, err
		}
		row := &store.Sealed{Scope: scope, Name: plan.PackageKey, Kind: vault.KindKey, Public: made.Public.JSON(), Blob: made.Blob, Created: s.Now(), Expires: made.Public.Expires}
		if text, err = json.Marshal(row); err != nil {
			return nil, err
		}
		if _, err := s.Store.SetSettingOnce(ctx, setting, text); err != nil {
			return nil, err
		}
		if text, err = s.Store.Setting(ctx, setting); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	row := new(store.Sealed)
	if err := json.Unmarshal(text, row); err != nil {
		return nil, fmt.Errorf("setting %s: %w", setting, err)
	}
	if row, err := s.Store.Sealed(ctx, scope, plan.PackageKey); err == nil { // it was replaced meanwhile
		return row, nil
	}
	return row, s.Store.PutSealed(ctx, row)
}
