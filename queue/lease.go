package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/net/publicsuffix"

	pc "pecrawler"
)

// Domain is the registrable domain of a site: whom a visit burdens.
func Domain(site string) string {
	if host, _, err := net.SplitHostPort(site); err == nil {
		site = host
	}
	if d, err := publicsuffix.EffectiveTLDPlusOne(site); err == nil {
		return d
	}
	return site
}

// A lease is held by a key that is there: it names its holder while a
// visit of the domain is in hand, then says the time from which the next may begin. It expires
// with the heartbeats of its worker, so a worker that dies holds nothing for
// longer than its visit takes to come back. Waits counts how often a visit was
// put off because its domain or its address was taken: those are no attempts.

// lease is the right to visit a domain, or one of the places behind an address.
type lease struct {
	q      *Queue
	key    string
	rev    uint64
	holder string // whose it is; no number
}

func newHolder() string { return "held-" + nuid.Next() }

// hold takes the lease of a domain, or of a place behind an address. Without one, wait is how long it may take
// until the domain is free. What a holder has taken already, but was not told
// so, it is given again.
func (q *Queue) hold(ctx context.Context, domain, holder string) (_ *lease, wait time.Duration, err error) {
	l := &lease{q: q, key: pc.SiteKey(domain), holder: holder}
	if l.rev, err = q.hosts.Create(ctx, l.key, []byte(l.holder)); err == nil {
		return l, 0, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return nil, time.Second, err
	}
	e, err := q.hosts.Get(ctx, l.key)
	if err != nil {
		return nil, time.Second, nil // it has just been let go
	}
	if string(e.Value()) == l.holder {
		l.rev = e.Revision()
		return l, 0, nil
	}
	if v := string(e.Value()); v == "" || strings.HasPrefix(v, "held-") { // empty: by a worker of before holders had names
		return nil, 2 * time.Second, nil
	}
	ms, err := strconv.ParseInt(string(e.Value()), 10, 64)
	if err != nil {
		return nil, time.Second, fmt.Errorf("lease of %s: %w", domain, err)
	}
	if wait := time.UnixMilli(ms).Sub(q.Now()); wait > 0 {
		return nil, wait, nil
	}
	// Only one of those who read this revision can replace it.
	if l.rev, err = q.hosts.Update(ctx, l.key, []byte(l.holder), e.Revision()); err != nil {
		return nil, 2 * time.Second, nil
	}
	return l, 0, nil
}

// TryLease proves that leases work on this server: one is taken, refused to a
// second asker, and let go.
func (q *Queue) TryLease(ctx context.Context) error {
	const domain = "doctor.invalid"
	l, wait, err := q.hold(ctx, domain, newHolder())
	if l == nil {
		return errors.Join(fmt.Errorf("the lease of a domain cannot be had for %v", wait), err)
	}
	defer q.hosts.Delete(ctx, l.key)
	if second, _, _ := q.hold(ctx, domain, newHolder()); second != nil {
		return errors.New("the lease of a domain was given twice")
	}
	return nil
}

// beat keeps the lease, and tells whether the server has said so in time. A
// renewal whose answer was lost on the way is known again by its holder.
func (l *lease) beat(ctx context.Context, within time.Duration) bool {
	if l == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for range 2 {
		rev, err := l.q.hosts.Update(ctx, l.key, []byte(l.holder), l.rev)
		if err == nil {
			l.rev = rev
			return true
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return false
		}
		e, err := l.q.hosts.Get(ctx, l.key)
		if err != nil || string(e.Value()) != l.holder {
			return false
		}
		l.rev = e.Revision()
	}
	return false
}

// release lets a lease go, after a gap. Nothing depends on it but time: what is
// not released expires. Of nil there is nothing to let go.
func (l *lease) release(ctx context.Context, gap time.Duration) {
	if l == nil {
		return
	}
	if gap <= 0 {
		l.q.hosts.Delete(ctx, l.key, jetstream.LastRevision(l.rev))
		return
	}
	l.q.hosts.Update(ctx, l.key, []byte(strconv.FormatInt(l.q.Now().Add(gap).UnixMilli(), 10)), l.rev)
}

