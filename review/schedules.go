package review

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"pecrawler/internal/calendar"
	"pecrawler/internal/sitelist"
	"pecrawler/store"
)

// Repeat is a sweep that is launched again and again; Launch.Sweep is the name
// that those of its sweeps begin with, and Deadline counts from when each is due.
type Repeat struct {
	Launch
	When, Zone string // as internal/calendar reads them
	By         string

	// How it stands.
	Count      int // sites
	Due        time.Time
	Paused     bool
	Last       string // the sweep that was launched last; "": none yet
	Missed     int    // times that passed without a sweep
	LastMissed time.Time
	WhyMissed  string
}

// longestRepeat is how long a name may be: its sweeps have the time besides.
const longestRepeat = 50

// repeatForm is what somebody says of when a list is to be launched.
type repeatForm struct {
	When, Zone string
	Errors     formErrors
}

// local is a time by the clock that the schedule goes by.
func (r Repeat) local(t time.Time) string {
	if zone, err := time.LoadLocation(r.Zone); err == nil {
		t = t.In(zone)
	}
	return t.Format("Monday 2 January 2006, 15:04 MST")
}

// DueText is when the next sweep is due.
func (r Repeat) DueText() string { return r.local(r.Due) }

// MissedText is when the last time was missed.
func (r Repeat) MissedText() string { return r.local(r.LastMissed) }

func (h *Handler) schedules(c *call) error {
	all, err := h.opt.Sweeps.Repeats(c.r.Context())
	if err != nil {
		return h.trouble(c, "schedules", err)
	}
	return h.show(c, "schedules.html", "Sweeps by the calendar", "sweeps", map[string]any{"Rows": all})
}

// repeat stores the list that was checked, to be launched by the calendar.
func (h *Handler) repeat(c *call) error {
	d, ok := h.desk.of(c.Name, c.r.PostFormValue("draft"))
	if !ok {
		return errNoDraft()
	}
	f := repeatForm{When: strings.TrimSpace(c.r.PostFormValue("when")), Zone: strings.TrimSpace(c.r.PostFormValue("zone"))}
	bad := func(field, text string) { f.Errors = append(f.Errors, formError{field, text}) }
	if _, err := calendar.Parse("every day 00:00", f.Zone, h.opt.Now()); err != nil {
		bad("zone", "Name a time zone such as Europe/London")
	} else if _, err := calendar.Parse(f.When, f.Zone, h.opt.Now()); err != nil {
		bad("when", capital(strings.TrimPrefix(err.Error(), fmt.Sprintf("%q: ", f.When))))
	}
	if len(d.set.Name) > longestRepeat {
		bad("when", fmt.Sprintf("Change the name of the sweep to one of %d characters at most: the time is added to it", longestRepeat))
	}
	if len(f.Errors) > 0 {
		return h.checkedShown(c, http.StatusUnprocessableEntity, d, f)
	}
	r := Repeat{Launch: d.set.launch(func(string, string) {}), When: f.When, Zone: f.Zone, By: c.Name}
	r.Sites = entries(d.list, func() {}, func(sitelist.LineError) {})
	err := h.opt.Sweeps.Repeat(c.r.Context(), r)
	if errors.Is(err, ErrNameTaken) {
		bad("when", "There is a schedule of this name. Change the name of the sweep")
		return h.checkedShown(c, http.StatusConflict, d, f)
	}
	if err != nil {
		return h.trouble(c, "schedule", err)
	}
	if err := h.note(c.r.Context(), c.Person, "schedule", r.Sweep, fmt.Sprintf("%s, %s, %d sites", r.When, r.Zone, d.checked.Sites)); err != nil {
		return err
	}
	h.desk.drop(c.Name)
	http.Redirect(c.w, c.r, "/schedules", http.StatusSeeOther)
	return nil
}

// steerRepeat pauses what is repeated, goes on with it or removes it.
func (h *Handler) steerRepeat(c *call) error {
	name, do := c.r.PathValue("name"), c.r.PathValue("do")
	if !slices.Contains([]string{"pause", "resume", "remove"}, do) {
		return store.ErrNotFound
	}
	if err := h.opt.Sweeps.Steer(c.r.Context(), name, do); err != nil {
		return h.trouble(c, do+" a schedule", err)
	}
	if err := h.note(c.r.Context(), c.Person, "schedule-"+do, name, ""); err != nil {
		return err
	}
	http.Redirect(c.w, c.r, "/schedules", http.StatusSeeOther)
	return nil
}
