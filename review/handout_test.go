package review_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	pc "pecrawler"
	"pecrawler/store"
)

// more adds flagged sites to the sweep.
func (p *pages) more(sites ...string) {
	p.t.Helper()
	for _, site := range sites {
		v := pc.Verdict{Schema: 1, Sweep: "one", Site: site, Overall: pc.Flagged, Outcome: pc.Assessed, Findings: []pc.Finding{{Rule: "pre-ad-storage", Status: "stable", Outcome: pc.Fail, Strength: "clear", Check: 1}}}
		if err := p.store.PutWord(p.t.Context(), v); err != nil {
			p.t.Fatal(err)
		}
	}
}

// hand sends the form that hands out cases.
func (b *browser) hand(page, to string, cases ...string) (int, string, string) {
	b.t.Helper()
	_, body, _ := b.get(page)
	v := fields(body, "/queue/assign")
	v.Set("to", to)
	for _, c := range cases {
		if !strings.Contains(body, `value="`+c+`"`) {
			b.t.Errorf("the queue does not offer %q", c)
		}
		v.Add("case", c)
	}
	resp, err := b.PostForm(b.URL+"/queue/assign", v)
	code, body, _ := b.read(resp, err)
	return code, body, resp.Request.URL.RequestURI()
}

// A lead hands out many cases at once; others take many. What somebody took in
// the meantime stays with them, and everything is logged.
func TestHandOut(t *testing.T) {
	p := serve(t, three(0))
	p.more("a.example", "b.example", "c.example")
	lee, ann, bob := p.as("lee"), p.as("ann"), p.as("bob")
	_, old, _ := lee.get("/queue?rule=pre-ad-storage")
	if code, body, at := ann.hand("/queue?rule=pre-ad-storage", "ann", "one a.example ", "one b.example "); code != http.StatusOK || at != "/queue?handed=2&left=0&rule=pre-ad-storage" || !strings.Contains(body, "2 cases have changed hands.") {
		t.Errorf("ann takes two: %d at %s", code, at)
	}
	v := fields(old, "/queue/assign")
	v["case"], v["to"] = []string{"one a.example ", "one c.example ", "one shop.example "}, []string{"bob"}
	resp, err := lee.PostForm(p.URL+"/queue/assign", v)
	if code, body, _ := lee.read(resp, err); code != http.StatusOK || !strings.Contains(body, "2 cases have changed hands. 1 case was left as it is") {
		t.Errorf("lee hands out from an old page: %d\n%s", code, body)
	}
	if code, _, _ := lee.hand("/queue", "bob", "one a.example ann"); code != http.StatusOK {
		t.Errorf("knowingly: %d", code)
	}
	for site, who := range map[string]string{"a.example": "bob", "b.example": "ann", "c.example": "bob", "shop.example": "bob"} {
		if c, err := p.store.Case(t.Context(), "one", site); err != nil || c.Assignee != who {
			t.Errorf("%s: %q has it, want %q; %v", site, c.Assignee, who, err)
		}
	}
	for name, x := range map[string]struct {
		b     *browser
		to    string
		cases []string
	}{
		"to somebody else, without being a lead": {bob, "ann", []string{"one a.example bob"}}, "to nobody": {lee, "", []string{"one a.example bob"}}, "to a stranger": {lee, hostile, []string{"one a.example bob"}}, "nothing": {lee, "ann", nil},
	} {
		if code, body, _ := x.b.hand("/queue", x.to, x.cases...); code != http.StatusUnprocessableEntity || strings.Contains(body, "<script") {
			t.Errorf("%s: %d", name, code)
		}
	}
	if _, body, _ := lee.get("/queue?all=1"); strings.Count(body, " checked>") != 4 {
		t.Errorf("%d cases are chosen, want all 4", strings.Count(body, " checked>"))
	}
	log, err := p.store.Audit(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range log {
		if e.Act == "assign" {
			n++
		}
	}
	if n != 5 || log[0].Detail != "from ann to bob" {
		t.Errorf("%d were logged, want 5; the last: %+v", n, log[0])
	}
}

// A view is a filter by a name; everybody has their own.
func TestSavedViews(t *testing.T) {
	p := serve(t, three(0))
	ann, bob := p.as("ann"), p.as("bob")
	if code, body := ann.post("/queue?rule=x&assignee=me&page=3", "/queue/views", "view", hostile[:50]); code != http.StatusOK || !strings.Contains(body, `href="/queue?assignee=me&amp;rule=x"`) || strings.Contains(body, "<script") {
		t.Errorf("keep: %d\n%s", code, body)
	}
	if _, body, _ := bob.get("/queue"); strings.Contains(body, "Your views") {
		t.Error("bob sees the views of ann")
	}
	for _, name := range []string{"", " ", strings.Repeat("x", 61)} {
		if code, _ := ann.post("/queue?rule=x", "/queue/views", "view", name); code != http.StatusUnprocessableEntity {
			t.Errorf("a view called %q: %d", name, code)
		}
	}
	if code, body := ann.post("/queue", "/queue/views/drop"); code != http.StatusOK || strings.Contains(body, "Your views") {
		t.Errorf("remove: %d", code)
	}
	if vs, err := p.store.Views(t.Context(), "ann"); err != nil || len(vs) != 0 {
		t.Errorf("left: %+v, %v", vs, err)
	}
}

// A lead chooses a case and hands it out, and keeps a view, by keyboard alone.
func TestHandOutByKeyboard(t *testing.T) {
	p := serve(t, three(0))
	p.more("a.example", strings.Repeat("long-", 40)+".example")
	b := openTab(t, p, "lee")
	if err := p.store.SaveView(t.Context(), "lee", store.View{Name: attacks()["markup"][:50], Filter: url.Values{"q": {hostile}}.Encode()}); err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Navigate(p.URL + "/queue?check=1"))
	b.press(`input[name=case][value^="one a.example"]`, " ")
	b.press(`#to`, "ann")
	b.press(`#assign button`, kb.Enter)
	b.until(`document.querySelector(".govuk-notification-banner") !== null`)
	if c, err := p.store.Case(t.Context(), "one", "a.example"); err != nil || c.Assignee != "ann" {
		t.Errorf("%+v, %v", c, err)
	}
	b.press(`details summary`, kb.Enter)
	b.press(`#view`, "m")
	b.sounds("queue")
	b.press(`form[action="/queue/views"] button`, kb.Enter)
	b.until(`document.querySelectorAll(".app-views li").length === 2`)
}
