package rules_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	pc "pecrawler"
	"pecrawler/rules"
)

// What people are told of each failing case, to be read by eye. UPDATE=1 writes
// it anew.
func TestExplanations(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := rules.Cases()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	last := ""
	for _, c := range cases {
		if c.Want != pc.Fail {
			continue
		}
		for _, f := range set.Judge(c.Dossier()) {
			if f.Rule != c.Rule {
				continue
			}
			if len(f.Observed) == 0 {
				t.Errorf("%s/%s: nothing is put into words", c.Rule, c.Name)
			}
			fmt.Fprintf(&b, "%s, %s\n  %s.\n", c.Rule, c.Name, f.Message)
			for _, o := range f.Observed {
				fmt.Fprintf(&b, "  - %s [%s]\n", o.Text, o.Ref)
			}
			if f.Rule != last { // the rest is the same for each case
				fmt.Fprintf(&b, "  Law: %s\n  Against: %s\n  By hand: %s\n  To the developer: %s\n  To the public: %s\n  Cleared by: %s\n", strings.Join(f.Cites, "; "), strings.Join(f.Against, " "), f.Explain.Repeat, f.Explain.Developer, f.Explain.Public, f.Explain.Clears)
			}
			last = f.Rule
			b.WriteByte('\n')
		}
	}
	const golden = "testdata/explanations.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("read what changed, then run with UPDATE=1:\n%s", diff)
	}
}
