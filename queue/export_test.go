package queue

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Abandon does what the death of a worker does: no more heartbeats, no answer.
func Abandon(j *Job) { j.stop() }

// SetSchema makes this a process of another version.
func SetSchema(q *Queue, n int) { q.schema = n }

// SetClock makes this a process of a machine whose clock is wrong by so much.
func SetClock(q *Queue, wrong time.Duration) {
	q.clock = func() time.Time { return time.Now().Add(wrong) }
}

// JetStream lends the connection, for what nobody but a test should do.
func JetStream(q *Queue) jetstream.JetStream { return q.js }

// Raw publishes a message as it is.
func Raw(ctx context.Context, q *Queue, subject string, data []byte, h nats.Header) error {
	_, err := q.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data, Header: h})
	return err
}

// Last returns how many messages a stream has, and the header of the last one.
func Last(t *testing.T, q *Queue, stream string) (uint64, nats.Header) {
	t.Helper()
	s, err := q.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), s.CachedInfo().State.LastSeq)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs, m.Header
}
