package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	pc "pecrawler"
	"pecrawler/queue"
	"pecrawler/webhook"
)

// notifyCmd sends every flagged site to a webhook.
func notifyCmd(ctx context.Context, e env, args []string) error {
	var to, secretFile, caFile string
	tries := 30
	o, rest, err := parseWith(e, "notify", forData|forCluster|forServe, args, func(fs *flag.FlagSet) {
		fs.StringVar(&to, "webhook", "", "`URL` that each flagged site is sent to, https://…")
		fs.StringVar(&secretFile, "webhook-secret", "", "`file` with the secret that what is sent is signed by: whsec_ and base64; two lines while it is exchanged")
		fs.StringVar(&caFile, "webhook-ca", "", "certificate authority of the receiver, PEM `file`; those of the machine when not given")
		fs.IntVar(&tries, "tries", tries, "how often a site is sent before it is given up; 30 take about a day")
	})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("notify takes no arguments, but has %q", rest)
	}
	switch {
	case to == "":
		return usage("--webhook URL says where flagged sites are sent")
	case secretFile == "":
		return usage("--webhook-secret FILE has the secret that what is sent is signed by")
	case tries < 1:
		return usage("--tries %d: want 1 or more", tries)
	}
	if err := o.needsCluster("to read from"); err != nil {
		return err
	}
	sender, err := newSender(to, secretFile, caFile)
	if err != nil {
		return err
	}
	log := o.logger(e.stderr)
	reg := newRegistry()
	cfg := o.cluster(queue.Reviewer, log)
	q, err := queue.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer q.Close()
	url, stop, err := serveMetrics(o, reg, log)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(e.stderr, "Sending what is flagged on %s; metrics at %smetrics\n", queue.Place(o.nats), url)
	n := &notifier{send: sender.Send, tries: tries, first: firstWait, log: log, results: newNotified(reg)}
	return q.Flags(ctx, n.flag)
}

func newSender(to, secretFile, caFile string) (*webhook.Sender, error) {
	raw, err := os.ReadFile(secretFile)
	if err != nil {
		return nil, err
	}
	secrets, err := webhook.Secrets(raw)
	if err != nil {
		return nil, fmt.Errorf("--webhook-secret %s: %w", secretFile, err)
	}
	var roots *x509.CertPool
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--webhook-ca %s: there is no certificate in it", caFile)
		}
	}
	s, err := webhook.New(to, secrets, roots, "pecrawler/"+toolVersion())
	if err != nil {
		return nil, usage("--webhook: %v", err)
	}
	return s, nil
}

func newNotified(reg prometheus.Registerer) *prometheus.CounterVec {
	c := promauto.With(reg).NewCounterVec(prometheus.CounterOpts{Name: "pecrawler_notify_deliveries_total", Help: "Tries to send a flagged site to the webhook: sent, again (it is tried later), or given-up."}, []string{"result"})
	for _, r := range []string{"sent", "again", "given-up"} {
		c.WithLabelValues(r)
	}
	return c
}

// How long it takes until a site is sent again, and until anything is after a
// failure. The consumer's time to acknowledge is longer than the last and one try.
const (
	firstWait = 10 * time.Second
	mostWait  = time.Hour
	mostPause = 30 * time.Second
)

// notifier sends flags, one after the other.
type notifier struct {
	send    func(ctx context.Context, id string, body []byte) error
	tries   int
	first   time.Duration
	log     *slog.Logger
	results *prometheus.CounterVec
	failed  int // in a row
}

// flag sends one, or says when it is to come again.
func (n *notifier) flag(ctx context.Context, f queue.Flag) (again time.Duration, err error) {
	if n.failed > 0 { // whoever is away is not asked at once for each of thousands
		select {
		case <-time.After(min(n.first/10<<min(n.failed-1, 20), mostPause)):
		case <-ctx.Done():
			return n.first, nil
		}
	}
	var about pc.Visit
	if err := json.Unmarshal(f.Document, &about); err != nil {
		return 0, errors.New("not a verdict")
	}
	id := fmt.Sprintf("flag_%x", sha256.Sum256([]byte(f.ID)))[:37] // a dot would part what is signed
	log := n.log.With("sweep", about.Sweep, "site", about.Site, "id", id)
	err = n.send(ctx, id, f.Document)
	if err == nil {
		n.failed = 0
		n.results.WithLabelValues("sent").Inc()
		log.Info("flag sent")
		return 0, nil
	}
	if ctx.Err() != nil {
		return n.first, nil
	}
	n.failed++
	if f.Tries+1 >= n.tries {
		n.results.WithLabelValues("given-up").Inc()
		log.Error("a flag was not taken and is given up; the API has the site", "tries", f.Tries+1, "err", err)
		return 0, err
	}
	n.results.WithLabelValues("again").Inc()
	again = min(n.first<<min(f.Tries, 20), mostWait)
	var refused *webhook.RefusedError
	if errors.As(err, &refused) {
		again = cmp.Or(min(refused.After, mostWait), again)
	}
	log.Warn("a flag was not taken; it is sent again", "after", again, "err", err)
	return again, nil
}
