package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	pc "pecrawler"
	"pecrawler/internal/pgtest"
)

// upgrade is a fleet whose programs are replaced one by one during the sweep,
// over a PostgreSQL store.
type upgrade struct {
	older, newer string // programs: one of an earlier commit, and this one with the next version of messages
	lab          string // the program that serves the test web
	postgres     *member
	store        string // where the database is
	swaps        int
	dirty        []string // what did not end by itself and without a fault
	slowest      time.Duration
}

// upgraded sweeps n sites with a fleet that is upgraded meanwhile, and whose
// database is killed. old is a program, or the commit that it is built from.
func upgraded(ctx context.Context, w io.Writer, bin, old, keep string, n int) error {
	lab, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	programs, err := os.MkdirTemp("", "pc-programs-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(programs)
	if err := os.Chmod(programs, 0o755); err != nil { // the browser runs as an ordinary user
		return err
	}
	u := &upgrade{lab: lab, older: old}
	if _, err := os.Stat(old); err != nil {
		if u.older, err = buildCommit(ctx, programs, old); err != nil {
			return err
		}
	}
	if u.newer, err = buildNewer(ctx, programs); err != nil {
		return err
	}
	f := &fleet{bin: u.older, sites: n, upgrade: u}
	f.troubles = f.replacements
	return f.run(ctx, w, keep, fmt.Sprintf(`# A fleet that is upgraded while it sweeps

Made by %s, as root. %d sites of the test web, swept by %d workers of one visit at a time, a collector with a PostgreSQL store, and %d NATS
servers that keep each message three times: real processes. All begin with an old program (%s, messages of version %d). One by
one they are told to end (SIGTERM) and replaced by a new one: this one, whose messages are made version %d for the occasion, because there
has been no such change yet. Meanwhile the database is killed. What ends is started again after 2 s, the database after 20 s. The gap between
visits of a registrable domain is %v, a visit that raises suspicion is followed by another after 5 s at the earliest.
`, "`make chaos-upgrade`", n, chaosWorkers, chaosServers, filepath.Base(old), pc.VerdictSchema, pc.VerdictSchema+1, chaosGap))
}

// buildCommit builds the program as it was at a commit.
func buildCommit(ctx context.Context, dir, commit string) (string, error) {
	src, tar, bin := filepath.Join(dir, "src"), filepath.Join(dir, "src.tar"), filepath.Join(dir, "older")
	if err := os.Mkdir(src, 0o755); err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"git", "archive", "--format=tar", "-o", tar, commit},
		{"tar", "-xf", tar, "-C", src},
		{"go", "build", "-C", src, "-o", bin, "./cmd/pecrawler"},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build the program of %s: %s: %w: %s", commit, strings.Join(args, " "), err, out)
		}
	}
	return bin, nil
}

// buildNewer builds this program with the next version of messages.
func buildNewer(ctx context.Context, dir string) (string, error) {
	const file = "verdict.go"
	was, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	line := func(n int) []byte { return fmt.Appendf(nil, "const VerdictSchema = %d\n", n) }
	text := bytes.Replace(was, line(pc.VerdictSchema), line(pc.VerdictSchema+1), 1)
	if bytes.Equal(was, text) {
		return "", fmt.Errorf("%s does not say the version of messages", file)
	}
	place, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	next, overlay, bin := filepath.Join(dir, file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "newer")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{place: next}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(next, text, 0o644), os.WriteFile(overlay, replace, 0o644)); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", bin, "./cmd/pecrawler").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build a newer program: %w: %s", err, out)
	}
	return bin, nil
}

// startPostgres makes a server with a database that the older program sets up.
func (f *fleet) startPostgres(ctx context.Context) error {
	bin, err := pgtest.Bin()
	if err != nil {
		return err
	}
	data := filepath.Join(f.dir, "pg")
	if err := os.Mkdir(data, 0o755); err != nil {
		return err
	}
	as := func(name string, args ...string) []string { // it refuses to be root's
		return append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", filepath.Join(bin, name)}, args...)
	}
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = f.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := run("chown", "postgres:postgres", data); err != nil {
		return err
	}
	if err := run(as("initdb", "-D", data, "--username=pecrawler", "--auth=trust", "--locale=C", "--encoding=UTF8")...); err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(addr, ":")
	f.upgrade.store = "postgres://pecrawler@" + addr + "/chaos?sslmode=disable"
	if f.upgrade.postgres, err = startMember(f.dir, "postgres", 20*time.Second, nil, as("postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=")...); err != nil {
		return err
	}
	if err := persist(ctx, 30, func() error { // until it answers
		return run(as("createdb", "-h", "127.0.0.1", "-p", port, "-U", "pecrawler", "chaos")...)
	}); err != nil {
		return err
	}
	return f.migrate(ctx, f.upgrade.older)
}

