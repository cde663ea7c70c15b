package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// meter tells how much CPU this process and everything it starts have used.
// With cgroup v2 the kernel counts, dead children and their children included.
// Without, the numbers of /proc are added up, which lose what a daemon used.
type meter struct {
	group string // a control group that holds this process; "" when there is none
	home  string // the one that it came from
}

// newMeter moves this process into a control group of its own, if it can. What
// is started before is not counted.
func newMeter() *meter {
	mounts, _ := os.ReadFile("/proc/mounts")
	own, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[2] != "cgroup2" {
			continue
		}
		for line := range strings.Lines(string(own)) {
			at, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
			if !ok {
				continue
			}
			m := &meter{home: filepath.Join(f[1], at)}
			m.group = filepath.Join(m.home, fmt.Sprintf("pecrawler-bench-%d", os.Getpid()))
			if os.Mkdir(m.group, 0o755) != nil {
				return &meter{}
			}
			if enter(m.group) != nil {
				os.Remove(m.group)
				return &meter{}
			}
			return m
		}
	}
	return &meter{}
}

func enter(group string) error {
	return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

func (m *meter) close() {
	if m.group != "" {
		enter(m.home)
		os.Remove(m.group)
	}
}

func (m *meter) how() string {
	if m.group != "" {
		return "CPU is counted by the kernel for the control group of all processes (cgroup v2)"
	}
	return "CPU is added up from /proc, so what a daemon used that has ended is missing"
}

// cpu returns the CPU seconds of this process, and of all that it started.
func (m *meter) cpu() (self, below float64) {
	var u, c syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	self = seconds(u)
	if m.group != "" {
		raw, _ := os.ReadFile(filepath.Join(m.group, "cpu.stat"))
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "usage_usec" {
				n, _ := strconv.ParseFloat(f[1], 64)
				return self, n/1e6 - self
			}
		}
	}
	syscall.Getrusage(syscall.RUSAGE_CHILDREN, &c)
	below = seconds(c)
	for _, p := range descendants(os.Getpid()) {
		below += p.cpu
	}
	return self, below
}

func seconds(u syscall.Rusage) float64 {
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

type process struct {
	pid, parent int
	cpu         float64 // seconds: its own and those of its children that have ended
}

// descendants are the processes below one.
func descendants(root int) []process {
	const hz = 100 // USER_HZ of Linux
	all := map[int]process{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		raw, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		_, rest, ok := bytes.Cut(raw, []byte(") "))
		f := strings.Fields(string(rest))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if !ok || len(f) < 15 || err != nil {
			continue
		}
		num := func(i int) float64 { v, _ := strconv.ParseFloat(f[i], 64); return v }
		all[pid] = process{pid: pid, parent: int(num(1)), cpu: (num(11) + num(12) + num(13) + num(14)) / hz}
	}
	var out []process
	for pid, p := range all {
		for at := p.parent; at > 1; at = all[at].parent {
			if at == root {
				out = append(out, all[pid])
				break
			}
		}
	}
	return out
}

// commandLines are those of all processes, with a zero after each word.
func commandLines() map[int][]byte {
	out := map[int][]byte{}
	names, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err != nil {
			continue // it has just ended
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			out[pid] = line
		}
	}
	return out
}

// pss is the memory of processes in bytes, what they share divided among those
// that share it.
func pss(ps []process) (sum int64) {
	for _, p := range ps {
		sum += memoryOf(p.pid, "smaps_rollup", "Pss")
	}
	return sum
}

// memoryOf is a line of a file that the kernel has of a process, in bytes.
func memoryOf(pid int, file, key string) int64 {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == key+":" {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n << 10
		}
	}
	return 0
}

// peak watches the memory of what this process starts. A process of its own
// does it, started before the meter, because reading it costs CPU that must not
// be counted.
type peak struct {
	cmd *exec.Cmd
	in  io.Closer
	mu  sync.Mutex
	max int64
}

func newPeak(ctx context.Context, except int) (*peak, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &peak{cmd: exec.CommandContext(ctx, exe, "watch", strconv.Itoa(os.Getpid()), strconv.Itoa(except))}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		for sc := bufio.NewScanner(out); sc.Scan(); {
			n, _ := strconv.ParseInt(sc.Text(), 10, 64)
			p.mu.Lock()
			p.max = max(p.max, n)
			p.mu.Unlock()
		}
	}()
	return p, nil
}

// take returns the peak since the last call.
func (p *peak) take() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.max
	p.max = 0
	return n
}

func (p *peak) close() {
	p.in.Close()
	p.cmd.Wait()
}

// watch prints the memory of all processes below one, except a process and
// itself, every second until standard input ends.
func watch(args []string) error {
	if len(args) != 2 {
		return errors.New("watch wants two process ids")
	}
	root, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	except, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	end := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(end) }()
	for {
		var ps []process
		for _, p := range descendants(root) {
			if p.pid != os.Getpid() && p.pid != except {
				ps = append(ps, p)
			}
		}
		fmt.Println(pss(ps))
		select {
		case <-end:
			return nil
		case <-time.After(time.Second):
		}
	}
}
