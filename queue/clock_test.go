package queue_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
)

// skewed are processes at one server: the clock of the first is right, those of
// the others are five hours fast and five hours slow.
func skewed(t *testing.T, gap time.Duration) (all []*queue.Queue, regs []*prometheus.Registry) {
	t.Helper()
	addr := free(t)
	cfg := queue.Config{Dir: t.TempDir(), Listen: addr, AckWait: 20 * time.Second, Gap: gap, Log: slog.New(slog.DiscardHandler)}
	for _, wrong := range []time.Duration{0, 5 * time.Hour, -5 * time.Hour} {
		reg := prometheus.NewRegistry()
		cfg.Registerer = reg
		q, err := queue.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		cfg.URL, cfg.Dir, cfg.Listen = "nats://"+addr, "", ""
		queue.SetClock(q, wrong)
		if _, err := q.Depth(t.Context()); err != nil { // it looks at the server's clock as it does every other second
			t.Fatal(err)
		}
		all, regs = append(all, q), append(regs, reg)
	}
	return all, regs
}

// Workers whose clocks are hours off keep the gap of a domain and do not keep it
// for hours, and each says by how much its clock is wrong.
func TestWrongClocksKeepTheGap(t *testing.T) {
	const gap = time.Second
	all, regs := skewed(t, gap)
	vs := visits(9)
	for i := range vs {
		vs[i].Site = string(rune('a'+i)) + ".one.co.uk"
	}
	if err := all[0].AddVisits(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	var mu sync.Mutex
	var last time.Time
	made := map[int]int{}
	done := 0
	var g sync.WaitGroup
	for n, q := range all {
		g.Go(func() {
			for {
				j, err := q.Next(ctx)
				if err != nil {
					return
				}
				mu.Lock()
				if since := time.Since(last); since < gap-20*time.Millisecond {
					t.Errorf("%s after %v, want %v", j.Visit.Site, since, gap)
				}
				mu.Unlock()
				time.Sleep(50 * time.Millisecond)
				mu.Lock()
				last = time.Now()
				made[n]++
				if done++; done == len(vs) {
					stop()
				}
				mu.Unlock()
				if err := j.Done(context.WithoutCancel(ctx)); err != nil {
					t.Error(err)
				}
				time.Sleep(3 * gap) // so that another is next, also on a busy machine
			}
		})
	}
	g.Wait()
	if done != len(vs) || len(made) != 3 {
		t.Errorf("%d of %d visits were made, by worker: %v", done, len(vs), made)
	}
	for i, want := range []float64{0, -5 * 3600, 5 * 3600} {
		got := gathered(t, regs[i], "pecrawler_queue_clock_skew_seconds")
		if got < want-2 || got > want+2 {
			t.Errorf("process %d says that its clock is off by %v s, want %v", i, got, want)
		}
	}
}

func gathered(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// A visit of later comes at its time, whoever's clock it was worked out by.
func TestWrongClocksKeepALaterTime(t *testing.T) {
	all, _ := skewed(t, 0)
	for i, q := range all {
		v := pc.Visit{Sweep: "test", Site: string(rune('a'+i)) + ".example", Number: 2}
		begin := time.Now()
		if now := q.Now(); now.Sub(begin).Abs() > time.Second {
			t.Errorf("process %d: it is %v, want %v", i, now, begin)
		}
		if err := q.AddVisitAt(t.Context(), v, q.Now().Add(2*time.Second)); err != nil {
			t.Fatal(err)
		}
		j := next(t, all[0])
		if took := time.Since(begin); j.Visit.Site != v.Site || took < 2*time.Second || took > 8*time.Second {
			t.Errorf("process %d: %s came after %v, want 2 s", i, j.Visit.Site, took)
		}
		if err := j.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
