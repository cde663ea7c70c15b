package crawler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"

	pc "pecrawler"
)

// Budgets of one scenario. A page that exceeds them is recorded up to there.
const (
	maxRequests    = 3000
	maxPopups      = 5
	maxDialogs     = 50
	maxNavigations = 20
	maxBody        = 4 << 10
	maxHeader      = 1 << 10
	maxURL         = 8 << 10
)

// tab is the browser context of one scenario with the page in it, its popups
// and its workers. Events arrive on the wire's reader and are recorded under
// the lock; nothing there waits.
type tab struct {
	b    *Browser
	id   cdp.BrowserContextID
	page session

	ready chan struct{} // closed when the first page is attached and its instruments are live
	setup sync.WaitGroup

	mu       sync.Mutex
	started  time.Time
	main     target.ID
	mainFrm  cdp.FrameID
	requests []pc.Request
	hops     map[hopKey]*hops
	inflight map[hopKey]time.Time
	lastNet  time.Time
	loads    int // load events of the main page
	navs     int
	popups   int
	dialogs  int
	sessions []target.SessionID
	over     string // the budget that the page exceeded; "" is none
	crashed  bool

	instruments instruments
}

type hopKey struct {
	s  target.SessionID
	id network.RequestID
}

// hops joins the events of one request id: each redirect is a request of its
// own, and the extra infos come before or after their pair, in the same order.
type hops struct {
	ids       []int // indices into tab.requests
	noExtra   []bool
	sent      []network.EventRequestWillBeSentExtraInfo
	received  []network.EventResponseReceivedExtraInfo
	nSent     int // extra infos applied
	nReceived int
}

func newTab(b *Browser, id cdp.BrowserContextID, _ string) *tab {
	t := &tab{b: b, id: id, ready: make(chan struct{}), started: time.Now(), hops: map[hopKey]*hops{}, inflight: map[hopKey]time.Time{}, instruments: newInstruments()}
	b.mu.Lock()
	b.tabs[id] = t
	b.mu.Unlock()
	return t
}

// forget ends the routing of events to this tab.
func (t *tab) forget() {
	t.b.mu.Lock()
	delete(t.b.tabs, t.id)
	t.b.mu.Unlock()
	t.mu.Lock()
	ids := slices.Clone(t.sessions)
	t.mu.Unlock()
	for _, id := range ids {
		t.b.wire.handle(id, nil)
	}
	t.setup.Wait()
}

// open makes the page and waits until its instruments are live.
func (t *tab) open(ctx context.Context) error {
	yes := true
	if _, err := cdp.Call(ctx, t.b.root, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: "deny", BrowserContextID: t.id}); err != nil {
		return err
	}
	if _, err := cdp.Call(ctx, t.b.root, target.CreateTarget, target.CreateTargetParams{URL: "about:blank", BrowserContextID: t.id, NewWindow: &yes,
		Width: int64(t.b.cfg.Width), Height: int64(t.b.cfg.Height)}); err != nil {
		return err
	}
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("open a page: %w", ctx.Err())
	case <-t.b.wire.down:
		return t.b.wire.err
	}
}

