package classifier

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	pc "pecrawler"
)

// attributeWords are what authors call a control that does something; see lists/attributes.tsv.
type attributeWords struct {
	action pc.Action // "" of a word that says nothing of a control, toggle and other as the list has it
	parts  []string  // words of five letters and more, which may be part of another
	whole  []string  // shorter ones, which stand by themselves
}

func (c *Classifier) readAttributes(name, text string) error {
	rs, err := rows(name, text, 3)
	if err != nil {
		return err
	}
	for _, f := range rs {
		w := attributeWords{action: pc.Action(f[0])}
		if w.action != "" && !slices.Contains(pc.Actions, w.action) {
			return fmt.Errorf("%s: %q is no action", name, f[0])
		}
		for _, word := range strings.Split(f[2], "|") {
			if word = strings.ReplaceAll(word, " ", ""); utf8.RuneCountInString(word) < 5 {
				w.whole = append(w.whole, word)
			} else {
				w.parts = append(w.parts, word)
			}
		}
		c.attributes = append(c.attributes, w)
	}
	return nil
}

// Named reads what an author calls a control in its attributes: no visitor sees
// these names, so they stand behind its text, and help where that says nothing.
// Names that speak for accepting and for refusing are those of a block, and say
// nothing. "" is that nothing is said.
func (c *Classifier) Named(attrs map[string]string) (action pc.Action, where, name string) {
	return namedBy(attrs, c.saidBy)
}

func namedBy(attrs map[string]string, saidBy func(string) pc.Action) (action pc.Action, where, name string) {
	for _, v := range namesOf(attrs) {
		a := saidBy(v.name)
		switch {
		case a == "" || a == action:
		case action == "":
			action, where, name = a, v.where, v.name
		case opposed(a, action):
			return "", "", ""
		}
	}
	return action, where, name
}

// attributeName is a name that an author gave, and where it stands.
type attributeName struct{ where, name string }

// namesOf lists the names of a control, the surest first: those of it alone, and then its classes.
func namesOf(attrs map[string]string) []attributeName {
	var out []attributeName
	add := func(where, v string) {
		if v != "" && len(v) <= 60 && !strings.ContainsAny(v, "{}") && !strings.Contains(v, "://") {
			out = append(out, attributeName{where, v})
		}
	}
	add("id", attrs["id"])
	own := make([]string, 0, len(attrs)) // that HTML does not have: data attributes, and those of components
	for k := range attrs {
		if strings.Contains(k, "-") && !strings.HasPrefix(k, "aria-") {
			own = append(own, k)
		}
	}
	slices.Sort(own)
	for _, k := range own {
		add(k, attrs[k])
		if v := attrs[k]; v == "" || v == "true" || v == "1" {
			add("attribute", strings.TrimPrefix(k, "data-"))
		}
	}
	add("name", attrs["name"])
	add("value", attrs["value"])
	if _, fragment, ok := strings.Cut(attrs["href"], "#"); ok {
		add("href", fragment)
	}
	for class := range strings.FieldsSeq(attrs["class"]) {
		add("class", class)
	}
	return out
}

// saidBy reads one name. Of block__element and block--modifier the last part is
// about the control, and the rest only where that says nothing.
func (c *Classifier) saidBy(name string) pc.Action {
	if at := max(strings.LastIndex(name, "__"), strings.LastIndex(name, "--")); at >= 0 {
		if a := c.saidBy(name[at+2:]); a != "" {
			return a
		}
		return c.saidBy(name[:at])
	}
	tokens := strings.FieldsFunc(strings.ToLower(separated(strings.ReplaceAll(name, " ", "_"))), func(r rune) bool { return !unicode.IsLetter(r) })
	glued := " " + strings.Join(tokens, "") + " "
	said := map[pc.Action]bool{}
	for _, a := range c.attributes {
		found := false
		for _, w := range a.parts {
			if strings.Contains(glued, w) {
				glued, found = strings.ReplaceAll(glued, w, " "), true
			}
		}
		for _, w := range a.whole {
			if slices.Contains(tokens, w) {
				tokens, found = slices.DeleteFunc(tokens, func(t string) bool { return t == w }), true
			}
		}
		if found && a.action != "" {
			said[a.action] = true
		}
	}
	if said[pc.ActOther] || said[pc.ActAccept] && said[pc.ActToggle] { // to accept what is needed is to refuse the rest
		delete(said, pc.ActAccept)
		said[pc.ActReject] = true
	}
	choices := []pc.Action{pc.ActAccept, pc.ActReject, pc.ActSave}
	of := slices.DeleteFunc(choices, func(a pc.Action) bool { return !said[a] })
	switch {
	case len(of) > 1:
		return ""
	case len(of) == 1:
		return of[0]
	}
	for _, a := range []pc.Action{pc.ActClose, pc.ActPolicy, pc.ActVendors, pc.ActSettings} {
		if said[a] {
			return a
		}
	}
	return ""
}

// opposed tells whether two names cannot both be right.
func opposed(a, b pc.Action) bool {
	choice := func(x pc.Action) bool { return x == pc.ActAccept || x == pc.ActReject || x == pc.ActSave }
	return choice(a) && choice(b) && a != b
}

// named reads the attributes of a control whose text says nothing, or only what
// it could be about; a text that surely says something else is believed before them.
func (c *Classifier) named(t *tree, n *pc.Node, said label, mute bool) (label, bool) {
	if !mute && said.action == pc.ActOther && (said.confidence >= .8 || said.whole && said.confidence >= .7) { // prose, and what is read as a whole
		return label{}, false
	}
	a, where, name := namedBy(n.Attrs, func(name string) pc.Action { // classes are many, and the same ones
		a, known := t.names[name]
		if !known {
			a = c.saidBy(name)
			t.names[name] = a
		}
		return a
	})
	if a == "" || a == pc.ActClose && !mute || said.action == pc.ActToggle && a != pc.ActReject {
		return label{}, false
	}
	return label{a, .75, fmt.Sprintf("its text says nothing that is known; its author calls it “%s” (%s)", cut(name, 60), where), false}, true
}
