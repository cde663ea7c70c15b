package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	pc "pecrawler"
)

// Sweep is what a launch says about a sweep, in the bucket of sweeps: whoever
// launches writes it, whoever collects reads it. Zero fields of an older
// version mean what they meant before there was such a setting.
type Sweep struct {
	ID         string     `json:"id"`
	Agree      int        `json:"agree"`                 // visits that must agree before a flag
	AgreeAfter Span       `json:"agree_after,omitempty"` // from one visit of agreement to the next
	Deadline   *time.Time `json:"deadline,omitempty"`    // what has not begun then is dropped
	Priority   int        `json:"priority"`
	Created    time.Time  `json:"created"`
	Listed     int        `json:"listed"`              // sites of the list; 0 until all of it is stored
	Cancelled  *time.Time `json:"cancelled,omitempty"` // what had not begun then was dropped
}

// Span is a duration that is written for people: "1h0m0s".
type Span time.Duration

// MarshalText implements [encoding.TextMarshaler].
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *Span) UnmarshalText(b []byte) error {
	d, err := time.ParseDuration(string(b))
	*s = Span(d)
	return err
}

// Progress is how far a sweep is. Whoever gives the last words writes it, and
// everybody else shows it: there is no second count.
type Progress struct {
	Sites   int                `json:"sites"` // of the list, as far as it has been taken in
	Done    int                `json:"done"`  // with a last word
	Overall map[pc.Overall]int `json:"overall"`
	Visits  int                `json:"visits"`         // made
	Left    Span               `json:"left,omitempty"` // estimated; 0: not known yet
	At      time.Time          `json:"at"`
	Ended   Ending             `json:"ended,omitempty"`
}

// Ending says how a sweep ended; "" is under way.
type Ending string

// The endings.
const (
	EndedDone      Ending = "done"
	EndedCancelled Ending = "cancelled"
	EndedDeadline  Ending = "deadline"
)

// Entry is a site of a launched list.
type Entry struct {
	Site   string `json:"site"`
	URL    string `json:"url"`
	Rank   int    `json:"rank,omitempty"`
	Sector string `json:"sector,omitempty"`
	Line   int    `json:"line,omitempty"`
}

// Part of a list: one message.
type part struct {
	Entries []Entry `json:"entries"`
}

// Limits of a part, so that it stays well under the greatest message.
const (
	partEntries = 1000
	partBytes   = 256 << 10
)

// listParts cuts a list into parts.
type listParts struct {
	store func(ctx context.Context, n int, data []byte) error // part n, from 1
	part  []json.RawMessage
	bytes int
	n     int // stored
	sites int
}

func (l *listParts) add(ctx context.Context, e Entry) error {
	raw := encode(e)
	l.part, l.bytes = append(l.part, raw), l.bytes+len(raw)
	l.sites++
	if len(l.part) < partEntries && l.bytes < partBytes {
		return nil
	}
	return l.flush(ctx)
}

func (l *listParts) flush(ctx context.Context) error {
	if len(l.part) == 0 {
		return nil
	}
	data := encode(struct {
		Entries []json.RawMessage `json:"entries"`
	}{l.part})
	l.n++
	if err := l.store(ctx, l.n, data); err != nil {
		return err
	}
	l.part, l.bytes = l.part[:0], 0
	return nil
}

// Launch is a launch that is being made.
type Launch struct {
	q     *Queue
	sweep Sweep
	parts listParts
}

// ErrSweepExists means that there is a sweep of that name.
var ErrSweepExists = errors.New("there is a sweep of this name")

