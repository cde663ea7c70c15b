package classifier

import (
	"regexp"
	"strings"

	pc "pecrawler"
)

// purposeWords say what a toggle is for, from its heading. The first that
// matches decides: who switches "statistics and advertising" switches
// advertising. They are constant.
var purposeWords = []struct {
	class pc.Class
	re    *regexp.Regexp
}{
	{pc.NonExemptAdvertising, wordRE(`advert\pL*`, `ads?`, `(?:re)?marketing`, `(?:re)?target(?:ed|ing)?`, `hysbyseb\pL*`, `marchnata`, `targedu`, `werbung`, `werbe\pL*`, `publicit\pL*`, `publicidade?`, `pubblicit\pL*`, `advertenti\pL*`, `reclame`, `reklam\pL*`)},
	{"", wordRE(`non[- ](?:essential|necessary)`, `not (?:essential|necessary|required)`, `optional`, `nicht notwendig\pL*`)},
	{pc.ExemptStrict, wordRE(`necessary`, `essentials?`, `required`, `always (?:active|on)`, `hanfodol`, `angenrheidiol`, `notwendig\pL*`, `erforderlich\pL*`, `essenziell\pL*`, `nécessaires?`, `essentiels?`, `necesar\pL+`, `esencial\pL*`, `necessar[iao]\pL*`, `necessári\pL*`, `essenziali?`, `noodzakelijke?`, `essentieel`, `essentiële`, `niezbędne`, `essencia\pL*`, `esențial\pL*`)},
	{pc.ConditionalStatistics, wordRE(`analytics?`, `analytical`, `statistic\pL*`, `performance`, `measure\pL*`, `audience`, `dadansodd\pL*`, `ystadeg\pL*`, `perfformiad`, `statisti\pL*`, `analyse\pL*`, `leistung\pL*`, `analiti\pL*`, `analíti\pL*`, `estad[íi]sti\pL*`, `estatísti\pL*`, `rendimiento`, `prestazioni`, `prestaties`, `wydajno\pL*`, `statysty\pL*`, `desempenho`, `performanț\pL*`, `analiz\pL*`)},
	{pc.ConditionalAppearance, wordRE(`function\pL*`, `preferences?`, `appearance`, `comfort`, `swyddogaeth\pL*`, `dewisiadau`, `ymddangosiad`, `funktion\pL*`, `präferenzen`, `fonctionn\pL*`, `préférences`, `funcional\pL*`, `preferencias`, `funziona\pL*`, `preferenze`, `functione\pL*`, `voorkeuren`, `funkcjonaln\pL*`, `preferencj\pL*`, `preferências`, `funcționa\pL*`, `preferințe`)},
}

// objecting are the words of a toggle that is on to object; claimed are those
// that claim a legitimate interest. They are constant.
var (
	objecting = wordRE(`object(?:ion)?(?: to)?`, `opt[- ]?out`, `do not`, `don't`, `gwrthwynebu`, `gwrthwynebiad`, `widersprechen`, `widerspruch`, `s'opposer`, `opposition`, `oponerse`, `oposición`, `opponi(?:ti)?`, `opporsi`, `opposizione`, `bezwaar`, `sprzeciw`, `opor-se`, `oposição`, `mă opun`, `opoziție`)
	claimed   = wordRE(`legitimate interests?`, `buddiant cyfreithlon`, `buddiannau cyfreithlon`, `berechtigte[sn]? interessen?`, `intérêts? légitimes?`, `interés legítimo`, `intereses legítimos`, `interessi? legittim[io]`, `legittimo interesse`, `gerechtvaardigde? belang(?:en)?`, `uzasadnion\pL+ interes\pL*`, `prawnie uzasadnion\pL+`, `interesses? legítimos?`, `interes(?:ul|e)? legitime?`)
	affirming = wordRE(`yes`, `on`, `accept`, `allow`, `agree`, `enabled?`, `ie`, `ydw`, `ymlaen`, `derbyn`, `ja`, `an`, `oui`, `sí`, `si`, `tak`, `sim`, `da`)
)

