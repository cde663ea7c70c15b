// Package store is the index of sweeps: their sites, the results of visits and
// the last words on sites, in SQL. It holds no evidence, and everything in it
// but the lists and what people did can be made again from the bundles.
//
// What people did is kept apart: a [Decision], a [Step] that followed from it and
// an [Entry] of the audit log are never changed, and the database itself refuses to. A [Case] is where the
// review of a flagged site stands.
//
// Writes are keyed by what they say, so that doing one twice changes nothing:
// after a crash the queue sends again what it is not sure of.
//
// The database is SQLite for one machine and PostgreSQL for a fleet, see [Open].
// All statements but a few words, see dialect, are the same on both, and every
// test runs on both.
//
// A change of the tables is a file in migrations/, NNNNN_name.sql, with a way up
// and a way down that both databases take: TEXT, BIGINT and DOUBLE PRECISION;
// numbers and times as BIGINT; no column that numbers itself, no trigger, no
// change of a column's type. What they cannot both take is two files with that
// name, in migrations/sqlite/ and migrations/postgres/. A program of the version
// before has to be able to work with the new tables: workers are replaced one by one.
//
// What writes to the audit log is done in logged, everything else in tx.
package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	pc "pecrawler"
)

// refusal is an error that says no to the caller, for what there is or is not in
// the store: no failure of the database.
type refusal string

func (r refusal) Error() string { return string(r) }

// ErrNotFound means that there is no such sweep or site.
var ErrNotFound error = refusal("not found")

// Store is an open database. Its methods may be called from several goroutines.
type Store struct {
	db     database
	sql    dialect
	folder string // of the file of SQLite; "" with PostgreSQL
}

// Sweep is a named list of sites with its settings.
type Sweep struct {
	ID         string
	ListDigest string
	Settings   string // as JSON, for the record
	Agree      int    // visits that must agree before a flag
	Created    time.Time
	Finished   time.Time // zero: not yet
}

// Site is one line of a sweep's list.
type Site struct {
	Site   string
	URL    string
	Rank   int
	Sector string
	Line   int
}

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// CreateSweep stores a sweep with its sites, all or nothing.
func (s *Store) CreateSweep(ctx context.Context, sw Sweep, sites []Site) error {
	return s.tx(ctx, "create sweep "+sw.ID, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO sweep (id, list_digest, settings, agree, created_ms) VALUES ($1, $2, $3, $4, $5)`,
			sw.ID, sw.ListDigest, sw.Settings, sw.Agree, sw.Created.UnixMilli()); err != nil {
			return err
		}
		return addSites(ctx, tx, sw.ID, sites)
	})
}

// AddSites adds sites to the list of a sweep; one that is there stays as it is.
func (s *Store) AddSites(ctx context.Context, sweep string, sites []Site) error {
	return s.tx(ctx, "add sites to "+sweep, func(tx *sql.Tx) error { return addSites(ctx, tx, sweep, sites) })
}

func addSites(ctx context.Context, tx *sql.Tx, sweep string, sites []Site) error {
	ins, err := tx.PrepareContext(ctx, `INSERT INTO site (sweep, site, line, url, rank, sector) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`)
	if err != nil {
		return err
	}
	defer ins.Close()
	for _, e := range sites {
		if _, err := ins.ExecContext(ctx, sweep, e.Site, e.Line, e.URL, e.Rank, e.Sector); err != nil {
			return err
		}
	}
	return nil
}

const sweepColumns = `SELECT id, list_digest, settings, agree, created_ms, finished_ms FROM sweep `

func (s *Store) sweeps(ctx context.Context, where string, args ...any) ([]Sweep, error) {
	rows, err := s.db.QueryContext(ctx, sweepColumns+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read sweeps: %w", err)
	}
	defer rows.Close()
	var out []Sweep
	for rows.Next() {
		var sw Sweep
		var created, finished int64
		if err := rows.Scan(&sw.ID, &sw.ListDigest, &sw.Settings, &sw.Agree, &created, &finished); err != nil {
			return nil, fmt.Errorf("read sweeps: %w", err)
		}
		sw.Created = time.UnixMilli(created).UTC()
		if finished > 0 {
			sw.Finished = time.UnixMilli(finished).UTC()
		}
		out = append(out, sw)
	}
	return out, rows.Err()
}

// Sweeps returns all sweeps, the newest first.
func (s *Store) Sweeps(ctx context.Context) ([]Sweep, error) {
	return s.sweeps(ctx, `ORDER BY created_ms DESC, id`)
}

// Sweep returns a sweep, or ErrNotFound.
func (s *Store) Sweep(ctx context.Context, id string) (Sweep, error) {
	return one(s.sweeps(ctx, `WHERE id = $1`, id))
}

// Unfinished returns the newest unfinished sweep of the same list and settings, or ErrNotFound.
func (s *Store) Unfinished(ctx context.Context, listDigest, settings string) (Sweep, error) {
	return one(s.sweeps(ctx, `WHERE list_digest = $1 AND settings = $2 AND finished_ms = 0 ORDER BY created_ms DESC`, listDigest, settings))
}

func one(sws []Sweep, err error) (Sweep, error) {
	if err != nil {
		return Sweep{}, err
	}
	if len(sws) == 0 {
		return Sweep{}, ErrNotFound
	}
	return sws[0], nil
}

// Finish marks a sweep as finished.
func (s *Store) Finish(ctx context.Context, id string, at time.Time) error {
	if _, err := s.db.ExecContext(ctx, `UPDATE sweep SET finished_ms = $1 WHERE id = $2`, at.UnixMilli(), id); err != nil {
		return fmt.Errorf("finish sweep %s: %w", id, err)
	}
	return nil
}

// OnList tells whether a site is on the list of a sweep.
func (s *Store) OnList(ctx context.Context, sweep, site string) (bool, error) {
	var n int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM site WHERE sweep = $1 AND site = $2`, sweep, site).Scan(&n); err != nil {
		return false, fmt.Errorf("look for %s on the list of %s: %w", site, sweep, err)
	}
	return n > 0, nil
}

