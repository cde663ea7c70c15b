package review

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	pc "pecrawler"
	"pecrawler/store"
)

func sitePath(sweep, site string) string {
	return "/sweeps/" + url.PathEscape(sweep) + "/sites/" + url.PathEscape(site)
}

// siteView is all that a site's page shows.
type siteView struct {
	Word     pc.Verdict
	Sentence string
	Panels   []panel
	Findings []finding
	Choices  []choice
	Unsaid   bool // the classifier of this program reads a banner, and the verdict has none
	Scenes   []scene
	Timeline timeline
	Back     *withdrawal
	Visits   []visit
	Shown    int // number of the visit whose evidence the page shows; 0: none
	Differ   []difference
	Opinions string // by which classifier the reasons are, where it is another than the verdict's

	Case      *store.Case // nil: neither flagged nor for review
	Others    []store.Case
	Rejudged  []store.Rejudged // the same evidence, by other rules or lists
	Decisions []store.Decision
	Hidden    bool // there are decisions that this reader must not see yet
	Digest    string
	After     int64
	May       bool
	Why       string
	Form      *form
	Acts      []reason
	Reasons   []reason
}

func (h *Handler) site(c *call) error { return h.sitePage(c, http.StatusOK, &form{}) }

// sitePage shows a site; f is what was filled in, if it was not accepted.
func (h *Handler) sitePage(c *call, status int, f *form) error {
	ctx := c.r.Context()
	word, err := h.store.Word(ctx, c.r.PathValue("sweep"), c.r.PathValue("site"))
	if err != nil {
		return err
	}
	results, err := h.store.Results(ctx, word.Sweep, word.Site)
	if err != nil {
		return err
	}
	v := &siteView{Word: word, Sentence: sentence(word), Panels: panels(word.Findings), Visits: h.visits(ctx, results), Form: f, Acts: acts(), Reasons: reasons(), Digest: store.VerdictDigest(word)}
	v.Differ = differences(v.Visits)
	v.evidence()
	if err := h.standing(c, v); err != nil {
		return err
	}
	if err := h.note(ctx, c.Person, "view", word.Sweep+"/"+word.Site, ""); err != nil {
		return err
	}
	return h.render(c.w, status, "site.html", &view{Title: word.Site, Here: "queue", Who: &c.session, D: v})
}

// evidence fills in what comes from the bundle that the findings speak of.
func (v *siteView) evidence() {
	rules := citing(v.Word.Findings)
	on := map[string]string{} // anchors of the page, and what is there
	i := shownVisit(v.Word, v.Visits)
	if i < 0 {
		v.Findings = indicators(v.Word.Findings, nil, on)
		return
	}
	vis := &v.Visits[i]
	vis.Shown, v.Shown = true, vis.Number
	o := vis.opened
	for j := range v.Visits {
		if o := v.Visits[j].opened; o != nil && j != i {
			v.Visits[j].Scenes = unanchored(scenes(o, nil), v.Visits[j].Number)
		}
	}
	v.Scenes = scenes(o, rules)
	v.Timeline = timelineOf(o, vis.Verdict, rules)
	v.Choices = choices(o, v.Word.Banner)
	v.Unsaid = len(o.Opinions.Banners) > 0 && !v.Word.Banner.Present
	v.Back = withdrawn(o, v.Timeline)
	for _, s := range v.Scenes {
		for _, p := range s.Pictures {
			for _, b := range p.Boxes {
				on[b.ID] = "picture"
			}
		}
	}
	for _, p := range v.Timeline.Parts {
		for _, r := range append(p.Rows, p.Rest...) {
			for _, id := range r.IDs {
				on[id] = "row"
			}
		}
	}
	v.Findings = indicators(v.Word.Findings, o, on)
	if op := o.Opinions; op.Classifier != "" && (op.Classifier != v.Word.Versions.Classifier || op.Lists != v.Word.Versions.Lists) {
		v.Opinions = "classifier " + op.Classifier + ", lists " + op.Lists
	}
}

// unanchored takes the ids and names away that the shown visit has already.
func unanchored(ss []scene, visit int) []scene {
	for i := range ss {
		ss[i].Title += fmt.Sprintf(", visit %d", visit)
		for j := range ss[i].Pictures {
			p := &ss[i].Pictures[j]
			p.ID = ""
			for _, b := range p.Boxes {
				b.ID = ""
			}
		}
	}
	return ss
}

// standing fills in where the review of the site stands.
func (h *Handler) standing(c *call, v *siteView) error {
	ctx := c.r.Context()
	cs, err := h.store.Case(ctx, v.Word.Sweep, v.Word.Site)
	switch {
	case err == nil:
		v.Case = &cs
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	ds, err := h.store.Decisions(ctx, v.Word.Sweep, v.Word.Site)
	if err != nil {
		return err
	}
	v.Decisions, v.After, v.Hidden = history(v.Case, ds, c.Name)
	v.May, v.Why = mayDecide(v.Case, c.Person)
	if v.Rejudged, err = h.store.RejudgedSite(ctx, v.Word.Sweep, v.Word.Site); err != nil {
		return err
	}
	all, err := h.store.CasesOf(ctx, v.Word.Site)
	if err != nil {
		return err
	}
	for _, o := range all {
		if o.Sweep != v.Word.Sweep {
			v.Others = append(v.Others, o)
		}
	}
	return nil
}

// Field is the value that the form had in a place of a finding, or the site.
func (v *siteView) Field(rule, name string) string {
	a := v.Form.Site
	if rule != "" {
		a = v.Form.Findings[rule]
	}
	switch name {
	case "act":
		return a.Act
	case "reason":
		return a.Reason
	}
	return a.Note
}

// part of the form: the site's, or one finding's, as its template wants it.
type answerView struct {
	View                 *siteView
	Rule, Legend, Suffix string
}

func answerOf(v *siteView, rule, legend string) answerView {
	a := answerView{View: v, Rule: rule, Legend: legend}
	if rule != "" {
		a.Suffix = "-" + rule
	}
	return a
}
