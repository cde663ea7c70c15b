package crawler_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	pc "pecrawler"
)

// files serves texts by path; "{port}" in a text is the server's port.
func files(t *testing.T, m map[string]string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := m[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		kind := "text/html"
		if strings.HasSuffix(r.URL.Path, ".js") {
			kind = "text/javascript"
		}
		w.Header().Set("Content-Type", kind)
		_, port, _ := strings.Cut(r.Host, ":")
		fmt.Fprint(w, strings.ReplaceAll(text, "{port}", port))
	}))
	t.Cleanup(srv.Close)
	return srv
}

// saw finds a write, described as "kind op name script-path".
func saw(c *pc.Capture, want string) bool {
	return slices.ContainsFunc(c.Writes, func(w pc.Write) bool { return said(w) == want })
}

func said(w pc.Write) string {
	_, path, _ := strings.Cut(strings.TrimPrefix(w.Script, "http://"), "/")
	return fmt.Sprintf("%s %s %s /%s", w.Kind, w.Op, w.Name, path)
}

// Whatever writes first, wherever: it is seen, with the script that did it.
func TestWritesFromTheFirstScriptOn(t *testing.T) {
	srv := files(t, map[string]string{
		"/": `<!doctype html><title>Writes</title><script src="/early.js"></script><p>Hello</p><button>Accept all</button>
			<iframe srcdoc="<script src='/srcdoc.js'></script>"></iframe><iframe src="http://localhost:{port}/frame"></iframe>
			<iframe sandbox="allow-scripts" src="/sandbox"></iframe><iframe sandbox src="/sandbox"></iframe><script src="/late.js"></script>`,
		"/early.js": `document.cookie = "main=1; path=/"; localStorage.setItem("main", "1"); localStorage.byProperty = "p";
			const f = document.createElement("iframe"); document.documentElement.append(f);
			f.contentDocument.cookie = "blank=1"; f.contentWindow.sessionStorage.setItem("blank", "1");
			const d = document.createElement("div"); d.innerHTML = "<iframe></iframe>"; document.documentElement.append(d);
			frames[1].localStorage.setItem("inner", "1");`,
		"/srcdoc.js": `document.cookie = "srcdoc=1"`,
		"/frame":     `<script src="/frame.js"></script>`,
		"/frame.js":  `document.cookie = "third=1; SameSite=None; Secure"; localStorage.setItem("third", "1"); new Worker("/nested.js")`,
		"/nested.js": `indexedDB.open("nested")`,
		"/sandbox":   `<script>try { document.cookie = "no=1" } catch {}</script>sandbox`,
		"/late.js": `document.querySelector("button").onclick = (e) => { const w = window.open(""); w.document.cookie = "empty=1"; w.location = "/popup"; e.target.remove(); };
			new Worker("/worker.js"); navigator.serviceWorker.register("/sw.js"); cookieStore.set("store", "1");
			const open = indexedDB.open("site", 1); open.onupgradeneeded = () => open.result.createObjectStore("things");
			open.onsuccess = () => open.result.transaction("things", "readwrite").objectStore("things").put({ id: "a-b-c", n: [1, 2] }, "key");
			caches.open("pages").then((c) => c.put("/x", new Response("x")));
			sessionStorage.setItem("gone", "1"); sessionStorage.removeItem("gone");`,
		"/popup":     `<script src="/popup.js"></script>`,
		"/popup.js":  `document.cookie = "popup=1"`,
		"/worker.js": `caches.open("worker")`,
		"/sw.js":     `cookieStore.set("service", "1"); oninstall = (e) => e.waitUntil(caches.open("service"))`,
	})
	c := visit(t, newCrawler(t, byText{pc.Accept: {"Accept all"}}), srv.URL+"/", pc.Accept).capture(t, pc.Accept)
	var all []string
	for _, w := range c.Writes {
		all = append(all, said(w))
	}
	for _, want := range []string{
		"cookie set main /early.js", "local set main /early.js", "cookie set blank /early.js", "session set blank /early.js", "local set inner /early.js",
		"cookie set srcdoc /srcdoc.js", "cookie set third /frame.js", "local set third /frame.js", "indexeddb open nested /nested.js",
		"cookie set popup /popup.js", "cookie set empty /late.js", "cookie set store /late.js", "indexeddb open site /late.js", "indexeddb put site /late.js",
		"cache open pages /late.js", "cache put pages /late.js", "session delete gone /late.js",
		"cache open worker /worker.js", "cookie set service /sw.js", "cache open service /sw.js",
	} {
		if !saw(c, want) {
			t.Errorf("not seen: %s", want)
		}
	}
	if t.Failed() {
		t.Logf("seen: %q", all)
	}
	if c.Canary == nil || c.Canary.Reported != c.Canary.Documents || c.Canary.Documents < 10 || c.Missing[pc.ArtifactWrites] != "" {
		t.Errorf("canary %+v, missing %v", c.Canary, c.Missing)
	}
	for _, it := range c.Storage {
		if it.Write == nil || it.SetBy == "" != (it.Name == "byProperty") { // no function is called when a property is set
			t.Errorf("%s %s %s is unattributed", it.Kind, it.Host, it.Name)
		}
	}
	put := c.Writes[slices.IndexFunc(c.Writes, func(w pc.Write) bool { return w.Op == "put" && w.Kind == pc.IndexedDB })]
	if put.Entry != "things/key" || put.Value != `{"id":"a-b-c","n":[1,2]}` || len(put.Stack) == 0 || !strings.Contains(put.Stack[0], "/late.js:4:") {
		t.Errorf("the write to the database: %+v", put)
	}
}

