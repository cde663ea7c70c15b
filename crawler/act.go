package crawler

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"

	pc "pecrawler"
)

// maxActs bounds the clicks of one choice: opening settings, toggles, saving.
const maxActs = 12

// The effects of an act.
const (
	effectGone    = "gone"    // the control is no longer shown
	effectChanged = "changed" // it is, but the page looks different
	effectNone    = "none"
)

// marksOf are the instants of a goal: where its pictures are taken, and its last
// click. What is missing when it is not reached is named too.
func marksOf(goal pc.Goal) (during, done pc.MarkName, what pc.Artifact) {
	if goal == pc.GoalWithdraw {
		return pc.MarkWithdraw, pc.MarkWithdrawn, pc.ArtifactWithdraw
	}
	return pc.MarkSettled, pc.MarkActed, pc.ArtifactAct
}

// act reaches a goal by pressing visible controls, as the chooser advises, and
// records each press. seen is the chooser's reading of the last tree. It returns
// whether the last press took effect.
func (r *run) act(ctx context.Context, goal pc.Goal, seen Reading) (bool, error) {
	during, _, what := marksOf(goal)
	layer, acted := 1, false
	for n := range maxActs {
		if r.page == nil {
			r.missing(what, "the page could not be looked at")
			return false, nil
		}
		if seen == nil {
			seen = r.c.chooser.Read(layer, r.page)
		}
		choice, ok := choose(seen, goal, r.page)
		seen = nil
		if !ok {
			if acted {
				return true, nil
			}
			why := fmt.Sprintf("no control to %s was found", goal)
			if n > 0 {
				why = fmt.Sprintf("no control to %s was found after %d clicks", goal, n)
			}
			r.missing(what, why)
			return false, nil
		}
		if choice.Final && !acted && during == pc.MarkSettled {
			// What is there now is there before the choice.
			if err := r.store(ctx, pc.MarkSettled); err != nil {
				return false, err
			}
		}
		act, err := r.press(ctx, goal, choice, false)
		under := err
		covered := errors.Is(err, errCovered)
		if covered {
			if choice, err = r.aside(ctx, choice, during, layer); err == nil {
				act, err = r.press(ctx, goal, choice, true) // what still lies over it gets the click, as it would a person's
			}
		}
		asked := r.page
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil {
			r.missing(what, fmt.Sprintf("%q could not be pressed: %v", choice.Text, err))
			return false, nil
		}
		act.Effect, err = r.effect(ctx, choice)
		if err != nil {
			return false, err
		}
		r.capt.Acts = append(r.capt.Acts, act)
		if choice.Final {
			r.c.met.acts.WithLabelValues(string(goal), act.Effect).Inc()
		}
		// To go on as if the banner were not there need not change anything that is seen.
		if act.Effect == effectNone && (choice.Final || goal == pc.GoalWithdraw) && goal != pc.GoalScroll {
			why := fmt.Sprintf("pressing %q had no visible effect", choice.Text)
			if covered {
				why += ": " + under.Error()
			}
			r.missing(what, why)
			return false, nil
		}
		if choice.Final {
			acted = true
			if goal == pc.GoalClose || goal == pc.GoalScroll {
				return true, nil
			}
			// Some ask once more, whether the visitor is sure. Whoever is answers that too.
			layer = max(layer+1, 2)
			again, err := r.asksAgain(ctx, goal, layer, choice, asked, act.Effect)
			if err != nil || !again {
				return true, err
			}
		}
		if !choice.Final && choice.Action != pc.ActToggle {
			layer++
			// The panel may come by animation or from the network.
			r.t.settle(ctx, 700*time.Millisecond, 400*time.Millisecond, 4*time.Second)
		}
		if err := r.shot(ctx, during, max(layer, 2)); err != nil {
			return false, err
		}
		if choice.Action != pc.ActToggle {
			seen = r.c.chooser.Read(layer, r.page)
			if goal == pc.GoalWithdraw && sameControl(seen, goal, asked, choice, r.page) {
				// What it opened stands out of sight: some banners are the first thing of the page, and the link is the last.
				if err := r.top(ctx, during, max(layer, 2)); err != nil {
					return false, err
				}
				seen = r.c.chooser.Read(layer, r.page)
			}
			r.access(ctx, seen)
		}
	}
	r.missing(what, fmt.Sprintf("no choice after %d clicks", maxActs))
	return false, nil
}

// choose asks the chooser, and passes over a node that the page does not have.
func choose(seen Reading, goal pc.Goal, p *pc.Page) (Choice, bool) {
	c, ok := seen.Choose(goal)
	return c, ok && c.Node >= 0 && c.Node < len(p.Nodes)
}

