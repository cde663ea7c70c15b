package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each row has one answer, in its place, also one that is no row.
func TestClassifyAnswersEachRow(t *testing.T) {
	for _, x := range []struct {
		what, in string
		code     int
		want     []string // of each line
	}{
		{"controls", `{"text":"Accept all"}` + "\n" + `{"text":3}` + "\n\nnonsense\n" + `{"text":"Ads","tag":"input","attrs":{"type":"checkbox"}}` + "\n" + `{"lang":"en"}` + "\n" + `{"text":"Gwrthod pob cwci","lang":"cy"}`, 0,
			[]string{`"action":"accept"`, `line 2: \"text\" is a number`, `line 4: it is no JSON object`, `"action":"toggle"`, `line 6: it has no \"text\"`, `"action":"reject"`}},
		{"controls", "\ufeff" + `{"text":""}` + "\r\n", 0, []string{`"why":"it has no text"`}},
		{"controls", "no\nrows\n", 1, []string{"line 1", "line 2"}},
		{"controls", "", 1, nil},
		{"storage", `{"kind":"cookie","name":"_fbp","host":".shop.example","site":"www.shop.example","value":"fb.1.1700000000000.123456789012345678","lifetime_s":7776000}` + "\n" + `{"kind":"jar","name":"a","host":"b"}` + "\n" + `{"name":"a"}` + "\n" + `{"name":"zzz","host":"shop.example","http_only":null}`, 0,
			[]string{`{"class":"nonexempt-advertising","entity":"Meta","confidence":0.99,`, `none of cookie, local`, `it has no \"host\"`, `"class":"unknown"`}},
		{"wording", `{"text":"By continuing to use this site you accept our use of cookies."}` + "\n" + `{"text":"We use cookies for statistics and advertising. Please choose."}` + "\n" + `{"text":"This website makes use of cookies. Please click OK."}`, 0,
			[]string{`"flag":"implied-consent"`, `{"flags":[]}`, `"flag":"missing-purposes"`}},
	} {
		code, out, errs := pecrawler(t.Context(), t, x.in, "classify", x.what)
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		if out == "" {
			lines = nil
		}
		if code != x.code || len(lines) != len(x.want) {
			t.Errorf("%s %q: exit status %d, %d lines, want %d and %d:\n%s%s", x.what, x.in, code, len(lines), x.code, len(x.want), out, errs)
			continue
		}
		for i, want := range x.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s, answer %d: %s, want %s", x.what, i+1, lines[i], want)
			}
		}
	}
	if code, _, errs := pecrawler(t.Context(), t, "", "classify", "cookies"); code != 2 || !strings.Contains(errs, "controls|storage|wording|page") {
		t.Errorf("a misuse: %d %s", code, errs)
	}
}

// endless is rows without end, and counts what was read of them.
type endless struct{ left, read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	e.left--
	n := copy(p, `{"text":"Accept all"}`+"\n")
	e.read += n
	return n, nil
}

// What is read is answered and let go, and a row without end is cut off.
func TestClassifyStreams(t *testing.T) {
	in := &endless{left: 20_000}
	lines := &counter{}
	if code := run(t.Context(), []string{"classify", "controls"}, env{in, lines, io.Discard}); code != 0 || lines.n != 20_000 {
		t.Errorf("exit status %d, %d answers of 20000", code, lines.n)
	}
	code, out, _ := pecrawler(t.Context(), t, `{"text":"`+strings.Repeat("x", maxRow+1)+`"}`+"\n"+`{"text":"OK"}`+"\n", "classify", "controls")
	if code != 0 || !strings.Contains(out, "line 1: it is longer than 8 MiB") || !strings.Contains(out, `"acknowledge"`) {
		t.Errorf("a long row: %d %.300s", code, out)
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) {
	c.n += strings.Count(string(p), "\n")
	return len(p), nil
}

// A saved page is shown as it was saved, with the folder beside it; without
// scripts first, because they ran before.
func TestClassifyPage(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Chromium")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const banner = `<div class="b">We use cookies for advertising, with your consent. <button>Accept all</button> <button>Reject all</button></div>`
	saved := write("saved.html", `<!doctype html><html lang="en"><link rel="stylesheet" href="saved_files/a.css"><body><p>Hello.</p>`+banner+`<script>document.querySelector('.b').remove()</script>`)
	write("saved_files/a.css", `.b { position: fixed; bottom: 0; left: 0; width: 100%; height: 120px }`)
	scripted := write("scripted.html", `<!doctype html><html lang="en"><body><p>Hello.</p><script>document.body.insertAdjacentHTML('beforeend', '`+strings.Replace(banner, `class="b"`, `style="position:fixed;top:0"`, 1)+`')</script>`)
	plain := write("plain.html", `<!doctype html><p>Oat and ginger cookies.`)
	var rows strings.Builder
	for _, f := range []string{saved, scripted, plain, filepath.Join(dir, "none.html")} {
		fmt.Fprintf(&rows, "{\"file\":%q}\n", f)
	}
	code, out, errs := pecrawler(t.Context(), t, rows.String(), "classify", "page")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 4 {
		t.Fatalf("exit status %d\n%s%s", code, out, errs)
	}
	for i, want := range []string{`"present":true,"cmp":"","kind":"bar"`, `"present":true`, `"present":false`, `line 4:`} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("answer %d: %s, want %s", i+1, lines[i], want)
		}
	}
	if !strings.Contains(lines[0], `"clicks_to_accept":1,"clicks_to_reject":1`) {
		t.Errorf("clicks: %s", lines[0])
	}
}
