package review

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"pecrawler/store"
)

// logLine is an entry of the audit log in words.
type logLine struct {
	store.Entry
	Says string
}

// audit shows the log. It holds who decided what, so a reader who is to decide
// blind must not see it: it is for leads.
func (h *Handler) audit(c *call) error {
	ctx := c.r.Context()
	before, _ := strconv.ParseInt(c.r.URL.Query().Get("before"), 10, 64) // nonsense is the newest
	entries, err := h.store.Audit(ctx, max(before, 0), pageSize)
	if err != nil {
		return err
	}
	var lines []logLine
	older := ""
	for _, e := range entries {
		says := e.Detail
		switch e.Act {
		case store.ActDecide:
			if says, err = h.decided(c, e); err != nil {
				return err
			}
		case store.StepDraft, store.StepLetter, store.StepVisit, store.StepReply:
			says = stepped(e)
		}
		lines = append(lines, logLine{e, says})
		if len(lines) == pageSize && e.Seq > 1 {
			older = fmt.Sprintf("/audit?before=%d", e.Seq)
		}
	}
	return h.show(c, "audit.html", "Audit log", "audit", map[string]any{"Lines": lines, "Older": older, "Newest": before > 0})
}

// decided says what a decision was, unless the case still waits for a second
// reading, which may be this lead's.
func (h *Handler) decided(c *call, e store.Entry) (string, error) {
	var ds []store.Decision
	if err := json.Unmarshal([]byte(e.Detail), &ds); err != nil || len(ds) == 0 {
		return "This entry cannot be read: check the log.", nil
	}
	if e.Who != c.Name {
		cs, err := h.store.Case(c.r.Context(), ds[0].Sweep, ds[0].Site)
		if err != nil {
			return "", err
		}
		if cs.Status == store.SecondReading {
			return "Hidden until the second reading.", nil
		}
	}
	var out []string
	for _, d := range ds {
		of := "site"
		if d.Rule != "" {
			of = d.Rule
		}
		out = append(out, of+": "+d.Act)
	}
	return strings.Join(out, "; "), nil
}

// stepped says what a step was; its text is on the page of the case.
func stepped(e store.Entry) string {
	var s store.Step
	if err := json.Unmarshal([]byte(e.Detail), &s); err != nil {
		return "This entry cannot be read: check the log."
	}
	switch s.Kind {
	case store.StepLetter:
		return fmt.Sprintf("step %d, the site is visited again from %s on", s.N, s.Due.Format("2 January 2006"))
	case store.StepVisit:
		if doc, err := docOf[visitDoc](&s); err == nil {
			return fmt.Sprintf("step %d, sweep %s", s.N, doc.Again)
		}
	case store.StepReply:
		if doc, err := docOf[replyDoc](&s); err == nil {
			return fmt.Sprintf("step %d, %s", s.N, cmp.Or(doc.Name, "a note"))
		}
	}
	return fmt.Sprintf("step %d", s.N)
}
