package queue

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the queue; the depth is asked for when it is scraped.
type metrics struct {
	queue       *Queue
	depth       *prometheus.Desc
	published   *prometheus.CounterVec
	redelivered prometheus.Counter
	dead        prometheus.Counter
	postponed   prometheus.Counter
	polite      *prometheus.HistogramVec
	skew        *prometheus.Desc
}

func newMetrics() *metrics {
	m := &metrics{
		depth:       prometheus.NewDesc("pecrawler_queue_visits", "Visits on the work queue, by state: waiting, paused (of sweeps that are paused) or in hand.", []string{"state"}, nil),
		skew:        prometheus.NewDesc("pecrawler_queue_clock_skew_seconds", "By how much the server's clock is ahead of this machine's; 0 when it is no more than an answer takes.", nil, nil),
		published:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_queue_published_total", Help: "Messages stored, by kind; a second one with the same id does not count."}, []string{"kind"}),
		redelivered: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_queue_redelivered_total", Help: "Visits taken that had been handed out before."}),
		dead:        prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_queue_dead_total", Help: "Visits given up."}),
		postponed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_queue_postponed_total", Help: "Visits put off because another of the same domain was in hand or has just ended, or too many behind the same address were in hand."}),
		polite: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pecrawler_queue_polite_wait_seconds", Help: "For how long a visit was put off, each time, by what was taken: its domain, or its address.",
			Buckets: []float64{.2, .5, 1, 2, 5, 10, 20, 30}}, []string{"of"}),
	}
	m.polite.WithLabelValues("domain")
	m.polite.WithLabelValues("address")
	return m
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.depth
	ch <- m.skew
	m.published.Describe(ch)
	m.redelivered.Describe(ch)
	m.dead.Describe(ch)
	m.postponed.Describe(ch)
	m.polite.Describe(ch)
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second) // a scrape has no context of its own here
	defer cancel()
	if d, err := m.queue.Depth(ctx); err == nil {
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(d.Waiting), "waiting")
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(d.Paused), "paused")
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(d.InHand), "in-hand")
	}
	ch <- prometheus.MustNewConstMetric(m.skew, prometheus.GaugeValue, time.Duration(m.queue.skew.Load()).Seconds())
	m.published.Collect(ch)
	m.redelivered.Collect(ch)
	m.dead.Collect(ch)
	m.postponed.Collect(ch)
	m.polite.Collect(ch)
}
