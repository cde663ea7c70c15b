package classifier_test

import (
	"encoding/json"
	"strings"
	"testing"

	pc "pecrawler"
	"pecrawler/classifier"
)

func newClassifier(t testing.TB) *classifier.Classifier {
	t.Helper()
	c, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLabels(t *testing.T) {
	c := newClassifier(t)
	for action, texts := range map[pc.Action][]string{
		pc.ActAccept:      {"Acceptă toate", "Sunt de acord", "Accept all", "Accept all cookies", "Allow cookies", "Yes, I agree", "ACCEPT", "Accept additional cookies", "Allow all", "Derbyn pob cwci", "Alle akzeptieren", "Tout accepter", "Aceptar todo", "Accept & continue", "I accept", "Agree and close"},
		pc.ActReject:      {"Respinge toate", "Refuz", "Doar cele necesare", "Reject all", "Decline", "Continue without accepting", "Necessary only", "Only essential cookies", "Deny all cookies", "Reject additional cookies", "Gwrthod pob cwci", "Alle ablehnen", "Tout refuser", "Rechazar todo", "Refuse", "No, thanks", "Do not accept", "Disagree", "Accept only essential cookies", "Use necessary cookies only"},
		pc.ActSettings:    {"Setări cookie", "Gestionează preferințele", "Personalizează", "Manage preferences", "Cookie settings", "Customise", "Let me choose", "Manage options", "More options", "Personalize", "Configure", "View cookies", "Gweld cwcis"},
		pc.ActSave:        {"Salvează preferințele", "Save my choices", "Confirm my choices", "Save preferences", "Save and exit"},
		pc.ActAcknowledge: {"Got it!", "OK", "Okay"},
		pc.ActPolicy:      {"Privacy policy", "Cookie policy", "Learn more"},
	} {
		for _, text := range texts {
			if got, conf, why := c.Label(text); got != action || conf < .6 {
				t.Errorf("%q is %s (%.2f, %s), want %s", text, got, conf, why, action)
			}
		}
	}
	// What the phrases alone got wrong or did not know.
	for text, want := range map[string]pc.Action{
		"Je continue sans accepter": pc.ActReject, "Nie zgadzam się": pc.ActReject, "Nicht einverstanden": pc.ActReject, "Continuar sin aceptar": pc.ActReject, "Niet akkoord": pc.ActReject, "Na, nid wyf yn derbyn cwcis ychwanegol": pc.ActReject,
		"Nur essenzielle Cookies akzeptieren": pc.ActReject, "Continue with recommended cookies": pc.ActAccept, "Ydw, galluogi yr holl gwcis": pc.ActAccept, "Selectie toestaan": pc.ActSave, "Ausgewählte Cookies akzeptieren": pc.ActSave, "Reject and pay": pc.ActPay,
		// The off switch of a notice about statistics refuses.
		"Turn off": pc.ActReject, "Switch statistics off": pc.ActReject, "Turn off analytics": pc.ActReject, "Diffodd ystadegau": pc.ActReject, "Statistik abschalten": pc.ActReject, "Désactiver les statistiques": pc.ActReject, "Statistieken uitzetten": pc.ActReject, "Wyłącz statystykę": pc.ActReject,
		// To accept what is needed is to refuse the rest; what is not needed, not.
		"Notwendigen Cookies zustimmen": pc.ActReject, "Nicht notwendige Cookies akzeptieren": pc.ActAccept, "Accepter les cookies nécessaires": pc.ActReject, "Accepter les cookies supplémentaires": pc.ActAccept,
		"Only selected": pc.ActSave, "All cookies": pc.ActAccept, "How to disable cookies": pc.ActPolicy, "Update preferences": pc.ActSettings,
		// No single choice, and no choice about storage.
		"Accept all / Reject all": pc.ActOther, "Customise Reject all Accept all": pc.ActOther, "I agree, enter": pc.ActOther, "Accept all, I am at least 24": pc.ActOther, "(opt-out)": pc.ActOther, "Cookie consent by Example": pc.ActOther, "Turn the sound off": pc.ActOther,
		"Accept none": pc.ActReject, "Accept the essentials": pc.ActReject, "Accept all partners": pc.ActAccept, "Troi pob cwci ymlaen": pc.ActAccept, "Troi cwcis i ffwrdd": pc.ActReject, "Choose which cookies to allow": pc.ActSettings, "Dewis pa gwcis i'w caniatáu": pc.ActSettings, "Cau dewisiadau cwcis": pc.ActClose,
		"Do you accept cookies?": pc.ActOther, "I accept the terms of use": pc.ActOther, "Gwrthod sbwriel": pc.ActOther,
		"Do not use cookies that measure my website use": pc.ActToggle, "Peidiwch â defnyddio cwcis sy’n cofio fy ngosodiadau": pc.ActToggle,
		"Dismiss this message": pc.ActClose, "Bwrw golwg dros ddewisiadau cwcis": pc.ActSettings, "No, decline extras": pc.ActReject,
	} {
		if got, conf, why := c.Label(text); got != want || why == "" {
			t.Errorf("%q is %s (%.2f, %s), want %s", text, got, conf, why, want)
		}
	}
	// What is none of these must not become a choice: a false reject hides a
	// fault, a false accept makes one.
	for _, text := range []string{"", "Search", "Add to basket", "Next page", "Donate", "Play", "Sign in", "42", "🙂", "We accept cards", "Refuse and recycling", "Save for later", "Confirm your email address", "Accept the challenge", "Casgliad sbwriel", "Пошук", "关于我们"} {
		got, conf, why := c.Label(text)
		switch got {
		case pc.ActAccept, pc.ActReject, pc.ActSave:
			if conf >= .6 {
				t.Errorf("%q is %s (%.2f, %s)", text, got, conf, why)
			}
		}
	}
}

func TestStorage(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		name  string
		item  pc.StorageItem
		class pc.Class
		least float64
	}{
		{"Meta's identifier", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_fbp", Value: "fb.1.1700000000000.123456789012345678", Lifetime: 90 * 86400}, pc.NonExemptAdvertising, .95},
		{"its name with another shape is less sure", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_fbp", Value: "hello"}, pc.NonExemptAdvertising, .5},
		{"an opt-out is no tracker", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_fbp", Value: "denied"}, pc.Unknown, 0},
		{"DoubleClick", pc.StorageItem{Kind: pc.Cookie, Host: "doubleclick.net", Name: "IDE", Value: "AHWqTUm0123456789abcdef0123456789", Lifetime: 390 * 86400}, pc.NonExemptAdvertising, .95},
		{"statistics are conditional", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_ga", Value: "GA1.1.1234567890.1700000000"}, pc.ConditionalStatistics, .9},
		{"a container's statistics too", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_ga_ABC123", Value: "GS2.1.s1700000000"}, pc.ConditionalStatistics, .9},
		{"a session", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "PHPSESSID", Value: "0123456789abcdef"}, pc.ExemptStrict, .9},
		{"another party's session is not the site's", pc.StorageItem{Kind: pc.Cookie, Host: "frames.example", Name: "__Host-session", Value: "0123456789abcdef"}, pc.Unknown, 0},
		{"nobody knows it", pc.StorageItem{Kind: pc.LocalStorage, Host: "shop.example", Name: "zq_17", Value: "0123456789abcdef0123456789abcdef"}, pc.Unknown, 0},
		{"a long value is not yet a tracker", pc.StorageItem{Kind: pc.Cookie, Host: "cdn.pictures.example", Name: "visitor", Value: "0123456789abcdef0123456789abcdef", Lifetime: 390 * 86400}, pc.Unknown, 0},
		// The host tells that the site does not need it; that it is for advertising takes its name too.
		{"an advertising host's identifier", pc.StorageItem{Kind: pc.Cookie, Host: "criteo.com", Name: "newname", Value: "a1b2c3d4-e5f6-7890-abcd-ef0123456789", Lifetime: 390 * 86400}, pc.NonExemptOther, .8},
		{"the same by a name that says what it is", pc.StorageItem{Kind: pc.Cookie, Host: "criteo.com", Name: "uid", Value: "a1b2c3d4-e5f6-7890-abcd-ef0123456789", Lifetime: 390 * 86400}, pc.NonExemptAdvertising, .8},
		{"the same by a name that is known there", pc.StorageItem{Kind: pc.Cookie, Host: "rubiconproject.com", Name: "khaos", Value: "KL3U36CQ-8-BQCN", Lifetime: 364 * 86400}, pc.NonExemptAdvertising, .8},
		// A word of a table alone flags nobody.
		{"only a table's word", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "__adal_id", Value: "a1b2c3d4e5f67890abcdef0123456789-1700000000000", Lifetime: 365 * 86400}, pc.NonExemptAdvertising, .5},
		{"a table's word and the script that set it", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "__adal_id", Value: "a1b2c3d4e5f67890abcdef0123456789-1700000000000", Lifetime: 365 * 86400, SetBy: "https://s.adroll.com/j/x.js"}, pc.NonExemptAdvertising, .8},
		{"only a name that anybody may choose", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "uid", Value: "a1b2c3d4-e5f6-7890-abcd-ef0123456789", Lifetime: 365 * 86400}, pc.Unknown, 0},
		{"a table's word and the host", pc.StorageItem{Kind: pc.Cookie, Host: "demdex.net", Name: "demdex", Value: "12345678901234567890123456789012345678", Lifetime: 180 * 86400}, pc.NonExemptAdvertising, .8},
		{"a form's protection", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "shop_csrf_token", Value: "a1b2c3d4e5f67890abcdef"}, pc.ExemptStrict, .8},
		{"a banner that was closed", pc.StorageItem{Kind: pc.LocalStorage, Host: "shop.example", Name: "gdpr-banner-dismissed", Value: "1"}, pc.ExemptStrict, .8},
		{"an identifier with such a name is doubtful", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "consent_tracking_status", Value: "a1b2c3d4-e5f6-7890-abcd-ef0123456789", Lifetime: 365 * 86400}, pc.ExemptStrict, 0},
		{"a load balancer of an advertising host", pc.StorageItem{Kind: pc.Cookie, Host: "contextweb.com", Name: "INGRESSCOOKIE", Value: "a1b2c3d4e5f67890abcdef", Lifetime: 2 * 86400}, pc.Unknown, 0},
		{"statistics of the site itself, by a table", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "_vwo_ds", Value: "3%3Aa_0%2Ct_0%3A0%241", Lifetime: 366 * 86400}, pc.ConditionalStatistics, .5},
		{"the visitor of a video's platform, who is shown ads", pc.StorageItem{Kind: pc.Cookie, Host: "youtube.com", Name: "VISITOR_INFO1_LIVE", Value: "a1B2c3D4e5F", Lifetime: 180 * 86400}, pc.NonExemptAdvertising, .95},
		{"what the platform keeps against fraud", pc.StorageItem{Kind: pc.Cookie, Host: "youtube.com", Name: "YSC", Value: "a1B2c3D4e5F"}, pc.NonExemptOther, .9},
		{"an identifier for auctions", pc.StorageItem{Kind: pc.Cookie, Host: "news.example", Name: "_pubcid", Value: "a1b2c3d4-e5f6-7890-abcd-ef0123456789", Lifetime: 365 * 86400}, pc.NonExemptAdvertising, .95},
		{"the record of a choice, whatever its name", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "nb_prefs", Value: "%7B%22statistics%22%3Afalse%2C%22advertising%22%3Afalse%7D", Lifetime: 180 * 86400}, pc.ExemptStrict, .8},
		{"an answer to a question", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "cct_choice", Value: "decline"}, pc.ExemptStrict, .8},
		{"an answer to no question", pc.StorageItem{Kind: pc.Cookie, Host: "shop.example", Name: "nb_state", Value: "decline"}, pc.Unknown, 0},
		{"another party's record of a choice", pc.StorageItem{Kind: pc.Cookie, Host: "frames.example", Name: "nb_prefs", Value: "statistics:0|advertising:1"}, pc.Unknown, 0},
		{"a recorder's identifier at its own host", pc.StorageItem{Kind: pc.Cookie, Host: "www.clarity.ms", Name: "CLID", Value: "a1b2c3d4e5f67890abcdef.20261101.20271101", Lifetime: 365 * 86400}, pc.NonExemptOther, .8},
		{"an advertising host's session flag", pc.StorageItem{Kind: pc.Cookie, Host: "criteo.com", Name: "test", Value: "1"}, pc.Unknown, 0},
	} {
		got := c.Storage("shop.example", &x.item)
		if strings.HasPrefix(x.name, "only ") && got.Confidence >= .8 {
			t.Errorf("%s: %.2f is enough to flag (%s)", x.name, got.Confidence, got.Why)
		}
		if got.Class != x.class || got.Confidence < x.least || got.Why == "" || got.Basis == "" {
			t.Errorf("%s: %s %.2f (%s: %s), want %s from %.2f", x.name, got.Class, got.Confidence, got.Basis, got.Why, x.class, x.least)
		}
	}
}