// attached is called on the reader for each new target of this context. Page
// targets get their instruments, each reply awaited, before they may run:
// otherwise the first requests overtake the instruments. Workers answer nothing
// until they run, so theirs are sent without waiting.
func (t *tab) attached(s session, e target.EventAttachedToTarget) {
	t.mu.Lock()
	t.sessions = append(t.sessions, s.id)
	isMain := false
	isPage := e.TargetInfo.Type == "page" || e.TargetInfo.Type == "iframe"
	if isPage {
		if t.main == "" {
			t.main, isMain = e.TargetInfo.TargetID, true
		} else if e.TargetInfo.Type == "page" {
			t.popups++
		}
	}
	surplus := t.popups > maxPopups
	t.mu.Unlock()

	t.b.wire.handle(s.id, func(method string, params jsonv2.Value) {
		switch {
		case strings.HasPrefix(method, "Runtime."):
			t.script(s, !isPage, method, params)
		case method == "Debugger.paused":
			t.workerPaused(s)
		default:
			t.event(s, method, params)
		}
	})
	if surplus && e.TargetInfo.Type == "page" {
		t.b.root.Send("Target.closeTarget", target.CloseTargetParams{TargetID: e.TargetInfo.TargetID}) // still paused: it never ran
		return
	}
	body := int64(maxBody)
	enable := network.EnableParams{MaxPostDataSize: &body}
	if !isPage {
		s.Send("Network.enable", enable)
		t.instrumentWorker(s)
		s.Send("Target.setAutoAttach", autoAttach(true))
		s.Send("Runtime.runIfWaitingForDebugger", nil)
		return
	}
	t.setup.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // bounded by itself: the reader has no context
		defer cancel()
		cfg, yes := t.b.cfg, true
		for _, do := range []func() error{
			func() error { return s.Call(ctx, "Network.enable", enable, nil) },
			func() error { return s.Call(ctx, "Page.enable", nil, nil) },
			func() error { return s.Call(ctx, "Runtime.enable", nil, nil) },
			func() error {
				return s.Call(ctx, "Page.addScriptToEvaluateOnNewDocument", page.AddScriptToEvaluateOnNewDocumentParams{Source: t.instruments.source(), RunImmediately: &yes}, nil)
			},
			func() error { return s.Call(ctx, "Target.setAutoAttach", autoAttach(true), nil) },
			func() error {
				return s.Call(ctx, "Emulation.setDeviceMetricsOverride", emulation.SetDeviceMetricsOverrideParams{Width: int64(cfg.Width), Height: int64(cfg.Height),
					DeviceScaleFactor: 1, ScreenWidth: int64(cfg.Width), ScreenHeight: int64(cfg.Height)}, nil)
			},
			func() error {
				return s.Call(ctx, "Emulation.setFocusEmulationEnabled", emulation.SetFocusEmulationEnabledParams{Enabled: true}, nil)
			},
			func() error { return s.Call(ctx, "Runtime.runIfWaitingForDebugger", nil, nil) },
		} {
			if do() != nil {
				return // the target is gone, or the browser is; open and settle notice
			}
		}
		if isMain {
			t.page = s
			close(t.ready)
		}
	})
}

// event records one event of a target of this context.
func (t *tab) event(s session, method string, params jsonv2.Value) {
	switch method {
	case "Target.attachedToTarget": // a worker or frame of this page
		if e, ok := decode[target.EventAttachedToTarget](params); ok {
			t.attached(session{t.b.wire, e.SessionID}, e)
		}
	case "Network.requestWillBeSent":
		if e, ok := decode[network.EventRequestWillBeSent](params); ok {
			t.sent(s, e)
		}
	case "Network.requestWillBeSentExtraInfo":
		if e, ok := decode[network.EventRequestWillBeSentExtraInfo](params); ok {
			t.mu.Lock()
			h := t.hop(hopKey{s.id, e.RequestID})
			h.sent = append(h.sent, e)
			t.join(h)
			t.mu.Unlock()
		}
	case "Network.responseReceivedExtraInfo":
		if e, ok := decode[network.EventResponseReceivedExtraInfo](params); ok {
			t.mu.Lock()
			h := t.hop(hopKey{s.id, e.RequestID})
			h.received = append(h.received, e)
			t.join(h)
			t.mu.Unlock()
		}
	case "Network.responseReceived":
		if e, ok := decode[network.EventResponseReceived](params); ok {
			t.mu.Lock()
			if h := t.hop(hopKey{s.id, e.RequestID}); len(h.ids) > 0 {
				t.answered(h.ids[len(h.ids)-1], e.Response)
			}
			if e.Type == network.ResourceTypeEventSource {
				delete(t.inflight, hopKey{s.id, e.RequestID}) // open for ever by nature
			}
			t.mu.Unlock()
		}
	case "Network.loadingFinished":
		if e, ok := decode[network.EventLoadingFinished](params); ok {
			t.done(hopKey{s.id, e.RequestID}, "")
		}
	case "Network.loadingFailed":
		if e, ok := decode[network.EventLoadingFailed](params); ok {
			text := e.ErrorText
			if e.BlockedReason != "" {
				text += " " + string(e.BlockedReason)
			}
			t.done(hopKey{s.id, e.RequestID}, text)
		}
	case "Page.loadEventFired":
		if s.id == t.page.id {
			t.mu.Lock()
			t.loads++
			t.mu.Unlock()
		}
	case "Page.frameNavigated":
		e, ok := decode[page.EventFrameNavigated](params)
		if ok && s.id == t.page.id && e.Frame.ParentID == "" {
			t.mu.Lock()
			t.mainFrm = e.Frame.ID
			t.navs++
			stop := t.navs == maxNavigations
			if stop {
				t.over = "navigations"
			}
			t.mu.Unlock()
			if stop {
				s.Send("Page.stopLoading", nil)
			}
		}
	case "Page.javascriptDialogOpening":
		e, ok := decode[page.EventJavascriptDialogOpening](params)
		if !ok {
			return
		}
		t.mu.Lock()
		t.dialogs++
		flood := t.dialogs > maxDialogs
		if flood {
			t.over = "dialogs"
		}
		t.mu.Unlock()
		if flood {
			s.Send("Page.crash", nil)
			return
		}
		s.Send("Page.handleJavaScriptDialog", page.HandleJavaScriptDialogParams{Accept: e.Type == page.DialogTypeBeforeunload})
	case "Inspector.targetCrashed":
		if s.id == t.page.id {
			t.mu.Lock()
			t.crashed = true
			t.mu.Unlock()
		}
	}
}

