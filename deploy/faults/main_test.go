package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A worker that ends is started again until it is stopped, whenever that is;
// others are not.
func TestStartedAgain(t *testing.T) {
	f := &fleet{dir: t.TempDir()}
	ups := func(name string) int {
		raw, err := os.ReadFile(filepath.Join(f.dir, name+".log"))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(raw), "up")
	}
	for _, name := range []string{"worker", "other"} {
		if err := f.run(name, "sh", "-c", "echo up"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(again + time.Second)
	if ups("worker") != 2 || ups("other") != 1 {
		t.Errorf("the worker began %d times, the other %d", ups("worker"), ups("other"))
	}
	f.stopAll()
	if err := f.run("worker", "sleep", "60"); err != nil {
		t.Fatal(err)
	}
	if err := f.kill("worker"); err != nil {
		t.Error(err)
	}
	if len(f.procs) != 0 {
		t.Errorf("%d are left", len(f.procs))
	}
	if err := f.stop("worker"); err == nil {
		t.Error("what does not run is stopped")
	}
}
