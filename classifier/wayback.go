package classifier

import (
	"regexp"
	"strings"

	pc "pecrawler"
)

// way is a reading of a control that leads back to the choice.
type way struct {
	action pc.Action
	final  bool
	why    string
	re     *regexp.Regexp
}

// ways are these readings, the best first: it withdraws, it opens the settings,
// or it links to a page where that may be possible.
func ways() []way {
	re := func(alternatives ...string) *regexp.Regexp {
		return regexp.MustCompile(`(?:^|[^\pL\pN])(?:` + strings.Join(alternatives, "|") + `)(?:$|[^\pL\pN])`)
	}
	return []way{
		{pc.ActReject, true, "it withdraws consent", re(`(?:withdraw|revoke|retract)(?: my| your| cookie)* (?:consent|agreement|permission)s?`, `(?:do not|don't) sell or share my personal information`,
			`tynnu(?:'n ôl)?(?: fy| eich)? (?:cydsyniad|caniatâd)(?: yn ôl)?`, `(?:einwilligung|zustimmung)(?:en)? widerrufen`, `retirer(?: mon| votre)? consentement`, `retirar (?:el |o |mi |su )?consent\pL+`, `revoca(?:re)? (?:il )?consenso`, `toestemming intrekken`,
			`wycofaj zgodę`, `retrage\pL* consimțământul`, `återkalla samtycke`, `tilbagetræk samtykke`)},
		{pc.ActSettings, false, "it leads back to the choice", re(`(?:cookies?|consent|privacy|tracking|ad|advert\pL+)[- ](?:settings?|preferences?|choices?|options?|controls?|consent|tool)`, `(?:manage|change|review|update|edit|adjust|customi[sz]e|open|show)(?: my| your| the| our)* (?:cookies?|consent|privacy|choices?|preferences)(?: settings?| preferences?| choices?| consent)?`,
			`your (?:privacy|cookie) (?:choices|settings|preferences)`, `gosodiadau(?: preifatrwydd| cwcis)+`, `rheoli (?:cwcis|dewisiadau)`, `newid(?: eich)? (?:dewisiadau|gosodiadau) cwcis`, `dewisiadau cwcis`,
			`(?:cookie|datenschutz|privatsphäre)[- ]?(?:einstellungen|präferenzen)`, `cookies (?:verwalten|anpassen)`, `(?:gérer|paramétrer|modifier)(?: les| mes| vos)* (?:cookies|choix|préférences|consentements?)`, `(?:paramètres|préférences|gestion)(?: des| de| sur)*(?: les)? (?:cookies|confidentialité)`,
			`(?:configuración|ajustes|preferencias|gestionar|configurar)(?: de| las| los)* (?:cookies|privacidad)`, `(?:impostazioni|preferenze|gestisci|gestione)(?: dei| i| sui| sulla| de)* (?:cookie|privacy)`, `cookie[- ]?(?:instellingen|voorkeuren)`, `cookies (?:beheren|aanpassen)`, `privacy[- ]?instellingen`,
			`(?:ustawienia|zarządzaj)(?: plik\pL+)? (?:cookies?|prywatności)`, `(?:definições|preferências|gerir|configurações)(?: de| os)* (?:cookies|privacidade)`, `(?:setări|preferințe|gestion\pL+)(?: de| pentru)* (?:cookie\S*|confidențialitate)`, `(?:cookie)?inställningar(?: för cookies)?`, `cookieindstillinger`)},
		{pc.ActPolicy, false, "it leads to a page about cookies", re(`(?:cookies?)(?:[- ](?:policy|notice|statement|information|page))?`, `(?:polisi|hysbysiad) cwcis`, `cwcis`, `cookie[- ]?richtlinie`, `politique(?: de| des| relative aux)* cookies`, `política de cookies`, `informativa[^.]* cookie`, `cookiebeleid`, `polityka (?:plików )?cookies?`, `politica[^.]* cookie\S*`)},
	}
}

// icons in an id or class are the floating buttons with which consent managers
// let visitors come back.
const icons = `ot-sdk-show-settings|ot-floating-button|optanon-show-settings|cookiebotwidget|cky-btn-revisit|cky-revisit|cc-revoke|uc-privacy-button|usercentrics-privacy-button|tarteaucitronicon|ccc-icon|cmplz-manage-consent|iubenda-cs-preferences-link|iubenda-tp-btn|qc-cmp2-persistent-link|didomi-notice-again|privacy-trigger|cookie-settings|cookie-preferences|manage-cookies|revisit-consent`

// wayBack finds, anywhere on the page, the control with which a visitor who has
// accepted would go back on it.
func (c *Classifier) wayBack(t *tree, policy bool) (Choice, bool) {
	best, rank := Choice{}, 99
	for i := range t.page.Nodes {
		n := &t.page.Nodes[i]
		if !isControl(t, i) || n.Backend == 0 || !t.visible[i] && t.extent(i).Empty() || n.Style != nil && n.Style.Pointer == "none" {
			continue
		}
		if _, off := n.Attrs["disabled"]; off || n.Attrs["type"] == "checkbox" || n.Attrs["type"] == "radio" {
			continue
		}
		if ext := t.extent(i); ext.X+ext.W <= 0 || ext.X >= float64(t.page.Width) || t.fixed[i] && ext.Intersect(pc.Box{W: float64(t.page.Width), H: float64(t.page.Height)}).Empty() {
			continue // moved out of the window: no scrolling brings it back
		}
		text := firstOf(t.text(i, 300), n.Value, n.Attrs["value"], n.Attrs["aria-label"], n.Attrs["title"], t.alt(i))
		said := normal(text)
		if len([]rune(said)) > 60 {
			continue // prose that mentions cookies is no way back
		}
		for k, w := range c.ways {
			if k >= rank || w.action == pc.ActPolicy && !policy {
				break
			}
			if m := w.re.FindString(said); m != "" && (w.action != pc.ActPolicy || n.Tag == "a") {
				best, rank = Choice{Node: i, Action: w.action, Text: cut(text, 200), Final: w.final, Why: "its text says “" + strings.TrimSpace(m) + "”: " + w.why}, k
			}
		}
		if rank > 1 && c.icon.MatchString(n.Attrs["id"]+" "+n.Attrs["class"]) {
			best, rank = Choice{Node: i, Action: pc.ActSettings, Text: cut(text, 200), Why: "its id or class is that of a button with which consent managers let visitors come back"}, 1
		}
	}
	return best, rank < 99
}
