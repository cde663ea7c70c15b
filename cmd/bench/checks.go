package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// outcome is a line of a table of what was wanted.
type outcome struct {
	want, got string
	met       bool
}

type checks []outcome

func (c *checks) add(want string, met bool, format string, args ...any) {
	*c = append(*c, outcome{want, fmt.Sprintf(format, args...), met})
}

// progress is that of a sweep that is waited for.
type progress struct {
	sites, most int
	since       time.Time
}

func newProgress(sites int) *progress { return &progress{sites, -1, time.Now()} }

// words takes how many last words there are, or -1 when that is not known. It is
// an error when there have been no more of them for a long time.
func (p *progress) words(n int) error {
	if n > p.most {
		p.most, p.since = n, time.Now()
	}
	if time.Since(p.since) > 10*time.Minute {
		return fmt.Errorf("nothing has happened for 10 minutes; %d of %d sites have a last word", p.most, p.sites)
	}
	return nil
}

// ended waits for the end of a sweep of n sites. status is what pecrawler status
// --json says of it.
func (c *checks) ended(n int, most time.Duration, status func() ([]byte, error)) error {
	var st struct {
		Sites, Done int
		Ended       string
	}
	for begin := time.Now(); ; time.Sleep(time.Second) {
		raw, err := status()
		if err == nil {
			err = json.Unmarshal(raw, &st)
		}
		if err != nil {
			return fmt.Errorf("status: %w", err)
		}
		if st.Ended != "" || time.Since(begin) >= most {
			break
		}
	}
	c.add("the sweep has ended, every site has its last word", st.Ended == "done" && st.Done == n && st.Sites == n, "%s, %d of %d sites", cmp.Or(st.Ended, "not ended"), st.Done, st.Sites)
	return nil
}

// once looks whether each of n sites has one last word in the store.
func (c *checks) once(n, words, sites int) {
	c.add("one last word a site in the store", words == n && sites == n, "%d words on %d sites", words, sites)
}

// messages looks whether the streams hold what a sweep of n sites leaves behind.
func (c *checks) messages(streams map[string]streamState, n, flagged, visits int) {
	for _, s := range []struct {
		name string
		want int
	}{
		{"VERDICTS", n}, {"FLAGGED", flagged}, {"RESULTS", visits}, // the store counts each visit of a site once
		{"DEAD", 0}, {"VISITS", 0},
	} {
		has, ok := streams[s.name]
		c.add(fmt.Sprintf("messages in %s: %d", s.name, s.want), ok && has.State.Messages == s.want, "%d", has.State.Messages)
	}
}

// rows writes the lines, below the head of a table, and counts what was missed.
func (c checks) rows(w io.Writer) (missed int) {
	for _, o := range c {
		said := "met"
		if !o.met {
			said = "**missed**"
			missed++
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", o.want, o.got, said)
	}
	return missed
}
