package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/lab"
)

// labCmd serves the test web until it is stopped.
func labCmd(ctx context.Context, e env, args []string) error {
	if len(args) > 0 && args[0] == "score" {
		return labScore(ctx, e, args[1:])
	}
	requests, caFile := "", filepath.Join(os.TempDir(), fmt.Sprintf("pecrawler-lab-ca-%d.pem", os.Getpid()))
	o, rest, err := parseWith(e, "lab", forServe|forLab, args, func(fs *flag.FlagSet) {
		fs.StringVar(&requests, "requests", "", "`file` for a line of JSON a request: who asked which site, and when")
		fs.StringVar(&caFile, "ca-to", caFile, "`file` for the certificate authority of the test web, which visitors have to trust")
	})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("lab takes no arguments but score, and has %q", rest)
	}
	listen := ""
	if o.set["listen"] {
		listen = o.listen
	}
	cfg := lab.Config{Listen: listen, Log: o.logger(e.stderr), Plan: o.plan}
	if requests != "" {
		f, err := os.Create(requests)
		if err != nil {
			return err
		}
		defer f.Close()
		cfg.Requests = f
	}
	web, ca, err := startLab(cfg, caFile)
	if err != nil {
		return err
	}
	defer web.Close()
	fmt.Fprintf(e.stdout, `The test web: %d sites with known truth.

  List of the sites      %s/
  Sweep it               curl -s %[2]s/sites.csv > lab.csv && pecrawler sweep --proxy %[2]s --ca %[3]s lab.csv
  What must come out     %[2]s/truth.json
  Compare                pecrawler lab score pecrawler-data/verdicts.jsonl
  Names resolve at       %[4]s (UDP)

More sites: --lawful 1000, --mutants (one fault each), --hostile; --seed makes others.

It runs until Ctrl-C.
`, len(web.Sites()), web.URL(), ca, web.DNS())
	<-ctx.Done()
	return nil
}

// labScore compares the verdicts of a sweep of the test web with the truth.
func labScore(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "lab score", forLab, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("lab score takes one file, the verdicts.jsonl of a sweep of the test web, and has %q", rest)
	}
	if !o.set["lawful"] {
		o.plan.Lawful = lab.MostLawful
	}
	if !o.set["mutants"] {
		o.plan.Mutants = true
	}
	if !o.set["hostile"] {
		o.plan.Hostile = true
	}
	f, err := os.Open(rest[0])
	if err != nil {
		return err
	}
	defer f.Close()
	verdicts, err := lab.ReadVerdicts(f)
	if err != nil {
		return fmt.Errorf("%s: %w", rest[0], err)
	}
	sites, err := lab.Sites(o.plan)
	if err != nil {
		return err
	}
	score, err := lab.NewScore(sites, verdicts)
	if err != nil {
		return err
	}
	score.Markdown(e.stdout)
	score.Details(e.stdout, 1000)
	return capturesScore(ctx, e, filepath.Dir(rest[0]), sites, verdicts)
}

// capturesScore goes on to the bundles, where they lie beside the verdicts.
func capturesScore(ctx context.Context, e env, dir string, sites []*lab.Site, verdicts []pc.Verdict) error {
	if _, err := os.Stat(evidencePath(dir)); err != nil {
		return nil // verdicts of another tool, or without their evidence
	}
	vault, err := evidence.OpenVault(ctx, evidencePath(dir))
	if err != nil {
		return err
	}
	defer vault.Close()
	by := map[string]*lab.Site{}
	for _, s := range sites {
		by[s.Host] = s
	}
	score := &lab.CaptureScore{}
	for _, v := range verdicts {
		for _, digest := range v.Bundles {
			b, err := vault.Open(ctx, digest)
			if err != nil {
				fmt.Fprintf(e.stderr, "%s: %v\n", v.Site, err)
				continue
			}
			score.Captured(by[v.Site], digest, b.Captures())
		}
	}
	if score.Visits > 0 {
		fmt.Fprintln(e.stdout)
		score.Markdown(e.stdout)
	}
	return nil
}
