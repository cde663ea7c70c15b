package crawler

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/crawler/egress"
)

// Chooser says which control to press. It is the classifier's part; the crawler
// declares what it needs of it.
type Chooser interface {
	// Read looks at a page tree once, which is most of the work, for whatever is
	// asked of it then. layer is 1 for what the page showed by itself, 2 after
	// opening settings. To withdraw, layer 1 is any page after the choice, 2 what
	// the way back led to.
	Read(layer int, page *pc.Page) Reading
	Version() string
}

// Reading is what a chooser makes of one page tree.
type Reading interface {
	// Choose picks the control to press to reach the goal. ok is false when the
	// page offers no way.
	Choose(goal pc.Goal) (c Choice, ok bool)
	// Region is the node of the page tree that holds what asks, so that it can be
	// looked at more closely; -1 when nothing asks.
	Region() int
}

// Choice is one control to press.
type Choice struct {
	Node   int       // index into the page's nodes
	Action pc.Action // what pressing it is expected to do
	Text   string
	Why    string
	Final  bool // pressing it makes the choice; false: it leads on
}

// Sink receives the parts of a visit as they are gathered.
type Sink interface {
	Add(name string, data []byte) error
}

// Config is how the crawler looks at sites. The zero value is not usable; see
// [Config.Defaults].
type Config struct {
	Chrome      string // path; "" finds it
	TempDir     string // for browser profiles; "" is the system's
	Tool        string // version of this program, for the record
	UserAgent   string // "" is that of the same version's desktop browser
	Locale      string
	Timezone    string
	Width       int // viewport, CSS pixels
	Height      int
	Mobile      bool     // a telephone: its screen, touch, and the user agent of the same version there
	GPC         bool     // the visitor sends Global Privacy Control
	Proxy       *url.URL // upstream of the egress proxy
	DNS         string   // address of the resolver; "" is the system's. Behind an upstream proxy it is asked for aliases only
	CAFile      string   // extra trusted CA, PEM
	Allow       []netip.Prefix
	HonourRobot bool
	Loads       int   // page loads at the same time; the waits between are not bounded by it
	Recycle     int   // scenarios after which the browser is replaced
	Memory      int64 // bytes that the browser may hold: it is replaced before that, and a page that goes beyond is ended

	// The settle policy.
	Floor time.Duration // shortest watch after load
	Quiet time.Duration // without requests
	Cap   time.Duration // longest watch after load
	Late  time.Duration // how long after load a banner is waited for
	Limit time.Duration // longest scenario
}

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	set(&c.Locale, "en-GB")
	set(&c.Timezone, "Europe/London")
	if c.Mobile {
		set(&c.Width, mobileWidth)
		set(&c.Height, mobileHeight)
	}
	set(&c.Width, 1366)
	set(&c.Height, 900)
	set(&c.Loads, 2*runtime.NumCPU())
	set(&c.Recycle, 300)
	set(&c.Memory, 2<<30)
	set(&c.Floor, 5*time.Second)
	set(&c.Quiet, time.Second)
	set(&c.Cap, 15*time.Second)
	set(&c.Late, 10*time.Second)
	set(&c.Limit, 150*time.Second)
	return c
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// Crawler makes visits with one browser, which it starts, watches and replaces.
type Crawler struct {
	cfg     Config
	chooser Chooser
	log     *slog.Logger
	met     *metrics
	loads   chan struct{}

	mu      sync.Mutex
	current *lease // nil: start one
	starts  int
}

// lease is a browser with the number of scenarios that run in it.
type lease struct {
	b      *Browser
	users  int
	served int
	retire bool
}

// New returns a crawler. No browser is started before it is needed; call
// [Crawler.Start] to learn early that there is none.
func New(cfg Config, chooser Chooser, log *slog.Logger, reg prometheus.Registerer) *Crawler {
	cfg = cfg.Defaults()
	return &Crawler{cfg: cfg, chooser: chooser, log: log, met: newMetrics(reg), loads: make(chan struct{}, cfg.Loads)}
}

