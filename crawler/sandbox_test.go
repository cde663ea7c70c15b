package crawler

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestConfinement(t *testing.T) {
	bare := readConfinement([]byte("Name:\tpecrawler\nNSpid:\t7\nSeccomp:\t0\nSeccomp_filters:\t0\n"))
	container := readConfinement([]byte("NSpid:\t7\nSeccomp:\t2\nSeccomp_filters:\t1\n"))
	for _, c := range []struct {
		name, status string
		own          confinement
		want         bool
	}{
		{"a sandbox", "NSpid:\t90\t3\nSeccomp:\t2\nSeccomp_filters:\t1\n", bare, true},
		{"a sandbox in a container", "NSpid:\t90\t3\nSeccomp:\t2\nSeccomp_filters:\t3\n", container, true},
		{"an old kernel", "NSpid:\t90\t3\nSeccomp:\t2\n", bare, true},
		{"none", "NSpid:\t90\nSeccomp:\t0\nSeccomp_filters:\t0\n", bare, false},
		{"none but the container's", "NSpid:\t90\nSeccomp:\t2\nSeccomp_filters:\t1\n", container, false},
		{"a namespace without a filter of its own", "NSpid:\t90\t3\nSeccomp:\t2\nSeccomp_filters:\t1\n", container, false},
		{"nothing that can be read", "", bare, false},
	} {
		if got := readConfinement([]byte(c.status)).within(c.own); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestNoSandbox: a browser that something outside tells to go without its
// sandbox is not used.
func TestNoSandbox(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	chrome, err := findChrome("")
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "chromium")
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\nexec "+chrome+" --no-sandbox \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := wrapper; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // the browser is not root
			t.Fatal(err)
		}
	}
	c := New(Config{Chrome: wrapper}, nil, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	defer c.Close()
	if _, err := c.Start(t.Context()); !errors.Is(err, errNoSandbox) {
		t.Errorf("a browser without its sandbox: %v", err)
	}
}
