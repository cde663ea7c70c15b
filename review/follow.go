package review

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	pc "pecrawler"
	"pecrawler/store"
)

// followed is a case as those who follow it up see it.
type followed struct {
	Word  pc.Verdict
	Case  store.Case
	Steps []store.Step
	Base  string // address of the page
}

// followedCase is what the handlers of a case begin with. A case that was never
// upheld has nothing to follow up.
func (h *Handler) followedCase(c *call) (*followed, error) {
	ctx := c.r.Context()
	word, err := h.store.Word(ctx, c.r.PathValue("sweep"), c.r.PathValue("site"))
	if err != nil {
		return nil, err
	}
	f := &followed{Word: word, Base: sitePath(word.Sweep, word.Site) + "/follow"}
	if f.Case, err = h.store.Case(ctx, word.Sweep, word.Site); err != nil {
		return nil, err
	}
	if f.Steps, err = h.store.Steps(ctx, word.Sweep, word.Site); err != nil {
		return nil, err
	}
	if !f.Case.Upheld() && len(f.Steps) == 0 {
		return nil, &refusal{http.StatusConflict, "There is nothing to follow up", "A case is followed up after somebody has upheld it."}
	}
	return f, nil
}

// later are the last words on the site by visits after those of the case, the
// latest first.
func (h *Handler) later(ctx context.Context, word pc.Verdict) ([]pc.Verdict, error) {
	all, err := h.store.WordsOf(ctx, word.Site)
	return slices.DeleteFunc(all, func(v pc.Verdict) bool { return v.Sweep == word.Sweep || !v.Times.Last.After(word.Times.Last) }), err
}

// last is the last step of some kinds; nil: there is none.
func (f *followed) last(kinds ...string) *store.Step {
	for i := len(f.Steps) - 1; i >= 0; i-- {
		if slices.Contains(kinds, f.Steps[i].Kind) {
			return &f.Steps[i]
		}
	}
	return nil
}

// step is the one of a number and some kinds.
func (f *followed) step(n string, kinds ...string) (*store.Step, error) {
	for i := range f.Steps {
		if s := &f.Steps[i]; n == strconv.Itoa(s.N) && slices.Contains(kinds, s.Kind) {
			return s, nil
		}
	}
	return nil, store.ErrNotFound
}

// letterLine is a draft or letter in the list of them.
type letterLine struct {
	store.Step
	Letter letterDoc
	Forms  []formOf
}

// visitLine is a visit that was asked for.
type visitLine struct {
	store.Step
	Visit visitDoc
	Word  *pc.Verdict // nil: there is none yet
	Made  int         // visits so far, while there is none
}

// replyLine is a reply.
type replyLine struct {
	store.Step
	Reply replyDoc
}

func (h *Handler) follow(c *call) error { return h.followPage(c, http.StatusOK, nil, "") }

