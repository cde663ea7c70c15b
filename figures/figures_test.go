package figures

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
)

var update = flag.Bool("update", false, "write the golden files again")

// begun is when the sweeps of the tests began.
var begun = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

func sweepOf(id string, listed int) Sweep {
	return Sweep{ID: id, Created: begun, Finished: begun.Add(time.Hour), Agree: 2, Listed: listed}
}

// verdict is a verdict in short: outcomes are of the rules storage (check 1),
// reject (check 2) and trial, which is experimental.
func verdict(site string, overall pc.Overall, cmp, kind string, toReject, rank int, sector string, outcomes ...pc.RuleOutcome) pc.Verdict {
	v := pc.Verdict{Schema: 1, Site: site, Overall: overall, Outcome: pc.Assessed, Rank: rank, Sector: sector,
		Times: pc.Times{First: begun, Last: begun.Add(time.Minute)}, Versions: pc.Versions{Tool: "1", Chrome: "Chrome/1", Classifier: "5", Lists: "l", Rules: "r1"}}
	if kind != "" {
		v.Banner = pc.BannerSummary{Present: true, CMP: cmp, Kind: kind, Language: "cy", ClicksToAccept: 1, ClicksToReject: toReject}
	}
	for i, o := range outcomes {
		v.Findings = append(v.Findings, []pc.Finding{
			{Rule: "storage", Status: "stable", Check: 1, Problem: "undermined choice"},
			{Rule: "reject", Status: "stable", Check: 2, Problem: "deceptive or absent choice"},
			{Rule: "trial", Status: "experimental", Problem: "irrevocable choice"},
		}[i])
		v.Findings[i].Outcome = o
	}
	return v
}

func notAssessed(site string, o pc.Outcome, reason string, rank int) pc.Verdict {
	return pc.Verdict{Schema: 1, Site: site, Overall: pc.NotAssessed, Outcome: o, Reason: reason, Rank: rank, Sector: "news"}
}

// small is a sweep whose figures can be counted by hand.
func small() []pc.Verdict {
	out := []pc.Verdict{
		verdict("a.example", pc.Flagged, "onetrust", "bar", 2, 10, "news", pc.Fail, pc.Fail, pc.Fail),
		verdict("b.example", pc.Flagged, "onetrust", "bar", 2, 900, "news", pc.Pass, pc.Fail, pc.Pass),
		verdict("c.example", pc.Review, "", "modal", -1, 5000, "retail", pc.Pass, pc.Unsure, pc.Fail),
		verdict("d.example", pc.Clear, "", "", 0, 0, "", pc.Pass, pc.NotApplicable, pc.Pass),
		verdict("part.example", pc.NotAssessed, "", "", 0, 0, "", pc.Unavailable, pc.Pass, pc.Pass),
		notAssessed("wall.example", pc.Blocked, "bot-wall", 11),
		notAssessed("wall2.example", pc.Blocked, "bot-wall", 12),
		notAssessed("down.example", pc.Unreachable, "dns", 0),
	}
	for i := range 6 {
		out = append(out, verdict(fmt.Sprintf("e%d.example", i), pc.Clear, "onetrust", "bar", 1, 100+i, "news", pc.Pass, pc.Pass, pc.Pass))
	}
	return out
}

// later is the same sweep some time after.
func later() []pc.Verdict {
	out := []pc.Verdict{
		verdict("a.example", pc.Flagged, "onetrust", "bar", 2, 10, "news", pc.Pass, pc.Fail, pc.Fail),    // still failing, by one rule less
		verdict("b.example", pc.Clear, "onetrust", "bar", 1, 900, "news", pc.Pass, pc.Pass, pc.Pass),     // fixed
		verdict("c.example", pc.Clear, "", "modal", 1, 5000, "retail", pc.Pass, pc.Pass, pc.Pass),        // could not tell: was for review
		verdict("d.example", pc.Flagged, "", "bar", 2, 0, "", pc.Pass, pc.Fail, pc.Pass),                 // newly failing
		notAssessed("e0.example", pc.Unreachable, "timeout", 100),                                        // could not tell
		verdict("wall.example", pc.Clear, "", "bar", 1, 11, "news", pc.Pass, pc.Pass, pc.Pass),           // could not tell: was a wall
		verdict("new.example", pc.Flagged, "klaro", "modal", 2, 20, "news", pc.Fail, pc.Pass, pc.Pass),   // new
		verdict("e1.example", pc.Clear, "onetrust", "bar", 1, 101, "news", pc.Pass, pc.Pass, pc.Fail),    // still clear: the rule is on trial
		verdict("e2.example", pc.Clear, "onetrust", "bar", 1, 102, "news", pc.Pass, pc.Pass, pc.Pass),    // still clear
		verdict("part.example", pc.NotAssessed, "", "", 0, 0, "", pc.Unavailable, pc.Unavailable, "n/a"), // could not tell
	}
	for i := range out {
		out[i].Versions.Rules = "r2"
	}
	return out
}

