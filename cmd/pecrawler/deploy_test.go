package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v3"

	pc "pecrawler"
	"pecrawler/crawler"
	"pecrawler/evidence"
	"pecrawler/queue"
	"pecrawler/review"
	"pecrawler/rules"
	"pecrawler/store"
)

// TestPromtool: the alerts are well formed and fire when their tests say.
func TestPromtool(t *testing.T) {
	if testing.Short() {
		t.Skip("promtool takes its time")
	}
	promtool := findPromtool(t)
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml", "alerts_days_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	// It reads expressions only as rules.
	var all []map[string]string
	for _, exprs := range dashboards(t) {
		for _, expr := range exprs {
			all = append(all, map[string]string{"record": "x", "expr": strings.ReplaceAll(expr, "$__rate_interval", "1m")})
		}
	}
	raw, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": all}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "--lint=none", file).CombinedOutput(); err != nil {
		t.Errorf("the expressions of the dashboards: %v\n%s", err, out)
	}
}

// dashboards are the expressions of the panels of deploy/grafana, by panel.
func dashboards(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../deploy/grafana/dashboards/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("want four dashboards, have %v, %v", files, err)
	}
	out := map[string][]string{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			Title  string
			Panels []struct {
				Title, Description string
				Targets            []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, p := range doc.Panels {
			name := doc.Title + ", " + p.Title
			if p.Description == "" || len(p.Targets) == 0 {
				t.Errorf("%s has no description, or asks for nothing", name)
			}
			for _, q := range p.Targets {
				out[name] = append(out[name], q.Expr)
			}
		}
	}
	return out
}

func findPromtool(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../bin/promtool")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; deploy/prometheus/install.sh fetches it", err)
	}
	return path
}

// described is a registry that remembers what was described to it, so that
// metrics without a value count too.
type described struct {
	*prometheus.Registry
	metrics map[string][]string // labels by name
}

var descForm = regexp.MustCompile(`fqName: "([^"]*)", help: .*variableLabels: \{([^}]*)\}`)

func (d *described) Register(c prometheus.Collector) error {
	ch := make(chan *prometheus.Desc, 100)
	c.Describe(ch)
	close(ch)
	for desc := range ch {
		if m := descForm.FindStringSubmatch(desc.String()); m != nil {
			var labels []string
			if m[2] != "" {
				labels = strings.Split(m[2], ",")
			}
			d.metrics[m[1]] = labels
		}
	}
	return d.Registry.Register(c)
}

func (d *described) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := d.Register(c); err != nil {
			panic(err)
		}
	}
}

// everyMetric is all that a process of ours can export.
func everyMetric(t *testing.T) map[string][]string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d := &described{prometheus.NewRegistry(), map[string][]string{}}
	q, err := queue.Open(t.Context(), queue.Config{Dir: t.TempDir(), Log: log, Registerer: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "pecrawler.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	cls, set, err := judges()
	if err != nil {
		t.Fatal(err)
	}
	newWorkMetrics(set, d)
	evidence.NewMetrics(d)
	crawler.New(crawler.Config{}, chooser{cls}, log, d)
	if err := (&options{out: t.TempDir()}).watchMachine(d); err != nil {
		t.Fatal(err)
	}
	d.MustRegister(newTally(st), st, newScheduleMetrics(q))
	newNotified(d)
	if _, err := review.New(st, nil, log, review.Options{Registerer: d}); err != nil {
		t.Fatal(err)
	}
	if len(d.metrics) < 25 {
		t.Fatalf("only %d metrics were found: %v", len(d.metrics), slices.Sorted(maps.Keys(d.metrics)))
	}
	families, err := d.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	return d.metrics
}

type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) (out []alert) {
	t.Helper()
	raw, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc struct{ Groups []struct{ Rules []alert } }
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	for _, g := range doc.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		t.Fatal("there are no alerts")
	}
	return out
}

