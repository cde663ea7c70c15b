package classifier

import (
	"regexp"
	"strings"

	pc "pecrawler"
)

// The flags of what a banner says. Words alone are no fault: a rule looks at
// what follows as well, or leaves it to a human.
const (
	FlagImplied    = "implied-consent"     // going on is taken for consent
	FlagShame      = "confirmshame"        // the refusal shames whoever presses it
	FlagPay        = "consent-or-pay"      // the choice is to consent or to pay
	FlagMisleading = "misleading"          // it says that one must consent, or what a refusal costs, and that is seldom so
	FlagTerms      = "terms-bundled"       // one answer covers cookies and terms of use
	FlagBundled    = "purposes-bundled"    // of a toggle: it covers statistics and advertising
	FlagLegitimate = "legitimate-interest" // of a toggle: a legitimate interest is claimed
)

// notImplied is in sentences that look as if going on were consent, and offer a
// choice or say the opposite. It is constant.
var notImplied = wordRE(`can`, `may`, `could`, `choose`, `click(?:ing)?`, `buttons?`, `select(?:ing)?`, `press(?:ing)?`, `whether`, `without`, `unless`, `not`, `never`, `don't`, `won't`, `asked?`, `allwch`, `heb`, `clicio`, `oni bai`, `können`, `nicht`, `ohne`, `klicken`, `peut`, `pouvez`, `sans`, `cliqu\pL+`, `puede`, `sin`, `clic`, `puoi`, `senza`, `kunt`, `zonder`, `klik\pL*`, `możesz`, `bez`, `pode`, `sem`, `clicar`, `puteți`, `fără`)

// aboutStorage is in sentences about what is stored on devices. It is constant.
var aboutStorage = regexp.MustCompile(`cookie|[cg]wci|tracking|trackers|tracio|similar technolog|technolegau tebyg`)

// sentences are the readings of a banner's sentences. They are constant.
var sentences = []struct {
	flag       string
	confidence float64
	why        string
	re         *regexp.Regexp
}{
	{FlagTerms, .8, "one answer covers cookies and the terms of use", regexp.MustCompile(`(?:accept|agree|consent)[^.]{0,80}cookies?(?: policy| use)?(?:,| and| &)[^.]{0,30}(?:terms|conditions)|(?:accept|agree|consent)[^.]{0,60}(?:terms|conditions)[^.]{0,30}(?:,| and| &)[^.]{0,40}cookies?` +
		`|(?:derbyn|cytuno)[^.]{0,80}(?:cwcis[^.]{0,30}a(?:'r|'n)?[^.]{0,20}telerau|telerau[^.]{0,40}cwcis)`)},
	{FlagPay, .85, "it offers to consent or to pay", regexp.MustCompile(`(?:accept|consent|agree|allow|free|advert\pL*)[^.]{0,140}(?: or |otherwise|alternatively|instead)[^.]{0,100}(?:subscri\pL+|pay |pay\b|£|€)|(?:subscri\pL+|pay)[^.]{0,100} or [^.]{0,60}(?:accept|consent|agree)` +
		`|(?:derbyn|cydsyni\pL*)[^.]{0,120} neu [^.]{0,80}(?:tanysgrif\pL+|dalu|£)|(?:mit werbung|akzeptieren|zustimmen)[^.]{0,120}oder[^.]{0,80}(?:abo|€)|accept\pL*[^.]{0,120} ou [^.]{0,80}(?:abonn\pL+|€)|acept\pL*[^.]{0,120} o [^.]{0,80}(?:suscri\pL+|€)|accett\pL*[^.]{0,120} o(?:ppure)? [^.]{0,80}(?:abbon\pL+|€)`)},
	{FlagMisleading, .7, "it says that the site needs consent to work", regexp.MustCompile(`(?:must|have to|need to|required to) (?:accept|agree to|consent to|allow)[^.]{0,60}(?:cookies?|tracking)|(?:site|website|page|service)s? (?:will|may|can|does|do)(?: not|n't|not) (?:work|function|load|be available|be used)[^.]{0,80}(?:accept|agree|consent|all cookies)` +
		`|(?:rhaid|mae'n rhaid)[^.]{0,20}(?:derbyn|cytuno)[^.]{0,40}cwcis`)},
}

