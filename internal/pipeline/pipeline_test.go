package pipeline_test

import (
	"errors"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/internal/pipeline"
	"pecrawler/rules"
)

// opened is a bundle in memory.
type opened struct {
	look  pc.Look
	capts map[pc.Scenario]*pc.Capture
}

func (opened) Digest() string { return "sha256:test" }
func (opened) Visit() pc.Visit {
	return pc.Visit{Sweep: "s", Site: "shop.example", URL: "https://shop.example/", Number: 2, Rank: 7}
}
func (o opened) Look() pc.Look                         { return o.look }
func (o opened) Captures() map[pc.Scenario]*pc.Capture { return o.capts }
func (opened) Page(string) (*pc.Page, error)           { return nil, errors.New("none") }

// says is an annotator with one opinion.
type says pc.Annotations

func (s says) Annotate(pc.Look, map[pc.Scenario]*pc.Capture, func(string) (*pc.Page, error)) pc.Annotations {
	return pc.Annotations(s)
}

func judge(t *testing.T, o opened, a pc.Annotations) pc.Verdict {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	return pipeline.Judge(o, says(a), set, "test")
}

// An error is never a pass: what was not assessed has no findings, and the
// last word says so, whatever the classifier claims.
func TestNotAssessedIsNeverClear(t *testing.T) {
	for _, out := range []pc.Outcome{pc.Blocked, pc.Unreachable, pc.NotASite, pc.Excluded} {
		v := judge(t, opened{look: pc.Look{Load: pc.Load{Outcome: out, Reason: "why"}}}, pc.Annotations{})
		if v.Overall != pc.NotAssessed || v.Outcome != out || v.Reason != "why" || len(v.Findings) != 0 {
			t.Errorf("%s: %s with %d findings", out, v.Overall, len(v.Findings))
		}
	}
	// The browser has the last word over the plain look.
	v := judge(t, opened{look: pc.Look{Load: pc.Load{Outcome: pc.Assessed}}, capts: map[pc.Scenario]*pc.Capture{pc.Idle: {Scenario: pc.Idle, Load: pc.Load{Outcome: pc.Blocked, Reason: "bot-wall"}}}}, pc.Annotations{})
	if v.Overall != pc.NotAssessed || v.Outcome != pc.Blocked {
		t.Errorf("a bot wall in the browser: %s %s", v.Overall, v.Outcome)
	}
}

// A banner offers to refuse, but what follows a refusal was not seen: not clear.
func TestAMissingRefusalIsNotClear(t *testing.T) {
	began := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	sure := pc.Claim{Confidence: 1, Basis: "text", Why: "test", Refs: []pc.Ref{"idle/pages/0#1"}}
	idle := &pc.Capture{Scenario: pc.Idle, Started: began, Load: pc.Load{Outcome: pc.Assessed}, Storage: []pc.StorageItem{{Kind: pc.Cookie, Name: "_fbp"}}}
	v := judge(t, opened{look: pc.Look{Load: pc.Load{Outcome: pc.Assessed}}, capts: map[pc.Scenario]*pc.Capture{pc.Idle: idle}}, pc.Annotations{Banners: []pc.Banner{{Scenario: pc.Idle, Kind: "bar", Claim: sure,
		Controls: []pc.Control{{Action: pc.ActAccept, Text: "Accept", Layer: 1, Claim: sure}, {Action: pc.ActReject, Text: "Reject", Layer: 1, Claim: sure}}}}})
	if v.Overall == pc.Clear {
		t.Errorf("clear without a reject scenario: %+v", v.Findings)
	}
	if v.Rank != 7 || v.Visit != 2 || v.Bundles[0] != "sha256:test" || v.Times.First != began {
		t.Errorf("what was visited is not said: %+v", v)
	}
}

func TestGivenUpIsNotAssessed(t *testing.T) {
	if v := pipeline.GivenUp(pc.Visit{Site: "x.example", Number: 1}, "five attempts"); v.Overall != pc.NotAssessed || v.Outcome != pc.Unreachable || len(v.Bundles) != 0 {
		t.Errorf("%+v", v)
	}
}

// A word without a visit is no pass either, and the first result replaces it.
func TestNotVisitedIsNotAssessed(t *testing.T) {
	if v := pipeline.NotVisited(pc.Visit{Site: "x.example", Number: 1}, "cancelled"); v.Overall != pc.NotAssessed || v.Outcome != pc.Excluded || v.Reason != "cancelled" || v.Visits != 0 || len(v.Bundles) != 0 {
		t.Errorf("%+v", v)
	}
}
