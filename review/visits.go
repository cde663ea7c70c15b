package review

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	pc "pecrawler"
)

// visit is one bundle of a site.
type visit struct {
	Number  int
	Digest  string
	Sealed  time.Time
	Signed  string // who vouches for it
	Verdict pc.Verdict
	Shown   bool // the page's findings and pictures are of this one
	Scenes  []scene
	Error   string
	opened  *opened
}

// visits opens the bundles of a site. A bundle that does not open costs its own
// pictures and no more.
func (h *Handler) visits(ctx context.Context, results []pc.Verdict) []visit {
	out := make([]visit, len(results))
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0)) // the largest take half a second each
	for i, v := range results {
		out[i] = visit{Number: v.Visit, Verdict: v}
		if len(v.Bundles) > 0 {
			all.Go(func() error { h.openVisit(ctx, &out[i], v.Bundles[0]); return nil })
		}
	}
	all.Wait() // none gives an error
	return out
}

// openVisit opens the bundle of a visit. What the opinions stumble over costs
// this visit, and not the program.
func (h *Handler) openVisit(ctx context.Context, vis *visit, digest string) {
	defer func() {
		if p := recover(); p != nil {
			h.log.Error("bundle for the review page", "bundle", digest, "err", p, "stack", string(debug.Stack()))
			vis.opened, vis.Error = nil, "it could not be shown; the log of the program says why"
		}
	}()
	vis.Digest = digest
	o, err := h.shelf.open(ctx, digest)
	if err != nil {
		h.log.Error("bundle for the review page", "bundle", digest, "err", err)
		vis.Error = err.Error()
		return
	}
	vis.opened, vis.Sealed, vis.Signed = o, o.Manifest().SealedAt, "not signed"
	if s := o.Signature(); s != nil {
		vis.Signed = "signed by the key " + s.KeyID
	}
	if s := o.Stamp(); s != nil {
		vis.Signed += ", with a time stamp"
	}
}

// shownVisit is the visit that a word's findings are of: the last one with the
// same references. -1 when no bundle can be shown.
func shownVisit(word pc.Verdict, vs []visit) int {
	same := func(v pc.Verdict) bool {
		for _, f := range word.Findings {
			if !slices.ContainsFunc(v.Findings, func(g pc.Finding) bool { return g.Rule == f.Rule && slices.Equal(g.Refs, f.Refs) }) {
				return false
			}
		}
		return true
	}
	last := -1
	for i := len(vs) - 1; i >= 0; i-- {
		if vs[i].opened == nil {
			continue
		}
		if same(vs[i].Verdict) {
			return i
		}
		last = max(last, i)
	}
	return last
}

// difference is what the visits of a site do not agree on.
type difference struct {
	What string
	Text bool // What is a text of the page
	Says []string
}

// differences compares the visits: the outcome of each rule, and what was
// stored that needs consent.
func differences(vs []visit) []difference {
	if len(vs) < 2 {
		return nil
	}
	var out []difference
	var order []string
	rows := map[string][]string{}
	set := func(key string, i int, says string) {
		if rows[key] == nil {
			rows[key] = make([]string, len(vs))
			order = append(order, key)
		}
		rows[key][i] = says
	}
	for i, v := range vs {
		for _, f := range v.Verdict.Findings {
			set("rule "+f.Rule, i, string(f.Outcome))
		}
		set("outcome", i, string(v.Verdict.Outcome))
		set("presses to refuse", i, offered(v.Verdict.Banner.ClicksToReject))
		set("presses to accept", i, offered(v.Verdict.Banner.ClicksToAccept))
	}
	flush := func(none string, text bool) {
		for _, k := range order {
			says := rows[k]
			for i := range says {
				if says[i] == "" {
					says[i] = none
				}
			}
			if len(slices.Compact(slices.Clone(says))) > 1 {
				out = append(out, difference{k, text, says})
			}
		}
		order, rows = nil, map[string][]string{}
	}
	flush("none", false)
	for i, v := range vs {
		for _, s := range nonexempt(v.Verdict) {
			set(itemTitle(s), i, "seen")
		}
	}
	flush("not seen", true)
	return out
}

func offered(n int) string {
	if n < 0 {
		return "not offered"
	}
	return fmt.Sprint(n)
}