func figuresOf(id string, vs []pc.Verdict) *Figures {
	t := NewTally()
	for _, v := range vs {
		t.Add(v)
	}
	return t.Figures(sweepOf(id, len(vs)))
}

func comparisonOf(before, after []pc.Verdict) *Comparison {
	p := NewPairing()
	for _, v := range before {
		p.Before(v)
	}
	for _, v := range after {
		p.After(v)
	}
	return p.Comparison(sweepOf("before", len(before)), sweepOf("after", len(after)))
}

func written(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	f, c := figuresOf("small", small()), comparisonOf(small(), later())
	f.Evaluate(Evaluation{Share{132, 183}, Share{554, 554}})
	for name, write := range map[string]func(io.Writer) error{
		"report.html": f.HTML, "report.csv": f.CSV, "report.json": f.JSON,
		"compare.html": c.HTML, "compare.csv": c.CSV, "compare.json": c.JSON, "compare.txt": c.Text,
	} {
		t.Run(name, func(t *testing.T) {
			got, file := written(t, write), filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("%s differs; read it, then -update (-want +got):\n%s", name, d)
			}
		})
	}
}

// Counted by hand from the table in small.
func TestFigures(t *testing.T) {
	f := figuresOf("small", small())
	if f.Sites != 14 || f.NotAssessed != (Share{4, 14}) || f.Flagged != (Share{2, 10}) || f.Review != (Share{1, 10}) || f.Clear != (Share{7, 10}) {
		t.Errorf("words: %+v", f)
	}
	wantReasons := []Reason{{pc.Blocked, "bot-wall", Share{2, 14}}, {pc.Assessed, "", Share{1, 14}}, {pc.Unreachable, "dns", Share{1, 14}}}
	if d := cmp.Diff(wantReasons, f.Reasons); d != "" {
		t.Error(d)
	}
	wantChecks := []Check{{1, true, Share{1, 10}}, {2, true, Share{2, 10}}, {3, false, Share{0, 10}}}
	if d := cmp.Diff(wantChecks, f.Checks); d != "" {
		t.Error(d)
	}
	if r := f.Rules[len(f.Rules)-1]; r.Rule != "trial" || r.Failing != (Share{2, 10}) {
		t.Errorf("the experimental rule is not last, or is wrong: %+v", r)
	}
	if p := f.Problems[3]; p.Tested || p.Failing.K != 0 {
		t.Errorf("an experimental rule alone made a problem tested: %+v", p)
	}
	if v := f.Vendors[0]; v.CMP != "onetrust" || v.Flagged != (Share{2, 8}) || v.OfAllFlagged != (Share{2, 2}) || len(v.Configurations) != 2 ||
		v.Configurations[0].ClicksToReject != 2 || v.Configurations[0].Checks[1] != (Share{2, 2}) || !v.Configurations[0].Flagged.Few() {
		t.Errorf("vendor: %+v", v)
	}
}

func TestComparison(t *testing.T) {
	c := comparisonOf(small(), later())
	if c.Both != 9 || c.New != 1 || c.Gone != 5 {
		t.Errorf("both %d, new %d, gone %d", c.Both, c.New, c.Gone)
	}
	if want := (Paired{NewlyFailing: 1, Fixed: 1, StillFailing: 1, StillClear: 2, CouldNotTell: 4}); c.Paired != want {
		t.Errorf("%+v, want %+v", c.Paired, want)
	}
	by := map[string]Paired{}
	for _, r := range c.Rules {
		by[r.Rule] = r.Paired
	}
	if want := (Paired{NewlyFailing: 1, Fixed: 1, StillFailing: 1, StillClear: 2, CouldNotTell: 4}); by["reject"] != want {
		t.Errorf("reject: %+v, want %+v", by["reject"], want)
	}
	if len(c.Caveats) != 1 || !strings.Contains(c.Caveats[0], "r1 before, r2 after") {
		t.Errorf("caveats: %q", c.Caveats)
	}
	if same := comparisonOf(small(), small()); same.Paired.NewlyFailing+same.Paired.Fixed != 0 || len(same.Caveats) != 0 {
		t.Errorf("a sweep differs from itself: %+v", same)
	}
}

