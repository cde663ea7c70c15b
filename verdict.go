package pecrawler

import "time"

// VerdictSchema is the version of the [Verdict] document.
const VerdictSchema = 1

// RuleOutcome is how a rule ended on one dossier.
type RuleOutcome string

// The outcomes of a rule. Every rule ends in exactly one of them, so that
// silence is never a pass.
const (
	Fail          RuleOutcome = "fail"
	Unsure        RuleOutcome = "unsure"
	Pass          RuleOutcome = "pass"
	NotApplicable RuleOutcome = "not-applicable"
	NotInForce    RuleOutcome = "not-in-force"
	Unavailable   RuleOutcome = "unavailable" // an artifact or scenario is missing: never a pass
)

// Finding is one rule's outcome on one bundle.
type Finding struct {
	Rule       string      `json:"rule"`
	Version    int         `json:"version"`
	Status     string      `json:"status"` // stable or experimental: only stable rules flag
	Outcome    RuleOutcome `json:"outcome"`
	Strength   string      `json:"strength"` // clear, likely, human
	Check      int         `json:"check"`    // the regulator's check 1, 2 or 3; 0: none
	Problem    string      `json:"problem"`
	Confidence float64     `json:"confidence"`
	Message    string      `json:"message"`
	Cites      []string    `json:"cites"`
	Refs       []Ref       `json:"refs"`
	Against    []string    `json:"against"` // what speaks against the finding

	// What people are told of a failure, or of what may be one. It is kept with
	// the finding, so that it stays what was said then.
	Observed []Observation `json:"observed,omitempty"` // what the first references show
	Explain  *Explanation  `json:"explain,omitempty"`
}

// Observation is what one reference shows, in plain English.
type Observation struct {
	Ref  Ref    `json:"ref"`
	Text string `json:"text"` // may hold words of the page: escape it where it is shown
}

// Explanation is what a rule tells its three readers of a failure; the
// investigator's part is Message, Observed, Cites and Against.
type Explanation struct {
	Repeat    string `json:"repeat"    yaml:"repeat"`    // how anybody sees the same by hand in a browser
	Developer string `json:"developer" yaml:"developer"` // what the site's developer should change
	Public    string `json:"public"    yaml:"public"`    // what it means for whoever visits the site
	Clears    string `json:"clears"    yaml:"clears"`    // what would show that the finding is wrong, or is no longer so
}

// Overall is the last word on a site.
type Overall string

// The last words on a site.
const (
	Flagged     Overall = "flagged"      // a stable rule failed in enough agreeing visits
	Review      Overall = "review"       // something is unsure, or the visits disagree
	Clear       Overall = "clear"        // every applicable stable rule passed
	NotAssessed Overall = "not-assessed" // anything else: never a pass
)

// Verdict is the document about one site: published on the queue, served by
// the API and written to verdicts.jsonl. A worker's verdict speaks of one
// visit (Visits is 1); the last word of a sweep speaks of all visits.
type Verdict struct {
	Schema   int           `json:"schema"`
	Site     string        `json:"site"`
	URL      string        `json:"url"`
	FinalURL string        `json:"final_url"`
	Sweep    string        `json:"sweep"`
	Rank     int           `json:"rank,omitempty"`
	Sector   string        `json:"sector,omitempty"`
	Visit    int           `json:"visit,omitempty"` // number of the visit, on a worker's verdict only
	Visits   int           `json:"visits"`
	Agreeing int           `json:"agreeing"`
	Outcome  Outcome       `json:"outcome"`
	Reason   string        `json:"reason"`
	Overall  Overall       `json:"overall"`
	Banner   BannerSummary `json:"banner"`
	Storage  []ItemSummary `json:"storage"`
	Requests []ItemSummary `json:"requests"`
	Findings []Finding     `json:"findings"`
	Bundles  []string      `json:"bundles"`
	Times    Times         `json:"times"`
	Versions Versions      `json:"versions"`
}

// BannerSummary is the banner part of a verdict. Clicks are -1 when the choice
// is not offered.
type BannerSummary struct {
	Present        bool             `json:"present"`
	CMP            string           `json:"cmp"`
	Kind           string           `json:"kind"`
	Language       string           `json:"language"`
	Controls       []ControlSummary `json:"controls"`
	ClicksToAccept int              `json:"clicks_to_accept"`
	ClicksToReject int              `json:"clicks_to_reject"`
}

// ControlSummary is one control of a verdict's banner.
type ControlSummary struct {
	Text   string `json:"text"`
	Action Action `json:"action"`
	Layer  int    `json:"layer"`
}

// ItemSummary is one stored item (Kind and Name are set) or one host that
// requests went to (they are empty) with its purpose. Values are not in it.
type ItemSummary struct {
	Scenario   Scenario    `json:"scenario"`
	Phase      Phase       `json:"phase"`
	Kind       StorageKind `json:"kind,omitempty"`
	Host       string      `json:"host"`
	Name       string      `json:"name,omitempty"`
	Class      Class       `json:"class"`
	Entity     string      `json:"entity"`
	Confidence float64     `json:"confidence,omitempty"`
	Ref        Ref         `json:"ref,omitempty"`
}

// Times are the first and last instants of the visits.
type Times struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// Versions are what the verdict was made with.
type Versions struct {
	Tool       string `json:"tool"`
	Chrome     string `json:"chrome"`
	Classifier string `json:"classifier"`
	Lists      string `json:"lists"`
	Rules      string `json:"rules"`
}
