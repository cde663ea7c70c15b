package classifier

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// necessaryHead is the heading of what a list calls strictly necessary.
var necessaryHead = regexp.MustCompile(`(?i)^\W*(?:(?:strictly |absolutely |always )?(?:necessary|essential|required|active)|(?:hollol )?angenrheidiol|hanfodol|unbedingt erforderlich|(?:technisch )?notwendig|essenziell|strictement nécessaires|essentiels?|nécessaires|estrictamente necesarias|necesarias|esenciales|strettamente necessari|necessari|essenziali|strikt noodzakelijk|noodzakelijk|essentieel|(?:ściśle )?niezbędne|estritamente necessários|necessários|essenciais|strict necesare|necesare|esențiale)(?: cookies?| cwcis| cookie-uri)?\W*$`)

// products are the names by which lists of cookies call tools that need consent;
// a name that a firm's other services share says nothing.
var products = map[string][]string{
	"Meta": {"meta pixel", "facebook pixel", "facebook ads"}, "Google": {"google ads", "doubleclick", "google adsense"}, "TikTok": {"tiktok pixel"}, "LinkedIn": {"linkedin insight"}, "Microsoft": {"microsoft clarity", "bing ads", "microsoft advertising"},
	"Hotjar": {"hotjar"}, "FullStory": {"fullstory"}, "Criteo": {"criteo"}, "Taboola": {"taboola"}, "Outbrain": {"outbrain"}, "AdRoll": {"adroll"}, "Pinterest": {"pinterest tag"}, "Snap": {"snap pixel"}, "Contentsquare": {"contentsquare"}, "Mouseflow": {"mouseflow"},
}

// misclassified finds what a list of the banner or of its settings counts among
// the strictly necessary, though it is known to need consent and was seen. A
// name on a list that nothing answers to is no more than a word.
func misclassified(a *pc.Annotations, l lookedAt) {
	if slices.ContainsFunc(a.Signals, func(s pc.Signal) bool { return s.Kind == pc.SignalMisclassified }) {
		return // one is enough for a human to look at the list
	}
	seen := fired(a)
	if len(seen) == 0 {
		return
	}
	for _, k := range l.t.necessary() {
		text := strings.ToLower(l.t.text(k, 4000))
		for _, f := range seen {
			if w := f.named(text); w != "" {
				a.Signals = append(a.Signals, pc.Signal{Kind: pc.SignalMisclassified, Scenario: f.p.Scenario, Phase: f.p.Phase, At: l.capt.Pages[l.at].At, Host: f.p.Host, Entity: f.p.Entity, Class: f.p.Class,
					Claim: pc.Claim{Confidence: .85, Basis: "text", Why: fmt.Sprintf("the list counts “%s” among the strictly necessary; what was seen of it is %s", w, f.p.Class), Refs: []pc.Ref{pc.Ref(fmt.Sprintf("%s/pages/%d#%d", l.capt.Scenario, l.at, k)), f.p.Ref}}})
				return
			}
		}
	}
}

// seenItem is what was seen of a tool that needs consent, with the names that a
// list may have for it.
type seenItem struct {
	p     *pc.Purpose
	names []string
}

func (f *seenItem) named(text string) string {
	for _, n := range f.names {
		for from := 0; ; {
			i := strings.Index(text[from:], n)
			if i < 0 {
				break
			}
			i += from
			from = i + len(n)
			if !wordAt(text, i-1) && !wordAt(text, from) {
				return n
			}
		}
	}
	return ""
}

func wordAt(s string, i int) bool {
	return i >= 0 && i < len(s) && (s[i] == '_' || s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'z' || s[i] >= 0x80)
}

// fired are the items that need consent for certain, each name once.
func fired(a *pc.Annotations) []seenItem {
	var out []seenItem
	have := map[string]bool{}
	for _, list := range [][]pc.Purpose{a.Storage, a.Requests} {
		for i := range list {
			p := &list[i]
			if !p.Class.NonExempt() || p.Confidence < .8 {
				continue
			}
			f := seenItem{p: p, names: products[p.Entity]}
			if n := strings.ToLower(p.Name); len(n) >= 4 {
				f.names = append(slices.Clone(f.names), n)
			} else if n == "" {
				f.names = append(slices.Clone(f.names), strings.ToLower(p.Host))
			}
			if key := strings.Join(f.names, " "); key != "" && !have[key] && len(out) < 200 {
				have[key] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// necessary finds the parts of a page that belong to a heading about what is
// strictly necessary: the largest around the heading in which no other category
// is named.
func (t *tree) necessary() []int {
	var out []int
	for i := range t.page.Nodes {
		n := &t.page.Nodes[i]
		if n.Tag != "#text" || len(n.Text) > 80 || !t.visible[i] || !necessaryHead.MatchString(n.Text) {
			continue
		}
		best := -1
		for k := n.Parent; k >= 0; k = t.page.Nodes[k].Parent {
			if t.otherCategory(k) || t.end[k]-k > 400 {
				break
			}
			best = k
		}
		if best >= 0 && !slices.Contains(out, best) && len(out) < 10 {
			out = append(out, best)
		}
	}
	return out
}

// otherCategory tells whether a subtree has a heading or a switch for something
// that is not strictly necessary.
func (t *tree) otherCategory(i int) bool {
	for k := i; k < t.end[i]; k++ {
		n := &t.page.Nodes[k]
		switch {
		case n.Tag == "body" || n.Tag == "main" || n.Tag == "button":
			return true
		case n.Tag == "#text" && len(n.Text) < 40 && t.visible[k] && (adWords.MatchString(n.Text) || statWords.MatchString(n.Text)) && !strings.Contains(n.Text, "_"):
			up := &t.page.Nodes[max(n.Parent, 0)]
			if slices.Contains([]string{"b", "strong", "h1", "h2", "h3", "h4", "h5", "label", "legend", "summary", "span", "p", "dt"}, up.Tag) && !says(strings.ToLower(n.Text), "pixel", "google ads", "advertising by") {
				return true
			}
		}
	}
	return false
}
