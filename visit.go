package pecrawler

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// Visit is one look at one site within a sweep: the message on the work queue.
// It is small on purpose: messages carry names, never evidence.
type Visit struct {
	Sweep     string     `json:"sweep"`
	Site      string     `json:"site"`             // canonical host name, see [ParseSite]
	URL       string     `json:"url"`              // where the visit starts
	Number    int        `json:"number"`           // 1 for the first visit of the site in this sweep
	Rank      int        `json:"rank,omitempty"`   // from the list; 0 when not given
	Sector    string     `json:"sector,omitempty"` // from the list
	Scenarios []Scenario `json:"scenarios"`
}

// ID names the visit. It is the message id on the queue too, so that putting
// the same visit on the queue twice changes nothing.
func (v Visit) ID() string {
	return v.Sweep + "/" + v.Site + "/" + strconv.Itoa(v.Number)
}

// SiteKey is the site's name as it may stand in a queue subject or a file name:
// a hash, because host names hold dots and lists hold anything.
func SiteKey(site string) string {
	sum := sha256.Sum256([]byte(site))
	return hex.EncodeToString(sum[:10])
}

// Scenario is one run of a fresh browser profile at a site.
type Scenario string

// The scenarios, in the order in which they are run.
const (
	Idle   Scenario = "idle"   // nothing is touched
	Reject Scenario = "reject" // refuse by the easiest route offered
	Accept Scenario = "accept" // accept all, then look for the way back, and withdraw
	Close  Scenario = "close"  // close the banner without a choice; only where it can be closed
	Scroll Scenario = "scroll" // scroll, and choose nothing; only where the banner says that this counts
)

// Scenarios are the scenarios that every visit runs, in their order.
var Scenarios = []Scenario{Idle, Reject, Accept}

// EveryScenario lists those that only some banners ask for as well.
var EveryScenario = []Scenario{Idle, Reject, Accept, Close, Scroll}

// Goal is what a visitor wants to reach at a page by pressing its controls.
type Goal string

// The goals.
const (
	GoalReject   Goal = "reject"
	GoalAccept   Goal = "accept"
	GoalWithdraw Goal = "withdraw" // after consent was given: find the way back, and take it back
	GoalClose    Goal = "close"    // make the banner go without a choice
	GoalScroll   Goal = "scroll"   // go on as if the banner were not there
	GoalSettings Goal = "settings" // see what the settings say, and choose nothing
	GoalAside    Goal = "aside"    // put aside what lies over the banner, and choose nothing
)

// Goal is what is done in a scenario; "" in idle.
func (s Scenario) Goal() Goal {
	if s == Idle {
		return ""
	}
	return Goal(s)
}

// Phase says when in a scenario something was first seen, or was still sent.
type Phase string

// The phases. A phase other than PhaseBefore begins with the first act.
const (
	PhaseBefore   Phase = "before" // no choice has been made yet
	PhaseReject   Phase = "reject"
	PhaseAccept   Phase = "accept"
	PhaseWithdraw Phase = "withdraw"
)

// Outcome says how a visit ended. Only an assessed visit can be clear or flagged.
type Outcome string

// The outcomes of a visit.
const (
	Assessed    Outcome = "assessed"
	Blocked     Outcome = "blocked"     // bot wall, CAPTCHA, login, geo-block: never circumvented
	Unreachable Outcome = "unreachable" // DNS, TLS, refused, HTTP error, timeout
	NotASite    Outcome = "not-a-site"  // parked, download, empty
	Excluded    Outcome = "excluded"    // robots policy, or refused by our own egress rules
)

// Load is how a page load went, as Chrome and the HTTP look before it reported:
// the outcome and, unless assessed, a short reason from a closed list
// ("dns", "tls", "refused", "timeout", "http-503", "bot-wall", "parked", ...).
type Load struct {
	Outcome Outcome `json:"outcome"`
	Reason  string  `json:"reason,omitempty"`
	Detail  string  `json:"detail,omitempty"` // for people; never parsed
}

// OK tells whether a page was shown that can be judged.
func (l Load) OK() bool { return l.Outcome == Assessed }
