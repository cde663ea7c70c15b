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
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	pc "pecrawler"
	"pecrawler/internal/pgtest"
)

// simulation says what is simulated: the program, the NATS server and the store
// are real, and only the browser is not.
type simulation struct {
	bin      string
	sites    int     // of the large sweep
	workers  int     // each with a connection and one visit at a time
	speed    float64 // by how much the visits of the large sweep are shorter than real ones
	pace     int     // sites of the sweep that keeps all proportions
	launch   int     // lines of the list that is only launched
	postgres bool
	sync     string  // the NATS server's sync_interval
	price    float64 // of an hour of a core
	verdicts string  // glob of files that results are drawn from; "": the test web is swept for them
	dir      string  // for all that is written; removed at the end
}

// paceSpeed is by how much visits are shorter in the sweep that keeps all
// proportions: a heartbeat each 2 s where it is 10 s.
const paceSpeed = 5

const (
	simBeat      = 60 * time.Second // the worker's AckWait: six heartbeats
	simShortest  = 12 * time.Second // of AckWait: below, a busy server would take visits from the living
	simAgree     = 10 * time.Second // --agree-after; an hour divided by the speed would only be a wait
	simGap       = 2 * time.Second  // work's own --gap
	simSweep     = "fleet-sim"
	simOutOfDisk = 110e3 // bytes on the disk for each site, at most; measured
)

// fleetSim launches lists on a real server, has stand-ins visit them, and writes
// down what that took.
func fleetSim(ctx context.Context, w io.Writer, s simulation) (err error) {
	if s.bin, err = filepath.Abs(s.bin); err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp(s.dir, "pc-sim-"); err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(s.dir)
		} else {
			fmt.Fprintln(os.Stderr, "logs are kept in", s.dir)
		}
	}()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(s.dir, &disk); err != nil {
		return err
	}
	if free := float64(disk.Bavail) * float64(disk.Bsize); free < simOutOfDisk*float64(s.sites) {
		return fmt.Errorf("%d sites may take %.0f GB, and %s has %.0f: set SIM_SITES lower, or TMPDIR to a larger disk", s.sites, simOutOfDisk*float64(s.sites)/1e9, s.dir, free/1e9)
	}
	costs, err := readCosts("docs/bench.md")
	if err != nil {
		return err
	}
	drawn, err := s.draw(ctx)
	if err != nil {
		return err
	}
	server, err := buildNATS(ctx, s.dir)
	if err != nil {
		return err
	}
	flushed, err := flushTime(s.dir)
	if err != nil {
		return err
	}
	only := newStage(s, "launch", server, drawn, costs)
	if err := only.launchOnly(ctx); err != nil {
		return err
	}
	pace := newStage(s, "pace", server, drawn, costs)
	pace.sites, pace.speed = s.pace, paceSpeed
	if err := pace.sweep(ctx); err != nil {
		return err
	}
	large := newStage(s, "large", server, drawn, costs)
	if err := large.sweep(ctx); err != nil {
		return err
	}
	return s.report(w, costs, drawn, flushed, only, pace, large)
}

// visitCost is what docs/bench.md says of a visit.
type visitCost struct {
	page string
	cpu  float64 // seconds
	wall time.Duration
}

var costRow = regexp.MustCompile(`(?m)^\| (small|medium|big): [^|]*\| ([0-9.]+) s \|.*\| ([0-9.]+) s \| [0-9]+ MB \|$`)

func readCosts(file string) (out []visitCost, err error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, m := range costRow.FindAllStringSubmatch(string(raw), -1) {
		cpu, err1 := strconv.ParseFloat(m[2], 64)
		wall, err2 := strconv.ParseFloat(m[3], 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, visitCost{m[1], cpu, time.Duration(wall * float64(time.Second))})
	}
	if len(out) != 3 {
		return nil, fmt.Errorf("%s has %d of the three pages of make bench", file, len(out))
	}
	return out, nil
}

// meanCPU is the mean over the pages, in seconds.
func meanCPU(costs []visitCost) (sum float64) {
	for _, c := range costs {
		sum += c.cpu / float64(len(costs))
	}
	return sum
}

func meanWall(costs []visitCost) (sum time.Duration) {
	for _, c := range costs {
		sum += c.wall / time.Duration(len(costs))
	}
	return sum
}

// flushTime is how long the disk takes to keep 15 kB, the mean of 200 times.
func flushTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "flush-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	const n = 200
	data := bytes.Repeat([]byte("x"), 15<<10)
	begin := time.Now()
	for range n {
		if _, err := f.Write(data); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin) / n, nil
}

