package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/lab"
)

// The record of the tool for the Algorithmic Transparency Recording Standard:
// its text is written by hand, its figures come from the results of the build.

//go:embed record.gohtml
var recordPage string

// recordDoc is docs/accountability/transparency-record.yaml.
type recordDoc struct {
	Standard string          `yaml:"standard"`
	Version  string          `yaml:"version"`
	Tool     string          `yaml:"tool"`
	Sections []recordSection `yaml:"sections"`
}

type recordSection struct {
	Title  string        `yaml:"title"`
	Fields []recordField `yaml:"fields"`
	Models []recordModel `yaml:"models"` // the fields once for each
}

type recordModel struct {
	Title  string        `yaml:"title"`
	Fields []recordField `yaml:"fields"`
}

type recordField struct {
	Number  string   `yaml:"number"` // "" on metadata
	Name    string   `yaml:"name"`
	Text    string   `yaml:"text"`
	Fill    string   `yaml:"fill"`    // what the organisation that uses the tool has to write
	Figures []string `yaml:"figures"` // see figures

	ID   string   `yaml:"-"` // anchor
	Made []figure `yaml:"-"`
}

// figure is a figure as it stands on the page: a table, a sentence, or a table
// with a sentence below it.
type figure struct {
	ID      string
	Text    string
	Caption string
	Head    []string
	Rows    [][]string
}

// standardFields are the fields of version 3.0 of the standard, in its order.
// 4.2 is given once for each model.
func standardFields() [][]string {
	return [][]string{
		{"ID", "Standard version", "Date published", "Date updated", "Date archived", "Organisation", "Function", "Region", "Phase"},
		{"1 Name", "2 Description", "3 Website URL", "4 Contact email"},
		{"1.1 Organisation or department", "1.2 Team", "1.3 Senior responsible owner", "1.4 External supplier involvement", "1.4.1 External supplier", "1.4.2 Companies House number",
			"1.4.3 External supplier role", "1.4.4 Procurement procedure type", "1.4.5 Data access terms"},
		{"2.1 Detailed description", "2.2 Benefits", "2.3 Previous process", "2.4 Alternatives considered"},
		{"3.1 Integration into broader operational process", "3.2 Human review", "3.3 Frequency and scale of usage", "3.4 Required training", "3.5 Appeals and review"},
		{"4.1.1 System architecture", "4.1.2 System-level input", "4.1.3 System-level output", "4.1.4 Maintenance", "4.1.5 Models"},
		{"4.2.1 Model name", "4.2.2 Model version", "4.2.3 Model task", "4.2.4 Model input", "4.2.5 Model output", "4.2.6 Model architecture", "4.2.7 Model performance", "4.2.8 Datasets and their purposes"},
		{"4.3.1 Development data description", "4.3.2 Data modality", "4.3.3 Data quantities", "4.3.4 Sensitive attributes", "4.3.5 Data completeness and representativeness", "4.3.6 Data cleaning",
			"4.3.7 Data collection", "4.3.8 Data access and storage", "4.3.9 Data sharing agreements"},
		{"4.4.1 Data sources", "4.4.2 Sensitive attributes", "4.4.3 Data processing methods", "4.4.4 Data access and storage", "4.4.5 Data sharing agreements"},
		{"5.1 Impact assessments", "5.2 Risks and mitigations"},
	}
}

