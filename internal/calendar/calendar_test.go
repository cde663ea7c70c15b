package calendar_test

import (
	"testing"
	"time"

	"pecrawler/internal/calendar"
)

func rule(t *testing.T, text, zone, from string) calendar.Rule {
	t.Helper()
	day, err := time.Parse(time.DateOnly, from)
	if err != nil {
		t.Fatal(err)
	}
	r, err := calendar.Parse(text, zone, day)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is due next, in UTC, one after the other.
func TestNext(t *testing.T) {
	for _, x := range []struct {
		text, zone, from, after string
		want                    []string
	}{
		{"every Monday 02:00", "Europe/London", "2026-11-01", "2026-11-25T11:00:00Z", []string{"2026-11-30T02:00:00Z", "2026-12-07T02:00:00Z"}},
		{"every mon,thursday 23:30", "UTC", "2026-11-01", "2026-11-25T11:00:00Z", []string{"2026-11-26T23:30:00Z", "2026-11-30T23:30:00Z"}},
		{"every day 00:00", "Europe/London", "2026-11-01", "2026-11-25T00:00:00Z", []string{"2026-11-26T00:00:00Z"}},
		{"0 2 * * 1", "Europe/London", "2026-01-01", "2026-06-01T01:00:00Z", []string{"2026-06-08T01:00:00Z"}}, // summer time
		{"0 2 * * 7", "UTC", "2026-01-01", "2026-11-25T00:00:00Z", []string{"2026-11-29T02:00:00Z"}},
		{"5 */8 * * *", "UTC", "2026-01-01", "2026-11-25T09:00:00Z", []string{"2026-11-25T16:05:00Z", "2026-11-26T00:05:00Z", "2026-11-26T08:05:00Z"}},
		{"0 4 1 jan-mar *", "UTC", "2026-01-01", "2026-11-25T00:00:00Z", []string{"2027-01-01T04:00:00Z", "2027-02-01T04:00:00Z", "2027-03-01T04:00:00Z", "2028-01-01T04:00:00Z"}},
		{"0 0 13 * fri", "UTC", "2026-01-01", "2026-11-10T00:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00Z"}},
		{"0 0 29 feb *", "UTC", "2026-01-01", "2026-11-10T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		// Days are counted from the first, over the change of the clocks on 28 March 2027, also when none was looked at for long.
		{"every 14 days 02:30", "Europe/London", "2027-03-16", "2027-03-10T00:00:00Z", []string{"2027-03-16T02:30:00Z", "2027-03-30T01:30:00Z", "2027-04-13T01:30:00Z"}},
		{"every 2 weeks 02:30", "Europe/London", "2027-03-16", "2028-01-01T00:00:00Z", []string{"2028-01-04T02:30:00Z"}},
		{"every 3 days 05:00", "UTC", "2027-01-01", "2026-11-25T00:00:00Z", []string{"2027-01-01T05:00:00Z"}},
		// 01:30 is not there on 28 March 2027 and is there twice on 31 October 2027.
		{"every day 01:30", "Europe/London", "2027-01-01", "2027-03-27T12:00:00Z", []string{"2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"}},
		{"every day 01:30", "Europe/London", "2027-01-01", "2027-10-30T12:00:00Z", []string{"2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"}},
		{"30 1,2 * * *", "Europe/London", "2027-01-01", "2027-03-27T12:00:00Z", []string{"2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"}},
		{"every day 02:30", "America/New_York", "2027-01-01", "2027-03-13T12:00:00Z", []string{"2027-03-14T07:00:00Z", "2027-03-15T06:30:00Z"}},
		{"every day 01:30", "America/New_York", "2027-01-01", "2027-11-06T12:00:00Z", []string{"2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"}},
		{"every day 00:30", "America/Havana", "2027-01-01", "2027-03-13T12:00:00Z", []string{"2027-03-14T05:00:00Z"}}, // midnight jumps
		{"every day 02:15", "Australia/Lord_Howe", "2026-01-01", "2026-10-03T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
	} {
		r := rule(t, x.text, x.zone, x.from)
		at, err := time.Parse(time.RFC3339, x.after)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range x.want {
			if at = r.Next(at); at.Format(time.RFC3339) != want {
				t.Errorf("%s, %s: %s, want %s", x.text, x.zone, at.Format(time.RFC3339), want)
			}
		}
	}
}

// Whatever is due comes once: times rise, and each day has its own.
func TestOnceADay(t *testing.T) {
	for _, zone := range []string{"Europe/London", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"} {
		for _, text := range []string{"every day 00:30", "every day 01:30", "every day 02:00", "every day 02:30"} {
			r := rule(t, text, zone, "2024-01-01")
			loc, err := time.LoadLocation(zone)
			if err != nil {
				t.Fatal(err)
			}
			last := time.Date(2024, 1, 1, 12, 0, 0, 0, loc)
			for range 3 * 365 {
				at := r.Next(last)
				if a, b := last.In(loc), at.In(loc); b.YearDay() != time.Date(a.Year(), a.Month(), a.Day()+1, 12, 0, 0, 0, loc).YearDay() {
					t.Fatalf("%s, %s: after %v comes %v", text, zone, a, b)
				}
				last = at
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "every", "every monday", "every 02:00", "every 0 days 02:00", "every 400 days 02:00", "every xx days 02:00", "every mo 02:00", "every monday 25:00", "every monday 2am",
		"* * * * *", "*/5 * * * *", "60 1 * * *", "0 24 * * *", "0 1 0 * *", "0 1 * 13 *", "0 1 * * 8", "0 5-3 * * *", "0 */0 * * *", "0 1 * *", "0 1 30 2 *", "0 -1 * * *", "0 1 * * mon-"} {
		if r, err := calendar.Parse(text, "Europe/London", time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)); err == nil {
			t.Errorf("%q was taken: %v", text, r)
		}
	}
	for _, zone := range []string{"", "Local", "Europe/Nowhere", "../../etc/passwd"} {
		if _, err := calendar.Parse("every day 02:00", zone, time.Now()); err == nil {
			t.Errorf("zone %q was taken", zone)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("every monday 02:00")
	f.Add("0 2 */3 jan-mar,5 1-5")
	f.Fuzz(func(t *testing.T, text string) {
		from := time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
		r, err := calendar.Parse(text, "Europe/London", from)
		if err != nil {
			return
		}
		at := from
		for range 5 {
			next := r.Next(at)
			if next.IsZero() {
				return
			}
			if !next.After(at) {
				t.Fatalf("%q: after %v comes %v", text, at, next)
			}
			at = next
		}
	})
}
