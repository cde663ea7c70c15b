package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	pc "pecrawler"
	"pecrawler/figures"
)

// Share is k of n, with its interval.
type Share = figures.Share

// RuleScore compares a rule with the truth.
type RuleScore struct {
	Precision, Recall Share
	Unsure            int  // of those that should fail
	Known             bool // the verdicts have findings of this rule
}

// Miss is one thing that came out wrong.
type Miss struct {
	Site, What, Evidence string
}

// Score is a sweep of the test web compared with the truth.
type Score struct {
	Sites      int
	Outcomes   Share
	Rules      map[string]*RuleScore
	Banner     struct{ Sensitivity, Specificity Share }
	CMP, Kind  Share
	Language   Share
	Controls   map[string]*struct{ Precision, Recall Share } // by action
	Seen       Share                                         // items that were there and are in the verdict
	Classes    map[string]map[string]int                     // true class → class given → items
	Flagged    figures.Evaluation
	Slices     map[string]map[string]*Slice // what sites are sliced by → its values
	Mutations  map[string]map[string]bool   // mutation → consent manager → all of its rules failed, and no other
	FalseFlags []Miss
	Wrong      []Miss
	Versions   pc.Versions
}

// ReadVerdicts reads verdicts.jsonl. The error names the line.
func ReadVerdicts(r io.Reader) ([]pc.Verdict, error) {
	var out []pc.Verdict
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 64<<20)
	for n := 1; sc.Scan(); n++ {
		if len(strings.TrimSpace(sc.Text())) == 0 {
			continue
		}
		var v pc.Verdict
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("line %d is no verdict: %w", n, err)
		}
		out = append(out, v)
	}
	return out, sc.Err()
}

// NewScore compares verdicts with the truth of the sites. Verdicts of sites
// that are none of the lab's are an error: they were not made of this lab.
func NewScore(sites []*Site, verdicts []pc.Verdict) (*Score, error) {
	s := &Score{Rules: map[string]*RuleScore{}, Controls: map[string]*struct{ Precision, Recall Share }{}, Classes: map[string]map[string]int{}, Slices: map[string]map[string]*Slice{}, Mutations: map[string]map[string]bool{}}
	by := map[string]*Site{}
	for _, x := range sites {
		by[x.Host] = x
		for _, r := range x.Truth.Fails {
			s.rule(r)
		}
	}
	for i := range verdicts {
		v := &verdicts[i]
		x := by[v.Site]
		if x == nil {
			return nil, fmt.Errorf("the verdict of %s is of no site of the test web; was it made with another --seed?", v.Site)
		}
		s.Sites++
		s.Versions = v.Versions
		s.site(x, v)
	}
	slices.SortFunc(s.Wrong, func(a, b Miss) int { return strings.Compare(a.What+a.Site, b.What+b.Site) })
	return s, nil
}

func (s *Score) rule(id string) *RuleScore {
	if s.Rules[id] == nil {
		s.Rules[id] = &RuleScore{}
	}
	return s.Rules[id]
}

func (s *Score) wrong(v *pc.Verdict, format string, a ...any) {
	evidence := ""
	if len(v.Bundles) > 0 {
		evidence = v.Bundles[0]
	}
	s.Wrong = append(s.Wrong, Miss{v.Site, fmt.Sprintf(format, a...), evidence})
}

