package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Work is the processor time that this process has used until now, and with it
// the processes of a server; nil: there is none. Unlike the time on the clock it
// does not tell how busy the machine is with something else.
func Work(t testing.TB, s *Server) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	sum := time.Duration(u.Utime.Nano() + u.Stime.Nano())
	if s == nil {
		return sum
	}
	theirs, err := s.work()
	if err != nil {
		t.Fatal(err)
	}
	return sum + theirs
}

// work is that of the server: of the processes that it has now by /proc/PID/schedstat,
// in nanoseconds, and of those that have ended by what /proc/PID/stat has of its children.
func (s *Server) work() (sum time.Duration, err error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs on Linux
	head := strconv.Itoa(s.cmd.Process.Pid)
	stat, err := statOf(head)
	if err != nil {
		return 0, err
	}
	for _, f := range stat[13:15] { // cutime, cstime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%s/stat: %w", head, err)
		}
		sum += time.Duration(n) * tick
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range all {
		pid := filepath.Base(dir)
		stat, err := statOf(pid)
		if err != nil || pid != head && stat[1] != head {
			continue // it has just ended, or is somebody else's
		}
		raw, err := os.ReadFile(filepath.Join(dir, "schedstat"))
		if os.IsNotExist(err) {
			continue
		}
		on, _, _ := strings.Cut(string(raw), " ")
		n, err2 := strconv.ParseInt(on, 10, 64)
		if err != nil || err2 != nil {
			return 0, fmt.Errorf("%s/schedstat: %q, %w", dir, raw, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// statOf are the fields of /proc/PID/stat from the state on, which is the first
// behind the name; the name may hold anything.
func statOf(pid string) ([]string, error) {
	raw, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
	if len(fields) < 15 {
		return nil, fmt.Errorf("/proc/%s/stat: %q", pid, raw)
	}
	return fields, nil
}
