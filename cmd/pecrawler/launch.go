package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	pc "pecrawler"
	"pecrawler/internal/sitelist"
	"pecrawler/queue"
)

// launchCmd stores a list in the cluster, where a collector finds it. The name
// of the sweep is all that it writes to standard output.
func launchCmd(ctx context.Context, e env, args []string) error {
	priority, deadline, again, revisit := queue.DefaultPriority, time.Duration(0), "", ""
	o, rest, err := parseWith(e, "launch", forList|forCluster, args, func(fs *flag.FlagSet) {
		fs.IntVar(&priority, "priority", priority, "1 (first) to 9 (last): visits of a lower number go first; sweeps of the same number share the workers")
		fs.DurationVar(&deadline, "deadline", 0, "time after which what has not begun is dropped, e.g. 72h; none when 0")
		fs.StringVar(&again, "rerun", "", "`what` to visit again of the sweep that is named in place of a list: failures (could not be reached, blocked, given up) or missing (lost with a queue)")
		fs.StringVar(&revisit, "revisit", "", "one more visit, before all others, of the sites that are named, within this `SWEEP`")
	})
	if err != nil {
		return err
	}
	if err := o.needsCluster("that makes the visits"); err != nil {
		return err
	}
	if o.name != "" && !queue.ValidSweep(o.name) {
		return usage("--name %q: use 1 to 64 of a-z, 0-9 and -", o.name)
	}
	if err := turn(priority, deadline); err != nil {
		return usage("%v", err)
	}
	if again != "" && revisit != "" {
		return usage("--rerun and --revisit are two things to do; do one after the other")
	}
	if (again != "" || revisit != "") && (o.name != "" || deadline != 0) {
		return usage("--name and --deadline are of a new sweep; leave them out with --rerun and --revisit")
	}
	do := map[string]string{"failures": queue.DoFailures, "missing": queue.DoMissing}[again]
	if again != "" && (do == "" || len(rest) != 1) {
		return usage("--rerun %q: want failures or missing, and the name of one sweep", again)
	}
	if len(rest) == 0 {
		return usage("name a list of sites (a file, or - for standard input) or sites")
	}
	q, err := queue.Open(ctx, o.cluster(queue.Launcher, o.logger(e.stderr)))
	if err != nil {
		return err
	}
	defer q.Close()
	switch {
	case again != "":
		return q.Ask(ctx, queue.Command{Do: do, Sweep: rest[0]})
	case revisit != "":
		_, err := eachSite(e, e.stderr, rest, func(en sitelist.Entry) (bool, error) {
			return true, q.Ask(ctx, queue.Command{Do: queue.DoRevisit, Sweep: revisit, Site: en.Site})
		})
		return err
	}
	return launch(ctx, e, o, q, rest, priority, deadline)
}

// launch streams the list: of a site that was read it keeps a short digest, to
// know it again, and nothing else.
func launch(ctx context.Context, e env, o *options, q *queue.Queue, args []string, priority int, deadline time.Duration) error {
	s := newSweep(o.name, o.agree, o.agreeAfter, priority, deadline, q.Now())
	if s.ID == "" {
		s.ID = listWord(args) + s.Created.Format("-20060102-150405")
	}
	var l *queue.Launch
	seen := sitelist.Seen{}
	add := func(en sitelist.Entry) (_ bool, err error) {
		if l == nil { // only now is it sure that there is a site
			if l, err = q.Launch(ctx, s); err != nil {
				return false, err
			}
		}
		if !seen.Add(en.Site) {
			return false, nil
		}
		return true, l.Add(ctx, queue.Entry(en))
	}
	if _, err := eachSite(e, e.stderr, args, add); err != nil {
		if l != nil {
			err = fmt.Errorf("%w\nthe launch of %s broke off; the same command with --name %s goes on with it, and pecrawler cancel %s drops it", err, s.ID, s.ID, s.ID)
		}
		return err
	}
	sites, err := l.Finish(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stderr, "%d sites are stored; pecrawler status %s tells how far they are\n", sites, s.ID)
	fmt.Fprintln(e.stdout, s.ID)
	return nil
}

// turn checks when the visits of a sweep are made: before which others, and until when.
func turn(priority int, deadline time.Duration) error {
	if priority < queue.FirstPriority || priority > queue.LastPriority {
		return fmt.Errorf("--priority %d: want %d (first) to %d (last)", priority, queue.FirstPriority, queue.LastPriority)
	}
	if deadline < 0 {
		return fmt.Errorf("--deadline %v: want a time such as 72h", deadline)
	}
	return nil
}

