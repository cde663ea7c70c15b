package main

import (
	"embed"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pecrawler/classifier"
	"pecrawler/figures"
)

//go:embed wording/*.txt
var saidOnBanners embed.FS

// kinds are what wording/*.txt says of its texts: the flags that they should get.
var kinds = map[string][]string{
	"implied": {classifier.FlagImplied},
	"unsaid":  {classifier.FlagNoPurposes},
	"both":    {classifier.FlagImplied, classifier.FlagNoPurposes},
	"pay":     {classifier.FlagPay},
	"must":    {classifier.FlagMisleading},

	"payunsaid":  {classifier.FlagPay, classifier.FlagNoPurposes},
	"mustunsaid": {classifier.FlagMisleading, classifier.FlagNoPurposes},

	"shame": {classifier.FlagShame},
	"none":  {},
}

// madeBanners are the sets of wording/.
var madeBanners = []string{"fresh", "en-held", "en-third", "en-second", "en", "cy"}

// wordingFlags are the flags that are measured.
var wordingFlags = []string{classifier.FlagImplied, classifier.FlagNoPurposes, classifier.FlagMisleading, classifier.FlagShame, classifier.FlagPay}

// wordingMarks is how wording is read.
type wordingMarks struct {
	Made map[string]map[string]*precisionAnd `json:"made"` // by set, flag
	Real []realMarks                         `json:"real"`
}

// realMarks is how often a flag is raised on texts that others wrote.
type realMarks struct {
	What, Flag string
	Should     bool // it should be
	Called     figures.Share
}

func (a *accuracy) wording(data string, cls *classifier.Classifier) error {
	m := &wordingMarks{Made: map[string]map[string]*precisionAnd{}}
	a.Wording = m
	for _, set := range madeBanners {
		file := "wording/" + set + ".txt"
		raw, err := saidOnBanners.ReadFile(file)
		if err != nil {
			return err
		}
		texts, err := sentences(file, string(raw), slices.Sorted(maps.Keys(kinds)))
		if err != nil {
			return err
		}
		m.Made[set] = map[string]*precisionAnd{}
		for _, f := range wordingFlags {
			m.Made[set][f] = &precisionAnd{}
		}
		for _, t := range texts {
			got := flags(cls, t.text, t.lang)
			for _, f := range wordingFlags {
				m.Made[set][f].count(got[f], slices.Contains(kinds[t.role], f))
			}
		}
	}
	return m.real(data, cls)
}

func flags(cls *classifier.Classifier, text, lang string) map[string]bool {
	out := map[string]bool{}
	for _, w := range cls.Text(text, lang) {
		out[w.Flag] = true
	}
	return out
}

// refusing finds texts by which somebody says no. It is constant.
var refusing = regexp.MustCompile(`(?i)^["\[ ]*(?:no|nah|no,? thanks?|no,? thank you|i)\b.*\b(?:i|i'm|i'd|i'll|me)\b`)

// real counts on texts of others, none of which was labelled for these flags:
// what they were collected for tells of some what they should be called.
func (m *wordingMarks) real(data string, cls *classifier.Classifier) error {
	if data == "" {
		return nil
	}
	count := func(what string, should bool, texts []string, which ...string) {
		if len(texts) == 0 {
			return
		}
		marks := make([]realMarks, len(which))
		for i, flag := range which {
			marks[i] = realMarks{What: what, Flag: flag, Should: should}
		}
		for _, t := range texts {
			got := flags(cls, t, "")
			for i, flag := range which {
				marks[i].Called.Count(got[flag])
			}
		}
		m.Real = append(m.Real, marks...)
	}
	banners, err := table(filepath.Join(data, "classifier", "banner-texts.tsv"))
	if err != nil {
		return err
	}
	var bodies, implied []string
	for _, r := range banners {
		switch {
		case r["kind"] == "implied" && r["source"] == "cookie-notice-npm":
			implied = append(implied, r["text"])
		case r["kind"] == "body" && slices.Contains([]string{"en", "cy", "de", "fr", "es", "it", "nl", "pl", "pt", "ro"}, language(r["lang"])):
			bodies = append(bodies, r["text"])
		}
	}
	count("notices that take going on for consent (cookie-notice, eight languages)", true, implied, classifier.FlagImplied)
	count("texts of consent managers that leave a choice, ten languages", false, bodies, classifier.FlagImplied, classifier.FlagMisleading, classifier.FlagPay, classifier.FlagShame)
	patterns, err := table(filepath.Join(data, "classifier", "wording-ec-darkpattern.tsv"))
	if err != nil {
		return err
	}
	var shop, no []string
	for _, r := range patterns {
		switch t := strings.TrimSpace(r["text"]); {
		case r["label"] == "0":
			shop = append(shop, t)
		case r["Pattern Category"] == "Misdirection" && refusing.MatchString(t) && len(t) < 60:
			no = append(no, t)
		}
	}
	count("refusals on shops' offers that were collected as misdirection", true, no, classifier.FlagShame)
	count("texts of shops that are no dark pattern", false, shop, wordingFlags...)
	overlays, err := table(filepath.Join(data, "overlays", "overlay-texts-llm-labelled.csv"))
	if err != nil {
		return err
	}
	var off []string
	for _, r := range overlays {
		if r["llm_is_cookie_popup"] == "0" {
			off = append(off, r["text"])
		}
	}
	count("overlays that are no cookie banner, by a language model's label", false, off, wordingFlags...)
	return nil
}

func (m *wordingMarks) markdown(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	p("\n## Wording of banners\n\nNo set of whole banners with labels for these flags was there. `cmd/train/wording/` has texts that were made for this: by a grammar after the\nmanner of real banners, apart from the patterns that read them. They show that the patterns reach beyond their own examples; how\noften banners say such things is not in them. `fresh` (English and Welsh) was written after the patterns of version 10, and `en-held` before them; neither\nwas read while they were written, and nothing was mended with them but one false alarm that fresh.txt names: these two alone tell how texts are read that nobody read before.\n\n| made texts | flag | precision | recall | F1 |\n|---|---|---|---|---:|\n")
	for _, set := range madeBanners {
		for _, f := range wordingFlags {
			x := m.Made[set][f]
			p("| %s | %s | %s | %s | %.3f |\n", set, f, percent(x.Precision), percent(x.Recall), x.f1())
		}
	}
	if len(m.Real) == 0 {
		return
	}
	p("\nTexts of others. None was labelled for these flags; what it was collected for tells what it should be called.\n\n| texts | flag | should be called so | called so |\n|---|---|---|---|\n")
	for _, r := range m.Real {
		p("| %s | %s | %s | %s |\n", r.What, r.Flag, map[bool]string{true: "all", false: "none, or few"}[r.Should], percent(r.Called))
	}
}
