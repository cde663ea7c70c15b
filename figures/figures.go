// Package figures counts a sweep: which share of its sites could not be
// assessed and why, and of the assessed which share is flagged, for review and
// clear, by check, problem, rule and kind of site; which consent manager's
// customers fail, and in which configuration; and what changed since an earlier
// sweep.
//
// It is a function of verdicts: a [Tally] takes them one by one, in any order,
// and keeps counts only, so that a sweep of a million sites needs no more memory
// than one of a thousand. A [Pairing] keeps one small record for each site of the
// earlier sweep.
//
// Three habits keep the figures honest. What was not assessed comes first and is
// in no denominator of what follows. Every share is k of n with Wilson's interval
// at 95 %, and one of fewer than five sites is marked as too few to publish. A
// check or a problem that no stable rule of the sweep looks for has no share at
// all, because "0 of n" would read as "nobody fails".
//
// The documents [Figures] and [Comparison] are written as JSON, as one tidy CSV
// table, and as an HTML page that needs nothing but itself.
package figures

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	pc "pecrawler"
)

// Schema is the version of the [Figures] and [Comparison] documents.
const Schema = 1

// Sweep says which sweep the figures are of.
type Sweep struct {
	ID       string    `json:"id"`
	Created  time.Time `json:"created"`
	Finished time.Time `json:"finished,omitzero"` // zero: sites are still without a last word
	Agree    int       `json:"agree"`             // visits that must agree before a flag
	Listed   int       `json:"listed"`            // sites on its list
}

// Figures are the figures of a sweep.
type Figures struct {
	Schema      int           `json:"schema"`
	Sweep       Sweep         `json:"sweep"`
	First       time.Time     `json:"first,omitzero"` // instants of the first and the last visit
	Last        time.Time     `json:"last,omitzero"`
	Versions    []pc.Versions `json:"versions"` // what the verdicts were made with; more than one is a mixture
	Sites       int           `json:"sites"`    // with a last word
	NotAssessed Share         `json:"not_assessed"`
	Reasons     []Reason      `json:"reasons"` // of the not assessed; the largest first
	Flagged     Share         `json:"flagged"` // this and all below: of the assessed
	Review      Share         `json:"review"`
	Clear       Share         `json:"clear"`
	Checks      []Check       `json:"checks"`
	Problems    []Problem     `json:"problems"`
	Rules       []Rule        `json:"rules"`
	Groups      []Group       `json:"groups"`
	Vendors     []Vendor      `json:"vendors"` // the one with the most flagged sites first, the unknown last
	Precision   *Precision    `json:"precision,omitempty"`
}

// Reason is why sites were not assessed.
type Reason struct {
	Outcome pc.Outcome `json:"outcome"` // assessed: a page was shown, and a rule could not be judged on it
	Reason  string     `json:"reason"`
	Share   Share      `json:"share"` // of all sites
}

// Check is the share of assessed sites that fail one of the regulator's checks.
type Check struct {
	Check   int   `json:"check"`
	Tested  bool  `json:"tested"` // a stable rule of the sweep looks for it
	Failing Share `json:"failing"`
}

// Problem is the share of assessed sites with one of the regulator's problem labels.
type Problem struct {
	Problem string `json:"problem"`
	Tested  bool   `json:"tested"`
	Failing Share  `json:"failing"`
}

// Rule is how one rule ended on the assessed sites.
type Rule struct {
	Rule          string `json:"rule"`
	Status        string `json:"status"` // experimental rules flag nobody
	Check         int    `json:"check"`
	Problem       string `json:"problem"`
	Failing       Share  `json:"failing"` // of the assessed sites that it was judged on
	Unsure        int    `json:"unsure"`
	Passed        int    `json:"passed"`
	NotApplicable int    `json:"not_applicable"`
	NotInForce    int    `json:"not_in_force"`
	Unavailable   int    `json:"unavailable"`
}

// Group divides the sites by one of their properties.
type Group struct {
	By    string `json:"by"`    // rank, sector, cmp, language or kind
	Cells []Cell `json:"cells"` // ranks in their order; else the largest first
}

// Cell are the figures of the sites that share a value.
type Cell struct {
	Value string `json:"value"` // "": not known, or none
	// NotAssessed is empty where the property is only known of assessed sites: a
	// page that nobody saw has no banner.
	NotAssessed Share   `json:"not_assessed"`
	Flagged     Share   `json:"flagged"`
	Review      Share   `json:"review"`
	Clear       Share   `json:"clear"`
	Checks      []Share `json:"checks"` // failing check 1, 2 and 3
}

