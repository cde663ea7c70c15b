package ngram_test

import (
	"bytes"
	"testing"

	"pecrawler/internal/ngram"
)

func model(t *testing.T) *ngram.Model {
	t.Helper()
	var rows []ngram.Row
	for text, class := range map[string]string{"accept all": "yes", "accept cookies": "yes", "i accept": "yes", "allow": "yes", "reject all": "no", "reject cookies": "no", "i refuse": "no", "decline": "no"} {
		rows = append(rows, ngram.Row{Text: text, Class: class})
	}
	// A map has no order; training must not depend on one that the caller does not give.
	sorted := append([]ngram.Row{}, rows...)
	for i := range sorted {
		for j := i + 1; j < len(sorted); j++ {
			if sorted[j].Text < sorted[i].Text {
				sorted[i], sorted[j] = sorted[j], sorted[i]
			}
		}
	}
	m, err := ngram.Train(sorted, []string{"yes", "no"}, ngram.Options{Bits: 10, Epochs: 20, Rate: .3})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestItLearnsAndSaysWhy(t *testing.T) {
	m := model(t)
	if p := m.Predict("Accepting", nil); p[0] < .6 {
		t.Errorf("a word that it has not seen, with a stem that it has: %.2f", p)
	}
	parts := m.Explain("Please reject", 1)
	if parts[0].Word != "reject" || parts[0].Points <= 0 {
		t.Errorf("what speaks for no: %v", parts)
	}
	if p := m.Predict("", nil); len(p) != 2 || p[0]+p[1] < .999 {
		t.Errorf("of nothing: %v", p)
	}
}

func TestTheSameRowsGiveTheSameBytes(t *testing.T) {
	a, b := model(t).Bytes(), model(t).Bytes()
	if !bytes.Equal(a, b) {
		t.Error("two trainings differ")
	}
	m, err := ngram.Read(a)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Bytes(), a) {
		t.Error("what is read is not what was written")
	}
	for n := range len(a) {
		if _, err := ngram.Read(a[:n]); err == nil {
			t.Fatalf("a model cut at byte %d is read", n)
		}
	}
}
