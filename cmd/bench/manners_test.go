package main

import (
	"fmt"
	"testing"
	"time"

	"pecrawler/lab"
)

// Two visits of a domain by two workers, and by one worker, keep the gap or do
// not; requests to other parties say nothing.
func TestManners(t *testing.T) {
	begin := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	at := func(s float64) time.Time { return begin.Add(time.Duration(s * float64(time.Second))) }
	line := func(s float64, msg string) string {
		return fmt.Sprintf("time=%s level=INFO msg=%s", at(s).Format("2006-01-02T15:04:05.000Z07:00"), msg)
	}
	type ask struct {
		at   float64
		from string
		host string
	}
	for name, c := range map[string]struct {
		asked  []ask
		log    []string // of worker a
		visits int
		rude   []time.Duration
	}{
		"one visit":           {[]ask{{0, "a", "x.example"}, {9, "a", "www.x.example"}, {15, "a", "x.example"}}, nil, 1, nil},
		"another worker":      {[]ask{{0, "a", "x.example"}, {9, "b", "x.example"}}, nil, 2, nil},
		"another, too early":  {[]ask{{0, "a", "x.example"}, {1, "b", "www.x.example"}}, nil, 2, []time.Duration{time.Second}},
		"overlap":             {[]ask{{0, "a", "x.example"}, {5, "b", "x.example"}, {9, "a", "x.example"}}, nil, 2, []time.Duration{-4 * time.Second}},
		"other parties":       {[]ask{{0, "a", "cdn.example"}, {0, "b", "cdn.example"}}, nil, 0, nil},
		"the same again":      {[]ask{{0, "a", "x.example"}, {9, "a", "x.example"}}, []string{line(5, "visited visit=s/x.example/1 attempt=1 outcome=assessed")}, 2, nil},
		"the same, too early": {[]ask{{0, "a", "x.example"}, {1.5, "a", "x.example"}}, []string{line(1, `"given back" visit=s/x.example/1 attempt=1`)}, 2, []time.Duration{1500 * time.Millisecond}},
		"of another site":     {[]ask{{0, "a", "x.example"}, {1.5, "a", "x.example"}}, []string{line(1, "visited visit=s/y.example/1 attempt=1")}, 1, nil},
		"a new process":       {[]ask{{0, "a", "x.example"}, {70, "a", "x.example"}}, []string{line(3, "ready chrome=1")}, 2, nil},
	} {
		m := newManners([]*lab.Site{{Host: "x.example"}, {Host: "y.example"}})
		for _, l := range c.log {
			m.log("a", l)
		}
		for _, r := range c.asked {
			m.request(lab.Request{At: at(r.at), From: r.from, Host: r.host})
		}
		got, visits := m.offences(2 * time.Second)
		if visits != c.visits || len(got) != len(c.rude) {
			t.Errorf("%s: %d visits, %v, want %d and %v", name, visits, got, c.visits, c.rude)
			continue
		}
		for i, o := range got {
			if o.after != c.rude[i] {
				t.Errorf("%s: %v after, want %v", name, o.after, c.rude[i])
			}
		}
	}
}
