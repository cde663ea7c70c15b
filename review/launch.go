package review

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pc "pecrawler"
	"pecrawler/internal/sitelist"
	"pecrawler/store"
)

// Sweeps launches sweeps and steers them. The pages know no queue: whoever
// serves them hands in the one that the command line uses.
type Sweeps interface {
	// Launch stores a list with its settings; a name that is taken is ErrNameTaken.
	Launch(ctx context.Context, l Launch) error
	Pause(ctx context.Context, sweep string) error
	Resume(ctx context.Context, sweep string) error
	Cancel(ctx context.Context, sweep string) error
	// State returns how far a sweep is, or store.ErrNotFound.
	State(ctx context.Context, sweep string) (State, error)
	// States returns all launched sweeps, the newest first, without what waits.
	States(ctx context.Context) ([]State, error)

	// Repeat stores a list with its settings, to be launched when it is due; a name that is taken is ErrNameTaken.
	Repeat(ctx context.Context, r Repeat) error
	// Repeats returns what is repeated, by name.
	Repeats(ctx context.Context) ([]Repeat, error)
	// Steer pauses, resumes or removes what is repeated, or returns store.ErrNotFound.
	Steer(ctx context.Context, name, do string) error
}

// ErrNameTaken means that a sweep of that name was launched before.
var ErrNameTaken = errors.New("there is a sweep of this name")

// Launch is what somebody wants to be launched.
type Launch struct {
	Sweep      string
	Agree      int           // visits that must agree before a flag
	AgreeAfter time.Duration // from one visit of agreement to the next
	Priority   int           // 1 goes first
	Deadline   time.Duration // from now; 0: none
	Sites      iter.Seq[sitelist.Entry]
}

// State is how far a launched sweep is.
type State struct {
	Sweep                  string
	Word                   string // in one or a few: running, paused, done, …
	Created, At            time.Time
	Listed, Done, Visits   int
	Waiting, InHand, Later int
	Overall                map[pc.Overall]int
	Left                   time.Duration // estimated; 0: not known
	Paused, Over           bool          // nothing more is handed out, for now or for good
}

// Flagged is the number of sites that are flagged so far.
func (s State) Flagged() int { return s.Overall[pc.Flagged] }

const (
	mostList   = 32 << 20 // bytes of a list
	mostDrafts = 16       // lists that are kept while somebody looks at what was wrong with them
	draftTime  = time.Hour
	shownBad   = 200
	keptText   = 256 << 10 // bytes of a list that was pasted, and is shown again
)

// draft is a list that was checked and not launched yet, and the settings.
type draft struct {
	id, person string
	made       time.Time
	list       string
	pasted     bool
	set        settings
	checked    checked
}

// form is the form that the draft came from.
func (d draft) form() launchForm {
	f := launchForm{settings: d.set}
	if d.pasted && len(d.list) <= keptText {
		f.Text = d.list
	}
	return f
}

// settings are a launch's as they stand in the form.
type settings struct{ Name, Agree, After, Priority, Deadline string }

// checked is what a list was found to be.
type checked struct {
	Sites, Again, Bad int
	First             []sitelist.Entry // some of them
	Lines             []sitelist.LineError
}

// desk keeps the drafts; they are lost with the program.
type desk struct {
	now    func() time.Time
	mu     sync.Mutex
	drafts map[string]draft // one a person
}

func (d *desk) keep(f draft) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.drafts, func(_ string, f draft) bool { return d.now().Sub(f.made) > draftTime })
	if _, mine := d.drafts[f.person]; !mine && len(d.drafts) >= mostDrafts {
		return "", &refusal{http.StatusServiceUnavailable, "Too many lists are being checked", "Others are launching sweeps just now. Try again in some minutes."}
	}
	f.id, f.made = rand.Text(), d.now()
	d.drafts[f.person] = f
	return f.id, nil
}

// of returns the draft of a person, if it is the one that is meant.
func (d *desk) of(person, id string) (draft, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.drafts[person]
	return f, ok && f.id == id && d.now().Sub(f.made) <= draftTime
}

