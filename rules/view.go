package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
)

// sure is the confidence from which an opinion can carry a finding.
const sure = 0.8

// view lays a dossier out for the expressions, with the exceptions in force when
// the site was seen.
func view(d *pc.Dossier, exceptions []Exception) map[string]any {
	in := inForce(exceptions, captured(d))
	scenes := map[pc.Scenario]*Scene{}
	site := &Site{NonExempt: []string{}, Wording: []Wording{}}
	for _, s := range pc.EveryScenario {
		scenes[s] = scene(d, s)
		for _, list := range [][]Item{scenes[s].Storage, scenes[s].Requests} {
			for i := range list {
				in.apply(&list[i])
			}
		}
		for _, list := range [][]Item{scenes[s].Storage, scenes[s].Requests} {
			for _, it := range list {
				if pc.Class(it.Class).NonExempt() && it.Confidence >= sure && (it.Kind != "" || it.CarriesID) {
					site.NonExempt = append(site.NonExempt, it.Ref)
				}
			}
		}
	}
	// Some banners wait for the visitor to move, which nobody does in idle: what
	// the first layer offers is then seen where somebody was about to choose.
	for _, s := range []pc.Scenario{pc.Reject, pc.Accept} {
		if !scenes[pc.Idle].Banner.Present {
			idle := scenes[pc.Idle]
			idle.Banner = scenes[s].Banner
			for _, w := range scenes[s].Wording {
				if scenes[s].Banner.Present && w.Where == "banner" {
					idle.Wording = append(idle.Wording, w)
				}
			}
		}
	}
	// How many clicks a choice takes is seen where it was made.
	for _, sc := range scenes {
		sc.Banner.ClicksToAccept = clicks(scenes[pc.Accept], scenes[pc.Idle], pc.ActAccept)
		sc.Banner.ClicksToReject = clicks(scenes[pc.Reject], scenes[pc.Idle], pc.ActReject)
	}
	for _, w := range d.Wording {
		if w.Where == "policy" {
			site.Wording = append(site.Wording, wording(w))
		}
	}
	site.PolicyRead = slices.ContainsFunc(d.Look.Texts, func(t pc.Text) bool { return t.Status == 200 && t.Text != "" })
	v := map[string]any{"site": site}
	for s, sc := range scenes {
		v[string(s)] = sc
	}
	return v
}

// Clicks returns how many clicks accepting and refusing take; -1: not offered.
func Clicks(d *pc.Dossier) (accept, reject int) {
	v := view(d, nil)
	b := v["idle"].(*Scene).Banner
	return b.ClicksToAccept, b.ClicksToReject
}

func clicks(made, idle *Scene, action pc.Action) int {
	if made.Acted {
		return len(made.Acts)
	}
	for _, c := range idle.Banner.Controls {
		if c.Layer == 1 && c.Action == string(action) {
			return 1
		}
	}
	return -1
}

func scene(d *pc.Dossier, s pc.Scenario) *Scene {
	sc := &Scene{Banner: Banner{Controls: []Control{}}, Storage: []Item{}, Requests: []Item{}, Signals: []Signal{}, Consent: []Reading{}, Wording: []Wording{}, Acts: []Act{}, Withdrawal: []Act{}}
	c := d.Captures[s]
	if c == nil {
		return sc
	}
	sc.Ran, sc.Reads = true, len(c.Reads)
	for _, b := range d.Banners {
		if b.Scenario != s {
			continue
		}
		sc.Banner = Banner{Present: true, Ref: firstRef(b.Refs), Kind: b.Kind, CMP: b.CMP, Language: b.Language, Confidence: b.Confidence, Controls: []Control{}, Text: b.Text, Layers: 1}
		for _, ct := range b.Controls {
			sc.Banner.Controls = append(sc.Banner.Controls, control(ct))
			sc.Banner.Layers = max(sc.Banner.Layers, ct.Layer)
		}
	}
	for _, p := range d.Storage {
		if p.Scenario == s {
			it := item(p)
			if i, ok := refIndex(p.Ref, s, "storage"); ok && i < len(c.Storage) {
				st := &c.Storage[i]
				it.When, it.Lifetime, it.Gone = string(st.First), int(st.Lifetime), string(st.Gone)
			}
			sc.Storage = append(sc.Storage, it)
		}
	}
	for _, p := range d.Requests {
		if p.Scenario == s {
			it := item(p)
			if i, ok := refIndex(p.Ref, s, "requests"); ok && i < len(c.Requests) {
				it.When = whenOf(c, c.Requests[i].At)
			}
			sc.Requests = append(sc.Requests, it)
		}
	}
	for _, sg := range d.Signals {
		if sg.Scenario == s {
			refs := []string{}
			for _, r := range sg.Refs {
				refs = append(refs, string(r))
			}
			sc.Signals = append(sc.Signals, Signal{Ref: firstRef(sg.Refs), Refs: refs, Kind: string(sg.Kind), Phase: string(sg.Phase), When: whenOf(c, sg.At), Class: string(sg.Class), Host: sg.Host, Entity: sg.Entity, Confidence: sg.Confidence})
		}
	}
	for _, w := range d.Wording {
		if w.Where != "policy" && w.Scenario == s {
			sc.Wording = append(sc.Wording, wording(w))
		}
	}
	for _, rd := range d.Consent {
		if rd.Scenario == s {
			sc.Consent = append(sc.Consent, Reading{Ref: firstRef(rd.Refs), API: rd.API, When: string(rd.Mark), Phase: string(rd.Phase), Advertising: rd.Advertising, Statistics: rd.Statistics, Confidence: rd.Confidence})
		}
	}
	own := []pc.Act{}
	for _, a := range c.Acts {
		act := Act{Ref: fmt.Sprintf("%s/pages/%d#%d", s, a.Page, a.Node), Purpose: string(a.Purpose), Effect: a.Effect}
		switch {
		case c.Own(&a):
			own = append(own, a)
			sc.Acts = append(sc.Acts, act)
		case a.Goal == pc.GoalWithdraw: // no part of the choice
			sc.Withdrawal = append(sc.Withdrawal, act)
		}
	}
	sc.WayBack = wayBack(c)
	_, marked := c.Mark(pc.MarkActed)
	_, missing := c.Missing[pc.ArtifactAct]
	sc.Acted = marked && !missing && len(own) > 0 && own[len(own)-1].Effect != "none"
	byRef := func(a, b Item) int { return strings.Compare(a.Ref, b.Ref) }
	slices.SortFunc(sc.Storage, byRef)
	slices.SortFunc(sc.Requests, byRef)
	slices.SortFunc(sc.Signals, func(a, b Signal) int { return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Ref, b.Ref)) })
	slices.SortFunc(sc.Wording, func(a, b Wording) int {
		return cmp.Or(strings.Compare(a.Flag, b.Flag), strings.Compare(a.Span, b.Span))
	})
	slices.SortFunc(sc.Consent, func(a, b Reading) int { return strings.Compare(a.Ref, b.Ref) })
	return sc
}

