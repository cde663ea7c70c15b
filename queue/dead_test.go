package queue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
)

func letters(t *testing.T, q *queue.Queue) (out []queue.Letter) {
	t.Helper()
	if err := q.Letters(t.Context(), "", func(l queue.Letter) error { out = append(out, l); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// A visit that was given up can be seen, made again, and dropped; so can a
// message that is no visit, except that it cannot be made.
func TestDeadLetters(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	if err := q.AddVisits(ctx, visits(2)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := next(t, q).Dead(ctx, "Chromium hangs"); err != nil {
			t.Fatal(err)
		}
	}
	if err := queue.Raw(ctx, q, "pecrawler.visit.test.x", []byte("{not a visit"), nil); err != nil {
		t.Fatal(err)
	}
	none(t, q, "it is no visit")
	ls := letters(t, q)
	if len(ls) != 3 || ls[0].Reason != "Chromium hangs" || string(ls[2].Raw) != "{not a visit" || !strings.Contains(ls[2].Reason, "no visit") {
		t.Fatalf("letters: %+v", ls)
	}
	for range 2 { // the command may be given twice
		if err := q.Retry(ctx, ls[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Retry(ctx, ls[2]); err == nil || !strings.Contains(err.Error(), "drop it") {
		t.Errorf("made again what is no visit: %v", err)
	}
	j := next(t, q)
	if j.Visit.Site != ls[0].Visit.Site || j.Visit.Number != 2 || j.Attempt != 1 {
		t.Errorf("made again: %+v, attempt %d", j.Visit, j.Attempt)
	}
	if err := j.Done(ctx); err != nil {
		t.Fatal(err)
	}
	none(t, q, "it was asked for once")
	if err := q.Drop(ctx, ls[2]); err != nil {
		t.Fatal(err)
	}
	if ls := letters(t, q); len(ls) != 1 || ls[0].Visit.Site != "b.example" {
		t.Errorf("letters that are left: %+v", ls)
	}
}

// During an upgrade, workers of two versions stand side by side: the older one
// leaves what it does not know to the newer one, and that is no attempt.
func TestAVisitOfANewerVersionIsLeft(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	if err := q.Begin(ctx, "test", queue.DefaultPriority); err != nil {
		t.Fatal(err)
	}
	newer := nats.Header{"Pecrawler-Schema": {"99"}}
	if err := queue.Raw(ctx, q, "pecrawler.visit.test.x", []byte(`{"sweep":"test","site":"x.example","number":1}`), newer); err != nil {
		t.Fatal(err)
	}
	if err := queue.Raw(ctx, q, "pecrawler.visit.test.y", []byte(`{"sweep":"test","site":"y.example","number":1}`), nil); err != nil {
		t.Fatal(err)
	}
	if j := next(t, q); j.Visit.Site != "y.example" {
		t.Errorf("%s was taken; want the one that says no version", j.Visit.Site)
	}
	if w, h := depth(t, q); w != 0 || h != 2 {
		t.Errorf("%d wait, %d in hand or put off, want 0 and 2", w, h)
	}
	if ls := letters(t, q); len(ls) != 0 {
		t.Errorf("it was given up: %+v", ls)
	}
}

// Workers are upgraded one by one during a sweep: visits of both versions lie on
// the queue, and each is made exactly once, by a worker that knows it, without
// a lost attempt.
func TestTwoVersionsSideBySide(t *testing.T) {
	addr := free(t)
	srv, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Listen: addr, AckWait: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	url := "nats://" + addr
	connect := func() *queue.Queue {
		q, err := queue.Open(t.Context(), queue.Config{URL: url, AckWait: 5 * time.Second, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		return q
	}
	adds, older, newer := connect(), connect(), connect()
	queue.SetSchema(newer, pc.VerdictSchema+1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const each = 40
	for i := range each {
		v := pc.Visit{Sweep: "test", Site: fmt.Sprintf("old%d.example", i), Number: 1}
		w := pc.Visit{Sweep: "test", Site: fmt.Sprintf("new%d.example", i), Number: 1}
		if err := errors.Join(adds.AddVisits(ctx, []pc.Visit{v}), newer.AddVisits(ctx, []pc.Visit{w})); err != nil {
			t.Fatal(err)
		}
	}
	type made struct {
		site    string
		attempt int
		by      *queue.Queue
	}
	all := make(chan made, 4*each)
	work := func(ctx context.Context, q *queue.Queue) {
		for {
			j, err := q.Next(ctx)
			if err != nil {
				return
			}
			if err := j.Done(context.WithoutCancel(ctx)); err != nil {
				t.Error(err)
			}
			all <- made{j.Visit.Site, j.Attempt, q}
		}
	}
	// At first only the older one works: it makes what it knows and leaves the rest.
	go work(ctx, older)
	seen := map[string]int{}
	take := func(n int) {
		for range n {
			select {
			case m := <-all:
				seen[m.site]++
				if m.attempt != 1 {
					t.Errorf("%s was attempt %d", m.site, m.attempt)
				}
				if m.by == older && strings.HasPrefix(m.site, "new") {
					t.Errorf("the older worker made %s", m.site)
				}
			case <-ctx.Done():
				t.Fatalf("%d of %d visits were made", len(seen), 2*each)
			}
		}
	}
	take(each)
	go work(ctx, newer)
	take(each)
	if len(seen) != 2*each || len(letters(t, adds)) != 0 {
		t.Errorf("%d visits, want %d; %d dead letters", len(seen), 2*each, len(letters(t, adds)))
	}
}

// Every message says the version of its document and has an id.
func TestMessagesSayVersionAndID(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	flagged := pc.Verdict{Sweep: "test", Site: "a.example", Visits: 2, Overall: pc.Flagged}
	for range 2 {
		if err := q.AddVisits(ctx, visits(1)); err != nil {
			t.Fatal(err)
		}
		if err := q.PublishVerdict(ctx, flagged); err != nil {
			t.Fatal(err)
		}
	}
	for stream, want := range map[string]string{"VISITS": "test/a.example/1", "VERDICTS": "verdict/test/a.example/2", "FLAGGED": "flagged/test/a.example/2"} {
		if n, h := queue.Last(t, q, stream); n != 1 || h.Get("Nats-Msg-Id") != want || h.Get("Pecrawler-Schema") != "1" {
			t.Errorf("%s: %d messages, header %v, want one with id %s", stream, n, h, want)
		}
	}
}

// What is on the server is compared with what the code says, and made so.
func TestCheck(t *testing.T) {
	q := open(t, t.TempDir())
	ctx := t.Context()
	if err := q.Begin(ctx, "test", 3); err != nil {
		t.Fatal(err)
	}
	check := func() map[string]string {
		parts, err := q.Check(ctx)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, p := range parts {
			if len(p.Faults) > 0 {
				out[p.Name] = strings.Join(p.Faults, "; ")
			}
		}
		if len(parts) < 15 {
			t.Errorf("only %d parts were checked", len(parts))
		}
		return out
	}
	if faults := check(); len(faults) > 0 {
		t.Errorf("a new server has faults: %v", faults)
	}
	js := queue.JetStream(q)
	s, err := js.Stream(ctx, "RESULTS")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.MaxAge, c.MaxBytes, c.Compression = 48*time.Hour, 1000, jetstream.S2Compression
	if _, err := js.UpdateStream(ctx, c); err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(ctx, "CONTROL"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(ctx, "VISITS", jetstream.ConsumerConfig{Durable: "thief", FilterSubject: "pecrawler.visit.other.*", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	faults := check()
	if !strings.Contains(faults["RESULTS"], "compression") {
		t.Errorf("RESULTS: %q does not say that it is compressed", faults["RESULTS"])
	}
	for part, says := range map[string]string{"RESULTS": "keeps for 48h0m0s, want 2160h0m0s", "CONTROL": "is not there", "VISITS/thief": "no consumer of a sweep"} {
		if !strings.Contains(faults[part], says) {
			t.Errorf("%s: %q does not say %q", part, faults[part], says)
		}
	}
	if !strings.Contains(faults["RESULTS"], "1000 bytes") {
		t.Errorf("RESULTS: %q does not name the limit", faults["RESULTS"])
	}
	if err := q.Fix(ctx); err != nil {
		t.Fatal(err)
	}
	if faults := check(); len(faults) != 1 { // the thief may be somebody's; a person takes it away
		t.Errorf("after Fix: %v", faults)
	}
}

// A data folder from before sweeps had consumers of their own.
func TestTheOldConsumerIsReplaced(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir)
	ctx := t.Context()
	if err := q.AddVisits(ctx, visits(2)); err != nil {
		t.Fatal(err)
	}
	if err := q.End(ctx, "test"); err != nil {
		t.Fatal(err)
	}
	js := queue.JetStream(q)
	if err := js.DeleteConsumer(ctx, "VISITS", "0-urgent"); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(ctx, "VISITS", jetstream.ConsumerConfig{Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = open(t, dir)
	if err := q.Begin(ctx, "test", queue.DefaultPriority); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		next(t, q).Done(ctx)
	}
}

func TestPlace(t *testing.T) {
	for in, want := range map[string]string{"nats://a:4222": "nats://a:4222", "nats://me:secret@a:4222,tls://me:p@ss@b": "nats://a:4222,tls://b", "me:secret@a": "a"} {
		if got := queue.Place(in); got != want {
			t.Errorf("Place(%q) = %q, want %q", in, got, want)
		}
	}
	_, err := queue.Open(t.Context(), queue.Config{URL: "nats://me:secret@127.0.0.1:1", Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the error shows the password, or is none: %v", err)
	}
}
