package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/queue"
	"pecrawler/rules"
)

// worker takes visits from the queue, one slot each, and does with each:
// crawl, seal, open again, judge, publish, acknowledge.
type worker struct {
	queue      *queue.Queue
	crawler    *crawler.Crawler
	vault      *evidence.Vault
	sealer     *evidence.Sealer // into the vault
	classifier *classifier.Classifier
	rules      *rules.Set
	log        *slog.Logger
	met        *workMetrics
	faults     atomic.Int32 // visits in a row that failed by our own fault
}

// maxFaults is how many visits in a row may fail by our own fault before the
// worker stops: then the machine is broken, not the visits.
const maxFaults = 10

// fatalError ends the worker: going on would lose or spoil visits.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// A network that is cut is no fault of a visit or of a site.
var (
	errLost = errors.New("the queue was out of reach for so long that another worker may have the visit")
	errCut  = errors.New("the site did not answer, but neither did the queue: the network was cut")
)

// chooser lends the classifier's judgement of controls to the crawler.
type chooser struct{ *classifier.Classifier }

// Read implements [crawler.Chooser].
func (c chooser) Read(layer int, p *pc.Page) crawler.Reading {
	return reading{c.Classifier.Read(layer, p)}
}

type reading struct{ *classifier.Reading }

// Choose implements [crawler.Reading].
func (r reading) Choose(goal pc.Goal) (crawler.Choice, bool) {
	ch, ok := r.Reading.Choose(goal)
	return crawler.Choice(ch), ok
}

// run works until the context ends, then gives back what is in hand. It returns
// an error when the worker cannot go on.
func (w *worker) run(ctx context.Context, slots int) error {
	g, ctx := errgroup.WithContext(ctx)
	for range slots {
		g.Go(func() error {
			for {
				job, err := w.queue.Next(ctx)
				if err != nil {
					return nil // the context has ended
				}
				if err := w.visit(ctx, job); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// about marks lines with the visit that they are about. Every process marks them
// so: one id finds what became of a visit in all their logs.
func about(log *slog.Logger, v pc.Visit) *slog.Logger {
	return log.With("sweep", v.Sweep, "site", v.Site, "visit", v.ID())
}

// visit does one visit. Only a fatal error is returned; a visit that failed
// goes back to the queue.
func (w *worker) visit(ctx context.Context, job *queue.Job) error {
	w.met.inHand.Inc()
	defer w.met.inHand.Dec()
	log := about(w.log, job.Visit).With("attempt", job.Attempt)
	made, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-job.Lost():
			stop(errLost)
		case <-made.Done():
		}
	}()
	v, err := w.judge(made, job.Visit)
	if cause := context.Cause(made); ctx.Err() == nil && errors.Is(cause, errLost) {
		err = cause
	} else if err == nil && v.Outcome == pc.Unreachable && job.Cut() {
		err = errCut
	}
	var fatal fatalError
	switch {
	case err == nil:
		if err = w.deliver(ctx, log, job, v); err == nil {
			w.faults.Store(0)
			w.met.count(v)
			log.Info("visited", "outcome", v.Outcome, "reason", v.Reason, "overall", v.Overall, "bundle", v.Bundles[0])
			return nil
		}
		log.Warn("the visit is left to whoever takes it next", "err", err)
	case ctx.Err() != nil:
		log.Info("given back")
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := job.GiveBack(within); err != nil {
			log.Warn("could not give the visit back; it comes back by itself", "err", err)
		}
		return nil
	case errors.As(err, &fatal):
	case errors.Is(err, errLost), errors.Is(err, errCut):
		log.Warn("the visit is left to whoever takes it next", "err", err)
	default:
		w.met.faults.Inc()
		log.Warn("the visit failed by our own fault and goes back to the queue", "err", err)
		if n := w.faults.Add(1); n >= maxFaults {
			fatal = fatalError{fmt.Errorf("%d visits in a row failed by our own fault, the last one: %w", n, err)}
		}
	}
	delay := time.Duration(0)
	if fatal.error == nil {
		delay = min(time.Duration(job.Attempt)*5*time.Second, 30*time.Second)
	}
	if err := job.Return(delay); err != nil {
		log.Warn("could not give the visit back; it comes back by itself", "err", err)
	}
	if fatal.error != nil {
		return fatal
	}
	return nil
}

// judge crawls, seals, opens what was sealed, and judges that.
func (w *worker) judge(ctx context.Context, v pc.Visit) (pc.Verdict, error) {
	draft := evidence.NewDraft(v)
	begin := time.Now()
	err := w.crawler.Visit(ctx, v, draft)
	crawled := time.Since(begin)
	if err != nil {
		w.met.took("crawl", crawled)
		if errors.Is(err, crawler.ErrNoChrome) {
			err = fatalError{err}
		}
		return pc.Verdict{}, err
	}
	begin = time.Now()
	digest, err := w.sealer.Seal(ctx, draft)
	var bundle *evidence.Bundle
	if err == nil {
		bundle, err = w.vault.Open(ctx, digest)
	}
	w.met.took("crawl", crawled, digest)
	w.met.took("seal", time.Since(begin), digest)
	if err != nil {
		return pc.Verdict{}, fatalError{fmt.Errorf("the evidence could not be kept: %w", err)}
	}
	begin = time.Now()
	defer func() { w.met.took("judge", time.Since(begin), digest) }()
	return pipeline.Judge(bundle, w.classifier, w.rules, toolVersion()), nil
}

// deliver publishes the verdict and only then acknowledges the visit. It tries
// until the visit is lost to another worker: a queue that takes nothing holds
// work back. Once the context has ended it has a minute.
func (w *worker) deliver(ctx context.Context, log *slog.Logger, job *queue.Job, v pc.Verdict) error {
	begin := time.Now()
	defer func() { w.met.took("publish", time.Since(begin), v.Bundles...) }()
	within, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(time.Minute, cancel) })()
	for {
		try, end := context.WithTimeout(within, 10*time.Second)
		err := w.queue.PublishResult(try, v)
		end()
		if err == nil {
			break
		}
		log.Warn("the result could not be published; trying again", "err", err)
		select {
		case <-job.Lost():
			return fmt.Errorf("%w: %w", errLost, err)
		case <-within.Done():
			return err
		case <-time.After(time.Second):
		}
	}
	if err := job.Done(within); err != nil {
		log.Warn("the visit is done, but the queue does not know; whoever takes it next makes it again, which changes nothing", "err", err)
	}
	return nil
}

// workMetrics are the worker's metrics. Labels come from closed lists.
type workMetrics struct {
	visits   *prometheus.CounterVec
	stage    *prometheus.HistogramVec
	findings *prometheus.CounterVec
	judged   *prometheus.CounterVec // by what the visit alone says, and whether the site had been visited before
	storage  *prometheus.CounterVec // stored items by class
	sure     *prometheus.HistogramVec
	rule     *prometheus.GaugeVec // 1 for each rule, to join its check to its findings
	faults   prometheus.Counter
	inHand   prometheus.Gauge
}

func newWorkMetrics(set *rules.Set, reg prometheus.Registerer) *workMetrics {
	m := &workMetrics{
		visits: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_visits_total", Help: "Visits done, by outcome."}, []string{"outcome"}),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pecrawler_stage_duration_seconds", Help: "Wall time of a stage of a visit: crawl, seal, judge, publish.",
			Buckets: []float64{.005, .02, .1, .5, 2, 5, 10, 20, 40, 60, 90, 120, 240},
			// Native besides: each bucket a tenth wider than the last, never more than 100 of them.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, []string{"stage"}),
		findings: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_findings_total", Help: "Findings on visits, by rule and outcome."}, []string{"rule", "outcome"}),
		judged:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_visits_judged_total", Help: "Visits done, by what the visit alone says, and whether it was the first of its site or one again."}, []string{"overall", "visit"}),
		storage:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_storage_items_total", Help: "Stored items seen on visits, by class."}, []string{"class"}),
		sure: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pecrawler_opinion_confidence_ratio", Help: "How sure the classifier is of what it does not call unknown, from 0 to 1: of stored items and of requests.",
			Buckets: []float64{.5, .6, .7, .8, .9, .95, 1}}, []string{"of"}),
		rule:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "pecrawler_rule_info", Help: "Always 1: the rules that this process judges by."}, []string{"rule", "status", "check", "problem"}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_visit_faults_total", Help: "Visits that failed by our own fault and went back to the queue."}),
		inHand: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pecrawler_visits_in_hand", Help: "Visits that this process is making."}),
	}
	for _, o := range []pc.Outcome{pc.Assessed, pc.Blocked, pc.Unreachable, pc.NotASite, pc.Excluded} {
		m.visits.WithLabelValues(string(o))
	}
	for _, o := range []pc.Overall{pc.Flagged, pc.Review, pc.Clear, pc.NotAssessed} {
		m.judged.WithLabelValues(string(o), "first")
		m.judged.WithLabelValues(string(o), "again")
	}
	for _, r := range set.Rules() {
		if r.Status != "retired" {
			m.rule.WithLabelValues(r.ID, r.Status, strconv.Itoa(r.Check), r.Problem).Set(1)
			for _, o := range []pc.RuleOutcome{pc.Fail, pc.Unsure, pc.Pass, pc.NotApplicable, pc.Unavailable} {
				m.findings.WithLabelValues(r.ID, string(o)) // from the start: what appears later has no rate at first
			}
		}
	}
	reg.MustRegister(m.visits, m.stage, m.findings, m.judged, m.storage, m.sure, m.rule, m.faults, m.inHand)
	return m
}

