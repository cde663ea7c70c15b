package crawler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/crawler"
)

// byText chooses the control with the given text: what to press is not this
// package's business.
type byText map[pc.Scenario][]string // texts for layer 1, 2, ...

func (b byText) Version() string { return "test" }

func (b byText) Read(layer int, page *pc.Page) crawler.Reading { return textReading{b, layer, page} }

type textReading struct {
	by    byText
	layer int
	page  *pc.Page
}

func (r textReading) Choose(goal pc.Goal) (crawler.Choice, bool) {
	texts, layer, page := r.by[pc.Scenario(goal)], r.layer, r.page
	if layer > len(texts) {
		return crawler.Choice{}, false
	}
	for i, n := range page.Nodes {
		if n.Tag == "#text" && strings.TrimSpace(n.Text) == texts[layer-1] && n.Box != nil {
			final := layer == len(texts)
			action := pc.ActSettings
			if final {
				action = pc.Action(goal)
			}
			for p := n.Parent; p >= 0; p = page.Nodes[p].Parent {
				if page.Nodes[p].Tag == "button" {
					return crawler.Choice{Node: p, Text: n.Text, Action: action, Why: "test", Final: final}, i > 0
				}
			}
		}
	}
	return crawler.Choice{}, false
}

// Region is what holds the first button.
func (r textReading) Region() int {
	for _, n := range r.page.Nodes {
		if n.Tag == "button" {
			return n.Parent
		}
	}
	return -1
}

// parts is a sink in memory.
type parts struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (p *parts) Add(name string, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		p.m = map[string][]byte{}
	}
	if _, dup := p.m[name]; dup {
		return fmt.Errorf("%s added twice", name)
	}
	p.m[name] = data
	return nil
}

func (p *parts) capture(t *testing.T, s pc.Scenario) *pc.Capture {
	t.Helper()
	raw, ok := p.m[string(s)+"/capture.json"]
	if !ok {
		t.Fatalf("no capture of %s; parts: %v", s, len(p.m))
	}
	c := new(pc.Capture)
	if err := json.Unmarshal(raw, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func newCrawler(t *testing.T, choose byText) *crawler.Crawler {
	return newCrawlerOf(t, choose, crawler.Config{})
}

func newCrawlerOf(t *testing.T, choose crawler.Chooser, visitor crawler.Config) *crawler.Crawler {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	if visitor.Allow == nil {
		visitor.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}
	c := crawler.New(crawler.Config{
		Allow: visitor.Allow, Tool: "test", Mobile: visitor.Mobile, GPC: visitor.GPC,
		Floor: 700 * time.Millisecond, Quiet: 400 * time.Millisecond, Late: 1500 * time.Millisecond, Cap: 5 * time.Second,
	}, choose, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	t.Cleanup(c.Close)
	return c
}

func visit(t *testing.T, c *crawler.Crawler, url string, scenarios ...pc.Scenario) *parts {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	p := &parts{}
	if err := c.Visit(ctx, pc.Visit{Sweep: "test", Site: "site.test", URL: url, Number: 1, Scenarios: scenarios}, p); err != nil {
		t.Fatalf("visit: %v", err)
	}
	if dir := os.Getenv("PECRAWLER_KEEP"); dir != "" { // to look at the pictures
		for name, b := range p.m {
			os.WriteFile(dir+"/"+t.Name()+"-"+strings.ReplaceAll(name, "/", "-"), b, 0o600)
		}
	}
	return p
}

const shop = `<!doctype html><html lang="en"><head><title>Shop</title><link rel="preload" as="image" href="/early.gif"><script>document.cookie="early=1";new Image().src="/first.gif"</script></head>
<body><h1>Shop</h1><p><a href="/about">About us</a> <button onclick="document.cookie='choice=no';document.cookie='ads=;max-age=0';this.remove()">Withdraw consent</button></p><iframe src="http://localhost:%[1]s/frame" width="300" height="100"></iframe><cookie-box></cookie-box>
<script>
localStorage.setItem("visits","1");
if (document.cookie.includes("ads=yes")) { new Image().src="http://localhost:%[1]s/track.gif?uid=123456789012"; }
if (!/choice=/.test(document.cookie)) {
  customElements.define("cookie-box", class extends HTMLElement { connectedCallback() {
    const root = this.attachShadow({mode:"closed"});
    root.innerHTML = '<div style="position:fixed;bottom:0;left:0;right:0;background:#eee;padding:20px">We use cookies <button id=y>Accept all</button> <button id=n>Reject all</button><button id=s>Settings</button></div>';
    const end = (v) => { document.cookie = "choice=" + v; if (v == "yes") document.cookie = "ads=yes"; root.innerHTML = ""; };
    root.getElementById("y").onclick = (e) => { if (e.isTrusted) end("yes"); };
    root.getElementById("n").onclick = (e) => { if (e.isTrusted) end("no"); };
    root.getElementById("s").onclick = () => { setTimeout(() => { root.innerHTML = '<dialog open style="top:100px">Details <button id=d>Refuse everything</button></dialog>'; root.getElementById("d").onclick = () => end("no"); }, 300); };
  }});
}
</script></body></html>`

func shopServer(t *testing.T) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := strings.Cut(r.Host, ":")
		w.Header().Set("Content-Type", "text/html")
		w.Header().Add("Set-Cookie", "session=abcdef; HttpOnly; Path=/")
		fmt.Fprintf(w, shop, port)
	})
	mux.HandleFunc("/frame", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Add("Set-Cookie", "third=framecookie; SameSite=None; Secure; Path=/; Max-Age=86400")
		fmt.Fprint(w, `<body style="margin:0"><button>In the frame</button><script>localStorage.setItem("framekey","v")</script></body>`)
	})
	gif := func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", "image/gif") }
	for _, p := range []string{"/early.gif", "/first.gif", "/track.gif"} {
		mux.HandleFunc(p, gif)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv
}

