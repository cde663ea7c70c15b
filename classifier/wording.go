package classifier

import (
	"regexp"
	"slices"
	"strings"
	"sync"

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
	{FlagTerms, .8, "one answer covers cookies and the terms of use", regexp.MustCompile(`(?:accept|agree|consent).{0,80}cookies?(?: policy| use)?(?:,| and| &).{0,30}(?:terms|conditions)|(?:accept|agree|consent).{0,60}(?:terms|conditions).{0,30}(?:,| and| &).{0,40}cookies?` +
		`|(?:derbyn|cytuno).{0,80}(?:cwcis.{0,30}a(?:'r|'n)?.{0,20}telerau|telerau.{0,40}cwcis)`)},
	{FlagPay, .85, "it offers to consent or to pay", regexp.MustCompile(`(?:accept|consent|agree|allow|free|advert\pL*).{0,140}(?: or |otherwise|alternatively|instead).{0,100}(?:subscri\pL+|pay |pay\b|£|€)|(?:subscri\pL+|pay|£ ?\d|€ ?\d).{0,100}(?: or |otherwise).{0,60}(?:accept|consent|agree)|choos\pL+ between.{0,60}(?:consent|accept|agree|cookie|advert).{0,60} and .{0,40}(?:pay|subscri)` +
		`|(?:d?derbyn|[cg]h?ydsyni)\pL*.{0,120} neu .{0,80}(?:d?tanysgrif|d?talu|dalu|£)|(?:mit werbung|akzeptieren|zustimmen).{0,120}oder.{0,80}(?:abo|€)|accept\pL*.{0,120} ou .{0,80}(?:abonn\pL+|€)|acept\pL*.{0,120} o .{0,80}(?:suscri\pL+|€)|accett\pL*.{0,120} o(?:ppure)? .{0,80}(?:abbon\pL+|€)`)},
	{FlagMisleading, .7, "it says that the site needs consent to work", regexp.MustCompile(`(?:must|have to|need to|required to) (?:accept|agree to|consent to|allow).{0,60}(?:cookies?|tracking)|(?:site|website|page|service)s? (?:will|may|can|does|do)(?: not|n't|not) (?:work|function|load|be available|be used).{0,80}(?:accept|agree|consent|all cookies)` +
		`|(?:accept|agree|consent)\pL*.{0,60} (?:is|are) (?:required|mandatory|necessary|needed) (?:to|for|in order to) (?:enter|us|view|access|visit|continu|proceed|read)` +
		`|(?:if you (?:reject|refuse|decline|do not accept|don't accept|do not agree|don't agree|do not consent|don't consent|disagree)|without (?:your consent|accepting|your agreement)|unless you (?:accept|agree|consent)).{0,80}(?:site|website|pages?|services?|you) (?:will not|won't|cannot|can't|does not|doesn't|do not|don't) (?:work|function|load|use|view|access|be able|continue)` +
		`|(?:site|website|page)s? (?:can only be|is only|are only|can be \pL+ only).{0,60}(?:accept|agree|consent)|you (?:will not|won't|cannot|can't) (?:be able to )?(?:use|view|access|enter|continue|proceed|read).{0,60}(?:unless|without|until).{0,20}(?:accept|agree|consent)` +
		`|(?:is|are) (?:necessary|mandatory|required|essential) (?:to|that you) (?:accept|agree|consent).{0,60}(?:cookie|track)|requires? (?:you to|that you) (?:accept|agree|consent)|we (?:cannot|can't|are unable to|will not|won't) (?:show|let|offer|provide|give) (?:you )?(?:in\b|(?:this|our|the) (?:site|website|page|service)).{0,40}(?:unless|until|without).{0,20}(?:accept|agree|consent)|(?:cookies?|tracking) must be (?:enabled and )?(?:accepted|allowed|agreed)` +
		`|(?:rhaid|mae'n rhaid).{0,20}(?:d?derbyn|cytuno|gytuno).{0,40}cwcis|ni fydd.{0,40}gweithio.{0,40}(?:oni bai|heb).{0,40}(?:derbyn|cytuno)`)},
	{FlagMisleading, .7, "it calls necessary what needs consent", regexp.MustCompile(`(?:(?:advertising|marketing|targeting|tracking|analytics|statistics) cookies|cookies for (?:advertising|marketing|targeting|tracking|analytics|statistics)|cookies,? (?:including|also|and)(?: those for)? (?:advertising|marketing|analytics|ads)),? (?:are|is) (?:all |also |strictly |absolutely )?(?:necessary|essential|required|needed)`)},
}