// Vendor is a consent manager as its customers use it.
type Vendor struct {
	CMP            string          `json:"cmp"`     // "": a banner by nobody known
	Flagged        Share           `json:"flagged"` // of the assessed sites with its banner
	Checks         []Share         `json:"checks"`
	OfAllFlagged   Share           `json:"of_all_flagged"` // what one contact there could reach
	Configurations []Configuration `json:"configurations"` // the one with the most flagged sites first
}

// Configuration is a way to set up a consent manager. Clicks are -1 where the
// choice is not offered.
type Configuration struct {
	Kind           string  `json:"kind"`
	ClicksToAccept int     `json:"clicks_to_accept"`
	ClicksToReject int     `json:"clicks_to_reject"`
	Flagged        Share   `json:"flagged"`
	Checks         []Share `json:"checks"`
}

// Precision is what a flag of this build is worth where faults are so frequent.
// It is a property of the build, measured elsewhere, not of the sweep.
type Precision struct {
	Evaluation
	At []AtPrevalence `json:"at"`
}

// AtPrevalence is the precision where this share of all sites is faulty.
type AtPrevalence struct {
	Prevalence float64 `json:"prevalence"`
	Expected   float64 `json:"expected"`
	Worst      float64 `json:"worst"`
}

// Evaluate adds what is known of the build that made the verdicts.
func (f *Figures) Evaluate(e Evaluation) {
	f.Precision = &Precision{Evaluation: e}
	for _, p := range []float64{.01, .1, .5} {
		right, worst := e.Precision(p)
		f.Precision.At = append(f.Precision.At, AtPrevalence{p, right, worst})
	}
}

// checks and problems are the regulator's.
const checks = 3

func problems() []string {
	return []string{"deceptive or absent choice", "uninformed choice", "undermined choice", "irrevocable choice"}
}

// bands are the bands of ranks: the regulator has looked at the top 200 and the
// top 1,000, and beyond that sites thin out by powers of ten.
func bands() []struct {
	to   int
	name string
} {
	return []struct {
		to   int
		name string
	}{{200, "1 to 200"}, {1000, "201 to 1,000"}, {10_000, "1,001 to 10,000"}, {100_000, "10,001 to 100,000"}, {1_000_000, "100,001 to 1,000,000"}, {1 << 62, "above 1,000,000"}}
}

func band(rank int) string {
	if rank > 0 {
		for _, b := range bands() {
			if rank <= b.to {
				return b.name
			}
		}
	}
	return ""
}

// maxValues bounds the values of a group: a list that gives every site a sector
// of its own must not fill the memory. What comes after goes into one cell.
const maxValues = 1000

// others is that cell.
const others = "all others"

// Tally counts verdicts. The zero Tally is not ready; use [NewTally].
type Tally struct {
	sites       int
	first, last time.Time
	versions    map[pc.Versions]bool
	reasons     map[[2]string]int
	total       cell
	tested      struct {
		checks   [checks + 1]bool
		problems map[string]bool
	}
	problems map[string]int
	rules    map[string]*Rule
	groups   map[string]map[string]*cell
	vendors  map[string]map[setup]*cell
}

// setup is a configuration as a key.
type setup struct {
	kind           string
	accept, reject int
}

// cell are the counts behind a [Cell].
type cell struct {
	sites, assessed, flagged, review int
	checks                           [checks + 1]int
}

// NewTally returns a tally of nothing.
func NewTally() *Tally {
	t := &Tally{versions: map[pc.Versions]bool{}, reasons: map[[2]string]int{}, problems: map[string]int{}, rules: map[string]*Rule{}, groups: map[string]map[string]*cell{}, vendors: map[string]map[setup]*cell{}}
	t.tested.problems = map[string]bool{}
	return t
}

// assessed tells whether a verdict is in the denominators: a site on which a
// stable rule could not be judged, and none failed or was unsure, is not.
func assessed(v *pc.Verdict) bool {
	return v.Overall == pc.Flagged || v.Overall == pc.Review || v.Overall == pc.Clear
}

