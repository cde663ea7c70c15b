package egress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxHosts = 1000
	maxChain = 8
)

// Host is what the proxy knows of one host name that it was asked for.
type Host struct {
	Name        string
	CNAMEs      []string // the names that it is an alias of, in order
	Unknown     string   // why the aliases are not known
	Addresses   []string // connected to; none behind an upstream proxy
	Connections int      // tunnels and plain requests made
	Refused     string   // why one was not made: the last reason
}

// Hosts lists every host that the proxy was asked for, in the order of asking.
// It waits for the answers of the resolver, which are bounded in time.
func (p *Proxy) Hosts() []Host {
	p.mu.Lock()
	p.listed = true
	p.mu.Unlock()
	p.asking.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Host, len(p.order))
	for i, name := range p.order {
		out[i] = *p.hosts[name]
	}
	return out
}

// on notes something about a host, and asks for its aliases when it is new.
func (p *Proxy) on(hostport string, note func(*Host)) {
	name := strings.ToLower((&url.URL{Host: hostport}).Hostname())
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hosts[name]
	if h == nil {
		if len(p.order) >= maxHosts || p.listed || p.closed {
			return
		}
		h = &Host{Name: name}
		p.hosts[name] = h
		p.order = append(p.order, name)
		p.learn(h)
	}
	note(h)
}

// learn asks for a host's aliases without holding up the connection.
func (p *Proxy) learn(h *Host) {
	name, server := h.Name, p.policy.DNS
	switch _, err := netip.ParseAddr(name); {
	case err == nil || !strings.Contains(name, "."):
		return // an address, or a name that no public resolver knows
	case server == "" && p.policy.Upstream != nil:
		h.Unknown = "names are resolved by the upstream proxy"
		return
	}
	p.asking.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // bounded by itself: it outlives the request
		defer cancel()
		if server == "" {
			server = systemResolver()
		}
		cnames, err := Aliases(ctx, server, name)
		p.mu.Lock()
		defer p.mu.Unlock()
		h.CNAMEs = cnames
		if err != nil {
			h.Unknown = err.Error()
		}
	})
}

// systemResolver is the first name server of the system, or "".
func systemResolver() string {
	raw, _ := os.ReadFile("/etc/resolv.conf")
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			return f[1]
		}
	}
	return ""
}

// serverAddress adds the usual port to a resolver's address that has none.
func serverAddress(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "53")
}

var errLongChain = errors.New("the aliases do not end")

// Aliases asks a resolver which names a name is an alias of, in order.
func Aliases(ctx context.Context, server, name string) ([]string, error) {
	if server == "" {
		return nil, errors.New("no resolver is known")
	}
	var chain []string
	at := name
	for range maxChain {
		next, end, err := ask(ctx, serverAddress(server), at)
		if err != nil {
			return chain, err
		}
		for n, ok := next[at]; ok; n, ok = next[at] {
			if slices.Contains(chain, n) || n == name || len(chain) >= maxChain {
				return chain, errLongChain
			}
			chain = append(chain, n)
			at = n
		}
		if end || len(next) == 0 {
			return chain, nil
		}
	}
	return chain, errLongChain
}

// ask sends one question for addresses, again if no answer comes, and returns
// the aliases in the answer; end says that an address or a refusal came too, so
// that there is nothing more to ask.
func ask(ctx context.Context, server, name string) (next map[string]string, end bool, err error) {
	id := uint16(rand.Uint32())
	query, err := question(id, name)
	if err != nil {
		return nil, false, err
	}
	for range 2 {
		if next, end, err = exchange(ctx, server, id, query); err == nil || ctx.Err() != nil {
			break
		}
	}
	return next, end, err
}

func question(id uint16, name string) ([]byte, error) {
	n, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, fmt.Errorf("ask for %s: %w", name, err)
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	return m.Pack()
}

func exchange(ctx context.Context, server string, id uint16, query []byte) (next map[string]string, end bool, err error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "udp", server)
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	deadline := time.Now().Add(2 * time.Second)
	if dl, ok := ctx.Deadline(); ok && dl.Before(deadline) {
		deadline = dl
	}
	c.SetDeadline(deadline)
	if _, err := c.Write(query); err != nil {
		return nil, false, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, false, err
		}
		var m dnsmessage.Message
		if m.Unpack(buf[:n]) != nil || m.ID != id || !m.Response {
			continue // not ours
		}
		next = map[string]string{}
		for _, a := range m.Answers {
			switch b := a.Body.(type) {
			case *dnsmessage.CNAMEResource:
				next[plainName(a.Header.Name)] = plainName(b.CNAME)
			case *dnsmessage.AResource:
				end = true
			}
		}
		return next, end || m.RCode != dnsmessage.RCodeSuccess, nil
	}
}

func plainName(n dnsmessage.Name) string { return strings.ToLower(strings.TrimSuffix(n.String(), ".")) }
