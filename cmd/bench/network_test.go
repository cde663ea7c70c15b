package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A program that is told to end is replaced by another, once, with what has to
// be done between, and is not started again itself.
func TestSwap(t *testing.T) {
	for name, c := range map[string]struct {
		old   string
		clean bool
	}{
		"ends by itself": {"trap 'exit 0' TERM; echo old; while :; do sleep 0.05; done", true},
		"with a fault":   {"trap 'exit 3' TERM; echo old; while :; do sleep 0.05; done", false},
	} {
		dir := t.TempDir()
		log := func() string {
			raw, _ := os.ReadFile(filepath.Join(dir, "m.log"))
			return string(raw)
		}
		until := func(want string) {
			t.Helper()
			for begin := time.Now(); log() != want; time.Sleep(20 * time.Millisecond) {
				if time.Since(begin) > 10*time.Second {
					t.Fatalf("%s: the log is %q, want %q", name, log(), want)
				}
			}
		}
		m, err := startMember(dir, "m", 50*time.Millisecond, nil, "sh", "-c", c.old)
		if err != nil {
			t.Fatal(err)
		}
		until("old\n")
		between := 0
		_, clean, err := m.swap(t.Context(), func() error {
			between++
			time.Sleep(200 * time.Millisecond) // longer than until it would be started again
			return nil
		}, "sh", "-c", "echo new; exec sleep 60")
		if err != nil || clean != c.clean || between != 1 {
			t.Errorf("%s: clean %t, %d times between, %v", name, clean, between, err)
		}
		until("old\nnew\n")
		m.stop()
		if n := strings.Count(log(), "\n"); n != 2 {
			t.Errorf("%s: the log is %q at the end", name, log())
		}
	}
}
