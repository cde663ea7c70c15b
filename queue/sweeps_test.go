package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
)

func sweep(id string) queue.Sweep {
	return queue.Sweep{ID: id, Agree: 2, AgreeAfter: queue.Span(time.Hour), Priority: queue.DefaultPriority, Created: time.UnixMilli(1000).UTC()}
}

func launch(t *testing.T, q *queue.Queue, s queue.Sweep, n int) error {
	t.Helper()
	l, err := q.Launch(t.Context(), s)
	if err != nil {
		return err
	}
	for i := range n {
		if err := l.Add(t.Context(), queue.Entry{Site: fmt.Sprintf("s%d.example", i), URL: fmt.Sprintf("https://s%d.example/", i), Line: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if sites, err := l.Finish(t.Context()); err != nil || sites != n {
		t.Fatalf("Finish: %d, %v", sites, err)
	}
	return nil
}

// none asserts that no visit is handed out for a while.
func none(t *testing.T, q *queue.Queue, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if j, err := q.Next(ctx); err == nil {
		t.Fatalf("%s was handed out: %s", j.Visit.ID(), why)
	}
}

// A list goes to whoever collects whole and once, also when its launch broke off
// and was begun again.
func TestLaunch(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	l, err := q.Launch(ctx, sweep("big"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1500 { // one part is stored, the other is lost with the process
		l.Add(ctx, queue.Entry{Site: fmt.Sprintf("s%d.example", i), URL: fmt.Sprintf("https://s%d.example/", i), Line: i + 1})
	}
	if st, err := q.State(ctx, "big"); err != nil || st.Listed != 0 {
		t.Errorf("half a launch: %+v, %v", st, err)
	}
	if err := launch(t, q, sweep("big"), 2500); err != nil {
		t.Fatal(err)
	}
	if err := launch(t, q, sweep("big"), 1); !errors.Is(err, queue.ErrSweepExists) || !strings.Contains(err.Error(), "--name") {
		t.Errorf("launched twice: %v", err)
	}
	collect, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	seen := map[string]bool{}
	tries := 0
	err = q.Collect(collect, queue.Handler{List: func(_ context.Context, sweep string, es []queue.Entry) error {
		if tries++; tries == 1 {
			return errors.New("disk full")
		}
		for _, e := range es {
			if seen[e.Site] || sweep != "big" {
				t.Errorf("%s of %s came again", e.Site, sweep)
			}
			seen[e.Site] = true
		}
		if len(seen) == 2500 {
			stop()
		}
		return nil
	}})
	if err != nil || len(seen) != 2500 {
		t.Errorf("%d of 2500 sites came: %v", len(seen), err)
	}
	if st, err := q.Sweeps(ctx); err != nil || len(st) != 1 || st[0].Listed != 2500 || st[0].AgreeAfter != queue.Span(time.Hour) {
		t.Errorf("Sweeps: %+v, %v", st, err)
	}
}

// A paused sweep hands out nothing and loses nothing, also over a restart; what
// is in hand can be finished.
func TestPauseAndResume(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	ctx := t.Context()
	if err := launch(t, q, sweep("test"), 1); err != nil {
		t.Fatal(err)
	}
	if err := q.AddVisits(ctx, visits(3)); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	if err := q.Pause(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	none(t, q, "the sweep is paused")
	if err := j.Done(ctx); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = open(t, dir)
	if st, err := q.State(ctx, "test"); err != nil || !st.Paused || st.Waiting != 2 || st.InHand != 0 {
		t.Errorf("paused: %+v, %v", st, err)
	}
	none(t, q, "the sweep is paused over a restart")
	if err := q.Resume(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := next(t, q).Done(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Pause(ctx, "none"); !errors.Is(err, queue.ErrNoSweep) {
		t.Errorf("paused a sweep that is none: %v", err)
	}
}

// Cancelling drops what waits, now and later, and lets the visit in hand end.
func TestCancel(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	if err := launch(t, q, sweep("test"), 1); err != nil {
		t.Fatal(err)
	}
	vs := visits(4)
	if err := errors.Join(q.AddVisits(ctx, vs[:3]), q.AddVisitAt(ctx, vs[3], time.Now().Add(2*time.Second))); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	if err := q.Cancel(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	if st, err := q.State(ctx, "test"); err != nil || st.Cancelled == nil || st.Waiting != 0 || st.Later != 0 {
		t.Errorf("cancelled: %+v, %v", st, err)
	}
	if err := j.Done(ctx); err != nil {
		t.Errorf("the visit in hand: %v", err)
	}
	time.Sleep(time.Second)
	none(t, q, "the sweep was cancelled")
	if err := q.Pause(ctx, "test"); err == nil || !strings.Contains(err.Error(), "cancelled") {
		t.Errorf("paused what is over: %v", err)
	}
	// Its consumer goes while a visit is in hand.
	q.AddVisits(ctx, []pc.Visit{{Sweep: "other", Site: "a.example", Number: 1}})
	j = next(t, q)
	if err := q.End(ctx, "other"); err != nil {
		t.Fatal(err)
	}
	if err := j.Done(ctx); err != nil {
		t.Errorf("the visit in hand of a sweep that ended: %v", err)
	}
}

// A visit of later comes at its time and not before, once, and also when the
// server was stopped in between.
func TestLater(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	ctx := t.Context()
	v := visits(1)[0]
	v.Number = 2
	at := time.Now().Add(3500 * time.Millisecond)
	for range 2 {
		if err := q.AddVisitAt(ctx, v, at); err != nil {
			t.Fatal(err)
		}
	}
	if queued, err := q.Queued(ctx, "test"); err != nil || !queued[pc.SiteKey(v.Site)] {
		t.Errorf("Queued: %v, %v", queued, err)
	}
	q.Close()
	q = open(t, dir)
	if err := q.Begin(ctx, "test", queue.DefaultPriority); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	if early := time.Until(at); early > 0 || early < -4*time.Second {
		t.Errorf("it came %v before its time", early)
	}
	if j.Visit.ID() != v.ID() || j.Attempt != 1 {
		t.Errorf("got %s, attempt %d", j.Visit.ID(), j.Attempt)
	}
	if err := j.Done(ctx); err != nil {
		t.Fatal(err)
	}
	none(t, q, "it was made already")
	if n, err := q.Later(ctx, "test"); err != nil || n != 0 {
		t.Errorf("%d visits are still to come, %v", n, err)
	}
	// What has come in the meantime is due at once.
	v.Number = 3
	if err := q.AddVisitAt(ctx, v, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	next(t, q).Done(ctx)
}

// Sweeps of one priority share a worker evenly however long they are; a higher
// priority goes first, and an urgent visit before everything.
func TestTurns(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	add := func(sweep string, n, priority int) {
		var vs []pc.Visit
		for i := range n {
			vs = append(vs, pc.Visit{Sweep: sweep, Site: fmt.Sprintf("%s%d.example", sweep, i), Number: 1})
		}
		if err := errors.Join(q.Begin(ctx, sweep, priority), q.AddVisits(ctx, vs)); err != nil {
			t.Fatal(err)
		}
	}
	add("long", 200, 5)
	add("short", 10, 5)
	add("idle", 5, 9)
	var order []string
	take := func(n int) {
		for range n {
			j := next(t, q)
			order = append(order, j.Visit.Sweep)
			if err := j.Done(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(18)
	if n := count(order, "short"); n != 9 {
		t.Errorf("the short sweep had %d of 18 turns, want half: %v", n, order)
	}
	if n := count(order, "idle"); n != 0 {
		t.Errorf("the last priority had %d turns before the others were through", n)
	}
	add("first", 3, 1)
	if err := q.AddUrgent(ctx, pc.Visit{Sweep: "long", Site: "long7.example", Number: 2}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond) // an empty consumer is asked again after that
	j := next(t, q)
	if j.Visit.Site != "long7.example" || j.Visit.Number != 2 {
		t.Errorf("before the urgent visit came %s", j.Visit.ID())
	}
	j.Done(ctx)
	order = nil
	take(3)
	if n := count(order, "first"); n != 3 {
		t.Errorf("the first priority: %v", order)
	}
}

func count(in []string, s string) int {
	return len(in) - len(slices.DeleteFunc(slices.Clone(in), func(x string) bool { return x == s }))
}

func TestProgressAndCommands(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	if err := q.Ask(ctx, queue.Command{Do: queue.DoFailures, Sweep: "none"}); !errors.Is(err, queue.ErrNoSweep) {
		t.Errorf("asked of no sweep: %v", err)
	}
	if err := launch(t, q, sweep("test"), 1); err != nil {
		t.Fatal(err)
	}
	p := queue.Progress{Sites: 1, Done: 1, Overall: map[pc.Overall]int{pc.Clear: 1}, Visits: 2, At: time.UnixMilli(5).UTC(), Ended: queue.EndedDone}
	if err := q.Report(ctx, "test", p); err != nil {
		t.Fatal(err)
	}
	if st, err := q.State(ctx, "test"); err != nil || st.Done != 1 || st.Overall[pc.Clear] != 1 || st.Ended != queue.EndedDone {
		t.Errorf("State: %+v, %v", st, err)
	}
	if err := q.Ask(ctx, queue.Command{Do: queue.DoRevisit, Sweep: "test", Site: "a.example"}); err != nil {
		t.Fatal(err)
	}
	cctx, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	var got queue.Command
	h := queue.Handler{List: func(context.Context, string, []queue.Entry) error { return nil },
		Command: func(_ context.Context, c queue.Command) error { got = c; stop(); return nil }}
	if err := q.Collect(cctx, h); err != nil || got.Site != "a.example" || got.Do != queue.DoRevisit {
		t.Errorf("command %+v, %v", got, err)
	}
}