func (f *fleet) migrate(ctx context.Context, bin string) error {
	if out, err := exec.CommandContext(ctx, bin, "store", "migrate", "--store", f.upgrade.store, "--out", filepath.Join(f.dir, "desk")).CombinedOutput(); err != nil {
		return fmt.Errorf("migrate the store: %w: %s", err, out)
	}
	return nil
}

// replacements are what befalls a fleet that is upgraded: two workers go first,
// so that the old collector meets what they say; then the collector, so that
// old workers meet what it asks for.
func (f *fleet) replacements(ctx context.Context) []trouble {
	u := f.upgrade
	worker := func(i int) func() (string, error) {
		return func() (string, error) {
			took, err := f.replace(ctx, f.workers[i], fmt.Sprintf("worker %d", i), nil, f.workArgs(u.newer, i))
			return fmt.Sprintf("worker %d is told to end, does so after %v, and is upgraded", i, took.Round(100*time.Millisecond)), err
		}
	}
	return []trouble{
		{.05, worker(0)}, // not at once: a program that has just begun does not listen yet
		{.1, worker(1)},
		{.17, func() (string, error) {
			n := 0
			for _, pid := range backends() {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					n++
				}
			}
			if n == 0 {
				return "", errors.New("the database serves no collector")
			}
			return fmt.Sprintf("kill -9 of the %d processes of the database that serve the collector; it recovers by itself", n), pause(ctx, 5*time.Second)
		}},
		{.25, func() (string, error) {
			took, err := f.replace(ctx, f.collect, "collector", func() error {
				f.bin = u.newer
				_, err := f.pecrawler(ctx, "queue", "check", "--fix", "--nats-replicas", "3")
				return errors.Join(err, f.migrate(ctx, u.newer))
			}, f.collectArgs(u.newer))
			return fmt.Sprintf("the collector is told to end, does so after %v, streams and tables are migrated, and it is upgraded", took.Round(100*time.Millisecond)), err
		}},
		{.4, func() (string, error) {
			u.postgres.kill()
			return "kill -9 of the database; started again after 20 s", pause(ctx, 30*time.Second)
		}},
		{.5, worker(2)},
		{.6, worker(3)},
		{.7, func() (string, error) {
			u.postgres.kill()
			f.collect.kill()
			return "kill -9 of the database and the collector at once", pause(ctx, 30*time.Second)
		}},
		{.75, worker(4)},
		{.82, worker(5)},
	}
}

// replace has another program take the place of one that ends by itself.
func (f *fleet) replace(ctx context.Context, m *member, name string, between func() error, args []string) (time.Duration, error) {
	if between == nil {
		between = func() error { return nil }
	}
	took, clean, err := m.swap(ctx, between, args...)
	f.upgrade.swaps++
	f.upgrade.slowest = max(f.upgrade.slowest, took)
	if !clean {
		f.upgrade.dirty = append(f.upgrade.dirty, name)
	}
	return took, err
}

// backends are the processes of a database that serve the collector.
func backends() (pids []int) {
	for pid, line := range commandLines() {
		if bytes.HasPrefix(line, []byte("postgres: pecrawler chaos ")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// check tells of the upgrade what the check of every fleet does not.
func (u *upgrade) check(out *checks, dir string, verdicts []pc.Verdict) error {
	by := map[int]int{}
	for _, v := range verdicts {
		by[v.Schema]++
	}
	left := map[string]int{}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return err
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		kind, _, _ := strings.Cut(filepath.Base(name), "-")
		left[strings.TrimSuffix(kind, ".log")] += bytes.Count(text, []byte("of a newer version is left"))
	}
	older, newer := by[pc.VerdictSchema], by[pc.VerdictSchema+1]
	out.add("sites have last words of both versions", older > 0 && newer > 0 && older+newer == len(verdicts), "%d of version %d, %d of version %d", older, pc.VerdictSchema, newer, pc.VerdictSchema+1)
	out.add("old programs meet newer messages, and leave them", left["work"] > 0 && left["collect"] > 0, "workers %d times, the collector %d times", left["work"], left["collect"])
	out.add("what is told to end does so, with status 0, within 90 s", len(u.dirty) == 0 && u.swaps == chaosWorkers+1 && u.slowest < 90*time.Second,
		"%d of %d, the slowest after %v%s", u.swaps-len(u.dirty), u.swaps, u.slowest.Round(100*time.Millisecond), names(u.dirty))
	return nil
}
