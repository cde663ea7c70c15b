package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
)

// standIns are workers without a browser. Each has its own connection and one
// visit at a time, which it takes, spends the time of, and hands in as a worker
// does.
type standIns struct {
	t    *stage
	gap  time.Duration
	wait time.Duration // AckWait

	cancel context.CancelFunc
	done   sync.WaitGroup

	mu            sync.Mutex
	busy          map[string]bool // domains
	publish, tell []time.Duration // samples: of PublishResult and Done
	made, rude    int
}

func newStandIns(t *stage) *standIns {
	scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) / t.speed) }
	return &standIns{t: t, gap: scale(simGap), wait: max(scale(simBeat), simShortest), busy: map[string]bool{}}
}

// start connects all of them. They stop with the context, or by stop.
func (f *standIns) start(ctx context.Context) error {
	run, cancel := context.WithCancel(ctx)
	f.cancel = cancel
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	queues := make([]*queue.Queue, 0, f.t.workers)
	for range f.t.workers {
		q, err := queue.Open(ctx, queue.Config{URL: f.t.url(), AckWait: f.wait, Gap: f.gap, Role: queue.Worker, Log: log})
		if err != nil {
			cancel()
			for _, q := range queues {
				q.Close()
			}
			return err
		}
		queues = append(queues, q)
	}
	for i, q := range queues {
		f.done.Go(func() {
			defer q.Close()
			f.work(run, q, rand.New(rand.NewPCG(1, uint64(i))))
		})
	}
	return nil
}

func (f *standIns) stop() {
	f.cancel()
	f.done.Wait()
}

func (f *standIns) counts() (made, rude int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.made, f.rude
}

func (f *standIns) work(ctx context.Context, q *queue.Queue, dice *rand.Rand) {
	for {
		job, err := q.Next(ctx)
		if err != nil {
			return // the context has ended
		}
		begin := time.Now()
		domain := queue.Domain(job.Visit.Site)
		f.mu.Lock()
		if f.busy[domain] {
			f.rude++
		}
		f.busy[domain] = true
		f.mu.Unlock()
		real := f.t.costs[dice.IntN(len(f.t.costs))].wall
		real = time.Duration(float64(real) * (.7 + .6*dice.Float64()))
		lost := false
		select {
		case <-time.After(time.Duration(float64(real) / f.t.speed)):
		case <-job.Lost():
			lost = true
		case <-ctx.Done():
			lost = true
		}
		v := draw(f.t.drawn, job.Visit)
		v.Times = pc.Times{First: begin.UTC(), Last: time.Now().UTC()}
		f.mu.Lock()
		f.busy[domain] = false // before the lease is let go
		f.mu.Unlock()
		if lost {
			job.Return(0)
			continue
		}
		ended := time.Now()
		if err := q.PublishResult(ctx, v); err != nil {
			job.Return(0) // the context has ended, or the visit comes back and is made again
			continue
		}
		stored := time.Now()
		if err := job.Done(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		f.mu.Lock()
		f.made++
		if dice.IntN(20) == 0 {
			f.publish = append(f.publish, stored.Sub(ended))
			f.tell = append(f.tell, time.Since(stored))
		}
		f.mu.Unlock()
	}
}

// draw makes a result of a visit out of a last word of another site, always the
// same one for a site, so that its visits agree.
func draw(from []pc.Verdict, visit pc.Visit) pc.Verdict {
	h := fnv.New64a()
	h.Write([]byte(visit.Site))
	v := from[h.Sum64()%uint64(len(from))]
	v.Sweep, v.Site, v.URL, v.FinalURL, v.Rank, v.Sector = visit.Sweep, visit.Site, visit.URL, visit.URL, visit.Rank, visit.Sector
	v.Visit, v.Visits, v.Agreeing = visit.Number, 1, 1
	v.Bundles = []string{fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(visit.ID())))}
	return v
}

// quantile of samples, sorted here.
func quantile(d []time.Duration, share float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(share*float64(len(d))))]
}