// TestAlerts: each has a runbook that says what it means, how to see it and what
// to do, and a test that makes it fire; and no page is of an alert that is gone.
func TestAlerts(t *testing.T) {
	tests := ""
	for _, f := range []string{"alerts_test.yaml", "alerts_days_test.yaml"} {
		raw, err := os.ReadFile("../../deploy/prometheus/" + f)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(raw)
	}
	pages := map[string]bool{}
	for _, a := range alerts(t) {
		page := "docs/runbooks/" + a.Alert + ".md"
		pages[a.Alert+".md"] = true
		if got := a.Annotations["runbook"]; got != page {
			t.Errorf("%s: its runbook is %q, want %q", a.Alert, got, page)
		}
		if a.Annotations["summary"] == "" || a.Labels["severity"] != "page" && a.Labels["severity"] != "ticket" {
			t.Errorf("%s has no summary, or its severity is neither page nor ticket", a.Alert)
		}
		if !regexp.MustCompile(`alertname: ` + a.Alert + `\n\s+eval_time: \S+\n\s+exp_alerts:\n`).MatchString(tests) {
			t.Errorf("no test makes %s fire", a.Alert)
		}
		raw, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range []string{"# " + a.Alert + "\n", "\n## What it means\n", "\n## How to see it\n", "\n## What to do\n"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s lacks %q", page, strings.TrimSpace(want))
			}
		}
	}
	entries, err := os.ReadDir("../../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !pages[e.Name()] {
			t.Errorf("docs/runbooks/%s is of no alert", e.Name())
		}
	}
}

