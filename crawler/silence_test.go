package crawler_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/crawler"
)

// ear listens at an address that no page may reach, and remembers who came.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) hear(what string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = append(e.heard, what)
}

// listen opens a TCP and a UDP port of the same number.
func (e *ear) listen(t *testing.T, ip string) (port int) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			t.Fatal(err)
		}
		port = l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenPacket("udp", net.JoinHostPort(ip, fmt.Sprint(port)))
		if err != nil {
			l.Close()
			continue // somebody else's
		}
		t.Cleanup(func() { l.Close(); u.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				b := make([]byte, 200)
				c.SetReadDeadline(time.Now().Add(time.Second))
				n, _ := c.Read(b)
				e.hear(fmt.Sprintf("tcp %q", b[:n]))
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 200)
			for {
				n, from, err := u.ReadFrom(b)
				if err != nil {
					return
				}
				e.hear(fmt.Sprintf("udp from %v: %q", from, b[:n]))
			}
		}()
		return port
	}
	t.Fatal("no port is free for both")
	return 0
}

// Nothing that a page does reaches an address that it may not: a listener there
// stays silent, whatever way is tried.
func TestNothingReachesAForbiddenAddress(t *testing.T) {
	var e ear
	port := e.listen(t, "127.0.0.2")
	inside := fmt.Sprintf("127.0.0.2:%d", port)
	mux := http.NewServeMux()
	html := func(path, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, strings.ReplaceAll(body, "INSIDE", inside))
		})
	}
	html("/", `<!doctype html><title>Tries</title>
<link rel="dns-prefetch" href="//INSIDE"><link rel="preconnect" href="http://INSIDE"><link rel="prefetch" href="http://INSIDE/prefetch"><link rel="preload" as="image" href="http://INSIDE/preload"><link rel="stylesheet" href="http://INSIDE/css">
<link rel="icon" href="http://INSIDE/icon"><link rel="manifest" href="http://INSIDE/manifest">
<script type="speculationrules">{"prefetch":[{"source":"list","urls":["http://INSIDE/speculate"]}],"prerender":[{"source":"list","urls":["/away"]}]}</script>
<p>Hello</p><img src="http://INSIDE/img"><img src="/away"><iframe src="http://INSIDE/frame"></iframe><object data="http://INSIDE/object"></object><video src="http://INSIDE/video" autoplay></video>
<form id="f" method="post" action="http://INSIDE/form" target="sink"><input name="a"></form><iframe name="sink"></iframe><a id="ping" href="#x" ping="http://INSIDE/ping">x</a>
<script src="http://INSIDE/script"></script>
<script>
const away = (f) => { try { const p = f(); if (p && p.catch) p.catch(() => {}); } catch {} };
away(() => fetch("http://INSIDE/fetch", { mode: "no-cors" }));
away(() => fetch("/away", { mode: "no-cors" }));
away(() => navigator.sendBeacon("http://INSIDE/beacon", "x"));
away(() => new WebSocket("ws://INSIDE/ws"));
away(() => new EventSource("http://INSIDE/events"));
away(() => new Worker(URL.createObjectURL(new Blob(["fetch('http://INSIDE/worker',{mode:'no-cors'}).catch(()=>{});new WebSocket('ws://INSIDE/wws')"]))));
away(() => navigator.serviceWorker.register("/sw.js"));
away(() => new WebTransport("https://INSIDE/wt"));
away(() => { const x = new XMLHttpRequest(); x.open("GET", "http://INSIDE/xhr"); x.send(); });
away(() => { const pc = new RTCPeerConnection({ iceServers: [{ urls: "stun:INSIDE" }, { urls: "turn:INSIDE", username: "u", credential: "c" }, { urls: "turn:INSIDE?transport=tcp", username: "u", credential: "c" }] }); pc.createDataChannel("d"); return pc.createOffer().then((o) => pc.setLocalDescription(o)); });
away(() => document.getElementById("f").submit());
away(() => document.getElementById("ping").click());
away(() => window.open("http://INSIDE/popup"));
</script>`)
	mux.HandleFunc("/sw.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		fmt.Fprintf(w, `addEventListener("install", (e) => e.waitUntil(fetch("http://%s/sw", { mode: "no-cors" }).catch(() => {})))`, inside)
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+inside+"/redirected", http.StatusFound)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c := newCrawlerOf(t, byText{}, crawler.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	idle := visit(t, c, srv.URL+"/", pc.Idle).capture(t, pc.Idle)
	if !idle.Load.OK() {
		t.Fatalf("the page itself: %+v", idle.Load)
	}
	tried := 0
	for _, r := range idle.Requests {
		if strings.Contains(r.URL, inside) {
			tried++
		}
	}
	refused := slices.ContainsFunc(idle.Hosts, func(h pc.Host) bool { return h.Name == "127.0.0.2" && h.Refused != "" })
	if tried < 12 || !refused {
		t.Errorf("%d requests tried to go inside, refused %v: the page did not do its part (%+v)", tried, refused, idle.Hosts)
	}
	visit(t, c, srv.URL+"/away", pc.Idle)
	visit(t, c, "http://"+inside+"/", pc.Idle)
	time.Sleep(500 * time.Millisecond)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.heard) > 0 {
		t.Errorf("heard at %s: %q", inside, e.heard)
	}
}
