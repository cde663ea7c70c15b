package figures

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	pc "pecrawler"
)

// JSON writes the document.
func (f *Figures) JSON(w io.Writer) error { return writeJSON(w, f) }

// JSON writes the document.
func (c *Comparison) JSON(w io.Writer) error { return writeJSON(w, c) }

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(v)
}

// table writes one tidy table: a row says what is counted (figure), among which
// sites (group and value), k of how many, and the interval.
type table struct{ *csv.Writer }

func newTable(w io.Writer) table {
	t := table{csv.NewWriter(w)}
	t.Write([]string{"figure", "group", "value", "k", "n", "low", "high", "note"})
	return t
}

func (t table) done() error {
	t.Flush()
	return t.Error()
}

// cellText keeps a spreadsheet from taking text for a formula: it would, for a
// word that begins so, even between quotation marks.
func cellText(s string) string {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, " "))
	if strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) && s != "" {
		return "'" + s
	}
	return s
}

// fewNote marks what must not leave the house.
const fewNote = "too few to publish"

func number(f float64) string { return strconv.FormatFloat(f, 'f', 4, 64) }

func (t table) share(figure, group, value string, s Share) {
	row := []string{cellText(figure), cellText(group), cellText(value), strconv.Itoa(s.K), strconv.Itoa(s.N), "", "", ""}
	if s.N > 0 {
		low, high := s.Interval()
		row[5], row[6] = number(low), number(high)
	}
	if s.Few() {
		row[7] = fewNote
	}
	t.Write(row)
}

func (t table) count(figure, group, value string, k int) {
	t.Write([]string{cellText(figure), cellText(group), cellText(value), strconv.Itoa(k), "", "", "", ""})
}

// CSV writes the figures as one table.
func (f *Figures) CSV(w io.Writer) error {
	t := newTable(w)
	t.count("sites on the list", "all", "", f.Sweep.Listed)
	t.count("sites with a last word", "all", "", f.Sites)
	t.share("not assessed", "all", "", f.NotAssessed)
	for _, r := range f.Reasons {
		t.share("not assessed", "reason", strings.TrimSuffix(string(r.Outcome)+": "+r.Reason, ": "), r.Share)
	}
	t.share("flagged", "all", "", f.Flagged)
	t.share("review", "all", "", f.Review)
	t.share("clear", "all", "", f.Clear)
	for _, c := range f.Checks {
		if c.Tested {
			t.share("failing check "+strconv.Itoa(c.Check), "all", "", c.Failing)
		}
	}
	for _, p := range f.Problems {
		if p.Tested {
			t.share("failing", "problem", p.Problem, p.Failing)
		}
	}
	for _, r := range f.Rules {
		group := "rule"
		if r.Status != "stable" {
			group += ", " + r.Status
		}
		t.share("failing", group, r.Rule, r.Failing)
	}
	checks := func(group, value string, shares []Share) {
		for i, s := range shares {
			if f.Checks[i].Tested {
				t.share("failing check "+strconv.Itoa(i+1), group, value, s)
			}
		}
	}
	for _, g := range f.Groups {
		for _, c := range g.Cells {
			value := name(g.By, c.Value)
			if c.NotAssessed.N > 0 {
				t.share("not assessed", g.By, value, c.NotAssessed)
			}
			t.share("flagged", g.By, value, c.Flagged)
			t.share("review", g.By, value, c.Review)
			t.share("clear", g.By, value, c.Clear)
			checks(g.By, value, c.Checks)
		}
	}
	for _, v := range f.Vendors {
		t.share("of all flagged", "vendor", name("cmp", v.CMP), v.OfAllFlagged)
		for _, c := range v.Configurations {
			value := fmt.Sprintf("%s: %s", name("cmp", v.CMP), c)
			t.share("flagged", "configuration", value, c.Flagged)
			checks("configuration", value, c.Checks)
		}
	}
	if f.Precision != nil {
		t.share("sensitivity", "evaluation", "", f.Precision.Sensitivity)
		t.share("specificity", "evaluation", "", f.Precision.Specificity)
	}
	return t.done()
}

// String says how the consent manager is set up.
func (c Configuration) String() string {
	return fmt.Sprintf("%s, clicks to accept: %s, to refuse: %s", name("kind", c.Kind), clicks(c.ClicksToAccept), clicks(c.ClicksToReject))
}

