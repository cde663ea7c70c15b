// Command pecrawler finds websites whose cookie banners break PECR regulation 6
// and hands each to an investigator with sealed evidence.
//
// This package wires the stages together and does nothing else: one file for
// each subcommand, worker.go for the way of one visit, collector.go for the way
// from results to last words.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // a calendar must not depend on what a machine has installed
)

// version is set by the release build; else the commit names it.
var version = ""

func toolVersion() string {
	if version != "" {
		return version
	}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "0.1-" + s.Value[:12]
			}
		}
	}
	return "0.1-dev"
}

// env is what a command talks to: data on stdout, logs and progress on stderr.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// command is one subcommand.
type command struct {
	name, args, does string
	run              func(ctx context.Context, e env, args []string) error
}

func commands() []command {
	return []command{
		{"sweep", "FILE|URL...", "look at the sites of a list and judge them, all in one process", sweepCmd},
		{"work", "", "take visits from a NATS cluster until stopped", workCmd},
		{"launch", "FILE|URL...", "store a list in a NATS cluster, whose workers visit it; prints the sweep's name", launchCmd},
		{"status", "[SWEEP...]", "how far the sweeps of a cluster are", statusCmd},
		{"pause", "SWEEP", "hold back the visits of a launched sweep", pauseCmd},
		{"resume", "SWEEP", "go on with a paused sweep", resumeCmd},
		{"cancel", "SWEEP", "drop what has not begun of a launched sweep", cancelCmd},
		{"schedule", "add|list|pause|resume|remove", "repeat a sweep by the calendar: add --name NAME --when TIMES FILE|URL...", scheduleCmd},
		{"collect", "", "give the last words of all launched sweeps, until stopped; several only with PostgreSQL", collectCmd},
		{"notify", "", "send every flagged site to a webhook, until stopped", notifyCmd},
		{"queue", "check | dead list|retry|drop", "check the streams of a cluster; see to visits that no worker could finish", queueCmd},
		{"review", "", "serve the review page of a data folder", reviewCmd},
		{"access", "people|end NAME|tokens|make-token NAME|revoke-token ID", "who signed in to the review pages and which programs may ask; end sessions, make and revoke tokens", accessCmd},
		{"rejudge", "SWEEP", "judge the stored bundles of a sweep again; says and stores what would change", rejudgeCmd},
		{"report", "SWEEP", "the figures of a sweep, as a page, PDF, CSV or JSON", reportCmd},
		{"compare", "SWEEP SWEEP", "what changed from one sweep to another", compareCmd},
		{"audit", "verify|export", "check the log of what people did, or write it out as JSON lines", auditCmd},
		{"store", "migrate|backup FILE|rebuild", "bring the tables of a store up to date; copy a store that is a file; make one anew from bundles and the exported log", storeCmd},
		{"bundle", "show|verify|export FILE, hold|release|expire", "look into sealed bundles, check them, write them as HAR and WACZ, keep or let go of them", bundleCmd},
		{"case", "verify FILE", "check a case file that the review pages made, and all that is in it", caseCmd},
		{"rules", "list|show|test|new [RULE]", "the rules, with their law, their traps and their cases; new begins one", rulesCmd},
		{"classify", "controls|storage|wording|page [FILE]", "opinions on rows of JSON, one line for one line, for whoever wants to examine the classifier", classifyCmd},
		{"lab", "[score VERDICTS]", "serve the test web on loopback; score: compare the verdicts of its sweep with the truth", labCmd},
		{"doctor", "", "check that this machine can run visits", doctorCmd},
	}
}

// errUsage is a misuse of the command line: exit status 2.
var errUsage = errors.New("see pecrawler help")

func usage(format string, args ...any) error {
	return fmt.Errorf("%w (%w)", fmt.Errorf(format, args...), errUsage)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	os.Exit(run(ctx, os.Args[1:], env{os.Stdin, os.Stdout, os.Stderr}))
}

// run runs one command line and returns the exit status: 0 done, 1 failed, 2 misuse.
func run(ctx context.Context, args []string, e env) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		help(e.stdout)
		if len(args) == 0 {
			return 2
		}
		return 0
	}
	if args[0] == "version" || args[0] == "--version" {
		fmt.Fprintln(e.stdout, toolVersion())
		return 0
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, e, args[1:])
		switch {
		case err == nil:
			return 0
		case errors.Is(err, flag.ErrHelp):
			return 0
		}
		fmt.Fprintf(e.stderr, "pecrawler %s: %v\n", c.name, err)
		if errors.Is(err, errUsage) {
			return 2
		}
		return 1
	}
	fmt.Fprintf(e.stderr, "pecrawler: there is no command %q; pecrawler help lists them\n", args[0])
	return 2
}

func help(w io.Writer) {
	fmt.Fprint(w, "pecrawler finds websites whose cookie banners break the UK rules, with evidence.\n\nUsage: pecrawler COMMAND [flags] [arguments]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-8s %-18s %s\n", c.name, c.args, c.does)
	}
	fmt.Fprint(w, "\npecrawler COMMAND --help lists the flags of a command. Exit status: 0 done, 1 failed, 2 misuse.\n")
}
