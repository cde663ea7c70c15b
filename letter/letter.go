// Package letter makes the letter about an upheld case, with its annex: from a
// template a first text, which people change as they see fit, and from that text
// a page, an OpenDocument text, and what is printed as PDF.
//
// The text is lines. "# " begins a heading, "## " a smaller one, "- " an item of
// a list; an empty line ends a paragraph; a line "= pictures" and one "= evidence"
// say where these stand. There is nothing else, so a text that a page chose can be
// nothing but text, as long as it is one line: [OneLine] sees to that.
//
// What has to be filled in by hand stands in [[double brackets]] until it is.
//
// A template is two files of a folder, NAME.letter.txt and NAME.annex.txt; NAME is
// the language of the letter, such as en. They are Go's text templates over [Facts].
package letter

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed templates/*.txt
var ours embed.FS

// Facts are what a template can say. Every text is one line.
type Facts struct {
	Case        string // by which the office knows it
	Site        string
	Address     string // that was visited
	Visits      int
	First, Last time.Time // of the visits; zero: not known
	Today       time.Time
	Deadline    time.Time // the last day to answer
	Findings    []Finding // that were upheld
}

// Finding is one of them.
type Finding struct {
	Number  int
	Rule    string
	Check   int // of the regulator; 0: none
	Problem string
	Says    string   // what is the matter, without a full stop
	Cites   []string // law and guidance
	Facts   []string // what was observed
	Repeat  string   // how anybody sees it by hand
	Change  string   // what the site's developer should change
	Clears  string   // what would show that it is not so
}

// Templates are those of a folder.
type Templates struct{ by map[string]*template.Template }

// Load reads the templates of a folder; nil: those that come with the program.
// Each is tried on an example, so that a mistake in one is found when the program
// starts.
func Load(folder fs.FS) (*Templates, error) {
	if folder == nil {
		folder, _ = fs.Sub(ours, "templates") // it is there
	}
	names, err := fs.Glob(folder, "*.letter.txt")
	if err != nil {
		return nil, fmt.Errorf("templates of letters: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("templates of letters: the folder has no file NAME.letter.txt")
	}
	t := &Templates{by: map[string]*template.Template{}}
	for _, file := range names {
		name := strings.TrimSuffix(file, ".letter.txt")
		if !language.MatchString(name) {
			return nil, fmt.Errorf("templates of letters: %s: its name begins with no language, such as en or cy", file)
		}
		parsed, err := template.New("").Option("missingkey=error").Funcs(words(name)).ParseFS(folder, file, name+".annex.txt")
		if err != nil {
			return nil, fmt.Errorf("templates of letters: %w", err)
		}
		t.by[name] = parsed
		if _, _, err := t.Draft(name, example()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]+)*$`)

// Names are the languages that there are templates of.
func (t *Templates) Names() []string {
	return slices.Sorted(maps.Keys(t.by))
}

// Draft is the first text of a letter and its annex.
func (t *Templates) Draft(name string, f Facts) (text, annex string, err error) {
	tmpl, ok := t.by[name]
	if !ok {
		return "", "", fmt.Errorf("there is no template %q of letters", name)
	}
	for file, to := range map[string]*string{name + ".letter.txt": &text, name + ".annex.txt": &annex} {
		var b strings.Builder
		if err := tmpl.ExecuteTemplate(&b, file, f); err != nil {
			return "", "", fmt.Errorf("templates of letters: %w", err)
		}
		*to = blankLines.ReplaceAllString(strings.TrimSpace(b.String()), "\n\n")
	}
	return text, annex, nil
}

var blankLines = regexp.MustCompile(`\n\s*\n`)

func example() Facts {
	return Facts{Case: "c", Site: "s", Address: "a", Visits: 2, First: time.Unix(0, 0), Last: time.Unix(0, 0), Today: time.Unix(0, 0), Deadline: time.Unix(0, 0),
		Findings: []Finding{{Number: 1, Rule: "r", Says: "s", Cites: []string{"c"}, Facts: []string{"f"}, Repeat: "r", Change: "c", Clears: "c"}}}
}

// words are what templates of a language can use besides Go's own.
func words(lang string) template.FuncMap {
	in, _ := tongueOf(lang)
	day := func(t time.Time) string {
		d, _ := Day(lang, t)
		return d
	}
	return template.FuncMap{
		"day":  day,
		"join": strings.Join,
		"times": func(n int) string {
			switch n {
			case 1:
				return in.once
			case 2:
				return in.twice
			}
			return fmt.Sprintf(in.times, n)
		},
		"span": func(from, to time.Time) string {
			if day(from) == day(to) {
				return fmt.Sprintf(in.on, day(from))
			}
			return fmt.Sprintf(in.from, day(from), day(to))
		},
		"count": func(fs []Finding) string {
			if n, numbers := len(fs), strings.Fields(in.beneathTen); n > 0 && n <= len(numbers) {
				return numbers[n-1]
			}
			return fmt.Sprint(len(fs))
		},
	}
}

// OneLine makes a text that may be anybody's fit to stand in a line of a letter:
// it has no line of its own, begins none, and cannot stand for what we would say
// outside of quotation marks.
func OneLine(s string) string {
	s = strings.NewReplacer("“", "'", "”", "'", "[[", "[ [", "]]", "] ]").Replace(strings.Join(strings.Fields(s), " "))
	if s != "" && strings.ContainsRune("#-=", rune(s[0])) {
		return "“" + s + "”"
	}
	return s
}

// Gaps are what still has to be filled in.
func Gaps(text string) []string { return gap.FindAllString(text, 20) }

var gap = regexp.MustCompile(`\[\[[^\[\]\n]{0,200}\]\]`)

// kind of a block.
type kind string

const (
	paragraph kind = "paragraph"
	heading   kind = "heading"
	smaller   kind = "smaller"
	item      kind = "item"
	pictures  kind = "pictures"
	proofs    kind = "proofs"
)

// block is a part of a text.
type block struct {
	Kind  kind
	Lines []string
}

// blocks takes a text apart.
func blocks(text string) []block {
	var out []block
	open := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		b := block{Kind: paragraph, Lines: []string{line}}
		for mark, k := range map[string]kind{"# ": heading, "## ": smaller, "- ": item} {
			if rest, ok := strings.CutPrefix(line, mark); ok {
				b = block{k, []string{strings.TrimSpace(rest)}}
			}
		}
		switch {
		case line == "":
			open = false
			continue
		case line == "= pictures":
			b = block{Kind: pictures}
		case line == "= evidence":
			b = block{Kind: proofs}
		}
		if b.Kind == paragraph && open {
			last := &out[len(out)-1]
			last.Lines = append(last.Lines, line)
			continue
		}
		out = append(out, b)
		open = b.Kind == paragraph
	}
	return out
}

// Document is a letter that can be written out.
type Document struct {
	Lang, Title string
	Draft       bool // it says so on every page
	Text, Annex string
	Proofs      []Proof
	Pictures    []Picture
}

// Proof is a piece of evidence.
type Proof struct {
	What   string `json:"what"`
	Digest string `json:"sha256"` // of the file or part, as hexadecimal digits
}

// Picture is one of the annex.
type Picture struct {
	Caption       string
	JPEG          []byte
	Width, Height int // pixels
}

// Mark stands above every page of a draft.
func (d Document) Mark() string {
	t, _ := tongueOf(d.Lang)
	return t.draft
}

// Foreign tells whether names of evidence and pictures, which are in English, are
// in another language than the letter.
func (d Document) Foreign() bool {
	t, _ := tongueOf(d.Lang)
	return t.foreignParts
}

// annex is the annex with its evidence: nobody can leave that out.
func (d Document) annex() []block {
	out := blocks(d.Annex)
	if !slices.ContainsFunc(out, func(b block) bool { return b.Kind == proofs }) {
		out = append(out, block{Kind: proofs})
	}
	return out
}
