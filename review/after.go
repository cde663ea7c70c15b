package review

import (
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
	"pecrawler/store"
)

// The words for what became of something from one look at a site to a later one.
const (
	gone       = "gone"
	still      = "still there"
	fresh      = "new"
	there      = "there now" // whether it was before is not known
	perhaps    = "unsure now"
	perhapsNew = "new and unsure"
	untold     = "could not tell" // what was not seen is never taken for gone
)

// turned is what became of a finding.
type turned struct {
	Rule, Says, Word string
	Before, After    pc.RuleOutcome
}

// turns compares two looks at a site, finding by finding.
func turns(before, after pc.Verdict) []turned {
	bad := func(o pc.RuleOutcome) bool { return o == pc.Fail || o == pc.Unsure }
	was := map[string]pc.Finding{}
	for _, f := range before.Findings {
		was[f.Rule] = f
	}
	var out []turned
	is := map[string]bool{}
	for _, f := range after.Findings {
		is[f.Rule] = true
		b := was[f.Rule]
		t := turned{Rule: f.Rule, Says: b.Message, Before: b.Outcome, After: f.Outcome}
		if t.Says == "" || bad(f.Outcome) {
			t.Says = f.Message
		}
		switch {
		case after.Overall == pc.NotAssessed && bad(b.Outcome):
			t.Word = untold
		case after.Overall == pc.NotAssessed:
			continue
		case bad(b.Outcome):
			t.Word = map[pc.RuleOutcome]string{pc.Pass: gone, pc.NotApplicable: gone, pc.Fail: still, pc.Unsure: perhaps}[f.Outcome]
			if t.Word == "" {
				t.Word = untold
			}
		case f.Outcome == pc.Fail && (b.Outcome == pc.Pass || b.Outcome == pc.NotApplicable):
			t.Word = fresh
		case f.Outcome == pc.Fail:
			t.Word = there
		case f.Outcome == pc.Unsure:
			t.Word = perhapsNew
		default:
			continue
		}
		out = append(out, t)
	}
	for _, f := range before.Findings { // that the later look has no word on
		if bad(f.Outcome) && !is[f.Rule] {
			out = append(out, turned{f.Rule, f.Message, untold, f.Outcome, ""})
		}
	}
	slices.SortStableFunc(out, func(a, b turned) int { return slices.Index(turnOrder(), a.Word) - slices.Index(turnOrder(), b.Word) })
	return out
}

// turnOrder is the order in which they are read: what is not in order comes first.
func turnOrder() []string {
	return []string{still, fresh, there, perhaps, perhapsNew, untold, gone}
}

// turnedItem is what became of something that needs consent and was stored or sent.
type turnedItem struct{ What, Word string }

// turnedItems compares what was stored and sent, by what it is called, where and
// in which phase.
func turnedItems(before, after pc.Verdict) []turnedItem {
	if before.Overall == pc.NotAssessed || after.Overall == pc.NotAssessed {
		return nil
	}
	seen := map[string][2]bool{}
	for i, v := range []pc.Verdict{before, after} {
		for _, s := range nonexempt(v) {
			in := seen[itemTitle(s)]
			in[i] = true
			seen[itemTitle(s)] = in
		}
	}
	var out []turnedItem
	for what, in := range seen {
		out = append(out, turnedItem{what, map[[2]bool]string{{true, true}: still, {true, false}: gone, {false, true}: fresh}[in]})
	}
	order := []string{still, fresh, gone}
	slices.SortFunc(out, func(a, b turnedItem) int {
		return 10*(slices.Index(order, a.Word)-slices.Index(order, b.Word)) + strings.Compare(a.What, b.What)
	})
	return out
}

// pair is the same moment of two looks; a nil one was not seen.
type pair struct {
	Title         string
	Before, After *picture
}

// pairs puts the pictures of two looks side by side, by scenario, moment and layer.
func pairs(before, after []scene) []pair {
	key := func(s scene, p picture) string { return fmt.Sprint(s.Scenario, p.Mark, p.Layer) }
	var out []pair
	at := map[string]int{}
	for i, ss := range [][]scene{before, after} {
		for _, s := range ss {
			for j := range s.Pictures {
				p := &s.Pictures[j]
				n, ok := at[key(s, *p)]
				if !ok {
					n = len(out)
					at[key(s, *p)] = n
					title := sceneTitle(s.Scenario) + ", " + markWords(p.Mark)
					if p.Layer > 1 {
						title += fmt.Sprintf(", layer %d", p.Layer)
					}
					out = append(out, pair{Title: title})
				}
				if i == 0 && out[n].Before == nil {
					out[n].Before = p
				} else if i == 1 && out[n].After == nil {
					out[n].After = p
				}
			}
		}
	}
	return out
}

// after shows two looks at the site of a case side by side.
func (h *Handler) after(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	all, err := h.later(c.r.Context(), f.Word)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(v pc.Verdict) bool { return v.Sweep == c.r.PathValue("again") })
	if i < 0 {
		return store.ErrNotFound
	}
	later := all[i]
	d := struct {
		*followed
		After    pc.Verdict
		Turns    []turned
		Items    []turnedItem
		Pairs    []pair
		Sentence string
	}{followed: f, After: later, Turns: turns(f.Word, later), Items: turnedItems(f.Word, later)}
	d.Sentence = summed(d.Turns, later)
	var looks [2][]scene
	for i, v := range []pc.Verdict{f.Word, later} {
		results, err := h.store.Results(c.r.Context(), v.Sweep, v.Site)
		if err != nil {
			return err
		}
		vs := h.visits(c.r.Context(), results)
		if n := shownVisit(v, vs); n >= 0 {
			looks[i] = unanchored(scenes(vs[n].opened, citing(v.Findings)), vs[n].Number)
		}
	}
	d.Pairs = pairs(looks[0], looks[1])
	if err := h.note(c.r.Context(), c.Person, "view", f.Word.Sweep+"/"+f.Word.Site, "before and after "+later.Sweep); err != nil {
		return err
	}
	return h.show(c, "after.html", "Before and after: "+f.Word.Site, "follow", d)
}

// summed says in one sentence what became of the findings.
func summed(ts []turned, after pc.Verdict) string {
	if after.Overall == pc.NotAssessed {
		return "The later visit could not look: the site was " + strings.ReplaceAll(string(after.Outcome), "-", " ") + ". That says nothing about the findings."
	}
	n := map[string]int{}
	for _, t := range ts {
		n[t.Word]++
	}
	var out []string
	for _, w := range turnOrder() {
		if n[w] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[w], strings.Replace(w, untold, "that nobody can tell", 1)))
		}
	}
	if len(out) == 0 {
		return "Neither look has a finding."
	}
	return "Of the findings: " + strings.Join(out, ", ") + "."
}
