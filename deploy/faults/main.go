// Command faults breaks a small fleet on purpose, with real processes on this
// machine, and prints docs/faults.md: what an operator then sees, which are alerts,
// the panel that their runbook names, the log's last words, and doctor. It fails
// when one of them does not lead to the cause.
//
//	make faults
//
// Alerts are those of deploy/prometheus but for their `for`, which is five
// seconds here. A disk is filled on a small tmpfs, for which it wants to be root.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fault is something that goes wrong, and what must say so.
type fault struct {
	name    string
	worker  []string // flags of the worker that has it
	plant   func() error
	later   bool      // planted when the worker is at work, not before it begins
	alerts  []string  // that must fire
	panel   [2]string // that shows it: dashboard and title, which a runbook names
	shows   string    // in what it shows
	log     string    // in the worker's log
	doctor  []string  // in what doctor says
	runbook []string  // that lead there
	mend    func() error
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "pecrawler-faults-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // Chromium does not run as root
		return err
	}
	f := &fleet{dir: dir}
	defer f.stopAll()
	if err := f.start(ctx); err != nil {
		return err
	}
	disk := filepath.Join(dir, "disk")
	wrapper := filepath.Join(dir, "chromium")
	chrome, err := exec.LookPath("chromium")
	if err != nil {
		return err
	}
	faults := []fault{
		{name: "A NATS server is dead", later: true,
			plant:   func() error { return f.kill("nats-1") },
			alerts:  []string{"NatsServerDown"},
			panel:   [2]string{"Queue and store", "NATS servers"},
			shows:   `server=127.0.0.1:` + f.nats[1] + `: 0`,
			doctor:  []string{"FAIL  queue", "the server 127.0.0.1:" + f.nats[1] + " takes no connection"},
			runbook: []string{"docs/runbooks/NatsServerDown.md"},
			mend:    func() error { return f.startNATS(1) }},
		{name: "The disk of the evidence is full", worker: []string{"--evidence", disk}, later: true,
			plant:   func() error { return fill(disk) },
			alerts:  []string{"DiskFilling", "ProcessDown"},
			panel:   [2]string{"Queue and store", "Disk"},
			shows:   `folder=evidence`,
			log:     "the evidence could not be kept",
			doctor:  []string{"FAIL  evidence", "no space left on device", "FAIL  disk", "MiB are free at " + disk},
			runbook: []string{"docs/runbooks/DiskFilling.md", "docs/runbooks/EvidenceFailing.md"},
			mend:    func() error { return syscall.Unmount(disk, 0) }},
		{name: "Chromium is given --no-zygote, which its sandbox cannot do without", worker: []string{"--chrome", wrapper},
			plant:   func() error { return wrap(wrapper, chrome, "--no-zygote") },
			alerts:  []string{"ProcessDown"},
			panel:   [2]string{"Fleet", "Processes that answer"},
			shows:   `: 0`,
			log:     "Zygote cannot be disabled if sandbox is enabled",
			doctor:  []string{"FAIL  browser", "Zygote cannot be disabled if sandbox is enabled"},
			runbook: []string{"docs/runbooks/ProcessDown.md"}},
		{name: "Chromium is given --no-sandbox", worker: []string{"--chrome", wrapper},
			plant:   func() error { return wrap(wrapper, chrome, "--no-sandbox") },
			alerts:  []string{"ProcessDown"},
			panel:   [2]string{"Fleet", "Processes that answer"},
			shows:   `: 0`,
			log:     "without its sandbox",
			doctor:  []string{"FAIL  browser", "--no-sandbox"},
			runbook: []string{"docs/runbooks/ProcessDown.md"}},
		{name: "--proxy leads to a port where nothing listens", worker: []string{"--proxy", "http://127.0.0.1:1"},
			alerts:  []string{"MostSitesUnreachable"},
			panel:   [2]string{"Fleet", "Connections not made"},
			shows:   `reason=upstream`,
			doctor:  []string{"FAIL  names", "the proxy does not answer"},
			runbook: []string{"docs/runbooks/MostSitesUnreachable.md"}},
		{name: "--proxy leads to something that is no proxy", worker: []string{"--proxy", "http://127.0.0.1:" + f.nats[0]},
			alerts:  []string{"MostSitesUnreachable"},
			panel:   [2]string{"Fleet", "Connections not made"},
			shows:   `reason=upstream`,
			doctor:  []string{"FAIL  names", "is no http proxy"},
			runbook: []string{"docs/runbooks/MostSitesUnreachable.md"}},
	}
	if err := os.Mkdir(disk, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		fmt.Printf("The full disk is left out: a small one wants root (%v).\n\n", err)
		faults = slices.DeleteFunc(faults, func(x fault) bool { return slices.Contains(x.worker, disk) })
	} else {
		defer syscall.Unmount(disk, 0)
	}
	version, _ := exec.Command(chrome, "--version").Output() // as it says of itself; it is only shown
	fmt.Printf(`# A fleet with something wrong

Made by `+"`make faults`"+`, as root, on %s (%d cores, %s). Three NATS servers, a collector, a worker of two visits at a time and Prometheus, which scrapes each
second; alerts are those of deploy/prometheus but for their `+"`for`"+`, which is five seconds. Each fault is planted in a sweep of 300 sites of the test web; the worker is started
again when it ends, and Prometheus is a new one each time. [operate.md](operate.md#from-alert-to-cause) says how to go on.

`, time.Now().UTC().Format("2 January 2006"), runtime.NumCPU(), strings.TrimSpace(string(version)))
	var wrong []error
	for i, x := range faults {
		if err := f.try(ctx, i, x); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", x.name, err))
			fmt.Printf("**%v**\n\n", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.Join(wrong...)
}

// try plants a fault and shows what says so.
func (f *fleet) try(ctx context.Context, i int, x fault) (err error) {
	soon, stop := context.WithTimeout(ctx, 8*time.Minute) // a limit for a busy machine: on a quiet one all is seen in three
	defer stop()
	fmt.Printf("## %s\n\n", x.name)
	sweep := fmt.Sprintf("fault-%d", i)
	if err := f.pecrawler(ctx, "launch", "--nats", f.url(), "--name", sweep, "--agree-after", "0s", filepath.Join(f.dir, "sites.csv")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.pecrawler(ctx, "cancel", "--nats", f.url(), sweep)) }()
	if err := f.watch(sweep); err != nil {
		return err
	}
	defer f.stop("prometheus")
	if x.plant != nil && !x.later {
		if err := x.plant(); err != nil {
			return err
		}
	}
	if err := f.work(x.worker); err != nil {
		return err
	}
	defer f.stop("worker") // where it was not stopped to read its last words
	if x.later {
		visited := func() bool {
			return len(f.ask(soon, "query", url.Values{"query": {`sum(pecrawler_visits_total) > 2`}})) > 0
		}
		if err := until(soon, visited); err != nil {
			return fmt.Errorf("the worker did not begin: %w", err)
		}
		if err := x.plant(); err != nil {
			return err
		}
	}
	begin := time.Now()
	var missing []error
	fired := map[string]bool{} // some end when the process that they are about has ended
	for _, a := range x.alerts {
		if err := f.fires(soon, a, fired); err != nil {
			missing = append(missing, fmt.Errorf("the alert %s does not fire", a))
		}
	}
	fmt.Printf("Alerts, all within %.0f s:\n\n", time.Since(begin).Seconds())
	for _, a := range slices.Sorted(maps.Keys(fired)) {
		fmt.Printf("- %s\n", a)
	}
	fmt.Printf("\nRunbook: %s.\n\nDashboard *%s*, \"%s\", when they had fired:\n\n", strings.Join(x.runbook, ", "), x.panel[0], x.panel[1])
	shown, err := f.graph(ctx, x.panel)
	if err != nil {
		return err
	}
	for _, s := range shown {
		fmt.Printf("    %s\n", s)
	}
	if !strings.Contains(strings.Join(shown, "\n")+"\n", x.shows) {
		missing = append(missing, fmt.Errorf("the panel does not show %q", x.shows))
	}
	if !named(x.runbook, x.panel) {
		missing = append(missing, errors.New("no runbook names the panel"))
	}
	f.stop("worker")
	words := lastWords(filepath.Join(f.dir, "worker.log"), x.log)
	fmt.Printf("\nLog of the worker:\n\n    %s\n", strings.ReplaceAll(words, f.dir, "DIR"))
	if !strings.Contains(words, x.log) {
		missing = append(missing, fmt.Errorf("the log does not say %q", x.log))
	}
	out, _ := exec.CommandContext(ctx, "bin/pecrawler", f.workerFlags("doctor", x.worker)...).Output()
	fmt.Printf("\n`pecrawler doctor` with the worker's flags:\n\n")
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "ok ") && !strings.HasPrefix(line, "note ") {
			fmt.Printf("    %s", strings.ReplaceAll(line, f.dir, "DIR"))
		}
	}
	for _, d := range x.doctor {
		if !strings.Contains(string(out), d) {
			missing = append(missing, fmt.Errorf("doctor does not say %q", d))
		}
	}
	fmt.Println()
	if x.mend != nil {
		if err := x.mend(); err != nil {
			missing = append(missing, err)
		}
	}
	return errors.Join(missing...)
}

