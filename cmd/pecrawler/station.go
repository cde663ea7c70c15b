package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pecrawler/classifier"
	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/queue"
	"pecrawler/rules"
	"pecrawler/store"
)

// dataFolder makes the folder and proves that it can be written.
func dataFolder(dir string) error {
	if err := writable(dir, 64<<10); err != nil {
		return fmt.Errorf("the data folder %s cannot be used: %w; name another with --out", dir, err)
	}
	return nil
}

// bundleRoom is what the bundle of a big page has, and some.
const bundleRoom = 8 << 20

// takesBundles proves that a folder of evidence takes what a bundle has. Of a bucket
// it proves nothing: that may keep what is written to it for ever.
func takesBundles(vault string) error {
	if strings.Contains(vault, "://") {
		return nil
	}
	if err := writable(vault, bundleRoom); err != nil {
		return fmt.Errorf("the evidence could not be kept: %w; make room, or name another place with --evidence", err)
	}
	return nil
}

// writable makes a folder where there is none, and proves that it takes a file of
// some bytes.
func writable(dir string, size int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, size))
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// lock keeps a second process out of the folder; the system lets go of it when
// the process ends, however it ends.
func lock(dir string) (io.Closer, error) {
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another pecrawler works in the data folder %s; wait for it or name another with --out", dir), f.Close())
	}
	return f, nil
}

func storePath(dir string) string    { return filepath.Join(dir, "pecrawler.db") }
func evidencePath(dir string) string { return filepath.Join(dir, "evidence") }

// vaultPath is where bundles lie: a folder or the URL of a bucket.
func (o *options) vaultPath() string {
	if o.evidence != "" {
		return o.evidence
	}
	return evidencePath(o.out)
}

// keyPath is where the signing key of a data folder lies.
func keyPath(dir string) string { return filepath.Join(dir, "keys", "evidence.pem") }

// signer reads the key that bundles are signed by; that of the data folder is
// made at its first use.
func (o *options) signer() (evidence.Signer, error) {
	if o.signingKey != "" {
		return evidence.ReadKey(o.signingKey)
	}
	return evidence.OpenKey(keyPath(o.out))
}

// newSealer makes what seals the visits of a worker.
func newSealer(o *options, v *evidence.Vault, start evidence.Start, log *slog.Logger, reg prometheus.Registerer) (*evidence.Sealer, error) {
	key, err := o.signer()
	if err != nil {
		return nil, err
	}
	s := &evidence.Sealer{Vault: v, Signer: key, Start: start, Log: log, Metrics: evidence.NewMetrics(reg)}
	if o.tsa != "" {
		s.Stamper = evidence.TSA{URL: o.tsa}
	}
	return s, nil
}

// existingStore opens the store of a data folder, which must be there.
func existingStore(ctx context.Context, o *options) (*store.Store, error) {
	if _, err := os.Stat(store.Place(o.store)); err != nil && !store.IsPostgres(o.store) {
		return nil, fmt.Errorf("the data folder %s holds no sweeps: make one with pecrawler sweep, or name another folder with --out", filepath.Dir(store.Place(o.store)))
	}
	return store.Open(ctx, o.store)
}

// ownStore takes a data folder for this process alone, making it and its store
// where there is none. release gives both back.
func ownStore(ctx context.Context, o *options) (st *store.Store, release func(), err error) {
	if err := dataFolder(o.out); err != nil {
		return nil, nil, err
	}
	held, err := lock(o.out)
	if err != nil {
		return nil, nil, err
	}
	if st, err = store.Open(ctx, o.store); err != nil {
		held.Close()
		return nil, nil, err
	}
	return st, func() { st.Close(); held.Close() }, nil
}

// findSweep finds a sweep by its name; the error names those that there are.
func findSweep(ctx context.Context, st *store.Store, where, id string) (store.Sweep, error) {
	sw, err := st.Sweep(ctx, id)
	if !errors.Is(err, store.ErrNotFound) {
		return sw, err
	}
	all, err := st.Sweeps(ctx)
	if err != nil {
		return store.Sweep{}, err
	}
	if len(all) == 0 {
		return store.Sweep{}, fmt.Errorf("there is no sweep %q in %s, nor any other", id, where)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.ID)
	}
	const most = 20
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("and %d older ones", len(names)-most))
	}
	return store.Sweep{}, fmt.Errorf("there is no sweep %q in %s; there are, the newest first: %s", id, where, strings.Join(names, ", "))
}

func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// judges are what a bundle is judged by.
func judges() (*classifier.Classifier, *rules.Set, error) {
	cls, err := classifier.New()
	if err != nil {
		return nil, nil, err
	}
	set, err := rules.Load()
	return cls, set, err
}

// newWorker makes a worker and starts its browser, so that a machine that
// cannot run visits says so before it takes one.
func newWorker(ctx context.Context, o *options, q *queue.Queue, v *evidence.Vault, log *slog.Logger, reg prometheus.Registerer) (*worker, error) {
	cls, set, err := judges()
	if err != nil {
		return nil, err
	}
	if err := o.watchMachine(reg); err != nil {
		return nil, err
	}
	start := evidence.Start{Profile: "new, empty", Classifier: cls.Version(), Lists: cls.Lists(), Rules: set.Digest()}
	sealer, err := newSealer(o, v, start, log, reg)
	if err != nil {
		return nil, err
	}
	w := &worker{queue: q, vault: v, sealer: sealer, classifier: cls, rules: set, log: log, met: newWorkMetrics(set, reg)}
	crawler.Tune()
	w.crawler = crawler.New(o.crawlerConfig(), chooser{cls}, log, reg)
	chrome, err := w.crawler.Start(ctx)
	if err != nil {
		w.crawler.Close()
		return nil, err
	}
	log.Info("ready", "chrome", chrome, "classifier", cls.Version(), "rules", set.Digest())
	return w, nil
}

// serve answers on a port until the function that it returns is called. With
// fallback, a port that is taken is replaced by a free one.
func serve(addr string, fallback bool, h http.Handler, reg *prometheus.Registry, log *slog.Logger) (url string, stop func(), err error) {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true})) // the form that has exemplars
	return listen(addr, fallback, mux, nil, log)
}

// listen is serve without metrics, and with TLS unless secure is nil.
func listen(addr string, fallback bool, h http.Handler, secure *tls.Config, log *slog.Logger) (url string, stop func(), err error) {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	ln, err := net.Listen("tcp", addr)
	if err != nil && fallback {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot serve on %s: %w; choose another with --listen", addr, err)
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	url = "http://" + ln.Addr().String() + "/"
	if secure != nil {
		ln, url = tls.NewListener(ln, secure), "https://"+ln.Addr().String()+"/"
	}
	go srv.Serve(ln) // ends with stop
	return url, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
	}, nil
}
