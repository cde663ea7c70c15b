package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
	"pecrawler/store"
)

// cluster starts a NATS server on a port of its own.
func cluster(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Listen: addr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return "nats://" + addr
}

// standIn makes visits without a browser: what a site is stands in its name.
type standIn struct {
	mu     sync.Mutex
	made   map[string][]time.Time // by visit
	hosts  map[string][]time.Time
	downUp bool          // sites that are down are up
	wrong  time.Duration // by which the worker's clock is
}

func (s *standIn) work(ctx context.Context, q *queue.Queue) {
	for {
		job, err := q.Next(ctx)
		if err != nil {
			return
		}
		v := job.Visit
		s.mu.Lock()
		s.made[v.ID()] = append(s.made[v.ID()], time.Now())
		s.hosts[v.Site] = append(s.hosts[v.Site], time.Now())
		up, wrong := s.downUp, s.wrong
		s.mu.Unlock()
		if strings.HasPrefix(v.Site, "poison") {
			job.Dead(ctx, "it kills the browser")
			continue
		}
		out := pc.Verdict{Schema: pc.VerdictSchema, Sweep: v.Sweep, Site: v.Site, URL: v.URL, Visit: v.Number, Visits: 1, Agreeing: 1, Outcome: pc.Assessed, Overall: pc.Clear,
			Bundles: []string{"sha256:" + v.ID()}, Times: pc.Times{First: time.Now().Add(wrong), Last: time.Now().Add(wrong)}, Findings: []pc.Finding{{Rule: "r", Status: "stable", Outcome: pc.Pass}}}
		switch {
		case strings.HasPrefix(v.Site, "bad"):
			out.Findings[0].Outcome, out.Overall = pc.Fail, pc.Review
		case strings.HasPrefix(v.Site, "down") && !up:
			out.Outcome, out.Overall, out.Findings = pc.Blocked, pc.NotAssessed, nil
		}
		// What was seen goes out even if the worker is stopped now.
		if q.PublishResult(context.WithoutCancel(ctx), out) == nil {
			job.Done(context.WithoutCancel(ctx))
		}
	}
}

func startStandIn(t *testing.T, url string, workers int) *standIn {
	t.Helper()
	s := &standIn{made: map[string][]time.Time{}, hosts: map[string][]time.Time{}}
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Role: queue.Worker, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var g sync.WaitGroup
	for range workers {
		g.Go(func() { s.work(ctx, q) })
	}
	t.Cleanup(func() { stop(); g.Wait(); q.Close() })
	return s
}

// startCollector runs the command until stop is called.
func startCollector(t *testing.T, url, out string) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan string, 1)
	go func() {
		code, _, errs := pecrawler(ctx, t, "", "collect", "--nats", url, "--out", out, "--listen", "127.0.0.1:0")
		if code != 0 {
			done <- errs
		}
		close(done)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if errs := <-done; errs != "" {
			t.Errorf("collect: %s", errs)
		}
	})
	t.Cleanup(stop)
	return stop
}

func status(t *testing.T, url, sweep string) (st struct {
	Sites, Listed, Done, Visits, Waiting, Later int
	Overall                                     map[pc.Overall]int
	Ended                                       queue.Ending
	Paused                                      bool
}) {
	t.Helper()
	code, out, errs := pecrawler(t.Context(), t, "", "status", "--json", "--nats", url, sweep)
	if code != 0 {
		t.Fatalf("status: %d %s", code, errs)
	}
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatalf("status: %v in %s", err, out)
	}
	return st
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

