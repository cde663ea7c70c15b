package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
)

func TestDomain(t *testing.T) {
	for site, want := range map[string]string{"www.shop.example.co.uk": "example.co.uk", "example.co.uk": "example.co.uk", "a.leeds.gov.uk": "leeds.gov.uk",
		"b.test:8443": "b.test", "127.0.0.1": "127.0.0.1", "localhost:80": "localhost"} {
		if got := queue.Domain(site); got != want {
			t.Errorf("Domain(%q) = %q, want %q", site, got, want)
		}
	}
}

// pair are two processes at one server, which the first has embedded; the metrics
// are the first's.
func pair(t *testing.T, cfg queue.Config) (a, b *queue.Queue) {
	t.Helper()
	open := func() *queue.Queue {
		q, err := queue.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		return q
	}
	addr := free(t)
	cfg.Dir, cfg.Listen, cfg.Log = t.TempDir(), addr, slog.New(slog.DiscardHandler)
	a = open()
	cfg.URL, cfg.Dir, cfg.Listen, cfg.Registerer = "nats://"+addr, "", "", prometheus.NewRegistry()
	return a, open()
}

// makeAll lets a worker of each of some queues make visits until those of all sites
// are made: each in its first attempt, none lost and none left. It tells how often a
// site was visited; visit is what is done with its visit in hand.
func makeAll(t *testing.T, within time.Duration, sites int, workers []*queue.Queue, visit func(site string)) (done map[string]int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), within)
	defer stop()
	var mu sync.Mutex
	done = map[string]int{}
	var g sync.WaitGroup
	for _, q := range workers {
		g.Go(func() {
			for {
				j, err := q.Next(ctx)
				if err != nil {
					return
				}
				if j.Attempt != 1 {
					t.Errorf("%s: attempt %d", j.Visit.Site, j.Attempt)
				}
				visit(j.Visit.Site)
				if err := j.Done(ctx); err != nil {
					t.Error(err)
				}
				mu.Lock()
				if done[j.Visit.Site]++; len(done) == sites {
					stop()
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	if len(done) != sites {
		t.Errorf("%d of %d visits were made: %v", len(done), sites, done)
	}
	if w, h := depth(t, workers[0]); w+h != 0 {
		t.Errorf("%d wait, %d in hand", w, h)
	}
	return done
}

// Two workers on one server, eight visits of one domain and two of others: the
// domain is never visited twice at once, the gap is kept, nothing is lost, and
// waiting counts as no attempt.
func TestOneVisitOfADomainAtATime(t *testing.T) {
	const gap = 300 * time.Millisecond
	a, b := pair(t, queue.Config{AckWait: 2 * time.Second, Gap: gap, Registerer: prometheus.NewRegistry()})
	var all []pc.Visit
	for i := range 8 {
		all = append(all, pc.Visit{Sweep: "test", Site: fmt.Sprintf("h%d.one.co.uk", i), URL: "https://x.example/", Number: 1})
	}
	all = append(all, pc.Visit{Sweep: "test", Site: "two.co.uk", Number: 1}, pc.Visit{Sweep: "test", Site: "three.co.uk", Number: 1})
	if err := a.AddVisits(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	inHand, ended := map[string]int{}, map[string]time.Time{}
	done := makeAll(t, 40*time.Second, len(all), []*queue.Queue{a, a, b, b}, func(site string) {
		d := queue.Domain(site)
		mu.Lock()
		if inHand[d]++; inHand[d] > 1 {
			t.Errorf("%d visits of %s in hand", inHand[d], d)
		}
		// The lease's time is in whole milliseconds.
		if since := time.Since(ended[d]); since < gap-2*time.Millisecond {
			t.Errorf("%s again after %v, want %v", d, since, gap)
		}
		mu.Unlock()
		time.Sleep(100 * time.Millisecond)
		mu.Lock()
		inHand[d]--
		ended[d] = time.Now()
		mu.Unlock()
	})
	for site, n := range done {
		if n != 1 {
			t.Errorf("%s was visited %d times", site, n)
		}
	}
}

// Two workers on one server, ten sites of ten companies behind one address that
// takes two, four behind one that takes a hundred, and one behind none: never more
// than that are in hand at once, nothing is lost, and waiting counts as no attempt.
func TestVisitsBehindOneAddress(t *testing.T) {
	behind := func(_ context.Context, site string) (string, int) {
		switch site[0] {
		case 's':
			return "192.0.2.1", 2
		case 'c':
			return "192.0.2.2", 100
		}
		return "", 0
	}
	reg := prometheus.NewRegistry()
	a, b := pair(t, queue.Config{AckWait: 2 * time.Second, Behind: behind, Registerer: reg})
	var all []pc.Visit
	for i := range 10 {
		all = append(all, pc.Visit{Sweep: "test", Site: fmt.Sprintf("small-%d.co.uk", i), Number: 1})
	}
	for i := range 4 {
		all = append(all, pc.Visit{Sweep: "test", Site: fmt.Sprintf("cdn-%d.co.uk", i), Number: 1})
	}
	all = append(all, pc.Visit{Sweep: "test", Site: "alone.co.uk", Number: 1})
	if err := a.AddVisits(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	inHand, most := map[byte]int{}, map[byte]int{}
	makeAll(t, 90*time.Second, len(all), []*queue.Queue{a, a, a, a, b, b, b, b}, func(site string) {
		k := site[0]
		mu.Lock()
		inHand[k]++
		most[k] = max(most[k], inHand[k])
		mu.Unlock()
		time.Sleep(2500 * time.Millisecond) // longer than a lease lasts without a heartbeat
		mu.Lock()
		inHand[k]--
		mu.Unlock()
	})
	if most['s'] != 2 || most['c'] < 3 {
		t.Errorf("in hand at once: %d behind the small address, want 2; %d behind the large one, want 3 or 4", most['s'], most['c'])
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	waits := uint64(0)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "pecrawler_queue_polite_wait_seconds" && m.GetLabel()[0].GetValue() == "address" {
				waits = m.GetHistogram().GetSampleCount()
			}
		}
	}
	if waits == 0 {
		t.Error("no wait for an address was counted")
	}
}

// A worker that dies frees its place behind an address, and one that is put off
// because of its address does not keep its domain from others.
func TestAPlaceBehindAnAddressIsFreeAgain(t *testing.T) {
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), AckWait: time.Second, Gap: time.Second, Log: slog.New(slog.DiscardHandler),
		Behind: func(_ context.Context, site string) (string, int) {
			if site == "b.two.co.uk" {
				return "", 0
			}
			return "192.0.2.1", 1
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	vs := visits(3)
	vs[0].Site, vs[1].Site, vs[2].Site = "a.one.co.uk", "a.two.co.uk", "b.two.co.uk"
	if err := q.AddVisits(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	k := next(t, q)
	if j.Visit.Site != "a.one.co.uk" || k.Visit.Site != "b.two.co.uk" {
		t.Fatalf("%s and %s were handed out", j.Visit.Site, k.Visit.Site)
	}
	if err := k.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	queue.Abandon(j)
	got := map[string]bool{}
	for range 2 {
		j := next(t, q)
		got[j.Visit.Site] = true
		if err := j.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !got["a.one.co.uk"] || !got["a.two.co.uk"] {
		t.Errorf("%v", got)
	}
}

// A domain stays taken as long as its worker lives, however long the visit
// takes, and is free soon after the worker died.
func TestLeaseLivesAsLongAsItsWorker(t *testing.T) {
	q := open(t, t.TempDir())
	vs := visits(2)
	vs[0].Site, vs[1].Site = "a.one.co.uk", "b.one.co.uk"
	if err := q.AddVisits(t.Context(), vs); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // three times the wait of the message
	defer cancel()
	if k, err := q.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%v was handed out beside %v: %v", k.Visit.Site, j.Visit.Site, err)
	}
	queue.Abandon(j)
	begin := time.Now()
	for range 2 {
		if err := next(t, q).Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("both were made %v after the worker died", time.Since(begin))
}

// A worker that the server does not answer stops its visit before another
// worker may have it.
func TestACutOffVisitIsLost(t *testing.T) {
	addr := free(t)
	cfg := queue.Config{Dir: t.TempDir(), Listen: addr, Log: slog.New(slog.DiscardHandler)}
	srv, err := queue.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	const held = 2 * time.Second
	w, err := queue.Open(t.Context(), queue.Config{URL: "nats://" + addr, AckWait: held, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := srv.AddVisits(t.Context(), visits(1)); err != nil {
		t.Fatal(err)
	}
	j := next(t, w)
	select {
	case <-j.Lost():
		t.Fatal("lost while the server answers")
	case <-time.After(2 * held):
	}
	if j.Cut() {
		t.Error("cut off while the server answers")
	}
	srv.Close()
	select {
	case <-j.Lost():
	case <-time.After(held):
		t.Error("the visit goes on while another worker may have it")
	}
	if !j.Cut() {
		t.Error("not cut off without a server")
	}
	// It stays lost: the server comes back, answers heartbeats, and goes again.
	if srv, err = queue.Open(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for i := 0; w.TryLease(t.Context()) != nil; i++ {
		if i == 50 {
			t.Fatal("the worker does not find the server again")
		}
		time.Sleep(200 * time.Millisecond)
	}
	time.Sleep(held)
	srv.Close()
	time.Sleep(held)
}

// Autoscaling starts workers for what waits, not for what is paused.
func TestDepthKnowsPaused(t *testing.T) {
	q := open(t, t.TempDir())
	if err := launch(t, q, sweep("test"), 1); err != nil {
		t.Fatal(err)
	}
	if err := q.AddVisits(t.Context(), visits(3)); err != nil {
		t.Fatal(err)
	}
	if err := q.Pause(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if d, err := q.Depth(t.Context()); err != nil || d != (queue.Depth{Paused: 3}) {
		t.Errorf("%+v %v", d, err)
	}
}

// While nobody can say whether a domain is free, a visit is kept in hand, and
// that is no attempt: else a cluster that is without a leader for some seconds
// would give up visits that nobody has made.
func TestLeasesThatAreAwayCostNoAttempt(t *testing.T) {
	q := open(t, t.TempDir())
	if err := q.AddVisits(t.Context(), visits(1)); err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{"pecrawler_hosts", "pecrawler_waits"} {
		if err := queue.JetStream(q).DeleteKeyValue(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	back := make(chan error, 1)
	go func() {
		time.Sleep(4 * time.Second) // longer than the visit is held without a word
		back <- q.Fix(t.Context())
	}()
	j := next(t, q)
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	if j.Attempt != 1 {
		t.Errorf("attempt %d, want 1", j.Attempt)
	}
	if err := j.Done(t.Context()); err != nil {
		t.Error(err)
	}
	if waiting, inHand := depth(t, q); waiting+inHand > 0 {
		t.Errorf("%d wait and %d are in hand", waiting, inHand)
	}
}
