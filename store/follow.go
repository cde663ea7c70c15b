package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pc "pecrawler"
)

// The kinds of a [Step]. Each is also the audit log's word for it; the entry's
// detail is the step, as JSON.
const (
	StepDraft  = "draft"  // a version of the letter that can still be changed
	StepLetter = "letter" // a version that is fixed, with its deadline
	StepVisit  = "visit"  // the site was put on the queue again
	StepReply  = "reply"  // what the site answered
)

func stepKinds() []string { return []string{StepDraft, StepLetter, StepVisit, StepReply} }

// ErrNotUpheld means that there is nothing to follow up: nobody upheld the case,
// or the decision no longer stands.
var ErrNotUpheld = errors.New("the case is not upheld")

// Step is one thing that was done about an upheld case. It is never changed and
// never removed: a later one stands beside it.
type Step struct {
	Sweep string          `json:"sweep"`
	Site  string          `json:"site"`
	N     int             `json:"n"` // 1, 2, 3 of the case
	Kind  string          `json:"kind"`
	By    string          `json:"by"`
	At    time.Time       `json:"at"`
	Due   time.Time       `json:"due,omitzero"` // of a letter: from when on the site is visited again
	Doc   json.RawMessage `json:"doc"`          // what is in it; the kind says what that is
}

// Follow adds a step to a case and logs it, all or nothing. after is the number
// of the last draft or letter that whoever makes one has seen: a newer one is
// ErrChanged. What goes out, and what follows from it, needs a decision that
// stands: ErrNotUpheld; a reply needs a letter.
func (s *Store) Follow(ctx context.Context, st Step, after int) (Step, error) {
	err := s.logged(ctx, "follow up "+st.Site, func(tx *sql.Tx) error {
		c, err := oneCase(ctx, tx, st.Sweep, st.Site)
		if err != nil {
			return err
		}
		earlier, err := steps(ctx, tx, `WHERE sweep = $1 AND site = $2 ORDER BY n`, st.Sweep, st.Site)
		if err != nil {
			return err
		}
		if st.Doc, err = json.Marshal(st.Doc); err != nil { // as the log has it
			return err
		}
		if err := st.admitted(c, earlier, after); err != nil {
			return err
		}
		st.N, st.At, st.Due = len(earlier)+1, st.At.UTC().Truncate(time.Millisecond), st.Due.UTC().Truncate(time.Millisecond)
		if err := putStep(ctx, tx, st); err != nil {
			return err
		}
		detail, err := json.Marshal(st)
		if err != nil {
			return err
		}
		return note(ctx, tx, Entry{At: st.At, Who: st.By, Act: st.Kind, Subject: st.Sweep + "/" + st.Site, Detail: string(detail)})
	})
	return st, err
}

// admitted tells whether a case takes a step.
func (st Step) admitted(c Case, earlier []Step, after int) error {
	last, sent := 0, false
	for _, e := range earlier {
		if e.Kind == StepDraft || e.Kind == StepLetter {
			last = e.N
		}
		sent = sent || e.Kind == StepLetter
	}
	switch {
	case !slices.Contains(stepKinds(), st.Kind):
		return fmt.Errorf("there is no step %q", st.Kind)
	case st.Kind == StepReply:
		if !sent {
			return ErrNotUpheld
		}
		return nil
	case !c.Upheld():
		return ErrNotUpheld
	case (st.Kind == StepDraft || st.Kind == StepLetter) && after != last,
		st.Kind == StepVisit && slices.ContainsFunc(earlier, func(e Step) bool { return e.Kind == StepVisit && bytes.Equal(e.Doc, st.Doc) }):
		return ErrChanged
	}
	return nil
}

