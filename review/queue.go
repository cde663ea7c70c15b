package review

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	pc "pecrawler"
	"pecrawler/store"
)

// filterFields are the names that a filter of the queue has in an address.
func filterFields() []string {
	return []string{"sweep", "overall", "check", "rule", "strength", "confidence", "rank", "sector", "cmp", "status", "assignee", "q", "sort"}
}

// filterOf reads a filter; what makes no sense does not narrow.
func filterOf(q url.Values, me string) store.CaseFilter {
	f := store.CaseFilter{Sweep: q.Get("sweep"), Overall: pc.Overall(q.Get("overall")), Rule: q.Get("rule"), Strength: q.Get("strength"), Sector: q.Get("sector"), CMP: q.Get("cmp"), Status: q.Get("status"), Query: q.Get("q"), Sort: q.Get("sort")}
	f.Check, _ = strconv.Atoi(q.Get("check"))
	f.Rank, _ = strconv.Atoi(q.Get("rank"))
	f.Confidence, _ = strconv.ParseFloat(q.Get("confidence"), 64)
	switch a := q.Get("assignee"); a {
	case "me":
		f.Assignee = me
	default:
		f.Assignee = a
	}
	return f
}

// tab is one of the ways into the queue that people use all day.
type tab struct {
	Text, Href string
	Here       bool
}

func tabs(q url.Values) []tab {
	var out []tab
	for _, t := range []struct{ text, status, assignee string }{
		{"Undecided", store.Undecided, ""}, {"Mine", "", "me"}, {"Second reading", store.SecondReading, ""}, {"Disagreement", store.Disagreement, ""}, {"Decided", store.Decided, ""}, {"All", "", ""},
	} {
		v := filterValues(q)
		v.Del("status")
		v.Del("assignee")
		if t.status != "" {
			v.Set("status", t.status)
		}
		if t.assignee != "" {
			v.Set("assignee", t.assignee)
		}
		out = append(out, tab{t.text, "/queue?" + v.Encode(), q.Get("status") == t.status && q.Get("assignee") == t.assignee})
	}
	return out
}

// selects are the lists to choose from in the filter.
type choiceList struct {
	Name, Label string
	Options     [][2]string // value, text
	Value       string
}

func (h *Handler) queue(c *call) error {
	ctx := c.r.Context()
	q := c.r.URL.Query()
	page := pageOf(q)
	f := filterOf(q, c.Name)
	f.Limit, f.Offset = pageSize, (page-1)*pageSize
	list, total, err := h.store.Cases(ctx, f)
	if err != nil {
		return err
	}
	ch, err := h.store.CaseChoices(ctx)
	if err != nil {
		return err
	}
	sweeps, err := h.store.Sweeps(ctx)
	if err != nil {
		return err
	}
	people, err := h.deciders(ctx)
	if err != nil {
		return err
	}
	views, err := h.store.Views(ctx, c.Name)
	if err != nil {
		return err
	}
	var ids []string
	for _, s := range sweeps {
		ids = append(ids, s.ID)
	}
	same := func(vs []string) (out [][2]string) {
		for _, v := range vs {
			out = append(out, [2]string{v, v})
		}
		return out
	}
	lists := []choiceList{
		{"sort", "Order", [][2]string{{"", "Strength, then reach"}, {"reach", "Reach"}, {"confidence", "Confidence"}, {"oldest", "Oldest first"}, {"site", "Name"}}, ""},
		{"status", "Status", [][2]string{{"", "Any"}, {store.Undecided, "Undecided"}, {store.SecondReading, "Second reading"}, {store.Disagreement, "Disagreement"}, {store.Decided, "Decided"}}, ""},
		{"assignee", "Who has it", append([][2]string{{"", "Anybody"}, {store.Nobody, "Nobody"}, {"me", "Me"}}, same(people)...), ""},
		{"check", "Check", [][2]string{{"", "Any"}, {"1", "1: before a choice"}, {"2", "2: refusing"}, {"3", "3: although refused"}}, ""},
		{"rule", "Rule", append([][2]string{{"", "Any"}}, same(ch.Rules)...), ""},
		{"strength", "Strength", [][2]string{{"", "Any"}, {"clear", "Clear"}, {"likely", "Likely"}, {"human", "A human tells"}}, ""},
		{"confidence", "Confidence", [][2]string{{"", "Any"}, {"0.99", "0.99 or more"}, {"0.95", "0.95 or more"}, {"0.9", "0.90 or more"}, {"0.8", "0.80 or more"}}, ""},
		{"rank", "Reach", [][2]string{{"", "Any"}, {"1000", "First 1,000"}, {"10000", "First 10,000"}, {"100000", "First 100,000"}}, ""},
		{"sector", "Sector", append([][2]string{{"", "Any"}}, same(ch.Sectors)...), ""},
		{"cmp", "Consent manager", append([][2]string{{"", "Any"}}, same(ch.CMPs)...), ""},
		{"overall", "Last word", [][2]string{{"", "Any"}, {"flagged", "Flagged"}, {"review", "For review"}}, ""},
		{"sweep", "Sweep", append([][2]string{{"", "Any"}}, same(ids)...), ""},
	}
	for i := range lists {
		lists[i].Value = q.Get(lists[i].Name)
	}
	return h.show(c, "queue.html", "Queue", "queue", map[string]any{"List": list, "Total": total, "More": total >= store.MostCounted, "Lists": lists, "Query": f.Query, "Tabs": tabs(q), "Pages": pagesOf(q, page, max(total, f.Offset+len(list)+full(len(list)))), "Filter": carried(q),
		"Takers": takers(c.Person, people), "Views": views, "Picked": q.Get("all") != "", "All": "/queue?" + allOf(q), "Handed": count(q, "handed"), "Left": count(q, "left")})
}

