package lab

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// Spec is the recipe of a site: which parts, and what is done with them.
type Spec struct {
	Host        string   `json:"host"`
	Name        string   `json:"name"`
	Sector      string   `json:"sector"`
	Theme       string   `json:"theme"`
	Colour      string   `json:"colour"`
	Lang        string   `json:"lang"`
	Banner      string   `json:"banner,omitempty"` // name of a consent manager; "" for none
	Layout      string   `json:"layout,omitempty"`
	Place       Place    `json:"place,omitempty"`
	DelayMS     int      `json:"delay_ms,omitempty"`    // of PlaceLate
	Statistics  []string `json:"statistics,omitempty"`  // trackers that run after consent to statistics
	Advertising []string `json:"advertising,omitempty"` // trackers that run after consent to advertising
	Early       []string `json:"early,omitempty"`       // trackers that run before any choice
	Traits      []string `json:"traits,omitempty"`
	Advanced    bool     `json:"advanced,omitempty"` // Google's tags run before the choice, with consent denied
	Knobs       []string `json:"knobs,omitempty"`    // what is done to the site, see the list below
	Mutation    string   `json:"mutation,omitempty"`
}

// Knobs that the site's own script turns, so that they work with every consent
// manager. Those that a consent manager's markup must support are named in its
// about.yaml.
var runtimeKnobs = []string{"refusal-ignored", "objection-ignored", "withdrawal-ignored", "scroll-accepts", "withdrawal-missing", "statistics-unsaid", "statistics-no-switch", "policy-says-little"}

// catalog is everything that sites are made of.
type catalog struct {
	parts     map[Kind]map[string]*Part
	texts     map[string]*Texts
	mutations []*Mutation
}

func loadCatalog() (*catalog, error) {
	p, err := parts()
	if err != nil {
		return nil, err
	}
	t, err := texts()
	if err != nil {
		return nil, err
	}
	c := &catalog{parts: p, texts: t}
	c.mutations, err = mutations(c)
	return c, err
}

// words are the texts that a site took from the lists of its language.
type words struct {
	Title, Intro, Accept, Reject, Settings, Save, OK, Close, Sure, SureYes, SettingsTitle                          string
	Necessary, NecessaryText, Statistics, StatisticsText, Advertising, AdvertisingText, Object                     string
	Policy, Privacy, Reopen, Shame, Pay, Implied, Legitimate, Notice, StatNotice, StatOn, StatOff, Withdraw, Keeps string
}

// view is what the files of parts are filled in with.
type view struct {
	*Spec
	W          words
	Stats, Ads bool // the banner asks for these
}

// Has tells whether a knob is turned.
func (s *Spec) Has(knob string) bool { return slices.Contains(s.Knobs, knob) }

// rng is the source of a site's choices: the same host, the same choices.
func (s *Spec) rng(salt string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(s.Host + "|" + salt))
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (s *Spec) words(t *Texts) words {
	r := s.rng("words")
	b := &t.Banner
	var purposes []string
	if len(s.Statistics) > 0 {
		purposes = append(purposes, b.StatisticsPurpose)
	}
	if len(s.Advertising) > 0 || len(purposes) == 0 {
		purposes = append(purposes, b.AdvertisingPurpose)
	}
	fill := func(text string) string {
		return strings.ReplaceAll(text, "{purposes}", strings.Join(purposes, " "+b.And+" "))
	}
	title, intro := pick(r, b.Title), pick(r, b.Intro)
	if s.Has("policy-says-little") {
		intro = b.Intro[0] // the one that names no partners
	}
	told := b.StatNotice
	if s.Has("statistics-no-switch") { // its second sentence is the off switch
		told, _, _ = strings.Cut(told, ". ")
		told += "."
	}
	return words{
		Title: title, Intro: fill(intro), Accept: pick(r, b.Accept), Reject: pick(r, b.Reject), Settings: pick(r, b.Settings), Save: pick(r, b.Save), OK: pick(r, b.OK), Close: b.Close,
		Sure: b.Sure, SureYes: b.SureYes, SettingsTitle: pick(r, b.SettingsTitle), Necessary: pick(r, b.Necessary), NecessaryText: b.NecessaryText, Statistics: pick(r, b.Statistics), StatisticsText: b.StatisticsText,
		Advertising: pick(r, b.Advertising), AdvertisingText: b.AdvertisingText, Object: pick(r, b.Object), Policy: b.Policy, Privacy: b.Privacy, Reopen: pick(r, b.Reopen), Implied: fill(b.Implied), Legitimate: b.Legitimate, Notice: b.Notice,
		StatNotice: told, Shame: b.Shame, Pay: b.Pay, StatOn: b.StatOn, StatOff: b.StatOff, Withdraw: t.Page.Withdraw, Keeps: fill(t.Page.Keeps),
	}
}

// trackers are all that the recipe runs at some time, each once.
func (s *Spec) trackers() []string {
	out := slices.Concat(s.Statistics, s.Advertising, s.Early)
	slices.Sort(out)
	return slices.Compact(out)
}

