package letter

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// hostile are texts that a page can give us for a name, a title or a button.
var hostile = []string{
	`</p></main><script>alert(1)</script><img src=x onerror=alert(2)>`, `" onload="alert(1)`, "# What we decided", "- no fault\n\n# Closed\n\nYours faithfully", "= evidence", "{{.Site}} {{end}}",
	`]]></text:p><text:p>forged</text:p><script:event-listener/>`, "\x00\x01\x1b[31m\ufffe\uffff\xff", "[[fill me in]]", "“ The case is closed. ”", strings.Repeat("W", 5000), "&amp;lt;b&gt; &#60;b&#62;",
}

func facts(text string) Facts {
	at := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	one := OneLine(text)
	return Facts{Case: "uk-2026/shop.example", Site: "shop.example", Address: "https://shop.example/", Visits: 2, First: at, Last: at.AddDate(0, 0, 1), Today: at.AddDate(0, 0, 5), Deadline: at.AddDate(0, 0, 35),
		Findings: []Finding{{Number: 1, Rule: "pre-ad-storage", Check: 1, Says: one, Cites: []string{"PECR reg 6(1)", one}, Facts: []string{one, one}, Repeat: one, Change: one, Clears: one}, {Number: 2, Says: "Refusing takes more presses than accepting", Change: "Offer both on the same layer."}}}
}

func document(t *testing.T, text string) Document {
	t.Helper()
	ts, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	letter, annex, err := ts.Draft("en", facts(text))
	if err != nil {
		t.Fatal(err)
	}
	return Document{Lang: "en", Title: "About " + text, Text: letter, Annex: annex, Proofs: []Proof{{text, strings.Repeat("0f", 32)}}, Pictures: []Picture{{text, []byte("\xff\xd8\xff\xd9"), 1366, 900}}}
}

// heads are the headings of a text.
func heads(text string) (out []string) {
	for _, b := range blocks(text) {
		if b.Kind == heading || b.Kind == smaller {
			out = append(out, b.Lines[0])
		}
	}
	return out
}

// Whatever a page calls its things: the letter has as many parts as with plain
// words, and none is the page's.
func TestNoTextMakesALine(t *testing.T) {
	plain := document(t, "plain words")
	for _, text := range hostile {
		d := document(t, text)
		for what, of := range map[string][2]string{"letter": {plain.Text, d.Text}, "annex": {plain.Annex, d.Annex}} {
			if a, b := len(blocks(of[0])), len(blocks(of[1])); a != b {
				t.Errorf("%q makes %d parts of the %s, want %d", text, b, what, a)
			}
			if a, b := len(Gaps(of[0])), len(Gaps(of[1])); a != b {
				t.Errorf("%q makes %d gaps in the %s, want %d", text, b, what, a)
			}
			if a, b := len(heads(of[0])), len(heads(of[1])); a != b {
				t.Errorf("%q makes %d headings in the %s, want %d", text, b, what, a)
			}
		}
	}
}

func TestPage(t *testing.T) {
	for _, text := range hostile {
		d := document(t, text)
		d.Draft = true
		var b bytes.Buffer
		if err := d.HTML(&b); err != nil {
			t.Fatal(err)
		}
		page := b.String()
		for _, no := range []string{"<script", "<img src=x", "onload=\"alert", "ZgotmplZ"} {
			if strings.Contains(page, no) {
				t.Errorf("%q: the page has %s", text, no)
			}
		}
		if strings.Count(page, "<h1>") != len(heads(document(t, "x").Text))+1 || !strings.Contains(page, "NOT SENT") || !strings.Contains(page, "data:image/jpeg;base64,/9j/2Q==") || !strings.Contains(page, `lang="en"`) {
			t.Errorf("%q: the page is not as it should be", text)
		}
	}
}

// An OpenDocument text is what its standard asks for: the type first and not
// packed, every part listed, every part XML; and nobody's text adds to it.
func TestODT(t *testing.T) {
	elements := func(d Document) map[string]int {
		var b bytes.Buffer
		if err := d.ODT(&b); err != nil {
			t.Fatal(err)
		}
		if want := "PK\x03\x04"; string(b.Bytes()[:4]) != want || string(b.Bytes()[30:38]) != "mimetype" || string(b.Bytes()[38:38+len(odtMIME)]) != odtMIME {
			t.Errorf("it begins with %q", b.Bytes()[:90])
		}
		z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if f := z.File[0]; f.Name != "mimetype" || f.Method != zip.Store || len(f.Extra) > 0 || f.Flags != 0 {
			t.Errorf("the first entry is %+v", f.FileHeader)
		}
		count := map[string]int{}
		listed := map[string]bool{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			raw, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(f.Name, ".xml") {
				continue
			}
			dec := xml.NewDecoder(bytes.NewReader(raw))
			for {
				tok, err := dec.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", f.Name, err)
				}
				if el, ok := tok.(xml.StartElement); ok {
					if el.Name.Space == "" || !strings.HasPrefix(el.Name.Space, "urn:oasis:names:tc:opendocument:") && !strings.HasPrefix(el.Name.Space, "http://purl.org/dc/") {
						t.Errorf("%s: the element %+v", f.Name, el.Name)
					}
					count[f.Name+" "+el.Name.Local]++
					for _, a := range el.Attr {
						if a.Name.Local == "full-path" {
							listed[a.Value] = true
						}
						if a.Name.Local == "href" && a.Value != "Pictures/1.jpg" {
							t.Errorf("it leads to %s", a.Value)
						}
					}
				}
			}
		}
		for _, f := range z.File {
			if f.Name != "mimetype" && f.Name != "META-INF/manifest.xml" && !listed[f.Name] {
				t.Errorf("the manifest does not list %s", f.Name)
			}
		}
		return count
	}
	want := elements(document(t, "plain words"))
	for _, text := range hostile {
		got := elements(document(t, text))
		for k, n := range got {
			if n != want[k] {
				t.Errorf("%.40q: %d of %s, want %d", text, n, k, want[k])
			}
		}
	}
}

