package review

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"

	pc "pecrawler"
	"pecrawler/store"
)

// reason is one of the list that a dismissal needs.
type reason struct{ Key, Text string }

// reasons are why people dismiss an indicator. The list is what false flags are
// counted by, so it says what to mend.
func reasons() []reason {
	return []reason{
		{"exempt", "The storage or access is exempt"},
		{"purpose", "The purpose was read wrongly"},
		{"entity", "It is another product of the same name"},
		{"control", "A control was missed or read wrongly"},
		{"consent", "Consent was given, or asked for, in a way that was not seen"},
		{"artefact", "The crawler or its place in the network caused it"},
		{"corrected", "The site has changed since"},
		{"small", "It is so, and does not call for action"},
		{"other", "Another reason, in the note"},
	}
}

// reasonText is a reason in words.
func reasonText(key string) string {
	for _, r := range reasons() {
		if r.Key == key {
			return r.Text
		}
	}
	return key
}

// acts are what can be decided, in the order in which they are offered.
func acts() []reason {
	return []reason{{store.Uphold, "Uphold"}, {store.Dismiss, "Dismiss"}, {store.Doubt, "Unsure"}, {store.Revisit, "Ask for another visit"}}
}

// mostNote bounds what people write.
const mostNote = 4000

// answer is what somebody filled into a form, so that nothing typed is lost
// when it is not accepted.
type answer struct{ Act, Reason, Note string }

// form is what was filled in on a site's page.
type form struct {
	Site     answer
	Findings map[string]answer
	Errors   formErrors
}

// formError is what is wrong with it, and where.
type formError struct{ Field, Text string }

type formErrors []formError

// Wrong is what is wrong with a field; "" nothing.
func (es formErrors) Wrong(field string) string {
	var out []string
	for _, e := range es {
		if e.Field == field {
			out = append(out, e.Text)
		}
	}
	return strings.Join(out, ". ")
}

func readForm(r *http.Request, rules []string) form {
	read := func(suffix string) answer {
		return answer{r.PostFormValue("act" + suffix), r.PostFormValue("reason" + suffix), strings.TrimSpace(r.PostFormValue("note" + suffix))}
	}
	f := form{Site: read(""), Findings: map[string]answer{}}
	f.check(f.Site, "", "the site")
	upheld, dismissed := 0, 0
	for _, rule := range rules {
		a := read("-" + rule)
		f.Findings[rule] = a
		if a.Act == "" && a.Reason == "" && a.Note == "" {
			continue // the decision on the site speaks for it
		}
		f.check(a, "-"+rule, rule)
		switch a.Act {
		case store.Uphold:
			upheld++
		case store.Dismiss:
			dismissed++
		}
	}
	if f.Site.Act == store.Uphold && len(rules) > 0 && dismissed == len(rules) {
		f.Errors = append(f.Errors, formError{"act", "You uphold the site, but dismiss every finding"})
	}
	if f.Site.Act == store.Dismiss && upheld > 0 {
		f.Errors = append(f.Errors, formError{"act", "You dismiss the site, but uphold a finding"})
	}
	return f
}

func (f *form) check(a answer, suffix, of string) {
	bad := func(field, text string, args ...any) {
		f.Errors = append(f.Errors, formError{field + suffix, fmt.Sprintf(text, args...)})
	}
	known := slices.ContainsFunc(acts(), func(x reason) bool { return x.Key == a.Act && (suffix == "" || x.Key != store.Revisit) })
	switch {
	case !known:
		bad("act", "Choose what you decide on %s", of)
	case a.Act == store.Dismiss && !slices.ContainsFunc(reasons(), func(x reason) bool { return x.Key == a.Reason }):
		bad("reason", "Choose why you dismiss %s", of)
	case (a.Act == store.Dismiss && a.Reason == "other" || a.Act == store.Doubt && suffix == "" || a.Act == store.Revisit) && a.Note == "":
		bad("note", "Say in the note on %s what your reason is", of)
	}
	if len([]rune(a.Note)) > mostNote {
		bad("note", "Keep the note on %s under %d characters", of, mostNote)
	}
}

func (a answer) decision(rule string) store.Decision {
	d := store.Decision{Rule: rule, Act: a.Act, Note: a.Note}
	if a.Act == store.Dismiss {
		d.Reason = a.Reason
	}
	return d
}

