package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	pc "pecrawler"
	"pecrawler/store"
)

// Two processes at one store, as two collectors and two review pages are: all
// that was written is there, and the audit log is one chain.
func TestTwoProcesses(t *testing.T) { both(t, testTwoProcesses) }

func testTwoProcesses(t *testing.T, place string) {
	one, db := open(t, place)
	two, err := store.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	ctx := context.WithoutCancel(t.Context())
	const each = 25
	var wg sync.WaitGroup
	var mu sync.Mutex
	decided := 0
	for p, s := range []*store.Store{one, two, one, two} {
		wg.Go(func() {
			for i := range each {
				if err := s.Note(ctx, store.Entry{At: at(i), Who: fmt.Sprint("p", p), Act: "view", Subject: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() { // each result comes twice, and sites overlap in the opposite order
			for i := range each {
				site := fmt.Sprintf("site-%d.example", i)
				if p%2 == 1 {
					site = fmt.Sprintf("site-%d.example", each-1-i)
				}
				v := word(site, i, "clear", 1+i%3)
				v.Visit = 1
				if err := errors.Join(s.AddSites(ctx, "s1", []store.Site{{Site: site, Line: i}, {Site: fmt.Sprintf("site-%d.example", (i+7)%each), Line: i}}), s.PutResult(ctx, v), s.PutWord(ctx, v)); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			v, err := s.Word(ctx, "s1", "a.example")
			if err == nil {
				err = s.Decide(ctx, "s1", "a.example", store.Reading{By: fmt.Sprint("p", p), At: at(1), Verdict: store.VerdictDigest(v), Site: store.Decision{Act: store.Uphold}})
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				decided++
			} else if !errors.Is(err, store.ErrChanged) && !errors.Is(err, store.ErrNotYou) {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := s.Reopen(ctx, "s1"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if decided != 1 {
		t.Errorf("%d people decided on one case", decided)
	}
	if n, _, err := one.VerifyAudit(ctx); err != nil || n != 4*each+1 {
		t.Errorf("the log: %d entries, %v; want %d", n, err, 4*each+1)
	}
	c, err := one.Counts(ctx, "s1")
	if err != nil || c.Sites != each || c.Visits != each || c.Done != each+3 {
		t.Errorf("%+v, %v", c, err)
	}
	var findings int
	if err := db.QueryRow(`SELECT count(*) FROM finding`).Scan(&findings); err != nil || findings != 2*(each+3) {
		t.Errorf("%d findings, %v", findings, err)
	}
}

// That nobody visited a site is said by who ends a sweep early, perhaps while
// another process stores what somebody saw there: what was seen stands, in
// whichever order they come.
func TestNotVisitedReplacesNothingSeen(t *testing.T) { both(t, testNotVisited) }

func testNotVisited(t *testing.T, place string) {
	s, _ := open(t, place)
	two, err := store.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	ctx := context.WithoutCancel(t.Context())
	unseen := func(site, reason string) pc.Verdict {
		return pc.Verdict{Sweep: "s1", Site: site, Overall: pc.NotAssessed, Outcome: pc.Excluded, Reason: reason}
	}
	seen := func(site string) pc.Verdict {
		v := word(site, 1, "clear", 1)
		v.Visit, v.Visits = 1, 1
		return v
	}
	is := func(site string, want error, outcome pc.Outcome, reason string) {
		t.Helper()
		got, err := s.Word(ctx, "s1", site)
		if !errors.Is(err, want) || got.Outcome != outcome || got.Reason != reason {
			t.Errorf("the word on %s: %s %q, %v; want %s %q, %v", site, got.Outcome, got.Reason, err, outcome, reason, want)
		}
	}
	// A result without a word yet, a word, and one after the other.
	if err := errors.Join(s.PutResult(ctx, seen("result.example")), two.PutWord(ctx, unseen("result.example", "cancelled"))); err != nil {
		t.Fatal(err)
	}
	is("result.example", store.ErrNotFound, "", "")
	if err := errors.Join(s.PutWord(ctx, seen("word.example")), two.PutWord(ctx, unseen("word.example", "cancelled"))); err != nil {
		t.Fatal(err)
	}
	is("word.example", nil, pc.Assessed, "")
	if err := errors.Join(s.PutWord(ctx, unseen("none.example", "cancelled")), two.PutWord(ctx, unseen("none.example", "deadline"))); err != nil {
		t.Fatal(err)
	}
	is("none.example", nil, pc.Excluded, "cancelled")
	if err := errors.Join(two.PutResult(ctx, seen("none.example")), two.PutWord(ctx, seen("none.example"))); err != nil {
		t.Fatal(err)
	}
	is("none.example", nil, pc.Assessed, "")
	// At the same time.
	for i := range 30 {
		site := fmt.Sprintf("race%d.example", i)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.PutWord(ctx, unseen(site, "deadline")); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := errors.Join(two.PutResult(ctx, seen(site)), two.PutWord(ctx, seen(site))); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		is(site, nil, pc.Assessed, "")
	}
}

// A word that changes while somebody decides on it: either the decision speaks of
// the word that there was and the new one came after, or it is refused.
func TestWordChangesWhileSomebodyDecides(t *testing.T) { both(t, testWordChanges) }

func testWordChanges(t *testing.T, place string) {
	s, _ := open(t, place)
	ctx := context.WithoutCancel(t.Context())
	for i := range 20 {
		v := word(fmt.Sprintf("x%d.example", i), 1, "clear", 1)
		if err := s.PutWord(ctx, v); err != nil {
			t.Fatal(err)
		}
		r := store.Reading{By: "ann", At: at(1), Verdict: store.VerdictDigest(v), Site: store.Decision{Act: store.Uphold}}
		var wg sync.WaitGroup
		var decided error
		wg.Go(func() { decided = s.Decide(ctx, "s1", v.Site, r) })
		wg.Go(func() {
			later := v
			later.Overall = pc.Clear
			if err := s.PutWord(ctx, later); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		ds, err := s.Decisions(ctx, "s1", v.Site)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Case(ctx, "s1", v.Site)
		switch {
		case decided == nil && (len(ds) != 1 || err != nil):
			t.Errorf("decided, but %d decisions, case: %v", len(ds), err)
		case decided != nil && (len(ds) != 0 || !errors.Is(decided, store.ErrChanged) && !errors.Is(decided, store.ErrNotFound)):
			t.Errorf("%v, %d decisions", decided, len(ds))
		}
	}
}

// What pages and people write may hold characters that a database does not take.
func TestTextsOfStrangers(t *testing.T) {
	both(t, func(t *testing.T, place string) {
		s, _ := open(t, place)
		v := word("bad.example", 1, "clear", 1)
		v.Reason, v.Banner.CMP, v.Sector, v.Visit = "a\x00b\xff", "c\x00", strings.Repeat("ä", 5000), 1
		if err := errors.Join(s.PutResult(t.Context(), v), s.PutWord(t.Context(), v), s.Note(t.Context(), store.Entry{At: at(0), Who: "a\x00", Act: "view", Detail: "\xff"})); err != nil {
			t.Fatal(err)
		}
		stored, err := s.Word(t.Context(), "s1", "bad.example")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Decide(t.Context(), "s1", "bad.example", store.Reading{By: "ann", At: at(0), Verdict: store.VerdictDigest(stored), Site: store.Decision{Act: store.Uphold, Note: "x\x00\xff"}}); err != nil {
			t.Error(err)
		}
		if n, _, err := s.VerifyAudit(t.Context()); err != nil || n != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
