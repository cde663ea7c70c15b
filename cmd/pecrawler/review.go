package main

import (
	"context"
	"fmt"

	"pecrawler/evidence"
	"pecrawler/review"
)

// reviewCmd serves the review page of a data folder until it is stopped.
func reviewCmd(ctx context.Context, e env, args []string) error {
	o, rest, err := parse(e, "review", forData|forVault|forServe, args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("review takes no arguments, but has %q", rest)
	}
	log := o.logger(e.stderr)
	st, err := existingStore(ctx, o.out)
	if err != nil {
		return err
	}
	defer st.Close()
	vault, err := evidence.OpenVault(ctx, o.vaultPath())
	if err != nil {
		return err
	}
	defer vault.Close()
	pages, err := review.New(st, vault, log)
	if err != nil {
		return err
	}
	url, stop, err := serve(o.listen, false, pages, newRegistry(), log)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Fprintf(e.stderr, "Review page: %s\nIt runs until Ctrl-C.\n", url)
	<-ctx.Done()
	return nil
}
