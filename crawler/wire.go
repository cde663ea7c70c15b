package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// wire multiplexes the flat sessions of one browser over chromedp's pipe
// transport. chromedp's own attach resumes new targets without waiting for the
// instruments and drops the messages of child sessions, so the first requests
// of a page would be lost; this layer hands every event, in order, to the
// session's handler.
type wire struct {
	tr       chromedp.Transport
	mu       sync.Mutex
	next     int64
	waiting  map[int64]chan *cdproto.Message
	handlers map[target.SessionID]handler
	down     chan struct{} // closed when the connection is lost
	err      error         // why, once down is closed
}

// handler receives the events of one session on the reader's goroutine: it
// must not wait for anything.
type handler func(method string, params jsonv2.Value)

var errBrowserGone = errors.New("the browser is gone")

func newWire(tr chromedp.Transport, root func(w *wire) handler) *wire {
	w := &wire{tr: tr, waiting: map[int64]chan *cdproto.Message{}, handlers: map[target.SessionID]handler{}, down: make(chan struct{})}
	w.handlers[""] = root(w)
	return w
}

// read runs until the connection ends.
func (w *wire) read() {
	for {
		msg := new(cdproto.Message)
		if err := w.tr.Read(context.Background(), msg); err != nil {
			w.mu.Lock()
			w.err = fmt.Errorf("%w: %v", errBrowserGone, err)
			w.waiting = nil
			w.handlers = nil
			close(w.down)
			w.mu.Unlock()
			return
		}
		w.mu.Lock()
		if msg.ID != 0 {
			ch := w.waiting[msg.ID]
			delete(w.waiting, msg.ID)
			w.mu.Unlock()
			if ch != nil {
				ch <- msg // buffered: never waits
			}
			continue
		}
		h := w.handlers[msg.SessionID]
		w.mu.Unlock()
		if h != nil {
			h(string(msg.Method), msg.Params)
		}
	}
}

func (w *wire) handle(id target.SessionID, h handler) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.handlers == nil {
		return
	}
	if h == nil {
		delete(w.handlers, id)
		return
	}
	w.handlers[id] = h
}

// send writes a command and returns the channel of its reply.
func (w *wire) send(id target.SessionID, method string, params any) (int64, <-chan *cdproto.Message, error) {
	var raw jsonv2.Value
	if params != nil {
		b, err := jsonv2.Marshal(params, chromedp.DefaultMarshalOptions)
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", method, err)
		}
		raw = b
	}
	ch := make(chan *cdproto.Message, 1)
	w.mu.Lock()
	if w.waiting == nil {
		w.mu.Unlock()
		return 0, nil, w.err
	}
	w.next++
	n := w.next
	w.waiting[n] = ch
	w.mu.Unlock()
	err := w.tr.Write(context.Background(), &cdproto.Message{ID: n, SessionID: id, Method: cdproto.MethodType(method), Params: raw})
	if err != nil {
		w.forget(n)
		return 0, nil, fmt.Errorf("%s: %w", method, errors.Join(errBrowserGone, err))
	}
	return n, ch, nil
}

func (w *wire) forget(n int64) {
	w.mu.Lock()
	delete(w.waiting, n)
	w.mu.Unlock()
}

// session is one flat session; it implements [cdp.Session], so that cdproto's
// typed commands run on it. The zero id is the browser itself.
type session struct {
	w  *wire
	id target.SessionID
}

var _ cdp.Session = session{}

// Call runs a command and waits for its reply or for the context.
func (s session) Call(ctx context.Context, method string, params, result any) error {
	n, ch, err := s.w.send(s.id, method, params)
	if err != nil {
		return err
	}
	return s.await(ctx, n, ch, method, result)
}

// await waits for the reply to a command.
func (s session) await(ctx context.Context, n int64, ch <-chan *cdproto.Message, method string, result any) error {
	select {
	case msg := <-ch:
		if msg.Error != nil {
			return fmt.Errorf("%s: %w", method, msg.Error)
		}
		switch to := result.(type) {
		case nil:
			return nil
		case *jsonv2.Value: // as it came
			*to = msg.Result
			return nil
		}
		return jsonv2.Unmarshal(msg.Result, result, chromedp.DefaultUnmarshalOptions)
	case <-ctx.Done():
		s.w.forget(n)
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case <-s.w.down:
		return fmt.Errorf("%s: %w", method, s.w.err)
	}
}

// command is one of several that are sent together.
type command struct {
	method string
	params any
}

// all sends commands, in order, and then waits for the replies: to wait for
// each before the next would wake both processes once more for each.
func (s session) all(ctx context.Context, cs ...command) error {
	wait := make([]func() error, 0, len(cs))
	for _, c := range cs {
		n, ch, err := s.w.send(s.id, c.method, c.params)
		if err != nil {
			return err
		}
		wait = append(wait, func() error { return s.await(ctx, n, ch, c.method, nil) })
	}
	var errs []error
	for _, w := range wait {
		errs = append(errs, w())
	}
	return errors.Join(errs...)
}

// Send runs a command without waiting: targets that are paused at their start
// answer nothing until they are resumed.
func (s session) Send(method string, params any) {
	if n, _, err := s.w.send(s.id, method, params); err == nil {
		s.w.forget(n)
	}
}

// Subscribe is not used here: events go to the session's handler, in order.
func (s session) Subscribe(string) (<-chan jsonv2.Value, func()) {
	ch := make(chan jsonv2.Value)
	close(ch)
	return ch, func() {}
}

// decode reads the payload of an event; a payload that does not decode is
// reported as absent, since one odd event must not cost the visit.
func decode[E any](params jsonv2.Value) (E, bool) {
	var e E
	err := jsonv2.Unmarshal(params, &e, chromedp.DefaultUnmarshalOptions)
	return e, err == nil
}