func names(c *pc.Capture) []string {
	var out []string
	for _, it := range c.Storage {
		out = append(out, fmt.Sprintf("%s %s %s %s", it.Kind, it.Host, it.Name, it.First))
	}
	slices.Sort(out)
	return out
}

func hasRequest(c *pc.Capture, part string, phase pc.Phase) bool {
	return slices.ContainsFunc(c.Requests, func(r pc.Request) bool { return strings.Contains(r.URL, part) && c.PhaseAt(r.At) == phase })
}

// One visit shows the whole way: nothing of the first moments is lost, a button
// in a closed shadow root is pressed, and nothing carries over.
func TestVisit(t *testing.T) {
	srv := shopServer(t)
	c := newCrawler(t, byText{pc.Accept: {"Accept all"}, pc.Reject: {"Settings", "Refuse everything"}, "withdraw": {"Withdraw consent"}})
	p := visit(t, c, srv.URL+"/", pc.Scenarios...)

	idle := p.capture(t, pc.Idle)
	if !idle.Load.OK() || idle.Status != 200 || !idle.Environment.ThirdPartyCookies {
		t.Errorf("idle: load %+v status %d third-party cookies %v", idle.Load, idle.Status, idle.Environment.ThirdPartyCookies)
	}
	for _, want := range []string{"/early.gif", "/first.gif", "/frame"} {
		if !hasRequest(idle, want, pc.PhaseBefore) {
			t.Errorf("idle: request %s was lost", want)
		}
	}
	for _, want := range []string{"cookie 127.0.0.1 early settled", "cookie 127.0.0.1 session settled", "cookie localhost third settled", "local 127.0.0.1 visits settled", "local localhost framekey settled"} {
		if !slices.Contains(names(idle), want) {
			t.Errorf("idle: storage %q was lost; got %q", want, names(idle))
		}
	}
	if len(p.m[idle.Whole]) == 0 || !slices.ContainsFunc(idle.Access, func(a pc.AccessNode) bool { return a.Role == "button" && a.Name == "Withdraw consent" && a.Focusable }) {
		t.Errorf("idle: picture %q of the whole page, accessible controls %+v", idle.Whole, idle.Access)
	}
	accept := p.capture(t, pc.Accept)
	if len(accept.Acts) != 2 || accept.Acts[0].Effect != "gone" || !accept.Own(&accept.Acts[0]) || accept.Acts[1].Goal != pc.GoalWithdraw || accept.Acts[1].Effect != "gone" {
		t.Fatalf("accept: acts %+v, missing %v", accept.Acts, accept.Missing)
	}
	for _, a := range accept.Acts { // the picture before and the one after
		if a.Page >= a.After || a.After >= len(accept.Pages) {
			t.Errorf("accept: the press of %q stands between the pages %d and %d of %d", a.Text, a.Page, a.After, len(accept.Pages))
		}
	}
	if !slices.ContainsFunc(accept.Storage, func(it pc.StorageItem) bool { return it.Name == "ads" && it.Gone == pc.MarkWithdrawn }) || hasRequest(accept, "track.gif", pc.PhaseWithdraw) {
		t.Errorf("accept: what was withdrawn goes on: %+v", accept.Storage)
	}
	if !slices.Contains(names(accept), "cookie 127.0.0.1 ads after") || !hasRequest(accept, "track.gif", pc.PhaseAccept) {
		t.Errorf("accept: the tracker after the choice was lost: %q", names(accept))
	}
	reject := p.capture(t, pc.Reject)
	if len(reject.Acts) != 2 || reject.Acts[1].Effect != "gone" || reject.Acts[0].Purpose != pc.ActSettings {
		t.Fatalf("reject: acts %+v, missing %v", reject.Acts, reject.Missing)
	}
	if hasRequest(reject, "track.gif", pc.PhaseReject) || slices.Contains(names(reject), "cookie 127.0.0.1 ads after") {
		t.Error("reject: something carried over")
	}
	if _, ok := reject.Mark(pc.MarkInner); !ok || !hasRequest(reject, "/about", pc.PhaseReject) {
		t.Errorf("reject: no inner page: %+v", reject.Marks)
	}
	for _, s := range []*pc.Capture{idle, reject, accept} {
		for _, pg := range s.Pages {
			if len(p.m[pg.Tree]) == 0 || len(p.m[pg.Screen]) == 0 {
				t.Errorf("%s: tree or picture missing: %+v", s.Scenario, pg)
			}
		}
		if len(s.Missing) != 0 {
			t.Errorf("%s: missing %v", s.Scenario, s.Missing)
		}
	}
	// Boxes of a frame's content are in the coordinates of the top window.
	var page pc.Page
	if err := json.Unmarshal(p.m[idle.Pages[0].Tree], &page); err != nil {
		t.Fatal(err)
	}
	var frame, button *pc.Box
	for i := range page.Nodes {
		n := &page.Nodes[i]
		if n.Tag == "iframe" {
			frame = n.Box
		}
		if n.Tag == "#text" && n.Text == "In the frame" {
			button = n.Box
		}
	}
	if frame == nil || button == nil || button.Y < frame.Y || button.Y > frame.Y+100 {
		t.Errorf("frame at %+v, its button at %+v", frame, button)
	}
}