// A page that poisons everything a script can reach neither hides its writes
// nor notices much.
func TestWritesOfAHostilePage(t *testing.T) {
	srv := files(t, map[string]string{
		"/": `<!doctype html><title>Hostile</title><p>Hello</p><script src="/hostile.js"></script>`,
		"/hostile.js": `Error.stackTraceLimit = 0; Error.prepareStackTrace = () => "ERR"; console.debug = () => {};
			const bad = () => { throw new Error("poison"); };
			for (const P of [Object, Array, String, Number]) Object.defineProperty(P.prototype, "toJSON", { value: () => "poison" });
			const poison = Object.assign(Object.create(null), { get: () => undefined, set: bad, configurable: true });
			for (const name of ["get", "apply", "k", "n", "v"]) Object.defineProperty(Object.prototype, name, poison);
			String.prototype.slice = String.prototype.indexOf = WeakMap.prototype.get = Reflect.apply = JSON.stringify = bad;
			document.cookie = "hidden=1"; localStorage.setItem("hidden", "1");
			const told = [document.cookie, Object.getOwnPropertyDescriptor(Document.prototype, "cookie").set, Storage.prototype.setItem, Function.prototype.toString].map(
				(f) => typeof f == "function" ? Function.prototype.toString.call(f) + f.name + f.length + ("prototype" in f) : f);
			localStorage.setItem("told", told.join("|"));
			delete Error.prepareStackTrace; Error.stackTraceLimit = 10;
			try { localStorage.setItem.call({}, "a", "b"); } catch (e) { localStorage.setItem("stack", e.constructor.name + e.stack); }
			for (let i = 0; i < 500; i++) localStorage.setItem("n" + i % 50, i);
			for (let i = 0; i < 20; i++) console.log("mine");`,
	})
	c := visit(t, newCrawler(t, byText{}), srv.URL+"/", pc.Idle).capture(t, pc.Idle)
	if !saw(c, "cookie set hidden /hostile.js") || !saw(c, "local set hidden /hostile.js") {
		t.Errorf("writes were hidden: %+v", c.Writes)
	}
	for _, it := range c.Storage {
		switch it.Name {
		case "told":
			const want = "hidden=1|function set cookie() { [native code] }set cookie1false|function setItem() { [native code] }setItem2false|function toString() { [native code] }toString0false"
			if it.Value != want {
				t.Errorf("the page was told\n%s, want\n%s", it.Value, want)
			}
		case "stack":
			if !strings.HasPrefix(it.Value, "TypeErrorTypeError: Illegal invocation") || strings.Count(it.Value, "\n") != 1 {
				t.Errorf("stack of a native's error: %q", it.Value)
			}
		}
	}
	if n := len(c.Writes); n > 210 || c.Canary.Beyond[pc.LocalStorage] != 303 {
		t.Errorf("%d writes recorded, beyond the budget %v; want 201 and 303 of local storage", n, c.Canary.Beyond)
	}
}