// Reopen takes a finished sweep up again: the last words on sites that could not
// be reached or were blocked are withdrawn, so that they are pending. Their
// results stay. It returns how many there were.
func (s *Store) Reopen(ctx context.Context, id string) (n int, err error) {
	err = s.tx(ctx, "reopen sweep "+id, func(tx *sql.Tx) error {
		const failed = ` FROM word WHERE sweep = $1 AND overall = $2 AND outcome IN ($3, $4)`
		args := []any{id, string(pc.NotAssessed), string(pc.Unreachable), string(pc.Blocked)}
		if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE sweep = $1 AND site IN (SELECT site`+failed+`)`, args...); err != nil {
			return err
		}
		gone, err := changed(tx.ExecContext(ctx, `DELETE`+failed, args...))
		if err != nil {
			return err
		}
		n = int(gone)
		_, err = tx.ExecContext(ctx, `UPDATE sweep SET finished_ms = 0 WHERE id = $1`, id)
		return err
	})
	return n, err
}

// Begun returns the sites of a sweep that have results and no last word.
func (s *Store) Begun(ctx context.Context, sweep string) ([]string, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT DISTINCT site FROM result WHERE sweep = $1
		AND NOT EXISTS (SELECT 1 FROM word WHERE word.sweep = result.sweep AND word.site = result.site) ORDER BY site`, sweep)
	if err != nil {
		return nil, fmt.Errorf("read the begun sites of %s: %w", sweep, err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var site string
		if err := rows.Scan(&site); err != nil {
			return nil, fmt.Errorf("read the begun sites of %s: %w", sweep, err)
		}
		out = append(out, site)
	}
	return out, rows.Err()
}

// Pending returns the sites of a sweep that have no last word yet, in the order of the list.
func (s *Store) Pending(ctx context.Context, sweep string) ([]Site, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT site, url, rank, sector, line FROM site WHERE sweep = $1
		AND NOT EXISTS (SELECT 1 FROM word WHERE word.sweep = site.sweep AND word.site = site.site) ORDER BY line, site`, sweep)
	if err != nil {
		return nil, fmt.Errorf("read pending sites of %s: %w", sweep, err)
	}
	defer rows.Close()
	var out []Site
	for rows.Next() {
		var e Site
		if err := rows.Scan(&e.Site, &e.URL, &e.Rank, &e.Sector, &e.Line); err != nil {
			return nil, fmt.Errorf("read pending sites of %s: %w", sweep, err)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// PutResult stores the verdict of one visit; the first one of a visit stands.
func (s *Store) PutResult(ctx context.Context, v pc.Verdict) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the result of %s: %w", v.Site, err)
	}
	if _, err := s.db.ExecContext(ctx, `INSERT INTO result (sweep, site, visit, verdict) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, v.Sweep, v.Site, v.Visit, string(raw)); err != nil {
		return fmt.Errorf("store the result of %s: %w", v.Site, err)
	}
	return nil
}

// Results returns the verdicts of the visits of a site, by number.
func (s *Store) Results(ctx context.Context, sweep, site string) ([]pc.Verdict, error) {
	return s.verdicts(ctx, `SELECT verdict FROM result WHERE sweep = $1 AND site = $2 ORDER BY visit`, sweep, site)
}

func (s *Store) verdicts(ctx context.Context, query string, args ...any) ([]pc.Verdict, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	defer rows.Close()
	out := []pc.Verdict{}
	for rows.Next() {
		var raw string
		var v pc.Verdict
		if err := rows.Scan(&raw); err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			return nil, fmt.Errorf("read verdicts: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// PutWord stores the last word on a site. It replaces one of as many visits or
// fewer; two collectors may come to different ones at the same time. A word of no
// visit, that nobody looked at the site, is stored only where there is neither a
// word nor a result: whoever says it may not know yet what another has taken in.
func (s *Store) PutWord(ctx context.Context, v pc.Verdict) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode the word on %s: %w", v.Site, err)
	}
	put := `INSERT INTO word (sweep, site, overall, outcome, reason, cmp, rank, verdict, visits) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		ON CONFLICT (sweep, site) DO UPDATE SET overall = excluded.overall, outcome = excluded.outcome, reason = excluded.reason, cmp = excluded.cmp, verdict = excluded.verdict, visits = excluded.visits WHERE word.visits <= excluded.visits`
	if v.Visits == 0 {
		put = `INSERT INTO word (sweep, site, overall, outcome, reason, cmp, rank, verdict, visits)
			SELECT $1, $2, $3, $4, $5, $6, CAST($7 AS BIGINT), $8, CAST($9 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM result WHERE sweep = $1 AND site = $2)
			ON CONFLICT (sweep, site) DO NOTHING`
	}
	return s.tx(ctx, "store the word on "+v.Site, func(tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, put,
			v.Sweep, v.Site, string(v.Overall), string(v.Outcome), text(v.Reason), text(v.Banner.CMP), v.Rank, string(raw), v.Visits))
		if err != nil || n == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE sweep = $1 AND site = $2`, v.Sweep, v.Site); err != nil {
			return err
		}
		for _, f := range v.Findings {
			if _, err := tx.ExecContext(ctx, `INSERT INTO finding (sweep, site, rule, outcome) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, v.Sweep, v.Site, f.Rule, string(f.Outcome)); err != nil {
				return err
			}
		}
		return file(ctx, tx, v)
	})
}

