package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"pecrawler/lab"
)

// manners tells whether workers visited registrable domains one at a time,
// with a gap, from the test web's log of requests. Each worker has an address
// of its own and makes one visit at a time; where one visit of a domain ends
// and the next by the same worker begins is in the worker's log.
type manners struct {
	listed map[string]bool        // domains of the sites of the sweep; others are shared by sites
	ends   map[string][]time.Time // by worker and domain
	starts map[string][]time.Time // by worker: of its processes
	asked  map[string][]lab.Request
}

// offence is a visit that began too early.
type offence struct {
	domain       string
	first, again string // who
	at           time.Time
	after        time.Duration // since the last request of the visit before; negative when they overlap
}

func (o offence) String() string {
	return fmt.Sprintf("%s: %s at %s, %v after %s", o.domain, o.again, o.at.Format(time.TimeOnly), o.after, o.first)
}

func newManners(sites []*lab.Site) *manners {
	m := &manners{listed: map[string]bool{}, ends: map[string][]time.Time{}, starts: map[string][]time.Time{}, asked: map[string][]lab.Request{}}
	for _, s := range sites {
		m.listed[registrable(s.Host)] = true
	}
	return m
}

func registrable(host string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}

// log takes a line of a worker's log.
func (m *manners) log(worker, line string) {
	rest, ok := strings.CutPrefix(line, "time=")
	if !ok {
		return
	}
	stamp, rest, _ := strings.Cut(rest, " ")
	at, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return
	}
	at = at.Add(time.Millisecond) // the stamp is cut off there
	switch _, msg, _ := strings.Cut(rest, " msg="); {
	case strings.HasPrefix(msg, "ready "):
		m.starts[worker] = append(m.starts[worker], at)
	case strings.HasPrefix(msg, "visited "), strings.HasPrefix(msg, `"given back" `), strings.HasPrefix(msg, `"the visit is left `), strings.HasPrefix(msg, `"the visit failed `):
		_, id, _ := strings.Cut(msg, " visit=")
		if f := strings.Split(id, "/"); len(f) > 2 {
			key := worker + " " + registrable(f[1])
			m.ends[key] = append(m.ends[key], at)
		}
	}
}

func (m *manners) request(r lab.Request) {
	if d := registrable(r.Host); m.listed[d] {
		m.asked[d] = append(m.asked[d], r)
	}
}

// offences lists the visits that began before the gap was over, and counts all
// that were begun.
func (m *manners) offences(gap time.Duration) (out []offence, visits int) {
	type visit struct {
		who         string
		first, last time.Time
	}
	for domain, rs := range m.asked {
		slices.SortFunc(rs, func(a, b lab.Request) int { return a.At.Compare(b.At) })
		var all []*visit
		open := map[string]*visit{} // by worker
		for _, r := range rs {
			v := open[r.From]
			between := func(t time.Time) bool { return t.After(v.last) && !t.After(r.At) }
			if v == nil || slices.ContainsFunc(m.ends[r.From+" "+domain], between) || slices.ContainsFunc(m.starts[r.From], between) {
				v = &visit{who: r.From, first: r.At}
				open[r.From] = v
				all = append(all, v)
			}
			v.last = r.At
		}
		visits += len(all)
		var before *visit // of those that began earlier, the one that ended last
		for _, v := range all {
			if before != nil {
				if after := v.first.Sub(before.last); after < gap {
					out = append(out, offence{domain, before.who, v.who, v.first, after})
				}
			}
			if before == nil || v.last.After(before.last) {
				before = v
			}
		}
	}
	slices.SortFunc(out, func(a, b offence) int { return a.at.Compare(b.at) })
	return out, visits
}
