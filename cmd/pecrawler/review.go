package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os/user"
	"slices"
	"strings"
	"sync"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/queue"
	"pecrawler/review"
	"pecrawler/store"
)

// reviewCmd serves the review pages of a data folder until it is stopped.
func reviewCmd(ctx context.Context, e env, args []string) error {
	var who people
	var acc access
	var out outward
	second := 0.1
	o, rest, err := parseWith(e, "review", forData|forVault|forServe|forCluster, args, func(fs *flag.FlagSet) {
		fs.Var(&who, "person", "`name` of somebody who reviews, or name:ROLE+ROLE, e.g. lee:lead+launcher; may be repeated; you alone, in every role, when not given")
		acc.flags(fs)
		out.flags(fs)
		fs.Float64Var(&second, "second", second, "share of decisions, 0 to 1, that a second person makes again without seeing the first")
	})
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usage("review takes no arguments, but has %q", rest)
	}
	if second < 0 || second > 1 {
		return usage("--second %v: want 0 to 1", second)
	}
	if err := acc.check(o.listen, len(who) > 0); err != nil {
		return err
	}
	log := o.logger(e.stderr)
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
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	reg := newRegistry()
	reg.MustRegister(newTally(st), st)
	if acc.cert != "" {
		reg.MustRegister(newMachine(nil, map[string]string{"tls-cert": acc.cert}, nil))
	}
	opt := review.Options{Second: second, Registerer: reg}
	if acc.issuer == "" {
		opt.People = who.orMe()
	} else if err := acc.options(&opt); err != nil {
		return err
	}
	done, err := out.options(ctx, o, &opt)
	if err != nil {
		return err
	}
	defer done()
	if o.nats != "" {
		q, err := queue.Open(ctx, o.cluster(queue.Launcher, log))
		if err != nil {
			return err
		}
		defer q.Close()
		opt.Sweeps = launches{q}
	}
	pages, err := reviewPages(st, vault, cls, log, opt)
	if err != nil {
		return err
	}
	url, stop, err := acc.serve(o.listen, pages, reg, log)
	if err != nil {
		return err
	}
	defer stop()
	var attending sync.WaitGroup
	attending.Go(func() { pages.Attend(ctx) })
	defer attending.Wait() // it ends with ctx
	url = cmp.Or(acc.public, url)
	fmt.Fprintf(e.stderr, "Review pages: %s\n", url)
	invite(e.stderr, pages, url)
	fmt.Fprintln(e.stderr, "They are served until Ctrl-C.")
	<-ctx.Done()
	return nil
}

// reviewPages makes the pages, with the opinions of this program's classifier.
func reviewPages(st *store.Store, vault *evidence.Vault, cls *classifier.Classifier, log *slog.Logger, opt review.Options) (*review.Handler, error) {
	opt.Opinions = func(b *evidence.Bundle) pc.Annotations { return cls.Annotate(b.Look(), b.Captures(), b.Page) }
	return review.New(st, vault, log, opt)
}

// invite prints a link for each person.
func invite(w io.Writer, pages *review.Handler, url string) {
	for _, p := range pages.People() {
		fmt.Fprintf(w, "Sign in as %s, once: %s\n", p.Name, pages.Invite(url, p))
	}
}

// onLoopback tells whether an address to listen on is this machine's own.
func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return true // listening will say what is wrong with it
	}
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// people is a repeatable flag.
type people []review.Person

// orMe is whoever started the program, in every role, when there is nobody else.
func (p people) orMe() people {
	if len(p) > 0 {
		return p
	}
	name := "reviewer"
	if u, err := user.Current(); err == nil && review.ValidName(u.Username) {
		name = u.Username
	}
	return people{{Name: name, Roles: review.Roles()}}
}

func (p *people) String() string {
	var s []string
	for _, x := range *p {
		s = append(s, x.Name)
	}
	return strings.Join(s, ",")
}

func (p *people) Set(v string) error {
	name, words, has := strings.Cut(v, ":")
	if name = strings.TrimSpace(name); !review.ValidName(name) {
		return errors.New("want a name, or a name with roles such as lee:lead")
	}
	roles := []review.Role{review.Investigator}
	if has {
		var err error
		if roles, err = review.ParseRoles(words); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(*p, func(x review.Person) bool { return x.Name == name }) {
		return errors.New("is named twice")
	}
	*p = append(*p, review.Person{Name: name, Roles: roles})
	return nil
}
