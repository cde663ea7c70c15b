package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed networks.txt
var networksText string

const (
	// largeTimes is how many times as many visits the address of a large network takes.
	largeTimes = 10

	lookUpWithin = 2 * time.Second // a visit is in hand meanwhile
	knownFor     = 10 * time.Minute
	unknownFor   = time.Minute
	mostKnown    = 20_000 // names in memory
)

// addresses finds out what a site is behind, before it is visited: many sites of
// one shared host have different domains, and their visits burden one machine.
type addresses struct {
	most   int // visits at the same time of what is behind one address
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	large  []netip.Prefix

	mu    sync.Mutex
	known map[string]knownAddress
}

type knownAddress struct {
	address string // "": it does not resolve
	most    int
	until   time.Time
}

// behind is what the queue limits visits by; nil when there is no limit, or when an
// upstream proxy looks the names up and no resolver was named that would know.
func (o *options) behind() (func(context.Context, string) (string, int), error) {
	if o.perAddress == 0 || o.proxy != "" && o.dns == "" {
		return nil, nil
	}
	large, err := networks(networksText)
	if err != nil {
		return nil, err
	}
	r, _ := o.resolver()
	a := &addresses{most: o.perAddress, large: large, known: map[string]knownAddress{},
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }}
	return a.behind, nil
}

// networks reads lines of a range and a name.
func networks(text string) (out []netip.Prefix, err error) {
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		p, err := netip.ParsePrefix(words[0])
		if err != nil || len(words) != 2 {
			return nil, fmt.Errorf("%q is no range and name of a network", lines.Text())
		}
		out = append(out, p)
	}
	return out, nil
}

// behind names the address that a site is behind, and how many visits it takes at once.
func (a *addresses) behind(ctx context.Context, site string) (string, int) {
	host := site
	if h, _, err := net.SplitHostPort(site); err == nil {
		host = h
	}
	a.mu.Lock()
	k, ok := a.known[host]
	a.mu.Unlock()
	if now := time.Now(); !ok || now.After(k.until) {
		k = a.find(ctx, host)
		a.mu.Lock()
		if len(a.known) >= mostKnown {
			clear(a.known) // they are asked for again
		}
		a.known[host] = k
		a.mu.Unlock()
	}
	return k.address, k.most
}

func (a *addresses) find(ctx context.Context, host string) knownAddress {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	all, err := a.lookup(ctx, host)
	if err != nil || len(all) == 0 { // the visit finds out what that means
		return knownAddress{until: time.Now().Add(unknownFor)}
	}
	for i := range all {
		all[i] = all[i].Unmap().WithZone("")
	}
	// A name with several addresses is counted at one, the same whoever asks: the
	// lowest. The older kind sorts first, and is where most sites share.
	at := slices.MinFunc(all, netip.Addr.Compare)
	k := knownAddress{address: at.String(), most: a.most, until: time.Now().Add(knownFor)}
	if slices.ContainsFunc(a.large, func(p netip.Prefix) bool { return p.Contains(at) }) {
		k.most *= largeTimes
	}
	if at.Is6() { // one host has a network of these
		p, _ := at.Prefix(64)
		k.address = p.String()
	}
	return k
}