// fleet is what runs: three NATS servers, the test web, a collector, a worker
// that is started again when it ends, and Prometheus.
type fleet struct {
	dir        string
	nats       [3]string // ports
	routes     [3]string
	collect    string
	worker     string
	prometheus string
	lab        []string // flags that lead to the test web
	procs      []*process
}

type process struct {
	name string
	sig  os.Signal          // that ends it
	stop context.CancelFunc // sends it, and keeps it from being started again
	end  chan struct{}      // closed when it has ended
}

func (f *fleet) url() string {
	return "nats://127.0.0.1:" + strings.Join(f.nats[:], ",nats://127.0.0.1:")
}

func (f *fleet) start(ctx context.Context) error {
	for i := range f.nats {
		f.nats[i], f.routes[i] = freePort(), freePort()
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(f.dir, "nats-server"), "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return fmt.Errorf("build nats-server: %w: %s", err, out)
	}
	for i := range f.nats {
		if err := f.startNATS(i); err != nil {
			return err
		}
	}
	var err error
	for range 30 {
		if err = f.pecrawler(ctx, "queue", "check", "--fix", "--nats", f.url(), "--nats-replicas", "3"); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		return err
	}
	labPort := freePort()
	if err := f.run("lab", "bin/pecrawler", "lab", "--lawful", "300", "--listen", "127.0.0.1:"+labPort); err != nil {
		return err
	}
	said := regexp.MustCompile(`--ca (\S+) lab\.csv[\s\S]*Names resolve at\s+(\S+)`)
	for range 100 {
		raw, _ := os.ReadFile(filepath.Join(f.dir, "lab.log"))
		if m := said.FindStringSubmatch(string(raw)); m != nil {
			f.lab = []string{"--proxy", "http://127.0.0.1:" + labPort, "--ca", m[1], "--dns", m[2]}
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if f.lab == nil {
		return errors.New("the test web does not begin; see that npm packages are installed (make setup)")
	}
	resp, err := http.Get("http://127.0.0.1:" + labPort + "/sites.csv")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	list, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.dir, "sites.csv"), list, 0o644); err != nil {
		return err
	}
	f.collect = freePort()
	return f.run("collect", "bin/pecrawler", "collect", "--nats", f.url(), "--out", filepath.Join(f.dir, "desk"), "--listen", "127.0.0.1:"+f.collect)
}

