package crawler

import (
	"context"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/target"
	"github.com/prometheus/client_golang/prometheus"
)

// lent is a running browser with a tab in it, as a scenario has them.
func lent(t *testing.T) (c *Crawler, b *Browser, release func(bool), tb *tab, count func(step string) float64) {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	t.Parallel()
	reg := prometheus.NewRegistry()
	c = New(Config{Tool: "test"}, nil, slog.New(slog.DiscardHandler), reg)
	t.Cleanup(c.Close)
	b, release, err := c.browser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bc, err := cdp.Call(t.Context(), b.root, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		t.Fatal(err)
	}
	tb = newTab(b, bc.BrowserContextID, "")
	if err := tb.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	count = func(step string) float64 {
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
	return c, b, release, tb, count
}

// A context that cannot be disposed of may linger: its browser is replaced, but
// not before the others in it are done.
func TestContextThatStays(t *testing.T) {
	c, b, release, tb, count := lent(t)
	if err := b.root.Call(t.Context(), "Target.disposeBrowserContext", target.DisposeBrowserContextParams{BrowserContextID: tb.id}, nil); err != nil {
		t.Fatal(err)
	}
	b.leave(t.Context(), tb) // Chromium knows no such context any more, and says so
	if count("context") != 1 || count("browser") != 0 || !b.worn.Load() || b.gone() {
		t.Errorf("contexts %v, browsers %v, worn %v, gone %v; want one context, and a worn browser that lives", count("context"), count("browser"), b.worn.Load(), b.gone())
	}
	release(false)
	if !b.gone() {
		t.Error("the old browser goes on, and nobody uses it")
	}
	next, done, err := c.browser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done(false)
	if next == b || !next.alive(t.Context()) {
		t.Error("the next scenario gets no browser of its own")
	}
}

// A browser that answers nothing at all is killed, with everything it started,
// within the limits of the steps before.
func TestBrowserThatHangs(t *testing.T) {
	c, b, release, tb, count := lent(t)
	group := b.cmd.Process.Pid
	if err := syscall.Kill(group, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	b.leave(context.WithoutCancel(t.Context()), tb)
	if took := time.Since(begin); took > disposeLimit+rootLimit+2*time.Second {
		t.Errorf("it took %v", took)
	}
	if count("context") != 1 || count("browser") != 1 {
		t.Errorf("contexts %v, browsers %v; want one of each", count("context"), count("browser"))
	}
	select {
	case <-b.exited:
	case <-time.After(5 * time.Second):
		t.Fatal("it was not killed")
	}
	release(false)
	if c.current != nil {
		t.Error("it is kept for the next scenario")
	}
	for range 50 {
		if held, _ := groupMemory(group); held == 0 { // what was orphaned may stay in the list of processes, but holds nothing
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("processes of its group are left")
}
