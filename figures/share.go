package figures

import (
	"encoding/json"
	"fmt"
	"math"
)

// Share is k of n.
type Share struct{ K, N int }

// Count adds one to n, and to k if yes.
func (s *Share) Count(yes bool) {
	s.N++
	if yes {
		s.K++
	}
}

// tooFew is the n below which a share says more about single sites than about a group.
const tooFew = 5

// Few tells whether the share rests on too few sites to be published.
func (s Share) Few() bool { return s.N < tooFew }

// Value is k/n; 0 of an empty share.
func (s Share) Value() float64 { return float64(s.K) / float64(max(s.N, 1)) }

// z is the 97.5 % point of the normal distribution: intervals are at 95 %.
const z = 1.959964

// Interval is Wilson's interval of the share at 95 %.
func (s Share) Interval() (low, high float64) {
	if s.N == 0 {
		return 0, 1
	}
	n, p := float64(s.N), float64(s.K)/float64(s.N)
	mid, half := p+z*z/(2*n), z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	if low = (mid - half) / (1 + z*z/n); s.K == 0 {
		low = 0
	}
	if high = (mid + half) / (1 + z*z/n); s.K == s.N {
		high = 1
	}
	return low, high
}

// String gives the share with its interval, for text and Markdown.
func (s Share) String() string {
	if s.N == 0 {
		return "–"
	}
	low, high := s.Interval()
	return fmt.Sprintf("%.1f %% (%.1f to %.1f; %d of %d)", 100*s.Value(), 100*low, 100*high, s.K, s.N)
}

// shareJSON is how a share is written; of an empty one there is no number.
type shareJSON struct {
	K     int      `json:"k"`
	N     int      `json:"n"`
	Share *float64 `json:"share"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	Few   bool     `json:"too_few"`
}

// MarshalJSON writes k, n, the share, its interval, and whether n is too small to publish.
func (s Share) MarshalJSON() ([]byte, error) {
	out := shareJSON{K: s.K, N: s.N, Few: s.Few()}
	if s.N > 0 {
		v := s.Value()
		low, high := s.Interval()
		out.Share, out.Low, out.High = &v, &low, &high
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads k and n; the rest follows from them.
func (s *Share) UnmarshalJSON(raw []byte) error {
	var in shareJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return err
	}
	s.K, s.N = in.K, in.N
	return nil
}

// Evaluation is how a build did on sites whose truth is known.
type Evaluation struct {
	Sensitivity Share `json:"sensitivity"` // faulty sites that were flagged
	Specificity Share `json:"specificity"` // other sites that were not
}

// Precision is how many flags are right where a share p of the sites is faulty;
// worst takes the low end of the specificity, on which nearly all depends where
// faults are rare.
func (e Evaluation) Precision(p float64) (expected, worst float64) {
	sens := e.Sensitivity.Value()
	low, _ := e.Specificity.Interval()
	return precision(sens, e.Specificity.Value(), p), precision(sens, low, p)
}

func precision(sens, spec, p float64) float64 {
	if sens*p+(1-spec)*(1-p) == 0 {
		return 1
	}
	return sens * p / (sens*p + (1-spec)*(1-p))
}
