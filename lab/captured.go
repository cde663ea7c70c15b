package lab

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	pc "pecrawler"
)

// CaptureScore says how much of what happened on the sites is in the evidence,
// before any opinion: was the choice made, by the right control, and is what was
// then stored and sent there, in its phase?
type CaptureScore struct {
	Visits                   int
	Reject, Accept, Withdraw Share // made where it is offered at any layer
	Pressed                  Share // controls of the first layer pressed for what they are
	Stored, Told             Share // items and hosts of the truth that are in the capture
	Phase                    Share // of the items there that wait for consent: first seen after it was given
	Attributed               Share // of the stored items there: a response or a script is named that set it
	Wrong                    []Miss
}

// Captured adds the captures of one visit of a site.
func (s *CaptureScore) Captured(x *Site, bundle string, captures map[pc.Scenario]*pc.Capture) {
	if x.Truth.Outcome != string(pc.Assessed) || captures[pc.Idle] == nil {
		return
	}
	s.Visits++
	wrong := func(format string, a ...any) {
		s.Wrong = append(s.Wrong, Miss{x.Host, fmt.Sprintf(format, a...), bundle})
	}
	s.choice(x, captures[pc.Reject], &s.Reject, wrong)
	s.choice(x, captures[pc.Accept], &s.Accept, wrong)
	if c := captures[pc.Accept]; c != nil && x.Withdrawable() {
		_, done := c.Mark(pc.MarkWithdrawn)
		why := c.Missing[pc.ArtifactWithdraw]
		if s.Withdraw.Count(done && why == ""); !done || why != "" {
			wrong("consent was not withdrawn: %s", why)
		}
	}
	for _, it := range x.Truth.Items {
		for _, sc := range pc.Scenarios {
			if c := captures[sc]; c != nil && slices.Contains(it.When, string(sc)) && (sc == pc.Idle || c.Missing[pc.ArtifactAct] == "") {
				s.item(x, it, c, wrong)
			}
		}
	}
}

// choice looks at how the choice of a scenario was made.
func (s *CaptureScore) choice(x *Site, c *pc.Capture, made *Share, wrong func(string, ...any)) {
	if c == nil {
		return
	}
	goal := c.Scenario.Goal()
	offered := slices.ContainsFunc(x.Truth.Controls, func(ct ControlTruth) bool {
		return ct.Action == string(goal) || goal == pc.GoalAccept && ct.Action == "acknowledge" || goal == pc.GoalReject && ct.Action == "settings"
	})
	if !offered {
		return
	}
	_, acted := c.Mark(pc.MarkActed)
	why := c.Missing[pc.ArtifactAct]
	if made.Count(acted && why == ""); !acted || why != "" {
		wrong("%s was not exercised: %s", goal, why)
	}
	for _, a := range c.Acts {
		if a.Goal != goal || a.Page > 0 { // texts of deeper layers are the consent managers' own
			continue
		}
		i := slices.IndexFunc(x.Truth.Controls, func(ct ControlTruth) bool {
			return strings.EqualFold(strings.Join(strings.Fields(a.Text), " "), ct.Text)
		})
		ok := i >= 0 && (x.Truth.Controls[i].Action == string(a.Purpose) || x.Truth.Controls[i].Action == "acknowledge" && goal == pc.GoalAccept)
		if s.Pressed.Count(ok); !ok {
			wrong("to %s, “%s” was pressed as %s, which is not what the first layer says", goal, a.Text, a.Purpose)
		}
	}
}

func (s *CaptureScore) item(x *Site, it Item, c *pc.Capture, wrong func(string, ...any)) {
	if it.Kind == "" {
		told := slices.ContainsFunc(c.Requests, func(r pc.Request) bool {
			u, err := url.Parse(r.URL)
			return err == nil && it.matches("", "", u.Hostname())
		})
		if s.Told.Count(told); !told {
			wrong("%s: %s was told, and the capture does not say so", c.Scenario, it.Host)
		}
		return
	}
	i := slices.IndexFunc(c.Storage, func(st pc.StorageItem) bool { return it.matches(string(st.Kind), st.Name, st.Host) })
	if s.Stored.Count(i >= 0); i < 0 {
		wrong("%s: the %s %s of %s is not in the capture", c.Scenario, it.Kind, it.Name, it.Host)
		return
	}
	st := &c.Storage[i]
	s.Attributed.Count(st.SetBy != "" || st.Request >= 0)
	if c.Scenario == pc.Accept && !slices.Contains(it.When, string(pc.Idle)) && !pc.Class(it.Class).Exempt() {
		after := st.First != pc.MarkSettled && c.PhaseAt(st.At) == pc.PhaseAccept
		if s.Phase.Count(after); !after {
			wrong("%s: the %s %s of %s is said to be there %s, at %s", c.Scenario, it.Kind, it.Name, it.Host, c.PhaseAt(st.At), st.First)
		}
	}
}

// Markdown writes the score as a table.
func (s *CaptureScore) Markdown(w io.Writer) {
	fmt.Fprintf(w, "## Evidence\n\nWhat is in the bundles of %d visits, before any opinion.\n\n| | |\n|---|---|\n", s.Visits)
	for _, r := range []struct {
		what  string
		share Share
	}{
		{"refusal exercised where one is offered at any layer", s.Reject}, {"consent given where it can be", s.Accept}, {"consent withdrawn where it can be", s.Withdraw},
		{"first-layer controls pressed that are what they were taken for", s.Pressed}, {"stored items of the truth that are in the capture", s.Stored}, {"hosts of the truth that are in the capture", s.Told},
		{"items that wait for consent and were first seen after it", s.Phase}, {"stored items with the response or script that set them", s.Attributed},
	} {
		fmt.Fprintf(w, "| %s | %v |\n", r.what, r.share)
	}
	fmt.Fprintln(w)
	for i, m := range s.Wrong {
		if i == 60 {
			fmt.Fprintf(w, "- and %d more\n", len(s.Wrong)-i)
			break
		}
		fmt.Fprintf(w, "- %s: %s `%.19s`\n", m.Site, m.What, m.Evidence)
	}
}