// parseRecord reads a record and refuses one that is not as the standard has it.
func parseRecord(raw []byte) (*recordDoc, error) {
	d := &recordDoc{}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(d); err != nil {
		return nil, err
	}
	want := standardFields()
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if len(d.Sections) != len(want) {
		bad("%d sections, and the standard has %d", len(d.Sections), len(want))
	}
	for i := range min(len(d.Sections), len(want)) {
		s := &d.Sections[i]
		check := func(where string, fields []recordField) {
			var got []string
			for _, f := range fields {
				got = append(got, f.label())
				if strings.TrimSpace(f.Text) == "" && strings.TrimSpace(f.Fill) == "" && len(f.Figures) == 0 {
					bad("%s: %s is empty; a blank says what to fill in", where, f.label())
				}
				for _, k := range f.Figures {
					if _, ok := figures[k]; !ok {
						bad("%s: %s: there are no figures %q", where, f.label(), k)
					}
				}
			}
			for _, l := range want[i] {
				if !slices.Contains(got, l) {
					bad("%s: the field %q is not there", where, l)
				}
			}
			for _, l := range got {
				if !slices.Contains(want[i], l) {
					bad("%s: the standard has no field %q here", where, l)
				}
			}
			if len(errs) == 0 && !slices.Equal(got, want[i]) {
				bad("%s: the fields are not in the standard's order, or one is there twice", where)
			}
		}
		if len(s.Models) == 0 {
			check(s.Title, s.Fields)
		} else if len(s.Fields) > 0 {
			bad("%s: a section has fields or models", s.Title)
		}
		for _, m := range s.Models {
			check(m.Title, m.Fields)
		}
	}
	return d, errors.Join(errs...)
}

func (f *recordField) label() string { return strings.TrimSpace(f.Number + " " + f.Name) }

// notMeasured stands where figures would, when nothing has been measured.
const notMeasured = "Not measured yet. `make score` measures the build, and `make record` fills this in."

// fill sets anchors, and the figures where there are results. results may be nil.
func (d *recordDoc) fill(results *lab.Results) {
	seen := map[string]bool{}
	one := func(f *recordField) {
		f.ID = "f-" + strings.ToLower(strings.NewReplacer(".", "-", " ", "-").Replace(cmp.Or(f.Number, f.Name)))
		for base, n := f.ID, 2; seen[f.ID]; n++ {
			f.ID = fmt.Sprintf("%s-%d", base, n)
		}
		seen[f.ID] = true
		f.Made = nil
		for _, k := range f.Figures {
			x := figure{Text: notMeasured}
			if results != nil {
				x = figures[k](results)
			} else if len(f.Made) > 0 {
				break // once is enough
			}
			x.ID = f.ID + "-" + k
			f.Made = append(f.Made, x)
		}
	}
	for i := range d.Sections {
		for j := range d.Sections[i].Fields {
			one(&d.Sections[i].Fields[j])
		}
		for j := range d.Sections[i].Models {
			for k := range d.Sections[i].Models[j].Fields {
				one(&d.Sections[i].Models[j].Fields[k])
			}
		}
	}
}

