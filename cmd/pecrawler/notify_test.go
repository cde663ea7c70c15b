package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	pc "pecrawler"
	"pecrawler/queue"
)

// Each flagged site comes to the webhook, also when that was away for a while or
// the program was ended meanwhile, with the same id each time.
func TestNotify(t *testing.T) {
	at := cluster(t)
	q, err := queue.Open(t.Context(), queue.Config{URL: at, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	for _, v := range []pc.Verdict{{Site: "a.example", Overall: pc.Flagged}, {Site: "clear.example", Overall: pc.Clear}, {Site: "b.example", Overall: pc.Flagged}} {
		v.Schema, v.Sweep, v.Visits = pc.VerdictSchema, "uk", 2
		if err := q.PublishVerdict(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	away := true
	ids, taken := map[string]map[string]int{}, map[string]int{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		var v pc.Verdict
		if err != nil || json.Unmarshal(raw, &v) != nil || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("sent: %v %.200s", r.Header, raw)
		}
		mu.Lock()
		defer mu.Unlock()
		if ids[v.Site] == nil {
			ids[v.Site] = map[string]int{}
		}
		ids[v.Site][r.Header.Get("webhook-id")]++
		if away {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		taken[v.Site]++
	}))
	defer srv.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 24)))), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int, 1)
		var said told
		go func() {
			done <- run(ctx, []string{"notify", "--nats", at, "--webhook", srv.URL + "/secret-path", "--webhook-secret", secret, "--listen", "127.0.0.1:0"}, env{strings.NewReader(""), io.Discard, &said})
		}()
		return func() {
			cancel()
			if code := <-done; code != 0 || strings.Contains(said.String(), "secret-path") {
				t.Errorf("notify: %d\n%s", code, said.String())
			}
		}
	}
	seen := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(ids["a.example"]) + len(ids["b.example"])
	}
	stop := start()
	waitFor(t, "a first try of both", func() bool { return seen() == 2 })
	stop()
	mu.Lock()
	away = false
	mu.Unlock()
	stop = start()
	waitFor(t, "both to be taken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return taken["a.example"] > 0 && taken["b.example"] > 0
	})
	time.Sleep(2 * time.Second) // in which one that was not noted as taken would come again
	stop()
	mu.Lock()
	defer mu.Unlock()
	if len(ids["a.example"]) != 1 || len(ids["b.example"]) != 1 || len(ids) != 2 || taken["a.example"] != 1 || taken["b.example"] != 1 {
		t.Errorf("ids %v, taken %v", ids, taken)
	}
	for id := range ids["a.example"] {
		if ids["b.example"][id] > 0 || strings.Contains(id, ".") {
			t.Errorf("the id is %q", id)
		}
	}
}

// How long it takes until the next try, and what is given up.
func TestNotifyGivesUp(t *testing.T) {
	n := &notifier{send: func(context.Context, string, []byte) error { return io.EOF }, tries: 30, first: firstWait, log: slog.New(slog.DiscardHandler), results: newNotified(prometheus.NewRegistry())}
	var total time.Duration
	for tries := range 30 {
		n.failed = 0 // the pause between two is not waited for here
		again, err := n.flag(t.Context(), queue.Flag{ID: "x", Document: []byte(`{}`), Tries: tries})
		if last := tries == 29; (err != nil) != last || (again > 0) == last {
			t.Errorf("try %d: again after %v, %v", tries+1, again, err)
		}
		total += again
	}
	if total < 20*time.Hour || total > 28*time.Hour {
		t.Errorf("given up after %v", total)
	}
	if _, err := n.flag(t.Context(), queue.Flag{Document: []byte("?")}); err == nil {
		t.Error("what is no verdict was taken")
	}
}

func TestNotifyMisused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{}, {"--webhook", "https://a.example/"}, {"--webhook", "https://a.example/", "--webhook-secret", secret}, {"x", "--webhook", "https://a.example/"}} {
		if code, _, stderr := pecrawler(t.Context(), t, "", append([]string{"notify"}, args...)...); code == 0 || strings.Contains(stderr, "short") {
			t.Errorf("%q: %d %s", args, code, stderr)
		}
	}
}