// Add counts the last word on one site. It keeps nothing of it.
func (t *Tally) Add(v pc.Verdict) {
	t.sites++
	if !v.Times.First.IsZero() && (t.first.IsZero() || v.Times.First.Before(t.first)) {
		t.first = v.Times.First
	}
	if v.Times.Last.After(t.last) {
		t.last = v.Times.Last
	}
	failed, labels := [checks + 1]bool{}, map[string]bool{}
	if assessed(&v) {
		if len(t.versions) < maxValues {
			t.versions[v.Versions] = true
		}
		for i := range v.Findings {
			f := &v.Findings[i]
			stable := f.Status == "stable"
			check := f.Check
			if check < 0 || check > checks {
				check = 0
			}
			if stable {
				t.tested.checks[check] = true
				t.tested.problems[f.Problem] = true
			}
			if stable && f.Outcome == pc.Fail {
				failed[check] = true
				labels[f.Problem] = true
			}
			t.rule(f)
		}
		for l := range labels {
			t.problems[l]++
		}
	} else {
		t.reasons[[2]string{string(v.Outcome), clean(v.Reason)}]++
	}
	t.total.add(&v, failed)
	cells := []*cell{t.cell("rank", band(v.Rank)), t.cell("sector", clean(v.Sector))}
	if assessed(&v) {
		manager, kind, language := noBanner, noBanner, noBanner
		if b := v.Banner; b.Present {
			manager, kind, language = clean(b.CMP), clean(b.Kind), clean(b.Language)
			cells = append(cells, t.setup(manager, setup{kind, b.ClicksToAccept, b.ClicksToReject}))
		}
		cells = append(cells, t.cell("cmp", manager), t.cell("language", language), t.cell("kind", kind))
	}
	for _, c := range cells {
		c.add(&v, failed)
	}
}

// noBanner is the value of a banner's properties where none was seen.
const noBanner = "no banner"

func (c *cell) add(v *pc.Verdict, failed [checks + 1]bool) {
	c.sites++
	if !assessed(v) {
		return
	}
	c.assessed++
	switch v.Overall {
	case pc.Flagged:
		c.flagged++
	case pc.Review:
		c.review++
	}
	for i, yes := range failed {
		if yes {
			c.checks[i]++
		}
	}
}

func (t *Tally) cell(by, value string) *cell {
	m := t.groups[by]
	if m == nil {
		m = map[string]*cell{}
		t.groups[by] = m
	}
	return bounded(m, value, others)
}

func (t *Tally) setup(vendor string, s setup) *cell {
	if t.vendors[vendor] == nil {
		if len(t.vendors) >= maxValues {
			vendor = others
		}
		if t.vendors[vendor] == nil {
			t.vendors[vendor] = map[setup]*cell{}
		}
	}
	return bounded(t.vendors[vendor], s, setup{kind: others})
}

func bounded[K comparable](m map[K]*cell, key, rest K) *cell {
	if m[key] == nil {
		if len(m) >= maxValues {
			key = rest
		}
		if m[key] == nil {
			m[key] = &cell{}
		}
	}
	return m[key]
}

func (t *Tally) rule(f *pc.Finding) {
	r := t.rules[f.Rule]
	if r == nil {
		if len(t.rules) >= maxValues {
			return
		}
		r = &Rule{Rule: f.Rule, Status: f.Status, Check: f.Check, Problem: f.Problem}
		t.rules[f.Rule] = r
	}
	if f.Status == "stable" { // of a rule that was promoted half way, whatever came first
		r.Status, r.Check, r.Problem = f.Status, f.Check, f.Problem
	}
	r.Failing.Count(f.Outcome == pc.Fail)
	switch f.Outcome {
	case pc.Unsure:
		r.Unsure++
	case pc.Pass:
		r.Passed++
	case pc.NotApplicable:
		r.NotApplicable++
	case pc.NotInForce:
		r.NotInForce++
	case pc.Unavailable:
		r.Unavailable++
	}
}

