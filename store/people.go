package store

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Account is somebody who signed in by single sign-on.
type Account struct {
	Name        string // by which decisions and the log know the person
	Roles       string // at the last sign-in, with + between them
	First, Last time.Time
}

// ErrNameTaken means that an account has a name that another account signed in by.
var ErrNameTaken error = refusal("another account has this name")

// Welcome notes that an account signs in, by the provider's own name for it, and
// logs it. It returns the name that the person has here: that of the first time.
// A name belongs to one account for good, so that nobody can decide as another.
func (s *Store) Welcome(ctx context.Context, subject string, a Account) (name string, err error) {
	err = s.logged(ctx, "sign in", func(tx *sql.Tx) error {
		at := a.Last.UnixMilli()
		err := tx.QueryRowContext(ctx, `SELECT name FROM account WHERE subject = $1`, subject).Scan(&name)
		switch {
		case err == nil:
			_, err = tx.ExecContext(ctx, `UPDATE account SET roles = $1, last_ms = $2 WHERE subject = $3`, a.Roles, at, subject)
		case errors.Is(err, sql.ErrNoRows):
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM account WHERE name = $1`, a.Name).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				return ErrNameTaken
			}
			name = a.Name
			_, err = tx.ExecContext(ctx, `INSERT INTO account (subject, name, roles, first_ms, last_ms) VALUES ($1, $2, $3, $4, $5)`, subject, name, a.Roles, at, at)
		}
		if err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: a.Last, Who: name, Act: "sign-in", Detail: a.Roles})
	})
	return name, err
}

// Accounts returns all accounts, by name.
func (s *Store) Accounts(ctx context.Context) ([]Account, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, roles, first_ms, last_ms FROM account ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read the accounts: %w", err)
	}
	defer rows.Close()
	var out []Account
	for rows.Next() {
		var a Account
		var first, last int64
		if err := rows.Scan(&a.Name, &a.Roles, &first, &last); err != nil {
			return nil, fmt.Errorf("read the accounts: %w", err)
		}
		a.First, a.Last = fromMilli(first), fromMilli(last)
		out = append(out, a)
	}
	return out, rows.Err()
}

// EndSessions ends the sessions of a person that began until now, and logs who did.
func (s *Store) EndSessions(ctx context.Context, person, who string, at time.Time) error {
	return s.logged(ctx, "end sessions", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO ended (person, at_ms) VALUES ($1, $2) ON CONFLICT (person) DO UPDATE SET at_ms = excluded.at_ms`, person, at.UnixMilli()); err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: at, Who: who, Act: "end-sessions", Subject: person})
	})
}

// SessionsEnded is when the sessions of a person were last ended; zero: never.
func (s *Store) SessionsEnded(ctx context.Context, person string) (time.Time, error) {
	var at int64
	err := s.db.QueryRowContext(ctx, `SELECT at_ms FROM ended WHERE person = $1`, person).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, fmt.Errorf("ask whether sessions were ended: %w", err)
	}
	return fromMilli(at), nil
}

// Token is the access of a program, without its secret.
type Token struct {
	ID      string // may be known
	Name    string // what it is for
	Role    string
	MadeBy  string
	Made    time.Time
	Expires time.Time
	Revoked time.Time // zero: not
	Used    time.Time // zero: never
}

// ErrNoToken means that a token is unknown, wrong, revoked or has expired.
var ErrNoToken error = refusal("no such token")

// PutToken stores a token and logs who made it. Of the secret, a hash is kept:
// it is random and long, so that a slow hash would add nothing.
func (s *Store) PutToken(ctx context.Context, t Token, secret string) error {
	return s.logged(ctx, "store a token", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO token (id, hash, name, role, made_by, made_ms, expires_ms) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			t.ID, hashOf(secret), t.Name, t.Role, t.MadeBy, t.Made.UnixMilli(), t.Expires.UnixMilli()); err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: t.Made, Who: t.MadeBy, Act: "make-token", Subject: t.ID, Detail: fmt.Sprintf("%s, as %s, until %s", t.Name, t.Role, t.Expires.UTC().Format(time.DateOnly))})
	})
}

// RevokeToken ends a token before its time, and logs who did.
func (s *Store) RevokeToken(ctx context.Context, id, who string, at time.Time) error {
	return s.logged(ctx, "revoke a token", func(tx *sql.Tx) error {
		n, err := changed(tx.ExecContext(ctx, `UPDATE token SET revoked_ms = $1 WHERE id = $2 AND revoked_ms = 0`, at.UnixMilli(), id))
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNotFound
		}
		return note(ctx, tx, Entry{At: at, Who: who, Act: "revoke-token", Subject: id})
	})
}

