package review

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"pecrawler/store"
)

// deciders are the names of those who decide on cases: who may sign in by a
// link, and who signed in at the provider and had such a role at the last time.
func (h *Handler) deciders(ctx context.Context) ([]string, error) {
	var out []string
	for _, p := range h.opt.People {
		if p.Decides() {
			out = append(out, p.Name)
		}
	}
	if h.sso == nil {
		return out, nil
	}
	accounts, err := h.store.Accounts(ctx)
	for _, a := range accounts {
		if roles, err := ParseRoles(a.Roles); err == nil && (Person{Roles: roles}).Decides() {
			out = append(out, a.Name)
		}
	}
	return out, err
}

// takers are those whom a person may give cases to: a lead to everybody who
// decides, others to themselves.
func takers(p Person, deciders []string) []string {
	if !p.Is(Lead) {
		return []string{p.Name}
	}
	return slices.Sorted(slices.Values(deciders))
}

// mostPicks is how many cases are handed out at once: more than a page has.
const mostPicks = 4 * pageSize

// pick is a case in a form, as the page showed it.
func pick(c store.Case) string { return c.Sweep + " " + c.Site + " " + c.Assignee }

func readPicks(of []string) (out []store.Pick, ok bool) {
	for _, s := range of {
		f := strings.SplitN(s, " ", 3) // neither sweeps nor sites have blanks
		if len(f) != 3 {
			return nil, false
		}
		out = append(out, store.Pick{Sweep: f[0], Site: f[1], From: f[2]})
	}
	return out, len(out) > 0 && len(out) <= mostPicks
}

// assign hands out the cases that were chosen.
func (h *Handler) assign(c *call) error {
	picks, ok := readPicks(c.r.PostForm["case"])
	if !ok {
		return &refusal{http.StatusUnprocessableEntity, "Choose some cases first", "Go back, tick the cases that are meant, and press the button again."}
	}
	people, err := h.deciders(c.r.Context())
	if err != nil {
		return err
	}
	to := c.r.PostFormValue("to")
	if !slices.Contains(takers(c.Person, people), to) {
		return &refusal{http.StatusUnprocessableEntity, "Choose who gets the cases", "Go back, choose one of the list, and press the button again."}
	}
	left, err := h.store.Assign(c.r.Context(), c.Name, to, picks, h.opt.Now())
	if err != nil {
		return err
	}
	q := filterValues(c.r.PostForm)
	q.Set("handed", strconv.Itoa(len(picks)-len(left)))
	q.Set("left", strconv.Itoa(len(left)))
	http.Redirect(c.w, c.r, "/queue?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// filterValues is the filter alone.
func filterValues(q url.Values) url.Values {
	out := url.Values{}
	for _, f := range carried(q) {
		out.Set(f[0], f[1])
	}
	return out
}

// mostViewName bounds what a view is called.
const mostViewName = 60

// keepView keeps the filter that is shown, for the person who asks.
func (h *Handler) keepView(c *call) error {
	name := strings.TrimSpace(c.r.PostFormValue("view"))
	if name == "" || len([]rune(name)) > mostViewName {
		return &refusal{http.StatusUnprocessableEntity, "Name the view", "Go back and give it a name of 1 to 60 characters."}
	}
	q := filterValues(c.r.PostForm)
	err := h.store.SaveView(c.r.Context(), c.Name, store.View{Name: name, Filter: q.Encode()})
	if errors.Is(err, store.ErrTooMany) {
		return &refusal{http.StatusUnprocessableEntity, "You keep as many views as there may be", "Remove one that you no longer use, then keep this one."}
	}
	if err != nil {
		return err
	}
	if err := h.note(c.r.Context(), c.Person, "keep-view", name, q.Encode()); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/queue?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// dropView forgets a view.
func (h *Handler) dropView(c *call) error {
	if err := h.store.DropView(c.r.Context(), c.Name, c.r.PostFormValue("view")); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/queue?"+filterValues(c.r.PostForm).Encode(), http.StatusSeeOther)
	return nil
}
