package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Replay puts the audit log of a store that was lost into one that has none yet,
// entry by entry as they were, with the decisions and steps that are in it, and brings the
// cases to where they stood. The words have to be there before. It takes all or
// nothing, and refuses a log that is broken. It returns how many decisions there
// are, and how many of them are on sites that are no case in this store.
func (s *Store) Replay(ctx context.Context, log iter.Seq2[Entry, error]) (decisions, strangers int, err error) {
	err = s.logged(ctx, "take in the log", func(tx *sql.Tx) error {
		decisions, strangers = 0, 0
		var have int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM audit`).Scan(&have); err != nil {
			return err
		}
		if have > 0 {
			return fmt.Errorf("the store has a log of %d entries already", have)
		}
		var n int64
		var head string
		for e, err := range log {
			if err != nil {
				return err
			}
			if err := e.follows(n, head); err != nil {
				return err
			}
			n, head = e.Seq, e.Hash
			if err := putEntry(ctx, tx, e); err != nil {
				return err
			}
			d, k, err := replayed(ctx, tx, e)
			if err != nil {
				return fmt.Errorf("entry %d: %w", e.Seq, err)
			}
			decisions, strangers = decisions+d, strangers+k
		}
		return nil
	})
	return decisions, strangers, err
}

// replayed does again what an entry says.
func replayed(ctx context.Context, tx *sql.Tx, e Entry) (decided, strangers int, err error) {
	sweep, site, _ := strings.Cut(e.Subject, "/")
	hand := func(who string, taken int64) error {
		_, err := tx.ExecContext(ctx, `UPDATE casefile SET assignee = $1, taken_ms = $2 WHERE sweep = $3 AND site = $4`, who, taken, sweep, site)
		return err
	}
	switch e.Act {
	case "take":
		return 0, 0, hand(e.Who, e.At.UnixMilli())
	case "release":
		return 0, 0, hand("", 0)
	case "assign": // names may have any words in them
		c, err := oneCase(ctx, tx, sweep, site)
		if errors.Is(err, ErrNotFound) {
			return 0, 0, nil
		}
		if err != nil {
			return 0, 0, err
		}
		return 0, 0, hand(strings.TrimPrefix(strings.TrimPrefix(e.Detail, "from "+c.Assignee+" "), "to "), e.At.UnixMilli())
	case ActDecide:
		return decidedAgain(ctx, tx, sweep, site, e)
	case StepDraft, StepLetter, StepVisit, StepReply:
		var st Step
		if err := json.Unmarshal([]byte(e.Detail), &st); err != nil {
			return 0, 0, fmt.Errorf("its step cannot be read: %w", err)
		}
		return 0, 0, putStep(ctx, tx, st)
	}
	return 0, 0, nil
}

func decidedAgain(ctx context.Context, tx *sql.Tx, sweep, site string, e Entry) (decided, strangers int, err error) {
	var all []Decision
	if err := json.Unmarshal([]byte(e.Detail), &all); err != nil || len(all) == 0 {
		return 0, 0, errors.Join(errors.New("its decision cannot be read"), err)
	}
	earlier, err := decisions(ctx, tx, `WHERE sweep = $1 AND site = $2 ORDER BY id`, sweep, site)
	if err != nil {
		return 0, 0, err
	}
	for _, d := range all {
		if err := putDecision(ctx, tx, d); err != nil {
			return 0, 0, err
		}
	}
	c, err := oneCase(ctx, tx, sweep, site)
	if errors.Is(err, ErrNotFound) {
		return len(all), len(all), nil
	}
	if err != nil {
		return 0, 0, err
	}
	if all[0].Reading == 2 {
		c.Status = SecondReading // also where the log does not say of the first that it was sampled
	}
	c.moveOn(Reading{By: all[0].By, At: all[0].At, Sampled: all[0].Sampled, Site: all[0]}, all, earlier)
	return len(all), 0, putStanding(ctx, tx, c)
}
