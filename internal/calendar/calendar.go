// Package calendar reads when something is to be repeated, and says when it is
// due next: "every monday 02:00", "every 14 days 02:00", or five fields of cron,
// "0 2 * * 1". It is a function of its input: it has no clock.
//
// Times are what a clock on the wall of a time zone shows. One that the change to
// summer time leaves out is due when the clock has jumped; one that comes twice is
// due the first time only.
package calendar

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Rule is a rule of repetition.
type Rule struct {
	text string
	zone *time.Location
	from time.Time // midnight, in UTC, of the first day: nothing is due before

	minute                    int
	hours, days, months, week set
	either                    bool // a day of the month or of the week is enough, as in cron
	step                      int  // every so many days from the first; 0: by the sets
}

// set is one of small numbers.
type set uint64

func (s set) has(n int) bool { return s>>n&1 == 1 }

// Parse reads a rule. Zone is a name such as Europe/London; from is the first
// day, of which the year, month and day count, and from which days are counted.
func Parse(text, zone string, from time.Time) (Rule, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" || zone == "Local" {
		return Rule{}, fmt.Errorf("time zone %q: want a name such as Europe/London", zone)
	}
	r := Rule{text: strings.Join(strings.Fields(text), " "), zone: loc, from: time.Date(from.Year(), from.Month(), from.Day(), 0, 0, 0, 0, time.UTC)}
	words := strings.Fields(strings.ToLower(text))
	if len(words) > 0 && words[0] == "every" {
		err = r.words(words[1:])
	} else {
		err = r.cron(words)
	}
	if err != nil {
		return Rule{}, fmt.Errorf("%q: %w", text, err)
	}
	if r.Next(r.from.AddDate(0, 0, -2)).IsZero() {
		return Rule{}, fmt.Errorf("%q: there is no such day", text)
	}
	return r, nil
}

// String is the rule as it was written.
func (r Rule) String() string { return r.text }

const want = `want "every day 02:00", "every monday,thursday 02:00", "every 14 days 02:00", or five fields of cron such as "0 2 * * 1"`

// words reads what comes after "every".
func (r *Rule) words(w []string) error {
	if len(w) < 2 {
		return fmt.Errorf("%s", want)
	}
	at, err := time.Parse("15:04", w[len(w)-1])
	if err != nil {
		return fmt.Errorf("%q is no time of day; %s", w[len(w)-1], want)
	}
	r.minute, r.hours = at.Minute(), 1<<at.Hour()
	r.days, r.months, r.week = all(1, 31), all(1, 12), all(0, 6)
	switch w = w[:len(w)-1]; {
	case len(w) == 1 && w[0] == "day":
	case len(w) == 1:
		if r.week, err = field(w[0], 0, 6, weekdays()); err != nil {
			return fmt.Errorf("%w; %s", err, want)
		}
	case len(w) == 2 && (w[1] == "days" || w[1] == "weeks"):
		n, err := strconv.Atoi(w[0])
		if w[1] == "weeks" {
			n *= 7
		}
		if err != nil || n < 1 || n > 366 {
			return fmt.Errorf("%q: want 1 to 366 days", w[0])
		}
		r.step = n
	default:
		return fmt.Errorf("%s", want)
	}
	return nil
}

// cron reads the five fields minute, hour, day of the month, month, day of the week.
func (r *Rule) cron(w []string) (err error) {
	if len(w) != 5 {
		return fmt.Errorf("%s", want)
	}
	if r.minute, err = strconv.Atoi(w[0]); err != nil || r.minute < 0 || r.minute > 59 {
		return fmt.Errorf("the minute is %q: want one of 0 to 59, for a sweep begins once an hour at most", w[0])
	}
	for _, f := range []struct {
		to       *set
		text     string
		from, up int
		names    []string
	}{{&r.hours, w[1], 0, 23, nil}, {&r.days, w[2], 1, 31, nil}, {&r.months, w[3], 1, 12, months()}, {&r.week, w[4], 0, 7, weekdays()}} {
		if *f.to, err = field(f.text, f.from, f.up, f.names); err != nil {
			return err
		}
	}
	if r.week.has(7) { // both are Sunday
		r.week |= 1
	}
	r.either = w[2] != "*" && w[4] != "*"
	return nil
}

func weekdays() []string {
	return []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
}

func months() []string {
	return []string{"", "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}
}

func all(from, to int) (s set) {
	for n := from; n <= to; n++ {
		s |= 1 << n
	}
	return s
}

// field reads one field: numbers and names, ranges, and steps, with commas between them.
func field(text string, from, to int, names []string) (s set, err error) {
	number := func(t string) (int, error) {
		if i := slices.IndexFunc(names, func(n string) bool { return len(t) >= 3 && n != "" && strings.HasPrefix(n, t) }); i >= 0 {
			return i, nil
		}
		n, err := strconv.Atoi(t)
		if err != nil || n < from || n > to {
			return 0, fmt.Errorf("%q: want %d to %d", t, from, to)
		}
		return n, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		span, every, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			if step, err = strconv.Atoi(every); err != nil || step < 1 || step > to {
				return 0, fmt.Errorf("%q: a step is a number from 1 to %d", part, to)
			}
		}
		lo, hi := from, to
		if span != "*" {
			first, last, ranged := strings.Cut(span, "-")
			if lo, err = number(first); err != nil {
				return 0, err
			}
			if hi = lo; ranged {
				if hi, err = number(last); err != nil {
					return 0, err
				}
			} else if stepped {
				hi = to
			}
			if hi < lo {
				return 0, fmt.Errorf("%q ends before it begins", part)
			}
		}
		for n := lo; n <= hi; n += step {
			s |= 1 << n
		}
	}
	return s, nil
}

// on tells whether something is due on a day, which is given as midnight in UTC.
func (r Rule) on(day time.Time) bool {
	switch n := int(day.Sub(r.from).Hours()) / 24; {
	case day.Before(r.from):
		return false
	case r.step > 0:
		return n%r.step == 0
	case !r.months.has(int(day.Month())):
		return false
	}
	month, week := r.days.has(day.Day()), r.week.has(int(day.Weekday()))
	if r.either {
		return month || week
	}
	return month && week
}

// farthest is how many days are looked at for the next time: 29 February is
// eight years away at most.
const farthest = 8*366 + 2

// Next is the first time after another at which something is due; the zero time
// when there is none.
func (r Rule) Next(after time.Time) time.Time {
	local := after.In(r.zone)
	day := time.Date(local.Year(), local.Month(), local.Day()-1, 0, 0, 0, 0, time.UTC)
	if day.Before(r.from) {
		day = r.from
	}
	for range farthest {
		if r.on(day) {
			for h := range 24 {
				if !r.hours.has(h) {
					continue
				}
				if at := r.moment(day.Add(time.Duration(h)*time.Hour + time.Duration(r.minute)*time.Minute)); at.After(after) {
					return at
				}
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}
}

// moment is when a clock on the wall of the zone shows a time, which is given as
// if it were in UTC.
func (r Rule) moment(wall time.Time) time.Time {
	offset := func(at time.Time) time.Duration {
		_, s := at.In(r.zone).Zone()
		return time.Duration(s) * time.Second
	}
	// By the clock of the day before and by that of the day after.
	old := wall.Add(-offset(wall.Add(-24 * time.Hour)))
	for _, at := range []time.Time{old, wall.Add(-offset(wall.Add(24 * time.Hour)))} {
		if at.Add(offset(at)).Equal(wall) {
			return at.UTC()
		}
	}
	jumped, _ := old.In(r.zone).ZoneBounds() // no clock shows it: since then they show later times
	return jumped.UTC()
}
