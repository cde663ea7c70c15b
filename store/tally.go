package store

import (
	"context"
	"fmt"
)

// UnderWay returns the sweeps that have not ended, the newest first.
func (s *Store) UnderWay(ctx context.Context) ([]Sweep, error) {
	return s.sweeps(ctx, `WHERE finished_ms = 0 ORDER BY created_ms DESC, id`)
}

// Tally counts the cases of all sweeps by where they stand, and the decisions on
// whole sites by what was decided.
func (s *Store) Tally(ctx context.Context) (cases, acts map[string]int, err error) {
	count := func(query string) (map[string]int, error) {
		rows, err := s.db.QueryContext(ctx, query)
		if err != nil {
			return nil, fmt.Errorf("count cases and decisions: %w", err)
		}
		defer rows.Close()
		n := map[string]int{}
		for rows.Next() {
			var k string
			var v int
			if err := rows.Scan(&k, &v); err != nil {
				return nil, fmt.Errorf("count cases and decisions: %w", err)
			}
			n[k] = v
		}
		return n, rows.Err()
	}
	if cases, err = count(`SELECT status, count(*) FROM casefile GROUP BY status`); err != nil {
		return nil, nil, err
	}
	acts, err = count(`SELECT act, count(*) FROM decision WHERE rule = '' GROUP BY act`)
	return cases, acts, err
}
