package review_test

import (
	"net/http"
	"strings"
	"testing"

	"pecrawler/review"
	"pecrawler/store"
)

func three(second float64) review.Options {
	return review.Options{Second: second, People: []review.Person{{Name: "ann", Roles: []review.Role{review.Investigator}}, {Name: "bob", Roles: []review.Role{review.Investigator}}, {Name: "lee", Roles: []review.Role{review.Lead}}}}
}

// What is missing is said where it is missing, and nothing typed is lost.
func TestDecisionForm(t *testing.T) {
	p := serve(t, three(0))
	b := p.as("ann")
	for name, c := range map[string]struct {
		answers []string
		says    string
	}{
		"nothing":                    {nil, "Choose what you decide on the site"},
		"nonsense":                   {[]string{"act", "approve"}, "Choose what you decide on the site"},
		"no reason":                  {[]string{"act", "dismiss"}, "Choose why you dismiss the site"},
		"no note":                    {[]string{"act", "dismiss", "reason", "other"}, "Say in the note on the site"},
		"unsure of what":             {[]string{"act", "unsure"}, "Say in the note on the site"},
		"another visit why":          {[]string{"act", "revisit"}, "Say in the note on the site"},
		"a finding half filled in":   {[]string{"act", "uphold", "note-pre-ad-storage", "kept words"}, "Choose what you decide on pre-ad-storage"},
		"a visit for one finding":    {[]string{"act", "uphold", "act-pre-ad-storage", "revisit"}, "Choose what you decide on pre-ad-storage"},
		"upheld without any finding": {[]string{"act", "uphold", "act-pre-ad-storage", "dismiss", "reason-pre-ad-storage", "exempt", "act-reject-more-steps", "dismiss", "reason-reject-more-steps", "small"}, "but dismiss every finding"},
		"dismissed with a finding":   {[]string{"act", "dismiss", "reason", "exempt", "act-pre-ad-storage", "uphold"}, "but uphold a finding"},
	} {
		code, body := b.post(sitePath, sitePath+"/decisions", append(c.answers, "note-reject-more-steps", "")...)
		if code != http.StatusUnprocessableEntity || !strings.Contains(body, c.says) {
			t.Errorf("%s: %d, says %q: %v", name, code, c.says, strings.Contains(body, c.says))
		}
		if len(c.answers) > 3 && c.answers[3] == "kept words" && !strings.Contains(body, ">kept words</textarea>") {
			t.Errorf("%s: what was typed is lost", name)
		}
	}
	if ds, err := p.store.Decisions(t.Context(), "one", "shop.example"); err != nil || len(ds) != 0 {
		t.Errorf("stored: %+v, %v", ds, err)
	}
	code, body := b.post(sitePath, sitePath+"/decisions", "act", "uphold", "note", hostile, "act-pre-ad-storage", "uphold", "act-reject-more-steps", "dismiss", "reason-reject-more-steps", "control")
	if code != http.StatusOK || !strings.Contains(body, "A control was missed or read wrongly") || strings.Contains(body, "<script") {
		t.Errorf("a good decision: %d", code)
	}
	ds, err := p.store.Decisions(t.Context(), "one", "shop.example")
	if err != nil || len(ds) != 3 || ds[0].By != "ann" || ds[0].Note != hostile || ds[2].Reason != "control" {
		t.Errorf("stored: %+v, %v", ds, err)
	}
	if strings.Contains(body, `id="decide"`) {
		t.Error("the form is offered again, and only a lead decides again")
	}
}

