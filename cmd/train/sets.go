package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// set is labelled texts of controls to measure with. None of it is trained on.
type set struct {
	name, what string
	rows       []row
	off        bool // the texts are on no banner: only accept, reject and save are wrong
}

// core is the coarser classes that published work uses: to acknowledge and to
// close both dismiss, and what is neither a choice nor a way to one is other.
func core(role string) string {
	switch role {
	case "accept", "reject", "settings", "save":
		return role
	case "acknowledge", "ack", "close":
		return "dismiss"
	}
	return "other"
}

// cores are the coarse classes.
func cores() []string { return []string{"accept", "reject", "settings", "save", "dismiss", "other"} }

// table reads a file of tab-separated values with a header. nil: there is no such file.
func table(path string) ([]map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.LazyQuotes, r.FieldsPerRecord = true, -1
	if strings.HasSuffix(path, ".tsv") {
		r.Comma = '\t'
		raw, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
		return records(path, func(yield func([]string) bool) {
			for _, l := range lines {
				if !yield(strings.Split(l, "\t")) {
					return
				}
			}
		})
	}
	all, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return records(path, slices.Values(all))
}

func records(path string, rows func(func([]string) bool)) ([]map[string]string, error) {
	var head []string
	var out []map[string]string
	for f := range rows {
		if head == nil {
			head = f
			continue
		}
		m := map[string]string{}
		for i, k := range head {
			if i < len(f) {
				m[k] = f[i]
			}
		}
		out = append(out, m)
	}
	if head == nil {
		return nil, fmt.Errorf("%s: it is empty", path)
	}
	return out, nil
}

// trainedOn are the sources of the translations that the model is made of.
var trainedOn = []string{"c15t", "klaro", "tarteaucitron", "pie", "68publishers", "nuxt-cookie-control", "nuxt-cc", "volto"}

// controlSets reads the sets of others that are there.
func controlSets(data string) ([]set, error) {
	if data == "" {
		return nil, nil
	}
	at := func(name string) string { return filepath.Join(data, "classifier", name) }
	var out []set
	rs, err := table(at("controls-ddg-real-web.tsv"))
	if err != nil {
		return nil, err
	}
	web := set{name: "web", what: "buttons of sites in GB, DE, FR, NL, CA and others; labels by a language model, corrected by hand (DuckDuckGo)"}
	english := set{name: "web-en", what: "of these, the texts that are English"}
	agreed := set{name: "web-en-mended", what: "web-en with its labels mended by three rules: prose of more than 14 words is no control and left out; a text about what is selected, or the visitor's own settings, that is labelled accept saves, which those labels have no class for; what is needed, by its name alone, is a category"}
	held := set{name: "web-en-held", what: "of web-en, the even rows of the file, counted from nought: the odd ones were read when the grammars of version 9 were written"}
	for i, r := range rs {
		x := row{"ddg", "", r["role_derived"], r["text"]}
		web.rows = append(web.rows, x)
		if isEnglish(x.text) {
			english.rows = append(english.rows, x)
			if i%2 == 0 {
				held.rows = append(held.rows, x)
			}
			if role := mended(x); role != "" {
				x.role = role
				agreed.rows = append(agreed.rows, x)
			}
		}
	}
	if rs != nil {
		out = append(out, web, english, held, agreed)
	}
	if rs, err = table(at("controls-cmp-translations.tsv")); err != nil {
		return nil, err
	}
	by := map[string]*set{"en": {name: "cmp-en", what: "consent managers that the model is not trained on, English; what was misread of them was read before the grammars of version 9 were written, so they test these no more"}, "cy": {name: "cmp-cy", what: "the same, Welsh, and read in the same way"}, "": {name: "cmp-other", what: "the same, other languages"}}
	for _, r := range rs {
		if slices.ContainsFunc(trainedOn, func(s string) bool { return strings.HasPrefix(r["source"], s) }) {
			continue
		}
		l := language(r["lang"])
		s := by[l]
		if s == nil {
			if !slices.Contains([]string{"de", "fr", "es", "it", "nl", "pl", "pt", "ro", "sv", "da"}, l) {
				continue
			}
			s = by[""]
		}
		s.rows = append(s.rows, row{r["source"], l, r["role"], r["text"]})
	}
	if rs != nil {
		out = append(out, *by["en"], *by["cy"], *by[""])
	}
	if rs, err = table(at("controls-own-grammar.tsv")); err != nil {
		return nil, err
	}
	g := map[string]*set{"en": {name: "made-en", what: "sentences of another grammar, English"}, "cy": {name: "made-cy", what: "the same, Welsh"}}
	for _, r := range rs {
		g[r["lang"]].rows = append(g[r["lang"]].rows, row{"made", r["lang"], r["role"], r["text"]})
	}
	if rs != nil {
		out = append(out, *g["en"], *g["cy"])
	}
	if rs, err = table(at("offbanner-ui-strings.tsv")); err != nil {
		return nil, err
	}
	off := map[string]*set{"en": {name: "off-en", what: "texts of shops and services that are on no banner, English", off: true}, "cy": {name: "off-cy", what: "the same, Welsh", off: true}, "": {name: "off-other", what: "the same, other languages", off: true}}
	for _, r := range rs {
		l := language(r["lang"])
		if off[l] == nil {
			l = ""
		}
		off[l].rows = append(off[l].rows, row{r["source"], language(r["lang"]), "other", r["text"]})
	}
	if rs != nil {
		out = append(out, *off["en"], *off["cy"], *off[""])
	}
	return out, nil
}

