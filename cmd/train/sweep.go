package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/lab"
	"pecrawler/rules"
)

// sweepMarks is how captures of the test web were read, whose truth is known.
type sweepMarks struct {
	Visits, Captures int
	Slices           map[string]map[string]*lab.Slice
	CPU              []float64 `json:"cpu_ms_per_capture"` // of forming all opinions: median, 95 of 100, most
	score            *lab.Score
}

// timed notes what it costs to form the opinions about a visit.
type timed struct {
	*classifier.Classifier
	captures int
	took     []float64 // milliseconds of CPU for each capture
}

func (t *timed) Annotate(look pc.Look, captures map[pc.Scenario]*pc.Capture, page func(string) (*pc.Page, error)) pc.Annotations {
	pages := map[string]*pc.Page{} // to unpack and decode them is no opinion
	for _, c := range captures {
		for _, s := range c.Pages {
			if p, err := page(s.Tree); err == nil {
				pages[s.Tree] = p
			}
		}
	}
	begin := cpu()
	a := t.Classifier.Annotate(look, captures, func(path string) (*pc.Page, error) {
		if p := pages[path]; p != nil {
			return p, nil
		}
		return page(path)
	})
	if n := len(captures); n > 0 {
		t.captures += n
		t.took = append(t.took, float64((cpu()-begin).Microseconds())/1000/float64(n))
	}
	return a
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// sweep opens what was sealed on sweeps of the test web again, and compares what
// this classifier says of it with the truth. dir is the data folder of a sweep,
// or a folder of such folders.
func (a *accuracy) sweep(ctx context.Context, dir string, cls *classifier.Classifier) error {
	if dir == "" {
		a.Missing = append(a.Missing, "banners, controls and purposes on the test web (SWEEP=data folder of a sweep of it)")
		return nil
	}
	folders, err := filepath.Glob(filepath.Join(dir, "*", "verdicts.jsonl"))
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "verdicts.jsonl")); err == nil {
		folders = append(folders, filepath.Join(dir, "verdicts.jsonl"))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(folders) == 0 {
		return fmt.Errorf("%s holds no sweep; pecrawler sweep --lab --out %s makes one", dir, dir)
	}
	set, err := rules.Load()
	if err != nil {
		return err
	}
	t := &timed{Classifier: cls}
	var verdicts []pc.Verdict
	for _, file := range folders {
		v, err := judgeAgain(ctx, file, t, set)
		if err != nil {
			return err
		}
		verdicts = append(verdicts, v...)
		fmt.Fprintln(os.Stderr, "judged again:", len(v), "visits of", filepath.Dir(file))
	}
	sites, err := lab.Sites(lab.Plan{Seed: 1, Written: true, Hostile: true, Mutants: true, Lawful: lab.MostLawful})
	if err != nil {
		return err
	}
	score, err := lab.NewScore(sites, verdicts)
	if err != nil {
		return err
	}
	score.Details(os.Stderr, 100)
	slices.Sort(t.took)
	n := len(t.took)
	a.Sweep = &sweepMarks{Visits: len(verdicts), Captures: t.captures, Slices: score.Slices, score: score}
	if n > 0 {
		a.Sweep.CPU = []float64{t.took[n/2], t.took[n*95/100], t.took[n-1]}
	}
	return nil
}

// judgeAgain judges the bundles of the sweep whose verdicts a file has.
func judgeAgain(ctx context.Context, file string, t *timed, set *rules.Set) ([]pc.Verdict, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	words, err := lab.ReadVerdicts(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	vault, err := evidence.OpenVault(ctx, filepath.Join(filepath.Dir(file), "evidence"))
	if err != nil {
		return nil, err
	}
	defer vault.Close()
	var out []pc.Verdict
	for _, w := range words {
		for _, digest := range w.Bundles {
			b, err := vault.Open(ctx, digest)
			if err != nil {
				return nil, err
			}
			out = append(out, pipeline.Judge(b, t, set, ""))
		}
	}
	return out, nil
}

func (m *sweepMarks) markdown(w io.Writer) {
	if m == nil {
		return
	}
	fmt.Fprintf(w, "\n## Whole captures: the test web\n\n%d visits with %d captures of sweeps of our own test web, whose truth is known, opened again and read by this classifier (`pecrawler sweep\n--lab --lawful 1000 --mutants --hostile --out DIR`, then `make eval SWEEP=DIR`). The sites are ours: they show whether one kind of site fares worse than another, not\nhow often a foreign banner is found.\n\n", m.Visits, m.Captures)
	m.score.MarkdownSlices(w)
	if len(m.CPU) == 3 {
		fmt.Fprintf(w, "\nTo form all opinions about a capture took %.1f ms of CPU in the middle, %.1f ms or less for 95 of 100 visits, and %.1f ms at most.\n", m.CPU[0], m.CPU[1], m.CPU[2])
	}
}

// fairness says how far slices of the test web are apart.
func (m *sweepMarks) fairness(w io.Writer) {
	if m == nil {
		return
	}
	fmt.Fprintf(w, "On the test web, by consent manager, layout, place, language and kind of site, among slices with at least %d:\n\n", enough)
	for _, what := range []struct {
		name string
		of   func(*lab.Slice) lab.Share
	}{{"banners found", func(s *lab.Slice) lab.Share { return s.Found }}, {"roles of controls", func(s *lab.Slice) lab.Share { return s.Roles }}, {"purposes, of those answered", func(s *lab.Slice) lab.Share { return s.Purposes }}} {
		low, high, worst := 2.0, -1.0, ""
		for _, by := range slices.Sorted(maps.Keys(m.Slices)) {
			for _, name := range slices.Sorted(maps.Keys(m.Slices[by])) {
				x := what.of(m.Slices[by][name])
				if x.N < enough {
					continue
				}
				if x.Value() < low {
					low, worst = x.Value(), by+" "+name
				}
				high = max(high, x.Value())
			}
		}
		if worst != "" {
			fmt.Fprintf(w, "- %s: from %.1f %% (%s) to %.1f %%\n", what.name, 100*low, worst, 100*high)
		}
	}
	fmt.Fprintln(w)
}

// enough is how many there must be for a slice to be compared.
const enough = 30
