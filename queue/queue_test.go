package queue_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
)

// free is an address on which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func open(t *testing.T, dir string) *queue.Queue {
	t.Helper()
	q, err := queue.Open(t.Context(), queue.Config{Dir: dir, AckWait: time.Second, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

func visits(n int) []pc.Visit {
	var vs []pc.Visit
	for i := range n {
		vs = append(vs, pc.Visit{Sweep: "test", Site: string(rune('a'+i)) + ".example", URL: "https://x.example/", Number: 1})
	}
	return vs
}

func next(t *testing.T, q *queue.Queue) *queue.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	j, err := q.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return j
}

func depth(t *testing.T, q *queue.Queue) (int, int) {
	t.Helper()
	time.Sleep(200 * time.Millisecond) // a consumer counts new messages a moment after they are stored
	d, err := q.Depth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return d.Waiting, d.InHand
}

// Putting a visit on the queue twice changes nothing, and neither does a restart.
func TestVisitsOnceAndDurable(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	for range 2 {
		if err := q.AddVisits(t.Context(), visits(3)); err != nil {
			t.Fatal(err)
		}
	}
	if w, _ := depth(t, q); w != 3 {
		t.Errorf("%d visits wait, want 3", w)
	}
	j := next(t, q)
	if err := j.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = open(t, dir)
	// After a restart the server knows the ids of the messages that it still has; who
	// resumes a sweep adds only visits without a result.
	if err := q.AddVisits(t.Context(), visits(3)[1:]); err != nil {
		t.Fatal(err)
	}
	if w, h := depth(t, q); w != 2 || h != 0 {
		t.Errorf("after a restart %d wait and %d are in hand, want 2 and 0", w, h)
	}
}

// A worker that dies gives its visit up without a word: another gets it.
func TestRedelivery(t *testing.T) {
	q := open(t, t.TempDir())
	q.AddVisits(t.Context(), visits(1))
	j := next(t, q)
	// The heartbeat holds the visit beyond the wait.
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if _, err := q.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the visit in hand was handed out again: %v", err)
	}
	queue.Abandon(j)
	j = next(t, q)
	if j.Attempt != 2 {
		t.Errorf("attempt %d, want 2", j.Attempt)
	}
	if err := j.Return(0); err != nil {
		t.Fatal(err)
	}
	if j = next(t, q); j.Attempt != 3 {
		t.Errorf("attempt %d after Return, want 3", j.Attempt)
	}
	if err := j.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Workers that are told to end one after the other, each with the same visit in
// hand, do not give it up; a fault counts as ever.
func TestGivenBackIsNoAttempt(t *testing.T) {
	q := open(t, t.TempDir())
	if err := q.AddVisits(t.Context(), visits(1)); err != nil {
		t.Fatal(err)
	}
	for i := range 2 * queue.MaxDeliver {
		j := next(t, q)
		if j.Attempt != 1 {
			t.Fatalf("given back %d times, it is attempt %d", i, j.Attempt)
		}
		if err := j.GiveBack(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := next(t, q).Return(0); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	if j.Attempt != 2 {
		t.Errorf("after a fault it is attempt %d, want 2", j.Attempt)
	}
	if err := j.Done(t.Context()); err != nil {
		t.Error(err)
	}
	if ls := letters(t, q); len(ls) != 0 {
		t.Errorf("it was given up: %+v", ls)
	}
}

func TestGivenUpAfterMaxDeliver(t *testing.T) {
	q := open(t, t.TempDir())
	q.AddVisits(t.Context(), visits(1))
	for range queue.MaxDeliver {
		next(t, q).Return(0)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := q.Next(ctx); err == nil {
		t.Error("the visit came once too often")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var got queue.DeadVisit
	q.Dead(ctx, "test", func(_ context.Context, d queue.DeadVisit) error { got = d; cancel(); return nil })
	if got.Visit.Site != "a.example" || !strings.Contains(got.Reason, "5 attempts") {
		t.Errorf("dead letter %+v", got)
	}
	if w, h := depth(t, q); w+h != 0 {
		t.Errorf("%d wait, %d in hand after it was given up", w, h)
	}
}

// Every result comes, once for each id, from the first one ever published; one
// that was not handled comes again.
func TestResults(t *testing.T) {
	q := open(t, t.TempDir())
	for _, site := range []string{"a.example", "b.example", "a.example"} {
		if err := q.PublishResult(t.Context(), pc.Verdict{Sweep: "test", Site: site, Visit: 1}); err != nil {
			t.Fatal(err)
		}
	}
	q.PublishResult(t.Context(), pc.Verdict{Sweep: "other", Site: "c.example", Visit: 1})
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		var got []string
		failed := false
		q.Results(ctx, "test", func(_ context.Context, v pc.Verdict) error {
			if v.Site == "b.example" && !failed {
				failed = true
				return errors.New("disk full")
			}
			if got = append(got, v.Site); len(got) == 2 {
				cancel()
			}
			return nil
		})
		cancel()
		if strings.Join(got, " ") != "a.example b.example" {
			t.Errorf("results %q", got)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	cfg := queue.Config{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()}
	cfg.URL = "nats://127.0.0.1:1"
	if _, err := queue.Open(t.Context(), cfg); !errors.Is(err, queue.ErrUnreachable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("no server: %v", err)
	}
	cfg.URL, cfg.Dir = "", filepath.Join(file, "queue")
	if _, err := queue.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("unusable folder: %v", err)
	}
	q := open(t, t.TempDir())
	if err := q.AddVisits(t.Context(), []pc.Visit{{Sweep: "a.b", Site: "x"}}); err == nil || !strings.Contains(err.Error(), "a-z") {
		t.Errorf("bad sweep name: %v", err)
	}
}

// Who takes a sweep up again learns what was reported, and what still waits.
func TestStoredAndQueued(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	vs := visits(3)
	if err := q.AddVisits(ctx, vs); err != nil {
		t.Fatal(err)
	}
	j := next(t, q)
	if err := q.PublishResult(ctx, pc.Verdict{Sweep: "test", Site: j.Visit.Site, Visit: 1}); err != nil {
		t.Fatal(err)
	}
	if err := j.Done(ctx); err != nil {
		t.Fatal(err)
	}
	if err := q.PublishResult(ctx, pc.Verdict{Sweep: "other", Site: "z.example", Visit: 1}); err != nil {
		t.Fatal(err)
	}
	k := next(t, q)
	if err := k.Dead(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	var results, dead []string
	err := q.Stored(ctx, "test",
		func(_ context.Context, v pc.Verdict) error { results = append(results, v.Site); return nil },
		func(_ context.Context, d queue.DeadVisit) error { dead = append(dead, d.Visit.Site); return nil })
	if err != nil || len(results) != 1 || results[0] != j.Visit.Site || len(dead) != 1 || dead[0] != k.Visit.Site {
		t.Errorf("stored: %v %v, %v", results, dead, err)
	}
	queued, err := q.Queued(ctx, "test")
	if err != nil || len(queued) != 1 || queued[pc.SiteKey(j.Visit.Site)] {
		t.Errorf("queued: %v, %v", queued, err)
	}
	if _, err := q.Queued(ctx, "Not A Sweep"); err == nil {
		t.Error("a sweep name that is none was taken")
	}
}