// Failing sites end with their outcome, and the next visit is unharmed.
func TestFailingSites(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/503", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "broken", http.StatusServiceUnavailable) })
	mux.HandleFunc("/wall", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(403)
		fmt.Fprint(w, "<title>Just a moment...</title>Checking your browser before accessing the site")
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", "text/html") })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/pdf")
		fmt.Fprint(w, "%PDF-1.4")
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/alert", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<p>hello</p><script>for(;;)alert(1)</script>")
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	c := newCrawler(t, byText{})
	for _, tt := range []struct {
		url  string
		want pc.Outcome
	}{
		{srv.URL + "/503", pc.Unreachable}, {srv.URL + "/wall", pc.Blocked}, {srv.URL + "/empty", pc.NotASite}, {srv.URL + "/file", pc.NotASite},
		{srv.URL + "/loop", pc.Unreachable}, {"http://127.0.0.1:1/", pc.Unreachable}, {"http://10.1.2.3/", pc.Excluded}, {"http://no-such-host.invalid/", pc.Unreachable},
	} {
		p := visit(t, c, tt.url, pc.Idle)
		var look pc.Look
		json.Unmarshal(p.m["look.json"], &look)
		load := look.Load
		if _, ok := p.m["idle/capture.json"]; ok {
			load = p.capture(t, pc.Idle).Load
		}
		if load.Outcome != tt.want {
			t.Errorf("%s: %+v (look %+v), want %s", tt.url, load, look.Load, tt.want)
		}
	}
	visit(t, c, srv.URL+"/alert", pc.Idle)
	shop := shopServer(t)
	if got := visit(t, c, shop.URL, pc.Idle).capture(t, pc.Idle); !got.Load.OK() {
		t.Errorf("after the hostile pages: %+v", got.Load)
	}
}

