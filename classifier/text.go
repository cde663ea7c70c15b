package classifier

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"unicode"

	pc "pecrawler"
	"pecrawler/internal/ngram"
)

// label is what a control's text says.
type label struct {
	action     pc.Action
	confidence float64
	why        string
	whole      bool // a phrase is all that the text says
}

// phrase is one reading of a text. The first that matches decides, so the order
// of the table is part of the grammar: what limits a meaning ("only necessary",
// "do not accept", "save settings") stands before what it limits.
type phrase struct {
	action     pc.Action
	confidence float64
	re         *regexp.Regexp
}

// maxText is the longest text of a control that is read; longer ones are prose.
const maxText = 120

// grammar holds English and Welsh first, then the commonest wordings of the
// other languages that UK sweeps meet.
func grammar() []phrase {
	p := func(a pc.Action, c float64, alternatives ...string) phrase {
		return phrase{a, c, regexp.MustCompile(`(?:^|[^\pL\pN])(?:` + strings.Join(alternatives, "|") + `)(?:$|[^\pL\pN])`)}
	}
	whole := func(a pc.Action, c float64, alternatives ...string) phrase {
		return phrase{a, c, regexp.MustCompile(`^(?:` + strings.Join(alternatives, "|") + `)$`)}
	}
	const (
		all     = `(?: all| every| any| the| these| our| your| additional| optional| non-essential| analytics| tracking| marketing| statistics| selected| other| unnecessary)*(?: cookies?| tracking| purposes)?`
		needful = `(?:(?:strictly|technically|absolutely) )?(?:necessary|essential|required|needed|mandatory|technical)`
		things  = `(?: (?:cookies?|services?|functions?|technolog(?:y|ies)|trackers?|tools?|data))?`
		yes     = `(?:accept|allow)(?: all)?(?: cookies)?`
		no      = `(?:reject|decline|deny|refuse)(?: all)?(?: cookies)?`
		choose  = `(?:customi[sz]e|manage|(?:cookie )?(?:settings|preferences))`
		and     = `[ ,/|]+`
		// To accept what is needed is to refuse the rest, and to accept what is not needed is not.
		needed = `(?:notwendig|erforderlich|essen[tz]iell|wesentlich|technisch|nötig|noodzakelijk|vereist|functionel|essentiël|nödvändig|nødvendig)\pL*(?: cookies?)? (?:akzeptieren|zustimmen|annehmen|zulassen|erlauben|verwenden|accepteren|toestaan|aanvaarden|gebruiken)`
		// What a notice about statistics offers to switch off, with its article.
		counted = `(?:(?:the|our|die|unsere|les|las|le|la|as|os|de|onze|y|ein) )?(?:statisti\pL*|estadísti\pL*|estatísti\pL*|statysty\pL*|ystadegau|dadansodd\pL*|analyti\pL*|analíti\pL*|measurement|tracking|cookies?|cwcis|mesure d'audience)`
	)
	return []phrase{
		// Several controls in one text are a container, and an answer to another question is no answer to this one.
		whole(pc.ActOther, .8, yes+and+no, no+and+yes, yes+and+no+and+choose, yes+and+choose+and+no, no+and+yes+and+choose, no+and+choose+and+yes, choose+and+yes+and+no, choose+and+no+and+yes),
		whole(pc.ActOther, .85, `(?:yes|(?:i )?(?:agree|accept))\W+(?:and )?enter(?: .*)?`, `.*\b(?:i am|i'm) (?:at least|over|aged?) \d+.*`),
		whole(pc.ActOther, .8, `powered by .*`, `(?:cookie consent|consent management|cookie banner) (?:by|from|tool|plugin|plug-in|solution|software|platform)(?: .*)?`),
		whole(pc.ActPolicy, .8, `(?:our |the )?use of cookies(?: (?:on|by|at|in) .*)?`, `how (?:to|do i|can i) (?:accept|reject|refuse|disable|block|manage|change|delete|control|opt out|turn off|withdraw)[^.]*`, `sut (?:i|ydw i'n) (?:wrthod|gwrthod|analluogi|rwystro|reoli|rheoli|newid|ddileu|dileu)[^.]*`),
		whole(pc.ActOther, .8, `(?:do|would|can|will) (?:you|we|i) .*`, `(?:i )?(?:agree to|accept|have read)(?: all)?(?: the| our| these)? (?:terms|conditions|t&cs)(?: (?:and|of|&) (?:conditions|use|service))?`),
		whole(pc.ActClose, .9, `(?:close|hide|cau|cuddio)(?: the| my| your| eich| y| 'r)?(?: cookie| privacy| consent)? (?:settings|preferences|options|dewisiadau|gosodiadau)(?: cwcis| preifatrwydd)?`),
		// One of several answers about one kind, as public services write it on the page of their cookies.
		whole(pc.ActToggle, .85, `(?:do not use|don't use|use) cookies (?:that|which) .*`, `(?:peidi(?:o|wch) â defnyddio|defnyddi(?:o|wch)) g?cwcis (?:sy'n|sydd'n|i|er mwyn) .*`),
		p(pc.ActPay, .9, `subscribe`, `subscription`, `pay`, `pay to reject`, `buy`, `purchase`, `premium`, `ad-free`, `tanysgrifio`, `abonnieren`, `pur-abo`, `s'abonner`, `suscribirse`, `abbonati`),
		// A choice between both is a way to the settings, not a choice.
		p(pc.ActSettings, .7, `(?:accept|allow|agree) or (?:reject|refuse|decline|manage|customi[sz]e)`, `(?:reject|refuse|decline|manage)(?: all)? or (?:accept|reject|object|manage|customi[sz]e|settings)`, `(?:choose|select|decide) which cookies[^.]*`, `dewis(?:wch)? pa gwcis[^.]*`, `(?:accept|allow)/(?:reject|deny)`),
		whole(pc.ActAccept, .97, `(?:save(?: and| &) )?(?:accept|allow|enable) all(?: cookies)?(?: (?:and|&) (?:save|confirm))?(?: (?:and|&) (?:close|continue))?`, `(?:select|choose|tick) all cookies(?: (?:and|&) (?:save|close|continue))?`),
		p(pc.ActSave, .93, `(?:accept|allow|confirm|save|apply|use|keep|submit|agree to)(?: and (?:close|exit|continue))?(?: my| the| your| these| current| cookie| consent| privacy)*(?: selected| selection| selections| choice| choices| preferences?| settings?| options)(?: cookies)?(?: and (?:close|exit|continue))?`,
			`(?:(?:accept|allow|use) )?only(?: the| my)? (?:selected|selection|chosen)(?: cookies)?`, `(?:selected|selection|chosen)(?: cookies)? only`, `save`, `save(?: &| and) (?:close|exit|accept|continue)`, `confirm`, `apply`, `update(?: my| your| these)+ (?:preferences|settings|choices)`, `cadw`, `cadwch`, `cadarnhau`,
			`speichern`, `auswahl (?:erlauben|bestätigen|speichern|akzeptieren)`, `enregistrer`, `confirmer`, `valider`, `guardar`, `confirmar`, `salva`, `conferma`, `opslaan`, `bevestig(?:en)?`, `zapisz`, `potwierdź`, `spara`, `bekräfta`, `gem`, `bekræft`, `salvează`, `salvați`, `confirm[ăa](?:ți)?`),
		p(pc.ActAccept, .9, `(?:nicht|niet|nicht unbedingt|niet strikt)[- ]`+needed),
		p(pc.ActReject, .97,
			needed, `(?:accepter|autoriser)(?: les)?(?: cookies)?(?: strictement)? (?:nécessaires|essentiels|obligatoires|techniques)`, `(?:aceptar|permitir)(?: las)?(?: cookies)?(?: estrictamente)? (?:necesarias|esenciales|técnicas)`, `(?:accetta|consenti)(?: i)?(?: cookie)?(?: strettamente)? (?:necessari|essenziali|tecnici)`, `beperkt (?:toestaan|accepteren)`,
			`reject`+all, `refuse`+all, `decline`+all, `deny`+all, `disagree`, `opt[- ]?out`, `object to all`, `(?:do not|don't|dont|never) (?:accept|allow|consent|agree|track|use)`, `i do not`, `no,? thanks?`, `no,? thank you`,
			`(?:only|just)(?: use| accept| allow| agree to| the)* (?:`+needful+things+`|what(?:'s| is) `+needful+`)`, needful+things+` only`, `(?:use|accept|allow|agree to|consent to|opt for|keep|stick (?:to|with)|(?:continue|proceed|browse) with)(?: only| just| the)* (?:`+needful+things+`(?: only)?|what(?:'s| is) `+needful+`|(?:bare )?essentials|basics|(?:basic|core|default|limited|minim(?:al|um)|standard|vital)(?: cookies)? only)`, `i object(?: to all)?`, `(?:accept|allow|agree to|consent to) none`, `none of (?:them|these)`,
			`(?:continue|proceed|browse) without(?: accepting| agreeing| consent| consenting| cookies| tracking)*`, `without accepting`, `(?:disable|block|turn off|switch off|withdraw)(?: all| consent| everything)`, `disallow`, `not now`, `refuse everything`, `leave(?: them)? off`, `(?:turn|switch) (?:the |these |our )?(?:them|all|everything|`+counted+`) off`, `no cookies`, `cookies? blokkeren`, `(?:keine|geen|dim) (?:cookies|cwcis)`, `(?:aucun|pas de) cookies?`, `nessun cookie`, `ningun[ao] cookie`,
			// The off switch of a notice about statistics.
			`(?:désactiver|desactivar|disattiva(?:re)?|wyłącz|desligar|desativar|dezactiv\pL+|diffodd|analluogi|stäng av|slå) `+counted+`(?: fra)?`, counted+` (?:abschalten|ausschalten|deaktivieren|uitzetten|uitschakelen)`,
			// A negation, or “without”, before a word for accepting.
			`sans (?:accepter|consentir|cookies)`, `(?:je )?n'?accepte[rz]? (?:pas|rien|aucun)`, `ne (?:pas|plus) accepter`, `ohne (?:zu )?(?:akzeptieren|annehmen|zustimmen|cookies)`, `nicht (?:akzeptieren|annehmen|zustimmen|zulassen|erlauben|einverstanden)`, `sin (?:aceptar|cookies)`, `no (?:acepto|aceptar|permitir|consiento)`, `senza (?:accettare|cookie)`, `non (?:accetto|accettare|acconsento|consentire)`,
			`zonder (?:te )?(?:accepteren|toestemming|akkoord|cookies)`, `niet (?:accepteren|akkoord|toestaan)`, `bez (?:akceptacji|akceptowania|zgody)`, `nie (?:zgadzam się|akceptuj\pL*|wyrażam zgody|zezwala\pL*)`, `sem aceitar`, `não (?:aceit\pL+|concordo|permit\pL+)`, `fără (?:a )?accept\pL*`, `nu (?:accept\pL*|permite\pL*|sunt de acord)`, `utan att (?:acceptera|godkänna)`, `inte (?:acceptera|godkänna|tillåta)`, `(?:acceptera|godkänn|tillåt) inte`, `uden (?:at )?accept\pL*`, `(?:accepter|tillad|godkend)\pL* ikke`,
			`heb (?:dderbyn|derbyn|gytuno|gydsynio|gwcis)`, `(?:nid wyf(?: i)?(?: yn|'n)|dydw i ddim yn|dw i ddim yn) (?:derbyn|cytuno|caniatáu)`, `peidi(?:o|wch) â (?:derbyn|chaniatáu|chytuno|defnyddio)`, `anghytuno`,
			`troi(?:'r| pob| yr holl| y)* (?:cwcis?|cwci|gwcis|popeth|cyfan|dadansoddeg|ystadegau)(?: \pL+)? i ffwrdd`, `gwrthod`, `gwrthodwch`, `dim diolch`, `(?:hanfodol|angenrheidiol) yn unig`, `(?:dim ond|defnyddio|derbyn)(?: y| cwcis)* (?:hanfodol|angenrheidiol)`,
			`ablehnen`, `alle ablehnen`, `nur (?:notwendig|erforderlich|essen[tz]iell|wesentlich|nötig|technisch)\pL*`, `ohne (?:einwilligung|zustimmung)`, `refuser`, `tout refuser`, `je refuse`, `continuer sans accepter`, `(?:uniquement|seulement)[^.]* nécessaires`,
			`rechazar`, `rechazo`, `denegar`, `(?:solo|sólo)[^.]* necesarias`, `rifiuta(?:re)?`, `rifiuto`, `solo(?: i)?(?: cookie)? necessari`, `continua senza accettare`, `weigeren`, `weiger`, `afwijzen`, `alleen (?:noodzakelijke?|functionele?)`,
			`odrzu\pL*`, `tylko niezbędne`, `rejeitar`, `recusar`, `apenas[^.]* necessários`, `respinge\pL*`, `refuz\pL*`, `doar(?: cele| cookie-urile)? (?:strict )?necesare`, `avvisa`, `neka`, `endast nödvändiga`, `afvis`, `kun nødvendige`),
		p(pc.ActAccept, .9, `(?:accept|allow|agree to) all (?:partners|vendors|suppliers)`),
		p(pc.ActVendors, .85, `vendors?`, `our partners`, `partners?`, `suppliers?`, `partneriaid`, `partner anzeigen`, `partenaires`, `socios`),
		p(pc.ActAccept, .97,
			`(?:accept|allow|enable)`+all, `(?:i )?(?:agree|consent|accept)(?: to| and)?(?: all| close| continue| proceed)*`, `yes,? (?:i'm happy|i accept|i agree|accept|that's fine|i understand|i do|ok(?:ay)?|continue|please)`, `yes`, `i'm (?:happy|ok|okay) with[^.]*`, `opt[- ]?in`, `turn on all`, `accept recommended settings`,
			`troi(?:'r| pob| yr holl| y)* (?:cwcis?|cwci|gwcis|popeth|cyfan|dadansoddeg|ystadegau)(?: \pL+)? ymlaen`, `rhoi(?: fy)? (?:caniatâd|cydsyniad|nghaniatâd|nghydsyniad)`, `derbyn`, `derbyniwch`, `cytuno`, `cytunaf`, `rwy'n cytuno`, `caniatáu`, `caniatewch`,
			`(?:alle |alles |allen )?(?:akzeptieren|zustimmen|annehmen|erlauben|zulassen)`, `einverstanden`, `stimme(?: \pL+){0,3} zu`, `(?:tout )?accepter`, `j'accepte`, `autoriser`, `d'accord`, `aceptar`, `acepto`, `permitir`, `accetta(?:re)?`, `accetto`, `acconsento`, `consenti`,
			`accepteren`, `accepteer`, `akkoord`, `toestaan`, `akceptuj\pL*`, `zaakceptuj`, `zgadzam się`, `zezwól`, `aceitar`, `aceito`, `concordo`, `godkänn`, `acceptera`, `tillåt`, `accepter`, `tillad`, `godkend`, `acceptă`, `acceptați`, `sunt de acord`, `permite(?:ți)?`),
		p(pc.ActPolicy, .85, `(?:cookie|cookies|privacy|data protection)[- ](?:policy|notice|statement|information|details|table|list)`, `policy`, `polic(?:y|ies)`, `learn more`, `read more`, `more info(?:rmation)?`, `find out more`, `how we use[^.]*`, `more details`, `what are cookies`,
			`polisi`, `hysbysiad`, `rhagor o wybodaeth`, `dysgu mwy`, `datenschutz\pL*`, `impressum`, `mehr (?:erfahren|informationen)`, `en savoir plus`, `politique[^.]*`, `política[^.]*`, `más información`, `informativa[^.]*`, `privacybeleid`, `meer info\pL*`, `politica[^.]*`, `mai multe informații`, `polityk\pL*`, `mer information`, `læs mere`),
		p(pc.ActSettings, .93, `settings?`, `cookies? menu`, `preferences?`, `options?`, `choices?`, `customi[sz]e`, `personali[sz]e`, `manage`, `configure`, `let me (?:choose|decide)`, `change`, `set cookies?`, `choose(?: cookies)?`, `more choices`, `show purposes`, `see details`, `show details`, `view (?:our )?cookies`, `update(?: cookie)? (?:preferences|settings|choices)`, `cookies? (?:bearbeiten|auswählen|selecteren|wijzigen|kiezen)`, `(?:selecteer|beheer|wijzig)(?: mijn| de)? cookies`,
			`gweld (?:y |ein )?cwcis`, `gosodiadau`, `gosodiad`, `dewisiadau`, `rheoli`, `addasu`, `opsiynau`, `newid`, `einstellungen`, `\pL*einstellungen`, `anpassen`, `verwalten`, `optionen`, `paramétrer`, `paramètres`, `personnaliser`, `gérer`, `préférences`, `configurar`, `configuración`, `ajustes`, `preferencias`, `personalizar`, `gestionar`, `opciones`,
			`personalizza`, `impostazioni`, `gestisci`, `preferenze`, `instellingen`, `voorkeuren`, `aanpassen`, `beheren`, `ustawienia`, `dostosuj`, `zarządzaj`, `definições`, `gerir`, `preferências`, `inställningar`, `anpassa`, `hantera`, `indstillinger`, `tilpas`, `administrer`, `setări\pL*`, `personalizează`, `personalizați`, `gestion(?:ează|ați)`, `preferințe\pL*`, `opțiuni`),
		whole(pc.ActAccept, .8, `all cookies`, `alle cookies`, `tous les cookies`, `todas las cookies`, `tutti i cookie`, `wszystkie pliki cookie`, `todos os cookies`, `pob cwci`, `yr holl gwcis`),
		whole(pc.ActAcknowledge, .9, `ok(?:ay)?`, `ok(?:ay)?(?: and|,| &)? close`, `ok,? (?:got it|thanks|i understand|continue)`, `got it`, `i understand`, `understood`, `i see`, `continue`, `fine`, `that's (?:ok|fine)`, `thanks`, `alright`, `close and continue`, `iawn`, `deall`, `rwy'n deall`, `deallais`, `parhau`,
			`verstanden`, `alles klar`, `compris`, `j'ai compris`, `entendido`, `vale`, `ho capito`, `begrepen`, `rozumiem`, `entendi`, `jag förstår`, `forstået`, `am înțeles`),
		p(pc.ActClose, .9, `close`, `dismiss`, `hide`, `cau`, `cuddio`, `schließen`, `fermer`, `cerrar`, `chiudi`, `sluiten`, `zamknij`, `fechar`, `stäng`, `luk`, `închide\pL*`),
		whole(pc.ActClose, .9, `[x×✕✖✗╳]`),
	}
}

