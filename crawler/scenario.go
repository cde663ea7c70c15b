package crawler

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"

	pc "pecrawler"
	"pecrawler/crawler/egress"
)

// scenario runs one scenario in a browser context of its own. stir says that a
// banner may wait for the visitor to move. An error is our fault; whatever the
// site did is in the capture of the run.
func (c *Crawler) scenario(ctx context.Context, v pc.Visit, look pc.Look, s pc.Scenario, stir bool, sink Sink) (*run, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Limit, errOvertime)
	defer cancel()
	b, release, err := c.browser(ctx)
	if err != nil {
		return nil, err
	}
	broken := false
	defer func() { release(broken) }()
	r := &run{c: c, sink: sink, look: look, scenario: s, stir: stir && s != pc.Idle}
	if err := r.inBrowser(ctx, b, v); err != nil {
		// The reader sees the end of the browser as every call does; ask, lest one bad page costs a good browser.
		broken = errors.Is(err, errBrowserGone) || !b.alive(context.WithoutCancel(ctx))
		return nil, err
	}
	return r, nil
}

var errOvertime = errors.New("the scenario took too long and was ended")

// inBrowser is one scenario in one browser.
func (r *run) inBrowser(ctx context.Context, b *Browser, v pc.Visit) error {
	c := r.c
	proxy, err := egress.Listen(egress.Policy{Allow: c.cfg.Allow, Upstream: c.cfg.Proxy, DNS: c.cfg.DNS}, c.log, c.refused)
	if err != nil {
		return err
	}
	defer proxy.Close()
	background := b.background.Load()
	yes := true
	bc, err := cdp.Call(ctx, b.root, target.CreateBrowserContext, target.CreateBrowserContextParams{DisposeOnDetach: &yes, ProxyServer: proxy.URL(), ProxyBypassList: "<-loopback>"})
	if err != nil {
		return err
	}
	t := newTab(b, bc.BrowserContextID, v.Site)
	defer b.leave(ctx, t)
	if err := t.open(ctx); err != nil {
		return err
	}

	r.t = t
	r.capt = &pc.Capture{
		Schema: pc.CaptureSchema, Scenario: r.scenario, Missing: map[pc.Artifact]string{}, Acts: []pc.Act{}, Storage: []pc.StorageItem{}, Pages: []pc.Snapshot{},
		Environment: pc.Environment{Tool: c.cfg.Tool, Chrome: b.Version, Flags: b.cmd.Args[1:], UserAgent: b.UserAgent, Locale: c.cfg.Locale, Timezone: c.cfg.Timezone,
			Width: c.cfg.Width, Height: c.cfg.Height, Mobile: c.cfg.Mobile, GPC: c.cfg.GPC, ThirdPartyCookies: b.ThirdParty, DNS: c.cfg.DNS},
	}
	if c.cfg.Proxy != nil {
		r.capt.Environment.Proxy = c.cfg.Proxy.Host
	}
	for i, f := range r.capt.Environment.Flags { // local paths are no evidence
		if len(f) > 16 && f[:16] == "--user-data-dir=" {
			r.capt.Environment.Flags = slices.Clone(r.capt.Environment.Flags)
			r.capt.Environment.Flags[i] = "--user-data-dir=(new, empty)"
		}
	}
	err = r.play(ctx, v.URL)
	select {
	case <-b.wire.down:
		return b.explain(b.wire.err)
	default:
	}
	if err != nil && errors.Is(context.Cause(ctx), errOvertime) && r.capt.Load.Outcome != "" {
		// What was gathered by then stands; trying the visit again would only cost as much once more.
		for _, a := range []pc.Artifact{pc.ArtifactAct, pc.ArtifactStorage, pc.ArtifactPage} {
			r.missing(a, errOvertime.Error())
		}
		err = nil
	}
	if err != nil {
		return err
	}
	if err := r.addContent(); err != nil {
		return err
	}
	r.finish()
	r.capt.Hosts = hosts(r.capt, proxy.Hosts())
	r.capt.Environment.Background = int(b.background.Load() - background)
	c.met.requests.Add(float64(len(r.capt.Requests)))
	return nil
}

