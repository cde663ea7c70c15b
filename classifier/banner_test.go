package classifier_test

import (
	"testing"

	pc "pecrawler"
	"pecrawler/classifier"
)

// bar is a page with a container that stands over it, which says a text and has buttons.
func bar(text string, buttons ...string) *pc.Page {
	plain, over := &pc.Style{Opacity: 1}, &pc.Style{Opacity: 1, Position: "fixed"}
	whole, box := &pc.Box{W: 1366, H: 3000}, &pc.Box{Y: 740, W: 1366, H: 160}
	p := &pc.Page{Lang: "en", Width: 1366, Height: 900, Nodes: []pc.Node{{Parent: -1, Tag: "html", Box: whole}, {Parent: 0, Tag: "body", Box: whole, Style: plain},
		{Parent: 1, Tag: "div", Box: box, Style: over}, {Parent: 2, Tag: "p", Box: box, Style: plain}, {Parent: 3, Tag: "#text", Text: text, Box: box}}}
	for i, b := range buttons {
		at := &pc.Box{X: float64(800 + 150*i), Y: 800, W: 120, H: 40}
		p.Nodes = append(p.Nodes, pc.Node{Parent: 2, Tag: "button", Box: at, Style: plain, Backend: int64(7 + i)}, pc.Node{Parent: len(p.Nodes), Tag: "#text", Text: b, Box: at})
	}
	return p
}

// A notice of statistics without consent says that they can be switched off: it
// may never speak of cookies. What else stands over a page is no banner.
func TestNoticesOfStatistics(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		text    string
		buttons []string
		want    bool
	}{
		{"We use analytics to improve this site.", []string{"OK", "Turn off"}, true},
		{"We count visits with our own statistics, kept on our own server. You can switch that off at any time.", []string{"Switch statistics off", "Got it"}, true},
		{"Rydym yn cyfrif ymweliadau gyda'n hystadegau ein hunain. Gallwch ddiffodd hynny unrhyw bryd.", []string{"Diffodd ystadegau", "Iawn"}, true},
		{"Wir zählen Besuche mit unserer eigenen Statistik. Sie können das jederzeit abschalten.", []string{"Statistik abschalten", "Verstanden"}, true},
		{"Mae'r wefan hon yn defnyddio dim ond y cwcis sydd eu hangen arni i weithio.", []string{"Rwy'n deall"}, true},

		{"Know what others read first. You can turn notifications off at any time.", []string{"Allow", "Not now"}, false},
		{"Your statistics: 12 games, 9 won. Hints can be switched off.", []string{"OK", "Settings"}, false},
		{"Join our newsletter. You can opt out at any time.", []string{"Subscribe", "No, thanks"}, false},
		{"Are you over 18? You must be of legal drinking age.", []string{"Yes", "No"}, false},
		{"We think that you are in France. Which shop would you like to see?", []string{"Continue", "Change"}, false},
		{"Our terms have changed. Please read them before you go on.", []string{"Accept", "Read more"}, false},
		{"Sign in to go on reading. Members see no adverts.", []string{"Sign in", "Not now"}, false},
		{"Hello! How can we help? We measure how quickly we answer.", []string{"Chat", "Close"}, false},
		{"Our app is faster. See how many use it.", []string{"Open the app", "Not now"}, false},

		// Words that much else speaks of need a control that no other dialog has.
		{"We value your privacy.", []string{"Accept all", "Reject all", "Customise"}, true},
		{"We use technologies to store and/or access device information.", []string{"Accept", "Deny", "View preferences"}, true},
		{"Welcome. This site asks for consent to use your data.", []string{"Consent", "Manage options"}, true},
		{"We use analytics to understand how people use our website.", []string{"Accept", "Decline"}, true},
		{"Before we chat, do you consent to this conversation being recorded?", []string{"I agree", "No"}, false},
		{"We have updated our terms and privacy policy.", []string{"Accept", "Close"}, false},
		{"Take part in our survey about privacy.", []string{"Yes", "No, thanks"}, false},
		{"Two partners, one prize! Enter our draw.", []string{"Accept", "Decline"}, false},
		{"Subscribe to our newsletter. We respect your privacy.", []string{"Sign up", "No, thanks"}, false},
		{"Our advertising rates.", []string{"OK", "Settings"}, false},
	} {
		b, ok := c.Banner(bar(x.text, x.buttons...), 1)
		if ok != x.want {
			t.Errorf("%q %q: %v, want %v (%s)", x.text, x.buttons, ok, x.want, b.Why)
		}
	}
}