// alike makes one sign of those that look alike. It is constant.
var alike = strings.NewReplacer("’", "'", "‘", "'", "ʼ", "'", "‑", "-", "–", "-", "\u00a0", " ")

// normal brings a text to the form that the grammar reads.
func normal(s string) string {
	s = strings.ToLower(strings.ToValidUTF8(s, ""))
	s = alike.Replace(s)
	s = strings.Join(strings.Fields(s), " ")
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) && r != '\'' || unicode.IsSymbol(r) && r != '×' && r != '✕' && r != '✖' && r != '✗' && r != '╳'
	})
}

// Label reads the text of a control. A text that says nothing known is "other"
// with a low confidence.
func (c *Classifier) Label(text string) (pc.Action, float64, string) {
	l := c.label(text)
	return l.action, l.confidence, l.why
}

// label reads a text as a banner's. A phrase that is all that the text says
// decides; else the model does, which weighs the phrase among the words. A model
// that is not sure leaves the reading to the phrase, or to nobody.
func (c *Classifier) label(text string) label {
	said := c.phraseIn(text)
	if said.whole {
		return said
	}
	p := c.model.Predict(text, hints(said))
	best, same := 0, 0.0
	for i, class := range c.model.Classes {
		if p[i] > p[best] {
			best = i
		}
		if class == string(said.action) {
			same = p[i]
		}
	}
	guess, sure := pc.Action(c.model.Classes[best]), math.Round(100*p[best])/100
	switch {
	case guess == said.action && guess == pc.ActOther:
		said.confidence = max(said.confidence, sure)
		return said
	case guess == said.action:
		said.confidence = max(said.confidence, sure)
		said.why += fmt.Sprintf("; the model of words agrees (%.2f)", sure)
		return said
	case p[best] >= guessed && (p[best] >= strange || latin(text)):
		return label{guess, sure, c.words(text, best, sure), false}
	case said.action != pc.ActOther && same >= .2:
		said.confidence = min(said.confidence, .65)
		said.why += fmt.Sprintf("; the model of words is not sure (%s %.2f)", guess, sure)
		return said
	}
	return label{pc.ActOther, c.none(p), fmt.Sprintf("its text says nothing that is known; the model of words is not sure (%s %.2f)", guess, sure), false}
}