// paidWay finds the parts of an offer to consent or to pay that a banner puts
// into sentences of their own: a price that comes again, what it is without, and
// the consent. It is constant.
var paidWay = []*regexp.Regexp{
	regexp.MustCompile(`(?:£|€|\$) ?\d`),
	regexp.MustCompile(`subscri\pL+|ad-?free|ads-free|cookie-free|tracking-free|per (?:month|week|year)|(?:a|each) (?:month|week|year)|monthly|yearly|pay to reject|tanysgrif|y mis|yr wythnos`),
	regexp.MustCompile(`without (?:ads|adverts|advertising|tracking|cookies)|(?:ads?|ads|cookie|tracking)-free|no (?:ads|tracking|cookies)|reject|refuse|don't want|do not want|free with|free if|heb`),
	regexp.MustCompile(`accept|agree|consent|allow|d?derbyn|cytuno|cydsyni`),
}

// notNeeded is right before words that would say that one must. It is constant.
var notNeeded = regexp.MustCompile(`(?:not|n't|never|nid oes|does dim|nac oes)[^\pL]+$`)

// shames are the words of refusals that shame. They are constant.
var shames = regexp.MustCompile(`(?:don't|do not|never) (?:care|like|want|need|mind|feel|wish|enjoy)[^.]{0,30}(?:(?:good|better|best|great|nice|improved|quality|missing)[^.]{0,12}(?:experience|service|site|website|content|deals?|offers?|recommendations?|out)|sav(?:e|ing)|discount|deals?\b|offers?\b|free\b|gifts?\b|win\b|winning|lucky|fun\b|quality|coupons?|promotions?|\d+ ?%|money|help\b|support\pL*|look my best|(?:my|the) experience|works? (?:well|properly))` +
	`|(?:^|[^\pL])(?:worse|inferior|boring|irrelevant|dull|lousy|second-rate|pointless)(?:$|[^\pL])|not (?:interested in|bothered about|fussed about)[^.]{0,12}(?:sav|deals|offers|discounts|good|better|best|great|quality)|(?:to|and|i'll) miss (?:out|the best|(?:the|your|on) (?:offers|deals|discounts|savings))|refuse to (?:support|help)|(?:things|it|life) (?:to be )?(?:harder|more difficult|the hard way)` +
	`|(?:prefer|rather have|rather see|rather|like|want|enjoy|choose|fine with|happy with|ok with|settle for|continue with|keep my)[^.]{0,20}(?:bad|worse|worst|poor|poorer|boring|dull|irrelevant|random|useless|terrible|slow|slower|broken|annoy\pL*|full price|hard way|pay(?:ing)? (?:more|for)|miss(?:ing)? out)` +
	`|i(?:'ll| will)(?: just| still)? (?:pay (?:the )?(?:full|more)|miss out|settle|be the last)|(?:rather|prefer)(?: to)? not (?:to )?(?:save|win|support|help|hear about)` +
	`|i(?:'ll| will| would)?(?: rather)? (?:hate|despise|regret|miss out)|(?:like|love|enjoy) (?:missing|to miss) out|lose (?:your|my|the) (?:benefits?|discounts?|savings)|save (?:money )?(?:another|some other) (?:day|time)` +
	`|(?:dim ots|ddim eisiau)[^.]{0,20}(?:brofiad|profiad|gwasanaeth)|(?:brofiad|profiad|gwefan) (?:gwael|wael|gwaeth)|well gen i[^.]{0,20}(?:gwael|wael)` +
	`|mag[^.]{0,20}schlecht\pL*|(?:will|bevorzuge|lieber)[^.]{0,20}schlecht\pL*|mauvaise? (?:expérience|site|service)|(?:mala|peor|pésima) experiencia|(?:brutta|cattiva|peggiore?) esperienza|slechte(?:re)? (?:ervaring|website|site)|(?:złe|gorsze|kiepskie) (?:wrażeni\pL+|doświadczeni\pL+)|(?:má|pior) experiência|experiență (?:proastă|mai proastă|slabă)`)