func TestASecondLayerNeedNotSayWhatItIsAbout(t *testing.T) {
	box := func(y, h float64) *pc.Box { return &pc.Box{X: 300, Y: y, W: 500, H: h} }
	style := &pc.Style{Opacity: 1, Position: "fixed", Background: "rgb(255, 255, 255)"}
	plain := &pc.Style{Opacity: 1}
	p := &pc.Page{Width: 1366, Height: 900, Nodes: []pc.Node{
		{Parent: -1, Tag: "#document", Box: box(0, 900)}, {Parent: 0, Tag: "html", Box: box(0, 900), Style: plain}, {Parent: 1, Tag: "body", Box: box(0, 900), Style: plain},
		{Parent: 2, Tag: "div", Box: box(200, 400), Style: style, Paint: 5}, {Parent: 3, Tag: "#text", Text: "Your choices. These keep the site working.", Box: box(210, 20)},
		{Parent: 3, Tag: "button", Box: box(300, 40), Style: plain, Backend: 7, Paint: 6}, {Parent: 5, Tag: "#text", Text: "Reject all", Box: box(310, 20)},
		{Parent: 3, Tag: "button", Box: box(350, 40), Style: plain, Backend: 8, Paint: 6}, {Parent: 7, Tag: "#text", Text: "Save settings", Box: box(360, 20)},
	}}
	c := newClassifier(t)
	if _, ok := c.Banner(p, 1); ok {
		t.Error("a box that says nothing about cookies is a banner")
	}
	if ch, ok := c.Read(2, p).Choose(pc.GoalReject); !ok || ch.Node != 5 {
		t.Errorf("behind the settings: %+v %v, want the control that rejects", ch, ok)
	}
}