// run is the state of one scenario.
type run struct {
	c        *Crawler
	t        *tab
	sink     Sink
	look     pc.Look
	scenario pc.Scenario
	capt     *pc.Capture
	jar      jar
	page     *pc.Page    // the last tree taken
	seen     Reading     // of the tree before any choice
	stir     bool        // move as a visitor does when nothing asks: some banners wait for it
	asked    bool        // something to choose was seen
	only     pc.Artifact // what is being gathered now; the rest has been recorded in full
}

// play is the script of a scenario. It returns an error only when the parts
// could not be handed on or our time was up; troubles of the page end in Missing.
func (r *run) play(ctx context.Context, address string) error {
	t := r.t
	select { // the load phase is where the CPU goes: bound it, not the waits
	case r.c.loads <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	t.started = time.Now()
	t.mu.Unlock()
	r.capt.Started = t.started.UTC()
	navErr, download := r.navigate(ctx, address)
	if navErr == "" && !download {
		t.waitLoad(ctx, 0, 25*time.Second)
	}
	<-r.c.loads
	r.mark(pc.MarkLoad)

	if err := r.watch(ctx, navErr == "" && !download); err != nil {
		return err
	}
	r.capt.Load = pageLoad(r.mainRequest(), navErr, download, r.page)
	if m := r.mainRequest(); m != nil {
		r.capt.Status = m.Status
	}
	r.capt.FinalURL = address
	if r.page != nil {
		r.capt.FinalURL = r.page.URL
	}
	if !r.capt.Load.OK() {
		return ctx.Err()
	}
	goal := r.scenario.Goal()
	if goal != "" {
		acted, err := r.act(ctx, goal, r.seen)
		if err == nil && acted {
			err = r.after(ctx)
		}
		if err == nil && acted && goal == pc.GoalAccept {
			err = r.withdraw(ctx)
		}
		if err != nil {
			return err
		}
	}
	r.mark(pc.MarkDone)
	if goal == "" {
		if err := r.whole(ctx); err != nil {
			return err
		}
		return r.settings(ctx)
	}
	return ctx.Err()
}

// settings opens the settings of the banner, when all else has been recorded,
// and takes their tree and picture. Where refusing leads through them anyway
// they are seen there.
func (r *run) settings(ctx context.Context) error {
	if r.seen == nil || r.page == nil || r.t.trouble() != nil {
		return ctx.Err()
	}
	choice, ok := choose(r.seen, pc.GoalSettings, r.page)
	if refusal, short := choose(r.seen, pc.GoalReject, r.page); !ok || !short || !refusal.Final {
		return ctx.Err()
	}
	r.only = pc.ArtifactSettings
	choice.Final = false // whatever is pressed here, nothing is chosen
	r.mark(pc.MarkOpened)
	act, err := r.press(ctx, pc.GoalSettings, choice, true)
	if err == nil {
		act.Effect, err = r.effect(ctx, choice)
	}
	if err != nil {
		r.missing(pc.ArtifactSettings, fmt.Sprintf("%q could not be pressed: %v", choice.Text, err))
		return ctx.Err()
	}
	r.capt.Acts = append(r.capt.Acts, act)
	if act.Effect == effectNone {
		r.missing(pc.ArtifactSettings, fmt.Sprintf("pressing %q had no visible effect", choice.Text))
		return nil
	}
	if !sleep(ctx, time.Second) { // the panel may come by animation or from the network
		return ctx.Err()
	}
	return r.shot(ctx, pc.MarkOpened, 2)
}

// navigate starts the first load. It returns Chrome's error text, and whether
// the address turned out to be a download.
func (r *run) navigate(ctx context.Context, address string) (navErr string, download bool) {
	nctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	res, err := cdp.Call(nctx, r.t.page, page.Navigate, page.NavigateParams{URL: address})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return "net::ERR_TIMED_OUT", false
		}
		return err.Error(), false
	}
	return res.ErrorText, res.IsDownload
}

