package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/crawler"
)

// The pages that are measured, by weight.
func reference() []struct{ weight, site string } {
	return []struct{ weight, site string }{{"small", "plain-parish.example"}, {"medium", "daily-lantern-news.example"}, {"big", "grand-bazaar.example"}}
}

// What a visit should cost at most, or bring at least.
const (
	wantOfBare  = 0.8 // of the CPU of bare browsers that load as many pages
	wantShare   = 5.0 // percent of the CPU that is our own process
	wantSmall   = 3.0 // CPU seconds of the three scenarios of the small page
	wantPerHour = 200 // big sites an hour and core
	atOnce      = 8   // visits at the same time, when throughput is measured
	crowd       = 20  // visits then
)

// use is what something took.
type use struct{ ours, chrome, wall float64 }

func (u use) cpu() float64 { return u.ours + u.chrome }

func (u *use) add(v use) { u.ours += v.ours; u.chrome += v.chrome; u.wall += v.wall }

// stages is a sink that reads the meter whenever a part of a visit is done.
type stages struct {
	m        *meter
	mu       sync.Mutex
	self     float64
	below    float64
	at       time.Time
	by       map[string]use
	captures [][]byte
}

// loads is how many pages the browser loaded. It is asked when all has been
// measured: decoding is not part of a visit.
func (s *stages) loads() (n int, err error) {
	for _, data := range s.captures {
		var c pc.Capture
		if err := json.Unmarshal(data, &c); err != nil {
			return 0, err
		}
		for _, m := range c.Marks {
			if m.Name == pc.MarkLoad || m.Name == pc.MarkReload || m.Name == pc.MarkInner {
				n++
			}
		}
	}
	return n, nil
}

func newStages(m *meter) *stages {
	s := &stages{m: m, by: map[string]use{}, at: time.Now()}
	s.self, s.below = m.cpu()
	return s
}

// Add implements [crawler.Sink].
func (s *stages) Add(name string, data []byte) error {
	stage, part, _ := strings.Cut(name, "/")
	if stage != "look.json" && part != "capture.json" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	self, below := s.m.cpu()
	u := s.by[strings.TrimSuffix(stage, ".json")]
	u.add(use{self - s.self, below - s.below, time.Since(s.at).Seconds()})
	s.by[strings.TrimSuffix(stage, ".json")] = u
	s.self, s.below, s.at = self, below, time.Now()
	if part == "capture.json" {
		s.captures = append(s.captures, data)
	}
	return nil
}

