package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// attempts is how often a transaction is tried that another one got in the way of.
const attempts = 5

// tx does something all or nothing. It is done again when another transaction
// got in its way, so do must begin anew each time.
func (s *Store) tx(ctx context.Context, what string, do func(*sql.Tx) error) error {
	for n := 1; ; n++ {
		err := s.once(ctx, do)
		if err == nil {
			return nil
		}
		if n == attempts || !again(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		s.db.met.retries.Inc()
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, errors.Join(err, ctx.Err()))
		case <-time.After(time.Duration(n) * (5 + rand.N(20*time.Millisecond))):
		}
	}
}

func (s *Store) once(ctx context.Context, do func(*sql.Tx) error) (err error) {
	begin := time.Now()
	defer func() { s.db.met.done("transaction", begin, err) }()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		if back := tx.Rollback(); !errors.Is(back, sql.ErrTxDone) { // an ended context has rolled it back
			err = errors.Join(err, back)
		}
		return err
	}
	return tx.Commit()
}

// logged is tx for what writes to the audit log. The log is one chain, so there
// is one such transaction at a time, over all processes; what it reads is what
// the one before left.
func (s *Store) logged(ctx context.Context, what string, do func(*sql.Tx) error) error {
	return s.tx(ctx, what, func(tx *sql.Tx) error {
		if s.sql.oneWriter != "" {
			if _, err := tx.ExecContext(ctx, s.sql.oneWriter); err != nil {
				return err
			}
		}
		return do(tx)
	})
}

// changed is how many rows a statement changed: changed(tx.ExecContext(…)).
func changed(res sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// again tells whether an error is that of a transaction that can be tried again:
// PostgreSQL chose it to end a deadlock or could not put it in order, or another
// has written the entry of the audit log that was to be the next.
func again(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001" || pg.Code == "23505" && pg.TableName == "audit")
}

// text makes of a text what both databases hold: UTF-8 without the character 0.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
}

// clip cuts a text to a number of bytes: what is in an index has to fit into a page of it.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
