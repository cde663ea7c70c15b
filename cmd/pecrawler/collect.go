package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	pc "pecrawler"
	"pecrawler/internal/pipeline"
	"pecrawler/queue"
	"pecrawler/store"
)

// collectCmd gives the last words of every sweep that is launched on a cluster.
func collectCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "collect", forData|forCluster|forServe, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("collect takes no arguments, but has %q", rest)
	}
	if err := o.needsCluster("to collect from"); err != nil {
		return err
	}
	log := o.logger(e.stderr)
	st, release, err := ownStore(ctx, o)
	if err != nil {
		return err
	}
	defer release()
	reg := newRegistry()
	reg.MustRegister(newTally(st), st)
	cfg := o.cluster(queue.Collector, log)
	cfg.Registerer = reg
	q, err := queue.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer q.Close()
	reg.MustRegister(newScheduleMetrics(q))
	url, stop, err := serveMetrics(o, reg, log)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(e.stderr, "Collecting from %s into %s; metrics at %smetrics\n", queue.Place(o.nats), store.Place(o.store), url)
	return newFleet(q, st, o.out, log).run(ctx)
}

// fleet collects for all launched sweeps: a collector each. What it knows
// besides the store can be lost at any time.
type fleet struct {
	queue *queue.Queue
	store *store.Store
	out   string
	log   *slog.Logger

	mu     sync.Mutex
	sweeps map[string]*follower
}

// follower is a launched sweep that this process has met.
type follower struct {
	*collector
	// One at a time: what is done with a sweep reads, decides and writes.
	mu      sync.Mutex
	changed bool
	told    time.Time
	lingers bool // it has ended, but visits that somebody asked for may be under way

	how    queue.Ending // it is over before its time
	begun  bool         // what was begun then has its words
	unseen []store.Site // those that nobody visited, and that are yet to get theirs
}

func newFleet(q *queue.Queue, s *store.Store, out string, log *slog.Logger) *fleet {
	return &fleet{queue: q, store: s, out: out, log: log, sweeps: map[string]*follower{}}
}

