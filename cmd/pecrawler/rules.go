package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	pc "pecrawler"
	"pecrawler/lab"
	"pecrawler/rules"
)

// rulesCmd lists the rules, shows one, runs their cases, or begins a new one.
func rulesCmd(ctx context.Context, e env, args []string) error {
	var dir string
	o, rest, err := parseWith(e, "rules", forData, args, func(fs *flag.FlagSet) {
		fs.StringVar(&dir, "dir", "", "`folder` of rule folders to read in place of the built-in ones; where a new rule is made, rules/pecr when not given")
	})
	if err != nil {
		return err
	}
	if len(rest) == 2 && rest[0] == "new" {
		if dir == "" {
			dir = filepath.Join("rules", "pecr")
		}
		return newRule(e.stdout, dir, rest[1])
	}
	load, cases := rules.Load, rules.Cases
	if dir != "" {
		fsys := os.DirFS(dir)
		load, cases = func() (*rules.Set, error) { return rules.LoadFS(fsys) }, func() ([]rules.Case, error) { return rules.CasesFS(fsys) }
	}
	set, err := load()
	if err != nil {
		return err
	}
	only := ""
	if len(rest) == 2 {
		only = rest[1]
		if !slices.ContainsFunc(set.Rules(), func(r *rules.Rule) bool { return r.ID == only }) {
			return fmt.Errorf("there is no rule %q; pecrawler rules list names them", only)
		}
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
		all, err := cases()
		if err != nil {
			return err
		}
		for _, r := range set.Rules() {
			if r.ID == only {
				showRule(e.stdout, r, all)
			}
		}
		return census(ctx, e.stdout, o, only)
	case (len(rest) == 1 || len(rest) == 2) && rest[0] == "test":
		all, err := cases()
		if err != nil {
			return err
		}
		return testRules(e.stdout, set, all, only)
	}
	return usage("want rules list, rules show RULE, rules test [RULE], or rules new RULE")
}

func showRule(w io.Writer, r *rules.Rule, cases []rules.Case) {
	fmt.Fprintf(w, "%s, version %d (%s)\n\n%s.\nFails when: %s.\nLaw: %s\nCheck %d, %s, strength %s, in force from %s\n\n", r.ID, r.Version, r.Status, r.Title, r.Failure, strings.Join(r.Cites, "; "), r.Check, r.Problem, r.Strength, r.From)
	fmt.Fprintf(w, "applies:   %s\noffending: %s\nunsure:    %s\n\n%s\n\nCases\n\n", oneLine(r.Applies), oneLine(r.Offend), oneLine(r.Unsure), strings.TrimSpace(r.Readme))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range cases {
		if c.Rule == r.ID {
			fmt.Fprintf(tw, "  %s\t%s\t%s\n", c.Name, c.Want, c.Why)
		}
	}
	tw.Flush()
	if ms, err := lab.Mutations(); err == nil {
		fmt.Fprintln(w, "\nFaults of the test web that it must find")
		fmt.Fprintln(w)
		for _, m := range ms {
			if slices.Contains(m.Fails, r.ID) {
				fmt.Fprintf(tw, "  %s\t%s\n", m.Name, m.About)
			}
		}
		tw.Flush()
	}
}

// census says how the rule ended in the sweeps of a data folder, if there is one.
func census(ctx context.Context, w io.Writer, o *options, rule string) error {
	st, err := existingStore(ctx, o)
	if err != nil {
		return nil // a rule can be read without any sweep
	}
	defer st.Close()
	sweeps, err := st.Sweeps(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nHow it ended in the last sweeps here")
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	outcomes := []pc.RuleOutcome{pc.Fail, pc.Unsure, pc.Pass, pc.NotApplicable, pc.NotInForce, pc.Unavailable}
	fmt.Fprint(tw, "  SWEEP")
	for _, o := range outcomes {
		fmt.Fprintf(tw, "\t%s", strings.ToUpper(string(o)))
	}
	fmt.Fprintln(tw)
	for _, sw := range sweeps[:min(len(sweeps), 10)] {
		n, err := st.Census(ctx, sw.ID, rule)
		if err != nil {
			return err
		}
		fmt.Fprintf(tw, "  %s", sw.ID)
		for _, o := range outcomes {
			fmt.Fprintf(tw, "\t%d", n[o])
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

// testRules runs the cases, of one rule or of all.
func testRules(w io.Writer, set *rules.Set, cases []rules.Case, only string) error {
	bad, ran := 0, 0
	for _, c := range cases {
		if only != "" && c.Rule != only {
			continue
		}
		ran++
		faults := set.Check(c)
		for _, f := range faults {
			bad++
			fmt.Fprintf(w, "%s/testdata/%s.txtar: %s\n", c.Rule, c.Name, f)
		}
	}
	for _, r := range set.Rules() {
		if only != "" && r.ID != only {
			continue
		}
		for _, g := range r.Gaps() {
			bad++
			fmt.Fprintf(w, "%s: fill in %s\n", r.ID, g)
		}
	}
	fmt.Fprintf(w, "%d cases, %d faults\n", ran, bad)
	if bad > 0 {
		return errors.New("not everything is as it should be")
	}
	return nil
}

//go:embed all:newrule
var scaffold embed.FS

var ruleID = regexp.MustCompile(`^[a-z][a-z0-9-]{2,40}$`)

// newRule makes the folder of a new rule, to be filled in.
func newRule(w io.Writer, dir, id string) error {
	if !ruleID.MatchString(id) {
		return usage("a rule is named by small letters, digits and -, e.g. pre-ad-storage; it names the failing state")
	}
	to := filepath.Join(dir, id)
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s is there already", to)
	}
	err := fs.WalkDir(scaffold, "newrule", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := scaffold.ReadFile(name)
		if err != nil {
			return err
		}
		path := filepath.Join(to, filepath.FromSlash(strings.TrimPrefix(name, "newrule/")))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.ReplaceAll(string(raw), "RULE-ID", id)), 0o644)
	})
	if err != nil {
		return fmt.Errorf("make %s: %w", to, err)
	}
	fmt.Fprintf(w, "%s is made. Fill in rule.yaml and README.md, make the cases say what they should, and run\n  pecrawler rules test --dir %s %s\nThen give it a fault of the test web: lab/mutations/NAME.yaml with fails: [%s].\n", to, dir, id, id)
	return nil
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