func TestNoChrome(t *testing.T) {
	c := crawler.New(crawler.Config{Chrome: "/no/such/chrome"}, byText{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if _, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("Start without a browser: %v", err)
	}
}

// A browser that dies at its start is reported with what it said.
func TestChromeDiesAtStart(t *testing.T) {
	bad := t.TempDir() + "/chrome"
	if err := os.WriteFile(bad, []byte("#!/bin/sh\necho cannot open display >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(strings.TrimSuffix(bad, "/chrome"), 0o755)
	c := crawler.New(crawler.Config{Chrome: bad}, byText{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if _, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot open display") && !strings.Contains(err.Error(), "permission") {
		t.Errorf("Start with a browser that dies: %v", err)
	}
}

// A banner that waits for the visitor to move is not there in idle, and is
// found, and answered, where somebody was about to choose.
func TestShyBanners(t *testing.T) {
	for _, event := range []string{"mousemove", "scroll"} {
		t.Run(event, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprintf(w, `<!doctype html><title>Shy</title><p>Hello</p><div style="height:3000px"></div><script>
					if (!/choice=/.test(document.cookie)) addEventListener(%q, () => { const b = document.createElement("button"); b.textContent = "Reject all"; b.style.cssText = "position:fixed;left:20px;bottom:20px";
					  b.onclick = () => { document.cookie = "choice=no"; b.remove(); }; document.body.append(b); }, { once: true });</script>`, event)
			}))
			t.Cleanup(srv.Close)
			p := visit(t, newCrawler(t, byText{pc.Reject: {"Reject all"}}), srv.URL+"/", pc.Idle, pc.Reject)
			if _, moved := p.capture(t, pc.Idle).Mark(pc.MarkStirred); moved {
				t.Error("the idle scenario moved the mouse")
			}
			c := p.capture(t, pc.Reject)
			if _, moved := c.Mark(pc.MarkStirred); !moved || len(c.Acts) != 1 || c.Acts[0].Effect != "gone" {
				t.Errorf("reject: stirred %v, acts %+v, missing %v; want the button found and pressed", moved, c.Acts, c.Missing)
			}
		})
	}
}

// A banner that can be closed, or takes going on for consent, is closed or
// scrolled past in a scenario of its own; that is no choice.
func TestClosedAndPassedOver(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Shy</title><div style="height:3000px">Hello</div><script>
			const go = (v) => { document.cookie = "went=" + v; document.querySelector("p").remove(); };
			addEventListener("scroll", () => go("on"), { once: true });</script>
			<p style="position:fixed;bottom:0"><button onclick="go('away')">Close</button> <button>Scroll on</button> <button onclick="go('yes')">Accept all</button></p>`)
	}))
	t.Cleanup(srv.Close)
	p := visit(t, newCrawler(t, byText{pc.Accept: {"Accept all"}, pc.Close: {"Close"}, pc.Scroll: {"Scroll on"}}), srv.URL+"/", pc.Idle)
	for s, want := range map[pc.Scenario]string{pc.Close: "away", pc.Scroll: "on"} {
		c := p.capture(t, s)
		i := slices.IndexFunc(c.Storage, func(it pc.StorageItem) bool { return it.Name == "went" })
		if len(c.Acts) != 1 || i < 0 || c.Storage[i].Value != want || c.Storage[i].First != pc.MarkAfter || c.PhaseAt(c.Storage[i].At) != pc.PhaseBefore {
			t.Errorf("%s: acts %+v, stored %+v, missing %v", s, c.Acts, c.Storage, c.Missing)
		}
	}
}

// A control that something lies over is pressed where it can still be seen, on
// a page that was scrolled and in a frame too.
func TestCoveredControls(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Covered</title><div style="height:3000px">Hello</div><iframe src="/frame" style="width:500px;height:120px"></iframe><p style="height:300px"></p>
			<div style="position:fixed;left:0;right:0;bottom:0;height:40px;background:#ccc">Chat with us</div>
			<div style="position:fixed;left:0;right:0;top:0;height:100vh;pointer-events:none">Snow</div>`)
	})
	mux.HandleFunc("/frame", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><button id="n" style="width:300px;height:60px">Reject all</button><div style="position:absolute;left:60px;top:0;width:260px;height:90px;background:#eee">Newsletter</div><script>n.onclick = () => n.remove()</script>`)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c := visit(t, newCrawler(t, byText{pc.Reject: {"Reject all"}}), srv.URL+"/", pc.Reject).capture(t, pc.Reject)
	if len(c.Acts) != 1 || c.Acts[0].Effect != "gone" {
		t.Errorf("acts %+v, missing %v", c.Acts, c.Missing)
	}
}

// Another visitor: on a telephone, with Global Privacy Control.
func TestVisitors(t *testing.T) {
	var header sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header.Store(r.URL.Path, r.Header.Clone())
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><meta name="viewport" content="width=device-width"><p>Hello</p><script>localStorage.setItem("seen", [navigator.globalPrivacyControl, innerWidth, "ontouchstart" in window, navigator.userAgentData && navigator.userAgentData.mobile].join(" "))</script>`)
	}))
	t.Cleanup(srv.Close)
	for want, visitor := range map[string]crawler.Config{"true 412 true true": {Mobile: true, GPC: true}, " 1366 false false": {}} {
		c := visit(t, newCrawlerOf(t, byText{}, visitor), srv.URL+"/page", pc.Idle).capture(t, pc.Idle)
		i := slices.IndexFunc(c.Storage, func(it pc.StorageItem) bool { return it.Name == "seen" })
		h, _ := header.Load("/page")
		if i < 0 || c.Storage[i].Value != want || c.Environment.Mobile != visitor.Mobile || c.Environment.GPC != visitor.GPC {
			t.Errorf("%+v: %+v, environment %+v, want %q", visitor, c.Storage, c.Environment, want)
		} else if sent := h.(http.Header); (sent.Get("Sec-GPC") == "1") != visitor.GPC || strings.Contains(sent.Get("User-Agent"), "Mobile") != visitor.Mobile {
			t.Errorf("%+v: sent %v", visitor, sent)
		}
	}
}