// shamesToo are such words by their parts: whoever refuses would not want what is
// good, would like what is bad, lose something by it, or be somebody to pity. It is
// constant, and compiled when it is first asked for, as what implied.go reads is.
var shamesToo = sync.OnceValue(func() *regexp.Regexp {
	const (
		not  = `(?:don't|do not|dont|never|can't|won't|will not|couldn't|wouldn't|not going to|no need for|no need to)`
		wish = `(?:care|like|want|need|feel|wish|enjoy|value|appreciate|deserve|love|believe in|support|help|bother|understand|see the point)`
		good = `(?:good|better|best|great|nice|improved?|improving|amazing|awesome|brilliant|fantastic|wonderful|excellent|superior|perfect|smooth\pL*|fast|faster|quick\pL*|easy|easier|helpful|useful|relevant|interesting|exciting|fun|cool|exclusive|special|quality|high-quality|savings?|discounts?|bargains?|perks?|benefits?|rewards?|prizes?|free|luck|lucky|progress|convenien\pL*|safe|safety|secure|journalis\pL*|independent|charit\pL*|creators|writers|small business\pL*|privacy|deals|nice things)`
		bad  = `(?:bad|worse|worst|poor|poorer|bor(?:ing|ed)|dull|bland|irrelevant|useless|terrible|awful|horrible|rubbish|slow|slower|broken|clunky|annoy\pL*|inferior|substandard|mediocre|lousy|full price|hard(?:er)? way|missing out|out of date|outdated|uninformed|ignorant|clueless|in the dark|out of the loop|left (?:out|behind)|frustrat\pL*|inconvenien\pL*|hassle|spam\pL*|ugly|unsafe|insecure|vulnerable|unprotected|at risk|struggl\pL*|low(?:er)?[- ]quality|meaningless|pointless|second[- ]best|unhelpful|clutter\pL*|nonsense|junk)`
		// first is whoever says it.
		first = `(?:^|[^\pL])(?:i|i'm|i'll|i'd|me|my|let me|no|nah|no,? thanks|no,? thank you)[^\pL]`
		harm  = `(?:lose|losing|miss|missing|forgo|give up|giving up|sacrifice|ruin|spoil|break|downgrade|degrade|suffer|regret|waste|struggle|put up with|harm|hurt|damage|starve|disappoint|abandon|let (?:us|the \pL+|everyone) down)`
	)
	return regexp.MustCompile(`(?:i|i'd|i'm) (?:really |just |simply )?` + not + ` (?:really |actually |even )?` + wish + `[^.]{0,35}[^\pL]` + good + `(?:$|[^\pL])` +
		`|` + first + `[^.]{0,12}(?:prefer|rather|like|love|want|enjoy|choose|fine with|happy (?:with|to)|ok(?:ay)? with|content with|settle for|stick with|keep|stay|remain|remaining|being|give me|show me|leave me|take me|make|accept)[^.]{0,30}[^\pL]` + bad + `(?:$|[^\pL])` +
		`|(?:don't|do not|couldn't|could not) (?:really |actually )?care (?:less|about (?:my|our|the|your|privacy|quality|people|others)|if|what happens|enough)` +
		`|i (?:don't|do not|can't) trust (?:you|this|nice)|i (?:can't|cannot) be bothered` +
		`|(?:i'm|i am|i'd be|i'd rather be) (?:just )?(?:a |an )?(?:fool|idiot|loser|cheapskate|freeloader|bad person|monster|spoilsport|killjoy|party pooper|grinch|boring|selfish|paranoid|ungrateful|dinosaur|luddite|no fun|not (?:a )?(?:nice|kind|fun|team)\pL*)|i(?:'ve got| have) something to hide` +
		`|i (?:already )?(?:know (?:everything|it all)|have (?:enough|too much) money)|money to burn|(?:free stuff|discounts?|savings?|deals?|fun|quality|progress) (?:isn't|aren't|is not|are not) for me|who (?:needs|wants|cares about) ` + good +
		`|^(?:no|nah|reject|decline|refuse|deny|opt out|leave|skip)[^.]{0,20}(?:[^\pL](?:and|but|then) |[,–—&-] ?)(?:i'll |i will |i )?` + harm + `(?:$|[^\pL])|^(?:no[^\pL]+)?(?:please )?(?:ruin|spoil|downgrade|degrade|worsen|wreck) (?:my|the|your|this)` +
		`|(?:i won't|i will not|i refuse to|i'd rather not|rather not|i don't) (?:support|help|fund|back) |let (?:\pL+ ){1,4}(?:die|starve|fail|suffer)(?:$|[^\pL])|mak(?:e|es|ing) (?:you|us|the \pL+) (?:sad|cry)|break (?:your|our|my) heart|take my chances|take the risk|live dangerously|risk it(?:$|[^\pL])` +
		`|(?:dydw i ddim|dw i ddim|nid wyf i?|does gen i ddim)(?: yn| am)?(?: eisiau|'n hoffi| hoffi| poeni am|'n poeni am|'n malio am| malio am)[^.]{0,25}(?:profiad|brofiad|gwasanaeth|wasanaeth|cynnwys|gynnwys|cynigion|gynigion|bargeinion|arbed|helpu|cefnogi|ansawdd|hwyl)(?:$|[^\pL])` +
		`|(?:well gen i|rwy'n hoffi|dw i'n hoffi|rwy'n mwynhau|rwy'n hapus (?:i|gyda)|rhowch i mi)[^.]{0,25}(?:gwael|wael|gwaeth|waeth|diflas|ddiflas|amherthnasol|araf|talu mwy|pris llawn|colli allan|golli allan)|does dim ots gen i|rwy'n casáu|gwrthod a (?:cholli|difetha|chael profiad gwae\pL+)`)
})