// allOf is the same page with every case chosen.
func allOf(q url.Values) string {
	v := filterValues(q)
	v.Set("page", strconv.Itoa(pageOf(q)))
	v.Set("all", "1")
	return v.Encode()
}

// count reads a number that an address has; nonsense, or none, is -1.
func count(q url.Values, name string) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 0 || n > mostPicks {
		return -1
	}
	return n
}

// full is 1 when a page is, so that beyond what is counted there is a next one.
func full(n int) int {
	if n == pageSize {
		return 1
	}
	return 0
}

// carried is the filter as a form carries it on.
func carried(q url.Values) [][2]string {
	var out [][2]string
	for _, k := range filterFields() {
		if q.Get(k) != "" {
			out = append(out, [2]string{k, q.Get(k)})
		}
	}
	return out
}

// next gives who asks the first case of the filter that nobody has.
func (h *Handler) next(c *call) error {
	cs, err := h.store.TakeNext(c.r.Context(), filterOf(c.r.PostForm, c.Name), c.Name, c.Is(Lead), h.opt.Now())
	if errors.Is(err, store.ErrNotFound) {
		return &refusal{http.StatusNotFound, "No case is left", "Every case of this filter is decided, or somebody has it, or it waits for somebody else."}
	}
	if err != nil {
		return err
	}
	http.Redirect(c.w, c.r, sitePath(cs.Sweep, cs.Site), http.StatusSeeOther)
	return nil
}

// revisits lists the sites that somebody wants another visit of, as a sweep takes them.
func (h *Handler) revisits(c *call) error {
	of := c.r.URL.Query().Get("sweep")
	cs, err := h.store.Revisits(c.r.Context(), of)
	if err != nil {
		return err
	}
	due, err := h.store.Due(c.r.Context(), h.opt.Now()) // none, where there is a cluster: they are launched by themselves
	if err != nil {
		return err
	}
	for _, s := range due {
		if of != "" && of != s.Sweep {
			continue
		}
		w, err := h.store.Word(c.r.Context(), s.Sweep, s.Site)
		if err != nil {
			return err
		}
		if !slices.Contains(cs, w.URL) {
			cs = append(cs, w.URL)
		}
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, s := range cs {
		if _, err := io.WriteString(c.w, s+"\n"); err != nil {
			return err
		}
	}
	return nil
}
