package figures

import (
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	pc "pecrawler"
)

//go:embed templates
var files embed.FS

// HTML writes the figures as one page that loads nothing and runs nothing.
func (f *Figures) HTML(w io.Writer) error { return render(w, "report.html", f) }

// HTML writes the comparison as one page that loads nothing and runs nothing.
func (c *Comparison) HTML(w io.Writer) error { return render(w, "compare.html", c) }

func render(w io.Writer, page string, data any) error {
	css, err := files.ReadFile("templates/style.css")
	if err != nil {
		return err
	}
	t, err := template.New(page).Funcs(template.FuncMap{
		"css":     func() template.CSS { return template.CSS(css) },
		"pct":     pct,
		"ci":      interval,
		"of":      func(s Share) string { return fmt.Sprintf("%s of %s", thousands(s.K), thousands(s.N)) },
		"n":       thousands,
		"bar":     newBar,
		"stack":   newStack,
		"heat":    heat,
		"name":    shown,
		"spaced":  func(s any) string { return strings.ReplaceAll(fmt.Sprint(s), "-", " ") },
		"upper":   func(s any) string { return upper(fmt.Sprint(s)) },
		"clicks":  clicks,
		"whole":   func(s string) string { return strings.ReplaceAll(s, " %", "\u00a0%") }, // a number and its sign stay in one line
		"day":     day,
		"when":    func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 MST") },
		"check":   checkTitle,
		"percent": func(f float64) string { return fmt.Sprintf("%.1f %%", 100*f) },
		"round":   func(f float64) string { return strconv.FormatFloat(100*f, 'f', -1, 64) + " %" },
		"few":     func() string { return fewNote },
		"visible": visible,
		"first":   func(n int, v []ChangedSite) []ChangedSite { return v[:min(n, len(v))] },
		"minus":   func(a, b int) int { return a - b },
		"plus":    func(a, b int) int { return a + b },
		"many":    many,
		"lower":   strings.ToLower,
		"table":   newForest,
	}).ParseFS(files, "templates/*.html")
	if err != nil {
		return fmt.Errorf("templates of the figures: %w", err)
	}
	return t.ExecuteTemplate(w, page, data)
}

func pct(s Share) string {
	if s.N == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f %%", 100*s.Value())
}

func interval(s Share) string {
	if s.N == 0 {
		return "–"
	}
	low, high := s.Interval()
	return fmt.Sprintf("%.1f to %.1f", 100*low, 100*high)
}

// thousands writes a number with commas.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

func checkTitle(n int) string {
	switch n {
	case 1:
		return "Advertising is stored or sent before a choice"
	case 2:
		return "Refusing is not as easy as accepting"
	case 3:
		return "Advertising is stored or sent although refused"
	}
	return ""
}

// shown is a value of a group for a page: languages by their English names.
func shown(by, value string) string {
	if by == "language" && value != noBanner && value != others {
		if tag, err := language.Parse(value); err == nil && value != "" {
			return cmp.Or(display.English.Tags().Name(tag), value)
		}
	}
	return name(by, value)
}

// bar is a share drawn on a scale, with its interval as a line.
type bar struct {
	Share
	Class             string
	Wide, Left, Right string // in % of the picture
}

func newBar(s Share, class string, scale float64) bar {
	low, high := s.Interval()
	at := func(v float64) string { return strconv.FormatFloat(100*min(v/scale, 1), 'f', 2, 64) + "%" }
	return bar{s, class, at(s.Value()), at(low), at(high)}
}

// scale is where the axis of some bars ends: the next round share above their intervals.
func scale(shares ...Share) float64 {
	most := 0.0
	for _, s := range shares {
		if !s.Few() {
			_, high := s.Interval()
			most = max(most, high)
		}
	}
	for _, end := range []float64{.01, .02, .05, .1, .2, .3, .4, .5, .6, .8} {
		if most <= end {
			return end
		}
	}
	return 1
}

// part is a piece of a stacked bar.
type part struct {
	Name, Class string
	Share       Share
	X, Wide     string
}

// stack is a whole divided into parts, drawn as one bar.
type stack struct {
	ID, Title string
	Parts     []part
}

func (s *stack) add(name, class string, sh Share) {
	s.Parts = append(s.Parts, part{Name: name, Class: class, Share: sh})
}

func (s *stack) lay() stack {
	at := 0.0
	for i := range s.Parts {
		p := &s.Parts[i]
		v := 100 * p.Share.Value()
		p.X, p.Wide = fmt.Sprintf("%.2f%%", at), fmt.Sprintf("%.2f%%", v)
		at += v
	}
	return *s
}

// Text is the stacked bar in words.
func (s stack) Text() string {
	var out []string
	for _, p := range s.Parts {
		out = append(out, fmt.Sprintf("%s %s", p.Name, pct(p.Share)))
	}
	return strings.Join(out, ", ") + "."
}