// watch starts Prometheus anew for a worker on another port, so that nothing of
// the fault before is seen.
func (f *fleet) watch(name string) error {
	f.worker, f.prometheus = freePort(), freePort()
	rules, err := os.ReadFile("deploy/prometheus/alerts.yaml")
	if err != nil {
		return err
	}
	rules = regexp.MustCompile(`for: \d+[mh]`).ReplaceAll(rules, []byte("for: 5s"))
	config := fmt.Sprintf(`{global: {scrape_interval: 1s, evaluation_interval: 1s}, rule_files: [alerts.yaml], scrape_configs: [{job_name: pecrawler, static_configs: [{targets: ["127.0.0.1:%s", "127.0.0.1:%s"]}]}]}`, f.worker, f.collect)
	if err := errors.Join(os.WriteFile(filepath.Join(f.dir, "alerts.yaml"), rules, 0o644), os.WriteFile(filepath.Join(f.dir, "prometheus.yaml"), []byte(config), 0o644)); err != nil {
		return err
	}
	return f.run("prometheus", "bin/prometheus", "--config.file="+filepath.Join(f.dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(f.dir, "tsdb-"+name), "--web.listen-address=127.0.0.1:"+f.prometheus)
}

func (f *fleet) startNATS(i int) error {
	name := fmt.Sprintf("nats-%d", i)
	var routes []string
	for _, r := range f.routes {
		routes = append(routes, "nats://127.0.0.1:"+r)
	}
	return f.run(name, filepath.Join(f.dir, "nats-server"), "--name", name, "-a", "127.0.0.1", "-p", f.nats[i], "--cluster_name", "c", "--cluster", "nats://127.0.0.1:"+f.routes[i],
		"--routes", strings.Join(routes, ","), "-js", "-sd", filepath.Join(f.dir, name))
}

func (f *fleet) workerFlags(cmd string, own []string) []string {
	flags := append([]string{cmd, "--nats", f.url(), "--out", filepath.Join(f.dir, "work"), "--slots", "2", "--gap", "0s", "--settle", "500ms"}, f.lab...)
	return append(flags, own...) // the last of a flag counts
}

// work starts a worker and, as a container would, starts it again when it ends.
func (f *fleet) work(own []string) error {
	os.Remove(filepath.Join(f.dir, "worker.log"))
	return f.run("worker", append([]string{"bin/pecrawler"}, append(f.workerFlags("work", own), "--listen", "127.0.0.1:"+f.worker)...)...)
}

// again is how long a worker that has ended waits to be started again.
const again = 2 * time.Second

// run starts a process whose output goes to DIR/name.log.
func (f *fleet) run(name string, args ...string) error {
	ctx, stop := context.WithCancel(context.Background())
	p := &process{name: name, stop: stop, end: make(chan struct{})}
	begin := func() (*exec.Cmd, error) {
		log, err := os.OpenFile(filepath.Join(f.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Cancel = func() error { return cmd.Process.Signal(p.sig) }
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		return cmd, cmd.Start()
	}
	started := make(chan error)
	go func() {
		defer close(p.end)
		cmd, err := begin()
		started <- err
		for err == nil {
			cmd.Wait()
			if name != "worker" {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(again):
			}
			cmd, err = begin()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	f.procs = append(f.procs, p)
	return nil
}

func (f *fleet) end(name string, sig os.Signal) error {
	i := slices.IndexFunc(f.procs, func(p *process) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("%s does not run", name)
	}
	p := f.procs[i]
	f.procs = slices.Delete(f.procs, i, i+1)
	p.sig = sig
	p.stop()
	<-p.end
	return nil
}

func (f *fleet) kill(name string) error { return f.end(name, os.Kill) }
func (f *fleet) stop(name string) error { return f.end(name, syscall.SIGTERM) }

func (f *fleet) stopAll() {
	for len(f.procs) > 0 {
		f.stop(f.procs[len(f.procs)-1].name)
	}
}

func (f *fleet) pecrawler(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "bin/pecrawler", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("pecrawler %s: %w: %s", args[0], err, out)
	}
	return nil
}

// series are what Prometheus answers with.
type series []struct {
	Metric map[string]string
	Value  [2]any   // of a query
	Values [][2]any // of a query of a time
}

func (f *fleet) ask(ctx context.Context, path string, form url.Values) series {
	var answer struct{ Data struct{ Result series } }
	f.get(ctx, path+"?"+form.Encode(), &answer)
	return answer.Data.Result
}

// graph is what a panel of deploy/grafana shows of the last five minutes, a line of
// text for each line of the graph: its name, its last value, and between which it was.
func (f *fleet) graph(ctx context.Context, panel [2]string) (out []string, err error) {
	exprs, err := expressions(panel)
	if err != nil {
		return nil, err
	}
	for _, expr := range exprs {
		expr = strings.ReplaceAll(expr, "$__rate_interval", "1m")
		now := time.Now()
		for _, s := range f.ask(ctx, "query_range", url.Values{"query": {expr}, "start": {fmt.Sprint(now.Add(-5 * time.Minute).Unix())}, "end": {fmt.Sprint(now.Unix())}, "step": {"1"}}) {
			var labels []string
			for k, v := range s.Metric {
				if !strings.HasPrefix(k, "__") && k != "job" {
					labels = append(labels, k+"="+v)
				}
			}
			slices.Sort(labels)
			var all []float64
			for _, v := range s.Values {
				text, _ := v[1].(string)
				if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) {
					all = append(all, n)
				}
			}
			if len(all) > 0 {
				out = append(out, fmt.Sprintf("%s: %.3g (from %.3g to %.3g)", strings.Join(labels, " "), all[len(all)-1], slices.Min(all), slices.Max(all)))
			}
		}
	}
	slices.Sort(out)
	return out, nil
}

// expressions are those of a panel.
func expressions(panel [2]string) (out []string, err error) {
	files, err := filepath.Glob("deploy/grafana/dashboards/*.json")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var doc struct {
			Title  string
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, p := range doc.Panels {
			if doc.Title != "pecrawler: "+panel[0] || p.Title != panel[1] {
				continue
			}
			for _, t := range p.Targets {
				out = append(out, t.Expr)
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("there is no panel %q on a dashboard %q", panel[1], panel[0])
	}
	return out, nil
}

// named tells whether one of the runbooks leads to a panel.
func named(runbooks []string, panel [2]string) bool {
	return slices.ContainsFunc(runbooks, func(file string) bool {
		raw, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(raw), fmt.Sprintf("*%s*, %q", panel[0], panel[1]))
	})
}

// until looks each second, until it is so.
func until(ctx context.Context, so func() bool) error {
	for !so() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}

// fires waits for an alert, and notes all that fire meanwhile.
func (f *fleet) fires(ctx context.Context, alert string, fired map[string]bool) error {
	return until(ctx, func() bool {
		for _, said := range f.firing(ctx) {
			fired[said] = true
		}
		for said := range fired {
			if strings.HasPrefix(said, alert+" ") {
				return true
			}
		}
		return false
	})
}

// firing are the alerts that fire now, with what they say.
func (f *fleet) firing(ctx context.Context) (out []string) {
	var answer struct {
		Data struct {
			Alerts []struct {
				State               string
				Labels, Annotations map[string]string
			}
		}
	}
	f.get(ctx, "alerts", &answer)
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			out = append(out, fmt.Sprintf("%s (%s): %s", a.Labels["alertname"], a.Labels["severity"], a.Annotations["summary"]))
		}
	}
	return out
}

func (f *fleet) get(ctx context.Context, path string, into any) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+f.prometheus+"/api/v1/"+path, nil)
	if err != nil {
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return // it is asked again
	}
	defer resp.Body.Close()
	json.NewDecoder(resp.Body).Decode(into) // what cannot be read is empty, and asked again
}

func freePort() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// fill leaves room for some bundles on a disk of 64 MiB: DiskFilling is to be seen
// before the worker ends.
func fill(dir string) error {
	w, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		return err
	}
	_, err = io.CopyN(w, zeros{}, 58<<20)
	return errors.Join(err, w.Close())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// wrap makes a program that gives Chromium one flag more.
func wrap(file, chrome, flag string) error {
	return os.WriteFile(file, []byte("#!/bin/sh\nexec "+chrome+" "+flag+" \"$@\"\n"), 0o755)
}

// lastWords is the last line of a log that has a text in it, or the last line.
func lastWords(file, text string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	for _, l := range slices.Backward(lines) {
		if strings.Contains(l, text) {
			return l
		}
	}
	return lines[len(lines)-1]
}