// watch settles the page and records the state before any choice: storage,
// tree and picture. While no banner shows, it goes on watching, because banners
// come late; in a scenario that will act it stops as soon as the banner stands.
func (r *run) watch(ctx context.Context, shown bool) error {
	t, cfg := r.t, r.c.cfg
	begin := time.Now()
	if shown {
		if r.scenario == pc.Idle {
			t.settle(ctx, cfg.Floor, cfg.Quiet, cfg.Cap)
		} else {
			t.settle(ctx, min(1500*time.Millisecond, cfg.Floor), cfg.Quiet, cfg.Cap)
		}
		late := cfg.Late
		if r.stir {
			late = time.Since(begin) + 4*cfg.Quiet // that nothing comes by itself was seen in idle
		}
		for step := 0; ; step++ {
			p, whole, err := t.snapshot(ctx, 10*time.Second)
			if err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				r.missing(pc.ArtifactPage, err.Error())
				break
			}
			if !whole {
				r.missing(pc.ArtifactPage, fmt.Sprintf("the page has more than %d nodes", maxNodes))
			}
			if p != r.page {
				r.page = p
				r.seen = r.c.chooser.Read(1, p)
				r.asked = offers(r.seen, pc.GoalAccept) || offers(r.seen, pc.GoalReject)
			}
			if r.asked || time.Since(begin) >= late && (!r.stir || step >= steps) || t.trouble() != nil || emptyOrBad(r.mainRequest()) {
				break
			}
			if r.stir && step < steps {
				r.move(ctx, step)
			}
			if !sleep(ctx, 700*time.Millisecond) {
				return ctx.Err()
			}
		}
		// Nothing moves any more when the tree and the picture show the same.
		t.settle(ctx, 300*time.Millisecond, cfg.Quiet/2, 3*time.Second)
	}
	if err := t.trouble(); err != nil {
		r.missing(pc.ArtifactPage, err.Error())
		r.missing(pc.ArtifactStorage, err.Error())
		r.page = nil
		return nil
	}
	if err := r.store(ctx, pc.MarkSettled); err != nil {
		return err
	}
	r.mark(pc.MarkSettled)
	if !shown {
		return nil
	}
	err := r.shot(ctx, pc.MarkSettled, 1)
	if err == nil && r.scenario == pc.Idle && r.page != nil {
		if r.seen == nil { // the tree came at the second try
			r.seen = r.c.chooser.Read(1, r.page)
		}
		r.access(ctx, r.seen)
	}
	return err
}

// steps is how many movements a visitor makes before giving up: the mouse over
// the page, its wheel down by a little, and up again, because a banner may have
// come above what is seen.
const steps = 3

// move makes one of these movements. It is no act: nothing is pressed, and no
// choice is made by it.
func (r *run) move(ctx context.Context, step int) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if len(r.capt.Marks) > 0 && r.capt.Marks[len(r.capt.Marks)-1].Name != pc.MarkStirred {
		r.mark(pc.MarkStirred)
	}
	// A page that does not answer is noticed by the next snapshot.
	if step > 0 {
		r.wheel(ctx, []int{240, -2000}[step-1]) // what came above has pushed the page down
		return
	}
	w, h := float64(r.c.cfg.Width), float64(r.c.cfg.Height)
	for _, at := range [][2]float64{{.3, .35}, {.45, .4}, {.5, .55}} {
		cdp.Call(ctx, r.t.page, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseMoved, X: w * at[0], Y: h * at[1]})
	}
}

// wheel turns the mouse wheel in the middle of the page, by CSS pixels downwards.
func (r *run) wheel(ctx context.Context, by int) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	// cdproto leaves out a zero, and Chromium insists on both.
	return r.t.page.Call(ctx, "Input.dispatchMouseEvent", map[string]any{"type": "mouseWheel", "x": r.c.cfg.Width / 2, "y": r.c.cfg.Height / 2, "deltaX": 0, "deltaY": by}, nil)
}

func emptyOrBad(m *pc.Request) bool { return m == nil || m.Status >= 400 }

func offers(seen Reading, goal pc.Goal) bool {
	_, ok := seen.Choose(goal)
	return ok
}

// suggested are the scenarios that only this banner asks for: it can be closed
// without a choice, or says that going on is one.
func (r *run) suggested() []pc.Scenario {
	var more []pc.Scenario
	for _, s := range []pc.Scenario{pc.Close, pc.Scroll} {
		if r.asked && r.page != nil && offers(r.seen, s.Goal()) {
			more = append(more, s)
		}
	}
	return more
}

