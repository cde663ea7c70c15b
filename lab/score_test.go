package lab

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	pc "pecrawler"
)

func TestScoreCountsWhatIsWrong(t *testing.T) {
	sites := []*Site{
		{Host: "good.example", Lang: "en-GB", Truth: Truth{Outcome: "assessed", Overall: "clear", Banner: true, Kind: "bar", Language: "en", Controls: []ControlTruth{{"Accept all", "accept"}, {"Reject all", "reject"}},
			Items: []Item{{Kind: "cookie", Name: "_ga_*", Host: "good.example", Class: "conditional-statistics", When: []string{"accept"}}}}},
		{Host: "bad.example", Truth: Truth{Outcome: "assessed", Overall: "flagged", Fails: []string{"r1"}}},
		{Host: "gone.example", Truth: Truth{Outcome: "unreachable", Reason: "dns", Overall: "not-assessed"}},
	}
	finding := func(rule string, o pc.RuleOutcome) []pc.Finding { return []pc.Finding{{Rule: rule, Outcome: o}} }
	verdicts := []pc.Verdict{
		{Site: "good.example", Outcome: pc.Assessed, Overall: pc.Flagged, Findings: finding("r1", pc.Fail), Bundles: []string{"sha256:aa"},
			Banner:  pc.BannerSummary{Present: true, Kind: "bar", Language: "en", Controls: []pc.ControlSummary{{Text: "Accept  all", Action: pc.ActAccept, Layer: 1}, {Text: "Reject all", Action: pc.ActOther, Layer: 1}}},
			Storage: []pc.ItemSummary{{Scenario: pc.Accept, Kind: pc.Cookie, Host: "good.example", Name: "_ga_X1", Class: pc.Unknown}}},
		{Site: "bad.example", Outcome: pc.Assessed, Overall: pc.Review, Findings: finding("r1", pc.Unsure)},
		{Site: "gone.example", Outcome: pc.Unreachable, Reason: "dns", Overall: pc.NotAssessed},
	}
	s, err := NewScore(sites, verdicts)
	if err != nil {
		t.Fatal(err)
	}
	if s.Flagged.Specificity != share(1, 2) || s.Flagged.Sensitivity != share(0, 1) {
		t.Errorf("flags: %v, %v", s.Flagged.Specificity, s.Flagged.Sensitivity)
	}
	if r := s.Rules["r1"]; r.Precision != share(0, 1) || r.Recall != share(0, 1) || r.Unsure != 1 {
		t.Errorf("rule: %+v", r)
	}
	if s.Outcomes != share(3, 3) || s.Seen != share(1, 1) || s.Classes["conditional-statistics"]["unknown"] != 1 {
		t.Errorf("outcomes %v, seen %v, classes %v", s.Outcomes, s.Seen, s.Classes)
	}
	if s.Controls["accept"].Recall != share(1, 1) || s.Controls["reject"].Recall != share(0, 1) {
		t.Errorf("controls: %+v", s.Controls)
	}
	if x := s.Slices["language"]["en-GB"]; x == nil || x.Sites != 1 || x.Found != share(1, 1) || x.Roles != share(1, 2) || x.Unanswered != share(1, 1) || x.Purposes.N != 0 {
		t.Errorf("slices: %+v", s.Slices)
	}
	var b strings.Builder
	s.Markdown(&b)
	for _, want := range []string{"| good.example | r1 | `sha256:aa` |", "| r1 | 0.0 %", "where 1 % of sites are faulty"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, b.String())
		}
	}

	verdicts[0].Versions = pc.Versions{Chrome: "Chrome/1", Classifier: "6"}
	var doc bytes.Buffer
	if err := json.NewEncoder(&doc).Encode(s.Results("a machine", []SweepResult{NewSweepResult("first", verdicts)})); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(doc.String(), `"specificity":{"k":1,"n":2,"share":0.5,"low":0.0945`) {
		t.Errorf("the document does not say how sure the specificity is: %s", &doc)
	}
	r, err := ReadResults(&doc)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sites != 3 || r.Flags.Specificity != s.Flagged.Specificity || r.Flags.Sensitivity.N != 1 || r.Sweeps[0].Flagged != 1 || r.Sweeps[0].Review != 1 || len(r.Sweeps[0].Versions) != 1 {
		t.Errorf("results that were read again: %+v", r)
	}
	if len(r.Rules) != 1 || r.Rules[0] != (RuleResult{"r1", true, share(0, 1), share(0, 1), 1}) || r.Purposes[0] != (PurposeResult{"conditional-statistics", share(0, 1), 1}) {
		t.Errorf("rules %+v, purposes %+v", r.Rules, r.Purposes)
	}
	if _, err := ReadResults(strings.NewReader(`{"schema":99}`)); err == nil {
		t.Error("results of another schema were read")
	}
	if _, err := NewScore(sites, []pc.Verdict{{Site: "else.example"}}); err == nil {
		t.Error("a verdict of no site of the lab was scored")
	}
}

// The evidence of a site is compared with the truth: a choice made by the wrong
// control, and a cookie that should have waited, are told.
func TestCapturesBesideTheTruth(t *testing.T) {
	x := &Site{Host: "shop.example", Truth: Truth{Outcome: "assessed", Banner: true, Controls: []ControlTruth{{"Accept all", "accept"}, {"Reject all", "reject"}},
		Items: []Item{{Kind: "cookie", Name: "_fbp", Host: "shop.example", Class: "nonexempt-advertising", When: []string{"accept"}}}}}
	made := []pc.Mark{{Name: pc.MarkSettled, At: 900}, {Name: pc.MarkActed, At: 1000}}
	captures := map[pc.Scenario]*pc.Capture{
		pc.Idle:   {Scenario: pc.Idle},
		pc.Reject: {Scenario: pc.Reject, Marks: made, Acts: []pc.Act{{Goal: pc.GoalReject, Purpose: pc.ActReject, Text: "Accept  all"}}},
		pc.Accept: {Scenario: pc.Accept, Marks: made, Acts: []pc.Act{{Goal: pc.GoalAccept, Purpose: pc.ActAccept, Text: "Accept all"}},
			Storage: []pc.StorageItem{{Kind: pc.Cookie, Host: "shop.example", Name: "_fbp", First: pc.MarkSettled, At: 900, Request: -1}}},
	}
	var s CaptureScore
	s.Captured(x, "sha256:1", captures)
	if s.Reject != share(1, 1) || s.Accept != share(1, 1) || s.Pressed != share(1, 2) || s.Stored != share(1, 1) || s.Phase != share(0, 1) || s.Attributed != share(0, 1) || len(s.Wrong) != 2 {
		t.Errorf("%+v", s)
	}
	captures[pc.Accept].Missing = map[pc.Artifact]string{pc.ArtifactAct: "no control to accept was found"}
	s = CaptureScore{}
	if s.Captured(x, "sha256:1", captures); s.Accept != share(0, 1) || s.Stored.N != 0 {
		t.Errorf("without accepting: %+v", s)
	}
}

func share(k, n int) Share { return Share{K: k, N: n} }
