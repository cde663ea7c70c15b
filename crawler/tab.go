package crawler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// streamAge is how long a request can keep a page from being quiet.
const streamAge = 5 * time.Second

// tab is the browser context of one scenario with the page in it, its popups
// and its workers. Events arrive on the wire's reader and are recorded under
// the lock; nothing there waits.
type tab struct {
	b    *Browser
	id   cdp.BrowserContextID
	page session

	closed atomic.Bool // nothing more is recorded: what happens now is our own doing

	ready chan struct{} // closed when the first page is attached and its instruments are live
	setup sync.WaitGroup

	mu         sync.Mutex
	started    time.Time
	main       target.ID
	mainFrm    cdp.FrameID
	requests   []pc.Request
	sockets    []pc.Socket
	socket     map[hopKey]int // index into sockets
	messages   int            // on sockets and event streams
	workers    map[target.SessionID]string
	document   hopKey // the request of the main frame's first document
	content    []byte // what answered it; empty: asked for
	contentOf  int    // the id of its request
	fetched    int    // bodies asked for one by one
	hops       map[hopKey]*hops
	preflights map[int]hopKey // the request that each asks leave for
	inflight   map[hopKey]time.Time
	lastNet    time.Time
	loads      int           // load events of the main page
	loaded     chan struct{} // told of each, and of what ends the waiting for them; holds one
	navs       int
	popups     int
	dialogs    int
	sessions   []target.SessionID
	over       string // the budget that the page exceeded; "" is none
	crashed    bool
	stuck      atomic.Bool   // does not answer any more, see insist
	halted     atomic.Int64  // when a script was ended that kept the page busy; 0: never
	dead       chan struct{} // closed when it crashed

	instruments instruments
	areas       areas

	tree struct { // the tree that was taken last; used by the scenario's goroutine only
		raw   jsonv2.Value // as Chrome gave it
		page  *pc.Page
		whole bool
	}
}

func newTab(b *Browser, id cdp.BrowserContextID, _ string) *tab {
	t := &tab{b: b, id: id, ready: make(chan struct{}), loaded: make(chan struct{}, 1), dead: make(chan struct{}), started: time.Now(), hops: map[hopKey]*hops{}, preflights: map[int]hopKey{}, inflight: map[hopKey]time.Time{}, socket: map[hopKey]int{}, workers: map[target.SessionID]string{}, instruments: newInstruments()}
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
// targets get their instruments, all replies awaited, before they may run:
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
	if !isPage {
		t.workers[s.id] = cut(e.TargetInfo.URL, maxURL)
	}
	surplus := t.popups > maxPopups
	t.mu.Unlock()

	t.b.wire.handle(s.id, func(method string, params jsonv2.Value) {
		over := t.closed.Load()
		switch {
		case over && (strings.HasPrefix(method, "Runtime.") || strings.HasPrefix(method, "DOMStorage.") || strings.HasPrefix(method, "Network.")):
		case strings.HasPrefix(method, "Runtime."):
			t.script(s, !isPage, method, params)
		case strings.HasPrefix(method, "DOMStorage."):
			t.area(s, method, params)
		case strings.HasPrefix(method, "Network."):
			t.network(s, method, params)
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
	body := int64(maxPostData)
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
		yes := true
		setup := append([]command{
			{"Network.enable", enable}, {"Page.enable", nil}, {"DOMStorage.enable", nil}, {"Runtime.enable", nil},
			{"Page.addScriptToEvaluateOnNewDocument", page.AddScriptToEvaluateOnNewDocumentParams{Source: t.instruments.source(), RunImmediately: &yes}},
			{"Target.setAutoAttach", autoAttach(true)},
			{"Emulation.setFocusEmulationEnabled", emulation.SetFocusEmulationEnabledParams{Enabled: true}},
		}, t.visitor()...)
		if s.all(ctx, setup...) != nil || s.Call(ctx, "Runtime.runIfWaitingForDebugger", nil, nil) != nil {
			return // the target is gone, or the browser is; open and settle notice
		}
		if isMain {
			t.page = s
			close(t.ready)
		}
	})
}

// event records one event of a target of this context.
func (t *tab) event(s session, method string, params jsonv2.Value) {
	if t.closed.Load() && !strings.HasPrefix(method, "Target.") && !strings.HasPrefix(method, "Page.") && !strings.HasPrefix(method, "Inspector.") {
		return
	}
	switch method {
	case "Target.attachedToTarget": // a worker or frame of this page
		if e, ok := decode[target.EventAttachedToTarget](params); ok {
			t.attached(session{t.b.wire, e.SessionID}, e)
		}
	case "Page.loadEventFired":
		if s.id == t.page.id {
			t.mu.Lock()
			t.loads++
			t.mu.Unlock()
			t.tell()
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
				t.tell()
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
			if !t.crashed {
				close(t.dead)
			}
			t.crashed = true
			t.mu.Unlock()
			t.tell()
		}
	}
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
	end := time.NewTimer(limit)
	defer end.Stop()
	for {
		t.mu.Lock()
		n, bad := t.loads, t.crashed || t.over != ""
		t.mu.Unlock()
		switch {
		case n > beyond:
			return true
		case bad:
			return false
		}
		select {
		case <-t.loaded:
		case <-end.C:
			return false
		case <-t.b.wire.down:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// tell wakes whoever waits for a load.
func (t *tab) tell() {
	select {
	case t.loaded <- struct{}{}:
	default: // it will see this one too
	}
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
			if now.Sub(since) < streamAge { // older ones are streams and long polls
				busy++
			}
		}
		still := busy == 0 && now.Sub(t.lastNet) >= quiet
		bad := t.crashed || t.over != ""
		// The earliest end, unless something moves; each look at it wakes the whole process.
		next := max(floor-now.Sub(begin), quiet-now.Sub(t.lastNet))
		t.mu.Unlock()
		waited := now.Sub(begin)
		if bad || waited >= limit || waited >= floor && still {
			return
		}
		if !sleep(ctx, min(max(next, 50*time.Millisecond), 2*time.Second, limit-waited)) {
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
	case t.stuck.Load():
		return errStuck
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
