package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The priorities of a sweep: visits of a lower number are handed out first, and
// sweeps of the same number share the workers evenly.
const (
	FirstPriority   = 1
	DefaultPriority = 5
	LastPriority    = 9
)

// Every sweep under way has a consumer of its own, named by priority and sweep.
// The server then counts, pauses and acknowledges each sweep for itself, and a
// worker that asks them in turn shares its slots fairly, whatever their length.

func sweepConsumer(sweep string, priority int) string { return strconv.Itoa(priority) + "-" + sweep }

func sweepFilter(sweep string) string { return "pecrawler." + kindVisit + "." + sweep + ".*" }

// sweepOf is the inverse of sweepConsumer.
func sweepOf(consumer string) (sweep string, priority int, ok bool) {
	p, sweep, _ := strings.Cut(consumer, "-")
	priority, err := strconv.Atoi(p)
	return sweep, priority, err == nil && len(p) == 1 && priority >= FirstPriority && ValidSweep(sweep)
}

// Begin lets workers take the visits of a sweep. What has begun stays so.
func (q *Queue) Begin(ctx context.Context, sweep string, priority int) error {
	if !ValidSweep(sweep) {
		return badSweep(sweep)
	}
	if priority < FirstPriority || priority > LastPriority {
		return fmt.Errorf("priority %d of %s: want %d (first) to %d", priority, sweep, FirstPriority, LastPriority)
	}
	// The server refuses a second consumer for the same visits, so a sweep cannot begin twice with two priorities.
	if _, err := q.consumerOf(ctx, sweep); !errors.Is(err, ErrNotUnderWay) {
		return err
	}
	if _, err := q.js.CreateOrUpdateConsumer(ctx, streamVisits, q.workConsumer(sweepConsumer(sweep, priority), sweepFilter(sweep))); err != nil {
		return fmt.Errorf("begin %s: %w", sweep, err)
	}
	q.begun.Store(sweep, true)
	q.line.forgetNames()
	return nil
}

// underWay begins a sweep of which a visit is about to be stored: without a
// consumer nobody would take it.
func (q *Queue) underWay(ctx context.Context, sweep string) error {
	if _, ok := q.begun.Load(sweep); ok {
		return nil
	}
	if err := q.Begin(ctx, sweep, DefaultPriority); err != nil {
		return err
	}
	q.begun.Store(sweep, true)
	return nil
}

// End takes the consumer of a sweep away: no visit of it is handed out any more.
func (q *Queue) End(ctx context.Context, sweep string) error {
	q.begun.Delete(sweep)
	name, err := q.consumerOf(ctx, sweep)
	if errors.Is(err, ErrNotUnderWay) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := q.js.DeleteConsumer(ctx, streamVisits, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("end %s: %w", sweep, err)
	}
	q.line.forgetNames()
	return nil
}

// ErrNotUnderWay means that no visits of the sweep are being handed out.
var ErrNotUnderWay = errors.New("the sweep is not under way")

