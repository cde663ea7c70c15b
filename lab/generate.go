package lab

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// Host names are made of two words and what the site is.
var (
	firstWords = strings.Fields(`amber anchor apple ash aspen autumn barley beacon birch blue bramble bridge bright brook cedar chalk cherry clear clover coast copper coral corner crescent daisy dawn
		eagle elder elm ember fair falcon fern field flint forest fox garden glen golden granite green grove harvest hazel heather heron hill hollow holly honey iron ivy juniper kestrel lake lantern lark laurel lavender
		linden maple marble meadow mill misty moor moss north oak old orchard otter pearl pine plum poppy quarry quiet raven reed river robin rose rowan saffron sage sandy silver sky slate spring stone swan thistle tide timber valley velvet violet walnut water wild willow winter wren`)
	secondWords = strings.Fields(`bank barn bay court cross dale farm ford gate green hall harbour haven heath hill house island junction lane ley lock lodge market mead mill mount nook park path pier place point pond port quay ridge road row shore side square stile street thorpe tower vale view walk weir well wharf wick wood works yard`)
	sectors     = map[string][]string{
		"retail": {"books", "shoes", "interiors", "toys", "garden-shop", "cycles"}, "news": {"gazette", "herald", "echo", "news"}, "public": {"council", "library", "museum", "parish"},
		"travel": {"hotel", "holidays", "hostel", "tours"}, "health": {"dental", "clinic", "pharmacy"}, "food": {"bakery", "kitchen", "brewery"}, "charity": {"trust", "hospice", "rescue"}, "software": {"software", "apps", "cloud"}, "leisure": {"theatre", "gym", "golf"},
	}
	colours = []string{"#1a4d5c", "#5a1846", "#0b3d2e", "#2d2d38", "#3b4a6b", "#8a3b12", "#20615b", "#4b2a8c", "#7a1f2b", "#35607a", "#2f5d34", "#5b3a29", "#1d3557", "#6b4e00"}
)

// name gives site number i of a seed its host, name and sector; no two numbers
// below half a million share a host.
func name(seed uint64, i int, s *Spec) {
	r := rand.New(rand.NewPCG(seed, uint64(i)+7))
	a, b := len(firstWords), len(secondWords)
	k := int((uint64(i)*2654435761 + seed*40503) % uint64(a*b)) // the factor is prime to a·b
	round := i / (a * b)
	sector := pick(r, slices.Sorted(maps.Keys(sectors)))
	what := pick(r, sectors[sector])
	first, second := firstWords[k%a], secondWords[k/a]
	s.Sector = sector
	s.Host = fmt.Sprintf("%s%s-%s.example", first, second, what)
	if round > 0 {
		s.Host = fmt.Sprintf("%s%s-%s-%d.example", first, second, what, round)
	}
	if r.IntN(3) == 0 {
		s.Host = "www." + s.Host
	}
	title := func(w string) string { return strings.ToUpper(w[:1]) + w[1:] }
	var words []string
	for _, w := range strings.Split(what, "-") {
		words = append(words, title(w))
	}
	s.Name = title(first+second) + " " + strings.Join(words, " ")
}

// MostLawful is how many lawful sites of a seed are told apart from its mutants.
const MostLawful = 5000

// lawful makes the first n lawful sites of a seed. Site i is the same whatever n is.
func (c *catalog) lawful(seed uint64, n int) []*Spec {
	out := make([]*Spec, 0, n)
	for i := range n {
		out = append(out, c.recipe(seed, i, ""))
	}
	return out
}

// some takes a number of things from a list, in its order.
func some(r *rand.Rand, list []string, n int) []string {
	var out []string
	for _, i := range r.Perm(len(list))[:min(n, len(list))] {
		out = append(out, list[i])
	}
	slices.Sort(out)
	return out
}