func TestPairedTest(t *testing.T) {
	p := Paired{NewlyFailing: 2, Fixed: 10, StillFailing: 20, StillClear: 68}
	if got := p.PValue(); math.Abs(got-0.03857) > .0001 { // 2 · (1 + 12 + 66) / 4096
		t.Errorf("p = %v", got)
	}
	d, low, high := p.Difference()
	if math.Abs(d+.08) > 1e-9 || !(low < d && d < high && high < 0) {
		t.Errorf("difference %v (%v to %v)", d, low, high)
	}
	if s := p.Sentence(); !strings.Contains(s, "fall of 8.0") || !strings.Contains(s, "rarely") {
		t.Error(s)
	}
	if s := (Paired{StillClear: 5}).Sentence(); !strings.Contains(s, "no change") || !strings.Contains(s, "Chance alone could") {
		t.Error(s)
	}
	if s := (Paired{CouldNotTell: 5}).Sentence(); !strings.Contains(s, "nothing can be said") {
		t.Error(s)
	}
	if got := (Paired{NewlyFailing: 400_000, Fixed: 400_500}).PValue(); math.Abs(got-.577) > .01 {
		t.Errorf("of very many: %v", got)
	}
}

// random makes verdicts that may be of any kind.
func random(r *rand.Rand, n int) []pc.Verdict {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	var out []pc.Verdict
	for i := range n {
		site := fmt.Sprintf("s%d.example", i)
		if r.IntN(5) == 0 {
			out = append(out, notAssessed(site, pc.Outcome(pick("blocked", "unreachable", "excluded")), pick("dns", "bot-wall"), r.IntN(2000)))
			continue
		}
		outcomes := []pc.RuleOutcome{pc.Fail, pc.Pass, pc.Unsure, pc.NotApplicable, pc.NotInForce, pc.Unavailable}
		a, b := outcomes[r.IntN(6)], outcomes[r.IntN(6)]
		overall := pc.Clear
		switch {
		case a == pc.Fail || b == pc.Fail:
			overall = pc.Flagged
		case a == pc.Unsure || b == pc.Unsure:
			overall = pc.Review
		case a == pc.Unavailable || b == pc.Unavailable:
			overall = pc.NotAssessed
		}
		out = append(out, verdict(site, overall, pick("", "onetrust", "klaro"), pick("", "bar", "modal"), r.IntN(4)-1, r.IntN(300_000), pick("", "news", "retail"), a, b, outcomes[r.IntN(6)]))
	}
	return out
}

func TestSumsAndOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		vs, after := random(r, 1+r.IntN(200)), random(r, 1+r.IntN(200))
		f := figuresOf("x", vs)
		if f.Flagged.K+f.Review.K+f.Clear.K+f.NotAssessed.K != f.Sites || f.Flagged.N != f.Sites-f.NotAssessed.K {
			t.Fatalf("words do not add up: %+v", f)
		}
		sum := 0
		for _, x := range f.Reasons {
			sum += x.Share.K
		}
		if sum != f.NotAssessed.K {
			t.Fatalf("reasons: %d of %d", sum, f.NotAssessed.K)
		}
		for _, c := range f.Checks {
			if c.Failing.K > f.Flagged.K {
				t.Fatalf("more sites fail check %d than are flagged", c.Check)
			}
		}
		for _, x := range f.Rules {
			if x.Failing.K+x.Unsure+x.Passed+x.NotApplicable+x.NotInForce+x.Unavailable != x.Failing.N {
				t.Fatalf("outcomes do not add up: %+v", x)
			}
		}
		for _, g := range f.Groups {
			all := cell{}
			for _, c := range g.Cells {
				all.flagged += c.Flagged.K
				all.assessed += c.Flagged.N
				all.checks[1] += c.Checks[0].K
			}
			if all.flagged != f.Flagged.K || all.assessed != f.Flagged.N || all.checks[1] != f.Checks[0].Failing.K {
				t.Fatalf("%s does not add up: %+v of %+v", g.By, all, f)
			}
		}
		c := comparisonOf(vs, after)
		if p := c.Paired; p.N()+p.CouldNotTell != c.Both || c.Both+c.Gone != c.Before.Sites || c.Both+c.New != c.After.Sites {
			t.Fatalf("the comparison does not add up: %+v", c)
		}
		for _, x := range c.Rules {
			if x.N()+x.CouldNotTell != c.Both {
				t.Fatalf("%s does not add up: %+v of %d", x.Rule, x, c.Both)
			}
		}
		want, wantC := written(t, f.JSON), written(t, c.JSON)
		r.Shuffle(len(vs), func(i, j int) { vs[i], vs[j] = vs[j], vs[i] })
		r.Shuffle(len(after), func(i, j int) { after[i], after[j] = after[j], after[i] })
		if got := written(t, figuresOf("x", vs).JSON); !bytes.Equal(got, want) {
			t.Fatalf("the order changes the figures: %s", cmp.Diff(string(want), string(got)))
		}
		if got := written(t, comparisonOf(vs, after).JSON); !bytes.Equal(got, wantC) {
			t.Fatalf("the order changes the comparison: %s", cmp.Diff(string(wantC), string(got)))
		}
	}
}

