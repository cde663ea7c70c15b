package evidence_test

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
)

// hostileText tries to leave a header line, a JSON string and a script.
const hostileText = "x\r\nInjected: yes\r\n\r\n</script>\"\x1b[2J\xff"

// exported is a bundle with everything that an export has to carry.
func exported(t testing.TB) *evidence.Bundle {
	t.Helper()
	v, err := evidence.OpenVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	d := evidence.NewDraft(pc.Visit{Sweep: "s", Site: "shop.example", URL: "https://shop.example/", Number: 1, Scenarios: pc.Scenarios})
	capt := pc.Capture{Schema: 1, Scenario: pc.Accept, Started: time.Date(2026, 11, 24, 12, 0, 0, 500e6, time.UTC), FinalURL: "https://shop.example/", Environment: pc.Environment{Tool: "1", Chrome: "Chrome/156"},
		Marks: []pc.Mark{{Name: pc.MarkLoad, At: 300}, {Name: pc.MarkActed, At: 1000}, {Name: pc.MarkReload, At: 2000}},
		Pages: []pc.Snapshot{{Mark: pc.MarkSettled, At: 900, URL: "https://shop.example/", Tree: "accept/pages/0.json", Screen: "accept/screens/0.jpg"}, {Mark: pc.MarkAfter, URL: "https://shop.example/", Screen: ""}},
		Requests: []pc.Request{
			{ID: 0, URL: "https://shop.example/", Method: "GET", Type: "Document", At: 5, RedirectOf: -1, Status: 200, MIME: "text/html", Content: "accept/bodies/0.html", RemoteIP: "192.0.2.1", Headers: map[string]string{"content-type": "text/html", "content-encoding": "br", "Transfer-Encoding": "chunked"}},
			{ID: 1, URL: "https://www.track.example:8443/Collect?b=2&a=%zz&c=%20d#f", Method: "POST", Type: "XHR", At: 1500, RedirectOf: 0, Status: 204, Initiator: "https://shop.example/a.js", Stack: []string{"send https://shop.example/a.js:10:7", " https://shop.example/:1:1", "odd"},
				Body: "e=" + hostileText, CookiesOut: []string{"uid"}, Headers: map[string]string{"x-" + hostileText: hostileText}, SetCookies: []pc.SetCookie{
					{Line: "uid=1; Domain=.track.example; Path=/; Expires=Wed, 24 Nov 2027 12:00:00 GMT; Secure; HttpOnly; SameSite=None"},
					{Line: "bad=" + hostileText, Blocked: []string{"ThirdPartyBlocked"}}}},
			{ID: 2, URL: "https://shop.example/gone?" + hostileText, Method: "GET" + hostileText, Type: "Image", At: 2100, RedirectOf: -1, Failed: "net::ERR_ABORTED"},
			{ID: 3, URL: "data:text/plain,x", Method: "GET", Type: "Image", At: 2200, RedirectOf: -1, Status: 200},
			{ID: 4, URL: "https://shop.example/", Method: "GET", Type: "Document", At: 2010, RedirectOf: -1, Status: 301, Headers: map[string]string{"Location": "https://shop.example/next"}},
		}}
	raw, err := json.Marshal(capt)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"look.json": []byte("{}"), "accept/capture.json": raw, "accept/pages/0.json": []byte(`{"nodes":[]}`), "accept/screens/0.jpg": []byte("\xff\xd8picture"), "accept/bodies/0.html": []byte("<h1>hello</h1>")} {
		if err := d.Add(name, b); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := evidence.Seal(t.Context(), v, d)
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// schema1 is a bundle of a real sweep.
func schema1(t testing.TB) *evidence.Bundle {
	t.Helper()
	data, err := os.ReadFile("testdata/schema1.zip")
	if err != nil {
		t.Fatal(err)
	}
	b, err := evidence.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requireFields fails unless the object has every field, as HAR 1.2 demands.
func requireFields(t *testing.T, what string, v any, fields ...string) map[string]any {
	t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%s is a %T", what, v)
	}
	for _, f := range fields {
		if v, ok := m[f]; !ok || v == nil {
			t.Errorf("%s has no %s", what, f)
		}
	}
	return m
}

// Every field that HAR 1.2 demands is there, in every object.
func TestHARHasWhatTheSpecificationDemands(t *testing.T) {
	for name, b := range map[string]*evidence.Bundle{"made": exported(t), "swept": schema1(t)} {
		var out bytes.Buffer
		if err := evidence.WriteHAR(&out, b); err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		log := requireFields(t, name, doc["log"], "version", "creator", "entries", "pages", "browser")
		requireFields(t, name+" creator", log["creator"], "name", "version")
		requireFields(t, name+" browser", log["browser"], "name", "version")
		pages := map[string]bool{}
		for _, p := range log["pages"].([]any) {
			p := requireFields(t, name+" page", p, "startedDateTime", "id", "title", "pageTimings")
			pages[p["id"].(string)] = true
		}
		n := 0
		for _, c := range b.Captures() {
			n += len(c.Requests)
		}
		entries := log["entries"].([]any)
		if len(entries) != n || n == 0 {
			t.Errorf("%s: %d entries of %d requests", name, len(entries), n)
		}
		for _, e := range entries {
			e := requireFields(t, name+" entry", e, "startedDateTime", "time", "request", "response", "cache", "timings", "_ref")
			if !pages[e["pageref"].(string)] {
				t.Errorf("%s: the page %v is not listed", name, e["pageref"])
			}
			q := requireFields(t, name+" request", e["request"], "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize")
			p := requireFields(t, name+" response", e["response"], "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize")
			requireFields(t, name+" content", p["content"], "size", "mimeType")
			requireFields(t, name+" timings", e["timings"], "send", "wait", "receive")
			if pd, ok := q["postData"]; ok {
				requireFields(t, name+" postData", pd, "mimeType", "params", "text")
			}
			for _, list := range []any{q["cookies"], q["headers"], q["queryString"], p["cookies"], p["headers"]} {
				for _, x := range list.([]any) {
					requireFields(t, name+" pair", x, "name", "value")
				}
			}
		}
	}
}

func TestHARSaysWhatTheCaptureSays(t *testing.T) {
	var out bytes.Buffer
	if err := evidence.WriteHAR(&out, exported(t)); err != nil {
		t.Fatal(err)
	}
	type pair struct{ Name, Value string }
	var doc struct {
		Log struct {
			Entries []struct {
				Pageref         string
				StartedDateTime time.Time
				Request         struct {
					QueryString []pair
					Cookies     []pair
				}
				Response struct {
					RedirectURL string
					Cookies     []struct {
						Name, Domain, SameSite string
						Expires                time.Time
						HTTPOnly               bool `json:"httpOnly"`
					}
					Content struct {
						Size int
						Text string
					}
				}
				Initiator struct {
					Type  string
					Stack struct {
						CallFrames []struct {
							FunctionName, URL        string
							LineNumber, ColumnNumber int
						}
					}
				} `json:"_initiator"`
				Ref        string                       `json:"_ref"`
				Phase      string                       `json:"_phase"`
				RedirectOf string                       `json:"_redirectOf"`
				Blocked    []struct{ Reasons []string } `json:"_blockedCookies"`
			}
		}
	}
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	e := doc.Log.Entries
	if got := []string{e[0].Pageref, e[1].Pageref, e[2].Pageref}; !slices.Equal(got, []string{"accept/first", "accept/first", "accept/reload"}) {
		t.Errorf("pages %v", got)
	}
	if e[0].Response.Content.Text != "<h1>hello</h1>" || e[1].Response.Content.Size != -1 {
		t.Errorf("bodies: %+v %+v", e[0].Response.Content, e[1].Response.Content)
	}
	x := e[1]
	if x.Ref != "accept/requests/1" || x.Phase != "accept" || x.RedirectOf != "accept/requests/0" || !x.StartedDateTime.Equal(time.Date(2026, 11, 24, 12, 0, 2, 0, time.UTC)) {
		t.Errorf("entry %+v", x)
	}
	if want := []pair{{"b", "2"}, {"a", "%zz"}, {"c", " d"}}; !slices.Equal(x.Request.QueryString, want) {
		t.Errorf("query %v, want %v", x.Request.QueryString, want)
	}
	if c := x.Response.Cookies; len(c) == 0 || c[0].Name != "uid" || c[0].Domain != ".track.example" && c[0].Domain != "track.example" || c[0].SameSite != "None" || !c[0].HTTPOnly || c[0].Expires.Year() != 2027 {
		t.Errorf("cookies %+v", c)
	}
	if len(x.Blocked) != 1 || x.Blocked[0].Reasons[0] != "ThirdPartyBlocked" {
		t.Errorf("blocked %+v", x.Blocked)
	}
	if f := x.Initiator.Stack.CallFrames; x.Initiator.Type != "script" || len(f) != 3 || f[0].FunctionName != "send" || f[0].URL != "https://shop.example/a.js" || f[0].LineNumber != 9 || f[0].ColumnNumber != 6 || f[1].URL != "https://shop.example/" || f[2].URL != "odd" {
		t.Errorf("initiator %+v", x.Initiator)
	}
	if e[2].Response.RedirectURL != "https://shop.example/next" {
		t.Errorf("redirect %q", e[2].Response.RedirectURL)
	}
}

// warcHead is one record of a WARC: its header lines, and its block.
type warcHead struct {
	fields map[string]string
	block  []byte
}

// readWARC reads the one record of a gzip member.
func readWARC(t *testing.T, member []byte) warcHead {
	t.Helper()
	gz, err := gzip.NewReader(bytes.NewReader(member))
	if err != nil {
		t.Fatal(err)
	}
	gz.Multistream(false)
	raw, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("WARC/1.1\r\n")) {
		t.Fatalf("no record: %q", raw)
	}
	h := warcHead{fields: map[string]string{}}
	for _, l := range strings.Split(string(head), "\r\n")[1:] {
		name, value, ok := strings.Cut(l, ": ")
		if _, dup := h.fields[name]; !ok || dup {
			t.Errorf("header line %q", l)
		}
		h.fields[name] = value
	}
	n, err := strconv.Atoi(h.fields["Content-Length"])
	if err != nil || len(rest) != n+4 || string(rest[n:]) != "\r\n\r\n" {
		t.Fatalf("a block of %d bytes, its length is said to be %q", len(rest), h.fields["Content-Length"])
	}
	h.block = rest[:n]
	if got := digestOf(h.block); got != h.fields["WARC-Block-Digest"] {
		t.Errorf("block digest %s, want %s", h.fields["WARC-Block-Digest"], got)
	}
	return h
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// wacz writes a web archive and returns its files, each checked against the
// data package.
func wacz(t *testing.T, b *evidence.Bundle) map[string][]byte {
	t.Helper()
	var out bytes.Buffer
	if err := evidence.WriteWACZ(&out, b); err != nil {
		t.Fatal(err)
	}
	zr, err := zip.NewReader(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range zr.File {
		if f.Method != zip.Store {
			t.Errorf("%s is compressed, so readers cannot seek in it", f.Name)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	var pack struct {
		Profile     string
		WaczVersion string `json:"wacz_version"`
		Resources   []struct {
			Name, Path, Hash string
			Bytes            int
		}
	}
	if err := json.Unmarshal(files["datapackage.json"], &pack); err != nil || pack.Profile != "data-package" || pack.WaczVersion != "1.1.1" || len(pack.Resources) != len(files)-2 {
		t.Fatalf("datapackage.json: %v %+v", err, pack)
	}
	for _, r := range pack.Resources {
		if f, ok := files[r.Path]; !ok || digestOf(f) != r.Hash || len(f) != r.Bytes || !strings.HasSuffix(r.Path, "/"+r.Name) {
			t.Errorf("resource %+v", r)
		}
	}
	var digest struct{ Path, Hash string }
	if err := json.Unmarshal(files["datapackage-digest.json"], &digest); err != nil || digest.Path != "datapackage.json" || digest.Hash != digestOf(files["datapackage.json"]) {
		t.Errorf("datapackage-digest.json: %v %+v", err, digest)
	}
	return files
}

// What the index says lies where it says, and is what it says.
func TestWACZIndexIsTrue(t *testing.T) {
	for name, b := range map[string]*evidence.Bundle{"made": exported(t), "swept": schema1(t)} {
		files := wacz(t, b)
		warc := files["archive/data.warc.gz"]
		prev, n := "", 0
		parts := map[string]string{}
		for l := range strings.Lines(string(files["indexes/index.cdx"])) {
			f := strings.SplitN(strings.TrimSpace(l), " ", 3)
			if len(f) != 3 || len(f[1]) != 14 || f[0]+" "+f[1] < prev {
				t.Fatalf("%s: index line %q after %q", name, l, prev)
			}
			prev = f[0] + " " + f[1]
			var d struct{ URL, MIME, Status, Digest, Length, Offset, Filename string }
			if err := json.Unmarshal([]byte(f[2]), &d); err != nil {
				t.Fatal(err)
			}
			at, _ := strconv.Atoi(d.Offset)
			size, _ := strconv.Atoi(d.Length)
			r := readWARC(t, warc[at:at+size])
			if r.fields["WARC-Target-URI"] != d.URL || r.fields["WARC-Payload-Digest"] != d.Digest || d.Filename != "data.warc.gz" || d.MIME == "" {
				t.Errorf("%s: %s leads to %v", name, l, r.fields)
			}
			if p, ok := strings.CutPrefix(d.URL, "urn:pecrawler:"+b.Digest()+"/"); ok {
				parts[p] = r.fields["WARC-Block-Digest"]
			}
			n++
		}
		if n == 0 {
			t.Errorf("%s: the index is empty", name)
		}
		// Everything that was sealed can be held against the manifest, which is the bundle's name.
		if parts["manifest.json"] != b.Digest() {
			t.Errorf("%s: the manifest in the archive is %s", name, parts["manifest.json"])
		}
		for _, p := range b.Manifest().Parts {
			if parts[p.Name] != "sha256:"+p.SHA256 {
				t.Errorf("%s: %s is %q in the archive", name, p.Name, parts[p.Name])
			}
		}
	}
}

// Records are whole, hostile texts stay in their lines, and what was not
// recorded is marked and not made up.
func TestWARCRecords(t *testing.T) {
	files := wacz(t, exported(t))
	warc := bytes.NewReader(files["archive/data.warc.gz"])
	br := bufio.NewReader(warc)
	kinds := map[string]int{}
	ids := map[string]bool{}
	for {
		if _, err := br.Peek(1); err == io.EOF {
			break
		}
		gz, err := gzip.NewReader(br)
		if err != nil {
			t.Fatal(err)
		}
		gz.Multistream(false)
		raw, err := io.ReadAll(gz)
		if err != nil {
			t.Fatal(err)
		}
		var member bytes.Buffer
		gw := gzip.NewWriter(&member)
		gw.Write(raw)
		gw.Close()
		r := readWARC(t, member.Bytes())
		kind := r.fields["WARC-Type"]
		kinds[kind]++
		if id := r.fields["WARC-Record-ID"]; ids[id] || !strings.HasPrefix(id, "<urn:uuid:") {
			t.Errorf("record id %q", id)
		}
		ids[r.fields["WARC-Record-ID"]] = true
		if _, ok := r.fields["Injected"]; ok {
			t.Error("a page wrote a WARC header")
		}
		head, body, _ := bytes.Cut(r.block, []byte("\r\n\r\n"))
		if (kind == "response" || kind == "request") && bytes.Contains(head, []byte("\r\nInjected")) {
			t.Errorf("a page wrote an HTTP header: %q", head)
		}
		if kind == "response" {
			kept := r.fields["Pecrawler-Ref"] == "accept/requests/0"
			if kept != (r.fields["WARC-Truncated"] == "") || kept != (string(body) == "<h1>hello</h1>") {
				t.Errorf("response %v with the body %q", r.fields, body)
			}
			if h := "\r\n" + strings.ToLower(string(head)); strings.Contains(h, "\r\ntransfer-encoding") || strings.Contains(h, "\r\ncontent-encoding") {
				t.Errorf("a reader would decode the body: %q", head)
			}
		}
	}
	if kinds["warcinfo"] != 1 || kinds["request"] != 4 || kinds["response"] != 3 || kinds["resource"] != 1+7 {
		t.Errorf("records %v", kinds)
	}
}