// none is how sure the model is that a text is neither a choice nor a way to one,
// whatever else it may be. It stays below what counts as sure.
func (c *Classifier) none(p []float64) float64 {
	sum := 0.0
	for i, class := range c.model.Classes {
		switch pc.Action(class) {
		case pc.ActOther, pc.ActPolicy, pc.ActToggle, pc.ActVendors, pc.ActPay:
			sum += p[i]
		}
	}
	return math.Round(100*min(.75, max(.4, sum))) / 100
}

// How sure the model must be, and how sure in a script of which it has seen only
// what translators of a few programs wrote.
const (
	guessed = .45
	strange = .9
)

// latin tells whether a text is written in letters that the model knows well.
func latin(text string) bool {
	other := 0
	for _, r := range text {
		if unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) {
			other++
		}
	}
	return other*2 < len([]rune(text))
}

// hints are what a phrase tells the model.
func hints(said label) []string { return []string{string(said.action)} }

// words says which words of a text made the model think so.
func (c *Classifier) words(text string, class int, sure float64) string {
	var out []string
	for _, part := range c.model.Explain(text, class) {
		if part.Points >= .1 && len(out) < 3 {
			out = append(out, fmt.Sprintf("“%s” %+.1f", part.Word, part.Points))
		}
	}
	if len(out) == 0 {
		return fmt.Sprintf("the model of words gives %s %.2f for all of its text", c.model.Classes[class], sure)
	}
	return fmt.Sprintf("the model of words gives %s %.2f; what speaks for it: %s", c.model.Classes[class], sure, strings.Join(out, ", "))
}