// Words of pages and lists are hostile: they must stay text on the page, in a
// spreadsheet and on a terminal.
func TestHostileNames(t *testing.T) {
	hostile := []string{`<script>alert(1)</script>`, `"><svg onload=alert(1)>`, `=HYPERLINK("http://evil")`, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\x1b[2Jred", "a\u202eb", "{{.Sites}}", strings.Repeat("x", 10_000), "\xff\xfe"}
	var before, after []pc.Verdict
	for i, h := range hostile {
		v := verdict(h+".example", pc.Flagged, h, h, 2, 1, h, pc.Fail, pc.Fail, pc.Fail)
		v.Banner.Language = h
		before = append(before, v, notAssessed(fmt.Sprint(i), pc.Blocked, h, 0))
		v.Overall, v.Versions.Rules = pc.Clear, h
		after = append(after, v)
	}
	f, c := figuresOf("small", before), comparisonOf(before, after)
	for name, write := range map[string]func(io.Writer) error{"report": f.HTML, "compare": c.HTML} {
		page := string(written(t, write))
		for _, bad := range []string{"<script", "<svg onload", "\x1b", "\u202e", "javascript:", "src=", "url(", "http://www"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s.html has %q", name, bad)
			}
		}
	}
	for name, write := range map[string]func(io.Writer) error{"report": f.CSV, "compare": c.CSV} {
		rows, err := csv.NewReader(bytes.NewReader(written(t, write))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for i, x := range row {
				if number := i >= 3 && i <= 6; !number && strings.ContainsAny(strings.TrimLeft(x, " ")[:min(1, len(strings.TrimLeft(x, " ")))], "=+-@\t\r") {
					t.Errorf("%s.csv: a spreadsheet would run %q", name, x)
				}
			}
		}
	}
	if text := string(written(t, c.Text)); strings.ContainsAny(text, "\x1b\r\u202e") {
		t.Errorf("the text has control characters: %q", text)
	}
}

func TestEmpty(t *testing.T) {
	f, c := figuresOf("empty", nil), comparisonOf(nil, nil)
	for _, write := range []func(io.Writer) error{f.HTML, f.CSV, f.JSON, c.HTML, c.CSV, c.JSON, c.Text} {
		if out := string(written(t, write)); strings.Contains(out, "NaN") || strings.Contains(out, "Inf") {
			t.Errorf("%s", out)
		}
	}
	walls := figuresOf("walls", []pc.Verdict{notAssessed("a.example", pc.Blocked, "bot-wall", 1)})
	if page := string(written(t, walls.HTML)); !strings.Contains(page, "No site was assessed") {
		t.Error("a sweep of walls does not say that nothing can be said")
	}
}

// A list that gives every site a sector of its own does not fill the memory.
func TestManyValuesAreBounded(t *testing.T) {
	tally := NewTally()
	for i := range 3 * maxValues {
		tally.Add(verdict("x.example", pc.Clear, fmt.Sprint(i), fmt.Sprint(i), i, 1, fmt.Sprint("s", i), pc.Pass))
	}
	f := tally.Figures(sweepOf("x", 0))
	i := slices.IndexFunc(f.Groups, func(g Group) bool { return g.By == "sector" })
	if n := len(f.Groups[i].Cells); n > maxValues+1 {
		t.Errorf("%d sectors", n)
	}
	if n := len(f.Vendors); n > maxValues+1 {
		t.Errorf("%d vendors", n)
	}
	sum := 0
	for _, c := range f.Groups[i].Cells {
		sum += c.Clear.K
	}
	if sum != 3*maxValues {
		t.Errorf("%d sites of %d are in a sector", sum, 3*maxValues)
	}
}

// The documents come back as they were written.
func TestDocumentsAreReadable(t *testing.T) {
	f := figuresOf("small", small())
	var back Figures
	if err := json.Unmarshal(written(t, f.JSON), &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*f, back); d != "" {
		t.Error(d)
	}
	c := comparisonOf(small(), later())
	var backC Comparison
	if err := json.Unmarshal(written(t, c.JSON), &backC); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*c, backC); d != "" {
		t.Error(d)
	}
}