// draw reads the last words that results are drawn from.
func (s simulation) draw(ctx context.Context) (out []pc.Verdict, err error) {
	glob := s.verdicts
	if glob == "" {
		dir := filepath.Join(s.dir, "drawn")
		cmd := exec.CommandContext(ctx, s.bin, "sweep", "--lab", "--lawful", "60", "--out", dir)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("sweep the test web for results to draw from: %w", err)
		}
		glob = filepath.Join(dir, "verdicts.jsonl")
	}
	files, err := filepath.Glob(glob)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no file %s", glob)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		v, err := readVerdicts(f)
		if err != nil {
			return nil, err
		}
		out = append(out, v...)
	}
	return out, nil
}

// stage is one sweep with a server and a store of its own.
type stage struct {
	simulation
	name, at string // its folder
	program  string // nats-server
	drawn    []pc.Verdict
	costs    []visitCost

	addr, http string // of the server
	server     *member
	collector  *member
	pg         *pgtest.Server
	fleet      *standIns

	// Measured.
	launched                rusage
	took                    time.Duration
	cpu                     map[string]float64 // seconds, by process
	memory                  map[string]int64   // most, in bytes, by process
	streams                 map[string]streamState
	largest                 map[string]int64 // bytes, by stream
	backlog                 int              // most results that waited for the collector
	waiting                 int              // most visits on the queue
	messagesIn, messagesOut int64
	bytesIn, bytesOut       int64
	disk, store, file       int64 // the server's folder, the store, the verdicts
	idle                    float64
	rate                    float64 // last words a second, from a tenth to nine tenths
	peak                    float64 // visits a second, the best of half a minute
	words, flagged, visits  int
	checks                  checks
}

type rusage struct {
	wall time.Duration
	cpu  float64
	most int64 // bytes
}

func newStage(s simulation, name, program string, drawn []pc.Verdict, costs []visitCost) *stage {
	return &stage{simulation: s, name: name, at: filepath.Join(s.dir, name), program: program, drawn: drawn, costs: costs,
		cpu: map[string]float64{}, memory: map[string]int64{}, largest: map[string]int64{}}
}

func (t *stage) serve(ctx context.Context) (err error) {
	if err := os.Mkdir(t.at, 0o755); err != nil {
		return err
	}
	if t.addr, err = freeAddr(); err != nil {
		return err
	}
	if t.http, err = freeAddr(); err != nil {
		return err
	}
	conf := filepath.Join(t.at, "nats.conf")
	text := fmt.Sprintf("listen: %q\nhttp: %q\nmax_payload: 1MB\njetstream { store_dir: %q, sync_interval: %s }\n", t.addr, t.http, filepath.Join(t.at, "nats"), t.sync)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return err
	}
	if t.server, err = startMember(t.at, "nats", time.Hour, nil, t.program, "-c", conf); err != nil {
		return err
	}
	if err := persist(ctx, 30, func() error {
		return exec.CommandContext(ctx, t.bin, "queue", "check", "--fix", "--nats", t.url()).Run()
	}); err != nil {
		return fmt.Errorf("the streams could not be made: %w", err)
	}
	return nil
}

func (t *stage) url() string { return "nats://" + t.addr }

// stop ends what runs, and keeps no more of it than its logs: the disk has room
// for one stage.
func (t *stage) stop() {
	for _, m := range []*member{t.collector, t.server} {
		if m != nil {
			m.stop()
		}
	}
	t.collector, t.server = nil, nil
	if t.pg != nil {
		t.pg.Stop()
		t.pg = nil
	}
	made, _ := os.ReadDir(t.at)
	for _, e := range made {
		if filepath.Ext(e.Name()) != ".log" {
			os.RemoveAll(filepath.Join(t.at, e.Name()))
		}
	}
}

// list writes a list of n sites. Ten of a thousand are hosts of one registrable
// domain, the others have one each.
func (t *stage) list(n int) (name string, err error) {
	name = filepath.Join(t.at, "sites.csv")
	f, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	fmt.Fprintln(b, "domain,rank,sector")
	for i := range n {
		host := fmt.Sprintf("site-%07d.example", i)
		if i%1000 < 10 {
			host = fmt.Sprintf("branch-%d.company-%04d.example", i%1000, i/1000)
		}
		fmt.Fprintf(b, "%s,%d,sector-%02d\n", host, i+1, i%20)
	}
	return name, b.Flush()
}

