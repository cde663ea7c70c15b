package crawler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/target"
)

// A page can keep its renderer busy for ever, fill the memory, or take the
// browser with it. What is done about it gets harsher step by step, and each
// step has a time limit of its own, because whatever hangs does not answer:
//
//	script    the running script is ended, and what was wanted is tried once more
//	page      the page is closed
//	context   its browser context is disposed of
//	browser   the process group is killed; its other scenarios go back to the queue
//	memory    the renderer that holds most is killed, when the browser holds too much
const (
	pingLimit    = time.Second
	haltLimit    = 1500 * time.Millisecond
	closeLimit   = 2 * time.Second
	disposeLimit = 3 * time.Second
	rootLimit    = 5 * time.Second
)

var errStuck = errors.New("the page does not answer, and ending its script did not help")

// insist takes evidence of the page. When that takes longer than the limit
// because the page keeps itself busy, the running script is ended and the
// evidence is taken once more. A page that is stuck even so is not asked again:
// every later question would cost its whole limit.
func (t *tab) insist(ctx context.Context, limit time.Duration, take func(context.Context) error) error {
	if err := t.trouble(); errors.Is(err, errStuck) || errors.Is(err, errCrashed) {
		return err
	}
	late := func() (bool, error) {
		tctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		go func() {
			select {
			case <-t.dead: // nothing will be answered any more
				cancel()
			case <-tctx.Done():
			}
		}()
		err := take(tctx)
		if terr := t.trouble(); err != nil && errors.Is(terr, errCrashed) {
			return false, terr
		}
		return err != nil && tctx.Err() != nil && ctx.Err() == nil, err
	}
	over, err := late()
	if !over || t.answers(ctx) {
		return err
	}
	t.b.met.rescues.WithLabelValues("script").Inc()
	t.halted.CompareAndSwap(0, max(t.at(), 1))
	hctx, cancel := context.WithTimeout(ctx, haltLimit)
	t.page.Call(hctx, "Runtime.terminateExecution", nil, nil) // whether it helped is seen by the next try
	cancel()
	if over, err = late(); over && !t.answers(ctx) && ctx.Err() == nil {
		t.stuck.Store(true)
		return fmt.Errorf("%w: %w", errStuck, err)
	}
	return err
}

// answers tells whether the page's own thread is free.
func (t *tab) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	return t.page.Call(ctx, "Runtime.evaluate", map[string]any{"expression": "0"}, nil) == nil
}

// leave ends the page and its context, by harsher means each time.
func (b *Browser) leave(ctx context.Context, t *tab) {
	ctx = context.WithoutCancel(ctx)
	step := func(limit time.Duration, method string, params any) error {
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		return b.root.Call(ctx, method, params, nil)
	}
	if t.stuck.Load() {
		b.met.rescues.WithLabelValues("page").Inc()
		t.mu.Lock()
		main := t.main
		t.mu.Unlock()
		step(closeLimit, "Target.closeTarget", target.CloseTargetParams{TargetID: main}) // the context is disposed of whether or not it closed
	}
	if step(disposeLimit, "Target.disposeBrowserContext", target.DisposeBrowserContextParams{BrowserContextID: t.id}) != nil {
		b.met.rescues.WithLabelValues("context").Inc()
		b.worn.Store(true) // it may linger, so this browser gets no more scenarios
		if !b.alive(ctx) {
			b.met.rescues.WithLabelValues("browser").Inc()
			b.kill()
		}
	}
	t.forget()
}

// kill ends the process group at once. Whoever uses the browser sees the end of
// the connection.
func (b *Browser) kill() {
	syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // what outlived the first process of the group still goes by its number
}

// watchMemory looks at what the browser holds until it ends. Near the limit it
// is given no more scenarios, so that it is replaced; beyond the limit, the
// renderer that holds most is killed, which costs one page and not its
// neighbours.
func (b *Browser) watchMemory(limit int64) {
	// Adding up a process group means looking at every process of the machine, so it is done when
	// the machine's free memory has fallen by much, and now and then.
	const slow = 15 * time.Second
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var held, free int64
	var last time.Time
	defer func() { b.met.memory.Sub(float64(held)) }()
	for {
		select {
		case <-b.exited:
			return
		case <-tick.C:
		}
		if f := freeMemory(); time.Since(last) < slow && free-f < limit/8 && held < limit*3/4 {
			continue
		}
		last, free = time.Now(), freeMemory()
		now, biggest := groupMemory(b.cmd.Process.Pid)
		b.met.memory.Add(float64(now - held)) // a browser that is being replaced counts beside the new one
		held = now
		if held > limit*3/4 {
			b.worn.Store(true)
		}
		if held > limit && biggest > 0 {
			b.met.rescues.WithLabelValues("memory").Inc()
			b.log.Warn("the browser holds too much memory; its biggest page was ended", "bytes", held)
			syscall.Kill(biggest, syscall.SIGKILL)
		}
	}
}

// freeMemory is what the machine has left, in bytes.
func freeMemory() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(uint64(info.Freeram) * uint64(info.Unit))
}

// groupMemory returns the bytes that the processes of a group hold, and the
// renderer among them that holds most. Memory that processes share is counted
// once, by the one that shows most of it: the exact share of each (PSS) costs
// the kernel a hundred times as much to find, and a sandboxed renderer's may
// not be read by an ordinary user.
func groupMemory(group int) (held int64, biggest int) {
	var shared, most int64
	for _, pid := range members(group) {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		raw, err := os.ReadFile(filepath.Join(dir, "statm"))
		f := strings.Fields(string(raw))
		if err != nil || len(f) < 3 {
			continue // it has just ended
		}
		pages := func(i int) int64 { n, _ := strconv.ParseInt(f[i], 10, 64); return n * int64(os.Getpagesize()) }
		own := pages(1) - pages(2)
		held += own
		shared = max(shared, pages(2))
		if own > most {
			if line, _ := os.ReadFile(filepath.Join(dir, "cmdline")); bytes.Contains(line, []byte("--type=renderer")) {
				most, biggest = own, pid
			}
		}
	}
	return held + shared, biggest
}

// members are the processes of a group. The kernel is asked for the group of
// each, which costs a small part of reading a file of it.
func members(group int) (pids []int) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if g, err := syscall.Getpgid(pid); err == nil && g == group {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// gone tells whether the browser has ended.
func (b *Browser) gone() bool {
	select {
	case <-b.exited:
		return true
	default:
		return false
	}
}

// alive tells whether the browser still answers.
func (b *Browser) alive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, rootLimit)
	defer cancel()
	return b.root.Call(ctx, "Browser.getVersion", nil, nil) == nil
}
