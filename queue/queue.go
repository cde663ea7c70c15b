// Package queue moves names between the stages on NATS JetStream: visits to
// workers, results of visits to whoever runs the sweep, last words to whoever
// listens. It knows no stage and carries no evidence.
//
// Streams and subjects (sweep names are [a-z0-9-], sites are hashed):
//
//	VISITS    pecrawler.visit.<sweep>.<site>    work queue: a message is a visit, gone when acknowledged
//	RESULTS   pecrawler.result.<sweep>.<site>   the verdict of one visit, kept for the sweep's collector
//	VERDICTS  pecrawler.verdict.<sweep>.<site>  the last word on a site
//	FLAGGED   pecrawler.flagged.<sweep>.<site>  the same, flagged sites only
//	DEAD      pecrawler.dead.<sweep>.<site>     visits given up, with the reason
//
// Two visits of one registrable domain are never in hand at the same time, and
// a gap lies between them: a lease in a key-value bucket, see lease.go.
//
// Every message has an id made from what it says, so that publishing it twice
// changes nothing. A visit is acknowledged only after its result is published;
// a worker that dies loses nothing, because the message comes back after
// [Config.AckWait] without a heartbeat. The default server is embedded, keeps
// its files in the data folder, and has no port unless Listen is set. Files are
// flushed before a publish is acknowledged: job rates are tens a second, and an
// acknowledged verdict must survive a power cut.
package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
)

// MaxDeliver is how often a visit is handed out before it is given up.
const MaxDeliver = 5

// Stream names.
const (
	streamVisits   = "VISITS"
	streamResults  = "RESULTS"
	streamVerdicts = "VERDICTS"
	streamFlagged  = "FLAGGED"
	streamDead     = "DEAD"
	workers        = "workers"
)

// dedup is how long an id is remembered by the server.
const dedup = 24 * time.Hour

// Config says which server to use.
type Config struct {
	URL        string // of a NATS cluster; "" embeds a server
	Dir        string // of the embedded server's files
	Listen     string // host:port on which the embedded server also listens; "" is none
	AckWait    time.Duration
	Gap        time.Duration // between two visits of one registrable domain, over all workers
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Queue is a connection to the streams.
type Queue struct {
	srv     *server.Server // nil with a cluster
	nc      *nats.Conn
	js      jetstream.JetStream
	work    jetstream.Consumer
	hosts   jetstream.KeyValue // leases of domains
	waits   jetstream.KeyValue
	ackWait time.Duration
	gap     time.Duration
	log     *slog.Logger
	met     *metrics
}

// ErrUnreachable means that no NATS server answered.
var ErrUnreachable = errors.New("cannot reach NATS")

// Open connects to the cluster, or starts the embedded server, and makes the
// streams if they are not there. Close it.
func Open(ctx context.Context, cfg Config) (_ *Queue, err error) {
	if cfg.AckWait == 0 {
		cfg.AckWait = 60 * time.Second
	}
	q := &Queue{ackWait: cfg.AckWait, gap: min(cfg.Gap, cfg.AckWait), log: cfg.Log, met: newMetrics()}
	defer func() {
		if err != nil {
			q.Close()
		}
	}()
	opts := []nats.Option{
		nats.Name("pecrawler"), nats.MaxReconnects(-1), nats.Timeout(5 * time.Second),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { cfg.Log.Warn("nats", "err", err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				cfg.Log.Warn("nats connection lost, reconnecting", "err", err)
			}
		}),
	}
	where := cfg.URL
	if where == "" {
		if q.srv, err = embed(cfg); err != nil {
			return nil, err
		}
		opts = append(opts, nats.InProcessServer(q.srv))
	}
	if q.nc, err = nats.Connect(where, opts...); err != nil {
		return nil, fmt.Errorf("%w at %s: %v (is it running? --nats names the address)", ErrUnreachable, where, err)
	}
	if q.js, err = jetstream.New(q.nc); err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	if err := q.streams(ctx); err != nil {
		return nil, err
	}
	q.met.queue = q
	if err := cfg.Registerer.Register(q.met); err != nil {
		return nil, err
	}
	return q, nil
}

