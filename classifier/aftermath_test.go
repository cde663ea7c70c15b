package classifier

import (
	"slices"
	"strings"
	"testing"

	pc "pecrawler"
)

func TestOffSwitch(t *testing.T) {
	for text, want := range map[string]bool{
		"We count visits with our own statistics. You can switch that off at any time.":                                           true,
		"Matomo: You may choose to prevent this website from aggregating and analysing your actions.":                             true,
		"We use analytics. To opt out of analytics, press the button below.":                                                      true,
		"Rydym yn cyfrif ymweliadau gyda'n hystadegau ein hunain. Gallwch ddiffodd hynny unrhyw bryd.":                            true,
		"Wir zählen Besuche mit unserer eigenen Statistik. Sie können das jederzeit abschalten.":                                  true,
		"We count visits with our own statistics.":                                                                                false,
		"We use analytics. You can disable cookies in the settings of your browser.":                                              false,
		"These keep the site working and cannot be switched off. Statistics count visits.":                                        false,
		"You can switch the lights off. The shop is open daily. Come in. Bring a friend. We publish statistics about the harvest": false,
	} {
		if span, got := offSwitch(text); got != want {
			t.Errorf("%s: %v (%s)", text, got, span)
		}
	}
}

func TestWhatAPolicyTells(t *testing.T) {
	c := must(t)
	a := c.Annotate(pc.Look{Texts: []pc.Text{{URL: "https://x.example/cookies", Status: 200, Text: "We use analytics to see which pages are read. Google receives it. Cookies are kept for 13 months. Press Cookie settings to change your mind."}, {Status: 404, Text: "advertising"}}}, nil, nil)
	var flags []string
	for _, w := range a.Wording {
		flags = append(flags, w.Flag)
		if w.Where != "policy" || w.Refs[0] != "look/texts/0" || w.Language != "en" || len(w.Span) > 200 {
			t.Errorf("%+v", w)
		}
	}
	if got := strings.Join(flags, " "); got != "names-statistics names-third-parties names-durations offers-way-back" {
		t.Error(got)
	}
}

func must(t *testing.T) *Classifier {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func refused(storage []pc.StorageItem, requests ...pc.Request) *pc.Capture {
	return &pc.Capture{Scenario: pc.Reject, Load: pc.Load{Outcome: pc.Assessed}, FinalURL: "https://x.example/", Storage: storage, Requests: requests,
		Marks: []pc.Mark{{Name: pc.MarkSettled, At: 100}, {Name: pc.MarkActed, At: 200}, {Name: pc.MarkAfter, At: 300}, {Name: pc.MarkReload, At: 310}}}
}

func kinds(a pc.Annotations) (out []string) {
	for _, s := range a.Signals {
		out = append(out, string(s.Kind))
	}
	return out
}

func TestStatisticsAfterARefusal(t *testing.T) {
	c := must(t)
	id := pc.StorageItem{Kind: pc.Cookie, Host: "x.example", Name: "_ga", Value: "GA1.1.318801485.1795570532", First: pc.MarkAfter, At: 290, Request: -1}
	before := id
	before.First, before.At = pc.MarkSettled, 90
	hit := func(cid string) pc.Request {
		return pc.Request{URL: "https://region1.google-analytics.com/g/collect?v=2&gcs=G100&cid=" + cid, Type: "Ping", At: 400, RedirectOf: -1, Status: 204}
	}
	for _, tt := range []struct {
		name string
		capt *pc.Capture
		want string
	}{
		{"begins", refused([]pc.StorageItem{id}, hit("318801485.1795570532")), "stat-begins"},
		{"goes on", refused([]pc.StorageItem{before}, hit("318801485.1795570532")), "stat-goes-on"},
		{"stays and is not used", refused([]pc.StorageItem{before}), ""},
		{"a report that statistics are denied", refused(nil, hit("927364510.1795570599")), ""},
	} {
		a := c.Annotate(pc.Look{}, map[pc.Scenario]*pc.Capture{pc.Reject: tt.capt}, nil)
		got := slices.DeleteFunc(kinds(a), func(k string) bool {
			return !strings.HasPrefix(k, "stat-begins") && !strings.HasPrefix(k, "stat-goes-on")
		})
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestShortMemory(t *testing.T) {
	c := must(t)
	kept := func(name string, kind pc.StorageKind, life int64) pc.StorageItem {
		return pc.StorageItem{Kind: kind, Host: "x.example", Name: name, Value: "no", Lifetime: life, First: pc.MarkAfter, At: 290, Request: -1}
	}
	for _, tt := range []struct {
		name    string
		storage []pc.StorageItem
		want    bool
	}{
		{"a day", []pc.StorageItem{kept("cookie_choice", pc.Cookie, 86400)}, true},
		{"half a year", []pc.StorageItem{kept("cookie_choice", pc.Cookie, 182*86400)}, false},
		{"a day, and something else for a year", []pc.StorageItem{kept("cookie_choice", pc.Cookie, 86400), kept("x", pc.Cookie, 365*86400)}, false},
		{"in local storage", []pc.StorageItem{kept("cookie_choice", pc.LocalStorage, 0)}, false},
		{"nothing that is named after it", []pc.StorageItem{kept("sid", pc.Cookie, 60)}, false},
	} {
		a := c.Annotate(pc.Look{}, map[pc.Scenario]*pc.Capture{pc.Reject: refused(tt.storage)}, nil)
		if got := slices.Contains(kinds(a), string(pc.SignalShortMemory)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func TestMisclassified(t *testing.T) {
	c := must(t)
	list := func(necessary, marketing string) *pc.Page {
		box := func(y float64) *pc.Box { return &pc.Box{X: 0, Y: y, W: 400, H: 20} }
		p := &pc.Page{Width: 1280, Height: 800}
		put := func(parent int, tag, text string) int {
			p.Nodes = append(p.Nodes, pc.Node{Parent: parent, Tag: tag, Text: text, Box: box(float64(len(p.Nodes)) * 20)})
			return len(p.Nodes) - 1
		}
		div := put(put(-1, "body", ""), "div", "")
		for _, s := range [][2]string{{"Strictly necessary", necessary}, {"Marketing", marketing}} {
			row := put(div, "div", "")
			put(put(row, "b", ""), "#text", s[0])
			put(put(row, "p", ""), "#text", s[1])
		}
		return p
	}
	capt := &pc.Capture{Scenario: pc.Idle, Load: pc.Load{Outcome: pc.Assessed}, FinalURL: "https://x.example/", Pages: []pc.Snapshot{{Mark: pc.MarkSettled, Layer: 1, Tree: "p"}},
		Storage: []pc.StorageItem{{Kind: pc.Cookie, Host: "x.example", Name: "_fbp", Value: "fb.1.1795568328428.844733554487969700", First: pc.MarkSettled, At: 9, Request: -1}}}
	for _, tt := range []struct {
		name string
		page *pc.Page
		want bool
	}{
		{"listed as necessary", list("session, _fbp", "none"), true},
		{"listed as marketing", list("session", "_fbp"), false},
		{"part of another name", list("x_fbp2", "none"), false},
	} {
		a := c.Annotate(pc.Look{}, map[pc.Scenario]*pc.Capture{pc.Idle: capt}, func(string) (*pc.Page, error) { return tt.page, nil })
		if got := slices.Contains(kinds(a), string(pc.SignalMisclassified)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
