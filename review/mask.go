package review

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What could be the number of a visitor. Too much is masked rather than too
// little: whoever needs it asks, and that is logged.
var (
	uuidForm = regexp.MustCompile(`^\{?[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}\}?$`)
	mailForm = regexp.MustCompile(`^[^@/\s]+(@|%40)[^@/\s]+\.[^@/\s]+$`)
	lineForm = regexp.MustCompile(`(:[0-9]+){2}$`) // behind the address of a script, where Chrome says so
	nameForm = regexp.MustCompile(`^[\p{L}_$][\p{L}\p{N}_$.%-]*$`)
	hiddenIn = regexp.MustCompile(`(?i)%(25)*(23|26|3b|3d|3f)`) // # & ; = ? of an address in an address
	lastMark = regexp.MustCompile(`'[.,;:)]*$`)
)

// spoken are the names of what is said to everybody alike: in headers, mostly.
func spoken(name string) bool {
	return slices.Contains([]string{"as", "charset", "domain", "includesubdomains", "max-age", "path", "q", "rel", "s-maxage", "samesite", "stale-if-error", "stale-while-revalidate", "type"}, strings.ToLower(name))
}

// Limits of what is still read as a word, in characters.
const (
	mostDigits  = 8  // that are a date or the number of a site
	mostMixed   = 15 // letters and digits without anything between
	mostTurns   = 3  // from letters to digits or back, in such a word
	mostSegment = 60 // without a hyphen, dot or underscore
)

// veiled hides in a text what can tell one visitor from another: in the addresses
// that are in it the values of the query, of what is behind # and of parameters in
// the path, and user names; anywhere in it what is given to a name, as in uid=4, and
// a part that looks like an identifier. Names, hosts and paths in words stay: they
// are what findings speak of.
func veiled(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := wordEnd(s)
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

// wordEnd is where the first word of a text ends; -1: with the text. An apostrophe
// ends none that may be the value of something.
func wordEnd(s string) int {
	n := strings.IndexFunc(s, edge)
	if n <= 0 || s[n] != '\'' || !strings.ContainsAny(s[:n], "?#=;") {
		return n
	}
	end := strings.IndexFunc(s, func(r rune) bool { return r != '\'' && edge(r) })
	if end < 0 {
		end = len(s)
	}
	if mark := lastMark.FindStringIndex(s[:end]); mark != nil && mark[0] > 0 { // that of a quotation
		end = mark[0]
	}
	return end
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
		return veiledValues(w, ",;&(){}[]", spoken)
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
	end := strings.IndexAny(s, "?#")
	if end < 0 {
		end = len(s)
	}
	var b strings.Builder
	b.WriteString(veiledValues(s[:end], "/;,", func(string) bool { return false }))
	if end == len(s) {
		return b.String()
	}
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
	return b.String()
}

// veiledFrame is the same for a call of a stack, "function address:line:column".
func veiledFrame(s string) string {
	line := lineForm.FindString(s)
	return veiled(strings.TrimSuffix(s, line)) + line
}

// veiledValues masks what is given to a name that is not open, in the parts of a
// word, and what looks like an identifier.
func veiledValues(s, between string, open func(name string) bool) string {
	var b strings.Builder
	for i, part := range split(between[:1]+s, between) {
		if i > 0 {
			b.WriteByte(part[0])
		}
		name, value, ok := strings.Cut(part[1:], "=")
		if !ok || value == "" || !nameForm.MatchString(name) || open(name) {
			b.WriteString(veiledSegments(part[1:]))
			continue
		}
		b.WriteString(veiledSegments(name) + "=" + hidden(value))
	}
	return b.String()
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
	if len(s) <= mostDigits && !strings.ContainsAny(s, "@%") { // most words
		return s
	}
	out := []byte(nil)
	for _, seg := range split("/"+s, "/,;=()[]&?!*+") {
		out = append(out, seg[0])
		word, rest := seg[1:], ""
		if at := hiddenIn.FindStringIndex(word); at != nil && !mailForm.MatchString(word) {
			word, rest = word[:at[1]], word[at[1]:]
		}
		if identifies(word) {
			out = append(out, hidden(word+rest)...)
		} else {
			out = append(append(out, word...), hidden(rest)...)
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
