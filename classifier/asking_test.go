package classifier

import (
	"slices"
	"testing"

	pc "pecrawler"
)

func newClassifier(t *testing.T) *Classifier {
	t.Helper()
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPassages(t *testing.T) {
	c := newClassifier(t)
	for text, want := range map[string]string{
		"By continuing to use this site, or by scrolling, you agree to our use of cookies for measuring.":              FlagImplied,
		"Drwy barhau i ddefnyddio'r wefan hon, neu drwy sgrolio, rydych yn cytuno i'n defnydd o gwcis ar gyfer mesur.": FlagImplied,
		"Drwy barhau i ddefnyddio'r wefan hon, rydych yn cytuno i'n defnydd o'r cwcis hyn.":                            FlagImplied,
		"Wenn Sie diese Website weiter nutzen oder scrollen, stimmen Sie der Verwendung von Cookies für Werbung zu.":   FlagImplied,
		"En poursuivant votre navigation, vous acceptez notre utilisation de cookies.":                                 FlagImplied,
		"Si continúa navegando o desplaza la página, acepta que usemos cookies.":                                       FlagImplied,
		"We use cookies on www.shop.example. If you carry on, we'll assume that you are happy with this.":              FlagImplied,
		"We set cookies. Scrolling down the page counts as consent.":                                                   FlagImplied,
		"If you're happy with our cookies, just carry on browsing.":                                                    FlagImplied,
		"We use cookies. If you continue without changing your settings, you agree to them.":                           FlagImplied,
		"Rydym yn defnyddio cwcis. Os byddwch yn parhau i bori, byddwn yn tybio eich bod yn hapus â hynny.":            FlagImplied,
		"Wir verwenden Cookies. Wenn Sie die Seite weiter nutzen, gehen wir davon aus, dass Sie dem zustimmen.":        FlagImplied,
		"We do not take your use of this site as consent to cookies.":                                                  "",
		"We use cookies. By continuing to use your account you accept our terms of service.":                           "",
		"By continuing to use this site you accept our terms and conditions.":                                          "",
		"By using the buttons below you can accept or refuse cookies.":                                                 "",
		"If you continue without accepting, no cookies are set that need consent.":                                     "",
		"We do not assume that you agree to cookies by continuing.":                                                    "",
		"We use cookies. Some are needed to run the site; others are only set if you agree.":                           "",
		"By clicking accept you agree to our use of cookies and our terms of use.":                                     FlagTerms,
		"Accept cookies, and read our cookie policy. Our terms are elsewhere.":                                         "",
		"Accept advertising cookies, or subscribe for £4 a month to read without them.":                                FlagPay,
		"We use cookies for ads. Read without tracking: subscribe from £3 a month. Read with it: accept.":              FlagPay,
		"Subscribe to our newsletter.":                                 "",
		"You do not have to accept cookies to use this site.":          "",
		"You cannot use this website without accepting cookies.":       FlagMisleading,
		"Cookies for advertising are necessary for this website.":      FlagMisleading,
		"This website will not work unless you accept all cookies.":    FlagMisleading,
		"Rejecting cookies does not change what you can read here.":    "",
		"By law you must accept our cookies.":                          FlagMisleading,
		"We use strictly necessary cookies such as the Meta pixel.":    FlagMisleading,
		"We use cookies for ads. They are necessary for the site.":     FlagMisleading,
		"Hurry: 20 seconds left to accept cookies.":                    FlagMisleading,
		"I do not want to opt out of cookies.":                         FlagMisleading,
		"Os gwrthodwch gwcis marchnata, ni fydd y wefan yn gweithio.":  FlagMisleading,
		"Nid oes rhaid i chi dderbyn cwcis hysbysebu.":                 "",
		"The law says that we must ask for your consent to cookies.":   "",
		"We respect your privacy. Analytics cookies are optional.":     "",
		"Essential cookies cannot be switched off.":                    "",
		"This website cannot function properly without these cookies.": "",
		"If you reject marketing cookies, adverts are less relevant.":  "",
	} {
		var got []string
		for _, w := range c.Passages(text) {
			got = append(got, w.Flag)
		}
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("%q: %v, want %q", text, got, want)
		}
	}
}

