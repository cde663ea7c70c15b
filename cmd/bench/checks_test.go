package main

import (
	"strings"
	"testing"
	"time"
)

// A sweep that left everything in its place, and one that lost a word and kept a
// visit on the queue.
func TestChecks(t *testing.T) {
	held := func(messages map[string]int) map[string]streamState {
		out := map[string]streamState{}
		for name, n := range messages {
			s := streamState{Name: name}
			s.State.Messages = n
			out[name] = s
		}
		return out
	}
	for name, c := range map[string]struct {
		status       string
		words, sites int
		streams      map[string]int
		missed       []string
	}{
		"all there":  {`{"sites":3,"done":3,"ended":"done"}`, 3, 3, map[string]int{"VERDICTS": 3, "FLAGGED": 1, "RESULTS": 4, "DEAD": 0, "VISITS": 0}, nil},
		"twice":      {`{"sites":3,"done":3,"ended":"done"}`, 4, 3, map[string]int{"VERDICTS": 3, "FLAGGED": 1, "RESULTS": 4, "DEAD": 0, "VISITS": 0}, []string{"| one last word a site in the store | 4 words on 3 sites |"}},
		"cancelled":  {`{"sites":3,"done":2,"ended":"cancelled"}`, 3, 3, map[string]int{"VERDICTS": 3, "FLAGGED": 1, "RESULTS": 4, "DEAD": 0, "VISITS": 0}, []string{"| cancelled, 2 of 3 sites |"}},
		"left over":  {`{"sites":3,"done":3,"ended":"done"}`, 3, 3, map[string]int{"VERDICTS": 2, "FLAGGED": 1, "RESULTS": 4, "DEAD": 0, "VISITS": 1}, []string{"| messages in VERDICTS: 3 | 2 |", "| messages in VISITS: 0 | 1 |"}},
		"not a word": {`{"sites":3,"done":3,"ended":"done"}`, 3, 3, map[string]int{"VERDICTS": 3, "FLAGGED": 1, "RESULTS": 4, "VISITS": 0}, []string{"| messages in DEAD: 0 | 0 |"}}, // nobody told of the stream
	} {
		var all checks
		if err := all.ended(3, time.Minute, func() ([]byte, error) { return []byte(c.status), nil }); err != nil {
			t.Fatal(err)
		}
		all.once(3, c.words, c.sites)
		all.messages(held(c.streams), 3, 1, 4)
		var page strings.Builder
		if missed := all.rows(&page); missed != len(c.missed) || strings.Count(page.String(), "| **missed** |\n") != missed || strings.Count(page.String(), "| met |\n") != len(all)-missed {
			t.Errorf("%s: %d missed, want %d:\n%s", name, missed, len(c.missed), &page)
		}
		for _, want := range c.missed {
			if !strings.Contains(page.String(), want+" **missed** |\n") {
				t.Errorf("%s: %q is not missed:\n%s", name, want, &page)
			}
		}
	}
}

// A sweep that stands still is given up, also when nobody tells how it is.
func TestProgress(t *testing.T) {
	p := newProgress(9)
	for _, n := range []int{-1, 0, 3, -1} {
		if err := p.words(n); err != nil {
			t.Error(err)
		}
	}
	p.since = p.since.Add(-11 * time.Minute)
	if err := p.words(-1); err == nil || !strings.Contains(err.Error(), "3 of 9 sites") {
		t.Errorf("nothing is told for 11 minutes: %v", err)
	}
	if err := p.words(4); err != nil {
		t.Errorf("it goes on: %v", err)
	}
}
