// Command bench makes the figures that docs/ quotes, so that anyone can make
// them again:
//
//	go run ./cmd/bench cost      CPU, memory and throughput of visits, beside bare browsers on the same pages
//	go run ./cmd/bench soak      hundreds of visits through one process: does anything grow?
//	go run ./cmd/bench repeat    the test web swept many times: are the verdicts right, and the same each time?
//	go run ./cmd/bench chaos     a fleet on one machine that is broken while it sweeps: is anything lost or doubled?
//	go run ./cmd/bench upgrade   the same, upgraded from an old program to a new one meanwhile, with PostgreSQL
//	go run ./cmd/bench fleet-sim a fleet of stand-ins for browsers: what queue, store and collector take
//	go run ./cmd/bench score     generated sites, lawful and not, swept and compared with the truth
//	go run ./cmd/bench record    the record of the tool, with the figures of score
//
// All but record use the program in bin/ (make build) and print Markdown.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/crawler"
	"pecrawler/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // what was started has to be ended
	defer stop()
	bin := flag.String("bin", "bin/pecrawler", "the program")
	n := flag.Int("n", 0, "cost: visits of each site (3); soak: visits (500); repeat: sweeps (10); chaos: sites (500); upgrade: sites (60)")
	settle := flag.Duration("settle", 2*time.Second, "soak: shortest watch of a page")
	lawful := flag.Int("lawful", -1, "generated lawful sites; score: 1000, repeat: none unless given")
	hostile := flag.Bool("hostile", true, "score: sweep the hostile sites too")
	results := flag.String("results", "docs/results.json", "score: `file` for the figures as JSON; empty for none. record: where they are")
	data := flag.String("data", "", "score: `folder` for the sweeps; those that are done there are judged again and not made again. chaos, upgrade: folder that is made for logs and data, and kept")
	old := flag.String("old", "26e8884", "upgrade: the old program: a file, or the `commit` that it is built from")
	sim := simulation{}
	flag.IntVar(&sim.sites, "sites", 1_000_000, "fleet-sim: sites of the large sweep")
	flag.IntVar(&sim.pace, "pace", 10_000, "fleet-sim: sites of the sweep that keeps all proportions")
	flag.IntVar(&sim.launch, "launch", 1_000_000, "fleet-sim: lines of the list that is only launched")
	flag.IntVar(&sim.workers, "workers", 500, "fleet-sim: workers, each with one visit at a time")
	flag.Float64Var(&sim.speed, "speed", 40, "fleet-sim: by how much visits of the large sweep are shorter than real ones")
	flag.BoolVar(&sim.postgres, "postgres", false, "fleet-sim: the store is a PostgreSQL server of its own (deploy/postgres/install.sh)")
	flag.StringVar(&sim.sync, "sync", "always", "fleet-sim: the NATS server's sync_interval")
	flag.Float64Var(&sim.price, "price", .05, "fleet-sim: of an hour of a core")
	flag.StringVar(&sim.verdicts, "verdicts", "", "fleet-sim: `files` of last words that results are drawn from, as a pattern; the test web is swept for them when empty")
	flag.Parse()
	name := flag.Arg(0)
	if name != "watch" && flag.NArg() > 1 {
		flag.CommandLine.Parse(flag.Args()[1:]) // flags may stand after the name
	}
	set := func(d int) int {
		if *n > 0 {
			return *n
		}
		return d
	}
	var err error
	switch name {
	case "watch": // of cost, see peak
		err = watch(flag.Args()[1:])
	case "soak":
		err = soak(ctx, os.Stdout, *bin, set(500), *settle)
	case "cost":
		err = cost(ctx, os.Stdout, *bin, set(3))
	case "repeat":
		err = repeat(ctx, os.Stdout, *bin, max(0, *lawful), set(10))
	case "chaos":
		err = chaos(ctx, os.Stdout, *bin, *data, set(500))
	case "upgrade":
		err = upgraded(ctx, os.Stdout, *bin, *old, *data, set(60))
	case "fleet-sim":
		sim.bin = *bin
		err = fleetSim(ctx, os.Stdout, sim)
	case "score":
		if *lawful < 0 {
			*lawful = 1000
		}
		err = score(ctx, os.Stdout, *bin, *data, *results, *lawful, *hostile, set(2))
	case "record":
		err = writeRecord("docs/accountability", *results)
	default:
		err = errors.New("want cost, soak, repeat, chaos, upgrade, fleet-sim, score or record")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// machine is the line under every table.
func machine() string {
	return time.Now().UTC().Format("2 January 2006") + ", " + hardware() + "."
}

// hardware is what the figures were made on.
func hardware() string {
	cpu := "unknown CPU"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", cpu, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// web is the test web, run as a process of its own, so that its CPU is not counted.
type web struct {
	proxy, ca, dns string
	pid            int
	stop           func()
}

func startLab(ctx context.Context, bin string, args ...string) (*web, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, bin, append([]string{"lab"}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("start the test web: %w", err)
	}
	w := &web{pid: cmd.Process.Pid, stop: func() { cancel(); cmd.Wait() }}
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		if i := slices.Index(f, "--proxy"); i >= 0 && i+3 < len(f) {
			w.proxy, w.ca = f[i+1], f[i+3]
		}
		if len(f) > 3 && f[0] == "Names" && w.proxy != "" {
			w.dns = f[3]
			return w, nil
		}
	}
	w.stop()
	return nil, errors.New("the test web did not say where it is")
}

// chooser lends the classifier to the crawler.
type chooser struct{ *classifier.Classifier }

func (c chooser) Read(layer int, p *pc.Page) crawler.Reading {
	return reading{c.Classifier.Read(layer, p)}
}

type reading struct{ *classifier.Reading }

func (r reading) Choose(goal pc.Goal) (crawler.Choice, bool) {
	ch, ok := r.Reading.Choose(goal)
	return crawler.Choice(ch), ok
}

// discard takes the parts of a visit and counts them.
type discard struct{ bytes int }

func (d *discard) Add(_ string, data []byte) error { d.bytes += len(data); return nil }

func repeat(ctx context.Context, w io.Writer, bin string, lawful, n int) error {
	sites, err := lab.Sites(lab.Plan{Written: true, Lawful: lawful, Seed: 1})
	if err != nil {
		return err
	}
	truth := map[string]lab.Truth{}
	for _, s := range sites {
		truth[s.Host] = s.Truth
	}
	first := map[string]string{}
	wrong, differ := map[string]int{}, map[string]int{}
	var took []float64
	missing := 0
	for i := range n {
		dir, err := os.MkdirTemp("", "bench-repeat-")
		if err != nil {
			return err
		}
		begin := time.Now()
		out, err := exec.CommandContext(ctx, bin, "sweep", "--lab", "--lawful", strconv.Itoa(lawful), "--slots", "12", "--out", dir).CombinedOutput()
		if err != nil {
			os.RemoveAll(dir)
			return fmt.Errorf("sweep %d: %w\n%s", i+1, err, out)
		}
		took = append(took, time.Since(begin).Seconds())
		verdicts, err := readVerdicts(filepath.Join(dir, "verdicts.jsonl"))
		os.RemoveAll(dir)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, v := range verdicts {
			seen[v.Site] = true
			said, fails := essence(v)
			if first[v.Site] == "" {
				first[v.Site] = said
			}
			if first[v.Site] != said {
				differ[v.Site]++
				fmt.Fprintf(os.Stderr, "sweep %d: %s\n  first %s\n  now   %s\n", i+1, v.Site, first[v.Site], said)
			}
			t := truth[v.Site]
			if !right(t, v, fails) {
				wrong[v.Site]++
				fmt.Fprintf(os.Stderr, "sweep %d: %s is %s %s %v, and the truth is %+v\n", i+1, v.Site, v.Overall, v.Outcome, fails, t)
			}
		}
		missing += len(sites) - len(seen)
		fmt.Fprintf(os.Stderr, "sweep %d of %d: %.0f s, so far %d sites wrong, %d sites different\n", i+1, n, took[i], len(wrong), len(differ))
	}
	slices.Sort(took)
	fmt.Fprintf(w, "# The test web, swept %d times\n\nMade by `make repeat`. %d sites each time; right means last word, outcome, reason, banner and the exact set of failing rules.\n\n", n, len(sites))
	fmt.Fprintf(w, "| | |\n|---|---:|\n| verdicts | %d |\n| verdicts missing | %d |\n| verdicts that are wrong | %d |\n| verdicts that differ from the first sweep's | %d |\n| wall time of a sweep, median (least to most) | %.0f s (%.0f to %.0f) |\n\n", n*len(sites)-missing, missing, total(wrong), total(differ), took[len(took)/2], took[0], took[len(took)-1])
	for _, m := range []map[string]int{wrong, differ} {
		for s, k := range m {
			fmt.Fprintf(w, "- %s: %d times\n", s, k)
		}
	}
	fmt.Fprintf(w, "%s\n", machine())
	return nil
}

// score sweeps the generated test web and compares what came out with what is
// true. The lawful sites are swept n times, because a second visit must agree.
func score(ctx context.Context, w io.Writer, bin, dir, results string, lawful int, hostile bool, n int) error {
	if dir == "" {
		tmp, err := os.MkdirTemp("", "bench-score-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	}
	var sweeps []string
	var made []lab.SweepResult
	judgedAgain := map[string]bool{}
	samples := func(name string) string { return filepath.Join(dir, name+"-memory.jsonl") }
	sweep := func(name string, args ...string) (v []pc.Verdict, err error) {
		sweeps = append(sweeps, name)
		defer func() { made = append(made, lab.NewSweepResult(name, v)) }()
		out := filepath.Join(dir, name)
		file := filepath.Join(out, "verdicts.jsonl")
		if v, err := readVerdicts(file); err == nil && len(v) > 0 { // made before: what was seen stands, and is judged by this build
			judgedAgain[name] = true
			judged := filepath.Join(out, "judged.jsonl")
			if said, err := exec.CommandContext(ctx, bin, "rejudge", v[0].Sweep, "--out", out, "--to", judged).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("judge the %s again: %w: %s", name, err, said)
			}
			return readVerdicts(judged)
		}
		cmd := exec.CommandContext(ctx, bin, append([]string{"sweep", "--lab", "--written=false", "--out", out}, args...)...)
		cmd.Stderr = os.Stderr
		if err := watched(ctx, cmd, samples(name)); err != nil {
			return nil, fmt.Errorf("sweep of the %s: %w", name, err)
		}
		return readVerdicts(file)
	}
	fmt.Fprintf(w, "# The generated test web, swept and compared with the truth\n\nMade by `make score`, here with %d lawful sites swept %d times. %s\n\n", lawful, n, machine())
	var all []pc.Verdict
	flagged := map[string]bool{}
	visits := 0
	for i := range n {
		v, err := sweep(fmt.Sprintf("lawful-%d", i+1), "--slots", "18", "--lawful", strconv.Itoa(lawful))
		if err != nil {
			return err
		}
		r := made[i]
		visits += r.Visits
		clear := 0
		for _, x := range v {
			switch x.Overall {
			case pc.Flagged:
				flagged[x.Site] = true
			case pc.Clear:
				clear++
			}
		}
		fmt.Fprintf(w, "Sweep %d of the %d lawful sites: %d clear, %d false flags so far, %d for review, the others not assessed, from %s to %s.\n", i+1, len(v), clear, len(flagged), r.Review, r.First.Format("2 January 15:04"), r.Last.Format("15:04 MST"))
		if i == 0 {
			all = v
		}
	}
	fmt.Fprintf(w, "\nLawful sites: %d visits, **%d false flags**.\n\n", visits, len(flagged))
	v, err := sweep("mutants", "--mutants", "--slots", "18")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Sites with one fault each: %d.\n", len(v))
	all = append(all, v...)
	if hostile {
		if v, err = sweep("hostile", "--hostile", "--slots", "4"); err != nil {
			return err
		}
		fmt.Fprintf(w, "Hostile and failing sites: %d.\n", len(v))
		all = append(all, v...)
	}
	fmt.Fprintln(w)
	sites, err := lab.Sites(lab.Plan{Lawful: lawful, Mutants: true, Hostile: true, Seed: 1})
	if err != nil {
		return err
	}
	s, err := lab.NewScore(sites, all)
	if err != nil {
		return err
	}
	for _, m := range made { // sweeps that were resumed may be of several builds
		for _, v := range m.Versions {
			fmt.Fprintf(w, "- %s, seen from %s to %s", m.Name, m.First.Format("2 January 15:04"), m.Last.Format("2 January 15:04 MST"))
			if judgedAgain[m.Name] {
				fmt.Fprint(w, " by the crawler of that time, and judged again")
			}
			fmt.Fprintf(w, ": tool %s, %s, classifier %s, lists %s, rules %.12s\n", v.Tool, v.Chrome, v.Classifier, v.Lists, v.Rules)
		}
	}
	fmt.Fprintln(w)
	s.Markdown(w)
	s.Details(w, 120)
	// What is in the bundles is told by the program, which may open them.
	out, err := exec.CommandContext(ctx, bin, "lab", "score", "--written=false", "--mutants=false", "--hostile=false", "--lawful", strconv.Itoa(lawful), filepath.Join(dir, "lawful-1", "verdicts.jsonl")).Output()
	if err != nil {
		return fmt.Errorf("the evidence of the lawful sites: %w", err)
	}
	if i := bytes.Index(out, []byte("## Evidence")); i >= 0 {
		fmt.Fprintf(w, "\n%s", out[i:])
	}
	if results != "" {
		doc, err := json.MarshalIndent(s.Results(hardware(), made), "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(results, append(doc, '\n'), 0o644); err != nil {
			return err
		}
	}
	return memory(w, sweeps, samples)
}

func readVerdicts(file string) ([]pc.Verdict, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v, err := lab.ReadVerdicts(f)
	if err == nil && len(v) == 0 {
		err = fmt.Errorf("%s is empty", file)
	}
	return v, err
}

// essence is what must be the same each time: the last word, the outcome, what
// each rule said, and the banner with its controls.
func essence(v pc.Verdict) (said string, fails []string) {
	fails = []string{}
	parts := []string{string(v.Overall), string(v.Outcome), v.Reason}
	for _, f := range v.Findings {
		parts = append(parts, f.Rule+"="+string(f.Outcome))
		if f.Outcome == pc.Fail {
			fails = append(fails, f.Rule)
		}
	}
	for _, c := range v.Banner.Controls {
		parts = append(parts, fmt.Sprintf("%s:%s:%d", c.Text, c.Action, c.Layer))
	}
	parts = append(parts, fmt.Sprint(v.Banner.ClicksToAccept, v.Banner.ClicksToReject))
	slices.Sort(fails)
	return strings.Join(parts, "; "), fails
}

// right compares a last word, and the rules that fail in it, with the truth.
func right(t lab.Truth, v pc.Verdict, fails []string) bool {
	overall := string(v.Overall) == t.Overall || t.Overall == "any" || t.Overall == "not-flagged" && v.Overall != pc.Flagged
	return overall && string(v.Outcome) == t.Outcome && v.Reason == t.Reason && v.Banner.Present == t.Banner && slices.Equal(slices.Sorted(slices.Values(t.Fails)), fails)
}

func total(m map[string]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}