func (s *Score) site(x *Site, v *pc.Verdict) {
	t := &x.Truth
	right := string(v.Outcome) == t.Outcome && v.Reason == t.Reason
	s.Outcomes.Count(right)
	if !right {
		s.wrong(v, "outcome %s %s, not %s %s", v.Outcome, v.Reason, t.Outcome, t.Reason)
	}
	flagged := v.Overall == pc.Flagged
	if t.Overall == "flagged" {
		s.Flagged.Sensitivity.Count(flagged)
	} else {
		s.Flagged.Specificity.Count(!flagged)
		if t.Overall != "any" && t.Overall != "not-flagged" && !flagged && string(v.Overall) != t.Overall {
			s.wrong(v, "overall %s, not %s", v.Overall, t.Overall)
		}
		if flagged {
			var rules []string
			for _, f := range v.Findings {
				if f.Outcome == pc.Fail {
					rules = append(rules, f.Rule)
				}
			}
			s.FalseFlags = append(s.FalseFlags, Miss{v.Site, strings.Join(rules, ", "), strings.Join(v.Bundles, " ")})
		}
	}
	if t.Outcome != string(pc.Assessed) || v.Outcome != pc.Assessed {
		return
	}
	exact := true
	for _, f := range v.Findings {
		r := s.rule(f.Rule)
		r.Known = true
		should, did := slices.Contains(t.Fails, f.Rule), f.Outcome == pc.Fail
		if did {
			r.Precision.Count(should)
		}
		if should {
			r.Recall.Count(did)
			if f.Outcome == pc.Unsure {
				r.Unsure++
			}
		}
		if should != did {
			exact = false
			s.wrong(v, "%s is %s, and should %s", f.Rule, f.Outcome, map[bool]string{true: "fail", false: "not fail"}[should])
		}
	}
	if x.Spec != nil && x.Spec.Mutation != "" {
		if s.Mutations[x.Spec.Mutation] == nil {
			s.Mutations[x.Spec.Mutation] = map[string]bool{}
		}
		banner := x.Spec.Banner
		if banner == "" {
			banner = "none"
		}
		for _, id := range t.Fails {
			exact = exact && s.Rules[id].Known
		}
		s.Mutations[x.Spec.Mutation][banner] = exact
	}
	of := s.slices(x)
	for _, p := range of {
		p.banner(t.Banner, v)
	}
	if t.Banner {
		s.Banner.Sensitivity.Count(v.Banner.Present)
	} else {
		s.Banner.Specificity.Count(!v.Banner.Present)
	}
	if t.Banner != v.Banner.Present {
		s.wrong(v, "banner %v, not %v", v.Banner.Present, t.Banner)
	}
	if t.Banner && v.Banner.Present && len(t.Controls) > 0 {
		s.banner(t, v, of)
	}
	s.items(x, v, of)
}

// banner compares what was said of a banner that is there.
func (s *Score) banner(t *Truth, v *pc.Verdict, of []*Slice) {
	if t.CMP != "" {
		s.CMP.Count(v.Banner.CMP == t.CMP)
	}
	if t.Kind != "corner" { // a box in a corner may be called a bar or a modal
		s.Kind.Count(v.Banner.Kind == t.Kind)
		if v.Banner.Kind != t.Kind {
			s.wrong(v, "kind %s, not %s", v.Banner.Kind, t.Kind)
		}
	}
	s.Language.Count(v.Banner.Language == t.Language)
	if v.Banner.Language != t.Language {
		s.wrong(v, "language %s, not %s", v.Banner.Language, t.Language)
	}
	role := func(a string) *struct{ Precision, Recall Share } {
		if s.Controls[a] == nil {
			s.Controls[a] = &struct{ Precision, Recall Share }{}
		}
		return s.Controls[a]
	}
	same := func(a, b string) bool {
		return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
	}
	for _, c := range t.Controls {
		i := slices.IndexFunc(v.Banner.Controls, func(o pc.ControlSummary) bool { return o.Layer == 1 && same(o.Text, c.Text) })
		got := "not found"
		if i >= 0 {
			got = string(v.Banner.Controls[i].Action)
			role(got).Precision.Count(got == c.Action)
		}
		role(c.Action).Recall.Count(got == c.Action)
		for _, p := range of {
			p.Roles.Count(got == c.Action)
		}
		if got != c.Action {
			s.wrong(v, "control “%s” is %s, not %s", c.Text, got, c.Action)
		}
	}
}

// items compares purposes. An item counts once a scenario in which it must be.
func (s *Score) items(x *Site, v *pc.Verdict, of []*Slice) {
	for _, it := range x.Truth.Items {
		list := v.Storage
		if it.Kind == "" {
			list = v.Requests
		}
		for _, when := range it.When {
			if pc.Class(it.Class).Exempt() && x.Spec != nil && x.Spec.Banner != "" && when != "accept" {
				continue // a choice is remembered only where it could be made
			}
			is := func(o pc.ItemSummary) bool {
				return string(o.Scenario) == when && it.matches(string(o.Kind), o.Name, o.Host)
			}
			// A host may be asked for a library too, which is for nothing yet.
			i := slices.IndexFunc(list, func(o pc.ItemSummary) bool { return is(o) && string(o.Class) == it.Class })
			if i < 0 {
				i = slices.IndexFunc(list, is)
			}
			s.Seen.Count(i >= 0)
			if i < 0 {
				s.wrong(v, "%s %s%s of %s is not in the verdict of %s", it.Class, it.Kind, it.Name, it.Host, when)
				continue
			}
			if s.Classes[it.Class] == nil {
				s.Classes[it.Class] = map[string]int{}
			}
			s.Classes[it.Class][string(list[i].Class)]++
			for _, p := range of {
				p.purpose(it.Class, string(list[i].Class))
			}
		}
	}
}

