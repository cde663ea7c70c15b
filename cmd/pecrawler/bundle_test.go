package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	pc "pecrawler"
	"pecrawler/evidence"
)

// sealBundle seals a small visit in a data folder and returns the bundle's file.
func sealBundle(t *testing.T, out, site string) (file, digest string) {
	t.Helper()
	v, err := evidence.OpenVault(t.Context(), evidencePath(out))
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	d := evidence.NewDraft(pc.Visit{Sweep: "one", Site: site, URL: "https://" + site + "/", Number: 1, Scenarios: pc.Scenarios})
	for name, text := range map[string]string{
		"look.json":         `{"url":"https://` + site + `/","load":{"outcome":"assessed"}}`,
		"idle/capture.json": `{"schema":1,"scenario":"idle","load":{"outcome":"assessed"},"final_url":"https://` + site + `/","requests":[{"url":"https://` + site + `/","method":"GET","type":"Document","status":200,"redirect_of":-1}],"acts":[{"text":"\u001b[2J"}]}`,
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
		{"by another key", []string{"--key", filepath.Join(out, "other.pub.pem"), file}, 1, []string{"signature.json", "not by"}},
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
