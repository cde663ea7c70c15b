package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"pecrawler/store"
)

// Every version has a way down and up again.
func TestMigrationsUpAndDown(t *testing.T) {
	both(t, func(t *testing.T, place string) {
		ctx := t.Context()
		if _, err := store.Open(ctx, place); store.IsPostgres(place) && (err == nil || !strings.Contains(err.Error(), "pecrawler store migrate")) {
			t.Errorf("opened without tables: %v", err)
		}
		_, newest, err := store.Migrate(ctx, place, store.Newest)
		if err != nil {
			t.Fatal(err)
		}
		for v := newest - 1; v >= 0; v-- {
			for _, to := range []int64{v, newest, v} {
				if _, at, err := store.Migrate(ctx, place, to); err != nil || at > to || to == newest && at != newest { // numbers may have gaps
					t.Fatalf("to %d: at %d, %v", to, at, err)
				}
			}
		}
		if _, _, err := store.Migrate(ctx, place, newest+1); err == nil {
			t.Error("migrated to a version that there is not")
		}
		s := begin(t, place)
		if _, err := s.Sweeps(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Programs that start together make a store once.
func TestOpenedAtOnce(t *testing.T) {
	for range 3 {
		place := filepath.Join(t.TempDir(), "s.db")
		var all errgroup.Group
		for range 6 {
			all.Go(func() error {
				s, err := store.Open(t.Context(), place)
				if err != nil {
					return err
				}
				return s.Close()
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

// What is not for both databases is there for each of them.
func TestEachDatabaseHasEachMigration(t *testing.T) {
	names := map[string]string{}
	err := fs.WalkDir(os.DirFS("migrations"), ".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names[d.Name()] += " " + filepath.Dir(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range names {
		if in != " ." && in != " postgres sqlite" {
			t.Errorf("%s is in%s: want it in migrations/, or in migrations/postgres/ and migrations/sqlite/", name, in)
		}
	}
}

func TestNoErrorHasThePassword(t *testing.T) {
	for _, place := range []string{"postgres://u:s3cret@127.0.0.1:1/db?sslmode=disable", "postgres://u:s3cret@127.0.0.1:x/db", "postgres://127.0.0.1:1/db?user=u&password=s3cret", "postgres://u:s3cret@127.0.0.1:1/db?sslmode=odd", "postgres://u:s3cret@[bad/db"} {
		begun := time.Now()
		_, err := store.Open(t.Context(), place)
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(store.Place(place), "s3cret") {
			t.Errorf("%v; %s", err, store.Place(place))
		}
		if time.Since(begun) > 15*time.Second {
			t.Errorf("%s was waited for too long", store.Place(place))
		}
	}
}

// A database in another order than that of bytes is refused.
func TestLocaleIsC(t *testing.T) {
	db := beside(t, onPostgres(t))
	if _, err := db.Exec(`CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`); err != nil {
		t.Fatal(err)
	}
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Migrate(t.Context(), s.URL("latin"), store.Newest); err == nil || !strings.Contains(err.Error(), "createdb") {
		t.Errorf("a database in LATIN1: %v", err)
	}
}

// A server that goes away fails what is under way, in time and by name, and the
// store goes on when it is back.
func TestServerGoesAway(t *testing.T) {
	if testing.Short() {
		t.Skip("kills the server that the other tests have")
	}
	s, _ := open(t, onPostgres(t))
	srv, err := server()
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), store.Entry{At: at(0), Who: "ann", Act: "view"}); err == nil {
		t.Error("written to a server that is gone")
	}
	if err := srv.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := s.Note(t.Context(), store.Entry{At: at(0), Who: "ann", Act: "view"}); err != nil {
		t.Errorf("the server is back: %v", err)
	}
	if n, _, err := s.VerifyAudit(t.Context()); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
}