// sameControl tells whether the chooser would press again what has been pressed.
func sameControl(seen Reading, goal pc.Goal, before *pc.Page, pressed Choice, now *pc.Page) bool {
	next, ok := choose(seen, goal, now)
	return ok && !next.Final && now.Nodes[next.Node].Backend == before.Nodes[pressed.Node].Backend
}

// top turns the wheel up to the beginning of the page, as a visitor does who
// sees nothing happen, and takes its tree and picture.
func (r *run) top(ctx context.Context, mark pc.MarkName, layer int) error {
	if err := r.wheel(ctx, -100_000); err != nil {
		return ctx.Err() // a page that does not answer is noticed by the next tree
	}
	if !sleep(ctx, 400*time.Millisecond) {
		return ctx.Err()
	}
	return r.shot(ctx, mark, layer)
}

// asksAgain tells whether, after a choice was made, something still asks for
// it that was not there to be pressed before, or the choice is yet to be saved.
func (r *run) asksAgain(ctx context.Context, goal pc.Goal, layer int, made Choice, asked *pc.Page, effect string) (bool, error) {
	if !sleep(ctx, 400*time.Millisecond) {
		return false, ctx.Err()
	}
	p, _, err := r.t.snapshot(ctx, 5*time.Second)
	if err != nil {
		return false, ctx.Err() // it may be navigating: nobody asks
	}
	next, ok := choose(r.c.chooser.Read(layer, p), goal, p)
	if !ok || !next.Final || rootOf(asked) != rootOf(p) {
		return false, nil // a page that was loaded anew does not ask again, it asks
	}
	unsaved := layer > 2 && effect == effectChanged && made.Action == pc.ActReject && next.Action == pc.ActSave
	repeated := next.Action == made.Action && !shownIn(asked, p.Nodes[next.Node].Backend)
	if !unsaved && !repeated {
		return false, nil
	}
	r.page = p
	return true, nil
}

var errCovered = errors.New("something lies over it")

// aside puts away a dialog that lies over the control of a choice, where the
// chooser knows how, and returns where the control is then. It is an act like
// others, and no part of the choice.
func (r *run) aside(ctx context.Context, choice Choice, during pc.MarkName, layer int) (Choice, error) {
	away, ok := choose(r.c.chooser.Read(1, r.page), pc.GoalAside, r.page)
	if !ok {
		return choice, nil
	}
	id := r.page.Nodes[choice.Node].Backend
	away.Final = false
	act, err := r.press(ctx, pc.GoalAside, away, true)
	if err == nil {
		act.Effect, err = r.effect(ctx, away)
	}
	if err != nil {
		return choice, err
	}
	r.capt.Acts = append(r.capt.Acts, act)
	if err := r.shot(ctx, during, layer); err != nil {
		return choice, err
	}
	if choice.Node = indexOf(r.page, id); choice.Node < 0 {
		return choice, errUnseen
	}
	return choice, nil
}

// press scrolls the control into view and clicks it with trusted mouse events
// where a person would: in the middle, or, where something lies over that, where
// the control is still to be seen. When nothing of it is, it is pressed only if
// that is wanted anyway: what lies on top gets the click, unless it is a control,
// which would answer another question: whether one is of age. A dialog itself is
// pressed by the Escape key.
func (r *run) press(ctx context.Context, goal pc.Goal, choice Choice, anyway bool) (pc.Act, error) {
	_, done, _ := marksOf(goal)
	node := &r.page.Nodes[choice.Node]
	act := pc.Act{Kind: "click", Goal: goal, Purpose: choice.Action, Text: cut(choice.Text, 200), Page: len(r.capt.Pages) - 1, Node: choice.Node, Chooser: r.c.chooser.Version(), Why: choice.Why}
	if node.Box != nil {
		act.Box = *node.Box
	}
	if goal == pc.GoalScroll {
		act.Kind, act.At = "scroll", r.t.at()
		r.capt.Marks = append(r.capt.Marks, pc.Mark{Name: done, At: act.At})
		return act, r.wheel(ctx, 600)
	}
	if goal == pc.GoalAside && node.Tag == "dialog" {
		act.Kind, act.At = "escape", r.t.at()
		return act, r.escape(ctx)
	}
	id := cdp.BackendNodeID(node.Backend)
	seen, err := r.still(ctx, id, true)
	if err != nil {
		return act, err
	}
	x, y, over, reached := r.aim(ctx, choice.Node, seen)
	if !reached && !overPage(r.page, choice.Node) && r.wheel(ctx, r.c.cfg.Height/2) == nil && sleep(ctx, 400*time.Millisecond) {
		// What lies over it stands still while the page moves on below.
		if again, err := r.still(ctx, id, false); err == nil {
			x, y, over, reached = r.aim(ctx, choice.Node, again)
		}
	}
	if !reached && (!anyway || otherAnswer(r.page, choice.Node, over)) {
		return act, covers(r.page, choice.Node, over)
	}
	act.X, act.Y = x, y
	for _, e := range []input.DispatchMouseEventParams{
		{Type: input.DispatchMouseEventTypeMouseMoved, X: x, Y: y},
		{Type: input.DispatchMouseEventTypeMousePressed, X: x, Y: y, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1},
		{Type: input.DispatchMouseEventTypeMouseReleased, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: 1},
	} {
		if e.Type == input.DispatchMouseEventTypeMousePressed {
			act.At = r.t.at()
			if choice.Final {
				r.capt.Marks = append(r.capt.Marks, pc.Mark{Name: done, At: act.At})
			}
		}
		ectx, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := cdp.Call(ectx, r.t.page, input.DispatchMouseEvent, e)
		cancel()
		if err != nil {
			return act, err
		}
	}
	return act, nil
}

