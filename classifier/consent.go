package classifier

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// What an interface can say of a purpose; "" is that it does not say.
const (
	granted = "granted"
	denied  = "denied"
)

// readings understands what the consent interfaces of the page said. An answer
// that cannot be understood gives no reading; one that is understood and says
// nothing about the United Kingdom, or nothing yet, gives one without a claim.
func readings(capt *pc.Capture) []pc.Reading {
	var out []pc.Reading
	for i, s := range capt.Consent {
		r, ok := read(capt, &s)
		if !ok {
			continue
		}
		r.Scenario, r.Mark, r.API, r.Phase = capt.Scenario, s.Mark, s.API, capt.PhaseAt(s.At)
		if s.Mark == pc.MarkSettled {
			r.Phase = pc.PhaseBefore // the checkpoint closes before the press
		}
		r.Basis, r.Refs = "behaviour", []pc.Ref{pc.Ref(fmt.Sprintf("%s/consent/%d", capt.Scenario, i))}
		out = append(out, r)
	}
	return out
}

func read(capt *pc.Capture, s *pc.ConsentState) (r pc.Reading, ok bool) {
	switch s.API {
	case "tcf":
		return readTCF(s.Data)
	case "gpp":
		return readGPP(s.Data)
	case "usp":
		return readUSP(s.Data)
	case "google.commands":
		return readGoogle(s.Data)
	case "onetrust.active":
		return readOneTrust(capt, s)
	case "tcf.ping", "google.entries", "onetrust.groups", "iubenda":
		return r, false // said better by another interface, or in numbers that a site gives its own meaning
	}
	return readCategories(s.API, s.Data, s.Mark == pc.MarkSettled)
}

func claim(confidence float64, why string) pc.Claim {
	return pc.Claim{Confidence: confidence, Why: why}
}

// readTCF reads TCData of the Transparency and Consent Framework. Purpose 1 is
// to store; 3 and 4 are advertising by profile; 8 and 9 measure content and
// audiences. A consent that no vendor has does nothing, and is left open.
func readTCF(data json.RawMessage) (r pc.Reading, ok bool) {
	var d struct {
		Applies *bool  `json:"gdprApplies"`
		Status  string `json:"eventStatus"`
		Purpose struct {
			Consents map[string]bool `json:"consents"`
		} `json:"purpose"`
		Vendor struct {
			Consents map[string]bool `json:"consents"`
		} `json:"vendor"`
		Cut, Error string
	}
	if json.Unmarshal(data, &d) != nil || d.Cut != "" || d.Error != "" {
		return r, false
	}
	if d.Applies != nil && !*d.Applies {
		r.Claim = claim(.9, "the TCF says that it does not apply here, so what it holds is nobody's choice")
		return r, true
	}
	r.Claim = claim(.95, fmt.Sprintf("the TCF holds consent for the purposes %s; its event is %q", trueKeys(d.Purpose.Consents), d.Status))
	if d.Applies == nil {
		r.Confidence = .6
	}
	c := d.Purpose.Consents
	r.Advertising, r.Statistics = denied, denied
	switch {
	case len(d.Vendor.Consents) > 0 && trueKeys(d.Vendor.Consents) == "none":
		r.Why += ", and for no vendor"
	case c["1"]:
		r.Advertising, r.Statistics = "", ""
		if c["3"] || c["4"] {
			r.Advertising = granted
		}
		if c["8"] || c["9"] {
			r.Statistics = granted
		}
	}
	return r, true
}

