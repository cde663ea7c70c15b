// Package egress is the only way out for a page: a forward proxy inside the
// worker, with one listener for each scenario, so that every connection belongs
// to one scenario.
//
// It refuses private, loopback, link-local, metadata and other special
// addresses when the connection is made, on the address that is really passed
// to connect(2): a name that resolves to a public address first and to a
// private one later is refused all the same. An operator can allow ranges. With
// an upstream proxy it chains to that proxy, which then resolves names itself;
// literal addresses in special ranges are refused even then.
//
// It is a second witness of whom a page reached: it keeps the name of every host
// it was asked for, the addresses that it connected to, and the names that a
// host is an alias of, which it asks the resolver for.
//
// It never looks into TLS and never changes what passes through it.
package egress

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ReasonHeader is the header of the proxy's own error answers: why there was
// no connection, one of the Reason constants.
const ReasonHeader = "Pecrawler-Egress"

// The reasons why there was no connection.
const (
	ReasonDenied   = "denied"   // a special address that nobody allowed
	ReasonDNS      = "dns"      // the name does not resolve
	ReasonRefused  = "refused"  // nobody listens there
	ReasonTimeout  = "timeout"  // no answer in time
	ReasonReset    = "reset"    // the connection broke
	ReasonUpstream = "upstream" // the upstream proxy would not connect
)

// Error says why a connection was not made.
type Error struct {
	Reason string // a Reason constant
	Err    error
}

func (e *Error) Error() string { return e.Reason + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Policy is what may be reached, and how.
type Policy struct {
	Allow    []netip.Prefix // special ranges that are allowed all the same
	Upstream *url.URL       // http proxy to chain to, with its port; nil: connect directly
	DNS      string         // address of the resolver; "": the system's. With an upstream it is asked for aliases only
}

// special lists the ranges that are no public unicast addresses, beside those
// that netip knows: this-network, shared (CGNAT), protocol assignments, documentation,
// benchmarking, 6to4 relay, reserved; NAT64, 6to4 and Teredo because they embed
// IPv4 addresses; documentation.
func special() []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15",
		"198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64",
		"2001::/23", "fec0::/10", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16",
	} {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// Check returns an error when the policy does not let a page reach the address.
func (p Policy) Check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, a := range p.Allow {
		if a.Contains(addr) {
			return nil
		}
	}
	bad := addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsMulticast() || addr.IsUnspecified() || !addr.IsGlobalUnicast()
	for _, s := range special() {
		bad = bad || s.Contains(addr)
	}
	if bad {
		return &Error{ReasonDenied, fmt.Errorf("%s is not a public address", addr)}
	}
	return nil
}

// Dial connects to host:port as the policy allows. The error is an *Error.
func (p Policy) Dial(ctx context.Context, hostport string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, &Error{ReasonDNS, err}
	}
	if p.Upstream != nil {
		if addr, err := netip.ParseAddr(host); err == nil {
			if err := p.Check(addr); err != nil {
				return nil, err
			}
		}
		return p.dialUpstream(ctx, hostport)
	}
	d := net.Dialer{
		Timeout: 15 * time.Second,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return &Error{ReasonDenied, err}
			}
			return p.Check(ap.Addr())
		},
	}
	if p.DNS != "" {
		d.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, serverAddress(p.DNS))
		}}
	}
	c, err := d.DialContext(ctx, "tcp", hostport)
	if err != nil {
		return nil, classify(err)
	}
	return abrupt(c), nil
}

// abrupt makes the end of a connection drop what was not sent yet. Without it
// the kernel sends on for minutes: what a browser asked for while the network
// was cut came to the site after the visit was dropped and made by another worker.
func abrupt(c net.Conn) net.Conn {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0) // fails only when the connection is at its end
	}
	return c
}

// connect connects to an upstream proxy.
func connect(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 15 * time.Second}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return abrupt(c), nil
}