// plainlyNo is in refusals that only name what is refused. It is constant.
var plainlyNo = regexp.MustCompile(`(?:want|like|need|care about).{0,12}(?:personali[sz]ed|targeted|tailored|marketing|promotional|tracking|cookies)|(?:privacy|cookie) (?:policy|notice|settings)|newsletter|emails?|notifications|(?:remember|track|sign|log|subscri|share|sell|use cookies|store)`)

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
	for _, re := range []*regexp.Regexp{shames, shamesToo()} {
		if m := re.FindString(said); m != "" && !plainlyNo.MatchString(m) {
			return strings.TrimSpace(m)
		}
	}
	return ""
}

// Passages finds what a text says that a rule asks about, sentence by sentence.
func (c *Classifier) Passages(text string) []pc.Wording {
	var out []pc.Wording
	add := func(flag, span string, confidence float64, why string) {
		out = append(out, pc.Wording{Flag: flag, Span: cut(span, 200), Claim: pc.Claim{Confidence: confidence, Basis: "text", Why: why, Refs: []pc.Ref{}}})
	}
	spans, words := takesGoingOn(text)
	for i, span := range spans {
		add(FlagImplied, span, .9, "it takes going on for consent: “"+words[i]+"”")
	}
	whole := normal(text)
	pays := aboutStorage.MatchString(whole)
	for _, re := range paidWay {
		pays = pays && re.MatchString(whole)
	}
	parts := inSentences(text)
	before := ""
	for _, span := range parts {
		said, read := normal(span), false
		for _, s := range sentences {
			at := s.re.FindStringIndex(said)
			if at == nil || s.flag == FlagMisleading && notNeeded.MatchString(said[:at[0]]) {
				continue
			}
			pays = pays && s.flag != FlagPay
			read = read || s.flag == FlagMisleading
			add(s.flag, span, s.confidence, s.why+": “"+said[at[0]:at[1]]+"”")
		}
		if words, why := misleads(said, before); words != "" && !read {
			add(FlagMisleading, span, .7, why+": “"+words+"”")
		}
		before = said
	}
	if pays {
		priced := slices.IndexFunc(parts, func(s string) bool { return paidWay[0].MatchString(s) })
		add(FlagPay, parts[max(priced, 0)], .8, "it names a price, what is without advertising or cookies for it, and a consent otherwise")
	}
	return out
}
