package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/store"
)

// tally counts, when it is asked, what stands in the store: how far the sweeps
// are that have not ended, and what people decided. A sweep's name is a label
// only until it ends, so there are never many.
type tally struct {
	store                   *store.Store
	sites, cases, decisions *prometheus.Desc
}

func newTally(s *store.Store) *tally {
	return &tally{store: s,
		sites:     prometheus.NewDesc("pecrawler_sweep_sites", "Sites of the sweeps that have not ended: waiting for their last word, or by what it is.", []string{"sweep", "state"}, nil),
		cases:     prometheus.NewDesc("pecrawler_review_cases", "Cases of all sweeps, by where they stand.", []string{"status"}, nil),
		decisions: prometheus.NewDesc("pecrawler_review_decisions", "Decisions of people on sites so far, by what was decided.", []string{"act"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (t *tally) Describe(ch chan<- *prometheus.Desc) {
	ch <- t.sites
	ch <- t.cases
	ch <- t.decisions
}

// Collect implements [prometheus.Collector]. A store that does not answer in
// time leaves the numbers out.
func (t *tally) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // a scrape has no context of its own here
	defer cancel()
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	sweeps, err := t.store.UnderWay(ctx)
	if err != nil {
		return
	}
	for _, s := range sweeps {
		n, err := t.store.Counts(ctx, s.ID)
		if err != nil {
			return
		}
		gauge(t.sites, n.Sites-n.Done, s.ID, "waiting")
		for _, o := range []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed} {
			gauge(t.sites, n.Overall[o], s.ID, string(o))
		}
	}
	cases, acts, err := t.store.Tally(ctx)
	if err != nil {
		return
	}
	for _, s := range []string{store.Undecided, store.SecondReading, store.Disagreement, store.Decided} {
		gauge(t.cases, cases[s], s)
	}
	for _, a := range []string{store.Uphold, store.Dismiss, store.Doubt, store.Revisit} {
		gauge(t.decisions, acts[a], a)
	}
}
