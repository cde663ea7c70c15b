package figures

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	pc "pecrawler"
)

// Change is what became of a site, or of a rule on it, between two sweeps.
type Change string

// The changes. Only "flagged" is failing and only "clear" is not: what is for
// review or was not assessed in one of the sweeps proves neither.
const (
	NewlyFailing Change = "newly failing"
	Fixed        Change = "fixed"
	StillFailing Change = "still failing"
	StillClear   Change = "still clear"
	CouldNotTell Change = "could not tell"
	NewSite      Change = "new"  // only in the later sweep
	GoneSite     Change = "gone" // only in the earlier sweep
)

// Comparison is what changed from one sweep to another.
type Comparison struct {
	Schema  int            `json:"schema"`
	Before  Side           `json:"before"`
	After   Side           `json:"after"`
	Caveats []string       `json:"caveats"` // why a change may not be the sites' doing
	Both    int            `json:"both"`    // sites of both sweeps
	New     int            `json:"new"`     // only in the later one
	Gone    int            `json:"gone"`    // only in the earlier one
	Paired  Paired         `json:"paired"`
	Moves   []Move         `json:"moves"` // of the sites of both sweeps, by last word
	Rules   []RuleChange   `json:"rules"`
	Changed []ChangedSites `json:"changed"` // newly failing, fixed, still failing, could not tell, new, gone: by name
}

// Side are the counts of one of the two sweeps.
type Side struct {
	Sweep       Sweep         `json:"sweep"`
	Versions    []pc.Versions `json:"versions"`
	Sites       int           `json:"sites"`
	NotAssessed Share         `json:"not_assessed"`
	Flagged     Share         `json:"flagged"` // of the assessed, whether or not the other sweep has them
	Review      Share         `json:"review"`
	Clear       Share         `json:"clear"`
}

// Paired are sites, or sites under one rule, in both sweeps.
type Paired struct {
	NewlyFailing int `json:"newly_failing"`
	Fixed        int `json:"fixed"`
	StillFailing int `json:"still_failing"`
	StillClear   int `json:"still_clear"`
	CouldNotTell int `json:"could_not_tell"`
}

// Move counts the sites that went from one last word to another.
type Move struct {
	From  pc.Overall `json:"from"`
	To    pc.Overall `json:"to"`
	Sites int        `json:"sites"`
}

// RuleChange is what changed by one rule.
type RuleChange struct {
	Rule   string `json:"rule"`
	Status string `json:"status"`
	Paired
}

// ChangedSites names the sites of one change.
type ChangedSites struct {
	Change Change        `json:"change"`
	Sites  []ChangedSite `json:"sites"`
}

// ChangedSite is one site that changed, with the rules that say so.
type ChangedSite struct {
	Site  string     `json:"site"`
	From  pc.Overall `json:"from,omitempty"`
	To    pc.Overall `json:"to,omitempty"`
	Newly []string   `json:"newly_failing_rules,omitempty"`
	Fixed []string   `json:"fixed_rules,omitempty"`
}

func (p *Paired) count(c Change) {
	switch c {
	case NewlyFailing:
		p.NewlyFailing++
	case Fixed:
		p.Fixed++
	case StillFailing:
		p.StillFailing++
	case StillClear:
		p.StillClear++
	case CouldNotTell:
		p.CouldNotTell++
	}
}

// N is how many sites could be told in both sweeps.
func (p Paired) N() int { return p.NewlyFailing + p.Fixed + p.StillFailing + p.StillClear }

// Before and After are the failing shares of the sites that could be told in both.
func (p Paired) Before() Share { return Share{p.Fixed + p.StillFailing, p.N()} }

// After is the failing share in the later sweep.
func (p Paired) After() Share { return Share{p.NewlyFailing + p.StillFailing, p.N()} }

// Difference is the change of the failing share with an interval at 95 %: that
// of Agresti and Min for matched pairs, which adds half a pair to each of the
// four cells and holds its level where few sites changed.
func (p Paired) Difference() (d, low, high float64) {
	if p.N() == 0 {
		return 0, -1, 1
	}
	d = float64(p.NewlyFailing-p.Fixed) / float64(p.N())
	n, b, c := float64(p.N())+2, float64(p.NewlyFailing)+.5, float64(p.Fixed)+.5
	mid, half := (b-c)/n, z*math.Sqrt((b+c)-(b-c)*(b-c)/n)/n
	return d, max(mid-half, -1), min(mid+half, 1)
}