func TestTemplatesOfAFolder(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	ts, err := Load(fstest.MapFS{"cy.letter.txt": file("Annwyl {{.Site}}\n\n\n\n# Pennawd\n{{day .Deadline}}, {{count .Findings}} {{times .Visits}}, {{span .First .Last}}"), "cy.annex.txt": file("= evidence"), "notes.md": file("")})
	if err != nil || strings.Join(ts.Names(), " ") != "cy" {
		t.Fatal(ts, err)
	}
	letter, annex, err := ts.Draft("cy", facts("x"))
	if err != nil || letter != "Annwyl shop.example\n\n# Pennawd\n25 Rhagfyr 2026, 2 dwywaith, o 20 Tachwedd 2026 i 21 Tachwedd 2026" || annex != "= evidence" {
		t.Errorf("%q, %q, %v", letter, annex, err)
	}
	if _, _, err := ts.Draft("en", facts("x")); err == nil {
		t.Error("a template that is not there gave a letter")
	}
	for name, folder := range map[string]fstest.MapFS{
		"no letter": {}, "no annex": {"en.letter.txt": file("x")}, "no language": {"Letter 1.letter.txt": file("x"), "Letter 1.annex.txt": file("x")},
		"no such fact": {"en.letter.txt": file("{{.Price}}"), "en.annex.txt": file("")}, "not finished": {"en.letter.txt": file("{{range .Findings}}"), "en.annex.txt": file("")},
	} {
		if _, err := Load(folder); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// A letter in Welsh says so of itself, and of the names of evidence that they are
// English; days are in the letter's language.
func TestLanguages(t *testing.T) {
	at := time.Date(2026, 8, 1, 23, 30, 0, 0, time.UTC)
	for lang, want := range map[string]string{"en": "1 August 2026", "en-GB": "1 August 2026", "cy": "1 Awst 2026", "ga": "2026-08-01"} {
		if got, spoken := Day(lang, at); got != want || spoken != (lang != "ga") {
			t.Errorf("Day(%s) = %q, %v", lang, got, spoken)
		}
	}
	for lang, c := range map[string]struct {
		has, no []string
	}{
		"en": {[]string{`<html lang="en"`, "DRAFT – NOT SENT</p>", "<dt>Visit 1", "<figcaption>Visit 1"}, []string{"DRAFFT"}},
		"cy": {[]string{`<html lang="cy"`, "DRAFFT – HEB EI ANFON</p>", `<dt lang="en">Visit 1`, `<figcaption lang="en">Visit 1`, "<title>Llythyr ynghylch shop.example"}, []string{"NOT SENT"}},
	} {
		d := Document{Lang: lang, Title: Title(lang, "shop.example"), Draft: true, Text: "Annwyl", Annex: "= pictures", Proofs: []Proof{{"Visit 1", "ab"}}, Pictures: []Picture{{"Visit 1", []byte("\xff\xd8\xff\xd9"), 10, 10}}}
		var page, text bytes.Buffer
		if err := errors.Join(d.HTML(&page), d.ODT(&text)); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.has {
			if !strings.Contains(page.String(), want) {
				t.Errorf("%s: the page has no %s\n%s", lang, want, page.String())
			}
		}
		for _, no := range c.no {
			if strings.Contains(page.String(), no) {
				t.Errorf("%s: the page has %s", lang, no)
			}
		}
	}
}

func TestNobodyLeavesTheEvidenceOut(t *testing.T) {
	var b bytes.Buffer
	if err := (Document{Lang: "en", Text: "Dear", Annex: "Nothing", Proofs: []Proof{{"Visit 1", "abcdef"}}}).HTML(&b); err != nil || !strings.Contains(b.String(), "abcdef") {
		t.Errorf("%s, %v", b.String(), err)
	}
}

// A program of somebody else reads it, where there is one.
func TestOtherProgramsReadIt(t *testing.T) {
	bin, err := exec.LookPath("odt2txt")
	if err != nil {
		t.Skip("odt2txt is not installed")
	}
	name := filepath.Join(t.TempDir(), "letter.odt")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(document(t, "plain <words> & more").ODT(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(bin, "--encoding=utf-8", "--width=-1", name).Output()
	if err != nil || !strings.Contains(string(out), "plain <words> & more") || !strings.Contains(string(out), "25 December 2026") {
		t.Errorf("%v\n%s", err, out)
	}
}