// Blanks are the fields in which something is left to fill in.
func (d *recordDoc) Blanks() (out []recordField) {
	for _, s := range d.Sections {
		for _, fs := range append([]recordModel{{Fields: s.Fields}}, s.Models...) {
			for _, f := range fs.Fields {
				if f.Fill != "" {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// figures are the figures that a field can ask for.
var figures = map[string]func(*lab.Results) figure{
	"classifier-version": versions("classifier", func(v pc.Versions) string { return v.Classifier }),
	"lists-version":      versions("lists", func(v pc.Versions) string { return v.Lists }),
	"rules-version":      versions("rules", func(v pc.Versions) string { return v.Rules }),
	"sweeps": func(r *lab.Results) figure {
		t := figure{Caption: "Sweeps of the test web, " + r.Machine, Head: []string{"Sweep", "Sites", "Visits", "Flagged", "For review", "Begun (UTC)"},
			Text: fmt.Sprintf("Lawful sites are swept again only to look for false flags; the other figures are of the %d sites that were swept first.", r.Sites)}
		for _, s := range r.Sweeps {
			t.Rows = append(t.Rows, []string{s.Name, fmt.Sprint(s.Sites), fmt.Sprint(s.Visits), fmt.Sprint(s.Flagged), fmt.Sprint(s.Review), s.First.UTC().Format("2 January 2006, 15:04")})
		}
		return t
	},
	"flags": func(r *lab.Results) figure {
		t := figure{Caption: fmt.Sprintf("Flags: %d sites of the test web, %s", r.Sites, r.Date), Head: []string{"What was measured", "Result (95 % interval; cases)"}, Rows: [][]string{
			{"Lawful sites, and sites that cannot be assessed, that were not flagged (specificity)", r.Flags.Specificity.String()},
			{"Sites with a fault that were flagged (sensitivity)", r.Flags.Sensitivity.String()},
			{"Outcome and reason of the visit right", r.Flags.Outcome.String()},
		}}
		for _, p := range r.Flags.Precision {
			t.Rows = append(t.Rows, []string{fmt.Sprintf("Flags that are right, where %.0f in 100 sites have a fault", 100*p.Prevalence), fmt.Sprintf("%.1f %% (at worst %.1f %%)", 100*p.Precision, 100*p.Worst)})
		}
		return t
	},
	"rules": func(r *lab.Results) figure {
		t := figure{Caption: "Rules", Head: []string{"Rule", "Failures that were right (precision)", "Faults that were found (recall)", "Faults for which it was unsure"},
			Text: "A failure counts as wrong even where the site was not flagged for it, or was rightly flagged for another fault."}
		var none []string
		for _, x := range r.Rules {
			if x.Known {
				t.Rows = append(t.Rows, []string{x.Rule, x.Precision.String(), x.Recall.String(), fmt.Sprint(x.Unsure)})
			} else {
				none = append(none, "`"+x.Rule+"`")
			}
		}
		if len(none) > 0 {
			t.Text += fmt.Sprintf(" The test web has faults for %d more rules that the measured build did not have, and none of these faults was found: %s.", len(none), strings.Join(none, ", "))
		}
		return t
	},
	"banners": func(r *lab.Results) figure {
		return figure{Caption: "Banners", Head: []string{"What was measured", "Result (95 % interval; cases)"}, Rows: [][]string{
			{"Found where there is one", r.Banners.Sensitivity.String()},
			{"None found where there is none", r.Banners.Specificity.String()},
			{"Consent manager named", r.Banners.CMP.String()},
			{"Kind right", r.Banners.Kind.String()},
			{"Language right", r.Banners.Language.String()},
		}}
	},
	"controls": func(r *lab.Results) figure {
		t := figure{Caption: "Controls of a banner's first layer", Head: []string{"Action", "Precision", "Recall"}}
		for _, x := range r.Controls {
			t.Rows = append(t.Rows, []string{x.Action, x.Precision.String(), x.Recall.String()})
		}
		return t
	},
	"purposes": func(r *lab.Results) figure {
		t := figure{Caption: "Stored items and requests by their true class", Head: []string{"True class", "Given this class", "Unknown", "Given another class"}}
		for _, x := range r.Purposes {
			t.Rows = append(t.Rows, []string{x.Class, x.Right.String(), fmt.Sprint(x.Unknown), fmt.Sprint(x.Right.N - x.Right.K - x.Unknown)})
		}
		return t
	},
}

// versions names the versions of one thing with which the sweeps were made.
func versions(what string, of func(pc.Versions) string) func(*lab.Results) figure {
	return func(r *lab.Results) figure {
		var order []string
		by := map[string][]string{}
		for _, s := range r.Sweeps {
			for _, v := range s.Versions {
				x := of(v)
				if by[x] == nil {
					order = append(order, x)
				}
				by[x] = append(by[x], s.Name)
			}
		}
		var parts []string
		for _, x := range order {
			part := what + " `" + x + "`"
			if len(order) > 1 {
				part += " (sweep " + strings.Join(by[x], ", ") + ")"
			}
			parts = append(parts, part)
		}
		return figure{Text: "The figures of this record are of " + strings.Join(parts, ", ") + "."}
	}
}

// block is a paragraph or a list.
type block struct {
	Text  string
	Items []string
}

func blocks(text string) (out []block) {
	para := false // the last block is a paragraph that goes on
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		item, list := strings.CutPrefix(line, "- ")
		switch n := len(out) - 1; {
		case line == "":
			para = false
			continue
		case list && n >= 0 && out[n].Items != nil:
			out[n].Items = append(out[n].Items, item)
		case list:
			out = append(out, block{Items: []string{item}})
		case para:
			out[n].Text += " " + line
			continue
		default:
			out = append(out, block{Text: line})
		}
		para = !list
	}
	return out
}

// code marks what stands between backquotes.
func code(text string) template.HTML {
	parts := strings.Split(text, "`")
	var b strings.Builder
	for i, p := range parts {
		if i%2 == 1 && i < len(parts)-1 {
			b.WriteString("<code>" + template.HTMLEscapeString(p) + "</code>")
		} else {
			b.WriteString(template.HTMLEscapeString(p))
		}
	}
	return template.HTML(b.String())
}

func (d *recordDoc) html() ([]byte, error) {
	t, err := template.New("record").Funcs(template.FuncMap{"blocks": blocks, "code": code}).Parse(recordPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, d)
	return b.Bytes(), err
}

func (d *recordDoc) markdown() []byte {
	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }
	p("# %s: %s\n\nVersion %s of the standard. Made by `make record` from `transparency-record.yaml` and `docs/results.json`; do not edit it here.\n\n", d.Standard, d.Tool, d.Version)
	p("%d fields have something left for the organisation that uses the tool; they are marked **To fill in**.\n", len(d.Blanks()))
	field := func(level string, f recordField) {
		p("\n%s %s\n", level, f.label())
		for _, x := range blocks(f.Text) {
			if x.Items == nil {
				p("\n%s\n", x.Text)
				continue
			}
			p("\n")
			for _, i := range x.Items {
				p("- %s\n", i)
			}
		}
		for _, t := range f.Made {
			if t.Head != nil {
				p("\n%s:\n\n| %s |\n|%s\n", t.Caption, strings.Join(t.Head, " | "), strings.Repeat("---|", len(t.Head)))
				for _, r := range t.Rows {
					p("| %s |\n", strings.Join(r, " | "))
				}
			}
			if t.Text != "" {
				p("\n%s\n", t.Text)
			}
		}
		if f.Fill != "" {
			p("\n> **To fill in:** %s\n", strings.TrimSpace(f.Fill))
		}
	}
	for _, s := range d.Sections {
		p("\n## %s\n", s.Title)
		for _, f := range s.Fields {
			field("###", f)
		}
		for _, m := range s.Models {
			p("\n### %s\n", m.Title)
			for _, f := range m.Fields {
				field("####", f)
			}
		}
	}
	return b.Bytes()
}

// renderRecord renders the record of a folder. Results that are not there
// leave its figures unmeasured.
func renderRecord(dir, results string) (pages map[string][]byte, r *lab.Results, err error) {
	raw, err := os.ReadFile(filepath.Join(dir, "transparency-record.yaml"))
	if err != nil {
		return nil, nil, err
	}
	d, err := parseRecord(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("transparency-record.yaml: %w", err)
	}
	f, err := os.Open(results)
	switch {
	case err == nil:
		defer f.Close()
		if r, err = lab.ReadResults(f); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", results, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	d.fill(r)
	page, err := d.html()
	if err != nil {
		return nil, nil, err
	}
	return map[string][]byte{"transparency-record.html": page, "transparency-record.md": d.markdown()}, r, nil
}

// writeRecord renders the record into its folder, and says when its figures are
// of another build than this one.
func writeRecord(dir, results string) error {
	pages, r, err := renderRecord(dir, results)
	if err != nil {
		return err
	}
	for name, page := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), page, 0o644); err != nil {
			return err
		}
	}
	c, err := classifier.New()
	if err != nil || r == nil {
		return err
	}
	for _, s := range r.Sweeps {
		for _, v := range s.Versions {
			if v.Classifier != c.Version() || v.Lists != c.Lists() {
				fmt.Fprintf(os.Stderr, "The sweep %s was made with classifier %s and lists %s, and this build has %s and %s: `make score` measures it.\n", s.Name, v.Classifier, v.Lists, c.Version(), c.Lists())
			}
		}
	}
	return nil
}
