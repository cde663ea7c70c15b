package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	pc "pecrawler"
	"pecrawler/internal/pipeline"
	"pecrawler/queue"
	"pecrawler/rules"
	"pecrawler/store"
)

// collector takes the results of a sweep's visits and, for each site, either
// asks for another visit or gives the last word. Everything it does can be done
// twice, so it may be killed between any two steps.
type collector struct {
	queue *queue.Queue
	store *store.Store
	sweep store.Sweep
	after time.Duration // from a visit that raised suspicion to the next
	log   *slog.Logger

	// cut asks whether the sweep was cancelled, or its deadline has passed; nil: it cannot be.
	cut func(ctx context.Context) (bool, error)

	over atomic.Bool   // no further visits are asked for: cancelled, or the deadline has passed
	word chan struct{} // a last word was given; holds at most one

	// For the estimate of the time that is left.
	begin time.Time
	had   store.Counts
}

func newCollector(q *queue.Queue, s *store.Store, sweep store.Sweep, after time.Duration, log *slog.Logger) *collector {
	return &collector{queue: q, store: s, sweep: sweep, after: after, log: log, word: make(chan struct{}, 1), had: store.Counts{Sites: -1}}
}

// resume takes in what was reported while nobody listened, and puts a visit on
// the queue for every site that has no last word and no visit there.
func (c *collector) resume(ctx context.Context) error {
	if err := c.queue.Begin(ctx, c.sweep.ID, queue.DefaultPriority); err != nil {
		return err
	}
	keep := func(ctx context.Context, v pc.Verdict) error { return c.store.PutResult(ctx, v) }
	dead := func(ctx context.Context, d queue.DeadVisit) error {
		return keep(ctx, pipeline.GivenUp(d.Visit, d.Reason))
	}
	if err := c.queue.Stored(ctx, c.sweep.ID, keep, dead); err != nil {
		return err
	}
	return c.missing(ctx)
}

// missing puts a visit on the queue for every site that has no last word and
// no visit there.
func (c *collector) missing(ctx context.Context) error {
	pending, err := c.store.Pending(ctx, c.sweep.ID)
	if err != nil {
		return err
	}
	queued, err := c.queue.Queued(ctx, c.sweep.ID)
	if err != nil {
		return err
	}
	var first []pc.Visit
	for _, s := range pending {
		if queued[pc.SiteKey(s.Site)] {
			continue
		}
		results, err := c.store.Results(ctx, c.sweep.ID, s.Site)
		if err != nil {
			return err
		}
		if len(results) > 0 {
			if err := c.advance(ctx, results); err != nil {
				return err
			}
			continue
		}
		first = append(first, firstVisit(c.sweep.ID, s))
	}
	return c.queue.AddVisits(ctx, first)
}

func firstVisit(sweep string, s store.Site) pc.Visit {
	return pc.Visit{Sweep: sweep, Site: s.Site, URL: s.URL, Number: 1, Rank: s.Rank, Sector: s.Sector, Scenarios: pc.Scenarios}
}

func nextVisit(last pc.Verdict) pc.Visit {
	return pc.Visit{Sweep: last.Sweep, Site: last.Site, URL: last.URL, Number: last.Visit + 1, Rank: last.Rank, Sector: last.Sector, Scenarios: pc.Scenarios}
}

// follow handles results as they come, until the context ends.
func (c *collector) follow(ctx context.Context) error {
	errs := make(chan error, 2)
	go func() { errs <- c.queue.Results(ctx, c.sweep.ID, c.result) }()
	go func() {
		errs <- c.queue.Dead(ctx, c.sweep.ID, func(ctx context.Context, d queue.DeadVisit) error {
			return c.result(ctx, pipeline.GivenUp(d.Visit, d.Reason))
		})
	}()
	err := errors.Join(<-errs, <-errs)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// result handles one result. One that came before changes nothing.
func (c *collector) result(ctx context.Context, v pc.Verdict) error {
	word, err := c.store.Word(ctx, v.Sweep, v.Site)
	if err == nil && word.Visits >= v.Visit {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := c.store.PutResult(ctx, v); err != nil {
		return err
	}
	about(c.log, made(v)).Info("result taken", "outcome", v.Outcome, "reason", v.Reason, "overall", v.Overall, "bundles", v.Bundles)
	results, err := c.store.Results(ctx, v.Sweep, v.Site)
	if err != nil {
		return err
	}
	return c.advance(ctx, results)
}

// made is the visit that a worker's verdict is about.
func made(v pc.Verdict) pc.Visit {
	return pc.Visit{Sweep: v.Sweep, Site: v.Site, Number: v.Visit}
}

// advance draws the last word on a site from its results, or asks for the next visit.
func (c *collector) advance(ctx context.Context, results []pc.Verdict) error {
	word, more := rules.Word(results, c.sweep.Agree)
	last := results[len(results)-1]
	if more && !c.over.Load() && c.cut != nil {
		// Asked after the result is stored: another collector that ends the sweep
		// either finds the result, or has ended it before this.
		over, err := c.cut(ctx)
		if err != nil {
			return err
		}
		c.over.Store(over)
	}
	if more && !c.over.Load() {
		// From now, and not from when the visit says that it was made: the clock of
		// its worker may be wrong. Asking twice changes nothing, the visit has one id.
		next, at := nextVisit(last), c.queue.Now().Add(c.after)
		if err := c.queue.AddVisitAt(ctx, next, at); err != nil {
			return err
		}
		about(c.log, made(last)).Info("asked for another visit", "next", next.ID(), "at", at)
		return nil
	}
	return c.say(ctx, word)
}

// say gives the last word on a site.
func (c *collector) say(ctx context.Context, word pc.Verdict) error {
	// Published first: a crash before the word is stored only publishes it again, which changes nothing.
	if err := c.queue.PublishVerdict(ctx, word); err != nil {
		return err
	}
	if err := c.store.PutWord(ctx, word); err != nil {
		return err
	}
	about(c.log, pc.Visit{Sweep: word.Sweep, Site: word.Site, Number: word.Visits}).Info("last word", "outcome", word.Outcome, "reason", word.Reason, "overall", word.Overall, "visits", word.Visits, "agreeing", word.Agreeing)
	select {
	case c.word <- struct{}{}:
	default:
	}
	return nil
}

// progress counts. It is the one place where a sweep's progress comes from,
// whether it is drawn here or read elsewhere.
func (c *collector) progress(ctx context.Context) (queue.Progress, error) {
	n, err := c.store.Counts(ctx, c.sweep.ID)
	if err != nil {
		return queue.Progress{}, fmt.Errorf("progress of %s: %w", c.sweep.ID, err)
	}
	if c.had.Sites < 0 {
		c.had, c.begin = n, time.Now()
	}
	p := queue.Progress{Sites: n.Sites, Done: n.Done, Overall: n.Overall, Visits: n.Visits, At: c.queue.Now().UTC()}
	p.Left = queue.Span(left(n, c.had, time.Since(c.begin)))
	return p, nil
}
