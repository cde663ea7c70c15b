package crawler

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/domsnapshot"
	"github.com/chromedp/chromedp"

	pc "pecrawler"
)

// styles are the computed styles that a snapshot asks for, in this order.
func styles() []string {
	return []string{"display", "visibility", "opacity", "position", "z-index", "color", "background-color", "border-top-width", "font-size", "font-weight", "text-decoration-line", "cursor", "pointer-events"}
}

// maxNodes bounds a page tree; what lies beyond is left out and said in Missing.
const maxNodes = 60_000

// snapshot takes the composed tree of the page: frames and shadow roots, closed
// ones too, in the coordinates of the top window's viewport. While Chrome's answer
// is the same to the byte, the tree is the same one: to decode it again cost more
// than anything else that we do while nothing happens. Nobody changes a tree.
func (t *tab) snapshot(ctx context.Context, limit time.Duration) (*pc.Page, bool, error) {
	yes := true
	var raw jsonv2.Value
	err := t.insist(ctx, limit, func(ctx context.Context) error {
		return t.page.Call(ctx, domsnapshot.CommandCaptureSnapshot, domsnapshot.CaptureSnapshotParams{ComputedStyles: styles(), IncludePaintOrder: &yes}, &raw)
	})
	if err != nil {
		return nil, false, err
	}
	if t.tree.page != nil && bytes.Equal(raw, t.tree.raw) {
		return t.tree.page, t.tree.whole, nil
	}
	var res domsnapshot.CaptureSnapshotResult
	if err := jsonv2.Unmarshal(raw, &res, chromedp.DefaultUnmarshalOptions); err != nil {
		return nil, false, fmt.Errorf("%s: %w", domsnapshot.CommandCaptureSnapshot, err)
	}
	t.tree.raw = raw
	t.tree.page, t.tree.whole = compose(&res, t.b.cfg.Width, t.b.cfg.Height)
	return t.tree.page, t.tree.whole, nil
}

// compose turns Chrome's tables into one tree. It trusts no index in them: they
// describe a hostile page.
func compose(snap *domsnapshot.CaptureSnapshotResult, width, height int) (_ *pc.Page, whole bool) {
	p := &pc.Page{Width: width, Height: height, Nodes: []pc.Node{}}
	c := &composer{snap: snap, page: p, seen: map[int]bool{}}
	if len(snap.Documents) > 0 {
		d := snap.Documents[0]
		p.URL, p.Title = c.str(d.DocumentURL.Int64()), cut(c.str(d.Title.Int64()), 1000)
		c.document(0, -1, 0, 0)
	}
	return p, !c.full
}

type composer struct {
	snap *domsnapshot.CaptureSnapshotResult
	page *pc.Page
	seen map[int]bool // documents, against cycles
	full bool
}

func (c *composer) str(i int64) string {
	if i < 0 || i >= int64(len(c.snap.Strings)) {
		return ""
	}
	return c.snap.Strings[i]
}

func rare(d *domsnapshot.RareStringData, str func(int64) string) map[int]string {
	m := map[int]string{}
	if d != nil {
		for i, idx := range d.Index {
			if i < len(d.Value) {
				m[int(idx)] = str(d.Value[i].Int64())
			}
		}
	}
	return m
}

func rareBool(d *domsnapshot.RareBooleanData) map[int]bool {
	m := map[int]bool{}
	if d != nil {
		for _, idx := range d.Index {
			m[int(idx)] = true
		}
	}
	return m
}

