package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	pc "pecrawler"
)

// maxObserved is how many references of a finding are put into words; the rest
// are in the evidence all the same.
const maxObserved = 12

// observe says in plain English what references show.
func observe(d *pc.Dossier, refs []pc.Ref) []pc.Observation {
	out := []pc.Observation{}
	for _, sg := range d.Signals { // what several of them show together comes first
		if len(sg.Refs) > 0 && !slices.ContainsFunc(sg.Refs, func(r pc.Ref) bool { return !slices.Contains(refs, r) }) && len(out) < maxObserved {
			out = append(out, pc.Observation{Ref: sg.Refs[0], Text: capital(sg.Why) + fmt.Sprintf(" (%.0f %% sure).", sg.Confidence*100)})
		}
	}
	slices.SortFunc(out, func(a, b pc.Observation) int { return strings.Compare(string(a.Ref)+a.Text, string(b.Ref)+b.Text) })
	for _, r := range refs[:min(len(refs), maxObserved)] {
		if text := observed(d, r); text != "" {
			out = append(out, pc.Observation{Ref: r, Text: text})
		}
	}
	return out
}

func observed(d *pc.Dossier, r pc.Ref) string {
	parts := strings.SplitN(string(r), "/", 3)
	if len(parts) != 3 {
		return ""
	}
	n, err := strconv.Atoi(parts[2])
	if parts[0] == "look" && err == nil && n < len(d.Look.Texts) {
		t := d.Look.Texts[n]
		return fmt.Sprintf("The page “%s” at %s, read without a browser.", t.Title, t.URL)
	}
	s := pc.Scenario(parts[0])
	c := d.Captures[s]
	if c == nil {
		return ""
	}
	switch parts[1] {
	case "storage":
		if err == nil && n < len(c.Storage) {
			return storedText(d, c, n)
		}
	case "requests":
		if err == nil && n < len(c.Requests) {
			return requestText(d, c, n)
		}
	case "consent":
		if err == nil && n < len(c.Consent) {
			return readingText(d, c, r, c.Consent[n])
		}
	case "writes":
		if err == nil && n < len(c.Writes) {
			w := c.Writes[n]
			return fmt.Sprintf("%s, a script%s wrote the %s “%s” of %s.", capital(when(c, w.At)), by(w.Script), kindName(w.Kind), w.Name, w.Host)
		}
	case "reads":
		if err == nil && n < len(c.Reads) {
			rd := c.Reads[n]
			return fmt.Sprintf("%s, a script%s read %s %s.", capital(when(c, rd.At)), by(rd.Script), rd.API, times(rd.Count))
		}
	case "sockets":
		if err == nil && n < len(c.Sockets) {
			k := c.Sockets[n]
			return fmt.Sprintf("A connection to %s, opened %s, over which %d messages were sent.", address(k.URL), when(c, k.At), k.Sent)
		}
	case "pages":
		return nodeText(d, s, r)
	}
	return ""
}

func storedText(d *pc.Dossier, c *pc.Capture, n int) string {
	it := c.Storage[n]
	p := purposeOf(d.Storage, fmt.Sprintf("%s/storage/%d", c.Scenario, n))
	text := fmt.Sprintf("The %s “%s” of %s%s: first seen %s", kindName(it.Kind), it.Name, it.Host, owner(p), seen(c, it))
	if it.Lifetime > 0 {
		text += ", kept for " + span(it.Lifetime)
	} else if it.Kind == pc.Cookie {
		text += ", kept until the browser is closed"
	}
	if it.SetBy != "" {
		text += ", set by " + address(it.SetBy)
	}
	return text + "." + why(p)
}

func requestText(d *pc.Dossier, c *pc.Capture, n int) string {
	q := c.Requests[n]
	p := purposeOf(d.Requests, fmt.Sprintf("%s/requests/%d", c.Scenario, n))
	text := fmt.Sprintf("A request to %s%s, %s", address(q.URL), owner(p), when(c, q.At))
	if p != nil && p.CarriesID {
		text += ", with an identifier"
	}
	if q.Initiator != "" {
		text += ", caused by " + address(q.Initiator)
	}
	return text + "." + why(p)
}

func readingText(d *pc.Dossier, c *pc.Capture, r pc.Ref, st pc.ConsentState) string {
	said := "something about consent"
	for _, rd := range d.Consent {
		if !slices.Contains(rd.Refs, r) {
			continue
		}
		var both []string
		if rd.Advertising != "" {
			both = append(both, "advertising is "+rd.Advertising)
		}
		if rd.Statistics != "" {
			both = append(both, "statistics are "+rd.Statistics)
		}
		if len(both) > 0 {
			said = "that " + strings.Join(both, ", and ")
		}
	}
	return fmt.Sprintf("The page's consent interface %s said %s, %s.", st.API, said, when(c, st.At))
}

