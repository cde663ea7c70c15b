package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Flag is a flagged site as it was published.
type Flag struct {
	ID       string // the same each time that it is handed out
	Document []byte // as docs/schema/flagged.schema.json has it
	Tries    int    // earlier ones
}

// Flags hands out every flagged site, until the context ends: each at least once, one
// after the other, and of several processes to one. It is done when handle returns
// neither a time nor an error; it comes again after a time; an error gives it up.
func (q *Queue) Flags(ctx context.Context, handle func(context.Context, Flag) (again time.Duration, err error)) error {
	return q.each(ctx, streamFlagged, review, time.Minute, func(msg jetstream.Msg) {
		f := Flag{ID: msg.Headers().Get(nats.MsgIdHdr), Document: msg.Data()}
		if meta, err := msg.Metadata(); err == nil {
			f.Tries = int(meta.NumDelivered) - 1
			if f.ID == "" {
				f.ID = fmt.Sprintf("flagged/%d", meta.Sequence.Stream)
			}
		}
		again, err := handle(ctx, f)
		switch {
		case ctx.Err() != nil && (again > 0 || err != nil):
			err = msg.Nak()
		case err != nil:
			err = msg.TermWithReason(err.Error())
		case again > 0:
			err = msg.NakWithDelay(again)
		default: // it is done: also when we are about to end
			err = msg.DoubleAck(context.WithoutCancel(ctx))
		}
		if err != nil {
			q.log.Warn("what became of a flag could not be said; it comes again", "err", err)
		}
	})
}