// took notes how long a stage took, of a visit with these bundles: one, or none yet.
func (m *workMetrics) took(stage string, d time.Duration, bundles ...string) {
	h := m.stage.WithLabelValues(stage)
	if len(bundles) == 0 || bundles[0] == "" {
		h.Observe(d.Seconds())
		return
	}
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(d.Seconds(), exemplar(bundles[0]))
}

// exemplar leads from a number to one of the visits that it counts: by the bundle,
// which does not tell Prometheus which site that was.
func exemplar(bundle string) prometheus.Labels { return prometheus.Labels{"bundle": bundle} }

func (m *workMetrics) count(v pc.Verdict) {
	of := exemplar(v.Bundles[0])
	m.visits.WithLabelValues(string(v.Outcome)).(prometheus.ExemplarAdder).AddWithExemplar(1, of)
	visit := "first"
	if v.Visit > 1 {
		visit = "again"
	}
	m.judged.WithLabelValues(string(v.Overall), visit).Inc()
	for _, i := range v.Storage {
		m.storage.WithLabelValues(string(i.Class)).Inc()
	}
	for kind, list := range map[string][]pc.ItemSummary{"storage": v.Storage, "request": v.Requests} {
		for _, i := range list {
			if i.Class != pc.Unknown {
				m.sure.WithLabelValues(kind).Observe(i.Confidence)
			}
		}
	}
	for _, f := range v.Findings {
		m.findings.WithLabelValues(f.Rule, string(f.Outcome)).(prometheus.ExemplarAdder).AddWithExemplar(1, of)
	}
}