// escape presses the Escape key.
func (r *run) escape(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		if _, err := cdp.Call(ctx, r.t.page, input.DispatchKeyEvent, input.DispatchKeyEventParams{Type: kind, Key: "Escape", Code: "Escape", WindowsVirtualKeyCode: 27}); err != nil {
			return err
		}
	}
	return nil
}

var errUnseen = errors.New("it has no place on the screen")

// covers says what lies over a control, in its own words: a question of age, an
// offer. over is the node that a click would reach, -1 when it is not in the tree.
func covers(p *pc.Page, node, over int) error {
	top := -1
	for i := over; i >= 0 && !holds(p, i, node); i = p.Nodes[i].Parent {
		top = i
	}
	if top < 0 {
		return errCovered
	}
	inside := map[int]bool{top: true}
	var words []string
	for i := top; i < len(p.Nodes); i++ {
		n := &p.Nodes[i]
		inside[i] = inside[i] || inside[n.Parent]
		if inside[i] && n.Tag == "#text" && n.Box != nil {
			words = append(words, strings.Fields(n.Text)...)
		}
	}
	if len(words) == 0 {
		return errCovered
	}
	return fmt.Errorf("%w that says “%s”", errCovered, cut(strings.Join(words, " "), 150))
}

// otherAnswer tells whether a click at what lies over a control would press
// another control, on something that stands over the page by itself. The drawn
// switch over a checkbox is no such thing.
func otherAnswer(p *pc.Page, node, over int) bool {
	presses, apart := false, false
	for i := over; i >= 0 && !holds(p, i, node); i = p.Nodes[i].Parent {
		n := &p.Nodes[i]
		presses = presses || pressable(n)
		apart = apart || n.Tag == "dialog" || n.Attrs["aria-modal"] == "true" || n.Style != nil && n.Style.Position == "fixed"
	}
	return presses && apart
}

// aim finds the point of a control's visible box at which a click reaches it.
// When there is none, what covers it will get the click, as it would a person's:
// over is the node of it in the middle, -1 when the tree does not have it.
func (r *run) aim(ctx context.Context, node int, seen pc.Box) (x, y float64, over int, reached bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	over = -1
	mx, my := math.Round(seen.X+seen.W/2), math.Round(seen.Y+seen.H/2)
	m, err := cdp.Call(ctx, r.t.page, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil || m.CSSLayoutViewport == nil {
		return mx, my, over, false
	}
	for _, fy := range []float64{.5, .2, .8} {
		for _, fx := range []float64{.5, .15, .85, .3, .7, .05, .95} {
			x, y := math.Round(seen.X+seen.W*fx), math.Round(seen.Y+seen.H*fy)
			hit, err := cdp.Call(ctx, r.t.page, dom.GetNodeForLocation, dom.GetNodeForLocationParams{X: int64(x) + m.CSSLayoutViewport.PageX, Y: int64(y) + m.CSSLayoutViewport.PageY})
			if err != nil {
				return mx, my, over, false
			}
			at := indexOf(r.page, int64(hit.BackendNodeID))
			if fy == .5 && fx == .5 {
				over = at
			}
			if holds(r.page, node, at) {
				return x, y, over, true
			}
		}
	}
	return mx, my, over, false
}

// overPage tells whether a node stands over the page and does not move with it.
func overPage(p *pc.Page, node int) bool {
	for i := node; i >= 0; i = p.Nodes[i].Parent {
		if s := p.Nodes[i].Style; s != nil && s.Position == "fixed" {
			return true
		}
	}
	return false
}

// holds tells whether a node of the page is another, or that lies inside it.
func holds(p *pc.Page, node, other int) bool {
	for i := other; i >= 0; i = p.Nodes[i].Parent {
		if i == node {
			return true
		}
	}
	return false
}

// still scrolls a node into view, if it is told to, waits until it stands still,
// and returns what is seen of it.
func (r *run) still(ctx context.Context, id cdp.BackendNodeID, scroll bool) (pc.Box, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if scroll {
		if _, err := cdp.Call(ctx, r.t.page, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
			return pc.Box{}, err
		}
	}
	var last pc.Box
	for range 15 { // until it stands still: banners slide in
		q, err := cdp.Call(ctx, r.t.page, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: id})
		if err != nil {
			return pc.Box{}, err
		}
		if len(q.Quads) == 0 || len(q.Quads[0]) != 8 {
			return pc.Box{}, errUnseen
		}
		v := q.Quads[0]
		box := pc.Box{X: min(v[0], v[2], v[4], v[6]), Y: min(v[1], v[3], v[5], v[7])}
		box.W, box.H = max(v[0], v[2], v[4], v[6])-box.X, max(v[1], v[3], v[5], v[7])-box.Y
		seen := box.Intersect(pc.Box{W: float64(r.c.cfg.Width), H: float64(r.c.cfg.Height)})
		if seen.Empty() {
			return pc.Box{}, errUnseen
		}
		if box == last {
			return seen, nil
		}
		last = box
		if !sleep(ctx, 100*time.Millisecond) {
			break
		}
	}
	return pc.Box{}, errors.New("it does not stand still")
}

