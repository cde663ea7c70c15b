package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pecrawler/internal/calendar"
	"pecrawler/queue"
)

// repeater launches the repetitions of schedules when they are due. All that it
// knows lies in the cluster: it may be killed between any two steps, and several
// may be at work, because a repetition's name says which it is.
type repeater struct {
	queue *queue.Queue
	log   *slog.Logger
	now   func() time.Time
}

const (
	lookEvery = 5 * time.Second
	// mostLate is how late a repetition is still launched, when nobody was there to do it in time.
	mostLate = 12 * time.Hour
	// launching is how long a launch is left to whoever began it, before another goes on with it.
	launching = 2 * time.Minute
)

func (c *repeater) run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	said := ""
	for {
		err := c.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && err.Error() != said { // once, and not every few seconds
			c.log.Error("the schedules could not be looked after; trying again", "err", err)
			said = err.Error()
		} else if err == nil {
			said = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look launches what is due. One schedule that cannot be does not hold up the others.
func (c *repeater) look(ctx context.Context) error {
	all, err := c.queue.Schedules(ctx)
	if err != nil {
		return err
	}
	var faults []error
	for _, s := range all {
		if s.Paused {
			continue
		}
		if err := c.see(ctx, s); err != nil && !errors.Is(err, queue.ErrNoSchedule) {
			faults = append(faults, fmt.Errorf("schedule %s: %w", s.Name, err))
		}
	}
	return errors.Join(faults...)
}

// errMoved means that another process has seen to it already, or somebody has paused it.
var errMoved = errors.New("the schedule is not as it was")

// see launches what is due of a schedule, and notes what passed without.
func (c *repeater) see(ctx context.Context, s queue.Schedule) error {
	rule, err := calendar.Parse(s.When, s.Zone, s.From)
	if err != nil {
		return err
	}
	for !s.Due.IsZero() && !s.Due.After(c.now()) {
		due, next := s.Due, rule.Next(s.Due)
		why, wait, err := c.hindered(ctx, s, next)
		if err != nil || wait {
			return err
		}
		id, there := s.Repetition(due), false
		if why == "" {
			if there, err = c.queue.Repeat(ctx, s, due); err != nil {
				return err
			}
		}
		// Last: a crash before this finds the sweep and launches nothing.
		err = c.queue.ChangeSchedule(ctx, s.Name, func(now *queue.Schedule) error {
			if !now.Due.Equal(due) || now.List != s.List {
				return errMoved
			}
			now.Due = next
			if why == "" {
				now.Last, now.Began = id, c.now().UTC()
			} else {
				now.Missed, now.LastMissed, now.WhyMissed = now.Missed+1, due, why
			}
			s = *now
			return nil
		})
		if errors.Is(err, errMoved) {
			return nil
		}
		if err != nil {
			return err
		}
		if why != "" {
			c.log.Warn("a scheduled sweep was missed", "schedule", s.Name, "due", due, "why", why)
		} else if !there {
			c.log.Info("a scheduled sweep was launched", "schedule", s.Name, "sweep", id, "due", due)
		}
	}
	return nil
}

// hindered tells why a repetition that is due is not launched: too late, or the
// one before it is not over. What has begun is gone on with however late it is;
// wait means that another process seems to be doing that.
func (c *repeater) hindered(ctx context.Context, s queue.Schedule, next time.Time) (why string, wait bool, err error) {
	now := c.now()
	begun, err := c.queue.Sweep(ctx, s.Repetition(s.Due))
	if err == nil {
		return "", begun.Listed == 0 && begun.Cancelled == nil && now.Sub(begun.Created) < launching, nil
	}
	if !errors.Is(err, queue.ErrNoSweep) {
		return "", false, err
	}
	if !next.IsZero() && !next.After(now) {
		return "nobody collected, and the time after it has come", false, nil
	}
	if now.Sub(s.Due) > mostLate {
		return fmt.Sprintf("nobody collected for more than %v", mostLate), false, nil
	}
	if s.Deadline > 0 && now.Sub(s.Due) >= time.Duration(s.Deadline) {
		return "nobody collected until its deadline had passed", false, nil
	}
	if s.Last == "" {
		return "", false, nil
	}
	last, err := c.queue.State(ctx, s.Last)
	if err != nil && !errors.Is(err, queue.ErrNoSweep) {
		return "", false, err
	}
	if err == nil && last.Ended == "" && last.Cancelled == nil {
		return "the sweep before it, " + s.Last + ", was still under way", false, nil
	}
	return "", false, nil
}

// scheduleMetrics tells, when it is asked, what is due and what was missed. There
// are as many label values as people have made schedules.
type scheduleMetrics struct {
	queue       *queue.Queue
	due, missed *prometheus.Desc
}

func newScheduleMetrics(q *queue.Queue) *scheduleMetrics {
	return &scheduleMetrics{queue: q,
		due:    prometheus.NewDesc("pecrawler_schedule_due_timestamp_seconds", "When the next sweep of a schedule is to begin; in the past, it has not. Paused schedules have none.", []string{"schedule"}, nil),
		missed: prometheus.NewDesc("pecrawler_schedule_missed_total", "Times of a schedule that passed without a sweep.", []string{"schedule"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (m *scheduleMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.due
	ch <- m.missed
}

// Collect implements [prometheus.Collector].
func (m *scheduleMetrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // a scrape has no context of its own here
	defer cancel()
	all, err := m.queue.Schedules(ctx)
	if err != nil {
		return
	}
	for _, s := range all {
		if !s.Paused && !s.Due.IsZero() {
			ch <- prometheus.MustNewConstMetric(m.due, prometheus.GaugeValue, float64(s.Due.Unix()), s.Name)
		}
		ch <- prometheus.MustNewConstMetric(m.missed, prometheus.CounterValue, float64(s.Missed), s.Name)
	}
}