func (d *desk) drop(person string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.drafts, person)
}

// defaults are what a launch has unless somebody chooses otherwise; the same as
// those of pecrawler launch.
func defaults() settings { return settings{Agree: "2", After: "1h", Priority: "5"} }

// waits and deadlines are what there is to choose from.
func waits() [][2]string {
	return [][2]string{{"0s", "Not at all"}, {"1h", "An hour"}, {"6h", "6 hours"}, {"24h", "A day"}, {"168h", "A week"}}
}

func deadlines() [][2]string {
	return [][2]string{{"", "None"}, {"24h", "A day from now"}, {"72h", "3 days from now"}, {"168h", "A week from now"}, {"720h", "30 days from now"}}
}

func numbers(from, to int) (out [][2]string) {
	for i := from; i <= to; i++ {
		out = append(out, [2]string{strconv.Itoa(i), strconv.Itoa(i)})
	}
	return out
}

// launchForm is what the page of a launch shows.
type launchForm struct {
	settings
	Text   string
	Errors formErrors
	Off    bool // there is no cluster to launch on
}

// Lists are the fields that are chosen from lists.
func (f launchForm) Lists() []choiceList {
	priorities := numbers(1, 9)
	priorities[0][1], priorities[4][1], priorities[8][1] = "1, before all others", "5, as usual", "9, after all others"
	return []choiceList{
		{"agree", "Visits that must agree before a site is flagged", numbers(1, 10), f.Agree},
		{"after", "Time between two visits of a site", waits(), f.After},
		{"priority", "Priority", priorities, f.Priority},
		{"deadline", "Deadline: what has not begun then is dropped", deadlines(), f.Deadline},
	}
}

func (h *Handler) launchPage(c *call) error {
	d, ok := h.desk.of(c.Name, c.r.URL.Query().Get("draft"))
	if !ok {
		d = draft{set: defaults()}
	}
	f := d.form()
	f.Off = h.opt.Sweeps == nil
	return h.launchShown(c, http.StatusOK, f)
}

func (h *Handler) launchShown(c *call, status int, f launchForm) error {
	return h.render(c.w, status, "launch.html", &view{Title: "Launch a sweep", Here: "sweeps", Who: &c.session, D: f})
}

// readList takes the list from the file or from the field; fault is what people
// are told.
func readList(r *http.Request) (list, name string, pasted bool, fault string) {
	text := r.PostFormValue("sites")
	file, head, err := r.FormFile("file")
	if err != nil || head.Size == 0 {
		return text, "sites", true, "" // no file is given
	}
	defer file.Close()
	if strings.TrimSpace(text) != "" {
		return text, "", true, "Paste a list or choose a file, not both"
	}
	raw, err := io.ReadAll(io.LimitReader(file, mostList+1))
	if err != nil || len(raw) > mostList {
		return "", "", false, "The file could not be read, or is too large"
	}
	return string(raw), strings.TrimSuffix(filepath.Base(head.Filename), filepath.Ext(head.Filename)), false, ""
}

// entries are the sites of a list, each once.
func entries(list string, again func(), bad func(sitelist.LineError)) iter.Seq[sitelist.Entry] {
	return func(yield func(sitelist.Entry) bool) {
		seen := sitelist.Seen{}
		enough := errors.New("enough")
		sitelist.Each(strings.NewReader(list), func(e sitelist.Entry) error {
			if !seen.Add(e.Site) {
				again()
				return nil
			}
			if !yield(e) {
				return enough
			}
			return nil
		}, bad) // a list without a site yields none
	}
}

func checkList(list string) (c checked) {
	for e := range entries(list, func() { c.Again++ }, func(b sitelist.LineError) {
		if c.Bad++; len(c.Lines) < shownBad {
			c.Lines = append(c.Lines, b)
		}
	}) {
		if c.Sites++; len(c.First) < 10 {
			c.First = append(c.First, e)
		}
	}
	return c
}

