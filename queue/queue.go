// Package queue moves names between the stages on NATS JetStream: visits to
// workers, results of visits to whoever runs the sweep, last words to whoever
// listens. It knows no stage and carries no evidence.
//
// Streams and subjects (sweep names are [a-z0-9-], sites are hashed):
//
//	VISITS    pecrawler.visit.<sweep>.<site>    work queue: a message is a visit, gone when acknowledged
//	          pecrawler.urgent.<sweep>.<site>   visits that overtake every sweep
//	          pecrawler.later.<sweep>.<site>    visits that the server moves to visit.> at their time
//	RESULTS   pecrawler.result.<sweep>.<site>   the verdict of one visit, kept for whoever gives the last word
//	VERDICTS  pecrawler.verdict.<sweep>.<site>  the last word on a site
//	FLAGGED   pecrawler.flagged.<sweep>.<site>  the same, flagged sites only
//	DEAD      pecrawler.dead.<sweep>.<site>     visits given up, with the reason
//	LISTS     pecrawler.list.<sweep>.<part>     the sites of a launched sweep, a thousand a message
//	CONTROL   pecrawler.control.<sweep>.<site>  what people ask of whoever gives the last words
//
// Their configuration is in streams.go and nowhere else. A sweep under way has a
// consumer of its own, see next.go; its settings and its progress lie in
// key-value buckets, see sweeps.go. docs/fleet.md is for those who run it.
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
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
)

// MaxDeliver is how often a visit is handed out before it is given up.
const MaxDeliver = 5

// Kinds of message: the second token of a subject.
const (
	kindVisit   = "visit"
	kindUrgent  = "urgent"
	kindLater   = "later"
	kindResult  = "result"
	kindVerdict = "verdict"
	kindFlagged = "flagged"
	kindDead    = "dead"
	kindList    = "list"
	kindControl = "control"
)

// schemaHeader tells the version of a message's document. A reader that meets
// a higher one than it knows leaves the message to a newer process.
const schemaHeader = "Pecrawler-Schema"

// newerWait is how long a visit of a newer version is left to newer workers
// before an older one may meet it again.
const newerWait = 3 * time.Second

// Config says which server to use.
type Config struct {
	URL     string // of a NATS cluster; "" embeds a server
	Dir     string // of the embedded server's files
	Listen  string // host:port on which the embedded server also listens; "" is none
	AckWait time.Duration
	Gap     time.Duration // between two visits of one registrable domain, over all workers
	// Behind names the address that a site is behind, perhaps with many others, and
	// how many of their visits may be in hand at the same time, over all workers; "" is
	// no limit. It is asked with a visit in hand, so it has to be quick. nil: no limits.
	Behind     func(ctx context.Context, site string) (address string, most int)
	Replicas   int  // of streams that are made; 0 is 1
	Role       Role // what this process is to a cluster that knows users
	Login      Login
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: no metrics
}

// Role is a user of the cluster and what it may do, as in deploy/nats.
type Role string

// The roles.
const (
	Admin     Role = "admin"     // everything, on a server of our own or without users
	Launcher  Role = "launcher"  // begins, pauses and ends sweeps
	Worker    Role = "worker"    // makes visits
	Collector Role = "collector" // gives the last words
	Reviewer  Role = "reviewer"  // reads what was flagged
	Exporter  Role = "exporter"  // counts
)

// Login is how a process shows who it is to a cluster. Files, so that no secret
// stands on a command line.
type Login struct {
	NKey      string // seed
	CA        string // whom to trust
	Cert, Key string // of this client
}

// Queue is a connection to the streams.
type Queue struct {
	srv   *server.Server // nil with a cluster
	nc    *nats.Conn
	js    jetstream.JetStream
	hosts jetstream.KeyValue // leases of domains
	waits jetstream.KeyValue
	line  *line
	begun sync.Map // sweeps that have a consumer, as far as this process knows

	ackWait  time.Duration
	gap      time.Duration
	behind   func(ctx context.Context, site string) (address string, most int)
	replicas int
	schema   int // the version of a message's document that this process writes, and the highest that it reads
	role     Role
	log      *slog.Logger
	met      *metrics
	clock    func() time.Time // of this machine
	skew     atomic.Int64     // nanoseconds by which the server's clock is ahead of it
}