// dialUpstream asks the upstream proxy for a tunnel. The upstream itself may
// have any address: the operator named it.
func (p Policy) dialUpstream(ctx context.Context, hostport string) (net.Conn, error) {
	addr := p.Upstream.Host
	c, err := connect(ctx, "tcp", addr)
	if err != nil {
		return nil, &Error{ReasonUpstream, fmt.Errorf("upstream proxy %s: %w", addr, err)}
	}
	deadline := time.Now().Add(30 * time.Second)
	if dl, ok := ctx.Deadline(); ok && dl.Before(deadline) {
		deadline = dl
	}
	c.SetDeadline(deadline)
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: hostport}, Host: hostport, Header: http.Header{}}
	if u := p.Upstream.User; u != nil {
		pw, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+pw)))
	}
	if err := req.Write(c); err != nil {
		c.Close()
		return nil, &Error{ReasonUpstream, err}
	}
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		c.Close()
		return nil, &Error{ReasonUpstream, err}
	}
	if resp.StatusCode != http.StatusOK {
		reason := resp.Header.Get(ReasonHeader)
		switch reason {
		case ReasonDenied, ReasonDNS, ReasonRefused, ReasonTimeout, ReasonReset:
		default:
			reason = ReasonUpstream
		}
		c.Close()
		return nil, &Error{reason, fmt.Errorf("upstream proxy: %s", resp.Status)}
	}
	c.SetDeadline(time.Time{})
	if br.Buffered() == 0 {
		return c, nil // the kernel can copy from one connection to the other by itself
	}
	return &bufConn{c, br}, nil
}

// bufConn reads first what the response reader has buffered.
type bufConn struct {
	net.Conn
	r *bufio.Reader
}

func (c *bufConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// CloseWrite passes the end of one direction on.
func (c *bufConn) CloseWrite() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		return t.CloseWrite()
	}
	return nil
}

func classify(err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return &Error{ReasonDNS, err}
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Error{ReasonRefused, err}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Error{ReasonTimeout, err}
	}
	return &Error{ReasonReset, err}
}

// Proxy is one listener on loopback through which one scenario goes out.
type Proxy struct {
	policy Policy
	log    *slog.Logger
	denied func(reason string)
	ln     net.Listener
	srv    *http.Server
	plain  *http.Transport
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	hosts  map[string]*Host
	order  []string // the names of hosts
	listed bool     // Hosts was called: no new host is taken
	wg     sync.WaitGroup
	asking sync.WaitGroup // the resolver
}

// Listen opens a proxy on a free loopback port. refused is called with the
// reason each time a connection is not made; it must not block. Close it.
func Listen(policy Policy, log *slog.Logger, refused func(reason string)) (*Proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open egress proxy: %w", err)
	}
	p := &Proxy{policy: policy, log: log, denied: refused, ln: ln, conns: map[net.Conn]struct{}{}, hosts: map[string]*Host{}}
	p.plain = &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			return p.dial(ctx, addr)
		},
		DisableCompression:    true,
		ResponseHeaderTimeout: 60 * time.Second,
		IdleConnTimeout:       10 * time.Second,
	}
	if policy.Upstream != nil {
		// Plain http goes to the upstream as it is: many proxies make tunnels to port 443 only.
		p.plain.Proxy = http.ProxyURL(policy.Upstream)
		p.plain.DialContext = connect
	}
	p.srv = &http.Server{Handler: p, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	p.wg.Add(1)
	go func() {
		defer p.wg.Done()
		p.srv.Serve(ln) // returns when Close closes the listener
	}()
	return p, nil
}

// URL is the proxy's address, e.g. "http://127.0.0.1:40123".
func (p *Proxy) URL() string { return "http://" + p.ln.Addr().String() }

// Close ends the listener and every connection through it.
func (p *Proxy) Close() {
	p.srv.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.plain.CloseIdleConnections()
	p.wg.Wait()
	p.asking.Wait()
}

// dial connects as the policy allows and keeps the address.
func (p *Proxy) dial(ctx context.Context, hostport string) (net.Conn, error) {
	c, err := p.policy.Dial(ctx, hostport)
	if err != nil || p.policy.Upstream != nil {
		return c, err
	}
	if ap, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
		addr := ap.Addr().Unmap().String()
		p.on(hostport, func(h *Host) {
			if !slices.Contains(h.Addresses, addr) && len(h.Addresses) < 20 {
				h.Addresses = append(h.Addresses, addr)
			}
		})
	}
	return c, nil
}

