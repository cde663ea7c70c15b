package store_test

import (
	"errors"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/store"
)

func TestStore(t *testing.T) { both(t, testStore) }

func testStore(t *testing.T, place string) {
	ctx := t.Context()
	s := begin(t, place)
	sw := store.Sweep{ID: "s1", ListDigest: "d", Settings: "{}", Agree: 2, Created: time.UnixMilli(1000).UTC()}
	sites := []store.Site{{Site: "b.example", URL: "https://b.example/", Line: 1}, {Site: "a.example", URL: "https://a.example/", Line: 2, Rank: 7}}
	if err := s.CreateSweep(ctx, sw, sites); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSweep(ctx, sw, sites); err == nil {
		t.Error("the same sweep was created twice")
	}
	if got, err := s.Unfinished(ctx, "d", "{}"); err != nil || got.ID != "s1" {
		t.Errorf("Unfinished: %+v, %v", got, err)
	}
	if _, err := s.Unfinished(ctx, "other", "{}"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Unfinished of another list: %v", err)
	}
	for range 2 { // a second write changes nothing
		if err := s.PutResult(ctx, pc.Verdict{Sweep: "s1", Site: "b.example", Visit: 1, Reason: "first"}); err != nil {
			t.Fatal(err)
		}
	}
	s.PutResult(ctx, pc.Verdict{Sweep: "s1", Site: "b.example", Visit: 1, Reason: "second"})
	if rs, err := s.Results(ctx, "s1", "b.example"); err != nil || len(rs) != 1 || rs[0].Reason != "first" {
		t.Errorf("Results: %+v, %v", rs, err)
	}
	word := pc.Verdict{Sweep: "s1", Site: "b.example", Visits: 1, Overall: pc.Flagged, Outcome: pc.Assessed, Findings: []pc.Finding{{Rule: "pre-ad-storage", Outcome: pc.Fail}}}
	for range 2 {
		if err := s.PutWord(ctx, word); err != nil {
			t.Fatal(err)
		}
	}
	late := word // another collector that has not seen the second visit
	late.Visits, late.Overall, word.Visits = 1, pc.Clear, 2
	if err := errors.Join(s.PutWord(ctx, word), s.PutWord(ctx, late)); err != nil {
		t.Fatal(err)
	}
	if p, err := s.Pending(ctx, "s1"); err != nil || len(p) != 1 || p[0].Site != "a.example" || p[0].Rank != 7 {
		t.Errorf("Pending: %+v, %v", p, err)
	}
	for f, want := range map[store.Filter]int{{}: 1, {Overall: pc.Flagged}: 1, {Overall: pc.Clear}: 0, {Rule: "pre-ad-storage"}: 1, {Rule: "other"}: 0, {Query: "B.EX"}: 1, {Query: "' OR 1=1 --"}: 0, {Limit: 1, Offset: 1}: 1} {
		if _, n, err := s.Words(ctx, "s1", f); err != nil || n != want {
			t.Errorf("Words(%+v): %d, %v, want %d", f, n, err, want)
		}
	}
	var each []string
	if err := s.EachWord(ctx, "s1", func(v pc.Verdict) error { each = append(each, v.Site); return nil }); err != nil || len(each) != 1 || each[0] != "b.example" {
		t.Errorf("EachWord: %v, %v", each, err)
	}
	if stop := errors.New("stop"); !errors.Is(s.EachWord(ctx, "s1", func(pc.Verdict) error { return stop }), stop) {
		t.Error("EachWord went on after an error")
	}
	if c, err := s.Counts(ctx, "s1"); err != nil || c.Sites != 2 || c.Done != 1 || c.Visits != 1 || c.Overall[pc.Flagged] != 1 {
		t.Errorf("Counts: %+v, %v", c, err)
	}
	j := store.Judgement{Sweep: "s1", MadeBy: "rules x", Made: time.UnixMilli(3000).UTC(), Sites: 1, Changed: 1}
	for range 2 { // the same versions say the same
		if err := s.PutJudgement(ctx, j, []store.Change{{Site: "b.example", Was: pc.Flagged, Differs: "flagged becomes clear", Now: pc.Verdict{Overall: pc.Clear}}}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Judgements(ctx, "s1"); err != nil || len(got) != 1 || got[0] != j {
		t.Errorf("Judgements: %+v, %v", got, err)
	}
	if got, err := s.Changes(ctx, "s1", "rules x"); err != nil || len(got) != 1 || got[0].Now.Overall != pc.Clear || got[0].Was != pc.Flagged {
		t.Errorf("Changes: %+v, %v", got, err)
	}
	for site, want := range map[string]pc.Overall{"b.example": pc.Clear, "a.example": ""} {
		if got, err := s.RejudgedSite(ctx, "s1", site); err != nil || len(got) != 1 || got[0].Becomes != want || got[0].MadeBy != "rules x" || !got[0].Made.Equal(j.Made) {
			t.Errorf("RejudgedSite(%s): %+v, %v", site, got, err)
		}
	}
	if got, err := s.Word(ctx, "s1", "b.example"); err != nil || got.Overall != pc.Flagged {
		t.Errorf("a judgement changed the word itself: %+v, %v", got.Overall, err)
	}
	// A sweep that is launched comes in parts; a part may come twice.
	for range 2 {
		if err := s.AddSites(ctx, "s1", []store.Site{{Site: "c.example", URL: "https://c.example/", Line: 3}, {Site: "d.example", URL: "https://d.example/", Line: 4}}); err != nil {
			t.Fatal(err)
		}
	}
	for site, outcome := range map[string]pc.Outcome{"c.example": pc.Unreachable, "d.example": pc.NotASite} {
		v := pc.Verdict{Sweep: "s1", Site: site, Visit: 1, Visits: 1, Overall: pc.NotAssessed, Outcome: outcome, Findings: []pc.Finding{{Rule: "visit", Outcome: pc.Unavailable}}}
		if err := errors.Join(s.PutResult(ctx, v), s.PutWord(ctx, v)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(ctx, "s1", time.UnixMilli(1500)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 0} {
		if n, err := s.Reopen(ctx, "s1"); err != nil || n != want {
			t.Errorf("Reopen: %d, %v, want %d", n, err, want)
		}
	}
	if sw, err := s.Sweep(ctx, "s1"); err != nil || !sw.Finished.IsZero() {
		t.Errorf("a sweep that was reopened: %+v, %v", sw, err)
	}
	for site, want := range map[string]bool{"c.example": true, "stranger.example": false} {
		if on, err := s.OnList(ctx, "s1", site); err != nil || on != want {
			t.Errorf("OnList(%s): %v, %v", site, on, err)
		}
	}
	if got, err := s.Begun(ctx, "s1"); err != nil || len(got) != 1 || got[0] != "c.example" {
		t.Errorf("Begun: %v, %v", got, err)
	}
	if c, err := s.Counts(ctx, "s1"); err != nil || c.Sites != 4 || c.Done != 2 {
		t.Errorf("Counts after Reopen: %+v, %v", c, err)
	}
	if err := s.Finish(ctx, "s1", time.UnixMilli(2000)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = begin(t, place)
	if got, err := s.Sweep(ctx, "s1"); err != nil || got.Finished.UnixMilli() != 2000 || !got.Created.Equal(sw.Created) {
		t.Errorf("Sweep after opening again: %+v, %v", got, err)
	}
	if _, err := s.Word(ctx, "s1", "none"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Word of no site: %v", err)
	}
}
