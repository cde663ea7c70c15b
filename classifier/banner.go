package classifier

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// threshold is the score from which a container is held to be a consent banner.
const threshold = 2.5

// hintWords in an id or class, in lower case, say that a container is about consent.
const hintWords = `cookie|consent|gdpr|ccpa|cmp|privacy|klaro|tarteaucitron|orejime|onetrust|didomi|usercentrics|truste|termly|iubenda|complianz|cmplz|cybot|qc-cmp|sp_message|fc-dialog|cwci|cc-main|cc-window|cc-banner|ccc-`

// tree is a page with what the score needs, computed once.
type tree struct {
	page    *pc.Page
	end     []int                // one behind the last node of the subtree
	visible []bool               // laid out, not hidden, not faded out
	fixed   []bool               // stands over the page, itself or by an ancestor
	labels  map[string]label     // of the texts read so far: containers hold each other, and the same controls
	names   map[string]pc.Action // of the names in attributes read so far
}

func (c *Classifier) newTree(p *pc.Page) *tree {
	n := len(p.Nodes)
	t := &tree{page: p, end: make([]int, n), visible: make([]bool, n), fixed: make([]bool, n), labels: map[string]label{}, names: map[string]pc.Action{}}
	clear := make([]bool, n) // not faded out by an ancestor
	for i := range p.Nodes {
		nd := &p.Nodes[i]
		t.end[i] = i + 1
		up := nd.Parent
		clear[i] = up < 0 || up >= i || clear[up]
		if up >= 0 && up < i {
			t.fixed[i] = t.fixed[up]
		}
		shown := nd.Box != nil && !nd.Box.Empty()
		if s := nd.Style; s != nil {
			clear[i] = clear[i] && s.Opacity > 0.05
			shown = shown && s.Visibility != "hidden" && s.Visibility != "collapse"
			t.fixed[i] = t.fixed[i] || s.Position == "fixed" || s.Position == "sticky"
		} else if nd.Tag == "#text" && up >= 0 && up < i {
			if s := p.Nodes[up].Style; s != nil && s.Visibility == "hidden" {
				shown = false
			}
		}
		if nd.Tag == "dialog" || nd.Attrs["role"] == "dialog" || nd.Attrs["role"] == "alertdialog" || nd.Attrs["aria-modal"] == "true" {
			t.fixed[i] = true
		}
		t.visible[i] = shown && clear[i]
	}
	for i := n - 1; i > 0; i-- {
		if up := p.Nodes[i].Parent; up >= 0 && up < i {
			t.end[up] = max(t.end[up], t.end[i])
		}
	}
	return t
}

