package review

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
)

// The documents of the API. Verdicts are those of verdicts.jsonl and of the
// queue; assets/openapi.json is made from these types.

type apiProblem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

type apiSweep struct {
	Sweep    string             `json:"sweep"`
	Created  time.Time          `json:"created"`
	Finished time.Time          `json:"finished,omitzero"` // absent: not yet
	Agree    int                `json:"agree"`             // visits that must agree before a flag
	Sites    int                `json:"sites"`             // on the list
	Done     int                `json:"done"`              // with a last word
	Overall  map[pc.Overall]int `json:"overall"`           // sites by last word
}

type apiSweeps struct {
	Sweeps []apiSweep `json:"sweeps"`
}

type apiVerdicts struct {
	Total    int          `json:"total"` // of the filter, without limit and offset
	Offset   int          `json:"offset"`
	Verdicts []pc.Verdict `json:"verdicts"`
}

type apiCase struct {
	Sweep      string     `json:"sweep"`
	Site       string     `json:"site"`
	Overall    pc.Overall `json:"overall"`
	Strength   string     `json:"strength"` // clear, likely, human
	Confidence float64    `json:"confidence"`
	Rules      []string   `json:"rules"`  // that failed or are unsure
	Checks     []int      `json:"checks"` // of the regulator that they belong to
	Rank       int        `json:"rank,omitempty"`
	Sector     string     `json:"sector,omitempty"`
	CMP        string     `json:"cmp,omitempty"`
	Seen       time.Time  `json:"seen,omitzero"`      // end of the last visit
	Status     string     `json:"status"`             // undecided, second-reading, disagreement, decided
	Assignee   string     `json:"assignee,omitempty"` // absent: nobody
	Act        string     `json:"act,omitempty"`      // the decision that stands: uphold, dismiss, unsure, revisit
	Decided    time.Time  `json:"decided,omitzero"`
}

type apiCases struct {
	Total  int       `json:"total"` // of the filter, counted up to 2000
	Offset int       `json:"offset"`
	Cases  []apiCase `json:"cases"`
}

type apiState struct {
	Sweep   string             `json:"sweep"`
	State   string             `json:"state"` // running, paused, done and others, in words
	Created time.Time          `json:"created"`
	Counted time.Time          `json:"counted,omitzero"` // when these numbers were true
	Sites   int                `json:"sites"`            // on the list
	Done    int                `json:"done"`             // with a last word
	Visits  int                `json:"visits"`           // made
	Waiting int                `json:"waiting"`          // visits on the queue
	InHand  int                `json:"in_hand"`          // visits with workers
	Later   int                `json:"later"`            // visits that come at their time
	Left    float64            `json:"left_s,omitempty"` // seconds that are left, estimated
	Overall map[pc.Overall]int `json:"overall"`          // sites by last word
	Over    bool               `json:"over"`
}

