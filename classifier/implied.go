package classifier

import (
	"regexp"
	"strings"
	"sync"
)

// goesOn is how a language says that going on is taken for consent: a way of
// going on, and in the same sentence, after it, the consent. first finds where
// looking for the whole, which takes longer, is worth it.
type goesOn struct{ first, whole *regexp.Regexp }

// going are the languages' ways. They are constant, and compiled when a text is
// first asked for them: that is a third of what compiling this package takes, and
// most commands ask for none.
var going = sync.OnceValue(func() []goesOn {
	const (
		doing = `(?:simply |just |further |\pL+ing (?:or|and) )?(?:continuing|carrying on|going on|keeping|using|browsing|visiting|accessing|entering|navigating|scrolling|staying|remaining|interacting|proceeding|viewing|surfing|closing|dismissing|ignoring|moving|doing nothing|not (?:chang|disabl|alter|adjust|object|opt|choos|respond)ing|` + anywhere + `)`
		does  = `(?:simply |just |still |then )?(?:continue|carry on|go on|keep|use|browse|visit|access|navigate|scroll|stay|remain|interact|proceed|view|close|dismiss|ignore|move|do nothing|take no action|` + unchanged + `|` + anywhere + `)`
		use   = `(?:continued|continuing|further|ongoing|subsequent) (?:use|browsing|navigation|visits?|access)|use of (?:this|our|the|these|it)|` + doing
		agree = `(?:agree|accept|consent|acknowledg|giv\pL* (?:us |your )?(?:consent|permission)|permit|allow(?:ing)? us|authori[sz])\pL*`
		okay  = `(?:` + agree + `|permission|happy|ok|okay|fine|comfortable|a yes)`
		you   = `(?:you(?:'re|'ll|r)? |you are )[^.,;:]{0,25}?` + agree
		taken = `(?:assum|presum|suppos|take it|tak(?:e|en) (?:this|that|to|as)|deem|consider|treat|understand)\pL*[^.]{0,60}?` + okay
	)
	both := func(by, consent string) goesOn {
		by = `(?:^|[^\pL])(?:` + by + `)`
		return goesOn{regexp.MustCompile(by), regexp.MustCompile(by + `[^!?\n]{0,140}?(?:` + consent + `)`)}
	}
	return []goesOn{
		both(`(?:by|in|through|when|while|on) `+doing+`|(?:if|when|whenever|should|once|as long as) you `+does+`|unless you (?:change|disable|have|adjust|object|opt)`, you+`|`+taken),
		both(use, `(?:means?|impl(?:y|ies)|constitutes?|signif(?:y|ies)|indicates?|counts? as|amounts? to|confirms?|(?:is|are|be) (?:taken|considered|deemed|treated|regarded|understood))(?:[^\pL][^.]{0,60}?)?`+okay),
		both(you, ` (?:by|if you) (?:`+doing+`|`+does+`)`),
		both(`we(?:'ll| will| shall)? (?:assume|presume|take it|trust)`, ` (?:you|this|that|it)(?:'re|'s| are| is| have| will be| do)?[^.]{0,20}?`+okay),
		both(`(?:continue|carry on|keep|keep on|go on|proceed)`, ` if (?:you|that|this|it)[^.]{0,15}?`+okay),
		both(`if (?:you're|you are|that's|that is|this is)[^.]{0,10}? `+okay, `(?:just |simply |please |then |, )(?:continue|carry on|keep|go on|proceed)`),
		both(`(?:drwy|trwy|wrth|gan) (?:barhau|sgrolio|ddefnyddio|bori|aros|ddal ati|fynd|ymweld|gau)|os (?:ydych|byddwch|parhewch|daliwch|ewch|arhoswch)[^.]{0,12}?(?:parhau|dal ati|aros|defnyddio|pori|ymlaen|sgrolio|parhewch|ati)|os na (?:fyddwch|newidiwch)[^.]{0,12}?newid`, `cytuno|derbyn|cydsyni|caniat[aâ]d|hapus`),
		both(`(?:durch|mit) (?:die |der |das |den |ihre[rn]? )?(?:weiter\pL*|nutzung|fortgesetzte\pL*|fortsetz\pL*|besuch|scrollen|schließen)|(?:wenn|sofern|falls|indem) (?:sie|du) [^.]{0,60}?(?:weiter|fortsetz|fortfahr|scroll|nutz|besuch|bleib)`, `stimm\pL*|akzeptier|einverst[aä]nd|einwillig|zustimm`),
		both(`en (?:poursuivant|continuant|faisant défiler|utilisant|navigant|restant|visitant|fermant)|si vous (?:continuez|poursuivez|restez|naviguez)|poursuite de (?:votre|la) navigation`, `accept|consent|d'accord|autoris`),
		both(`si (?:continúa|continuas|sigue|permanece|navega)\pL*|al (?:continuar|navegar|desplazar|usar|utilizar|seguir|visitar|permanecer|cerrar)`, `acepta|consient|de acuerdo|autoriza`),
		both(`proseguendo|continuando|scorrendo|navigando|utilizzando|chiudendo|accedendo|restando|se (?:continui|continua|prosegui|prosegue|resti|rimani)`, `acconsent|accett|felice|d'accordo|consenso`),
		both(`door (?:verder|te scrollen|te blijven|gebruik|deze (?:site|website|pagina|dienst)|het gebruik)|als (?:u|je) [^.]{0,60}?(?:verder|blijf|doorga|gebruik|surf)`, `akkoord|accepte|stem\pL*|toestemming`),
		both(`kontynuując|korzystając|przewijając|pozostając|przeglądając|jeśli [^.]{0,40}?(?:nadal|dalej|korzysta|kontynuuj)|dalsze korzystanie`, `zgad|zgod|akcept|wyraż`),
		both(`ao (?:continuar|navegar|utilizar|usar|percorrer|rolar|permanecer|fechar)|se (?:você )?(?:continuar|permanecer|navegar)`, `concord|aceit|consent`),
		both(`continuând|navigând|derulând|utilizând|folosind|rămânând|dacă (?:continuați|continui|rămâneți|navigați)`, `acord|accept|consim`),
	}
})

