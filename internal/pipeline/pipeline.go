// Package pipeline judges an opened bundle: the classifier's opinions, then the
// rules, then the verdict document. A worker, a re-judgement and a test all go
// through the same [Judge]; there is no second path. It needs no service and
// reads no clock.
package pipeline

import (
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
	"pecrawler/rules"
)

// Evidence is an opened bundle.
type Evidence interface {
	Digest() string
	Visit() pc.Visit
	Look() pc.Look
	Captures() map[pc.Scenario]*pc.Capture
	Page(path string) (*pc.Page, error)
}

// Annotator forms the opinions about the captures of one visit.
type Annotator interface {
	Annotate(look pc.Look, captures map[pc.Scenario]*pc.Capture, page func(path string) (*pc.Page, error)) pc.Annotations
}

// Dossier puts together what the rules may see.
func Dossier(ev Evidence, a Annotator) *pc.Dossier {
	d := &pc.Dossier{Bundle: ev.Digest(), Visit: ev.Visit(), Look: ev.Look(), Load: ev.Look().Load, Captures: ev.Captures()}
	if idle := d.Captures[pc.Idle]; idle != nil {
		d.Load = idle.Load // the browser has the last word
	}
	d.Annotations = a.Annotate(d.Look, d.Captures, ev.Page)
	return d
}

// Judge gives the verdict on one visit. tool is this program's version.
func Judge(ev Evidence, a Annotator, set *rules.Set, tool string) pc.Verdict {
	d := Dossier(ev, a)
	v := pc.Verdict{
		Schema: pc.VerdictSchema, Site: d.Visit.Site, URL: d.Visit.URL, FinalURL: d.Look.FinalURL, Sweep: d.Visit.Sweep, Rank: d.Visit.Rank, Sector: d.Visit.Sector,
		Visit: d.Visit.Number, Visits: 1, Agreeing: 1, Outcome: d.Load.Outcome, Reason: d.Load.Reason,
		Storage: []pc.ItemSummary{}, Requests: []pc.ItemSummary{}, Findings: []pc.Finding{}, Bundles: []string{d.Bundle},
		Versions: pc.Versions{Tool: tool, Classifier: d.Classifier, Lists: d.Lists, Rules: set.Digest()},
	}
	for _, s := range pc.EveryScenario {
		c := d.Captures[s]
		if c == nil {
			continue
		}
		if v.Times.First.IsZero() {
			v.Times.First = c.Started
		}
		v.Times.Last = c.Ended
		v.Versions.Chrome = c.Environment.Chrome
		if s == pc.Idle && c.FinalURL != "" {
			v.FinalURL = c.FinalURL
		}
	}
	v.Banner = banner(d)
	if v.Outcome == pc.Assessed {
		v.Findings = set.Judge(d)
		v.Storage = summarise(d.Storage, true)
		v.Requests = summarise(d.Requests, false)
	}
	v.Overall = rules.Overall(v.Outcome, v.Findings)
	return v
}

func banner(d *pc.Dossier) pc.BannerSummary {
	b := pc.BannerSummary{Controls: []pc.ControlSummary{}, ClicksToAccept: -1, ClicksToReject: -1}
	i := slices.IndexFunc(d.Banners, func(b pc.Banner) bool { return b.Scenario == pc.Idle })
	if i < 0 {
		i = slices.IndexFunc(d.Banners, func(pc.Banner) bool { return true })
	}
	if i < 0 {
		return b
	}
	src := d.Banners[i]
	b.Present, b.CMP, b.Kind, b.Language = true, src.CMP, src.Kind, src.Language
	for _, c := range src.Controls {
		b.Controls = append(b.Controls, pc.ControlSummary{Text: c.Text, Action: c.Action, Layer: c.Layer})
	}
	b.ClicksToAccept, b.ClicksToReject = rules.Clicks(d)
	return b
}

// summarise gives one row for each distinct item; of requests, one for each
// host and class.
func summarise(ps []pc.Purpose, named bool) []pc.ItemSummary {
	out := []pc.ItemSummary{}
	seen := map[string]int{}
	for _, p := range ps {
		s := pc.ItemSummary{Scenario: p.Scenario, Phase: p.Phase, Host: p.Host, Class: p.Class, Entity: p.Entity, Confidence: p.Confidence, Ref: p.Ref}
		if named {
			s.Kind, s.Name = p.Kind, p.Name
		}
		key := strings.Join([]string{string(s.Scenario), string(s.Phase), string(s.Kind), s.Host, s.Name, string(s.Class)}, "\x00")
		if at, ok := seen[key]; ok {
			if out[at].Confidence < s.Confidence {
				out[at] = s
			}
			continue
		}
		if len(out) >= maxRows {
			break
		}
		seen[key] = len(out)
		out = append(out, s)
	}
	return out
}

// maxRows bounds the rows of a verdict: it is a message, the evidence is in the bundle.
const maxRows = 1500

// GivenUp is the verdict on a visit that no worker could finish: never a pass.
func GivenUp(v pc.Visit, reason string) pc.Verdict {
	return unseen(v, pc.Unreachable, "given-up", fmt.Sprintf("The visit was given up: %s", reason))
}

// NotVisited is the last word on a site of a sweep that ended before anybody
// visited it: v names the site, and how says how the sweep ended. It counts no
// visit, so a result that comes after all replaces it.
func NotVisited(v pc.Visit, how string) pc.Verdict {
	out := unseen(v, pc.Excluded, how, fmt.Sprintf("Nobody visited the site before the sweep ended: %s", how))
	out.Visit, out.Visits, out.Agreeing = 0, 0, 0
	return out
}

func unseen(v pc.Visit, outcome pc.Outcome, reason, message string) pc.Verdict {
	return pc.Verdict{Schema: pc.VerdictSchema, Site: v.Site, URL: v.URL, FinalURL: v.URL, Sweep: v.Sweep, Rank: v.Rank, Sector: v.Sector, Visit: v.Number, Visits: 1, Agreeing: 1,
		Outcome: outcome, Reason: reason, Overall: pc.NotAssessed, Banner: pc.BannerSummary{Controls: []pc.ControlSummary{}, ClicksToAccept: -1, ClicksToReject: -1},
		Storage: []pc.ItemSummary{}, Requests: []pc.ItemSummary{}, Bundles: []string{},
		Findings: []pc.Finding{{Rule: "visit", Status: "experimental", Outcome: pc.Unavailable, Message: message, Cites: []string{}, Refs: []pc.Ref{}, Against: []string{}}}}
}
