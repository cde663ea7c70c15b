package classifier

import (
	"regexp"
	"strings"
	"unicode"

	pc "pecrawler"
)

// label is what a control's text says.
type label struct {
	action     pc.Action
	confidence float64
	why        string
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
		needful = `(?:strictly )?(?:necessary|essential|required|needed|mandatory|technical)`
	)
	return []phrase{
		p(pc.ActPay, .9, `subscribe`, `subscription`, `pay`, `pay to reject`, `buy`, `purchase`, `premium`, `ad-free`, `tanysgrifio`, `abonnieren`, `pur-abo`, `s'abonner`, `suscribirse`, `abbonati`),
		// A choice between both is a way to the settings, not a choice.
		p(pc.ActSettings, .7, `(?:accept|allow|agree) or (?:reject|refuse|decline|manage|customi[sz]e)`, `(?:reject|manage) or (?:accept|reject|object)`, `(?:accept|allow)/(?:reject|deny)`),
		p(pc.ActSave, .93, `(?:accept|allow|confirm|save|apply|use|keep|submit|agree to)(?: and (?:close|exit|continue))?(?: my| the| your| these| current| cookie| consent| privacy)*(?: selected| selection| selections| choice| choices| preferences?| settings?| options)(?: cookies)?(?: and (?:close|exit|continue))?`,
			`save`, `save(?: &| and) (?:close|exit|accept|continue)`, `confirm`, `apply`, `update(?: my| cookie)* (?:preferences|settings|choices)`, `cadw`, `cadwch`, `cadarnhau`,
			`speichern`, `auswahl (?:erlauben|bestätigen|speichern|akzeptieren)`, `enregistrer`, `confirmer`, `valider`, `guardar`, `confirmar`, `salva`, `conferma`, `opslaan`, `bevestig(?:en)?`, `zapisz`, `potwierdź`, `spara`, `bekräfta`, `gem`, `bekræft`, `salvează`, `salvați`, `confirm[ăa](?:ți)?`),
		p(pc.ActReject, .97,
			`reject`+all, `refuse`+all, `decline`+all, `deny`+all, `disagree`, `opt[- ]?out`, `object to all`, `(?:do not|don't|dont|never) (?:accept|allow|consent|agree|track|use)`, `i do not`, `no,? thanks?`, `no,? thank you`,
			`(?:only|just)(?: use| accept| allow| the)* `+needful, needful+`(?: cookies?)? only`, `(?:use|accept|allow|keep|continue with)(?: only| just| the)* `+needful+`(?: cookies?)?(?: only)?`,
			`(?:continue|proceed|browse) without(?: accepting| agreeing| consent| consenting| cookies| tracking)*`, `without accepting`, `(?:disable|block|turn off|switch off|withdraw)(?: all| consent| everything)`, `disallow`, `not now`, `refuse everything`, `leave(?: them)? off`,
			`gwrthod`, `gwrthodwch`, `peidio â (?:derbyn|chaniatáu|chytuno)`, `dim diolch`, `(?:hanfodol|angenrheidiol) yn unig`, `(?:dim ond|defnyddio|derbyn)(?: y| cwcis)* (?:hanfodol|angenrheidiol)`,
			`ablehnen`, `alle ablehnen`, `nur (?:notwendige|erforderliche|essenzielle|technisch)\pL*`, `ohne (?:einwilligung|zustimmung)`, `refuser`, `tout refuser`, `je refuse`, `continuer sans accepter`, `(?:uniquement|seulement)[^.]* nécessaires`,
			`rechazar`, `rechazo`, `denegar`, `(?:solo|sólo)[^.]* necesarias`, `rifiuta(?:re)?`, `rifiuto`, `solo(?: i)?(?: cookie)? necessari`, `continua senza accettare`, `weigeren`, `weiger`, `afwijzen`, `alleen (?:noodzakelijke?|functionele?)`,
			`odrzu\pL*`, `tylko niezbędne`, `rejeitar`, `recusar`, `apenas[^.]* necessários`, `respinge\pL*`, `refuz\pL*`, `doar(?: cele| cookie-urile)? (?:strict )?necesare`, `avvisa`, `neka`, `endast nödvändiga`, `afvis`, `kun nødvendige`),
		p(pc.ActVendors, .85, `vendors?`, `our partners`, `partners?`, `suppliers?`, `partneriaid`, `partner anzeigen`, `partenaires`, `socios`),
		p(pc.ActAccept, .97,
			`(?:accept|allow|enable)`+all, `(?:i )?(?:agree|consent|accept)(?: to| and)?(?: all| close| continue| proceed)*`, `yes,? (?:i'm happy|i accept|i agree|accept|that's fine)`, `yes`, `i'm (?:happy|ok|okay) with[^.]*`, `opt[- ]?in`, `turn on all`, `accept recommended settings`,
			`derbyn`, `derbyniwch`, `cytuno`, `cytunaf`, `rwy'n cytuno`, `caniatáu`, `caniatewch`,
			`(?:alle |alles |allen )?(?:akzeptieren|zustimmen|annehmen|erlauben|zulassen)`, `einverstanden`, `stimme(?: \pL+){0,3} zu`, `(?:tout )?accepter`, `j'accepte`, `autoriser`, `d'accord`, `aceptar`, `acepto`, `permitir`, `accetta(?:re)?`, `accetto`, `acconsento`, `consenti`,
			`accepteren`, `accepteer`, `akkoord`, `toestaan`, `akceptuj\pL*`, `zaakceptuj`, `zgadzam się`, `zezwól`, `aceitar`, `aceito`, `concordo`, `godkänn`, `acceptera`, `tillåt`, `accepter`, `tillad`, `godkend`, `acceptă`, `acceptați`, `sunt de acord`, `permite(?:ți)?`),
		p(pc.ActPolicy, .85, `(?:cookie|cookies|privacy|data protection)[- ](?:policy|notice|statement|information|details|table|list)`, `policy`, `polic(?:y|ies)`, `learn more`, `read more`, `more info(?:rmation)?`, `find out more`, `view cookies`, `how we use[^.]*`, `more details`, `what are cookies`,
			`polisi`, `hysbysiad`, `rhagor o wybodaeth`, `dysgu mwy`, `gweld cwcis`, `datenschutz\pL*`, `impressum`, `mehr (?:erfahren|informationen)`, `en savoir plus`, `politique[^.]*`, `política[^.]*`, `más información`, `informativa[^.]*`, `privacybeleid`, `meer info\pL*`, `politica[^.]*`, `mai multe informații`, `polityk\pL*`, `mer information`, `læs mere`),
		p(pc.ActSettings, .93, `settings?`, `preferences?`, `options?`, `choices?`, `customi[sz]e`, `personali[sz]e`, `manage`, `configure`, `let me (?:choose|decide)`, `change`, `set cookies?`, `choose(?: cookies)?`, `more choices`, `show purposes`, `see details`, `show details`,
			`gosodiadau`, `gosodiad`, `dewisiadau`, `rheoli`, `addasu`, `opsiynau`, `newid`, `einstellungen`, `\pL*einstellungen`, `anpassen`, `verwalten`, `optionen`, `paramétrer`, `paramètres`, `personnaliser`, `gérer`, `préférences`, `configurar`, `configuración`, `ajustes`, `preferencias`, `personalizar`, `gestionar`, `opciones`,
			`personalizza`, `impostazioni`, `gestisci`, `preferenze`, `instellingen`, `voorkeuren`, `aanpassen`, `beheren`, `ustawienia`, `dostosuj`, `zarządzaj`, `definições`, `gerir`, `preferências`, `inställningar`, `anpassa`, `hantera`, `indstillinger`, `tilpas`, `administrer`, `setări\pL*`, `personalizează`, `personalizați`, `gestion(?:ează|ați)`, `preferințe\pL*`, `opțiuni`),
		whole(pc.ActAcknowledge, .9, `ok(?:ay)?`, `ok,? (?:got it|thanks|i understand|continue)`, `got it`, `i understand`, `understood`, `i see`, `continue`, `fine`, `that's (?:ok|fine)`, `thanks`, `alright`, `close and continue`, `iawn`, `deall`, `rwy'n deall`, `deallais`, `parhau`,
			`verstanden`, `alles klar`, `compris`, `j'ai compris`, `entendido`, `vale`, `ho capito`, `begrepen`, `rozumiem`, `entendi`, `jag förstår`, `forstået`, `am înțeles`),
		p(pc.ActClose, .9, `close`, `dismiss`, `hide`, `cau`, `cuddio`, `schließen`, `fermer`, `cerrar`, `chiudi`, `sluiten`, `zamknij`, `fechar`, `stäng`, `luk`, `închide\pL*`),
		whole(pc.ActClose, .9, `[x×✕✖✗╳]`),
	}
}

// normal brings a text to the form that the grammar reads.
func normal(s string) string {
	s = strings.ToLower(strings.ToValidUTF8(s, ""))
	s = strings.NewReplacer("’", "'", "‘", "'", "ʼ", "'", "‑", "-", "–", "-", "\u00a0", " ").Replace(s)
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

func (c *Classifier) label(text string) label {
	t := normal(text)
	switch {
	case t == "":
		return label{pc.ActOther, .3, "it has no text"}
	case len([]rune(t)) > maxText:
		return label{pc.ActOther, .7, "its text is prose"}
	}
	for _, p := range c.phrases {
		if m := p.re.FindString(t); m != "" {
			conf := p.confidence
			if n := len(strings.Fields(t)) - len(strings.Fields(m)); n > 6 { // the words are a small part of what it says
				conf -= .25
			}
			return label{p.action, conf, "its text says “" + strings.TrimSpace(m) + "”"}
		}
	}
	return label{pc.ActOther, .5, "its text says nothing that is known"}
}
