package main

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/store"
)

// The log of a data folder with one decision is checked, cut and changed; and a
// re-judgement names that decision.
func TestAudit(t *testing.T) {
	ctx, out := t.Context(), t.TempDir()
	st, err := store.Open(ctx, filepath.Join(out, "pecrawler.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	word := pc.Verdict{Sweep: "one", Site: "shop.example", Overall: pc.Flagged}
	if err := st.PutWord(ctx, word); err != nil {
		t.Fatal(err)
	}
	kept, err := st.Word(ctx, "one", "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	r := store.Reading{By: "ann", At: time.UnixMilli(1000), Verdict: store.VerdictDigest(kept), Site: store.Decision{Act: store.Uphold, Note: "seen"}, Findings: []store.Decision{{Rule: "pre-ad-storage", Act: store.Uphold}}}
	for _, do := range []error{st.Note(ctx, store.Entry{At: time.UnixMilli(500), Who: "ann", Act: "sign-in"}), st.Decide(ctx, "one", "shop.example", r)} {
		if do != nil {
			t.Fatal(do)
		}
	}
	var said bytes.Buffer
	if n, err := touched(ctx, &said, st, word); n != 1 || err != nil || !strings.Contains(said.String(), "uphold on the site by ann, 1970-01-01 00:00:01") || !strings.Contains(said.String(), "uphold on pre-ad-storage") {
		t.Errorf("touched: %d, %v\n%s", n, err, said.String())
	}

	code, verified, errs := pecrawler(ctx, t, "", "audit", "verify", "--out", out)
	if code != 0 || !strings.Contains(verified, "2 entries") {
		t.Fatalf("verify: %d\n%s%s", code, verified, errs)
	}
	_, rest, _ := strings.Cut(verified, "Head ")
	head, _, _ := strings.Cut(rest, "\n")
	if code, lines, _ := pecrawler(ctx, t, "", "audit", "export", "--out", out); code != 0 || strings.Count(lines, "\n") != 2 || !strings.Contains(lines, `"act":"decide"`) {
		t.Errorf("export: %d\n%s", code, lines)
	}
	db, err := sql.Open("sqlite", filepath.Join(out, "pecrawler.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, c := range []struct {
		tamper, want string
		args         []string
	}{
		{`DROP TRIGGER audit_remains; DROP TRIGGER audit_stays; DROP TRIGGER decision_remains; DELETE FROM decision; DELETE FROM audit WHERE seq = 2`, "no entry has the hash", []string{"--head", head}}, // a clean cut: only the noted hash tells
		{`UPDATE audit SET who = 'eve'`, "broken at entry 1", nil},
	} {
		if _, err := db.Exec(c.tamper); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := pecrawler(ctx, t, "", append([]string{"audit", "verify", "--out", out}, c.args...)...); code != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("after %s: %d, %s; want %q", c.tamper, code, errs, c.want)
		}
	}
}