// PValue is McNemar's exact test: how often chance alone would part the sites
// that changed at least so unevenly, if a change for the worse were as likely
// as one for the better.
func (p Paired) PValue() float64 {
	n, k := p.NewlyFailing+p.Fixed, min(p.NewlyFailing, p.Fixed)
	if n == 0 {
		return 1
	}
	lg := func(x int) float64 { v, _ := math.Lgamma(float64(x) + 1); return v }
	sum := 0.0
	for i := range k + 1 {
		sum += math.Exp(lg(n) - lg(i) - lg(n-i) - float64(n)*math.Ln2)
	}
	return min(1, 2*sum)
}

// Sentence says plainly what changed, and whether chance would do.
func (p Paired) Sentence() string {
	if p.N() == 0 {
		return "No site could be told in both sweeps, so nothing can be said of a change."
	}
	d, low, high := p.Difference()
	change := "no change"
	if d != 0 {
		change = fmt.Sprintf("a %s of %.1f percentage points", map[bool]string{true: "rise", false: "fall"}[d > 0], 100*math.Abs(d))
	}
	chance := "Chance alone could do that."
	if p.PValue() < .05 {
		chance = "Chance alone would rarely do that."
	}
	return fmt.Sprintf("Of the %s that could be told in both sweeps, %s newly fail and %s are fixed. The failing share went from %.1f %% to %.1f %%: %s (95 %% interval %s to %s; exact McNemar test, p %s). %s",
		many(p.N(), "site"), thousands(p.NewlyFailing), thousands(p.Fixed), 100*p.Before().Value(), 100*p.After().Value(), change, signed(low), signed(high), pvalue(p.PValue()), chance)
}

// signed is a change in percentage points; none has no sign.
func signed(f float64) string {
	s := fmt.Sprintf("%+.1f", 100*f)
	if s == "+0.0" || s == "-0.0" {
		return "0.0"
	}
	return s
}

func pvalue(p float64) string {
	if p < .001 {
		return "< 0.001"
	}
	return fmt.Sprintf("= %.3f", p)
}

// Pairing takes the verdicts of the earlier sweep, then those of the later one.
type Pairing struct {
	sides   [2]*Tally
	before  map[string]*pattern // sites that the later sweep has not had yet
	known   map[string]*pattern
	moves   map[[2]pc.Overall]int
	paired  Paired
	both    int
	rules   map[string]*RuleChange
	changed map[Change][]ChangedSite
}

// pattern is what the comparison needs of a verdict. Few of them differ, so a
// site costs its name and a pointer.
type pattern struct {
	overall pc.Overall
	rules   map[string]pc.RuleOutcome
}

// NewPairing returns a comparison of nothing.
func NewPairing() *Pairing {
	return &Pairing{sides: [2]*Tally{NewTally(), NewTally()}, before: map[string]*pattern{}, known: map[string]*pattern{}, moves: map[[2]pc.Overall]int{}, rules: map[string]*RuleChange{}, changed: map[Change][]ChangedSite{}}
}

// Before takes the last word on a site in the earlier sweep. All of them come
// before the first [Pairing.After].
func (p *Pairing) Before(v pc.Verdict) {
	p.sides[0].Add(v)
	p.before[v.Site] = p.pattern(&v)
}

// After takes the last word on a site in the later sweep.
func (p *Pairing) After(v pc.Verdict) {
	p.sides[1].Add(v)
	now, was := p.pattern(&v), p.before[v.Site]
	if was == nil {
		p.changed[NewSite] = append(p.changed[NewSite], ChangedSite{Site: v.Site, To: now.overall})
		return
	}
	delete(p.before, v.Site)
	p.both++
	p.moves[[2]pc.Overall{was.overall, now.overall}]++
	change := between(word(was.overall), word(now.overall))
	p.paired.count(change)
	s := ChangedSite{Site: v.Site, From: was.overall, To: now.overall}
	for id := range p.rules {
		c := between(outcome(was.rules[id]), outcome(now.rules[id]))
		p.rules[id].count(c)
		switch c {
		case NewlyFailing:
			s.Newly = append(s.Newly, id)
		case Fixed:
			s.Fixed = append(s.Fixed, id)
		}
	}
	if change == StillClear { // an experimental rule alone changes nothing that is told of the site
		return
	}
	slices.Sort(s.Newly)
	slices.Sort(s.Fixed)
	p.changed[change] = append(p.changed[change], s)
}

func (p *Pairing) pattern(v *pc.Verdict) *pattern {
	key := make([]string, 0, len(v.Findings)+1)
	for _, f := range v.Findings {
		if !judgeable(v) {
			break
		}
		r := p.rules[f.Rule]
		if r == nil {
			if len(p.rules) >= maxValues {
				continue
			}
			r = &RuleChange{Rule: f.Rule, Status: f.Status}
			p.rules[f.Rule] = r
		}
		if f.Status == "stable" {
			r.Status = f.Status
		}
		key = append(key, f.Rule+" "+string(f.Outcome))
	}
	slices.Sort(key)
	k := string(v.Overall) + "\n" + strings.Join(key, "\n")
	x := p.known[k]
	if x == nil {
		x = &pattern{v.Overall, map[string]pc.RuleOutcome{}}
		for _, s := range key {
			id, o, _ := strings.Cut(s, " ")
			x.rules[id] = pc.RuleOutcome(o)
		}
		p.known[k] = x
	}
	return x
}