func (f *fleet) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return f.queue.Collect(ctx, queue.Handler{List: f.list, Command: f.command,
			Result: func(ctx context.Context, v pc.Verdict) error { return f.take(ctx, v) },
			Dead: func(ctx context.Context, d queue.DeadVisit) error {
				return f.take(ctx, pipeline.GivenUp(d.Visit, d.Reason))
			}})
	})
	g.Go(func() error { return (&repeater{f.queue, f.log, f.queue.Now}).run(ctx) })
	g.Go(func() error {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			if err := f.look(ctx); err != nil && ctx.Err() == nil {
				f.log.Error("the progress of the sweeps could not be told; trying again", "err", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return g.Wait()
}

// of returns the follower of a sweep; nil if it was not launched here, but is
// one that is run by somebody who collects for himself.
func (f *fleet) of(ctx context.Context, id string) (*follower, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.sweeps[id]; c != nil {
		return c, nil
	}
	s, err := f.queue.Sweep(ctx, id)
	if errors.Is(err, queue.ErrNoSweep) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sw, err := f.store.Sweep(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		var settings []byte
		if settings, err = json.Marshal(s); err != nil {
			return nil, err
		}
		sw = store.Sweep{ID: id, ListDigest: "launched", Settings: string(settings), Agree: s.Agree, Created: s.Created}
		if err = f.store.CreateSweep(ctx, sw, nil); err != nil { // another collector may have
			if there, again := f.store.Sweep(ctx, id); again == nil {
				sw, err = there, nil
			}
		}
	}
	if err != nil {
		return nil, err
	}
	c := &follower{collector: newCollector(f.queue, f.store, sw, time.Duration(s.AgreeAfter), f.log), changed: true}
	c.how = cutShort(s, f.queue.Now())
	c.cut = func(ctx context.Context) (bool, error) {
		s, err := f.queue.Sweep(ctx, id)
		return cutShort(s, f.queue.Now()) != "", err
	}
	c.over.Store(c.how != "")
	f.sweeps[id] = c
	return c, nil
}

// cutShort is how a sweep is over before its time; "" when it is not.
func cutShort(s queue.Sweep, now time.Time) queue.Ending {
	switch {
	case s.Cancelled != nil:
		return queue.EndedCancelled
	case s.Deadline != nil && now.After(*s.Deadline):
		return queue.EndedDeadline
	}
	return ""
}

// list takes in a part of a list and puts its first visits on the queue.
func (f *fleet) list(ctx context.Context, id string, entries []queue.Entry) error {
	c, err := f.of(ctx, id)
	if err != nil || c == nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	sites := make([]store.Site, 0, len(entries))
	visits := make([]pc.Visit, 0, len(entries))
	for _, e := range entries {
		s := store.Site{Site: e.Site, URL: e.URL, Rank: e.Rank, Sector: e.Sector, Line: e.Line}
		sites, visits = append(sites, s), append(visits, firstVisit(id, s))
	}
	if err := f.store.AddSites(ctx, id, sites); err != nil {
		return err
	}
	c.changed = true
	if c.over.Load() {
		for _, s := range sites {
			if err := c.notVisited(ctx, s, c.how); err != nil {
				return err
			}
		}
		return nil
	}
	if err := f.queue.AddVisits(ctx, visits); err != nil {
		return err
	}
	for _, v := range visits {
		about(f.log, v).Info("asked for the first visit")
	}
	return nil
}

func (f *fleet) take(ctx context.Context, v pc.Verdict) error {
	c, err := f.of(ctx, v.Sweep)
	if err != nil || c == nil {
		return err
	}
	// Results come from machines that show hostile pages: one about a site that
	// nobody asked for must not count.
	if on, err := f.store.OnList(ctx, v.Sweep, v.Site); err != nil {
		return err
	} else if !on {
		f.log.Warn("a result about a site that is not on the list was passed over", "sweep", v.Sweep, "site", v.Site)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = true
	return c.result(ctx, v)
}

// command does what people ask of a sweep.
func (f *fleet) command(ctx context.Context, cmd queue.Command) error {
	c, err := f.of(ctx, cmd.Sweep)
	if err != nil {
		return err
	}
	if c == nil {
		f.log.Warn("a command names no launched sweep and was passed over", "sweep", cmd.Sweep, "do", cmd.Do)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = true
	switch cmd.Do {
	case queue.DoRevisit:
		results, err := f.store.Results(ctx, cmd.Sweep, cmd.Site)
		if err != nil {
			return err
		}
		if len(results) == 0 {
			f.log.Warn("a site that was to be visited again has no visit yet, and was passed over", "sweep", cmd.Sweep, "site", cmd.Site)
			return nil
		}
		return f.queue.AddUrgent(ctx, nextVisit(results[len(results)-1]))
	case queue.DoFailures, queue.DoMissing:
		return f.again(ctx, c, cmd.Do)
	}
	f.log.Warn("an unknown command was passed over", "sweep", cmd.Sweep, "do", cmd.Do)
	return nil
}

// again takes a sweep up again, also one that is over.
func (f *fleet) again(ctx context.Context, c *follower, do string) error {
	s, err := f.queue.Sweep(ctx, c.sweep.ID)
	if err != nil {
		return err
	}
	if cutShort(s, f.queue.Now()) != "" {
		f.log.Warn("a sweep that was cancelled or is past its deadline is not taken up again; launch its list anew", "sweep", c.sweep.ID)
		return nil
	}
	if err := f.queue.Begin(ctx, c.sweep.ID, s.Priority); err != nil {
		return err
	}
	if do == queue.DoMissing {
		if err := c.missing(ctx); err != nil {
			return err
		}
		return f.tell(ctx, c, "")
	}
	if _, err := f.store.Reopen(ctx, c.sweep.ID); err != nil {
		return err
	}
	// Every pending site that has results gets one more visit, whatever the
	// results say: that is what was asked for.
	begun, err := f.store.Begun(ctx, c.sweep.ID)
	if err != nil {
		return err
	}
	visits := make([]pc.Visit, 0, len(begun))
	for _, site := range begun {
		results, err := f.store.Results(ctx, c.sweep.ID, site)
		if err != nil {
			return err
		}
		visits = append(visits, nextVisit(results[len(results)-1]))
	}
	if err := f.queue.AddVisits(ctx, visits); err != nil {
		return err
	}
	return f.tell(ctx, c, "")
}

// look tells the progress of every sweep, and ends those that are through.
func (f *fleet) look(ctx context.Context) error {
	states, err := f.queue.Sweeps(ctx)
	if err != nil {
		return err
	}
	for _, st := range states {
		c, err := f.of(ctx, st.ID)
		if err == nil && c != nil {
			err = f.lookAt(ctx, c, st)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// retell is how often a collector says that it is there.
const retell = 20 * time.Second

func (f *fleet) lookAt(ctx context.Context, c *follower, st queue.State) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if st.Ended != "" {
		if c.changed {
			c.lingers = true
			return f.tell(ctx, c, st.Ended)
		}
		if c.lingers && time.Since(c.told) > retell {
			if st, err := f.queue.State(ctx, st.Sweep.ID); err != nil || st.Waiting+st.InHand+st.Later > 0 {
				return err
			}
			c.lingers = false
			return f.closed(ctx, c)
		}
		return nil
	}
	if how := cutShort(st.Sweep, f.queue.Now()); how != "" {
		return f.end(ctx, c, how)
	}
	if !c.changed && time.Since(c.told) < retell {
		return nil
	}
	n, err := f.store.Counts(ctx, c.sweep.ID)
	if err != nil {
		return err
	}
	if st.Listed > 0 && n.Sites >= st.Listed && n.Done >= n.Sites {
		return f.end(ctx, c, queue.EndedDone)
	}
	return f.tell(ctx, c, "")
}

func (f *fleet) tell(ctx context.Context, c *follower, ended queue.Ending) error {
	p, err := c.progress(ctx)
	if err != nil {
		return err
	}
	p.Ended = ended
	if err := f.queue.Report(ctx, c.sweep.ID, p); err != nil {
		return err
	}
	c.changed, c.told = false, time.Now()
	return nil
}

// end ends a sweep; that it has ended is told last, so that a crash before only
// does it again.
func (f *fleet) end(ctx context.Context, c *follower, how queue.Ending) error {
	id := c.sweep.ID
	if how != queue.EndedDone {
		if all, err := f.early(ctx, c, how); !all {
			return err
		}
	}
	if err := f.closed(ctx, c); err != nil {
		return err
	}
	f.log.Info("a sweep has ended", "sweep", id, "how", how)
	return f.tell(ctx, c, how)
}

// closed writes down what became of a sweep, of which no visit is handed out any more.
func (f *fleet) closed(ctx context.Context, c *follower) error {
	id := c.sweep.ID
	if err := f.queue.End(ctx, id); err != nil {
		return err
	}
	dir := filepath.Join(f.out, "verdicts")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	if err := writeVerdicts(ctx, f.store, id, filepath.Join(dir, id+".jsonl")); err != nil {
		return err
	}
	return f.store.Finish(ctx, id, f.queue.Now().UTC())
}

// piece is how many words are given at a time: meanwhile no other sweep is
// looked after.
const piece = 2000

// early gives the last words of a sweep that is over before its time, a piece
// at a time, and tells whether all are given.
func (f *fleet) early(ctx context.Context, c *follower, how queue.Ending) (all bool, err error) {
	id := c.sweep.ID
	c.how = how
	c.over.Store(true)
	if !c.begun {
		if err := f.queue.Purge(ctx, id); err != nil {
			return false, err
		}
		// What was seen so far is the last word: a suspicion that no second visit
		// confirmed is for a human to look at.
		begun, err := f.store.Begun(ctx, id)
		if err != nil {
			return false, err
		}
		for _, site := range begun {
			results, err := f.store.Results(ctx, id, site)
			if err != nil {
				return false, err
			}
			if err := c.advance(ctx, results); err != nil {
				return false, err
			}
		}
		if c.unseen, err = f.store.Pending(ctx, id); err != nil {
			return false, err
		}
		c.begun = true
	}
	n := min(piece, len(c.unseen))
	for _, s := range c.unseen[:n] {
		if err := c.notVisited(ctx, s, how); err != nil {
			return false, err
		}
	}
	if c.unseen = c.unseen[n:]; len(c.unseen) > 0 {
		return false, f.tell(ctx, c, "")
	}
	// The rest of its list may still come; each site of it gets its word there.
	s, err := f.queue.Sweep(ctx, id)
	if err != nil {
		return false, err
	}
	if s.Listed == 0 { // the launch is not over, or has broken off: how many there will be is not known
		if coming, err := f.queue.ListsComing(ctx); err != nil || coming {
			return false, err
		}
	}
	counts, err := f.store.Counts(ctx, id)
	if err != nil || counts.Sites < s.Listed {
		return false, err
	}
	if counts.Done < counts.Sites { // another collector took in a result that was not known here
		c.begun = false
		return false, nil
	}
	return true, nil
}

// notVisited gives the last word on a site that has none and gets no visit.
func (c *follower) notVisited(ctx context.Context, s store.Site, how queue.Ending) error {
	if _, err := c.store.Word(ctx, c.sweep.ID, s.Site); !errors.Is(err, store.ErrNotFound) {
		return err // it has one
	}
	results, err := c.store.Results(ctx, c.sweep.ID, s.Site)
	if err != nil {
		return err
	}
	if len(results) > 0 { // somebody did, and another collector has taken it in
		return c.advance(ctx, results)
	}
	return c.say(ctx, pipeline.NotVisited(firstVisit(c.sweep.ID, s), string(how)))
}