// followPage shows where a case is; errs are what is wrong with a form of it,
// note is what was typed there.
func (h *Handler) followPage(c *call, status int, errs formErrors, note string) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	later, err := h.later(c.r.Context(), f.Word)
	if err != nil {
		return err
	}
	d := struct {
		*followed
		Letters   []letterLine
		Visits    []visitLine
		Replies   []replyLine
		Later     []pc.Verdict
		Languages []string
		Due       time.Time // of the last letter; zero: none
		Over      bool      // it is
		Draft     bool      // the last text is a draft
		Cluster   bool
		Signed    bool
		May       bool
		Errors    formErrors
		Note      string
	}{followed: f, Later: later, Languages: h.opt.Letters.Names(), Cluster: h.opt.Sweeps != nil, Signed: h.opt.Signer != nil, May: c.Decides(), Errors: errs, Note: note}
	for _, s := range f.Steps {
		switch s.Kind {
		case store.StepDraft, store.StepLetter:
			doc, err := docOf[letterDoc](&s)
			if err != nil {
				return err
			}
			d.Letters = append(d.Letters, letterLine{s, doc, h.forms(s.Kind, doc)})
			d.Draft = s.Kind == store.StepDraft
			if s.Kind == store.StepLetter {
				d.Due, d.Over = s.Due, !h.opt.Now().Before(s.Due)
			}
		case store.StepVisit:
			v := visitLine{Step: s}
			if v.Visit, err = docOf[visitDoc](&s); err != nil {
				return err
			}
			if i := slices.IndexFunc(later, func(w pc.Verdict) bool { return w.Sweep == v.Visit.Again }); i >= 0 {
				v.Word = &later[i]
			} else if made, err := h.store.Results(c.r.Context(), v.Visit.Again, f.Word.Site); err != nil {
				return err
			} else {
				v.Made = len(made)
			}
			d.Visits = append(d.Visits, v)
		case store.StepReply:
			r := replyLine{Step: s}
			if r.Reply, err = docOf[replyDoc](&s); err != nil {
				return err
			}
			d.Replies = append(d.Replies, r)
		}
	}
	slices.Reverse(d.Letters) // the newest is what people come for
	if err := h.note(c.r.Context(), c.Person, "view", f.Word.Sweep+"/"+f.Word.Site, "follow-up"); err != nil {
		return err
	}
	return h.render(c.w, status, "follow.html", &view{Title: "Follow-up: " + f.Word.Site, Here: "follow", Who: &c.session, D: d})
}

// follows lists the cases that a letter is out for, by deadline.
func (h *Handler) follows(c *call) error {
	page := pageOf(c.r.URL.Query())
	steps, err := h.store.Letters(c.r.Context(), pageSize+1, (page-1)*pageSize)
	if err != nil {
		return err
	}
	total := (page-1)*pageSize + len(steps)
	type line struct {
		store.Step
		Upheld, Over    bool
		Visits, Replies int
		Later           pc.Overall // what the last later look says; "": none
	}
	var lines []line
	for _, s := range steps[:min(len(steps), pageSize)] {
		l := line{Step: s, Over: !h.opt.Now().Before(s.Due)}
		cs, err := h.store.Case(c.r.Context(), s.Sweep, s.Site)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		l.Upheld = cs.Upheld()
		all, err := h.store.Steps(c.r.Context(), s.Sweep, s.Site)
		if err != nil {
			return err
		}
		for _, o := range all {
			switch o.Kind {
			case store.StepVisit:
				l.Visits++
			case store.StepReply:
				l.Replies++
			}
		}
		words, err := h.store.WordsOf(c.r.Context(), s.Site)
		if err != nil {
			return err
		}
		if len(words) > 0 && words[0].Sweep != s.Sweep && words[0].Times.Last.After(s.At) {
			l.Later = words[0].Overall
		}
		lines = append(lines, l)
	}
	return h.show(c, "follows.html", "Follow-up", "follow", map[string]any{"Lines": lines, "Pages": pagesOf(c.r.URL.Query(), page, total)})
}

// addStep adds a step and tells people what is in its way.
func (h *Handler) addStep(c *call, f *followed, kind string, doc any, due time.Time, after int) (store.Step, error) {
	raw, err := json.Marshal(doc)
	if err != nil {
		return store.Step{}, err
	}
	st, err := h.store.Follow(c.r.Context(), store.Step{Sweep: f.Word.Sweep, Site: f.Word.Site, Kind: kind, By: c.Name, At: h.opt.Now(), Due: due, Doc: raw}, after)
	if errors.Is(err, store.ErrNotUpheld) {
		return st, &refusal{http.StatusConflict, "The case is not upheld", "A letter, and a visit because of it, need a decision that upholds the case and stands; a reply needs a letter."}
	}
	return st, err
}

// docOf reads what a step holds.
func docOf[T any](s *store.Step) (doc T, err error) {
	err = json.Unmarshal(s.Doc, &doc)
	return doc, err
}
