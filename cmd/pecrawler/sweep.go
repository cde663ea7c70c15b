package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"pecrawler/evidence"
	"pecrawler/internal/sitelist"
	"pecrawler/lab"
	"pecrawler/queue"
	"pecrawler/review"
	"pecrawler/store"
)

func sweepCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "sweep", forData|forVisits|forList|forSweep|forCluster|forQueue|forServe|forLab, args)
	if err != nil {
		return err
	}
	term := newTerminal(e.stderr)
	log := o.logger(term)
	if o.lab {
		if err := dataFolder(o.out); err != nil {
			return err
		}
		web, ca, err := startLab(lab.Config{Log: log, Plan: o.plan}, filepath.Join(o.out, "lab-ca.pem"))
		if err != nil {
			return err
		}
		defer web.Close()
		o.proxy, o.ca, o.dns = web.URL().String(), ca, web.DNS().String()
		if len(rest) == 0 {
			e.stdin = strings.NewReader(lab.CSV(web.Sites()))
			rest = []string{"-"}
		}
		fmt.Fprintf(term, "The test web is up: %d sites on loopback; nothing leaves this machine.\n", len(web.Sites()))
	}
	list, base, err := readLists(e, term, rest)
	if err != nil {
		return err
	}
	if o.lab {
		base = "lab"
	}
	st, release, err := ownStore(ctx, o)
	if err != nil {
		return err
	}
	defer release()
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	reg := newRegistry()
	cfg, err := o.visiting(queue.Admin, log)
	if err != nil {
		return err
	}
	cfg.Dir, cfg.Listen, cfg.Registerer = filepath.Join(o.out, "queue"), o.natsListen, reg
	q, err := queue.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer q.Close()
	reg.MustRegister(newTally(st), st)
	w, err := newWorker(ctx, o, q, vault, log, reg)
	if err != nil {
		return err
	}
	defer w.crawler.Close()
	opt := review.Options{People: people{}.orMe(), Registerer: reg}
	done, err := (&outward{chrome: o.chrome, key: o.signingKey}).options(ctx, o, &opt)
	if err != nil {
		return err
	}
	defer done()
	pages, err := reviewPages(st, vault, w.classifier, log, opt)
	if err != nil {
		return err
	}
	url, stop, err := serve(o.listen, !o.set["listen"], pages, reg, log)
	if err != nil {
		return err
	}
	defer stop()

	sweep, resumed, err := findOrCreate(ctx, st, o, list, base)
	if err != nil {
		return err
	}
	s := &sweepRun{options: o, store: st, worker: w, sweep: sweep, collector: newCollector(q, st, sweep, o.agreeAfter, log), term: term, log: log}
	verb := "Sweep"
	if resumed {
		verb = "Going on with sweep"
	}
	fmt.Fprintf(term, "%s %s: %d sites, review page while it runs: %ssweeps/%s\n", verb, sweep.ID, len(list.Entries), url, sweep.ID)
	invite(term, pages, url)
	begin := time.Now()
	runErr := s.run(ctx)

	// Whatever happened, what is known goes out. The context may have ended.
	fin, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	counts, err := st.Counts(fin, sweep.ID)
	if err == nil {
		err = writeVerdicts(fin, st, sweep.ID, filepath.Join(o.out, "verdicts.jsonl"))
	}
	if err := errors.Join(runErr, err); err != nil {
		return fmt.Errorf("%w\n%s", err, resumeHint(counts, sweep.ID))
	}
	if counts.Done < counts.Sites {
		return fmt.Errorf("interrupted: %s", resumeHint(counts, sweep.ID))
	}
	if err := errors.Join(st.Finish(fin, sweep.ID, time.Now().UTC()), q.End(fin, sweep.ID)); err != nil {
		return err
	}
	return summary(fin, e.stdout, st, sweep, o, counts, time.Since(begin))
}

