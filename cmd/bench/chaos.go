package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pc "pecrawler"
	"pecrawler/lab"
)

const (
	chaosServers = 3
	chaosWorkers = 6
	chaosGap     = 2 * time.Second // as in production; the test web does without unless told
	chaosCut     = time.Minute
	chaosSweep   = "chaos"
)

// fleet is a cluster, its workers and a collector as real processes, each of
// them but the collector in a network namespace of its own.
type fleet struct {
	bin, dir string // the program that is asked, and the folder of everything
	sites    int
	troubles func(context.Context) []trouble
	upgrade  *upgrade // nil: one program and a SQLite store
	net      *network
	web      *web
	servers  []*member
	workers  []*member
	collect  *member
	requests string // the test web's log
	begin    time.Time
	done     []step
	orphans  []string // browsers that outlived their workers
}

// trouble is what a fleet has to survive, when a share of the sites has a last word.
type trouble struct {
	at float64
	do func() (string, error)
}

// step is a line of the timeline.
type step struct {
	after       time.Duration
	what        string
	first, last int // last words before and after
}

// chaos sweeps n sites of the test web with a fleet that is broken meanwhile,
// and looks whether anything is lost, doubled or rude. Logs, data and evidence
// are kept in keep if that is not empty, and if it could not be done to the end.
func chaos(ctx context.Context, w io.Writer, bin, keep string, n int) error {
	f := &fleet{bin: bin, sites: n}
	f.troubles = f.breakages
	return f.run(ctx, w, keep, fmt.Sprintf(`# A fleet that is broken while it sweeps

Made by %s, as root. %d sites of the test web, swept by %d workers of one visit at a time, a collector with a SQLite store, and %d
NATS servers that keep each message three times: real processes. Each server and worker has a network namespace of its own on a bridge,
and a cut takes it off the bridge, so that packets vanish without a word. What ends is started again after 2 s, a NATS server after 20 s.
The gap between visits of a registrable domain is %v, a visit that raises suspicion is followed by another after 5 s at the earliest.
`, "`make chaos`", n, chaosWorkers, chaosServers, chaosGap))
}

