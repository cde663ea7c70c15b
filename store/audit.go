package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Entry is one line of the audit log: who did what to what. The log only grows,
// and each entry holds the hash of the one before it, so that a line that was
// changed, removed or put in between is found by [Store.VerifyAudit]. What it
// cannot find by itself is that the newest lines were cut off: for that, a hash
// noted elsewhere is compared with the log's.
type Entry struct {
	Seq     int64     `json:"seq"`
	At      time.Time `json:"at"`
	Who     string    `json:"who"`
	Act     string    `json:"act"`     // sign-in, view, reveal, download, take, release, assign, decide, draft, letter, launch, api and others
	Subject string    `json:"subject"` // what it was done to
	Detail  string    `json:"detail,omitempty"`
	Prev    string    `json:"prev"`
	Hash    string    `json:"hash"`
}

// digest is the SHA-256 of a JSON array without blanks, so that whoever has the
// lines can check them with any tool: [prev, seq, milliseconds, who, act, subject, detail].
func (e Entry) digest() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode([]any{e.Prev, e.Seq, e.At.UnixMilli(), e.Who, e.Act, e.Subject, e.Detail}) // strings and numbers always encode
	sum := sha256.Sum256(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Note appends an entry; Seq, Prev and Hash are given by the log.
func (s *Store) Note(ctx context.Context, e Entry) error {
	return s.logged(ctx, "write to the audit log", func(tx *sql.Tx) error { return note(ctx, tx, e) })
}

// note appends within a transaction that [Store.logged] began, so that what is
// done and its entry are there together or not at all.
func note(ctx context.Context, tx *sql.Tx, e Entry) error {
	err := tx.QueryRowContext(ctx, `SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1`).Scan(&e.Seq, &e.Prev)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	e.Seq++
	e.Who, e.Act, e.Subject, e.Detail = text(e.Who), text(e.Act), text(e.Subject), text(e.Detail)
	e.At = e.At.UTC().Truncate(time.Millisecond)
	e.Hash = e.digest()
	return putEntry(ctx, tx, e)
}

func putEntry(ctx context.Context, tx *sql.Tx, e Entry) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO audit (seq, at_ms, who, act, subject, detail, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		e.Seq, e.At.UnixMilli(), e.Who, e.Act, e.Subject, e.Detail, e.Prev, e.Hash)
	return err
}

// Audit returns up to limit entries before a number, the newest first; before 0
// means all.
func (s *Store) Audit(ctx context.Context, before int64, limit int) ([]Entry, error) {
	var out []Entry
	if before == 0 {
		before = math.MaxInt64
	}
	err := s.audit(ctx, `WHERE seq < $1 ORDER BY seq DESC LIMIT $2`, func(e Entry) error {
		out = append(out, e)
		return nil
	}, before, limit)
	return out, err
}

// AuditEach hands out all entries in their order.
func (s *Store) AuditEach(ctx context.Context, do func(Entry) error) error {
	return s.audit(ctx, `ORDER BY seq`, do)
}

func (s *Store) audit(ctx context.Context, where string, do func(Entry) error, args ...any) error {
	rows, err := s.db.QueryContext(ctx, `SELECT seq, at_ms, who, act, subject, detail, prev, hash FROM audit `+where, args...)
	if err != nil {
		return fmt.Errorf("read the audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e Entry
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Who, &e.Act, &e.Subject, &e.Detail, &e.Prev, &e.Hash); err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		e.At = time.UnixMilli(at).UTC()
		if err := do(e); err != nil {
			return err
		}
	}
	return rows.Err()
}

// BrokenError names the first entry of the audit log that is not as it was written.
type BrokenError struct {
	Seq    int64
	Reason string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the audit log is broken at entry %d: %s", e.Seq, e.Reason)
}

// Whole tells whether an entry is as it was written, by its own hash.
func (e Entry) Whole() bool { return e.Hash == e.digest() }

// follows tells whether an entry is the one after the one with a number and a hash.
func (e Entry) follows(n int64, head string) error {
	switch {
	case e.Seq != n+1:
		return &BrokenError{n + 1, fmt.Sprintf("it is missing; the next one is %d", e.Seq)}
	case e.Prev != head:
		return &BrokenError{e.Seq, "it does not hold the hash of the entry before it"}
	case !e.Whole():
		return &BrokenError{e.Seq, "its hash is not that of its contents"}
	}
	return nil
}

// VerifyAudit checks the chain, and that the decisions and the steps of cases are
// those that were logged. It returns how many entries there are and the hash of the last one;
// the error of a broken log is a *BrokenError.
func (s *Store) VerifyAudit(ctx context.Context) (n int64, head string, err error) {
	kept, err := s.decisionsByID(ctx)
	if err != nil {
		return 0, "", err
	}
	done, err := s.stepsByName(ctx)
	if err != nil {
		return 0, "", err
	}
	err = s.AuditEach(ctx, func(e Entry) error {
		if err := e.follows(n, head); err != nil {
			return err
		}
		n, head = e.Seq, e.Hash
		if slices.Contains(stepKinds(), e.Act) {
			return checkStep(e, done)
		}
		if e.Act != ActDecide {
			return nil
		}
		var logged []Decision
		if err := json.Unmarshal([]byte(e.Detail), &logged); err != nil {
			return &BrokenError{e.Seq, "its decision cannot be read"}
		}
		for _, d := range logged {
			d.Sampled = false // no column of the table
			if k, ok := kept[d.ID]; !ok || k != d {
				return &BrokenError{e.Seq, fmt.Sprintf("decision %d is not the one that was logged", d.ID)}
			}
			delete(kept, d.ID)
		}
		return nil
	})
	if err == nil && len(kept) > 0 {
		err = &BrokenError{n + 1, fmt.Sprintf("%d decisions were never logged", len(kept))}
	}
	if err == nil && len(done) > 0 {
		err = &BrokenError{n + 1, fmt.Sprintf("%d steps of cases were never logged", len(done))}
	}
	return n, head, err
}