func TestShaming(t *testing.T) {
	for _, text := range []string{"No, I don't care about a good experience", "Na, does dim ots gen i am brofiad da", "Nein, ich mag schlechte Websites", "Non, je préfère une mauvaise expérience", "No, prefiero una mala experiencia",
		"No, preferisco una brutta esperienza", "Nee, ik wil een slechte ervaring", "Nie, wolę złe wrażenia", "Não, prefiro uma má experiência", "Nu, prefer o experiență proastă", "No thanks, I like boring adverts", "No, I'd rather have irrelevant ads", "No thanks, I'll pay full price", "I don't want to save money", "No, I don't care about quality", "No, I don't value a fast site", "Decline and lose my benefits", "No, leave me in the dark", "Na, mae'n well gen i hysbysebion diflas"} {
		if shaming(normal(text)) == "" {
			t.Errorf("%q does not shame", text)
		}
	}
	for _, text := range []string{"No, thanks", "Reject all", "I do not accept", "No, I don't want cookies", "I don't want personalised ads", "Gwrthod y cyfan", "Nein, danke", "Continuer sans accepter", "Continue without accepting", "I prefer not to say", "Only essential cookies", "No, manage my choices", "I don't agree", "I don't want personalised offers", "I don't need marketing cookies", "No, don't track me", "I don't want my data shared", "Reject and close", "Dydw i ddim eisiau cwcis hysbysebu"} {
		if m := shaming(normal(text)); m != "" {
			t.Errorf("%q shames by %q", text, m)
		}
	}
}

