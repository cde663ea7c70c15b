package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/rules"
	"pecrawler/store"
)

// rejudgeCmd judges the bundles of a sweep again with the rules and lists of
// this program, and stores what would change beside the words that there are,
// which stay.
func rejudgeCmd(ctx context.Context, e env, args []string) error {
	var to string
	o, rest, err := parseWith(e, "rejudge", forData|forVault, args, func(fs *flag.FlagSet) {
		fs.StringVar(&to, "to", "", "`file` for all verdicts as they would be, one line a site")
	})
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("name one sweep")
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	sweep, err := findSweep(ctx, st, store.Place(o.store), rest[0])
	if err != nil {
		return err
	}
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	j := judge{st: st, vault: vault, sweep: sweep}
	if j.cls, j.set, err = judges(); err != nil {
		return err
	}
	var lines io.Writer = io.Discard
	if to != "" {
		f, err := os.Create(to)
		if err != nil {
			return err
		}
		defer f.Close()
		lines = f
	}
	made := store.Judgement{Sweep: sweep.ID, MadeBy: strings.Join([]string{"classifier " + j.cls.Version(), "lists " + j.cls.Lists(), "rules " + j.set.Digest()}, ", "), Made: time.Now()}
	begin := time.Now()
	var changes []store.Change
	bundles, decided, kept := 0, 0, 0
	for ; ; made.Sites += page {
		words, total, err := st.Words(ctx, sweep.ID, store.Filter{Limit: page, Offset: made.Sites})
		if err != nil {
			return err
		}
		now, n, gone, err := j.words(ctx, words)
		if err != nil {
			return err
		}
		bundles += n
		kept += gone
		for i, old := range words {
			if diff := difference(old, now[i]); diff != "" {
				changes = append(changes, store.Change{Site: old.Site, Was: old.Overall, Differs: diff, Now: now[i]})
				fmt.Fprintf(e.stdout, "%s: %s\n", old.Site, diff)
				n, err := touched(ctx, e.stdout, st, old)
				if err != nil {
					return err
				}
				decided += n
			}
			if err := json.NewEncoder(lines).Encode(now[i]); err != nil {
				return err
			}
		}
		if made.Sites+page >= total {
			made.Sites = total
			break
		}
	}
	made.Changed = len(changes)
	if err := st.PutJudgement(ctx, made, changes); err != nil {
		return err
	}
	took := time.Since(begin)
	fmt.Fprintf(e.stdout, "%d of %d sites would change; somebody has decided on %d of them.\n", made.Changed, made.Sites, decided)
	if kept > 0 {
		fmt.Fprintf(e.stdout, "Of %d sites the time of the evidence is over: they were not judged again and keep their word.\n", kept)
	}
	fmt.Fprintf(e.stderr, "%d bundles judged in %s, %.0f a second, by %s\n", bundles, took.Round(10*time.Millisecond), float64(bundles)/took.Seconds(), made.MadeBy)
	return nil
}

// touched says which human decisions speak of a site whose word would change,
// and returns 1 if there are any: they stand until somebody decides again.
func touched(ctx context.Context, w io.Writer, st *store.Store, old pc.Verdict) (int, error) {
	ds, err := st.Decisions(ctx, old.Sweep, old.Site)
	if err != nil || len(ds) == 0 {
		return 0, err
	}
	for _, d := range ds {
		of := "the site"
		if d.Rule != "" {
			of = d.Rule
		}
		fmt.Fprintf(w, "  touches a decision: %s on %s by %s, %s\n", d.Act, of, d.By, d.At.Format(time.DateTime))
	}
	return 1, nil
}

// page is how many words are held at a time.
const page = 500

type judge struct {
	st    *store.Store
	vault *evidence.Vault
	cls   *classifier.Classifier
	set   *rules.Set
	sweep store.Sweep
}

// words judges the bundles behind words again, and counts them. A site of which
// one was removed keeps its word, since half of its visits prove nothing; how many
// these are is counted too. Each site is judged by itself, so all processors take part.
func (j *judge) words(ctx context.Context, old []pc.Verdict) (words []pc.Verdict, judged, kept int, err error) {
	now := make([]pc.Verdict, len(old))
	var bundles, gone atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range old {
		g.Go(func() error {
			results, err := j.st.Results(ctx, j.sweep.ID, old[i].Site)
			if err != nil {
				return err
			}
			for k, r := range results {
				if len(r.Bundles) == 0 { // a visit that was given up has none
					continue
				}
				b, err := j.vault.Open(ctx, r.Bundles[0])
				if errors.Is(err, evidence.ErrRemoved) {
					now[i] = old[i]
					gone.Add(1)
					return nil
				}
				if err != nil {
					return err
				}
				results[k] = pipeline.Judge(b, j.cls, j.set, toolVersion())
				bundles.Add(1)
			}
			now[i], _ = rules.Word(results, j.sweep.Agree)
			return nil
		})
	}
	err = g.Wait()
	return now, int(bundles.Load()), int(gone.Load()), err
}

// difference says in words what differs between two last words on a site.
func difference(old, now pc.Verdict) string {
	var out []string
	if old.Overall != now.Overall {
		out = append(out, fmt.Sprintf("%s becomes %s", old.Overall, now.Overall))
	}
	outcomes := func(v pc.Verdict) map[string]pc.RuleOutcome {
		m := map[string]pc.RuleOutcome{}
		for _, f := range v.Findings {
			m[f.Rule] = f.Outcome
		}
		return m
	}
	was, is := outcomes(old), outcomes(now)
	for _, r := range slices.Compact(slices.Sorted(slices.Values(append(sortedKeys(was), sortedKeys(is)...)))) {
		if was[r] != is[r] {
			out = append(out, fmt.Sprintf("%s %s becomes %s", r, orNone(was[r]), orNone(is[r])))
		}
	}
	return strings.Join(out, "; ")
}

func orNone(o pc.RuleOutcome) string {
	if o == "" {
		return "none"
	}
	return string(o)
}
