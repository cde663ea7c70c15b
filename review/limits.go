package review

import (
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often somebody may try to get in, and how often anybody may ask at all.
// A code, a token and what a provider sends are too long to be guessed: the lock
// is there to make guessing seen and cheap to bear.
const (
	wrongTries = 10
	lockTime   = 15 * time.Minute // also the time in which wrong tries are counted
	mostKnown  = 10_000           // addresses and sessions that are remembered
)

// Requests a second, and how many at once: a site's page has a picture for each
// scenario and page.
const (
	sessionRate, sessionBurst = rate.Limit(50), 500
	strangeRate, strangeBurst = rate.Limit(5), 60 // of an address that is not signed in
)

// gate knows who tried too often.
type gate struct {
	now   func() time.Time
	mu    sync.Mutex
	tries map[string]tries
	rates map[string]*limit
}

type tries struct {
	wrong int
	first time.Time // of those that are counted
}

type limit struct {
	*rate.Limiter
	last time.Time
}

func newGate(now func() time.Time) *gate {
	return &gate{now: now, tries: map[string]tries{}, rates: map[string]*limit{}}
}

// wrong counts a wrong try of an address.
func (g *gate) wrong(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	t := g.tries[addr]
	if now.Sub(t.first) >= lockTime {
		t = tries{first: now}
	}
	if t.wrong++; t.wrong == wrongTries {
		t.first = now // locked from now on
	}
	if len(g.tries) >= mostKnown {
		maps.DeleteFunc(g.tries, func(_ string, t tries) bool { return now.Sub(t.first) >= lockTime })
	}
	if len(g.tries) < mostKnown || g.tries[addr].wrong > 0 {
		g.tries[addr] = t
	}
}

// locked tells whether an address tried too often.
func (g *gate) locked(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.tries[addr]
	return t.wrong >= wrongTries && g.now().Sub(t.first) < lockTime
}

// allow tells whether whoever has a key may ask now.
func (g *gate) allow(key string, r rate.Limit, burst int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	l := g.rates[key]
	if l == nil {
		if len(g.rates) >= mostKnown {
			maps.DeleteFunc(g.rates, func(_ string, l *limit) bool { return now.Sub(l.last) > time.Minute }) // by then it is full again
			if len(g.rates) >= mostKnown {
				return false
			}
		}
		l = &limit{Limiter: rate.NewLimiter(r, burst)}
		g.rates[key] = l
	}
	l.last = now
	return l.AllowN(now, 1)
}

// address is where a request comes from, as far as it can be known: what a proxy
// says counts only when it is one of ours. A whole network of IPv6 is one address,
// because whoever has one address of it has them all.
func (h *Handler) address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && h.trusts(a); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		a = next
	}
	if a = a.Unmap(); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

func (h *Handler) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(h.opt.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}
