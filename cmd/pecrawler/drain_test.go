package main

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/queue"
)

// A worker that is told to end gives back at once what it has in hand, which
// counts as no attempt, and ends without a fault.
func TestAWorkerThatIsToldToEndGivesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	url := cluster(t)
	q, err := queue.Open(t.Context(), queue.Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	site, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	begun := make(chan struct{})
	go func() {
		first := sync.OnceFunc(func() { close(begun) })
		for {
			c, err := site.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			first()
		}
	}()
	tmp, err := os.MkdirTemp("", "pc-") // a short name: Chromium keeps a socket below it
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	os.Chmod(tmp, 0o755) // the browser runs as an ordinary user
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command(exe, "work", "--nats", url, "--out", t.TempDir(), "--listen", "127.0.0.1:0", "--slots", "1", "--allow", "127.0.0.0/8")
	cmd.Env = append(os.Environ(), "PECRAWLER_TEST_MAIN=1", "TMPDIR="+tmp)
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	if err := q.AddVisits(t.Context(), []pc.Visit{{Sweep: "s", Site: "a.example", URL: "http://" + site.Addr().String() + "/", Number: 1, Scenarios: pc.Scenarios}}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-begun:
	case <-time.After(time.Minute):
		t.Fatal("no visit was begun")
	}
	told := time.Now()
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &said)
	}
	if took := time.Since(told); took > 30*time.Second {
		t.Errorf("it took %v to end", took)
	}
	job, err := q.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(told); took > 40*time.Second { // a minute: it came back by itself
		t.Errorf("the visit came back after %v", took)
	}
	if job.Visit.Site != "a.example" || job.Attempt != 1 {
		t.Errorf("%s is there, attempt %d; want the first of a.example", job.Visit.Site, job.Attempt)
	}
	if err := job.Return(0); err != nil {
		t.Error(err)
	}
}
