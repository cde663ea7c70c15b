package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// A worker that is killed in the middle of its visits leaves no process behind,
// and its folders go when the next one starts.
func TestKilledWorkerLeavesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	tmp, err := os.MkdirTemp("", "pc-") // a short name: Chromium keeps a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	os.Chmod(tmp, 0o755) // the browser runs as an ordinary user
	t.Setenv("TMPDIR", tmp)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "sweep", "--lab", "--out", t.TempDir(), "--listen", "127.0.0.1:0", "--slots", "4")
	cmd.Env = append(os.Environ(), "PECRAWLER_TEST_MAIN=1")
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for begin := time.Now(); len(processes(t, tmp, "--type=renderer")) < 3; time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("no pages are open: %q", processes(t, tmp, ""))
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	begin := time.Now()
	for len(processes(t, tmp, "")) > 0 {
		if time.Since(begin) > 5*time.Second {
			t.Fatalf("still there after %v: %q", time.Since(begin), processes(t, tmp, ""))
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("all processes were gone after %v", time.Since(begin))
	if left := profiles(tmp); len(left) != 1 {
		t.Fatalf("folders of the killed browser: %q, want one", left)
	}
	if code, out, _ := pecrawler(t.Context(), t, "", "doctor", "--out", t.TempDir()); code != 0 {
		t.Errorf("doctor: %d\n%s", code, out)
	}
	if left := profiles(tmp); len(left) != 0 {
		t.Errorf("folders after the next start: %q", left)
	}
}

func profiles(dir string) []string {
	m, _ := filepath.Glob(filepath.Join(dir, "pecrawler-chrome-*"))
	return m
}

// processes are the command lines, other than this test's own, that name the
// folder and hold the word.
func processes(t *testing.T, dir, word string) (out []string) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		line, err := os.ReadFile(name)
		if err == nil && bytes.Contains(line, []byte("pecrawler-chrome-")) && bytes.Contains(line, []byte(dir)) && bytes.Contains(line, []byte(word)) {
			out = append(out, string(bytes.ReplaceAll(line[:min(len(line), 200)], []byte{0}, []byte(" "))))
		}
	}
	slices.Sort(out)
	return out
}
