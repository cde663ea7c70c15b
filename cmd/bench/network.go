package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// network is a bridge with a network namespace for each host (Linux, root,
// iproute2). This process is on the bridge too.
type network struct {
	home   string // our own address
	bridge string
	hosts  []host
}

type host struct{ space, veth, addr string }

// inside is a command line that runs another one in the namespace of the host.
func (h host) inside(args ...string) []string {
	return append([]string{"ip", "netns", "exec", h.space}, args...)
}

// newNetwork makes one of n hosts. The addresses are private and of this run,
// so that two runs do not meet.
func newNetwork(n int) (_ *network, err error) {
	id := os.Getpid() % 250
	w := &network{home: fmt.Sprintf("10.213.%d.1", id), bridge: fmt.Sprintf("pcb%d", os.Getpid())}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := errors.Join(ip("link add %s type bridge", w.bridge), ip("addr add %s/24 dev %s", w.home, w.bridge), ip("link set %s up", w.bridge)); err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	for i := range n {
		h := host{space: fmt.Sprintf("pc%d-%d", os.Getpid(), i), veth: fmt.Sprintf("pcv%d-%d", os.Getpid(), i), addr: fmt.Sprintf("10.213.%d.%d", id, 10+i)}
		w.hosts = append(w.hosts, h)
		for _, step := range []string{
			"netns add " + h.space, "link add " + h.veth + " type veth peer name eth0 netns " + h.space, "link set " + h.veth + " master " + w.bridge + " up",
			"-n " + h.space + " addr add " + h.addr + "/24 dev eth0", "-n " + h.space + " link set lo up", "-n " + h.space + " link set eth0 up",
		} {
			if err := ip("%s", step); err != nil {
				return nil, fmt.Errorf("make a network: %w", err)
			}
		}
	}
	return w, nil
}

func ip(format string, args ...any) error {
	line := fmt.Sprintf(format, args...)
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", line, err, out)
	}
	return nil
}

// cut takes a host off the bridge for a while. Its own link stays up, so that
// nothing tells it: what it sends is lost.
func (w *network) cut(ctx context.Context, host int) error {
	if err := ip("link set %s nomaster", w.hosts[host].veth); err != nil {
		return err
	}
	err := pause(ctx, chaosCut)
	return errors.Join(err, ip("link set %s master %s", w.hosts[host].veth, w.bridge))
}

func (w *network) close() {
	for _, h := range w.hosts {
		ip("netns del %s", h.space) // with its link; a half made network has not all of them
	}
	ip("link del %s", w.bridge)
}

// member is a process that is started again when it ends.
type member struct {
	mu    sync.Mutex
	cmd   *exec.Cmd
	args  []string
	ends  int
	turn  sync.Mutex    // held by whoever starts it
	quit  chan struct{} // closed when it shall not be started again
	ended chan struct{} // closed when it has ended for good
}

// startMember writes the output of a process to DIR/name.log.
func startMember(dir, name string, again time.Duration, env []string, args ...string) (*member, error) {
	m := &member{args: args, quit: make(chan struct{}), ended: make(chan struct{})}
	begin := func() error {
		log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		m.mu.Lock()
		defer m.mu.Unlock()
		cmd := exec.Command(m.args[0], m.args[1:]...)
		cmd.Env = append(os.Environ(), env...)
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is ours; they are stopped in order
		m.cmd = cmd
		return cmd.Start()
	}
	if err := begin(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(m.ended)
		for {
			m.cmd.Wait() // how it ended is in its log
			m.mu.Lock()
			m.ends++
			m.mu.Unlock()
			select {
			case <-m.quit:
				return
			case <-time.After(again):
			}
			m.turn.Lock()
			err := begin()
			m.turn.Unlock()
			if err != nil {
				fmt.Fprintf(os.Stderr, "bench: start %s again: %v\n", name, err)
				return
			}
		}
	}()
	return m, nil
}

// kill ends the process at once, and says which it was.
func (m *member) kill() (pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cmd.Process.Kill()
	return m.cmd.Process.Pid
}

// swap ends the process politely; another program takes its place after between.
// It returns how long the end took and whether the process ended without a fault.
func (m *member) swap(ctx context.Context, between func() error, args ...string) (took time.Duration, clean bool, err error) {
	m.turn.Lock()
	defer m.turn.Unlock()
	ends, begin := m.times(), time.Now()
	m.mu.Lock()
	was := m.cmd
	was.Process.Signal(syscall.SIGTERM)
	m.mu.Unlock()
	for m.times() == ends {
		if took = time.Since(begin); took > 2*time.Minute {
			return took, false, fmt.Errorf("%s has not ended for %v", strings.Join(m.args, " "), took)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return took, false, err
		}
	}
	took, clean = time.Since(begin), was.ProcessState.Success()
	m.mu.Lock()
	m.args = args
	m.mu.Unlock()
	return took, clean, between()
}

// pid is the process that it is now.
func (m *member) pid() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cmd.Process.Pid
}

// times is how often it has ended.
func (m *member) times() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ends
}

// stop ends the process for good, politely at first.
func (m *member) stop() {
	close(m.quit)
	m.mu.Lock()
	m.cmd.Process.Signal(syscall.SIGTERM)
	m.mu.Unlock()
	select {
	case <-m.ended:
	case <-time.After(30 * time.Second):
		m.kill()
		<-m.ended
	}
}
