package review

import (
	"context"
	"net/url"
	"slices"
	"strconv"

	pc "pecrawler"
	"pecrawler/store"
)

// countedSweep is a sweep of the store with what was found.
type countedSweep struct {
	store.Sweep
	store.Counts
}

func (h *Handler) counted(ctx context.Context) (out []countedSweep, err error) {
	sweeps, err := h.store.Sweeps(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range sweeps {
		n, err := h.store.Counts(ctx, s.ID)
		if err != nil {
			return nil, err
		}
		out = append(out, countedSweep{s, n})
	}
	return out, nil
}

func (h *Handler) sweeps(c *call) error {
	ctx := c.r.Context()
	rows, err := h.counted(ctx)
	if err != nil {
		return err
	}
	d := map[string]any{"Rows": rows, "Launches": h.opt.Sweeps != nil}
	if h.opt.Sweeps != nil {
		states, err := h.opt.Sweeps.States(ctx)
		if err != nil { // what was found is shown all the same
			h.log.Error("the cluster did not tell its sweeps", "err", err)
			d["Silent"] = true
		}
		d["UnderWay"] = slices.DeleteFunc(states, func(s State) bool { return s.Over })
	}
	return h.show(c, "sweeps.html", "Sweeps", "sweeps", d)
}

// pageSize is how many sites a page lists.
const pageSize = 50

// overalls are the last words in the order in which people look.
func overalls() []pc.Overall {
	return []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed}
}

// tally is how many sites have a last word.
type tally struct {
	Overall pc.Overall
	N       int
	Bar     int // length, of 1000
}

func tallies(n map[pc.Overall]int, sites int) []tally {
	var out []tally
	for _, o := range overalls() {
		out = append(out, tally{o, n[o], 1000 * n[o] / max(sites, 1)})
	}
	return out
}

// wordsOf reads a filter of last words.
func wordsOf(q url.Values) store.Filter {
	return store.Filter{Overall: pc.Overall(q.Get("overall")), Rule: q.Get("rule"), Query: q.Get("q")}
}

func (h *Handler) sites(c *call) error {
	ctx := c.r.Context()
	sweep, err := h.store.Sweep(ctx, c.r.PathValue("sweep"))
	if err != nil {
		return err
	}
	n, err := h.store.Counts(ctx, sweep.ID)
	if err != nil {
		return err
	}
	q := c.r.URL.Query()
	page := pageOf(q)
	f := wordsOf(q)
	f.Limit, f.Offset = pageSize, (page-1)*pageSize
	list, total, err := h.store.Words(ctx, sweep.ID, f)
	if err != nil {
		return err
	}
	return h.show(c, "sites.html", "Sweep "+sweep.ID, "sweeps", map[string]any{"Sweep": sweep, "Counts": n, "Tallies": tallies(n.Overall, n.Sites), "List": list, "Total": total, "Filter": f, "Pages": pagesOf(q, page, total)})
}

// pageOf is the number of the page asked for; nonsense is the first.
func pageOf(q url.Values) int {
	n, _ := strconv.Atoi(q.Get("page"))
	return min(max(n, 1), 100_000)
}

// pager are the links to the pages before and after.
type pager struct {
	Page       int
	Prev, Next string // "": there is none
}

func pagesOf(q url.Values, page, total int) pager {
	link := func(to int) string {
		v := url.Values{}
		for k := range q {
			if q.Get(k) != "" {
				v.Set(k, q.Get(k))
			}
		}
		v.Set("page", strconv.Itoa(to))
		return "?" + v.Encode()
	}
	p := pager{Page: page}
	if page > 1 {
		p.Prev = link(page - 1)
	}
	if page*pageSize < total {
		p.Next = link(page + 1)
	}
	return p
}