// Hints are what the phrases tell the model of a text: it is trained with them.
func (c *Classifier) Hints(text string) []string { return hints(c.phraseIn(text)) }

// With returns the classifier with another model, to measure it by.
func (c *Classifier) With(m *ngram.Model) *Classifier {
	d := *c
	d.model = m
	return &d
}

// phraseIn reads a text by the grammar.
func (c *Classifier) phraseIn(text string) label {
	t := normal(text)
	switch {
	case t == "":
		return label{pc.ActOther, .3, "it has no text", true}
	case len([]rune(t)) > maxText:
		return label{pc.ActOther, .7, "its text is prose", true}
	case remark.MatchString(strings.TrimSpace(text)):
		return label{pc.ActOther, .7, "its text is a remark in brackets", true}
	}
	for _, p := range c.phrases {
		if m := p.re.FindString(t); m != "" {
			conf := p.confidence
			if n := len(strings.Fields(t)) - len(strings.Fields(m)); n > 6 { // the words are a small part of what it says
				conf -= .25
			}
			return label{p.action, conf, "its text says “" + strings.TrimSpace(m) + "”", len(m) == len(t)}
		}
	}
	return label{pc.ActOther, .5, "its text says nothing that is known", false}
}

// Phrase is what the grammar alone makes of a text.
func (c *Classifier) Phrase(text string) (pc.Action, float64, string) {
	l := c.phraseIn(text)
	return l.action, l.confidence, l.why
}

// remark is a text that is in brackets altogether, such as “(opt-out)” behind the name of a service. It is constant.
var remark = regexp.MustCompile(`^\([^()]*\)$`)

// shared are words that a banner has in common with every form: by themselves,
// with nothing of a banner around them, they are no choice about storage. It is constant.
var shared = regexp.MustCompile(`^(?:yes|no|all|required|essential|mandatory|confirm|apply|submit|update|activate|done|ie|na|ydw|nage|nac ydw|cyflwyno|cadarnhau|gosod|ja|nein|nee|nej|oui|non|sí|si|sì|sim|não|tak|nie|da|nu|bestätigen|übernehmen|confirmer|valider|appliquer|confirmar|aplicar|conferma|applica|bevestigen|toepassen|potwierdź|zastosuj|confirmă|aplică|bekräfta|bekræft|anvend)$`)
