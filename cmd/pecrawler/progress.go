package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
	"pecrawler/store"
)

// terminal lets log lines and one progress line share a screen. On anything
// but a terminal the progress line is written now and then as a line of its own.
type terminal struct {
	mu   sync.Mutex
	w    io.Writer
	tty  bool
	line string
}

func newTerminal(w io.Writer) *terminal {
	t := &terminal{w: w}
	if f, ok := w.(*os.File); ok {
		st, err := f.Stat()
		t.tty = err == nil && st.Mode()&os.ModeCharDevice != 0
	}
	return t
}

// Write writes a log line above the progress line.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.line != "" {
		io.WriteString(t.w, "\r\x1b[K")
	}
	n, err := t.w.Write(p)
	io.WriteString(t.w, t.line)
	return n, err
}

func (t *terminal) progress(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tty {
		t.line = line
		io.WriteString(t.w, "\r\x1b[K"+line)
		return
	}
	io.WriteString(t.w, line+"\n")
}

func (t *terminal) endProgress() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.line != "" {
		io.WriteString(t.w, "\n")
		t.line = ""
	}
}

// progress draws how far a sweep is.
type progress struct {
	term  *terminal
	begin time.Time
	drawn time.Time
	shown int
}

func newProgress(t *terminal, now time.Time) *progress {
	return &progress{term: t, begin: now, shown: -1}
}

func (p *progress) draw(n queue.Progress, now time.Time) {
	if !p.term.tty && (n.Done == p.shown || now.Sub(p.drawn) < 10*time.Second) && n.Done < n.Sites {
		return
	}
	p.drawn, p.shown = now, n.Done
	eta := "ETA " + remaining(n)
	if n.Done >= n.Sites {
		eta = "done in " + now.Sub(p.begin).Round(time.Second).String()
	}
	p.term.progress(bar(n) + "  " + eta)
}

// bar is the progress of a sweep in one line.
func bar(n queue.Progress) string {
	const width = 24
	full := 0
	if n.Sites > 0 {
		full = width * n.Done / n.Sites
	}
	return fmt.Sprintf("[%s%s] %d/%d sites  flagged %d  review %d  clear %d  not assessed %d  visits %d",
		strings.Repeat("█", full), strings.Repeat("░", width-full), n.Done, n.Sites,
		n.Overall[pc.Flagged], n.Overall[pc.Review], n.Overall[pc.Clear], n.Overall[pc.NotAssessed], n.Visits)
}

func remaining(n queue.Progress) string {
	if n.Left <= 0 {
		return "–"
	}
	return time.Duration(n.Left).Round(time.Second).String()
}

// left estimates the time that is left from what was done since had was
// counted, and from the visits that a site has needed on average: suspicious
// sites need more than one. 0 is not known yet, or none.
func left(n, had store.Counts, took time.Duration) time.Duration {
	words, visits := n.Done-had.Done, float64(n.Visits-had.Visits)
	if n.Done >= n.Sites || words < 1 || visits < 3 {
		return 0
	}
	more := float64(n.Sites-had.Done)*visits/float64(words) - visits
	more = max(more, float64(n.Sites-n.Done))
	return time.Duration(more / visits * float64(took))
}

func (p *progress) end() { p.term.endProgress() }

// summary is the table at the end of a sweep.
func summary(ctx context.Context, w io.Writer, st *store.Store, sweep store.Sweep, o *options, n store.Counts, took time.Duration) error {
	fmt.Fprintf(w, "\nSweep %s: %d sites in %s\n\n", sweep.ID, n.Sites, took.Round(time.Second))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, ov := range []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed} {
		c := n.Overall[ov]
		fmt.Fprintf(tw, "  %s\t%5d\t%5.1f %%\t%s\n", strings.ReplaceAll(string(ov), "-", " "), c, 100*float64(c)/float64(max(n.Sites, 1)), strings.Repeat("▇", 30*c/max(n.Sites, 1)))
	}
	tw.Flush()
	words := func(ov pc.Overall) ([]pc.Verdict, int, error) {
		return st.Words(ctx, sweep.ID, store.Filter{Overall: ov, Limit: maxListed})
	}
	for _, ov := range []pc.Overall{pc.Flagged, pc.Review} {
		vs, total, err := words(ov)
		if err != nil {
			return err
		}
		if total == 0 {
			continue
		}
		fmt.Fprintf(w, "\n%s\n", map[pc.Overall]string{pc.Flagged: "Flagged: indicators that an investigator should look at", pc.Review: "For review: unsure, or the visits disagree"}[ov])
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, v := range vs {
			fmt.Fprintf(tw, "  %s\t%s\n", v.Site, strings.Join(suspicious(v), ", "))
		}
		tw.Flush()
		if total > len(vs) {
			fmt.Fprintf(w, "  and %d more\n", total-len(vs))
		}
	}
	if n.Overall[pc.NotAssessed] > 0 {
		vs, _, err := words(pc.NotAssessed)
		if err != nil {
			return err
		}
		fmt.Fprint(w, "\nNot assessed\n")
		by := map[string][]string{}
		for _, v := range vs {
			k := string(v.Outcome) + "\t" + v.Reason
			by[k] = append(by[k], v.Site)
		}
		tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, k := range sortedKeys(by) {
			more := ""
			if len(by[k]) > 3 {
				more = ", ..."
			}
			fmt.Fprintf(tw, "  %s\t%d\t%s\n", k, len(by[k]), strings.Join(by[k][:min(3, len(by[k]))], ", ")+more)
		}
		tw.Flush()
	}
	fmt.Fprintf(w, "\nVerdicts  %s/verdicts.jsonl\nEvidence  %s\nReview    make review (or pecrawler review --out %s) signs you in, then http://%s/sweeps/%s\n", o.out, o.vaultPath(), o.out, o.listen, sweep.ID)
	return nil
}

// maxListed bounds the sites that the summary names.
const maxListed = 50

func suspicious(v pc.Verdict) []string {
	var out []string
	for _, f := range v.Findings {
		switch {
		case f.Outcome == pc.Fail:
			out = append(out, f.Rule)
		case f.Outcome == pc.Unsure:
			out = append(out, f.Rule+" (unsure)")
		}
	}
	return out
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