// after records what follows a choice: quiet, reload, and one inner page.
func (r *run) after(ctx context.Context) error {
	t, cfg := r.t, r.c.cfg
	short := min(2*time.Second, cfg.Floor)
	t.settle(ctx, short, cfg.Quiet, 8*time.Second)
	if err := r.store(ctx, pc.MarkAfter); err != nil {
		return err
	}
	r.mark(pc.MarkAfter)
	if err := r.shot(ctx, pc.MarkAfter, 1); err != nil {
		return err
	}
	if t.trouble() != nil {
		return nil
	}
	r.mark(pc.MarkReload)
	if err := r.again(ctx, "Page.reload", page.ReloadParams{}, short); err != nil {
		return err
	}
	if err := r.store(ctx, pc.MarkReload); err != nil {
		return err
	}
	if next := r.inner(); next != "" && t.trouble() == nil {
		r.mark(pc.MarkInner)
		if err := r.again(ctx, "Page.navigate", page.NavigateParams{URL: next}, short); err != nil {
			return err
		}
		if err := r.store(ctx, pc.MarkInner); err != nil {
			return err
		}
	}
	return nil
}

// withdraw goes back on the consent that was given, as a visitor would: find the
// way, refuse there, and see at the next load whether it is honoured.
func (r *run) withdraw(ctx context.Context) error {
	if err := r.t.trouble(); err != nil {
		r.missing(pc.ArtifactWithdraw, err.Error())
		return nil
	}
	r.only = pc.ArtifactWithdraw
	r.mark(pc.MarkWithdraw)
	if err := r.shot(ctx, pc.MarkWithdraw, 1); err != nil {
		return err
	}
	short := min(2*time.Second, r.c.cfg.Floor)
	seen := r.c.chooser.Read(1, r.page)
	if _, ok := choose(seen, pc.GoalWithdraw, r.page); !ok && r.page.URL != r.capt.FinalURL {
		// An inner page may lack what the front page has.
		if err := r.again(ctx, "Page.navigate", page.NavigateParams{URL: r.capt.FinalURL}, short); err != nil {
			return err
		}
		if err := r.shot(ctx, pc.MarkWithdraw, 1); err != nil {
			return err
		}
		seen = nil
	}
	done, err := r.act(ctx, pc.GoalWithdraw, seen)
	if err != nil || !done {
		return err
	}
	r.t.settle(ctx, short, r.c.cfg.Quiet, 8*time.Second)
	if err := r.store(ctx, pc.MarkWithdrawn); err != nil {
		return err
	}
	if err := r.shot(ctx, pc.MarkWithdrawn, 1); err != nil {
		return err
	}
	r.mark(pc.MarkReturn)
	if err := r.again(ctx, "Page.reload", page.ReloadParams{}, short); err != nil {
		return err
	}
	return r.store(ctx, pc.MarkReturn)
}

