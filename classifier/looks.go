package classifier

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	pc "pecrawler"
)

// dress adds to the controls of a found banner what is measured and read of
// those alone: candidates are many, and most of them are no banner.
func (t *tree) dress(b *pc.Banner, layer int) {
	order := t.orders(b.Controls)
	for k := range b.Controls {
		ct := &b.Controls[k]
		switch {
		case ct.Action == pc.ActToggle:
			t.toggle(ct)
		case layer == 1:
			ct.Looks = t.looks(b.Node, ct.Node)
			ct.Looks.Order = order[ct.Node]
		}
	}
}

// orders counts the controls of the page up to each of those given.
func (t *tree) orders(of []pc.Control) map[int]int {
	out := make(map[int]int, len(of))
	last := 0
	for _, ct := range of {
		out[ct.Node] = 0
		last = max(last, ct.Node)
	}
	n := 0
	for i := 0; i <= last; i++ {
		if _, asked := out[i]; !t.visible[i] && !asked || !isControl(t, i) {
			continue
		}
		n++
		if _, ok := out[i]; ok {
			out[i] = n
		}
	}
	return out
}

// looks measures how prominent a control is within its banner.
func (t *tree) looks(banner, node int) *pc.Looks {
	n := &t.page.Nodes[node]
	box := t.extent(node)
	l := &pc.Looks{Area: math.Round(box.Area()), Fill: 1, Below: box.Y+box.H/2 > float64(t.page.Height)}
	words, face := t.wordsOf(node), t.faceOf(node, box)
	if s := t.page.Nodes[words].Style; s != nil {
		l.FontPx = s.FontPx
		l.Weight, _ = strconv.Atoi(s.Weight)
	}
	around, known := t.behind(n.Parent)
	under := around
	if face >= 0 {
		if own, ok := parseColour(t.page.Nodes[face].Style.Background); ok {
			under = own.over(around)
			if known {
				l.Fill = contrast(under, around)
			}
		}
	}
	if s := t.page.Nodes[words].Style; s != nil && known {
		if ink, ok := parseColour(s.Color); ok {
			ink.a *= t.faded(words, banner)
			l.Contrast = contrast(ink.over(under), under)
		}
	}
	bordered := n.Style != nil && n.Style.Border != "" && n.Style.Border != "0px"
	l.Link = !bordered && l.Fill < 1.1
	return l
}

// wordsOf is the element that holds the first visible text of a control; the
// control itself when it has none.
func (t *tree) wordsOf(node int) int {
	for k := node; k < t.end[node]; k++ {
		if n := &t.page.Nodes[k]; n.Tag == "#text" && t.visible[k] && strings.TrimSpace(n.Text) != "" && n.Parent >= node {
			return n.Parent
		}
	}
	return node
}

// faceOf is the element whose background a control shows: itself, or what fills
// most of it; -1 when it has none of its own.
func (t *tree) faceOf(node int, box pc.Box) int {
	for k := node; k < t.end[node]; k++ {
		n := &t.page.Nodes[k]
		if n.Style == nil || n.Box == nil || !t.visible[k] || n.Box.Area() < box.Area()/2 {
			continue
		}
		if c, ok := parseColour(n.Style.Background); ok && c.a > 0.05 {
			return k
		}
	}
	return -1
}

// behind is the colour that a node stands on: what its ancestors paint, on white.
func (t *tree) behind(node int) (colour, bool) {
	var layers []colour
	for k := node; k >= 0; k = t.page.Nodes[k].Parent {
		s := t.page.Nodes[k].Style
		if s == nil || s.Background == "" {
			continue
		}
		c, ok := parseColour(s.Background)
		if !ok {
			return colour{}, false
		}
		if layers = append(layers, c); c.a > 0.99 {
			break
		}
	}
	out := colour{255, 255, 255, 1}
	for i := len(layers) - 1; i >= 0; i-- {
		out = layers[i].over(out)
	}
	return out, true
}

// faded is the opacity of a node by itself and its ancestors within the banner.
func (t *tree) faded(node, banner int) float64 {
	o := 1.0
	for k := node; k >= banner && k >= 0; k = t.page.Nodes[k].Parent {
		if s := t.page.Nodes[k].Style; s != nil {
			o *= s.Opacity
		}
	}
	return o
}

type colour struct{ r, g, b, a float64 }

// parseColour reads rgb() and rgba() as Chrome writes them; other notations are not known.
func parseColour(s string) (c colour, ok bool) {
	s = strings.TrimSpace(s)
	if s == "transparent" {
		return colour{}, true
	}
	c.a = 1
	var err error
	if strings.HasPrefix(s, "rgba(") {
		_, err = fmt.Sscanf(s, "rgba(%g, %g, %g, %g)", &c.r, &c.g, &c.b, &c.a)
	} else {
		_, err = fmt.Sscanf(s, "rgb(%g, %g, %g)", &c.r, &c.g, &c.b)
	}
	return c, err == nil
}

// over lays a colour on one that is not transparent.
func (c colour) over(under colour) colour {
	mix := func(x, y float64) float64 { return x*c.a + y*(1-c.a) }
	return colour{mix(c.r, under.r), mix(c.g, under.g), mix(c.b, under.b), 1}
}

// contrast is the ratio of WCAG 2, from 1 to 21.
func contrast(a, b colour) float64 {
	x, y := a.luminance(), b.luminance()
	if x < y {
		x, y = y, x
	}
	return math.Round(100*(x+.05)/(y+.05)) / 100
}

func (c colour) luminance() float64 {
	part := func(v float64) float64 {
		if v /= 255; v <= .04045 {
			return v / 12.92
		}
		return math.Pow((v+.055)/1.055, 2.4)
	}
	return .2126*part(c.r) + .7152*part(c.g) + .0722*part(c.b)
}