// ErrUnreachable means that no NATS server answered.
var ErrUnreachable = errors.New("cannot reach NATS")

// Open connects to the cluster, or starts the embedded server, and makes the
// streams if they are not there. Close it.
func Open(ctx context.Context, cfg Config) (_ *Queue, err error) {
	if cfg.AckWait == 0 {
		cfg.AckWait = 60 * time.Second
	}
	if cfg.Role == "" {
		cfg.Role = Admin
	}
	q := &Queue{ackWait: cfg.AckWait, gap: min(cfg.Gap, cfg.AckWait), behind: cfg.Behind, replicas: max(cfg.Replicas, 1), schema: pc.VerdictSchema, role: cfg.Role, line: newLine(), log: cfg.Log, met: newMetrics(), clock: time.Now}
	defer func() {
		if err != nil {
			q.Close()
		}
	}()
	opts := []nats.Option{
		nats.Name("pecrawler"), nats.MaxReconnects(-1), nats.Timeout(5 * time.Second),
		// A network that swallows everything says nothing: half a minute without an answer is a lost connection.
		nats.PingInterval(10 * time.Second), nats.MaxPingsOutstanding(2), nats.ReconnectJitter(500*time.Millisecond, time.Second),
		// What a user may not do is only said here; the call itself ends without an answer.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { cfg.Log.Warn("nats", "err", err) }),
		// Replies of each role go where no other role may listen.
		nats.CustomInboxPrefix("_INBOX_" + string(cfg.Role)),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				cfg.Log.Warn("nats connection lost, reconnecting", "err", err)
			}
		}),
	}
	opts, err = cfg.Login.add(opts)
	if err != nil {
		return nil, err
	}
	where := cfg.URL
	if where == "" {
		if q.srv, err = embed(cfg); err != nil {
			return nil, err
		}
		opts = append(opts, nats.InProcessServer(q.srv))
	}
	if q.nc, err = nats.Connect(where, opts...); errors.Is(err, nats.ErrAuthorization) {
		return nil, fmt.Errorf("NATS at %s knows this user not: --nats-nkey names the file with the seed of its key (deploy/nats/README.md)", Place(where))
	} else if err != nil {
		return nil, fmt.Errorf("%w at %s: %v (is it running? --nats names the address)", ErrUnreachable, Place(where), err)
	}
	if q.js, err = jetstream.New(q.nc); err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	if err := q.setUp(ctx); err != nil {
		return nil, err
	}
	if q.role == Admin || q.role == Worker {
		if q.hosts, err = q.bucket(ctx, bucketHosts); err != nil {
			return nil, err
		}
		if q.waits, err = q.bucket(ctx, bucketWaits); err != nil {
			return nil, err
		}
	}
	if cfg.Registerer != nil {
		q.met.queue = q
		if err := cfg.Registerer.Register(q.met); err != nil {
			return nil, err
		}
	}
	return q, nil
}

func (l Login) add(opts []nats.Option) ([]nats.Option, error) {
	if l.NKey != "" {
		o, err := nats.NkeyOptionFromSeed(l.NKey)
		if err != nil {
			return nil, fmt.Errorf("read the key %s: %w", l.NKey, err)
		}
		opts = append(opts, o)
	}
	if l.CA != "" {
		opts = append(opts, nats.RootCAs(l.CA))
	}
	if l.Cert != "" {
		opts = append(opts, nats.ClientCert(l.Cert, l.Key))
	}
	return opts, nil
}

// Place is a server's address without what stands in front of the @: that may
// be a password.
func Place(natsURL string) string {
	parts := strings.Split(natsURL, ",")
	for i, p := range parts {
		if at := strings.LastIndex(p, "@"); at >= 0 {
			scheme, _, found := strings.Cut(p, "://")
			if found {
				parts[i] = scheme + "://" + p[at+1:]
			} else {
				parts[i] = p[at+1:]
			}
		}
	}
	return strings.Join(parts, ",")
}

func (q *Queue) bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	kv, err := q.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("the cluster has no bucket %s: make it by pecrawler queue check --fix", name)
	}
	if err != nil {
		return nil, fmt.Errorf("open the bucket %s: %w", name, err)
	}
	return kv, nil
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

