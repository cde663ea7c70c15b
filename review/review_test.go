package review_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/review"
	"pecrawler/store"
)

const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`

// serve serves a store with one sweep of one flagged site whose every text is hostile.
func serve(t *testing.T) (*httptest.Server, string) {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	vault, err := evidence.OpenVault(t.Context(), filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vault.Close() })
	visit := pc.Visit{Sweep: "one", Site: "shop.example", URL: "https://shop.example/", Number: 1, Scenarios: pc.Scenarios}
	d := evidence.NewDraft(visit)
	for name, data := range map[string]string{
		"look.json":         `{"url":"https://shop.example/","load":{"outcome":"assessed"}}`,
		"idle/capture.json": `{"schema":1,"scenario":"idle","load":{"outcome":"assessed"},"environment":{"width":1366,"height":900},"acts":[{"text":"<script>alert(3)</script>","page":0,"box":{"x":1,"y":2,"w":3,"h":4}}],"pages":[{"mark":"settled","layer":1,"tree":"idle/pages/0.json","screen":"idle/screens/0.jpg"}]}`,
		"idle/pages/0.json": `{"nodes":[]}`, "idle/screens/0.jpg": "\xff\xd8picture",
	} {
		if err := d.Add(name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := evidence.Seal(t.Context(), vault, d)
	if err != nil {
		t.Fatal(err)
	}
	v := pc.Verdict{Schema: 1, Site: "shop.example", URL: "https://shop.example/", FinalURL: "https://shop.example/" + hostile, Sweep: "one", Visit: 1, Visits: 1, Agreeing: 1, Outcome: pc.Assessed, Overall: pc.Flagged,
		Banner:   pc.BannerSummary{Present: true, CMP: hostile, Kind: "bar", Controls: []pc.ControlSummary{{Text: hostile, Action: pc.ActAccept, Layer: 1}}},
		Storage:  []pc.ItemSummary{{Scenario: pc.Idle, Phase: pc.PhaseBefore, Kind: pc.Cookie, Host: "shop.example", Name: hostile, Class: pc.NonExemptAdvertising, Entity: hostile, Ref: "idle/storage/0"}},
		Requests: []pc.ItemSummary{{Host: hostile, Class: pc.Unknown}},
		Findings: []pc.Finding{{Rule: "pre-ad-storage", Version: 1, Status: "stable", Outcome: pc.Fail, Message: hostile, Cites: []string{"PECR reg 6(1)"}, Refs: []pc.Ref{"idle/storage/0"}, Against: []string{hostile}}},
		Bundles:  []string{digest}}
	if err := st.CreateSweep(t.Context(), store.Sweep{ID: "one", ListDigest: "x", Settings: "{}", Agree: 2, Created: time.Now()}, []store.Site{{Site: "shop.example", URL: v.URL, Line: 1}, {Site: "later.example", Line: 2}}); err != nil {
		t.Fatal(err)
	}
	if err := st.PutResult(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if err := st.PutWord(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	h, err := review.New(st, vault, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv, digest
}

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// Text of a page stays text, and the policy forbids scripts all the same.
func TestHostileTextStaysText(t *testing.T) {
	srv, _ := serve(t)
	for _, path := range []string{"/", "/sweeps/one", "/sweeps/one?q=" + url.QueryEscape(hostile) + "&overall=" + url.QueryEscape(hostile) + "&rule=" + url.QueryEscape(hostile) + "&page=-7", "/sweeps/one/sites/shop.example"} {
		code, body, h := get(t, srv.URL+path)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: hostile text became markup", path)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: policy %q", path, csp)
		}
	}
}

func TestPages(t *testing.T) {
	srv, digest := serve(t)
	for _, c := range []struct {
		path string
		code int
		says string
	}{
		{"/", 200, `href="/sweeps/one"`},
		{"/sweeps/one", 200, "1 of 2 sites have their last word"},
		{"/sweeps/one?overall=clear", 200, "No site is like that"},
		{"/sweeps/one?rule=pre-ad-storage", 200, "shop.example"},
		{"/sweeps/one/sites/shop.example", 200, "idle/storage/0"},
		{"/sweeps/one/sites/shop.example", 200, `<rect x="1" y="2" width="3" height="4"`},
		{"/sweeps/one/sites/later.example", 404, "nothing here"},
		{"/sweeps/two", 404, "nothing here"},
		{"/nothing", 404, "nothing here"},
		{"/bundles/" + digest + "/screens/idle/0", 200, "picture"},
		{"/bundles/" + digest + "/screens/idle/1", 404, ""},
		{"/bundles/" + digest + "/screens/../0", 404, ""},
		{"/bundles/sha256:..%2f..%2fs.db", 404, ""},
		{"/bundles/" + digest, 200, "PK"},
		{"/api/sweeps/one/verdicts", 200, `"total":1`},
		{"/api/sweeps/one/sites/shop.example", 200, `"overall":"flagged"`},
		{"/assets/pecrawler.css", 200, "govuk-button"},
	} {
		if code, body, _ := get(t, srv.URL+c.path); code != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, says %q: %v; want %d", c.path, code, c.says, strings.Contains(body, c.says), c.code)
		}
	}
}

// The crown and the typeface of GOV.UK belong to the government's own services,
// and the style sheet loads nothing from anywhere.
func TestStyleSheet(t *testing.T) {
	srv, _ := serve(t)
	_, css, _ := get(t, srv.URL+"/assets/pecrawler.css")
	for _, no := range []string{"GDS Transport", "@font-face", "url(", "@import", "crown"} {
		if strings.Contains(css, no) {
			t.Errorf("the style sheet has %q", no)
		}
	}
}