// Figures returns the figures of what was counted so far.
func (t *Tally) Figures(sweep Sweep) *Figures {
	all := t.total.cell("")
	f := &Figures{Schema: Schema, Sweep: sweep, First: t.first, Last: t.last, Sites: t.sites, NotAssessed: all.NotAssessed, Flagged: all.Flagged, Review: all.Review, Clear: all.Clear,
		Versions: slices.SortedFunc(maps.Keys(t.versions), func(a, b pc.Versions) int {
			return cmp.Or(cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.Chrome, b.Chrome), cmp.Compare(a.Classifier, b.Classifier), cmp.Compare(a.Lists, b.Lists), cmp.Compare(a.Rules, b.Rules))
		}),
		Reasons: []Reason{}, Rules: []Rule{}, Groups: []Group{}, Vendors: []Vendor{}}
	for r, k := range t.reasons {
		f.Reasons = append(f.Reasons, Reason{pc.Outcome(r[0]), r[1], Share{k, t.sites}})
	}
	slices.SortFunc(f.Reasons, func(a, b Reason) int {
		return cmp.Or(b.Share.K-a.Share.K, cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	})
	for i := 1; i <= checks; i++ {
		f.Checks = append(f.Checks, Check{i, t.tested.checks[i], all.Checks[i-1]})
	}
	for _, p := range problems() {
		f.Problems = append(f.Problems, Problem{p, t.tested.problems[p], Share{t.problems[p], t.total.assessed}})
	}
	for _, id := range slices.Sorted(maps.Keys(t.rules)) {
		f.Rules = append(f.Rules, *t.rules[id])
	}
	slices.SortStableFunc(f.Rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.Status, a.Status), b.Failing.K-a.Failing.K) // stable before experimental
	})
	for _, by := range []string{"rank", "sector", "cmp", "language", "kind"} {
		f.Groups = append(f.Groups, group(by, t.groups[by]))
	}
	for id, setups := range t.vendors {
		f.Vendors = append(f.Vendors, vendor(id, setups, t.total.flagged))
	}
	slices.SortFunc(f.Vendors, func(a, b Vendor) int {
		if unknown := a.CMP == ""; unknown != (b.CMP == "") { // nobody can be asked there
			return map[bool]int{true: 1, false: -1}[unknown]
		}
		return cmp.Or(b.Flagged.K-a.Flagged.K, b.Flagged.N-a.Flagged.N, cmp.Compare(a.CMP, b.CMP))
	})
	return f
}

// cell turns counts into shares.
func (c *cell) cell(value string) Cell {
	return Cell{value, Share{c.sites - c.assessed, c.sites}, Share{c.flagged, c.assessed}, Share{c.review, c.assessed}, Share{c.assessed - c.flagged - c.review, c.assessed}, c.shares()}
}

func (c *cell) shares() []Share {
	var out []Share
	for _, k := range c.checks[1:] {
		out = append(out, Share{k, c.assessed})
	}
	return out
}

func group(by string, cells map[string]*cell) Group {
	g := Group{By: by, Cells: []Cell{}}
	for v, c := range cells {
		x := c.cell(v)
		if by != "rank" && by != "sector" {
			x.NotAssessed = Share{}
		}
		g.Cells = append(g.Cells, x)
	}
	place := func(v string) int {
		i := slices.IndexFunc(bands(), func(b struct {
			to   int
			name string
		}) bool {
			return b.name == v
		})
		if i < 0 {
			return len(bands())
		}
		return i
	}
	slices.SortFunc(g.Cells, func(a, b Cell) int {
		if by == "rank" {
			return place(a.Value) - place(b.Value)
		}
		return cmp.Or(cells[b.Value].sites-cells[a.Value].sites, cmp.Compare(a.Value, b.Value))
	})
	return g
}

func vendor(id string, setups map[setup]*cell, flagged int) Vendor {
	v := Vendor{CMP: id, Configurations: []Configuration{}}
	sum := cell{}
	for s, c := range setups {
		v.Configurations = append(v.Configurations, Configuration{s.kind, s.accept, s.reject, Share{c.flagged, c.assessed}, c.shares()})
		sum.assessed += c.assessed
		sum.flagged += c.flagged
		for i := range sum.checks {
			sum.checks[i] += c.checks[i]
		}
	}
	v.Flagged, v.Checks, v.OfAllFlagged = Share{sum.flagged, sum.assessed}, sum.shares(), Share{sum.flagged, flagged}
	slices.SortFunc(v.Configurations, func(a, b Configuration) int {
		return cmp.Or(b.Flagged.K-a.Flagged.K, b.Flagged.N-a.Flagged.N, cmp.Compare(a.Kind, b.Kind), a.ClicksToAccept-b.ClicksToAccept, a.ClicksToReject-b.ClicksToReject)
	})
	return v
}

// clean makes a word of a list or a page fit to stand in a table: visible, and short.
func clean(s string) string {
	const most = 60
	s = visible(s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// visible puts text into one line, without the characters that nobody sees or
// that turn the writing round.
func visible(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// clicks says in words how many clicks a choice takes.
func clicks(n int) string {
	if n < 0 {
		return "not offered"
	}
	return strconv.Itoa(n)
}
