package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const accountability = "../../docs/accountability"

// The pages in the repository are what the record and the results say.
func TestRecordIsUpToDate(t *testing.T) {
	pages, r, err := renderRecord(accountability, "../../docs/results.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(accountability, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s is not what the record and the results say: run `make record`", name)
		}
		if r != nil && (!strings.Contains(string(want), r.Flags.Specificity.String()) || strings.Contains(string(want), "Not measured yet")) {
			t.Errorf("%s has not the figures of the results", name)
		}
	}
}

func TestRecordWithoutResults(t *testing.T) {
	pages, _, err := renderRecord(accountability, filepath.Join(t.TempDir(), "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, page := range pages {
		if n := strings.Count(string(page), "Not measured yet"); n != 7 {
			t.Errorf("%s says %d times that something is not measured yet, want 7: three versions, three performances, the quantities", name, n)
		}
		if strings.Contains(string(page), "95 % interval") {
			t.Errorf("%s has figures, and there are no results", name)
		}
	}
	damaged := filepath.Join(t.TempDir(), "results.json")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := renderRecord(accountability, damaged); err == nil {
		t.Error("damaged results were taken for none")
	}
}

func TestRecordHasTheFieldsOfTheStandard(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(accountability, "transparency-record.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ why, old, replacement, want string }{
		{"a field is missing", "- number: \"3.4\"\n        name: Required training", "- number: \"3.3\"\n        name: Frequency and scale of usage", `"3.4 Required training" is not there`},
		{"a field is not the standard's", "name: Maintenance", "name: Upkeep", `no field "4.1.4 Upkeep"`},
		{"a model lacks a field", "name: Model task", "name: Task", `"4.2.3 Model task" is not there`},
		{"an unknown key", "fill: The number is given", "fil: The number is given", "fil"},
		{"figures that do not exist", "[purposes]", "[porpoises]", `no figures "porpoises"`},
		{"a blank that does not say what to fill in", "fill: The number is given when the record is published.", "fill: \"\"", "ID is empty"},
	} {
		changed := strings.Replace(string(raw), x.old, x.replacement, 1)
		if changed == string(raw) {
			t.Errorf("%s: the record has no %q", x.why, x.old)
			continue
		}
		if _, err := parseRecord([]byte(changed)); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: the error is %v, want %q in it", x.why, err, x.want)
		}
	}
}

// The page stands alone and runs nothing.
func TestRecordPage(t *testing.T) {
	pages, _, err := renderRecord(accountability, "../../docs/results.json")
	if err != nil {
		t.Fatal(err)
	}
	page := string(pages["transparency-record.html"])
	for _, bad := range []string{"<script", "javascript:", "<link", "<img", "@import", "url(", "http://", "https://"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("the id %q is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="#|aria-labelledby=")([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !ids[m[1]] {
			t.Errorf("nothing has the id %q that is referred to", m[1])
		}
	}
	if !strings.Contains(string(code("a `<b>` & `c")), "a <code>&lt;b&gt;</code> &amp; ") {
		t.Errorf("code is not escaped: %s", code("a `<b>` & `c"))
	}
}

// What the documents refer to is there.
func TestAccountabilityLinks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(accountability, "*.*"))
	if err != nil || len(files) < 8 {
		t.Fatalf("%d documents, %v", len(files), err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)\)`)
	file := regexp.MustCompile("`((?:docs|rules|lab|classifier)/[^`]*|NOTICE|[A-Za-z-]+\\.(?:md|yaml|html))`")
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(raw), -1) {
			if _, err := os.Stat(filepath.Join(accountability, m[1])); err != nil {
				t.Errorf("%s: the link %s leads nowhere", filepath.Base(name), m[1])
			}
		}
		for _, m := range file.FindAllStringSubmatch(string(raw), -1) {
			if m[1] == "rule.yaml" {
				continue // of any rule
			}
			_, here := os.Stat(filepath.Join(accountability, m[1]))
			if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil && here != nil {
				t.Errorf("%s: there is no %s", filepath.Base(name), m[1])
			}
		}
	}
}
