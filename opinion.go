package pecrawler

// Ref points into a bundle: "idle/requests/17", "reject/storage/3",
// "idle/pages/0#120" (node 120 of that page tree), "idle/screens/0".
type Ref string

// Claim is what every opinion carries: how sure, on what basis, and where in
// the evidence to look.
type Claim struct {
	Confidence float64 `json:"confidence"` // 0 to 1
	Basis      string  `json:"basis"`      // a short word: name-list, domain-list, dom, text, behaviour, none
	Why        string  `json:"why"`        // a sentence that a case officer can repeat
	Refs       []Ref   `json:"refs"`
}

// Annotations are the classifier's opinions about the captures of one visit.
type Annotations struct {
	Classifier string    `json:"classifier"` // version
	Lists      string    `json:"lists"`      // versions of the lists used
	Banners    []Banner  `json:"banners"`    // at most one per scenario
	Storage    []Purpose `json:"storage"`    // one per StorageItem of every capture
	Requests   []Purpose `json:"requests"`   // one per request to another party that was classified
}

// Banner is a consent banner as seen in one scenario.
type Banner struct {
	Scenario Scenario  `json:"scenario"`
	CMP      string    `json:"cmp"`  // "" when not recognised
	Kind     string    `json:"kind"` // bar, modal, inline, wall
	Language string    `json:"language"`
	Text     string    `json:"text"`
	Box      Box       `json:"box"`
	Node     int       `json:"node"` // in the page tree that Refs name
	Controls []Control `json:"controls"`
	Claim
}

// Action is what a control does.
type Action string

// The actions of controls.
const (
	ActAccept      Action = "accept"
	ActReject      Action = "reject"
	ActSettings    Action = "settings"
	ActSave        Action = "save"
	ActAcknowledge Action = "acknowledge"
	ActClose       Action = "close"
	ActPay         Action = "pay"
	ActToggle      Action = "toggle"
	ActPolicy      Action = "policy"
	ActVendors     Action = "vendors"
	ActOther       Action = "other"
)

// Actions lists every action.
var Actions = []Action{ActAccept, ActReject, ActSettings, ActSave, ActAcknowledge, ActClose, ActPay, ActToggle, ActPolicy, ActVendors, ActOther}

// Control is one control of a banner.
type Control struct {
	Action Action `json:"action"`
	Text   string `json:"text"`
	Layer  int    `json:"layer"` // 1: first screen
	Box    Box    `json:"box"`
	Node   int    `json:"node"`         // in the page tree that Refs name
	On     *bool  `json:"on,omitempty"` // state of a toggle
	Claim
}

// Class is a purpose class of storage and access under regulation 6.
type Class string

// The purpose classes. Only the NonExempt ones can flag.
const (
	ExemptTransmission    Class = "exempt-transmission"
	ExemptStrict          Class = "exempt-strict"
	ConditionalStatistics Class = "conditional-statistics"
	ConditionalAppearance Class = "conditional-appearance"
	NonExemptAdvertising  Class = "nonexempt-advertising"
	NonExemptOther        Class = "nonexempt-other"
	Unknown               Class = "unknown"
)

// Purpose is the opinion about one stored item or one request.
type Purpose struct {
	Ref      Ref         `json:"ref"` // the item: "idle/storage/3" or "idle/requests/17"
	Scenario Scenario    `json:"scenario"`
	Phase    Phase       `json:"phase"`
	Kind     StorageKind `json:"kind,omitempty"` // of storage
	Host     string      `json:"host"`
	Name     string      `json:"name,omitempty"`
	Class    Class       `json:"class"`
	Sub      string      `json:"sub,omitempty"` // of advertising: targeting, id-sync, delivery, measurement, ...
	Entity   string      `json:"entity,omitempty"`
	// CarriesID tells of a request that its URL, body or cookies carry an
	// identifier, or that its response stored one.
	CarriesID bool `json:"carries_id,omitempty"`
	Claim
}

// Dossier is all that a rule may see.
type Dossier struct {
	Bundle   string                `json:"bundle"` // "sha256:..."
	Visit    Visit                 `json:"visit"`
	Look     Look                  `json:"look"`
	Load     Load                  `json:"load"`
	Captures map[Scenario]*Capture `json:"captures"`
	Annotations
}