// sweepName is what the queue takes as one.
var sweepName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// launch reads the settings.
func (s settings) launch(bad func(field, text string)) (l Launch) {
	l.Sweep = s.Name
	if !sweepName.MatchString(s.Name) {
		bad("name", "Name the sweep by 1 to 64 of a to z, 0 to 9 and -, which is not the first")
	}
	number := func(field, v string, from, to int) int {
		n, err := strconv.Atoi(v)
		if err != nil || n < from || n > to {
			bad(field, fmt.Sprintf("Choose a number from %d to %d", from, to))
		}
		return n
	}
	span := func(field, v string, of [][2]string) time.Duration {
		if !slices.ContainsFunc(of, func(o [2]string) bool { return o[0] == v }) {
			bad(field, "Choose one of the list")
		}
		d, _ := time.ParseDuration(v) // "" is none
		return d
	}
	l.Agree, l.Priority = number("agree", s.Agree, 1, 10), number("priority", s.Priority, 1, 9)
	l.AgreeAfter, l.Deadline = span("after", s.After, waits()), span("deadline", s.Deadline, deadlines())
	return l
}

// check looks at a list and shows what is wrong with which line; nothing is
// launched yet.
func (h *Handler) check(c *call) error {
	list, word, pasted, fault := readList(c.r)
	set := settings{strings.TrimSpace(c.r.PostFormValue("name")), c.r.PostFormValue("agree"), c.r.PostFormValue("after"), c.r.PostFormValue("priority"), c.r.PostFormValue("deadline")}
	if set.Name == "" {
		set.Name = sitelist.Word(word) + h.opt.Now().UTC().Format("-20060102-150405")
	}
	d := draft{person: c.Name, list: list, pasted: pasted, set: set}
	f := d.form()
	bad := func(field, text string) { f.Errors = append(f.Errors, formError{field, text}) }
	if fault != "" {
		bad("sites", fault)
	} else if d.checked = checkList(list); d.checked.Sites == 0 {
		text := "Give at least one site: a domain or URL a line, or CSV with a header that has url or domain"
		if d.checked.Bad > 0 {
			text = fmt.Sprintf("No line names a site. Line %d: %s", d.checked.Lines[0].Line, d.checked.Lines[0].Reason)
		}
		bad("sites", text)
	}
	set.launch(bad)
	if len(f.Errors) > 0 {
		return h.launchShown(c, http.StatusUnprocessableEntity, f)
	}
	var err error
	if d.id, err = h.desk.keep(d); err != nil {
		return err
	}
	return h.checkedShown(c, http.StatusOK, d, repeatForm{Zone: "Europe/London"})
}

func (h *Handler) checkedShown(c *call, status int, d draft, repeat repeatForm) error {
	return h.render(c.w, status, "checked.html", &view{Title: "Check the list", Here: "sweeps", Who: &c.session,
		D: map[string]any{"Draft": d.id, "Set": d.set, "List": d.checked, "More": d.checked.Bad - len(d.checked.Lines), "Lists": d.form().Lists(), "Repeat": repeat}})
}

// errNoDraft is what people are told whose list is no longer kept.
func errNoDraft() error {
	return &refusal{http.StatusGone, "The list is no longer here", "It was launched, replaced by another, or checked more than an hour ago. Check it again."}
}

// onCluster is a handler that needs a cluster, and says so where there is none.
func (h *Handler) onCluster(do func(*call) error) func(*call) error {
	if h.opt.Sweeps != nil {
		return do
	}
	return func(*call) error {
		return &refusal{http.StatusServiceUnavailable, "There is no cluster", "This program does not know where sweeps are launched: it was started without --nats. pecrawler sweep makes one in a process of its own."}
	}
}

