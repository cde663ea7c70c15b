package classifier

import (
	"fmt"
	"strings"

	pc "pecrawler"
)

// Choice is the control to press next.
type Choice struct {
	Node   int // index into the page's nodes
	Action pc.Action
	Text   string
	Why    string
	Final  bool // pressing it makes the choice; false: it leads on
}

// Reading is a page tree that was looked at once, for whatever is asked of it.
type Reading struct {
	c     *Classifier
	t     *tree
	layer int
	could []*candidate // what could be what asks
	asks  *candidate   // what asks; nil when nothing does
}

// Read looks for what asks on a page: the banner, or what lies on top after the
// settings were opened. That is nearly all the work of a choice.
func (c *Classifier) Read(layer int, p *pc.Page) *Reading {
	r := &Reading{c: c, t: c.newTree(p), layer: layer}
	r.could = c.candidates(r.t, layer)
	if layer > 1 {
		r.asks = r.t.topmost(r.could)
	} else {
		r.asks = r.t.best(r.could)
	}
	return r
}

// Region is the node that holds what asks; -1 when nothing does.
func (r *Reading) Region() int {
	if r.asks == nil {
		return -1
	}
	return r.asks.node
}

// Choose picks the control with which a visitor would reach the goal: the
// refusing or accepting control if there is one, else the way to the settings,
// and there, after switching off what is on, the saving one. To withdraw is to
// find the way back first and then to refuse. A banner that can be closed has a
// control to close; one that takes going on for consent is answered by scrolling.
func (r *Reading) Choose(goal pc.Goal) (Choice, bool) {
	if goal == pc.GoalAside {
		return r.aside()
	}
	if goal == pc.GoalWithdraw {
		back, found := r.c.wayBack(r.t, r.layer == 1)
		if r.layer > 1 { // what the way back opened is a second layer, or a page that says what withdraws
			if ch, ok := r.answer(pc.GoalReject); ok && !(found && back.Final && ch.Action != pc.ActReject) {
				return ch, true
			}
		}
		return back, found
	}
	return r.answer(goal)
}

// aside picks what closes a dialog that lies over what asks: its own control to
// close or to decline, or the dialog itself, where the browser closes it by the
// Escape key. A dialog that asks for consent too is answered, not put aside, and
// one that has to be agreed to stays.
func (r *Reading) aside() (Choice, bool) {
	c, t := r.c, r.t
	if r.asks == nil {
		return Choice{}, false
	}
	nodes, asks := t.page.Nodes, r.asks.node
	over, banner := -1, t.extent(asks)
	for i := range nodes {
		n := &nodes[i]
		inside := i >= asks && i < t.end[asks] || i <= asks && asks < t.end[i]
		modal := n.Tag == "dialog" || n.Attrs["aria-modal"] == "true" || n.Style != nil && n.Style.Position == "fixed" && n.Box != nil && !n.Box.Intersect(banner).Empty()
		if modal && !inside && t.visible[i] && n.Paint > nodes[asks].Paint && (over < 0 || n.Paint > nodes[over].Paint) {
			over = i
		}
	}
	if over < 0 {
		return Choice{}, false
	}
	for _, cd := range r.could {
		if cd.score >= threshold && cd.node >= over && cd.node < t.end[over] {
			return Choice{}, false
		}
	}
	controls := c.controls(t, over, r.layer)
	for _, a := range []pc.Action{pc.ActClose, pc.ActReject} {
		for _, ct := range controls {
			bare := a == pc.ActReject && !strings.Contains(normal(ct.Text), " ") // “No” alone answers a question: whether one is of age
			if ct.Action == a && ct.Confidence >= .6 && !bare && presses(&nodes[ct.Node]) && c.pressable(t, ct.Node) {
				return Choice{Node: ct.Node, Action: a, Text: ct.Text, Why: "it closes what lies over the banner: " + ct.Why}, true
			}
		}
	}
	if nodes[over].Tag == "dialog" {
		return Choice{Node: over, Action: pc.ActClose, Why: "it lies over the banner, and the browser closes it by a key"}, true
	}
	return Choice{}, false
}