// shames are the words of refusals that shame. They are constant.
var shames = regexp.MustCompile(`(?:don't|do not) (?:care|like|want|need|mind)[^.]{0,30}(?:good|better|best|great|nice|improved|quality|missing)[^.]{0,12}(?:experience|service|site|website|content|deals?|offers?|recommendations?|out)` +
	`|(?:prefer|rather have|like|want|enjoy|choose|fine with|happy with|ok with)[^.]{0,20}(?:bad|worse|worst|poor|poorer|boring|irrelevant|random|useless|terrible|slow|broken)` +
	`|i(?:'ll| will| would)?(?: rather)? (?:hate|regret|miss out)|(?:like|love|enjoy) (?:missing|to miss) out` +
	`|dim ots[^.]{0,20}(?:brofiad|profiad|gwasanaeth)|(?:brofiad|profiad|gwefan) (?:gwael|wael|gwaeth)|well gen i[^.]{0,20}(?:gwael|wael)` +
	`|mag[^.]{0,20}schlecht\pL*|(?:will|bevorzuge|lieber)[^.]{0,20}schlecht\pL*|mauvaise? (?:expérience|site|service)|(?:mala|peor|pésima) experiencia|(?:brutta|cattiva|peggiore?) esperienza|slechte(?:re)? (?:ervaring|website|site)|(?:złe|gorsze|kiepskie) (?:wrażeni\pL+|doświadczeni\pL+)|(?:má|pior) experiência|experiență (?:proastă|mai proastă|slabă)`)

// bundle is a heading that names statistics and advertising side by side. It is constant.
var bundle = func() *regexp.Regexp {
	const (
		stat = `(?:analytics?|statistic\pL*|performance|measurement|dadansodd\pL*|ystadeg\pL*|statisti\pL*|analyse|mesure d'audience|analíti\pL*|estad[íi]sti\pL*|estatísti\pL*|analiti\pL*|statysty\pL*|anali[sz]\pL*)`
		ad   = `(?:advert\pL*|ads|marketing|targeting|hysbyseb\pL*|marchnata|werbung|publicit\pL*|publicidade?|pubblicit\pL*|advertenti\pL*|reklam\pL*)`
		join = ` ?(?:\+|&|/|,| and| a| und| et| y| e| en| i| și) ?`
	)
	return wordRE(stat+join+ad, ad+join+stat)
}()

// wording reads the banners and the policies for what rules ask about.
func (c *Classifier) wording(a *pc.Annotations, look pc.Look) {
	for i := range a.Banners {
		a.Wording = append(a.Wording, c.asks(&a.Banners[i])...)
	}
}

// asks reads what a banner and its controls say.
func (c *Classifier) asks(b *pc.Banner) []pc.Wording {
	out := c.Passages(b.Text)
	for i := range out {
		out[i].Refs = b.Refs
	}
	add := func(ct *pc.Control, flag string, confidence float64, why string) {
		out = append(out, pc.Wording{Flag: flag, Span: cut(ct.Text, 200), Claim: pc.Claim{Confidence: confidence, Basis: "text", Why: why, Refs: ct.Refs}})
	}
	for i := range b.Controls {
		ct := &b.Controls[i]
		said := normal(ct.Text)
		if ct.Action != pc.ActToggle {
			if m := shaming(said); m != "" && ct.Layer == 1 {
				add(ct, FlagShame, .85, "the refusal says “"+m+"” of whoever presses it")
			}
			continue
		}
		if !ct.Locked && len([]rune(said)) <= maxText && bundle.MatchString(said) {
			add(ct, FlagBundled, .85, "its heading names statistics and advertising, and it is one switch")
		}
		if m := claimed.FindString(said); m != "" {
			add(ct, FlagLegitimate, .85, "it claims a “"+strings.TrimSpace(m)+"”")
		}
	}
	for i := range out {
		out[i].Where, out[i].Scenario, out[i].Language = "banner", b.Scenario, b.Language
	}
	return out
}

// shaming returns the words of a refusal that shame whoever presses it; "" for none.
func shaming(said string) string {
	if len([]rune(said)) > maxText {
		return ""
	}
	return strings.TrimSpace(shames.FindString(said))
}

// Passages finds what a text says that a rule asks about, sentence by sentence.
func (c *Classifier) Passages(text string) []pc.Wording {
	var out []pc.Wording
	add := func(flag, span string, confidence float64, why string) {
		out = append(out, pc.Wording{Flag: flag, Span: cut(span, 200), Claim: pc.Claim{Confidence: confidence, Basis: "text", Why: why, Refs: []pc.Ref{}}})
	}
	for _, span := range strings.FieldsFunc(text, func(r rune) bool { return r == '.' || r == '!' || r == '?' || r == '\n' }) {
		span = strings.TrimSpace(span)
		said := normal(span)
		if m := c.goingOn.FindString(said); m != "" && aboutStorage.MatchString(said) && !notImplied.MatchString(m) {
			add(FlagImplied, span, .9, "it takes going on for consent: “"+m+"”")
		}
		for _, s := range sentences {
			if m := s.re.FindString(said); m != "" {
				add(s.flag, span, s.confidence, s.why+": “"+m+"”")
			}
		}
	}
	return out
}
