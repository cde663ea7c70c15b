package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pecrawler/queue"
)

// scheduled is a cluster with a schedule of so many sites, first due on Monday,
// 30 November 2026, at 02:00, and repeaters whose clock the test sets.
type scheduled struct {
	*testing.T
	q   *queue.Queue
	now time.Time
}

func newScheduled(t *testing.T, when string, sites int) *scheduled {
	t.Helper()
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	s := &scheduled{t, q, day(0, 0)}
	x := queue.Schedule{Name: "weekly", When: when, Zone: "Europe/London", Agree: 3, AgreeAfter: queue.Span(time.Hour), Priority: 4, Deadline: queue.Span(72 * time.Hour)}
	if err := dated(&x, "", s.now); err != nil {
		t.Fatal(err)
	}
	d, err := q.NewSchedule(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sites {
		if err := d.Add(t.Context(), queue.Entry{Site: fmt.Sprintf("s%d.example", i), URL: fmt.Sprintf("https://s%d.example/", i), Rank: i + 1, Line: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	if x, err = d.Finish(t.Context()); err != nil || x.Sites != sites || !x.Due.Equal(day(0, 2)) {
		t.Fatalf("%+v, %v", x, err)
	}
	return s
}

// day is an hour of so many days after 30 November 2026.
func day(n, hour int) time.Time { return time.Date(2026, 11, 30+n, hour, 0, 0, 0, time.UTC) }

// look lets a repeater look once, at a time.
func (s *scheduled) look(at time.Time) {
	s.Helper()
	if err := s.repeater(at).look(context.WithoutCancel(s.Context())); err != nil {
		s.Fatal(err)
	}
}

func (s *scheduled) repeater(at time.Time) *repeater {
	return &repeater{s.q, slog.New(slog.DiscardHandler), func() time.Time { return at }}
}

func (s *scheduled) schedule() queue.Schedule {
	s.Helper()
	all, err := s.q.Schedules(s.Context())
	if err != nil || len(all) != 1 {
		s.Fatalf("%d schedules, %v", len(all), err)
	}
	return all[0]
}

// sweeps are the names of what was launched, to the end, the oldest first.
func (s *scheduled) sweeps() string {
	s.Helper()
	all, err := s.q.Sweeps(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	var out []string
	for _, st := range all {
		if st.Listed != s.schedule().Sites {
			s.Errorf("%s has %d sites", st.ID, st.Listed)
		}
		out = append([]string{strings.TrimPrefix(st.ID, "weekly-")}, out...)
	}
	return strings.Join(out, " ")
}

// over ends a sweep.
func (s *scheduled) over(name string) {
	s.Helper()
	if err := errors.Join(s.q.Report(s.Context(), "weekly-"+name, queue.Progress{Ended: queue.EndedDone, At: time.Now()}), s.q.End(s.Context(), "weekly-"+name)); err != nil {
		s.Fatal(err)
	}
}

// Several repeaters that look at the same time launch a repetition once, with
// the list and the settings of the schedule, and not before it is due.
func TestARepetitionIsLaunchedOnce(t *testing.T) {
	s := newScheduled(t, "every monday 02:00", 2500)
	s.look(day(0, 1))
	if got := s.sweeps(); got != "" {
		t.Errorf("launched too early: %s", got)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { s.look(day(0, 2).Add(time.Second)) })
	}
	wg.Wait()
	s.look(day(0, 3))
	if got := s.sweeps(); got != "20261130-0200" {
		t.Errorf("launched: %s", got)
	}
	if x := s.schedule(); !x.Due.Equal(day(7, 2)) || x.Last != "weekly-20261130-0200" || x.Missed != 0 {
		t.Errorf("%+v", x)
	}
	sw, err := s.q.Sweep(t.Context(), "weekly-20261130-0200")
	if err != nil || sw.Agree != 3 || time.Duration(sw.AgreeAfter) != time.Hour || sw.Priority != 4 || !sw.Deadline.Equal(day(3, 2)) {
		t.Errorf("%+v, %v", sw, err)
	}
	// What comes to whoever collects is the list, each site once.
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	seen, sites := map[string]int{}, 0
	err = s.q.Collect(ctx, queue.Handler{List: func(_ context.Context, _ string, es []queue.Entry) error {
		for _, e := range es {
			if seen[e.Site]++; e.Rank != e.Line {
				t.Errorf("%+v", e)
			}
			if sites++; sites == 2500 {
				time.AfterFunc(500*time.Millisecond, stop)
			}
		}
		return nil
	}})
	if len(seen) != 2500 || sites != 2500 {
		t.Errorf("%d sites came in %d lines, %v", len(seen), sites, err)
	}
	s.over("20261130-0200")
	s.look(day(7, 2))
	if got := s.sweeps(); got != "20261130-0200 20261207-0200" {
		t.Errorf("launched: %s", got)
	}
}

// A process that is killed while it launches, or right after, leaves what
// another goes on with: nothing is lost, nothing is done twice.
func TestARepetitionSurvivesAKill(t *testing.T) {
	s := newScheduled(t, "every day 02:00", 2500)
	l, err := s.q.Launch(t.Context(), s.schedule().Sweep(day(0, 2), day(0, 2)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1200 { // one part of three is stored
		if err := l.Add(t.Context(), queue.Entry{Site: fmt.Sprintf("s%d.example", i), URL: fmt.Sprintf("https://s%d.example/", i), Rank: i + 1, Line: i + 1}); err != nil {
			t.Fatal(err)
		}
	}
	s.look(day(0, 2).Add(time.Minute)) // whoever began may still be at it
	if sw, err := s.q.Sweep(t.Context(), "weekly-20261130-0200"); err != nil || sw.Listed != 0 {
		t.Errorf("two were at it at once: %+v, %v", sw, err)
	}
	s.look(day(0, 20)) // however late: it has begun
	if got := s.sweeps(); got != "20261130-0200" {
		t.Errorf("launched: %s", got)
	}
	// Killed after the launch, before the schedule says so.
	if err := s.q.ChangeSchedule(t.Context(), "weekly", func(x *queue.Schedule) error { x.Due, x.Last = day(0, 2), ""; return nil }); err != nil {
		t.Fatal(err)
	}
	s.over("20261130-0200")
	s.look(day(0, 21))
	if x := s.schedule(); s.sweeps() != "20261130-0200" || x.Last != "weekly-20261130-0200" || !x.Due.Equal(day(1, 2)) || x.Missed != 0 {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
}

// Times that passed while nobody was there are said, not made up for, but for one
// that is not long ago; and no sweep begins on top of the one before.
func TestMissedTimes(t *testing.T) {
	s := newScheduled(t, "every day 02:00", 3)
	s.look(day(3, 5)) // of four times, the last is three hours ago
	if x := s.schedule(); s.sweeps() != "20261203-0200" || x.Missed != 3 || !x.LastMissed.Equal(day(2, 2)) || !strings.Contains(x.WhyMissed, "nobody collected") || !x.Due.Equal(day(4, 2)) {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
	s.look(day(4, 3))
	if x := s.schedule(); s.sweeps() != "20261203-0200" || x.Missed != 4 || !strings.Contains(x.WhyMissed, "weekly-20261203-0200, was still under way") || !x.Due.Equal(day(5, 2)) {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
	s.over("20261203-0200")
	s.look(day(5, 20)) // 18 hours late
	if x := s.schedule(); s.sweeps() != "20261203-0200" || x.Missed != 5 || !x.Due.Equal(day(6, 2)) {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
	s.look(day(6, 3))
	if x := s.schedule(); s.sweeps() != "20261203-0200 20261206-0200" || x.Missed != 5 {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
}

// A sweep whose deadline has passed when somebody collects again is not launched
// to end at once.
func TestARepetitionAfterItsDeadline(t *testing.T) {
	s := newScheduled(t, "every day 02:00", 3)
	if err := s.q.ChangeSchedule(t.Context(), "weekly", func(x *queue.Schedule) error { x.Deadline = queue.Span(3 * time.Hour); return nil }); err != nil {
		t.Fatal(err)
	}
	s.look(day(0, 6))
	if x := s.schedule(); s.sweeps() != "" || x.Missed != 1 || !strings.Contains(x.WhyMissed, "deadline") {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
	s.look(day(1, 4))
	if got := s.sweeps(); got != "20261201-0200" {
		t.Errorf("launched: %s", got)
	}
}

// What stands in the way of one schedule does not hold up another, and one that
// is paused or removed does nothing.
func TestPausedAndRemovedSchedules(t *testing.T) {
	s := newScheduled(t, "every day 02:00", 3)
	if err := pauseSchedule(t.Context(), s.q, "weekly", true); err != nil {
		t.Fatal(err)
	}
	s.look(day(3, 3))
	if x := s.schedule(); s.sweeps() != "" || x.Missed != 0 {
		t.Errorf("%s, %+v", s.sweeps(), x)
	}
	if err := pauseSchedule(t.Context(), s.q, "weekly", false); err != nil {
		t.Fatal(err)
	}
	if x := s.schedule(); x.Due.Before(time.Now()) || x.Paused {
		t.Errorf("after going on: %+v", x)
	}
	if _, err := s.q.NewSchedule(t.Context(), queue.Schedule{Name: "weekly"}); !errors.Is(err, queue.ErrScheduleExists) {
		t.Errorf("the same name again: %v", err)
	}
	if err := s.q.RemoveSchedule(t.Context(), "weekly"); err != nil {
		t.Fatal(err)
	}
	if all, err := s.q.Schedules(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	if err := s.q.RemoveSchedule(t.Context(), "weekly"); !errors.Is(err, queue.ErrNoSchedule) {
		t.Errorf("removed twice: %v", err)
	}
	parts, err := s.q.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.Name == "KV_pecrawler_schedules" && !strings.HasPrefix(p.Is, "1 keys") { // that the name was removed
			t.Errorf("the list is still there: %s", p.Is)
		}
	}
}

// The commands, and a collector that launches what is due.
func TestScheduleCommand(t *testing.T) {
	url, out := cluster(t), t.TempDir()
	run := func(want int, args ...string) (string, string) {
		t.Helper()
		code, out, errs := pecrawler(t.Context(), t, "a.example\nb.example\na.example\nnot a site\n", append([]string{"schedule", "--nats", url}, args...)...)
		if code != want {
			t.Fatalf("%q: %d, want %d: %s", args, code, want, errs)
		}
		return out, errs
	}
	for _, args := range [][]string{{}, {"add", "-"}, {"add", "--name", "weekly", "-"}, {"add", "--name", "weekly", "--when", "every moonday 02:00", "-"}, {"add", "--name", strings.Repeat("x", 51), "--when", "every day 02:00", "-"},
		{"add", "--name", "weekly", "--when", "every day 02:00", "--timezone", "Mars/Base", "-"}, {"add", "--name", "weekly", "--when", "every day 02:00", "--from", "monday", "-"}, {"remove"}, {"list", "x"}, {"list", "--when", "x"}} {
		run(2, args...)
	}
	name, errs := run(0, "add", "--name", "weekly", "--when", "Every  Monday 02:00", "-")
	if name != "weekly\n" || !strings.Contains(errs, "2 sites are stored; the first sweep is due on Mon ") || !strings.Contains(errs, "not a site") {
		t.Errorf("add: %q %s", name, errs)
	}
	run(1, "add", "--name", "weekly", "--when", "every day 02:00", "-")
	run(1, "remove", "daily")
	run(0, "pause", "weekly")
	if table, _ := run(0, "list"); !strings.Contains(table, "paused") {
		t.Errorf("list: %s", table)
	}
	run(0, "resume", "weekly")
	table, _ := run(0, "list")
	if !strings.Contains(table, "Every Monday 02:00") || !strings.Contains(table, "Europe/London") {
		t.Errorf("list: %s", table)
	}
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Role: queue.Launcher, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	due := time.Now().UTC().Add(-time.Minute).Truncate(time.Minute)
	if err := q.ChangeSchedule(t.Context(), "weekly", func(s *queue.Schedule) error { s.Due = due; return nil }); err != nil {
		t.Fatal(err)
	}
	startCollector(t, url, out)
	startStandIn(t, url, 2)
	sweep := "weekly-" + due.Format("20060102-1504")
	waitFor(t, "it is launched", func() bool { s, err := q.Sweep(t.Context(), sweep); return err == nil && s.Listed == 2 })
	waitFor(t, "it is done", func() bool { return status(t, url, sweep).Ended == queue.EndedDone })
	if n := len(words(t, out, sweep)); n != 2 {
		t.Errorf("%d words", n)
	}
	run(0, "remove", "weekly")
}
