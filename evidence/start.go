package evidence

import (
	"encoding/json"
	"reflect"

	pc "pecrawler"
)

// Start is the proof of a clean start: with what the scenarios of a visit
// began. It is gathered from the captures and the machine when a bundle is
// sealed, so that whoever reads the manifest need not open a part.
type Start struct {
	Profile    string    `json:"profile"`              // "new, empty": the profile that every scenario began with
	Browsers   []Browser `json:"browsers"`             // what the scenarios ran in
	Clock      Clock     `json:"clock"`                // the worker's, when it sealed
	Classifier string    `json:"classifier,omitempty"` // version of what advised which control to press
	Lists      string    `json:"lists,omitempty"`      // and of its lists
	Rules      string    `json:"rules,omitempty"`      // digest of the rules that the worker held
}

// Browser is what some scenarios ran in, as their captures say.
type Browser struct {
	Scenarios []pc.Scenario `json:"scenarios"`
	Egress    string        `json:"egress"` // the upstream proxy's host and port, or "direct"
	pc.Environment
}

// ReadClock asks the kernel about its clock.
func ReadClock() Clock { return readClock() }

// Clock is what the kernel says of its clock (adjtimex).
type Clock struct {
	Source       string `json:"source"`                 // "adjtimex", or why it could not be asked
	Synchronised bool   `json:"synchronised"`           // to a source outside of the machine
	MaxErrorUS   int64  `json:"max_error_us,omitempty"` // microseconds
}

// browsers gathers the environments of the captures among the parts. Scenarios
// with the same environment share an entry, as they nearly always do.
func browsers(parts map[string][]byte) []Browser {
	out := []Browser{}
next:
	for _, s := range pc.EveryScenario {
		var c struct{ Environment pc.Environment }
		if raw, ok := parts[capturePart(s)]; !ok || json.Unmarshal(raw, &c) != nil {
			continue
		}
		for i := range out {
			if reflect.DeepEqual(out[i].Environment, c.Environment) {
				out[i].Scenarios = append(out[i].Scenarios, s)
				continue next
			}
		}
		egress := c.Environment.Proxy
		if egress == "" {
			egress = "direct"
		}
		out = append(out, Browser{[]pc.Scenario{s}, egress, c.Environment})
	}
	return out
}
