package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream names.
const (
	streamVisits   = "VISITS"
	streamResults  = "RESULTS"
	streamVerdicts = "VERDICTS"
	streamFlagged  = "FLAGGED"
	streamDead     = "DEAD"
	streamLists    = "LISTS"
	streamControl  = "CONTROL"
)

// Buckets.
const (
	bucketHosts     = "pecrawler_hosts"
	bucketWaits     = "pecrawler_waits"
	bucketSweeps    = "pecrawler_sweeps"
	bucketProgress  = "pecrawler_progress"
	bucketSchedules = "pecrawler_schedules"
)

const (
	urgent  = "0-urgent" // consumer of the visits that overtake every sweep
	collect = "collect"  // consumers of whoever gives the last words
	review  = "review"   // consumer of whoever reads what was flagged: made here, because a reader must not make any
)

const (
	dedup    = 24 * time.Hour      // how long an id is remembered by the server
	keep     = 90 * 24 * time.Hour // how long results and last words can be read again
	maxMsg   = 1 << 20             // the greatest message; a server refuses more than its own max_payload anyway
	maxTaken = 4000                // visits of one sweep in hand or put off: more than the slots of a fleet
)

// layout is all that must be on a server. This is the only place that says so:
// Open makes it, Check compares it with what is there. VISITS comes last, so
// that whoever finds it finds the others.
//
// No stream has a limit of bytes: on a work queue and on results that would
// drop what nobody has seen yet. The limit is the server's own (max_file_store),
// which refuses new messages and loses no old one; then publishing fails, visits
// go back to the queue, and work is held back.
//
// No stream is compressed. Once, after kill -9 of a server of three (2.15.2),
// the replica that it had of VISITS was a compressed block to which plain
// messages had been added: it could not be read any more, and when this server
// came to lead a sweep's consumer, the sweep stood still and nothing failed.
func (q *Queue) layout() []jetstream.StreamConfig {
	stream := func(name string, age time.Duration, kinds ...string) jetstream.StreamConfig {
		c := jetstream.StreamConfig{Name: name, Storage: jetstream.FileStorage, Compression: jetstream.NoCompression, Replicas: q.replicas,
			MaxAge: age, MaxMsgSize: maxMsg, Duplicates: dedup, AllowDirect: true}
		for _, k := range kinds {
			c.Subjects = append(c.Subjects, "pecrawler."+k+".>")
		}
		return c
	}
	visits := stream(streamVisits, 0, kindVisit, kindUrgent, kindLater)
	visits.Retention = jetstream.WorkQueuePolicy
	// Later visits are scheduled messages. The server does not ask whether who may
	// publish a schedule may publish to its target, so no role that must not
	// launch may publish to any subject of this stream.
	visits.AllowMsgSchedules, visits.AllowRollup = true, true
	visits.AllowAtomicPublish = true
	return []jetstream.StreamConfig{
		stream(streamResults, keep, kindResult), stream(streamVerdicts, keep, kindVerdict), stream(streamFlagged, keep, kindFlagged), stream(streamDead, keep, kindDead),
		stream(streamLists, keep, kindList), stream(streamControl, keep, kindControl), visits,
	}
}

func (q *Queue) bucketLayout() []jetstream.KeyValueConfig {
	return []jetstream.KeyValueConfig{
		{Bucket: bucketHosts, TTL: q.ackWait, Replicas: q.replicas}, // as long as the message is held: its heartbeats are the lease's too
		{Bucket: bucketWaits, TTL: dedup, Replicas: q.replicas},
		{Bucket: bucketSweeps, Replicas: q.replicas},
		{Bucket: bucketProgress, Replicas: q.replicas},
		{Bucket: bucketSchedules, Replicas: q.replicas},
	}
}

// consumers are those that are always there, by stream; each sweep adds one to
// VISITS as long as it is under way.
func (q *Queue) consumers() map[string]jetstream.ConsumerConfig {
	c := jetstream.ConsumerConfig{Durable: collect, AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxDeliver: -1}
	r := c
	r.Durable = review
	return map[string]jetstream.ConsumerConfig{streamResults: c, streamDead: c, streamLists: c, streamControl: c, streamFlagged: r, streamVisits: q.workConsumer(urgent, "pecrawler."+kindUrgent+".>")}
}