// Where categories are shown, what is needed is the name of one; where nothing
// is switched, it is what refuses the rest.
func TestOnlyWhatIsNeeded(t *testing.T) {
	c := newClassifier(t)
	action := func(p *pc.Page, text string) pc.Action {
		b, _ := c.Banner(p, 1)
		for _, ct := range b.Controls {
			if ct.Text == text {
				return ct.Action
			}
		}
		return ""
	}
	const said = "We use cookies to run this site and, if you agree, to show advertising."
	for _, text := range []string{"Necessary cookies", "Strictly necessary", "Essential", "Cwcis hanfodol"} {
		if got := action(bar(said, "Accept all", text), text); got != pc.ActReject {
			t.Errorf("%q beside “Accept all” is %q", text, got)
		}
		if got := action(bar(said, "Settings", text), text); got == pc.ActReject {
			t.Errorf("%q refuses where nothing accepts", text)
		}
		p := bar(said, "Accept all", text)
		p.Nodes[7].Attrs = map[string]string{"aria-expanded": "false"}
		if got := action(p, text); got == pc.ActReject {
			t.Errorf("%q refuses, and opens a part of the page", text)
		}
		p = bar(said, "Accept all", text)
		off := false
		p.Nodes = append(p.Nodes, pc.Node{Parent: 2, Tag: "input", Attrs: map[string]string{"type": "checkbox"}, Checked: &off, Box: &pc.Box{X: 100, Y: 800, W: 20, H: 20}, Style: &pc.Style{Opacity: 1}})
		if got := action(p, text); got == pc.ActReject {
			t.Errorf("%q refuses where a category can be switched", text)
		}
	}
}

// What an author calls a control helps where its text says nothing, and never against it.
func TestWhatAuthorsCallControls(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		attrs map[string]string
		want  pc.Action
	}{
		{map[string]string{"id": "btnAcceptAll"}, pc.ActAccept}, {map[string]string{"class": "cookie-settings__accept"}, pc.ActAccept}, {map[string]string{"data-cookie-accept": ""}, pc.ActAccept}, {map[string]string{"data-action": "allowAll"}, pc.ActAccept}, {map[string]string{"id": "cwcis-derbyn"}, pc.ActAccept},
		{map[string]string{"class": "button button--reject"}, pc.ActReject}, {map[string]string{"id": "disagree-btn"}, pc.ActReject}, {map[string]string{"data-testid": "acceptNecessaryOnly"}, pc.ActReject}, {map[string]string{"id": "AcceptRequiredCookies"}, pc.ActReject}, {map[string]string{"href": "#refuser"}, pc.ActReject}, {map[string]string{"class": "ablehnen-btn"}, pc.ActReject},
		{map[string]string{"id": "acceptNonEssential"}, pc.ActAccept}, {map[string]string{"id": "acceptSelected"}, pc.ActSave}, {map[string]string{"class": "save-settings"}, pc.ActSave}, {map[string]string{"class": "cookie-banner-manage"}, pc.ActSettings}, {map[string]string{"id": "gosodiadau"}, pc.ActSettings},
		{map[string]string{"class": "btn btn-primary", "id": "consent-manager-button-1"}, ""}, {map[string]string{"class": "accept-reject-buttons"}, ""}, {map[string]string{"id": "accept", "class": "reject"}, ""}, {map[string]string{"class": "necessary"}, ""}, {map[string]string{"class": "btn disabled"}, ""}, {nil, ""},
	} {
		if got, _, _ := c.Named(x.attrs); got != x.want {
			t.Errorf("%v is %q, want %q", x.attrs, got, x.want)
		}
	}
	for _, x := range []struct {
		text, class string
		want        pc.Action
	}{{"", "cookies-accept", pc.ActAccept}, {"→", "js-refuse", pc.ActReject}, {"Дозволити", "js-allow-all", pc.ActAccept}, {"Reject all", "btn-accept", pc.ActReject}, {"OK", "btn-accept", pc.ActAcknowledge}, {"Necessary cookies", "decline-btn", pc.ActReject}, {"Add to basket", "agree", pc.ActOther}} {
		if got := c.Control(classifier.ControlRow{Text: x.text, Tag: "button", Attrs: map[string]string{"class": x.class}}); got.Action != x.want {
			t.Errorf("%q of class %q is %s (%s), want %s", x.text, x.class, got.Action, got.Why, x.want)
		}
	}
}