// Launch begins a sweep: its settings are stored, and its visits may be taken
// as soon as there are any. A launch that broke off is begun again by the same
// call; parts that are stored are not stored twice.
func (q *Queue) Launch(ctx context.Context, s Sweep) (*Launch, error) {
	if !ValidSweep(s.ID) {
		return nil, badSweep(s.ID)
	}
	kv, err := q.bucket(ctx, bucketSweeps)
	if err != nil {
		return nil, err
	}
	s.Listed = 0
	for begun := false; !begun; {
		old, rev, err := get[Sweep](ctx, kv, s.ID)
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			_, err = kv.Create(ctx, s.ID, encode(s))
		case err != nil:
			return nil, err
		case old.Listed > 0 || old.Cancelled != nil:
			return nil, fmt.Errorf("%w: %s, launched on %s; choose another --name", ErrSweepExists, s.ID, old.Created.Format("2 January 2006"))
		default:
			s.Created = old.Created
			_, err = kv.Update(ctx, s.ID, encode(s), rev)
		}
		if err != nil && !errors.Is(err, jetstream.ErrKeyExists) { // that is somebody else who launches the same
			return nil, fmt.Errorf("launch %s: %w", s.ID, err)
		}
		begun = err == nil
	}
	if err := q.Begin(ctx, s.ID, s.Priority); err != nil {
		return nil, err
	}
	l := &Launch{q: q, sweep: s}
	l.parts.store = l.send
	return l, nil
}

// Add adds a site to the list. No site may be added twice.
func (l *Launch) Add(ctx context.Context, e Entry) error { return l.parts.add(ctx, e) }

func (l *Launch) send(ctx context.Context, n int, data []byte) error {
	sum := sha256.Sum256(data)
	m := nats.NewMsg("pecrawler." + kindList + "." + l.sweep.ID + "." + strconv.Itoa(n))
	m.Data = data
	m.Header.Set(schemaHeader, strconv.Itoa(l.q.schema))
	// The content is part of the id: the launch of another list under the same name is no repetition.
	return l.q.send(ctx, m, kindList, fmt.Sprintf("list/%s/%d/%s", l.sweep.ID, n, hex.EncodeToString(sum[:8])))
}

// Finish stores the rest of the list, and how many sites it has.
func (l *Launch) Finish(ctx context.Context) (sites int, err error) {
	if err := l.parts.flush(ctx); err != nil {
		return l.parts.sites, err
	}
	return l.parts.sites, l.q.change(ctx, l.sweep.ID, func(s *Sweep) error {
		s.Listed = l.parts.sites
		return nil
	})
}

func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // the types of this file have no values that cannot be encoded
	}
	return data
}

func get[T any](ctx context.Context, kv jetstream.KeyValue, key string) (v T, rev uint64, err error) {
	e, err := kv.Get(ctx, key)
	if err != nil {
		return v, 0, fmt.Errorf("read %s of %s: %w", key, kv.Bucket(), err)
	}
	if err := json.Unmarshal(e.Value(), &v); err != nil {
		return v, 0, fmt.Errorf("read %s of %s: %w", key, kv.Bucket(), err)
	}
	return v, e.Revision(), nil
}

// ErrNoSweep means that no sweep of that name was launched.
var ErrNoSweep = errors.New("no sweep of this name was launched here")

// change replaces the settings of a sweep, again if somebody else did meanwhile.
func (q *Queue) change(ctx context.Context, id string, do func(*Sweep) error) error {
	kv, err := q.bucket(ctx, bucketSweeps)
	if err != nil {
		return err
	}
	return replace(ctx, kv, id, fmt.Errorf("%w: %s; pecrawler status lists them", ErrNoSweep, id), do)
}

// replace puts what do makes of a value in its place, and asks do again if somebody
// else was faster. An error of do is returned, and nothing is changed; missing is
// the error when there is no value.
func replace[T any](ctx context.Context, kv jetstream.KeyValue, key string, missing error, do func(*T) error) error {
	for {
		v, rev, err := get[T](ctx, kv, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return missing
		}
		if err != nil {
			return err
		}
		if err := do(&v); err != nil {
			return err
		}
		_, err = kv.Update(ctx, key, encode(v), rev)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return fmt.Errorf("change %s of %s: %w", key, kv.Bucket(), err)
		}
	}
}

// State is what is known of a launched sweep.
type State struct {
	Sweep
	Progress
	Paused  bool
	Waiting int // on the queue
	InHand  int // with workers, or put off for a moment because their domain is taken
	Later   int // visits of agreement that come at their time
}