// embed starts a server in this process.
func embed(cfg Config) (*server.Server, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	o := &server.Options{ServerName: "pecrawler", JetStream: true, StoreDir: cfg.Dir, SyncAlways: true, NoSigs: true, NoLog: true, DontListen: cfg.Listen == "",
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: -1}
	if cfg.Listen != "" {
		host, port, err := net.SplitHostPort(cfg.Listen)
		if err != nil {
			return nil, fmt.Errorf("listen address %q of the queue: %w", cfg.Listen, err)
		}
		o.Host = host
		if o.Port, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("listen address %q of the queue: %w", cfg.Listen, err)
		}
	}
	s, err := server.NewServer(o)
	if err != nil {
		return nil, fmt.Errorf("embed NATS: %w", err)
	}
	s.SetLoggerV2(natsLog{cfg.Log}, false, false, false)
	go s.Start() // ends with Shutdown in Close
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS did not start; is the folder %s writable and the address %q free?", cfg.Dir, cfg.Listen)
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("embedded NATS could not use the folder %s", cfg.Dir)
	}
	return s, nil
}

// natsLog passes the server's warnings and errors on.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(f string, a ...any) { l.log.Debug("nats server", "msg", fmt.Sprintf(f, a...)) }
func (l natsLog) Warnf(f string, a ...any)   { l.log.Debug("nats server", "msg", fmt.Sprintf(f, a...)) }
func (l natsLog) Errorf(f string, a ...any)  { l.log.Warn("nats server", "msg", fmt.Sprintf(f, a...)) }
func (l natsLog) Fatalf(f string, a ...any)  { l.log.Error("nats server", "msg", fmt.Sprintf(f, a...)) }
func (l natsLog) Debugf(string, ...any)      {}
func (l natsLog) Tracef(string, ...any)      {}

func (q *Queue) streams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	base := jetstream.StreamConfig{Storage: jetstream.FileStorage, Duplicates: dedup, MaxMsgSize: 1 << 20, Compression: jetstream.S2Compression, AllowDirect: true}
	stream := func(name, subject string, keep time.Duration) jetstream.StreamConfig {
		c := base
		c.Name, c.Subjects, c.MaxAge = name, []string{subject}, keep
		return c
	}
	visits := stream(streamVisits, "pecrawler.visit.>", 0)
	visits.Retention = jetstream.WorkQueuePolicy
	const keep = 90 * 24 * time.Hour
	for _, c := range []jetstream.StreamConfig{visits, stream(streamResults, "pecrawler.result.>", keep), stream(streamVerdicts, "pecrawler.verdict.>", keep),
		stream(streamFlagged, "pecrawler.flagged.>", keep), stream(streamDead, "pecrawler.dead.>", keep)} {
		if _, err := q.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("make the stream %s: %w", c.Name, err)
		}
	}
	work, err := q.js.CreateOrUpdateConsumer(ctx, streamVisits, jetstream.ConsumerConfig{Durable: workers, AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.ackWait,
		// Next gives a visit up itself after MaxDeliver; the server's own limit would leave it in the stream for ever.
		MaxDeliver: -1, MaxAckPending: 4000, MaxWaiting: 2048})
	if err != nil {
		return fmt.Errorf("make the consumer of %s: %w", streamVisits, err)
	}
	q.work = work
	return q.buckets(ctx)
}

// Close ends the connection and the embedded server.
func (q *Queue) Close() {
	if q.nc != nil {
		q.nc.Close()
	}
	if q.srv != nil {
		q.srv.Shutdown()
		q.srv.WaitForShutdown()
	}
}

// ValidSweep tells whether a sweep name can stand in a subject.
func ValidSweep(name string) bool { return sweepName().MatchString(name) }

