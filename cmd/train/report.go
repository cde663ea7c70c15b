package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"pecrawler/figures"
)

func percent(s figures.Share) string {
	if s.N == 0 {
		return "–"
	}
	low, high := s.Interval()
	return fmt.Sprintf("%.1f %% (%d of %d; %.1f–%.1f)", 100*s.Value(), s.K, s.N, 100*low, 100*high)
}

// markdown writes docs/accuracy.md.
func (a *accuracy) markdown(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	p("# How often the classifier is right\n\n")
	p("`make eval` makes this page again; with `DATA=folder` also the parts that need labelled sets of others, which are no part of the\nrepository. Classifier %s, %s. Intervals are Wilson's at 95 %%. The same figures for machines: [accuracy.json](accuracy.json). What they\nmean for use: [model-card.md](model-card.md).\n\n", a.Classifier, a.Lists)
	if len(a.Missing) > 0 {
		p("Not measured, because the sets were not there: %s.\n\n", strings.Join(a.Missing, "; "))
	}
	if len(a.Sets) > 0 {
		p("## Controls, by their text alone\n\nSix classes: accept, reject, settings, save, dismiss (to acknowledge or close), other. No row of these sets was trained on. Some of their\ntexts are in the training all the same, because everybody says “accept all”; the column “of texts not trained on” leaves those out. Texts have no context\nhere: on a page facts of the DOM come first, and they can only help.\n\n")
		p("| set | texts | reader | right | of texts not trained on | macro F1 | accept and reject confused |\n|---|---:|---|---|---|---:|---|\n")
		for _, s := range a.Sets {
			for _, r := range []string{"classifier", "phrases alone", "autoconsent", "keywords"} {
				m := s.Readers[r]
				if m.Called != nil {
					continue
				}
				f := fmt.Sprintf("%.3f", m.MacroF1)
				p("| %s | %d | %s | %s | %s | %s | %d of %d |\n", s.Name, s.Texts, r, percent(m.Right), percent(m.Unseen), f, m.Confused.K, m.Confused.N)
			}
		}
		p("\nThe sets:\n\n")
		for _, s := range a.Sets {
			p("- **%s**: %s.\n", s.Name, s.What)
		}
		p("\nThe labels of `web` are a language model's, corrected by hand, and made coarser here by a pattern: some disagreements are theirs\n(“accept all cookies continue” is labelled a refusal). autoconsent's patterns were tuned on that file, so for them it is no test.\n\nA text without an element is taken for a button, so the name of what is needed, alone (“necessary cookies”), is read as refusing the rest;\nas the heading of a category, which it is in the sets of consent managers and in web-en-mended, that is wrong. What is missed of acceptances is mostly about a selection\n(“confirm selected”), which these labels have no class for. A bare “yes” or “no” is a word of every form; beside words about cookies it is a choice.\n\n")
		p("### By class\n\n| set | class | precision | recall |\n|---|---|---|---|\n")
		for _, s := range a.Sets {
			m := s.Readers["classifier"]
			for _, c := range cores() {
				if x := m.Classes[c]; m.Called == nil && x.Recall.N > 0 {
					p("| %s | %s | %s | %s |\n", s.Name, c, percent(x.Precision), percent(x.Recall))
				}
			}
		}
		p("\n### By language\n\n| set | language | right |\n|---|---|---|\n")
		for _, s := range a.Sets {
			m := s.Readers["classifier"]
			for _, l := range slices.Sorted(maps.Keys(m.Languages)) {
				p("| %s | %s | %s |\n", s.Name, l, percent(*m.Languages[l]))
			}
		}
		p("\n### Texts that are on no banner, called accept, reject or save\n\n| set | reader | called a choice |\n|---|---|---|\n")
		for _, s := range a.Sets {
			for _, r := range []string{"classifier", "phrases alone", "autoconsent", "keywords"} {
				if m := s.Readers[r]; m.Called != nil {
					p("| %s | %s | %s |\n", s.Name, r, percent(*m.Called))
				}
			}
		}
		p("\nMost of what is left are “Save”, “Accept”, “Allow”, and the texts of a banner that the shop's own theme brings. On a page such a control\ncounts only inside what scores as a consent banner.\n")
	}
	p("\n## One source left out\n\nThe model trained without a source, and without the same words of any other, and asked for that source's texts: how it does on a consent\nmanager and on languages' wordings that it has never seen. Many of these texts are in languages that no other source speaks.\n\n| left out | right | macro F1 | accept and reject confused |\n|---|---|---:|---|\n")
	for _, k := range slices.Sorted(maps.Keys(a.LeftOut)) {
		m := a.LeftOut[k]
		p("| %s | %s | %.3f | %d of %d |\n", k, percent(m.Right), m.MacroF1, m.Confused.K, m.Confused.N)
	}
	p("\n## By what authors call them\n\nControls that autoconsent's rules name by attributes (id, class, data attributes, …), and press to consent or to refuse; no text is looked at.\nThe list of words (classifier/lists/attributes.tsv) knows no consent manager by name, so each of them is one that it has not seen; the rules in\neven places, by their names, were read when it was written, those in odd places were held back. On a page it is asked only where the text\nsays nothing. A rule may press to refuse what only closes or saves, so what is counted right is what was called accept or reject.\n\n| rules | controls with a name | something was said | of what was called accept or reject, right | accept and reject confused |\n|---|---:|---|---|---|\n")
	for _, k := range slices.Sorted(maps.Keys(a.Named)) {
		m := a.Named[k]
		p("| %s | %d | %s | %s | %s |\n", k, m.Controls, percent(m.Said), percent(m.Right), percent(m.Confused))
	}
	if len(a.Calibration) > 0 {
		p("\n## How sure, and how often right\n\nOn `web`. Expected calibration error: %.3f; where it errs it says less than it knows.\n\n| confidence | said on average | right |\n|---|---:|---|\n", a.ECE)
		for _, b := range a.Calibration {
			p("| %.2f–%.2f | %.2f | %s |\n", b.From, b.To, b.Said, percent(b.Right))
		}
	}
	a.Cookies.markdown(w)
	a.Wording.markdown(w)
	a.Sweep.markdown(w)
	a.Decisions.markdown(w)
	p("\n## Cost\n\n| | |\n|---|---:|\n")
	for _, k := range slices.Sorted(maps.Keys(a.Cost)) {
		p("| %s | %.0f µs |\n", k, a.Cost[k])
	}
	p("| model and lists in the binary | %.2f MB |\n\n%s. %d texts were trained on.\n", float64(a.Bytes)/1e6, a.Machine, a.Rows)
}

