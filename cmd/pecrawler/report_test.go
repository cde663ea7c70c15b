package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/figures"
	"pecrawler/store"
)

// twoSweeps makes a data folder with the sweeps first and second of the same
// sites: three are fixed.
func twoSweeps(t *testing.T) string {
	t.Helper()
	out, ctx := t.TempDir(), t.Context()
	st, err := store.Open(ctx, storePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for i, id := range []string{"first", "second"} {
		var sites []store.Site
		var words []pc.Verdict
		for n := range 10 {
			site := fmt.Sprintf("s%d.example", n)
			v := pc.Verdict{Sweep: id, Site: site, Outcome: pc.Assessed, Overall: pc.Clear, Banner: pc.BannerSummary{Present: true, CMP: "onetrust", Kind: "bar", ClicksToAccept: 1, ClicksToReject: 1},
				Findings: []pc.Finding{{Rule: "pre-ad-storage", Status: "stable", Check: 1, Problem: "undermined choice", Outcome: pc.Pass}}}
			if n < 6 && (i == 0 || n >= 3) {
				v.Overall, v.Findings[0].Outcome = pc.Flagged, pc.Fail
			}
			sites, words = append(sites, store.Site{Site: site, Line: n}), append(words, v)
		}
		if err := st.CreateSweep(ctx, store.Sweep{ID: id, Agree: 2, Created: time.UnixMilli(int64(i) * 1e9)}, sites); err != nil {
			t.Fatal(err)
		}
		for _, v := range words {
			if err := st.PutWord(ctx, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

func TestReportAndCompare(t *testing.T) {
	out := twoSweeps(t)
	do := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := pecrawler(t.Context(), t, "", append(args, "--out", out)...)
		if code != 0 {
			t.Fatalf("%q: exit status %d\n%s", args, code, stderr)
		}
		return stdout
	}
	page := filepath.Join(out, "report", "first.html")
	if said := do("report", "first"); strings.TrimSpace(said) != page {
		t.Errorf("report names %q, not %s", said, page)
	}
	if raw, err := os.ReadFile(page); err != nil || !strings.Contains(string(raw), "6 of 10") || strings.Contains(string(raw), `id="precision"`) {
		t.Errorf("the page: %v\n%.500s", err, raw)
	}
	if said := do("report", "first", "--sensitivity", "132/183", "--specificity", "554/554", "--to", "-"); !strings.Contains(said, `id="precision"`) || !strings.Contains(said, "51.4 %") {
		t.Errorf("no precision:\n%.500s", said)
	}
	var f figures.Figures
	if err := json.Unmarshal([]byte(do("report", "second", "--format", "json", "--to", "-")), &f); err != nil || f.Flagged != (figures.Share{K: 3, N: 10}) {
		t.Errorf("JSON: %+v, %v", f.Flagged, err)
	}
	if said := do("report", "second", "--format", "csv", "--to", "-"); !strings.Contains(said, "\nflagged,all,,3,10,") {
		t.Errorf("CSV:\n%s", said)
	}
	if said := do("compare", "first", "second"); !strings.Contains(said, "0 newly fail and 3 are fixed") || !strings.Contains(said, "s0.example") {
		t.Errorf("compare:\n%s", said)
	}
	if said := do("compare", "first", "second", "--format", "html"); strings.TrimSpace(said) != filepath.Join(out, "report", "first_second.html") {
		t.Errorf("compare names %q", said)
	}
	if left, _ := filepath.Glob(filepath.Join(out, "report", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"report", "third"}, 1, "the newest first: second, first"},
		{[]string{"compare", "first", "third"}, 1, "the newest first: second, first"},
		{[]string{"report"}, 2, "one sweep"},
		{[]string{"compare", "first"}, 2, "two sweeps"},
		{[]string{"report", "first", "--format", "docx"}, 2, "html, pdf, csv, json"},
		{[]string{"report", "first", "--specificity", "99"}, 2, "554/554"},
		{[]string{"report", "first", "--specificity", "9/9"}, 2, "together"},
		{[]string{"report", "first", "--to", "/no/such/folder/x.html"}, 1, "/no/such/folder"},
		{[]string{"report", "first", "--format", "pdf", "--chrome", "/no/such/chromium"}, 1, "/no/such/chromium"},
	} {
		if code, _, stderr := pecrawler(t.Context(), t, "", append(c.args, "--out", out)...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit status %d, says %q; want %d, %q", c.args, code, stderr, c.code, c.says)
		}
	}
}

func TestReportAsPDF(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	out := twoSweeps(t)
	for _, args := range [][]string{{"report", "first"}, {"compare", "first", "second"}} {
		code, stdout, stderr := pecrawler(t.Context(), t, "", append(args, "--format", "pdf", "--to", "-", "--out", out)...)
		if code != 0 || !strings.HasPrefix(stdout, "%PDF-") || !strings.Contains(stdout, "/StructTreeRoot") {
			t.Errorf("%q: exit status %d, %d bytes, tagged %v\n%s", args, code, len(stdout), strings.Contains(stdout, "/StructTreeRoot"), stderr)
		}
	}
}

// What people decided leaves the store only if the settings say so, and without
// the site and the person.
func TestDecisionsAsRows(t *testing.T) {
	out, ctx := t.TempDir(), t.Context()
	st, err := store.Open(ctx, storePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var sites []store.Site
	for _, site := range []string{"a.example", "b.example", "c.example"} {
		sites = append(sites, store.Site{Site: site})
	}
	if err := st.CreateSweep(ctx, store.Sweep{ID: "s", Agree: 1, Created: time.UnixMilli(1e9)}, sites); err != nil {
		t.Fatal(err)
	}
	for _, s := range sites {
		v := pc.Verdict{Sweep: "s", Site: s.Site, Outcome: pc.Assessed, Overall: pc.Flagged, Versions: pc.Versions{Classifier: "9"},
			Findings: []pc.Finding{{Rule: "pre-ad-storage", Status: "stable", Outcome: pc.Fail, Confidence: .97, Refs: []pc.Ref{"idle/storage/0"}}, {Rule: "pre-replay", Status: "stable", Outcome: pc.Pass}},
			Storage:  []pc.ItemSummary{{Kind: pc.Cookie, Host: s.Site, Name: "_fbp", Class: pc.NonExemptAdvertising, Confidence: .99, Ref: "idle/storage/0"}, {Kind: pc.Cookie, Host: s.Site, Name: "session", Class: pc.ExemptStrict, Ref: "idle/storage/1"}}}
		if err := st.PutWord(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	decide := func(site, by, act string, sampled bool) {
		t.Helper()
		v, err := st.Word(ctx, "s", site)
		if err != nil {
			t.Fatal(err)
		}
		r := store.Reading{By: by, At: time.UnixMilli(2e9), Verdict: store.VerdictDigest(v), Sampled: sampled, Site: store.Decision{Act: act, Note: "secret"}, Findings: []store.Decision{{Rule: "pre-ad-storage", Act: act, Note: "secret"}}}
		if err := st.Decide(ctx, "s", site, r); err != nil {
			t.Fatal(err)
		}
	}
	decide("a.example", "ann", store.Dismiss, false)
	decide("b.example", "ann", store.Uphold, true)
	decide("b.example", "bob", store.Dismiss, false) // nobody has settled it

	if code, stdout, stderr := pecrawler(ctx, t, "", "report", "s", "--decisions", "--out", out); code != 1 || stdout != "" || !strings.Contains(stderr, "share-decisions") {
		t.Errorf("without consent: %d %q %q", code, stdout, stderr)
	}
	config := filepath.Join(out, "config.yaml")
	if err := os.WriteFile(config, []byte("share-decisions: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := pecrawler(ctx, t, "", "report", "s", "--decisions", "--config", config, "--out", out)
	want := `{"rule":"pre-ad-storage","outcome":"fail","confidence":0.97,"act":"dismiss","reading":1,"classifier":"9","lists":"","items":[{"kind":"cookie","host":"site","name":"_fbp","class":"nonexempt-advertising","confidence":0.99}]}` + "\n"
	if code != 0 || stdout != want {
		t.Errorf("%d %q\n%s\nwant %s", code, stderr, stdout, want)
	}
}
