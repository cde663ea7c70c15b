package classifier

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// languages are those that controls are read in: the first line by phrases and
// the model, the second by the model, as far as translators' catalogues teach it. It is constant.
var languages = strings.Fields("en cy de fr es it nl pl pt ro sv da" +
	" bg ca cs el et fi ga gl hr hu is ja ko lb lt lv mt nb nn no ru sk sl sq sr tr uk zh")

// heading are words of Welsh for what is needed: public services, which are most
// of what is Welsh, write them above a list of cookies. It is constant.
var heading = regexp.MustCompile(`hanfodol|angenrheidiol`)

// ControlRow is a control as a person would write it down. Only Text or an
// attribute that stands for it is needed.
type ControlRow struct {
	Text    string
	Lang    string            // of the page; "" when not known
	Tag     string            // "" is a button
	Attrs   map[string]string // of the element
	Context string            // what is said around it
}

// Control reads a control that is not on a page in the way it would be read there.
func (c *Classifier) Control(row ControlRow) pc.Control {
	box := pc.Box{W: 100, H: 30}
	n := pc.Node{Parent: -1, Tag: strings.ToLower(firstOf(row.Tag, "button")), Attrs: map[string]string{}, Box: &box, Style: &pc.Style{Opacity: 1}, Click: true, Backend: 1}
	for _, k := range slices.Sorted(maps.Keys(row.Attrs)) {
		n.Attrs[strings.ToLower(k)] = row.Attrs[k]
	}
	_, on := n.Attrs["checked"]
	n.Checked = &on
	delete(n.Attrs, "disabled") // a page would not count it as a control; here somebody asks what it is
	p := &pc.Page{Lang: row.Lang, Width: 1366, Height: 900, Nodes: []pc.Node{n}}
	if strings.TrimSpace(row.Text) != "" {
		p.Nodes = append(p.Nodes, pc.Node{Parent: 0, Tag: "#text", Text: row.Text, Box: &box})
	}
	ct, _ := c.control(c.newTree(p), 0, 1)
	bare := row.Tag == "" && len(row.Attrs) == 0
	// What names a category and nothing else is that category's switch, or its heading;
	// as a button that switches nothing, it refuses the rest.
	l, said := c.label(row.Text), normal(row.Text)
	needed := neededAlone.MatchString(said)
	switch {
	case bare && needed && !heading.MatchString(said):
		ct.Action, ct.Confidence, ct.Why = pc.ActReject, .6, "it names only what is needed: as a button it refuses the rest; as a switch, or above one, it would be a category"
	case !bare && ct.Action == pc.ActOther && presses(&p.Nodes[0]) && needed:
		ct.Action, ct.Confidence, ct.Why = pc.ActReject, .6, "it names only what is needed, and is a button and no switch"
	case bare && l.action == pc.ActToggle:
		ct.Action, ct.Confidence, ct.Why = l.action, l.confidence, l.why
	}
	if bare && row.Context == "" && shared.MatchString(said) {
		ct.Why = fmt.Sprintf("by itself “%s” is a word of every form; beside words about cookies it would be %s", said, ct.Action)
		ct.Action, ct.Confidence = pc.ActOther, .5
	}
	if lang, _, _ := strings.Cut(strings.ToLower(row.Lang), "-"); lang != "" && !slices.Contains(languages, lang) && ct.Basis == "text" && ct.Confidence < strange && ct.Action != pc.ActOther {
		ct.Why = fmt.Sprintf("language unsupported: “%s” is none that controls are read in (it would be %s)", row.Lang, ct.Action)
		ct.Action, ct.Confidence = pc.ActOther, .4
	}
	if low := strings.ToLower(row.Context); len(low) > 60 && !says(low, storageWords()...) && !slices.Contains([]pc.Action{pc.ActOther, pc.ActPolicy, pc.ActToggle}, ct.Action) {
		ct.Confidence = math.Round(100*ct.Confidence*.7) / 100
		ct.Why += "; what is said around it does not speak of storage or consent"
	}
	return ct
}

// FlagNoPurposes is of a banner's text in which no purpose is named, or none but
// a better experience or service, of which nobody can say what is done for it. On a visit
// the second layer and the page can still name them, so the rules look at
// [pc.Annotations.Wording] for that; a text by itself can only be without.
const FlagNoPurposes = "missing-purposes"

// Text reads a text as if a banner said it, and returns what rules ask about.
// One that is as short as a control's is read as a control too.
func (c *Classifier) Text(text, lang string) []pc.Wording {
	b := pc.Banner{Scenario: pc.Idle, Text: text, Language: lang, Controls: []pc.Control{}, Claim: pc.Claim{Confidence: 1, Basis: "none", Refs: []pc.Ref{}}}
	if b.Language == "" {
		b.Language = language(&pc.Page{}, text)
	}
	if ct := c.Control(ControlRow{Text: text, Lang: lang}); len(text) <= maxText {
		b.Controls = append(b.Controls, ct)
	}
	a := pc.Annotations{Banners: []pc.Banner{b}}
	c.wording(&a, pc.Look{})
	if namesNoPurpose(text) {
		a.Wording = append(a.Wording, pc.Wording{Flag: FlagNoPurposes, Where: "banner", Scenario: pc.Idle, Language: b.Language, Span: cut(text, 200),
			Claim: pc.Claim{Confidence: .7, Basis: "text", Why: "it says that cookies are used, and no word in it names what they are for; a better experience or service is no purpose that can be agreed to", Refs: []pc.Ref{}}})
	}
	return a.Wording
}