// wayBack tells what became of the way to withdraw.
func wayBack(c *pc.Capture) string {
	if _, looked := c.Mark(pc.MarkWithdraw); !looked {
		return ""
	}
	why, missing := c.Missing[pc.ArtifactWithdraw]
	_, pressed := c.Mark(pc.MarkWithdrawn)
	switch {
	case !missing && pressed:
		return "used"
	case why == "no control to withdraw was found":
		return "none"
	case strings.HasPrefix(why, "no control to withdraw was found after"):
		return "lost"
	}
	return "failed"
}

func control(ct pc.Control) Control {
	out := Control{Ref: firstRef(ct.Refs), Action: string(ct.Action), Text: ct.Text, Layer: ct.Layer, Confidence: ct.Confidence, On: ct.On != nil && *ct.On, Locked: ct.Locked, For: string(ct.For), Object: ct.Object}
	if l := ct.Looks; l != nil {
		out.Looks = Looks{Measured: true, Area: l.Area, Contrast: l.Contrast, Fill: l.Fill, FontPx: l.FontPx, Weight: l.Weight, Link: l.Link, Below: l.Below, Order: l.Order}
	}
	return out
}

func wording(w pc.Wording) Wording {
	return Wording{Ref: firstRef(w.Refs), Flag: w.Flag, Where: w.Where, Span: w.Span, Language: w.Language, Confidence: w.Confidence}
}

func item(p pc.Purpose) Item {
	return Item{Ref: string(p.Ref), Phase: string(p.Phase), Class: string(p.Class), Sub: p.Sub, Entity: p.Entity, Kind: string(p.Kind), Host: p.Host, Name: p.Name,
		CarriesID: p.CarriesID, Confidence: p.Confidence}
}

// refIndex reads the number of a reference such as "idle/storage/3".
func refIndex(r pc.Ref, s pc.Scenario, list string) (int, bool) {
	rest, ok := strings.CutPrefix(string(r), string(s)+"/"+list+"/")
	if !ok || rest == "" || len(rest) > 6 {
		return 0, false
	}
	n := 0
	for _, c := range rest {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// whenOf names the last mark of the sequence that an offset lies behind.
func whenOf(c *pc.Capture, at int64) string {
	when := pc.MarkSettled
	for _, m := range []pc.MarkName{pc.MarkActed, pc.MarkReload, pc.MarkInner, pc.MarkWithdrawn, pc.MarkReturn} {
		if t, ok := c.Mark(m); ok && at >= t {
			when = m
			if m == pc.MarkActed {
				when = pc.MarkAfter
			}
		}
	}
	return string(when)
}

// need is an artifact of a scenario.
type need struct {
	scenario pc.Scenario
	artifact pc.Artifact
}

// missing tells why a need is not met, or "".
func (n need) missing(d *pc.Dossier) string {
	c := d.Captures[n.scenario]
	switch {
	case c == nil && (n.scenario == pc.Close || n.scenario == pc.Scroll):
		return "" // the banner did not suggest it: see Scene.Ran
	case c == nil:
		return fmt.Sprintf("the scenario %s was not run", n.scenario)
	case !c.Load.OK():
		return fmt.Sprintf("in the scenario %s the site was %s (%s)", n.scenario, c.Load.Outcome, c.Load.Reason)
	}
	if why, ok := c.Missing[n.artifact]; ok {
		return fmt.Sprintf("%s of the scenario %s is missing: %s", n.artifact, n.scenario, why)
	}
	return ""
}
