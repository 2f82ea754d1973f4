package store

import (
	"context"
	"time"
)

// Installation is one account that has installed the App. It is kept by GitHub's id;
// accounts are renamed.
type Installation struct {
	ID          int64
	Account     string // the login
	AccountID   int64
	AccountType string // "User" or "Organization"
	Suspended   bool
	Removed     bool // uninstalled; the row stays for what refers to it
	Created     time.Time
	Updated     time.Time
}

const installationColumns = "id, account, account_id, account_type, suspended, removed, created, updated"

func (i *Installation) columns() []any {
	return []any{&i.ID, &i.Account, &i.AccountID, &i.AccountType, &i.Suspended, &i.Removed, at(&i.Created), at(&i.Updated)}
}

// SaveInstallation inserts or replaces the row with this ID. Created is kept from the
// first time and is now if it is zero; Updated is always now.
func (s *Store) SaveInstallation(ctx context.Context, i *Installation) error {
	now := s.now()
	created := i.Created
	if created.IsZero() {
		created = now
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO installations ("+installationColumns+") VALUES ("+marks(8)+") ON CONFLICT (id) DO UPDATE SET "+
			"account = excluded.account, account_id = excluded.account_id, account_type = excluded.account_type, "+
			"suspended = excluded.suspended, removed = excluded.removed, updated = excluded.updated",
			i.ID, i.Account, i.AccountID, i.AccountType, i.Suspended, i.Removed, created, now)
		return err
	}), "installation %d", i.ID)
}

// Installation returns ErrNotFound if there is none with this id.
func (s *Store) Installation(ctx context.Context, id int64) (*Installation, error) {
	i, err := one(ctx, s.read(), (*Installation).columns, "SELECT "+installationColumns+" FROM installations WHERE id = ?", id)
	return i, about(err, "installation %d", id)
}

// Installations returns all by id, removed ones too.
func (s *Store) Installations(ctx context.Context) ([]*Installation, error) {
	list, err := all(ctx, s.read(), (*Installation).columns, "SELECT "+installationColumns+" FROM installations ORDER BY id")
	return list, about(err, "installations")
}