// nodeText says which control or banner a node is, what was pressed there, or
// what its words say.
func nodeText(d *pc.Dossier, s pc.Scenario, r pc.Ref) string {
	for _, w := range d.Wording {
		if slices.Contains(w.Refs, r) && w.Span != "" {
			return fmt.Sprintf("The banner says: “%s”.", w.Span)
		}
	}
	c := d.Captures[s]
	for _, a := range c.Acts {
		if r == pc.Ref(fmt.Sprintf("%s/pages/%d#%d", s, a.Page, a.Node)) && a.Kind == "click" {
			return fmt.Sprintf("“%s” was pressed %s (%s).", a.Text, moment(a.At), a.Purpose)
		}
	}
	for _, b := range d.Banners {
		if b.Scenario != s {
			continue
		}
		if slices.Contains(b.Refs, r) {
			return fmt.Sprintf("The banner (%s): “%s”.", b.Kind, short(b.Text, 160))
		}
		for _, ct := range b.Controls {
			if !slices.Contains(ct.Refs, r) {
				continue
			}
			text := fmt.Sprintf("The control “%s” on layer %d, read as %s", ct.Text, ct.Layer, ct.Action)
			if ct.On != nil && *ct.On {
				text += ", which is switched on"
			}
			return text + "."
		}
	}
	return "A place on the page, drawn in its picture."
}

func purposeOf(ps []pc.Purpose, ref string) *pc.Purpose {
	for i := range ps {
		if string(ps[i].Ref) == ref {
			return &ps[i]
		}
	}
	return nil
}

func owner(p *pc.Purpose) string {
	switch {
	case p == nil || p.Class == pc.Unknown && p.Entity == "":
		return ""
	case p.Class == pc.Unknown:
		return fmt.Sprintf(" (%s)", p.Entity)
	case p.Entity == "":
		return fmt.Sprintf(" (%s)", className(p.Class))
	}
	return fmt.Sprintf(" (%s, %s)", p.Entity, className(p.Class))
}

func why(p *pc.Purpose) string {
	if p == nil || p.Why == "" {
		return ""
	}
	return fmt.Sprintf(" So classed because %s (%.0f %% sure).", p.Why, p.Confidence*100)
}

func className(c pc.Class) string {
	_, name, ok := strings.Cut(string(c), "-")
	if !ok {
		return string(c)
	}
	return name
}

func kindName(k pc.StorageKind) string {
	switch k {
	case pc.LocalStorage:
		return "local storage item"
	case pc.SessionStorage:
		return "session storage item"
	case pc.IndexedDB:
		return "IndexedDB database"
	case pc.CacheStorage:
		return "cache"
	}
	return "cookie"
}

// seen says when an item was first seen.
func seen(c *pc.Capture, it pc.StorageItem) string {
	if it.First == pc.MarkSettled {
		return "before any choice"
	}
	return when(c, it.At)
}

// when says in which part of the scenario an offset lies.
func when(c *pc.Capture, at int64) string {
	part := "before any choice"
	switch c.PhaseAt(at) {
	case pc.PhaseReject:
		part = "after the refusal"
	case pc.PhaseAccept:
		part = "after accepting"
	case pc.PhaseWithdraw:
		part = "after consent was withdrawn"
	default:
		if acted, ok := c.Mark(pc.MarkActed); ok && at >= acted {
			part = map[pc.Scenario]string{pc.Close: "after the banner was closed", pc.Scroll: "after the page was scrolled"}[c.Scenario]
		}
	}
	switch whenOf(c, at) {
	case string(pc.MarkReload), string(pc.MarkReturn):
		part += ", when the page was loaded again"
	case string(pc.MarkInner):
		part += ", on an inner page"
	}
	return part + " (" + moment(at) + ")"
}

func moment(at int64) string { return fmt.Sprintf("at %.1f s", float64(at)/1000) }

// span is a lifetime in the largest unit that fits.
func span(s int64) string {
	d := time.Duration(s) * time.Second
	plural := func(n int64, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	switch day := 24 * time.Hour; {
	case d >= 60*day:
		return plural(int64((d+15*day)/(30*day)), "month")
	case d >= day:
		return plural(int64((d+day/2)/day), "day")
	case d >= time.Hour:
		return plural(int64((d+time.Hour/2)/time.Hour), "hour")
	}
	return plural(max(1, int64(d/time.Minute)), "minute")
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func by(script string) string {
	if script == "" {
		return ""
	}
	return " (" + address(script) + ")"
}

// address is a URL as far as people read it: values of parameters are evidence,
// and stay there.
func address(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return short(raw, 80)
	}
	return short(u.Host+u.EscapedPath(), 100)
}

func short(s string, n int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

func capital(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
