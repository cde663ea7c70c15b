package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations
var migrations embed.FS

// dialect is what differs between the databases.
type dialect struct {
	name      string
	goose     goose.Dialect
	position  string // the function that finds a text in a text: haystack, needle
	hidden    string // stands before a column that the planner is not to look up
	forUpdate string // holds the row that is read until the transaction ends
	oneWriter string // lets in one transaction at a time that writes to the audit log
	most      int    // connections that a process holds
}

func sqlite() dialect {
	// Every transaction has the whole database: _txlock=immediate.
	return dialect{name: "sqlite", goose: goose.DialectSQLite3, position: "instr", hidden: "+", most: 4}
}

func postgres() dialect {
	return dialect{name: "postgres", goose: goose.DialectPostgres, position: "strpos", forUpdate: " FOR UPDATE",
		oneWriter: `SELECT pg_advisory_xact_lock(7166931)`, // the number means nothing but this
		most:      8}                                       // a server admits 100 unless told otherwise
}

// contains is the condition that a column has a text in it, with a place for the argument's number.
func (d dialect) contains(column string) string { return d.position + "(" + column + ", $%d) > 0" }

func (d dialect) hide(column string) string { return d.hidden + column }

// IsPostgres tells whether a place is one of a PostgreSQL server.
func IsPostgres(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// Place is where a store is, without the password, for people to read.
func Place(place string) string {
	if !IsPostgres(place) {
		return strings.TrimPrefix(place, "sqlite:")
	}
	u, err := url.Parse(place)
	if err != nil {
		return "postgres://…" // what cannot be read may have a password anywhere
	}
	q := u.Query()
	for _, secret := range []string{"password", "sslpassword"} {
		if q.Has(secret) {
			q.Set(secret, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}

// HasPassword tells whether a place has a password in it.
func HasPassword(place string) bool {
	u, err := url.Parse(place)
	if err != nil || !IsPostgres(place) {
		return false
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// connectTime is how long a connection to a server may take to be made.
const connectTime = 10 * time.Second

// Open opens a store: the SQLite database at a path ("sqlite:" may stand before
// it), which is made if it is not there, or a database of a PostgreSQL server,
// postgres://user@host/database. Its password is best left to the variable
// PGPASSWORD or the file that PGPASSFILE names; no error has it.
//
// The tables of SQLite are brought up to date. Those of PostgreSQL are not, since
// other programs are at work with them: [Migrate] does, and Open tells when it has to.
func Open(ctx context.Context, place string) (*Store, error) {
	s, err := connect(ctx, place)
	if err != nil {
		return nil, err
	}
	if err := s.upToDate(ctx); err != nil {
		s.db.Close()
		return nil, fmt.Errorf("open the store %s: %w", Place(place), err)
	}
	return s, nil
}

// Newest is the version that [Migrate] brings a store to when it is asked for no other.
const Newest = -1

// Migrate brings the tables of a store to a version, up or down, and returns the
// one before. Down loses what the newer tables hold.
func Migrate(ctx context.Context, place string, to int64) (from, at int64, err error) {
	s, err := connect(ctx, place)
	if err != nil {
		return 0, 0, err
	}
	defer s.Close()
	if from, at, err = s.migrate(ctx, to); err != nil {
		err = fmt.Errorf("migrate the store %s: %w", Place(place), err)
	}
	return from, at, err
}

func connect(ctx context.Context, place string) (*Store, error) {
	s := &Store{sql: sqlite(), db: database{met: newMetrics()}}
	var err error
	if IsPostgres(place) {
		s.sql = postgres()
		s.db.DB, err = openPostgres(ctx, place)
	} else {
		q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)"}, "_txlock": {"immediate"}}
		s.folder = filepath.Dir(Place(place))
		s.db.DB, err = sql.Open("sqlite", "file:"+(&url.URL{Path: Place(place)}).EscapedPath()+"?"+q.Encode())
	}
	if err != nil {
		return nil, fmt.Errorf("open the store %s: %w", Place(place), err)
	}
	s.db.SetMaxOpenConns(s.sql.most)
	s.db.SetMaxIdleConns(s.sql.most)
	s.db.SetConnMaxIdleTime(5 * time.Minute)
	return s, nil
}

func openPostgres(ctx context.Context, place string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(place)
	if err != nil {
		return nil, errors.New("want postgres://user@host:port/database; the password can be in the variable PGPASSWORD or the file that PGPASSFILE names")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTime
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "pecrawler"
	}
	// A client that is gone, or one that waits for a lock for ever, must not hold up the others.
	for k, v := range map[string]string{"idle_in_transaction_session_timeout": "60000", "lock_timeout": "30000"} {
		if cfg.RuntimeParams[k] == "" {
			cfg.RuntimeParams[k] = v
		}
	}
	db := stdlib.OpenDB(*cfg)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the server does not let us in: %w", err), db.Close())
	}
	var order, coding string
	err = db.QueryRowContext(ctx, `SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()`).Scan(&order, &coding)
	if err == nil && (order != "C" && order != "C.UTF-8" && order != "C.utf8" && order != "POSIX" || coding != "UTF8") {
		// The order of another locale changes with the system's library, and then the indexes are wrong.
		err = fmt.Errorf("the database sorts by %s and writes %s: make it with createdb --template=template0 --locale=C --encoding=UTF8 %s", order, coding, cfg.Database)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Check tells what a PostgreSQL server is, and what is wrong with it: that it may
// not be written to, or has no room for the connections of another process.
func (s *Store) Check(ctx context.Context) (said string, err error) {
	var version, readOnly string
	var most, taken int
	if err := s.db.QueryRowContext(ctx, `SELECT current_setting('server_version'), current_setting('transaction_read_only'), current_setting('max_connections')::int, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`).Scan(&version, &readOnly, &most, &taken); err != nil {
		return "", fmt.Errorf("ask the server: %w", err)
	}
	said = fmt.Sprintf("PostgreSQL %s, %d of %d connections are taken", version, taken, most)
	begin := time.Now()
	switch _, err := s.db.ExecContext(ctx, `UPDATE sweep SET agree = agree WHERE id = ''`); {
	case readOnly == "on":
		return said, errors.New("the server can only be read: name the primary, not a copy of it")
	case err != nil:
		return said, fmt.Errorf("the tables may not be written: grant the user SELECT, INSERT, UPDATE and DELETE on them: %w", err)
	case most-taken < s.sql.most:
		return said, fmt.Errorf("%s, and a process takes up to %d: raise max_connections", said, s.sql.most)
	}
	return said + ", " + time.Since(begin).Round(time.Millisecond/10).String() + " away", nil
}

// sources are the migrations of a dialect: those for all and its own.
type sources struct{ common, own fs.FS }

func (s sources) Open(name string) (fs.File, error) {
	f, err := s.own.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return s.common.Open(name)
	}
	return f, err
}

func (s sources) Glob(pattern string) ([]string, error) {
	a, err := fs.Glob(s.common, pattern)
	if err != nil {
		return nil, err
	}
	b, err := fs.Glob(s.own, pattern)
	return slices.Sorted(slices.Values(append(a, b...))), err // goose takes them as they come
}

func (s *Store) migrator() (*goose.Provider, error) {
	common, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(common, s.sql.name)
	if err != nil {
		return nil, err
	}
	var opts []goose.ProviderOption
	if s.sql.goose == goose.DialectPostgres {
		one, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		opts = append(opts, goose.WithSessionLocker(one))
	}
	// Two branches may add one each, and a store may have met the later one first.
	opts = append(opts, goose.WithAllowOutofOrder(true))
	return goose.NewProvider(s.sql.goose, s.db.DB, sources{common, own}, opts...)
}

func (s *Store) migrate(ctx context.Context, to int64) (from, at int64, err error) {
	p, err := s.migrator()
	if err != nil {
		return 0, 0, err
	}
	one, err := s.alone()
	if err != nil {
		return 0, 0, err
	}
	defer one.Close()
	newest := newestOf(p)
	if from, err = p.GetDBVersion(ctx); err != nil {
		return 0, 0, err
	}
	switch {
	case to == Newest:
		_, err = p.Up(ctx)
	case to > newest || to < 0:
		return from, from, fmt.Errorf("there is no version %d: the newest is %d", to, newest)
	case to >= from:
		_, err = p.UpTo(ctx, to)
	default:
		_, err = p.DownTo(ctx, to)
	}
	at, err2 := p.GetDBVersion(ctx)
	return from, at, errors.Join(err, err2)
}

// alone waits until no other process changes the tables of a SQLite store, as the
// locker of the migrations does for PostgreSQL; Close lets the next one in. It is the
// folder that is locked: closing another file handle of the database would end
// SQLite's own locks.
func (s *Store) alone() (io.Closer, error) {
	if s.folder == "" {
		return io.NopCloser(nil), nil
	}
	f, err := os.Open(s.folder)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", s.folder, err), f.Close())
	}
	return f, nil
}

// newestOf is the version of the last migration; they come in order.
func newestOf(p *goose.Provider) int64 {
	all := p.ListSources()
	return all[len(all)-1].Version
}

// upToDate brings SQLite to the newest version, and tells whether PostgreSQL is.
func (s *Store) upToDate(ctx context.Context) error {
	if s.sql.name == "sqlite" {
		_, _, err := s.migrate(ctx, Newest)
		return err
	}
	p, err := s.migrator()
	if err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return err
	}
	if pending {
		return fmt.Errorf("its tables are not those of this program, which wants version %d: run pecrawler store migrate once, as the owner of the database", newestOf(p))
	}
	return nil
}