const (
	anywhere  = `click(?:ing)? (?:anywhere|(?:on )?(?:an?y?|another) (?:links?|pages?|parts?|other\pL*)|outside|off|or navigat\pL+)` // no press of a control
	unchanged = `(?:do not|don't|without|have not|not) (?:click\pL* (?:on )?(?:reject|decline|refuse)|chang|disabl|alter|adjust|amend|modif|block|object|opt|choos|respond)\pL*`
)

// nothingChosen is what looks like a choice in such a sentence, and is none. It is constant.
var nothingChosen = regexp.MustCompile(anywhere + `|` + unchanged + `|unless you (?:change|disable|have|adjust|object|opt)`)

// refusedBefore is a no before the words. It is constant.
var refusedBefore = regexp.MustCompile(`(?:not|n't|never|no longer|nid|ddim|nicht|pas|niet)[^\pL][^,;:]{0,40}$`)

// elsewhere is what going on may be consent to, other than storage. It is constant.
var elsewhere = regexp.MustCompile(`terms|conditions|privacy (?:policy|notice|statement)|licen[cs]e|agreement|\b18\b|\bage\b|telerau|nutzungsbedingungen|\bagb\b|conditions générales|condiciones|termini|voorwaarden|regulamin|termos|termeni`)

// implies returns the words of a sentence that take going on for consent; "" for
// none. said is normalised.
func implies(said string) string {
	for _, g := range going() {
		if !g.first.MatchString(said) {
			continue
		}
		at := g.whole.FindStringIndex(said)
		if at == nil {
			continue
		}
		m := said[at[0]:at[1]]
		if notImplied.MatchString(nothingChosen.ReplaceAllString(m, "")) || refusedBefore.MatchString(said[:at[0]]) {
			continue
		}
		return strings.TrimSpace(strings.TrimLeft(m, " ,;:-"))
	}
	return ""
}

// takesGoingOn returns the sentences of a text that take going on for consent to
// storage, each with the words that say so.
func takesGoingOn(text string) (spans, words []string) {
	about := aboutStorage.MatchString(normal(text))
	for _, span := range inSentences(text) {
		said := normal(span)
		if !about || !aboutStorage.MatchString(said) && elsewhere.MatchString(said) {
			continue
		}
		if m := implies(said); m != "" {
			spans, words = append(spans, span), append(words, m)
		}
	}
	return spans, words
}

// inSentences parts a text. A dot inside a word, as in a name of a host, ends nothing.
func inSentences(text string) []string {
	var out []string
	for _, s := range sentenceEnd.Split(text, -1) {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// sentenceEnd is constant.
var sentenceEnd = regexp.MustCompile(`[.!?]+(?:[\s"”’)\]]+|$)|\n`)