// stream looks a stream up, and at the server's clock.
func (q *Queue) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	asked := q.clock()
	s, err := q.js.Stream(ctx, name)
	took := q.clock().Sub(asked)
	if err != nil || took > time.Second { // an answer that took long says little
		return s, err
	}
	skew := s.CachedInfo().TimeStamp.Sub(asked.Add(took / 2))
	if skew.Abs() <= took { // no more than the answer took
		skew = 0
	}
	q.skew.Store(int64(skew))
	return s, nil
}

// Now is the time by the server's clock, as far as this process knows. What
// processes on different machines have to agree on goes by it: a machine whose
// clock is wrong must not break what others wait for.
func (q *Queue) Now() time.Time { return q.clock().Add(time.Duration(q.skew.Load())) }

// ValidSweep tells whether a sweep name can stand in a subject.
func ValidSweep(name string) bool {
	for i, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && (r != '-' || i == 0) {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 64
}

func badSweep(name string) error {
	return fmt.Errorf("sweep name %q: use 1 to 64 of a-z, 0-9 and -", name)
}

func subject(kind, sweep, site string) (string, error) {
	if !ValidSweep(sweep) {
		return "", badSweep(sweep)
	}
	return "pecrawler." + kind + "." + sweep + "." + pc.SiteKey(site), nil
}

// message makes a message about a site with the version of its document.
func (q *Queue) message(kind, sweep, site string, v any) (*nats.Msg, error) {
	subj, err := subject(kind, sweep, site)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s of %s: %w", kind, site, err)
	}
	m := nats.NewMsg(subj)
	m.Data = data
	m.Header.Set(schemaHeader, strconv.Itoa(q.schema))
	return m, nil
}

// publish stores a message once: the server drops a second one with the same id.
func (q *Queue) publish(ctx context.Context, kind, sweep, site, id string, v any) error {
	m, err := q.message(kind, sweep, site, v)
	if err != nil {
		return err
	}
	return q.send(ctx, m, kind, id)
}

func (q *Queue) send(ctx context.Context, m *nats.Msg, kind, id string) error {
	ack, err := q.js.PublishMsg(ctx, m, jetstream.WithMsgID(id), jetstream.WithRetryAttempts(5), jetstream.WithRetryWait(time.Second))
	if err != nil {
		return fmt.Errorf("publish %s %s: %w", kind, id, err)
	}
	if !ack.Duplicate {
		q.met.published.WithLabelValues(kind).Inc()
	}
	return nil
}

// readable tells whether this process knows the version of a message.
func (q *Queue) readable(h nats.Header) bool {
	n, err := strconv.Atoi(h.Get(schemaHeader))
	return err != nil || n <= q.schema // without one it is from before they had any
}

// AddVisits puts visits on the work queue and returns when all are stored. A
// visit that is there already changes nothing.
func (q *Queue) AddVisits(ctx context.Context, visits []pc.Visit) error {
	const window = 500 // in flight; a batch of the server holds a thousand at most
	for _, v := range visits {
		if err := q.underWay(ctx, v.Sweep); err != nil {
			return err
		}
	}
	for len(visits) > 0 {
		batch := visits[:min(window, len(visits))]
		visits = visits[len(batch):]
		msgs := make([]*nats.Msg, 0, len(batch))
		for _, v := range batch {
			m, err := q.message(kindVisit, v.Sweep, v.Site, v)
			if err != nil {
				return err
			}
			m.Header.Set(jetstream.MsgIDHeader, v.ID())
			msgs = append(msgs, m)
		}
		if err := q.addAtOnce(ctx, msgs); err == nil {
			continue
		} else if ctx.Err() != nil {
			return ctx.Err()
		}
		// One of them is there already, or the connection has broken: each by itself. The ids make that harmless.
		if err := q.addEach(ctx, msgs); err != nil {
			return err
		}
	}
	return nil
}

// addAtOnce stores messages all or none: the server then flushes its file once
// and not for each. A message that is there already makes it none.
func (q *Queue) addAtOnce(ctx context.Context, msgs []*nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	id := nuid.Next()
	for i, m := range msgs {
		b := &nats.Msg{Subject: m.Subject, Data: m.Data, Header: maps.Clone(m.Header)}
		b.Header.Set("Nats-Batch-Id", id)
		b.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i < len(msgs)-1 {
			if err := q.nc.PublishMsg(b); err != nil {
				return err
			}
			continue
		}
		b.Header.Set("Nats-Batch-Commit", "1")
		resp, err := q.nc.RequestMsgWithContext(ctx, b)
		if err != nil {
			return err
		}
		var ack struct {
			Error *jetstream.APIError `json:"error"`
			Count int                 `json:"count"`
		}
		if err := json.Unmarshal(resp.Data, &ack); err != nil {
			return err
		}
		if ack.Error != nil {
			return ack.Error
		}
		if ack.Count != len(msgs) {
			return fmt.Errorf("%d of %d messages were stored", ack.Count, len(msgs))
		}
	}
	q.met.published.WithLabelValues(kindVisit).Add(float64(len(msgs)))
	return nil
}

