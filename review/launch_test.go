package review_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	pc "pecrawler"
	"pecrawler/review"
	"pecrawler/store"
)

// cluster keeps what is launched on it, and visits nothing.
type cluster struct {
	mu       sync.Mutex
	launched map[string]review.Launch
	sites    map[string][]string
	states   map[string]review.State
	repeats  map[string]review.Repeat
	down     bool
}

func newCluster() *cluster {
	return &cluster{launched: map[string]review.Launch{}, sites: map[string][]string{}, states: map[string]review.State{}, repeats: map[string]review.Repeat{}}
}

func (c *cluster) Repeat(_ context.Context, r review.Repeat) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return errors.New("nats://secret-host:4222: no servers")
	}
	if _, had := c.repeats[r.Sweep]; had {
		return review.ErrNameTaken
	}
	for range r.Sites {
		r.Count++
	}
	r.Due = time.Date(2027, 3, 29, 1, 0, 0, 0, time.UTC)
	c.repeats[r.Sweep] = r
	return nil
}

func (c *cluster) Repeats(context.Context) (out []review.Repeat, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errors.New("nats://secret-host:4222: no servers")
	}
	for _, name := range slices.Sorted(maps.Keys(c.repeats)) {
		out = append(out, c.repeats[name])
	}
	return out, nil
}

func (c *cluster) Steer(_ context.Context, name, do string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.repeats[name]
	if !ok {
		return store.ErrNotFound
	}
	r.Paused = do == "pause"
	if c.repeats[name] = r; do == "remove" {
		delete(c.repeats, name)
	}
	return nil
}

func (c *cluster) Launch(_ context.Context, l review.Launch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return errors.New("nats://secret-host:4222: no servers")
	}
	if _, had := c.launched[l.Sweep]; had {
		return review.ErrNameTaken
	}
	c.launched[l.Sweep] = l
	for e := range l.Sites {
		c.sites[l.Sweep] = append(c.sites[l.Sweep], e.Site)
	}
	n := len(c.sites[l.Sweep])
	c.states[l.Sweep] = review.State{Sweep: l.Sweep, Word: "running", Created: time.Now(), At: time.Now(), Listed: n, Done: n / 2, Visits: n, Waiting: 1, Overall: map[pc.Overall]int{pc.Flagged: n / 2}, Left: 90 * time.Minute}
	return nil
}

func (c *cluster) change(sweep string, do func(*review.State)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	st := c.states[sweep]
	do(&st)
	c.states[sweep] = st
	return nil
}

func (c *cluster) Pause(_ context.Context, sweep string) error {
	return c.change(sweep, func(s *review.State) { s.Paused, s.Word = true, "paused" })
}

func (c *cluster) Resume(_ context.Context, sweep string) error {
	return c.change(sweep, func(s *review.State) { s.Paused, s.Word = false, "running" })
}

func (c *cluster) Cancel(_ context.Context, sweep string) error {
	return c.change(sweep, func(s *review.State) { s.Over, s.Word = true, "being cancelled" })
}

func (c *cluster) State(_ context.Context, sweep string) (review.State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, ok := c.states[sweep]
	if !ok {
		return st, store.ErrNotFound
	}
	return st, nil
}

func (c *cluster) States(context.Context) (out []review.State, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.down {
		return nil, errors.New("nats://secret-host:4222: no servers")
	}
	for _, s := range c.states {
		out = append(out, s)
	}
	return out, nil
}

// upload sends the form of a launch with a file.
func (b *browser) upload(name, list string, answers ...string) (int, string) {
	b.t.Helper()
	_, page, _ := b.get("/launch")
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(answers); i += 2 {
		w.WriteField(answers[i], answers[i+1])
	}
	w.WriteField("token", fields(page, "/launch").Get("token"))
	f, err := w.CreateFormFile("file", name)
	if err != nil {
		b.t.Fatal(err)
	}
	f.Write([]byte(list))
	w.Close()
	resp, err := b.Post(b.URL+"/launch", w.FormDataContentType(), &body)
	code, text, _ := b.read(resp, err)
	return code, text
}