// places is how many of the places behind an address are asked for: all of a few,
// some of many. It may then be found full that is not quite.
const places = 4

// holdAddress takes one of the places behind the address of a site: a lease each,
// so there are never more keys than visits in hand.
func (q *Queue) holdAddress(ctx context.Context, address string, most, first int, holder string) (l *lease, wait time.Duration, err error) {
	for i := range min(most, places) {
		// No domain has a space in its name.
		l, wait, err = q.hold(ctx, address+" "+strconv.Itoa((first+i)%most), holder)
		if l != nil || err != nil {
			return l, wait, err
		}
	}
	return nil, wait, nil
}

// polite takes the leases that a visit needs, that of its domain and that of
// a place behind its address, or puts it off. The second is nil where there is no limit.
func (q *Queue) polite(ctx context.Context, msg jetstream.Msg, job *Job) (domain, address *lease, ok bool) {
	behind, most := "", 0
	if q.behind != nil {
		behind, most = q.behind(ctx, job.Visit.Site)
	}
	holder, first := newHolder(), rand.IntN(max(most, 1)) // the same in each try: what was had in one is had in the next
	var wait time.Duration
	of := "domain"
	err := q.insist(ctx, msg, func(ctx context.Context) (err error) {
		of = "domain"
		if domain, wait, err = q.hold(ctx, Domain(job.Visit.Site), holder); domain == nil || behind == "" || most < 1 {
			return err
		}
		of = "address"
		address, wait, err = q.holdAddress(ctx, behind, most, first, holder)
		return err
	})
	if err == nil && domain != nil && (address != nil || of == "domain") {
		return domain, address, true
	}
	domain.release(context.WithoutCancel(ctx), 0) // nobody has visited it
	if err == nil {
		delay := patience(wait, job.waits)
		q.met.polite.WithLabelValues(of).Observe(delay.Seconds())
		q.putOff(ctx, msg, job.Visit, job.waits, delay)
	}
	return nil, nil, false
}

// insist does something until it works, with a message in hand: that the server
// cannot answer for a while says nothing of the visit, and must cost it no
// attempt. It fails only when the context ends.
func (q *Queue) insist(ctx context.Context, msg jetstream.Msg, do func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := do(try)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		q.log.Warn("waiting for NATS with a visit in hand", "subject", msg.Subject(), "err", err)
		msg.InProgress()
		sleep(ctx, time.Second)
	}
}

// waited is how often a visit was put off.
func (q *Queue) waited(ctx context.Context, msg jetstream.Msg, v pc.Visit) (n int, err error) {
	err = q.insist(ctx, msg, func(ctx context.Context) error {
		e, err := q.waits.Get(ctx, pc.SiteKey(v.ID()))
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		if err == nil {
			n, _ = strconv.Atoi(string(e.Value()))
		}
		return err
	})
	return n, err
}

// putOff gives a visit back for a while, which counts as no attempt.
func (q *Queue) putOff(ctx context.Context, msg jetstream.Msg, v pc.Visit, waited int, wait time.Duration) {
	err := q.insist(ctx, msg, func(ctx context.Context) error {
		_, err := q.waits.PutString(ctx, pc.SiteKey(v.ID()), strconv.Itoa(waited+1))
		return err
	})
	if err != nil { // this process is being stopped
		q.log.Warn("a visit that was put off counts as an attempt", "visit", v.ID(), "err", err)
	}
	q.met.postponed.Inc()
	if err := msg.NakWithDelay(wait); err != nil {
		q.log.Warn("could not put a visit off; it comes back by itself", "visit", v.ID(), "err", err)
	}
}

// patience is how long a visit is put off because its domain is taken. The
// longer it has waited the longer it waits, so that a list of one domain's hosts
// is not handed round for ever.
func patience(wait time.Duration, waited int) time.Duration {
	return min(max(wait, 100*time.Millisecond)*time.Duration(1+waited/4), 30*time.Second)
}

// forget drops the count of a visit that is over; the bucket would too, later.
func (j *Job) forget(ctx context.Context) {
	if j.waits > 0 {
		j.q.waits.Purge(ctx, pc.SiteKey(j.Visit.ID()))
	}
}
