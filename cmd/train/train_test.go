package main

import (
	"bytes"
	"os"
	"testing"

	"pecrawler/classifier"
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
		if _, err := sentences("x", bad, roles()); err == nil {
			t.Errorf("no error: %q", bad)
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