func set(more ...string) []string {
	return append([]string{"agree", "2", "after", "1h", "priority", "5", "deadline", ""}, more...)
}

// A list is checked line by line, then launched; the sites that it names are
// visited, each once.
func TestLaunch(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c})
	b := p.as("ann")
	code, body := b.post("/launch", "/launch", set("sites", "good.example\nnot a site\nwww.other.example\nGOOD.example\n"+hostile+"\nftp://x.example\n", "name", "uk-1")...)
	if code != http.StatusOK || !strings.Contains(body, "2 sites to visit") || !strings.Contains(body, "3 lines name no site") || !strings.Contains(body, "1 line was merged") || strings.Contains(body, "<script") {
		t.Fatalf("checked: %d\n%s", code, body)
	}
	for line, why := range map[string]string{"2": "holds a space", "6": "only http and https"} {
		if !regexp.MustCompile(`<th scope="row" class="govuk-table__header app-num">` + line + `</th><td[^>]*><code><bdi>[^<]*</bdi></code></td><td[^>]*><bdi>[^<]*` + why).MatchString(body) {
			t.Errorf("line %s: it is not said that it %s", line, why)
		}
	}
	if len(c.launched) != 0 {
		t.Error("something was launched by checking a list")
	}
	draft := fields(body, "/launch/go")
	if _, body, _ := b.get("/launch?draft=" + draft.Get("draft")); !strings.Contains(body, "www.other.example\nGOOD.example") || !strings.Contains(body, `value="uk-1"`) {
		t.Error("the list is gone when somebody goes back to change it")
	}
	resp, err := b.PostForm(p.URL+"/launch/go", draft)
	code, body, h := b.read(resp, err)
	if code != http.StatusOK || resp.Request.URL.RequestURI() != "/launches/uk-1?live=5" || h.Get("Refresh") != "5" || !strings.Contains(body, "1 of 2 sites have a last word") || !strings.Contains(body, "about 1h30m") {
		t.Errorf("launched: %d at %s, refresh %q\n%s", code, resp.Request.URL, h.Get("Refresh"), body)
	}
	if got := strings.Join(c.sites["uk-1"], " "); got != "good.example www.other.example" {
		t.Errorf("sites: %s", got)
	}
	if l := c.launched["uk-1"]; l.Agree != 2 || l.AgreeAfter != time.Hour || l.Priority != 5 || l.Deadline != 0 {
		t.Errorf("settings: %+v", l)
	}
	resp, err = b.PostForm(p.URL+"/launch/go", draft)
	if code, _, _ := b.read(resp, err); code != http.StatusGone {
		t.Errorf("the same again: %d", code)
	}
	if _, body, _ := b.get("/"); !strings.Contains(body, `href="/launches/uk-1"`) {
		t.Error("the sweeps do not show what is under way")
	}
	log, err := p.store.Audit(t.Context(), 0, 1)
	if err != nil || log[0].Act != "launch" || log[0].Who != "ann" || log[0].Subject != "uk-1" || !strings.HasPrefix(log[0].Detail, "2 sites") {
		t.Errorf("the log: %+v, %v", log, err)
	}
}