// Details lists what is wrong, site by site, at most so many lines.
func (s *Score) Details(w io.Writer, most int) {
	if len(s.Wrong) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## What is wrong, site by site\n\n")
	for i, m := range s.Wrong {
		if i == most {
			fmt.Fprintf(w, "- and %d more\n", len(s.Wrong)-most)
			break
		}
		fmt.Fprintf(w, "- %s: %s `%.19s`\n", m.Site, m.What, m.Evidence)
	}
}

// Precision tells how many flags are right at three prevalences.
func (s *Score) Precision() []Precision {
	var out []Precision
	for _, p := range []float64{.01, .1, .5} {
		right, worst := s.Flagged.Precision(p)
		out = append(out, Precision{p, right, worst})
	}
	return out
}

// Markdown writes the score for people.
func (s *Score) Markdown(w io.Writer) {
	p := func(format string, a ...any) { fmt.Fprintf(w, format, a...) }
	p("%d sites have a verdict. Intervals are Wilson's at 95 %%.\n\n", s.Sites)
	p("## Flags\n\n| | |\n|---|---|\n| lawful or failing sites not flagged (specificity) | %v |\n| unlawful sites flagged (sensitivity) | %v |\n| outcome and reason right | %v |\n", s.Flagged.Specificity, s.Flagged.Sensitivity, s.Outcomes)
	for _, x := range s.Precision() {
		p("| precision of a flag where %.0f %% of sites are faulty | %.1f %% (at worst %.1f %%) |\n", 100*x.Prevalence, 100*x.Precision, 100*x.Worst)
	}
	p("\n")
	if len(s.FalseFlags) > 0 {
		p("False flags:\n\n| site | rules | evidence |\n|---|---|---|\n")
		for _, m := range s.FalseFlags {
			p("| %s | %s | `%s` |\n", m.Site, m.What, m.Evidence)
		}
		p("\n")
	}
	p("## Rules\n\n| rule | precision | recall | unsure where it should fail |\n|---|---|---|---|\n")
	for _, id := range slices.Sorted(maps.Keys(s.Rules)) {
		r := s.Rules[id]
		if !r.Known {
			p("| %s | no such rule yet | | |\n", id)
			continue
		}
		p("| %s | %v | %v | %d |\n", id, r.Precision, r.Recall, r.Unsure)
	}
	if len(s.Mutations) > 0 {
		p("\n## Faults\n\nA fault is caught when its rules fail, and no other.\n\n| fault | caught | not caught with |\n|---|---|---|\n")
		for _, m := range slices.Sorted(maps.Keys(s.Mutations)) {
			var sh Share
			var not []string
			for _, b := range slices.Sorted(maps.Keys(s.Mutations[m])) {
				sh.Count(s.Mutations[m][b])
				if !s.Mutations[m][b] {
					not = append(not, b)
				}
			}
			p("| %s | %d of %d | %s |\n", m, sh.K, sh.N, strings.Join(not, ", "))
		}
	}
	p("\n## Banners\n\n| | |\n|---|---|\n| found where there is one | %v |\n| none found where there is none | %v |\n| consent manager named | %v |\n| kind | %v |\n| language | %v |\n", s.Banner.Sensitivity, s.Banner.Specificity, s.CMP, s.Kind, s.Language)
	p("\n## Controls of the first layer\n\n| action | precision | recall |\n|---|---|---|\n")
	for _, a := range slices.Sorted(maps.Keys(s.Controls)) {
		p("| %s | %v | %v |\n", a, s.Controls[a].Precision, s.Controls[a].Recall)
	}
	p("\n## Purposes\n\nItems that were there are in the verdict: %v. Rows are true classes, columns what was said.\n\n", s.Seen)
	MarkdownCounts(w, " ", s.Classes)
}

// MarkdownCounts writes how often what is one thing (rows) was said to be another
// (columns). corner is the first cell of the head, spaces and all.
func MarkdownCounts(w io.Writer, corner string, counts map[string]map[string]int) {
	p := func(format string, a ...any) { fmt.Fprintf(w, format, a...) }
	cols := map[string]bool{}
	for _, m := range counts {
		for c := range m {
			cols[c] = true
		}
	}
	names := slices.Sorted(maps.Keys(cols))
	p("|%s| %s |\n|---|%s\n", corner, strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	for _, c := range slices.Sorted(maps.Keys(counts)) {
		p("| %s |", c)
		for _, n := range names {
			p(" %d |", counts[c][n])
		}
		p("\n")
	}
}
