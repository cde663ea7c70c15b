package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pecrawler/classifier"
	"pecrawler/figures"
)

func TestGrammar(t *testing.T) {
	rows, err := ourGrammar(roles())
	if err != nil {
		t.Fatal(err)
	}
	langs := map[string]int{}
	for _, r := range rows {
		langs[r.lang]++
	}
	for _, l := range []string{"en", "cy", "de", "fr", "es", "it", "nl", "pl", "pt", "ro", "sv", "da"} {
		if langs[l] < 100 {
			t.Errorf("%d sentences in %s", langs[l], l)
		}
	}
	for _, bad := range []string{"lang en\nacept: accept", "lang en\naccept: {none} all", "lang en\nwhat is this"} {
		if _, err := sentences("wording/x.txt", bad, roles()); err == nil || !strings.HasPrefix(err.Error(), "wording/x.txt:2: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	made, err := expand("{a} {b}", map[string][]string{"a": {"1", "2", ""}, "b": {"x", "y"}}, 100)
	if err != nil || len(made) != 6 {
		t.Errorf("%q, %v", made, err)
	}
}

// What is part of the program is what the packages give, where they are there.
func TestTheModelIsWhatTheRowsGive(t *testing.T) {
	t.Chdir("../..")
	const cache = ".train"
	if _, err := os.Stat(cache); err != nil || testing.Short() {
		t.Skip("go run ./cmd/train fetch takes the packages")
	}
	rows, err := controlRows(t.Context(), cache)
	if err != nil {
		t.Fatal(err)
	}
	cls, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	m, err := fit(rows, cls)
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile(modelFile)
	if err != nil || !bytes.Equal(m.Bytes(), have) {
		t.Errorf("%s is not what the rows give; go run ./cmd/train controls makes it (%v)", modelFile, err)
	}
}

// One site has one word on a cookie, and without it the others decide.
func TestVotes(t *testing.T) {
	v := votes{"_x a.example": {"one.example": "advertising", "two.example": "advertising", "three.example": "necessary"}}
	for _, c := range []struct {
		without string
		n       int
		want    string
	}{{"", 2, "advertising"}, {"", 4, ""}, {"one.example", 2, ""}, {"three.example", 2, "advertising"}} {
		if got := v.most("_x a.example", c.without, c.n); got != c.want {
			t.Errorf("without %q, of %d: %q, want %q", c.without, c.n, got, c.want)
		}
	}
}

// Every set of made texts can be read, and each flag is in the one that nothing was mended with.
func TestMadeBanners(t *testing.T) {
	cls, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	a := &accuracy{}
	if err := a.wording("", cls); err != nil {
		t.Fatal(err)
	}
	for _, f := range wordingFlags {
		if x := a.Wording.Made["en-held"][f]; x.Recall.N < 4 {
			t.Errorf("%s: only %d texts", f, x.Recall.N)
		}
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	cls, err := classifier.New()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "decisions.jsonl")
	rows := `{"rule":"pre-ad-storage","outcome":"fail","act":"uphold","items":[{"kind":"cookie","host":"site","name":"_fbp","class":"nonexempt-advertising"}]}
{"rule":"pre-ad-storage","outcome":"fail","act":"dismiss","items":[{"kind":"cookie","host":"site","name":"zz_no_list_has_it","class":"nonexempt-advertising"}]}
{"rule":"pre-ad-storage","outcome":"unsure","act":"unsure","items":[]}
`
	if err := os.WriteFile(file, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &accuracy{}
	if err := a.decisions(file, cls); err != nil {
		t.Fatal(err)
	}
	d := a.Decisions.Rules["pre-ad-storage"]
	if a.Decisions.Rows != 3 || d == nil || d.Upheld != (figures.Share{K: 1, N: 2}) || d.Doubted != 1 || a.Decisions.Items.Precision != (figures.Share{K: 1, N: 1}) || a.Decisions.Items.Recall != (figures.Share{K: 1, N: 1}) {
		t.Errorf("%+v %+v", a.Decisions, d)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.decisions(file, cls); err == nil {
		t.Error("no error for a row that is cut off")
	}
	if a := (&accuracy{}); a.decisions("", cls) != nil || len(a.Missing) == 0 {
		t.Error("what is missing is not said")
	}
}
