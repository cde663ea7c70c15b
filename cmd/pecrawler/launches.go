package main

import (
	"cmp"
	"context"
	"errors"
	"time"

	"pecrawler/queue"
	"pecrawler/review"
	"pecrawler/store"
)

// launches is the cluster as the review pages see it. It does what the commands
// launch, status, pause, resume and cancel do, by the same queue.
type launches struct{ q *queue.Queue }

func (l launches) Launch(ctx context.Context, want review.Launch) error {
	list, err := l.q.Launch(ctx, newSweep(want.Sweep, want.Agree, want.AgreeAfter, want.Priority, want.Deadline, l.q.Now()))
	if errors.Is(err, queue.ErrSweepExists) {
		return errors.Join(review.ErrNameTaken, err)
	}
	if err != nil {
		return err
	}
	for e := range want.Sites {
		if err := list.Add(ctx, queue.Entry(e)); err != nil {
			return err
		}
	}
	_, err = list.Finish(ctx)
	return err
}

func (l launches) Pause(ctx context.Context, sweep string) error  { return l.q.Pause(ctx, sweep) }
func (l launches) Resume(ctx context.Context, sweep string) error { return l.q.Resume(ctx, sweep) }
func (l launches) Cancel(ctx context.Context, sweep string) error { return l.q.Cancel(ctx, sweep) }

func (l launches) State(ctx context.Context, sweep string) (review.State, error) {
	if !queue.ValidSweep(sweep) {
		return review.State{}, store.ErrNotFound
	}
	s, err := l.q.State(ctx, sweep)
	if errors.Is(err, queue.ErrNoSweep) {
		return review.State{}, store.ErrNotFound
	}
	return shownState(s, l.q.Now()), err
}

func (l launches) States(ctx context.Context) ([]review.State, error) {
	all, err := l.q.Sweeps(ctx)
	if err != nil {
		return nil, err
	}
	var out []review.State
	for _, s := range all {
		out = append(out, shownState(s, l.q.Now()))
	}
	return out, nil
}

func (l launches) Repeat(ctx context.Context, want review.Repeat) error {
	s := queue.Schedule{Name: want.Sweep, When: want.When, Zone: want.Zone, By: want.By, Agree: want.Agree, AgreeAfter: queue.Span(want.AgreeAfter), Priority: want.Priority, Deadline: queue.Span(want.Deadline)}
	err := dated(&s, "", l.q.Now())
	if err != nil {
		return err
	}
	d, err := l.q.NewSchedule(ctx, s)
	if err == nil {
		for e := range want.Sites {
			if err = d.Add(ctx, queue.Entry(e)); err != nil {
				return errors.Join(err, d.Drop(context.WithoutCancel(ctx)))
			}
		}
		_, err = d.Finish(ctx)
	}
	if errors.Is(err, queue.ErrScheduleExists) {
		return errors.Join(review.ErrNameTaken, err)
	}
	return err
}

func (l launches) Repeats(ctx context.Context) ([]review.Repeat, error) {
	all, err := l.q.Schedules(ctx)
	if err != nil {
		return nil, err
	}
	var out []review.Repeat
	for _, s := range all {
		out = append(out, review.Repeat{Launch: review.Launch{Sweep: s.Name, Agree: s.Agree, AgreeAfter: time.Duration(s.AgreeAfter), Priority: s.Priority, Deadline: time.Duration(s.Deadline)},
			When: s.When, Zone: s.Zone, By: s.By, Count: s.Sites, Due: s.Due, Paused: s.Paused, Last: s.Last, Missed: s.Missed, LastMissed: s.LastMissed, WhyMissed: s.WhyMissed})
	}
	return out, nil
}

func (l launches) Steer(ctx context.Context, name, do string) (err error) {
	if do == "remove" {
		err = l.q.RemoveSchedule(ctx, name)
	} else {
		err = pauseSchedule(ctx, l.q, name, do == "pause")
	}
	if errors.Is(err, queue.ErrNoSchedule) {
		return store.ErrNotFound
	}
	return err
}

func shownState(s queue.State, now time.Time) review.State {
	return review.State{Sweep: s.ID, Word: stateWord(s, now), Created: s.Created, At: s.At, Listed: cmp.Or(s.Listed, s.Sites), Done: s.Done, Visits: s.Visits,
		Waiting: s.Waiting, InHand: s.InHand, Later: s.Later, Overall: s.Overall, Left: time.Duration(s.Left), Paused: s.Paused, Over: s.Ended != "" || s.Cancelled != nil}
}
