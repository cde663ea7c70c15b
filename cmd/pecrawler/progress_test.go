package main

import (
	"testing"
	"time"

	"pecrawler/queue"
	"pecrawler/store"
)

func TestLeft(t *testing.T) {
	const took = 100 * time.Second
	for _, c := range []struct {
		name   string
		n, had store.Counts
		want   time.Duration
	}{
		{"nothing done", store.Counts{Sites: 10}, store.Counts{}, 0},
		{"too little to tell", store.Counts{Sites: 10, Done: 2, Visits: 2}, store.Counts{}, 0},
		{"half", store.Counts{Sites: 100, Done: 50, Visits: 50}, store.Counts{}, took},
		{"half, two visits a site", store.Counts{Sites: 100, Done: 50, Visits: 100}, store.Counts{}, took},
		{"begun by another process", store.Counts{Sites: 100, Done: 60, Visits: 70}, store.Counts{Done: 50, Visits: 60}, 4 * took},
		{"done", store.Counts{Sites: 10, Done: 10, Visits: 12}, store.Counts{}, 0},
	} {
		if got := left(c.n, c.had, took); got.Round(time.Second) != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestStateWord(t *testing.T) {
	now := time.UnixMilli(1e12)
	sw := queue.Sweep{ID: "uk", Listed: 5, Created: now.Add(-time.Hour)}
	told := queue.Progress{At: now.Add(-time.Second)}
	for want, s := range map[string]queue.State{
		"running":                          {Sweep: sw, Progress: told},
		"paused":                           {Sweep: sw, Progress: told, Paused: true},
		"launch not finished":              {Sweep: queue.Sweep{ID: "uk", Created: now}},
		"no collector (pecrawler collect)": {Sweep: sw},
		"collector silent for 10m0s":       {Sweep: sw, Progress: queue.Progress{At: now.Add(-10 * time.Minute)}},
		"being cancelled":                  {Sweep: queue.Sweep{Listed: 5, Cancelled: &now}, Progress: told},
		"deadline":                         {Sweep: sw, Progress: queue.Progress{Ended: queue.EndedDeadline}},
	} {
		if got := stateWord(s, now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
