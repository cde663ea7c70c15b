package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/crawler"
	"pecrawler/lab"
)

// sample is what a crawling process and its browser hold at an instant.
type sample struct {
	Visits int
	Values []float64 // as in held
}

// held says what is sampled, and how much more at the end is still flat: a
// share of the start, and an amount that is noise. The decoder of the browser's
// pipe keeps room for the largest message that it has read, as long as the
// browser lives; the tree of a page with a hundred thousand elements is 40 MB.
func held() []struct {
	name, unit string
	share      float64
	noise      float64
} {
	return []struct {
		name, unit string
		share      float64
		noise      float64
	}{
		{"our resident memory", "MB", .25, 120}, {"our heap after a collection", "MB", .25, 60}, {"goroutines", "", 0, 8}, {"open files", "", 0, 12},
		{"processes of Chromium", "", 0, 4}, {"memory of Chromium (PSS)", "MB", .3, 80}, {"temporary folders", "", 0, 0},
	}
}

// take samples this process, while no visit is in hand.
func take(visits int, except int) sample {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return sampleOf(os.Getpid(), except, visits, float64(m.HeapAlloc), float64(runtime.NumGoroutine()))
}

// sampleOf adds what is seen of a process from outside to what only it can tell.
func sampleOf(pid, except, visits int, heap, goroutines float64) sample {
	var rss float64
	if raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid)); err == nil {
		if f := strings.Fields(string(raw)); len(f) > 1 {
			pages, _ := strconv.ParseFloat(f[1], 64)
			rss = pages * float64(os.Getpagesize())
		}
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	var chromium []process
	for _, p := range descendants(pid) {
		if p.pid != except {
			chromium = append(chromium, p)
		}
	}
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("pecrawler-chrome-%d-*", pid)))
	return sample{visits, []float64{rss / (1 << 20), heap / (1 << 20), goroutines, float64(len(fds)), float64(len(chromium)), float64(pss(chromium)) / (1 << 20), float64(len(folders))}}
}

// soak makes n visits of the test web, one in ten of a hostile site, through
// one crawler, and looks whether anything grows.
func soak(ctx context.Context, w io.Writer, bin string, n int, settle time.Duration) error {
	web, err := startLab(ctx, bin, "--hostile")
	if err != nil {
		return err
	}
	defer web.stop()
	up, err := url.Parse(web.proxy)
	if err != nil {
		return err
	}
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	sites, err := lab.Sites(lab.Plan{Written: true, Hostile: true})
	if err != nil {
		return err
	}
	var calm, hostile []string
	for _, s := range sites {
		if s.Set == "hostile" {
			hostile = append(hostile, s.Host)
		} else {
			calm = append(calm, s.Host)
		}
	}
	r := rand.New(rand.NewPCG(1, 1)) // the same order each time
	r.Shuffle(len(hostile), func(i, k int) { hostile[i], hostile[k] = hostile[k], hostile[i] })
	reg := prometheus.NewRegistry()
	crawler.Tune()
	c := crawler.New(crawler.Config{Proxy: up, CAFile: web.ca, Tool: "bench", Floor: settle, Late: 2 * settle, Cap: 3 * settle}, chooser{cls}, slog.New(slog.DiscardHandler), reg)
	defer c.Close()
	if _, err := c.Start(ctx); err != nil {
		return err
	}
	var samples []sample
	var faults atomic.Int32
	begin := time.Now()
	step := max(atOnce, n/20)
	for done := 0; done < n; {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(atOnce)
		for range min(step, n-done) {
			site := calm[done%len(calm)]
			if done%10 == 9 {
				site = hostile[done/10%len(hostile)]
			}
			done++
			v := pc.Visit{Sweep: "soak", Site: site, URL: "https://" + site + "/", Number: done, Scenarios: pc.Scenarios}
			g.Go(func() error {
				if err := c.Visit(gctx, v, &discard{}); err != nil {
					faults.Add(1)
					fmt.Fprintf(os.Stderr, "%s: %v\n", v.Site, err)
				}
				return gctx.Err()
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		if err := pause(ctx, 2*time.Second); err != nil { // what ends, ends in its own time
			return err
		}
		samples = append(samples, take(done, web.pid))
		fmt.Fprintf(os.Stderr, "%d visits, %.0f s: %.0f\n", done, time.Since(begin).Seconds(), samples[len(samples)-1].Values)
	}
	fmt.Fprintf(w, "# Visits without end\n\nMade by `make soak`: %d visits of the test web through one process, %d at once, one in ten of a site that attacks the browser, settling\nfor %v. Everything is counted while no visit is in hand; start, middle and end are the means of a third of %d samples each. Our heap holds the largest message of the running browser (a hostile tree: 40 MB).\n\n", n, atOnce, settle, len(samples))
	fmt.Fprintf(w, "| | start | middle | end | |\n|---|---:|---:|---:|---|\n")
	third := max(1, len(samples)/3)
	mean := func(ss []sample, i int) (sum float64) {
		for _, s := range ss {
			sum += s.Values[i] / float64(len(ss))
		}
		return sum
	}
	flat := true
	for i, h := range held() {
		a, b, z := mean(samples[:third], i), mean(samples[len(samples)/2-third/2:][:third], i), mean(samples[len(samples)-third:], i)
		said := "flat"
		if z > a*(1+h.share)+h.noise {
			said, flat = "**grows**", false
		}
		fmt.Fprintf(w, "| %s | %.0f %s | %.0f %s | %.0f %s | %s |\n", h.name, a, h.unit, b, h.unit, z, h.unit, said)
	}
	verdict := "flat"
	if !flat {
		verdict = "**not flat**"
	}
	fmt.Fprintf(w, "\nVerdict: %s. It took %.0f minutes; %d visits failed by our own fault; %s.\n\n%s\n", verdict, time.Since(begin).Minutes(), faults.Load(), ended(reg), machine())
	return nil
}

// ended says what the crawler had to end or replace meanwhile.
func ended(reg *prometheus.Registry) string {
	var out []string
	families, err := reg.Gather()
	if err != nil {
		return err.Error()
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "pecrawler_crawler_browser_restarts_total":
				out = append(out, fmt.Sprintf("browsers replaced %.0f", m.Counter.GetValue()))
			case "pecrawler_crawler_rescues_total":
				out = append(out, fmt.Sprintf("ended %s %.0f", m.Label[0].GetValue(), m.Counter.GetValue()))
			}
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}
