package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	pc "pecrawler"
)

// Judgement is what came of judging a sweep's stored bundles again. The words
// of the sweep itself stay: they are what people saw and decided on.
type Judgement struct {
	Sweep   string
	MadeBy  string // versions of classifier, lists and rules: the same ones, the same judgement
	Made    time.Time
	Sites   int
	Changed int
}

// Change is a site on which the last word would be another.
type Change struct {
	Site    string
	Was     pc.Overall
	Differs string     // in words
	Now     pc.Verdict // as it would be
}

// PutJudgement stores a judgement; one by the same versions is replaced.
func (s *Store) PutJudgement(ctx context.Context, j Judgement, changes []Change) error {
	return s.tx(ctx, "store the judgement of "+j.Sweep, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM change WHERE sweep = $1 AND made_by = $2`, j.Sweep, j.MadeBy); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO judgement (sweep, made_by, made_ms, sites, changed) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (sweep, made_by) DO UPDATE SET made_ms = excluded.made_ms, sites = excluded.sites, changed = excluded.changed`,
			j.Sweep, j.MadeBy, j.Made.UnixMilli(), j.Sites, j.Changed); err != nil {
			return err
		}
		ins, err := tx.PrepareContext(ctx, `INSERT INTO change (sweep, made_by, site, was, becomes, differs, verdict) VALUES ($1, $2, $3, $4, $5, $6, $7)`)
		if err != nil {
			return err
		}
		defer ins.Close()
		for _, c := range changes {
			raw, err := json.Marshal(c.Now)
			if err != nil {
				return err
			}
			if _, err := ins.ExecContext(ctx, j.Sweep, j.MadeBy, c.Site, string(c.Was), string(c.Now.Overall), c.Differs, string(raw)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Judgements returns how often and with what a sweep was judged again, the newest first.
func (s *Store) Judgements(ctx context.Context, sweep string) ([]Judgement, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT sweep, made_by, made_ms, sites, changed FROM judgement WHERE sweep = $1 ORDER BY made_ms DESC, made_by`, sweep)
	if err != nil {
		return nil, fmt.Errorf("read judgements of %s: %w", sweep, err)
	}
	defer rows.Close()
	var out []Judgement
	for rows.Next() {
		var j Judgement
		var made int64
		if err := rows.Scan(&j.Sweep, &j.MadeBy, &made, &j.Sites, &j.Changed); err != nil {
			return nil, fmt.Errorf("read judgements of %s: %w", sweep, err)
		}
		j.Made = time.UnixMilli(made).UTC()
		out = append(out, j)
	}
	return out, rows.Err()
}

// Changes returns what a judgement would change, by site.
func (s *Store) Changes(ctx context.Context, sweep, madeBy string) ([]Change, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT site, was, differs, verdict FROM change WHERE sweep = $1 AND made_by = $2 ORDER BY site`, sweep, madeBy)
	if err != nil {
		return nil, fmt.Errorf("read changes of %s: %w", sweep, err)
	}
	defer rows.Close()
	var out []Change
	for rows.Next() {
		var c Change
		var raw string
		if err := rows.Scan(&c.Site, (*string)(&c.Was), &c.Differs, &raw); err != nil {
			return nil, fmt.Errorf("read changes of %s: %w", sweep, err)
		}
		if err := json.Unmarshal([]byte(raw), &c.Now); err != nil {
			return nil, fmt.Errorf("read changes of %s: %w", sweep, err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Rejudged is what a later judgement says of one site.
type Rejudged struct {
	MadeBy  string
	Made    time.Time
	Becomes pc.Overall // "": the word would stay, finding by finding
	Differs string     // in words
}

// RejudgedSite returns what the judgements of a sweep say of one site, the newest first.
func (s *Store) RejudgedSite(ctx context.Context, sweep, site string) ([]Rejudged, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT j.made_by, j.made_ms, coalesce(c.becomes, ''), coalesce(c.differs, '') FROM judgement j
		LEFT JOIN change c ON c.sweep = j.sweep AND c.made_by = j.made_by AND c.site = $2 WHERE j.sweep = $1 ORDER BY j.made_ms DESC, j.made_by`, sweep, site)
	if err != nil {
		return nil, fmt.Errorf("read what judgements say of %s: %w", site, err)
	}
	defer rows.Close()
	var out []Rejudged
	for rows.Next() {
		var r Rejudged
		var made int64
		if err := rows.Scan(&r.MadeBy, &made, (*string)(&r.Becomes), &r.Differs); err != nil {
			return nil, fmt.Errorf("read what judgements say of %s: %w", site, err)
		}
		r.Made = time.UnixMilli(made).UTC()
		out = append(out, r)
	}
	return out, rows.Err()
}
