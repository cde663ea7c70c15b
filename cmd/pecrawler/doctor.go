package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"pecrawler/classifier"
	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/lab"
	"pecrawler/queue"
	"pecrawler/rules"
	"pecrawler/store"
)

// doctorCmd tries each thing that a visit needs and says what to do about what
// is missing.
func doctorCmd(ctx context.Context, e env, args []string) error {
	out := wayOut{}
	o, rest, err := parseWith(e, "doctor", forData|forVisits|forCluster, args, out.flags)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("doctor takes no arguments, but has %q", rest)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	checks := []struct {
		name string
		try  func() (string, error)
	}{
		{"rules", func() (string, error) {
			set, err := rules.Load()
			if err != nil {
				return "", err
			}
			return fmt.Sprintf("%d rules, %s", len(set.Rules()), set.Digest()), nil
		}},
		{"data folder", func() (string, error) { return o.out, dataFolder(o.out) }},
		{"store", func() (string, error) {
			if !store.IsPostgres(o.store) {
				return store.Place(o.store), nil // a file, made at its first use
			}
			st, err := store.Open(ctx, o.store)
			if err != nil {
				return "", err
			}
			defer st.Close()
			said, err := st.Check(ctx)
			return store.Place(o.store) + ": " + said, err
		}},
		{"evidence", func() (string, error) {
			v, err := evidence.OpenVault(ctx, o.vaultPath())
			if err != nil {
				return "", err
			}
			defer v.Close()
			key, err := o.signer()
			if err != nil {
				return "", err
			}
			said := fmt.Sprintf("%s, signed by the key %s", o.vaultPath(), evidence.KeyID(key.Public()))
			if o.tsa != "" {
				_, err = evidence.TSA{URL: o.tsa}.Stamp(ctx, []byte("pecrawler doctor"))
				said += ", time stamps by " + o.tsa
			}
			return said, errors.Join(err, takesBundles(o.vaultPath()), v.Reachable(ctx))
		}},
		{"browser", func() (string, error) {
			cls, err := classifier.New()
			if err != nil {
				return "", err
			}
			c := crawler.New(o.crawlerConfig(), chooser{cls}, slog.New(slog.DiscardHandler), newRegistry())
			defer c.Close()
			v, err := c.Start(ctx)
			return v + ", pages in its sandbox, third-party cookies work", err
		}},
		{"namespaces", func() (string, error) { return "can be made, as Chromium's sandbox does", userNamespaces() }},
		{"shared memory", sharedMemory},
		{"fonts", func() (string, error) { return fonts(ctx) }},
		{"names", func() (string, error) { return o.names(ctx) }},
		{"way out", func() (string, error) { return out.check(ctx, o.upstream()) }},
		{"clock", clock},
		{"disk", func() (string, error) { return disks(o.out, o.vaultPath()) }},
		{"certificates", func() (string, error) { return expiries(o.certificates(), time.Now()) }},
		{"memory", func() (string, error) {
			have, err := freeMiB()
			if err == nil && have < o.browserMemory() {
				err = fmt.Errorf("%d MiB are available, and Chromium may hold %d with %d slots; use fewer --slots or a smaller --browser-memory", have, o.browserMemory(), o.slots)
			}
			return fmt.Sprintf("%d MiB are available, Chromium may hold %d", have, o.browserMemory()), err
		}},
		{"queue", func() (string, error) {
			if o.nats == "" {
				return "embedded", nil
			}
			away := serversUp(o.nats)
			// What a role may not do is only said in the log.
			q, err := queue.Open(ctx, o.cluster(queue.Worker, o.logger(e.stderr)))
			if err != nil {
				return "", errors.Join(away, err)
			}
			defer q.Close()
			d, err := q.Depth(ctx)
			if err == nil {
				err = q.TryLease(ctx)
			}
			err = errors.Join(away, err)
			return fmt.Sprintf("%s: %d visits wait, %d are in hand, leases of domains work", o.nats, d.Waiting+d.Paused, d.InHand), err
		}},
		{"test web", func() (string, error) {
			l, err := lab.Start(lab.Config{Plan: lab.Plan{Written: true}})
			if err != nil {
				return "", err
			}
			defer l.Close()
			return fmt.Sprintf("%d sites", len(l.Sites())), nil
		}},
	}
	bad := 0
	for _, c := range checks {
		said, err := c.try()
		if hint := (advice{}); errors.As(err, &hint) {
			fmt.Fprintf(e.stdout, "note  %-13s %v\n", c.name, err)
			continue
		}
		if err != nil {
			bad++
			fmt.Fprintf(e.stdout, "FAIL  %-13s %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(e.stdout, "ok    %-13s %s\n", c.name, said)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed", bad, len(checks))
	}
	return nil
}

// freeMiB is the memory that programs can still have.
func freeMiB() (int, error) {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); n == 1 {
			return kb >> 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo does not say what is available")
}
