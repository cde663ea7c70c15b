package main

import (
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
	"pecrawler/rules"
)

// A result that the queue does not take for a while is kept and handed in when
// it does; the worker goes on.
func TestAResultWaitsForTheQueue(t *testing.T) {
	url := cluster(t)
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.AddVisits(t.Context(), []pc.Visit{{Sweep: "s", Site: "a.example", Number: 1}}); err != nil {
		t.Fatal(err)
	}
	job, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "RESULTS"); err != nil {
		t.Fatal(err)
	}
	back := make(chan error, 1)
	go func() {
		time.Sleep(7 * time.Second) // longer than a publish tries by itself
		back <- q.Fix(t.Context())
	}()
	w := &worker{queue: q, met: newWorkMetrics(set, prometheus.NewRegistry())}
	if err := w.deliver(t.Context(), slog.New(slog.DiscardHandler), job, pc.Verdict{Sweep: "s", Site: "a.example", Visit: 1}); err != nil {
		t.Fatal(err)
	}
	if err := <-back; err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]uint64{"RESULTS": 1, "VISITS": 0} {
		s, err := js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().State.Msgs; got != want {
			t.Errorf("%s has %d messages, want %d", stream, got, want)
		}
	}
}