type apiLine struct {
	Line   int    `json:"line"`
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

type apiLaunched struct {
	Sweep  string    `json:"sweep"`
	Sites  int       `json:"sites"`  // that will be visited
	Merged int       `json:"merged"` // lines that named a site again
	Bad    int       `json:"bad"`    // lines that name no site
	Lines  []apiLine `json:"lines"`  // the first of the bad ones
}

// spanOf reads limit and offset.
func spanOf(r *http.Request) (limit, offset int) {
	q := r.URL.Query()
	limit, _ = strconv.Atoi(q.Get("limit"))
	offset, _ = strconv.Atoi(q.Get("offset"))
	if limit < 1 || limit > 500 {
		limit = 100
	}
	return limit, max(offset, 0)
}

func (h *Handler) apiSweeps(c *call) error {
	sweeps, err := h.counted(c.r.Context())
	if err != nil {
		return err
	}
	out := apiSweeps{[]apiSweep{}}
	for _, s := range sweeps {
		out.Sweeps = append(out.Sweeps, apiSweep{s.ID, s.Created, s.Finished, s.Agree, s.Sites, s.Done, s.Overall})
	}
	return writeJSON(c.w, http.StatusOK, out)
}

func (h *Handler) apiVerdicts(c *call) error {
	ctx, sweep := c.r.Context(), c.r.PathValue("sweep")
	if _, err := h.store.Sweep(ctx, sweep); err != nil {
		return err
	}
	f := wordsOf(c.r.URL.Query())
	f.Limit, f.Offset = spanOf(c.r)
	list, total, err := h.store.Words(ctx, sweep, f)
	if err != nil {
		return err
	}
	return writeJSON(c.w, http.StatusOK, apiVerdicts{total, f.Offset, list})
}

func (h *Handler) apiSite(c *call) error {
	v, err := h.store.Word(c.r.Context(), c.r.PathValue("sweep"), c.r.PathValue("site"))
	if err != nil {
		return err
	}
	return writeJSON(c.w, http.StatusOK, v)
}

// apiCases lists where cases stand: of those that wait for a second reading,
// not what the first was.
func (h *Handler) apiCases(c *call) error {
	f := filterOf(c.r.URL.Query(), c.Name)
	f.Limit, f.Offset = spanOf(c.r)
	list, total, err := h.store.Cases(c.r.Context(), f)
	if err != nil {
		return err
	}
	out := apiCases{total, f.Offset, []apiCase{}}
	for _, s := range list {
		out.Cases = append(out.Cases, apiCase{s.Sweep, s.Site, s.Overall, s.Strength, s.Confidence, s.Rules, s.Checks, s.Rank, s.Sector, s.CMP, s.Seen, s.Status, s.Assignee, s.Act, s.Decided})
	}
	return writeJSON(c.w, http.StatusOK, out)
}

func (h *Handler) apiState(c *call) error {
	s, err := h.state(c)
	if err != nil {
		return err
	}
	return writeJSON(c.w, http.StatusOK, apiState{s.Sweep, s.Word, s.Created, s.At, s.Listed, s.Done, s.Visits, s.Waiting, s.InHand, s.Later, s.Left.Seconds(), s.Overall, s.Over})
}

// apiLaunch launches the list that is the body.
func (h *Handler) apiLaunch(c *call) error {
	raw, err := io.ReadAll(c.r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &refusal{http.StatusRequestEntityTooLarge, "This is too much", "A list may hold 32 megabytes."}
	} else if err != nil {
		return &refusal{http.StatusBadRequest, "The list could not be read", "Send it as the body."}
	}
	set, q := defaults(), c.r.URL.Query()
	set.Name = q.Get("name")
	for name, field := range map[string]*string{"agree": &set.Agree, "after": &set.After, "priority": &set.Priority, "deadline": &set.Deadline} {
		if q.Has(name) {
			*field = q.Get(name)
		}
	}
	var faults []string
	l := set.launch(func(field, text string) { faults = append(faults, field+": "+text) })
	list := string(raw)
	ch := checkList(list)
	if ch.Sites == 0 {
		faults = append(faults, "the list names no site")
	}
	if len(faults) > 0 {
		slices.Sort(faults)
		return &refusal{http.StatusUnprocessableEntity, "This cannot be launched", strings.Join(faults, "; ")}
	}
	if err := h.start(c, l, list, ch.Sites); errors.Is(err, ErrNameTaken) {
		return &refusal{http.StatusConflict, "There is a sweep of this name", "Choose another."}
	} else if err != nil {
		return err
	}
	out := apiLaunched{l.Sweep, ch.Sites, ch.Again, ch.Bad, []apiLine{}}
	for _, b := range ch.Lines {
		out.Lines = append(out.Lines, apiLine(b))
	}
	return writeJSON(c.w, http.StatusCreated, out)
}

// apiDocument describes the API.
func (h *Handler) apiDocument(c *call) error {
	c.w.Header().Set("Content-Type", "application/json")
	http.ServeFileFS(c.w, c.r, files, "assets/openapi.json")
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(status)
	_, err = w.Write(append(raw, '\n'))
	return err
}