func (q *Queue) workConsumer(name, filter string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.ackWait,
		// Next gives a visit up itself after MaxDeliver; the server's own limit would leave it in the stream for ever.
		MaxDeliver: -1, MaxAckPending: maxTaken, MaxWaiting: 2048}
}

// setUp makes what is not there, and looks at the server's clock. A server of our
// own is brought up to date as well; a cluster is not, because processes of two
// versions would undo each other's changes: Fix does that once.
func (q *Queue) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if q.srv == nil {
		_, err := q.stream(ctx, streamVisits)
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			return fmt.Errorf("look for the stream %s: %w (does this user have the role %q? see deploy/nats)", streamVisits, err, q.role)
		}
	}
	if err := q.Fix(ctx); err != nil {
		return fmt.Errorf("%w (if this user may not make streams, let an administrator run pecrawler queue check --fix)", err)
	}
	if _, err := q.stream(ctx, streamVisits); err != nil { // for its clock
		return fmt.Errorf("open the queue: %w", err)
	}
	return nil
}

// Fix makes streams, buckets and consumers, and changes those that differ.
func (q *Queue) Fix(ctx context.Context) error {
	for _, b := range q.bucketLayout() {
		if _, err := q.js.CreateOrUpdateKeyValue(ctx, b); err != nil {
			return fmt.Errorf("make the bucket %s: %w", b.Bucket, err)
		}
	}
	for _, c := range q.layout() {
		s, err := q.js.CreateOrUpdateStream(ctx, c)
		if err != nil {
			return fmt.Errorf("make the stream %s: %w", c.Name, err)
		}
		if c.Name == streamVisits {
			// Before sweeps had consumers of their own, one took them all.
			if err := s.DeleteConsumer(ctx, "workers"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return fmt.Errorf("replace the consumer of %s: %w", c.Name, err)
			}
		}
		if cc, ok := q.consumers()[c.Name]; ok {
			if _, err := s.CreateOrUpdateConsumer(ctx, cc); err != nil {
				return fmt.Errorf("make the consumer %s of %s: %w", cc.Durable, c.Name, err)
			}
		}
	}
	return nil
}

// Part is a stream, bucket or consumer as Check found it.
type Part struct {
	Name   string
	Is     string   // in words
	Faults []string // how it differs from what it must be
}

// Check compares the server with what the code says, and changes nothing.
func (q *Queue) Check(ctx context.Context) ([]Part, error) {
	var out []Part
	for _, want := range q.layout() {
		p := Part{Name: want.Name}
		s, err := q.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			p.Faults = []string{"is not there"}
			out = append(out, p)
			continue
		}
		if err != nil {
			return out, fmt.Errorf("check the stream %s: %w", want.Name, err)
		}
		info := s.CachedInfo()
		p.Is = fmt.Sprintf("%d messages, %d bytes, %s", info.State.Msgs, info.State.Bytes, replicas(info))
		p.Faults = append(streamFaults(info.Config, want), peerFaults(info)...)
		out = append(out, p)
		cc, ok := q.consumers()[want.Name]
		if !ok {
			continue
		}
		c := Part{Name: want.Name + "/" + cc.Durable}
		cons, err := s.Consumer(ctx, cc.Durable)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			c.Faults = []string{"is not there"}
		case err != nil:
			return out, fmt.Errorf("check the consumer %s: %w", c.Name, err)
		default:
			c.Is, c.Faults = consumerState(cons.CachedInfo(), cc)
		}
		out = append(out, c)
		if want.Name != streamVisits {
			continue
		}
		list := s.ListConsumers(ctx)
		for ci := range list.Info() {
			if ci.Name == urgent {
				continue
			}
			sweep, _, ok := sweepOf(ci.Name)
			c := Part{Name: want.Name + "/" + ci.Name}
			if !ok {
				c.Faults = []string{"is no consumer of a sweep; it takes visits that no worker will make"}
			} else {
				c.Is, c.Faults = consumerState(ci, q.workConsumer(ci.Name, sweepFilter(sweep)))
			}
			out = append(out, c)
		}
		if err := list.Err(); err != nil {
			return out, fmt.Errorf("check the consumers of %s: %w", want.Name, err)
		}
	}
	for _, want := range q.bucketLayout() {
		p := Part{Name: "KV_" + want.Bucket}
		s, err := q.js.Stream(ctx, p.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			p.Faults = []string{"is not there"}
		case err != nil:
			return out, fmt.Errorf("check the bucket %s: %w", want.Bucket, err)
		default:
			info := s.CachedInfo()
			p.Is = fmt.Sprintf("%d keys, %s", info.State.Msgs, replicas(info))
			p.Faults = append(differ(nil, "keeps for", info.Config.MaxAge, want.TTL), peerFaults(info)...)
			p.Faults = differ(p.Faults, "replicas", info.Config.Replicas, want.Replicas)
		}
		out = append(out, p)
	}
	return out, nil
}