// A better experience is no purpose; a word that names one is enough.
func TestTextsThatNameNoPurpose(t *testing.T) {
	for text, want := range map[string]bool{
		"We use cookies.": true, "This website uses cookies to ensure you get the best experience.": true, "Rydym yn defnyddio cwcis i wella eich profiad.": true, "We use cookies. By continuing you agree.": true,
		"We use cookies to show you relevant ads.": false, "We use cookies to keep you signed in.": false, "Rydym yn defnyddio cwcis i fesur ymweliadau.": false, "We use cookies to improve your experience and analyse our traffic.": false,
		"Accept all cookies": false, "Yes, I accept all optional cookies": false, "Sign up to our newsletter and never miss an offer again.": false,
	} {
		if got := namesNoPurpose(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestPurposeOfToggles(t *testing.T) {
	for head, want := range map[string]pc.Class{
		"Marketing": pc.NonExemptAdvertising, "Targeting cookies": pc.NonExemptAdvertising, "Hysbysebu": pc.NonExemptAdvertising, "Statistics + Advertising": pc.NonExemptAdvertising, "Measure advertising performance": pc.NonExemptAdvertising,
		"Publicité": pc.NonExemptAdvertising, "Werbung": pc.NonExemptAdvertising, "Reklama": pc.NonExemptAdvertising, "Object to advertising": pc.NonExemptAdvertising,
		"Strictly necessary": pc.ExemptStrict, "Hollol angenrheidiol": pc.ExemptStrict, "Essential": pc.ExemptStrict, "Strict necesare": pc.ExemptStrict,
		"Analytics": pc.ConditionalStatistics, "Ystadegau": pc.ConditionalStatistics, "Performance": pc.ConditionalStatistics, "Mesure d'audience": pc.ConditionalStatistics, "Statystyka": pc.ConditionalStatistics,
		"Functional": pc.ConditionalAppearance, "Preferences": pc.ConditionalAppearance,
		"Non-essential cookies": "", "Accept all": "", "Heads of department": "", "Social media": "",
	} {
		if got, _ := purposeOf(normal(head)); got != want {
			t.Errorf("%q: %q, want %q", head, got, want)
		}
	}
	for head, want := range map[string]bool{"Statistics + Advertising": true, "Analytics and marketing cookies": true, "Dadansoddeg a hysbysebu": true, "Statistik & Werbung": true, "Measure advertising performance": false, "Advertising": false, "Analytics": false, "Marketing Automation": false} {
		if got := bundle.MatchString(normal(head)); got != want {
			t.Errorf("%q is bundled: %v, want %v", head, got, want)
		}
	}
}

// A panel with rows as consent managers draw them.
func TestToggles(t *testing.T) {
	c := newClassifier(t)
	on, off := true, false
	box := &pc.Box{X: 100, Y: 100, W: 400, H: 40}
	p := &pc.Page{Width: 1280, Height: 800, Lang: "en"}
	add := func(parent int, tag, text string, attrs map[string]string) int {
		n := pc.Node{Parent: parent, Tag: tag, Text: text, Attrs: attrs, Box: box, Backend: int64(len(p.Nodes) + 1)}
		if tag != "#text" {
			n.Style = &pc.Style{Opacity: 1, Background: "rgba(0, 0, 0, 0)", Color: "rgb(0, 0, 0)", FontPx: 16, Weight: "400"}
		}
		p.Nodes = append(p.Nodes, n)
		return len(p.Nodes) - 1
	}
	html := add(-1, "html", "", nil)
	body := add(html, "body", "", nil)
	dialog := add(body, "div", "", map[string]string{"id": "cookie-consent", "role": "dialog"})
	add(dialog, "#text", "We use cookies. Choose what you allow.", nil)
	row := func(head, prose string, checked *bool, attrs map[string]string) {
		r := add(dialog, "div", "", nil)
		h := add(r, "h3", "", nil)
		add(h, "#text", head, nil)
		add(r, "#text", prose, nil)
		a := map[string]string{"type": "checkbox", "id": "c" + head[:1]}
		for k, v := range attrs {
			a[k] = v
		}
		i := add(r, "input", "", a)
		p.Nodes[i].Checked = checked
	}
	row("Strictly necessary", "Always on; no advertising.", &on, map[string]string{"disabled": ""})
	row("Analytics", "These count visits, also from advertising.", &on, nil)
	row("Marketing", "These show adverts.", &on, nil)
	row("Object to advertising", "On means no.", &off, nil)
	row("Advertising: legitimate interest", "Partners rely on it.", &on, nil)
	for _, s := range []string{"Save my choices", "Reject all"} {
		b := add(dialog, "button", "", nil)
		add(b, "#text", s, nil)
		p.Nodes[b].Style.Background, p.Nodes[b].Style.Color = "rgb(0, 0, 0)", "rgba(255, 255, 255, 0.5)"
	}
	b, ok := c.Banner(p, 1)
	if !ok {
		t.Fatal("no banner")
	}
	type read struct {
		text           string
		class          pc.Class
		locked, object bool
	}
	var got []read
	for _, ct := range b.Controls {
		if ct.Action == pc.ActToggle {
			got = append(got, read{ct.Text, ct.For, ct.Locked, ct.Object})
			if ct.Looks != nil {
				t.Errorf("the looks of the toggle %q are measured", ct.Text)
			}
		}
	}
	want := []read{{"Strictly necessary", pc.ExemptStrict, true, false}, {"Analytics", pc.ConditionalStatistics, false, false}, {"Marketing", pc.NonExemptAdvertising, false, false}, {"Object to advertising", pc.NonExemptAdvertising, false, true}, {"Advertising: legitimate interest", pc.NonExemptAdvertising, false, false}}
	if !slices.Equal(got, want) {
		t.Errorf("toggles: %v\nwant %v", got, want)
	}
	var flags []string
	for _, w := range c.asks(&b) {
		flags = append(flags, w.Flag+" "+w.Span)
	}
	if !slices.Equal(flags, []string{"legitimate-interest Advertising: legitimate interest"}) {
		t.Errorf("wording: %q", flags)
	}
	last := b.Controls[len(b.Controls)-1]
	if l := last.Looks; l == nil || l.Area != 16000 || l.Fill != 21 || l.Contrast < 5 || l.Contrast > 6 || l.FontPx != 16 || l.Weight != 400 || l.Link || l.Below || l.Order != 7 {
		t.Errorf("looks of %q: %+v", last.Text, l)
	}
}

func TestContrast(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want float64
	}{{"rgb(0, 0, 0)", "rgb(255, 255, 255)", 21}, {"rgb(119, 119, 119)", "rgb(255, 255, 255)", 4.48}, {"rgb(201, 201, 201)", "rgb(255, 255, 255)", 1.66}} {
		a, okA := parseColour(tt.a)
		b, okB := parseColour(tt.b)
		if got := contrast(a, b); !okA || !okB || got != tt.want {
			t.Errorf("%s on %s: %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
	if _, ok := parseColour("color(srgb 1 0 0)"); ok {
		t.Error("a notation that is not known was read")
	}
}
