package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const sampleEvery = 30 * time.Second

// watched runs a sweep and writes what its process holds meanwhile to a file, a
// sample a line, so that a long sweep is a soak as well. A sweep that is gone on
// with adds to the file.
func watched(ctx context.Context, cmd *exec.Cmd, file string) error {
	addr, err := freeAddr() // for its metrics
	if err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd.Args = append(cmd.Args, "--listen", addr)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-tick.C:
		}
		visits, heap, goroutines, err := told(ctx, "http://"+addr+"/metrics")
		if err != nil {
			continue // it begins or ends
		}
		if err := json.NewEncoder(out).Encode(sampleOf(cmd.Process.Pid, 0, visits, heap, goroutines)); err != nil {
			fmt.Fprintln(os.Stderr, "bench: a sample is lost:", err)
		}
	}
}

// told reads from the metrics of a process what cannot be seen from outside.
func told(ctx context.Context, url string) (visits int, heap, goroutines float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, 0, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, 0, err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		name, value, _ := strings.Cut(sc.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name, _, _ = strings.Cut(name, "{"); name {
		case "pecrawler_visits_total":
			visits += int(n)
		case "go_memstats_heap_alloc_bytes":
			heap = n
		case "go_goroutines":
			goroutines = n
		}
	}
	return visits, heap, goroutines, sc.Err()
}

// memory writes what was held at parts of each sweep. samples is the file of a sweep.
func memory(w io.Writer, sweeps []string, samples func(sweep string) string) error {
	fmt.Fprintf(w, "\n## Memory during the sweeps\n\nEvery %v, with visits in hand. Our process serves the test web, the queue and the store too, and its heap holds what is yet to be\ncollected; visits are those of the process, and a sweep that was gone on with had several.\n\n| sweep | at | visits |", sampleEvery)
	for _, h := range held() {
		fmt.Fprintf(w, " %s |", strings.TrimSuffix(h.name, " after a collection"))
	}
	fmt.Fprintf(w, "\n|---|---:|%s\n", strings.Repeat("---:|", 1+len(held())))
	for _, name := range sweeps {
		raw, err := os.ReadFile(samples(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var ss []sample
		for line := range bytes.Lines(raw) {
			var s sample
			if json.Unmarshal(line, &s) == nil && len(s.Values) == len(held()) { // the last line of a run that was killed may be cut
				ss = append(ss, s)
			}
		}
		if len(ss) == 0 {
			fmt.Fprintf(w, "| %s | no samples were taken |%s\n", name, strings.Repeat(" |", 1+len(held())))
		}
		for _, part := range []int{10, 25, 50, 75, 100} {
			if len(ss) == 0 {
				break
			}
			s := ss[max(0, len(ss)*part/100-1)]
			fmt.Fprintf(w, "| %s | %d %% | %d |", name, part, s.Visits)
			for i, h := range held() {
				fmt.Fprintf(w, " %s |", strings.TrimSpace(fmt.Sprintf("%.0f %s", s.Values[i], h.unit)))
			}
			fmt.Fprintln(w)
		}
	}
	return nil
}