// A toggle is named as a visitor reads it, and refusing switches it off before
// it saves.
func TestTogglesAreNamedByTheirLabels(t *testing.T) {
	c := newClassifier(t)
	yes := true
	box := func(y float64) *pc.Box { return &pc.Box{X: 500, Y: y, W: 300, H: 30} }
	style := &pc.Style{Display: "block", Visibility: "visible", Opacity: 1}
	fixed := &pc.Style{Display: "block", Visibility: "visible", Opacity: 1, Position: "fixed", ZIndex: "9999"}
	p := &pc.Page{Width: 1366, Height: 900, Nodes: []pc.Node{
		{Parent: -1, Tag: "html", Box: &pc.Box{W: 1366, H: 900}, Style: style},
		{Parent: 0, Tag: "div", Attrs: map[string]string{"role": "dialog"}, Box: &pc.Box{X: 400, Y: 200, W: 600, H: 400}, Style: fixed},
		{Parent: 1, Tag: "#text", Text: "Manage your cookie options. We and our partners use cookies for advertising.", Box: box(210)},
		{Parent: 1, Tag: "label", Box: box(300), Style: style},
		{Parent: 3, Tag: "input", Attrs: map[string]string{"type": "checkbox", "id": "t1"}, Checked: &yes, Box: &pc.Box{X: 500, Y: 305, W: 14, H: 14}, Style: style, Click: true},
		{Parent: 3, Tag: "#text", Text: " Personalised advertising", Box: box(300)},
		{Parent: 1, Tag: "button", Box: box(500), Style: style, Click: true},
		{Parent: 6, Tag: "#text", Text: "Save my choices", Box: box(500)},
		{Parent: 1, Tag: "button", Box: box(540), Style: style, Click: true},
		{Parent: 8, Tag: "#text", Text: "Accept all", Box: box(540)},
	}}
	for i := range p.Nodes {
		p.Nodes[i].Backend = int64(i + 1)
	}
	ch, ok := c.Read(2, p).Choose(pc.GoalReject)
	if !ok || ch.Text != "Personalised advertising" || ch.Action != pc.ActToggle || ch.Final {
		t.Errorf("with the toggle on: %+v, %v", ch, ok)
	}
	no := false
	p.Nodes[4].Checked = &no
	if ch, ok = c.Read(2, p).Choose(pc.GoalReject); !ok || ch.Action != pc.ActSave || !ch.Final {
		t.Errorf("with the toggle off: %+v, %v", ch, ok)
	}
}

