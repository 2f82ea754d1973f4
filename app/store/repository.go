package store

import (
	"context"
	"time"
)

// Repository is kept by GitHub's id: renames and transfers change Owner and Name.
type Repository struct {
	ID            int64
	Installation  int64
	Owner         string
	Name          string
	DefaultBranch string
	Private       bool
	Removed       bool // deleted, or taken from the installation
	Created       time.Time
	Updated       time.Time
}

const repositoryColumns = "id, installation, owner, name, default_branch, private, removed, created, updated"

func (r *Repository) columns() []any {
	return []any{&r.ID, &r.Installation, &r.Owner, &r.Name, &r.DefaultBranch, &r.Private, &r.Removed, at(&r.Created), at(&r.Updated)}
}

// SaveRepository inserts or replaces the row with this ID. Created is kept from the
// first time and is now if it is zero; Updated is always now.
func (s *Store) SaveRepository(ctx context.Context, r *Repository) error {
	now := s.now()
	created := r.Created
	if created.IsZero() {
		created = now
	}
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO repositories ("+repositoryColumns+") VALUES ("+marks(9)+") ON CONFLICT (id) DO UPDATE SET "+
			"installation = excluded.installation, owner = excluded.owner, name = excluded.name, default_branch = excluded.default_branch, "+
			"private = excluded.private, removed = excluded.removed, updated = excluded.updated",
			r.ID, r.Installation, r.Owner, r.Name, r.DefaultBranch, r.Private, r.Removed, created, now)
		return err
	}), "repository %d", r.ID)
}

// Repository returns ErrNotFound if there is none with this id.
func (s *Store) Repository(ctx context.Context, id int64) (*Repository, error) {
	r, err := one(ctx, s.read(), (*Repository).columns, "SELECT "+repositoryColumns+" FROM repositories WHERE id = ?", id)
	return r, about(err, "repository %d", id)
}

// RepositoryByName ignores case, as GitHub does. A name that is free after a rename may be
// taken by another repository: of several rows the one that is not removed and was
// saved last is returned.
func (s *Store) RepositoryByName(ctx context.Context, owner, name string) (*Repository, error) {
	r, err := one(ctx, s.read(), (*Repository).columns, "SELECT "+repositoryColumns+" FROM repositories "+
		"WHERE lower(owner) = lower(?) AND lower(name) = lower(?) ORDER BY removed, updated DESC, id DESC LIMIT 1", owner, name)
	return r, about(err, "repository %s/%s", owner, name)
}

// Repositories returns those of an installation, or all (0), by name, removed ones too.
func (s *Store) Repositories(ctx context.Context, installation int64) ([]*Repository, error) {
	var w where
	if installation != 0 {
		w.add("installation = ?", installation)
	}
	list, err := all(ctx, s.read(), (*Repository).columns, "SELECT "+repositoryColumns+" FROM repositories"+w.String()+
		" ORDER BY lower(owner), lower(name), id", w.args...)
	return list, about(err, "repositories of installation %d", installation)
}
