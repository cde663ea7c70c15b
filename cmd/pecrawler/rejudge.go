package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/rules"
	"pecrawler/store"
)

// rejudgeCmd judges the bundles of a sweep again with the rules and lists of
// this program. It changes nothing and says what would change.
func rejudgeCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "rejudge", forData|forVault, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("name one sweep")
	}
	st, err := existingStore(ctx, o.out)
	if err != nil {
		return err
	}
	defer st.Close()
	sweep, err := st.Sweep(ctx, rest[0])
	if err != nil {
		return fmt.Errorf("sweep %s: %w in %s", rest[0], err, o.out)
	}
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	set, err := rules.Load()
	if err != nil {
		return err
	}
	words, total, err := st.Words(ctx, sweep.ID, store.Filter{})
	if err != nil {
		return err
	}
	changed := 0
	for _, old := range words {
		results, err := st.Results(ctx, sweep.ID, old.Site)
		if err != nil {
			return err
		}
		for i, r := range results {
			if len(r.Bundles) == 0 { // a visit that was given up has none
				continue
			}
			b, err := vault.Open(ctx, r.Bundles[0])
			if err != nil {
				return err
			}
			results[i] = pipeline.Judge(b, cls, set, toolVersion())
		}
		word, _ := rules.Word(results, sweep.Agree)
		if diff := difference(old, word); diff != "" {
			changed++
			fmt.Fprintf(e.stdout, "%s: %s\n", old.Site, diff)
		}
	}
	fmt.Fprintf(e.stdout, "%d of %d sites would change.\n", changed, total)
	return nil
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