// What is wrong is said where it is, and nothing typed is lost.
func TestLaunchIsRefused(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c})
	b := p.as("ann")
	for name, x := range map[string]struct {
		answers []string
		says    string
	}{
		"nothing":        {set("sites", ""), "Give at least one site"},
		"no site":        {set("sites", "\nnot a site\n"), "Line 2: it holds a space"},
		"a name":         {set("sites", "a.example", "name", "UK Sweep"), "Name the sweep by"},
		"a dash first":   {set("sites", "a.example", "name", "-uk"), "which is not the first"},
		"a number":       {set("sites", "a.example", "agree", "11"), "Choose a number from 1 to 10"},
		"nonsense":       {set("sites", "a.example", "priority", hostile), "Choose a number from 1 to 9"},
		"a time":         {set("sites", "a.example", "after", "1s"), "Choose one of the list"},
		"another time":   {set("sites", "a.example", "deadline", "-1h"), "Choose one of the list"},
		"a taken name":   {set("sites", "a.example", "name", "one"), ""},
		"a hostile name": {set("sites", "kept.example", "name", hostile), "Name the sweep by"},
	} {
		code, body := b.post("/launch", "/launch", x.answers...)
		if x.says != "" && (code != http.StatusUnprocessableEntity || !strings.Contains(body, x.says)) || strings.Contains(body, "<script") {
			t.Errorf("%s: %d, says %q: %v", name, code, x.says, strings.Contains(body, x.says))
		}
		if name == "a hostile name" && !strings.Contains(body, ">kept.example</textarea>") {
			t.Error("the list is lost")
		}
		if name == "a taken name" { // of a sweep that was not made here
			resp, err := b.PostForm(p.URL+"/launch/go", fields(body, "/launch/go"))
			if code, body, _ := b.read(resp, err); code != http.StatusConflict || !strings.Contains(body, "There is a sweep of this name") || !strings.Contains(body, ">a.example</textarea>") {
				t.Errorf("%s: %d", name, code)
			}
		}
	}
	if code, body := b.upload("Top sites (UK).csv", "domain,rank\na.example,1\nb.example,x\n", set("name", "")...); code != http.StatusOK || !strings.Contains(body, "1 site to visit") || !strings.Contains(body, ">top-sites--uk-") || !strings.Contains(body, "is no number") {
		t.Errorf("a file: %d\n%s", code, body)
	}
	if code, body := b.upload("x.csv", "a.example\n", set("sites", "b.example")...); code != http.StatusUnprocessableEntity || !strings.Contains(body, "not both") {
		t.Errorf("a file and a list: %d", code)
	}
	if code, body := b.upload("x.csv", strings.Repeat("a.example\n", 4<<20), set()...); code != http.StatusRequestEntityTooLarge || !strings.Contains(body, "33 megabytes") {
		t.Errorf("40 megabytes: %d", code)
	}
	c.down = true
	_, body := b.post("/launch", "/launch", set("sites", "a.example", "name", "later")...)
	resp, err := b.PostForm(p.URL+"/launch/go", fields(body, "/launch/go"))
	if code, body, _ := b.read(resp, err); code != http.StatusBadGateway || strings.Contains(body, "secret-host") {
		t.Errorf("no cluster: %d\n%s", code, body)
	}
	if code, body, _ := b.get("/"); code != http.StatusOK || !strings.Contains(body, "does not answer") || strings.Contains(body, "secret-host") {
		t.Errorf("the sweeps without a cluster: %d", code)
	}
	if len(c.launched) != 0 {
		t.Errorf("launched: %+v", c.launched)
	}
}