var (
	metricName = regexp.MustCompile(`\bpecrawler_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b(pecrawler_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
)

// unknown says which metrics and labels of an expression do not exist.
func unknown(known map[string][]string, expr string) (out []string) {
	base := func(name string) string {
		for _, s := range []string{"_bucket", "_sum", "_count"} {
			if b, ok := strings.CutSuffix(name, s); ok {
				if _, ok := known[b]; ok {
					return b
				}
			}
		}
		return name
	}
	for _, name := range metricName.FindAllString(expr, -1) {
		if _, ok := known[base(name)]; !ok {
			out = append(out, name)
		}
	}
	for _, m := range selector.FindAllStringSubmatch(expr, -1) {
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(append([]string{"job", "instance", "le"}, known[base(m[1])]...), l[1]) {
				out = append(out, fmt.Sprintf("%s has no label %s", m[1], l[1]))
			}
		}
	}
	return out
}

// TestMetricsExist: what alerts name is exported, and docs/metrics.md has a line
// for each metric, and for no other.
func TestMetricsExist(t *testing.T) {
	known := everyMetric(t)
	if got := unknown(known, `rate(pecrawler_visits_total{outcom="x"}[1m]) + pecrawler_visit_total`); len(got) != 2 {
		t.Fatalf("two faults were planted, found: %v", got)
	}
	for _, a := range alerts(t) {
		for _, u := range unknown(known, a.Expr) {
			t.Errorf("alert %s: %s", a.Alert, u)
		}
	}
	for panel, exprs := range dashboards(t) {
		for _, expr := range exprs {
			for _, u := range unknown(known, expr) {
				t.Errorf("dashboard %s: %s", panel, u)
			}
		}
	}
	raw, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(pecrawler_[a-z0-9_]+)` \\|([^|]*)\\| [^|]+ \\| [^|]+ \\|$")
	documented := map[string]bool{}
	for _, m := range rows.FindAllStringSubmatch(string(raw), -1) {
		documented[m[1]] = true
		k, ok := known[m[1]]
		if !ok {
			t.Errorf("docs/metrics.md: there is no metric %s", m[1])
			continue
		}
		var labels []string
		for _, l := range k {
			labels = append(labels, "`"+l+"`")
		}
		if got := strings.TrimSpace(m[2]); got != strings.Join(labels, ", ") {
			t.Errorf("docs/metrics.md: %s has the labels %q, want %q", m[1], got, strings.Join(labels, ", "))
		}
	}
	for name := range known {
		if !documented[name] {
			t.Errorf("docs/metrics.md has no line for %s", name)
		}
	}
}

// TestDeployedFlags: the commands and settings of Compose, Kubernetes and the guide are such
// that this program knows. With --help a command reads its flags and ends.
func TestDeployedFlags(t *testing.T) {
	try := func(where string, args []string) {
		var errs strings.Builder
		if code := run(t.Context(), append(args, "--help"), env{strings.NewReader(""), io.Discard, &errs}); code != 0 {
			t.Errorf("%s: pecrawler %s: exit status %d: %.300s", where, strings.Join(args, " "), code, errs.String())
		}
	}
	read := func(file string, into any) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	settings := func(command, file string, raw string) {
		var m map[string]any
		if raw == "" {
			read(file, &m)
		} else if err := yaml.Unmarshal([]byte(raw), &m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		args := []string{command}
		for k, v := range m {
			if list, ok := v.([]any); ok {
				for _, x := range list {
					args = append(args, fmt.Sprintf("--%s=%v", k, x))
				}
				continue
			}
			args = append(args, fmt.Sprintf("--%s=%v", k, v))
		}
		try(file, args)
	}
	var compose struct {
		Services map[string]struct{ Command, Entrypoint []string }
	}
	read("../../deploy/compose/compose.yaml", &compose)
	var second struct {
		Services map[string]struct{ Command []string }
	}
	read("../../deploy/compose/postgres.yaml", &second)
	try("postgres.yaml, store", second.Services["store"].Command)
	second.Services = nil
	read("../../deploy/compose/notify.yaml", &second)
	try("notify.yaml, notify", second.Services["notify"].Command)
	tried := 0
	for name, s := range compose.Services {
		args := s.Command
		if i := slices.Index(s.Entrypoint, "pecrawler"); i >= 0 {
			args = s.Entrypoint[i+1:]
		}
		if len(args) > 0 && slices.ContainsFunc(commands(), func(c command) bool { return c.name == args[0] }) {
			tried++
			try("compose.yaml, "+name, args)
		}
	}
	if tried < 4 {
		t.Errorf("only %d services of compose.yaml run the program", tried)
	}
	var beside struct {
		Services map[string]struct{ Command []string }
	}
	read("../../deploy/compose/lab.yaml", &beside)
	try("lab.yaml, lab", beside.Services["lab"].Command)
	for _, c := range []string{"collect", "launch"} {
		settings(c, "../../deploy/compose/settings/nats.yaml", "")
	}
	settings("work", "../../deploy/compose/settings/worker.yaml", "")
	settings("work", "../../deploy/compose/settings/lab.yaml", "")
	settings("review", "../../deploy/compose/people.yaml", "")
	settings("work", "../../deploy/kubernetes/base/settings-worker.yaml", "")
	settings("collect", "../../deploy/kubernetes/base/settings-desk.yaml", "")
	settings("review", "../../deploy/kubernetes/base/settings-review.yaml", "")
	settings("review", "../../deploy/kubernetes/example/review.yaml", "")
	guide, err := os.ReadFile("../../docs/review.md")
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(guide)
	if example == nil {
		t.Fatal("docs/review.md has no settings for single sign-on")
	}
	settings("review", "docs/review.md", string(example[1]))
}

// Durations of stages are native histograms besides the classic ones.
func TestStagesAreNativeHistograms(t *testing.T) {
	reg := prometheus.NewRegistry()
	newWorkMetrics(&rules.Set{}, reg).stage.WithLabelValues("crawl").Observe(7)
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() == "pecrawler_stage_duration_seconds" {
			for _, m := range f.GetMetric() {
				if h := m.GetHistogram(); h.GetSampleCount() == 1 && len(h.GetPositiveSpan()) == 1 && len(h.GetBucket()) > 0 {
					return
				}
			}
		}
	}
	t.Error("pecrawler_stage_duration_seconds has not both kinds of buckets")
}

// From a number to a visit: stages, outcomes and findings name a bundle, to
// whoever asks for OpenMetrics.
func TestNumbersLeadToABundle(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newWorkMetrics(&rules.Set{}, reg)
	bundle := "sha256:" + strings.Repeat("a", 64)
	m.took("crawl", 7*time.Second, bundle)
	m.took("crawl", time.Second)
	m.count(pc.Verdict{Outcome: pc.Blocked, Bundles: []string{bundle}, Findings: []pc.Finding{{Rule: "pre-ad-storage", Outcome: pc.Fail}}})
	at, stop, err := serve("127.0.0.1:0", false, http.NotFoundHandler(), reg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`pecrawler_stage_duration_seconds_bucket{stage="crawl",le="10.0"} 2 # {bundle="` + bundle + `"} 7.0`,
		`pecrawler_visits_total{outcome="blocked"} 1.0 # {bundle="` + bundle + `"} 1.0`,
		`pecrawler_findings_total{outcome="fail",rule="pre-ad-storage"} 1.0 # {bundle="` + bundle + `"} 1.0`,
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}