// launchList runs pecrawler launch.
func (t *stage) launchList(ctx context.Context, n int, flags ...string) error {
	list, err := t.list(n)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, t.bin, append(append([]string{"launch", "--nats", t.url(), "--name", simSweep}, flags...), list)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("launch: %w: %s", err, &said)
	}
	u := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	t.launched = rusage{time.Since(begin), seconds(*u), u.Maxrss << 10}
	return nil
}

// launchOnly measures the launch of a long list.
func (t *stage) launchOnly(ctx context.Context) error {
	defer t.stop()
	if err := t.serve(ctx); err != nil {
		return err
	}
	if err := t.launchList(ctx, t.launch); err != nil {
		return err
	}
	ss, _ := t.ask(ctx)
	t.streams = ss
	fmt.Fprintf(os.Stderr, "%d sites launched in %v\n", t.launch, t.launched.wall.Round(time.Millisecond))
	return nil
}

// sweep launches the list and visits it.
func (t *stage) sweep(ctx context.Context) (err error) {
	defer t.stop()
	if err := t.serve(ctx); err != nil {
		return err
	}
	place := filepath.Join(t.at, "store.db")
	if t.postgres {
		if t.pg, err = pgtest.Start(); err != nil {
			return err
		}
		place = t.pg.URL("postgres")
		cmd := exec.CommandContext(ctx, t.bin, "store", "migrate", "--store", place)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("make the tables: %w: %s", err, out)
		}
	}
	out := filepath.Join(t.at, "desk")
	if t.collector, err = startMember(t.at, "collect", time.Hour, nil, t.bin, "collect", "--nats", t.url(), "--out", out, "--store", place, "--listen", "127.0.0.1:0"); err != nil {
		return err
	}
	t.fleet = newStandIns(t)
	if err := t.fleet.start(ctx); err != nil {
		return err
	}
	defer t.fleet.stop()
	if err := pause(ctx, 5*time.Second); err != nil {
		return err
	}
	// Workers that have nothing to do.
	idle, begin := t.processes(), time.Now()
	if err := pause(ctx, 10*time.Second); err != nil {
		return err
	}
	for name, u := range t.processes() {
		t.idle += (u.cpu - idle[name].cpu) / time.Since(begin).Seconds()
	}
	before := t.processes()
	begin = time.Now()
	var in varz
	if err := getJSON(ctx, "http://"+t.http+"/varz", &in); err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	if err := t.launchList(ctx, t.sites, "--agree-after", simAgree.String()); err != nil {
		return err
	}
	if err := t.wait(ctx, begin); err != nil {
		return err
	}
	t.took = time.Since(begin)
	for name, u := range t.processes() {
		t.cpu[name], t.memory[name] = u.cpu-before[name].cpu, max(t.memory[name], u.most)
	}
	var now varz
	if err := getJSON(ctx, "http://"+t.http+"/varz", &now); err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	t.messagesIn, t.messagesOut, t.bytesIn, t.bytesOut = now.InMsgs-in.InMsgs, now.OutMsgs-in.OutMsgs, now.InBytes-in.InBytes, now.OutBytes-in.OutBytes
	t.fleet.stop()
	if err := t.check(ctx, out); err != nil {
		return err
	}
	t.disk = folderSize(filepath.Join(t.at, "nats"))
	t.store, err = t.storeSize(ctx, place)
	return err
}

// varz is what a NATS server counts.
type varz struct {
	InMsgs   int64 `json:"in_msgs"`
	OutMsgs  int64 `json:"out_msgs"`
	InBytes  int64 `json:"in_bytes"`
	OutBytes int64 `json:"out_bytes"`
}

// ask asks the server for its streams, and how many results wait for the collector.
func (t *stage) ask(ctx context.Context) (map[string]streamState, int) {
	ss, err := streamsAt(ctx, "http://"+t.http+"/jsz?streams=1&consumers=1")
	if err != nil {
		return nil, 0
	}
	out, wait := map[string]streamState{}, 0
	for _, s := range ss {
		out[s.Name] = s
	}
	for _, c := range out["RESULTS"].Consumers {
		wait += c.Pending
	}
	return out, wait
}

