package review

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
)

// timeline is everything that was stored and sent in a visit: as a drawing, and
// as a table in four parts.
type timeline struct {
	Lanes  []lane
	Height int
	Parts  []part
	Others []row // before the choice in the other scenarios: mostly what the first part shows
}

// part is one phase of the table.
type part struct {
	Phase pc.Phase
	Title string
	Rows  []row  // that need consent, or a condition
	Rest  []row  // that are exempt, or not known: they count for nothing
	Not   string // why nothing was seen that could be in it: never shown as if there were nothing
}

// row is one stored item, or the requests of one kind to one host.
type row struct {
	IDs              []string // anchors: the first is the row's own
	Scenario         pc.Scenario
	Phase            pc.Phase
	At               int64
	Stored           bool
	What, Name, Host string
	Entity, SetBy    string
	Class            pc.Class
	Group            string // nonexempt, conditional, exempt, unknown
	Sub, Why         string
	Confidence       float64
	Kept             string // how long
	Raws             []string
	Count            int
	Rules            []string
}

// Seconds is when it was first seen.
func (r row) Seconds() string { return fmt.Sprintf("%.1f s", float64(r.At)/1000) }

// By is what set or sent it, without what was asked of it: that is in the raw evidence.
func (r row) By() string {
	if before, _, ok := strings.Cut(r.SetBy, "?"); ok {
		return veiled(before) + "?…"
	}
	return veiled(r.SetBy)
}

// group joins the classes to those that need consent, those that need it unless
// a condition is met, those that do not, and those that are not known.
func group(c pc.Class) string {
	switch before, _, _ := strings.Cut(string(c), "-"); before {
	case "nonexempt", "conditional", "exempt":
		return before
	}
	return "unknown"
}

func groupRank(g string) int {
	return slices.Index([]string{"nonexempt", "conditional", "exempt", "unknown"}, g)
}

// parts are the phases in the order in which people ask for them.
func parts() []part {
	return []part{{Phase: pc.PhaseBefore, Title: "Before any choice"}, {Phase: pc.PhaseReject, Title: "After refusing"}, {Phase: pc.PhaseAccept, Title: "After accepting"}, {Phase: pc.PhaseWithdraw, Title: "After withdrawing consent"}}
}

// mostRaws bounds the links of one row: a page can send thousands of requests.
const mostRaws = 12

// timelineOf gathers what was stored and sent. rules names the rules that refer
// to an item.
func timelineOf(o *opened, v pc.Verdict, rules map[pc.Ref][]string) timeline {
	rows := rowsOf(o, v, rules)
	t := timeline{Parts: parts()}
	for _, r := range rows {
		// The three scenarios all begin before a choice, and mostly show the same
		// then; the untouched one was watched the longest.
		if r.Phase == pc.PhaseBefore && r.Scenario != pc.Idle && len(r.Rules) == 0 {
			t.Others = append(t.Others, r)
			continue
		}
		i := slices.IndexFunc(t.Parts, func(p part) bool { return p.Phase == r.Phase })
		if i < 0 {
			continue
		}
		if p := &t.Parts[i]; r.Group == "nonexempt" || r.Group == "conditional" || len(r.Rules) > 0 {
			p.Rows = append(p.Rows, r)
		} else {
			p.Rest = append(p.Rest, r)
		}
	}
	for i := range t.Parts {
		t.Parts[i].Not = unseen(o.Captures(), t.Parts[i].Phase)
	}
	t.Lanes = lanes(o, rows)
	t.Height = len(t.Lanes)*laneHeight + 10
	return t
}

// unseen says why a visit shows nothing of a phase; "" when it does.
func unseen(cs map[pc.Scenario]*pc.Capture, p pc.Phase) string {
	s, act := pc.Idle, pc.ArtifactStorage
	switch p {
	case pc.PhaseReject:
		s, act = pc.Reject, pc.ArtifactAct
	case pc.PhaseAccept:
		s, act = pc.Accept, pc.ArtifactAct
	case pc.PhaseWithdraw:
		s, act = pc.Accept, pc.ArtifactWithdraw
	}
	c := cs[s]
	if c == nil {
		return "the visit has no such scenario"
	}
	if p != pc.PhaseBefore {
		if why, ok := c.Missing[pc.ArtifactAct]; ok {
			return "nothing was pressed, " + why
		}
		if _, ok := c.Mark(pc.MarkActed); !ok {
			return "nothing was pressed"
		}
	}
	if why, ok := c.Missing[act]; ok {
		return why
	}
	if _, ok := c.Mark(pc.MarkWithdrawn); !ok && p == pc.PhaseWithdraw {
		return "consent was not withdrawn"
	}
	return ""
}