// run is the whole of it; about is what the page says before the tables.
func (f *fleet) run(ctx context.Context, w io.Writer, keep, about string) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("chaos cuts networks and fills a disk; for network namespaces and a tmpfs it wants to be root")
	}
	dir := keep
	if keep == "" {
		if dir, err = os.MkdirTemp("", "pc-"); err != nil { // a short name: Chromium keeps a socket below it
			return err
		}
		defer func() {
			if err == nil {
				err = os.RemoveAll(dir)
			} else {
				fmt.Fprintln(os.Stderr, "logs are kept in", dir)
			}
		}()
	} else if err := os.Mkdir(dir, 0o755); err != nil { // what is of another run does not belong to this one
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	f.dir, f.requests = dir, filepath.Join(dir, "requests.jsonl")
	if f.bin, err = filepath.Abs(f.bin); err != nil {
		return err
	}
	defer f.stop()
	sites, err := f.start(ctx)
	if err != nil {
		return err
	}
	if err := f.breakThings(ctx); err != nil {
		return err
	}
	if err := f.wait(ctx, 1); err != nil {
		return err
	}
	took := time.Since(f.begin)
	checks, err := f.check(ctx, sites)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%sIt took %.0f minutes.\n\n| after | last words | |\n|---:|---:|---|\n", about, took.Minutes())
	for _, s := range f.done {
		words := strconv.Itoa(s.first)
		if s.last != s.first {
			words += " to " + strconv.Itoa(s.last)
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", s.after.Round(time.Second), words, s.what)
	}
	fmt.Fprintf(w, "\n| wanted | measured | |\n|---|---|---|\n")
	missed := checks.rows(w)
	fmt.Fprintf(w, "\nPoliteness is read from the test web's log of requests, where each worker has an address of its own; a visit ends with the line that its\nworker logs. Sites whose last word is not what is true are swept again at the end by one process with nothing broken: [results.md](results.md)\nnames what is wrong without chaos. %s\n", machine())
	if missed > 0 {
		return fmt.Errorf("%d of %d missed", missed, len(checks))
	}
	return nil
}

// start brings everything up and launches the sweep.
func (f *fleet) start(ctx context.Context) (sites []*lab.Site, err error) {
	if err := os.Chmod(f.dir, 0o755); err != nil { // the browser runs as an ordinary user
		return nil, err
	}
	tmp := filepath.Join(f.dir, "t")
	if err := errors.Join(os.Mkdir(tmp, 0o755), os.Mkdir(f.vault(0), 0o755)); err != nil {
		return nil, err
	}
	disk := fmt.Sprintf("size=%dm", 256+2*f.sites) // a bundle of the test web is about a megabyte
	if err := syscall.Mount("tmpfs", f.vault(0), "tmpfs", 0, disk); err != nil {
		return nil, fmt.Errorf("a small disk for the evidence of a worker: %w", err)
	}
	server, err := buildNATS(ctx, f.dir)
	if err != nil {
		return nil, err
	}
	if f.net, err = newNetwork(chaosServers + chaosWorkers); err != nil {
		return nil, err
	}
	if sites, err = chaosSites(f.sites); err != nil {
		return nil, err
	}
	list := filepath.Join(f.dir, "sites.csv")
	if err := os.WriteFile(list, []byte(lab.CSV(sites)), 0o644); err != nil {
		return nil, err
	}
	lab := f.bin
	if f.upgrade != nil {
		lab = f.upgrade.lab
	}
	f.web, err = startLab(ctx, lab, append(f.plan(), "--listen", f.net.home+":0", "--requests", f.requests)...)
	if err != nil {
		return nil, err
	}
	for i := range chaosServers {
		var routes []string
		for k := range chaosServers {
			routes = append(routes, "nats://"+f.net.hosts[k].addr+":6222")
		}
		h := f.net.hosts[i]
		name := fmt.Sprintf("nats-%d", i)
		conf := filepath.Join(f.dir, name+".conf")
		text := fmt.Sprintf("server_name: %s\nlisten: \"%s:4222\"\nhttp: \"%[2]s:8222\"\njetstream { store_dir: %q, sync_interval: always }\ncluster { name: chaos, listen: \"%[2]s:6222\", routes: [%[4]s] }\n",
			name, h.addr, filepath.Join(f.dir, name), strings.Join(routes, ", "))
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return nil, err
		}
		p, err := startMember(f.dir, name, 20*time.Second, nil, h.inside(server, "-c", conf)...)
		if err != nil {
			return nil, err
		}
		f.servers = append(f.servers, p)
	}
	if err := persist(ctx, 30, func() error { // until they have found each other
		_, err := f.pecrawler(ctx, "queue", "check", "--fix", "--nats-replicas", "3")
		return err
	}); err != nil {
		return nil, err
	}
	if f.upgrade != nil {
		if err := f.startPostgres(ctx); err != nil {
			return nil, err
		}
	}
	f.collect, err = startMember(f.dir, "collect", 2*time.Second, nil, f.collectArgs(f.bin)...)
	if err != nil {
		return nil, err
	}
	f.begin = time.Now()
	if _, err := f.pecrawler(ctx, "launch", "--name", chaosSweep, "--agree-after", "5s", list); err != nil {
		return nil, err
	}
	for i := range chaosWorkers {
		name := fmt.Sprintf("work-%d", i)
		p, err := startMember(f.dir, name, 2*time.Second, []string{"TMPDIR=" + tmp}, f.workArgs(f.bin, i)...)
		if err != nil {
			return nil, err
		}
		f.workers = append(f.workers, p)
	}
	return sites, nil
}

// collectArgs is the command line of the collector.
func (f *fleet) collectArgs(bin string) []string {
	args := []string{bin, "collect", "--nats", f.url(), "--out", filepath.Join(f.dir, "desk"), "--listen", "127.0.0.1:0"}
	if f.upgrade != nil {
		args = append(args, "--store", f.upgrade.store)
	}
	return args
}

// workArgs is the command line of a worker, in its own network.
func (f *fleet) workArgs(bin string, i int) []string {
	return f.net.hosts[chaosServers+i].inside(bin, "work", "--verbose", "--nats", f.url(), "--out", filepath.Join(f.dir, fmt.Sprintf("work-%d-data", i)),
		"--evidence", f.vault(i), "--slots", "1", "--gap", chaosGap.String(), "--browser-memory", "768", "--proxy", f.web.proxy, "--ca", f.web.ca, "--dns", f.web.dns, "--listen", "127.0.0.1:0")
}

// vault is where a worker keeps bundles: the first on the small disk, the others together.
func (f *fleet) vault(worker int) string {
	if worker == 0 {
		return filepath.Join(f.dir, "disk")
	}
	return filepath.Join(f.dir, "evidence")
}