// CSV writes the comparison as one table. The rows of a change have no share,
// but the change of the failing share has an interval that may be below nought.
func (c *Comparison) CSV(w io.Writer) error {
	t := newTable(w)
	for _, s := range []struct {
		group string
		Side
	}{{"before", c.Before}, {"after", c.After}} {
		t.count("sites with a last word", s.group, s.Sweep.ID, s.Sites)
		t.share("not assessed", s.group, s.Sweep.ID, s.NotAssessed)
		t.share("flagged", s.group, s.Sweep.ID, s.Flagged)
		t.share("review", s.group, s.Sweep.ID, s.Review)
		t.share("clear", s.group, s.Sweep.ID, s.Clear)
	}
	t.count("in both sweeps", "all", "", c.Both)
	t.count("new", "all", "", c.New)
	t.count("gone", "all", "", c.Gone)
	t.paired("all", "", c.Paired)
	for _, m := range c.Moves {
		t.count("last word", spaced(m.From), spaced(m.To), m.Sites)
	}
	for _, r := range c.Rules {
		t.paired("rule", r.Rule, r.Paired)
	}
	return t.done()
}

func (t table) paired(group, value string, p Paired) {
	for _, x := range p.rows() {
		t.count(string(x.Change), group, value, x.Sites)
	}
	t.share("failing before", group, value, p.Before())
	t.share("failing after", group, value, p.After())
	row := []string{"change of the failing share", cellText(group), cellText(value), strconv.Itoa(p.NewlyFailing - p.Fixed), strconv.Itoa(p.N()), "", "", ""}
	if p.N() > 0 {
		_, low, high := p.Difference()
		row[5], row[6] = number(low), number(high)
	}
	if p.N() < tooFew {
		row[7] = fewNote
	}
	t.Write(row)
}

// changeCount is one line of a pair's counts.
type changeCount struct {
	Change Change
	Sites  int
}

func (p Paired) rows() []changeCount {
	return []changeCount{{NewlyFailing, p.NewlyFailing}, {Fixed, p.Fixed}, {StillFailing, p.StillFailing}, {StillClear, p.StillClear}, {CouldNotTell, p.CouldNotTell}}
}

// maxNamed bounds the sites that a page or a terminal names.
const (
	maxNamed     = 200
	maxNamedText = 20
)

// Text writes the comparison for a terminal.
func (c *Comparison) Text(w io.Writer) error {
	var b strings.Builder
	p := func(format string, a ...any) { fmt.Fprintf(&b, format, a...) }
	p("From %s (%s) to %s (%s)\n\n", c.Before.Sweep.ID, day(c.Before.Sweep.Created), c.After.Sweep.ID, day(c.After.Sweep.Created))
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\tbefore\tafter\n")
	for _, r := range []struct {
		name          string
		before, after Share
	}{{"not assessed", c.Before.NotAssessed, c.After.NotAssessed}, {"flagged", c.Before.Flagged, c.After.Flagged}, {"review", c.Before.Review, c.After.Review}, {"clear", c.Before.Clear, c.After.Clear}} {
		fmt.Fprintf(tw, "%s\t%v\t%v\n", r.name, r.before, r.after)
	}
	tw.Flush()
	p("\nSites of both sweeps: %d; new: %d; gone: %d\n\n", c.Both, c.New, c.Gone)
	tw = tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\tnewly failing\tfixed\tstill failing\tstill clear\tcould not tell\n")
	line := func(name string, x Paired) {
		fmt.Fprintf(tw, "%s\t%d\t%d\t%d\t%d\t%d\n", name, x.NewlyFailing, x.Fixed, x.StillFailing, x.StillClear, x.CouldNotTell)
	}
	line("sites", c.Paired)
	for _, r := range c.Rules {
		name := "  " + clean(r.Rule)
		if r.Status != "stable" {
			name += " (" + r.Status + ")"
		}
		line(name, r.Paired)
	}
	tw.Flush()
	p("\n%s\n", c.Paired.Sentence())
	for _, s := range c.Caveats {
		p("\nBeware: %s\n", visible(s))
	}
	for _, ch := range c.Changed {
		if len(ch.Sites) == 0 || ch.Change == StillFailing {
			continue
		}
		p("\n%s: %d\n", upper(string(ch.Change)), len(ch.Sites))
		for i, s := range ch.Sites {
			if i == maxNamedText {
				p("  and %d more; --format json names them all\n", len(ch.Sites)-i)
				break
			}
			p("  %s%s\n", clean(s.Site), s.Why())
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Why says what changed on the site, as the end of a sentence that names it.
func (s ChangedSite) Why() string {
	var out []string
	if s.From != "" && s.From == s.To && s.From != pc.Flagged {
		out = append(out, spaced(s.From)+" in both")
	} else if s.From != "" && s.To != "" && s.From != s.To {
		out = append(out, spaced(s.From)+" becomes "+spaced(s.To))
	}
	if len(s.Newly) > 0 {
		out = append(out, "newly "+strings.Join(s.Newly, ", "))
	}
	if len(s.Fixed) > 0 {
		out = append(out, "no longer "+strings.Join(s.Fixed, ", "))
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}

func spaced[T ~string](s T) string { return strings.ReplaceAll(string(s), "-", " ") }

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// name is a value of a group as people read it.
func name(by, value string) string {
	switch {
	case value != "":
		return value
	case by == "rank" || by == "sector":
		return "not given"
	}
	return "not recognised"
}