// Two people at once: no decision is lost, and nobody decides unknowingly on a
// case that another has.
func TestTwoReviewersAtOnce(t *testing.T) {
	p := serve(t, three(0))
	ann, bob := p.as("ann"), p.as("bob")
	_, page, _ := bob.get(sitePath) // opened before ann takes it
	if code, _ := ann.post("/queue", "/queue/next"); code != http.StatusOK {
		t.Fatalf("take the next: %d", code)
	}
	if code, body := bob.post("/queue", "/queue/next"); code != http.StatusNotFound || !strings.Contains(body, "No case is left") {
		t.Errorf("bob got a case that ann has: %d", code)
	}
	form := fields(page, sitePath+"/decisions")
	form.Set("act", "uphold")
	resp, err := bob.PostForm(p.URL+sitePath+"/decisions", form)
	if code, body, _ := bob.read(resp, err); code != http.StatusConflict || !strings.Contains(body, "Somebody else has this case") {
		t.Errorf("bob decided on ann's case: %d", code)
	}
	take := fields(page, sitePath+"/take")
	resp, err = bob.PostForm(p.URL+sitePath+"/take", take)
	if code, body, _ := bob.read(resp, err); code != http.StatusConflict || !strings.Contains(body, "The case has moved") {
		t.Errorf("bob took it from an old page: %d", code)
	}
	if _, body, _ := bob.get(sitePath); !strings.Contains(body, "has this case since") || strings.Contains(body, `id="decide"`) {
		t.Error("bob is not told who has the case")
	}
	if code, _ := bob.post(sitePath, sitePath+"/take"); code != http.StatusOK { // knowingly now
		t.Errorf("bob took over: %d", code)
	}
	_, stale, _ := bob.get(sitePath)
	if code, _ := bob.post(sitePath, sitePath+"/decisions", "act", "uphold"); code != http.StatusOK {
		t.Errorf("bob decided: %d", code)
	}
	form = fields(stale, sitePath+"/decisions")
	form.Set("act", "dismiss")
	form.Set("reason", "exempt")
	form.Set("note", "a long thought")
	resp, err = bob.PostForm(p.URL+sitePath+"/decisions", form)
	if code, body, _ := bob.read(resp, err); code != http.StatusConflict || !strings.Contains(body, "since you opened this page") {
		t.Errorf("an old page decided again: %d", code)
	}
}

// The second reader sees nothing of the first reading until both have decided;
// when they differ, a lead sees both and settles it.
func TestSecondReadingIsBlind(t *testing.T) {
	p := serve(t, three(1))
	ann, bob, lee := p.as("ann"), p.as("bob"), p.as("lee")
	if code, body := ann.post(sitePath, sitePath+"/decisions", "act", "dismiss", "reason", "exempt", "note", "first thoughts", "act-pre-ad-storage", "dismiss", "reason-pre-ad-storage", "entity"); code != http.StatusOK || !strings.Contains(body, "first thoughts") || !strings.Contains(body, "A second reader decides") {
		t.Errorf("ann: %d", code)
	}
	for _, b := range []*browser{bob, lee} {
		for _, path := range []string{sitePath, "/queue", "/audit"} {
			_, body, _ := b.get(path)
			for _, tell := range []string{"first thoughts", "It is another product of the same name</td>", "site: dismiss", ">dismiss</strong>"} {
				if strings.Contains(body, tell) {
					t.Errorf("%s tells the second reader: %s", path, tell)
				}
			}
		}
	}
	if _, body, _ := bob.get("/audit"); !strings.Contains(body, "This is not for your role") {
		t.Error("a reader may look into the log")
	}
	if _, body, _ := lee.get("/audit"); !strings.Contains(body, "Hidden until the second reading") {
		t.Error("the log does not say that something is hidden")
	}
	if code, body := bob.post(sitePath, sitePath+"/decisions", "act", "uphold", "note", "second thoughts"); code != http.StatusOK || !strings.Contains(body, "first thoughts") || !strings.Contains(body, "The two readings differ") {
		t.Errorf("bob: %d; both have to be shown now", code)
	}
	if code, body := lee.post(sitePath, sitePath+"/decisions", "act", "uphold"); code != http.StatusOK || !strings.Contains(body, "second thoughts") {
		t.Errorf("lee: %d", code)
	}
	cs, err := p.store.Case(t.Context(), "one", "shop.example")
	if err != nil || cs.Status != store.Decided || cs.Act != store.Uphold {
		t.Errorf("settled: %+v, %v", cs, err)
	}
	if n, _, err := p.store.VerifyAudit(t.Context()); err != nil || n == 0 {
		t.Errorf("the log: %d, %v", n, err)
	}
}

// Who asks for another visit is heard: the site is on a list that a sweep takes.
func TestRevisits(t *testing.T) {
	p := serve(t, three(0))
	ann := p.as("ann")
	if code, _ := ann.post(sitePath, sitePath+"/decisions", "act", "revisit", "note", "the banner came late"); code != http.StatusOK {
		t.Fatalf("decide: %d", code)
	}
	if _, body, h := ann.get("/revisits.txt"); body != "https://shop.example/\n" || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") {
		t.Errorf("the list: %q", body)
	}
}
