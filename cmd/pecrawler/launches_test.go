package main

import (
	"bytes"
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
)

// told is what a command has written so far.
type told struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *told) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *told) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// A sweep is launched in the page, paused, gone on with and followed to its end,
// by a real queue and a real collector; another is cancelled.
func TestLaunchedInThePage(t *testing.T) {
	at, out := cluster(t), t.TempDir()
	startCollector(t, at, out)
	var said told
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, 1)
	waitFor(t, "the store", func() bool { _, err := os.Stat(storePath(out)); return err == nil })
	go func() {
		done <- run(ctx, []string{"review", "--out", out, "--nats", at, "--listen", "127.0.0.1:0", "--person", "ann:launcher"}, env{strings.NewReader(""), io.Discard, &said})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-done; code != 0 {
			t.Errorf("review: %d\n%s", code, said.String())
		}
	})
	var link []string
	waitFor(t, "the link", func() bool {
		link = regexp.MustCompile(`Sign in as ann, once: (http://[^/]+)(/\S+)`).FindStringSubmatch(said.String())
		return link != nil
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Client{Jar: jar}
	read := func(resp *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d, %v\n%s", resp.Request.URL, resp.StatusCode, err, body)
		}
		return string(body)
	}
	get := func(path string) string { t.Helper(); return read(c.Get(link[1] + path)) }
	hidden := regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)"`)
	post := func(page, path string, more url.Values) string {
		t.Helper()
		_, form, _ := strings.Cut(page, `action="`+path+`"`)
		form, _, _ = strings.Cut(form, "</form>")
		for _, m := range hidden.FindAllStringSubmatch(form, -1) {
			more.Set(m[1], html.UnescapeString(m[2]))
		}
		return read(c.PostForm(link[1]+path, more))
	}
	get(link[2])
	launch := func(name string, sites ...string) string {
		t.Helper()
		checked := post(get("/launch"), "/launch", url.Values{"sites": {strings.Join(sites, "\n")}, "name": {name}, "agree": {"2"}, "after": {"0s"}, "priority": {"5"}, "deadline": {""}})
		return post(checked, "/launch/go", url.Values{})
	}
	page := launch("in-the-page", "good-1.example", "bad-1.example", "no site", "good-2.example")
	if page = post(page, "/launches/in-the-page/pause", url.Values{}); !strings.Contains(page, "Its visits are held back") {
		t.Errorf("it is not paused:\n%s", page)
	}
	waitFor(t, "the pause", func() bool { return status(t, at, "in-the-page").Paused })
	launch("dropped", "good-3.example")
	post(get("/launches/dropped"), "/launches/dropped/cancel", url.Values{})
	waitFor(t, "the cancelled sweep", func() bool { return status(t, at, "dropped").Ended == queue.EndedCancelled })

	startStandIn(t, at, 2)
	time.Sleep(time.Second)
	if st := status(t, at, "in-the-page"); st.Visits != 0 || st.Listed != 3 {
		t.Errorf("while it is paused: %+v", st)
	}
	post(get("/launches/in-the-page"), "/launches/in-the-page/resume", url.Values{})
	waitFor(t, "the end of the sweep", func() bool { return status(t, at, "in-the-page").Ended == queue.EndedDone })
	if st := status(t, at, "in-the-page"); st.Overall[pc.Flagged] != 1 || st.Overall[pc.Clear] != 2 {
		t.Errorf("in the end: %+v", st)
	}
	waitFor(t, "the page", func() bool {
		return strings.Contains(get("/launches/in-the-page"), "Done</strong> 3 of 3 sites have a last word.")
	})
	// By the calendar: stored with its list, and launched when it is due.
	checked := post(get("/launch"), "/launch", url.Values{"sites": {"good-4.example\ngood-5.example"}, "name": {"daily"}, "agree": {"2"}, "after": {"0s"}, "priority": {"5"}, "deadline": {""}})
	if page := post(checked, "/launch/repeat", url.Values{"when": {"every day 02:00"}, "zone": {"Europe/London"}}); !strings.Contains(page, "every day 02:00") {
		t.Errorf("it is not repeated:\n%s", page)
	}
	post(get("/schedules"), "/schedules/daily/pause", url.Values{})
	post(get("/schedules"), "/schedules/daily/resume", url.Values{})
	q, err := queue.Open(t.Context(), queue.Config{URL: at, Role: queue.Launcher, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	due := time.Now().UTC().Truncate(time.Minute)
	if err := q.ChangeSchedule(t.Context(), "daily", func(s *queue.Schedule) error { s.Due = due; return nil }); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the sweep that was due", func() bool {
		return strings.Contains(get("/schedules"), "/launches/daily-"+due.Format("20060102-1504"))
	})
	waitFor(t, "its end", func() bool { return status(t, at, "daily-"+due.Format("20060102-1504")).Ended == queue.EndedDone })
	post(get("/schedules"), "/schedules/daily/remove", url.Values{})
	if !strings.Contains(get("/sweeps/in-the-page"), "3 of 3 sites have their last word") {
		t.Error("its sites are not shown")
	}
}