// A flood on the console ends the listening, and is said.
func TestConsoleFlood(t *testing.T) {
	srv := files(t, map[string]string{"/": `<!doctype html><title>Flood</title><p>Hello</p><script>document.cookie = "before=1"; for (let i = 0; i < 20000; i++) console.log("x".repeat(100), i); document.cookie = "after=1"</script>`})
	c := visit(t, newCrawler(t, byText{}), srv.URL+"/", pc.Idle).capture(t, pc.Idle)
	if !saw(c, "cookie set before /") || !strings.Contains(c.Missing[pc.ArtifactWrites], "console") || !slices.Contains(names(c), "cookie 127.0.0.1 after settled") {
		t.Errorf("missing %v, writes %+v, storage %q", c.Missing, c.Writes, names(c))
	}
}

func TestReads(t *testing.T) {
	srv := files(t, map[string]string{
		"/": `<!doctype html><title>Reads</title><p>Hello</p><script src="/reads.js"></script>`,
		"/reads.js": `const c = document.createElement("canvas"), d = c.getContext("2d"); d.fillText("x", 5, 5); c.toDataURL(); d.getImageData(0, 0, 1, 1);
			for (const f of ["Arial", "Courier"]) { d.font = "12px " + f; d.measureText("mmm"); }
			for (let i = 0; i < 40; i++) navigator.hardwareConcurrency;
			const g = document.createElement("canvas").getContext("webgl"); if (g) { g.getExtension("WEBGL_debug_renderer_info"); g.getParameter(37446); }
			new OfflineAudioContext(1, 100, 44100).startRendering(); new RTCPeerConnection().createDataChannel("x");
			navigator.userAgentData?.getHighEntropyValues(["model"]); navigator.mediaDevices?.enumerateDevices(); screen.width; document.cookie;
			new Worker(URL.createObjectURL(new Blob(["navigator.hardwareConcurrency; new OffscreenCanvas(1, 1).getContext('2d').getImageData(0, 0, 1, 1)"])))`,
	})
	c := visit(t, newCrawler(t, byText{}), srv.URL+"/", pc.Idle).capture(t, pc.Idle)
	count := map[string]int{}
	for _, r := range c.Reads {
		count[r.API+" "+r.Detail] += r.Count
		if r.Script == "" && r.API != "Navigator.hardwareConcurrency" {
			t.Errorf("%+v has no script", r)
		}
	}
	for want, n := range map[string]int{
		"HTMLCanvasElement.toDataURL ": 1, "CanvasRenderingContext2D.getImageData ": 1, "CanvasRenderingContext2D.measureText 12px Courier": 1,
		"Navigator.hardwareConcurrency ": 40, "WorkerNavigator.hardwareConcurrency ": 1, "OffscreenCanvasRenderingContext2D.getImageData ": 1,
		"WebGLRenderingContext.getParameter 37446": 1, "OfflineAudioContext.startRendering ": 1, "RTCPeerConnection.createDataChannel ": 1,
		`NavigatorUAData.getHighEntropyValues ["model"]`: 1, "MediaDevices.enumerateDevices ": 1, "Screen.width ": 1, "Document.cookie ": 1,
	} {
		if count[want] != n {
			t.Errorf("%s: %d reads, want %d; all: %v", want, count[want], n, count)
		}
	}
}

