package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pecrawler/evidence"
	"pecrawler/store"
)

func TestCaseVerify(t *testing.T) {
	dir := t.TempDir()
	key, err := evidence.OpenKey(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := evidence.OpenKey(filepath.Join(dir, "other.pem")); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(dir, "s.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if err := st.Note(t.Context(), store.Entry{At: time.Unix(1, 0), Who: "ann", Act: "view", Subject: "uk/a.example"}); err != nil {
		t.Fatal(err)
	}
	log, err := st.Audit(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, entry store.Entry, signer evidence.Signer, change func([]byte)) string {
		t.Helper()
		line, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		m := evidence.CaseManifest{Sweep: "uk", Site: "a.example\x1b[31m", MadeBy: "ann"}
		if err := evidence.WriteCase(t.Context(), &b, m, map[string][]byte{"audit.jsonl": line, "letters/2/letter.txt": []byte("Dear shop")}, signer); err != nil {
			t.Fatal(err)
		}
		change(b.Bytes())
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	as := func([]byte) {}
	other := log[0]
	other.Who = "bob"
	good, unsigned := write("good.zip", log[0], key, as), write("unsigned.zip", log[0], nil, as)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"whole":             {[]string{good}, 0, "2 files, 0 sealed bundles, 1 entries of the audit log"},
		"signed":            {[]string{"--key", filepath.Join(dir, "key.pub.pem"), good}, 0, "which is that of"},
		"by somebody else":  {[]string{"--key", filepath.Join(dir, "other.pub.pem"), good}, 1, "it was signed by the key"},
		"not signed":        {[]string{unsigned}, 0, "signature: none"},
		"not signed at all": {[]string{"--key", filepath.Join(dir, "key.pub.pem"), unsigned}, 1, "not signed"},
		"a flipped byte":    {[]string{write("flipped.zip", log[0], key, func(b []byte) { b[bytes.Index(b, []byte("Dear"))] ^= 1 })}, 1, "letters/2/letter.txt"},
		"another entry":     {[]string{write("entry.zip", other, key, as)}, 1, "entry 1 is not as it was written"},
		"no case file":      {[]string{filepath.Join(dir, "key.pem")}, 1, "key.pem"},
		"nothing":           {nil, 2, "want case verify FILE"},
	} {
		code, out, stderr := pecrawler(t.Context(), t, "", append([]string{"case", "verify"}, c.args...)...)
		if code != c.code || !strings.Contains(out+stderr, c.says) || strings.Contains(out, "\x1b") {
			t.Errorf("%s: %d, want %d\n%s%s", name, code, c.code, out, stderr)
		}
	}
}

// What the settings of letters say is looked at when the program starts.
func TestLettersOfAnOffice(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, "pecrawler.db"))
	if err != nil {
		t.Fatal(err)
	}
	st.Close()
	if err := os.WriteFile(filepath.Join(dir, "en.letter.txt"), []byte("{{.Price}}"), 0o644); err != nil {
		t.Fatal(err)
	}
	for flag, says := range map[string]string{"--letters=" + dir: "en.annex.txt", "--letters=/no/such/folder": "NAME.letter.txt", "--signing-key=/no/such/key": "/no/such/key"} {
		if code, _, stderr := pecrawler(t.Context(), t, "", "review", "--out", dir, "--listen", "127.0.0.1:0", flag); code != 1 || !strings.Contains(stderr, says) {
			t.Errorf("%s: %d\n%s", flag, code, stderr)
		}
	}
}
