package lab

import (
	"slices"
	"testing"
)

func TestRecipesAreReproducibleAndWhole(t *testing.T) {
	plan := Plan{Seed: 3, Lawful: 200, Mutants: true}
	a, err := Sites(plan)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Sites(plan)
	if err != nil {
		t.Fatal(err)
	}
	more, err := Sites(Plan{Seed: 3, Lawful: 300})
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if a[i].Host != b[i].Host || a[i].head != b[i].head || a[i].body != b[i].body {
			t.Fatalf("site %d of the same seed differs: %s and %s", i, a[i].Host, b[i].Host)
		}
		if i < 200 && a[i].body != more[i].body {
			t.Fatalf("site %d is another one in a larger lab", i)
		}
	}
	for _, s := range a {
		if s.Truth.Overall == "clear" && len(s.Truth.Fails) > 0 || s.Set == "mutant" && len(s.Truth.Fails) == 0 {
			t.Errorf("%s: set %s, overall %s, fails %v", s.Host, s.Set, s.Truth.Overall, s.Truth.Fails)
		}
		if s.Set != "lawful" {
			continue
		}
		for _, it := range s.Truth.Items {
			if slices.Contains(it.When, "idle") && (it.Class == "nonexempt-advertising" || it.Class == "nonexempt-other") {
				t.Errorf("%s is lawful, but %s%s is there before any choice", s.Host, it.Name, it.Host)
			}
		}
	}
}
