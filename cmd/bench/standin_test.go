package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	pc "pecrawler"
)

// The simulation takes the cost of a visit from the page that make bench writes.
func TestCostsAreThoseOfBench(t *testing.T) {
	costs, err := readCosts(filepath.Join("..", "..", "docs", "bench.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range costs {
		if c.cpu < .1 || c.cpu > 60 || c.wall.Seconds() < c.cpu {
			t.Errorf("%s: %v s of CPU in %v", c.page, c.cpu, c.wall)
		}
	}
}

// All visits of a site see the same, or none would ever be confirmed.
func TestVisitsOfASiteAgree(t *testing.T) {
	from := []pc.Verdict{{Overall: pc.Clear}, {Overall: pc.Flagged}, {Overall: pc.Review}}
	one := draw(from, pc.Visit{Sweep: "s", Site: "a.example", Number: 1})
	two := draw(from, pc.Visit{Sweep: "s", Site: "a.example", Number: 2})
	if one.Overall != two.Overall || one.Visit != 1 || two.Visit != 2 || one.Bundles[0] == two.Bundles[0] {
		t.Errorf("first %+v, second %+v", one, two)
	}
}

// When something went wrong the logs are there, and the room of the data is free again.
func TestLogsOfAStageAreKept(t *testing.T) {
	s := newStage(simulation{dir: t.TempDir()}, "pace", "", nil, nil)
	for _, name := range []string{"nats/js/1.blk", "desk/verdicts/s.jsonl", "store.db", "nats.log", "collect.log"} {
		file := filepath.Join(s.at, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("x"), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	left, err := filepath.Glob(filepath.Join(s.at, "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "collect.log" || filepath.Base(left[1]) != "nats.log" {
		t.Errorf("left are %v, %v", left, err)
	}
}
