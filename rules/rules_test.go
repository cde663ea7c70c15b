package rules_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	pc "pecrawler"
	"pecrawler/rules"
)

func TestCases(t *testing.T) {
	s, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Cases()
	if err != nil || len(all) == 0 {
		t.Fatalf("no case found: %v", err)
	}
	for _, c := range all {
		t.Run(c.Rule+"/"+c.Name, func(t *testing.T) {
			for _, f := range s.Check(c) {
				t.Error(f)
			}
			if c.Why == "" {
				t.Error("the case does not say why")
			}
		})
	}
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
		_, err := rules.LoadFS(folder(text, "#"))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "pre-ad-storage/rule.yaml") {
			t.Errorf("%s: %v, want the file and %q", name, err, tt.want)
		}
	}
	if _, err := rules.LoadFS(folder(string(good), "#")); err != nil {
		t.Errorf("a good rule is refused: %v", err)
	}
	if _, err := rules.LoadFS(folder(string(good), "")); err == nil {
		t.Error("a rule without a README was loaded")
	}
	few := folder(string(good), "#")
	delete(few, "pre-ad-storage/testdata/pass.txtar")
	if _, err := rules.LoadFS(few); err == nil || !strings.Contains(err.Error(), "no case in pre-ad-storage/testdata that ends as pass") {
		t.Errorf("a rule without a passing case: %v", err)
	}
	if _, err := rules.LoadFS(fstest.MapFS{}); err == nil {
		t.Error("an empty folder was loaded")
	}
}

// An exception for a sub-purpose is a line of data, in force by the day on which
// the site was seen.
func TestExceptions(t *testing.T) {
	good, err := os.ReadFile("pecr/pre-ad-storage/rule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := rules.Cases()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(cases, func(c rules.Case) bool { return c.Rule == "pre-ad-storage" && c.Name == "pixel-cookie" })
	for text, want := range map[string]pc.RuleOutcome{
		"[]": pc.Fail,
		`[{class: nonexempt-advertising, sub: measurement, from: 2026-06-01, cite: SI}]`:                    pc.Pass,
		`[{class: nonexempt-advertising, from: 2026-06-01, cite: SI}]`:                                      pc.Pass,
		`[{class: nonexempt-advertising, sub: targeting, from: 2026-06-01, cite: SI}]`:                      pc.Fail,
		`[{class: nonexempt-advertising, sub: measurement, from: 2027-06-01, cite: SI}]`:                    pc.Fail,
		`[{class: nonexempt-advertising, sub: measurement, from: 2026-06-01, until: 2026-07-01, cite: SI}]`: pc.Fail,
	} {
		m := folder(string(good), "#")
		m["exceptions.yaml"] = &fstest.MapFile{Data: []byte(text)}
		set, err := rules.LoadFS(m)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		d := cases[i].Dossier()
		for k := range d.Storage {
			d.Storage[k].Sub = "measurement"
		}
		if f := set.Judge(d)[0]; f.Outcome != want {
			t.Errorf("%s: %s, want %s", text, f.Outcome, want)
		}
	}
	for text, want := range map[string]string{"[{class: exempt-strict, from: 2026-06-01, cite: SI}]": "want a class", "[{klass: x}]": "klass", "[{class: nonexempt-other, from: soon, cite: SI}]": "exception 1"} {
		m := folder(string(good), "#")
		m["exceptions.yaml"] = &fstest.MapFile{Data: []byte(text)}
		if _, err := rules.LoadFS(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// folder is a folder with one rule and a case for each outcome that is wanted.
func folder(rule, readme string) fstest.MapFS {
	m := fstest.MapFS{"pre-ad-storage/rule.yaml": {Data: []byte(rule)}}
	if readme != "" {
		m["pre-ad-storage/README.md"] = &fstest.MapFile{Data: []byte(readme)}
	}
	for _, o := range rules.Wanted() {
		m["pre-ad-storage/testdata/"+string(o)+".txtar"] = &fstest.MapFile{Data: []byte("Why.\nwant: " + string(o) + "\n-- dossier.json --\n{}\n")}
	}
	return m
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
