package store

import "context"

// Setting returns the value of a setting, or ErrNotFound.
func (s *Store) Setting(ctx context.Context, name string) (value []byte, err error) {
	v, err := one(ctx, s.read(), func(b *[]byte) []any { return []any{b} }, "SELECT value FROM settings WHERE name = ?", name)
	if err != nil {
		return nil, about(err, "setting %s", name)
	}
	return *v, nil
}

// SetSetting inserts or replaces a setting.
func (s *Store) SetSetting(ctx context.Context, name string, value []byte) error {
	return about(s.write(ctx, func(ctx context.Context, q querier) error {
		_, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
		return err
	}), "setting %s", name)
}

// SetSettingOnce sets what is not set; of several at once exactly one gets set = true.
func (s *Store) SetSettingOnce(ctx context.Context, name string, value []byte) (set bool, err error) {
	err = s.write(ctx, func(ctx context.Context, q querier) error {
		n, err := q.exec(ctx, "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, value)
		set = n == 1
		return err
	})
	return set && err == nil, about(err, "setting %s", name)
}