// newStack divides the sites of a sweep by outcome, or the assessed ones by last word.
func newStack(what string, f *Figures) stack {
	if what == "words" {
		s := stack{ID: "words", Title: "Last words on the assessed sites"}
		s.add("flagged", "flagged", f.Flagged)
		s.add("for review", "review", f.Review)
		s.add("clear", "clear", f.Clear)
		return s.lay()
	}
	s := stack{ID: "outcomes", Title: "All sites by whether they could be assessed"}
	by := map[pc.Outcome]int{}
	for _, r := range f.Reasons {
		by[r.Outcome] += r.Share.K
	}
	s.add("assessed", "assessed", Share{f.Sites - f.NotAssessed.K, f.Sites})
	for i, o := range []pc.Outcome{pc.Blocked, pc.Unreachable, pc.NotASite, pc.Excluded, pc.Assessed} {
		if by[o] > 0 {
			s.add(outcomeName(o), "out"+strconv.Itoa(i+1), Share{by[o], f.Sites})
		}
	}
	return s.lay()
}

func outcomeName(o pc.Outcome) string {
	if o == pc.Assessed {
		return "assessed in part"
	}
	return spaced(o)
}

// heat is the class of a cell's shade: the darker, the larger the share.
func heat(s Share) string {
	if s.Few() {
		return "few"
	}
	return "h" + strconv.Itoa(int(math.Ceil(min(s.Value(), .999)*5)))
}

// forest is a table with a bar in each row.
type forest struct {
	ID, Caption, Head string
	Scale             float64
	Class             string
	Rows              []forestRow
	More              int
}

type forestRow struct {
	Name, Note string
	Class      string // of the bar, where it is not the table's
	Share      Share
	Bar        bar
	Untested   bool
}

// maxRows bounds the rows of a table on a page; the other formats have them all.
const maxRows = 40

func (t *forest) lay() forest {
	if len(t.Rows) > maxRows {
		t.More = len(t.Rows) - maxRows
		t.Rows = t.Rows[:maxRows]
	}
	var all []Share
	for _, r := range t.Rows {
		if !r.Untested {
			all = append(all, r.Share)
		}
	}
	t.Scale = scale(all...)
	for i := range t.Rows {
		t.Rows[i].Bar = newBar(t.Rows[i].Share, cmp.Or(t.Rows[i].Class, t.Class), t.Scale)
	}
	return *t
}

// newForest makes the tables of a report that have a bar in each row.
func newForest(what string, f *Figures) forest {
	t := forest{ID: what, Class: "flagged"}
	switch what {
	case "reasons":
		t.Caption, t.Head, t.Class = "Why sites were not assessed, as shares of all sites", "Outcome and reason", "not-assessed"
		for _, r := range f.Reasons {
			row := forestRow{Name: upper(outcomeName(r.Outcome)), Note: r.Reason, Share: r.Share}
			if r.Outcome == pc.Assessed {
				row.Note = "a page was shown, and a rule could not be judged on it"
			}
			t.Rows = append(t.Rows, row)
		}
	case "words":
		t.Caption, t.Head = "Last words, as shares of the assessed sites", "Last word"
		t.Rows = []forestRow{{Name: "Flagged", Note: "a stable rule failed in enough agreeing visits", Share: f.Flagged}, {Name: "Review", Note: "something is unsure, or the visits disagree", Class: "review", Share: f.Review}, {Name: "Clear", Note: "every applicable stable rule passed", Class: "clear", Share: f.Clear}}
	case "checks":
		t.Caption, t.Head = "Sites failing each of the regulator's checks, as shares of the assessed sites", "Check"
		for _, c := range f.Checks {
			t.Rows = append(t.Rows, forestRow{Name: fmt.Sprintf("Check %d", c.Check), Note: checkTitle(c.Check), Share: c.Failing, Untested: !c.Tested})
		}
	case "problems":
		t.Caption, t.Head = "Sites with each problem, as shares of the assessed sites", "Problem"
		for _, p := range f.Problems {
			t.Rows = append(t.Rows, forestRow{Name: upper(p.Problem), Share: p.Failing, Untested: !p.Tested})
		}
	}
	return t.lay()
}

// ByTitle is the heading of a group.
func (g Group) ByTitle() string {
	return map[string]string{"rank": "Rank", "sector": "Sector", "cmp": "Consent manager", "language": "Language of the banner", "kind": "Kind of banner"}[g.By]
}

// Told tells whether the group divides anything.
func (g Group) Told() bool {
	return len(g.Cells) > 1 || len(g.Cells) == 1 && g.Cells[0].Value != "" && g.Cells[0].Value != noBanner
}

// Scale is where the axis of its bars ends.
func (g Group) Scale() float64 {
	var all []Share
	for _, c := range g.Cells {
		all = append(all, c.Flagged)
	}
	return scale(all...)
}