// document appends one document's nodes under the parent. dx, dy move its
// document coordinates to viewport coordinates of the top window.
func (c *composer) document(index, parent int, dx, dy float64) {
	if index < 0 || index >= len(c.snap.Documents) || c.seen[index] {
		return
	}
	c.seen[index] = true
	d := c.snap.Documents[index]
	n := d.Nodes
	if n == nil {
		return
	}
	dx -= d.ScrollOffsetX
	dy -= d.ScrollOffsetY

	layout := map[int]int{} // node index to layout index, the first box of each
	if d.Layout != nil {
		for li, ni := range d.Layout.NodeIndex {
			if _, dup := layout[int(ni)]; !dup {
				layout[int(ni)] = li
			}
		}
	}
	shadow := rare(n.ShadowRootType, c.str)
	input := rare(n.InputValue, c.str)
	pseudo := rare(n.PseudoType, c.str)
	checked, click := rareBool(n.InputChecked), rareBool(n.IsClickable)
	content := map[int]int{}
	if n.ContentDocumentIndex != nil {
		for i, idx := range n.ContentDocumentIndex.Index {
			if i < len(n.ContentDocumentIndex.Value) {
				content[int(idx)] = int(n.ContentDocumentIndex.Value[i])
			}
		}
	}
	at := make([]int, len(n.NodeName)) // node index to index in the page, -1: left out
	for i := range n.NodeName {
		at[i] = -1
		up := parent
		if i < len(n.ParentIndex) && n.ParentIndex[i] >= 0 {
			if int(n.ParentIndex[i]) >= i {
				continue
			}
			if up = at[n.ParentIndex[i]]; up < 0 {
				continue // its parent was left out
			}
		}
		if len(c.page.Nodes) >= maxNodes {
			c.full = true
			return
		}
		name := strings.ToLower(c.str(n.NodeName[i].Int64()))
		node := pc.Node{Parent: up, Tag: name}
		li, laid := layout[i]
		if laid && li < len(d.Layout.Bounds) && len(d.Layout.Bounds[li]) == 4 {
			b := d.Layout.Bounds[li]
			node.Box = &pc.Box{X: b[0] + dx, Y: b[1] + dy, W: b[2], H: b[3]}
			if li < len(d.Layout.PaintOrders) {
				node.Paint = int(d.Layout.PaintOrders[li])
			}
		}
		var kind int64
		if i < len(n.NodeType) {
			kind = n.NodeType[i]
		}
		switch kind {
		case 1: // element
			switch name {
			case "script":
				if src := c.attr(n, i, "src"); src != "" && len(c.page.Scripts) < 500 {
					c.page.Scripts = append(c.page.Scripts, cut(src, maxURL))
				}
				continue
			case "style", "noscript", "template", "link", "meta", "base":
				continue
			}
			if i < len(n.BackendNodeID) {
				node.Backend = int64(n.BackendNodeID[i])
			}
			node.Attrs = c.attrs(n, i)
			node.Click = click[i]
			if v, ok := input[i]; ok && node.Attrs["type"] != "password" {
				node.Value = cut(v, 200)
			}
			if t := node.Attrs["type"]; name == "input" && (t == "checkbox" || t == "radio") {
				on := checked[i]
				node.Checked = &on
			}
			if laid && li < len(d.Layout.Styles) {
				node.Style = c.style(d.Layout.Styles[li])
			}
			if ps, ok := pseudo[i]; ok {
				node.Tag = "::" + ps
			}
			if name == "html" && parent < 0 {
				c.page.Lang = node.Attrs["lang"]
			}
		case 3: // text
			text := ""
			if i < len(n.NodeValue) {
				text = c.str(n.NodeValue[i].Int64())
			}
			if laid && li < len(d.Layout.Text) {
				if shown := c.str(d.Layout.Text[li].Int64()); shown != "" {
					text = shown // as rendered, text-transform applied
				}
			}
			if strings.TrimSpace(text) == "" {
				continue
			}
			node.Tag, node.Text = "#text", cut(text, 4000)
		case 9: // document
			node.Tag, node.Frame = "#document", cut(c.str(d.DocumentURL.Int64()), maxURL)
		case 11: // fragment: a shadow root
			node.Tag = "#shadow"
			if s, ok := shadow[i]; ok {
				node.Attrs = map[string]string{"mode": s}
			}
		default:
			continue
		}
		at[i] = len(c.page.Nodes)
		c.page.Nodes = append(c.page.Nodes, node)
		if child, ok := content[i]; ok {
			cx, cy := dx, dy
			if node.Box != nil {
				cx, cy = node.Box.X, node.Box.Y
			}
			c.document(child, at[i], cx, cy)
		}
	}
}

func (c *composer) attr(n *domsnapshot.NodeTreeSnapshot, i int, name string) string {
	if i >= len(n.Attributes) {
		return ""
	}
	as := n.Attributes[i]
	for k := 0; k+1 < len(as); k += 2 {
		if strings.EqualFold(c.str(as[k]), name) {
			return c.str(as[k+1])
		}
	}
	return ""
}

func (c *composer) attrs(n *domsnapshot.NodeTreeSnapshot, i int) map[string]string {
	if i >= len(n.Attributes) || len(n.Attributes[i]) == 0 {
		return nil
	}
	m := map[string]string{}
	as := n.Attributes[i]
	for k := 0; k+1 < len(as) && len(m) < 40; k += 2 {
		name := strings.ToLower(c.str(as[k]))
		if name == "style" || name == "d" || name == "srcset" || strings.HasPrefix(name, "on") {
			continue // the computed style says what a style attribute does
		}
		m[name] = cut(c.str(as[k+1]), 500)
	}
	return m
}

func (c *composer) style(v domsnapshot.ArrayOfStrings) *pc.Style {
	get := func(i int) string {
		if i >= len(v) {
			return ""
		}
		return c.str(v[i])
	}
	num := func(s string) float64 {
		f, _ := strconv.ParseFloat(strings.TrimSuffix(s, "px"), 64)
		return f
	}
	return &pc.Style{Display: get(0), Visibility: get(1), Opacity: num(get(2)), Position: get(3), ZIndex: get(4), Color: get(5), Background: get(6), Border: get(7),
		FontPx: num(get(8)), Weight: get(9), Decoration: get(10), Cursor: get(11), Pointer: get(12)}
}