// Sweep returns the settings of a launched sweep, or ErrNoSweep.
func (q *Queue) Sweep(ctx context.Context, id string) (Sweep, error) {
	if !ValidSweep(id) {
		return Sweep{}, badSweep(id)
	}
	kv, err := q.bucket(ctx, bucketSweeps)
	if err != nil {
		return Sweep{}, err
	}
	s, _, err := get[Sweep](ctx, kv, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return s, fmt.Errorf("%w: %s; pecrawler status lists them", ErrNoSweep, id)
	}
	return s, err
}

// Sweeps returns the settings and the progress of all launched sweeps, the newest first.
func (q *Queue) Sweeps(ctx context.Context) ([]State, error) {
	kv, err := q.bucket(ctx, bucketSweeps)
	if err != nil {
		return nil, err
	}
	names, err := q.names(ctx, bucketSweeps)
	if err != nil {
		return nil, fmt.Errorf("list the sweeps: %w", err)
	}
	var out []State
	for _, name := range names {
		s, err := q.state(ctx, kv, name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b State) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// names are the keys of a bucket that have no dot, also of what was removed. They are
// the stream's subjects, not a watch: that needs a consumer, and who may make
// consumers may have messages delivered where he may not publish.
func (q *Queue) names(ctx context.Context, bucket string) (out []string, err error) {
	stream, err := q.stream(ctx, "KV_"+bucket)
	if err != nil {
		return nil, err
	}
	before := "$KV." + bucket + "."
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(before+"*"))
	if err != nil {
		return nil, err
	}
	for subj := range info.State.Subjects {
		out = append(out, strings.TrimPrefix(subj, before))
	}
	return out, nil
}

func (q *Queue) state(ctx context.Context, kv jetstream.KeyValue, id string) (st State, err error) {
	if st.Sweep, _, err = get[Sweep](ctx, kv, id); err != nil {
		return st, err
	}
	prog, err := q.bucket(ctx, bucketProgress)
	if err != nil {
		return st, err
	}
	if st.Progress, _, err = get[Progress](ctx, prog, id); err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
		return st, err
	}
	return st, nil
}

// State returns what is known of a launched sweep, with what waits, or ErrNoSweep.
func (q *Queue) State(ctx context.Context, id string) (State, error) {
	if _, err := q.Sweep(ctx, id); err != nil {
		return State{}, err
	}
	kv, err := q.bucket(ctx, bucketSweeps)
	if err != nil {
		return State{}, err
	}
	st, err := q.state(ctx, kv, id)
	if err != nil {
		return st, err
	}
	return st, q.waiting(ctx, &st)
}

func (q *Queue) waiting(ctx context.Context, st *State) error {
	name, err := q.consumerOf(ctx, st.Sweep.ID)
	if errors.Is(err, ErrNotUnderWay) {
		return nil
	}
	if err != nil {
		return err
	}
	cons, err := q.js.Consumer(ctx, streamVisits, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // it has just ended
	}
	if err != nil {
		return fmt.Errorf("state of %s: %w", st.Sweep.ID, err)
	}
	info := cons.CachedInfo()
	st.Paused, st.Waiting, st.InHand = info.Paused, int(info.NumPending), info.NumAckPending
	later, err := q.Later(ctx, st.Sweep.ID)
	st.Later = later
	return err
}

// Later is the number of visits of a sweep that come at their time.
func (q *Queue) Later(ctx context.Context, sweep string) (int, error) {
	s, err := q.visits(ctx)
	if err != nil {
		return 0, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("pecrawler."+kindLater+"."+sweep+".*"))
	if err != nil {
		return 0, fmt.Errorf("read the work queue: %w", err)
	}
	return len(info.State.Subjects), nil
}

// forever is how long a sweep is paused; the server wants a time.
const forever = 100 * 365 * 24 * time.Hour

// Pause holds back the visits of a sweep. What is in hand is finished; its
// results are collected, and further visits are put on the queue and wait.
func (q *Queue) Pause(ctx context.Context, sweep string) error {
	return q.pause(ctx, sweep, func(s jetstream.Stream, name string) error {
		_, err := s.PauseConsumer(ctx, name, time.Now().Add(forever))
		return err
	})
}