func rowsOf(o *opened, v pc.Verdict, rules map[pc.Ref][]string) []row {
	storage, requests := o.Opinions.Storage, o.Opinions.Requests
	if o.Opinions.Classifier == "" { // nobody to ask: what the verdict kept of it
		storage, requests = kept(v.Storage), kept(v.Requests)
	}
	var out []row
	for _, p := range storage {
		r := rowOf(o, p, rules)
		r.Stored = true
		out = append(out, r)
	}
	at := map[string]int{}
	for _, p := range requests {
		r := rowOf(o, p, rules)
		key := strings.Join([]string{string(p.Scenario), string(p.Phase), p.Host, string(p.Class), p.Entity}, "\x00")
		if i, ok := at[key]; ok {
			first := &out[i]
			if first.Count++; len(first.Raws) < mostRaws {
				first.Raws = append(first.Raws, r.Raws...)
			}
			if len(r.Rules) > 0 {
				first.IDs = append(first.IDs, r.IDs...)
				first.Rules = slices.Compact(slices.Sorted(slices.Values(append(first.Rules, r.Rules...))))
			}
			continue
		}
		at[key] = len(out)
		out = append(out, r)
	}
	used := map[string]bool{} // an item that is in two phases has its anchor in the first
	for i := range out {
		out[i].IDs = slices.DeleteFunc(out[i].IDs, func(id string) bool {
			was := used[id]
			used[id] = true
			return was
		})
	}
	slices.SortStableFunc(out, func(a, b row) int {
		return cmp.Or(cmp.Compare(groupRank(a.Group), groupRank(b.Group)), cmp.Compare(a.At, b.At))
	})
	return out
}

// kept makes opinions of the rows of a verdict.
func kept(items []pc.ItemSummary) []pc.Purpose {
	var out []pc.Purpose
	for _, s := range items {
		out = append(out, pc.Purpose{Ref: s.Ref, Scenario: s.Scenario, Phase: s.Phase, Kind: s.Kind, Host: s.Host, Name: s.Name, Class: s.Class, Entity: s.Entity, Claim: pc.Claim{Confidence: s.Confidence}})
	}
	return out
}

func rowOf(o *opened, p pc.Purpose, rules map[pc.Ref][]string) row {
	r := row{Scenario: p.Scenario, Phase: p.Phase, Name: p.Name, Host: p.Host, Entity: p.Entity, Class: p.Class, Group: group(p.Class), Sub: p.Sub, Why: p.Why, Confidence: p.Confidence, Count: 1, Rules: rules[p.Ref], What: kindWords(p.Kind)}
	if a := anchor(p.Ref); a != "" {
		r.IDs, r.Raws = []string{a}, []string{rawPath(o.Digest(), p.Ref)}
	}
	pl, ok := placeOf(p.Ref)
	c := o.Captures()[pl.Scenario]
	if !ok || c == nil {
		return r
	}
	switch {
	case pl.Kind == "storage" && pl.N < len(c.Storage):
		it := c.Storage[pl.N]
		r.At, r.SetBy = it.At, it.SetBy
		switch {
		case it.Lifetime >= 2*86400:
			r.Kept = fmt.Sprintf("kept for %d days", it.Lifetime/86400)
		case it.Lifetime > 0:
			r.Kept = fmt.Sprintf("kept for %.1f hours", float64(it.Lifetime)/3600)
		case it.Kind == pc.Cookie, it.Kind == pc.SessionStorage:
			r.Kept = "until the browser closes"
		}
	case pl.Kind == "requests" && pl.N < len(c.Requests):
		q := c.Requests[pl.N]
		r.At, r.SetBy = q.At, q.Initiator
	}
	return r
}

// nonexempt is what was stored and sent that needs consent.
func nonexempt(v pc.Verdict) []pc.ItemSummary {
	return slices.DeleteFunc(slices.Concat(v.Storage, v.Requests), func(s pc.ItemSummary) bool { return group(s.Class) != "nonexempt" })
}

