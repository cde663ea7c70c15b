package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
)

// Schedule is a sweep that is repeated: what every repetition is launched with,
// and when the next is due. It lies with its list in the bucket of schedules.
// When that is, is nothing that this package understands: whoever collects
// works it out and writes it down.
type Schedule struct {
	Name    string    `json:"name"` // of which the repetitions have theirs, see Sweep
	When    string    `json:"when"`
	Zone    string    `json:"zone"`
	From    time.Time `json:"from"` // the first day
	Created time.Time `json:"created"`
	By      string    `json:"by,omitempty"` // who wants it, as far as that is known

	Agree      int  `json:"agree"`
	AgreeAfter Span `json:"agree_after,omitempty"`
	Deadline   Span `json:"deadline,omitempty"` // from when a repetition was due; 0: none
	Priority   int  `json:"priority"`
	Sites      int  `json:"sites"`

	List  string `json:"list"` // under which the parts of its list lie
	Parts int    `json:"parts"`

	Paused bool      `json:"paused,omitempty"`
	Due    time.Time `json:"due"`            // when the next repetition is to begin
	Last   string    `json:"last,omitempty"` // the sweep that was launched last
	Began  time.Time `json:"began,omitzero"`

	Missed     int       `json:"missed,omitempty"` // times that passed without a repetition, ever
	LastMissed time.Time `json:"last_missed,omitzero"`
	WhyMissed  string    `json:"why_missed,omitempty"`
}

// repetition is how the time of a repetition stands in its name.
const repetition = "-20060102-1504"

// LongestSchedule is how many characters a schedule's name may have.
const LongestSchedule = 64 - len(repetition)

// ValidSchedule tells whether a schedule can have a name.
func ValidSchedule(name string) bool { return ValidSweep(name) && len(name) <= LongestSchedule }

// Sweep is the repetition that is due at a time. Its name is made of that time,
// so that one repetition cannot be launched twice, whoever does it.
func (s Schedule) Sweep(due, now time.Time) Sweep {
	sw := Sweep{ID: s.Repetition(due), Agree: s.Agree, AgreeAfter: s.AgreeAfter, Priority: s.Priority, Created: now.UTC()}
	if s.Deadline > 0 {
		at := due.UTC().Add(time.Duration(s.Deadline))
		sw.Deadline = &at
	}
	return sw
}

// Repetition is the name of the sweep that is due at a time.
func (s Schedule) Repetition(due time.Time) string { return s.Name + due.UTC().Format(repetition) }

// The errors about schedules.
var (
	ErrScheduleExists = errors.New("there is a schedule of this name")
	ErrNoSchedule     = errors.New("there is no schedule of this name")
)

// ScheduleDraft is a schedule whose list is being stored. Nothing is repeated before Finish.
type ScheduleDraft struct {
	kv    jetstream.KeyValue
	q     *Queue
	s     Schedule
	parts listParts
}

// NewSchedule begins to store a schedule; Due has to be set.
func (q *Queue) NewSchedule(ctx context.Context, s Schedule) (*ScheduleDraft, error) {
	if !ValidSchedule(s.Name) {
		return nil, fmt.Errorf("name %q of a schedule: use 1 to %d of a-z, 0-9 and -", s.Name, LongestSchedule)
	}
	kv, err := q.bucket(ctx, bucketSchedules)
	if err != nil {
		return nil, err
	}
	if _, err := kv.Get(ctx, s.Name); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrScheduleExists, s.Name)
	} else if !errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, fmt.Errorf("read the schedule %s: %w", s.Name, err)
	}
	s.List, s.Sites, s.Parts = nuid.Next(), 0, 0
	d := &ScheduleDraft{kv: kv, q: q, s: s}
	d.parts.store = func(ctx context.Context, n int, data []byte) error {
		if _, err := kv.Create(ctx, s.partKey(n), data); err != nil {
			return fmt.Errorf("store part %d of the list of %s: %w", n, s.Name, err)
		}
		return nil
	}
	return d, nil
}

func (s Schedule) partKey(n int) string { return s.Name + "." + s.List + "." + strconv.Itoa(n) }

// Add adds a site to the list. No site may be added twice.
func (d *ScheduleDraft) Add(ctx context.Context, e Entry) error { return d.parts.add(ctx, e) }