// again loads a page in the same context and settles it.
func (r *run) again(ctx context.Context, method string, params any, floor time.Duration) error {
	t := r.t
	select {
	case r.c.loads <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	n := t.loads
	t.mu.Unlock()
	cctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	err := t.page.Call(cctx, method, params, nil)
	cancel()
	if err == nil {
		t.waitLoad(ctx, n, 20*time.Second)
	}
	<-r.c.loads
	t.settle(ctx, floor, r.c.cfg.Quiet, 10*time.Second)
	return ctx.Err()
}

// inner picks the inner page to look at: the first that the plain look found,
// else the first that the rendered page links, else a policy page.
func (r *run) inner() string {
	base, err := url.Parse(r.capt.FinalURL)
	if err != nil {
		return ""
	}
	for _, s := range r.look.Inner {
		if u, err := url.Parse(s); err == nil && isInner(base, u) {
			return s
		}
	}
	if r.page != nil {
		for i := range r.page.Nodes {
			if n := &r.page.Nodes[i]; n.Tag == "a" && n.Attrs["href"] != "" {
				if u, err := base.Parse(n.Attrs["href"]); err == nil && isInner(base, u) {
					u.Fragment = ""
					return u.String()
				}
			}
		}
	}
	for _, s := range r.look.Policies {
		if u, err := url.Parse(s); err == nil && isInner(base, u) {
			return s
		}
	}
	return ""
}

// mainRequest is the last document request of the first navigation: the one
// that redirects led to.
func (r *run) mainRequest() *pc.Request {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	var m *pc.Request
	for i := range r.t.requests {
		q := &r.t.requests[i]
		if q.Type != "Document" {
			continue
		}
		if m == nil || q.RedirectOf == m.ID {
			m = q
		}
	}
	if m == nil {
		return nil
	}
	cp := *m
	return &cp
}

func (r *run) mark(name pc.MarkName) {
	r.capt.Marks = append(r.capt.Marks, pc.Mark{Name: name, At: r.t.at()})
}

// missing records what could not be gathered; the first reason stands.
func (r *run) missing(a pc.Artifact, why string) {
	if r.only != "" {
		a = r.only
	}
	if r.capt.Missing[a] == "" {
		r.capt.Missing[a] = cut(why, 300)
	}
}

// store takes a checkpoint of everything stored.
func (r *run) store(ctx context.Context, mark pc.MarkName) error {
	if err := r.t.checkpoint(ctx, &r.jar, mark); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.missing(pc.ArtifactStorage, err.Error())
	}
	r.consent(ctx, mark)
	return ctx.Err()
}

// shot adds the last tree and a picture of now to the bundle.
func (r *run) shot(ctx context.Context, mark pc.MarkName, layer int) error {
	if mark != pc.MarkSettled || layer > 1 || r.page == nil {
		p, _, err := r.t.snapshot(ctx, 10*time.Second)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			r.missing(pc.ArtifactPage, err.Error())
			return nil
		}
		r.page = p
	}
	n := len(r.capt.Pages)
	snap := pc.Snapshot{Mark: mark, At: r.t.at(), Layer: layer, URL: r.page.URL, Tree: fmt.Sprintf("%s/pages/%d.json", r.scenario, n)}
	if err := addJSON(r.sink, snap.Tree, r.page); err != nil {
		return err
	}
	q := int64(80)
	var img page.CaptureScreenshotResult
	err := r.t.insist(ctx, 6*time.Second, func(ctx context.Context) (err error) {
		img, err = cdp.Call(ctx, r.t.page, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "jpeg", Quality: &q})
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.missing(pc.ArtifactScreen, err.Error())
	} else {
		snap.Screen = fmt.Sprintf("%s/screens/%d.jpg", r.scenario, n)
		if err := r.sink.Add(snap.Screen, img.Data); err != nil {
			return err
		}
	}
	for i := len(r.capt.Acts) - 1; i >= 0 && r.capt.Acts[i].After == 0; i-- {
		r.capt.Acts[i].After = n
	}
	r.capt.Pages = append(r.capt.Pages, snap)
	return nil
}

// finish moves what the tab gathered into the capture.
func (r *run) finish() {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.capt.Requests = slices.Clone(r.t.requests)
	if r.capt.Requests == nil {
		r.capt.Requests = []pc.Request{}
	}
	if r.t.over == "requests" {
		r.missing(pc.ArtifactRequests, fmt.Sprintf("the page made more than %d requests", maxRequests))
	}
	if r.jar.items != nil {
		r.capt.Storage = r.jar.items
	}
	r.t.linkPreflights(r.capt.Requests)
	r.capt.Sockets = slices.Clone(r.t.sockets)
	r.t.instruments.deliver(r.capt, r.missing)
	r.t.areas.unreported(r.capt)
	explain(r.capt)
	if at := r.t.halted.Load(); at > 0 {
		i := slices.IndexFunc(r.capt.Marks, func(m pc.Mark) bool { return m.At > at })
		if i < 0 {
			i = len(r.capt.Marks)
		}
		r.capt.Marks = slices.Insert(r.capt.Marks, i, pc.Mark{Name: pc.MarkHalted, At: at})
	}
	r.capt.Ended = time.Now().UTC()
}
