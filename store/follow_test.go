package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pecrawler/store"
)

func TestFollow(t *testing.T) { both(t, testFollow) }

// step adds a step to the case a.example.
func step(t *testing.T, s *store.Store, kind string, n, due, after int) (store.Step, error) {
	t.Helper()
	st := store.Step{Sweep: "s1", Site: "a.example", Kind: kind, By: "ann", At: at(n), Doc: json.RawMessage(`{"text": "<b> é"}`)}
	if kind == store.StepVisit {
		st.Doc = json.RawMessage(fmt.Sprintf(`{"again": %d}`, n))
	}
	if due > 0 {
		st.Due = at(due)
	}
	return s.Follow(t.Context(), st, after)
}

func testFollow(t *testing.T, place string) {
	s, db := open(t, place)
	for _, kind := range []string{store.StepDraft, store.StepLetter, store.StepVisit, store.StepReply} {
		if _, err := step(t, s, kind, 1, 0, 0); !errors.Is(err, store.ErrNotUpheld) {
			t.Errorf("a %s before anybody decided: %v", kind, err)
		}
	}
	if err := s.Decide(t.Context(), "s1", "a.example", reading(t, s, "ann", store.Uphold, 0)); err != nil {
		t.Fatal(err)
	}
	due := func(n int, want string) {
		t.Helper()
		got, err := s.Due(t.Context(), at(n))
		var names []string
		for _, st := range got {
			names = append(names, st.Site)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("due at %d: %q, %v; want %q", n, names, err, want)
		}
	}
	if st, err := step(t, s, store.StepDraft, 2, 0, 0); err != nil || st.N != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	if _, err := step(t, s, store.StepDraft, 3, 0, 0); !errors.Is(err, store.ErrChanged) {
		t.Errorf("a draft by somebody who has not seen the last: %v", err)
	}
	if _, err := step(t, s, store.StepReply, 3, 0, 0); !errors.Is(err, store.ErrNotUpheld) {
		t.Errorf("a reply to nothing: %v", err)
	}
	if _, err := step(t, s, store.StepLetter, 4, 100, 1); err != nil {
		t.Fatal(err)
	}
	due(99, "")
	due(100, "a.example")
	if _, err := step(t, s, store.StepVisit, 50, 0, 0); err != nil { // asked for before the deadline: the one after it comes all the same
		t.Fatal(err)
	}
	if _, err := step(t, s, store.StepVisit, 50, 0, 0); !errors.Is(err, store.ErrChanged) {
		t.Errorf("the same visit again: %v", err)
	}
	due(100, "a.example")
	if _, err := step(t, s, store.StepLetter, 60, 200, 2); err != nil { // more time was given
		t.Fatal(err)
	}
	due(150, "")
	due(200, "a.example")
	if ls, err := s.Letters(t.Context(), 10, 0); err != nil || len(ls) != 1 || ls[0].N != 4 {
		t.Errorf("letters: %+v, %v", ls, err)
	}
	if _, err := step(t, s, store.StepVisit, 210, 0, 0); err != nil {
		t.Fatal(err)
	}
	due(300, "")
	if _, err := step(t, s, store.StepReply, 220, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Decide(t.Context(), "s1", "a.example", store.Reading{By: "lee", Lead: true, At: at(230), Verdict: reading(t, s, "", "", 0).Verdict, After: 1, Site: store.Decision{Act: store.Dismiss, Reason: "exempt"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := step(t, s, store.StepLetter, 240, 300, 4); !errors.Is(err, store.ErrNotUpheld) {
		t.Errorf("a letter on what was dismissed since: %v", err)
	}
	if _, err := step(t, s, store.StepReply, 250, 0, 0); err != nil {
		t.Errorf("a reply to an earlier letter: %v", err)
	}
	due(400, "")
	all, err := s.Steps(t.Context(), "s1", "a.example")
	if err != nil || len(all) != 7 || string(all[0].Doc) != "{\"text\":\"\\u003cb\\u003e é\"}" || !all[1].Due.Equal(at(100)) || !all[0].Due.IsZero() || all[6].N != 7 {
		t.Errorf("steps: %+v, %v", all, err)
	}
	if _, _, err := s.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
	for _, q := range []string{`UPDATE follow SET doc = '{}'`, `DELETE FROM follow`} {
		if _, err := db.Exec(q); err == nil {
			t.Errorf("%s: the database let it", q)
		}
	}
	// Whoever gets around the triggers is found.
	off, on := `DROP TRIGGER follow_stays`, ``
	if store.IsPostgres(place) {
		off, on = `ALTER TABLE follow DISABLE TRIGGER ALL`, `ALTER TABLE follow ENABLE TRIGGER ALL`
	}
	for _, q := range []string{off, `UPDATE follow SET due_ms = 1 WHERE n = 2`, on} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	var broken *store.BrokenError
	if _, _, err := s.VerifyAudit(t.Context()); !errors.As(err, &broken) || !strings.Contains(broken.Reason, "step 2 of s1/a.example") {
		t.Errorf("a deadline that was changed: %v", err)
	}
}

func TestAuditOf(t *testing.T) {
	both(t, func(t *testing.T, place string) {
		s, _ := open(t, place)
		for _, subject := range []string{"s1/a.example", "s1/a.example.org", "sha256:1", "sha256:1/idle/storage/0", "sha256:12", "s1"} {
			if err := s.Note(t.Context(), store.Entry{At: time.UnixMilli(1), Who: "ann", Act: "view", Subject: subject}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		err := s.AuditOf(t.Context(), []string{"s1/a.example", "sha256:1"}, func(e store.Entry) error {
			got = append(got, e.Subject)
			if !e.Whole() {
				t.Errorf("entry %d is not whole", e.Seq)
			}
			return nil
		})
		if want := "s1/a.example sha256:1 sha256:1/idle/storage/0"; err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q, %v; want %s", got, err, want)
		}
	})
}
