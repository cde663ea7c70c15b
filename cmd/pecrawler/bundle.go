package main

import (
	"context"
	"fmt"
	"os"
	"text/tabwriter"

	pc "pecrawler"
	"pecrawler/evidence"
)

// bundleCmd shows or verifies a sealed bundle. Both need nothing but the file.
func bundleCmd(_ context.Context, e env, args []string) error {
	_, rest, err := parse(e, "bundle", 0, args)
	if err != nil {
		return err
	}
	if len(rest) != 2 || rest[0] != "show" && rest[0] != "verify" {
		return usage("want bundle show FILE, or bundle verify FILE")
	}
	raw, err := os.ReadFile(rest[1])
	if err != nil {
		return err
	}
	b, err := evidence.Read(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", rest[1], err)
	}
	m := b.Manifest()
	if rest[0] == "verify" {
		fmt.Fprintf(e.stdout, "unchanged: %s\nvisit %s, sealed %s, %d parts\n", b.Digest(), m.Visit, m.SealedAt.Format("2006-01-02 15:04:05 MST"), len(m.Parts))
		return nil
	}
	v, look := b.Visit(), b.Look()
	fmt.Fprintf(e.stdout, "%s\n\nsite    %s\nvisit   %d of sweep %s\nsealed  %s\nlook    %s %s (HTTP %d, robots %s)\n", b.Digest(), v.Site, v.Number, v.Sweep, m.SealedAt.Format("2006-01-02 15:04:05 MST"), look.Load.Outcome, look.Load.Reason, look.Status, look.Robots)
	for _, s := range pc.EveryScenario {
		c := b.Captures()[s]
		if c == nil {
			continue
		}
		fmt.Fprintf(e.stdout, "%-7s %s %s, %d requests, %d stored items, %d pages, %d presses\n", s, c.Load.Outcome, c.Load.Reason, len(c.Requests), len(c.Storage), len(c.Pages), len(c.Acts))
		for _, a := range c.Acts {
			fmt.Fprintf(e.stdout, "        pressed %q (%s): %s\n", a.Text, a.Purpose, a.Effect)
		}
		for what, why := range c.Missing {
			fmt.Fprintf(e.stdout, "        missing %s: %s\n", what, why)
		}
	}
	fmt.Fprintln(e.stdout)
	tw := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, p := range m.Parts {
		fmt.Fprintf(tw, "%s\t%d bytes\t%s\n", p.Name, p.Size, p.SHA256)
	}
	return tw.Flush()
}
