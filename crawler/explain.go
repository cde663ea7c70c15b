package crawler

import (
	"net/url"
	"strings"

	pc "pecrawler"
)

// slack is how much later than a checkpoint, in milliseconds, what explains it
// may be dated: the events and the checkpoint come from different processes.
const slack = 100

// explain names for each stored item the response or the write that set it: the
// last one before it was first seen, and rather one with the very value. What
// the checkpoint shows and nothing explains stays as it is: unattributed, never
// dropped.
func explain(c *pc.Capture) {
	for i := range c.Storage {
		it := &c.Storage[i]
		var best cause
		response := func(at int64, address string, request int, lines []pc.SetCookie) {
			if it.Kind != pc.Cookie || at > it.At+slack || len(lines) == 0 || !within(hostOf(address), it.Host) {
				return
			}
			for _, sc := range lines {
				if name, value := cookiePair(sc.Line); name == it.Name && len(sc.Blocked) == 0 {
					best = best.or(cause{found: true, exact: value == it.Value, at: at, by: address, request: request, write: -1})
				}
			}
		}
		for k := range c.Requests {
			r := &c.Requests[k]
			if r.PreflightOf != nil {
				continue // Chrome stores nothing of its answer
			}
			response(r.At, r.URL, r.ID, r.SetCookies)
		}
		for k := range c.Sockets {
			s := &c.Sockets[k]
			response(s.At, s.URL, -1, s.SetCookies)
		}
		for k := range c.Writes {
			w := &c.Writes[k]
			if w.Kind != it.Kind || w.Name != it.Name || w.At > it.At+slack || w.Op == "delete" || w.Op == "clear" {
				continue
			}
			value := w.Value
			if it.Kind == pc.Cookie {
				_, value = cookiePair(w.Value)
			}
			if w.Host == it.Host || it.Kind == pc.Cookie && within(w.Host, it.Host) {
				best = best.or(cause{found: true, exact: value == it.Value, at: w.At, by: w.Script, request: -1, write: w.ID})
			}
		}
		if best.found {
			it.SetBy, it.Request = best.by, best.request
			if best.write >= 0 {
				it.Write = &best.write
			}
		}
	}
}

// cause is what may have set an item.
type cause struct {
	found, exact bool
	at           int64
	by           string
	request      int // -1: none
	write        int // -1: none
}

// or returns the better of two: the exact one, else the later one.
func (c cause) or(o cause) cause {
	if !c.found || o.exact && !c.exact || o.exact == c.exact && o.at >= c.at {
		return o
	}
	return c
}

// within tells whether a host may set a cookie for a domain.
func within(host, domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
