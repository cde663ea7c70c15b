package rules_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
	"pecrawler/rules"
)

func judge(t *testing.T, s *rules.Set, rule string, d *pc.Dossier) pc.Finding {
	t.Helper()
	for _, f := range s.Judge(d) {
		if f.Rule == rule {
			return f
		}
	}
	t.Fatalf("no finding of %s", rule)
	return pc.Finding{}
}

func TestCases(t *testing.T) {
	s, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Cases()
	if err != nil || len(all) == 0 {
		t.Fatalf("no case found: %v", err)
	}
	have := map[string][]pc.RuleOutcome{}
	for _, c := range all {
		t.Run(c.Rule+"/"+c.Name, func(t *testing.T) {
			f := judge(t, s, c.Rule, c.Dossier())
			if f.Outcome != c.Want {
				t.Fatalf("%s, want %s: %s", f.Outcome, c.Want, f.Message)
			}
			have[c.Rule] = append(have[c.Rule], f.Outcome)
			if f.Outcome != pc.Fail {
				return
			}
			derived(t, s, c, f)
		})
	}
	for _, r := range s.Rules() {
		for _, o := range []pc.RuleOutcome{pc.Fail, pc.Pass, pc.NotApplicable} {
			if !slices.Contains(have[r.ID], o) {
				t.Errorf("%s has no case that ends as %s", r.ID, o)
			}
		}
	}
}

// derived checks what follows for every failing case without its author's work.
func derived(t *testing.T, s *rules.Set, c rules.Case, f pc.Finding) {
	if len(f.Refs) == 0 || len(f.Cites) == 0 || f.Confidence <= 0 {
		t.Errorf("a failure without evidence, law or confidence: %+v", f)
	}
	for _, r := range f.Refs {
		if !resolves(c.Dossier(), r) {
			t.Errorf("the reference %s does not resolve", r)
		}
	}
	early := c.Dossier()
	for _, capt := range early.Captures {
		capt.Started = time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)
	}
	if got := judge(t, s, c.Rule, early); got.Outcome != pc.NotInForce {
		t.Errorf("seen before the law: %s", got.Outcome)
	}
	shuffled := c.Dossier()
	slices.Reverse(shuffled.Storage)
	slices.Reverse(shuffled.Requests)
	slices.Reverse(shuffled.Banners)
	slices.Reverse(shuffled.Signals)
	slices.Reverse(shuffled.Wording)
	slices.Reverse(shuffled.Consent)
	if diff := cmp.Diff(f, judge(t, s, c.Rule, shuffled)); diff != "" {
		t.Errorf("the order of the input changes the finding:\n%s", diff)
	}
	gone := c.Dossier()
	gone.Captures = nil
	if got := judge(t, s, c.Rule, gone); got.Outcome != pc.Unavailable {
		t.Errorf("without any capture: %s", got.Outcome)
	}
	lost := 0
	for sc := range c.Dossier().Captures {
		for _, a := range []pc.Artifact{pc.ArtifactStorage, pc.ArtifactRequests, pc.ArtifactPage, pc.ArtifactAct, pc.ArtifactConsent, pc.ArtifactSettings} {
			d := c.Dossier()
			d.Captures[sc].Missing = map[pc.Artifact]string{a: "test"}
			switch got := judge(t, s, c.Rule, d); got.Outcome {
			case pc.Unavailable:
				lost++
			case pc.Pass:
				t.Errorf("without %s of %s it passes", a, sc)
			}
		}
	}
	if lost == 0 {
		t.Error("no missing artifact makes the rule unavailable")
	}
}

func resolves(d *pc.Dossier, r pc.Ref) bool {
	parts := strings.Split(string(r), "/")
	if len(parts) == 3 && parts[0] == "look" { // a policy's text: "look/texts/0"
		i, err := strconv.Atoi(parts[2])
		return err == nil && parts[1] == "texts" && i < len(d.Look.Texts)
	}
	if len(parts) != 3 || d.Captures[pc.Scenario(parts[0])] == nil {
		return false
	}
	if parts[1] == "consent" {
		i, err := strconv.Atoi(parts[2])
		return err == nil && i < len(d.Captures[pc.Scenario(parts[0])].Consent)
	}
	if parts[1] == "pages" {
		return strings.Contains(parts[2], "#")
	}
	for _, list := range [][]pc.Purpose{d.Storage, d.Requests} {
		for _, p := range list {
			if p.Ref == r {
				return true
			}
		}
	}
	return false
}