// Filter narrows a list of words. Zero fields do not narrow.
type Filter struct {
	Overall pc.Overall
	Rule    string // that failed or was unsure
	Query   string // part of the site's name
	Limit   int    // 0: all
	Offset  int
}

// Words returns the last words of a sweep by site, and how many there are
// without Limit and Offset.
func (s *Store) Words(ctx context.Context, sweep string, f Filter) ([]pc.Verdict, int, error) {
	where, args := []string{"sweep = $1"}, []any{sweep}
	add := func(cond string, v any) {
		args = append(args, v)
		where = append(where, fmt.Sprintf(cond, len(args)))
	}
	if f.Overall != "" {
		add("overall = $%d", string(f.Overall))
	}
	if f.Query != "" {
		add(s.sql.contains("site"), strings.ToLower(f.Query))
	}
	if f.Rule != "" {
		add("site IN (SELECT site FROM finding WHERE sweep = $1 AND rule = $%d AND outcome IN ('fail', 'unsure'))", f.Rule)
	}
	cond := " FROM word WHERE " + strings.Join(where, " AND ")
	var total int
	if err := s.db.QueryRowContext(ctx, "SELECT count(*)"+cond, args...).Scan(&total); err != nil {
		return nil, 0, fmt.Errorf("count verdicts: %w", err)
	}
	limit := ""
	if f.Limit > 0 {
		limit = fmt.Sprintf(" LIMIT %d OFFSET %d", f.Limit, max(f.Offset, 0))
	}
	vs, err := s.verdicts(ctx, "SELECT verdict"+cond+" ORDER BY site"+limit, args...)
	return vs, total, err
}