func resumeHint(n store.Counts, id string) string {
	return fmt.Sprintf("%d of %d sites of sweep %s have their last word and are kept; the same command goes on with the rest", n.Done, n.Sites, id)
}

// startLab starts the test web and writes its certificate authority to a file.
func startLab(cfg lab.Config, caFile string) (*lab.Lab, string, error) {
	web, err := lab.Start(cfg)
	if err != nil {
		return nil, "", err
	}
	if err := os.WriteFile(caFile, web.CA(), 0o644); err != nil {
		return nil, "", errors.Join(err, web.Close())
	}
	return web, caFile, nil
}

// readLists reads the lists of a command line into the memory.
func readLists(e env, log io.Writer, args []string) (list sitelist.List, base string, err error) {
	if len(args) == 0 {
		return list, "", usage("name a list of sites (a file, or - for standard input) or sites; --lab sweeps the test web")
	}
	seen := map[string]bool{}
	base, err = eachSite(e, log, args, func(en sitelist.Entry) (bool, error) {
		if seen[en.Site] {
			return false, nil
		}
		seen[en.Site] = true
		list.Entries = append(list.Entries, en)
		return true, nil
	})
	return list, base, err
}

// eachSite calls do with each site that the files, "-" and sites of a command
// line name, one at a time; do tells whether the site was new. Bad lines are
// reported and passed over; base is a word for the sweep's name.
func eachSite(e env, log io.Writer, args []string, do func(sitelist.Entry) (bool, error)) (base string, err error) {
	base = "sites"
	var loose []string
	merge := func(name string, r io.Reader) error {
		const show = 20
		bad, again := 0, 0
		err := sitelist.Each(r, func(en sitelist.Entry) error {
			fresh, err := do(en)
			if !fresh {
				again++
			}
			return err
		}, func(b sitelist.LineError) {
			if bad++; bad <= show {
				fmt.Fprintf(log, "%s:%d: %q was passed over: %s\n", name, b.Line, b.Value, b.Reason)
			}
		})
		if bad > show {
			fmt.Fprintf(log, "%s: and %d more lines that name no site\n", name, bad-show)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if again > 0 {
			fmt.Fprintf(log, "%s: %d lines name a site again and were merged\n", name, again)
		}
		return nil
	}
	for _, a := range args {
		if a == "-" {
			if err := merge("standard input", e.stdin); err != nil {
				return "", err
			}
			continue
		}
		f, err := os.Open(a)
		if err != nil {
			switch filepath.Ext(a) {
			case ".csv", ".txt", ".tsv", ".lst", ".json", ".jsonl":
				return "", err
			}
			if strings.HasPrefix(a, ".") || strings.HasPrefix(a, "/") || !errors.Is(err, os.ErrNotExist) {
				return "", err
			}
			loose = append(loose, a)
			continue
		}
		err = merge(a, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
		base = strings.TrimSuffix(filepath.Base(a), filepath.Ext(a))
	}
	if len(loose) > 0 {
		if err := merge("command line", strings.NewReader(strings.Join(loose, "\n"))); err != nil {
			return "", err
		}
	}
	return base, nil
}

// findOrCreate goes on with an unfinished sweep of the same list and settings,
// or makes a new one.
func findOrCreate(ctx context.Context, st *store.Store, o *options, list sitelist.List, base string) (store.Sweep, bool, error) {
	settings, err := json.Marshal(o.sameSettings())
	if err != nil {
		return store.Sweep{}, false, err
	}
	if !o.fresh {
		sw, err := st.Unfinished(ctx, list.Digest(), string(settings))
		if err == nil && (o.name == "" || o.name == sw.ID) {
			return sw, true, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return sw, false, err
		}
	}
	now := time.Now().UTC()
	id := o.name
	if id == "" {
		id = sitelist.Word(base) + now.Format("-20060102-150405")
	}
	if !queue.ValidSweep(id) {
		return store.Sweep{}, false, usage("--name %q: use 1 to 64 of a-z, 0-9 and -", id)
	}
	if _, err := st.Sweep(ctx, id); err == nil {
		return store.Sweep{}, false, fmt.Errorf("there is a sweep %s already, of another list or finished; choose another --name", id)
	}
	sw := store.Sweep{ID: id, ListDigest: list.Digest(), Settings: string(settings), Agree: o.agree, Created: now}
	sites := make([]store.Site, 0, len(list.Entries))
	for _, en := range list.Entries {
		sites = append(sites, store.Site(en))
	}
	return sw, false, st.CreateSweep(ctx, sw, sites)
}

// sweepRun is one sweep in this process.
type sweepRun struct {
	*options
	store     *store.Store
	worker    *worker
	sweep     store.Sweep
	collector *collector
	term      *terminal
	log       *slog.Logger
}

// run works until every site has its last word, the context ends, or the
// worker cannot go on.
func (s *sweepRun) run(ctx context.Context) error {
	if err := s.collector.resume(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, done := context.WithCancel(ctx)
	defer done()
	g.Go(func() error { return s.collector.follow(ctx) })
	g.Go(func() error { return s.worker.run(ctx, s.slots) })
	g.Go(func() error {
		defer done()
		return s.watch(ctx)
	})
	return g.Wait()
}

// watch draws the progress and returns when every site has its last word.
func (s *sweepRun) watch(ctx context.Context) error {
	first, err := s.collector.progress(ctx)
	if err != nil || first.Done >= first.Sites {
		return err
	}
	p := newProgress(s.term, time.Now())
	defer p.end()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-s.collector.word:
		}
		n, err := s.collector.progress(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		p.draw(n, time.Now())
		if n.Done >= n.Sites {
			return nil
		}
	}
}

// writeVerdicts writes the last words, one line a site, whole or not at all.
func writeVerdicts(ctx context.Context, st *store.Store, sweep, name string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".verdicts-*")
	if err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	const page = 500
	for at := 0; ; at += page {
		words, _, err := st.Words(ctx, sweep, store.Filter{Limit: page, Offset: at})
		if err != nil {
			return errors.Join(err, f.Close())
		}
		var b bytes.Buffer
		for _, w := range words {
			line, err := json.Marshal(w)
			if err != nil {
				return errors.Join(err, f.Close())
			}
			b.Write(append(line, '\n'))
		}
		if _, err := f.Write(b.Bytes()); err != nil {
			return errors.Join(fmt.Errorf("write the verdicts: %w", err), f.Close())
		}
		if len(words) < page {
			break
		}
	}
	if err := errors.Join(f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the verdicts: %w", err)
	}
	return os.Rename(f.Name(), name)
}

func workCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "work", forData|forVisits|forCluster|forServe, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("work takes no arguments, but has %q", rest)
	}
	if err := o.needsCluster("to take visits from"); err != nil {
		return err
	}
	log := o.logger(e.stderr)
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	// Before it takes a visit: one that is started again and again on a full disk
	// would use up the attempts of visits that are well.
	if err := takesBundles(o.vaultPath()); err != nil {
		return err
	}
	reg := newRegistry()
	cfg, err := o.visiting(queue.Worker, log)
	if err != nil {
		return err
	}
	cfg.Registerer = reg
	q, err := queue.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer q.Close()
	w, err := newWorker(ctx, o, q, vault, log, reg)
	if err != nil {
		return err
	}
	defer w.crawler.Close()
	url, stop, err := serveMetrics(o, reg, log)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(e.stderr, "Taking visits from %s, %d at a time; metrics at %smetrics\n", queue.Place(o.nats), o.slots, url)
	return w.run(ctx, o.slots)
}

func serveMetrics(o *options, reg *prometheus.Registry, log *slog.Logger) (string, func(), error) {
	if err := o.watchMachine(reg); err != nil {
		return "", nil, err
	}
	return serve(o.listen, !o.set["listen"], http.NotFoundHandler(), reg, log)
}