// card writes docs/model-card.md: what the model is for, for people who decide
// whether to rely on it.
func (a *accuracy) card(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	set := func(name string) *marks {
		for _, s := range a.Sets {
			if s.Name == name {
				return s.Readers["classifier"]
			}
		}
		return &marks{}
	}
	called := func(name string) string {
		if m := set(name); m.Called != nil {
			return percent(*m.Called)
		}
		return "not measured"
	}
	right := func(name string) string {
		if m := set(name); m.Right.N > 0 {
			return fmt.Sprintf("%s, macro F1 %.3f", percent(m.Right), m.MacroF1)
		}
		return "not measured"
	}
	p("# Model card: texts of controls, and purposes of storage\n\nMade by `make eval` from the same run as [accuracy.md](accuracy.md). Classifier %s, %s.\n\n", a.Classifier, a.Lists)
	p("## What it is\n\nA linear model over words and runs of letters says what a control of a consent banner does: accept, reject, settings, save, acknowledge,\nclose, pay, toggle, policy, vendors, other. It is one of several readers: facts of the DOM and whole phrases of a reviewed grammar stand\nbefore it. Purposes of stored items are looked up, not learned. No part of it is a generative or neural model; it sends nothing anywhere; the\nsame input gives the same answer.\n\n")
	p("## What it is for, and what not\n\n- It finds what to press on a banner and what an investigator should look at. A human decides about each finding.\n- It is not for judging people, and not for texts that are on no banner: the banner is found first, by other means.\n- It must not be used to call a site lawful. `unknown` and `other` are answers that clear nobody and flag nobody.\n\n")
	p("## What it was made of\n\n%d short texts: our own grammars in twelve languages (English and Welsh most), the texts of our test web, and catalogues and patterns of npm\npackages that `cmd/train/packages.tsv` names with version, licence and digest. None is about a person. Nothing that a reviewer decided, and\nnothing of a visited site, is in it. Sets used to measure are never trained on.\n\n", a.Rows)
	p("## How often it is right\n\n| | |\n|---|---|\n| English, real buttons (web-en) | %s |\n| all languages, real buttons (web) | %s |\n| Welsh, sentences of another grammar (made-cy) | %s |\n| Welsh, consent managers not trained on (cmp-cy) | %s |\n| English, consent managers not trained on (cmp-en) | %s |\n| accept and reject confused (web-en) | %s |\n| English texts off banners called a choice (off-en) | %s |\n| Welsh texts off banners called a choice (off-cy) | %s |\n", right("web-en"), right("web"), right("made-cy"), right("cmp-cy"), right("cmp-en"), percent(set("web-en").Confused), called("off-en"), called("off-cy"))
	if m := a.Cookies; m != nil {
		p("| cookies called advertising, against the word of most of at least 2 sites | precision %s, recall %s |\n| against the word of most of at least 4 sites | precision %s, recall %s |\n| declared necessary by most, called non-exempt | %s |\n", percent(m.byMost(2).Precision), percent(m.byMost(2).Recall), percent(m.byMost(4).Precision), percent(m.byMost(4).Recall), percent(m.Needed))
	}
	p("\n## Fairness between sites\n\nA site must not fare worse because of its language or its consent manager. Languages differ (the table by language in accuracy.md): the model\nreads English and Welsh best, ten others well, others as far as catalogues go, and what is in a script or language that it does not know it\ncalls `other` rather than guess. `other` never makes a fault by itself.\n\n")
	a.Sweep.fairness(w)
	p("## Known weaknesses\n\n- “Strictly necessary” alone is the heading of a category on most banners and a refusal on some; it is read as a heading unless it is a button beside what accepts, and nothing is switched there.\n- “Learn more” is read as a link to a policy, unless it opens a dialog; “View cookies” as the way to the settings, unless it links to a page about cookies. What the press does is recorded beside the opinion.\n- What authors call a control in attributes decides where its text says nothing; names are sometimes left over from another use.\n- “OK” and “Got it” are read as acknowledging; they are used for accepting where nothing better is offered.\n- The Welsh sentences were not written by a Welsh speaker.\n- A table's word on a cookie's purpose is right about four times in five; alone it never reaches the confidence that flags.\n- Precision of `advertising` is measured against what webmasters declare, and that is wrong often enough to bound it: see what most other sites\n  declare, in accuracy.md.\n- Wording flags are measured on texts that were made for it, because no labelled set of whole banners was there. What misleads and what shames\n  can be said in more ways than the patterns know.\n- The labelled sets are of 2021 to 2026, mostly popular sites.\n\n")
	p("## How it is watched\n\nNothing that reviewers decide is trained on. A change of model or lists has a new digest, and `pecrawler rejudge` says what it would change before it is used.\n")
}