// EachWord calls do with the last words of a sweep, by site, one at a time: a
// sweep may be larger than the memory. It ends at the first error and returns it.
func (s *Store) EachWord(ctx context.Context, sweep string, do func(pc.Verdict) error) error {
	rows, err := s.db.QueryContext(ctx, `SELECT verdict FROM word WHERE sweep = $1 ORDER BY site`, sweep)
	if err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var raw sql.RawBytes
		var v pc.Verdict
		if err := rows.Scan(&raw); err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
		if err := json.Unmarshal(raw, &v); err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
		if err := do(v); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read verdicts: %w", err)
	}
	return nil
}

// Word returns the last word on a site, or ErrNotFound.
func (s *Store) Word(ctx context.Context, sweep, site string) (pc.Verdict, error) {
	vs, err := s.verdicts(ctx, `SELECT verdict FROM word WHERE sweep = $1 AND site = $2`, sweep, site)
	if err != nil {
		return pc.Verdict{}, err
	}
	if len(vs) == 0 {
		return pc.Verdict{}, ErrNotFound
	}
	return vs[0], nil
}

// Counts are the numbers of a sweep.
type Counts struct {
	Sites   int                // on the list
	Done    int                // with a last word
	Visits  int                // with a result
	Overall map[pc.Overall]int // by last word
	Outcome map[pc.Outcome]int // by outcome
}

// Counts returns the numbers of a sweep.
func (s *Store) Counts(ctx context.Context, sweep string) (Counts, error) {
	c := Counts{Overall: map[pc.Overall]int{}, Outcome: map[pc.Outcome]int{}}
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM site WHERE sweep = $1`, sweep).Scan(&c.Sites); err != nil {
		return c, fmt.Errorf("count sites: %w", err)
	}
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM result WHERE sweep = $1`, sweep).Scan(&c.Visits); err != nil {
		return c, fmt.Errorf("count results: %w", err)
	}
	rows, err := s.db.QueryContext(ctx, `SELECT overall, outcome, count(*) FROM word WHERE sweep = $1 GROUP BY overall, outcome`, sweep)
	if err != nil {
		return c, fmt.Errorf("count words: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var overall, outcome string
		var n int
		if err := rows.Scan(&overall, &outcome, &n); err != nil {
			return c, fmt.Errorf("count words: %w", err)
		}
		c.Overall[pc.Overall(overall)] += n
		c.Outcome[pc.Outcome(outcome)] += n
		c.Done += n
	}
	return c, rows.Err()
}

// Census counts how a rule ended on the sites of a sweep.
func (s *Store) Census(ctx context.Context, sweep, rule string) (map[pc.RuleOutcome]int, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT outcome, count(*) FROM finding WHERE sweep = $1 AND rule = $2 GROUP BY outcome`, sweep, rule)
	if err != nil {
		return nil, fmt.Errorf("count findings of %s: %w", rule, err)
	}
	defer rows.Close()
	out := map[pc.RuleOutcome]int{}
	for rows.Next() {
		var outcome string
		var n int
		if err := rows.Scan(&outcome, &n); err != nil {
			return nil, fmt.Errorf("count findings of %s: %w", rule, err)
		}
		out[pc.RuleOutcome(outcome)] = n
	}
	return out, rows.Err()
}
