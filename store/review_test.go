package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
	"pecrawler/store"
)

// open opens a store with a sweep of three cases and gives a second way into it.
func open(t testing.TB, place string) (*store.Store, *sql.DB) {
	t.Helper()
	s, db := begin(t, place), beside(t, place)
	if err := s.CreateSweep(t.Context(), store.Sweep{ID: "s1", Settings: "{}", Created: time.UnixMilli(1000)}, nil); err != nil {
		t.Fatal(err)
	}
	for _, v := range []pc.Verdict{word("a.example", 7, "clear", 1), word("b.example", 3, "likely", 2), word("c.example", 0, "clear", 3)} {
		if err := s.PutWord(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	return s, db
}

func word(site string, rank int, strength string, check int) pc.Verdict {
	return pc.Verdict{Sweep: "s1", Site: site, Visits: 1, Rank: rank, Sector: "news", Overall: pc.Flagged, Outcome: pc.Assessed, Banner: pc.BannerSummary{CMP: "onetrust"}, Times: pc.Times{Last: time.Unix(100, 0)},
		Findings: []pc.Finding{{Rule: fmt.Sprintf("rule-%d", check), Status: "stable", Outcome: pc.Fail, Strength: strength, Check: check, Confidence: 0.9}, {Rule: "other", Status: "stable", Outcome: pc.Pass, Check: 2}}}
}

func at(n int) time.Time { return time.UnixMilli(int64(5000 + n)).UTC() }

func reading(t *testing.T, s *store.Store, by, act string, after int64, more ...store.Decision) store.Reading {
	t.Helper()
	v, err := s.Word(t.Context(), "s1", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	return store.Reading{By: by, At: at(1), Verdict: store.VerdictDigest(v), After: after, Site: store.Decision{Act: act, Note: "because"}, Findings: more}
}

func sites(cs []store.Case) string {
	var out []string
	for _, c := range cs {
		out = append(out, c.Site[:1])
	}
	return strings.Join(out, "")
}

func TestQueueFiltersAndSorts(t *testing.T) { both(t, testQueueFiltersAndSorts) }

func testQueueFiltersAndSorts(t *testing.T, place string) {
	s, _ := open(t, place)
	for want, f := range map[string]store.CaseFilter{
		"acb": {Sweep: "s1"}, "bac": {Sort: "reach"}, "abc": {Sort: "site"}, "b": {Check: 2}, "c": {Rule: "rule-3"}, "ac": {Strength: "clear"}, "ba": {Rank: 7, Sort: "reach"}, "": {Sector: "food"},
		"a": {Query: "A.EX", Sector: "news", CMP: "onetrust", Status: store.Undecided, Confidence: 0.9, Overall: pc.Flagged, Assignee: store.Nobody},
	} {
		f.Limit = 10
		if got, n, err := s.Cases(t.Context(), f); err != nil || sites(got) != want || n != len(want) {
			t.Errorf("%+v: %q of %d, %v; want %q", f, sites(got), n, err, want)
		}
	}
	got, err := s.Case(t.Context(), "s1", "a.example")
	want := store.Case{Sweep: "s1", Site: "a.example", Overall: pc.Flagged, Strength: "clear", Confidence: 0.9, Rules: []string{"rule-1"}, Checks: []int{1}, Rank: 7, Sector: "news", CMP: "onetrust", Seen: time.Unix(100, 0).UTC(), Status: store.Undecided}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("Case: %v\n%s", err, cmp.Diff(want, got))
	}
	if ch, err := s.CaseChoices(t.Context()); err != nil || !slices.Equal(ch.Rules, []string{"rule-1", "rule-2", "rule-3"}) || !slices.Equal(ch.Sectors, []string{"news"}) || !slices.Equal(ch.CMPs, []string{"onetrust"}) {
		t.Errorf("Choices: %+v, %v", ch, err)
	}
	// A later word that is clear takes the site out, unless somebody has decided on it.
	v := word("b.example", 3, "likely", 2)
	v.Overall = pc.Clear
	if err := s.PutWord(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Case(t.Context(), "s1", "b.example"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a clear site is still in the queue: %v", err)
	}
}

// What was there before the queue gets the same rows as what comes after.
// There was no PostgreSQL then.
func TestOldWordsComeIntoTheQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	s, db := open(t, path)
	v := word("a.example", 7, "likely", 2)
	v.Findings = append(v.Findings, pc.Finding{Rule: "rule-9", Status: "stable", Outcome: pc.Unsure, Strength: "clear", Check: 1, Confidence: 0.5}, pc.Finding{Rule: "new", Status: "experimental", Outcome: pc.Fail})
	if err := s.PutWord(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	v.Site, v.Findings = "none.example", nil
	if err := s.PutWord(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	all := store.CaseFilter{Sort: "site", Limit: 10}
	want, _, err := s.Cases(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{`DELETE FROM goose_db_version WHERE version_id >= 3`, `DROP TABLE casefile`, `DROP TABLE audit`, `DROP TABLE decision`, `DROP TABLE follow`, `DROP INDEX word_site`, `DROP INDEX word_counts`, `DROP TABLE account`, `DROP TABLE token`, `DROP TABLE saved_view`, `DROP TABLE ended`, `ALTER TABLE word DROP COLUMN visits`} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	s, err = store.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, _, err := s.Cases(t.Context(), all)
	for _, cs := range [][]store.Case{got, want} {
		for i := range cs {
			slices.Sort(cs[i].Checks) // the migration does not keep the order
		}
	}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(want, got))
	}
}

func TestTakeNextGivesEachCaseOnce(t *testing.T) { both(t, testTakeNextGivesEachCaseOnce) }

func testTakeNextGivesEachCaseOnce(t *testing.T, place string) {
	s, _ := open(t, place)
	var mu sync.Mutex
	got := map[string]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			c, err := s.TakeNext(context.WithoutCancel(t.Context()), store.CaseFilter{Sweep: "s1"}, fmt.Sprint("reader", i), false, at(i))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				got[c.Site]++
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !cmp.Equal(got, map[string]int{"a.example": 1, "b.example": 1, "c.example": 1}) {
		t.Errorf("given out: %v", got)
	}
	c, err := s.Case(t.Context(), "s1", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Take(t.Context(), "s1", "a.example", "zoe", "", at(9)); !errors.Is(err, store.ErrTaken) {
		t.Errorf("a case that somebody has was taken unknowingly: %v", err)
	}
	if err := s.Take(t.Context(), "s1", "a.example", "zoe", c.Assignee, at(9)); err != nil {
		t.Errorf("taken over knowingly: %v", err)
	}
	if err := s.Release(t.Context(), "s1", "a.example", c.Assignee, at(9)); !errors.Is(err, store.ErrTaken) {
		t.Errorf("given back by who no longer has it: %v", err)
	}
	if err := s.Release(t.Context(), "s1", "a.example", "zoe", at(9)); err != nil {
		t.Error(err)
	}
}

func TestDecideOnce(t *testing.T) { both(t, testDecideOnce) }

func testDecideOnce(t *testing.T, place string) {
	s, _ := open(t, place)
	ctx := t.Context()
	r := reading(t, s, "ann", store.Uphold, 0, store.Decision{Rule: "rule-1", Act: store.Uphold})
	stale := r
	stale.Verdict = "sha256:other"
	if err := s.Decide(ctx, "s1", "a.example", stale); !errors.Is(err, store.ErrChanged) {
		t.Errorf("decided on another verdict: %v", err)
	}
	if err := s.Take(ctx, "s1", "a.example", "bob", "", at(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(ctx, "s1", "a.example", r); !errors.Is(err, store.ErrTaken) {
		t.Errorf("decided on bob's case: %v", err)
	}
	if err := s.Take(ctx, "s1", "a.example", "ann", "bob", at(0)); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(ctx, "s1", "a.example", r); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(ctx, "s1", "a.example", r); !errors.Is(err, store.ErrChanged) {
		t.Errorf("decided twice from the same page: %v", err)
	}
	ds, err := s.Decisions(ctx, "s1", "a.example")
	if err != nil || len(ds) != 2 || ds[0].By != "ann" || ds[0].Rule != "" || ds[1].Rule != "rule-1" || ds[0].Reading != 1 || ds[0].Verdict != r.Verdict {
		t.Fatalf("Decisions: %+v, %v", ds, err)
	}
	if c, _ := s.Case(ctx, "s1", "a.example"); c.Status != store.Decided || c.Act != store.Uphold || c.Assignee != "" {
		t.Errorf("the case: %+v", c)
	}
	bob := reading(t, s, "bob", store.Dismiss, ds[1].ID)
	if err := s.Decide(ctx, "s1", "a.example", bob); !errors.Is(err, store.ErrNotYou) {
		t.Errorf("a decided case was decided by another: %v", err)
	}
	bob.Lead = true
	if err := s.Decide(ctx, "s1", "a.example", bob); err != nil {
		t.Errorf("a lead corrects: %v", err)
	}
	if ds, _ := s.Decisions(ctx, "s1", "a.example"); len(ds) != 3 || ds[2].Reading != 3 || ds[0].Act != store.Uphold {
		t.Errorf("the earlier decision has to stay beside the correction: %+v", ds)
	}
}

func TestBlindSecondReading(t *testing.T) { both(t, testBlindSecondReading) }

func testBlindSecondReading(t *testing.T, place string) {
	for i, c := range []struct{ second, status string }{{store.Uphold, store.Decided}, {store.Dismiss, store.Disagreement}} {
		s, _ := open(t, another(t, place, i))
		ctx := t.Context()
		first := reading(t, s, "ann", store.Uphold, 0)
		first.Sampled = true
		if err := s.Decide(ctx, "s1", "a.example", first); err != nil {
			t.Fatal(err)
		}
		ds, _ := s.Decisions(ctx, "s1", "a.example")
		if err := s.Decide(ctx, "s1", "a.example", reading(t, s, "ann", store.Uphold, ds[0].ID)); !errors.Is(err, store.ErrNotYou) {
			t.Errorf("the first reader read again: %v", err)
		}
		if got, err := s.TakeNext(ctx, store.CaseFilter{Query: "a.ex"}, "ann", false, at(1)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the first reader got the case again: %+v, %v", got, err)
		}
		if got, err := s.TakeNext(ctx, store.CaseFilter{Query: "a.ex"}, "bob", false, at(1)); err != nil || got.Site != "a.example" {
			t.Errorf("the second reader: %+v, %v", got, err)
		}
		if err := s.Decide(ctx, "s1", "a.example", reading(t, s, "bob", c.second, 0)); err != nil { // 0: the first reading was not shown
			t.Fatal(err)
		}
		got, _ := s.Case(ctx, "s1", "a.example")
		if got.Status != c.status {
			t.Errorf("uphold and %s: %s, want %s", c.second, got.Status, c.status)
		}
		if c.status == store.Disagreement {
			ds, _ := s.Decisions(ctx, "s1", "a.example")
			last := ds[len(ds)-1].ID
			if err := s.Decide(ctx, "s1", "a.example", reading(t, s, "bob", store.Uphold, last)); !errors.Is(err, store.ErrNotYou) {
				t.Errorf("a reader settled the disagreement: %v", err)
			}
			lead := reading(t, s, "lee", store.Uphold, last)
			lead.Lead = true
			if err := s.Decide(ctx, "s1", "a.example", lead); err != nil {
				t.Error(err)
			}
			if got, _ := s.Case(ctx, "s1", "a.example"); got.Status != store.Decided || got.Act != store.Uphold {
				t.Errorf("settled: %+v", got)
			}
		}
		if n, _, err := s.VerifyAudit(ctx); err != nil || n < 3 {
			t.Errorf("the log of all that: %d, %v", n, err)
		}
	}
}

// The database refuses to change what only grows; who gets around that is found.
func TestAuditLogShowsTampering(t *testing.T) { both(t, testAuditLogShowsTampering) }

func testAuditLogShowsTampering(t *testing.T, place string) {
	for i, c := range []struct {
		name, sql string
		broken    int64
	}{
		{"untouched", ``, 0},
		{"a changed entry", `UPDATE audit SET who = 'eve' WHERE seq = 2`, 2},
		{"a removed entry", `DELETE FROM audit WHERE seq = 2`, 2},
		{"the first removed", `DELETE FROM audit WHERE seq = 1`, 1},
		{"an entry with a hash of its own", `UPDATE audit SET hash = 'sha256:0' WHERE seq = 3`, 3},
		{"a changed decision", `UPDATE decision SET act = 'dismiss'`, 3},
		{"a removed decision", `DELETE FROM decision`, 3},
		{"a decision that was not logged", `INSERT INTO decision SELECT 99, sweep, site, rule, act, reason, note, by_whom, at_ms, reading, verdict FROM decision LIMIT 1`, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, db := open(t, another(t, place, i))
			for _, e := range []store.Entry{{At: at(0), Who: "ann", Act: "sign-in"}, {At: at(1), Who: "ann", Act: "reveal", Subject: "x<>&\u2028", Detail: "{}"}} {
				if err := s.Note(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Decide(t.Context(), "s1", "a.example", reading(t, s, "ann", store.Uphold, 0)); err != nil {
				t.Fatal(err)
			}
			if err := s.Note(t.Context(), store.Entry{At: at(3), Who: "ann", Act: "view"}); err != nil {
				t.Fatal(err)
			}
			if c.sql != "" {
				if _, err := db.Exec(c.sql); err == nil && !strings.HasPrefix(c.sql, "INSERT") {
					t.Error("the database let it happen")
				}
				for _, name := range []string{"decision_stays", "decision_remains", "audit_stays", "audit_remains"} {
					if _, err := db.Exec(`DROP TRIGGER ` + name + on(place, name)); err != nil {
						t.Fatal(err)
					}
				}
				if !strings.HasPrefix(c.sql, "INSERT") {
					if _, err := db.Exec(c.sql); err != nil {
						t.Fatal(err)
					}
				}
			}
			n, head, err := s.VerifyAudit(t.Context())
			var broken *store.BrokenError
			if c.broken == 0 {
				if err != nil || n != 4 || !strings.HasPrefix(head, "sha256:") {
					t.Errorf("%d, %q, %v", n, head, err)
				}
			} else if !errors.As(err, &broken) || broken.Seq != c.broken {
				t.Errorf("%v; want entry %d", err, c.broken)
			}
		})
	}
}

// another is a place like the given one, for a test that wants several.
func another(t *testing.T, place string, i int) string {
	if store.IsPostgres(place) {
		return onPostgres(t)
	}
	return fmt.Sprintf("%s-%d", place, i)
}

// on is what PostgreSQL wants to know of a trigger besides its name.
func on(place, trigger string) string {
	if !store.IsPostgres(place) {
		return ""
	}
	table, _, _ := strings.Cut(trigger, "_")
	return " ON " + table
}
