package review_test

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/review"
	"pecrawler/store"
)

const hostile = `<script>alert(1)</script>"><img src=x onerror=alert(2)>`

// pages are a store with one sweep of one flagged site whose every text is
// hostile, served.
type pages struct {
	t       *testing.T
	URL     string
	Digest  string
	store   *store.Store
	handler *review.Handler
	path    string // of the database
}

// picture is a white JPEG of one pixel.
const picture = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9"

// bad writes a hostile text into JSON.
func bad(s, text string) string {
	quoted, _ := json.Marshal(text) // a string always encodes
	return strings.ReplaceAll(s, "HOSTILE", string(quoted[1:len(quoted)-1]))
}

func capture(scenario, text string) string {
	return bad(`{"schema":1,"scenario":"`+scenario+`","started":"2026-11-25T00:00:00Z","ended":"2026-11-25T00:00:20Z","load":{"outcome":"assessed"},"environment":{"width":1366,"height":900},
"marks":[{"name":"settled","at":5000},{"name":"acted","at":6000},{"name":"withdrawn","at":15000},{"name":"done","at":20000}],"whole":"`+scenario+`/whole.jpg",
"acts":[{"kind":"click","purpose":"settings","text":"HOSTILE","page":0,"node":1,"box":{"x":1,"y":2,"w":30,"h":40},"at":6000,"why":"HOSTILE","effect":"HOSTILE"},{"kind":"click","goal":"withdraw","purpose":"reject","text":"HOSTILE","page":0,"node":1,"box":{"x":1,"y":2,"w":30,"h":40},"at":15000,"why":"HOSTILE","effect":"gone"}],
"requests":[{"id":0,"url":"https://ads.example/HOSTILE?uid=secret-query","method":"POST","type":"Ping","at":3000,"frame":"HOSTILE","initiator":"https://t.example/a.js?uid=secret-initiator","stack":["HOSTILE (https://t.example/a.js?uid=secret-stack:1:2)"],"redirect_of":-1,"status":200,"body":"secret-body","headers":{"set-cookie":"sid=secret-cookie","X-HOSTILE":"HOSTILE","etag":"secret-etag","location":"/next?uid=secret-location"},"cookies_out":["HOSTILE"],"set_cookies":[{"line":"_fbp=secret-line; Path=/"}]}],
"storage":[{"id":0,"kind":"cookie","host":"shop.example","name":"HOSTILE","value":"secret-value","request":0,"write":0,"first":"settled","at":4000,"set_by":"https://t.example/HOSTILE?uid=secret-setter"}],
"writes":[{"id":0,"kind":"cookie","op":"set","host":"shop.example","name":"HOSTILE","value":"secret-write","frame":"HOSTILE","stack":["HOSTILE"],"at":3900}],
"reads":[{"id":0,"api":"HOSTILE","detail":"HOSTILE","frame":"HOSTILE","count":2,"at":100}],"sockets":[{"id":0,"url":"HOSTILE","at":1,"first":[{"at":2,"payload":"secret-message"}]}],
"consent":[{"mark":"settled","at":5000,"api":"HOSTILE","data":{"secret-consent":"HOSTILE"}}],"missing":{"settings":"HOSTILE"},
"pages":[{"mark":"settled","at":5000,"layer":1,"url":"https://shop.example/","tree":"`+scenario+`/pages/0.json","screen":"`+scenario+`/screens/0.jpg"}]}`, text)
}

// opinions are a classifier's whose every word is hostile.
func opinions(text string) func(*evidence.Bundle) pc.Annotations {
	claim := func(refs ...pc.Ref) pc.Claim { return pc.Claim{Confidence: 0.9, Basis: text, Why: text, Refs: refs} }
	on := true
	var a pc.Annotations
	a.Classifier, a.Lists = "test", text
	for _, s := range pc.Scenarios {
		at := func(what string) pc.Ref { return pc.Ref(string(s) + "/" + what) }
		a.Banners = append(a.Banners, pc.Banner{Scenario: s, CMP: text, Kind: text, Language: text, Text: text, Box: pc.Box{W: 300, H: 200}, Claim: claim(at("pages/0#0")), Controls: []pc.Control{
			{Action: pc.ActAccept, Text: text, Layer: 1, Box: pc.Box{X: 1, Y: 2, W: 30, H: 40}, Claim: claim(at("pages/0#1")), Looks: &pc.Looks{Area: 1200, Contrast: 7.04, Fill: 3, FontPx: 16, Weight: 700, Order: 3}},
			{Action: pc.ActReject, Text: text, Layer: 2, Box: pc.Box{X: 1, Y: 2000, W: 30, H: 40}, On: &on, Claim: claim(at("pages/0#2")), Looks: &pc.Looks{Contrast: 2.5, Fill: 1, Link: true, Below: true}}}})
		a.Storage = append(a.Storage, pc.Purpose{Ref: at("storage/0"), Scenario: s, Phase: pc.PhaseBefore, Kind: pc.Cookie, Host: text, Name: text, Class: pc.NonExemptAdvertising, Sub: text, Entity: text, Claim: claim()})
		for _, ph := range []pc.Phase{pc.PhaseBefore, pc.PhaseReject, pc.PhaseAccept} {
			a.Requests = append(a.Requests, pc.Purpose{Ref: at("requests/0"), Scenario: s, Phase: ph, Host: text, Class: pc.Unknown, Entity: text, Claim: claim()})
		}
	}
	return func(*evidence.Bundle) pc.Annotations { return a }
}