// check tells what is wrong with a recipe.
func (c *catalog) check(s *Spec) error {
	t := c.texts[s.Lang]
	switch {
	case t == nil:
		return fmt.Errorf("no texts in the language %q", s.Lang)
	case s.Banner == "" && len(s.Statistics)+len(s.Advertising) > 0:
		return fmt.Errorf("trackers that wait for a choice, and no banner")
	}
	for _, n := range s.trackers() {
		if c.parts[KindTracker][n] == nil {
			return fmt.Errorf("no tracker is called %q", n)
		}
	}
	for _, n := range s.Traits {
		if c.parts[KindTrait][n] == nil {
			return fmt.Errorf("no trait is called %q", n)
		}
	}
	if s.Banner == "" {
		return nil
	}
	b := c.parts[KindBanner][s.Banner]
	switch {
	case b == nil:
		return fmt.Errorf("no consent manager is called %q", s.Banner)
	case b.Layouts[s.Layout] == "":
		return fmt.Errorf("%s has no layout %q", s.Banner, s.Layout)
	case !b.places(s.Place):
		return fmt.Errorf("%s cannot stand at %q", s.Banner, s.Place)
	case len(b.Langs) > 0 && !slices.Contains(b.Langs, s.Lang):
		return fmt.Errorf("%s does not speak %s", s.Banner, s.Lang)
	}
	for _, k := range s.Knobs {
		if !slices.Contains(runtimeKnobs, k) && !slices.Contains(b.Knobs, k) {
			return fmt.Errorf("%s has no knob %q", s.Banner, k)
		}
	}
	return nil
}

// places tells whether a consent manager can stand at a place.
func (p *Part) places(at Place) bool {
	if slices.Contains(p.Never, at) {
		return false
	}
	switch at {
	case PlaceTop, PlaceLate, PlaceScroll, PlaceMouse, PlaceFrame, PlaceForeign:
		return true
	}
	return slices.Contains(p.Places, at)
}

// frameHost is the other origin that PlaceForeign uses.
const frameHost = "choices.consent-delivery.example"

// build makes the site of a recipe.
func (c *catalog) build(s *Spec) (*Site, error) {
	if err := c.check(s); err != nil {
		return nil, fmt.Errorf("site %s: %w", s.Host, err)
	}
	t := c.texts[s.Lang]
	v := &view{Spec: s, W: s.words(t), Stats: len(s.Statistics) > 0, Ads: len(s.Advertising) > 0}
	site := &Site{Host: s.Host, Name: s.Name, Sector: s.Sector, Lang: t.Lang, Colour: s.Colour, Theme: s.Theme, Set: "lawful", Spec: s, texts: t, words: v.W}
	site.Truth = Truth{Outcome: "assessed", Overall: "clear", Fails: []string{}, Language: strings.SplitN(t.Lang, "-", 2)[0], Controls: []ControlTruth{}, Items: []Item{}}
	var head, body, inFrame strings.Builder

	for _, n := range s.Traits {
		p := c.parts[KindTrait][n]
		for file, b := range map[string]*strings.Builder{"head.html": &head, "body.html": &body} {
			text, err := p.text(file, v)
			if err != nil {
				return nil, err
			}
			b.WriteString(text)
		}
		site.Cookies = append(site.Cookies, p.Cookies...)
		site.Truth.Banner = site.Truth.Banner || p.Banner
		site.use(p, "idle", "reject", "accept")
	}

	plan := map[string]any{"statistics": list(s.Statistics), "advertising": list(s.Advertising), "early": list(s.Early), "knobs": list(s.Knobs), "place": s.Place, "layout": s.Layout, "delay": s.DelayMS}
	if s.Advanced {
		plan["consentMode"] = "advanced"
	}
	if len(s.Early) > 0 || s.Place == PlaceFrame || s.Place == PlaceForeign || s.Place == PlaceScroll || s.Place == PlaceMouse || s.Has("scroll-accepts") {
		plan["remember"] = true
	}
	items := map[string][]Item{}
	var snippets strings.Builder
	for _, n := range s.trackers() {
		p := c.parts[KindTracker][n]
		items[n] = p.Stores
		text, err := p.text("snippet.js", v)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&snippets, "%q: () => {\n%s},\n", n, text)
		when := []string{}
		if slices.Contains(s.Early, n) {
			when = append(when, "idle")
		}
		if s.Banner != "" {
			if slices.Contains(s.Early, n) || s.Has("refusal-ignored") && slices.Contains(s.Advertising, n) || s.Has("objection-ignored") && slices.Contains(s.Statistics, n) {
				when = append(when, "reject")
			}
			when = append(when, "accept")
		}
		site.use(p, when...)
		if s.Advanced && strings.HasPrefix(n, "google-") {
			for _, it := range p.Sends {
				site.Truth.Pings = append(site.Truth.Pings, it.Host)
			}
		}
	}
	plan["items"] = items

	if s.Banner != "" {
		b := c.parts[KindBanner][s.Banner]
		site.Truth.Banner, site.CMP, site.Truth.CMP, site.Truth.Kind = true, b.CMP, b.CMP, b.Layouts[s.Layout]
		frame := s.Place == PlaceFrame || s.Place == PlaceForeign
		if frame {
			plan["frame"] = true
			plan["frameURL"] = "/choices"
			if s.Place == PlaceForeign {
				plan["frameURL"] = "https://" + frameHost + "/choices?of=" + s.Host
			}
		}
		into := &body
		if frame {
			into = &inFrame
		}
		h, err := b.text("head.html", v)
		if err != nil {
			return nil, err
		}
		if !frame {
			head.WriteString(h)
		}
		m, err := b.text("body.html", v)
		if err != nil {
			return nil, err
		}
		if m != "" {
			fmt.Fprintf(into, "<template data-banner>\n%s</template>\n", m)
		}
		run, err := b.text("run.js", v)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(into, "<script>\nsite.banner((root) => {\n%s});\n</script>\n", run)
		site.Truth.Controls, err = b.controls(v)
		if err != nil {
			return nil, err
		}
		when := []string{"idle", "reject", "accept"}
		if s.Place == PlaceScroll || s.Place == PlaceMouse {
			when = when[1:] // it does not run while nobody moves
		}
		site.use(b, when...)
		if frame {
			body.WriteString("<script>site.banner(() => {});</script>\n")
			site.frame = fmt.Sprintf("<!doctype html><html lang=%q style=\"background:transparent\"><head><meta charset=\"utf-8\"><title>%s</title>\n%s%s</head><body style=\"background:transparent;margin:0\">%s</body></html>", t.Lang, v.W.Title, own(plan, ""), h, inFrame.String())
		}
	}
	site.head = own(plan, snippets.String()) + head.String()
	site.body = body.String()
	site.About = s.about()
	if s.Mutation != "" {
		m := c.mutations[slices.IndexFunc(c.mutations, func(m *Mutation) bool { return m.Name == s.Mutation })]
		site.Set, site.Truth.Overall, site.Truth.Fails = "mutant", m.Overall, m.Fails
		site.About = m.About + " " + site.About
	}
	return site, nil
}

