package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/store"
)

// bundleNote holds a bundle, or releases it.
func bundleNote(ctx context.Context, e env, act string, args []string) error {
	var reason string
	o, bundle, err := bundleArgs(e, act+" FILE|DIGEST", forData|forVault, args, func(fs *flag.FlagSet) {
		fs.StringVar(&reason, "reason", "", "why, for the record: a `text`")
	})
	if err != nil {
		return err
	}
	if strings.TrimSpace(reason) == "" {
		return usage("--reason says why, for the record")
	}
	digest := bundle
	if !strings.HasPrefix(bundle, "sha256:") {
		b, err := readBundle(bundle)
		if err != nil {
			return err
		}
		digest = b.Digest()
	}
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	if err := vault.Note(ctx, digest, act, reason); err != nil {
		return err
	}
	events, err := vault.Record(ctx, digest)
	if err != nil {
		return err
	}
	for _, ev := range events {
		fmt.Fprintf(e.stdout, "%s  %-8s %s\n", ev.At.Format(timeForm), ev.Act, ev.Reason)
	}
	return nil
}

// bundleExpire removes the bundles whose time is over, and says what it kept
// and why.
func bundleExpire(ctx context.Context, e env, args []string) error {
	var older string
	var dry bool
	o, rest, err := parseWith(e, "bundle expire", forData|forVault, args, func(fs *flag.FlagSet) {
		fs.StringVar(&older, "older", "", "remove bundles that were sealed more than so many `days` ago, e.g. 90d")
		fs.BoolVar(&dry, "dry-run", false, "remove nothing, say what would be")
	})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("bundle expire takes no arguments, but has %q", rest)
	}
	days, err := strconv.Atoi(strings.TrimSuffix(older, "d"))
	if err != nil || days < 1 || !strings.HasSuffix(older, "d") {
		return usage("--older %q: want a number of days of at least 1, e.g. 90d", older)
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	return expireVault(ctx, e.stdout, st, vault, time.Now().AddDate(0, 0, -days), dry)
}

// expireVault expires the bundles that were sealed before a time and that the
// store does not need.
func expireVault(ctx context.Context, w io.Writer, st *store.Store, vault *evidence.Vault, before time.Time, dry bool) error {
	keep, err := keeper(ctx, st)
	if err != nil {
		return err
	}
	var removed, kept, newer int
	did := "removed"
	if dry {
		did = "would be removed"
	}
	err = vault.Expire(ctx, before, keep, dry, func(f evidence.Fate) {
		switch {
		case f.Newer:
			newer++
		case f.Removed:
			removed++
			fmt.Fprintf(w, "%s  %s  %s: %s\n", did, f.Digest, f.Site, f.Why)
		default:
			kept++
			fmt.Fprintf(w, "kept  %s  %s: %s\n", f.Digest, f.Site, f.Why)
		}
	})
	fmt.Fprintf(w, "%d %s, %d older ones kept, %d newer than %s.\n", removed, did, kept, newer, before.UTC().Format(time.DateOnly))
	return err
}

// keeper says why a bundle is needed: its site is flagged or for review in some
// sweep, or has no last word yet, or nothing is known of the bundle here.
func keeper(ctx context.Context, st *store.Store) (func(*evidence.Bundle) string, error) {
	sites, known := map[string]string{}, map[string]bool{}
	sweeps, err := st.Sweeps(ctx)
	if err != nil {
		return nil, err
	}
	for _, sw := range sweeps {
		words, _, err := st.Words(ctx, sw.ID, store.Filter{})
		if err != nil {
			return nil, err
		}
		for _, w := range words {
			if w.Overall == pc.Flagged || w.Overall == pc.Review {
				sites[w.Site] = fmt.Sprintf("the site is %q in sweep %s", w.Overall, sw.ID)
			}
			results, err := st.Results(ctx, sw.ID, w.Site)
			if err != nil {
				return nil, err
			}
			for _, v := range append(results, w) {
				for _, b := range v.Bundles {
					known[b] = true
				}
			}
		}
		pending, err := st.Pending(ctx, sw.ID)
		if err != nil {
			return nil, err
		}
		for _, s := range pending {
			sites[s.Site] = "the site has no last word in sweep " + sw.ID
		}
	}
	return func(b *evidence.Bundle) string {
		if why := sites[b.Visit().Site]; why != "" {
			return why
		}
		if !known[b.Digest()] {
			return "no sweep of this data folder knows it"
		}
		return ""
	}, nil
}