// text is the visible text of a subtree, at most limit bytes.
func (t *tree) text(i, limit int) string {
	var b strings.Builder
	for k := i; k < t.end[i] && b.Len() < limit; k++ {
		if n := &t.page.Nodes[k]; n.Tag == "#text" && t.visible[k] {
			b.WriteString(strings.TrimSpace(n.Text))
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// label is the label element of a toggle: one that stands around it, or a
// visible one that names its id.
func (t *tree) label(i int) (node int, ok bool) {
	for up := t.page.Nodes[i].Parent; up >= 0; up = t.page.Nodes[up].Parent {
		if t.page.Nodes[up].Tag == "label" {
			return up, true
		}
	}
	if id := t.page.Nodes[i].Attrs["id"]; id != "" {
		for k := range t.page.Nodes {
			if n := &t.page.Nodes[k]; n.Tag == "label" && n.Attrs["for"] == id && t.visible[k] {
				return k, true
			}
		}
	}
	return 0, false
}

// candidate is a container that may be the banner, with its score.
type candidate struct {
	node     int
	score    float64
	terms    []string
	controls []pc.Control
	text     string
}

func (cd *candidate) add(points float64, why string) {
	cd.score += points
	cd.terms = append(cd.terms, fmt.Sprintf("%+.1f %s", points, why))
}

// Banner finds the consent banner of a page tree. layer is 1 for what the page
// showed by itself, 2 after opening settings; controls carry it.
func (c *Classifier) Banner(p *pc.Page, layer int) (pc.Banner, bool) {
	return c.bannerIn(c.newTree(p), layer)
}

func (c *Classifier) bannerIn(t *tree, layer int) (pc.Banner, bool) {
	best := t.best(c.candidates(t, layer))
	if best == nil {
		return pc.Banner{}, false
	}
	p := t.page
	n := &p.Nodes[best.node]
	b := pc.Banner{CMP: c.cmp(t, best.node), Kind: kind(t, t.stands(best)), Language: language(p, best.text), Text: cut(best.text, 4000), Node: best.node, Controls: best.controls}
	if n.Box != nil {
		b.Box = *n.Box
	} else {
		b.Box = t.extent(best.node)
	}
	t.dress(&b, layer)
	b.Claim = pc.Claim{Confidence: certainty(best.score), Basis: "scorecard", Why: fmt.Sprintf("score %.1f of %.1f needed: %s", best.score, threshold, strings.Join(best.terms, "; ")), Refs: []pc.Ref{}}
	return b, true
}

// certainty maps a score to a confidence: 0.5 at the threshold.
func certainty(score float64) float64 {
	return math.Round(100/(1+math.Exp(-1.4*(score-threshold)))) / 100
}

// best returns the container with the highest score; of equal ones the smallest.
func (t *tree) best(of []*candidate) *candidate {
	var best *candidate
	for _, cd := range of {
		if cd.score < threshold {
			continue
		}
		// Deeper nodes come later: an inner container with the same controls is the banner itself.
		if best == nil || cd.score > best.score+0.01 || cd.score >= best.score-0.01 && len(cd.controls) >= len(best.controls) && t.end[cd.node]-cd.node < t.end[best.node]-best.node {
			best = cd
		}
	}
	return best
}

func (c *Classifier) candidates(t *tree, layer int) []*candidate {
	var out []*candidate
	asking := c.asking(t, layer)
	for i := range t.page.Nodes {
		n := &t.page.Nodes[i]
		if n.Tag == "html" || n.Tag == "body" && n.Parent >= 0 && t.page.Nodes[n.Parent].Parent < 0 || strings.HasPrefix(n.Tag, "#") || strings.HasPrefix(n.Tag, "::") {
			if n.Tag != "body" || !t.inFrame(i) {
				continue
			}
		}
		hinted := c.hinted(n.Attrs["id"], n.Attrs["class"], n.Attrs["aria-label"], n.Attrs["data-testid"])
		over := t.fixed[i] && (n.Parent < 0 || !t.fixed[n.Parent] || n.Tag == "dialog" || n.Attrs["role"] == "dialog" || n.Attrs["role"] == "alertdialog" || n.Style != nil && n.Style.Position == "fixed")
		if !hinted && !over && !asking[i] && !(n.Tag == "body" && t.inFrame(i)) {
			continue
		}
		if isControl(t, i) || n.Tag == "a" || n.Tag == "p" || len(out) >= 400 {
			continue
		}
		if cd := c.rate(t, i, hinted, over, layer); cd != nil {
			out = append(out, cd)
		}
	}
	return out
}

// hinted tells whether names speak of consent. Every node of a page is asked, and
// for that a regular expression is too slow.
func (c *Classifier) hinted(names ...string) bool {
	for _, name := range names {
		if name != "" && says(strings.ToLower(name), c.hints...) {
			return true
		}
	}
	return false
}

// labelIn reads the text of a control of the page.
func (c *Classifier) labelIn(t *tree, text string) label {
	l, ok := t.labels[text]
	if !ok {
		l = c.label(text)
		t.labels[text] = l
	}
	return l
}

// asking finds the containers that neither stand over the page nor are named
// after consent, but ask for it all the same: the smallest around a control to
// accept or refuse that offers another choice beside it and speaks of cookies;
// a second layer need not say that again.
func (c *Classifier) asking(t *tree, layer int) map[int]bool {
	type offer struct {
		node   int
		action pc.Action
	}
	var offers []offer
	for i := range t.page.Nodes {
		n := &t.page.Nodes[i]
		if n.Tag != "button" && n.Tag != "input" && n.Attrs["role"] != "button" || !isControl(t, i) || len(offers) > 300 {
			continue
		}
		if l := c.labelIn(t, firstOf(t.text(i, 200), n.Value, n.Attrs["value"], n.Attrs["aria-label"])); l.confidence >= .9 && l.action != pc.ActOther && l.action != pc.ActClose {
			offers = append(offers, offer{i, l.action})
		}
	}
	out := map[int]bool{}
	for _, o := range offers {
		if o.action != pc.ActAccept && o.action != pc.ActReject {
			continue
		}
		for k, level := t.page.Nodes[o.node].Parent, 0; k >= 0 && level < 8; k, level = t.page.Nodes[k].Parent, level+1 {
			if tag := t.page.Nodes[k].Tag; tag == "body" || tag == "html" || tag == "main" || tag == "article" {
				break
			}
			beside := slices.ContainsFunc(offers, func(p offer) bool { return p.node > k && p.node < t.end[k] && p.action != o.action })
			if beside && (layer > 1 || t.speaksOfCookies(k)) {
				out[k] = true
				break
			}
		}
	}
	return out
}

// speaksOfCookies tells whether the text around the controls of a subtree does.
func (t *tree) speaksOfCookies(i int) bool {
	for k := i; k < t.end[i]; k++ {
		if k > i && isControl(t, k) {
			k = t.end[k] - 1
			continue
		}
		if n := &t.page.Nodes[k]; n.Tag == "#text" && t.visible[k] && says(strings.ToLower(n.Text), "cookie", "cwci", "similar technologies", "technolegau tebyg") {
			return true
		}
	}
	return false
}

// inFrame tells whether a node belongs to a frame's document.
func (t *tree) inFrame(i int) bool {
	for k := t.page.Nodes[i].Parent; k >= 0; k = t.page.Nodes[k].Parent {
		if n := &t.page.Nodes[k]; n.Tag == "#document" {
			return n.Parent >= 0
		}
	}
	return false
}

// loose are words of the matter that much else on a page speaks of too.
func loose() []string {
	return []string{"consent", "cydsyniad", "privacy", "preifatrwydd", "partners", "advertising", "hysbysebu", "use your data", "datenschutz", "privacidad"}
}

// outright is a control's text that no other dialog would have: it speaks of all
// or of what is needed, of cookies, consent or purposes. It is constant.
var outright = regexp.MustCompile(`cookie|cwci|consent|purposes|options|preferences|(?:^| )all(?: |$)|necessary|essential|required|non-essential|pob|popeth|holl |hanfodol|angenrheidiol|cydsyn|dewisiadau|(?:^| )all(?:e|es|en|a)(?: |$)|notwendig|erforderlich|einwillig|einstellung|(?:^| )tou[ts]|nécessaire|paramétr|tod[oa]s?(?: |$)|necesari|configur|tutt[oi]|necessari|personalizza|noodzakelijk|instelling|voorkeur|wszystk|niezbęd|ustawie|tudo|necessári|defini|toate|necesar|setări|nödvänd|nødvend|inställning|indstilling`)

// storageWords are words of the matter itself.
func storageWords() []string {
	return []string{"cookie", "cwci", "consent", "cydsyniad", "gdpr", "tracking", "tracio", "trackers", "similar technologies", "technolegau tebyg", "personal data", "data personol", "privacy", "preifatrwydd", "partners", "legitimate interest", "store and/or access", "device information", "use your data", "advertising", "hysbysebu", "einwilligung", "datenschutz", "consentement", "cookies", "privacidad", "consenso", "toestemming", "zgod", "samtycke", "samtykke"}
}

// countsVisits is what a notice of statistics says that it does: narrower than
// what a policy may say, because here it speaks for a banner. It is constant.
var countsVisits = toldRE(`(?:use|uses|using|with|collect|collects)(?: our| its)?(?: own)?(?: first-party| anonymous| privacy-friendly| cookieless| google| matomo| adobe)* (?:web )?(?:analytics|statistics)`, `(?:count|measure)s?(?: the| our)? (?:visits|visitors|audience)`, `(?:visitor|visit|usage|website|web) (?:statistics|analytics)`,
	`(?:cyfrif|mesur) (?:ymweliad|ymwelwyr)`, `(?:ystadegau|hystadegau|dadansoddeg) (?:ymwelwyr|ein hunain|gwe)`, `zähl\pL+ (?:wir )?(?:die )?besuche`, `(?:besuchs?|zugriffs|web|nutzungs)-?statistik`, `compt\pL+ les visites`, `mesure d'audience`, `statistiques de (?:visite|fréquentation)`, `cont\pL+ (?:las|le|as) visit\pL+`, `estad[ií]sticas de (?:visitas|uso)`,
	`statistiche (?:di|sulle) visit`, `tel(?:t|len) (?:de )?bezoeken`, `bezoek(?:ers)?statistieken`, `licz\pL+ wizyt`, `statystyk\pL* (?:odwiedzin|wizyt)`, `estatísticas de (?:visitas|utilização)`, `număr\pL+ vizit`, `räknar besök`, `besöksstatistik`, `tæller besøg`, `besøgsstatistik`)

// rate scores one container; nil when it cannot be a banner at all.
func (c *Classifier) rate(t *tree, i int, hinted, over bool, layer int) *candidate {
	text := t.text(i, 12_000)
	if len(text) < 15 {
		return nil
	}
	controls := c.controls(t, i, layer)
	roles := map[pc.Action]bool{}
	for _, ct := range controls {
		roles[ct.Action] = true
	}
	if !roles[pc.ActAccept] && !roles[pc.ActReject] && !roles[pc.ActAcknowledge] && !roles[pc.ActSave] && !roles[pc.ActSettings] && !roles[pc.ActClose] {
		return nil
	}
	ext := t.extent(i)
	if ext.Intersect(pc.Box{W: float64(t.page.Width), H: float64(t.page.Height)}).Empty() {
		return nil // nobody sees it
	}
	low := strings.ToLower(text)
	words, strict := 0, 0 // strict are those that are not loose
	for _, w := range storageWords() {
		if strings.Contains(low, w) {
			words++
			if !slices.Contains(loose(), w) {
				strict++
			}
		}
	}
	// A notice of statistics without consent offers to switch them off, and may speak of nothing else.
	counts := false
	if len(text) < 1500 && (over || hinted) && countsVisits.MatchString(text) {
		_, counts = offSwitch(text)
		counts = counts || roles[pc.ActReject]
	}
	// The second layer of a banner need not say again what it is about.
	if words == 0 && !counts && (layer == 1 || !roles[pc.ActSave] && !roles[pc.ActReject]) {
		return nil
	}
	cd := &candidate{node: i, controls: controls, text: text}
	if words > 0 {
		cd.add(min(2, 0.6*float64(words)), "words about storage or consent")
	}
	if hinted {
		cd.add(0.8, "its id or class speaks of consent")
	}
	if over {
		cd.add(0.7, "it stands over the page")
	}
	sentence := says(low, "we use cookies", "uses cookies", "use of cookies", "use cookies", "use some essential cookies", "store and/or access", "information on your device", "cookies on ", "your consent", "cookies to ", "yn defnyddio cwcis", "defnyddio cwcis", "defnyddio dim ond y cwcis", "cwcis ar ", "verwenden cookies", "utilisons des cookies", "utilizamos cookies", "utilizziamo", "gebruiken cookies", "używamy", "använder", "bruger cookies", "folosește cookie", "folosim cookie")
	if sentence {
		cd.add(1.2, "a sentence about the use of cookies")
	} else if counts {
		cd.add(1.2, "it tells of statistics and how they are switched off")
	}
	n := 0.0
	for _, r := range []pc.Action{pc.ActAccept, pc.ActReject, pc.ActSettings} {
		if roles[r] {
			n++
		}
	}
	if n > 0 {
		cd.add(min(2.4, 1.2*n), fmt.Sprintf("%.0f of accept, reject, settings", n))
	}
	if words > 0 && strict == 0 && !hinted && !sentence && !counts && n < 3 && layer == 1 && !slices.ContainsFunc(controls, func(ct pc.Control) bool { return ct.Action != pc.ActPolicy && outright.MatchString(normal(ct.Text)) }) {
		cd.add(-1.5, "none of its words or controls is about storage alone")
	}
	if roles[pc.ActSave] || roles[pc.ActAcknowledge] {
		cd.add(0.6, "save or OK")
	}
	if roles[pc.ActToggle] {
		cd.add(0.4, "toggles")
	}
	if says(low, "over 18", "18 or over", "legal drinking age", "date of birth", "your age", "18 years", "dros 18") {
		cd.add(-2.5, "it asks for an age")
	}
	links, fields := 0, 0
	for k := i; k < t.end[i]; k++ {
		nd := &t.page.Nodes[k]
		switch nd.Tag {
		case "a":
			links++
		case "input":
			if ty := nd.Attrs["type"]; ty == "email" || ty == "password" || ty == "search" || ty == "tel" || ty == "text" {
				fields++
			}
		case "h2", "h3", "article":
			if nd.Tag == "article" {
				fields++
			}
		}
	}
	if fields > 0 {
		cd.add(-2.5, "it has fields for text or holds an article")
		if !over {
			cd.add(-1, "and stands in the text of the page")
		}
	}
	if links > 25 {
		cd.add(-1.5, "more than 25 links")
	}
	if len(text) > 6000 && layer == 1 {
		cd.add(-1, "a very long text")
	}
	for k := i; k >= 0; k = t.page.Nodes[k].Parent {
		if tag := t.page.Nodes[k].Tag; (tag == "nav" || tag == "footer" || tag == "main" || tag == "article") && !t.fixed[i] {
			cd.add(-1.5, "it is part of the "+tag)
			break
		}
	}
	return cd
}

// extent is the union of the visible boxes of a subtree.
func (t *tree) extent(i int) pc.Box {
	if b := t.page.Nodes[i].Box; b != nil && !b.Empty() && t.visible[i] {
		return *b
	}
	var u pc.Box
	for k := i; k < t.end[i]; k++ {
		if b := t.page.Nodes[k].Box; b != nil && t.visible[k] {
			if u.Empty() {
				u = *b
				continue
			}
			x, y := min(u.X, b.X), min(u.Y, b.Y)
			u = pc.Box{X: x, Y: y, W: max(u.X+u.W, b.X+b.W) - x, H: max(u.Y+u.H, b.Y+b.H) - y}
		}
	}
	return u
}

func says(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// isControl tells whether a node is something to press, by the DOM alone.
func isControl(t *tree, i int) bool {
	n := &t.page.Nodes[i]
	switch n.Tag {
	case "button", "summary":
		return true
	case "input":
		switch n.Attrs["type"] {
		case "button", "submit", "checkbox", "radio", "image", "reset":
			return true
		}
		return false
	case "a":
		return n.Attrs["href"] != "" || n.Attrs["role"] != "" || n.Click
	}
	switch n.Attrs["role"] {
	case "button", "switch", "checkbox", "link", "menuitemcheckbox":
		return true
	}
	return n.Click && n.Style != nil && n.Style.Cursor == "pointer" && n.Tag != "label" && n.Tag != "body" && n.Tag != "html" && !strings.HasPrefix(n.Tag, "#")
}

// controls lists what can be pressed in a subtree, outermost first.
func (c *Classifier) controls(t *tree, root, layer int) []pc.Control {
	out := []pc.Control{}
	for i := root; i < t.end[root] && len(out) < 200; i++ {
		if i == root || !isControl(t, i) {
			continue
		}
		n := &t.page.Nodes[i]
		plain := n.Tag == "button" || n.Tag == "a" || n.Tag == "input" || n.Attrs["role"] != ""
		if !plain && t.holdsControl(i) {
			continue // it listens for its children
		}
		ct, ok := c.control(t, i, layer)
		if ok {
			out = append(out, ct)
			i = t.end[i] - 1 // what is inside belongs to it
		}
	}
	if layer == 1 {
		t.onlyNeeded(out)
	}
	return out
}

// neededAlone is a text that names what is needed, and nothing else. It is constant.
var neededAlone = regexp.MustCompile(`^(?:(?:(?:strictly|technically|absolutely) )?(?:necessary|essential|required|mandatory)(?: (?:cookies|functions|services|technologies|trackers))?|(?:cwcis )?(?:(?:cwbl|hollol|gwbl) )?(?:hanfodol|angenrheidiol)|(?:unbedingt |strikt |technisch )?(?:notwendige|erforderliche|essen[tz]ielle)(?: cookies)?|(?:cookies )?(?:strictement )?(?:nécessaires|essentiels)|(?:cookies )?(?:estrictamente )?(?:necesarias|esenciales)|(?:cookie )?(?:strettamente )?(?:necessari|essenziali)|(?:strikt )?(?:noodzakelijke?|essentiële|functionele)(?: cookies)?)$`)

// onlyNeeded reads “Strictly necessary” among the controls of a first layer. It
// is the name of a category where categories are shown; where none can be
// switched, and it is pressed beside what accepts, it is what refuses the rest.
func (t *tree) onlyNeeded(controls []pc.Control) {
	if hasToggle(controls) {
		return
	}
	for i := range controls {
		ct := &controls[i]
		if ct.Action != pc.ActOther || !presses(&t.page.Nodes[ct.Node]) || !neededAlone.MatchString(normal(ct.Text)) {
			continue
		}
		beside := func(o pc.Control) bool { return o.Action == pc.ActAccept && t.near(o.Node, ct.Node) }
		if slices.ContainsFunc(controls, beside) {
			ct.Action, ct.Confidence = pc.ActReject, .65
			ct.Why = "it names only what is needed, stands beside what accepts, and nothing here is switched"
		}
	}
}

// presses tells whether a node is a button that opens no part of the page.
func presses(n *pc.Node) bool {
	_, expands := n.Attrs["aria-expanded"]
	_, shows := n.Attrs["aria-controls"]
	return (n.Tag == "button" || n.Tag == "input" || n.Attrs["role"] == "button") && n.Attrs["role"] != "tab" && !expands && !shows
}

// near tells whether two nodes have a parent in common, or the parent of their parents.
func (t *tree) near(a, b int) bool {
	p, q := t.page.Nodes[a].Parent, t.page.Nodes[b].Parent
	return p == q || p >= 0 && q >= 0 && t.page.Nodes[p].Parent == t.page.Nodes[q].Parent
}

func (t *tree) holdsControl(i int) bool {
	for k := i + 1; k < t.end[i]; k++ {
		if isControl(t, k) {
			return true
		}
	}
	return false
}

func (c *Classifier) control(t *tree, i, layer int) (pc.Control, bool) {
	n := &t.page.Nodes[i]
	ct := pc.Control{Layer: layer, Node: i}
	box := t.extent(i)
	toggle := n.Tag == "input" && (n.Attrs["type"] == "checkbox" || n.Attrs["type"] == "radio") || n.Attrs["role"] == "switch" || n.Attrs["role"] == "checkbox"
	if toggle {
		ct.Action = pc.ActToggle
		on := n.Checked != nil && *n.Checked || n.Attrs["aria-checked"] == "true"
		ct.On = &on
		label := ""
		if k, ok := t.label(i); ok {
			label = t.text(k, 200)
		}
		ct.Text = cut(firstOf(n.Attrs["aria-label"], label, n.Attrs["name"], n.Attrs["value"], n.Attrs["id"]), 200)
		ct.Claim = pc.Claim{Confidence: .97, Basis: "dom", Why: "it is a " + firstOf(n.Attrs["role"], n.Attrs["type"]), Refs: []pc.Ref{}}
		if n.Box != nil {
			ct.Box = *n.Box
		}
		return ct, n.Box != nil
	}
	if !t.visible[i] && box.Empty() || n.Style != nil && n.Style.Pointer == "none" {
		return ct, false
	}
	if _, off := n.Attrs["disabled"]; off {
		return ct, false
	}
	ct.Box = box
	ct.Text = cut(firstOf(t.text(i, 300), n.Value, n.Attrs["value"], n.Attrs["aria-label"], n.Attrs["title"], t.alt(i)), 200)
	l := c.labelIn(t, ct.Text)
	basis := "text"
	if l.action == pc.ActOther || n.Attrs["aria-label"] != "" && normal(ct.Text) != normal(n.Attrs["aria-label"]) && l.confidence < .8 {
		if al := c.labelIn(t, n.Attrs["aria-label"]); al.action != pc.ActOther {
			l, basis = al, "dom"
			l.why = strings.Replace(l.why, "its text", "its accessible name", 1)
		}
	}
	if n.Tag == "a" {
		href := strings.ToLower(n.Attrs["href"])
		leads := href != "" && !strings.HasPrefix(href, "#") && !strings.HasPrefix(href, "javascript:")
		choice := (l.action == pc.ActAccept || l.action == pc.ActReject) && l.confidence >= .8 // less sure is “switch this off”, which leads to where that is done
		if leads && n.Attrs["role"] != "button" && says(href, "policy", "privacy", "cookie", "polisi", "legal", "cwcis", "datenschutz") && !choice && (l.action != pc.ActSettings || viewing.MatchString(normal(ct.Text))) {
			l, basis = label{pc.ActPolicy, .9, "it links to a page about cookies or privacy", false}, "dom"
		}
	}
	said := l
	if l.action == pc.ActToggle { // what is switched is told by the DOM, above
		l.action, l.why = pc.ActOther, "it names what a switch could be for, and is none: "+l.why
	}
	if l.action == pc.ActPolicy && opens(n) {
		l, basis = label{pc.ActSettings, .75, "it opens a dialog and leads nowhere: " + l.why, false}, "dom"
	}
	if n.Attrs["role"] == "tab" {
		l, basis = label{pc.ActOther, .9, "it is a tab: pressing it shows another part", false}, "dom"
	} else if a, mark := vendorName(n); a != "" && (l.action == pc.ActOther || l.action == pc.ActPolicy && a == pc.ActSettings && l.confidence < .9) {
		l, basis = label{a, .85, "consent managers name this control “" + mark + "”", false}, "dom"
	}
	if l.action == pc.ActOther {
		if named, ok := c.named(t, n, said, ct.Text == ""); ok {
			l, basis = named, "dom"
		}
		if m := shaming(normal(ct.Text)); m != "" {
			l, basis = label{pc.ActReject, .85, "it says no, in words that shame whoever presses it: “" + m + "”", false}, "text"
		}
	}
	ct.Action = l.action
	ct.Claim = pc.Claim{Confidence: l.confidence, Basis: basis, Why: l.why, Refs: []pc.Ref{}}
	return ct, true
}

// opens tells whether a control says that it opens a dialog on the same page.
func opens(n *pc.Node) bool {
	if h := n.Attrs["href"]; n.Tag == "a" && h != "" && !strings.HasPrefix(h, "#") && !strings.HasPrefix(h, "javascript:") {
		return false
	}
	return n.Attrs["aria-haspopup"] == "dialog" || n.Attrs["data-toggle"] == "modal" || n.Attrs["data-bs-toggle"] == "modal"
}

// viewing is a text of which only the link tells whether it leads to the settings
// or to a page about cookies. It is constant.
var viewing = regexp.MustCompile(`^(?:view|gweld)(?: our| y| ein)? (?:cookies|cwcis)$`)

// vendorNames are what consent managers call their controls, in id, class or
// data-testid. They say what a text does not, and never against it. It is constant.
var vendorNames = []struct {
	mark   string
	action pc.Action
}{
	{"onetrust-accept-btn-handler", pc.ActAccept}, {"accept-recommended-btn-handler", pc.ActAccept}, {"onetrust-reject-all-handler", pc.ActReject}, {"ot-pc-refuse-all-handler", pc.ActReject}, {"onetrust-pc-btn-handler", pc.ActSettings}, {"save-preference-btn-handler", pc.ActSave}, {"onetrust-close-btn-handler", pc.ActClose}, {"close-pc-btn-handler", pc.ActClose},
	{"cybotcookiebotdialogbodylevelbuttonleveloptinallowallselection", pc.ActSave}, {"cybotcookiebotdialogbodylevelbuttonleveloptinallowall", pc.ActAccept}, {"cybotcookiebotdialogbodybuttondecline", pc.ActReject}, {"cybotcookiebotdialogbodylevelbuttoncustomize", pc.ActSettings},
	{"didomi-notice-agree-button", pc.ActAccept}, {"didomi-notice-disagree-button", pc.ActReject}, {"didomi-notice-learn-more-button", pc.ActSettings}, {"fc-cta-do-not-consent", pc.ActReject}, {"fc-cta-consent", pc.ActAccept}, {"fc-cta-manage-options", pc.ActSettings},
	{"uc-accept-all-button", pc.ActAccept}, {"uc-deny-all-button", pc.ActReject}, {"uc-more-button", pc.ActSettings}, {"uc-save-button", pc.ActSave}, {"cky-btn-accept", pc.ActAccept}, {"cky-btn-reject", pc.ActReject}, {"cky-btn-customize", pc.ActSettings}, {"cky-btn-preferences", pc.ActSave},
	{"cmplz-accept", pc.ActAccept}, {"cmplz-deny", pc.ActReject}, {"cmplz-view-preferences", pc.ActSettings}, {"cmplz-save-preferences", pc.ActSave}, {"iubenda-cs-accept-btn", pc.ActAccept}, {"iubenda-cs-reject-btn", pc.ActReject}, {"iubenda-cs-customize-btn", pc.ActSettings},
	{"sp_choice_type_11", pc.ActAccept}, {"sp_choice_type_13", pc.ActReject}, {"sp_choice_type_12", pc.ActSettings}, {"sp_choice_type_save_and_exit", pc.ActSave}, {"cc-allow", pc.ActAccept}, {"cc-deny", pc.ActReject}, {"cc-dismiss", pc.ActAcknowledge}, {"cm-btn-accept-all", pc.ActAccept}, {"cm-btn-decline", pc.ActReject},
	{"truste-consent-button", pc.ActAccept}, {"truste-consent-required", pc.ActReject}, {"truste-show-consent", pc.ActSettings}, {"ccc-notify-accept", pc.ActAccept}, {"ccc-notify-reject", pc.ActReject}, {"tarteaucitronallallowed", pc.ActAccept}, {"tarteaucitronalldenied", pc.ActReject}, {"tarteaucitronclosealert", pc.ActSettings},
	{"cmpbntyestxt", pc.ActAccept}, {"cmpbntnotxt", pc.ActReject}, {"cmpbntsavetxt", pc.ActSave}, {"cmpbntcustomtxt", pc.ActSettings}, {"termly-styles-accept", pc.ActAccept}, {"osano-cm-accept-all", pc.ActAccept}, {"osano-cm-denyall", pc.ActReject}, {"osano-cm-manage", pc.ActSettings}, {"osano-cm-save", pc.ActSave},
}

// vendorName reads the name that a consent manager gives a control.
func vendorName(n *pc.Node) (pc.Action, string) {
	for _, attr := range []string{"id", "class", "data-testid"} {
		v := strings.ToLower(n.Attrs[attr])
		if v == "" {
			continue
		}
		for _, m := range vendorNames {
			if strings.Contains(v, m.mark) {
				return m.action, m.mark
			}
		}
	}
	return "", ""
}

// alt is the text of pictures inside a control.
func (t *tree) alt(i int) string {
	for k := i; k < t.end[i]; k++ {
		if n := &t.page.Nodes[k]; n.Tag == "img" || n.Tag == "svg" || n.Tag == "title" {
			if s := firstOf(n.Attrs["alt"], n.Attrs["aria-label"], n.Attrs["title"], n.Text); s != "" {
				return s
			}
		}
	}
	return ""
}

func firstOf(ss ...string) string {
	for _, s := range ss {
		if s = strings.TrimSpace(s); s != "" {
			return s
		}
	}
	return ""
}

// stands is the part of a banner that stands over the page: the banner itself,
// or what holds its controls, when only a wrapper around that is named after consent.
func (t *tree) stands(cd *candidate) int {
	if t.fixed[cd.node] {
		return cd.node
	}
	for _, ct := range cd.controls {
		over := -1
		for k := ct.Node; k > cd.node; k = t.page.Nodes[k].Parent {
			if t.fixed[k] {
				over = k
			}
		}
		if over >= 0 && t.visible[over] {
			return over
		}
	}
	return cd.node
}

// kind names the layout by the banner's place.
func kind(t *tree, i int) string {
	b := t.extent(i)
	w, h := float64(t.page.Width), float64(t.page.Height)
	share := b.Intersect(pc.Box{W: w, H: h}).Area() / max(1, w*h)
	switch {
	case !t.fixed[i] && !t.inFrame(i):
		return "inline"
	case share > .9:
		// A veil lets the page shine through: what stands on it is a modal.
		if s := t.page.Nodes[i].Style; s == nil || !strings.HasPrefix(s.Background, "rgb(") {
			return "modal"
		}
		return "wall"
	case b.W > .8*w && b.H < .6*h, b.X < .05*w && b.Y+b.H > .9*h, b.X+b.W > .95*w && b.Y+b.H > .9*h:
		return "bar"
	}
	return "modal"
}

// cmp names the consent manager by marks in the page.
func (c *Classifier) cmp(t *tree, node int) string {
	marks := []struct{ name, mark string }{
		{"onetrust", "onetrust-"}, {"cookiebot", "cybotcookiebot"}, {"klaro", "klaro"}, {"vanilla-cookieconsent", "cc-main"}, {"vanilla-cookieconsent", "cc--anim"}, {"tarteaucitron", "tarteaucitron"}, {"orejime", "orejime"},
		{"osano-cookieconsent", "cc-window"}, {"govuk-frontend", "govuk-cookie-banner"}, {"didomi", "didomi-"}, {"quantcast", "qc-cmp2"}, {"sourcepoint", "sp_message"}, {"usercentrics", "usercentrics-"}, {"trustarc", "truste"},
		{"cookieyes", "cky-"}, {"civic", "ccc-"}, {"iubenda", "iubenda-cs"}, {"complianz", "cmplz-"}, {"funding-choices", "fc-consent"}, {"consentmanager", "cmpbox"}, {"termly", "termly-"},
	}
	ids := func(from, to int) string {
		var b strings.Builder
		for k := from; k < to && b.Len() < 20_000; k++ {
			n := &t.page.Nodes[k]
			b.WriteString(strings.ToLower(n.Attrs["id"] + " " + n.Attrs["class"] + " "))
		}
		return b.String()
	}
	var up strings.Builder
	for k := t.page.Nodes[node].Parent; k >= 0; k = t.page.Nodes[k].Parent {
		n := &t.page.Nodes[k]
		if n.Tag != "body" && n.Tag != "html" {
			up.WriteString(strings.ToLower(n.Attrs["id"] + " " + n.Attrs["class"] + " "))
		}
	}
	all := up.String() + ids(node, t.end[node])
	for _, m := range marks {
		if strings.Contains(all, m.mark) {
			return m.name
		}
	}
	return ""
}

// language names the language of the banner's text by its small words; the
// page's own statement decides only when they do not.
func language(p *pc.Page, text string) string {
	small := []struct {
		lang  string
		words []string
	}{
		{"en", []string{"the", "and", "we", "you", "your", "our", "to", "use"}}, {"cy", []string{"rydym", "yn", "eich", "cwcis", "ni", "yr", "ar", "ein", "hyn", "neu", "mae", "gallwch"}},
		{"de", []string{"wir", "und", "die", "sie", "ihre", "zu"}}, {"fr", []string{"nous", "les", "vous", "et", "votre", "des"}}, {"es", []string{"el", "los", "para", "y", "su", "nuestro"}},
		{"it", []string{"il", "gli", "per", "e", "di", "nostro", "che", "della"}}, {"nl", []string{"wij", "het", "een", "en", "van", "uw", "je"}}, {"pl", []string{"na", "się", "nasze", "w", "do", "jest", "lub", "oraz"}},
		{"pt", []string{"os", "para", "você", "nosso", "e", "seu"}}, {"ro", []string{"și", "la", "pe", "vă", "cu", "să", "pentru"}}, {"sv", []string{"vi", "och", "att", "för", "din"}}, {"da", []string{"vi", "og", "til", "at", "dine"}},
	}
	best, most := "", 1
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == ' ' || r == '.' || r == ',' })
	for _, l := range small {
		n := 0
		for _, f := range fields {
			if slices.Contains(l.words, f) {
				n++
			}
		}
		if n > most {
			best, most = l.lang, n
		}
	}
	if best == "" {
		best, _, _ = strings.Cut(strings.ToLower(p.Lang), "-")
	}
	return best
}
