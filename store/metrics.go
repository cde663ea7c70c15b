package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what a store tells of itself, see docs/metrics.md.
type metrics struct {
	took    *prometheus.HistogramVec
	errors  *prometheus.CounterVec
	retries prometheus.Counter
}

func newMetrics() *metrics {
	m := &metrics{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "pecrawler_store_duration_seconds", Help: "Time until the database has answered a statement, or has ended a transaction.",
			Buckets: []float64{.001, .005, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30}}, []string{"op"}),
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_store_errors_total", Help: "Statements and transactions that the database failed."}, []string{"op"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_store_retries_total", Help: "Transactions that were begun again because another got in the way."}),
	}
	for _, op := range []string{"read", "write", "transaction"} {
		m.took.WithLabelValues(op)
		m.errors.WithLabelValues(op)
	}
	return m
}

// done notes how long something took and whether the database failed it. What the
// caller gave up or refused by itself is no failure of the database.
func (m *metrics) done(op string, begin time.Time, err error) {
	m.took.WithLabelValues(op).Observe(time.Since(begin).Seconds())
	if _, refused := errors.AsType[refusal](err); err == nil || refused || errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrNoRows) {
		return
	}
	m.errors.WithLabelValues(op).Inc()
}

// database is a *sql.DB whose statements are timed.
type database struct {
	*sql.DB
	met *metrics
}

func (d database) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	begin := time.Now()
	rows, err := d.DB.QueryContext(ctx, query, args...)
	d.met.done("read", begin, err)
	return rows, err
}

func (d database) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	begin := time.Now()
	row := d.DB.QueryRowContext(ctx, query, args...)
	d.met.done("read", begin, row.Err())
	return row
}

func (d database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	begin := time.Now()
	res, err := d.DB.ExecContext(ctx, query, args...)
	d.met.done("write", begin, err)
	return res, err
}

var (
	connectionsNow = prometheus.NewDesc("pecrawler_store_connections", "Connections to the database that this process holds.", []string{"state"}, nil)
	waitedSoFar    = prometheus.NewDesc("pecrawler_store_wait_seconds_total", "Time that was waited for a connection, since all were in use.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (s *Store) Describe(ch chan<- *prometheus.Desc) {
	s.db.met.took.Describe(ch)
	s.db.met.errors.Describe(ch)
	s.db.met.retries.Describe(ch)
	ch <- connectionsNow
	ch <- waitedSoFar
}

// Collect implements [prometheus.Collector].
func (s *Store) Collect(ch chan<- prometheus.Metric) {
	s.db.met.took.Collect(ch)
	s.db.met.errors.Collect(ch)
	s.db.met.retries.Collect(ch)
	st := s.db.Stats()
	ch <- prometheus.MustNewConstMetric(connectionsNow, prometheus.GaugeValue, float64(st.InUse), "in-use")
	ch <- prometheus.MustNewConstMetric(connectionsNow, prometheus.GaugeValue, float64(st.Idle), "idle")
	ch <- prometheus.MustNewConstMetric(waitedSoFar, prometheus.CounterValue, st.WaitDuration.Seconds())
}