// Tune sets the garbage collector of a program that makes visits, unless GOGC or
// GOMEMLIMIT say otherwise. What a visit leaves behind are trees of pages that
// are soon dead: collecting them less often saved 5 to 13 % of our CPU, and the
// limit keeps a hostile tree from growing the heap by the same factor.
func Tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(1 << 30)
	}
}

// Start starts the browser and proves it fit, so that a missing or broken
// browser is known before any visit is taken. It returns the browser's version.
func (c *Crawler) Start(ctx context.Context) (version string, err error) {
	b, release, err := c.browser(ctx)
	if err != nil {
		return "", err
	}
	defer release(false)
	return b.Version, nil
}

// Close ends the browser and everything it started.
func (c *Crawler) Close() {
	c.mu.Lock()
	l := c.current
	c.current = nil
	c.mu.Unlock()
	if l != nil {
		l.b.Close()
	}
}

// browser hands out the running browser, or starts one. release says whether
// the scenario found it broken.
func (c *Crawler) browser(ctx context.Context) (_ *Browser, release func(broken bool), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.current; l != nil && (l.b.worn.Load() || l.b.gone()) {
		l.retire = true
		c.current = nil
		if l.users == 0 { // else the last of them ends it
			l.b.Close()
		}
	}
	if c.current == nil {
		sctx, cancel := context.WithTimeout(ctx, 60*time.Second)
		defer cancel()
		b, err := startBrowser(sctx, c.cfg, c.log, c.met)
		if err != nil {
			return nil, nil, err
		}
		if c.starts++; c.starts > 1 {
			c.met.restarts.Inc()
		}
		c.current = &lease{b: b}
	}
	l := c.current
	l.users++
	l.served++
	if l.served >= c.cfg.Recycle {
		l.retire = true
		c.current = nil
	}
	return l.b, func(broken bool) {
		c.mu.Lock()
		l.users--
		if broken || l.b.worn.Load() {
			l.retire = true
			if c.current == l {
				c.current = nil
			}
		}
		end := l.retire && l.users == 0
		c.mu.Unlock()
		if end {
			l.b.Close()
		}
	}, nil
}

// Visit looks at the site in every scenario and adds the parts of the bundle to
// the sink: look.json, and <scenario>/capture.json with its pages and screens.
// It returns an error only when the fault is ours and the visit should be tried
// again; how the site behaved is in the parts.
func (c *Crawler) Visit(ctx context.Context, v pc.Visit, sink Sink) error {
	begin := time.Now()
	look := c.look(ctx, v)
	c.met.stage.WithLabelValues("look").Observe(time.Since(begin).Seconds())
	if err := addJSON(sink, "look.json", look); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if final(look.Load) {
		return nil
	}
	shy := false // nothing asked while the page was left alone
	for i := 0; i < len(v.Scenarios); i++ {
		s := v.Scenarios[i]
		begin := time.Now()
		r, err := c.scenario(ctx, v, look, s, shy, sink)
		c.met.stage.WithLabelValues(string(s)).Observe(time.Since(begin).Seconds())
		if err != nil {
			return fmt.Errorf("visit %s, %s: %w", v.Site, s, err)
		}
		if err := addJSON(sink, string(s)+"/capture.json", r.capt); err != nil {
			return err
		}
		if s == pc.Idle {
			if !r.capt.Load.OK() {
				return nil // nothing to press on a page that was not shown
			}
			shy = !r.asked
			v.Scenarios = append(slices.Clone(v.Scenarios), r.suggested()...)
		}
	}
	return nil
}

// final tells whether the plain look has already settled the outcome, so that
// the browser need not try: what it would try is the same connection.
func final(l pc.Load) bool {
	switch l.Reason {
	case egress.ReasonDNS, egress.ReasonRefused, egress.ReasonDenied, "robots", "download":
		return !l.OK()
	}
	return false
}

func addJSON(sink Sink, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return sink.Add(name, b)
}
