package crawler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pecrawler/crawler/egress"
)

// metrics of the crawler. Labels come from closed lists.
type metrics struct {
	restarts prometheus.Counter
	rescues  *prometheus.CounterVec   // what was done about pages and browsers that hang or grow, by step
	memory   prometheus.Gauge         // held by running browsers
	stage    *prometheus.HistogramVec // look, idle, reject, accept
	egress   *prometheus.CounterVec   // connections not made, by reason
	requests prometheus.Counter
	acts     *prometheus.CounterVec // by scenario and effect
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		restarts: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_crawler_browser_restarts_total", Help: "Browsers started after the first one: crashes and planned replacements."}),
		rescues:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_crawler_rescues_total", Help: "What was ended because it hung or grew: script, page, context, browser, memory."}, []string{"step"}),
		memory:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "pecrawler_crawler_browser_memory_bytes", Help: "Memory that Chromium holds, all its processes."}),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pecrawler_crawler_stage_duration_seconds", Help: "Wall time of a stage of a visit: the plain look and each scenario.",
			Buckets: []float64{.1, .5, 1, 2.5, 5, 10, 15, 20, 30, 45, 60, 90, 120},
			// Native besides: each bucket a tenth wider than the last, never more than 100 of them.
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour}, []string{"stage"}),
		egress:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_crawler_egress_refused_total", Help: "Connections that the egress proxy did not make, by reason."}, []string{"reason"}),
		requests: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_crawler_requests_total", Help: "Requests of pages recorded."}),
		acts:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_crawler_acts_total", Help: "Choices made on banners, by scenario and effect."}, []string{"scenario", "effect"}),
	}
	// From the start: what appears later has no rate at first.
	for _, r := range []string{egress.ReasonDenied, egress.ReasonDNS, egress.ReasonRefused, egress.ReasonTimeout, egress.ReasonReset, egress.ReasonUpstream} {
		m.egress.WithLabelValues(r)
	}
	for _, s := range []string{"script", "page", "context", "browser", "memory"} {
		m.rescues.WithLabelValues(s)
	}
	reg.MustRegister(m.restarts, m.rescues, m.memory, m.stage, m.egress, m.requests, m.acts)
	return m
}
