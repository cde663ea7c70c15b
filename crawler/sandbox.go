package crawler

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// errNoSandbox: Chromium also starts without its sandbox, silently, when a
// wrapper, CHROMIUM_FLAGS or a file of /etc/chromium.d tells it to.
var errNoSandbox = errors.New("the browser runs pages without its sandbox; look for --no-sandbox in /etc/chromium.d, in CHROMIUM_FLAGS and in what --chrome names")

// confinement is what /proc/PID/status says about how a process is held.
type confinement struct {
	pids    int // namespaces of processes that it is within, seen from here
	mode    int // seccomp: 2 is a filter
	filters int // of seccomp; 0 before Linux 5.9, which does not count them
}

func readConfinement(status []byte) (c confinement) {
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		f := strings.Fields(rest)
		switch name {
		case "NSpid":
			c.pids = len(f)
		case "Seccomp":
			c.mode, _ = strconv.Atoi(strings.TrimSpace(rest))
		case "Seccomp_filters":
			c.filters, _ = strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	return c
}

// within tells whether a process is held by more than holds us: a container has
// a filter of its own already.
func (c confinement) within(own confinement) bool {
	return c.pids > own.pids && c.mode == 2 && (c.filters > own.filters || c.filters == 0)
}

// sandboxed proves that every renderer of the browser is in a sandbox.
func (b *Browser) sandboxed() error {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return fmt.Errorf("look at the browser's sandbox: %w", err)
	}
	own := readConfinement(raw)
	seen := 0
	for _, pid := range members(b.cmd.Process.Pid) {
		dir := filepath.Join("/proc", strconv.Itoa(pid))
		if line, _ := os.ReadFile(filepath.Join(dir, "cmdline")); !bytes.Contains(line, []byte("--type=renderer")) {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "status"))
		if err != nil {
			continue // it has just ended
		}
		seen++
		if !readConfinement(raw).within(own) {
			return errNoSandbox
		}
	}
	if seen == 0 {
		return errors.New("the browser has no process for pages, so its sandbox cannot be seen")
	}
	return nil
}
