package review

import (
	"testing"

	pc "pecrawler"
)

// What needs consent is called the same whether two visits or two looks are
// compared; a request has no name.
func TestWhatDiffersIsCalledTheSame(t *testing.T) {
	without := pc.Verdict{Overall: pc.Flagged, Requests: []pc.ItemSummary{{Host: "cdn.example", Phase: pc.PhaseBefore, Class: pc.Unknown}}}
	with := without
	with.Storage = []pc.ItemSummary{{Kind: pc.Cookie, Name: "uid", Host: "shop.example", Phase: pc.PhaseReject, Class: pc.NonExemptAdvertising}}
	with.Requests = append(with.Requests, pc.ItemSummary{Host: "ads.example", Phase: pc.PhaseBefore, Class: pc.NonExemptAdvertising})
	ds, turned := differences([]visit{{Verdict: without}, {Verdict: with}}), turnedItems(without, with)
	want := []string{"Cookie uid of shop.example, after refusing", "Request to ads.example, before any choice"}
	if len(ds) != len(want) || len(turned) != len(want) {
		t.Fatalf("%+v, %+v", ds, turned)
	}
	for i, w := range want {
		if ds[i].What != w || turned[i] != (turnedItem{w, fresh}) {
			t.Errorf("%q and %+v, want %q", ds[i].What, turned[i], w)
		}
	}
}