// A control that a fixed thing covers wholly is brought out from under it.
func TestAControlBelowAWall(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Wall</title><div style="height:700px">Hello</div><p><button onclick="this.remove()">Reject all</button></p><div style="height:900px"></div>
			<div style="position:fixed;left:0;right:0;bottom:0;height:50vh;background:#ccc">Subscribe</div>`)
	}))
	t.Cleanup(srv.Close)
	c := visit(t, newCrawler(t, byText{pc.Reject: {"Reject all"}}), srv.URL+"/", pc.Reject).capture(t, pc.Reject)
	if len(c.Acts) != 1 || c.Acts[0].Effect != "gone" {
		t.Errorf("acts %+v, missing %v", c.Acts, c.Missing)
	}
}

// A dialog that lies over the banner is put aside first, by its own control or by
// the Escape key; what nobody can put aside is named.
func TestDialogsOverTheBanner(t *testing.T) {
	const banner = `<!doctype html><title>Shop</title><div style="position:fixed;bottom:0;left:0;right:0">Cookies <button onclick="this.remove()">Reject all</button></div>`
	const over = `<div id="over" style="position:fixed;inset:0;background:#fff">`
	for name, tt := range map[string]struct{ page, want, missing string }{
		"newsletter": {banner + over + `<button onclick="over.remove()">No thanks</button></div>`, "aside click gone, reject click gone", ""},
		"dialog":     {banner + `<dialog id="over"><p>Sign in</p></dialog><script>over.showModal()</script>`, "aside escape gone, reject click gone", ""},
		"nothing":    {banner + over + `Come in</div>`, "reject click none", `pressing "Reject all" had no visible effect: something lies over it that says “Come in”`},
		// Whoever answers a question of age says something about the visitor, so nothing is pressed.
		"age gate": {banner + over + `Are you 18 or over?<button style="position:absolute;inset:0" onclick="over.remove()">Yes</button></div>`, "",
			`"Reject all" could not be pressed: something lies over it that says “Are you 18 or over? Yes”`},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				fmt.Fprint(w, tt.page)
			}))
			t.Cleanup(srv.Close)
			c := visit(t, newCrawlerOf(t, unveils{byText{pc.Reject: {"Reject all"}, "aside": {"No thanks"}}}, crawler.Config{}), srv.URL+"/", pc.Reject).capture(t, pc.Reject)
			var did []string
			for _, a := range c.Acts {
				did = append(did, fmt.Sprintf("%s %s %s", a.Goal, a.Kind, a.Effect))
			}
			if got := strings.Join(did, ", "); got != tt.want || c.Missing[pc.ArtifactAct] != tt.missing {
				t.Errorf("did %q, want %q; missing %q, want %q", got, tt.want, c.Missing[pc.ArtifactAct], tt.missing)
			}
		})
	}
}

// unveils puts a dialog aside itself.
type unveils struct{ byText }

func (b unveils) Read(layer int, page *pc.Page) crawler.Reading {
	return unveiling{textReading{b.byText, layer, page}}
}

type unveiling struct{ textReading }

func (r unveiling) Choose(goal pc.Goal) (crawler.Choice, bool) {
	for i, n := range r.page.Nodes {
		if goal == pc.GoalAside && n.Tag == "dialog" && n.Box != nil {
			return crawler.Choice{Node: i, Action: pc.ActClose, Why: "test"}, true
		}
	}
	return r.textReading.Choose(goal)
}

// inSight chooses what can be seen, and else what may bring it.
type inSight struct{ byText }

func (b inSight) Read(layer int, page *pc.Page) crawler.Reading {
	return sightReading{textReading{b.byText, layer, page}}
}

type sightReading struct{ textReading }

func (r sightReading) Choose(goal pc.Goal) (crawler.Choice, bool) {
	c, ok := r.textReading.Choose(goal)
	if ok && c.Final && r.page.Nodes[c.Node].Box.Y < 0 {
		r.layer = 1
		return r.textReading.Choose(goal)
	}
	return c, ok
}

// The link in the footer brings back a banner that is the first thing of the page.
func TestTheWayBackAboveTheView(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Long</title><div id="banner">We use cookies <button onclick="banner.hidden=localStorage.chosen=true">Accept all</button> <button onclick="banner.hidden=true">Reject all</button></div>
			<script>banner.hidden=localStorage.chosen</script><div style="height:3000px">Hello</div><button onclick="banner.hidden=false">Cookie settings</button>`)
	}))
	t.Cleanup(srv.Close)
	c := visit(t, newCrawlerOf(t, inSight{byText{pc.Accept: {"Accept all"}, "withdraw": {"Cookie settings", "Reject all"}}}, crawler.Config{}), srv.URL+"/", pc.Accept).capture(t, pc.Accept)
	if len(c.Acts) != 3 || c.Acts[2].Text != "Reject all" || c.Acts[2].Effect != "gone" || len(c.Missing) != 0 {
		t.Errorf("acts %+v, missing %v", c.Acts, c.Missing)
	}
}