// What goes over the network besides pages and pictures.
func TestNetworkFacts(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, port, _ := strings.Cut(r.Host, ":")
		w.Header().Set("Content-Type", "text/html")
		w.Header().Add("Set-Cookie", "odd=1; Domain=example.com")
		fmt.Fprintf(w, `<!doctype html><title>Network</title><p>Hello</p><script>
			navigator.sendBeacon("/beacon?short", "id=12345"); navigator.sendBeacon("/beacon?long", "x".repeat(10000)); navigator.sendBeacon("/beacon?blob", new Blob(["y".repeat(9000)]));
			fetch("http://localhost:%[1]s/cors", { method: "PUT", headers: { "x-own": "1" } }).catch(() => {});
			document.cookie = "strict=1; path=/other"; document.cookie = "sent=1";
			const e = new EventSource("/events"), s = new WebSocket("ws://" + location.host + "/socket"); s.onopen = () => { s.send("uid=777"); s.send("y".repeat(3000)); };
			new Worker(URL.createObjectURL(new Blob(["fetch('http://127.0.0.1:%[1]s/from-worker')"])));
			setTimeout(() => fetch("/cached"), 300); fetch("/cached");</script>`, port)
	})
	mux.HandleFunc("/beacon", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/cached", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, "cached")
	})
	mux.HandleFunc("/from-worker", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Access-Control-Allow-Origin", "*") })
	mux.HandleFunc("/cors", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "x-own")
		w.Header().Set("Access-Control-Allow-Methods", "PUT")
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: one\n\ndata: two\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	handshake := make(chan string, 1) // the cookies that the server saw
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		handshake <- r.Header.Get("Cookie")
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\nSet-Cookie: socket=1\r\n\r\n\x81\x05hello", base64.StdEncoding.EncodeToString(sum[:]))
		buf.Flush()
		io.Copy(io.Discard, conn)
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p := visit(t, newCrawler(t, byText{}), srv.URL+"/", pc.Idle)
	c := p.capture(t, pc.Idle)
	find := func(method, part string) pc.Request {
		i := slices.IndexFunc(c.Requests, func(r pc.Request) bool { return r.Method == method && strings.Contains(r.URL, part) })
		if i < 0 {
			t.Errorf("%s %s was lost", method, part)
			return pc.Request{}
		}
		return c.Requests[i]
	}
	if r := find("POST", "?short"); r.Body != "id=12345" || r.BodySize != 0 {
		t.Errorf("short beacon: %+v", r)
	}
	for _, b := range []struct {
		part, char string
		size       int
	}{{"?long", "x", 10000}, {"?blob", "y", 9000}} {
		want := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Repeat(b.char, b.size))))
		if r := find("POST", b.part); r.BodySize != int64(b.size) || r.BodySHA256 != want || !strings.HasPrefix(r.Body, b.char) {
			t.Errorf("beacon %s: size %d, digest %s, body of %d", b.part, r.BodySize, r.BodySHA256, len(r.Body))
		}
	}
	if put, pre := find("PUT", "/cors"), find("OPTIONS", "/cors"); pre.PreflightOf == nil || *pre.PreflightOf != put.ID {
		t.Errorf("preflight %+v of %d", pre, put.ID)
	}
	if r := find("GET", "/from-worker"); !strings.HasPrefix(r.Worker, "blob:") {
		t.Errorf("request of a worker: %+v", r)
	}
	if r := find("GET", "/events"); r.Events != 2 {
		t.Errorf("event stream: %+v", r)
	}
	if !slices.ContainsFunc(c.Requests, func(r pc.Request) bool { return strings.HasSuffix(r.URL, "/cached") && r.From == "disk-cache" }) {
		t.Error("nothing came from the cache")
	}
	if r := find("GET", "/cached"); r.From != "" || r.Bytes == 0 {
		t.Errorf("first request: %+v", r)
	}
	if r := find("GET", "/cached"); len(r.CookiesKept) != 1 || r.CookiesKept[0].Name != "strict" || len(r.CookiesKept[0].Reasons) == 0 {
		t.Errorf("cookies not sent: %+v", r.CookiesKept)
	}
	doc := c.Requests[0]
	if len(doc.SetCookies) != 1 || len(doc.SetCookies[0].Blocked) == 0 {
		t.Errorf("refused cookie: %+v", doc.SetCookies)
	}
	if body := p.m[doc.Content]; doc.Content != "idle/bodies/0.html" || !strings.Contains(string(body), "<title>Network</title>") {
		t.Errorf("the document's body: %q, %q", doc.Content, body)
	}
	for _, name := range []string{"127.0.0.1", "localhost"} { // both witnesses saw it
		if i := slices.IndexFunc(c.Hosts, func(h pc.Host) bool { return h.Name == name }); i < 0 || c.Hosts[i].Connections == 0 || c.Hosts[i].Requests == 0 || !slices.Contains(c.Hosts[i].Addresses, "127.0.0.1") {
			t.Errorf("host %s: %+v", name, c.Hosts)
		}
	}
	if len(c.Sockets) != 1 {
		t.Fatalf("sockets: %+v", c.Sockets)
	}
	s := c.Sockets[0]
	if s.Status != 101 || s.Sent != 2 || s.SentBytes != 3007 || s.Received != 1 || len(s.First) != 3 || len(s.Stack) == 0 {
		t.Errorf("socket: %+v", s)
	}
	if sent := strings.Contains(<-handshake, "sent=1"); sent != slices.Contains(s.CookiesOut, "sent") {
		t.Errorf("the handshake carried the cookie: %v; recorded %q", sent, s.CookiesOut)
	}
	if i := slices.IndexFunc(c.Storage, func(it pc.StorageItem) bool { return it.Name == "socket" }); i < 0 || c.Storage[i].SetBy != s.URL {
		t.Errorf("the socket's cookie: %+v", c.Storage)
	}
}