// UseToken returns the token of an id and a secret that are good now, or
// ErrNoToken, and logs what it is used for.
func (s *Store) UseToken(ctx context.Context, id, secret, what string, at time.Time) (t Token, err error) {
	err = s.logged(ctx, "use a token", func(tx *sql.Tx) error {
		var hash string
		if err := tx.QueryRowContext(ctx, `SELECT hash FROM token WHERE id = $1`, id).Scan(&hash); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return ErrNoToken
			}
			return err
		}
		if subtle.ConstantTimeCompare([]byte(hash), []byte(hashOf(secret))) != 1 {
			return ErrNoToken
		}
		ts, err := tokens(ctx, tx, `WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if t = ts[0]; !t.Revoked.IsZero() || !at.Before(t.Expires) {
			return ErrNoToken
		}
		if _, err := tx.ExecContext(ctx, `UPDATE token SET used_ms = $1 WHERE id = $2`, at.UnixMilli(), id); err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: at, Who: "token:" + t.Name, Act: "api", Subject: what, Detail: id})
	})
	return t, err
}

// Tokens returns all tokens, the newest first.
func (s *Store) Tokens(ctx context.Context) ([]Token, error) {
	return tokens(ctx, s.db, `ORDER BY made_ms DESC, id`)
}

func tokens(ctx context.Context, q querier, where string, args ...any) ([]Token, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, name, role, made_by, made_ms, expires_ms, revoked_ms, used_ms FROM token `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	defer rows.Close()
	var out []Token
	for rows.Next() {
		var t Token
		var made, expires, revoked, used int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &t.MadeBy, &made, &expires, &revoked, &used); err != nil {
			return nil, fmt.Errorf("read the tokens: %w", err)
		}
		t.Made, t.Expires, t.Revoked, t.Used = fromMilli(made), fromMilli(expires), fromMilli(revoked), fromMilli(used)
		out = append(out, t)
	}
	return out, rows.Err()
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// View is a filter of the queue that somebody keeps by a name.
type View struct{ Name, Filter string }

// MostViews is how many a person may keep.
const MostViews = 50

// ErrTooMany means that somebody keeps as many as there may be.
var ErrTooMany error = refusal("too many")

// SaveView keeps a filter for a person; one of the same name is replaced.
func (s *Store) SaveView(ctx context.Context, person string, v View) error {
	return s.tx(ctx, "save a view", func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM saved_view WHERE person = $1 AND name <> $2`, person, v.Name).Scan(&n); err != nil {
			return err
		}
		if n >= MostViews {
			return ErrTooMany
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO saved_view (person, name, filter) VALUES ($1, $2, $3) ON CONFLICT (person, name) DO UPDATE SET filter = excluded.filter`, person, v.Name, v.Filter)
		return err
	})
}

// DropView forgets a filter.
func (s *Store) DropView(ctx context.Context, person, name string) error {
	if _, err := s.db.ExecContext(ctx, `DELETE FROM saved_view WHERE person = $1 AND name = $2`, person, name); err != nil {
		return fmt.Errorf("drop a view: %w", err)
	}
	return nil
}

// Views returns what a person keeps, by name.
func (s *Store) Views(ctx context.Context, person string) ([]View, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT name, filter FROM saved_view WHERE person = $1 ORDER BY name`, person)
	if err != nil {
		return nil, fmt.Errorf("read the views: %w", err)
	}
	defer rows.Close()
	var out []View
	for rows.Next() {
		var v View
		if err := rows.Scan(&v.Name, &v.Filter); err != nil {
			return nil, fmt.Errorf("read the views: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Pick is a case as a page showed it: who had it then ("": nobody).
type Pick struct{ Sweep, Site, From string }

// Assign hands cases to a person. A case that somebody else took meanwhile, that
// waits for another than this person or is decided stays as it is and is
// returned; each that is handed over is logged.
func (s *Store) Assign(ctx context.Context, by, to string, picks []Pick, at time.Time) (left []Pick, err error) {
	err = s.logged(ctx, "hand out cases", func(tx *sql.Tx) error {
		left = nil
		for _, p := range picks {
			n, err := changed(tx.ExecContext(ctx, `UPDATE casefile SET assignee = $1, taken_ms = $2 WHERE sweep = $3 AND site = $4 AND assignee = $5
				AND status <> 'decided' AND NOT (status = 'second-reading' AND first_by = $1)`, to, at.UnixMilli(), p.Sweep, p.Site, p.From))
			if err != nil {
				return err
			}
			if n == 0 {
				left = append(left, p)
				continue
			}
			detail := "to " + to
			if p.From != "" {
				detail = "from " + p.From + " " + detail
			}
			if err := note(ctx, tx, Entry{At: at, Who: by, Act: "assign", Subject: p.Sweep + "/" + p.Site, Detail: detail}); err != nil {
				return err
			}
		}
		return nil
	})
	return left, err
}