// Finish stores the schedule itself.
func (d *ScheduleDraft) Finish(ctx context.Context) (Schedule, error) {
	if err := d.parts.flush(ctx); err != nil {
		return d.s, err
	}
	d.s.Sites, d.s.Parts = d.parts.sites, d.parts.n
	if _, err := d.kv.Create(ctx, d.s.Name, encode(d.s)); errors.Is(err, jetstream.ErrKeyExists) {
		return d.s, errors.Join(fmt.Errorf("%w: %s", ErrScheduleExists, d.s.Name), d.Drop(ctx))
	} else if err != nil {
		return d.s, fmt.Errorf("store the schedule %s: %w", d.s.Name, err)
	}
	return d.s, nil
}

// Drop takes away what is stored of a list that came to nothing.
func (d *ScheduleDraft) Drop(ctx context.Context) error {
	return d.q.purgeSchedule(ctx, d.s.Name+"."+d.s.List+".>")
}

func (q *Queue) purgeSchedule(ctx context.Context, keys string) error {
	s, err := q.js.Stream(ctx, "KV_"+bucketSchedules)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSubject("$KV."+bucketSchedules+"."+keys))
	}
	if err != nil {
		return fmt.Errorf("remove the list of a schedule: %w", err)
	}
	return nil
}

// Schedules returns all schedules, by name.
func (q *Queue) Schedules(ctx context.Context) ([]Schedule, error) {
	kv, err := q.bucket(ctx, bucketSchedules)
	if err != nil {
		return nil, err
	}
	names, err := q.names(ctx, bucketSchedules) // the parts of lists have dots
	if err != nil {
		return nil, fmt.Errorf("list the schedules: %w", err)
	}
	var out []Schedule
	for _, name := range names {
		s, _, err := get[Schedule](ctx, kv, name)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue // it has been removed
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Schedule) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// ChangeSchedule replaces a schedule by what do makes of it, again if somebody
// else has changed it meanwhile. An error of do is returned, and nothing is changed.
func (q *Queue) ChangeSchedule(ctx context.Context, name string, do func(*Schedule) error) error {
	kv, err := q.scheduleBucket(ctx, name)
	if err != nil {
		return err
	}
	return replace(ctx, kv, name, noSchedule(name), do)
}

// scheduleBucket is where a schedule lies, if it can have this name.
func (q *Queue) scheduleBucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	if !ValidSchedule(name) {
		return nil, fmt.Errorf("%w: %q", ErrNoSchedule, name)
	}
	return q.bucket(ctx, bucketSchedules)
}

func noSchedule(name string) error {
	return fmt.Errorf("%w: %s; pecrawler schedule list shows them", ErrNoSchedule, name)
}

// RemoveSchedule ends the repetitions. Sweeps that were launched stay as they are.
func (q *Queue) RemoveSchedule(ctx context.Context, name string) error {
	kv, err := q.scheduleBucket(ctx, name)
	if err != nil {
		return err
	}
	if _, _, err := get[Schedule](ctx, kv, name); errors.Is(err, jetstream.ErrKeyNotFound) {
		return noSchedule(name)
	} else if err != nil {
		return err
	}
	if err := kv.Delete(ctx, name); err != nil {
		return fmt.Errorf("remove the schedule %s: %w", name, err)
	}
	return q.purgeSchedule(ctx, name+".>")
}

// Repeat launches the repetition that is due at a time, and tells whether it was
// there already, to its end. A launch that broke off is gone on with, and two
// processes may do so at the same time: every message has the same id.
func (q *Queue) Repeat(ctx context.Context, s Schedule, due time.Time) (there bool, err error) {
	kv, err := q.bucket(ctx, bucketSchedules)
	if err != nil {
		return false, err
	}
	l, err := q.Launch(ctx, s.Sweep(due, q.Now()))
	if errors.Is(err, ErrSweepExists) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	for n := 1; n <= s.Parts; n++ {
		e, err := kv.Get(ctx, s.partKey(n))
		if err != nil {
			return false, fmt.Errorf("read part %d of the list of %s: %w", n, s.Name, err)
		}
		var p part
		if err := json.Unmarshal(e.Value(), &p); err != nil {
			return false, fmt.Errorf("read part %d of the list of %s: %w", n, s.Name, err)
		}
		for _, e := range p.Entries {
			if err := l.Add(ctx, e); err != nil {
				return false, err
			}
		}
	}
	_, err = l.Finish(ctx)
	return false, err
}