// itemTitle says what an item is called, where and in which phase.
func itemTitle(s pc.ItemSummary) string {
	if s.Kind == "" {
		return fmt.Sprintf("Request to %s, %s", s.Host, bandTitle(s.Phase))
	}
	return fmt.Sprintf("%s %s of %s, %s", kindWords(s.Kind), s.Name, s.Host, bandTitle(s.Phase))
}

func kindWords(k pc.StorageKind) string {
	w, ok := map[pc.StorageKind]string{pc.Cookie: "Cookie", pc.LocalStorage: "Local storage", pc.SessionStorage: "Session storage", pc.IndexedDB: "Database", pc.CacheStorage: "Cache"}[k]
	if !ok {
		return "Request"
	}
	return w
}

// Measures of the drawing, in its own units.
const (
	laneWidth  = 1200
	laneHeight = 104
	laneLeft   = 12
)

// lane is one scenario of the drawing, from the first moment to the last.
type lane struct {
	Title string
	Y     int
	End   string
	Bands []band
	Acts  []tick
	Marks []mark
}

// band is a phase of a lane.
type band struct {
	Phase    pc.Phase
	Title    string
	X, Width float64
}

// tick is a press.
type tick struct {
	X     float64
	Title string
}

// mark is a row of the table: a circle for what was stored, a square for what
// was sent. The group is its colour; the table says the same in words.
type mark struct {
	X, Y   float64
	Stored bool
	Group  string
	Href   string
	Title  string
}

func lanes(o *opened, rows []row) []lane {
	var out []lane
	for _, s := range pc.EveryScenario {
		c := o.Captures()[s]
		if c == nil {
			continue
		}
		end := max(c.Ended.Sub(c.Started).Milliseconds(), 1)
		for _, m := range c.Marks {
			end = max(end, m.At)
		}
		x := func(at int64) float64 {
			return laneLeft + float64(min(max(at, 0), end))/float64(end)*(laneWidth-2*laneLeft)
		}
		l := lane{Title: sceneTitle(s), Y: len(out) * laneHeight, End: fmt.Sprintf("%.0f s", float64(end)/1000)}
		l.Bands = bands(c, end, x)
		for _, a := range c.Acts {
			if c.Own(&a) || a.Goal == pc.GoalWithdraw {
				l.Acts = append(l.Acts, tick{x(a.At), fmt.Sprintf("Pressed at %.1f s", float64(a.At)/1000)})
			}
		}
		crowd := map[int]int{} // marks that would lie on each other stand below each other
		for i := range rows {
			r := &rows[i]
			if r.Scenario != s || len(r.IDs) == 0 || r.At == 0 {
				continue
			}
			m := mark{X: x(r.At), Stored: r.Stored, Group: r.Group, Href: "#" + r.IDs[0], Title: strings.ToLower(r.What) + ", " + r.Seconds()}
			slot := int(m.X) / 12
			n := crowd[slot]
			crowd[slot]++
			m.Y = float64(l.Y + 40 + n%5*12)
			l.Marks = append(l.Marks, m)
		}
		slices.SortFunc(l.Marks, func(a, b mark) int { return cmp.Compare(groupRank(b.Group), groupRank(a.Group)) }) // what matters lies on top
		out = append(out, l)
	}
	return out
}

func bands(c *pc.Capture, end int64, x func(int64) float64) []band {
	var out []band
	add := func(p pc.Phase, from, to int64) {
		if to > from {
			out = append(out, band{p, bandTitle(p), x(from), x(to) - x(from)})
		}
	}
	acted, ok := c.Mark(pc.MarkActed)
	if !ok || c.PhaseAt(acted) == pc.PhaseBefore {
		add(pc.PhaseBefore, 0, end)
		return out
	}
	add(pc.PhaseBefore, 0, acted)
	if back, ok := c.Mark(pc.MarkWithdrawn); ok && c.PhaseAt(back) == pc.PhaseWithdraw {
		add(pc.PhaseAccept, acted, back)
		add(pc.PhaseWithdraw, back, end)
		return out
	}
	add(c.PhaseAt(acted), acted, end)
	return out
}

func bandTitle(p pc.Phase) string {
	return map[pc.Phase]string{pc.PhaseBefore: "before any choice", pc.PhaseReject: "after refusing", pc.PhaseAccept: "after accepting", pc.PhaseWithdraw: "after withdrawing"}[p]
}
