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

// The types below are what an expression can read: idle, reject, accept, close
// and scroll are [Scene]s, site is a [Site].

// Scene is one scenario.
type Scene struct {
	Ran      bool      `json:"ran"` // close and scroll are run only where the banner suggests them: else they hold nothing, and nothing is missing
	Banner   Banner    `json:"banner"`
	Storage  []Item    `json:"storage"`  // everything stored, with its purpose
	Requests []Item    `json:"requests"` // classified requests
	Signals  []Signal  `json:"signals"`  // behaviour that more than one fact shows
	Reads    int       `json:"reads"`    // how often scripts asked what tells devices or visitors apart, as far as it was recorded
	Consent  []Reading `json:"consent"`  // what the page's consent interfaces said
	Wording  []Wording `json:"wording"`  // what the banner and notices on the page say
	Acts     []Act     `json:"acts"`     // what was pressed
	Acted    bool      `json:"acted"`    // the choice was made and took effect

	// WayBack tells, in accept, of the way to withdraw: used (and it took effect),
	// none (it was looked for), lost (what was found did not lead there), failed
	// (it could not be pressed); "": it was not looked for.
	WayBack    string `json:"way_back"`
	Withdrawal []Act  `json:"withdrawal"` // what was pressed there
}

// Site is what all scenarios together show.
type Site struct {
	// NonExempt are the references of what needs consent, in any scenario and
	// phase, held with a confidence of at least 0.8.
	NonExempt []string `json:"nonexempt"`
	// PolicyRead tells whether the text of a policy of the site's own was read.
	PolicyRead bool      `json:"policy_read"`
	Wording    []Wording `json:"wording"` // what the policies say
}

// Signal is behaviour that more than one fact shows.
type Signal struct {
	Ref        string   `json:"ref"`  // the first of refs
	Refs       []string `json:"refs"` // all facts that show it
	Kind       string   `json:"kind"`
	Phase      string   `json:"phase"`
	When       string   `json:"when"`
	Class      string   `json:"class"`
	Host       string   `json:"host"`
	Entity     string   `json:"entity"`
	Confidence float64  `json:"confidence"`
}

// Reading is what a consent interface said.
type Reading struct {
	Ref         string  `json:"ref"`
	API         string  `json:"api"`
	When        string  `json:"when"` // the mark at which it was asked
	Phase       string  `json:"phase"`
	Advertising string  `json:"advertising"` // granted, denied, or nothing
	Statistics  string  `json:"statistics"`
	Confidence  float64 `json:"confidence"`
}

// Wording is a passage that says something.
type Wording struct {
	Ref        string  `json:"ref"`
	Flag       string  `json:"flag"`
	Where      string  `json:"where"`
	Span       string  `json:"span"`
	Language   string  `json:"language"`
	Confidence float64 `json:"confidence"`
}

// Item is a stored item or a request with its purpose.
type Item struct {
	Ref        string  `json:"ref"`
	Phase      string  `json:"phase"` // before, reject, accept, withdraw
	When       string  `json:"when"`  // the mark at or after which it was first seen: settled, after, reload, inner, withdrawn, return
	Class      string  `json:"class"`
	Sub        string  `json:"sub"`
	Entity     string  `json:"entity"`
	Kind       string  `json:"kind"` // of storage
	Host       string  `json:"host"`
	Name       string  `json:"name"`
	CarriesID  bool    `json:"carries_id"` // of a request; of storage: the value can tell visitors apart
	Lifetime   int     `json:"lifetime_s"` // of storage, in seconds; 0: until the browser ends, or without end
	Gone       string  `json:"gone"`       // of storage: the mark at which it was no longer there
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
	Text           string    `json:"text"`
	Layers         int       `json:"layers"` // how many were seen
}

// Control is one control of a banner.
type Control struct {
	Ref        string  `json:"ref"`
	Action     string  `json:"action"`
	Text       string  `json:"text"`
	Layer      int     `json:"layer"`
	Confidence float64 `json:"confidence"`

	On     bool   `json:"on"` // of a toggle
	Locked bool   `json:"locked"`
	For    string `json:"for"`    // of a toggle: the class of what it is for
	Object bool   `json:"object"` // of a toggle: on means no
	Looks  Looks  `json:"looks"`
}

// Looks is how prominent a control is, see the classifier's opinion of the same name.
type Looks struct {
	Measured bool    `json:"measured"`
	Area     float64 `json:"area"`
	Contrast float64 `json:"contrast"`
	Fill     float64 `json:"fill"`
	FontPx   float64 `json:"font_px"`
	Weight   int     `json:"weight"`
	Link     bool    `json:"link"`
	Below    bool    `json:"below"`
	Order    int     `json:"order"`
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