// chaosSites takes three lawful sites for every two with a fault, these from
// all over the catalogue.
func chaosSites(n int) ([]*lab.Site, error) {
	all, err := lab.Sites(lab.Plan{Lawful: n, Mutants: true, Seed: 1})
	if err != nil {
		return nil, err
	}
	var lawful, mutants []*lab.Site
	for _, s := range all {
		if s.Set == "lawful" {
			lawful = append(lawful, s)
		} else {
			mutants = append(mutants, s)
		}
	}
	faults := min(n*2/5, len(mutants))
	if n-faults > len(lawful) {
		return nil, fmt.Errorf("the test web has no %d sites", n)
	}
	var out []*lab.Site
	for i := range n { // one kind among the other, so that all of the sweep is alike
		if k := i * faults / n; (i+1)*faults/n > k {
			out = append(out, mutants[k*len(mutants)/faults])
		} else {
			out = append(out, lawful[i-k])
		}
	}
	return out, nil
}

func (f *fleet) url() string {
	var out []string
	for _, h := range f.net.hosts[:chaosServers] {
		out = append(out, "nats://"+h.addr+":4222")
	}
	return strings.Join(out, ",")
}

func (f *fleet) pecrawler(ctx context.Context, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	n := 1
	if args[0] == "queue" {
		n = 2
	}
	cmd := exec.CommandContext(ctx, f.bin, slices.Concat(args[:n], []string{"--nats", f.url()}, args[n:])...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("pecrawler %s: %w: %s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.Bytes(), nil
}

func (f *fleet) stop() {
	all := slices.Concat(f.workers, []*member{f.collect}, f.servers)
	if f.upgrade != nil {
		all = append(all, f.upgrade.postgres)
	}
	for _, p := range all {
		if p != nil {
			p.stop()
		}
	}
	if f.web != nil {
		f.web.stop()
	}
	if f.net != nil {
		f.net.close()
	}
	syscall.Unmount(f.vault(0), syscall.MNT_DETACH)
}

// streams asks the servers what they hold; who is most advanced is right,
// because others may be down or behind.
func (f *fleet) streams(ctx context.Context) map[string]streamState {
	out := map[string]streamState{}
	for i, h := range f.net.hosts[:chaosServers] {
		ss, err := streamsAt(ctx, "http://"+h.addr+":8222/jsz?streams=1")
		if err != nil {
			continue
		}
		for _, s := range ss {
			if s.Cluster.Leader == fmt.Sprintf("nats-%d", i) {
				out[s.Name] = s
			}
		}
	}
	return out
}

// words is how many last words there are. While no server leads it is not known, and -1.
func (f *fleet) words(ctx context.Context) int {
	s, ok := f.streams(ctx)["VERDICTS"]
	if !ok {
		return -1
	}
	return s.State.NumSubjects
}

// wait returns when a share of the sites has a last word.
func (f *fleet) wait(ctx context.Context, share float64) error {
	seen := newProgress(f.sites)
	for {
		n := f.words(ctx)
		if n >= int(share*float64(f.sites)) {
			return nil
		}
		if err := seen.words(n); err != nil {
			return err
		}
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
	}
}

// breakages are what a fleet has to survive, one after the other.
func (f *fleet) breakages(ctx context.Context) []trouble {
	return []trouble{
		{.05, func() (string, error) {
			a, b := f.workers[1].kill(), f.workers[2].kill()
			err := pause(ctx, 30*time.Second)
			f.orphans = browsersOf(a, b)
			return "kill -9 of two workers", err
		}},
		{.15, func() (string, error) {
			i := f.leader(ctx)
			f.servers[i].kill()
			return fmt.Sprintf("kill -9 of nats-%d, which led the stream of visits; started again after 20 s", i), pause(ctx, 25*time.Second)
		}},
		{.25, func() (string, error) {
			f.collect.kill()
			return "kill -9 of the collector, and so of whoever writes the store", pause(ctx, 5*time.Second)
		}},
		{.35, func() (string, error) {
			return "the network of a worker is cut for 60 s", f.net.cut(ctx, chaosServers+3)
		}},
		{.5, func() (string, error) {
			i := f.leader(ctx)
			return fmt.Sprintf("the network of nats-%d, which led the stream of visits, is cut for 60 s", i), f.net.cut(ctx, i)
		}},
		{.65, func() (string, error) {
			before := f.workers[0].times()
			full := filepath.Join(f.vault(0), "full")
			size, err := fill(full)
			if err != nil {
				return "", err
			}
			err = pause(ctx, time.Minute)
			return fmt.Sprintf("the disk of a worker's evidence is filled (%d MB) for 60 s, in which the worker ends %d times", size>>20, f.workers[0].times()-before), errors.Join(err, os.Remove(full))
		}},
		{.8, func() (string, error) {
			f.collect.kill()
			f.workers[4].kill()
			i := f.leader(ctx)
			f.servers[i].kill()
			return fmt.Sprintf("kill -9 of the collector, a worker and the leader, nats-%d, at once", i), pause(ctx, 25*time.Second)
		}},
	}
}

// breakThings does it all in its time.
func (f *fleet) breakThings(ctx context.Context) error {
	for _, t := range f.troubles(ctx) {
		if err := f.wait(ctx, t.at); err != nil {
			return err
		}
		s := step{after: time.Since(f.begin), first: f.words(ctx)}
		fmt.Fprintf(os.Stderr, "after %.0f s, %d of %d last words: ", s.after.Seconds(), s.first, f.sites)
		var err error
		if s.what, err = t.do(); err != nil {
			return err
		}
		s.last = max(s.first, f.words(ctx))
		fmt.Fprintln(os.Stderr, s.what)
		f.done = append(f.done, s)
	}
	return nil
}

// leader is the server that leads the stream of visits.
func (f *fleet) leader(ctx context.Context) int {
	for range 60 {
		if name, ok := strings.CutPrefix(f.streams(ctx)["VISITS"].Cluster.Leader, "nats-"); ok {
			i, _ := strconv.Atoi(name)
			return i
		}
		time.Sleep(time.Second)
	}
	return 0 // nobody leads; one is as good as another
}

// fill writes until nothing more fits.
func fill(name string) (size int64, err error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for zeros := make([]byte, 1<<20); ; {
		n, err := f.Write(zeros)
		size += int64(n)
		if errors.Is(err, syscall.ENOSPC) {
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// browsersOf are the command lines of the browsers that processes started.
func browsersOf(pids ...int) (out []string) {
	for _, line := range commandLines() {
		for _, pid := range pids {
			if bytes.Contains(line, fmt.Appendf(nil, "pecrawler-chrome-%d-", pid)) {
				out = append(out, string(bytes.ReplaceAll(line[:min(len(line), 120)], []byte{0}, []byte(" "))))
			}
		}
	}
	return out
}

// check looks at what came out, from all sides.
func (f *fleet) check(ctx context.Context, sites []*lab.Site) (out checks, err error) {
	if err := out.ended(f.sites, 3*time.Minute, func() ([]byte, error) { return f.pecrawler(ctx, "status", "--json", chaosSweep) }); err != nil {
		return nil, err
	}
	verdicts, err := readVerdicts(filepath.Join(f.dir, "desk", "verdicts", chaosSweep+".jsonl"))
	if err != nil {
		return nil, err
	}
	truth := map[string]lab.Truth{}
	for _, s := range sites {
		truth[s.Host] = s.Truth
	}
	seen := map[string]int{}
	var wrong []pc.Verdict
	visits, flagged := 0, 0
	var bundles, lost int
	for _, v := range verdicts {
		seen[v.Site]++
		visits += v.Visits
		if v.Overall == pc.Flagged {
			flagged++
		}
		t, known := truth[v.Site]
		if said, fails := essence(v); !known || !right(t, v, fails) {
			wrong = append(wrong, v)
			fmt.Fprintf(os.Stderr, "%s is %s, and must be %s %s %s %v\n", v.Site, said, t.Overall, t.Outcome, t.Reason, t.Fails)
		}
		for _, b := range v.Bundles {
			bundles++
			if !f.kept(b) {
				lost++
				fmt.Fprintf(os.Stderr, "%s: the bundle %s is in no vault\n", v.Site, b)
			}
		}
	}
	out.once(f.sites, len(verdicts), len(seen))
	calm, err := f.calm(ctx, wrong)
	if err != nil {
		return nil, err
	}
	var same, changed []string
	for _, v := range wrong {
		said, _ := essence(v)
		if without, ok := calm[v.Site]; ok && without == said {
			same = append(same, v.Site)
		} else {
			changed = append(changed, v.Site)
			fmt.Fprintf(os.Stderr, "%s without chaos is %s\n", v.Site, without)
		}
	}
	out.add("each is what is true, or what is found without chaos too", len(changed) == 0, "%d are true, %d the same without chaos%s, %d neither%s",
		len(verdicts)-len(wrong), len(same), names(same), len(changed), names(changed))
	out.add("the evidence of each visit is kept", lost == 0, "%d of %d bundles are missing", lost, bundles)
	out.messages(f.streams(ctx), f.sites, flagged, visits)
	whole := persist(ctx, 60, func() error { // a server that was killed last is yet to catch up
		_, err := f.pecrawler(ctx, "queue", "check", "--nats-replicas", "3")
		return err
	})
	out.add("the cluster is whole again", whole == nil, "%s", cmp.Or(lastLine(whole), "`queue check` finds nothing"))
	rude, spans, err := f.rude(sites)
	if err != nil {
		return nil, err
	}
	again := map[string]bool{}
	for _, r := range rude {
		fmt.Fprintln(os.Stderr, r)
		again[r.domain] = true
	}
	out.add(fmt.Sprintf("visits of one registrable domain never overlap, and %v lie between", chaosGap), len(rude) == 0 && spans >= visits, "%d of %d visits that were begun come too early%s", len(rude), spans, names(slices.Sorted(maps.Keys(again))))
	for _, o := range f.orphans {
		fmt.Fprintln(os.Stderr, "still there:", o)
	}
	out.add("no process of a killed worker's browser after 30 s", len(f.orphans) == 0, "%d", len(f.orphans))
	under := 0
	for _, s := range f.done {
		if s.first < f.sites {
			under++
		}
	}
	if f.upgrade != nil {
		if err := f.upgrade.check(&out, f.dir, verdicts); err != nil {
			return nil, err
		}
	}
	out.add("everything was done to it while the sweep was under way", under == len(f.done), "%d of %d", under, len(f.done))
	return out, nil
}

// calm sweeps sites again with nothing broken, and returns the essence of each.
func (f *fleet) calm(ctx context.Context, wrong []pc.Verdict) (map[string]string, error) {
	said := map[string]string{}
	if len(wrong) == 0 {
		return said, nil
	}
	var list strings.Builder
	for _, v := range wrong {
		fmt.Fprintln(&list, v.URL)
	}
	sites, out := filepath.Join(f.dir, "again.txt"), filepath.Join(f.dir, "again")
	if err := os.WriteFile(sites, []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	args := append([]string{"sweep", "--out", out, "--slots", "1", "--agree-after", "5s", "--listen", "127.0.0.1:0", "--lab"}, f.plan()...)
	if said, err := exec.CommandContext(ctx, f.bin, append(args, sites)...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("a sweep without chaos: %w: %s", err, said)
	}
	verdicts, err := readVerdicts(filepath.Join(out, "verdicts.jsonl"))
	for _, v := range verdicts {
		said[v.Site], _ = essence(v)
	}
	return said, err
}

// plan are the flags that say which sites the test web has.
func (f *fleet) plan() []string {
	return []string{"--lawful", strconv.Itoa(f.sites), "--mutants"}
}

// kept tells whether a bundle lies in a vault.
func (f *fleet) kept(digest string) bool {
	hash := strings.TrimPrefix(digest, "sha256:")
	for i := range 2 {
		found, _ := filepath.Glob(filepath.Join(f.vault(i), "sha256", hash[:2], hash+"*"))
		if len(found) > 0 {
			return true
		}
	}
	return false
}

func names(s []string) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) > 10 {
		s = append(slices.Clone(s[:10]), "…")
	}
	return ": " + strings.Join(s, ", ")
}

func lastLine(err error) string {
	if err == nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.ReplaceAll(lines[len(lines)-1], "|", "/")
}

// rude reads from the test web's log of requests who visited whom and when.
func (f *fleet) rude(sites []*lab.Site) (out []offence, visits int, err error) {
	l := newManners(sites)
	for i := range f.workers {
		addr := f.net.hosts[chaosServers+i].addr
		file, err := os.Open(filepath.Join(f.dir, fmt.Sprintf("work-%d.log", i)))
		if err != nil {
			return nil, 0, err
		}
		sc := bufio.NewScanner(file)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			l.log(addr, sc.Text())
		}
		if err := errors.Join(sc.Err(), file.Close()); err != nil {
			return nil, 0, err
		}
	}
	file, err := os.Open(f.requests)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	for dec := json.NewDecoder(file); ; {
		var r lab.Request
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, 0, fmt.Errorf("the log of requests: %w", err)
		}
		l.request(r)
	}
	out, visits = l.offences(chaosGap)
	return out, visits, nil
}
