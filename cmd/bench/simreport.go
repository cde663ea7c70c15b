package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	pc "pecrawler"
)

// report writes what the stages measured as Markdown. It fails when a bar was missed.
func (s simulation) report(w io.Writer, costs []visitCost, drawn []pc.Verdict, flushed time.Duration, only, pace, large *stage) error {
	store := "SQLite"
	if s.postgres {
		store = "PostgreSQL"
	}
	overall := map[pc.Overall]int{}
	for _, v := range drawn {
		overall[v.Overall]++
	}
	fmt.Fprintf(w, `# A fleet without browsers

Made by %s: a real NATS server (a process, %s), the real %s and %s, a %s store, and %d workers that are
the real queue's with a stand-in for the browser. A visit takes as long as those of [bench.md](bench.md) (mean %.1f s, give or take 30 %%), divided by a
speed. Its result is one of %d last words of the test web (%d clear, %d flagged, %d review, %d not assessed: far more flags than a national sweep has),
always the same for a site. The next visit of a suspicion comes after %v.

What differs from real workers: they are goroutines of one process with a connection each, so their memory is not that of as many processes; a worker has one visit
at a time; nothing is sealed; no site is slow or fails our browser; every machine is this one. AckWait and the gap are divided by the speed, but AckWait not
below %v, so the faster sweep has fewer heartbeats. The disk took %.1f ms to flush 15 kB while nothing else of this was running.

`, "`make fleet-sim`", "`sync_interval: "+s.sync+"`", "`pecrawler launch`", "`pecrawler collect`", store, s.workers, meanWall(costs).Seconds(),
		len(drawn), overall[pc.Clear], overall[pc.Flagged], overall[pc.Review], overall[pc.NotAssessed], simAgree, simShortest, flushed.Seconds()*1000)

	fmt.Fprintf(w, "## Two sweeps\n\n| | %d sites at %g× | %d sites at %g× |\n|---|---:|---:|\n", pace.sites, pace.speed, large.sites, large.speed)
	row := func(what string, of func(*stage) string) {
		fmt.Fprintf(w, "| %s | %s | %s |\n", what, of(pace), of(large))
	}
	row("visits", func(t *stage) string { return fmt.Sprint(t.visits) })
	row("wall time", func(t *stage) string { return t.took.Round(time.Second).String() })
	row("last words a second, from a tenth to nine tenths", func(t *stage) string { return fmt.Sprintf("%.0f", t.rate) })
	row("visits a second, best half minute", func(t *stage) string {
		if t.peak == 0 {
			return "too short"
		}
		return fmt.Sprintf("%.0f", t.peak)
	})
	row("most results that waited for the collector", func(t *stage) string { return fmt.Sprint(t.backlog) })
	row("messages to the server, and from it, a visit", func(t *stage) string {
		return fmt.Sprintf("%.1f, %.1f", per(t.messagesIn, t.visits), per(t.messagesOut, t.visits))
	})
	row("kB to the server, and from it, a visit", func(t *stage) string {
		return fmt.Sprintf("%.1f, %.1f", per(t.bytesIn, t.visits)/1e3, per(t.bytesOut, t.visits)/1e3)
	})
	for _, p := range slices.Sorted(maps.Keys(large.cpu)) {
		row("CPU a visit: "+p, func(t *stage) string { return fmt.Sprintf("%.2f ms", 1e3*t.cpu[p]/float64(t.visits)) })
	}
	for _, p := range slices.Sorted(maps.Keys(large.memory)) {
		row("most memory: "+p, func(t *stage) string { return fmt.Sprintf("%d MB", t.memory[p]>>20) })
	}
	row(fmt.Sprintf("cores that %d workers without work take, with the server", s.workers), func(t *stage) string { return fmt.Sprintf("%.2f", t.idle) })
	for _, q := range []struct {
		what string
		of   func(*stage) []time.Duration
	}{
		{"to store a result", func(t *stage) []time.Duration { return t.fleet.publish }},
		{"to acknowledge a visit and let its domain go", func(t *stage) []time.Duration { return t.fleet.tell }},
	} {
		row(q.what+", median (p95)", func(t *stage) string {
			d := q.of(t)
			return fmt.Sprintf("%.0f ms (%.0f)", quantile(d, .5).Seconds()*1e3, quantile(d, .95).Seconds()*1e3)
		})
	}
	fmt.Fprint(w, "\n| kept, after the second sweep | messages | MB | kB a site |\n|---|---:|---:|---:|\n")
	for _, name := range slices.Sorted(maps.Keys(large.streams)) {
		st := large.streams[name].State
		if n := max(st.Bytes, large.largest[name]); n > 0 {
			fmt.Fprintf(w, "| %s | %d | %.0f, at most %.0f | %.2f |\n", name, st.Messages, float64(st.Bytes)/1e6, float64(n)/1e6, per(st.Bytes, large.sites)/1e3)
		}
	}
	for _, f := range []struct {
		name string
		size int64
	}{{"the server's folder", large.disk}, {store, large.store}, {"the file of verdicts", large.file}} {
		fmt.Fprintf(w, "| %s | | %.0f | %.2f |\n", f.name, float64(f.size)/1e6, per(f.size, large.sites)/1e3)
	}

	var all checks
	fmt.Fprint(w, "\n## Wanted\n\n| wanted | measured | |\n|---|---|---|\n")
	l := only.launched
	bar := "1,000,000 URLs launched in under 2 minutes with under 300 MB"
	got := fmt.Sprintf("%d in %.0f s (CPU %.0f s), %d MB", s.launch, l.wall.Seconds(), l.cpu, l.most>>20)
	if s.launch >= 1_000_000 {
		all.add(bar, l.wall < 2*time.Minute && l.most < 300<<20, "%s", got)
	} else {
		fmt.Fprintf(w, "| %s | %s | not asked |\n", bar, got)
	}
	var queueCPU float64
	for _, c := range pace.cpu {
		queueCPU += c
	}
	each := queueCPU / float64(pace.visits)
	all.add("queue overhead under 2 % of a visit's CPU", each < .02*meanCPU(costs), "%.2f %%: %.1f ms of %.2f s (workers, server, collector with its store, at %g×; making up the results is counted too)",
		100*each/meanCPU(costs), 1e3*each, meanCPU(costs), pace.speed)
	for _, t := range []*stage{pace, large} {
		for _, c := range t.checks {
			all.add(fmt.Sprintf("%d sites: %s", t.sites, c.want), c.met, "%s", c.got)
		}
	}
	missed := all.rows(w)

	million := 1e6 * float64(large.visits) / float64(large.sites) // visits for a million sites of this mix
	chrome, desk := million*meanCPU(costs)/3600, million*each/3600
	fmt.Fprintf(w, `
## A million sites

By proportion from the figures above, **not** measured: %.2f million visits of this mix.

| | |
|---|---:|
| Chrome, by the mean CPU of bench.md's three pages (%.2f s) | %.0f core hours |
| queue and store | %.1f core hours |
| both, at %.3f an hour of a core | %.0f |
| messages to the server | %.0f million |
| streams, kept for 90 days, one replica | %.0f GB |
| %s | %.0f GB |
| the file of verdicts | %.0f GB |
| time, at the last words a second of the second sweep | %.1f h |

The price is a parameter (%s), in whatever currency it is given; disks, evidence and traffic are not in it. %s
`, million/1e6, meanCPU(costs), chrome, desk, s.price, (chrome+desk)*s.price, per(large.messagesIn, large.visits)*million/1e6,
		per(large.streamBytes(), large.sites)*1e6/1e9, store, per(large.store, large.sites)*1e6/1e9, per(large.file, large.sites)*1e6/1e9, 1e6/max(large.rate, 1)/3600, "`SIM_PRICE`", machine())
	if missed > 0 {
		return fmt.Errorf("%d bars were missed; they are written down", missed)
	}
	return nil
}

func per(n int64, of int) float64 { return float64(n) / float64(max(of, 1)) }

// streamBytes is what all streams hold at the end.
func (t *stage) streamBytes() (sum int64) {
	for _, s := range t.streams {
		sum += s.State.Bytes
	}
	return sum
}