// recipe is lawful site i of a seed: nothing that needs consent runs before it
// was given, and refusing is as easy as accepting. With banner "" the consent
// manager is chosen too; then some sites have none.
func (c *catalog) recipe(seed uint64, i int, banner string) *Spec {
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	s := &Spec{Theme: pick(r, themeNames()), Colour: pick(r, colours)}
	name(seed, i, s)
	banners := slices.Sorted(maps.Keys(c.parts[KindBanner]))
	traits := slices.Sorted(maps.Keys(c.parts[KindTrait]))
	langs := slices.Sorted(maps.Keys(c.texts))
	s.Lang = "en"
	switch x := r.IntN(10); {
	case x == 0:
		s.Lang = "cy"
	case x < 4:
		s.Lang = pick(r, langs)
	}
	if c.texts[s.Lang] == nil {
		s.Lang = "en"
	}
	// What it does without asking: up to three lawful habits that get on with each other.
	for _, t := range some(r, traits, r.IntN(4)) {
		c.join(s, t)
	}
	// The exception for statistics is where naive rules go wrong, so a third of the sites use it.
	counts := s.rng("exception").IntN(3) == 0
	if banner == "" {
		if i%8 == 7 { // nothing needs consent, so nobody is asked
			if counts {
				c.join(s, pick(s.rng("counts"), []string{"own-statistics", "quiet-statistics"}))
			}
			return s
		}
		banner = banners[(i-i/8)%len(banners)] // all have their turn
	}
	b := c.parts[KindBanner][banner]
	s.Banner = banner
	// A site that asks properly does not also carry a notice of another kind, nor hide the question.
	s.Traits = slices.DeleteFunc(s.Traits, func(t string) bool { return c.parts[KindTrait][t].Banner || c.parts[KindTrait][t].Blocks })
	if counts {
		c.join(s, "quiet-statistics")
	}
	if len(b.Langs) > 0 && !slices.Contains(b.Langs, s.Lang) {
		s.Lang = pick(r, b.Langs)
		if c.texts[s.Lang] == nil {
			s.Lang = "en"
		}
	}
	s.Layout = pick(r, slices.Sorted(maps.Keys(b.Layouts)))
	s.Place = PlaceTop
	if r.IntN(2) == 0 {
		s.Place = pick(r, append([]Place{PlaceFrame, PlaceForeign, PlaceLate, PlaceScroll, PlaceMouse}, b.Places...))
	}
	if s.Place == PlaceLate {
		s.DelayMS = 1000 + r.IntN(15)*500
	}
	if !b.places(s.Place) {
		s.Place = PlaceTop
	}
	if s.Layout == "inline" && !slices.Contains([]Place{PlaceTop, PlaceLate, PlaceScroll, PlaceMouse, PlaceAnimated}, s.Place) {
		s.Place = PlaceTop // there it would stand at the foot of the page, where nobody is asked
	}
	var stats, ads []string
	for _, n := range slices.Sorted(maps.Keys(c.parts[KindTracker])) {
		switch c.parts[KindTracker][n].Purpose {
		case "statistics", "replay":
			stats = append(stats, n)
		case "advertising":
			ads = append(ads, n)
		}
	}
	switch r.IntN(5) {
	case 0:
		s.Statistics = some(r, stats, 1+r.IntN(2))
	case 1:
		s.Advertising = some(r, ads, 1+r.IntN(3))
	default:
		s.Statistics, s.Advertising = some(r, stats, 1+r.IntN(2)), some(r, ads, 1+r.IntN(3))
	}
	// A trait that runs a tool lawfully and a tracker of the same name after consent would hide each other.
	for _, t := range s.Traits {
		clash := func(n string) bool { return c.shares(c.parts[KindTrait][t], c.parts[KindTracker][n]) }
		s.Statistics = slices.DeleteFunc(s.Statistics, clash)
		s.Advertising = slices.DeleteFunc(s.Advertising, clash)
	}
	s.Statistics = slices.DeleteFunc(s.Statistics, func(n string) bool { return slices.Contains(b.Clears, n) })
	if len(s.Statistics)+len(s.Advertising) == 0 {
		s.Advertising = []string{"meta"}
	}
	google := slices.Contains(s.Statistics, "google-analytics") || slices.Contains(s.Advertising, "google-ads")
	s.Advanced = google && r.IntN(3) == 0
	return s
}

// shares tells whether two parts leave the same thing behind.
func (c *catalog) shares(a, b *Part) bool {
	for _, x := range slices.Concat(a.Stores, a.Sends) {
		for _, y := range slices.Concat(b.Stores, b.Sends) {
			if x.Kind == y.Kind && x.Name == y.Name && x.Host == y.Host {
				return true
			}
		}
	}
	return false
}

// join adds a trait to a site if it gets on with the others.
func (c *catalog) join(s *Spec, trait string) {
	if c.fits(s, c.parts[KindTrait][trait]) {
		s.Traits = append(s.Traits, trait)
	}
}

// fits tells whether a trait can join a site: one thing in front of the page is enough.
func (c *catalog) fits(s *Spec, p *Part) bool {
	for _, n := range s.Traits {
		o := c.parts[KindTrait][n]
		if p.Front && o.Front || p.Banner && o.Banner || c.shares(p, o) {
			return false
		}
	}
	return true
}

func themeNames() []string {
	var out []string
	for _, t := range themes.Templates() {
		if n, ok := strings.CutSuffix(t.Name(), ".html"); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}
