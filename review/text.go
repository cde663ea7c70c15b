package review

import (
	"fmt"
	"html/template"
	"strings"
	"unicode"
)

// Limits of what is shown of a text that a page of somebody else chose. The
// whole of it is in the evidence.
const (
	shownRunes = 300
	mostMarks  = 2 // combining marks on one letter; more climb out of their line
)

// clean makes a text of somebody else's page harmless to look at, too: what
// turns the direction of writing, or cannot be seen, is named in place of being
// obeyed. That it is escaped is the templates' work.
func clean(s string, limit int) string {
	var b strings.Builder
	n, marks := 0, 0
	for _, r := range s {
		if n++; n > limit {
			fmt.Fprintf(&b, "… (%d characters in all)", len([]rune(s)))
			break
		}
		if unicode.Is(unicode.M, r) {
			if marks++; marks > mostMarks {
				continue
			}
		} else {
			marks = 0
		}
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r == '\u200d' || r == '\u00ad': // joins emoji, breaks words: harmless
			b.WriteRune(r)
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r), unicode.IsControl(r), r == unicode.ReplacementChar, r == '\u2028', r == '\u2029':
			fmt.Fprintf(&b, "⟨%U⟩", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// shown is a text of somebody else's page as HTML: escaped, and kept from
// turning the direction of what stands beside it.
func shown(s any) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(clean(fmt.Sprint(s), shownRunes)) + "</bdi>")
}

// plain is the same for attributes.
func plain(s any) string { return clean(fmt.Sprint(s), shownRunes) }

// raw is the same for a block of its own, which may be long and keeps its lines.
func raw(s string) template.HTML {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = clean(l, 16_000)
	}
	return template.HTML(template.HTMLEscapeString(clip(strings.Join(lines, "\n"), 64_000)))
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// capital makes the first letter a capital.
func capital(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}

// plural counts in words.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