// launch launches the list that was checked.
func (h *Handler) launch(c *call) error {
	d, ok := h.desk.of(c.Name, c.r.PostFormValue("draft"))
	if !ok {
		return errNoDraft()
	}
	l := d.set.launch(func(string, string) {}) // it was good when it was checked
	err := h.start(c, l, d.list, d.checked.Sites)
	if errors.Is(err, ErrNameTaken) {
		f := d.form()
		f.Errors = formErrors{{"name", "There is a sweep of this name. Choose another"}}
		return h.launchShown(c, http.StatusConflict, f)
	}
	if err != nil {
		return err
	}
	h.desk.drop(c.Name)
	http.Redirect(c.w, c.r, "/launches/"+url.PathEscape(l.Sweep)+"?live=5", http.StatusSeeOther)
	return nil
}

// start launches a list, of so many sites, and logs it.
func (h *Handler) start(c *call, l Launch, list string, sites int) error {
	l.Sites = entries(list, func() {}, func(sitelist.LineError) {})
	ctx := c.r.Context()
	err := h.free(ctx, l.Sweep)
	if err == nil {
		err = h.opt.Sweeps.Launch(ctx, l)
	}
	if errors.Is(err, ErrNameTaken) {
		return err
	}
	if err != nil {
		return h.trouble(c, "launch", err)
	}
	return h.note(ctx, c.Person, "launch", l.Sweep, fmt.Sprintf("%d sites, %d agreeing visits, priority %d", sites, l.Agree, l.Priority))
}

// free tells whether a name is not that of a sweep that was made elsewhere: of
// its own, the cluster knows whether they were launched to the end.
func (h *Handler) free(ctx context.Context, sweep string) error {
	_, err := h.opt.Sweeps.State(ctx, sweep)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if _, err = h.store.Sweep(ctx, sweep); err == nil {
		return ErrNameTaken
	} else if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// trouble is what the cluster did not do. What it says may name machines, so it
// goes into the log of the program.
func (h *Handler) trouble(c *call, what string, err error) error {
	if errors.Is(err, store.ErrNotFound) || c.r.Context().Err() != nil {
		return err
	}
	h.log.Error("the cluster did not do what was asked", "what", what, "err", err)
	return &refusal{http.StatusBadGateway, "The cluster did not do it", "Nothing is lost: try the same again. The log of the program says what was wrong."}
}

// state is that of the sweep that an address names.
func (h *Handler) state(c *call) (State, error) {
	st, err := h.opt.Sweeps.State(c.r.Context(), c.r.PathValue("sweep"))
	if err != nil {
		err = h.trouble(c, "state", err)
	}
	return st, err
}

// launched shows how far a launched sweep is. Whoever wants it to be loaded
// again and again asks for that, and can end it.
func (h *Handler) launched(c *call) error {
	st, err := h.state(c)
	if err != nil {
		return err
	}
	live := 0
	if n, _ := strconv.Atoi(c.r.URL.Query().Get("live")); n > 0 && !st.Over {
		live = min(max(n, 2), 60)
		c.w.Header().Set("Refresh", strconv.Itoa(live))
	}
	_, err = h.store.Sweep(c.r.Context(), st.Sweep)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return h.show(c, "launched.html", "Sweep "+st.Sweep, "sweeps", map[string]any{"State": st, "Tallies": tallies(st.Overall, st.Listed), "Live": live, "Stored": err == nil, "Bar": 1000 * min(st.Done, st.Listed) / max(st.Listed, 1)})
}

// steer pauses a sweep, goes on with it or cancels it.
func (h *Handler) steer(c *call) error {
	sweep, word := c.r.PathValue("sweep"), c.r.PathValue("do")
	do := map[string]func(context.Context, string) error{"pause": h.opt.Sweeps.Pause, "resume": h.opt.Sweeps.Resume, "cancel": h.opt.Sweeps.Cancel}[word]
	if do == nil {
		return store.ErrNotFound
	}
	st, err := h.state(c)
	if err != nil {
		return err
	}
	if st.Over {
		return &refusal{http.StatusConflict, "The sweep is over", "It ended, or was cancelled, since you opened the page."}
	}
	if err := do(c.r.Context(), sweep); err != nil {
		return h.trouble(c, word, err)
	}
	if err := h.note(c.r.Context(), c.Person, word, sweep, ""); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/launches/"+url.PathEscape(sweep), http.StatusSeeOther)
	return nil
}
