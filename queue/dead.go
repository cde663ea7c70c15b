package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	pc "pecrawler"
)

// DeadVisit is a visit that was given up.
type DeadVisit struct {
	Visit  pc.Visit  `json:"visit"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Raw    []byte    `json:"raw,omitempty"` // of a message that is no visit
}

// Dead gives the visit up: it goes to the dead letters with the reason.
func (j *Job) Dead(ctx context.Context, reason string) error {
	j.stop()
	defer j.end()
	v := j.Visit
	if err := j.q.publish(ctx, kindDead, v.Sweep, v.Site, "dead/"+v.ID(), DeadVisit{Visit: v, Reason: reason, At: j.q.Now().UTC()}); err != nil {
		return err
	}
	j.q.met.dead.Inc()
	if err := j.msg.TermWithReason(reason); err != nil {
		return fmt.Errorf("give up %s: %w", v.ID(), err)
	}
	j.forget(ctx)
	return nil
}

// poison moves a message that is no visit to the dead letters, so that people
// can see what it was.
func (q *Queue) poison(ctx context.Context, msg jetstream.Msg, reason string) error {
	t := strings.Split(msg.Subject(), ".") // the stream's subjects and the consumers' filters have four tokens
	meta, err := msg.Metadata()
	if err != nil || len(t) != 4 {
		return fmt.Errorf("a message of unknown subject %s: %w", msg.Subject(), err)
	}
	data, err := json.Marshal(DeadVisit{Visit: pc.Visit{Sweep: t[2]}, Reason: reason, At: q.Now().UTC(), Raw: msg.Data()})
	if err != nil {
		return err
	}
	m := nats.NewMsg("pecrawler." + kindDead + "." + t[2] + "." + t[3])
	m.Data = data
	m.Header.Set(schemaHeader, fmt.Sprint(q.schema))
	if err := q.send(ctx, m, kindDead, fmt.Sprintf("dead/%d", meta.Sequence.Stream)); err != nil {
		return err
	}
	q.met.dead.Inc()
	return msg.TermWithReason(reason)
}

// Letter is a dead letter where it lies.
type Letter struct {
	DeadVisit
	Seq uint64 // its number in the stream
}

// Letters hands the dead letters of a sweep, or with "" of all, to do, the
// oldest first. It ends at the first error and returns it.
func (q *Queue) Letters(ctx context.Context, sweep string, do func(Letter) error) error {
	filter := "pecrawler." + kindDead + ".>"
	if sweep != "" {
		if !ValidSweep(sweep) {
			return badSweep(sweep)
		}
		filter = "pecrawler." + kindDead + "." + sweep + ".*"
	}
	s, err := q.js.Stream(ctx, streamDead)
	if err != nil {
		return fmt.Errorf("read the dead letters: %w", err)
	}
	for seq := uint64(1); ; seq++ {
		msg, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(filter))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the dead letters: %w", err)
		}
		seq = msg.Sequence
		l := Letter{Seq: seq}
		if err := json.Unmarshal(msg.Data, &l.DeadVisit); err != nil {
			l.Reason, l.Raw = "the letter itself cannot be read", msg.Data
		}
		if err := do(l); err != nil {
			return err
		}
	}
}

// Drop takes a dead letter away.
func (q *Queue) Drop(ctx context.Context, l Letter) error {
	s, err := q.js.Stream(ctx, streamDead)
	if err == nil {
		if err = s.DeleteMsg(ctx, l.Seq); err != nil {
			if _, there := s.GetMsg(ctx, l.Seq); errors.Is(there, jetstream.ErrMsgNotFound) {
				return nil
			}
		}
	}
	if err != nil {
		return fmt.Errorf("drop the dead letter %d: %w", l.Seq, err)
	}
	return nil
}

// Retry puts the visit of a dead letter on the queue again, before all others,
// since somebody asked for it, and as the next visit of the site, because the
// one that died has its result: given up. Then the letter goes. A crash between
// the two repeats a message that changes nothing.
func (q *Queue) Retry(ctx context.Context, l Letter) error {
	if l.Visit.Site == "" || !ValidSweep(l.Visit.Sweep) {
		return fmt.Errorf("the dead letter %d is no visit (%s) and cannot be made again; drop it", l.Seq, l.Reason)
	}
	v := l.Visit
	v.Number++
	if err := q.AddUrgent(ctx, v); err != nil {
		return err
	}
	return q.Drop(ctx, l)
}