// A wrapper that is named after consent, around what stands over the page, does
// not make it part of the page.
func TestTheKindOfWhatStandsInAWrapper(t *testing.T) {
	p := bar("We use cookies to run this site and, if you agree, to show advertising.", "Accept all", "Reject all")
	for i := 2; i < len(p.Nodes); i++ {
		p.Nodes[i].Parent++
	}
	wrapper := pc.Node{Parent: 1, Tag: "div", Attrs: map[string]string{"id": "usercentrics-root"}, Box: &pc.Box{Y: 2990, W: 1366}, Style: &pc.Style{Opacity: 1}}
	p.Nodes = append(p.Nodes[:2:2], append([]pc.Node{wrapper}, p.Nodes[2:]...)...)
	p.Nodes[3].Parent = 2
	if b, ok := newClassifier(t).Banner(p, 1); !ok || b.Kind != "bar" {
		t.Errorf("%v, kind %s, node %d", ok, b.Kind, b.Node)
	}
}

// A dialog over the banner is put aside by what closes or declines it. To leave,
// to agree to it, or to answer another consent dialog is not to put it aside.
func TestWhatPutsADialogAside(t *testing.T) {
	c := newClassifier(t)
	for _, x := range []struct {
		over    string // what the dialog says
		buttons []string
		want    string // "": nothing
	}{
		{"Join our newsletter. 10 % off your first order.", []string{"Subscribe", "No, thanks"}, "No, thanks"},
		{"Join our newsletter.", []string{"Subscribe", "Close"}, "Close"},
		{"Ymunwch â'n cylchlythyr.", []string{"Tanysgrifio", "Dim diolch"}, "Dim diolch"},
		{"Are you of legal drinking age?", []string{"Yes, I am over 18", "No"}, ""},
		{"Our terms have changed.", []string{"Accept", "Read more"}, ""},
		{"We and our partners use cookies for advertising.", []string{"Accept all", "Reject all"}, ""},
	} {
		p := bar("We use cookies for advertising, if you accept.", "Accept all", "Reject all")
		whole := &pc.Box{W: 1366, H: 900}
		top := len(p.Nodes)
		p.Nodes = append(p.Nodes, pc.Node{Parent: 1, Tag: "div", Box: whole, Style: &pc.Style{Opacity: 1, Position: "fixed"}, Paint: 9, Attrs: map[string]string{"aria-modal": "true"}},
			pc.Node{Parent: top, Tag: "#text", Text: x.over, Box: whole, Paint: 9})
		for i, b := range x.buttons {
			at := &pc.Box{X: float64(400 + 150*i), Y: 400, W: 120, H: 40}
			p.Nodes = append(p.Nodes, pc.Node{Parent: top, Tag: "button", Box: at, Style: &pc.Style{Opacity: 1}, Paint: 9, Backend: int64(70 + i)}, pc.Node{Parent: len(p.Nodes), Tag: "#text", Text: b, Box: at, Paint: 9})
		}
		if ch, ok := c.Read(1, p).Choose(pc.GoalAside); ch.Text != x.want || ok != (x.want != "") {
			t.Errorf("%q %q: %+v, want %q", x.over, x.buttons, ch, x.want)
		}
	}
}
