package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"pecrawler/internal/calendar"
	"pecrawler/internal/sitelist"
	"pecrawler/queue"
)

// scheduleCmd looks after the sweeps that are repeated. Whoever collects launches them.
func scheduleCmd(ctx context.Context, e env, args []string) error {
	s := queue.Schedule{Priority: queue.DefaultPriority}
	from, deadline, asJSON := "", time.Duration(0), false
	o, rest, err := parseWith(e, "schedule", forList|forCluster, args, func(fs *flag.FlagSet) {
		fs.StringVar(&s.When, "when", "", "add: `times`: \"every monday 02:00\", \"every 14 days 02:00\", \"every day 02:00\", or five fields of cron")
		fs.StringVar(&s.Zone, "timezone", "Europe/London", "add: `zone` of these times")
		fs.StringVar(&from, "from", "", "add: first `day`, 2026-11-30, from which days are counted; today when not given")
		fs.IntVar(&s.Priority, "priority", s.Priority, "add: 1 (first) to 9 (last)")
		fs.DurationVar(&deadline, "deadline", 0, "add: time from when a sweep is due after which what has not begun is dropped; none when 0")
		fs.BoolVar(&asJSON, "json", false, "list: one line of JSON a schedule")
	})
	if err != nil {
		return err
	}
	if err := o.needsCluster("whose collector launches the sweeps"); err != nil {
		return err
	}
	if len(rest) == 0 {
		return usage("want add, list, pause, resume or remove")
	}
	verb, rest := rest[0], rest[1:]
	if verb != "add" && (s.When != "" || o.name != "") {
		return usage("--when and --name are of schedule add")
	}
	var do func(*queue.Queue) error
	switch {
	case verb == "add" && len(rest) > 0:
		s.Name, s.Agree, s.AgreeAfter, s.Deadline = o.name, o.agree, queue.Span(o.agreeAfter), queue.Span(deadline)
		if err := dated(&s, from, time.Now()); err != nil {
			return usage("%v", err)
		}
		do = func(q *queue.Queue) error { return addSchedule(ctx, e, q, s, rest) }
	case verb == "list" && len(rest) == 0:
		do = func(q *queue.Queue) error { return listSchedules(ctx, e.stdout, q, asJSON) }
	case verb == "pause" && len(rest) == 1:
		do = func(q *queue.Queue) error { return pauseSchedule(ctx, q, rest[0], true) }
	case verb == "resume" && len(rest) == 1:
		do = func(q *queue.Queue) error { return pauseSchedule(ctx, q, rest[0], false) }
	case verb == "remove" && len(rest) == 1:
		do = func(q *queue.Queue) error { return q.RemoveSchedule(ctx, rest[0]) }
	default:
		return usage("want add with a list of sites, list, or pause, resume or remove with the name of one schedule, but have %q", append([]string{verb}, rest...))
	}
	q, err := queue.Open(ctx, o.cluster(queue.Launcher, o.logger(e.stderr)))
	if err != nil {
		return err
	}
	defer q.Close()
	return do(q)
}

// dated checks what makes a schedule, and works out when it is due first. An
// empty day is today, in the schedule's zone.
func dated(s *queue.Schedule, from string, now time.Time) error {
	if !queue.ValidSchedule(s.Name) {
		return fmt.Errorf("--name %q: want 1 to %d of a-z, 0-9 and -; the sweeps are called that with the time when they are due", s.Name, queue.LongestSchedule)
	}
	if err := turn(s.Priority, time.Duration(s.Deadline)); err != nil {
		return err
	}
	s.From = now
	if zone, err := time.LoadLocation(s.Zone); err == nil {
		s.From = now.In(zone)
	}
	if from != "" {
		var err error
		if s.From, err = time.Parse(time.DateOnly, from); err != nil {
			return fmt.Errorf("--from %q: want a day such as 2026-11-30", from)
		}
	}
	rule, err := calendar.Parse(s.When, s.Zone, s.From)
	if err != nil {
		return fmt.Errorf("--when: %w", err)
	}
	s.When, s.From = rule.String(), time.Date(s.From.Year(), s.From.Month(), s.From.Day(), 0, 0, 0, 0, time.UTC)
	s.Created, s.Due = now.UTC(), rule.Next(now)
	if s.Due.IsZero() {
		return fmt.Errorf("--when: %q never comes", s.When)
	}
	return nil
}

func addSchedule(ctx context.Context, e env, q *queue.Queue, s queue.Schedule, args []string) error {
	d, err := q.NewSchedule(ctx, s)
	if err != nil {
		return err
	}
	seen := sitelist.Seen{}
	n := 0
	_, err = eachSite(e, e.stderr, args, func(en sitelist.Entry) (bool, error) {
		if !seen.Add(en.Site) {
			return false, nil
		}
		n++
		return true, d.Add(ctx, queue.Entry(en))
	})
	if err == nil && n == 0 {
		err = errors.New("no line names a site")
	}
	if err != nil {
		return errors.Join(err, d.Drop(context.WithoutCancel(ctx)))
	}
	if s, err = d.Finish(ctx); err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "%d sites are stored; the first sweep is due on %s\n", s.Sites, inZone(s.Due, s.Zone))
	fmt.Fprintln(e.stdout, s.Name)
	return nil
}

// inZone is a time for people, by the clock that the schedule goes by.
func inZone(t time.Time, zone string) string {
	if loc, err := time.LoadLocation(zone); err == nil {
		t = t.In(loc)
	}
	return t.Format("Mon 2 Jan 2006 15:04 MST")
}

// pauseSchedule holds the repetitions back, or goes on with them from now: what was due
// meanwhile is neither made up for nor missed.
func pauseSchedule(ctx context.Context, q *queue.Queue, name string, pause bool) error {
	return q.ChangeSchedule(ctx, name, func(s *queue.Schedule) error {
		rule, err := calendar.Parse(s.When, s.Zone, s.From)
		if err != nil {
			return err
		}
		if s.Paused && !pause {
			s.Due = rule.Next(q.Now())
		}
		s.Paused = pause
		return nil
	})
}

func listSchedules(ctx context.Context, w io.Writer, q *queue.Queue, asJSON bool) error {
	all, err := q.Schedules(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(w)
		for _, s := range all {
			if err := enc.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NAME\tWHEN\tZONE\tSITES\tNEXT\tLAST SWEEP\tMISSED\tWHY")
	for _, s := range all {
		next := inZone(s.Due, s.Zone)
		if s.Paused {
			next = "paused"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\n", s.Name, s.When, s.Zone, s.Sites, next, cmp.Or(s.Last, "–"), s.Missed, s.WhyMissed)
	}
	return tw.Flush()
}
