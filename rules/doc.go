// Package rules judges a dossier by the rules under pecr/, and draws the last
// word on a site from the verdicts of its visits. It is a function of its input:
// no clock, no files, no network, so that old evidence can be judged again.
//
// A rule is a folder: rule.yaml (data and CEL expressions), README.md (the law
// in plain words, why the test shows a fault, known false positives) and
// testdata (cases). Rules are found by their folder; there is no list to edit.
// They are compiled when they are loaded, against the types below, so that a
// misspelt field or a wrong type is refused with its file and line.
//
// The engine's order is the same for every rule:
//
//	the capture's date is outside from/until        not-in-force
//	something that applies reads is missing         unavailable
//	applies is false                                not-applicable
//	something that the rest reads is missing        unavailable
//	offending is empty                              pass
//	unsure is true                                  unsure
//	otherwise                                       fail
//
// What a rule needs is derived from its expressions, see needs. An error or a
// panic in an expression is unavailable with its text, and so is a failure
// without a reference into the evidence. Silence is never a pass.
package rules

import (
	pc "pecrawler"
)

// The types below are what an expression can read: idle, reject and accept are
// [Scene]s, site is a [Site].

// Scene is one scenario.
type Scene struct {
	Banner   Banner `json:"banner"`
	Storage  []Item `json:"storage"`  // everything stored, with its purpose
	Requests []Item `json:"requests"` // classified requests
	Acts     []Act  `json:"acts"`     // what was pressed
	Acted    bool   `json:"acted"`    // the choice was made and took effect
}

// Site is what all scenarios together show.
type Site struct {
	// NonExempt are the references of what needs consent, in any scenario and
	// phase, held with a confidence of at least 0.8.
	NonExempt []string `json:"nonexempt"`
}

// Item is a stored item or a request with its purpose.
type Item struct {
	Ref        string  `json:"ref"`
	Phase      string  `json:"phase"` // before, reject, accept
	When       string  `json:"when"`  // the mark at or after which it was first seen: settled, after, reload, inner
	Class      string  `json:"class"`
	Sub        string  `json:"sub"`
	Entity     string  `json:"entity"`
	Kind       string  `json:"kind"` // of storage
	Host       string  `json:"host"`
	Name       string  `json:"name"`
	CarriesID  bool    `json:"carries_id"` // of a request
	Confidence float64 `json:"confidence"`
}

// Banner is the consent banner of a scenario. Clicks are -1 when the choice is
// not offered.
type Banner struct {
	Present        bool      `json:"present"`
	Ref            string    `json:"ref"`
	Kind           string    `json:"kind"`
	CMP            string    `json:"cmp"`
	Language       string    `json:"language"`
	Confidence     float64   `json:"confidence"`
	Controls       []Control `json:"controls"`
	ClicksToAccept int       `json:"clicks_to_accept"`
	ClicksToReject int       `json:"clicks_to_reject"`
}

// Control is one control of a banner.
type Control struct {
	Ref        string  `json:"ref"`
	Action     string  `json:"action"`
	Text       string  `json:"text"`
	Layer      int     `json:"layer"`
	Confidence float64 `json:"confidence"`
}

// Act is one press of a control.
type Act struct {
	Ref     string `json:"ref"`
	Purpose string `json:"purpose"`
	Effect  string `json:"effect"`
}

func firstRef(refs []pc.Ref) string {
	if len(refs) == 0 {
		return ""
	}
	return string(refs[0])
}
