package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"pecrawler/rules"
)

// rulesCmd lists the rules, or shows one.
func rulesCmd(_ context.Context, e env, args []string) error {
	_, rest, err := parse(e, "rules", 0, args)
	if err != nil {
		return err
	}
	set, err := rules.Load()
	if err != nil {
		return err
	}
	switch {
	case len(rest) == 1 && rest[0] == "list":
		tw := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(tw, "RULE\tVERSION\tSTATUS\tCHECK\tSTRENGTH\tIN FORCE FROM\tWHAT FAILS")
		for _, r := range set.Rules() {
			fmt.Fprintf(tw, "%s\t%d\t%s\t%d\t%s\t%s\t%s\n", r.ID, r.Version, r.Status, r.Check, r.Strength, r.From, r.Failure)
		}
		return tw.Flush()
	case len(rest) == 2 && rest[0] == "show":
		for _, r := range set.Rules() {
			if r.ID == rest[1] {
				showRule(e.stdout, r)
				return nil
			}
		}
		return fmt.Errorf("there is no rule %q; pecrawler rules list names them", rest[1])
	}
	return usage("want rules list, or rules show RULE")
}

func showRule(w io.Writer, r *rules.Rule) {
	fmt.Fprintf(w, "%s, version %d (%s)\n\n%s.\nFails when: %s.\nLaw: %s\nCheck %d, %s, strength %s, in force from %s\n\n", r.ID, r.Version, r.Status, r.Title, r.Failure, strings.Join(r.Cites, "; "), r.Check, r.Problem, r.Strength, r.From)
	fmt.Fprintf(w, "applies:   %s\noffending: %s\nunsure:    %s\n\n%s\n", oneLine(r.Applies), oneLine(r.Offend), oneLine(r.Unsure), strings.TrimSpace(r.Readme))
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
