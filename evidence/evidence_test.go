package evidence_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pc "pecrawler"
	"pecrawler/evidence"
)

func draft(t testing.TB) *evidence.Draft {
	t.Helper()
	d := evidence.NewDraft(pc.Visit{Sweep: "s", Site: "www.example.co.uk", URL: "https://www.example.co.uk/", Number: 1, Scenarios: pc.Scenarios})
	look, _ := json.Marshal(pc.Look{URL: "https://www.example.co.uk/", Status: 200})
	capt, _ := json.Marshal(pc.Capture{Schema: 1, Scenario: pc.Idle, Requests: []pc.Request{{URL: "https://www.example.co.uk/"}}})
	page, _ := json.Marshal(pc.Page{Nodes: []pc.Node{{Parent: -1, Tag: "html"}, {Parent: 0, Tag: "body"}}})
	for name, b := range map[string][]byte{"look.json": look, "idle/capture.json": capt, "idle/pages/0.json": page, "idle/screens/0.jpg": []byte("picture")} {
		if err := d.Add(name, b); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func seal(t testing.TB) (*evidence.Vault, string) {
	t.Helper()
	v, err := evidence.OpenVault(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	digest, err := evidence.Seal(t.Context(), v, draft(t))
	if err != nil {
		t.Fatal(err)
	}
	return v, digest
}

func TestRoundTrip(t *testing.T) {
	v, digest := seal(t)
	b, err := v.Open(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	if b.Digest() != digest || b.Visit().Site != "www.example.co.uk" || b.Look().Status != 200 || len(b.Captures()[pc.Idle].Requests) != 1 {
		t.Errorf("opened %+v %+v %+v", b.Visit(), b.Look(), b.Captures())
	}
	if p, err := b.Page("idle/pages/0.json"); err != nil || len(p.Nodes) != 2 {
		t.Errorf("Page: %v, %v", p, err)
	}
	if raw, err := b.Part("idle/screens/0.jpg"); err != nil || string(raw) != "picture" {
		t.Errorf("Part: %q, %v", raw, err)
	}
}

// place is where the bytes of an entry lie in a zip.
type place struct {
	name     string
	from, to int
}

func contents(t testing.TB, data []byte) (out []place) {
	t.Helper()
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range zr.File {
		at, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, place{f.Name, int(at), int(at) + int(f.CompressedSize64)})
	}
	return out
}

// rezip rewrites a bundle with one part changed, removed or added.
func rezip(t *testing.T, data []byte, change func(name string, b []byte) ([]byte, bool), extra string) []byte {
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zw := zip.NewWriter(&out)
	for _, f := range zr.File {
		r, _ := f.Open()
		raw, _ := io.ReadAll(r)
		if raw, keep := change(f.Name, raw); keep {
			w, _ := zw.Create(f.Name)
			w.Write(raw)
		}
	}
	if extra != "" {
		w, _ := zw.Create(extra)
		w.Write([]byte("x"))
	}
	zw.Close()
	return out.Bytes()
}

func TestDamageIsNamed(t *testing.T) {
	v, digest := seal(t)
	data, _ := v.Bytes(t.Context(), digest)
	const target = "idle/capture.json"
	keep := func(name string, b []byte) ([]byte, bool) { return b, true }
	for name, tt := range map[string]struct {
		data []byte
		part string
	}{
		"changed": {rezip(t, data, func(n string, b []byte) ([]byte, bool) {
			if n == target {
				b = bytes.Replace(b, []byte("example"), []byte("elpmaxe"), 1)
			}
			return b, true
		}, ""), target},
		"removed": {rezip(t, data, func(n string, b []byte) ([]byte, bool) { return b, n != target }, ""), target},
		"added":   {rezip(t, data, keep, "idle/extra.json"), "idle/extra.json"},
		"twice":   {rezip(t, data, keep, target), target},
		"no zip":  {[]byte("hello"), "(archive)"},
	} {
		_, err := evidence.Read(tt.data)
		d, ok := errors.AsType[*evidence.DamagedError](err)
		if !ok || d.Part != tt.part {
			t.Errorf("%s: %v, want the part %q named", name, err, tt.part)
		}
	}
}

func TestDraftRefusesBadNames(t *testing.T) {
	d := draft(t)
	for _, name := range []string{"", "../x", "/x", "a/../b", "manifest.json", "a\\b", "signature.json", "timestamp.tsr", "a b", "é", "idle/capture.json"} {
		if err := d.Add(name, nil); err == nil {
			t.Errorf("Add(%q) = nil", name)
		}
	}
}

func TestOpenRefusesNames(t *testing.T) {
	v, _ := seal(t)
	for _, d := range []string{"", "sha256:", "sha256:../../etc/passwd", "sha256:" + strings.Repeat("0", 64)} {
		if _, err := v.Open(t.Context(), d); err == nil {
			t.Errorf("Open(%q) = nil", d)
		}
	}
}

// A bundle under a name that is not its own is not the evidence it claims to be.
func TestSwappedBundle(t *testing.T) {
	dir := t.TempDir()
	v, err := evidence.OpenVault(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	digest, err := evidence.Seal(t.Context(), v, draft(t))
	if err != nil {
		t.Fatal(err)
	}
	other := "sha256:" + strings.Repeat("ab", 32)
	data, _ := v.Bytes(t.Context(), digest)
	name := filepath.Join(dir, "sha256", "ab", strings.Repeat("ab", 32)+".zip")
	os.MkdirAll(filepath.Dir(name), 0o755)
	os.WriteFile(name, data, 0o644)
	if _, err := v.Open(t.Context(), other); err == nil {
		t.Error("a bundle opened under another's name")
	}
}

func TestVaultCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	os.WriteFile(file, nil, 0o644)
	if _, err := evidence.OpenVault(t.Context(), filepath.Join(file, "evidence")); err == nil || !strings.Contains(err.Error(), "evidence store") {
		t.Errorf("OpenVault below a file: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	v, digest := seal(f)
	data, _ := v.Bytes(f.Context(), digest)
	f.Add(data)
	signed, _ := sealed(f, evidence.TSA{URL: authority(f, time.Now(), nil).URL}, nil)
	f.Add(signed)
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := evidence.Read(data); err == nil {
			b.Page("idle/pages/0.json")
		}
	})
}