// answer picks the control of the banner that reaches the goal.
func (r *Reading) answer(goal pc.Goal) (Choice, bool) {
	c, t, cd, layer := r.c, r.t, r.asks, r.layer
	if cd == nil {
		return Choice{}, false
	}
	pick := func(a pc.Action, least float64) (pc.Control, bool) {
		var best pc.Control
		ok := false
		for _, ct := range cd.controls {
			if ct.Action == a && ct.Confidence >= least && (!ok || ct.Confidence > best.Confidence) && c.pressable(t, ct.Node) {
				best, ok = ct, true
			}
		}
		return best, ok
	}
	choice := func(ct pc.Control, final bool) (Choice, bool) {
		return Choice{Node: ct.Node, Action: ct.Action, Text: ct.Text, Why: ct.Why, Final: final}, true
	}
	switch goal {
	case pc.GoalAccept:
		for _, a := range []pc.Action{pc.ActAccept, pc.ActAcknowledge} {
			if ct, ok := pick(a, .6); ok {
				return choice(ct, true)
			}
		}
	case pc.GoalClose:
		if ct, ok := pick(pc.ActClose, .6); ok && layer == 1 {
			return choice(ct, true)
		}
	case pc.GoalSettings:
		if ct, ok := pick(pc.ActSettings, .6); ok && layer == 1 {
			return choice(ct, false)
		}
	case pc.GoalScroll:
		if _, words := takesGoingOn(cd.text); len(words) > 0 && layer == 1 {
			return Choice{Node: cd.node, Action: pc.ActOther, Text: cut(words[0], 200), Why: "the banner takes going on for consent", Final: true}, true
		}
	case pc.GoalReject:
		on, locked := firstOn(t, cd.controls)
		save, saves := pick(pc.ActSave, .6)
		// From the third layer on a refusal may have been pressed already, and is yet to be saved.
		if ct, ok := pick(pc.ActReject, .6); ok && !(layer > 2 && saves && on < 0 && hasToggle(cd.controls)) {
			return choice(ct, true)
		}
		if saves && (layer > 1 || hasToggle(cd.controls)) {
			if on >= 0 {
				node := c.handle(t, cd.controls[on].Node)
				return Choice{Node: node, Action: pc.ActToggle, Text: cd.controls[on].Text, Why: "it is on; refusing means off"}, true
			}
			save.Why += fmt.Sprintf("; nothing is switched on but %d locked", locked)
			return choice(save, true)
		}
		if layer == 1 {
			if ct, ok := pick(pc.ActSettings, .6); ok {
				return choice(ct, false)
			}
		}
	}
	return Choice{}, false
}

// topmost is the banner part that lies on top: after opening settings the first
// layer may still show below.
func (t *tree) topmost(of []*candidate) *candidate {
	var best *candidate
	top := -1
	for _, cd := range of {
		if cd.score < threshold-.7 {
			continue
		}
		paint := 0
		for _, ct := range cd.controls {
			switch ct.Action {
			case pc.ActReject, pc.ActSave, pc.ActAccept, pc.ActToggle:
				paint = max(paint, t.page.Nodes[ct.Node].Paint)
			}
		}
		if paint > top || paint == top && len(cd.controls) > len(best.controls) {
			best, top = cd, paint
		}
	}
	return best
}

func hasToggle(cs []pc.Control) bool {
	for _, ct := range cs {
		if ct.Action == pc.ActToggle {
			return true
		}
	}
	return false
}

// firstOn finds a toggle that is on and can be switched off, and counts those
// that cannot.
func firstOn(t *tree, cs []pc.Control) (on, locked int) {
	on = -1
	for i, ct := range cs {
		if ct.Action != pc.ActToggle || ct.On == nil || !*ct.On {
			continue
		}
		n := &t.page.Nodes[ct.Node]
		_, disabled := n.Attrs["disabled"]
		if disabled || n.Attrs["aria-disabled"] == "true" || n.Attrs["type"] == "radio" {
			locked++
			continue
		}
		if on < 0 {
			on = i
		}
	}
	return on, locked
}

// pressable tells whether a node can be acted on in its capture.
func (c *Classifier) pressable(t *tree, i int) bool {
	n := &t.page.Nodes[i]
	return n.Backend != 0 && !t.extent(i).Empty()
}

// handle is what a person would press to switch a toggle: the toggle itself, or
// the label around it or for it when the toggle is drawn by its label.
func (c *Classifier) handle(t *tree, i int) int {
	n := &t.page.Nodes[i]
	if t.visible[i] && n.Box != nil && n.Box.W >= 8 && n.Box.H >= 8 {
		return i
	}
	if k, ok := t.label(i); ok {
		return k
	}
	return i
}