// decide takes the decision of a reader.
func (h *Handler) decide(c *call) error {
	ctx, sweep, site := c.r.Context(), c.r.PathValue("sweep"), c.r.PathValue("site")
	word, err := h.store.Word(ctx, sweep, site)
	if err != nil {
		return err
	}
	var rules []string
	for _, f := range word.Findings {
		if f.Outcome == pc.Fail || f.Outcome == pc.Unsure {
			rules = append(rules, f.Rule)
		}
	}
	f := readForm(c.r, rules)
	if len(f.Errors) > 0 {
		return h.sitePage(c, http.StatusUnprocessableEntity, &f)
	}
	after, _ := strconv.ParseInt(c.r.PostFormValue("after"), 10, 64) // nonsense is refused as outdated
	readers, err := h.deciders(ctx)
	if err != nil {
		return err
	}
	r := store.Reading{By: c.Name, Lead: c.Is(Lead), At: h.opt.Now(), Verdict: c.r.PostFormValue("verdict"), After: after, Sampled: rand.Float64() < h.opt.Second && len(readers) > 1, Site: f.Site.decision("")}
	for _, rule := range rules {
		if a := f.Findings[rule]; a.Act != "" {
			r.Findings = append(r.Findings, a.decision(rule))
		}
	}
	switch err := h.store.Decide(ctx, sweep, site, r); {
	case errors.Is(err, store.ErrChanged):
		f.Errors = formErrors{{"act", "Somebody decided, or the verdict changed, since you opened this page. Nothing of yours was stored: look at what is new, and decide again"}}
	case errors.Is(err, store.ErrTaken):
		f.Errors = formErrors{{"act", "Somebody else has this case. Nothing of yours was stored: take the case over first, or leave it to them"}}
	case errors.Is(err, store.ErrNotYou):
		f.Errors = formErrors{{"act", "This case waits for somebody else to decide. Nothing of yours was stored"}}
	case err != nil:
		return err
	default:
		http.Redirect(c.w, c.r, sitePath(sweep, site)+"#decisions", http.StatusSeeOther)
		return nil
	}
	return h.sitePage(c, http.StatusConflict, &f)
}

// take gives the case to who asks, if it still stands as the page showed it.
func (h *Handler) take(c *call) error {
	sweep, site := c.r.PathValue("sweep"), c.r.PathValue("site")
	err := h.store.Take(c.r.Context(), sweep, site, c.Name, c.r.PostFormValue("from"), h.opt.Now())
	return h.back(c, sweep, site, err)
}

// release gives it back.
func (h *Handler) release(c *call) error {
	sweep, site := c.r.PathValue("sweep"), c.r.PathValue("site")
	return h.back(c, sweep, site, h.store.Release(c.r.Context(), sweep, site, c.Name, h.opt.Now()))
}

func (h *Handler) back(c *call, sweep, site string, err error) error {
	if errors.Is(err, store.ErrTaken) {
		return &refusal{http.StatusConflict, "The case has moved", "Somebody else took it or gave it back since you opened the page. Load the page again to see who has it."}
	}
	if err != nil {
		return err
	}
	http.Redirect(c.w, c.r, sitePath(sweep, site), http.StatusSeeOther)
	return nil
}

// history is what a person may see of the decisions on a case: while it waits
// for a second reader, only their own.
func history(cs *store.Case, ds []store.Decision, who string) (seen []store.Decision, after int64, hidden bool) {
	for _, d := range ds {
		if cs != nil && cs.Status == store.SecondReading && d.By != who {
			hidden = true
			continue
		}
		seen = append(seen, d)
		after = max(after, d.ID)
	}
	return seen, after, hidden
}

// mayDecide tells whether the form is offered, and if not, why.
func mayDecide(cs *store.Case, p Person) (yes bool, why string) {
	if cs == nil {
		return false, "There is nothing to decide: the site is neither flagged nor for review."
	}
	switch {
	case !p.Decides():
		return false, "Investigators decide; you may read."
	case cs.Assignee != "" && cs.Assignee != p.Name:
		return false, cs.Assignee + " has this case. To decide, take it over first."
	case cs.Status == store.SecondReading && cs.FirstBy == p.Name:
		return false, "You have decided. A second reader decides without seeing what you said; then both are shown."
	case cs.Status == store.Disagreement && !p.Is(Lead):
		return false, "The two readings differ. A lead decides."
	case cs.Status == store.Decided && !p.Is(Lead):
		return false, "The case is decided. A lead can decide again; nothing that was decided is changed by it."
	}
	return true, ""
}
