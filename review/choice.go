package review

import (
	"fmt"
	"slices"

	pc "pecrawler"
)

// choice is accepting or refusing as the banner offers it, in numbers that can
// be checked against the picture.
type choice struct {
	Name   string
	Clicks int // -1: not offered
	Facts  []fact
	Steps  []step
}

// fact is one thing measured.
type fact struct {
	Name  string
	Value string
	Page  bool // the value is a text of the page
}

// step is one press on the way.
type step struct {
	Text, What, Why, Effect string
	At                      string
	Href                    string
}

// choices puts accepting and refusing side by side. The rows of both are the
// same and in the same order.
func choices(o *opened, b pc.BannerSummary) []choice {
	accept := choice{Name: "Accept", Clicks: b.ClicksToAccept, Facts: measured(control(o, pc.ActAccept)), Steps: steps(o, pc.Accept, pc.GoalAccept)}
	reject := choice{Name: "Reject", Clicks: b.ClicksToReject, Facts: measured(control(o, pc.ActReject)), Steps: steps(o, pc.Reject, pc.GoalReject)}
	for i := len(accept.Facts) - 1; i >= 0; i-- {
		if accept.Facts[i].Value == unmeasured && reject.Facts[i].Value == unmeasured {
			accept.Facts, reject.Facts = slices.Delete(accept.Facts, i, i+1), slices.Delete(reject.Facts, i, i+1)
		}
	}
	return []choice{accept, reject}
}

// unmeasured stands where nothing is known; a row that only has this is left out.
const unmeasured = "–"

// control is the nearest control of an action; nil when there is none.
func control(o *opened, a pc.Action) *pc.Control {
	var best *pc.Control
	for i := range o.Opinions.Banners {
		b := &o.Opinions.Banners[i]
		if b.Scenario != pc.Idle {
			continue
		}
		for j := range b.Controls {
			if c := &b.Controls[j]; c.Action == a && (best == nil || c.Layer < best.Layer) {
				best = c
			}
		}
	}
	return best
}

func measured(c *pc.Control) []fact {
	names := []string{"Words", "Layer", "Size", "Contrast of its text", "Contrast of its own background", "Text", "Looks like", "Seen without scrolling", "Place in the order of the Tab key"}
	out := make([]fact, len(names))
	for i, n := range names {
		out[i] = fact{Name: n, Value: unmeasured}
	}
	if c == nil {
		out[0].Value = "Not offered when the page opens"
		return out
	}
	out[0] = fact{names[0], c.Text, true}
	out[1].Value = fmt.Sprint(c.Layer)
	out[2].Value = fmt.Sprintf("%.0f × %.0f pixels", c.Box.W, c.Box.H)
	l := c.Looks
	if l == nil {
		return out
	}
	out[2].Value += fmt.Sprintf(" (%.0f square pixels)", l.Area)
	out[3].Value = ratio(l.Contrast, "not known")
	out[4].Value = ratio(l.Fill, "not known")
	if l.Fill == 1 {
		out[4].Value = "none of its own"
	}
	out[5].Value = fmt.Sprintf("%.0f pixels, weight %d", l.FontPx, l.Weight)
	out[6].Value = "a button"
	if l.Link {
		out[6].Value = "a link"
	}
	out[7].Value = "yes"
	if l.Below {
		out[7].Value = "no"
	}
	out[8].Value = fmt.Sprint(l.Order)
	return out
}

func ratio(f float64, none string) string {
	if f == 0 {
		return none
	}
	return fmt.Sprintf("%.1f to 1", f)
}

// steps lists what was pressed in a scenario for a goal.
func steps(o *opened, s pc.Scenario, g pc.Goal) []step {
	c := o.Captures()[s]
	if c == nil {
		return nil
	}
	var out []step
	for i := range c.Acts {
		a := &c.Acts[i]
		if a.Goal != g && (a.Goal != "" || s.Goal() != g) {
			continue
		}
		st := step{Text: a.Text, What: string(a.Purpose), Why: a.Why, Effect: a.Effect, At: fmt.Sprintf("%.1f s", float64(a.At)/1000)}
		if a.Page < len(c.Pages) && c.Pages[a.Page].Screen != "" {
			st.Href = "#" + anchor(pc.Ref(fmt.Sprintf("%s/pages/%d#%d", s, a.Page, a.Node)))
		}
		out = append(out, st)
	}
	return out
}

// withdrawal is what came of looking for the way back after accepting.
type withdrawal struct {
	Steps []step
	Why   string // it was not done
	After int    // rows of the timeline after it that need consent
}

func withdrawn(o *opened, t timeline) *withdrawal {
	c := o.Captures()[pc.Accept]
	if c == nil {
		return nil
	}
	w := &withdrawal{Steps: steps(o, pc.Accept, pc.GoalWithdraw), Why: unseen(o.Captures(), pc.PhaseWithdraw)}
	if i := slices.IndexFunc(t.Parts, func(p part) bool { return p.Phase == pc.PhaseWithdraw }); i >= 0 {
		for _, r := range t.Parts[i].Rows {
			if r.Group == "nonexempt" {
				w.After++
			}
		}
	}
	return w
}