// none are the opinions of nobody: the pages show what the verdict kept.
func none(*evidence.Bundle) pc.Annotations { return pc.Annotations{} }

// serve serves such a store to some people; ann, a lead, when none are named.
func serve(t *testing.T, opt review.Options) *pages {
	t.Helper()
	return serveText(t, opt, hostile)
}

// serveText is serve with another text in every place that a page can fill.
func serveText(t *testing.T, opt review.Options, text string) *pages {
	t.Helper()
	return serveFrom(t, opt, text, filepath.Join(t.TempDir(), "s.db"))
}

// serveFrom is serveText with a store elsewhere, whose tables are there.
func serveFrom(t *testing.T, opt review.Options, text, place string) *pages {
	t.Helper()
	dir := t.TempDir()
	p := &pages{t: t, path: place}
	st, err := store.Open(t.Context(), p.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	p.store = st
	vault, err := evidence.OpenVault(t.Context(), filepath.Join(dir, "evidence"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { vault.Close() })
	d := evidence.NewDraft(pc.Visit{Sweep: "one", Site: "shop.example", URL: "https://shop.example/", Number: 1, Scenarios: pc.Scenarios})
	parts := map[string]string{"look.json": `{"url":"https://shop.example/","load":{"outcome":"assessed"}}`}
	for _, s := range []string{"idle", "reject", "accept"} {
		parts[s+"/capture.json"], parts[s+"/screens/0.jpg"], parts[s+"/whole.jpg"] = capture(s, text), picture, picture
		if text == noPress {
			parts[s+"/capture.json"] = strings.Replace(strings.Replace(parts[s+"/capture.json"], `"missing":{`, `"missing":{"act":"no control",`, 1), `{"name":"acted","at":6000},{"name":"withdrawn","at":15000},`, "", 1)
		}
		parts[s+"/pages/0.json"] = bad(`{"url":"https://shop.example/HOSTILE?uid=secret-page","title":"HOSTILE","lang":"HOSTILE","width":1366,"height":900,"nodes":[{"p":-1,"t":"body","b":{"x":0,"y":0,"w":1366,"h":900}},{"p":0,"t":"button","x":"HOSTILE","a":{"class":"HOSTILE","href":"/out?uid=secret-link"},"b":{"x":1,"y":2,"w":30,"h":40}}]}`, text)
	}
	for name, data := range parts {
		if err := d.Add(name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if p.Digest, err = evidence.Seal(t.Context(), vault, d); err != nil {
		t.Fatal(err)
	}
	v := pc.Verdict{Schema: 1, Site: "shop.example", URL: "https://shop.example/", FinalURL: "https://shop.example/" + text + "?uid=secret-final", Sweep: "one", Rank: 7, Sector: text, Visit: 1, Visits: 1, Agreeing: 1, Outcome: pc.Assessed, Overall: pc.Flagged,
		Banner:   pc.BannerSummary{Present: true, CMP: text, Kind: "bar", Controls: []pc.ControlSummary{{Text: text, Action: pc.ActAccept, Layer: 1}}, ClicksToAccept: 1, ClicksToReject: -1},
		Storage:  []pc.ItemSummary{{Scenario: pc.Idle, Phase: pc.PhaseBefore, Kind: pc.Cookie, Host: "shop.example", Name: text, Class: pc.NonExemptAdvertising, Entity: text, Ref: "idle/storage/0"}},
		Requests: []pc.ItemSummary{{Scenario: pc.Idle, Phase: pc.PhaseBefore, Host: text, Class: pc.Unknown, Ref: "idle/requests/0"}},
		Findings: []pc.Finding{{Rule: "pre-ad-storage", Version: 1, Status: "stable", Outcome: pc.Fail, Strength: "clear", Check: 1, Message: text, Cites: []string{"PECR reg 6(1)"}, Refs: []pc.Ref{"idle/storage/0", "idle/pages/0#1"}, Against: []string{text},
			Observed: []pc.Observation{{Ref: "idle/storage/0", Text: text}}, Explain: &pc.Explanation{Repeat: "r", Developer: "d", Public: "p", Clears: "c"}},
			{Rule: "reject-more-steps", Version: 1, Status: "stable", Outcome: pc.Unsure, Check: 2, Message: "Refusing may take longer", Refs: []pc.Ref{"idle/consent/0"}}},
		Bundles: []string{p.Digest}}
	if err := st.CreateSweep(t.Context(), store.Sweep{ID: "one", ListDigest: "x", Settings: "{}", Agree: 2, Created: time.Now()}, []store.Site{{Site: "shop.example", URL: v.URL, Line: 1}, {Site: "later.example", Line: 2}}); err != nil {
		t.Fatal(err)
	}
	first, second := v, v // two visits that do not agree on what was stored
	first.Storage, second.Visit = nil, 2
	for _, r := range []pc.Verdict{first, second} {
		if err := st.PutResult(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.PutWord(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if opt.People == nil {
		opt.People = []review.Person{{Name: "ann", Roles: review.Roles()}}
	}
	if opt.Opinions == nil {
		opt.Opinions = opinions(text)
	}
	if p.handler, err = review.New(st, vault, slog.New(slog.DiscardHandler), opt); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.handler)
	t.Cleanup(srv.Close)
	p.URL = srv.URL
	return p
}

// browser is somebody's, signed in.
type browser struct {
	*pages
	http.Client
}

// as signs somebody in.
func (p *pages) as(name string) *browser {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	b := &browser{p, http.Client{Jar: jar}}
	for _, who := range p.handler.People() {
		if who.Name == name {
			if code, _, _ := b.get(strings.TrimPrefix(p.handler.Invite(p.URL, who), p.URL)); code != http.StatusOK {
				p.t.Fatalf("sign in as %s: %d", name, code)
			}
			return b
		}
	}
	p.t.Fatalf("there is no %s", name)
	return nil
}

func (b *browser) get(path string) (int, string, http.Header) {
	b.t.Helper()
	resp, err := b.Get(b.URL + path)
	return b.read(resp, err)
}

func (b *browser) read(resp *http.Response, err error) (int, string, http.Header) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// fields are the hidden fields of the form that goes to an address.
func fields(page, action string) url.Values {
	v := url.Values{}
	_, form, ok := strings.Cut(page, `action="`+action+`"`)
	if !ok {
		form = page
	}
	form, _, _ = strings.Cut(form, "</form>")
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`).FindAllStringSubmatch(form, -1) {
		v.Set(m[1], html.UnescapeString(m[2]))
	}
	return v
}

// post sends the form of a page with some answers.
func (b *browser) post(page, path string, answers ...string) (int, string) {
	b.t.Helper()
	_, body, _ := b.get(page)
	v := fields(body, path)
	for i := 0; i+1 < len(answers); i += 2 {
		v.Set(answers[i], answers[i+1])
	}
	resp, err := b.PostForm(b.URL+path, v)
	code, body, _ := b.read(resp, err)
	return code, body
}

const sitePath = "/sweeps/one/sites/shop.example"

// allPages are the addresses of every kind of page.
func (p *pages) allPages() []string {
	out := []string{"/", "/sweeps/one", "/sweeps/one?q=" + url.QueryEscape(hostile) + "&overall=" + url.QueryEscape(hostile) + "&rule=" + url.QueryEscape(hostile) + "&page=-7", sitePath, "/queue", "/queue?q=" + url.QueryEscape(hostile) + "&status=" + url.QueryEscape(hostile) + "&page=9", "/queue?all=1&handed=1&left=2", "/launch", "/tokens", "/sessions", "/audit"}
	for _, kind := range []string{"storage/0", "requests/0", "writes/0", "reads/0", "sockets/0", "consent/0", "pages/0", "pages/0?node=1"} {
		out = append(out, "/bundles/"+p.Digest+"/idle/"+kind)
	}
	return out
}

// Text of a page stays text, and the policy forbids scripts all the same.
func TestHostileTextStaysText(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	for _, path := range p.allPages() {
		code, body, h := b.get(path)
		if code != http.StatusOK {
			t.Errorf("%s: %d", path, code)
		}
		if strings.Contains(body, "<script") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: hostile text became markup", path)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if strings.Contains(body, "secret-") {
			t.Errorf("%s: shows a value that was not asked for", path)
		}
	}
}

func TestPages(t *testing.T) {
	t.Run("with opinions", func(t *testing.T) { testPages(t, serve(t, review.Options{})) })
	t.Run("with what the verdict kept", func(t *testing.T) { testPages(t, serve(t, review.Options{Opinions: none})) })
}

func testPages(t *testing.T, p *pages) {
	b := p.as("ann")
	for _, c := range []struct {
		path string
		code int
		says string
	}{
		{"/", 200, `href="/sweeps/one"`},
		{"/nothing", 404, "nothing here"},
		{"/sweeps/one", 200, "1 of 2 sites have their last word"},
		{"/sweeps/one?overall=clear", 200, "No site is like that"},
		{"/sweeps/one?rule=pre-ad-storage", 200, "shop.example"},
		{sitePath, 200, `href="#ref-idle-storage-0">In the table`},
		{sitePath, 200, `<span id="ref-idle-storage-0">`},
		{sitePath, 200, `id="ref-idle-pages-0-1"><rect x="1" y="2" width="30" height="40"/>`},
		{sitePath, 200, `href="/bundles/` + p.Digest + `/idle/storage/0">Raw evidence`},
		{sitePath, 200, "Visit 2, shown on this page"},
		{sitePath, 200, "What the visits do not agree on"},
		{sitePath, 200, `<td class="govuk-table__cell">not seen</td><td class="govuk-table__cell">seen</td>`},
		{sitePath, 200, "Nothing that needs consent was stored or sent afterwards"},
		{"/sweeps/one/sites/later.example", 404, "nothing here"},
		{"/sweeps/two", 404, "nothing here"},
		{"/bundles/" + p.Digest + "/screens/idle/0", 200, "JFIF"},
		{"/bundles/" + p.Digest + "/whole/idle", 200, "JFIF"},
		{"/bundles/" + p.Digest + "/screens/idle/1", 404, ""},
		{"/bundles/" + p.Digest + "/screens/../0", 404, ""},
		{"/bundles/" + p.Digest + "/idle/storage/1", 404, ""},
		{"/bundles/" + p.Digest + "/idle/storage/-1", 404, ""},
		{"/bundles/" + p.Digest + "/idle/pages/0?node=99", 404, ""},
		{"/bundles/" + p.Digest + "/idle/pages/0?node=x", 404, ""},
		{"/bundles/" + p.Digest + "/idle/requests/0", 200, "masked, 11 characters"},
		{"/bundles/" + p.Digest + "/har", 200, `"log"`},
		{"/bundles/" + p.Digest + "/wacz", 200, "PK"},
		{"/bundles/sha256:..%2f..%2fs.db", 404, ""},
		{"/bundles/" + p.Digest, 200, "PK"},
		{"/api/sweeps/one/verdicts", 200, `"total":1`},
		{"/api/sweeps/one/sites/shop.example", 200, `"overall":"flagged"`},
		{"/assets/pecrawler.css", 200, "govuk-button"},
	} {
		if code, body, _ := b.get(c.path); code != c.code || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, says %q: %v; want %d", c.path, code, c.says, strings.Contains(body, c.says), c.code)
		}
	}
}

// Accepting and refusing stand side by side, with what was measured of each.
func TestChoicesSideBySide(t *testing.T) {
	p := serve(t, review.Options{})
	_, body, _ := p.as("ann").get(sitePath)
	cells := regexp.MustCompile(`<th scope="row" class="govuk-table__header">([^<]*)</th><td class="govuk-table__cell">([^<]*)</td><td class="govuk-table__cell">([^<]*)</td>`)
	got := map[string][2]string{}
	for _, m := range cells.FindAllStringSubmatch(body, -1) {
		got[m[1]] = [2]string{m[2], m[3]}
	}
	for name, want := range map[string][2]string{
		"Presses": {"1", "not offered"}, "Layer": {"1", "2"}, "Contrast of its text": {"7.0 to 1", "2.5 to 1"}, "Contrast of its own background": {"3.0 to 1", "none of its own"},
		"Looks like": {"a button", "a link"}, "Seen without scrolling": {"yes", "no"}, "Text": {"16 pixels, weight 700", "0 pixels, weight 0"},
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if !strings.Contains(body, "It lies outside of this picture.") {
		t.Error("a box beyond the picture is not said to be")
	}
	if !strings.Contains(body, "The reasons are those of <bdi>classifier test") {
		t.Error("another classifier than the verdict's is not said to be")
	}
}

// Every link of a site's page leads somewhere, within it and beyond: evidence
// is one press away.
func TestLinksOfTheSitePage(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	_, body, _ := b.get(sitePath)
	n := 0
	for _, m := range regexp.MustCompile(` href="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if id, ok := strings.CutPrefix(m[1], "#"); ok {
			if !strings.Contains(body, ` id="`+id+`"`) {
				t.Errorf("nothing has the id %s", id)
			}
		} else if code, _, _ := b.get(m[1]); code != http.StatusOK {
			t.Errorf("%s: %d", m[1], code)
		}
		n++
	}
	if n < 25 {
		t.Errorf("%d links were looked at", n)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]] {
			t.Errorf("two elements have the id %s", m[1])
		}
		ids[m[1]] = true
	}
}

// A value is shown to who asks for it, and only after that was logged.
func TestValuesAreMaskedUntilAskedFor(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	for path, secrets := range map[string][]string{"storage/0": {"secret-value", "secret-setter"}, "requests/0": {"secret-body", "secret-cookie", "secret-line", "secret-query", "secret-initiator", "secret-stack", "secret-etag", "secret-location"}, "pages/0": {"secret-page"}, "writes/0": {"secret-write"}, "consent/0": {"secret-consent"}, "sockets/0": {"secret-message"}} {
		path = "/bundles/" + p.Digest + "/idle/" + path
		if _, body, _ := b.get(path); strings.Contains(body, "secret-") {
			t.Errorf("%s shows a value", path)
		}
		code, body := b.post(path, path)
		for _, s := range secrets {
			if code != http.StatusOK || !strings.Contains(body, s) {
				t.Errorf("%s: %d, and %s is not there", path, code, s)
			}
		}
		if strings.Contains(body, "<script") {
			t.Errorf("%s: hostile text became markup", path)
		}
	}
	log, err := p.store.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	acts := map[string]int{}
	for _, e := range log {
		acts[e.Act]++
		if strings.Contains(fmt.Sprint(e), "secret-") {
			t.Errorf("the log has a value: %+v", e)
		}
	}
	if acts["reveal"] != 6 || acts["view"] != 12 || acts["sign-in"] != 1 {
		t.Errorf("logged: %v", acts)
	}
	if _, _, err := p.store.VerifyAudit(t.Context()); err != nil {
		t.Error(err)
	}
}

// The crown and the typeface of GOV.UK belong to the government's own services,
// and the style sheet loads nothing from anywhere.
func TestStyleSheet(t *testing.T) {
	_, css, _ := serve(t, review.Options{}).as("ann").get("/assets/pecrawler.css")
	for _, no := range []string{"GDS Transport", "@font-face", "url(", "@import", "crown"} {
		if strings.Contains(css, no) {
			t.Errorf("the style sheet has %q", no)
		}
	}
}

// What was not seen is never shown as if there had been nothing to see.
func TestNotSeenIsSaid(t *testing.T) {
	p := serve(t, review.Options{})
	_, body, _ := p.as("ann").get(sitePath)
	if strings.Contains(body, "Not seen:") {
		t.Error("all was seen, and the page says otherwise")
	}
	p = serveText(t, review.Options{}, noPress)
	_, body, _ = p.as("ann").get(sitePath)
	if n := strings.Count(body, "Not seen:</strong> <bdi>nothing was pressed, no control</bdi>"); n != 3 {
		t.Errorf("said %d times that nothing was seen, want after refusing, accepting and withdrawing", n)
	}
	if strings.Contains(body, "Nothing that needs consent was stored or sent afterwards") || !strings.Contains(body, "Not withdrawn:") {
		t.Error("a withdrawal that did not happen is shown as a good one")
	}
}

// Whoever decides is told when later rules end differently on the same evidence.
func TestJudgedAgainIsSaid(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	for differs, want := range map[string]string{"": "no rule would end differently", hostile: "the same evidence ends differently"} {
		var changes []store.Change
		if differs != "" {
			changes = []store.Change{{Site: "shop.example", Was: pc.Flagged, Differs: differs, Now: pc.Verdict{Overall: pc.Clear}}}
		}
		if err := p.store.PutJudgement(t.Context(), store.Judgement{Sweep: "one", MadeBy: "rules x", Made: time.Now(), Sites: 1, Changed: len(changes)}, changes); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := b.get(sitePath); !strings.Contains(body, want) || strings.Contains(body, "<script") {
			t.Errorf("the page does not say: %s", want)
		}
	}
}

// noPress makes serveText serve a visit in which nothing could be pressed.
const noPress = "no press"
