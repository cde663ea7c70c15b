package store_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
	"pecrawler/internal/pgtest"
	"pecrawler/store"
)

// reviewed is a store in which people have been at work.
func reviewed(t *testing.T, place string) *store.Store {
	t.Helper()
	s, _ := open(t, place)
	ctx := t.Context()
	first := reading(t, s, "ann", store.Uphold, 0, store.Decision{Rule: "rule-1", Act: store.Uphold})
	first.Sampled = true
	b, err := s.Word(ctx, "s1", "b.example")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		s.Note(ctx, store.Entry{At: at(0), Who: "ann", Act: "sign-in"}),
		s.Decide(ctx, "s1", "a.example", first),
		s.Decide(ctx, "s1", "a.example", reading(t, s, "bob", store.Dismiss, 0)),
		s.Decide(ctx, "s1", "b.example", store.Reading{By: "bob", At: at(2), Verdict: store.VerdictDigest(b), Sampled: true, Site: store.Decision{Act: store.Uphold}}),
		s.Take(ctx, "s1", "c.example", "cid to", "", at(3)),
	); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Assign(ctx, "lee", "to dee", []store.Pick{{Sweep: "s1", Site: "c.example", From: "cid to"}}, at(4)); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	ds, err := s.Decisions(ctx, "s1", "a.example")
	if err != nil {
		t.Fatal(err)
	}
	settled := reading(t, s, "lee", store.Uphold, ds[len(ds)-1].ID)
	settled.Lead = true
	if err := s.Decide(ctx, "s1", "a.example", settled); err != nil {
		t.Fatal(err)
	}
	if _, err := step(t, s, store.StepDraft, 5, 0, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := step(t, s, store.StepLetter, 6, 100, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

// held is all that people see of a store.
type held struct {
	Sweeps    []store.Sweep
	Words     []pc.Verdict
	Cases     []store.Case
	Decisions []store.Decision
	Steps     []store.Step
	Log       []store.Entry
}

func contents(t *testing.T, s *store.Store) (h held) {
	t.Helper()
	ctx := t.Context()
	var errs [5]error
	h.Sweeps, errs[0] = s.Sweeps(ctx)
	h.Words, _, errs[1] = s.Words(ctx, "s1", store.Filter{})
	h.Cases, _, errs[2] = s.Cases(ctx, store.CaseFilter{Sort: "site", Limit: 100})
	h.Steps, errs[4] = s.Letters(ctx, 10, 0)
	for _, w := range h.Words {
		ds, err := s.Decisions(ctx, "s1", w.Site)
		h.Decisions, errs[3] = append(h.Decisions, ds...), errors.Join(errs[3], err)
	}
	if err := errors.Join(errors.Join(errs[:]...), s.AuditEach(ctx, func(e store.Entry) error { h.Log = append(h.Log, e); return nil })); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.VerifyAudit(ctx); err != nil {
		t.Error(err)
	}
	return h
}

func TestBackupAndRestoreSQLite(t *testing.T) {
	place := filepath.Join(t.TempDir(), "s.db")
	s := reviewed(t, place)
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := s.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	if s.Backup(t.Context(), copied) == nil {
		t.Error("a copy was overwritten")
	}
	want := contents(t, s)
	if err := s.Note(t.Context(), store.Entry{At: at(9), Who: "ann", Act: "view"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, contents(t, begin(t, copied))); d != "" {
		t.Error(d)
	}
}

// The commands of docs/store.md, as they stand there.
func TestBackupAndRestorePostgres(t *testing.T) {
	place := onPostgres(t)
	s := reviewed(t, place)
	bin, err := pgtest.Bin()
	if err != nil {
		t.Fatal(err)
	}
	to, file := onPostgres(t), filepath.Join(t.TempDir(), "store.dump")
	for _, args := range [][]string{
		{"pg_dump", "--format=custom", "--no-owner", "--file=" + file, place},
		{"pg_restore", "--no-owner", "--single-transaction", "--exit-on-error", "--dbname=" + to, file},
	} {
		if out, err := exec.Command(filepath.Join(bin, args[0]), args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", args[0], err, out)
		}
	}
	s2, err := store.Open(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer s2.Close()
	if d := cmp.Diff(contents(t, s), contents(t, s2)); d != "" {
		t.Error(d)
	}
	if _, err := beside(t, to).Exec(`DELETE FROM audit`); err == nil {
		t.Error("the triggers did not come back")
	}
	if err := s2.Note(t.Context(), store.Entry{At: at(9), Who: "ann", Act: "view"}); err != nil {
		t.Error(err)
	}
}

// The exported log, put into a store that has the words, gives the decisions and
// brings the cases to where they stood.
func TestReplay(t *testing.T) {
	both(t, func(t *testing.T, place string) {
		s := reviewed(t, filepath.Join(t.TempDir(), "lost.db"))
		var exported bytes.Buffer
		enc := json.NewEncoder(&exported)
		if err := s.AuditEach(t.Context(), func(e store.Entry) error { return enc.Encode(e) }); err != nil {
			t.Fatal(err)
		}
		anew, _ := open(t, place)
		lines := bytes.SplitAfter(exported.Bytes(), []byte("\n"))
		var broken *store.BrokenError
		if _, _, err := anew.Replay(t.Context(), entries(bytes.Join(slices.Delete(slices.Clone(lines), 1, 2), nil))); !errors.As(err, &broken) {
			t.Errorf("a log with a gap: %v", err)
		}
		n, strangers, err := anew.Replay(t.Context(), entries(exported.Bytes()))
		if err != nil || n != 5 || strangers != 0 {
			t.Fatalf("%d, %d, %v", n, strangers, err)
		}
		if d := cmp.Diff(contents(t, s), contents(t, anew)); d != "" {
			t.Error(d)
		}
		if _, _, err := anew.Replay(t.Context(), entries(exported.Bytes())); err == nil {
			t.Error("taken in twice")
		}
	})
}

func entries(jsonl []byte) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		sc := bufio.NewScanner(bytes.NewReader(jsonl))
		for sc.Scan() {
			var e store.Entry
			if err := json.Unmarshal(sc.Bytes(), &e); !yield(e, err) {
				return
			}
		}
	}
}
