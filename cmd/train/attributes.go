package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pecrawler/classifier"
	"pecrawler/figures"
)

// named is a control as a rule of autoconsent names it: by attributes alone, and by what it is pressed for.
type named struct {
	rule, tag, role string
	attrs           map[string]string
	held            bool // it was not read when the list of words was written
}

// namedControls reads the rules of autoconsent for consent managers and sites.
// What is pressed alone to consent accepts, and what is pressed alone to refuse
// refuses; of several presses none is known by itself. The rules in odd places,
// by their names, are held back.
func namedControls(cache string) ([]named, error) {
	path := filepath.Join(cache, "node_modules", "@duckduckgo", "autoconsent", "rules", "rules.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	type step = map[string]json.RawMessage
	type rule struct {
		Name          string
		OptIn, OptOut []step
	}
	var file struct{ Autoconsent []rule }
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	rules := file.Autoconsent
	slices.SortFunc(rules, func(a, b rule) int { return strings.Compare(a.Name, b.Name) })
	seen := map[string]bool{}
	var out []named
	for i, r := range rules {
		for role, steps := range map[string][]step{"accept": r.OptIn, "reject": r.OptOut} {
			pressed := presses(steps)
			if len(pressed) != 1 {
				continue
			}
			for _, selector := range strings.Split(pressed[0], ",") {
				tag, attrs := element(selector)
				key := fmt.Sprint(role, tag, attrs)
				if len(attrs) == 0 || seen[key] {
					continue
				}
				seen[key] = true
				out = append(out, named{r.Name, tag, role, attrs, i%2 == 1})
			}
		}
	}
	return out, nil
}

// presses are the selectors of what the steps of a rule press, whatever happens between.
func presses(steps []map[string]json.RawMessage) []string {
	var out []string
	for _, s := range steps {
		if _, branches := s["if"]; branches {
			return nil
		}
		for _, k := range []string{"click", "waitForThenClick"} {
			var one string
			var chain []string // through frames and shadow roots
			switch {
			case s[k] == nil:
			case json.Unmarshal(s[k], &one) == nil:
				out = append(out, one)
			case json.Unmarshal(s[k], &chain) == nil && len(chain) > 0:
				out = append(out, chain[len(chain)-1])
			}
		}
	}
	return out
}

var (
	pseudo   = regexp.MustCompile(`:[a-z-]+(?:\([^()]*(?:\([^()]*\)[^()]*)*\))?`)
	simple   = regexp.MustCompile(`([#.])([\w-]+)|\[([\w-]+)[*^$~|]?=["']?([^"'\]]*)["']?\]|\[([\w-]+)\]`)
	leading  = regexp.MustCompile(`^[a-z][a-z0-9-]*`)
	brackets = regexp.MustCompile(`\[[^\]]*\]`)
)

// element is what a selector says of the element that it ends at.
func element(selector string) (tag string, attrs map[string]string) {
	if strings.HasPrefix(selector, "xpath") {
		return "", nil
	}
	s := pseudo.ReplaceAllString(selector, "")
	s = brackets.ReplaceAllStringFunc(s, func(b string) string { return strings.ReplaceAll(b, " ", "\x00") })
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '>' || r == '+' || r == '~' })
	if len(parts) == 0 {
		return "", nil
	}
	last := strings.ReplaceAll(parts[len(parts)-1], "\x00", " ")
	attrs = map[string]string{}
	for _, m := range simple.FindAllStringSubmatch(last, -1) {
		switch {
		case m[1] == "#":
			attrs["id"] = m[2]
		case m[1] == ".":
			attrs["class"] = strings.TrimSpace(attrs["class"] + " " + m[2])
		case m[3] != "":
			attrs[m[3]] = m[4]
		case m[5] != "":
			attrs[m[5]] = ""
		}
	}
	return leading.FindString(last), attrs
}

// namedMarks is how controls are read by what authors call them, without their text.
type namedMarks struct {
	Controls int
	Said     figures.Share `json:"said_something"`
	Right    figures.Share `json:"right_of_what_was_called_accept_or_reject"`
	Confused figures.Share `json:"accept_and_reject_confused"`
}

func (m *namedMarks) count(got, want string) {
	m.Controls++
	m.Said.Count(got != "" && got != "other")
	if got == "accept" || got == "reject" { // a rule may press to refuse what only closes or saves
		m.Right.Count(got == want)
	}
	m.Confused.Count(got != want && (got == "accept" || got == "reject"))
}

// attributes measures the list of words by which authors name controls. It knows
// no consent manager by name, so each of them is one that it has not seen.
func (a *accuracy) attributes(cache string, cls *classifier.Classifier) error {
	controls, err := namedControls(cache)
	if err != nil {
		return err
	}
	a.Named = map[string]*namedMarks{"read": {}, "held back": {}, "held back, and the names of known managers": {}}
	for _, n := range controls {
		said, _, _ := cls.Named(n.attrs)
		if !n.held {
			a.Named["read"].count(string(said), n.role)
			continue
		}
		a.Named["held back"].count(string(said), n.role)
		ct := cls.Control(classifier.ControlRow{Tag: n.tag, Attrs: n.attrs})
		a.Named["held back, and the names of known managers"].count(string(ct.Action), n.role)
	}
	return nil
}