var (
	chosen = regexp.MustCompile(`\b(?:selected|selection|selections|(?:my|these|cookie) (?:choices|settings|preferences))\b`)
	need   = regexp.MustCompile(`^\W*(?:strictly )?(?:necessary|essential|required|mandatory)(?: cookies| functions)?$`)
)

// mended is the role of a text of web, where a rule shows that its label could
// not say it; "" is that no control says such a text.
func mended(r row) string {
	text := strings.ToLower(r.text)
	switch {
	case len(strings.Fields(text)) > 14:
		return ""
	case r.role == "accept" && chosen.MatchString(text):
		return "save"
	case r.role == "reject" && need.MatchString(text):
		return "toggle"
	}
	return r.role
}

// isEnglish tells whether a text has words that are English and not those of
// the other languages that banners are in.
func isEnglish(text string) bool {
	words := strings.Fields(strings.ToLower(text))
	found := false
	for _, w := range words {
		for _, r := range w {
			if r > 127 && r != '’' && r != '×' && r != '→' {
				return false
			}
		}
		if slices.Contains(foreign, w) {
			return false
		}
		found = found || slices.Contains(englishWords, w)
	}
	return found
}

var englishWords = strings.Fields("accept all reject cookie cookies and the to manage allow continue with without settings preferences my your you policy privacy more i agree close ok essential necessary use save choices decline deny refuse consent only customize customise options learn read about got it yes no thanks understand confirm selected terms information change choose cookies view show hide dismiss submit details not do sell personal of for this site we our is are on off data sign search back powered by english required always active save enable disable continue settings marketing analytics performance targeting strictly functional disagree notice statement partners vendors list")

var foreign = strings.Fields("alle les des tous de la el los las il der die das und nur alleen nie je plików pliki toutes tout accepter refuser akzeptieren cookies-einstellungen aceptar rechazar accetta rifiuta weigeren accepteren godkänn tillad cookie-einstellungen instellingen para du och und du sur aux en le ne pas ik niet alles aller ablehnen mehr einstellungen auswahl zu mit ohne con sin solo todas todo voor selectie meer pour et i̇ zgoda wszystkie ustawienia preferenze voorkeuren gestion personnaliser partenaires funktionelle funktionale essentielle minimale nödvändiga kun da si administrar utiliser politique akkoord abonner")
