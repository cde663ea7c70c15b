package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	pc "pecrawler"
)

// ActDecide is the audit log's word for a decision; its detail is the decisions, as JSON.
const ActDecide = "decide"

// What a human can decide of a site or of one finding.
const (
	Uphold  = "uphold"
	Dismiss = "dismiss"
	Doubt   = "unsure"
	Revisit = "revisit" // another visit is wanted first
)

// Decision is what a human decided. It is never changed and never removed: a
// later one stands beside it.
type Decision struct {
	ID      int64     `json:"id"`
	Sweep   string    `json:"sweep"`
	Site    string    `json:"site"`
	Rule    string    `json:"rule"` // "": the site as a whole
	Act     string    `json:"act"`
	Reason  string    `json:"reason"`
	Note    string    `json:"note"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Reading int       `json:"reading"`           // 1 the first, 2 the blind second, 3 the lead's, more: corrections
	Verdict string    `json:"verdict"`           // digest of the verdict that it speaks of
	Sampled bool      `json:"sampled,omitempty"` // in the log alone, at the site: a second reader was to decide, too
}

// VerdictDigest names a verdict, so that a decision says what it was made on.
func VerdictDigest(v pc.Verdict) string {
	raw, _ := json.Marshal(v) // it came from JSON
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Why a decision is refused.
var (
	ErrTaken   error = refusal("somebody else has the case")
	ErrChanged error = refusal("the case has changed meanwhile")
	ErrNotYou  error = refusal("the case waits for somebody else")
)

// Reading is a person's decision of a case: of the site, and of some of its findings.
type Reading struct {
	By       string
	Lead     bool // may settle a disagreement, and decide again
	At       time.Time
	Verdict  string     // digest of the verdict that was shown
	After    int64      // number of the last decision that was shown
	Sampled  bool       // a first reading goes to a second reader
	Site     Decision   // Act, Reason and Note
	Findings []Decision // Rule, Act, Reason and Note
}

// Decide stores a reading, moves the case on and logs it, all or nothing. It
// refuses what was decided on something that is no longer so: ErrChanged, or
// ErrTaken, or ErrNotYou for the first reader of a case that waits for a second.
func (s *Store) Decide(ctx context.Context, sweep, site string, r Reading) error {
	return s.logged(ctx, "decide on "+site, func(tx *sql.Tx) error {
		// The word is held first, as PutWord does: it stays what it is until this is done.
		var raw string
		if err := tx.QueryRowContext(ctx, `SELECT verdict FROM word WHERE sweep = $1 AND site = $2`+s.sql.forUpdate, sweep, site).Scan(&raw); errors.Is(err, sql.ErrNoRows) {
			return ErrNotFound
		} else if err != nil {
			return err
		}
		c, err := oneCase(ctx, tx, sweep, site)
		if err != nil {
			return err
		}
		var v pc.Verdict
		if err := json.Unmarshal([]byte(raw), &v); err != nil {
			return err
		}
		earlier, err := decisions(ctx, tx, `WHERE sweep = $1 AND site = $2 ORDER BY id`, sweep, site)
		if err != nil {
			return err
		}
		number, err := c.admits(r, earlier, VerdictDigest(v))
		if err != nil {
			return err
		}
		all := append([]Decision{r.Site}, r.Findings...)
		var last int64
		if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM decision`).Scan(&last); err != nil {
			return err
		}
		for i := range all {
			d := &all[i]
			d.ID = last + int64(i) + 1
			d.Reason, d.Note = text(d.Reason), text(d.Note)
			d.Sweep, d.Site, d.By, d.At, d.Reading, d.Verdict = sweep, site, r.By, r.At.UTC().Truncate(time.Millisecond), number, r.Verdict
			if err := putDecision(ctx, tx, *d); err != nil {
				return err
			}
		}
		c.moveOn(r, all, earlier)
		if err := putStanding(ctx, tx, c); err != nil {
			return err
		}
		all[0].Sampled = r.Sampled
		detail, err := json.Marshal(all)
		if err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: r.At, Who: r.By, Act: ActDecide, Subject: sweep + "/" + site, Detail: string(detail)})
	})
}