// Resume lets workers take the visits of a paused sweep again.
func (q *Queue) Resume(ctx context.Context, sweep string) error {
	return q.pause(ctx, sweep, func(s jetstream.Stream, name string) error {
		_, err := s.ResumeConsumer(ctx, name)
		return err
	})
}

func (q *Queue) pause(ctx context.Context, sweep string, do func(s jetstream.Stream, consumer string) error) error {
	st, err := q.State(ctx, sweep)
	if err != nil {
		return err
	}
	if st.Ended != "" || st.Cancelled != nil {
		return fmt.Errorf("the sweep %s is over: %s", sweep, st.ending())
	}
	s, err := q.visits(ctx)
	if err != nil {
		return err
	}
	name, err := q.consumerOf(ctx, sweep)
	if err == nil {
		err = do(s, name)
	}
	if err != nil {
		return fmt.Errorf("pause or resume %s: %w", sweep, err)
	}
	return nil
}

func (s State) ending() Ending {
	if s.Ended == "" && s.Cancelled != nil {
		return EndedCancelled
	}
	return s.Ended
}

// Cancel drops what has not begun of a sweep. What is in hand is finished, and
// what was found stays. Whoever collects ends the sweep.
func (q *Queue) Cancel(ctx context.Context, sweep string) error {
	st, err := q.State(ctx, sweep)
	if err != nil {
		return err
	}
	if st.Ended != "" {
		return fmt.Errorf("the sweep %s is over: %s", sweep, st.Ended)
	}
	now := q.Now().UTC()
	if err := q.change(ctx, sweep, func(s *Sweep) error {
		if s.Cancelled == nil {
			s.Cancelled = &now
		}
		return nil
	}); err != nil {
		return err
	}
	// At once nothing more is handed out; then it goes, which may take a while.
	if name, err := q.consumerOf(ctx, sweep); err == nil {
		if s, err := q.visits(ctx); err == nil {
			s.PauseConsumer(ctx, name, time.Now().Add(forever))
		}
	}
	return q.Purge(ctx, sweep)
}

// Report stores how far a sweep is.
func (q *Queue) Report(ctx context.Context, sweep string, p Progress) error {
	kv, err := q.bucket(ctx, bucketProgress)
	if err != nil {
		return err
	}
	if _, err := kv.Put(ctx, sweep, encode(p)); err != nil {
		return fmt.Errorf("report the progress of %s: %w", sweep, err)
	}
	return nil
}

// Command is what people ask of whoever gives the last words.
type Command struct {
	Do    string    `json:"do"`
	Sweep string    `json:"sweep"`
	Site  string    `json:"site,omitempty"`
	At    time.Time `json:"at"`
}

// The commands.
const (
	DoRevisit  = "revisit"  // one more visit of Site, before all others
	DoFailures = "failures" // one more visit of every site that could not be reached, was blocked or given up
	DoMissing  = "missing"  // a visit of every site that has neither a last word nor a visit on the queue
)

// Ask stores a command.
func (q *Queue) Ask(ctx context.Context, c Command) error {
	if _, err := q.Sweep(ctx, c.Sweep); err != nil {
		return err
	}
	c.At = q.Now().UTC()
	return q.publish(ctx, kindControl, c.Sweep, c.Site, fmt.Sprintf("control/%s/%s/%s/%d", c.Sweep, c.Do, pc.SiteKey(c.Site), c.At.UnixNano()), c)
}

// ListsComing tells whether parts of lists are stored that nobody has taken in yet.
func (q *Queue) ListsComing(ctx context.Context) (bool, error) {
	cons, err := q.js.Consumer(ctx, streamLists, collect)
	if err != nil {
		return false, fmt.Errorf("read %s: %w", streamLists, err)
	}
	info := cons.CachedInfo()
	return info.NumPending > 0 || info.NumAckPending > 0, nil
}

// Handler is what is done with what comes for whoever gives the last words. A
// message counts as handled when its function returns nil; otherwise, and after
// a crash, it comes again, so each of them must bear to be called twice.
type Handler struct {
	List    func(ctx context.Context, sweep string, entries []Entry) error
	Result  func(ctx context.Context, v pc.Verdict) error
	Dead    func(ctx context.Context, d DeadVisit) error
	Command func(ctx context.Context, c Command) error
}

