package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/lab"
	"pecrawler/rules"
)

// TestMain lets the tests run this program as a process of its own, to kill it.
func TestMain(m *testing.M) {
	if os.Getenv("PECRAWLER_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// pecrawler runs a command line in this process.
func pecrawler(ctx context.Context, t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(ctx, args, env{strings.NewReader(stdin), &out, &errs})
	return code, out.String(), errs.String()
}

// Bad input gets a clear message that names the value and the fix, and the
// right exit status; no stack trace.
func TestErrorsHelp(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	list := write("good.txt", "site.example\n")
	out := filepath.Join(dir, "data")
	for _, c := range []struct {
		name   string
		chrome bool // needs Chromium, or tries to start something as it
		args   []string
		code   int
		says   []string
	}{
		{"no command", false, nil, 2, nil},
		{"unknown command", false, []string{"swep"}, 2, []string{`no command "swep"`, "help"}},
		{"unknown flag", false, []string{"sweep", "--agre", "2"}, 2, []string{"-agre"}},
		{"nothing to sweep", false, []string{"sweep", "--out", out}, 2, []string{"--lab"}},
		{"missing file", false, []string{"sweep", "--out", out, filepath.Join(dir, "none.csv")}, 1, []string{"none.csv", "no such file"}},
		{"empty list", false, []string{"sweep", "--out", out, write("empty.txt", "\n# nothing\n")}, 1, []string{"empty.txt", "names no site"}},
		{"only bad lines", false, []string{"sweep", "--out", out, write("bad.txt", "not a url at all\n")}, 1, []string{"bad.txt:1:", "not a url at all"}},
		{"agree out of range", false, []string{"sweep", "--agree", "0", list}, 2, []string{"--agree 0", "1 to 10"}},
		{"all faults at once", false, []string{"sweep", "--slots", "0", "--robots", "maybe", "--timezone", "Mars", list}, 2, []string{"--slots 0", `"maybe"`, `"Mars"`}},
		{"bad config", false, []string{"sweep", "--config", write("c.yaml", "agree: 3\nagreed: 4\nslots: many\n"), list}, 2, []string{"c.yaml:2", `"agreed"`, "c.yaml:3", `"many"`}},
		{"bad range", false, []string{"sweep", "--allow", "everything", list}, 2, []string{"10.0.0.0/8"}},
		{"data folder cannot be made", false, []string{"sweep", "--out", "/dev/null/data", list}, 1, []string{"/dev/null/data", "--out"}},
		{"no NATS", false, []string{"sweep", "--out", out, "--nats", "nats://127.0.0.1:1", list}, 1, []string{"cannot reach NATS", "127.0.0.1:1", "--nats"}},
		{"work without NATS", false, []string{"work"}, 2, []string{"--nats"}},
		{"launch without NATS", false, []string{"launch", list}, 2, []string{"--nats"}},
		{"launch of nothing", false, []string{"launch", "--nats", "nats://127.0.0.1:1"}, 2, []string{"name a list"}},
		{"bad settings of a launch", false, []string{"launch", "--nats", "x", "--agree-after", "-1h", "--nats-replicas", "2", "--nats-cert", "c", list}, 2, []string{"--agree-after -1h", "--nats-replicas 2", "--nats-cert-key"}},
		{"bad priority", false, []string{"launch", "--nats", "x", "--priority", "0", list}, 2, []string{"--priority 0", "1 (first) to 9 (last)"}},
		{"bad name", false, []string{"launch", "--nats", "x", "--name", "UK 2026", list}, 2, []string{`"UK 2026"`, "a-z"}},
		{"rerun of what", false, []string{"launch", "--nats", "x", "--rerun", "all", "uk"}, 2, []string{`"all"`, "failures or missing"}},
		{"no NATS to launch on", false, []string{"launch", "--nats", "nats://me:secret@127.0.0.1:1", list}, 1, []string{"nats://127.0.0.1:1", "--nats"}},
		{"key that is none", false, []string{"status", "--nats", "nats://127.0.0.1:1", "--nats-nkey", list}, 1, []string{"good.txt"}},
		{"pause of nothing", false, []string{"pause", "--nats", "x"}, 2, []string{"name one sweep", "status"}},
		{"queue of nothing", false, []string{"queue", "--nats", "x", "dead", "retry"}, 2, []string{"dead retry all|SWEEP|NUMBER"}},
		{"collect with arguments", false, []string{"collect", "--nats", "x", "uk"}, 2, []string{`"uk"`}},
		{"review for others by links", false, []string{"review", "--listen", "0.0.0.0:8080"}, 2, []string{"0.0.0.0:8080", "--oidc-issuer"}},
		{"TLS for links", false, []string{"review", "--tls-cert", "x"}, 2, []string{"by links, on this machine"}},
		{"single sign-on without roles", false, []string{"review", "--oidc-issuer", "https://id.example", "--oidc-client", "c"}, 2, []string{"--oidc-role GROUP=ROLE"}},
		{"single sign-on and links", false, []string{"review", "--oidc-issuer", "https://id.example", "--person", "ann"}, 2, []string{"--person", "--oidc-role"}},
		{"no such role", false, []string{"review", "--oidc-role", "staff=chief"}, 2, []string{`"chief"`, "investigator"}},
		{"a forwarded port of nobody", false, []string{"review", "--listen", "0.0.0.0:0", "--public-url", "http://127.0.0.1:8080"}, 2, []string{"--trusted-proxy"}},
		{"a forwarded port of another machine", false, []string{"review", "--listen", "0.0.0.0:0", "--public-url", "http://review.example", "--trusted-proxy", "172.30.77.1/32"}, 2, []string{"http://127.0.0.1:PORT"}},
		{"no public address", false, []string{"review", "--oidc-issuer", "https://id.example", "--oidc-client", "c", "--oidc-role", "a=lead", "--public-url", "http://review.example"}, 2, []string{"https://HOST"}},
		{"single sign-on without TLS", false, []string{"review", "--listen", "0.0.0.0:0", "--oidc-issuer", "https://id.example", "--oidc-client", "c", "--oidc-role", "a=lead", "--public-url", "https://review.example"}, 2, []string{"--tls-cert", "--trusted-proxy"}},
		{"no sweeps to review", false, []string{"review", "--out", filepath.Join(dir, "nothing")}, 1, []string{"holds no sweeps"}},
		{"no Chromium", true, []string{"sweep", "--out", out, "--chrome", "/no/such/chromium", list}, 1, []string{"/no/such/chromium"}},
		{"Chromium dies", true, []string{"sweep", "--out", out, "--chrome", "/bin/false", list}, 1, []string{"/bin/false"}},
		{"no such rule", false, []string{"rules", "show", "none"}, 1, []string{`no rule "none"`}},
		{"too many lawful sites", false, []string{"lab", "--lawful", "9999999"}, 2, []string{"--lawful 9999999", "0 to 5000"}},
		{"nothing to score", false, []string{"lab", "score"}, 2, []string{"verdicts.jsonl"}},
		{"no verdicts to score", false, []string{"lab", "score", filepath.Join(dir, "none.jsonl")}, 1, []string{"none.jsonl"}},
		{"not verdicts", false, []string{"lab", "score", list}, 1, []string{"good.txt", "line 1"}},
		{"verdicts of other sites", false, []string{"lab", "score", write("other.jsonl", `{"site":"www.gov.uk"}`+"\n")}, 1, []string{"www.gov.uk", "--seed"}},
		{"damaged bundle", false, []string{"bundle", "verify", list}, 1, []string{"good.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.chrome && testing.Short() {
				t.Skip("starts a browser")
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			code, stdout, stderr := pecrawler(ctx, t, "", c.args...)
			if code != c.code {
				t.Errorf("exit status %d, want %d", code, c.code)
			}
			for _, s := range c.says {
				if !strings.Contains(stderr, s) {
					t.Errorf("the message does not say %q:\n%s", s, stderr)
				}
			}
			if strings.Contains(stderr+stdout, "goroutine ") {
				t.Errorf("a stack trace:\n%s", stderr)
			}
		})
	}
}

func TestRulesAreListed(t *testing.T) {
	code, out, _ := pecrawler(t.Context(), t, "", "rules", "list")
	if code != 0 || !strings.Contains(out, "pre-ad-storage") {
		t.Errorf("rules list: %d\n%s", code, out)
	}
	if code, out, _ = pecrawler(t.Context(), t, "", "rules", "show", "post-reject-ad"); code != 0 || !strings.Contains(out, "offending:") {
		t.Errorf("rules show: %d\n%s", code, out)
	}
}

// A new rule is a folder that loads and passes its cases from the start; what is
// still to be written is a fault.
func TestANewRuleBegins(t *testing.T) {
	dir := t.TempDir()
	run := func(want int, args ...string) string {
		t.Helper()
		code, out, errs := pecrawler(t.Context(), t, "", args...)
		if code != want || want == 0 && errs != "" {
			t.Errorf("%v: exit %d, %s%s", args, code, out, errs)
		}
		return out + errs
	}
	run(0, "rules", "new", "my-rule", "--dir", dir)
	run(0, "rules", "show", "my-rule", "--dir", dir)
	if said := run(1, "rules", "test", "--dir", dir); !strings.Contains(said, "my-rule: fill in [[Say what a failing page does]]") || !strings.Contains(said, "4 cases, 10 faults") {
		t.Errorf("what is to be filled in: %s", said)
	}
	for _, name := range []string{"rule.yaml", "README.md"} {
		path := filepath.Join(dir, "my-rule", name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.NewReplacer("[[", "", "]]", "").Replace(string(raw))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run(0, "rules", "test", "--dir", dir)
	run(0, "rules", "test")
	if said := run(1, "rules", "new", "my-rule", "--dir", dir); !strings.Contains(said, "is there already") {
		t.Errorf("made twice: %s", said)
	}
}

// A rule that nothing in the test web breaks would never be seen to work.
func TestEveryRuleHasAMutation(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	mutations, err := lab.Mutations()
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for _, m := range mutations {
		for _, r := range m.Fails {
			broken[r] = true
		}
	}
	for _, r := range set.Rules() {
		if !broken[r.ID] {
			t.Errorf("no mutation breaks the rule %s: add one to lab/mutations", r.ID)
		}
		delete(broken, r.ID)
	}
	for r := range broken {
		t.Errorf("a mutation names %s, which is no rule", r)
	}
}

// The whole way on the test web: the process is killed in the middle, begun
// again, interrupted, begun again. At the end every site has exactly one
// verdict, and it is the true one.
func TestTheLabSweptThroughAKillAndAnInterrupt(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium, takes minutes")
	}
	sites, err := lab.Sites(lab.Plan{Written: true})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := lab.Start(lab.Config{Plan: lab.Plan{Written: true}}); errors.Is(err, lab.ErrNoModules) {
		t.Skip(err)
	} else if err == nil {
		l.Close()
	}
	out := t.TempDir()
	args := []string{"sweep", "--lab", "--out", out, "--listen", "127.0.0.1:0", "--settle", "3s"}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "PECRAWLER_TEST_MAIN=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Killed as soon as some evidence is sealed: then work is in hand.
	sealed := func() int {
		m, _ := filepath.Glob(filepath.Join(out, "evidence", "sha256", "*", "*.zip"))
		return len(m)
	}
	for begin := time.Now(); sealed() < 6; time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 2*time.Minute {
			cmd.Process.Kill()
			t.Fatal("nothing was sealed")
		}
	}
	cmd.Process.Signal(syscall.SIGKILL)
	cmd.Wait()

	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		for n := sealed(); sealed() < n+6; time.Sleep(100 * time.Millisecond) {
			if ctx.Err() != nil {
				return
			}
		}
		interrupt()
	}()
	code, _, stderr := pecrawler(ctx, t, "", args...)
	interrupt()
	if code != 1 || !strings.Contains(stderr, "Going on with sweep") || !strings.Contains(stderr, "the same command goes on") {
		t.Fatalf("interrupted: exit status %d\n%s", code, stderr)
	}

	code, stdout, stderr := pecrawler(t.Context(), t, "", args...)
	if code != 0 || !strings.Contains(stdout, "Flagged") {
		t.Fatalf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	raw, err := os.ReadFile(filepath.Join(out, "verdicts.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]pc.Verdict{}
	for line := range strings.Lines(string(raw)) {
		var v pc.Verdict
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatal(err)
		}
		if _, dup := got[v.Site]; dup {
			t.Errorf("%s has two verdicts", v.Site)
		}
		got[v.Site] = v
	}
	for _, s := range sites {
		v, ok := got[s.Host]
		if !ok {
			t.Errorf("%s has no verdict", s.Host)
			continue
		}
		var fails []string
		for _, f := range v.Findings {
			if f.Outcome == pc.Fail {
				fails = append(fails, f.Rule)
			}
			if f.Outcome == pc.Fail && len(f.Refs) == 0 {
				t.Errorf("%s fails %s without a reference into the evidence", s.Host, f.Rule)
			}
		}
		slices.Sort(fails)
		want := slices.Sorted(slices.Values(s.Truth.Fails))
		if string(v.Overall) != s.Truth.Overall || string(v.Outcome) != s.Truth.Outcome || v.Reason != s.Truth.Reason || !slices.Equal(fails, want) || v.Banner.Present != s.Truth.Banner {
			t.Errorf("%s: %s, %s %s, fails %v, banner %v; the truth is %+v", s.Host, v.Overall, v.Outcome, v.Reason, fails, v.Banner.Present, s.Truth)
		}
		if v.Overall == pc.Flagged && (v.Visits < 2 || v.Agreeing < 2 || len(v.Bundles) < 2) {
			t.Errorf("%s is flagged by %d visits, %d agreeing, %d bundles", s.Host, v.Visits, v.Agreeing, len(v.Bundles))
		}
	}
	if len(got) != len(sites) {
		t.Errorf("%d verdicts for %d sites", len(got), len(sites))
	}
	// What was judged can be judged again, to the same end.
	var id string
	for _, v := range got {
		id = v.Sweep
	}
	if code, out2, errs := pecrawler(t.Context(), t, "", "rejudge", "--out", out, id); code != 0 || !strings.Contains(out2, "0 of ") {
		t.Errorf("rejudge: %d\n%s%s", code, out2, errs)
	}
}

// A worker that is started again and again where nothing can be kept must not
// use up the attempts of visits: it ends before it asks NATS, where nobody is.
func TestAWorkerThatCannotKeepEvidenceTakesNoVisit(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const full = "/proc/self/task" // a folder that takes no file, not even of root
	code, _, stderr := pecrawler(ctx, t, "", "work", "--out", t.TempDir(), "--nats", "nats://127.0.0.1:1", "--evidence", full)
	if code != 1 || !strings.Contains(stderr, "the evidence could not be kept") || !strings.Contains(stderr, "--evidence") {
		t.Errorf("work with --evidence %s ended with %d and said %q, want 1, why, and what to do", full, code, stderr)
	}
}