// A mistake in a rule is refused at load, with file, line and reason.
func TestMistakesAreRefused(t *testing.T) {
	good, err := os.ReadFile("pecr/pre-ad-storage/rule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ old, new, want string }{
		"misspelt field":   {"s.phase ==", "s.phaze ==", "line 12, offending"},
		"wrong type":       {"applies: idle.storage.size() > 0", "applies: idle.storage.size()", "gives int, want bool"},
		"unknown key":      {"strength: clear", "strenght: clear", "strenght"},
		"no law":           {`["PECR reg 6(1)", "PECR Sch A1 para 2", "ICO check 1"]`, "[]", "cites is empty"},
		"other folder":     {"id: pre-ad-storage", "id: other", "the folder is"},
		"unknown status":   {"status: stable", "status: maybe", "use experimental, stable or retired"},
		"unknown problem":  {"undermined choice", "bad", "none of the four"},
		"no date":          {"2026-02-05", "soon", "from:"},
		"unknown variable": {"idle.storage.size()", "idel.storage.size()", "undeclared reference"},
	} {
		text := strings.Replace(string(good), tt.old, tt.new, 1)
		if text == string(good) {
			t.Fatalf("%s: nothing was changed", name)
		}
		_, err := rules.LoadFS(fstest.MapFS{"pre-ad-storage/rule.yaml": {Data: []byte(text)}, "pre-ad-storage/README.md": {Data: []byte("#")}})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "pre-ad-storage/rule.yaml") {
			t.Errorf("%s: %v, want the file and %q", name, err, tt.want)
		}
	}
	if _, err := rules.LoadFS(fstest.MapFS{"pre-ad-storage/rule.yaml": {Data: good}}); err == nil {
		t.Error("a rule without a README was loaded")
	}
	if _, err := rules.LoadFS(fstest.MapFS{}); err == nil {
		t.Error("an empty folder was loaded")
	}
}

func verdict(n int, outcome pc.Outcome, findings ...string) pc.Verdict {
	v := pc.Verdict{Site: "x", Visit: n, Outcome: outcome, Bundles: []string{string(rune('a' + n))}}
	for _, f := range findings {
		rule, o, _ := strings.Cut(f, "=")
		v.Findings = append(v.Findings, pc.Finding{Rule: rule, Status: "stable", Outcome: pc.RuleOutcome(o)})
	}
	return v
}

func TestWord(t *testing.T) {
	fail, pass := "a=fail", "a=pass"
	for name, tt := range map[string]struct {
		visits   []pc.Verdict
		agree    int
		want     pc.Overall
		more     bool
		agreeing int
	}{
		"nothing yet":               {nil, 2, pc.NotAssessed, true, 0},
		"clear at once":             {[]pc.Verdict{verdict(1, pc.Assessed, pass)}, 2, pc.Clear, false, 1},
		"one failure asks":          {[]pc.Verdict{verdict(1, pc.Assessed, fail)}, 2, pc.Review, true, 1},
		"two agree":                 {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Assessed, fail)}, 2, pc.Flagged, false, 2},
		"one is enough if so set":   {[]pc.Verdict{verdict(1, pc.Assessed, fail)}, 1, pc.Flagged, false, 1},
		"disagreement asks a third": {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Assessed, pass)}, 2, pc.Review, true, 1},
		"third agrees":              {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Assessed, pass), verdict(3, pc.Assessed, fail)}, 2, pc.Flagged, false, 2},
		"third does not":            {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Assessed, pass), verdict(3, pc.Assessed, pass)}, 2, pc.Review, false, 1},
		"other rules disagree":      {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Assessed, "b=fail", pass)}, 2, pc.Review, true, 1},
		"unsure is for people":      {[]pc.Verdict{verdict(1, pc.Assessed, "a=unsure")}, 2, pc.Review, false, 1},
		"unavailable is no pass":    {[]pc.Verdict{verdict(1, pc.Assessed, "a=unavailable", "b=pass")}, 2, pc.NotAssessed, false, 1},
		"nothing applies is clear":  {[]pc.Verdict{verdict(1, pc.Assessed, "a=not-applicable")}, 2, pc.Clear, false, 1},
		"unreachable once":          {[]pc.Verdict{verdict(1, pc.Unreachable)}, 2, pc.NotAssessed, true, 1},
		"unreachable twice":         {[]pc.Verdict{verdict(1, pc.Unreachable), verdict(2, pc.Unreachable)}, 2, pc.NotAssessed, false, 2},
		"reached at last":           {[]pc.Verdict{verdict(1, pc.Unreachable), verdict(2, pc.Assessed, pass)}, 2, pc.Clear, false, 1},
		"blocked":                   {[]pc.Verdict{verdict(1, pc.Blocked)}, 2, pc.NotAssessed, false, 1},
		"blocked on the second":     {[]pc.Verdict{verdict(1, pc.Assessed, fail), verdict(2, pc.Blocked)}, 2, pc.Review, true, 1},
	} {
		for _, order := range []string{"in order", "reversed"} {
			vs := slices.Clone(tt.visits)
			if order == "reversed" {
				slices.Reverse(vs)
			}
			got, more := rules.Word(vs, tt.agree)
			if got.Overall != tt.want || more != tt.more || got.Agreeing != tt.agreeing || got.Visits != len(vs) || len(got.Bundles) != len(vs) {
				t.Errorf("%s, %s: %s, more %v, %d agreeing, %d visits; want %s, %v, %d", name, order, got.Overall, more, got.Agreeing, got.Visits, tt.want, tt.more, tt.agreeing)
			}
		}
	}
}
