package classifier

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// What banners, notices on the page and policies can tell. Each is a flag of a
// [pc.Wording]; that none is there is for the rules to judge, and only where
// something was read.
const (
	namesStatistics  = "names-statistics"
	namesAdvertising = "names-advertising"
	namesThird       = "names-third-parties"
	namesDurations   = "names-durations"
	namesPurposes    = "names-purposes"
	offersOff        = "offers-off-switch"  // statistics can be switched off here, not only in the browser
	offersWayBack    = "offers-way-back"    // a control to withdraw is named
	tellsLanguage    = "language-not-known" // none of the languages that are read
)

// toldRE finds a word at the beginning of a word, in English, Welsh, German,
// French, Spanish, Italian, Dutch, Polish, Portuguese or Romanian.
func toldRE(alternatives ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(?:^|[^\pL\pN])(?:` + strings.Join(alternatives, "|") + `)`)
}

var (
	statisticsTold = toldRE(`statisti`, `analytic`, `web analy`, `count(?:s|ing)? (?:the )?visit`, `(?:measur|understand|see|know)\pL*(?: us)? (?:how|which|what)[^.]{0,40}(?:use|visit|read)`, `measur\pL+ (?:the )?(?:use|usage|audience|traffic|visits|performance)`, `performance cookies`, `matomo`, `piwik`,
		`ystadeg`, `hystadeg`, `dadansodd`, `(?:cyfrif|mesur) (?:ymweliad|sut)`, `statistik`, `analyse`, `zähl\pL+ besuche`, `messung`, `reichweite`, `statistiq`, `audience`, `comptent? les visites`, `estad[ií]stic`, `anal[ií]tic`, `medir`, `cuentan? las visitas`, `statistich`, `statistica`, `misura`, `conta(?:no)? le visite`,
		`statistiek`, `meten`, `tellen bezoeken`, `statysty`, `analityk`, `pomiar`, `licz\pL+ wizyt`, `estat[ií]stic`, `contam?(?:os)? as visitas`, `statistic`, `analiz`, `măsura`, `număr\pL+ vizit`)
	advertisingTold = toldRE(`advert`, `marketing`, `(?:re)?targeting`, `hysbyseb`, `marchnata`, `werbung`, `werbe`, `marketing`, `publicit`, `pubblicit`, `advertentie`, `reklam`, `publicid`, `anúncio`, `reclam`, `anunț`)
	thirdTold       = toldRE(`third[- ]part`, `(?:our|and) partners`, `vendors`, `recipients`, `(?:is|are) (?:shared with|sent to|received by)`, `receives? it`, `google`, `facebook`, `meta platforms`, `microsoft`, `trydydd part`, `partneriaid`, `ein partner`, `dritt`, `(?:unsere|und) partner`, `empfänger`, `tiers`, `partenaires`, `destinataires`,
		`terceros`, `socios`, `terz[ei]`, `partner`, `destinatari`, `derde`, `ontvangers`, `podmiot\pL+ trzeci`, `partnerz`, `odbiorc`, `terceir`, `parceir`, `terț`, `parteneri`, `destinatar`)
	durationsTold = toldRE(`\d+ (?:second|minute|hour|day|week|month|year)`, `(?:a|one|two|six|twelve|thirteen) (?:day|week|month|year)`, `expir`, `(?:until|when) you close`, `retention`, `lifespan`, `\d+ (?:diwrnod|wythnos|mis|mlynedd|blynedd)`, `\d+ (?:tag|woche|monat|jahr)`, `\d+ (?:jours?|semaines?|mois|ans?)(?:$|[^\pL])`, `\d+ (?:d[ií]as?|semanas?|mes|años?|anos?)`,
		`\d+ (?:giorn|settiman|mes|ann)`, `\d+ (?:dag|wek|we+k|maand|jaar)`, `\d+ (?:dni|tygod|miesi|lat|rok)`, `\d+ (?:de )?(?:zile|săptăm|luni|ani)`)
	purposesTold = toldRE(`purpose`, `in order to`, `so that`, `helps? us`, `we use (?:them|these|it) (?:to|for)`, `at ddiben`, `ar gyfer`, `zweck`, `damit`, `finalit`, `afin`, `finalidad`, `para que`, `scop`, `finalit`, `doel`, `om onze`, `w celu`, `finalidade`, `pentru a`)
	// purposeNamed is what cookies may be for, other than statistics and
	// advertising, in words that mean something.
	purposeNamed = toldRE(`ads(?:$|[^\pL])`, `ad (?:campaign|partner|select)`, `personali[sz]`, `tailor`, `relevant (?:content|offers|products|information)`, `your interests`, `remarket`, `recommend`, `traffic`, `measur`, `analy[sz]`, `count(?:s|ing)? (?:our |the |your |how )?(?:visit|user|people|reader|many)`, `audience`, `(?:see|understand|learn|know|improve|track|monitor)\pL*(?: \pL+)? (?:how|which|what) (?:you|people|visitors|users|customers|our|the|this|it|they|many|pages|articles)`,
		`remember`, `(?:sign|log)(?:ed|ged|ging|s)?[- ]?(?:in|on)(?:$|[^\pL])`, `authenticat`, `basket`, `shopping cart`, `check-?out`, `secur`, `fraud`, `social media`, `social network`, `play videos`, `make (?:this|our|the) (?:\pL+ )?(?:site|service|page|website)s? work`, `(?:site|website|services?) (?:to )?(?:works?|functions?)(?:$|[^\pL])`, `site navigation`, `store\pL* (?:your|the) (?:settings|preferences|choices)`, `geolocation`,
		`personoli`, `cofio`, `gofio`, `basged`, `fasged`, `mewngofnodi`, `diogel`, `[mf]esur`, `[fh]?ystadeg`, `ddadansodd`, `berthnasol`, `farchnata`, `cyfryngau cymdeithasol`, `personalis`, `warenkorb`, `anmeld`, `sicherheit`, `merken`, `messen`, `anzeigen`, `zugriffe`, `personnalis`, `mémoris`, `panier`, `connexion`, `sécuri`, `réseaux sociaux`, `mesur`, `trafic`, `recordar`, `carrito`, `seguridad`, `redes sociales`, `medir`, `tráfico`, `anuncios`,
		`personalizz`, `ricord`, `carrello`, `sicurezza`, `traffico`, `annunci`, `misur`, `onthoud`, `winkelwagen`, `inlog`, `beveilig`, `meten`, `zapamięt`, `koszyk`, `logow`, `bezpiecz`, `mierz`, `lembrar`, `carrinho`, `segurança`, `tráfego`, `aminti`, `coș`, `securit`, `măsur`)
	// saysUsed is that cookies are used, by a sentence that has no other.
	saysUsed = regexp.MustCompile(`(?i)(?:^|[^\pL])(?:we|sites?|websites?|pages?|apps?|services?) (?:\pL+ ){0,3}(?:use|set|place|store)s? (?:\pL+[ -]){0,5}cookies|cookies (?:are|help)|(?:defnyddio|gosod) cwcis`)
	// offTold is what a notice says of an off switch, or the switch itself.
	offTold = toldRE(`(?:switch|turn)(?:ed|ing)?(?: \pL+){0,5} off`, `(?:switch|turn)(?:ed)? off`, `opt[- ]?(?:ing )?out`, `disabl`, `deactivat`, `object to`, `choose to prevent`, `gall(?:wch|u) ddiffodd`, `ddiffodd`, `diffodd`, `gwrthwynebu`, `optio allan`, `abschalt`, `ausschalt`, `abzuschalten`, `deaktivier`, `widersprechen`,
		`désactiv`, `vous opposer`, `opposition`, `desactiv`, `oponer`, `disattiv`, `oppor`, `uitzet`, `uit te zetten`, `uitschakel`, `bezwaar`, `wyłącz`, `sprzeciw`, `deslig`, `desativ`, `opor-se`, `dezactiv`, `opune`)
	// notSo takes it back: what cannot be switched off, or only by the browser's own means.
	notSo = toldRE(`can(?:not|'t| not)`, `browser`, `ni (?:ellir|allwch)`, `porwr`, `nicht`, `ne peuvent`, `navigateur`, `no se pueden`, `navegador`, `non possono`, `niet`, `nie można`, `przeglądark`, `não podem`, `nu pot`)
	// wayBackTold names a control as one would press it.
	wayBackTold = toldRE(`withdraw(?:ing)? (?:your |my )?consent`, `(?:cookie|privacy|consent) (?:settings|preferences|choices|preference cent)`, `(?:manage|change|update|review)(?: your| my)? (?:cookies?|consent|cookie \pL+|privacy \pL+)(?:[^\pL]|$)`, `tynnu cydsyniad`, `gosodiadau (?:cwcis|preifatrwydd)`, `rheoli cwcis`, `(?:einwilligung|zustimmung) widerrufen`, `cookie-einstellungen`,
		`retirer (?:mon|votre) consentement`, `(?:gérer|paramètres des) (?:les )?cookies`, `retirar (?:el|o|su) consent`, `(?:configuración|configurar|gestionar|gerir|definições)(?: de)?(?: las)?(?: os)? cookies`, `revoca\pL* il consenso`, `(?:gestisci|impostazioni)(?: i| dei)? cookie`, `toestemming intrekken`, `cookie-?(?:instellingen|voorkeuren)`, `wycofa\pL* zgod`, `ustawienia (?:plików )?cookie`, `retrage\pL* consim`, `setări(?:le)? (?:de )?cookie`)
)

// namesNoPurpose tells of a text that speaks of cookies and is more than the text
// of a control, whether it leaves out what they are for.
func namesNoPurpose(text string) bool {
	said := normal(text)
	long := len(text) >= 40 || len(inSentences(text)) > 1 || implies(said) != "" || saysUsed.MatchString(text)
	return long && (aboutStorage.MatchString(said) || strings.Contains(said, "on your device")) && !purposeNamed.MatchString(said) && !statisticsTold.MatchString(said) && !advertisingTold.MatchString(said)
}

// information finds what visitors are told: by the banner and what it opens, by
// the page itself, and by the policies; and what they are told that is not so.
func (c *Classifier) information(a *pc.Annotations, look pc.Look, captures map[pc.Scenario]*pc.Capture, read func(path string) (*tree, error)) {
	for _, b := range a.Banners {
		text := b.Text
		for _, ct := range b.Controls {
			if ct.Action == pc.ActToggle {
				text += ". " + ct.Text
			}
		}
		tell(a, text, pc.Wording{Where: "banner", Scenario: b.Scenario, Language: b.Language, Claim: pc.Claim{Confidence: .9, Refs: b.Refs}})
	}
	for _, l := range looked(captures, read) {
		notices(a, l)
		misclassified(a, l)
	}
	for i, t := range look.Texts {
		if t.Status != 200 || t.Text == "" {
			continue
		}
		w := pc.Wording{Where: "policy", Language: language(&pc.Page{}, cut(t.Text, 20_000)), Claim: pc.Claim{Confidence: .85, Refs: []pc.Ref{pc.Ref(fmt.Sprintf("look/texts/%d", i))}}}
		tell(a, t.Text, w)
	}
}

// lookedAt is a page on which visitors are told something before they choose, or
// while they do.
type lookedAt struct {
	capt *pc.Capture
	at   int // index into its pages
	t    *tree
}

// looked are these pages: what was shown by itself, and what settings opened.
func looked(captures map[pc.Scenario]*pc.Capture, read func(path string) (*tree, error)) []lookedAt {
	var out []lookedAt
	for _, s := range []pc.Scenario{pc.Idle, pc.Reject} {
		capt := captures[s]
		if capt == nil || !capt.Load.OK() {
			continue
		}
		for i, snap := range capt.Pages {
			if snap.Mark != pc.MarkSettled && snap.Mark != pc.MarkOpened && snap.Layer < 2 {
				continue
			}
			if t, err := read(snap.Tree); err == nil {
				out = append(out, lookedAt{capt, i, t})
			}
		}
	}
	return out
}

// notices finds the smallest parts of a page that tell of statistics and of
// switching them off. Prose about the matter is found as well: here what is told
// speaks for a site, so to find too much is the smaller mistake.
func notices(a *pc.Annotations, l lookedAt) {
	t, s, at := l.t, l.capt.Scenario, l.at
	from, to := -1, -1 // the banner speaks for itself
	for _, b := range a.Banners {
		if len(b.Refs) > 0 && strings.HasPrefix(string(b.Refs[0]), fmt.Sprintf("%s/pages/%d#", s, at)) && b.Node < len(t.end) {
			from, to = b.Node, t.end[b.Node]
		}
	}
	found := map[string]bool{}
	for i := len(t.page.Nodes) - 1; i >= 0 && len(found) < 2; i-- { // what is inside comes later
		n := &t.page.Nodes[i]
		if strings.HasPrefix(n.Tag, "#") || t.end[i]-i > 60 || t.end[i]-i < 2 || i >= from && i < to || i < from && t.end[i] > from {
			continue
		}
		text := t.text(i, 1500)
		if len(text) > 1200 || !statisticsTold.MatchString(text) {
			continue
		}
		w := pc.Wording{Where: "page", Scenario: s, Language: language(t.page, text), Claim: pc.Claim{Confidence: .85, Refs: []pc.Ref{pc.Ref(fmt.Sprintf("%s/pages/%d#%d", s, at, i))}}}
		if !found[namesStatistics] {
			found[namesStatistics] = true
			add(a, w, namesStatistics, text, statisticsTold, "it tells of statistics")
		}
		if span, ok := offSwitch(text); ok && !found[offersOff] {
			found[offersOff] = true
			addSpan(a, w, offersOff, span, "it tells how statistics are switched off")
		}
	}
}

// tell reads one text for all that can be told.
func tell(a *pc.Annotations, text string, w pc.Wording) {
	add(a, w, namesStatistics, text, statisticsTold, "it tells of statistics")
	add(a, w, namesAdvertising, text, advertisingTold, "it tells of advertising")
	add(a, w, namesThird, text, thirdTold, "it tells that others receive something")
	add(a, w, namesDurations, text, durationsTold, "it tells how long something is kept")
	add(a, w, namesPurposes, text, purposesTold, "it tells what something is for")
	if span, ok := offSwitch(text); ok {
		addSpan(a, w, offersOff, span, "it tells how statistics are switched off")
	}
	if w.Where == "policy" {
		add(a, w, offersWayBack, text, wayBackTold, "it names a control with which consent is withdrawn")
		if len(text) > 400 && !slices.Contains([]string{"en", "cy", "de", "fr", "es", "it", "nl", "pl", "pt", "ro"}, w.Language) {
			addSpan(a, w, tellsLanguage, cut(text, 100), "its language is none of those that are read")
		}
	}
}

func add(a *pc.Annotations, w pc.Wording, flag, text string, re *regexp.Regexp, why string) {
	at := re.FindStringIndex(text)
	if at == nil {
		return
	}
	from := max(0, at[0]-60)
	if from > 0 { // at the beginning of a word
		from += strings.IndexByte(text[from:], ' ') + 1
	}
	addSpan(a, w, flag, text[min(from, at[0]):], why)
}

func addSpan(a *pc.Annotations, w pc.Wording, flag, span, why string) {
	w.Flag, w.Span = flag, strings.TrimSpace(cut(span, 190))
	w.Basis, w.Why = "text", why+": “"+cut(w.Span, 120)+"”"
	a.Wording = append(a.Wording, w)
}

// offSwitch finds a sentence that tells of switching off, with statistics in it
// or in the two before. What cannot be switched off, and what only the browser
// could keep away, is no off switch.
func offSwitch(text string) (string, bool) {
	near := 0
	for _, s := range splitSentences(text) {
		if statisticsTold.MatchString(s) {
			near = 3
		}
		if near > 0 && offTold.MatchString(s) && !notSo.MatchString(s) {
			return s, true
		}
		near--
	}
	return "", false
}

// splitSentences splits at full stops and the like; what a sentence is matters less
// than that it is short.
func splitSentences(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == '!' || r == '?' || r == ';' || r == '\n' || r == '•' })
}
