package review

import (
	"fmt"
	"slices"

	pc "pecrawler"
)

// picture is one look at a page with what is drawn on it.
type picture struct {
	ID, Src       string
	Alt, Caption  string
	Width, Height int
	Mark          pc.MarkName
	Layer         int
	Boxes         []*box
}

// box is a rectangle on a picture. Its number stands in the list beside the
// picture, where its words are: no text of a page is drawn into a picture.
type box struct {
	ID     string
	N      int
	Kind   string // banner, control, pressed, finding
	What   string // in our words
	Text   string // in the page's
	Detail string
	Away   bool     // it lies outside of the picture: further down the page, mostly
	Rules  []string // of findings that speak of it
	pc.Box
}

// MidX and MidY are where the box's number stands: on its corner, so that it
// covers little of what is in the box, and within the picture.
func (b box) MidX() float64 { return max(b.X-6, 17) }
func (b box) MidY() float64 { return max(b.Y-6, 17) }

// scene is the pictures of one scenario.
type scene struct {
	Scenario pc.Scenario
	Title    string
	Pictures []picture
	Missing  []string // why there is no picture, or nothing was pressed
	Whole    string   // address of the picture of the whole page
}

func sceneTitle(s pc.Scenario) string {
	return map[pc.Scenario]string{pc.Idle: "Nothing is touched", pc.Reject: "The visitor refuses", pc.Accept: "The visitor accepts, then withdraws", pc.Close: "The visitor closes the banner", pc.Scroll: "The visitor scrolls"}[s]
}

func markWords(m pc.MarkName) string {
	w, ok := map[pc.MarkName]string{
		pc.MarkLoad: "when loaded", pc.MarkSettled: "before any choice", pc.MarkActed: "just after the press", pc.MarkAfter: "after the choice", pc.MarkReload: "after a reload", pc.MarkInner: "on an inner page",
		pc.MarkWithdraw: "where the way back is", pc.MarkWithdrawn: "after the withdrawal", pc.MarkReturn: "after the withdrawal and a reload", pc.MarkOpened: "the settings, opened at the end", pc.MarkDone: "at the end",
	}[m]
	if !ok {
		return "at another moment"
	}
	return w
}

// moment says when a page was looked at.
func moment(snap pc.Snapshot) string {
	return fmt.Sprintf("%s, %.1f seconds after the page was asked for", markWords(snap.Mark), float64(snap.At)/1000)
}

// scenes draws all pictures of a visit. rules names the rules that refer to a
// place of a page.
func scenes(o *opened, rules map[pc.Ref][]string) []scene {
	var out []scene
	for _, s := range pc.EveryScenario {
		c := o.Captures()[s]
		if c == nil {
			continue
		}
		sc := scene{Scenario: s, Title: sceneTitle(s)}
		for i := range c.Pages {
			if c.Pages[i].Screen != "" {
				sc.Pictures = append(sc.Pictures, drawn(o, c, i, rules))
			}
		}
		for _, a := range []pc.Artifact{pc.ArtifactScreen, pc.ArtifactAct, pc.ArtifactWithdraw, pc.ArtifactSettings} {
			if why, ok := c.Missing[a]; ok {
				sc.Missing = append(sc.Missing, fmt.Sprintf("%s: %s", map[pc.Artifact]string{pc.ArtifactScreen: "No picture", pc.ArtifactAct: "Nothing was pressed", pc.ArtifactWithdraw: "Not withdrawn", pc.ArtifactSettings: "The settings were not looked at"}[a], why))
			}
		}
		if c.Whole != "" {
			sc.Whole = fmt.Sprintf("/bundles/%s/whole/%s", o.Digest(), s)
		}
		out = append(out, sc)
	}
	return out
}

func drawn(o *opened, c *pc.Capture, i int, rules map[pc.Ref][]string) picture {
	snap := c.Pages[i]
	p := picture{
		ID: fmt.Sprintf("picture-%s-%d", c.Scenario, i), Src: fmt.Sprintf("/bundles/%s/screens/%s/%d", o.Digest(), c.Scenario, i),
		Width: max(c.Environment.Width, 1), Height: max(c.Environment.Height, 1),
		Mark: snap.Mark, Layer: snap.Layer,
		Caption: capital(moment(snap)),
	}
	if snap.Layer > 1 {
		p.Caption += fmt.Sprintf(", layer %d", snap.Layer)
	}
	p.Alt = "Picture of the page. " + p.Caption
	boxes := map[pc.Ref]*box{}
	add := func(r pc.Ref, b box) *box {
		if b.Box.Empty() {
			return nil
		}
		if old, ok := boxes[r]; ok {
			return old
		}
		b.ID, b.N, b.Rules = anchor(r), len(p.Boxes)+1, rules[r]
		if len(b.Rules) > 0 && b.Kind != "pressed" {
			b.Kind = "finding"
		}
		if b.Y >= float64(p.Height) || b.X >= float64(p.Width) || b.Y+b.H <= 0 || b.X+b.W <= 0 {
			b.Away = true
		}
		boxes[r] = &b
		p.Boxes = append(p.Boxes, &b)
		return &b
	}
	here := func(refs []pc.Ref) (pc.Ref, bool) {
		at := slices.IndexFunc(refs, func(r pc.Ref) bool {
			pl, ok := placeOf(r)
			return ok && pl.Scenario == c.Scenario && pl.Kind == "pages" && pl.N == i && pl.Node >= 0
		})
		if at < 0 {
			return "", false
		}
		return refs[at], true
	}
	for _, b := range o.Opinions.Banners {
		if r, ok := here(b.Refs); ok && b.Scenario == c.Scenario {
			add(r, box{Kind: "banner", What: "The banner (" + b.Kind + ")", Box: b.Box})
		}
		for _, ct := range b.Controls {
			if r, ok := here(ct.Refs); ok {
				add(r, box{Kind: "control", What: "Read as " + string(ct.Action), Text: ct.Text, Box: ct.Box, Detail: toggled(ct)})
			}
		}
	}
	for _, a := range c.Acts {
		if a.Page != i || a.Kind != "click" {
			continue
		}
		r := pc.Ref(fmt.Sprintf("%s/pages/%d#%d", c.Scenario, i, a.Node))
		if b := add(r, box{Kind: "pressed", What: "Read as " + string(a.Purpose), Text: a.Text, Box: a.Box}); b != nil {
			b.Kind = "pressed"
			b.Detail = fmt.Sprintf("Pressed at %.1f s. Effect: %s.", float64(a.At)/1000, a.Effect)
		}
	}
	// What findings speak of and no opinion has: the page's own tree says where it is.
	var page *pc.Page
	for _, r := range sortedRefs(rules) {
		pl, ok := placeOf(r)
		if _, have := boxes[r]; have || !ok || pl.Scenario != c.Scenario || pl.Kind != "pages" || pl.N != i || pl.Node < 0 {
			continue
		}
		if page == nil {
			var err error
			if page, err = o.Page(snap.Tree); err != nil {
				break // the picture is shown without
			}
		}
		if pl.Node < len(page.Nodes) && page.Nodes[pl.Node].Box != nil {
			n := page.Nodes[pl.Node]
			add(r, box{Kind: "finding", What: "A part of the page", Text: n.Text, Box: *n.Box})
		}
	}
	return p
}

func toggled(c pc.Control) string {
	switch {
	case c.On == nil:
		return ""
	case *c.On:
		return "It is switched on."
	}
	return "It is switched off."
}

func sortedRefs(m map[pc.Ref][]string) []pc.Ref {
	var out []pc.Ref
	for r := range m {
		out = append(out, r)
	}
	slices.Sort(out)
	return out
}