func sweepName() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`) }

func subject(kind, sweep, site string) (string, error) {
	if !ValidSweep(sweep) {
		return "", fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", sweep)
	}
	return "pecrawler." + kind + "." + sweep + "." + pc.SiteKey(site), nil
}

// publish stores a message once: the server drops a second one with the same id.
func (q *Queue) publish(ctx context.Context, kind, sweep, site, id string, v any) error {
	subj, err := subject(kind, sweep, site)
	if err != nil {
		return err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s of %s: %w", kind, site, err)
	}
	ack, err := q.js.Publish(ctx, subj, data, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(5), jetstream.WithRetryWait(time.Second))
	if err != nil {
		return fmt.Errorf("publish %s of %s: %w", kind, site, err)
	}
	if !ack.Duplicate {
		q.met.published.WithLabelValues(kind).Inc()
	}
	return nil
}

// AddVisits puts visits on the work queue and returns when all are stored. A
// visit that is there already changes nothing.
func (q *Queue) AddVisits(ctx context.Context, visits []pc.Visit) error {
	const window = 500 // in flight
	for len(visits) > 0 {
		batch := visits[:min(window, len(visits))]
		visits = visits[len(batch):]
		futures := make([]jetstream.PubAckFuture, 0, len(batch))
		for _, v := range batch {
			subj, err := subject("visit", v.Sweep, v.Site)
			if err != nil {
				return err
			}
			data, err := json.Marshal(v)
			if err != nil {
				return fmt.Errorf("encode visit of %s: %w", v.Site, err)
			}
			f, err := q.js.PublishAsync(subj, data, jetstream.WithMsgID(v.ID()))
			if err != nil {
				return fmt.Errorf("put %s on the queue: %w", v.Site, err)
			}
			futures = append(futures, f)
		}
		for i, f := range futures {
			select {
			case <-f.Ok():
			case err := <-f.Err():
				// The connection may have broken; once more, waiting for the answer. The id makes that harmless.
				v := batch[i]
				if err := q.publish(ctx, "visit", v.Sweep, v.Site, v.ID(), v); err != nil {
					return err
				}
				q.log.Debug("visit was published again", "visit", v.ID(), "err", err)
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
			q.met.published.WithLabelValues("visit").Inc()
		}
	}
	return nil
}

// Job is a visit in hand. Exactly one of Done, Return and Dead ends it; until
// then a heartbeat keeps the queue from handing it to another worker.
type Job struct {
	Visit   pc.Visit
	Attempt int // 1 for the first time

	q     *Queue
	msg   jetstream.Msg
	stop  context.CancelFunc // ends the heartbeat
	end   func()             // ends it and lets the domain go
	waits int                // times that it was put off
}

// Next waits for a visit whose domain nobody visits, and none has for the gap.
// It returns the context's error when that ends first.
func (q *Queue) Next(ctx context.Context) (*Job, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		msg, err := q.work.Next(jetstream.FetchContext(deadline(ctx, 5*time.Second)))
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoMessages) && !errors.Is(err, context.DeadlineExceeded) {
				q.log.Warn("waiting for NATS", "err", err)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
			continue
		}
		job, ok := q.take(ctx, msg)
		if ok {
			return job, nil
		}
	}
}

// deadline bounds one pull, so that it ends and begins anew. The cancel function
// is not kept: the context ends by itself within the limit.
func deadline(ctx context.Context, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(ctx, d)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (q *Queue) take(ctx context.Context, msg jetstream.Msg) (*Job, bool) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, false
	}
	job := &Job{q: q, msg: msg, stop: func() {}, end: func() {}, Attempt: int(meta.NumDelivered)}
	if err := json.Unmarshal(msg.Data(), &job.Visit); err != nil || !ValidSweep(job.Visit.Sweep) {
		q.log.Error("a message on the work queue is no visit; it was dropped", "err", err)
		msg.TermWithReason("not a visit")
		return nil, false
	}
	if job.Attempt > 1 {
		job.waits = q.waited(ctx, job.Visit)
		job.Attempt = max(1, job.Attempt-job.waits)
	}
	if job.Attempt > 1 {
		q.met.redelivered.Inc()
	}
	if job.Attempt > MaxDeliver {
		if err := job.Dead(ctx, fmt.Sprintf("gave up after %d attempts", MaxDeliver)); err != nil {
			q.log.Error("dead letter", "visit", job.Visit.ID(), "err", err)
		}
		return nil, false
	}
	lease, wait, err := q.hold(ctx, Domain(job.Visit.Site))
	if err != nil {
		q.log.Warn("could not ask whether a domain is free", "visit", job.Visit.ID(), "err", err)
	}
	if lease == nil {
		q.putOff(context.WithoutCancel(ctx), msg, job.Visit, job.waits, wait)
		return nil, false
	}
	beat, stop := context.WithCancel(context.WithoutCancel(ctx))
	job.stop = stop
	quiet := make(chan struct{})
	job.end = sync.OnceFunc(func() {
		stop()
		<-quiet // the last beat is over: the lease's revision stands
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		lease.release(ctx)
	})
	go func() {
		defer close(quiet)
		tick := time.NewTicker(q.ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-beat.Done():
				return
			case <-tick.C:
				msg.InProgress()
				lease.beat(beat)
			}
		}
	}()
	return job, true
}

// Done acknowledges the visit and waits until the server has it.
func (j *Job) Done(ctx context.Context) error {
	j.stop()
	defer j.end()
	if err := j.msg.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledge %s: %w", j.Visit.ID(), err)
	}
	j.forget(ctx)
	return nil
}

// Return gives the visit back; another worker may take it after the delay.
func (j *Job) Return(delay time.Duration) error {
	j.end()
	if err := j.msg.NakWithDelay(delay); err != nil {
		return fmt.Errorf("return %s: %w", j.Visit.ID(), err)
	}
	return j.q.nc.FlushTimeout(5 * time.Second)
}

// DeadVisit is a visit that was given up.
type DeadVisit struct {
	Visit  pc.Visit  `json:"visit"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Dead gives the visit up: it goes to the dead letters with the reason.
