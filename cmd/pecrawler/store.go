package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/rules"
	"pecrawler/store"
)

// storeCmd sees to the tables of a store, copies it, and makes it anew.
func storeCmd(ctx context.Context, e env, args []string) error {
	var to, log string
	agree := 2
	o, rest, err := parseWith(e, "store", forData|forVault, args, func(fs *flag.FlagSet) {
		fs.StringVar(&to, "to", "", "migrate: `version` of the tables, the newest when not given; an older one loses what the newer tables hold")
		fs.StringVar(&log, "log", "", "rebuild: `file` that pecrawler audit export wrote: the decisions of people")
		fs.IntVar(&agree, "agree", agree, "rebuild: visits that must agree before a site is flagged, as it was in the sweeps")
	})
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 1 && rest[0] == "migrate":
		version := int64(store.Newest)
		if to != "" {
			if version, err = strconv.ParseInt(to, 10, 64); err != nil || version < 0 {
				return usage("--to %q: want the number of a version", to)
			}
		}
		from, at, err := store.Migrate(ctx, o.store, version)
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s: version %d, was %d\n", store.Place(o.store), at, from)
		return nil
	case len(rest) == 2 && rest[0] == "backup":
		st, err := existingStore(ctx, o)
		if err != nil {
			return err
		}
		defer st.Close()
		return st.Backup(ctx, rest[1])
	case len(rest) == 1 && rest[0] == "rebuild":
		if agree < 1 || agree > 10 {
			return usage("--agree %d: want 1 to 10", agree)
		}
		return rebuild(ctx, e, o, log, agree)
	}
	return usage("say migrate, backup FILE or rebuild")
}

// rebuild fills an empty store with what the bundles and the exported log say.
func rebuild(ctx context.Context, e env, o *options, log string, agree int) error {
	st, release, err := ownStore(ctx, o)
	if err != nil {
		return err
	}
	defer release()
	if sweeps, err := st.Sweeps(ctx); err != nil {
		return err
	} else if len(sweeps) > 0 {
		return fmt.Errorf("there are sweeps in %s already: name a new store", store.Place(o.store))
	}
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	sealed, err := visitsOf(ctx, vault)
	if err != nil {
		return err
	}
	r := rebuilder{st: st, vault: vault}
	if r.cls, r.set, err = judges(); err != nil {
		return err
	}
	sweeps, err := r.sweeps(ctx, sealed, agree)
	if err != nil {
		return err
	}
	if err := r.results(ctx, sealed); err != nil {
		return err
	}
	sites := 0
	for _, sw := range sweeps {
		n, err := r.words(ctx, sw)
		if err != nil {
			return err
		}
		sites += n
	}
	fmt.Fprintf(e.stdout, "%d sweeps, %d sites, from %d visits\n", len(sweeps), sites, len(sealed))
	if log == "" {
		return nil
	}
	f, err := os.Open(log)
	if err != nil {
		return err
	}
	defer f.Close()
	n, strangers, err := st.Replay(ctx, logLines(f))
	if err != nil {
		return fmt.Errorf("%s: %w", log, err)
	}
	fmt.Fprintf(e.stdout, "%d decisions, %d of them on sites that are not flagged or have no bundle now\n", n, strangers)
	return nil
}

// sealedVisit is a bundle, and which visit it is of.
type sealedVisit struct {
	digest   string
	sweep    string
	site     store.Site
	number   int
	sealedAt time.Time
}

// visitsOf reads which visits the bundles of a vault are of. Of two bundles of
// one visit the earlier counts, as it did when they came.
func visitsOf(ctx context.Context, vault *evidence.Vault) ([]sealedVisit, error) {
	var out []sealedVisit
	err := vault.Each(ctx, func(digest string) error {
		b, err := vault.Open(ctx, digest)
		if err != nil {
			return err
		}
		v := b.Visit()
		out = append(out, sealedVisit{digest, v.Sweep, store.Site{Site: v.Site, URL: v.URL, Rank: v.Rank, Sector: v.Sector}, v.Number, b.Manifest().SealedAt})
		return nil
	})
	slices.SortFunc(out, func(a, b sealedVisit) int {
		return cmp.Or(cmp.Compare(a.sweep, b.sweep), cmp.Compare(a.site.Site, b.site.Site), cmp.Compare(a.number, b.number), a.sealedAt.Compare(b.sealedAt), cmp.Compare(a.digest, b.digest))
	})
	return slices.CompactFunc(out, func(a, b sealedVisit) bool {
		return a.sweep == b.sweep && a.site.Site == b.site.Site && a.number == b.number
	}), err
}

type rebuilder struct {
	st    *store.Store
	vault *evidence.Vault
	cls   *classifier.Classifier
	set   *rules.Set
}

// sweeps makes the sweeps. Their lists hold the sites that have a bundle.
func (r *rebuilder) sweeps(ctx context.Context, sealed []sealedVisit, agree int) ([]store.Sweep, error) {
	var out []store.Sweep
	for len(sealed) > 0 {
		n := slices.IndexFunc(sealed, func(v sealedVisit) bool { return v.sweep != sealed[0].sweep })
		if n < 0 {
			n = len(sealed)
		}
		sw := store.Sweep{ID: sealed[0].sweep, ListDigest: "rebuilt", Settings: "{}", Agree: agree, Created: sealed[0].sealedAt}
		var sites []store.Site
		for _, v := range sealed[:n] {
			if v.sealedAt.Before(sw.Created) {
				sw.Created = v.sealedAt
			}
			if v.sealedAt.After(sw.Finished) {
				sw.Finished = v.sealedAt
			}
			v.site.Line = len(sites) + 1
			sites = append(sites, v.site) // the second visit of a site changes nothing
		}
		if err := errors.Join(r.st.CreateSweep(ctx, sw, sites), r.st.Finish(ctx, sw.ID, sw.Finished)); err != nil {
			return nil, err
		}
		out, sealed = append(out, sw), sealed[n:]
	}
	return out, nil
}

// results judges the bundles, on all processors.
func (r *rebuilder) results(ctx context.Context, sealed []sealedVisit) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, v := range sealed {
		g.Go(func() error {
			b, err := r.vault.Open(ctx, v.digest)
			if err != nil {
				return err
			}
			return r.st.PutResult(ctx, pipeline.Judge(b, r.cls, r.set, toolVersion()))
		})
	}
	return g.Wait()
}

// words draws the last word on each site of a sweep.
func (r *rebuilder) words(ctx context.Context, sw store.Sweep) (int, error) {
	sites, err := r.st.Begun(ctx, sw.ID)
	if err != nil {
		return 0, err
	}
	for _, site := range sites {
		results, err := r.st.Results(ctx, sw.ID, site)
		if err != nil {
			return 0, err
		}
		word, _ := rules.Word(results, sw.Agree)
		if err := r.st.PutWord(ctx, word); err != nil {
			return 0, err
		}
	}
	return len(sites), nil
}

// logLines reads an exported log, one entry at a time.
func logLines(r io.Reader) iter.Seq2[store.Entry, error] {
	return func(yield func(store.Entry, error) bool) {
		dec := json.NewDecoder(bufio.NewReader(r))
		for {
			var e store.Entry
			err := dec.Decode(&e)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}