// newSweep is a sweep that is launched now; a deadline of 0 is none.
func newSweep(id string, agree int, after time.Duration, priority int, deadline time.Duration, now time.Time) queue.Sweep {
	s := queue.Sweep{ID: id, Agree: agree, AgreeAfter: queue.Span(after), Priority: priority, Created: now.UTC()}
	if deadline > 0 {
		at := s.Created.Add(deadline)
		s.Deadline = &at
	}
	return s
}

// listWord makes a sweep's name of its first list's.
func listWord(args []string) string {
	for _, a := range args {
		if _, err := os.Stat(a); err == nil {
			return sitelist.Word(strings.TrimSuffix(filepath.Base(a), filepath.Ext(a)))
		}
	}
	return "sites"
}

func statusCmd(ctx context.Context, e env, args []string) error {
	asJSON := false
	o, rest, err := parseWith(e, "status", forCluster, args, func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "one line of JSON a sweep")
	})
	if err != nil {
		return err
	}
	if err := o.needsCluster("to ask"); err != nil {
		return err
	}
	q, err := queue.Open(ctx, o.cluster(queue.Launcher, o.logger(e.stderr)))
	if err != nil {
		return err
	}
	defer q.Close()
	var states []queue.State
	if len(rest) == 0 {
		all, err := q.Sweeps(ctx)
		if err != nil {
			return err
		}
		for _, s := range all {
			rest = append(rest, s.ID)
		}
	}
	for _, id := range rest {
		st, err := q.State(ctx, id)
		if err != nil {
			return err
		}
		states = append(states, st)
	}
	if asJSON {
		enc := json.NewEncoder(e.stdout)
		for _, s := range states {
			if err := enc.Encode(s); err != nil {
				return err
			}
		}
		return nil
	}
	if len(states) == 0 {
		fmt.Fprintln(e.stderr, "No sweep was launched on this cluster.")
		return nil
	}
	return writeStates(e.stdout, states, q.Now())
}

func writeStates(w io.Writer, states []queue.State, now time.Time) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "SWEEP\tSTATE\tDONE\tOF\tFLAGGED\tREVIEW\tCLEAR\tNOT ASSESSED\tVISITS\tWAITING\tIN HAND\tLATER\tLEFT")
	for _, s := range states {
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.ID, stateWord(s, now), s.Done, cmp.Or(s.Listed, s.Sites),
			s.Overall[pc.Flagged], s.Overall[pc.Review], s.Overall[pc.Clear], s.Overall[pc.NotAssessed], s.Visits, s.Waiting, s.InHand, s.Later, remaining(s.Progress))
	}
	return tw.Flush()
}

// silence is how long a collector may say nothing of a sweep under way.
const silence = time.Minute

func stateWord(s queue.State, now time.Time) string {
	switch {
	case s.Ended != "":
		return string(s.Ended)
	case s.Cancelled != nil:
		return "being cancelled"
	case s.Listed == 0:
		return "launch not finished"
	case s.At.IsZero() && now.Sub(s.Created) > silence:
		return "no collector (pecrawler collect)"
	case !s.At.IsZero() && now.Sub(s.At) > silence:
		return "collector silent for " + now.Sub(s.At).Round(time.Second).String()
	case s.Paused:
		return "paused"
	}
	return "running"
}

// onSweep is a command that does one thing to one sweep.
func onSweep(name string, does func(*queue.Queue, context.Context, string) error, said string) func(context.Context, env, []string) error {
	return func(ctx context.Context, e env, args []string) error {
		o, rest, err := parse(e, name, forCluster, args)
		if err != nil {
			return err
		}
		if err := o.needsCluster("that the sweep runs on"); err != nil {
			return err
		}
		if len(rest) != 1 {
			return usage("name one sweep; pecrawler status lists them")
		}
		q, err := queue.Open(ctx, o.cluster(queue.Launcher, o.logger(e.stderr)))
		if err != nil {
			return err
		}
		defer q.Close()
		if err := does(q, ctx, rest[0]); err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, said+"\n", rest[0])
		return nil
	}
}

func pauseCmd(ctx context.Context, e env, args []string) error {
	return onSweep("pause", (*queue.Queue).Pause, "%s hands out no more visits; those in hand are finished.")(ctx, e, args)
}