func (j *Job) Dead(ctx context.Context, reason string) error {
	j.stop()
	defer j.end()
	v := j.Visit
	if err := j.q.publish(ctx, "dead", v.Sweep, v.Site, "dead/"+v.ID(), DeadVisit{v, reason, time.Now().UTC()}); err != nil {
		return err
	}
	j.q.met.dead.Inc()
	if err := j.msg.TermWithReason(reason); err != nil {
		return fmt.Errorf("give up %s: %w", v.ID(), err)
	}
	j.forget(ctx)
	return nil
}

// PublishResult stores the verdict of one visit.
func (q *Queue) PublishResult(ctx context.Context, v pc.Verdict) error {
	id := pc.Visit{Sweep: v.Sweep, Site: v.Site, Number: v.Visit}.ID()
	return q.publish(ctx, "result", v.Sweep, v.Site, "result/"+id, v)
}

// PublishVerdict stores the last word on a site, and for a flagged site the flag.
func (q *Queue) PublishVerdict(ctx context.Context, v pc.Verdict) error {
	id := fmt.Sprintf("%s/%s/%d", v.Sweep, v.Site, v.Visits)
	if err := q.publish(ctx, "verdict", v.Sweep, v.Site, "verdict/"+id, v); err != nil {
		return err
	}
	if v.Overall != pc.Flagged {
		return nil
	}
	return q.publish(ctx, "flagged", v.Sweep, v.Site, "flagged/"+id, v)
}

// Results hands every result of a sweep to handle, from the first one ever
// published, until the context ends. A result counts as handled when handle
// returns nil; otherwise it comes again. Several results may not be handled at
// the same time, so handle needs no lock.
func (q *Queue) Results(ctx context.Context, sweep string, handle func(context.Context, pc.Verdict) error) error {
	return follow(ctx, q, streamResults, "result", sweep, handle)
}

// Dead hands every given-up visit of a sweep to handle, as Results does.
func (q *Queue) Dead(ctx context.Context, sweep string, handle func(context.Context, DeadVisit) error) error {
	return follow(ctx, q, streamDead, "dead", sweep, handle)
}

