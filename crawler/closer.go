package crawler

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"

	pc "pecrawler"
)

const (
	maxNamed  = 40   // controls of one page whose accessible names are asked for
	maxHeight = 8000 // CSS pixels of the picture of the whole page
)

// access asks what assistive technology is told of the controls in the region
// that the chooser points at. Chrome's whole accessibility tree of a large page
// costs seconds; these few nodes cost milliseconds.
func (r *run) access(ctx context.Context, seen Reading) {
	top := seen.Region()
	if top < 0 || top >= len(r.page.Nodes) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	at, no, n := len(r.capt.Pages)-1, false, 0
	inside := map[int]bool{top: true}
	for i := top; i < len(r.page.Nodes) && n < maxNamed; i++ {
		nd := &r.page.Nodes[i]
		if i > top && !inside[nd.Parent] {
			continue
		}
		inside[i] = true
		if nd.Backend == 0 || nd.Box == nil || i != top && !pressable(nd) {
			continue
		}
		n++
		res, err := cdp.Call(ctx, r.t.page, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{BackendNodeID: cdp.BackendNodeID(nd.Backend), FetchRelatives: &no})
		if ctx.Err() != nil {
			return
		}
		if err != nil || len(res.Nodes) == 0 {
			continue // it has just gone
		}
		r.capt.Access = append(r.capt.Access, accessNode(at, i, res.Nodes[0]))
	}
}

// pressable tells whether a node is something to press, by its tag and role.
func pressable(n *pc.Node) bool {
	return n.Click || slices.Contains([]string{"button", "a", "input", "summary", "select"}, n.Tag) || slices.Contains([]string{"button", "switch", "checkbox", "link", "tab"}, n.Attrs["role"])
}

func accessNode(at, node int, n *accessibility.Node) pc.AccessNode {
	a := pc.AccessNode{Page: at, Node: node, Ignored: n.Ignored, Role: plain(n.Role), Name: cut(plain(n.Name), 300), Description: cut(plain(n.Description), 300)}
	for _, p := range n.Properties {
		v := plain(p.Value)
		switch p.Name {
		case "focusable":
			a.Focusable = v == "true"
		case "checked", "pressed", "expanded", "disabled", "hidden", "modal":
			if a.State == nil {
				a.State = map[string]string{}
			}
			a.State[string(p.Name)] = cut(v, 40)
		}
	}
	return a
}

// plain is a value of the accessibility tree as text.
func plain(v *accessibility.Value) string {
	if v == nil || len(v.Value) == 0 {
		return ""
	}
	var s string
	if json.Unmarshal(v.Value, &s) == nil {
		return s
	}
	return string(v.Value) // a number or a truth
}

// whole takes the picture of the whole page. Chrome lays the page out anew for
// it, so it is taken when a scenario is over, and nothing is recorded any more.
func (r *run) whole(ctx context.Context) error {
	r.t.closed.Store(true)
	sctx, cancel := context.WithTimeout(ctx, 6*time.Second)
	defer cancel()
	m, err := cdp.Call(sctx, r.t.page, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil || m.CSSContentSize == nil {
		return ctx.Err()
	}
	q, yes := int64(60), true
	img, err := cdp.Call(sctx, r.t.page, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: "jpeg", Quality: &q, CaptureBeyondViewport: &yes, OptimizeForSpeed: &yes,
		Clip: &page.Viewport{Width: float64(r.c.cfg.Width), Height: min(maxHeight, max(float64(r.c.cfg.Height), m.CSSContentSize.Height)), Scale: 1}})
	if err != nil {
		return ctx.Err() // the picture of what a visitor sees is there already
	}
	r.capt.Whole = string(r.scenario) + "/screens/whole.jpg"
	return r.sink.Add(r.capt.Whole, img.Data)
}
