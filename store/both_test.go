package store_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"pecrawler/internal/pgtest"
	"pecrawler/store"
)

// server starts PostgreSQL when the first test wants it.
var server = sync.OnceValues(pgtest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := server(); err == nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// both runs a test on each database, with a place where no store is yet.
func both(t *testing.T, do func(t *testing.T, place string)) {
	t.Run("sqlite", func(t *testing.T) { do(t, filepath.Join(t.TempDir(), "s.db")) })
	t.Run("postgres", func(t *testing.T) { do(t, onPostgres(t)) })
}

func onPostgres(t testing.TB) string {
	s, err := server()
	if errors.Is(err, pgtest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.Database(t)
}

// begin makes and opens a store.
func begin(t testing.TB, place string) *store.Store {
	t.Helper()
	if _, _, err := store.Migrate(t.Context(), place, store.Newest); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// beside is a second way into a store, for what the store itself would never do.
func beside(t testing.TB, place string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if store.IsPostgres(place) {
		driver = "pgx"
	}
	db, err := sql.Open(driver, place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