func putStep(ctx context.Context, tx *sql.Tx, st Step) error {
	due := int64(0)
	if !st.Due.IsZero() {
		due = st.Due.UnixMilli()
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO follow (sweep, site, n, kind, by_whom, at_ms, due_ms, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		st.Sweep, st.Site, st.N, st.Kind, st.By, st.At.UnixMilli(), due, string(st.Doc))
	return err
}

// Steps returns what was done about a case, in its order.
func (s *Store) Steps(ctx context.Context, sweep, site string) ([]Step, error) {
	return steps(ctx, s.db, `WHERE sweep = $1 AND site = $2 ORDER BY n`, sweep, site)
}

// standing says that a letter is the last of its case. A page that lists letters
// reads along the index of their deadlines.
const standing = `kind = 'letter' AND NOT EXISTS (SELECT 1 FROM follow AS newer WHERE newer.sweep = follow.sweep AND newer.site = follow.site AND newer.kind = 'letter' AND newer.n > follow.n)`

// Letters returns the last letter of each case, by deadline.
func (s *Store) Letters(ctx context.Context, limit, offset int) ([]Step, error) {
	return steps(ctx, s.db, `WHERE `+standing+` ORDER BY due_ms, sweep, site LIMIT $1 OFFSET $2`, limit, offset)
}

// Due returns the letters whose deadline is over at a time, whose case is upheld
// still, and after which nobody has asked for a visit, by deadline.
func (s *Store) Due(ctx context.Context, now time.Time) ([]Step, error) {
	return steps(ctx, s.db, `WHERE `+standing+` AND due_ms > 0 AND due_ms <= $1
		AND EXISTS (SELECT 1 FROM casefile c WHERE c.sweep = follow.sweep AND c.site = follow.site AND c.status = 'decided' AND c.act = 'uphold')
		AND NOT EXISTS (SELECT 1 FROM follow AS v WHERE v.sweep = follow.sweep AND v.site = follow.site AND v.kind = 'visit' AND v.at_ms >= follow.due_ms)
		ORDER BY due_ms, sweep, site`, now.UnixMilli())
}

func steps(ctx context.Context, q querier, where string, args ...any) ([]Step, error) {
	rows, err := q.QueryContext(ctx, `SELECT sweep, site, n, kind, by_whom, at_ms, due_ms, doc FROM follow `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read the steps of cases: %w", err)
	}
	defer rows.Close()
	var out []Step
	for rows.Next() {
		var st Step
		var at, due int64
		var doc string
		if err := rows.Scan(&st.Sweep, &st.Site, &st.N, &st.Kind, &st.By, &at, &due, &doc); err != nil {
			return nil, fmt.Errorf("read the steps of cases: %w", err)
		}
		st.At, st.Due, st.Doc = time.UnixMilli(at).UTC(), fromMilli(due), json.RawMessage(doc)
		out = append(out, st)
	}
	return out, rows.Err()
}

// checkStep tells whether a step that an entry of the log speaks of is there as
// it was logged, and takes it out of those that are.
func checkStep(e Entry, kept map[string]string) error {
	var st Step
	if err := json.Unmarshal([]byte(e.Detail), &st); err != nil {
		return &BrokenError{e.Seq, "its step cannot be read"}
	}
	if kept[st.name()] != e.Detail {
		return &BrokenError{e.Seq, fmt.Sprintf("step %d of %s is not the one that was logged", st.N, e.Subject)}
	}
	delete(kept, st.name())
	return nil
}

func (st Step) name() string { return fmt.Sprintf("%s/%s/%d", st.Sweep, st.Site, st.N) }

// stepsByName are all steps as the log has them.
func (s *Store) stepsByName(ctx context.Context) (map[string]string, error) {
	all, err := steps(ctx, s.db, ``)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, st := range all {
		raw, err := json.Marshal(st)
		if err != nil {
			return nil, err
		}
		out[st.name()] = string(raw)
	}
	return out, nil
}

// WordsOf returns the last words on a site over all sweeps, the latest visit first.
func (s *Store) WordsOf(ctx context.Context, site string) ([]pc.Verdict, error) {
	vs, err := s.verdicts(ctx, `SELECT verdict FROM word WHERE site = $1`, site)
	slices.SortStableFunc(vs, func(a, b pc.Verdict) int { return b.Times.Last.Compare(a.Times.Last) })
	return vs, err
}

// AuditOf hands out the entries whose subject is one of some, or begins with one
// of them and a slash, in their order.
func (s *Store) AuditOf(ctx context.Context, subjects []string, do func(Entry) error) error {
	return s.AuditEach(ctx, func(e Entry) error {
		for _, of := range subjects {
			if e.Subject == of || strings.HasPrefix(e.Subject, of+"/") {
				return do(e)
			}
		}
		return nil
	})
}
