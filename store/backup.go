package store

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Backup writes a copy of a SQLite store as it is at this moment to a file that is
// not there yet, while others read and write it. A PostgreSQL server has better
// tools of its own, see docs/store.md.
func (s *Store) Backup(ctx context.Context, file string) error {
	if s.sql.name != "sqlite" {
		return errors.New("PostgreSQL is copied by pg_dump, see docs/store.md")
	}
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("copy the store: %s is there already", file)
	}
	if _, err := s.db.ExecContext(ctx, `VACUUM INTO $1`, file); err != nil {
		return fmt.Errorf("copy the store to %s: %w", file, err)
	}
	return nil
}