func words(t *testing.T, out, sweep string) map[string]pc.Verdict {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(out, "verdicts", sweep+".jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]pc.Verdict{}
	for line := range strings.Lines(string(raw)) {
		var v pc.Verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if _, dup := got[v.Site]; dup {
			t.Errorf("%s has two last words", v.Site)
		}
		got[v.Site] = v
	}
	return got
}

// The life of a sweep on a cluster: launched, collected through a restart of
// the collector, ended, its failures visited again, one site visited again.
func TestALaunchedSweep(t *testing.T) {
	url, out := cluster(t), t.TempDir()
	var list strings.Builder
	list.WriteString("domain,rank\n")
	for i := range 20 {
		fmt.Fprintf(&list, "good%d.example,%d\n", i, i+1)
	}
	list.WriteString("bad1.example,30\nbad2.example,31\ndown1.example,32\npoison.example,33\nnot a site\ngood3.example,50\n")
	code, name, errs := pecrawler(t.Context(), t, list.String(), "launch", "--nats", url, "--name", "uk", "--agree-after", "3s", "-")
	if code != 0 || name != "uk\n" || !strings.Contains(errs, "24 sites") || !strings.Contains(errs, "not a site") || !strings.Contains(errs, "1 lines name a site again") {
		t.Fatalf("launch: %d %q %s", code, name, errs)
	}
	if code, _, errs := pecrawler(t.Context(), t, "", "launch", "--nats", url, "--name", "uk", "other.example"); code != 1 || !strings.Contains(errs, "--name") {
		t.Errorf("launched twice: %d %s", code, errs)
	}
	// While it is paused the list is taken in, and nothing is visited.
	if code, _, errs := pecrawler(t.Context(), t, "", "pause", "--nats", url, "uk"); code != 0 {
		t.Fatalf("pause: %s", errs)
	}
	stop := startCollector(t, url, out)
	workers := startStandIn(t, url, 3)
	waitFor(t, "the list is taken in", func() bool { return status(t, url, "uk").Waiting == 24 })
	time.Sleep(500 * time.Millisecond)
	workers.mu.Lock()
	if len(workers.made) > 0 {
		t.Errorf("visits of a paused sweep: %v", workers.made)
	}
	workers.mu.Unlock()
	if code, _, errs := pecrawler(t.Context(), t, "", "resume", "--nats", url, "uk"); code != 0 {
		t.Fatalf("resume: %s", errs)
	}
	forger, err := queue.Open(t.Context(), queue.Config{URL: url, Role: queue.Worker, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer forger.Close()
	if err := forger.PublishResult(t.Context(), pc.Verdict{Sweep: "uk", Site: "stranger.example", Visit: 1, Outcome: pc.Assessed}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "half of it is done", func() bool { return status(t, url, "uk").Done >= 10 })
	stop() // what comes meanwhile waits
	time.Sleep(time.Second)
	startCollector(t, url, out)
	waitFor(t, "the sweep ends", func() bool { return status(t, url, "uk").Ended == queue.EndedDone })
	got := words(t, out, "uk")
	if len(got) != 24 {
		t.Errorf("%d last words, want 24", len(got))
	}
	for site, want := range map[string]pc.Overall{"good3.example": pc.Clear, "bad1.example": pc.Flagged, "down1.example": pc.NotAssessed, "poison.example": pc.NotAssessed} {
		if got[site].Overall != want {
			t.Errorf("%s is %s, want %s", site, got[site].Overall, want)
		}
	}
	if v := got["good3.example"]; v.Rank != 0 && v.Visits != 1 {
		t.Errorf("a site without suspicion: %+v", v)
	}
	workers.mu.Lock()
	if times := workers.hosts["bad1.example"]; len(times) != 2 || times[1].Sub(times[0]) < 2*time.Second {
		t.Errorf("a suspicious site was visited at %v, want twice, 3s apart", times)
	}
	for id, times := range workers.made {
		if len(times) != 1 {
			t.Errorf("%s was made %d times", id, len(times))
		}
	}
	workers.downUp = true
	workers.mu.Unlock()

	code, dead, errs := pecrawler(t.Context(), t, "", "queue", "dead", "list", "--nats", url)
	if code != 0 || !strings.Contains(dead, "poison.example") || !strings.Contains(dead, "kills the browser") {
		t.Errorf("queue dead list: %d %s%s", code, dead, errs)
	}

	// Its failures once more.
	if code, _, errs := pecrawler(t.Context(), t, "", "launch", "--nats", url, "--rerun", "failures", "uk"); code != 0 {
		t.Fatalf("rerun: %s", errs)
	}
	waitFor(t, "it is open again", func() bool { return status(t, url, "uk").Ended == "" })
	waitFor(t, "it ends again", func() bool { return status(t, url, "uk").Ended == queue.EndedDone })
	got = words(t, out, "uk")
	if v := got["down1.example"]; v.Overall != pc.Clear || len(got) != 24 {
		t.Errorf("a site that is up again: %+v, %d words", v.Overall, len(got))
	}

	// One site once more, within the sweep that is over.
	if code, _, errs := pecrawler(t.Context(), t, "", "launch", "--nats", url, "--revisit", "uk", "good3.example"); code != 0 {
		t.Fatalf("revisit: %s", errs)
	}
	before := status(t, url, "uk").Visits
	waitFor(t, "the visit is told", func() bool { return status(t, url, "uk").Visits == before+1 })
	workers.mu.Lock()
	if len(workers.hosts["good3.example"]) != 2 || len(workers.made["uk/good3.example/2"]) != 1 {
		t.Errorf("visited again: %v", workers.made)
	}
	workers.mu.Unlock()

	code, table, errs := pecrawler(t.Context(), t, "", "status", "--nats", url)
	if code != 0 || !strings.Contains(table, "uk") || !strings.Contains(table, "done") {
		t.Errorf("status: %d %s%s", code, table, errs)
	}
	code, parts, errs := pecrawler(t.Context(), t, "", "queue", "check", "--nats", url)
	if code != 0 || !strings.Contains(parts, "VISITS/0-urgent") {
		t.Errorf("queue check: %d %s%s", code, parts, errs)
	}
}

// A sweep that is cancelled, or whose deadline passes, keeps what was found.
func TestASweepThatEndsEarly(t *testing.T) {
	url, out := cluster(t), t.TempDir()
	startCollector(t, url, out)
	var list strings.Builder
	list.WriteString("good.example\nbad1.example\n")
	for i := range 29 {
		fmt.Fprintf(&list, "good%d.example\n", i)
	}
	if code, _, errs := pecrawler(t.Context(), t, list.String(), "launch", "--nats", url, "--name", "cancelled", "-"); code != 0 {
		t.Fatal(errs)
	}
	if code, _, errs := pecrawler(t.Context(), t, list.String(), "launch", "--nats", url, "--name", "late", "--deadline", "4s", "--priority", "9", "-"); code != 0 {
		t.Fatal(errs)
	}
	waitFor(t, "the lists are taken in", func() bool { return status(t, url, "late").Waiting == 31 && status(t, url, "cancelled").Waiting == 31 })
	// The suspicious site is visited once, some others too.
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Role: queue.Worker, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	s := &standIn{made: map[string][]time.Time{}, hosts: map[string][]time.Time{}}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for ctx.Err() == nil {
			s.mu.Lock()
			if len(s.hosts["bad1.example"]) > 0 {
				cancel()
			}
			s.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}()
	s.work(ctx, q)
	waitFor(t, "the second visit is to come", func() bool { st := status(t, url, "cancelled"); return st.Later == 1 })
	if code, _, errs := pecrawler(t.Context(), t, "", "cancel", "--nats", url, "cancelled"); code != 0 {
		t.Fatal(errs)
	}
	waitFor(t, "it is cancelled", func() bool { return status(t, url, "cancelled").Ended == queue.EndedCancelled })
	waitFor(t, "the other is over", func() bool { return status(t, url, "late").Ended == queue.EndedDeadline })
	got := words(t, out, "cancelled")
	if v, ok := got["bad1.example"]; !ok || v.Overall != pc.Review || v.Visits != 1 {
		t.Errorf("a suspicion that was not confirmed: %+v", v.Overall)
	}
	for name, reason := range map[string]string{"cancelled": "cancelled", "late": "deadline"} {
		unseen := 0
		for _, v := range words(t, out, name) {
			if v.Visits == 0 {
				unseen++
				if v.Overall != pc.NotAssessed || v.Outcome != pc.Excluded || v.Reason != reason {
					t.Errorf("nobody visited %s, and it is %s: %s, %s", v.Site, v.Overall, v.Outcome, v.Reason)
				}
			}
		}
		if n := len(words(t, out, name)); n != 31 || unseen == 0 || name == "late" && unseen != 31 {
			t.Errorf("%s: %d last words, want 31; %d without a visit", name, n, unseen)
		}
	}
	if st := status(t, url, "cancelled"); st.Waiting != 0 || st.Later != 0 || st.Done != len(got) || st.Sites != 31 {
		t.Errorf("cancelled: %+v, %d words", st, len(got))
	}
	if code, _, errs := pecrawler(t.Context(), t, "", "resume", "--nats", url, "cancelled"); code != 1 || !strings.Contains(errs, "cancelled") {
		t.Errorf("resumed what is over: %d %s", code, errs)
	}
}

// A sweep that is cancelled while its list is still being stored has not ended
// before all of the list that there is was taken in.
func TestASweepThatIsCancelledWhileItIsLaunched(t *testing.T) {
	url, out := cluster(t), t.TempDir()
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Role: queue.Launcher, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	l, err := q.Launch(t.Context(), newSweep("broken-off", 2, 0, queue.DefaultPriority, 0, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	add := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			site := fmt.Sprintf("s%d.example", i)
			if err := l.Add(t.Context(), queue.Entry{Site: site, URL: "https://" + site + "/", Line: i + 1}); err != nil {
				t.Fatal(err)
			}
		}
	}
	add(0, 2000)
	if err := q.Cancel(t.Context(), "broken-off"); err != nil {
		t.Fatal(err)
	}
	startCollector(t, url, out)
	waitFor(t, "the sweep has ended", func() bool {
		st := status(t, url, "broken-off")
		if st.Ended != "" && st.Sites != 2000 {
			t.Fatalf("it has ended with %d of 2000 sites", st.Sites)
		}
		return st.Ended == queue.EndedCancelled
	})
	if n := len(words(t, out, "broken-off")); n != 2000 {
		t.Errorf("%d last words, want 2000", n)
	}
	// What comes of the list after all gets its words, too.
	add(2000, 2005)
	if _, err := l.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the rest is told", func() bool { return status(t, url, "broken-off").Done == 2005 })
	waitFor(t, "the rest is written", func() bool { return len(words(t, out, "broken-off")) == 2005 })
}

// Two collectors share a sweep that is cancelled, and only one of them knows it
// already: what somebody saw is the last word, and no further visit is asked for.
func TestOneOfTwoCollectorsKnowsThatASweepIsOver(t *testing.T) {
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ctx := t.Context()
	l, err := q.Launch(ctx, newSweep("uk", 2, time.Hour, queue.DefaultPriority, 0, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	entries := []queue.Entry{{Site: "bad1.example", URL: "https://bad1.example/", Line: 1}, {Site: "bad2.example", URL: "https://bad2.example/", Line: 2}}
	for _, e := range entries {
		if err := l.Add(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	one, two := newFleet(q, st, t.TempDir(), slog.New(slog.DiscardHandler)), newFleet(q, st, t.TempDir(), slog.New(slog.DiscardHandler))
	seen := func(site string) pc.Verdict {
		return pc.Verdict{Schema: pc.VerdictSchema, Sweep: "uk", Site: site, URL: "https://" + site + "/", Visit: 1, Visits: 1, Outcome: pc.Assessed, Overall: pc.Flagged,
			Times: pc.Times{First: time.Now(), Last: time.Now()}, Findings: []pc.Finding{{Rule: "r", Status: "stable", Outcome: pc.Fail}}}
	}
	if err := one.list(ctx, "uk", entries); err != nil {
		t.Fatal(err)
	}
	if _, err := two.of(ctx, "uk"); err != nil { // it has met the sweep, under way
		t.Fatal(err)
	}
	// The other has stored a result when the sweep is cancelled, and is killed there.
	if err := st.PutResult(ctx, seen("bad1.example")); err != nil {
		t.Fatal(err)
	}
	if err := q.Cancel(ctx, "uk"); err != nil {
		t.Fatal(err)
	}
	if err := two.take(ctx, seen("bad2.example")); err != nil {
		t.Fatal(err)
	}
	c, err := one.of(ctx, "uk")
	if err != nil {
		t.Fatal(err)
	}
	c.over.Store(true) // as early does
	for _, e := range entries {
		if err := c.notVisited(ctx, store.Site{Site: e.Site, URL: e.URL, Line: e.Line}, queue.EndedCancelled); err != nil {
			t.Fatal(err)
		}
		if got, err := st.Word(ctx, "uk", e.Site); err != nil || got.Overall != pc.Review || got.Visits != 1 {
			t.Errorf("%s: %s after %d visits, %v; want review after 1", e.Site, got.Overall, got.Visits, err)
		}
	}
	if n, err := q.Later(ctx, "uk"); err != nil || n != 0 {
		t.Errorf("%d further visits were asked for, %v", n, err)
	}
}

// A worker whose clock is hours off, either way, moves neither the second visit
// nor the last word.
func TestAWorkerWhoseClockIsWrong(t *testing.T) {
	for name, wrong := range map[string]time.Duration{"fast": 5 * time.Hour, "slow": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			url, out := cluster(t), t.TempDir()
			if code, _, errs := pecrawler(t.Context(), t, "bad.example\ngood.example\n", "launch", "--nats", url, "--name", "uk", "--agree-after", "3s", "--deadline", "1h", "-"); code != 0 {
				t.Fatalf("launch: %s", errs)
			}
			startCollector(t, url, out)
			workers := startStandIn(t, url, 1)
			workers.mu.Lock()
			workers.wrong = wrong
			workers.mu.Unlock()
			waitFor(t, "the sweep has ended", func() bool { return status(t, url, "uk").Ended == queue.EndedDone })
			workers.mu.Lock()
			defer workers.mu.Unlock()
			if times := workers.hosts["bad.example"]; len(times) != 2 || times[1].Sub(times[0]) < 2900*time.Millisecond {
				t.Errorf("a suspicious site was visited at %v, want twice, 3 s apart", times)
			}
			got := words(t, out, "uk")
			if v := got["bad.example"]; v.Overall != pc.Flagged || v.Visits != 2 || !v.Times.First.Before(v.Times.Last) {
				t.Errorf("%s after %d visits from %v to %v", v.Overall, v.Visits, v.Times.First, v.Times.Last)
			}
			if v := got["good.example"]; v.Overall != pc.Clear || v.Visits != 1 {
				t.Errorf("%s after %d visits", v.Overall, v.Visits)
			}
		})
	}
}

// One id finds a visit in the log, from the list to the last word.
func TestOneVisitIsFollowedByItsID(t *testing.T) {
	url := cluster(t)
	if code, _, errs := pecrawler(t.Context(), t, "bad.example\n", "launch", "--nats", url, "--name", "uk", "--agree-after", "1s", "-"); code != 0 {
		t.Fatalf("launch: %s", errs)
	}
	ctx, stop := context.WithCancel(t.Context())
	logged := make(chan string, 1)
	go func() {
		_, _, errs := pecrawler(ctx, t, "", "collect", "--nats", url, "--out", t.TempDir(), "--listen", "127.0.0.1:0", "--verbose")
		logged <- errs
	}()
	startStandIn(t, url, 1)
	waitFor(t, "the sweep has ended", func() bool { return status(t, url, "uk").Ended != "" })
	stop()
	var got []string
	for line := range strings.Lines(<-logged) {
		about, id, ok := strings.Cut(line, " sweep=uk site=bad.example visit=uk/bad.example/")
		if ok {
			_, msg, _ := strings.Cut(about, "msg=")
			got = append(got, id[:1]+" "+strings.Trim(msg, `"`))
		}
	}
	want := []string{"1 asked for the first visit", "1 result taken", "1 asked for another visit", "2 result taken", "2 last word"}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}