// track remembers a connection so that Close can end it; false: already closed.
func (p *Proxy) track(cs ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	for _, c := range cs {
		p.conns[c] = struct{}{}
	}
	p.wg.Add(1)
	return true
}

func (p *Proxy) untrack(cs ...net.Conn) {
	p.mu.Lock()
	for _, c := range cs {
		delete(p.conns, c)
	}
	p.mu.Unlock()
	p.wg.Done()
}

// ServeHTTP makes a tunnel for CONNECT and forwards plain http.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect {
		p.tunnel(w, r)
		return
	}
	if r.URL.Scheme != "http" || r.URL.Host == "" {
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	if addr, err := netip.ParseAddr(r.URL.Hostname()); err == nil && p.policy.Upstream != nil {
		if err := p.policy.Check(addr); err != nil {
			p.refuse(w, r.URL.Host, err)
			return
		}
	}
	out := r.Clone(r.Context())
	out.RequestURI = ""
	for _, h := range []string{"Proxy-Connection", "Proxy-Authorization"} {
		out.Header.Del(h)
	}
	upgrade := strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
	resp, err := p.plain.RoundTrip(out)
	if err != nil {
		p.refuse(w, r.URL.Host, classify(err))
		return
	}
	defer resp.Body.Close()
	p.on(r.URL.Host, func(h *Host) { h.Connections++ })
	if upgrade && resp.StatusCode == http.StatusSwitchingProtocols {
		p.upgraded(w, resp)
		return
	}
	for k, vs := range resp.Header {
		w.Header()[k] = vs
	}
	w.WriteHeader(resp.StatusCode)
	flush(w, resp.Body)
}

// flush copies a body and passes on each piece at once: pages stream.
func flush(w http.ResponseWriter, body io.Reader) {
	rc := http.NewResponseController(w)
	buf := make([]byte, 32<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
			rc.Flush()
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) refuse(w http.ResponseWriter, hostport string, err error) {
	reason := ReasonReset
	if e, ok := errors.AsType[*Error](err); ok {
		reason = e.Reason
	}
	p.denied(reason)
	p.on(hostport, func(h *Host) { h.Refused = reason })
	p.log.Debug("egress refused", "reason", reason, "err", err)
	w.Header().Set(ReasonHeader, reason)
	http.Error(w, "no connection: "+reason, http.StatusBadGateway)
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	out, err := p.dial(r.Context(), r.Host)
	if err != nil {
		p.refuse(w, r.Host, err)
		return
	}
	p.on(r.Host, func(h *Host) { h.Connections++ })
	in, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		out.Close()
		return
	}
	if !p.track(in, out) {
		in.Close()
		out.Close()
		return
	}
	defer p.untrack(in, out)
	fmt.Fprint(in, "HTTP/1.1 200 Connection established\r\n\r\n")
	splice(in, out, buf.Reader)
}

func (p *Proxy) upgraded(w http.ResponseWriter, resp *http.Response) {
	out, ok := resp.Body.(io.ReadWriteCloser)
	in, buf, err := http.NewResponseController(w).Hijack()
	if err != nil || !ok {
		return
	}
	if !p.track(in) {
		in.Close()
		return
	}
	defer p.untrack(in)
	resp.Body = nil
	resp.Write(in)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(out, buf.Reader)
		out.Close()
	}()
	io.Copy(in, out)
	in.Close()
	<-done
}

// splice copies both ways until either side ends.
func splice(in, out net.Conn, rest *bufio.Reader) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// What the server read ahead goes first; from then on the kernel copies.
		if _, err := io.CopyN(out, rest, int64(rest.Buffered())); err == nil {
			io.Copy(out, in)
		}
		closeWrite(out)
	}()
	io.Copy(in, out)
	closeWrite(in)
	select {
	case <-done:
	case <-time.After(5 * time.Second): // a peer that never ends its half
	}
	in.Close()
	out.Close()
	<-done
}

func closeWrite(c net.Conn) {
	if t, ok := c.(interface{ CloseWrite() error }); ok {
		t.CloseWrite()
	}
}
