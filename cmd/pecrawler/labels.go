package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"

	pc "pecrawler"
	"pecrawler/store"
)

// labelRow is what a person decided of one finding, as a row to measure the
// classifier with: make eval DECISIONS=file reads it. It names neither the site
// nor who decided, when, or what they noted.
type labelRow struct {
	Rule       string         `json:"rule"`
	Outcome    pc.RuleOutcome `json:"outcome"`
	Confidence float64        `json:"confidence"`
	Act        string         `json:"act"` // uphold, dismiss or unsure
	Reading    int            `json:"reading"`
	Classifier string         `json:"classifier"` // version that was decided on
	Lists      string         `json:"lists"`
	CMP        string         `json:"cmp,omitempty"`
	Language   string         `json:"language,omitempty"`
	Items      []labelItem    `json:"items"` // stored items and requests that the finding points at
}

type labelItem struct {
	Kind       pc.StorageKind `json:"kind,omitempty"` // "": a request
	Host       string         `json:"host"`           // "site" is the site itself
	Name       string         `json:"name,omitempty"`
	Class      pc.Class       `json:"class"`
	Confidence float64        `json:"confidence"`
}

// errNotShared is what the decisions of people are kept back with.
var errNotShared = errors.New("decisions of people leave the store only if the settings allow it: share-decisions: true in the file of --config, or --share-decisions")

// writeLabels writes a row for every finding of a sweep that somebody decided,
// by its last decision, as long as the verdict is the one that was decided on and
// nobody disagrees.
func writeLabels(ctx context.Context, w io.Writer, st *store.Store, sweep string) error {
	decided, err := st.SweepDecisions(ctx, sweep)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return st.EachWord(ctx, sweep, func(v pc.Verdict) error {
		last, open := map[string]store.Decision{}, map[string]bool{}
		for _, d := range decided[v.Site] {
			was, before := last[d.Rule]
			open[d.Rule] = d.Reading < 3 && before && was.Act != d.Act // two readers differ, and no lead has settled it
			last[d.Rule] = d
		}
		digest := store.VerdictDigest(v)
		for _, f := range v.Findings {
			d, ok := last[f.Rule]
			if !ok || open[f.Rule] || d.Verdict != digest {
				continue
			}
			if err := enc.Encode(rowOf(&v, &f, &d)); err != nil {
				return err
			}
		}
		return nil
	})
}

func rowOf(v *pc.Verdict, f *pc.Finding, d *store.Decision) labelRow {
	r := labelRow{Rule: f.Rule, Outcome: f.Outcome, Confidence: f.Confidence, Act: d.Act, Reading: d.Reading, Classifier: v.Versions.Classifier, Lists: v.Versions.Lists,
		CMP: v.Banner.CMP, Language: v.Banner.Language, Items: []labelItem{}}
	for _, list := range [][]pc.ItemSummary{v.Storage, v.Requests} {
		for _, i := range list {
			if !slices.Contains(f.Refs, i.Ref) {
				continue
			}
			host := i.Host
			if host == v.Site || host == "www."+v.Site || "www."+host == v.Site {
				host = "site"
			}
			r.Items = append(r.Items, labelItem{i.Kind, host, i.Name, i.Class, i.Confidence})
		}
	}
	return r
}