// Shown are the cells for a page, and how many are left out.
func (g Group) Shown() []Cell { return g.Cells[:min(len(g.Cells), maxRows)] }

// Hidden is how many cells a page leaves out.
func (g Group) Hidden() int { return max(0, len(g.Cells)-maxRows) }

// Tested lists the checks that a stable rule looks for.
func (f *Figures) Tested() []int {
	var out []int
	for _, c := range f.Checks {
		if c.Tested {
			out = append(out, c.Check)
		}
	}
	return out
}

// Check returns one of the shares by the number of the check.
func (c Cell) Check(n int) Share { return c.Checks[n-1] }

// Check returns one of the shares by the number of the check.
func (v Vendor) Check(n int) Share { return v.Checks[n-1] }

// Check returns one of the shares by the number of the check.
func (c Configuration) Check(n int) Share { return c.Checks[n-1] }

// Failing are the configurations with flagged sites and enough sites to say something.
func (v Vendor) Failing() []Configuration {
	var out []Configuration
	for _, c := range v.Configurations {
		if c.Flagged.K > 0 && !c.Flagged.Few() {
			out = append(out, c)
		}
	}
	return out
}

// Rest says in words what the configurations are that a page does not list.
func (v Vendor) Rest() string {
	var few, clear, sites, flagged, clearSites int
	for _, c := range v.Configurations {
		switch {
		case c.Flagged.K == 0:
			clear++
			clearSites += c.Flagged.N
		case c.Flagged.Few():
			few++
			sites += c.Flagged.N
			flagged += c.Flagged.K
		}
	}
	var out []string
	if few > 0 {
		out = append(out, fmt.Sprintf("%s with fewer than five sites each: %s of %s flagged", many(few, "configuration"), thousands(flagged), many(sites, "site")))
	}
	if clear > 0 {
		out = append(out, fmt.Sprintf("%s without a flag: %s", many(clear, "configuration"), many(clearSites, "site")))
	}
	return strings.Join(out, "; ")
}

func many(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// ShownVendors are the vendors for a page.
func (f *Figures) ShownVendors() []Vendor { return f.Vendors[:min(len(f.Vendors), maxRows)] }

// HiddenVendors is how many a page leaves out.
func (f *Figures) HiddenVendors() int { return max(0, len(f.Vendors)-maxRows) }

// VendorScale is where the axis of the vendors' bars ends.
func (f *Figures) VendorScale() float64 {
	var all []Share
	for _, v := range f.Vendors {
		all = append(all, v.OfAllFlagged)
	}
	return scale(all...)
}

// Reach says how much of the problem a few contacts could reach.
func (f *Figures) Reach() string {
	var names []string
	sum := 0
	for _, v := range f.Vendors {
		if v.CMP == "" || v.CMP == others || v.Flagged.K == 0 {
			continue
		}
		names = append(names, v.CMP)
		if sum += v.Flagged.K; len(names) == 3 {
			break
		}
	}
	switch len(names) {
	case 0:
		return "No flagged site has the banner of a consent manager that was recognised."
	case 1:
		return fmt.Sprintf("%s stands on %s of the %s flagged sites (%s).", names[0], thousands(sum), thousands(f.Flagged.K), pct(Share{sum, f.Flagged.K}))
	}
	return fmt.Sprintf("%s and %s stand on %s of the %s flagged sites (%s): %s contacts could reach all of those.", strings.Join(names[:len(names)-1], ", "), names[len(names)-1], thousands(sum), thousands(f.Flagged.K), pct(Share{sum, f.Flagged.K}), map[int]string{2: "two", 3: "three"}[len(names)])
}

// Open is how many sites have no last word yet.
func (f *Figures) Open() int { return max(0, f.Sweep.Listed-f.Sites) }

// Moved returns how many sites went from one last word to another.
func (c *Comparison) Moved(from, to pc.Overall) int {
	for _, m := range c.Moves {
		if m.From == from && m.To == to {
			return m.Sites
		}
	}
	return 0
}

// Words lists the last words.
func (c *Comparison) Words() []pc.Overall { return words() }

// Sides are both sweeps, for a table.
func (c *Comparison) Sides() []Side { return []Side{c.Before, c.After} }

// Scale is where the axis of the two flagged shares ends.
func (c *Comparison) Scale() float64 { return scale(c.Before.Flagged, c.After.Flagged) }

// Test are the change, its interval and the p value, as the table shows them.
func (p Paired) Test() map[string]string {
	d, low, high := p.Difference()
	return map[string]string{"d": signed(d), "ci": signed(low) + " to " + signed(high), "p": strings.TrimPrefix(pvalue(p.PValue()), "= ")}
}

// MaxNamed bounds the sites that a page names.
func (c *Comparison) MaxNamed() int { return maxNamed }