func (t *tab) hop(k hopKey) *hops {
	h := t.hops[k]
	if h == nil {
		h = &hops{}
		t.hops[k] = h
	}
	return h
}

func (t *tab) sent(s session, e network.EventRequestWillBeSent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if strings.HasPrefix(e.Request.URL, "data:") || strings.HasPrefix(e.Request.URL, "blob:") && e.Type == network.ResourceTypeImage {
		return // carries its content itself: nothing goes out
	}
	k := hopKey{s.id, e.RequestID}
	h := t.hop(k)
	redirectOf := -1
	if e.RedirectResponse != nil && len(h.ids) > 0 {
		redirectOf = h.ids[len(h.ids)-1]
		t.answered(redirectOf, e.RedirectResponse)
		h.noExtra[len(h.noExtra)-1] = !e.RedirectHasExtraInfo
	}
	if len(t.requests) >= maxRequests {
		if t.over == "" {
			t.over = "requests"
			s.Send("Page.stopLoading", nil)
		}
		return
	}
	r := pc.Request{
		ID: len(t.requests), URL: cut(e.Request.URL, maxURL), Method: e.Request.Method, Type: string(e.Type),
		At: int64(e.WallTime.Float64()*1000) - t.started.UnixMilli(), Frame: cut(e.DocumentURL, maxURL), RedirectOf: redirectOf,
	}
	if e.Initiator != nil {
		r.Initiator = cut(e.Initiator.URL, maxURL)
		for st := e.Initiator.Stack; st != nil && len(r.Stack) < maxStack; st = st.Parent {
			for _, f := range st.CallFrames {
				if len(r.Stack) < maxStack {
					r.Stack = append(r.Stack, frameLine(f))
				}
				if r.Initiator == "" {
					r.Initiator = cut(f.URL, maxURL)
				}
			}
		}
	}
	for _, p := range e.Request.PostDataEntries {
		r.Body = cut(r.Body+strings.ToValidUTF8(string(p.Bytes), "\uFFFD"), maxBody)
	}
	t.requests = append(t.requests, r)
	h.ids = append(h.ids, r.ID)
	h.noExtra = append(h.noExtra, false)
	now := time.Now()
	t.inflight[k] = now
	t.lastNet = now
	t.join(h)
}

