package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
	"pecrawler/internal/pipeline"
	"pecrawler/store"
)

// sealVisit seals a small visit in a data folder; more is what else the idle capture has.
func sealVisit(t *testing.T, out, site string, number int, more string) (digest string) {
	t.Helper()
	v, err := evidence.OpenVault(t.Context(), evidencePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	d := evidence.NewDraft(pc.Visit{Sweep: "one", Site: site, URL: "https://" + site + "/", Number: number, Scenarios: pc.Scenarios})
	for name, text := range map[string]string{
		"look.json":         `{"url":"https://` + site + `/","load":{"outcome":"assessed"}}`,
		"idle/capture.json": `{"schema":1,"scenario":"idle","load":{"outcome":"assessed"},"final_url":"https://` + site + `/","requests":[{"url":"https://` + site + `/","method":"GET","type":"Document","status":200,"redirect_of":-1}],"acts":[{"text":"\u001b[2J"}]` + more + `}`,
	} {
		if err := d.Add(name, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	key, err := (&options{out: out}).signer()
	if err != nil {
		t.Fatal(err)
	}
	digest, err = (&evidence.Sealer{Vault: v, Signer: key, Start: evidence.Start{Profile: "new, empty"}}).Seal(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// sealBundle seals the first visit, and returns the bundle's file too.
func sealBundle(t *testing.T, out, site string) (file, digest string) {
	t.Helper()
	digest = sealVisit(t, out, site, 1, "")
	hex := strings.TrimPrefix(digest, "sha256:")
	return filepath.Join(evidencePath(out), "sha256", hex[:2], hex+".zip"), digest
}

func TestBundleVerify(t *testing.T) {
	out := t.TempDir()
	file, digest := sealBundle(t, out, "shop.example")
	public := evidence.PublicKeyFile(keyPath(out))
	if _, err := evidence.OpenKey(filepath.Join(out, "other.pem")); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(out, "damaged.zip")
	at := bytes.Index(raw, []byte("idle/capture.json")) // in the manifest
	at = at + bytes.Index(raw[at:], []byte("PK\x03\x04"))
	at = at + bytes.Index(raw[at:], []byte("idle/capture.json")) + len("idle/capture.json") + 20
	raw[at] ^= 1
	if err := os.WriteFile(damaged, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"whole", []string{file}, 0, []string{"unchanged: " + digest, "visit one/shop.example/1", "signature: good", "compared with no other", "time stamp: none"}},
		{"by the key", []string{file, "--key", public}, 0, []string{"which is that of " + public}},
		{"by another key", []string{"--key", filepath.Join(out, "other.pub.pem"), file}, 1, []string{"signature.json: the bundle is whole", "not by"}},
		{"no key file", []string{file, "--key", filepath.Join(out, "none.pem")}, 1, []string{"none.pem"}},
		{"damaged", []string{damaged}, 1, []string{"damaged.zip", "idle/capture.json"}},
		{"schema 1", []string{"../../evidence/testdata/schema1.zip"}, 0, []string{"unchanged: sha256:9f16a3df", "signature: none"}},
		{"schema 1 by a key", []string{"../../evidence/testdata/schema1.zip", "--key", public}, 1, []string{"not signed"}},
		{"no file", nil, 2, []string{"verify FILE"}},
		{"two files", []string{file, file}, 2, []string{"verify FILE"}},
		{"another's flag", []string{file, "--older", "90d"}, 2, []string{"-older"}},
	} {
		code, stdout, stderr := pecrawler(t.Context(), t, "", append([]string{"bundle", "verify"}, c.args...)...)
		if code != c.code {
			t.Errorf("%s: exit status %d, want %d", c.name, code, c.code)
		}
		for _, s := range c.says {
			if !strings.Contains(stdout+stderr, s) {
				t.Errorf("%s: it does not say %q:\n%s%s", c.name, s, stdout, stderr)
			}
		}
	}
}

func TestBundleShowCommandsNoTerminal(t *testing.T) {
	file, _ := sealBundle(t, t.TempDir(), "shop.example")
	code, stdout, _ := pecrawler(t.Context(), t, "", "bundle", "show", file)
	if code != 0 || strings.Contains(stdout, "\x1b") || !strings.Contains(stdout, "profile new, empty") {
		t.Errorf("%d\n%s", code, stdout)
	}
}

func TestBundleMisuse(t *testing.T) {
	for _, args := range [][]string{{"bundle"}, {"bundle", "open"}, {"bundle", "show"}} {
		if code, _, stderr := pecrawler(t.Context(), t, "", args...); code != 2 || !strings.Contains(stderr, "bundle show") {
			t.Errorf("%v: %d %s", args, code, stderr)
		}
	}
}

func TestBundleExport(t *testing.T) {
	out := t.TempDir()
	file, _ := sealBundle(t, out, "shop.example")
	base := strings.TrimSuffix(file, ".zip")
	if code, stdout, stderr := pecrawler(t.Context(), t, "", "bundle", "export", file); code != 0 || stdout != base+".har\n"+base+".wacz\n" {
		t.Fatalf("%d\n%s%s", code, stdout, stderr)
	}
	if code, _, stderr := pecrawler(t.Context(), t, "", "bundle", "export", file); code != 1 || !strings.Contains(stderr, ".har") {
		t.Errorf("a file was replaced: %d %s", code, stderr)
	}
	one := filepath.Join(out, "x.wacz")
	if code, stdout, _ := pecrawler(t.Context(), t, "", "bundle", "export", "--wacz", one, file); code != 0 || stdout != one+"\n" {
		t.Errorf("%d %s", code, stdout)
	}
}

// Bundles of flagged sites, held ones and those that nobody knows stay.
func TestBundleExpire(t *testing.T) {
	out := t.TempDir()
	st, err := store.Open(t.Context(), storePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	words := map[string]pc.Overall{"clear.example": pc.Clear, "held.example": pc.Clear, "flagged.example": pc.Flagged, "review.example": pc.Review}
	sites := []store.Site{{Site: "pending.example", Line: 9}}
	for s := range words {
		sites = append(sites, store.Site{Site: s})
	}
	if err := st.CreateSweep(t.Context(), store.Sweep{ID: "one", Settings: "{}", Agree: 1, Created: time.Now()}, sites); err != nil {
		t.Fatal(err)
	}
	files, digests := map[string]string{}, map[string]string{}
	for _, s := range []string{"clear.example", "held.example", "flagged.example", "review.example", "pending.example", "unknown.example", "new.example"} {
		files[s], digests[s] = sealBundle(t, out, s)
		if overall, ok := words[s]; ok {
			v := pc.Verdict{Sweep: "one", Site: s, Visit: 1, Visits: 1, Overall: overall, Bundles: []string{digests[s]}}
			if err := errors.Join(st.PutResult(t.Context(), v), st.PutWord(t.Context(), v)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if code, stdout, stderr := pecrawler(t.Context(), t, "", "bundle", "hold", "--out", out, files["held.example"], "--reason", "appeal 7"); code != 0 || !strings.Contains(stdout, "appeal 7") {
		t.Fatalf("hold: %d %s%s", code, stdout, stderr)
	}
	there := func() (sites []string) {
		for s, f := range files {
			if _, err := os.Stat(f); err == nil {
				sites = append(sites, s)
			}
		}
		slices.Sort(sites)
		return sites
	}
	all := there()
	if code, stdout, _ := pecrawler(t.Context(), t, "", "bundle", "expire", "--out", out, "--older", "1d"); code != 0 || !strings.Contains(stdout, "0 removed") || !slices.Equal(there(), all) {
		t.Errorf("nothing is older than a day: %d\n%s", code, stdout)
	}
	// A year later. One bundle came to the folder only then.
	later := time.Now().AddDate(1, 0, 0)
	for s, f := range files {
		if s == "new.example" {
			if err := os.Chtimes(f, later, later); err != nil {
				t.Fatal(err)
			}
		}
	}
	expire := func(dry bool) string {
		t.Helper()
		var text bytes.Buffer
		vault, err := evidence.OpenVault(t.Context(), evidencePath(out))
		if err != nil {
			t.Fatal(err)
		}
		defer vault.Close()
		if err := expireVault(t.Context(), &text, st, vault, later.AddDate(0, 0, -90), dry); err != nil {
			t.Fatal(err)
		}
		return text.String()
	}
	if said := expire(true); !strings.Contains(said, "would be removed  "+digests["clear.example"]) || !slices.Equal(there(), all) {
		t.Errorf("dry run:\n%s", said)
	}
	said := expire(false)
	for _, want := range []string{"removed  " + digests["clear.example"], digests["held.example"] + "  held.example: held since", `the site is "flagged" in sweep one`, `the site is "review"`, "no last word in sweep one", digests["unknown.example"] + "  unknown.example: no sweep", "1 removed, 5 older ones kept, 1 newer"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	if got := there(); len(got) != len(all)-1 || slices.Contains(got, "clear.example") {
		t.Errorf("left: %v", got)
	}
	code, stdout, stderr := pecrawler(t.Context(), t, "", "rejudge", "--out", out, "one")
	if code != 0 || !strings.Contains(stdout, "Of 1 sites the time of the evidence is over") || strings.Contains(stdout, "clear.example:") {
		t.Errorf("what is left is judged again: %d\n%s%s", code, stdout, stderr)
	}
}

func TestBundleKeepingMisuse(t *testing.T) {
	out := t.TempDir()
	file, digest := sealBundle(t, out, "shop.example")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"hold", "--out", out, file}, 2, "--reason"},
		{[]string{"release", "--out", out, "--reason", "x"}, 2, "FILE|DIGEST"},
		{[]string{"hold", "--out", out, "--reason", "x", "sha256:" + strings.Repeat("0", 64)}, 1, "not in the evidence store"},
		{[]string{"release", "--out", out, "--reason", "x", digest}, 0, ""},
		{[]string{"expire", "--out", out}, 2, "--older"},
		{[]string{"expire", "--out", out, "--older", "0d"}, 2, "--older"},
		{[]string{"expire", "--out", out, "--older", "90"}, 2, "90d"},
		{[]string{"expire", "--out", out, "--older", "90d"}, 1, "holds no sweeps"},
	} {
		if code, _, stderr := pecrawler(t.Context(), t, "", append([]string{"bundle"}, c.args...)...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%v: %d %s", c.args, code, stderr)
		}
	}
}

// A bundle of any age opens, and is judged by today's classifier and rules.
func TestOldBundlesAreStillJudged(t *testing.T) {
	files, err := filepath.Glob("../../evidence/testdata/schema*.zip")
	if err != nil || len(files) < 2 {
		t.Fatalf("bundles %q, %v", files, err)
	}
	cls, set, err := judges()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b, err := evidence.Read(raw)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		v := pipeline.Judge(b, cls, set, "test")
		if v.Outcome != pc.Assessed || v.Overall == pc.NotAssessed || !v.Banner.Present || len(v.Findings) != len(set.Rules()) {
			t.Errorf("%s: %s %s, banner %v, %d findings", f, v.Outcome, v.Overall, v.Banner.Present, len(v.Findings))
		}
		for _, x := range v.Findings {
			if x.Outcome == pc.Unavailable {
				t.Errorf("%s: %s: %s", f, x.Rule, x.Message)
			}
		}
	}
}

// What judging a stored bundle again costs, part by part: go test -bench Judging ./cmd/pecrawler
func BenchmarkJudging(b *testing.B) {
	raw, err := os.ReadFile("../../evidence/testdata/schema2.zip")
	if err != nil {
		b.Fatal(err)
	}
	bundle, err := evidence.Read(raw)
	if err != nil {
		b.Fatal(err)
	}
	cls, set, err := judges()
	if err != nil {
		b.Fatal(err)
	}
	dossier := pipeline.Dossier(bundle, cls)
	for name, part := range map[string]func(){
		"open":     func() { evidence.Read(raw) },
		"classify": func() { pipeline.Dossier(bundle, cls) },
		"rules":    func() { set.Judge(dossier) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				part()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bundles/s")
		})
	}
}
