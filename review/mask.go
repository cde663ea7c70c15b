package review

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What could be the number of a visitor. Too much is masked rather than too
// little: whoever needs it asks, and that is logged.
var (
	uuidForm = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?$`)
	mailForm = regexp.MustCompile(`^[^@/\s]+(@|%40)[^@/\s]+\.[^@/\s]+$`)
	lineForm = regexp.MustCompile(`(:[0-9]{1,9}){1,2}\)?$`) // behind the address of a script
)

// Limits of what is still read as a word, in characters.
const (
	mostDigits  = 8  // that are a date or the number of a site
	mostMixed   = 15 // letters and digits without anything between
	mostTurns   = 3  // from letters to digits or back, in such a word
	mostSegment = 60 // without a hyphen, dot or underscore
)

// veiled hides in a text what can tell one visitor from another: in the addresses
// that are in it the values of the query and of what is behind #, and user names;
// anywhere in it a part that looks like an identifier. Names, hosts and paths in
// words stay: they are what findings speak of.
func veiled(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := strings.IndexFunc(s, edge)
		switch n {
		case 0:
			_, n = utf8.DecodeRuneInString(s)
			b.WriteString(s[:n])
		case -1:
			n = len(s)
			fallthrough
		default:
			b.WriteString(veiledAddress(s[:n]))
		}
		s = s[n:]
	}
	return b.String()
}

// edge tells what stands between the words of a text.
func edge(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"'<>“”`, r) }

// veiledAddress is the same for one address, or one word.
func veiledAddress(w string) string {
	scheme, rest, whole := strings.Cut(w, "://")
	if !whole {
		if _, query, ok := strings.Cut(w, "?"); strings.HasPrefix(w, "/") || ok && strings.Contains(query, "=") {
			return veiledPath(w)
		}
		return veiledSegments(w)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host := rest[:end]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = hidden(host[:i]) + host[i:]
	}
	return scheme + "://" + host + veiledPath(rest[end:])
}

// veiledPath masks a path with its query and what is behind #.
func veiledPath(s string) string {
	line := lineForm.FindString(s)
	s = strings.TrimSuffix(s, line)
	end := strings.IndexAny(s, "?#")
	if end < 0 {
		return veiledSegments(s) + line
	}
	var b strings.Builder
	b.WriteString(veiledSegments(s[:end]))
	for _, part := range split(s[end:], "?#&") {
		b.WriteByte(part[0])
		name, value, ok := strings.Cut(part[1:], "=")
		if !ok {
			name, value = "", name
		}
		b.WriteString(veiledSegments(name))
		if ok {
			b.WriteByte('=')
		}
		b.WriteString(hidden(value))
	}
	return b.String() + line
}

// split cuts a text before each of some characters; it begins with one.
func split(s, at string) (out []string) {
	from := 0
	for i := 1; i < len(s); i++ {
		if strings.IndexByte(at, s[i]) >= 0 {
			out = append(out, s[from:i])
			from = i
		}
	}
	return append(out, s[from:])
}

// veiledSegments masks the parts of a path, or of any word, that look like
// identifiers.
func veiledSegments(s string) string {
	if len(s) <= mostDigits && !strings.ContainsRune(s, '@') { // most words
		return s
	}
	out := []byte(nil)
	for _, seg := range split("/"+s, "/,;=()[]&?!*+") {
		out = append(out, seg[0])
		if word := seg[1:]; identifies(word) {
			out = append(out, hidden(word)...)
		} else {
			out = append(out, word...)
		}
	}
	return string(out[1:])
}

// identifies tells whether a word looks like an identifier.
func identifies(w string) bool {
	if uuidForm.MatchString(w) || mailForm.MatchString(w) {
		return true
	}
	for _, p := range strings.FieldsFunc(w, func(r rune) bool { return strings.ContainsRune("-_.~:%$@", r) }) {
		n, digits, row, turns := 0, 0, 0, 0
		for _, r := range p {
			digit := r >= '0' && r <= '9'
			if n > 0 && digit != (row > 0) {
				turns++
			}
			n++
			if !digit {
				row = 0
			} else if digits, row = digits+1, row+1; row > mostDigits {
				return true
			}
		}
		if n > mostSegment || digits > 0 && (n > mostMixed || n > 9 && turns > mostTurns) {
			return true
		}
	}
	return false
}

// hidden says how long what is masked is.
func hidden(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("⟨%d masked⟩", len([]rune(s)))
}