// cost measures visits beside bare browsers that load as many pages.
func cost(ctx context.Context, w io.Writer, bin string, n int) error {
	web, err := startLab(ctx, bin)
	if err != nil {
		return err
	}
	defer web.stop()
	mem, err := newPeak(ctx, web.pid)
	if err != nil {
		return err
	}
	defer mem.close()
	m := newMeter()
	defer m.close()
	up, err := url.Parse(web.proxy)
	if err != nil {
		return err
	}
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	home, err := bareHome(ctx, web.ca)
	if err != nil {
		return err
	}
	defer os.RemoveAll(home)
	crawler.Tune()
	c := crawler.New(crawler.Config{Proxy: up, CAFile: web.ca, Tool: "bench", Recycle: 1 << 20, Memory: 8 << 30}, chooser{cls}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	defer c.Close()
	if _, err := c.Start(ctx); err != nil {
		return err
	}
	visit := func(ctx context.Context, site string, number int, sink crawler.Sink) error {
		return c.Visit(ctx, pc.Visit{Sweep: "bench", Site: site, URL: "https://" + site + "/", Number: number, Scenarios: pc.Scenarios}, sink)
	}
	type row struct {
		weight, site string
		by           map[string]use
		sum, bare    use
		loads        float64
		memory       int64
	}
	var rows []row
	k := 1 / float64(n)
	for _, ref := range reference() {
		// Once uncounted: the first of everything is slow.
		if err := visit(ctx, ref.site, 0, newStages(m)); err != nil {
			return err
		}
		r := row{weight: ref.weight, site: ref.site, by: map[string]use{}}
		mem.take()
		for i := range n {
			s := newStages(m)
			if err := visit(ctx, ref.site, i+1, s); err != nil {
				return err
			}
			for name, u := range s.by {
				u = use{u.ours * k, u.chrome * k, u.wall * k}
				sum := r.by[name]
				sum.add(u)
				r.by[name] = sum
				r.sum.add(u)
			}
			loads, err := s.loads()
			if err != nil {
				return err
			}
			r.loads += float64(loads) * k
			r.memory = max(r.memory, mem.take())
			for range loads { // in turn, so that both meet the same machine
				u, err := bare(ctx, m, web.proxy, home, "https://"+ref.site+"/")
				if err != nil {
					return err
				}
				r.bare.add(use{0, u.chrome * k, u.wall * k})
			}
			mem.take()
		}
		fmt.Fprintf(os.Stderr, "%s: %+v\n", ref.weight, r)
		rows = append(rows, r)
	}

	// How many visits does a busy machine make?
	mem.take()
	begin := time.Now()
	self, below := m.cpu()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	big := rows[len(rows)-1]
	for i := range crowd {
		g.Go(func() error { return visit(gctx, big.site, 100+i, &discard{}) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	self2, below2 := m.cpu()
	many := use{(self2 - self) / crowd, (below2 - below) / crowd, time.Since(begin).Seconds()}
	crowdMemory := mem.take()
	cores := float64(runtime.NumCPU())
	perHour := crowd / many.wall * 3600 / cores

	fmt.Fprintf(w, `# What a visit costs

Made by %smake bench%s; %d visits of each page, one at a time, in a browser that runs already. A visit is the plain look and three
scenarios; refusing and accepting go on to a reload and an inner page where there is something to press. **Bare** is
%schromium --headless=new --screenshot%s of the same page through the same proxy, a fresh profile each time, as often as the visit
loads a page; both take turns. %s; the test web is not counted. Wall times and
throughput suffer from whatever else the machine does; the CPU and its ratios hardly do.

| page | CPU of a visit | of it our process | loads | bare, as many loads | **visit / bare** | wall | peak memory (PSS) |
|---|---:|---:|---:|---:|---:|---:|---:|
`, "`", "`", n, "`", "`", m.how())
	for _, r := range rows {
		fmt.Fprintf(w, "| %s: %s | %.2f s | %.2f s (%.1f %%) | %.0f | %.2f s | **%.2f×** | %.1f s | %d MB |\n", r.weight, r.site, r.sum.cpu(), r.sum.ours, 100*r.sum.ours/r.sum.cpu(), r.loads, r.bare.cpu(), r.sum.cpu()/r.bare.cpu(), r.sum.wall, r.memory>>20)
	}
	fmt.Fprintf(w, "\n| CPU by stage (wall) | look | idle | reject | accept |\n|---|---:|---:|---:|---:|\n")
	for _, r := range rows {
		fmt.Fprintf(w, "| %s |", r.weight)
		for _, stage := range []string{"look", "idle", "reject", "accept"} {
			fmt.Fprintf(w, " %.2f s (%.1f s) |", r.by[stage].cpu(), r.by[stage].wall)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "\n%d visits of the big page, %d at once, took %.0f s: **%.0f sites an hour and core**, %.2f CPU s each, peak memory %d MB. The CPU alone\nwould allow %.0f.\n\n", crowd, atOnce, many.wall, perHour, many.cpu(), crowdMemory>>20, 3600/many.cpu())
	worst, share := 0.0, 0.0
	for _, r := range rows {
		worst, share = max(worst, r.sum.cpu()/r.bare.cpu()), max(share, 100*r.sum.ours/r.sum.cpu())
	}
	small := rows[0].sum.cpu() - rows[0].by["look"].cpu()
	fmt.Fprintf(w, "| wanted | measured | |\n|---|---:|---|\n")
	checks{
		{fmt.Sprintf("at most %.1f× of bare, every page", wantOfBare), fmt.Sprintf("%.2f×", worst), worst <= wantOfBare},
		{fmt.Sprintf("our process below %.0f %%, every page", wantShare), fmt.Sprintf("%.1f %%", share), share < wantShare},
		{fmt.Sprintf("three scenarios of the small page below %.0f CPU s", wantSmall), fmt.Sprintf("%.2f s", small), small < wantSmall},
		{fmt.Sprintf("%d sites an hour and core, big page", wantPerHour), fmt.Sprintf("%.0f", perHour), perHour >= wantPerHour},
	}.rows(w)
	fmt.Fprintf(w, `
Chromium's loading of pages dominates: a reload and an inner page cost as much as the page itself. Our own share is the decoding of
events and page trees, and the egress proxy's copying; on light pages the fixed part of it weighs more. Looking for a late banner by
whole page trees was measured apart (ten times as many of them): a tree costs 1 ms of CPU on the small page and 4 ms on the big one,
seven of them 2 to 3 %% of a scenario. A signal of change before each would save less than that and could miss closed shadow roots and
frames, so there is none. What would lower the cost, in the order of what it would bring: the small engine (chromium-headless-shell:
about a third less, but not the browser that people use), no inner page, no picture after the choice.

%s
`, machine())
	return nil
}

// bareHome makes what a bare browser needs beside its profile: the lab's
// certificate authority, as its user finds it.
func bareHome(ctx context.Context, ca string) (_ string, err error) {
	dir, err := os.MkdirTemp("", "bench-bare-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	nss := filepath.Join(dir, ".pki", "nssdb")
	if err := os.MkdirAll(nss, 0o755); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"-N", "--empty-password", "-d", "sql:" + nss}, {"-A", "-d", "sql:" + nss, "-n", "lab", "-t", "C,,", "-i", ca}} {
		if out, err := exec.CommandContext(ctx, "certutil", args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("trust %s: %w: %s", ca, err, out)
		}
	}
	return dir, giveAway(dir)
}

const nobody = 65534

// giveAway makes a folder the browser's, which is not run as root because its
// sandbox needs an ordinary user.
func giveAway(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return filepath.WalkDir(dir, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	})
}

// bare takes a picture of a page with a browser that nothing else is asked of.
func bare(ctx context.Context, m *meter, proxy, home, page string) (use, error) {
	dir, err := os.MkdirTemp(home, "run-")
	if err != nil {
		return use{}, err
	}
	defer os.RemoveAll(dir)
	if err := giveAway(dir); err != nil {
		return use{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	path := "/usr/lib/chromium/chromium" // as the crawler does: Debian's wrapper adds flags
	if _, err := os.Stat(path); err != nil {
		path = "chromium"
	}
	shot := filepath.Join(dir, "shot.png")
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--screenshot="+shot, "--window-size=1366,900", "--no-first-run", "--proxy-server="+strings.TrimPrefix(proxy, "http://"),
		"--user-data-dir="+filepath.Join(dir, "profile"), page)
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + dir, "PATH=" + os.Getenv("PATH"), "DBUS_SESSION_BUS_ADDRESS=disabled:"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if os.Geteuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	begin := time.Now()
	_, before := m.cpu()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return use{}, fmt.Errorf("bare browser: %w: %s", err, out)
	}
	_, after := m.cpu()
	if st, err := os.Stat(shot); err != nil || st.Size() < 5000 {
		return use{}, errors.Join(fmt.Errorf("the bare browser took no picture of %s: %s", page, out), err)
	}
	return use{0, after - before, time.Since(begin).Seconds()}, nil
}