func (q *Queue) consumerOf(ctx context.Context, sweep string) (string, error) {
	names, err := q.consumerNames(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range names {
		if s, _, ok := sweepOf(n); ok && s == sweep {
			return n, nil
		}
	}
	return "", ErrNotUnderWay
}

func (q *Queue) consumerNames(ctx context.Context) ([]string, error) {
	s, err := q.visits(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	list := s.ConsumerNames(ctx)
	for n := range list.Name() {
		out = append(out, n)
	}
	if err := list.Err(); err != nil {
		return nil, fmt.Errorf("list the sweeps under way: %w", err)
	}
	return out, nil
}

func (q *Queue) visits(ctx context.Context) (jetstream.Stream, error) {
	s, err := q.stream(ctx, streamVisits)
	if err != nil {
		return nil, fmt.Errorf("read the work queue: %w", err)
	}
	return s, nil
}

// line is where the slots of a process wait for visits. One of them at a time
// asks the server, so that idle slots cost nothing.
type line struct {
	turn chan struct{} // held by the slot that asks

	mu    sync.Mutex
	names []string // consumers, sorted: the lower the priority the earlier
	at    time.Time

	// Only the slot that asks touches these.
	cons  map[string]jetstream.Consumer
	empty map[string]time.Time // nothing waits there; ask again after
	last  map[int]string       // by priority, the consumer that gave the last visit
	idle  int
}

func newLine() *line {
	return &line{turn: make(chan struct{}, 1), cons: map[string]jetstream.Consumer{}, empty: map[string]time.Time{}, last: map[int]string{}}
}

func (l *line) forgetNames() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = time.Time{}
}

const (
	askWait  = 20 * time.Millisecond  // for the answer that nothing waits; a paused sweep gives none
	idleWait = 300 * time.Millisecond // between two questions to a sweep that has nothing
	namesFor = 2 * time.Second        // a new sweep is noticed after that
)

// pull takes the next message: of the urgent visits, then of the sweeps by
// priority, and in turn among equals. It returns nil when nothing waits.
func (q *Queue) pull(ctx context.Context) (jetstream.Msg, error) {
	l := q.line
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	names, err := q.inOrder(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		sleep(ctx, idleWait)
		return nil, nil
	}
	asked := false
	for _, n := range names {
		if time.Now().Before(l.empty[n]) {
			continue
		}
		asked = true
		msg, err := q.ask(ctx, n, askWait)
		if msg != nil || err != nil {
			return msg, err
		}
	}
	if asked {
		return nil, nil
	}
	l.idle++
	return q.ask(ctx, names[l.idle%len(names)], idleWait)
}

func (q *Queue) ask(ctx context.Context, name string, wait time.Duration) (jetstream.Msg, error) {
	l := q.line
	c := l.cons[name]
	if c == nil {
		var err error
		if c, err = q.js.Consumer(ctx, streamVisits, name); err != nil {
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				l.forgetNames() // it has just ended
				return nil, nil
			}
			return nil, err
		}
		l.cons[name] = c
	}
	msg, err := c.Next(jetstream.FetchMaxWait(wait))
	if err == nil {
		_, p, _ := sweepOf(name)
		l.last[p] = name
		return msg, nil
	}
	l.empty[name] = time.Now().Add(idleWait)
	if quiet(err) {
		return nil, nil
	}
	// Ended, or the connection is being made again: find out anew.
	delete(l.cons, name)
	l.forgetNames()
	if errors.Is(err, jetstream.ErrConsumerDeleted) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	return nil, err
}

// quiet tells whether an error only says that nothing came in time.
func quiet(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) || errors.Is(err, context.DeadlineExceeded)
}

// inOrder lists the consumers by priority; of each priority the one that comes
// after the last giver is first.
func (q *Queue) inOrder(ctx context.Context) ([]string, error) {
	l := q.line
	l.mu.Lock()
	names, fresh := l.names, time.Since(l.at) < namesFor
	l.mu.Unlock()
	if !fresh {
		all, err := q.consumerNames(ctx)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(n string) bool { _, _, ok := sweepOf(n); return !ok && n != urgent })
		slices.Sort(all)
		for n := range l.cons {
			if !slices.Contains(all, n) {
				delete(l.cons, n)
				delete(l.empty, n)
			}
		}
		names = all
		l.mu.Lock()
		l.names, l.at = names, time.Now()
		l.mu.Unlock()
	}
	out := make([]string, 0, len(names))
	for len(names) > 0 {
		_, p, _ := sweepOf(names[0])
		n := 1
		for n < len(names) && strings.HasPrefix(names[n], names[0][:2]) {
			n++
		}
		group := names[:n]
		names = names[n:]
		first, _ := slices.BinarySearch(group, l.last[p])
		if first < len(group) && group[first] == l.last[p] {
			first++
		}
		out = append(append(out, group[min(first, len(group)):]...), group[:min(first, len(group))]...)
	}
	return out, nil
}