func trueKeys(m map[string]bool) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if m[k] {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// readGPP reads the ping of the Global Privacy Platform. Of its sections only
// the European one speaks of consent as UK law has it.
func readGPP(data json.RawMessage) (r pc.Reading, ok bool) {
	var d struct {
		Parsed map[string]json.RawMessage `json:"parsedSections"`
	}
	if json.Unmarshal(data, &d) != nil {
		return r, false
	}
	r.Claim = claim(.5, "the GPP has no section about the United Kingdom")
	var eu struct {
		Purposes []bool `json:"PurposeConsents"`
	}
	for _, name := range []string{"tcfeuv2", "tcfeu"} {
		if json.Unmarshal(d.Parsed[name], &eu) == nil && len(eu.Purposes) >= 4 {
			r.Claim = claim(.85, fmt.Sprintf("the European section of the GPP holds %v for the purposes 1 to %d", eu.Purposes, len(eu.Purposes)))
			switch {
			case !eu.Purposes[0]:
				r.Advertising = denied
			case eu.Purposes[2] || eu.Purposes[3]:
				r.Advertising = granted
			}
		}
	}
	return r, true
}

// readUSP reads the US Privacy string. It is about the sale of data in the
// United States: an objection there is a denial, its absence is nothing.
func readUSP(data json.RawMessage) (r pc.Reading, ok bool) {
	var d struct {
		String string `json:"uspString"`
	}
	if json.Unmarshal(data, &d) != nil || len(d.String) != 4 {
		return r, false
	}
	r.Claim = claim(.5, "the US Privacy string "+d.String+" says nothing about consent in the United Kingdom")
	if d.String[2] == 'Y' {
		r.Advertising = denied
		r.Claim = claim(.7, "the US Privacy string "+d.String+" says that the visitor objected to the sale of data")
	}
	return r, true
}

// readGoogle goes through the commands of Google's Consent Mode. A default with
// regions counts for these alone, and there before one without; an update counts
// after any default.
func readGoogle(data json.RawMessage) (r pc.Reading, ok bool) {
	var list []struct {
		Command    string         `json:"command"`
		Parameters map[string]any `json:"parameters"`
	}
	if json.Unmarshal(data, &list) != nil {
		return r, false
	}
	type said struct {
		value string
		rank  int // 1: default; 2: default for this region; 3: update
	}
	state := map[string]said{}
	elsewhere := false
	for _, c := range list {
		rank := 1
		switch regions, limited := c.Parameters["region"].([]any); {
		case c.Command == "update":
			rank = 3
		case c.Command != "default":
			continue
		case limited && !slices.ContainsFunc(regions, func(v any) bool { s, _ := v.(string); return s == "GB" || strings.HasPrefix(s, "GB-") }):
			elsewhere = true
			continue
		case limited:
			rank = 2
		}
		for _, k := range []string{"ad_storage", "analytics_storage"} {
			if v, _ := c.Parameters[k].(string); (v == granted || v == denied) && rank >= state[k].rank {
				state[k] = said{v, rank}
			}
		}
	}
	r.Advertising, r.Statistics = state["ad_storage"].value, state["analytics_storage"].value
	if r.Advertising == "" && r.Statistics == "" {
		r.Claim = claim(.5, "Google's Consent Mode was given no state for this country")
		return r, true
	}
	how := []string{"", "by default", "by default for this country", "by an update"}
	r.Claim = claim(.95, fmt.Sprintf("Google's Consent Mode was told ad_storage %s (%s) and analytics_storage %s (%s)",
		cmp.Or(r.Advertising, "nothing"), cmp.Or(how[state["ad_storage"].rank], "never"), cmp.Or(r.Statistics, "nothing"), cmp.Or(how[state["analytics_storage"].rank], "never")))
	if elsewhere && (state["ad_storage"].rank == 1 || state["analytics_storage"].rank == 1) {
		r.Confidence = .7
		r.Why += "; other defaults are limited to other regions, so the visitor may have been taken for one from elsewhere"
	}
	return r, true
}

// readOneTrust reads the list of active groups. Their names say what they are
// for; without names the usual numbers do.
func readOneTrust(capt *pc.Capture, s *pc.ConsentState) (r pc.Reading, ok bool) {
	var active string
	if json.Unmarshal(s.Data, &active) != nil {
		return r, false
	}
	type group struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	groups := []group{{"C0002", "performance"}, {"C0004", "targeting"}}
	conf := .85
	for _, o := range capt.Consent {
		var named []group
		if o.API == "onetrust.groups" && o.Mark == s.Mark && json.Unmarshal(o.Data, &named) == nil && len(named) > 0 {
			groups, conf = named, .92
		}
	}
	on := map[string]bool{}
	for _, g := range groups {
		on[g.Name] = slices.Contains(strings.Split(active, ","), g.ID)
	}
	r.Advertising, r.Statistics = byWords(on)
	r.Claim = claim(conf, "OneTrust says that the groups "+strings.Trim(active, ",")+" are active")
	return r, true
}

// words by which consent managers and sites name what a category is for.
var (
	adWords   = regexp.MustCompile(`(?i)market|advert|(?:^|[^a-z])ads?(?:$|[^a-z])|targeting|retarget|personali[sz]ed_ads|social|hysbyseb|marchnata|werbung|publicit|pubblicit|reclam`)
	statWords = regexp.MustCompile(`(?i)analytic|analys|statisti|performance|measure|counting|audience|ystadeg|dadansodd|estad[ií]stic|statyst`)
)

// byWords brings switches with names down to the two purposes that matter.
func byWords(on map[string]bool) (ads, stats string) {
	say := func(at *string, yes bool) {
		switch {
		case yes:
			*at = granted
		case *at == "":
			*at = denied
		}
	}
	for name, yes := range on {
		switch {
		case adWords.MatchString(name):
			say(&ads, yes)
		case statWords.MatchString(name):
			say(&stats, yes)
		}
	}
	return ads, stats
}

// readCategories reads the manager's own list of categories or services, in any
// of the forms that these lists have.
func readCategories(api string, data json.RawMessage, before bool) (r pc.Reading, ok bool) {
	var v any
	if json.Unmarshal(data, &v) != nil {
		return r, false
	}
	if text, is := v.(string); is && json.Unmarshal([]byte(text), &v) != nil {
		return r, false
	}
	on := map[string]bool{}
	gather(on, "", v, 0)
	if r.Advertising, r.Statistics = byWords(on); r.Advertising == "" && r.Statistics == "" {
		return r, false
	}
	r.Claim = claim(.9, fmt.Sprintf("%s says that advertising is %s and statistics are %s", api, cmp.Or(r.Advertising, "not named"), cmp.Or(r.Statistics, "not named")))
	if before && api == "klaro" { // until the choice is made it answers with how its switches stand
		r.Advertising, r.Statistics = "", ""
		r.Claim = claim(.5, "klaro says how its switches stand, and nothing has been chosen")
	}
	return r, true
}

// gather collects what is on and off by name: {"marketing": true}, {"analytics":
// "revoked"}, {"enabled": ["ads"]}, {"ads": {"enabled": false}}, [{"name": …,
// "category": "marketing", "consent": true}].
func gather(on map[string]bool, name string, v any, depth int) {
	if depth > 6 || len(on) > 500 {
		return
	}
	switch v := v.(type) {
	case bool:
		on[name] = on[name] || v
	case string:
		switch strings.ToLower(v) {
		case "accepted", "accept", "granted", "allow", "allowed", "yes", "active":
			on[name] = true
		case "revoked", "denied", "deny", "reject", "rejected", "no", "inactive":
			on[name] = on[name] || false
		}
	case []any:
		low := strings.ToLower(name)
		yes, no := says(low, "accepted", "enabled"), says(low, "rejected", "disabled")
		for _, e := range v {
			if s, is := e.(string); is && (yes || no) {
				on[s] = on[s] || yes
			} else if !is {
				gather(on, name, e, depth+1)
			}
		}
	case map[string]any:
		if category, is := v["category"].(string); is { // a service: its category says what it is for
			gather(on, category, v["consent"], depth+1)
			return
		}
		for k, e := range v {
			_, leaf := e.(bool)
			if leaf && name != "" && (k == "enabled" || k == "consent") {
				k = name
			}
			gather(on, k, e, depth+1)
		}
	}
}