func (q *Queue) addEach(ctx context.Context, msgs []*nats.Msg) error {
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	for _, m := range msgs {
		f, err := q.js.PublishMsgAsync(m)
		if err != nil {
			return fmt.Errorf("put visits on the queue: %w", err)
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		select {
		case ack := <-f.Ok():
			if !ack.Duplicate {
				q.met.published.WithLabelValues(kindVisit).Inc()
			}
		case err := <-f.Err():
			// Once more, waiting for the answer.
			m := &nats.Msg{Subject: msgs[i].Subject, Data: msgs[i].Data, Header: msgs[i].Header}
			id := m.Header.Get(jetstream.MsgIDHeader)
			if err := q.send(ctx, m, kindVisit, id); err != nil {
				return err
			}
			q.log.Debug("visit was published again", "visit", id, "err", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// AddVisitAt puts a visit on the work queue at a time. Until then the server
// keeps it, also over a restart.
func (q *Queue) AddVisitAt(ctx context.Context, v pc.Visit, at time.Time) error {
	if !at.After(q.Now()) {
		return q.AddVisits(ctx, []pc.Visit{v})
	}
	m, err := q.message(kindLater, v.Sweep, v.Site, v)
	if err != nil {
		return err
	}
	target, err := subject(kindVisit, v.Sweep, v.Site)
	if err != nil {
		return err
	}
	if err := q.underWay(ctx, v.Sweep); err != nil {
		return err
	}
	m.Header.Set("Nats-Schedule", "@at "+at.UTC().Add(time.Second-1).Truncate(time.Second).Format(time.RFC3339))
	m.Header.Set("Nats-Schedule-Target", target)
	return q.send(ctx, m, kindLater, v.ID())
}

// AddUrgent puts a visit before those of every sweep. Its id is another than
// that of the same visit in its turn, which it overtakes; the results have the
// same, and only one counts.
func (q *Queue) AddUrgent(ctx context.Context, v pc.Visit) error {
	return q.publish(ctx, kindUrgent, v.Sweep, v.Site, "urgent/"+v.ID(), v)
}

// Job is a visit in hand. Exactly one of Done, Return, GiveBack and Dead ends it; until
// then a heartbeat keeps the queue from handing it to another worker.
type Job struct {
	Visit   pc.Visit
	Attempt int // 1 for the first time

	q     *Queue
	msg   jetstream.Msg
	stop  context.CancelFunc // ends the heartbeat
	end   func()             // ends it and lets the domain go
	waits int                // times that it was put off
	lost  chan struct{}      // closed when the domain is about to be anybody's
	gaps  atomic.Int32       // heartbeats that nobody answered
}

// Lost is closed when no heartbeat was answered for so long that the visit may
// soon be handed to another worker: whoever makes it must stop, or two would
// burden one domain.
func (j *Job) Lost() <-chan struct{} { return j.lost }

// Cut tells whether the server was out of reach at some time of the visit: then
// a site that did not answer says nothing of the site.
func (j *Job) Cut() bool { return j.gaps.Load() > 0 || !j.q.nc.IsConnected() }

// Next waits for a visit whose domain nobody visits, and none has for the gap.
// It returns the context's error when that ends first.
func (q *Queue) Next(ctx context.Context) (*Job, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		msg, err := q.pull(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			q.log.Warn("waiting for NATS", "err", err)
		}
		if msg == nil {
			if err != nil {
				sleep(ctx, time.Second)
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

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (q *Queue) take(ctx context.Context, msg jetstream.Msg) (*Job, bool) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, false
	}
	job := &Job{q: q, msg: msg, stop: func() {}, end: func() {}, lost: make(chan struct{}), Attempt: int(meta.NumDelivered)}
	err = json.Unmarshal(msg.Data(), &job.Visit)
	if !q.readable(msg.Headers()) {
		q.log.Warn("a visit of a newer version is left to newer workers", "subject", msg.Subject())
		n, err := q.waited(ctx, msg, job.Visit)
		if err == nil {
			q.putOff(ctx, msg, job.Visit, n, newerWait)
		}
		return nil, false
	}
	if err != nil || !ValidSweep(job.Visit.Sweep) || job.Visit.Site == "" {
		if err := q.poison(ctx, msg, fmt.Sprintf("it is no visit (%v)", err)); err != nil {
			q.log.Error("dead letter", "subject", msg.Subject(), "err", err)
		}
		return nil, false
	}
	if job.Attempt > 1 {
		if job.waits, err = q.waited(ctx, msg, job.Visit); err != nil {
			return nil, false // this process is being stopped, and the visit comes back by itself
		}
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
	domain, address, ok := q.polite(ctx, msg, job)
	if !ok {
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
		domain.release(ctx, q.gap)
		address.release(ctx, 0)
	})
	go func() {
		defer close(quiet)
		tick := time.NewTicker(q.ackWait / 6)
		defer tick.Stop()
		gone := time.AfterFunc(q.ackWait*3/4, func() { close(job.lost) })
		defer gone.Stop()
		for {
			select {
			case <-beat.Done():
				return
			case <-tick.C:
				sent := time.Now()
				msg.InProgress()
				alive := domain.beat(beat, q.ackWait/6)
				// One that is lost, because nobody answered for long, only lets one visit too many begin.
				address.beat(beat, q.ackWait/6)
				if alive {
					if gone.Stop() { // what is lost stays lost
						gone.Reset(q.ackWait*3/4 - time.Since(sent))
					}
				} else if beat.Err() == nil {
					job.gaps.Add(1)
				}
			}
		}
	}()
	return job, true
}

// Done acknowledges the visit and waits until the server has it.
func (j *Job) Done(ctx context.Context) error {
	defer j.end()
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := j.msg.DoubleAck(try)
		cancel()
		if errors.Is(err, nats.ErrNoResponders) {
			// The sweep has ended meanwhile, or only who leads it has.
			if over, asked := j.over(ctx); asked == nil && over {
				j.q.log.Warn("nobody waits for this visit any more", "visit", j.Visit.ID())
				err = nil
			}
		}
		if err == nil {
			j.forget(ctx)
			return nil
		}
		select {
		case <-j.lost:
		case <-ctx.Done():
		case <-time.After(time.Second):
			continue
		}
		return fmt.Errorf("acknowledge %s: %w", j.Visit.ID(), err)
	}
}

// over tells whether the consumer that the visit came from is no more.
func (j *Job) over(ctx context.Context) (bool, error) {
	meta, err := j.msg.Metadata()
	if err != nil {
		return false, err
	}
	names, err := j.q.consumerNames(ctx)
	return !slices.Contains(names, meta.Consumer), err
}

// Return gives the visit back; another worker may take it after the delay.
func (j *Job) Return(delay time.Duration) error {
	j.end()
	if err := j.msg.NakWithDelay(delay); err != nil {
		return fmt.Errorf("return %s: %w", j.Visit.ID(), err)
	}
	return j.q.nc.FlushTimeout(5 * time.Second)
}

// GiveBack returns the visit as if it had not been taken, which counts as no
// attempt: who ends many workers one after the other gives up no visit by it.
func (j *Job) GiveBack(ctx context.Context) error {
	if _, err := j.q.waits.PutString(ctx, pc.SiteKey(j.Visit.ID()), strconv.Itoa(j.waits+1)); err != nil {
		j.q.log.Warn("a visit that is given back counts as an attempt", "visit", j.Visit.ID(), "err", err)
	}
	return j.Return(0)
}

// PublishResult stores the verdict of one visit.
func (q *Queue) PublishResult(ctx context.Context, v pc.Verdict) error {
	id := pc.Visit{Sweep: v.Sweep, Site: v.Site, Number: v.Visit}.ID()
	return q.publish(ctx, kindResult, v.Sweep, v.Site, "result/"+id, v)
}

// PublishVerdict stores the last word on a site, and for a flagged site the flag.
func (q *Queue) PublishVerdict(ctx context.Context, v pc.Verdict) error {
	id := fmt.Sprintf("%s/%s/%d", v.Sweep, v.Site, v.Visits)
	if err := q.publish(ctx, kindVerdict, v.Sweep, v.Site, "verdict/"+id, v); err != nil {
		return err
	}
	if v.Overall != pc.Flagged {
		return nil
	}
	return q.publish(ctx, kindFlagged, v.Sweep, v.Site, "flagged/"+id, v)
}

// Results hands every result of a sweep to handle, from the first one ever
// published, until the context ends. A result counts as handled when handle
// returns nil; otherwise it comes again. Several results may not be handled at
// the same time, so handle needs no lock.
func (q *Queue) Results(ctx context.Context, sweep string, handle func(context.Context, pc.Verdict) error) error {
	return follow(ctx, q, streamResults, kindResult, sweep, handle)
}

// Dead hands every given-up visit of a sweep to handle, as Results does.
func (q *Queue) Dead(ctx context.Context, sweep string, handle func(context.Context, DeadVisit) error) error {
	return follow(ctx, q, streamDead, kindDead, sweep, handle)
}

// follow reads a stream from its start with a consumer of its own: what has
// been handled before comes again, and handle must not mind.
func follow[T any](ctx context.Context, q *Queue, stream, kind, sweep string, handle func(context.Context, T) error) error {
	if !ValidSweep(sweep) {
		return badSweep(sweep)
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
	if err := stored(ctx, q, streamResults, kindResult, sweep, result); err != nil {
		return err
	}
	return stored(ctx, q, streamDead, kindDead, sweep, dead)
}

func stored[T any](ctx context.Context, q *Queue, stream, kind, sweep string, handle func(context.Context, T) error) error {
	if !ValidSweep(sweep) {
		return badSweep(sweep)
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

// Queued tells for which sites of a sweep a visit is on the work queue: waiting,
// in hand, or to come later. The keys are those of [pc.SiteKey].
func (q *Queue) Queued(ctx context.Context, sweep string) (map[string]bool, error) {
	if !ValidSweep(sweep) {
		return nil, badSweep(sweep)
	}
	s, err := q.visits(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, kind := range []string{kindVisit, kindLater} {
		info, err := s.Info(ctx, jetstream.WithSubjectFilter("pecrawler."+kind+"."+sweep+".*"))
		if err != nil {
			return nil, fmt.Errorf("read the work queue: %w", err)
		}
		for subj := range info.State.Subjects {
			out[subj[strings.LastIndexByte(subj, '.')+1:]] = true
		}
	}
	return out, nil
}

// Depth counts the visits on the work queue, over all sweeps.
type Depth struct {
	Waiting int // for a free slot
	Paused  int // of sweeps that are paused: more workers would not help
	InHand  int // with workers, or put off for a moment
}

// Depth asks the server how much work there is.
func (q *Queue) Depth(ctx context.Context) (d Depth, err error) {
	s, err := q.visits(ctx)
	if err != nil {
		return d, err
	}
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		if info.Paused {
			d.Paused += int(info.NumPending)
		} else {
			d.Waiting += int(info.NumPending)
		}
		d.InHand += info.NumAckPending
	}
	if err := list.Err(); err != nil {
		return d, fmt.Errorf("depth of the queue: %w", err)
	}
	return d, nil
}

// Purge takes the visits of a sweep off the queue, those of later too. What is
// in hand is finished.
func (q *Queue) Purge(ctx context.Context, sweep string) error {
	if !ValidSweep(sweep) {
		return badSweep(sweep)
	}
	s, err := q.visits(ctx)
	if err != nil {
		return err
	}
	// First what would still come. In pieces: the server answers nobody else
	// while it takes a million messages out of a file at once.
	const piece = 20_000
	for _, kind := range []string{kindLater, kindVisit, kindUrgent} {
		subject := "pecrawler." + kind + "." + sweep + ".>"
		info, err := s.Info(ctx)
		if err != nil {
			return fmt.Errorf("purge %s: %w", sweep, err)
		}
		for at := info.State.FirstSeq; at <= info.State.LastSeq; {
			at += piece
			call, cancel := context.WithTimeout(ctx, time.Minute)
			err := s.Purge(call, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(at))
			cancel()
			if err != nil {
				return fmt.Errorf("purge %s: %w", sweep, err)
			}
		}
	}
	return nil
}
