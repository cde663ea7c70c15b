package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// What a site is behind: one address, the same whoever asks, of a name that has
// several; a network of the newer kind; and more of what is built for many.
func TestBehind(t *testing.T) {
	large, err := networks(networksText)
	if err != nil || len(large) < 30 {
		t.Fatalf("%d networks, %v", len(large), err)
	}
	asked := map[string]int{}
	a := &addresses{most: 4, large: large, known: map[string]knownAddress{}, lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		asked[host]++
		var out []netip.Addr
		for _, s := range map[string][]string{"shared.example": {"192.0.2.9", "192.0.2.10", "2001:db8::1"}, "again.example": {"2001:db8::2", "192.0.2.10", "192.0.2.9"},
			"mapped.example": {"::ffff:192.0.2.9"}, "six.example": {"2001:db8:0:1:5::9"}, "cdn.example": {"104.18.3.4", "104.18.2.4"}, "shop.example": {"23.227.38.65"}, "192.0.2.7": {"192.0.2.7"}}[host] {
			out = append(out, netip.MustParseAddr(s))
		}
		if out == nil {
			return nil, errors.New("no such host")
		}
		return out, nil
	}}
	for site, want := range map[string]string{"shared.example": "192.0.2.9 4", "again.example:8443": "192.0.2.9 4", "mapped.example": "192.0.2.9 4", "six.example": "2001:db8:0:1::/64 4",
		"cdn.example": "104.18.2.4 40", "shop.example": "23.227.38.65 40", "192.0.2.7": "192.0.2.7 4", "gone.example": " 0"} {
		for range 2 {
			address, most := a.behind(t.Context(), site)
			if got := fmt.Sprint(address, " ", most); got != want {
				t.Errorf("%s is behind %q, want %q", site, got, want)
			}
		}
	}
	if asked["shared.example"] != 1 || asked["gone.example"] != 1 {
		t.Errorf("asked again: %v", asked)
	}
	a.known["shared.example"] = knownAddress{until: time.Now().Add(-time.Second)}
	if address, _ := a.behind(t.Context(), "shared.example"); address != "192.0.2.9" || asked["shared.example"] != 2 {
		t.Errorf("what is old is not asked for again: %q, %v", address, asked)
	}
	for i := range mostKnown + 10 {
		a.known[fmt.Sprint(i)] = knownAddress{}
	}
	if a.behind(t.Context(), "new.example"); len(a.known) > mostKnown {
		t.Errorf("%d names are kept", len(a.known))
	}
	if _, err := networks("192.0.2.0/24"); err == nil {
		t.Error("a range without a name was taken")
	}
}

// There is a limit unless somebody wants none, but not where only a proxy knows
// what the names are.
func TestPerAddress(t *testing.T) {
	for args, limited := range map[string]bool{"": true, "--per-address=0": false, "--proxy=http://127.0.0.1:1": false, "--proxy=http://127.0.0.1:1 --dns=127.0.0.1": true} {
		o := &options{perAddress: 4}
		switch args {
		case "--per-address=0":
			o.perAddress = 0
		case "--proxy=http://127.0.0.1:1":
			o.proxy = "http://127.0.0.1:1"
		case "--proxy=http://127.0.0.1:1 --dns=127.0.0.1":
			o.proxy, o.dns = "http://127.0.0.1:1", "127.0.0.1"
		}
		if f, err := o.behind(); err != nil || (f != nil) != limited {
			t.Errorf("%q: limited: %v, %v", args, f != nil, err)
		}
	}
}
