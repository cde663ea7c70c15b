package evidence

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sealer seals drafts into a vault. Its methods may be called from several
// goroutines.
type Sealer struct {
	Vault   *Vault
	Signer  Signer  // nil: bundles are not signed, and their manifests say so
	Stamper Stamper // nil: no time stamps. Only signed bundles get one
	Start   Start   // what the caller knows of it; captures and machine tell the rest
	Log     *slog.Logger
	Metrics *Metrics // nil: none
}

// Seal seals a draft without a signature, for tests and tools.
func Seal(ctx context.Context, v *Vault, d *Draft) (digest string, err error) {
	return (&Sealer{Vault: v}).Seal(ctx, d)
}

// Seal packs the draft, signs it and writes it to the vault. It returns the
// digest. The draft can be thrown away afterwards. A time stamp that cannot be
// had is logged and counted, the signature says so, and the seal goes on.
func (s *Sealer) Seal(ctx context.Context, d *Draft) (digest string, err error) {
	begin := time.Now()
	digest, size, err := s.seal(ctx, d)
	if err != nil {
		if s.Metrics != nil && ctx.Err() == nil {
			s.Metrics.failures.Inc()
		}
		return "", fmt.Errorf("seal %s: %w", d.visit.ID(), err)
	}
	if s.Metrics != nil {
		s.Metrics.duration.Observe(time.Since(begin).Seconds())
		s.Metrics.bytes.Add(float64(size))
	}
	return digest, nil
}

func (s *Sealer) seal(ctx context.Context, d *Draft) (digest string, size int, err error) {
	signedBy := ""
	if s.Signer != nil {
		signedBy = KeyID(s.Signer.Public())
	}
	manifest, parts, err := d.pack(time.Now(), s.Start, signedBy)
	if err != nil {
		return "", 0, err
	}
	digest = sumOf(manifest)
	entries := []entry{stored(manifestName, manifest)}
	if s.Signer != nil {
		seal, err := s.sign(ctx, digest, manifest)
		if err != nil {
			return "", 0, err
		}
		entries = append(entries, seal...)
	}
	data, err := zipBytes(append(entries, parts...))
	if err != nil {
		return "", 0, err
	}
	return digest, len(data), s.Vault.put(ctx, digest, data)
}

// sign makes the signature, and the time stamp if there is an authority.
func (s *Sealer) sign(ctx context.Context, digest string, manifest []byte) (seal []entry, err error) {
	timestamp := noStamp
	if s.Stamper != nil {
		tsr, err := s.Stamper.Stamp(ctx, manifest)
		s.Metrics.stamped(err)
		if err != nil {
			timestamp = failedStamp
			if s.Log != nil {
				s.Log.Warn("no time stamp could be had; the bundle says so", "bundle", digest, "err", err)
			}
		} else {
			timestamp = sumOf(tsr)
			seal = append(seal, stored(stampName, tsr))
		}
	}
	sig, err := sign(ctx, s.Signer, timestamp, signedText(digest, timestamp))
	if err != nil {
		return nil, err
	}
	if s.Metrics != nil {
		s.Metrics.signatures.Inc()
	}
	return append([]entry{stored(signatureName, sig)}, seal...), nil
}

// Metrics of the evidence. Labels come from closed lists.
type Metrics struct {
	duration   prometheus.Histogram
	bytes      prometheus.Counter
	signatures prometheus.Counter
	failures   prometheus.Counter
	stamps     *prometheus.CounterVec
}

// NewMetrics registers the metrics of the evidence.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "pecrawler_evidence_seal_duration_seconds", Help: "Wall time of a seal: pack, time stamp, sign, write.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20}}),
		bytes:      prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_evidence_sealed_bytes_total", Help: "Bytes of the bundles that were sealed."}),
		signatures: prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_evidence_signatures_total", Help: "Signatures made."}),
		failures:   prometheus.NewCounter(prometheus.CounterOpts{Name: "pecrawler_evidence_failures_total", Help: "Bundles that could not be sealed or written."}),
		stamps:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_evidence_timestamps_total", Help: "Time stamps asked for, by result: had or failed."}, []string{"result"}),
	}
	for _, r := range []string{"had", "failed"} {
		m.stamps.WithLabelValues(r)
	}
	reg.MustRegister(m.duration, m.bytes, m.signatures, m.failures, m.stamps)
	return m
}

func (m *Metrics) stamped(err error) {
	if m == nil {
		return
	}
	result := "had"
	if err != nil {
		result = "failed"
	}
	m.stamps.WithLabelValues(result).Inc()
}