// judgeable tells whether findings are about a page. On a site that was given
// up there is a note in their place.
func judgeable(v *pc.Verdict) bool { return v.Outcome == pc.Assessed }

// state is failing, not failing or untold.
type state int

const (
	untold state = iota
	failing
	passing
)

func word(o pc.Overall) state {
	switch o {
	case pc.Flagged:
		return failing
	case pc.Clear:
		return passing
	}
	return untold
}

func outcome(o pc.RuleOutcome) state {
	switch o {
	case pc.Fail:
		return failing
	case pc.Pass, pc.NotApplicable:
		return passing
	}
	return untold
}

func between(was, is state) Change {
	switch {
	case was == untold || is == untold:
		return CouldNotTell
	case was == failing && is == failing:
		return StillFailing
	case was == failing:
		return Fixed
	case is == failing:
		return NewlyFailing
	}
	return StillClear
}

// words are the last words in the order in which people look.
func words() []pc.Overall {
	return []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed}
}

// Comparison returns what changed. It ends the pairing.
func (p *Pairing) Comparison(before, after Sweep) *Comparison {
	for site, was := range p.before {
		p.changed[GoneSite] = append(p.changed[GoneSite], ChangedSite{Site: site, From: was.overall})
	}
	c := &Comparison{Schema: Schema, Before: p.side(0, before), After: p.side(1, after), Both: p.both, New: len(p.changed[NewSite]), Gone: len(p.changed[GoneSite]), Paired: p.paired,
		Caveats: []string{}, Moves: []Move{}, Rules: []RuleChange{}, Changed: []ChangedSites{}}
	c.Caveats = caveats(c)
	for _, from := range words() {
		for _, to := range words() {
			c.Moves = append(c.Moves, Move{from, to, p.moves[[2]pc.Overall{from, to}]})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.rules)) {
		r := *p.rules[id]
		// A rule that came up late was judged in neither sweep on the sites before it.
		r.CouldNotTell = p.both - r.N()
		c.Rules = append(c.Rules, r)
	}
	slices.SortStableFunc(c.Rules, func(a, b RuleChange) int { return cmp.Compare(b.Status, a.Status) })
	for _, ch := range []Change{NewlyFailing, Fixed, StillFailing, CouldNotTell, NewSite, GoneSite} {
		sites := p.changed[ch]
		slices.SortFunc(sites, func(a, b ChangedSite) int { return cmp.Compare(a.Site, b.Site) })
		if sites == nil {
			sites = []ChangedSite{}
		}
		c.Changed = append(c.Changed, ChangedSites{ch, sites})
	}
	return c
}

func (p *Pairing) side(i int, s Sweep) Side {
	f := p.sides[i].Figures(s)
	return Side{s, f.Versions, f.Sites, f.NotAssessed, f.Flagged, f.Review, f.Clear}
}

// caveats are the reasons why a change may not be the sites' doing.
func caveats(c *Comparison) []string {
	out := []string{}
	differ := func(what string, of func(pc.Versions) string) {
		set := func(s Side) []string {
			m := map[string]bool{}
			for _, v := range s.Versions {
				m[visible(of(v))] = true
			}
			return slices.Sorted(maps.Keys(m))
		}
		if a, b := set(c.Before), set(c.After); !slices.Equal(a, b) && len(a) > 0 && len(b) > 0 {
			out = append(out, fmt.Sprintf("The %s differ: %s before, %s after. A change may be the tool's and not the sites'.", what, strings.Join(a, " and "), strings.Join(b, " and ")))
		}
	}
	differ("rules", func(v pc.Versions) string { return v.Rules })
	differ("classifiers", func(v pc.Versions) string { return v.Classifier })
	differ("lists", func(v pc.Versions) string { return v.Lists })
	differ("browsers", func(v pc.Versions) string { return v.Chrome })
	if a, b := c.Before.Sweep.Agree, c.After.Sweep.Agree; a != b {
		out = append(out, fmt.Sprintf("A flag needed %d agreeing visits before and %d after.", a, b))
	}
	for _, s := range []Side{c.Before, c.After} {
		if open := s.Sweep.Listed - s.Sites; open > 0 {
			out = append(out, fmt.Sprintf("Sweep %s is not finished: of its %s, %d are without a last word and count as not in it.", s.Sweep.ID, many(s.Sweep.Listed, "site"), open))
		}
	}
	return out
}