// Consent interfaces are asked at each checkpoint; what they say is recorded,
// and a page that throws, never answers or poisons JSON harms nothing.
func TestConsentInterfaces(t *testing.T) {
	srv := files(t, map[string]string{"/": `<!doctype html><title>Consent</title><p>Hello</p><a href="/inner">inner</a><button>Reject all</button><script>
		let tc = "before"; window.dataLayer = []; function gtag() { dataLayer.push(arguments); } gtag("consent", "default", { ad_storage: "denied" }); gtag("js", new Date());
		window.__tcfapi = (c, v, done) => { if (c == "ping") done({ cmpLoaded: true }, true); else if (c == "getTCData") done({ tcString: tc, purpose: { consents: { 1: false } } }, true); else done(null, false); };
		window.__gpp = () => {}; window.__uspapi = () => { throw new Error("no"); };
		window.Cookiebot = { consent: { marketing: false }, hasResponse: false }; window.OnetrustActiveGroups = ",C0001,";
		document.querySelector("button").onclick = (e) => { tc = "after"; gtag("consent", "update", { ad_storage: "denied" }); e.target.remove(); };</script>`,
		"/inner":  `<title>Inner</title><p>Inner</p>`,
		"/broken": `<!doctype html><title>Broken</title><p>Hello</p><script>JSON.stringify = () => { throw 1; }; Object.defineProperty(window, "dataLayer", { get() { for (;;); } }); Promise.race = null</script>`,
	})
	cr := newCrawler(t, byText{pc.Reject: {"Reject all"}})
	c := visit(t, cr, srv.URL+"/", pc.Reject).capture(t, pc.Reject)
	said := map[string]string{}
	for _, s := range c.Consent {
		said[string(s.Mark)+" "+s.API] = string(s.Data)
	}
	for k, want := range map[string]string{
		"settled tcf": `{"tcString":"before","purpose":{"consents":{"1":false}}}`, "after tcf": `{"tcString":"after","purpose":{"consents":{"1":false}}}`,
		"settled tcf.ping": `{"cmpLoaded":true}`, "settled gpp": `{"error":"no answer"}`, "settled usp": `{"error":"Error: no"}`,
		"settled google.commands": `[{"index":0,"command":"default","parameters":{"ad_storage":"denied"}}]`, "settled onetrust.active": `",C0001,"`,
		"after google.commands": `[{"index":0,"command":"default","parameters":{"ad_storage":"denied"}},{"index":2,"command":"update","parameters":{"ad_storage":"denied"}}]`,
		"reload cookiebot":      `{"consent":{"marketing":false},"answered":false}`, "inner tcf": "",
	} {
		if said[k] != want {
			t.Errorf("%s: %s, want %s", k, said[k], want)
		}
	}
	if c.Missing[pc.ArtifactConsent] != "" {
		t.Errorf("missing %v", c.Missing)
	}
	c = visit(t, cr, srv.URL+"/broken", pc.Idle).capture(t, pc.Idle)
	if !c.Load.OK() || c.Missing[pc.ArtifactConsent] == "" || c.Missing[pc.ArtifactStorage] != "" || len(c.Pages) != 1 {
		t.Errorf("broken: load %+v, missing %v, %d pages", c.Load, c.Missing, len(c.Pages))
	}
}