// join applies the extra infos to the hops that they belong to.
func (t *tab) join(h *hops) {
	skip := func(i int) int {
		for i < len(h.ids)-1 && h.noExtra[i] {
			i++
		}
		return i
	}
	for len(h.sent) > 0 {
		h.nSent = skip(h.nSent)
		if h.nSent >= len(h.ids) {
			break
		}
		r := &t.requests[h.ids[h.nSent]]
		for _, a := range h.sent[0].AssociatedCookies {
			if a.Cookie != nil && len(a.BlockedReasons) == 0 {
				r.CookiesOut = append(r.CookiesOut, a.Cookie.Name)
			}
		}
		h.sent = h.sent[1:]
		h.nSent++
	}
	for len(h.received) > 0 {
		h.nReceived = skip(h.nReceived)
		if h.nReceived >= len(h.ids) {
			break
		}
		r := &t.requests[h.ids[h.nReceived]]
		e := h.received[0]
		if r.Status == 0 {
			r.Status = int(e.StatusCode)
		}
		blocked := map[string][]string{}
		for _, b := range e.BlockedCookies {
			for _, reason := range b.BlockedReasons {
				blocked[b.CookieLine] = append(blocked[b.CookieLine], string(reason))
			}
		}
		for name, v := range e.Headers {
			if !strings.EqualFold(name, "set-cookie") {
				continue
			}
			lines, _ := v.(string)
			for line := range strings.SplitSeq(lines, "\n") {
				if len(r.SetCookies) < 100 {
					r.SetCookies = append(r.SetCookies, pc.SetCookie{Line: cut(line, 5<<10), Blocked: blocked[line]})
				}
			}
		}
		h.received = h.received[1:]
		h.nReceived++
	}
}

func (t *tab) answered(i int, resp *network.Response) {
	r := &t.requests[i]
	r.Status, r.MIME = int(resp.Status), resp.MimeType
	r.Headers = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(resp.Headers)) {
		if v, ok := resp.Headers[name].(string); ok && !strings.EqualFold(name, "set-cookie") && len(r.Headers) < 40 {
			r.Headers[strings.ToLower(name)] = cut(v, maxHeader)
		}
	}
	t.lastNet = time.Now()
}

func (t *tab) done(k hopKey, failed string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.inflight, k)
	if h := t.hops[k]; h != nil && len(h.ids) > 0 && failed != "" {
		t.requests[h.ids[len(h.ids)-1]].Failed = failed
	}
	t.lastNet = time.Now()
}

// at is the present offset in milliseconds since the start.
func (t *tab) at() int64 { return time.Since(t.started).Milliseconds() }

var (
	errCrashed = errors.New("the page crashed")
	errBudget  = errors.New("the page exceeded a budget")
)

// waitLoad waits for a load event beyond the given count, or until the limit.
// It returns whether the event came.
func (t *tab) waitLoad(ctx context.Context, beyond int, limit time.Duration) bool {
	end := time.Now().Add(limit)
	for time.Now().Before(end) {
		t.mu.Lock()
		n, bad := t.loads, t.crashed || t.over != ""
		t.mu.Unlock()
		if n > beyond {
			return true
		}
		if bad || !sleep(ctx, 30*time.Millisecond) {
			return false
		}
	}
	return false
}

// settle waits until the floor has passed and the network has been quiet, or
// for the cap.
func (t *tab) settle(ctx context.Context, floor, quiet, limit time.Duration) {
	begin := time.Now()
	for {
		now := time.Now()
		t.mu.Lock()
		busy := 0
		for _, since := range t.inflight {
			if now.Sub(since) < 5*time.Second { // older ones are streams and long polls
				busy++
			}
		}
		still := busy == 0 && now.Sub(t.lastNet) >= quiet
		bad := t.crashed || t.over != ""
		t.mu.Unlock()
		waited := now.Sub(begin)
		if bad || waited >= limit || waited >= floor && still || !sleep(ctx, 50*time.Millisecond) {
			return
		}
	}
}

// trouble returns why the page cannot be looked at any more.
func (t *tab) trouble() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.crashed && t.over == "":
		return errCrashed
	case t.over != "":
		return fmt.Errorf("%w: %s", errBudget, t.over)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
