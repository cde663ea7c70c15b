package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	pc "pecrawler"
	"pecrawler/queue"
)

// buffer is a writer that can be looked at meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// The example reads what the product publishes, goes on where it was, and leaves
// what it does not know.
func TestFollow(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Listen: addr, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	flag := func(site string) {
		v := pc.Verdict{Schema: pc.VerdictSchema, Sweep: "uk", Site: site, Visits: 2, Agreeing: 2, Overall: pc.Flagged, Bundles: []string{"sha256:x"},
			Findings: []pc.Finding{{Rule: "pre-ad-storage", Outcome: pc.Fail, Cites: []string{"PECR reg 6(1)"}}, {Rule: "other", Outcome: pc.Pass}}}
		if err := q.PublishVerdict(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	nc, err := nats.Connect("nats://"+addr, nats.CustomInboxPrefix("_INBOX_reviewer"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	newer := nats.NewMsg("pecrawler.flagged.uk.newer")
	newer.Header.Set("Pecrawler-Schema", "2")
	newer.Data = []byte(`{"schema":2,"site":{"name":"of another form"}}`)
	if _, err := nc.RequestMsg(newer, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	run := func(want string) {
		t.Helper()
		ctx, stop := context.WithCancel(t.Context())
		var out buffer
		done := make(chan error, 1)
		go func() { done <- follow(ctx, nc, io.Writer(&out)) }()
		for begin := time.Now(); out.String() != want && time.Since(begin) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
		}
		time.Sleep(300 * time.Millisecond)
		stop()
		<-done
		if got := out.String(); got != want {
			t.Errorf("got\n%s, want\n%s", got, want)
		}
	}
	flag("a.example")
	run("uk,a.example,2,2,pre-ad-storage (PECR reg 6(1)),sha256:x\n")
	flag("=cmd.example")
	run("uk,'=cmd.example,2,2,pre-ad-storage (PECR reg 6(1)),sha256:x\n")
	if strings.Contains(plain("plain"), "'") {
		t.Error("a plain field was changed")
	}
}
