package main

import (
	"context"
	"flag"
	"fmt"
	"os/user"
	"text/tabwriter"
	"time"

	"pecrawler/review"
	"pecrawler/store"
)

// accessCmd sees to who has access to the review pages, also while they are served.
func accessCmd(ctx context.Context, e env, args []string) error {
	role, good := string(review.Reader), 90
	o, rest, err := parseWith(e, "access", forData, args, func(fs *flag.FlagSet) {
		fs.StringVar(&role, "role", role, "what the program of make-token may be: reader or launcher")
		fs.IntVar(&good, "days", good, "how many days its token is good, 365 at most")
	})
	if err != nil {
		return err
	}
	what, name := "", ""
	if len(rest) > 0 {
		what = rest[0]
	}
	switch {
	case len(rest) == 1 && (what == "people" || what == "tokens"):
	case len(rest) == 2 && (what == "end" || what == "make-token" || what == "revoke-token"):
		if name = rest[1]; what == "end" && !review.ValidName(name) {
			return usage("%q is nobody's name", name)
		}
	default:
		return usage("say people, end NAME, tokens, make-token NAME or revoke-token ID")
	}
	st, err := existingStore(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	e.stdout = plain{e.stdout}
	now := time.Now()
	switch what {
	case "end":
		if err := st.EndSessions(ctx, name, atShell(), now); err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "The sessions of %s are over. Whoever is not to come back is taken out of the provider's groups.\n", name)
		return nil
	case "make-token":
		fresh, err := review.MakeToken(ctx, st, store.Token{Name: name, Role: role, MadeBy: atShell(), Made: now, Expires: now.AddDate(0, 0, good)})
		if err != nil {
			return usage("%s: %v", name, err)
		}
		fmt.Fprintln(e.stdout, fresh)
		return nil
	case "revoke-token":
		if err := st.RevokeToken(ctx, name, atShell(), now); err != nil {
			return fmt.Errorf("revoke the token %s: %w", name, err)
		}
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	defer w.Flush()
	if what == "people" {
		people, err := st.Accounts(ctx)
		if err != nil {
			return err
		}
		for _, p := range people {
			fmt.Fprintf(w, "%s\t%s\tlast signed in %s\n", p.Name, p.Roles, p.Last.Format(timeForm))
		}
		return nil
	}
	tokens, err := st.Tokens(ctx)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		until := "good until " + t.Expires.Format(timeForm)
		if !t.Revoked.IsZero() {
			until = "revoked " + t.Revoked.Format(timeForm)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\tmade by %s\t%s\n", t.ID, t.Name, t.Role, t.MadeBy, until)
	}
	return nil
}

// atShell is who the log says did what was done by a command of this machine.
func atShell() string {
	if u, err := user.Current(); err == nil && review.ValidName(u.Username) {
		return u.Username + " (command line)"
	}
	return "command line"
}
