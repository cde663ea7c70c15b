package review

import (
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
)

// panel is one of the regulator's three checks.
type panel struct {
	Check    int
	Title    string
	State    string // fail, unsure, pass, other
	Says     string
	Findings []pc.Finding // that failed or are unsure
}

// panels sums the findings up by check. Those that belong to none are shown
// below, with the others.
func panels(fs []pc.Finding) []panel {
	out := []panel{{Check: 1, Title: "Advertising before a choice"}, {Check: 2, Title: "Refusing as easy as accepting"}, {Check: 3, Title: "Advertising although refused"}}
	for i := range out {
		p := &out[i]
		var of, failed, unsure, passed, missing int
		for _, f := range fs {
			if f.Check != p.Check || f.Status != "stable" {
				continue
			}
			of++
			switch f.Outcome {
			case pc.Fail:
				failed++
				p.Findings = append(p.Findings, f)
			case pc.Unsure:
				unsure++
				p.Findings = append(p.Findings, f)
			case pc.Pass:
				passed++
			case pc.Unavailable:
				missing++
			}
		}
		switch {
		case failed > 0:
			p.State, p.Says = "fail", fmt.Sprintf("%s of %d failed.", plural(failed, "rule", "rules"), of)
		case unsure > 0:
			p.State, p.Says = "unsure", fmt.Sprintf("%s of %d cannot be told without a human.", plural(unsure, "rule", "rules"), of)
		case missing > 0:
			p.State, p.Says = "other", fmt.Sprintf("%s of %d could not be judged: evidence is missing. That is not a pass.", plural(missing, "rule", "rules"), of)
		case passed > 0:
			p.State, p.Says = "pass", fmt.Sprintf("%s of %d passed; the others had nothing to judge.", plural(passed, "rule", "rules"), of)
			if passed == of {
				p.Says = "Every rule passed."
			}
		default:
			p.State, p.Says = "other", "There was nothing to judge."
		}
	}
	return out
}

// observed is a fact of a finding with the ways to see it.
type observed struct {
	Text string
	Here string // anchor on the page; ""
	Kind string // of what is there: picture or row
	Raw  string
}

// finding is one rule's outcome as the page tells it.
type finding struct {
	pc.Finding
	Facts []observed
	More  int // references that are not put into words
}

// indicators are the findings to look at, failures first, and of these the
// stable rules.
func indicators(fs []pc.Finding, o *opened, on map[string]string) []finding {
	var out []finding
	for _, f := range fs {
		if f.Outcome != pc.Fail && f.Outcome != pc.Unsure {
			continue
		}
		g := finding{Finding: f}
		seen := map[pc.Ref]bool{}
		see := func(r pc.Ref, text string) {
			seen[r] = true
			ob := observed{Text: veiled(text)}
			if o != nil {
				ob.Raw = rawPath(o.Digest(), r)
			}
			if a := anchor(r); a != "" && on[a] != "" {
				ob.Here, ob.Kind = "#"+a, on[a]
			}
			g.Facts = append(g.Facts, ob)
		}
		for _, ob := range f.Observed {
			see(ob.Ref, ob.Text)
		}
		for _, r := range f.Refs { // verdicts of before facts were put into words
			if !seen[r] && len(g.Facts) < 12 && len(f.Observed) == 0 {
				see(r, describe(o, r))
			}
		}
		g.More = len(f.Refs) - len(g.Facts)
		out = append(out, g)
	}
	slices.SortStableFunc(out, func(a, b finding) int { return weight(a.Finding) - weight(b.Finding) })
	return out
}

// describe names what a reference points at, for verdicts that do not say it.
func describe(o *opened, r pc.Ref) string {
	p, ok := placeOf(r)
	if !ok || o == nil {
		return string(r)
	}
	it := itemOf(o, p, false)
	if it == nil {
		return string(r)
	}
	title, _, asked := strings.Cut(it.Title, "?") // what was asked is in the raw evidence
	if asked {
		title += "?…"
	}
	return title + " (" + string(p.Scenario) + ")"
}

func weight(f pc.Finding) int {
	w := 0
	if f.Status != "stable" {
		w += 2
	}
	if f.Outcome != pc.Fail {
		w++
	}
	return w
}

// citing says for each reference which rules point at it.
func citing(fs []pc.Finding) map[pc.Ref][]string {
	out := map[pc.Ref][]string{}
	for _, f := range fs {
		if f.Outcome != pc.Fail && f.Outcome != pc.Unsure {
			continue
		}
		for _, r := range f.Refs {
			if !slices.Contains(out[r], f.Rule) {
				out[r] = append(out[r], f.Rule)
			}
		}
	}
	return out
}

// sentence is the verdict in one sentence.
func sentence(v pc.Verdict) string {
	var failed, unsure []string
	for _, f := range v.Findings {
		if f.Status != "stable" {
			continue
		}
		m := strings.TrimSuffix(f.Message, ".")
		if m == "" {
			m = f.Rule
		}
		switch f.Outcome {
		case pc.Fail:
			failed = append(failed, m)
		case pc.Unsure:
			unsure = append(unsure, m)
		}
	}
	visits := fmt.Sprintf("%d of %s", v.Agreeing, plural(v.Visits, "visit", "visits"))
	switch v.Overall {
	case pc.Flagged:
		return fmt.Sprintf("Flagged, as %s agree: %s.", visits, list(failed))
	case pc.Review:
		return fmt.Sprintf("For a human to look at: %s.", list(append(failed, unsure...)))
	case pc.Clear:
		return fmt.Sprintf("Clear: every rule that applies passed, in %s.", visits)
	}
	reason := ""
	if v.Reason != "" {
		reason = " (" + v.Reason + ")"
	}
	return fmt.Sprintf("Not assessed: the site was %s%s. That is neither a pass nor a fault.", strings.ReplaceAll(string(v.Outcome), "-", " "), reason)
}

// list joins messages to a part of a sentence.
func list(s []string) string {
	switch len(s) {
	case 0:
		return "no rule says more"
	case 1:
		return lower(s[0])
	}
	return lower(s[0]) + "; and " + plural(len(s)-1, "more indicator", "more indicators")
}

func lower(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
