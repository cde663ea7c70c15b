package rules

import (
	"slices"

	pc "pecrawler"
)

// Overall draws the last word from the findings of one visit, as if it were
// the only one: flagged means that a stable rule failed in it.
func Overall(outcome pc.Outcome, findings []pc.Finding) pc.Overall {
	if outcome != pc.Assessed || len(findings) == 0 {
		return pc.NotAssessed
	}
	word := pc.Clear
	for _, f := range findings {
		if f.Status != "stable" {
			continue
		}
		switch f.Outcome {
		case pc.Fail:
			return pc.Flagged
		case pc.Unsure:
			word = pc.Review
		case pc.Unavailable:
			// Clear is earned: a rule that could not be judged leaves the site unjudged.
			if word == pc.Clear {
				word = pc.NotAssessed
			}
		}
	}
	return word
}

// fails lists the stable rules that failed in a visit.
func fails(v pc.Verdict) []string {
	out := []string{}
	for _, f := range v.Findings {
		if f.Status == "stable" && f.Outcome == pc.Fail {
			out = append(out, f.Rule)
		}
	}
	return out
}

// Word draws the last word on a site from the verdicts of its visits so far,
// and tells whether another visit is wanted first. agree is how many visits
// must agree before a site is flagged.
//
// A first visit without suspicion is enough. A failing rule asks for visits
// until it has failed in agree of them; when the visits disagree, one more than
// agree is made, and then the site goes to review. A site that could not be
// reached is tried once more. It does not depend on the order of the visits.
func Word(visits []pc.Verdict, agree int) (word pc.Verdict, more bool) {
	if len(visits) == 0 {
		return pc.Verdict{Overall: pc.NotAssessed}, true
	}
	visits = slices.Clone(visits)
	slices.SortFunc(visits, func(a, b pc.Verdict) int { return a.Visit - b.Visit })
	agree = max(agree, 1)

	var assessed []pc.Verdict
	failed := map[string]int{}
	for _, v := range visits {
		if v.Outcome == pc.Assessed {
			assessed = append(assessed, v)
		}
		for _, r := range fails(v) {
			failed[r]++
		}
	}
	if len(assessed) == 0 {
		last := visits[len(visits)-1]
		return merge(visits, last, pc.NotAssessed, len(visits)), len(visits) < 2 && transient(last)
	}
	last := assessed[len(assessed)-1]
	agreed := map[string]bool{}
	most := 0
	for r, n := range failed {
		most = max(most, n)
		if n >= agree {
			agreed[r] = true
		}
	}
	limit := agree + 1
	switch {
	case len(agreed) > 0:
		// The flag rests on the rules that agree; show the latest visit in which one of them failed.
		for _, v := range assessed {
			if slices.ContainsFunc(fails(v), func(r string) bool { return agreed[r] }) {
				last = v
			}
		}
		return merge(visits, soften(last, agreed), pc.Flagged, most), false
	case most > 0 && len(visits) < limit:
		return merge(visits, soften(last, agreed), pc.Review, most), true
	case most > 0:
		return merge(visits, soften(last, agreed), pc.Review, 1), false
	}
	overall := Overall(last.Outcome, last.Findings)
	same := 0
	for _, v := range assessed {
		if Overall(v.Outcome, v.Findings) == overall {
			same++
		}
	}
	return merge(visits, last, overall, same), false
}

// soften turns the failures that not enough visits share into unsure ones:
// a failure seen once is for a human to look at.
func soften(v pc.Verdict, agreed map[string]bool) pc.Verdict {
	v.Findings = slices.Clone(v.Findings)
	for i := range v.Findings {
		if f := &v.Findings[i]; f.Outcome == pc.Fail && f.Status == "stable" && !agreed[f.Rule] {
			f.Outcome = pc.Unsure
			f.Against = append(slices.Clone(f.Against), "Other visits did not show the same, or none has been made yet.")
		}
	}
	return v
}

// transient tells whether another try may go better.
func transient(v pc.Verdict) bool { return v.Outcome == pc.Unreachable }

func merge(visits []pc.Verdict, last pc.Verdict, overall pc.Overall, agreeing int) pc.Verdict {
	last.Visit, last.Visits, last.Agreeing, last.Overall = 0, len(visits), agreeing, overall
	last.Bundles = []string{}
	for _, v := range visits {
		last.Bundles = append(last.Bundles, v.Bundles...)
		if !v.Times.First.IsZero() && v.Times.First.Before(last.Times.First) {
			last.Times.First = v.Times.First
		}
		if v.Times.Last.After(last.Times.Last) {
			last.Times.Last = v.Times.Last
		}
	}
	return last
}
