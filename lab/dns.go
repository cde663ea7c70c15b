package lab

import (
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver answers for the names of the test web over UDP: aliases as CNAME
// with their target, every other name with an address out of 198.18.0.0/15,
// which is kept free for tests. A site that lists addresses gives them one by
// one, the last for ever: a name can be public at the first question only.
type resolver struct {
	lab  *Lab
	conn net.PacketConn

	mu    sync.Mutex
	asked map[string]int
}

func (l *Lab) resolve() error {
	conn, err := net.ListenPacket("udp", net.JoinHostPort(hostOf(l.ln.Addr().String()), "0"))
	if err != nil {
		return fmt.Errorf("listen for names: %w", err)
	}
	l.dns = &resolver{lab: l, conn: conn, asked: map[string]int{}}
	go l.dns.serve()
	return nil
}

func (d *resolver) serve() {
	buf := make([]byte, 4096)
	for {
		n, from, err := d.conn.ReadFrom(buf)
		if err != nil {
			return // closed
		}
		if answer, err := d.answer(buf[:n]); err == nil {
			d.conn.WriteTo(answer, from)
		}
	}
}

func (d *resolver) answer(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	host := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	head := dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true}
	if !d.lab.known(host) && d.lab.inside(host) == "" {
		head.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, head)
	b.EnableCompression()
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	if head.RCode != 0 {
		return b.Finish()
	}
	if err := b.StartAnswers(); err != nil {
		return nil, err
	}
	name := q.Name
	if target := d.lab.aliases[host]; target != "" {
		to, err := dnsmessage.NewName(target + ".")
		if err != nil {
			return nil, err
		}
		if err := b.CNAMEResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 60}, dnsmessage.CNAMEResource{CNAME: to}); err != nil {
			return nil, err
		}
		name, host = to, target
	}
	if q.Type == dnsmessage.TypeA {
		if err := b.AResource(dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 0}, dnsmessage.AResource{A: d.address(host).As4()}); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// address is the address of a name at this question.
func (d *resolver) address(host string) netip.Addr {
	if s := d.lab.sites[host]; s != nil && len(s.Addresses) > 0 {
		d.mu.Lock()
		defer d.mu.Unlock()
		i := min(d.asked[host], len(s.Addresses)-1)
		d.asked[host]++
		return s.Addresses[i]
	}
	h := fnv.New32a()
	h.Write([]byte(host))
	n := h.Sum32()
	return netip.AddrFrom4([4]byte{198, 18 + byte(n>>16&1), byte(n >> 8), byte(n)})
}

// inside tells the private address that a name leads to in the end, or "".
func (l *Lab) inside(host string) string {
	if s := l.sites[host]; s != nil && len(s.Addresses) > 0 {
		if a := s.Addresses[len(s.Addresses)-1]; a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
			return a.String()
		}
	}
	return ""
}
