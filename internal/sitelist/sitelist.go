// Package sitelist reads lists of sites: domains or URLs, one a line, or CSV
// with a header (url or domain, and optionally rank and sector). A bad line is
// reported with its number, its value and the fix; the rest goes on.
package sitelist

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// ErrEmpty means that a list names no site.
var ErrEmpty = errors.New("the list names no site: give one domain or URL a line, or CSV with a header that has url or domain")

// Entry is one site of a list.
type Entry struct {
	Site   string // host name in lower case ASCII, with the port if one is given
	URL    string
	Rank   int
	Sector string
	Line   int
}

// LineError is a line that names no site.
type LineError struct {
	Line   int
	Value  string // cut and made printable
	Reason string // with the fix
}

func (e LineError) Error() string { return fmt.Sprintf("line %d: %q: %s", e.Line, e.Value, e.Reason) }

// List is what was read.
type List struct {
	Entries    []Entry
	Bad        []LineError
	Duplicates int // lines that named a site again
}

// Digest names the list's content: the same sites, the same digest.
func (l List) Digest() string {
	h := sha256.New()
	for _, e := range l.Entries {
		fmt.Fprintf(h, "%s\x00%s\x00%d\x00%s\n", e.Site, e.URL, e.Rank, e.Sector)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// Word makes a list's name fit to begin that of a sweep.
func Word(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, s)
	s = strings.Trim(s[:min(len(s), 40)], "-")
	if s == "" {
		return "sweep"
	}
	return s
}

// Seen are sites that were met before, each by a short digest: lists are long.
type Seen map[[16]byte]struct{}

// Add tells whether a site is new, and from then on it is not.
func (s Seen) Add(site string) bool {
	sum := sha256.Sum256([]byte(site))
	key := [16]byte(sum[:])
	_, had := s[key]
	s[key] = struct{}{}
	return !had
}

const maxLine = 8 << 10

// Parse reads a list. It returns an error only when the input cannot be read
// or names no site at all ([ErrEmpty]); bad lines are in the list.
func Parse(r io.Reader) (List, error) {
	var l List
	seen := map[string]bool{}
	err := Each(r, func(e Entry) error {
		if seen[e.Site] {
			l.Duplicates++
			return nil
		}
		seen[e.Site] = true
		l.Entries = append(l.Entries, e)
		return nil
	}, func(b LineError) { l.Bad = append(l.Bad, b) })
	return l, err
}

// Each reads a list as Parse does, but keeps nothing: it calls entry for every
// line that names a site, also for one that names it again, and bad for every
// line that does not. It ends at the first error of entry and returns it.
func Each(r io.Reader, entry func(Entry) error, bad func(LineError)) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), 1<<20)
	var header []string
	entries := 0
	for n := 1; sc.Scan(); n++ {
		line := sc.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		if len(text) > maxLine {
			bad(lineError(n, text, "the line is too long; one site a line"))
			continue
		}
		if header == nil && entries == 0 {
			if h := readHeader(text); h != nil {
				header = h
				continue
			}
		}
		e, err := parseLine(text, header)
		if err != nil {
			bad(lineError(n, text, err.Error()))
			continue
		}
		e.Line = n
		entries++
		if err := entry(e); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read the list: %w", err)
	}
	if entries == 0 {
		return ErrEmpty
	}
	return nil
}

func lineError(n int, value, reason string) LineError {
	value = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, value)
	if len(value) > 80 {
		value = strings.ToValidUTF8(value[:80], "") + "…"
	}
	return LineError{n, value, reason}
}

// readHeader returns the column names if the line is a header.
func readHeader(text string) []string {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil
	}
	for i := range fields {
		fields[i] = strings.ToLower(strings.TrimSpace(fields[i]))
	}
	if slices.Contains(fields, "url") || slices.Contains(fields, "domain") {
		return fields
	}
	return nil
}

func parseLine(text string, header []string) (Entry, error) {
	if header == nil {
		return parseSite(text)
	}
	cr := csv.NewReader(strings.NewReader(text))
	cr.FieldsPerRecord = -1
	fields, err := cr.Read()
	if err != nil {
		return Entry{}, errors.New("this is no CSV line; close the quotes, and put a line's fields on one line")
	}
	get := func(name string) string {
		if i := slices.Index(header, name); i >= 0 && i < len(fields) {
			return strings.TrimSpace(fields[i])
		}
		return ""
	}
	site := get("url")
	if site == "" {
		site = get("domain")
	}
	e, err := parseSite(site)
	if err != nil {
		return e, err
	}
	if s := get("rank"); s != "" {
		if e.Rank, err = strconv.Atoi(s); err != nil || e.Rank < 0 {
			return e, fmt.Errorf("rank %q is no number; leave it empty if there is none", s)
		}
	}
	e.Sector = get("sector")
	if len(e.Sector) > 100 {
		return e, errors.New("the sector is longer than 100 characters; shorten it")
	}
	return e, nil
}

// parseSite reads a domain or a URL.
func parseSite(s string) (Entry, error) {
	fail := func(why string) (Entry, error) { return Entry{}, errors.New(why) }
	if s == "" {
		return fail("there is no url or domain in this line")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return fail("it holds a space or a control character; one domain or URL a line")
	}
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return fail("it is no URL; write it like www.example.co.uk or https://www.example.co.uk/")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return fail("only http and https are visited")
	}
	if u.User != nil {
		return fail("it holds a user name; logins are never used")
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if _, err := netip.ParseAddr(host); err != nil {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil || !strings.Contains(ascii, ".") || len(ascii) > 253 || slices.Contains(strings.Split(ascii, "."), "") {
			return fail("the host is no domain name; write it like www.example.co.uk")
		}
		host = ascii
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return fail("the port is no number from 1 to 65535")
		}
		host += ":" + p
	}
	u.Host, u.Fragment = host, ""
	if u.Path == "" {
		u.Path = "/"
	}
	return Entry{Site: host, URL: u.String()}, nil
}
