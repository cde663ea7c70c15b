package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	pc "pecrawler"
)

// ResultsSchema is the version of [Results].
const ResultsSchema = 1

// Results is a score as programs read it: docs/results.json. Its figures are
// those of the [Score]; the record of the tool is filled from them.
type Results struct {
	Schema   int             `json:"schema"`
	Date     string          `json:"date"` // of the last visit
	Machine  string          `json:"machine"`
	Sweeps   []SweepResult   `json:"sweeps"`
	Sites    int             `json:"sites"` // that the figures below are of
	Flags    FlagResult      `json:"flags"`
	Rules    []RuleResult    `json:"rules"`
	Banners  BannerResult    `json:"banners"`
	Controls []ControlResult `json:"controls"`
	Purposes []PurposeResult `json:"purposes"`
	Seen     Share           `json:"items_seen"`
}

// SweepResult is one of the sweeps that were made, and by what.
type SweepResult struct {
	Name     string        `json:"name"`
	Sites    int           `json:"sites"`
	Visits   int           `json:"visits"`
	Flagged  int           `json:"flagged"`
	Review   int           `json:"review"`
	First    time.Time     `json:"first"`
	Last     time.Time     `json:"last"`
	Versions []pc.Versions `json:"versions"` // one, unless the sweep was gone on with by another build
}

// FlagResult is how good the last words are.
type FlagResult struct {
	Specificity Share       `json:"specificity"`
	Sensitivity Share       `json:"sensitivity"`
	Outcome     Share       `json:"outcome_right"`
	Precision   []Precision `json:"precision"`
}

// Precision is how many flags are right where a share of all sites is faulty.
type Precision struct {
	Prevalence float64 `json:"prevalence"`
	Precision  float64 `json:"precision"`
	Worst      float64 `json:"worst"` // with the specificity at the lower end of its interval
}

// RuleResult is a rule beside the truth. Known is false where the test web has
// a fault for it and there is no such rule yet.
type RuleResult struct {
	Rule      string `json:"rule"`
	Known     bool   `json:"known"`
	Precision Share  `json:"precision"`
	Recall    Share  `json:"recall"`
	Unsure    int    `json:"unsure"` // of those that should fail
}

// BannerResult is what was said of banners.
type BannerResult struct {
	Sensitivity Share `json:"sensitivity"`
	Specificity Share `json:"specificity"`
	CMP         Share `json:"cmp"`
	Kind        Share `json:"kind"`
	Language    Share `json:"language"`
}

// ControlResult is what was said of the controls of the first layer.
type ControlResult struct {
	Action    string `json:"action"`
	Precision Share  `json:"precision"`
	Recall    Share  `json:"recall"`
}

// PurposeResult is what was said of stored items and requests of a class.
type PurposeResult struct {
	Class   string `json:"class"`
	Right   Share  `json:"right"`
	Unknown int    `json:"unknown"` // the rest was given a wrong class
}

// NewSweepResult says what a sweep came to.
func NewSweepResult(name string, verdicts []pc.Verdict) SweepResult {
	r := SweepResult{Name: name, Sites: len(verdicts), Versions: []pc.Versions{}}
	for i := range verdicts {
		v := &verdicts[i]
		r.Visits += v.Visits
		switch v.Overall {
		case pc.Flagged:
			r.Flagged++
		case pc.Review:
			r.Review++
		}
		if r.First.IsZero() || v.Times.First.Before(r.First) {
			r.First = v.Times.First
		}
		if v.Times.Last.After(r.Last) {
			r.Last = v.Times.Last
		}
		if v.Versions.Chrome != "" && !slices.Contains(r.Versions, v.Versions) { // "": the browser was not needed
			r.Versions = append(r.Versions, v.Versions)
		}
	}
	return r
}

// Results is the score of these sweeps, made on a machine.
func (s *Score) Results(machine string, sweeps []SweepResult) *Results {
	r := &Results{Schema: ResultsSchema, Machine: machine, Sweeps: sweeps, Sites: s.Sites, Seen: s.Seen,
		Flags:    FlagResult{s.Flagged.Specificity, s.Flagged.Sensitivity, s.Outcomes, s.Precision()},
		Banners:  BannerResult{s.Banner.Sensitivity, s.Banner.Specificity, s.CMP, s.Kind, s.Language},
		Rules:    []RuleResult{},
		Controls: []ControlResult{},
		Purposes: []PurposeResult{}}
	var last time.Time
	for _, x := range sweeps {
		if x.Last.After(last) {
			last = x.Last
		}
	}
	r.Date = last.UTC().Format(time.DateOnly)
	for _, id := range slices.Sorted(maps.Keys(s.Rules)) {
		x := s.Rules[id]
		r.Rules = append(r.Rules, RuleResult{id, x.Known, x.Precision, x.Recall, x.Unsure})
	}
	for _, a := range slices.Sorted(maps.Keys(s.Controls)) {
		r.Controls = append(r.Controls, ControlResult{a, s.Controls[a].Precision, s.Controls[a].Recall})
	}
	for _, c := range slices.Sorted(maps.Keys(s.Classes)) {
		p := PurposeResult{Class: c, Unknown: s.Classes[c][string(pc.Unknown)]}
		for given, n := range s.Classes[c] {
			p.Right.N += n
			if given == c {
				p.Right.K = n
			}
		}
		r.Purposes = append(r.Purposes, p)
	}
	return r
}

// ReadResults reads what [Score.Results] became as JSON. Another schema is an error.
func ReadResults(r io.Reader) (*Results, error) {
	var x Results
	if err := json.NewDecoder(r).Decode(&x); err != nil {
		return nil, fmt.Errorf("the results: %w", err)
	}
	if x.Schema != ResultsSchema {
		return nil, fmt.Errorf("the results have schema %d, and this program reads %d", x.Schema, ResultsSchema)
	}
	return &x, nil
}
