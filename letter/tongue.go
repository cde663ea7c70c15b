package letter

import (
	"fmt"
	"strings"
	"time"
)

// tongue is what this program itself says in a letter, in a language.
type tongue struct {
	months       string // with blanks between
	draft        string // above every page of what was not sent
	about        string // the title, with the site
	once, twice  string
	times        string // with a number
	on, from     string // a day; one day to another
	beneathTen   string // numbers from one on, capital; "": figures, because they depend on what is counted
	foreignParts bool   // names of evidence and pictures are in English in it
}

// tongues are the languages of public notices in England and Wales.
func tongues() map[string]tongue {
	return map[string]tongue{
		"en": {months: "January February March April May June July August September October November December", draft: "DRAFT – NOT SENT", about: "Letter about %s",
			once: "once", twice: "twice", times: "%d times", on: "on %s", from: "from %s to %s", beneathTen: "One Two Three Four Five Six Seven Eight Nine"},
		"cy": {months: "Ionawr Chwefror Mawrth Ebrill Mai Mehefin Gorffennaf Awst Medi Hydref Tachwedd Rhagfyr", draft: "DRAFFT – HEB EI ANFON", about: "Llythyr ynghylch %s",
			once: "unwaith", twice: "dwywaith", times: "%d gwaith", on: "ar %s", from: "o %s i %s", foreignParts: true},
	}
}

// tongueOf is that of a letter's language; what there is no word for is said in English.
func tongueOf(lang string) (t tongue, spoken bool) {
	base, _, _ := strings.Cut(lang, "-")
	if t, spoken = tongues()[base]; !spoken {
		t = tongues()["en"]
		t.beneathTen, t.foreignParts = "", true
	}
	return t, spoken
}

// Day is a day as letters of a language have it: 25 December 2026, 25 Rhagfyr 2026;
// as 2026-12-25 in one whose months this program does not know, of which spoken tells.
func Day(lang string, at time.Time) (day string, spoken bool) {
	t, spoken := tongueOf(lang)
	if at = at.UTC(); !spoken {
		return at.Format(time.DateOnly), false
	}
	return fmt.Sprintf("%d %s %d", at.Day(), strings.Fields(t.months)[at.Month()-1], at.Year()), true
}

// Title is the title of a letter about a site.
func Title(lang, site string) string {
	t, _ := tongueOf(lang)
	return fmt.Sprintf(t.about, site)
}