// Without a cluster the form says so, and nothing else is done.
func TestNoCluster(t *testing.T) {
	p := serve(t, review.Options{})
	b := p.as("ann")
	if code, body, _ := b.get("/launch"); code != http.StatusOK || !strings.Contains(body, "does not know a cluster") {
		t.Errorf("the form: %d", code)
	}
	if code, body, _ := b.get("/launches/one"); code != http.StatusServiceUnavailable || !strings.Contains(body, "There is no cluster") {
		t.Errorf("how far it is: %d", code)
	}
	for _, path := range []string{"/launch", "/launch/go", "/launch/repeat", "/launches/one/pause", "/schedules/one/pause"} {
		if code, body := b.post("/", path); code != http.StatusServiceUnavailable || !strings.Contains(body, "There is no cluster") {
			t.Errorf("%s: %d", path, code)
		}
	}
	g := b.program("launcher")
	for method, path := range map[string]string{http.MethodPost: "/api/sweeps?name=x", http.MethodGet: "/api/launches/one"} {
		if code, body, _ := g.ask(method, path, "a.example\n"); code != http.StatusServiceUnavailable || !strings.Contains(body, "There is no cluster") {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// A sweep is paused, goes on and is cancelled; each is logged.
func TestSteer(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c, People: []review.Person{{Name: "ann", Roles: []review.Role{review.Launcher}}, {Name: "op", Roles: []review.Role{review.Operator}}, {Name: "rea", Roles: []review.Role{review.Reader}}}})
	ann, op := p.as("ann"), p.as("op")
	_, body := ann.post("/launch", "/launch", set("sites", "a.example", "name", "uk-1")...)
	resp, err := ann.PostForm(p.URL+"/launch/go", fields(body, "/launch/go"))
	ann.read(resp, err)
	if _, body, h := ann.get("/launches/uk-1?live=1"); h.Get("Refresh") != "2" || !strings.Contains(body, "Stop that") {
		t.Errorf("loaded again every %q seconds", h.Get("Refresh"))
	}
	if _, body, h := p.as("rea").get("/launches/uk-1"); h.Get("Refresh") != "" || strings.Contains(body, "Steer it") {
		t.Error("a reader is offered to steer, or a page loads itself without being asked to")
	}
	for _, do := range []string{"pause", "resume", "cancel"} {
		if code, body := op.post("/launches/uk-1", "/launches/uk-1/"+do); code != http.StatusOK {
			t.Errorf("%s: %d\n%s", do, code, body)
		}
	}
	if code, body := op.post("/", "/launches/uk-1/pause"); code != http.StatusConflict || !strings.Contains(body, "The sweep is over") {
		t.Errorf("what is over: %d", code)
	}
	for _, path := range []string{"/launches/uk-1/drop", "/launches/uk-2/pause"} {
		if code, _ := op.post("/", path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
	log, err := p.store.Audit(t.Context(), 0, 3)
	if err != nil || log[0].Act != "cancel" || log[1].Act != "resume" || log[2].Act != "pause" || log[0].Who != "op" {
		t.Errorf("the log: %+v, %v", log, err)
	}
}

// A sweep is launched by keyboard alone, and every page and state on the way is
// sound, wide and narrow.
func TestLaunchByKeyboard(t *testing.T) {
	c := newCluster()
	p := serve(t, review.Options{Sweeps: c})
	b := openTab(t, p, "ann")
	at := func(want string) { t.Helper(); b.until(fmt.Sprintf(`location.pathname === %q`, want)) }
	at("/")
	b.press(`a[href="/launch"]`, kb.Enter)
	at("/launch")
	b.sounds("launch")
	b.press(`form[action="/launch"] button`, kb.Enter)
	b.until(`document.querySelector(".govuk-error-summary") !== null`)
	b.sounds("launch-refused")
	b.press(`#sites`, "good.example")
	b.run(chromedp.KeyEvent("\r"), chromedp.KeyEvent("not a site"), chromedp.KeyEvent("\r"), chromedp.KeyEvent("javascript:alert(1)//"+strings.Repeat("W", 300)))
	b.press(`#name`, "by-hand")
	eval[bool](b, `document.querySelector("#name").value = "by-hand", true`)
	b.press(`form[action="/launch"] button`, kb.Enter)
	b.until(`document.querySelector("form[action='/launch/go']") !== null`)
	b.sounds("checked")
	b.press(`form[action="/launch/go"] button`, kb.Enter)
	at("/launches/by-hand")
	b.press(`a[href="/launches/by-hand"]`, kb.Enter) // stop loading it again
	b.until(`location.search === "" && document.querySelector("form[action$='/pause']") !== null`)
	b.sounds("launched")
	b.press(`form[action$="/pause"] button`, kb.Enter)
	b.until(`document.querySelector("form[action$='/resume']") !== null`)
	b.sounds("paused")
	b.run(chromedp.Navigate(p.URL + "/"))
	b.sounds("sweeps")
	if st := c.states["by-hand"]; !st.Paused {
		t.Errorf("it is not paused: %+v", st)
	}
}