// effect looks, for up to three seconds, at what a press did.
func (r *run) effect(ctx context.Context, choice Choice) (string, error) {
	before := r.page
	id := before.Nodes[choice.Node].Backend
	text, state := visibleText(before, 200_000), stateAround(before, id)
	effect := effectNone
	for range 10 {
		if !sleep(ctx, 300*time.Millisecond) {
			return effect, ctx.Err()
		}
		p, _, err := r.t.snapshot(ctx, 5*time.Second)
		if err != nil {
			if ctx.Err() != nil {
				return effect, ctx.Err()
			}
			continue // it may be navigating
		}
		r.page = p
		switch {
		case !shownIn(p, id):
			return effectGone, nil
		case visibleText(p, 200_000) != text || stateAround(p, id) != state:
			effect = effectChanged
			if !choice.Final {
				return effect, nil
			}
		}
	}
	return effect, nil
}

// indexOf finds a node in a tree by Chrome's id of it; -1: it is not there.
func indexOf(p *pc.Page, backend int64) int {
	for i := range p.Nodes {
		if p.Nodes[i].Backend == backend && backend != 0 {
			return i
		}
	}
	return -1
}

// rootOf tells documents apart: the node id of the first element.
func rootOf(p *pc.Page) int64 {
	for i := range p.Nodes {
		if p.Nodes[i].Backend != 0 {
			return p.Nodes[i].Backend
		}
	}
	return 0
}

// stateAround is the state of the controls around a node, in the part of the
// page that stands over the rest with it: what is switched on, and what their
// classes say. The node's own classes change when the mouse is over it, so only
// its switch counts.
func stateAround(p *pc.Page, backend int64) string {
	at := indexOf(p, backend)
	if at < 0 {
		return ""
	}
	top := at
	for k := at; k >= 0; k = p.Nodes[k].Parent {
		if s := p.Nodes[k].Style; s != nil && s.Position == "fixed" || p.Nodes[k].Tag == "dialog" {
			top = k
		}
	}
	inside := map[int]bool{top: true}
	var b strings.Builder
	for i := top; i < len(p.Nodes); i++ {
		n := &p.Nodes[i]
		if i > top && !inside[n.Parent] {
			if n.Parent < top {
				break
			}
			continue
		}
		inside[i] = true
		if n.Checked != nil {
			fmt.Fprintf(&b, "%d%t ", i, *n.Checked)
		}
		switch n.Tag {
		case "button", "a", "input", "label", "li":
			fmt.Fprintf(&b, "%s%s", n.Attrs["aria-checked"], n.Attrs["aria-pressed"])
			if i != at && top != at {
				b.WriteString(n.Attrs["class"])
			}
			b.WriteByte(';')
		}
	}
	return b.String()
}

// shownIn tells whether a node is still to be seen: laid out, on the screen, and
// neither it nor what holds it hidden or faded out.
func shownIn(p *pc.Page, backend int64) bool {
	at := indexOf(p, backend)
	if at < 0 {
		return false
	}
	n := &p.Nodes[at]
	if n.Box == nil || n.Box.Intersect(pc.Box{W: float64(p.Width), H: float64(p.Height)}).Empty() {
		return false
	}
	if n.Style != nil && n.Style.Visibility == "hidden" {
		return false
	}
	for {
		if n.Style != nil && n.Style.Opacity < 0.05 {
			return false
		}
		if n.Parent < 0 {
			return true
		}
		n = &p.Nodes[n.Parent]
	}
}