// Collect hands everything that comes of all sweeps to h, until the context
// ends. Kinds are handled side by side, messages of a kind one after the other.
// Several processes may collect; each message goes to one of them.
func (q *Queue) Collect(ctx context.Context, h Handler) error {
	errs := make(chan error, 4)
	run := func(stream string, handle func(context.Context, jetstream.Msg) error) {
		go func() { errs <- q.collect(ctx, stream, handle) }()
	}
	run(streamLists, func(ctx context.Context, m jetstream.Msg) error {
		var p part
		sweep := strings.Split(m.Subject(), ".")[2] // the stream's subjects have four tokens
		return decoded(m, &p, func() error { return h.List(ctx, sweep, p.Entries) })
	})
	run(streamResults, func(ctx context.Context, m jetstream.Msg) error {
		var v pc.Verdict
		return decoded(m, &v, func() error { return h.Result(ctx, v) })
	})
	run(streamDead, func(ctx context.Context, m jetstream.Msg) error {
		var d DeadVisit
		return decoded(m, &d, func() error {
			if d.Visit.Site == "" {
				return nil // it was no visit
			}
			return h.Dead(ctx, d)
		})
	})
	run(streamControl, func(ctx context.Context, m jetstream.Msg) error {
		var c Command
		return decoded(m, &c, func() error { return h.Command(ctx, c) })
	})
	var err error
	for range 4 {
		err = errors.Join(err, <-errs)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// errUnreadable is a message that will never be handled.
var errUnreadable = errors.New("the message cannot be read")

func decoded(m jetstream.Msg, v any, handle func() error) error {
	if err := json.Unmarshal(m.Data(), v); err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return handle()
}

func (q *Queue) collect(ctx context.Context, stream string, handle func(context.Context, jetstream.Msg) error) error {
	return q.each(ctx, stream, collect, 5*time.Second, func(msg jetstream.Msg) {
		if err := q.handle(ctx, msg, handle); ctx.Err() != nil {
			msg.Nak()
			return
		} else if errors.Is(err, errUnreadable) {
			q.log.Error("an unreadable message was passed over", "subject", msg.Subject(), "err", err)
		}
		if err := msg.DoubleAck(ctx); err != nil {
			q.log.Warn("a message will be handled again", "subject", msg.Subject(), "err", err)
		}
	})
}

// each hands out the messages of a stream's consumer one after the other, until the
// context ends. Those of a newer version come again after a time, to whoever asks then.
func (q *Queue) each(ctx context.Context, stream, consumer string, newer time.Duration, do func(jetstream.Msg)) error {
	cons, err := q.js.Consumer(ctx, stream, consumer)
	if err != nil {
		return fmt.Errorf("read %s: %w (pecrawler queue check says what is missing, and --fix makes it)", stream, err)
	}
	for ctx.Err() == nil {
		msg, err := cons.Next(jetstream.FetchMaxWait(2 * time.Second))
		switch {
		case ctx.Err() != nil:
			if err == nil {
				msg.Nak()
			}
		case err != nil:
			if !quiet(err) {
				q.log.Warn("waiting for NATS", "stream", stream, "err", err)
				sleep(ctx, time.Second)
			}
		case !q.readable(msg.Headers()):
			q.log.Warn("a message of a newer version is left to a newer process", "subject", msg.Subject())
			msg.NakWithDelay(newer)
		default:
			do(msg)
		}
	}
	return nil
}

// handle tries until it goes well: nothing that comes after may overtake a
// message that a full disk holds up.
func (q *Queue) handle(ctx context.Context, msg jetstream.Msg, do func(context.Context, jetstream.Msg) error) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
		err := do(ctx, msg)
		if err == nil || errors.Is(err, errUnreadable) || ctx.Err() != nil {
			return err
		}
		q.log.Error("a message could not be handled; trying again", "subject", msg.Subject(), "err", err)
		msg.InProgress()
		sleep(ctx, wait)
	}
}