// When all has been recorded, the settings are opened to see what they say,
// unless refusing leads through them; what happens then is not part of idle. The
// site's own policies are read without a browser.
func TestSettingsAndPolicies(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/legal/privacy", http.NotFound)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Shop</title><a href="/legal/privacy">Privacy</a> <a href="/legal/cookies">Cookies</a> <a href="http://other.example/cookies">Their cookies</a>
			<p style="position:fixed;bottom:0"><button>Accept all</button> <button>Reject all</button> <button onclick="document.cookie='opened=1';fetch('/panel');document.querySelector('p').innerHTML='<label><input type=checkbox checked> Advertising</label>'">Settings</button></p>`)
	})
	mux.HandleFunc("/legal/cookies", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>Our cookies</title><style>p{}</style><nav>Home</nav><p>We use<b>statistics</b></p><script>var x</script><li>and more`)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p := visit(t, newCrawler(t, byText{pc.Accept: {"Accept all"}, pc.Reject: {"Reject all"}, "settings": {"Settings"}}), srv.URL+"/", pc.Idle)
	c := p.capture(t, pc.Idle)
	last := c.Pages[len(c.Pages)-1]
	if last.Mark != pc.MarkOpened || last.Layer != 2 || len(c.Missing) != 0 || len(c.Acts) != 1 || c.Own(&c.Acts[0]) || !strings.Contains(string(p.m[last.Tree]), "Advertising") {
		t.Errorf("the settings: %+v, acts %+v, missing %v", last, c.Acts, c.Missing)
	}
	if len(c.Storage) != 0 || hasRequest(c, "/panel", pc.PhaseBefore) {
		t.Errorf("what opening them did is taken for idle: %+v", c.Storage)
	}
	if _, chosen := c.Mark(pc.MarkActed); chosen {
		t.Error("opening them is taken for a choice")
	}
	var look pc.Look
	if err := json.Unmarshal(p.m["look.json"], &look); err != nil {
		t.Fatal(err)
	}
	if len(look.Texts) != 2 || look.Texts[0].Title != "Our cookies" || look.Texts[0].Text != "We use statistics and more" || look.Texts[1].Status != 404 {
		t.Errorf("policies: %+v", look.Texts)
	}
}
