package main

import (
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/internal/pgtest"
	"pecrawler/internal/pipeline"
	"pecrawler/rules"
	"pecrawler/store"
)

// A store that is lost is made anew from its bundles and the exported log, also
// by another database: the same words, cases, decisions and log.
func TestStoreRebuild(t *testing.T) {
	ctx, out := t.Context(), t.TempDir()
	st, err := store.Open(ctx, storePath(out))
	if err != nil {
		t.Fatal(err)
	}
	cls, set, err := judges()
	if err != nil {
		t.Fatal(err)
	}
	vault, err := evidence.OpenVault(ctx, evidencePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer vault.Close()
	if err := st.CreateSweep(ctx, store.Sweep{ID: "one", Settings: "{}", Agree: 2, Created: time.UnixMilli(1000)}, nil); err != nil {
		t.Fatal(err)
	}
	for _, site := range []string{"shop.example", "news.example"} {
		for n := range 2 {
			digest := sealVisit(t, out, site, n+1, advertising)
			b, err := vault.Open(ctx, digest)
			if err != nil {
				t.Fatal(err)
			}
			if err := st.PutResult(ctx, pipeline.Judge(b, cls, set, toolVersion())); err != nil {
				t.Fatal(err)
			}
		}
		results, err := st.Results(ctx, "one", site)
		if err != nil {
			t.Fatal(err)
		}
		word, more := rules.Word(results, 2)
		if more || word.Overall == pc.NotAssessed {
			t.Fatalf("%s: %s, more: %v", site, word.Overall, more)
		}
		if err := st.PutWord(ctx, word); err != nil {
			t.Fatal(err)
		}
	}
	shop, err := st.Word(ctx, "one", "shop.example")
	if err != nil {
		t.Fatal(err)
	}
	if shop.Overall != pc.Flagged {
		t.Fatalf("shop.example is %s: %+v", shop.Overall, shop.Findings)
	}
	if err := errors.Join(
		st.Decide(ctx, "one", "shop.example", store.Reading{By: "ann", At: time.UnixMilli(2000), Verdict: store.VerdictDigest(shop), Sampled: true, Site: store.Decision{Act: store.Uphold, Note: "seen"}}),
		st.Take(ctx, "one", "news.example", "bob", "", time.UnixMilli(3000)),
	); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(out, "log.jsonl")
	code, exported, errs := pecrawler(ctx, t, "", "audit", "export", "--out", out)
	if code != 0 {
		t.Fatal(errs)
	}
	if err := os.WriteFile(log, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	want := everything(t, st)
	st.Close()

	rebuilt := func(t *testing.T, place string) {
		t.Helper()
		code, said, errs := pecrawler(ctx, t, "", "store", "rebuild", "--out", out, "--store", place, "--log", log)
		if code != 0 || !strings.Contains(said, "1 sweeps, 2 sites, from 4 visits") || !strings.Contains(said, "1 decisions, 0 of them") {
			t.Fatalf("%d\n%s%s", code, said, errs)
		}
		st, err := store.Open(ctx, place)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		if d := cmp.Diff(want, everything(t, st)); d != "" {
			t.Error(d)
		}
		if code, _, errs := pecrawler(ctx, t, "", "store", "rebuild", "--out", out, "--store", place); code != 1 || !strings.Contains(errs, "sweeps in") {
			t.Errorf("rebuilt over a store: %d, %s", code, errs)
		}
		if code, said, errs := pecrawler(ctx, t, "", "audit", "verify", "--out", out, "--store", place); code != 0 || !strings.Contains(said, "2 entries") {
			t.Errorf("%d\n%s%s", code, said, errs)
		}
		if code, said, errs := pecrawler(ctx, t, "", "report", "--format", "csv", "--to", "-", "--out", out, "--store", place, "one"); code != 0 || said == "" {
			t.Errorf("report: %d, %s", code, errs)
		}
	}
	t.Run("sqlite", func(t *testing.T) { rebuilt(t, filepath.Join(t.TempDir(), "new.db")) })
	t.Run("postgres", func(t *testing.T) {
		place := pgtest.Run(t).Database(t)
		if code, _, errs := pecrawler(ctx, t, "", "review", "--out", out, "--store", place); code != 1 || !strings.Contains(errs, "pecrawler store migrate") {
			t.Errorf("without tables: %d, %s", code, errs)
		}
		file := filepath.Join(t.TempDir(), "store")
		if err := os.WriteFile(file, []byte(place+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said, errs := pecrawler(ctx, t, "", "store", "migrate", "--store-file", file); code != 0 || !strings.Contains(said, "was 0") {
			t.Fatalf("migrate: %d, %s%s", code, said, errs)
		}
		rebuilt(t, place)
		if code, _, errs := pecrawler(ctx, t, "", "store", "backup", filepath.Join(out, "x"), "--store", place); code != 1 || !strings.Contains(errs, "pg_dump") {
			t.Errorf("backup: %d, %s", code, errs)
		}
	})
	copied := filepath.Join(t.TempDir(), "copy.db")
	if code, _, errs := pecrawler(ctx, t, "", "store", "backup", copied, "--out", out); code != 0 {
		t.Fatal(errs)
	}
	if st, err = store.Open(ctx, copied); err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if d := cmp.Diff(want, everything(t, st)); d != "" {
		t.Error(d)
	}
}

// advertising is a cookie of advertising that is there before any choice.
const advertising = `,"started":"2026-11-25T00:00:00Z","ended":"2026-11-25T00:00:20Z","marks":[{"name":"load","at":500},{"name":"settled","at":5000},{"name":"done","at":20000}],
"storage":[{"id":0,"kind":"cookie","host":"shop.example","name":"_fbp","value":"fb.1.1764028800000.1234567890","request":-1,"write":-1,"first":"settled","at":4000}]`

// everything is what the pages show of the sweep "one", as JSON; the order of the
// chain is the log's own.
func everything(t *testing.T, st *store.Store) string {
	t.Helper()
	ctx := t.Context()
	words, _, err := st.Words(ctx, "one", store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	cases, _, err2 := st.Cases(ctx, store.CaseFilter{Sort: "site", Limit: 10})
	ds, err3 := st.Decisions(ctx, "one", "shop.example")
	results, err4 := st.Results(ctx, "one", "shop.example")
	_, head, err5 := st.VerifyAudit(ctx)
	if err := errors.Join(err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent([]any{words, cases, ds, results, head}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestStoreIsMisused(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"store"}, 2, "migrate, backup FILE or rebuild"},
		{[]string{"store", "migrate", "--to", "x"}, 2, "--to"},
		{[]string{"report", "--store", "postgres://me:s3cret@127.0.0.1/db", "one"}, 2, "PGPASSWORD"},
		{[]string{"report", "--store", "a", "--store-file", "b", "one"}, 2, "--store-file"},
		{[]string{"report", "--store", "postgres://me@127.0.0.1:1/db", "one"}, 1, "does not let us in"},
	} {
		if code, _, errs := pecrawler(t.Context(), t, "", c.args...); code != c.code || !strings.Contains(errs, c.want) || strings.Contains(errs, "s3cret") {
			t.Errorf("%q: %d, %s", c.args, code, errs)
		}
	}
}

// Where the server is may be said by PGHOST, and doctor tells what is wrong.
func TestStoreOnPostgres(t *testing.T) {
	u, err := url.Parse(pgtest.Run(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGHOST", u.Hostname())
	t.Setenv("PGPORT", u.Port())
	u.Host, u.User = "", url.UserPassword("pecrawler", "s3cret")
	file := filepath.Join(t.TempDir(), "store")
	if err := os.WriteFile(file, []byte(u.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PECRAWLER_STORE_FILE", file)
	out := t.TempDir()
	doctor := func() string {
		_, said, errs := pecrawler(t.Context(), t, "", "doctor", "--out", out, "--chrome", "/no/such/chromium")
		if strings.Contains(said+errs, "s3cret") {
			t.Errorf("the password is shown:\n%s%s", said, errs)
		}
		return said
	}
	if said := doctor(); !strings.Contains(said, "FAIL  store") || !strings.Contains(said, "pecrawler store migrate") {
		t.Errorf("without tables:\n%s", said)
	}
	if code, _, errs := pecrawler(t.Context(), t, "", "store", "migrate", "--out", out); code != 0 {
		t.Fatal(errs)
	}
	if said := doctor(); !strings.Contains(said, "ok    store") || !strings.Contains(said, "connections are taken") {
		t.Errorf("with tables:\n%s", said)
	}
}