func resumeCmd(ctx context.Context, e env, args []string) error {
	return onSweep("resume", (*queue.Queue).Resume, "%s goes on.")(ctx, e, args)
}

func cancelCmd(ctx context.Context, e env, args []string) error {
	return onSweep("cancel", (*queue.Queue).Cancel, "%s is cancelled: what had not begun is dropped, what was found stays.")(ctx, e, args)
}

// queueCmd looks after the streams of a cluster.
func queueCmd(ctx context.Context, e env, args []string) error {
	fix := false
	o, rest, err := parseWith(e, "queue", forCluster, args, func(fs *flag.FlagSet) {
		fs.BoolVar(&fix, "fix", false, "check: make what is missing and change what differs, as the role admin")
	})
	if err != nil {
		return err
	}
	if err := o.needsCluster("whose streams are meant"); err != nil {
		return err
	}
	words := strings.Join(rest[:min(2, len(rest))], " ")
	role := queue.Launcher
	var do func(*queue.Queue) error
	switch {
	case words == "check" && len(rest) == 1:
		if role = queue.Exporter; fix {
			role = queue.Admin
		}
		do = func(q *queue.Queue) error { return checkQueue(ctx, e.stdout, q, fix) }
	case words == "dead list" && len(rest) <= 3:
		do = func(q *queue.Queue) error { return listDead(ctx, e.stdout, q, rest[2:]) }
	case words == "dead retry" && len(rest) > 2:
		do = func(q *queue.Queue) error { return eachDead(ctx, e.stdout, q, rest[2:], "on the queue again", q.Retry) }
	case words == "dead drop" && len(rest) > 2:
		do = func(q *queue.Queue) error { return eachDead(ctx, e.stdout, q, rest[2:], "dropped", q.Drop) }
	default:
		return usage("want check, dead list [SWEEP], dead retry all|SWEEP|NUMBER..., or dead drop all|SWEEP|NUMBER..., but have %q", rest)
	}
	q, err := queue.Open(ctx, o.cluster(role, o.logger(e.stderr)))
	if err != nil {
		return err
	}
	defer q.Close()
	return do(q)
}

func checkQueue(ctx context.Context, w io.Writer, q *queue.Queue, fix bool) error {
	if fix {
		if err := q.Fix(ctx); err != nil {
			return err
		}
	}
	parts, err := q.Check(ctx)
	if err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	bad := 0
	for _, p := range parts {
		says := "ok"
		if len(p.Faults) > 0 {
			bad++
			says = strings.Join(p.Faults, "; ")
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", p.Name, p.Is, says)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d parts are not as they must be; --fix makes and changes them (--nats-replicas says how many servers keep a message)", bad, len(parts))
	}
	return nil
}

func listDead(ctx context.Context, w io.Writer, q *queue.Queue, sweeps []string) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "NUMBER\tSWEEP\tSITE\tVISIT\tSINCE\tREASON")
	err := q.Letters(ctx, strings.Join(sweeps, ""), func(l queue.Letter) error {
		_, err := fmt.Fprintf(tw, "%d\t%s\t%s\t%d\t%s\t%s\n", l.Seq, l.Visit.Sweep, printable(cmp.Or(l.Visit.Site, string(l.Raw))), l.Visit.Number, l.At.Format(time.DateTime), printable(l.Reason))
		return err
	})
	return errors.Join(err, tw.Flush())
}

// printable keeps a terminal safe from what a message holds.
func printable(s string) string {
	s = fmt.Sprintf("%q", s[:min(len(s), 200)])
	return s[1 : len(s)-1]
}

// eachDead does something to the letters that are named by "all", by sweep or by number.
func eachDead(ctx context.Context, w io.Writer, q *queue.Queue, names []string, said string, do func(context.Context, queue.Letter) error) error {
	used := map[string]bool{}
	n := 0
	err := q.Letters(ctx, "", func(l queue.Letter) error {
		hit := false
		for _, name := range names {
			if name == "all" || name == fmt.Sprint(l.Seq) || name == l.Visit.Sweep {
				hit, used[name] = true, true
			}
		}
		if !hit {
			return nil
		}
		n++
		return do(ctx, l)
	})
	for _, name := range names {
		if err == nil && name != "all" && !used[name] {
			err = fmt.Errorf("%q is no number and no sweep of a dead letter; pecrawler queue dead list shows them", name)
		}
	}
	fmt.Fprintf(w, "%d visits %s\n", n, said)
	return err
}
