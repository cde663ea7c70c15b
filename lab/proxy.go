package lab

import (
	"bufio"
	"crypto/tls"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// proxy answers requests to the lab's own address, plain requests for other
// hosts, and CONNECT.
func (l *Lab) proxy(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodConnect:
		l.tunnel(w, r)
	case r.URL.Host == "":
		l.self(w, r)
	case l.inside(hostOf(r.URL.Host)) != "":
		noWay(w, hostOf(r.URL.Host))
	case !l.known(hostOf(r.URL.Host)):
		noName(w, hostOf(r.URL.Host))
	default:
		r.Host = r.URL.Host
		l.web(w, r)
	}
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(host)
}

// noName is what the egress proxy of a worker says of a name that does not resolve.
func noName(w http.ResponseWriter, host string) {
	w.Header().Set("Pecrawler-Egress", "dns")
	http.Error(w, fmt.Sprintf("the test web knows no host %q", host), http.StatusBadGateway)
}

// noWay is what it says of a name that leads inside.
func noWay(w http.ResponseWriter, host string) {
	w.Header().Set("Pecrawler-Egress", "denied")
	http.Error(w, fmt.Sprintf("%s has a private address", host), http.StatusForbidden)
}

func (l *Lab) known(host string) bool {
	s := l.sites[host]
	return s != nil && s.Fault != FaultDNS || l.hosts[host] || l.aliases[host] != "" || host == frameHost
}

// tunnel takes over the connection and serves TLS, or plain http when the first
// byte is no TLS handshake.
func (l *Lab) tunnel(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Host)
	l.note(r, "")
	switch {
	case l.inside(host) != "":
		noWay(w, host)
		return
	case !l.known(host):
		noName(w, host)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "no tunnel", http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return
	}
	site := l.sites[host]
	if site != nil && site.Fault == FaultReset {
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return
	}
	first, err := rw.Peek(1)
	if err != nil {
		return
	}
	conn.SetDeadline(time.Time{})
	var c net.Conn = &buffered{Conn: conn, r: rw.Reader}
	scheme := "http"
	if first[0] == 0x16 {
		scheme = "https"
		c = tls.Server(c, &tls.Config{
			NextProtos: []string{"http/1.1"},
			GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return l.ca.leaf(host, site == nil || site.Fault != FaultTLS)
			},
		})
	}
	once := newOneConn(c)
	srv := &http.Server{
		ReadHeaderTimeout: 30 * time.Second, ErrorLog: l.srv.ErrorLog,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Scheme, r.URL.Host = scheme, r.Host
			l.web(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateClosed || s == http.StateHijacked {
				once.Close()
			}
		},
	}
	end := make(chan struct{})
	defer close(end)
	go func() {
		select {
		case <-l.ctx.Done():
			conn.Close()
		case <-end:
		}
	}()
	srv.Serve(once)
}

// buffered is a connection some of whose bytes have been read already.
type buffered struct {
	net.Conn
	r *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.r.Read(p) }

// oneConn is a listener of one connection; it ends when that does.
type oneConn struct {
	conn chan net.Conn
	done chan struct{}
	once sync.Once
	addr net.Addr
}

func newOneConn(c net.Conn) *oneConn {
	l := &oneConn{conn: make(chan net.Conn, 1), done: make(chan struct{}), addr: c.LocalAddr()}
	l.conn <- c
	return l
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return l.addr }

//go:embed index.html
var indexFile string

// indexTmpl is constant.
var indexTmpl = template.Must(template.New("index").Parse(indexFile))

// self serves the lab's own address: what there is, and how to use it.
func (l *Lab) self(w http.ResponseWriter, r *http.Request) {
	set, words := r.FormValue("set"), strings.Fields(strings.ToLower(r.FormValue("q")))
	var sites []*Site
	for _, s := range l.order {
		text := strings.ToLower(strings.Join([]string{s.Host, s.Name, s.About, s.Lang, s.CMP, s.Truth.Overall, s.Truth.Reason, strings.Join(s.Truth.Fails, " ")}, " "))
		if (set == "" || s.Set == set) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			sites = append(sites, s)
		}
	}
	switch r.URL.Path {
	case "/":
		type count struct {
			Name string
			N    int
		}
		var sets []count
		for _, s := range l.order {
			if i := slices.IndexFunc(sets, func(c count) bool { return c.Name == s.Set }); i >= 0 {
				sets[i].N++
			} else {
				sets = append(sets, count{s.Set, 1})
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := indexTmpl.Execute(w, map[string]any{"All": l.order, "Sites": sites, "Sets": sets, "Set": set, "Q": r.FormValue("q"), "Max": 300, "Proxy": l.URL().String(), "DNS": l.DNS().String()}); err != nil {
			l.log.Error("index of the test web", "err", err)
		}
	case "/sites.csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		fmt.Fprint(w, CSV(sites))
	case "/truth.json":
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.Encode(sites)
	case "/ca.pem":
		w.Header().Set("Content-Type", "application/x-pem-file")
		w.Write(l.ca.pem)
	default:
		http.NotFound(w, r)
	}
}

// CSV is a list of sites as a sweep takes it.
func CSV(sites []*Site) string {
	var b strings.Builder
	b.WriteString("url,rank,sector\n")
	for i, s := range sites {
		fmt.Fprintf(&b, "https://%s/,%d,%s\n", s.Host, i+1, s.Sector)
	}
	return b.String()
}
