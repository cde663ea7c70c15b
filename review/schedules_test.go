package review_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"pecrawler/review"
)

// A list that was checked is repeated by the calendar, paused, gone on with and
// removed; each is logged, and what is wrong is said where it is.
func TestSchedules(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c, People: []review.Person{{Name: "ann", Roles: []review.Role{review.Launcher}}, {Name: "op", Roles: []review.Role{review.Operator}}, {Name: "rea", Roles: []review.Role{review.Reader}}}})
	ann, op, rea := p.as("ann"), p.as("op"), p.as("rea")
	if _, body, _ := ann.get("/"); !strings.Contains(body, `href="/schedules"`) {
		t.Error("the sweeps do not lead there")
	}
	if _, body, _ := ann.get("/schedules"); !strings.Contains(body, "No sweep is repeated") {
		t.Error("it is not said that there is none")
	}
	_, checked := ann.post("/launch", "/launch", set("sites", "good.example\nnot a site\nb.example", "name", "uk")...)
	try := func(want int, says string, answers ...string) string {
		t.Helper()
		form := fields(checked, "/launch/repeat")
		for i := 0; i < len(answers); i += 2 {
			form.Set(answers[i], answers[i+1])
		}
		resp, err := ann.PostForm(p.URL+"/launch/repeat", form)
		code, body, _ := ann.read(resp, err)
		if code != want || !strings.Contains(body, says) || strings.Contains(body, "<script") {
			t.Errorf("%q: %d, says %q: %v", answers, code, says, strings.Contains(body, says))
		}
		return body
	}
	try(http.StatusUnprocessableEntity, "Want &#34;every day 02:00&#34;", "when", "", "zone", "Europe/London")
	try(http.StatusUnprocessableEntity, "is no time of day", "when", "every monday "+hostile, "zone", "Europe/London")
	try(http.StatusUnprocessableEntity, "Name a time zone such as", "when", "every monday 02:00", "zone", hostile)
	if body := try(http.StatusUnprocessableEntity, "There is a problem", "when", "every moonday 02:00", "zone", "Europe/Paris"); !strings.Contains(body, `value="every moonday 02:00"`) || !strings.Contains(body, `value="Europe/Paris"`) || !strings.Contains(body, "2 sites to visit") {
		t.Error("what was typed, or the list, is lost")
	}
	c.down = true
	if body := try(http.StatusBadGateway, "The cluster did not do it", "when", "every monday 02:00", "zone", "Europe/London"); strings.Contains(body, "secret-host") {
		t.Error("a host is shown")
	}
	c.down = false
	try(http.StatusOK, "Monday 29 March 2027, 02:00 BST", "when", "every monday 02:00", "zone", "Europe/London")
	if r := c.repeats["uk"]; r.Count != 2 || r.When != "every monday 02:00" || r.Agree != 2 || r.AgreeAfter != time.Hour || r.By != "ann" || len(c.launched) != 0 {
		t.Errorf("%+v; %d sweeps were launched at once", r, len(c.launched))
	}
	try(http.StatusGone, "no longer here", "when", "every monday 02:00", "zone", "Europe/London")
	for name, says := range map[string]string{"uk": "There is a schedule of this name", strings.Repeat("x", 51): "50 characters at most"} {
		_, checked = ann.post("/launch", "/launch", set("sites", "good.example", "name", name)...)
		want := http.StatusUnprocessableEntity
		if name == "uk" {
			want = http.StatusConflict
		}
		try(want, says, "when", "every monday 02:00", "zone", "Europe/London")
	}

	if _, body, _ := rea.get("/schedules"); !strings.Contains(body, "<bdi>uk</bdi>") || strings.Contains(body, "<form method=\"post\" action=\"/schedules") {
		t.Error("a reader sees nothing, or is offered to steer")
	}
	if code, _ := op.post("/schedules", "/schedules/uk/pause"); code != http.StatusOK || !c.repeats["uk"].Paused {
		t.Errorf("pause: %d", code)
	}
	if _, body, _ := op.get("/schedules"); !strings.Contains(body, "Paused</strong>") {
		t.Error("it does not say that it is paused")
	}
	if code, _ := op.post("/schedules", "/schedules/uk/resume"); code != http.StatusOK || c.repeats["uk"].Paused {
		t.Errorf("resume: %d", code)
	}
	r := c.repeats["uk"]
	r.Last, r.Missed, r.LastMissed, r.WhyMissed = "uk-20270322-0200", 2, time.Date(2027, 3, 15, 2, 0, 0, 0, time.UTC), "nobody collected"
	c.repeats["uk"] = r
	if _, body, _ := rea.get("/schedules"); !strings.Contains(body, `href="/launches/uk-20270322-0200"`) || !strings.Contains(body, "2 times, last on Monday 15 March 2027, 02:00 GMT: <bdi>nobody collected</bdi>") {
		t.Errorf("what was launched and missed:\n%s", body)
	}
	if code, _ := op.post("/schedules", "/schedules/uk/remove"); code != http.StatusOK || len(c.repeats) != 0 {
		t.Errorf("remove: %d", code)
	}
	for _, path := range []string{"/schedules/uk/pause", "/schedules/uk/launch"} {
		if code, _ := op.post("/", path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	log, err := p.store.Audit(t.Context(), 0, 4)
	if err != nil || log[0].Act != "schedule-remove" || log[1].Act != "schedule-resume" || log[2].Act != "schedule-pause" || log[3].Act != "schedule" || log[3].Who != "ann" || log[3].Detail != "every monday 02:00, Europe/London, 2 sites" {
		t.Errorf("the log: %+v, %v", log, err)
	}
	c.down = true
	if code, body, _ := op.get("/schedules"); code != http.StatusBadGateway || strings.Contains(body, "secret-host") {
		t.Errorf("no cluster: %d", code)
	}
}

// A list is repeated by keyboard alone, and every page on the way is sound.
func TestScheduleByKeyboard(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c})
	b := openTab(t, p, "ann")
	at := func(want string) { t.Helper(); b.until(fmt.Sprintf(`location.pathname === %q`, want)) }
	at("/")
	b.press(`a[href="/schedules"]`, kb.Enter)
	at("/schedules")
	b.sounds("schedules-none")
	b.press(`main a[href="/launch"]`, kb.Enter)
	at("/launch")
	b.press(`#sites`, "good.example")
	b.press(`#name`, "by-calendar")
	b.press(`form[action="/launch"] button`, kb.Enter)
	b.until(`document.querySelector("form[action='/launch/repeat']") !== null`)
	b.press(`form[action="/launch/repeat"] button`, kb.Enter)
	b.until(`document.querySelector("#when-error") !== null`)
	b.sounds("schedule-refused")
	b.press(`#when`, "every day 02:00")
	b.press(`form[action="/launch/repeat"] button`, kb.Enter)
	at("/schedules")
	b.sounds("schedules")
	b.press(`form[action$="/pause"] button`, kb.Enter)
	b.until(`document.querySelector("form[action$='/resume']") !== null`)
	b.sounds("schedule-paused")
	if !c.repeats["by-calendar"].Paused {
		t.Errorf("it is not paused: %+v", c.repeats)
	}
}