func list(ss []string) []string {
	if ss == nil {
		return []string{}
	}
	return ss
}

// own is the site's own script with its plan.
func own(plan map[string]any, snippets string) string {
	raw, err := json.Marshal(plan)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return fmt.Sprintf("<script>window.sitePlan = %s;\nwindow.siteTrackers = {\n%s};</script>\n<script src=\"/site.js\"></script>\n", raw, snippets)
}

// about says what is true of a generated site, for people.
func (s *Spec) about() string {
	var f []string
	add := func(format string, a ...any) { f = append(f, fmt.Sprintf(format, a...)) }
	if s.Banner == "" {
		add("no consent manager")
	} else {
		add("%s as %s, %s", s.Banner, s.Layout, s.Place)
	}
	if len(s.Statistics) > 0 {
		add("for statistics %s", strings.Join(s.Statistics, ", "))
	}
	if len(s.Advertising) > 0 {
		add("for advertising %s", strings.Join(s.Advertising, ", "))
	}
	if s.Advanced {
		add("Consent Mode advanced")
	}
	if len(s.Early) > 0 {
		add("before any choice %s", strings.Join(s.Early, ", "))
	}
	if len(s.Traits) > 0 {
		add("%s", strings.Join(s.Traits, ", "))
	}
	if s.Mutation != "" {
		add("fault: %s", s.Mutation)
	}
	return strings.Join(f, "; ") + "."
}

// use records what a part leaves behind, and in which scenarios.
func (s *Site) use(p *Part, when ...string) {
	s.parts = append(s.parts, p)
	for _, it := range slices.Concat(p.Stores, p.Sends) {
		w := when
		switch it.Only {
		case "chosen":
			w = []string{"reject", "accept"}
		case "maybe":
			w = []string{}
		}
		if it.Host == "" {
			it.Host = s.Host
			if p.Kind == KindBanner && s.Spec != nil && s.Spec.Place == PlaceForeign {
				it.Host, w = frameHost, []string{} // what a frame of another site may keep is the browser's to say
			}
		}
		it.When = slices.Clone(w)
		if i := slices.IndexFunc(s.Truth.Items, func(o Item) bool { return o.Kind == it.Kind && o.Name == it.Name && o.Host == it.Host }); i >= 0 {
			o := &s.Truth.Items[i]
			for _, x := range w {
				if !slices.Contains(o.When, x) {
					o.When = append(o.When, x)
				}
			}
			continue
		}
		s.Truth.Items = append(s.Truth.Items, it)
	}
}

// matches tells whether an item is the one that a truth names.
func (it Item) matches(kind, name, host string) bool {
	ok, err := path.Match(it.Name, name)
	return it.Kind == kind && (it.Name == name || err == nil && ok) && (strings.TrimPrefix(it.Host, "www.") == strings.TrimPrefix(host, "www.") || kind != "cookie" && it.Host == host)
}
