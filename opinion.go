package pecrawler

import "strings"

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
	Signals    []Signal  `json:"signals,omitempty"`
	Wording    []Wording `json:"wording,omitempty"`
	Consent    []Reading `json:"consent,omitempty"`
}

// SignalKind is the closed list of behaviour that more than one fact shows.
type SignalKind string

// The kinds of signals.
const (
	SignalIDSync        SignalKind = "id-sync"        // two parties or more were sent the same identifier
	SignalFingerprint   SignalKind = "fingerprint"    // what tells one device from another was read and sent
	SignalReplay        SignalKind = "replay"         // a recorder sent what the visitor does
	SignalConsentPing   SignalKind = "consent-ping"   // a tag reported that consent is denied
	SignalEmbed         SignalKind = "embed"          // a frame of another party holds a video, map or post, and stored
	SignalCNAME         SignalKind = "cname"          // a name of the site is an alias of another party's
	SignalClickID       SignalKind = "click-id"       // an identifier of an advertising click was taken from an address and kept
	SignalServerSide    SignalKind = "server-side"    // a host of the site takes what a vendor's tag sends
	SignalStatLinked    SignalKind = "stat-ad-link"   // a statistics hit was joined with advertising
	SignalVisitorID     SignalKind = "visitor-id"     // statistics keep an identifier of the visitor for long
	SignalMisclassified SignalKind = "misclassified"  // what needs consent is listed as necessary
	SignalStatBegins    SignalKind = "stat-begins"    // after a refusal statistics with an identifier began
	SignalStatGoesOn    SignalKind = "stat-goes-on"   // and these were on before it
	SignalShortMemory   SignalKind = "short-memory"   // a refusal is kept for a short time only
	SignalLegitimate    SignalKind = "legit-interest" // a legitimate interest is claimed for storage or advertising
)

// Signal is the opinion that something was done which more than one fact shows.
type Signal struct {
	Kind     SignalKind `json:"kind"`
	Scenario Scenario   `json:"scenario"`
	Phase    Phase      `json:"phase"`
	At       int64      `json:"at"`             // of its last fact
	Host     string     `json:"host,omitempty"` // who gained by it
	Entity   string     `json:"entity,omitempty"`
	Class    Class      `json:"class"` // Unknown where only a human can tell
	Claim
}

// Wording is a passage of the banner, of the page or of a policy that says something a rule asks about.
type Wording struct {
	Flag     string   `json:"flag"`     // see the classifier's list
	Where    string   `json:"where"`    // banner, page or policy
	Scenario Scenario `json:"scenario"` // of a banner or page
	Span     string   `json:"span"`     // the passage itself, at most 200 characters
	Language string   `json:"language"`
	Claim
}

// Reading is what a consent interface of the page said, understood.
type Reading struct {
	Scenario    Scenario `json:"scenario"`
	Phase       Phase    `json:"phase"`
	Mark        MarkName `json:"mark"`
	API         string   `json:"api"`
	Advertising string   `json:"advertising"` // granted, denied; "": it does not say
	Statistics  string   `json:"statistics"`
	Claim
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
	Node   int    `json:"node"`             // in the page tree that Refs name
	On     *bool  `json:"on,omitempty"`     // state of a toggle
	Locked bool   `json:"locked,omitempty"` // a toggle that cannot be switched
	For    Class  `json:"for,omitempty"`    // of a toggle: what its text says it is for; "": not understood
	Object bool   `json:"object,omitempty"` // a toggle that is on to object: on means no
	Looks  *Looks `json:"looks,omitempty"`  // nil: not measured
	Claim
}

// Looks is how prominent a control is, in numbers that a reader can check
// against the picture.
type Looks struct {
	Area     float64 `json:"area"`     // of its box, square CSS pixels
	Contrast float64 `json:"contrast"` // of its text against what is behind it, WCAG 2: 1 to 21; 0: unknown
	Fill     float64 `json:"fill"`     // of its own background against the banner's, the same way; 1: none of its own
	FontPx   float64 `json:"font_px"`
	Weight   int     `json:"weight"`
	Link     bool    `json:"link"`  // looks like a link: no border and no fill of its own
	Below    bool    `json:"below"` // below what is seen without scrolling
	Order    int     `json:"order"` // its place among the controls in the document: clicks of the Tab key to reach it, at the least
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

// Exempt tells whether what is of the class needs no consent.
func (c Class) Exempt() bool { return strings.HasPrefix(string(c), "exempt-") }

// NonExempt tells whether what is of the class needs consent, and can flag.
func (c Class) NonExempt() bool { return strings.HasPrefix(string(c), "nonexempt-") }

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
	// identifier, or that its response stored one; of a stored item that its value
	// can tell visitors apart.
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