// FuzzLabel: any text gives one of the actions, and never a choice for nothing.
func FuzzLabel(f *testing.F) {
	c := newClassifier(f)
	for _, s := range []string{"Accept all", "Reject", "", "\x00\xff", "accept accept accept", "İ", "ﷺ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, conf, why := c.Label(text)
		if conf < 0 || conf > 1 || why == "" {
			t.Errorf("%q: %s %f %q", text, a, conf, why)
		}
	})
}

// FuzzBanner: a page tree that was made to harm (parents that loop or point
// nowhere, boxes without end) gives an opinion or none, and no panic.
func FuzzBanner(f *testing.F) {
	c := newClassifier(f)
	f.Add([]byte(`{"width":1366,"height":900,"nodes":[{"p":-1,"t":"html","b":{"x":0,"y":0,"w":1366,"h":900}},{"p":0,"t":"div","a":{"class":"cookie-banner"},"b":{"x":0,"y":700,"w":1366,"h":200},"s":{"o":1,"p":"fixed","z":"99"}},{"p":1,"t":"#text","x":"We use cookies for advertising. Please choose.","b":{"x":10,"y":710,"w":400,"h":20}},{"p":1,"t":"button","c":true,"b":{"x":10,"y":760,"w":120,"h":40}},{"p":3,"t":"#text","x":"Accept all","b":{"x":20,"y":770,"w":80,"h":20}}]}`))
	f.Add([]byte(`{"nodes":[{"p":0,"t":"div"},{"p":7,"t":"button"},{"p":-9,"t":"#text","x":"cookies"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var p pc.Page
		if json.Unmarshal(raw, &p) != nil || len(p.Nodes) > 2000 {
			t.Skip()
		}
		for i := range p.Nodes { // what evidence.Page promises of a tree
			if p.Nodes[i].Parent >= i || p.Nodes[i].Parent < -1 {
				p.Nodes[i].Parent = -1
			}
		}
		for _, layer := range []int{1, 2, 3} {
			if b, ok := c.Banner(&p, layer); ok && (b.Node < 0 || b.Node >= len(p.Nodes)) {
				t.Errorf("the banner is node %d of %d", b.Node, len(p.Nodes))
			}
			for _, goal := range []pc.Goal{pc.GoalAccept, pc.GoalReject, pc.GoalWithdraw, pc.GoalClose, pc.GoalScroll, pc.GoalSettings, pc.GoalAside} {
				if ch, ok := c.Read(layer, &p).Choose(goal); ok && (ch.Node < 0 || ch.Node >= len(p.Nodes)) {
					t.Errorf("the choice is node %d of %d", ch.Node, len(p.Nodes))
				}
			}
		}
	})
}

// The way back is what a visitor who has accepted would press; a shop's own
// settings and prose about cookies are not.
func TestTheWayBack(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		tag, text, id string
		layer         int
		want          pc.Action // "": none
		final         bool
	}{
		{"a", "Cookie settings", "", 1, pc.ActSettings, false}, {"button", "Manage your cookies", "", 1, pc.ActSettings, false}, {"a", "Gosodiadau cwcis", "", 1, pc.ActSettings, false},
		{"a", "Cookie-Einstellungen", "", 1, pc.ActSettings, false}, {"a", "Privacy choices", "", 1, pc.ActSettings, false}, {"a", "Gérer les cookies", "", 1, pc.ActSettings, false},
		{"button", "Withdraw consent", "", 1, pc.ActReject, true}, {"button", "Tynnu cydsyniad yn ôl", "", 2, pc.ActReject, true}, {"button", "Einwilligung widerrufen", "", 1, pc.ActReject, true},
		{"button", "", "ot-sdk-btn ot-floating-button", 1, pc.ActSettings, false}, {"a", "Cookie policy", "", 1, pc.ActPolicy, false},
		{"a", "Cookie policy", "", 2, "", false}, {"a", "Settings", "", 1, "", false}, {"a", "Delivery options", "", 1, "", false}, {"a", "Oat and ginger cookies, from our own oven, with real butter and love", "", 1, "", false}, {"button", "Share my basket", "", 1, "", false},
	} {
		box := &pc.Box{X: 10, Y: 2000, W: 120, H: 30} // the foot of a long page
		p := &pc.Page{Width: 1366, Height: 900, Nodes: []pc.Node{{Parent: -1, Tag: "html", Box: &pc.Box{W: 1366, H: 3000}},
			{Parent: 0, Tag: x.tag, Attrs: map[string]string{"href": "/x", "class": x.id}, Box: box, Style: &pc.Style{Opacity: 1}, Backend: 3}}}
		if x.text != "" {
			p.Nodes = append(p.Nodes, pc.Node{Parent: 1, Tag: "#text", Text: x.text, Box: box})
		}
		ch, ok := c.Read(x.layer, p).Choose(pc.GoalWithdraw)
		if ok != (x.want != "") || ok && (ch.Action != x.want || ch.Final != x.final || ch.Why == "") {
			t.Errorf("%s %q at layer %d: %+v, %v; want %q", x.tag, x.text+x.id, x.layer, ch, ok, x.want)
		}
	}
}

func TestWordsThatTakeGoingOnForConsent(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]bool{
		"By continuing to use this site you agree to our use of cookies": true, "If you scroll you accept them.": true, "En poursuivant votre navigation vous acceptez": true,
		"Drwy barhau i ddefnyddio'r wefan hon rydych yn cytuno": true, "You can continue without accepting": false, "By using cookies we learn which pages are read. You can agree or refuse.": false,
		"We use cookies to continue improving": false,
	} {
		box, plain := &pc.Box{Y: 700, W: 1366, H: 200}, &pc.Style{Opacity: 1}
		p := &pc.Page{Width: 1366, Height: 900, Nodes: []pc.Node{{Parent: -1, Tag: "html", Box: &pc.Box{W: 1366, H: 900}},
			{Parent: 0, Tag: "div", Attrs: map[string]string{"class": "cookie-banner"}, Box: box, Style: &pc.Style{Opacity: 1, Position: "fixed"}, Backend: 2}, {Parent: 1, Tag: "#text", Text: text + " Cookies.", Box: box},
			{Parent: 1, Tag: "button", Box: box, Style: plain, Backend: 3}, {Parent: 3, Tag: "#text", Text: "Accept all", Box: box}}}
		if _, ok := c.Banner(p, 1); !ok {
			t.Fatalf("%q: no banner", text)
		}
		if ch, got := c.Read(1, p).Choose(pc.GoalScroll); got != want {
			t.Errorf("%q: %+v %v, want %v", text, ch, got, want)
		}
	}
}

// A banner in the page's own flow, with a name that says nothing, is one; a
// form that asks something else is not, nor is an article about cookies.
func TestABannerThatIsNotNamedSo(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		text, first, second string
		want                bool
	}{
		{"We and our partners store and read information on your device, such as cookies.", "Accept and continue", "Only necessary cookies", true}, {"Rydym yn defnyddio cwcis ar y wefan hon.", "Derbyn pob cwci", "Gosodiadau", true},
		{"Read our privacy notice before you send the form.", "I agree", "Save", false}, {"Which of our cookies do you like best?", "Oat and ginger", "Chocolate", false},
	} {
		plain := &pc.Style{Opacity: 1}
		box := &pc.Box{W: 1366, H: 160}
		p := &pc.Page{Width: 1366, Height: 900, Nodes: []pc.Node{{Parent: -1, Tag: "html", Box: &pc.Box{W: 1366, H: 3000}}, {Parent: 0, Tag: "body", Box: &pc.Box{W: 1366, H: 3000}, Style: plain}, {Parent: 1, Tag: "section", Attrs: map[string]string{"class": "ck"}, Box: box, Style: plain},
			{Parent: 2, Tag: "p", Box: box, Style: plain}, {Parent: 3, Tag: "#text", Text: x.text, Box: box}, {Parent: 2, Tag: "div", Box: box, Style: plain},
			{Parent: 5, Tag: "button", Box: box, Style: plain, Backend: 7}, {Parent: 6, Tag: "#text", Text: x.first, Box: box}, {Parent: 5, Tag: "button", Box: box, Style: plain, Backend: 8}, {Parent: 8, Tag: "#text", Text: x.second, Box: box}}}
		if b, ok := c.Banner(p, 1); ok != x.want || ok && (b.Node != 2 || b.Kind != "inline") {
			t.Errorf("%q: %v, node %d, kind %s (%s)", x.text, ok, b.Node, b.Kind, b.Why)
		}
	}
}