// follow reads a stream from its start with a consumer of its own: what has
// been handled before comes again, and handle must not mind.
func follow[T any](ctx context.Context, q *Queue, stream, kind, sweep string, handle func(context.Context, T) error) error {
	if !ValidSweep(sweep) {
		return fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", sweep)
	}
	cons, err := q.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"pecrawler." + kind + "." + sweep + ".*"}})
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", kind, sweep, err)
	}
	for {
		msg, err := cons.Next(jetstream.FetchContext(deadline(ctx, 5*time.Second)))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			continue // nothing came in time, or the connection is being made again
		}
		var v T
		if err := json.Unmarshal(msg.Data(), &v); err != nil {
			q.log.Error("an unreadable message was passed over", "kind", kind, "sweep", sweep, "err", err)
			continue
		}
		for wait := 100 * time.Millisecond; ; wait = min(2*wait, 10*time.Second) {
			if err := handle(ctx, v); err == nil {
				break
			} else if ctx.Err() == nil {
				q.log.Error("a message could not be handled; trying again", "kind", kind, "sweep", sweep, "err", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(wait):
			}
		}
	}
}

// Stored hands what the workers have reported of a sweep so far to the two
// functions, and returns when all of it has been handled. It is for whoever
// takes a sweep up again, before [Queue.Results] and [Queue.Dead] follow what
// is still to come.
func (q *Queue) Stored(ctx context.Context, sweep string, result func(context.Context, pc.Verdict) error, dead func(context.Context, DeadVisit) error) error {
	if err := stored(ctx, q, streamResults, "result", sweep, result); err != nil {
		return err
	}
	return stored(ctx, q, streamDead, "dead", sweep, dead)
}

func stored[T any](ctx context.Context, q *Queue, stream, kind, sweep string, handle func(context.Context, T) error) error {
	if !ValidSweep(sweep) {
		return fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", sweep)
	}
	s, err := q.js.Stream(ctx, stream)
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", kind, sweep, err)
	}
	for seq := uint64(1); ; seq++ {
		msg, err := s.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("pecrawler."+kind+"."+sweep+".*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s of %s: %w", kind, sweep, err)
		}
		seq = msg.Sequence
		var v T
		if err := json.Unmarshal(msg.Data, &v); err != nil {
			q.log.Error("an unreadable message was passed over", "kind", kind, "sweep", sweep, "err", err)
			continue
		}
		if err := handle(ctx, v); err != nil {
			return err
		}
	}
}

// Queued tells for which sites of a sweep a visit is on the work queue, waiting
// or in hand. The keys are those of [pc.SiteKey].
func (q *Queue) Queued(ctx context.Context, sweep string) (map[string]bool, error) {
	if !ValidSweep(sweep) {
		return nil, fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", sweep)
	}
	s, err := q.js.Stream(ctx, streamVisits)
	if err != nil {
		return nil, fmt.Errorf("read the work queue: %w", err)
	}
	prefix := "pecrawler.visit." + sweep + "."
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("read the work queue: %w", err)
	}
	out := map[string]bool{}
	for subj := range info.State.Subjects {
		out[strings.TrimPrefix(subj, prefix)] = true
	}
	return out, nil
}

// Depth is the number of visits that wait and that are in hand, over all sweeps.
func (q *Queue) Depth(ctx context.Context) (waiting, inHand int, err error) {
	info, err := q.work.Info(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("depth of the queue: %w", err)
	}
	return int(info.NumPending), info.NumAckPending, nil
}

// Purge takes the waiting visits of a sweep off the queue.
func (q *Queue) Purge(ctx context.Context, sweep string) error {
	if !ValidSweep(sweep) {
		return fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", sweep)
	}
	s, err := q.js.Stream(ctx, streamVisits)
	if err != nil {
		return fmt.Errorf("purge %s: %w", sweep, err)
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSubject("pecrawler.visit."+sweep+".>")); err != nil {
		return fmt.Errorf("purge %s: %w", sweep, err)
	}
	return nil
}