// wordRE matches one of the alternatives as whole words of a normal text.
func wordRE(alternatives ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?:^|[^\pL\pN])(?:` + strings.Join(alternatives, "|") + `)(?:$|[^\pL\pN])`)
}

// toggle reads what a toggle is for. Only its own heading tells: the prose
// below it may speak of much else.
func (t *tree) toggle(ct *pc.Control) {
	n := &t.page.Nodes[ct.Node]
	_, disabled := n.Attrs["disabled"]
	ct.Locked = disabled || n.Attrs["aria-disabled"] == "true" || n.Attrs["aria-readonly"] == "true"
	heads := t.headings(ct.Node)
	if len(heads) > 0 {
		ct.Text = heads[0] // what it was named by may be its id, or the whole of a label's prose
	}
	said := normal(ct.Text)
	if m := claimed.FindString(normal(t.rowText(ct.Node))); m != "" && !claimed.MatchString(said) {
		ct.Text += " (" + strings.TrimSpace(m) + ")"
	}
	if n.Attrs["type"] == "radio" && !affirming.MatchString(said) {
		return // one of several answers: which of them consents is not known
	}
	for _, h := range append(heads, n.Attrs["id"], n.Attrs["name"], n.Attrs["value"]) {
		said := normal(separated(h))
		if class, ok := purposeOf(said); ok {
			ct.For, ct.Object = class, objecting.MatchString(said)
			ct.Why += "; its heading says “" + cut(h, 80) + "”"
			return
		}
	}
}

// purposeOf reads a heading; ok is false when it says nothing known.
func purposeOf(said string) (pc.Class, bool) {
	if len([]rune(said)) > maxText {
		return "", false
	}
	for _, w := range purposeWords {
		if w.re.MatchString(said) {
			return w.class, true
		}
	}
	return "", false
}

// headings are the names of a toggle, the surest first: its accessible name,
// the first words of its label, and of the row that holds no other toggle.
func (t *tree) headings(i int) []string {
	n := &t.page.Nodes[i]
	var out []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	add(n.Attrs["aria-label"])
	for id := range strings.FieldsSeq(n.Attrs["aria-labelledby"]) {
		for k := range t.page.Nodes {
			if t.page.Nodes[k].Attrs["id"] == id {
				add(t.text(k, 200))
				break
			}
		}
	}
	if k, ok := t.label(i); ok {
		add(t.page.Nodes[k].Attrs["aria-label"])
		add(t.firstText(k))
	}
	if row := t.row(i); row >= 0 {
		add(t.firstText(row))
	}
	return out
}

// rowText is what stands beside a toggle, where that is short.
func (t *tree) rowText(i int) string {
	row := t.row(i)
	if row < 0 {
		return ""
	}
	s := t.text(row, 300)
	if len(s) > 120 {
		return ""
	}
	return s
}

// row is the largest container of a toggle that holds no other; -1 for none.
func (t *tree) row(i int) int {
	row := -1
	for up, level := t.page.Nodes[i].Parent, 0; up >= 0 && level < 6; up, level = t.page.Nodes[up].Parent, level+1 {
		for k := up; k < t.end[up]; k++ {
			n := &t.page.Nodes[k]
			if k != i && (n.Attrs["type"] == "checkbox" || n.Attrs["type"] == "radio" || n.Attrs["role"] == "switch" || n.Attrs["role"] == "checkbox") {
				return row
			}
			if n.Tag == "button" && n.Attrs["role"] != "switch" && t.visible[k] {
				return row // the controls of the whole panel stand here
			}
		}
		row = up
	}
	return row
}

// firstText is the first visible text of a subtree.
func (t *tree) firstText(i int) string {
	for k := i; k < t.end[i]; k++ {
		if n := &t.page.Nodes[k]; n.Tag == "#text" && t.visible[k] && strings.TrimSpace(n.Text) != "" {
			return cut(strings.TrimSpace(n.Text), 200)
		}
	}
	return ""
}

// separated parts the words of an id such as "switchMarketing".
func separated(s string) string {
	if strings.ContainsAny(s, " ") {
		return s
	}
	var b strings.Builder
	small := false
	for _, r := range s {
		if small && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		small = r >= 'a' && r <= 'z'
		if r == '_' || r == '-' {
			r = ' '
		}
		b.WriteRune(r)
	}
	return b.String()
}