func replicas(info *jetstream.StreamInfo) string {
	if info.Config.Replicas == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", info.Config.Replicas)
}

func differ[T comparable](faults []string, what string, got, want T) []string {
	if got != want {
		faults = append(faults, fmt.Sprintf("%s %v, want %v", what, got, want))
	}
	return faults
}

func streamFaults(got, want jetstream.StreamConfig) []string {
	var f []string
	slices.Sort(got.Subjects)
	slices.Sort(want.Subjects)
	f = differ(f, "subjects", strings.Join(got.Subjects, " "), strings.Join(want.Subjects, " "))
	f = differ(f, "retention", got.Retention, want.Retention)
	f = differ(f, "storage", got.Storage, want.Storage)
	f = differ(f, "compression", got.Compression, want.Compression)
	f = differ(f, "replicas", got.Replicas, want.Replicas)
	f = differ(f, "keeps for", got.MaxAge, want.MaxAge)
	f = differ(f, "greatest message", got.MaxMsgSize, want.MaxMsgSize)
	f = differ(f, "remembers ids for", got.Duplicates, want.Duplicates)
	f = differ(f, "schedules", got.AllowMsgSchedules, want.AllowMsgSchedules)
	f = differ(f, "batches", got.AllowAtomicPublish, want.AllowAtomicPublish)
	if got.MaxBytes > 0 || got.MaxMsgs > 0 {
		f = append(f, fmt.Sprintf("drops messages beyond %d bytes or %d messages (-1: none); want no limit but the server's", got.MaxBytes, got.MaxMsgs))
	}
	return f
}

func peerFaults(info *jetstream.StreamInfo) []string {
	var f []string
	if info.Cluster == nil {
		return nil
	}
	for _, p := range info.Cluster.Replicas {
		switch {
		case p.Offline:
			f = append(f, fmt.Sprintf("replica %s is away", p.Name))
		case !p.Current:
			f = append(f, fmt.Sprintf("replica %s is %d messages behind", p.Name, p.Lag))
		}
	}
	return f
}

func consumerState(info *jetstream.ConsumerInfo, want jetstream.ConsumerConfig) (string, []string) {
	is := fmt.Sprintf("%d wait, %d in hand", info.NumPending, info.NumAckPending)
	if info.Paused {
		is += ", paused"
	}
	got := info.Config
	var f []string
	f = differ(f, "filter", got.FilterSubject, want.FilterSubject)
	f = differ(f, "acknowledges", got.AckPolicy, want.AckPolicy)
	f = differ(f, "waits for an answer", got.AckWait, want.AckWait)
	f = differ(f, "deliveries", got.MaxDeliver, want.MaxDeliver)
	if want.MaxAckPending > 0 {
		f = differ(f, "most in hand", got.MaxAckPending, want.MaxAckPending)
	}
	return is, f
}
