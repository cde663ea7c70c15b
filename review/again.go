package review

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"pecrawler/internal/sitelist"
	"pecrawler/store"
)

// visitDoc is what a step of a visit holds.
type visitDoc struct {
	Again string `json:"again"` // the sweep that was launched for it
	Why   string `json:"why"`   // deadline, or asked
}

// Why a site is visited again.
const (
	afterDeadline = "deadline"
	onRequest     = "asked"
)

// itself is who the log says did what no person did.
const itself = "pecrawler"

// attendTime is how often it is looked for deadlines that are over.
const attendTime = time.Minute

// Attend launches the visits of cases whose deadline is over, until the context
// ends. Without a cluster there is nothing to launch on, and it returns.
func (h *Handler) Attend(ctx context.Context) {
	if h.opt.Sweeps == nil {
		return
	}
	tick := time.NewTicker(attendTime)
	defer tick.Stop()
	for {
		if err := h.AttendOnce(ctx); err != nil && ctx.Err() == nil {
			h.log.Error("visits after deadlines", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// AttendOnce launches the visits that are due now. One that cannot be launched is
// tried again the next time, and does not keep the others from it.
func (h *Handler) AttendOnce(ctx context.Context) error {
	due, err := h.store.Due(ctx, h.opt.Now())
	for _, s := range due {
		// The name follows from the letter: after a crash between the launch and its step, it is taken.
		if e := h.visitAgain(ctx, s.Sweep, s.Site, itself, visitDoc{againName(s), afterDeadline}); e != nil {
			err = errors.Join(err, fmt.Errorf("%s of %s: %w", s.Site, s.Sweep, e))
		}
	}
	return err
}

// againName names the sweep of the visit after a letter.
func againName(s store.Step) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", s.Sweep, s.Site, s.N))
	return fmt.Sprintf("again-%x", sum[:6])
}

// visitAgain launches a sweep of one site, as the sweep of its case was, before
// all others, and says so in the case.
func (h *Handler) visitAgain(ctx context.Context, sweep, site, who string, doc visitDoc) error {
	word, err := h.store.Word(ctx, sweep, site)
	if err != nil {
		return err
	}
	of, err := h.store.Sweep(ctx, sweep)
	if err != nil {
		return err
	}
	set := defaults()
	set.Name, set.Priority, set.Agree = doc.Again, "1", strconv.Itoa(min(max(of.Agree, 1), 10))
	l := set.launch(func(field, text string) { err = errors.Join(err, fmt.Errorf("%s: %s", field, text)) })
	if err != nil {
		return err
	}
	l.Sites = slices.Values([]sitelist.Entry{{Site: word.Site, URL: word.URL, Rank: word.Rank, Sector: word.Sector, Line: 1}})
	if err := h.opt.Sweeps.Launch(ctx, l); err != nil && !errors.Is(err, ErrNameTaken) {
		return err
	}
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = h.store.Follow(ctx, store.Step{Sweep: sweep, Site: site, Kind: store.StepVisit, By: who, At: h.opt.Now(), Doc: raw}, 0)
	if errors.Is(err, store.ErrChanged) { // another process was there before
		return nil
	}
	if err == nil {
		h.met.again.WithLabelValues(doc.Why).Inc()
	}
	return err
}

// askVisit launches a visit now, because somebody asks.
func (h *Handler) askVisit(c *call) error {
	f, err := h.followedCase(c)
	if err != nil {
		return err
	}
	if !f.Case.Upheld() {
		return &refusal{http.StatusConflict, "The case is not upheld", "Ask for another visit by a decision."}
	}
	doc := visitDoc{againName(store.Step{Sweep: f.Word.Sweep, Site: f.Word.Site}) + h.opt.Now().UTC().Format("-20060102-150405"), onRequest}
	if err := h.visitAgain(c.r.Context(), f.Word.Sweep, f.Word.Site, c.Name, doc); err != nil {
		return h.trouble(c, "visit again", err)
	}
	http.Redirect(c.w, c.r, f.Base+"#visits", http.StatusSeeOther)
	return nil
}
