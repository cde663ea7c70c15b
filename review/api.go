package review

import (
	"encoding/json"
	"net/http"
	"strconv"

	pc "pecrawler"
	"pecrawler/store"
)

func (h *Handler) apiVerdicts(c *call) error {
	ctx, sweep := c.r.Context(), c.r.PathValue("sweep")
	if _, err := h.store.Sweep(ctx, sweep); err != nil {
		return err
	}
	q := c.r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	offset, _ := strconv.Atoi(q.Get("offset"))
	if limit < 1 || limit > 500 {
		limit = 100
	}
	list, total, err := h.store.Words(ctx, sweep, store.Filter{Overall: pc.Overall(q.Get("overall")), Rule: q.Get("rule"), Query: q.Get("q"), Limit: limit, Offset: offset})
	if err != nil {
		return err
	}
	return writeJSON(c.w, map[string]any{"total": total, "offset": offset, "verdicts": list})
}

func (h *Handler) apiSite(c *call) error {
	v, err := h.store.Word(c.r.Context(), c.r.PathValue("sweep"), c.r.PathValue("site"))
	if err != nil {
		return err
	}
	return writeJSON(c.w, v)
}

func writeJSON(w http.ResponseWriter, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(append(raw, '\n'))
	return err
}
