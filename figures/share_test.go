package figures

import (
	"encoding/json"
	"math"
	"testing"
)

func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		s         Share
		low, high float64
	}{
		{Share{0, 1000}, 0, .00383},
		{Share{132, 183}, .6523, .7812},
		{Share{5, 5}, .5655, 1},
		{Share{}, 0, 1},
	} {
		if low, high := c.s.Interval(); math.Abs(low-c.low) > .0001 || math.Abs(high-c.high) > .0001 {
			t.Errorf("%d of %d: %.5f to %.5f, want %.5f to %.5f", c.s.K, c.s.N, low, high, c.low, c.high)
		}
	}
}

func TestPrecision(t *testing.T) {
	e := Evaluation{Sensitivity: Share{100, 100}, Specificity: Share{950, 1000}}
	got, worst := e.Precision(.01)
	if math.Abs(got-.168) > .001 || worst >= got {
		t.Errorf("at 1 %% with a specificity of 95 %%: %v, at worst %v", got, worst)
	}
}

func TestShareAsJSON(t *testing.T) {
	raw, err := json.Marshal([]Share{{1, 2}, {}})
	if err != nil {
		t.Fatal(err)
	}
	var back []Share
	if err := json.Unmarshal(raw, &back); err != nil || back[0] != (Share{1, 2}) || back[1] != (Share{}) {
		t.Errorf("%s came back as %v, %v", raw, back, err)
	}
}