// wait watches until the sweep has ended.
func (t *stage) wait(ctx context.Context, begin time.Time) error {
	type mark struct {
		at            time.Duration
		words, visits int
	}
	var marks []mark
	seen := newProgress(t.sites)
	for {
		if err := pause(ctx, 2*time.Second); err != nil {
			return err
		}
		ss, wait := t.ask(ctx)
		if ss == nil { // the server is busy
			if err := seen.words(-1); err != nil {
				return err
			}
			continue
		}
		for name, s := range ss {
			t.largest[name] = max(t.largest[name], s.State.Bytes)
		}
		for name, u := range t.processes() {
			t.memory[name] = max(t.memory[name], u.most)
		}
		t.backlog, t.waiting = max(t.backlog, wait), max(t.waiting, ss["VISITS"].State.Messages)
		m := mark{time.Since(begin), ss["VERDICTS"].State.Messages, ss["RESULTS"].State.Messages}
		marks = append(marks, m)
		if len(marks)%15 == 0 {
			fmt.Fprintf(os.Stderr, "%s: after %.0f s %d results, %d wait for the collector, %d last words of %d\n", t.name, m.at.Seconds(), m.visits, wait, m.words, t.sites)
		}
		if err := seen.words(m.words); err != nil {
			return err
		}
		if m.words >= t.sites {
			break
		}
	}
	at := func(share float64) mark {
		i, _ := slices.BinarySearchFunc(marks, int(share*float64(t.sites)), func(m mark, n int) int { return cmp.Compare(m.words, n) })
		return marks[i]
	}
	a, b := at(.1), at(.9)
	if b.at > a.at {
		t.rate = float64(b.words-a.words) / (b.at - a.at).Seconds()
	}
	for i, k := 0, 0; k < len(marks); k++ {
		for marks[k].at-marks[i].at > 30*time.Second {
			i++
		}
		if d := marks[k].at - marks[i].at; d > 20*time.Second {
			t.peak = max(t.peak, float64(marks[k].visits-marks[i].visits)/d.Seconds())
		}
	}
	return nil
}

// processUse is the CPU of a process so far, in seconds, and the most memory
// that it had, in bytes.
type processUse struct {
	cpu  float64
	most int64
}

// processes are those of the stage. Workers is this one.
func (t *stage) processes() map[string]processUse {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	most := func(pid int) int64 { return memoryOf(pid, "status", "VmHWM") }
	out := map[string]processUse{"workers": {seconds(u), most(os.Getpid())}}
	members := map[int]string{}
	for name, m := range map[string]*member{"server": t.server, "collector": t.collector} {
		if m != nil {
			members[m.pid()] = name
		}
	}
	var pg []process
	var cpu float64
	for _, p := range descendants(os.Getpid()) {
		if name, ok := members[p.pid]; ok {
			out[name] = processUse{p.cpu, most(p.pid)}
		} else {
			pg = append(pg, p)
			cpu += p.cpu
		}
	}
	if t.pg != nil {
		out["PostgreSQL"] = processUse{cpu, pss(pg)}
	}
	return out
}

func folderSize(dir string) (sum int64) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				sum += info.Size()
			}
		}
		return nil
	})
	return sum
}

func (t *stage) storeSize(ctx context.Context, place string) (int64, error) {
	if !t.postgres {
		var sum int64
		for _, end := range []string{"", "-wal"} {
			if info, err := os.Stat(place + end); err == nil {
				sum += info.Size()
			}
		}
		return sum, nil
	}
	bin, err := pgtest.Bin()
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "psql"), "-At", "-c", "SELECT pg_database_size(current_database())", place).Output()
	if err != nil {
		return 0, fmt.Errorf("size of the database: %w", err)
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

// check looks whether every site got its word, once.
func (t *stage) check(ctx context.Context, out string) error {
	if err := t.checks.ended(t.sites, 5*time.Minute, func() ([]byte, error) {
		return exec.CommandContext(ctx, t.bin, "status", "--nats", t.url(), "--json", simSweep).Output()
	}); err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(out, "verdicts", simSweep+".jsonl"))
	if err != nil {
		return err
	}
	defer file.Close()
	seen := map[string]int{}
	for dec := json.NewDecoder(bufio.NewReaderSize(file, 1<<20)); ; {
		var v struct {
			Site    string
			Visits  int
			Overall pc.Overall
		}
		if err := dec.Decode(&v); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("the verdicts: %w", err)
		}
		t.words++
		t.visits += v.Visits
		seen[v.Site]++
		if v.Overall == pc.Flagged {
			t.flagged++
		}
	}
	if info, err := file.Stat(); err == nil {
		t.file = info.Size()
	}
	t.checks.once(t.sites, t.words, len(seen))
	t.streams, _ = t.ask(ctx)
	t.checks.messages(t.streams, t.sites, t.flagged, t.visits)
	made, rude := t.fleet.counts()
	t.checks.add("no visit is made twice", made == t.visits, "%d visits made for %d results", made, t.visits)
	t.checks.add("visits of one registrable domain never overlap", rude == 0, "%d of %d did", rude, made)
	return nil
}