func putDecision(ctx context.Context, tx *sql.Tx, d Decision) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO decision (id, sweep, site, rule, act, reason, note, by_whom, at_ms, reading, verdict) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		d.ID, d.Sweep, d.Site, d.Rule, d.Act, d.Reason, d.Note, d.By, d.At.UnixMilli(), d.Reading, d.Verdict)
	return err
}

// putStanding stores where a case stands after a reading.
func putStanding(ctx context.Context, tx *sql.Tx, c Case) error {
	_, err := tx.ExecContext(ctx, `UPDATE casefile SET status = $3, act = $4, first_by = $5, decided_ms = $6, assignee = '', taken_ms = 0 WHERE sweep = $1 AND site = $2`,
		c.Sweep, c.Site, c.Status, c.Act, c.FirstBy, c.Decided.UnixMilli())
	return err
}

// admits tells whether a case takes a reading, and as which.
func (c Case) admits(r Reading, earlier []Decision, verdict string) (number int, err error) {
	after := int64(0)
	for _, d := range earlier {
		if c.Status != SecondReading || d.By == r.By { // a blind reader has not seen the first reading
			after = max(after, d.ID)
		}
		number = max(number, d.Reading)
	}
	switch {
	case verdict != r.Verdict || after != r.After:
		return 0, ErrChanged
	case c.Assignee != "" && c.Assignee != r.By:
		return 0, ErrTaken
	case c.Status == SecondReading && c.FirstBy == r.By,
		(c.Status == Disagreement || c.Status == Decided) && !r.Lead:
		return 0, ErrNotYou
	}
	if c.Status == Decided || c.Status == Disagreement {
		return max(number+1, 3), nil
	}
	return number + 1, nil
}

// moveOn says where the case stands after a reading.
func (c *Case) moveOn(r Reading, now, earlier []Decision) {
	switch {
	case c.Status == Undecided:
		c.FirstBy = r.By
		if r.Sampled {
			c.Status = SecondReading
			return
		}
	case c.Status == SecondReading && disagree(earlier, now):
		c.Status = Disagreement
		return
	}
	c.Status, c.Act, c.Decided = Decided, r.Site.Act, r.At
}

// disagree tells whether two readings say different things of the site, or of a
// finding that both speak of.
func disagree(a, b []Decision) bool {
	said := map[string]string{}
	for _, d := range a {
		said[d.Rule] = d.Act
	}
	for _, d := range b {
		if was, ok := said[d.Rule]; ok && was != d.Act {
			return true
		}
	}
	return false
}

// Decisions returns all decisions on a site in a sweep, in their order.
func (s *Store) Decisions(ctx context.Context, sweep, site string) ([]Decision, error) {
	return decisions(ctx, s.db, `WHERE sweep = $1 AND site = $2 ORDER BY id`, sweep, site)
}

// SweepDecisions returns all decisions of a sweep by site, in their order.
func (s *Store) SweepDecisions(ctx context.Context, sweep string) (map[string][]Decision, error) {
	ds, err := decisions(ctx, s.db, `WHERE sweep = $1 ORDER BY id`, sweep)
	out := map[string][]Decision{}
	for _, d := range ds {
		out[d.Site] = append(out[d.Site], d)
	}
	return out, err
}

func (s *Store) decisionsByID(ctx context.Context) (map[int64]Decision, error) {
	ds, err := decisions(ctx, s.db, ``)
	out := map[int64]Decision{}
	for _, d := range ds {
		out[d.ID] = d
	}
	return out, err
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func decisions(ctx context.Context, q querier, where string, args ...any) ([]Decision, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, sweep, site, rule, act, reason, note, by_whom, at_ms, reading, verdict FROM decision `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	defer rows.Close()
	var out []Decision
	for rows.Next() {
		var d Decision
		var at int64
		if err := rows.Scan(&d.ID, &d.Sweep, &d.Site, &d.Rule, &d.Act, &d.Reason, &d.Note, &d.By, &at, &d.Reading, &d.Verdict); err != nil {
			return nil, fmt.Errorf("read decisions: %w", err)
		}
		d.At = time.UnixMilli(at).UTC()
		out = append(out, d)
	}
	return out, rows.Err()
}
