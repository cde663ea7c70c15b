package crawler_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/crawler"
)

func pages(t *testing.T, bodies map[string]string) string {
	mux := http.NewServeMux()
	for path, body := range bodies {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write([]byte("<!doctype html><title>Page</title><h1>Hello</h1>" + body))
		})
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

func rescues(t *testing.T, reg *prometheus.Registry, step string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "pecrawler_crawler_rescues_total" && m.Label[0].GetValue() == step {
				return m.Counter.GetValue()
			}
		}
	}
	return 0
}

func ladderCrawler(t *testing.T, memory int64) (*crawler.Crawler, *prometheus.Registry) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	reg := prometheus.NewRegistry()
	c := crawler.New(crawler.Config{
		Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Tool: "test", Memory: memory,
		Floor: 700 * time.Millisecond, Quiet: 400 * time.Millisecond, Late: 1500 * time.Millisecond, Cap: 5 * time.Second,
	}, byText{}, slog.New(slog.DiscardHandler), reg)
	t.Cleanup(c.Close)
	return c, reg
}

// A page whose script never ends is evidence after the script was ended, and
// the record says that it was.
func TestEndlessScript(t *testing.T) {
	c, reg := ladderCrawler(t, 0)
	url := pages(t, map[string]string{"/": `<script>document.cookie="early=1"; setTimeout(() => { for (;;); }, 300)</script>`})
	p := visit(t, c, url+"/", pc.Idle)
	got := p.capture(t, pc.Idle)
	if _, halted := got.Mark(pc.MarkHalted); !halted || !got.Load.OK() || len(got.Missing) > 0 || len(got.Pages) != 1 || len(p.m[got.Pages[0].Screen]) == 0 {
		t.Errorf("load %+v, marks %v, missing %v, pages %v; want a whole capture with the mark halted", got.Load, got.Marks, got.Missing, got.Pages)
	}
	if n := rescues(t, reg, "script"); n != 1 {
		t.Errorf("%v scripts ended, want 1", n)
	}
}

// A page that stays stuck costs its own capture some artifacts and nobody else
// anything.
func TestStuckPage(t *testing.T) {
	c, reg := ladderCrawler(t, 0)
	url := pages(t, map[string]string{"/": `<script>const again = () => { for (const end = Date.now() + 60000; Date.now() < end;) { document.write("<p>more</p>"); } }; setTimeout(() => { setInterval(again, 1); again(); }, 300)</script>`, "/calm": "calm"})
	begin := time.Now()
	got := visit(t, c, url+"/", pc.Idle).capture(t, pc.Idle)
	t.Logf("%v, missing %v", time.Since(begin), got.Missing)
	if _, halted := got.Mark(pc.MarkHalted); !halted || got.Missing[pc.ArtifactPage] == "" {
		t.Errorf("marks %v, missing %v; want halted, and no page", got.Marks, got.Missing)
	}
	if calm := visit(t, c, url+"/calm", pc.Idle).capture(t, pc.Idle); !calm.Load.OK() || len(calm.Missing) > 0 {
		t.Errorf("the next page: %+v, missing %v", calm.Load, calm.Missing)
	}
	if n := rescues(t, reg, "browser"); n != 0 {
		t.Errorf("%v browsers killed", n)
	}
}

// A page that fills the memory is ended before the browser holds more than it
// may, and the next page gets a new browser.
func TestMemory(t *testing.T) {
	c, reg := ladderCrawler(t, 700<<20)
	url := pages(t, map[string]string{"/": `<script>const kept = []; setInterval(() => { if (kept.length < 50) kept.push(new Uint8Array(64 << 20).fill(7)); }, 20)</script>`, "/calm": "calm"})
	got := visit(t, c, url+"/", pc.Idle).capture(t, pc.Idle)
	if !strings.Contains(fmt.Sprint(got.Missing), "crash") { // of what is looked at next
		t.Errorf("missing %v, want the page to have crashed", got.Missing)
	}
	if n := rescues(t, reg, "memory"); n < 1 {
		t.Errorf("%v pages ended for their memory, want 1", n)
	}
	if calm := visit(t, c, url+"/calm", pc.Idle).capture(t, pc.Idle); !calm.Load.OK() || len(calm.Missing) > 0 {
		t.Errorf("the next page: %+v, missing %v", calm.Load, calm.Missing)
	}
}
