package review

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	pc "pecrawler"
)

// item is one piece of raw evidence: a stored item, a request, a write, a part
// of a page. What can tell a visitor from another is masked until asked for.
type item struct {
	Bundle, Ref string
	Sweep, Site string
	Title       string
	Facts       []rawFact
	Masked      bool // something is hidden
	Shown       bool // it was asked for
	Purpose     *pc.Purpose
	Related     []related
}

// rawFact is one line of an item.
type rawFact struct {
	Name, Value string
	Block       bool // long: a block of its own
	Secret      bool
}

// related is another piece of evidence that an item names.
type related struct{ Name, Href string }

// gather collects the facts of an item; reveal tells whether secrets are shown.
type gather struct {
	item
	reveal bool
}

// open is a text as it is shown, until it was asked for: by veil, without what
// looks like an identifier.
func (g *gather) open(s string, veil func(string) string) string {
	v := veil(s)
	if v == s || g.reveal {
		return s
	}
	g.Masked = true
	return v
}

func (g *gather) add(name string, value any) { g.say(name, g.open(fmt.Sprint(value), veiled)) }

func (g *gather) address(name, url string) {
	g.Facts = append(g.Facts, rawFact{Name: name, Value: g.open(url, veiledAddress), Block: true})
}

// say adds what is ours, and no page's.
func (g *gather) say(name string, value any) {
	if s := fmt.Sprint(value); s != "" && s != "0" && s != "[]" {
		g.Facts = append(g.Facts, rawFact{Name: name, Value: s})
	}
}

// stack adds the calls of a stack, innermost first.
func (g *gather) stack(name string, calls []string) {
	var out []string
	for _, c := range calls {
		out = append(out, g.open(c, veiledFrame))
	}
	if len(out) > 0 {
		g.Facts = append(g.Facts, rawFact{Name: name, Value: strings.Join(out, "\n"), Block: true})
	}
}

func (g *gather) block(name, value string) {
	if value != "" {
		g.Facts = append(g.Facts, rawFact{Name: name, Value: g.open(value, veiled), Block: true})
	}
}

// secret adds what is masked: only its length is shown.
func (g *gather) secret(name, value string) {
	if value == "" {
		return
	}
	if !g.reveal {
		g.Masked = true
		g.Facts = append(g.Facts, rawFact{Name: name, Value: "masked, " + plural(len([]rune(value)), "character", "characters"), Secret: true})
		return
	}
	g.Facts = append(g.Facts, rawFact{Name: name, Value: value, Block: true, Secret: true})
}

func (g *gather) relate(name, kind string, s pc.Scenario, n int) {
	if n >= 0 {
		r := pc.Ref(fmt.Sprintf("%s/%s/%d", s, kind, n))
		g.Related = append(g.Related, related{name, rawPath(g.Bundle, r)})
	}
}

// itemOf finds an item in a bundle; nil when there is none.
func itemOf(o *opened, p place, reveal bool) *item {
	c := o.Captures()[p.Scenario]
	if c == nil {
		return nil
	}
	ref := pc.Ref(fmt.Sprintf("%s/%s/%d", p.Scenario, p.Kind, p.N))
	g := &gather{reveal: reveal, item: item{Bundle: o.Digest(), Ref: string(ref), Sweep: o.Visit().Sweep, Site: o.Visit().Site, Shown: reveal}}
	ok := false
	switch p.Kind {
	case "storage":
		if ok = p.N < len(c.Storage); ok {
			g.stored(c, &c.Storage[p.N])
			g.Purpose = purposeOf(o.Opinions.Storage, ref)
		}
	case "requests":
		if ok = p.N < len(c.Requests); ok {
			g.request(c, &c.Requests[p.N])
			g.Purpose = purposeOf(o.Opinions.Requests, ref)
		}
	case "writes":
		if ok = p.N < len(c.Writes); ok {
			g.write(&c.Writes[p.N])
		}
	case "reads":
		if ok = p.N < len(c.Reads); ok {
			rd := &c.Reads[p.N]
			g.Title = "A read of " + rd.API
			g.add("Asked for", rd.Detail)
			g.add("Times", rd.Count)
			g.add("First", seconds(rd.At))
			g.add("Script", rd.Script)
			g.add("Frame", rd.Frame)
			g.stack("Stack", rd.Stack)
		}
	case "sockets":
		if ok = p.N < len(c.Sockets); ok {
			g.socket(&c.Sockets[p.N])
		}
	case "consent":
		if ok = p.N < len(c.Consent); ok {
			st := &c.Consent[p.N]
			g.Title = "What " + st.API + " said"
			g.add("When", markWords(st.Mark)+", "+seconds(st.At))
			g.secret("Its answer", indented(st.Data))
		}
	case "pages":
		ok = g.node(o, c, p)
	}
	if !ok {
		return nil
	}
	return &g.item
}

func purposeOf(ps []pc.Purpose, r pc.Ref) *pc.Purpose {
	i := slices.IndexFunc(ps, func(p pc.Purpose) bool { return p.Ref == r })
	if i < 0 {
		return nil
	}
	return &ps[i]
}

func seconds(at int64) string {
	return fmt.Sprintf("%.2f s after the page was asked for", float64(at)/1000)
}

func (g *gather) stored(c *pc.Capture, it *pc.StorageItem) {
	g.Title = kindWords(it.Kind) + " " + it.Name
	g.add("Name", it.Name)
	g.add("Host", it.Host)
	g.add("Path", it.Path)
	g.secret("Value", it.Value)
	g.add("First seen", markWords(it.First)+", "+seconds(it.At))
	if !it.Expires.IsZero() {
		g.add("Expires", it.Expires.UTC().Format("2 January 2006, 15:04:05 MST"))
	}
	if it.Lifetime > 0 {
		g.add("Kept for", fmt.Sprintf("%d seconds (%.1f days)", it.Lifetime, float64(it.Lifetime)/86400))
	}
	if it.Kind == pc.Cookie {
		g.add("Flags", fmt.Sprintf("Secure %t, HttpOnly %t, SameSite %s", it.Secure, it.HTTPOnly, orWord(it.SameSite, "not given")))
		g.add("Partition", it.Partition)
	}
	g.add("Set by", it.SetBy)
	for _, m := range it.Changed {
		g.add("Changed", markWords(m))
	}
	if it.Gone != "" {
		g.add("Gone", markWords(it.Gone))
	}
	g.relate("The response that set it", "requests", c.Scenario, it.Request)
	if it.Write != nil {
		g.relate("The script's call that set it", "writes", c.Scenario, *it.Write)
	}
}

func (g *gather) request(c *pc.Capture, q *pc.Request) {
	g.Title = q.Method + " " + g.open(q.URL, veiledAddress)
	g.address("Address", q.URL)
	g.add("Method and type", q.Method+", "+q.Type)
	g.add("When", seconds(q.At))
	g.add("Status", q.Status)
	g.add("Failed", q.Failed)
	g.add("Media type", q.MIME)
	g.add("Address of the server", q.RemoteIP)
	g.add("Answered by", q.From)
	g.add("Received", plural(int(q.Bytes), "byte", "bytes"))
	g.add("Frame", q.Frame)
	g.add("Worker", q.Worker)
	g.add("Caused by", q.Initiator)
	g.stack("Stack, innermost first", q.Stack)
	g.add("Cookies sent", strings.Join(q.CookiesOut, ", "))
	for _, k := range q.CookiesKept {
		g.add("Cookie not sent", k.Name+": "+strings.Join(k.Reasons, ", "))
	}
	var open []string
	for _, k := range slices.Sorted(maps.Keys(q.Headers)) {
		switch strings.ToLower(k) {
		case "set-cookie", "cookie", "authorization", "proxy-authorization", "etag":
			g.secret("Header "+k, q.Headers[k])
		default:
			open = append(open, k+": "+q.Headers[k])
		}
	}
	g.block("Headers of the response", strings.Join(open, "\n"))
	g.secret("Body", q.Body)
	if q.BodySize > 0 {
		g.say("Body in all", fmt.Sprintf("%d bytes, SHA-256 %s", q.BodySize, q.BodySHA256))
	}
	for _, sc := range q.SetCookies {
		name, _, _ := strings.Cut(sc.Line, "=")
		g.secret("Set-Cookie "+name, sc.Line)
		if len(sc.Blocked) > 0 {
			g.add("Chrome did not store "+name, strings.Join(sc.Blocked, ", "))
		}
	}
	g.add("Body of the response", q.Content)
	g.relate("The request that redirected here", "requests", c.Scenario, q.RedirectOf)
	if q.PreflightOf != nil {
		g.relate("The request that it asks leave for", "requests", c.Scenario, *q.PreflightOf)
	}
	for i := range c.Requests {
		if c.Requests[i].RedirectOf == q.ID {
			g.relate("It redirected to", "requests", c.Scenario, i)
		}
	}
}

func (g *gather) write(w *pc.Write) {
	g.Title = "A script changed " + w.Name
	g.add("Operation", w.Op+" of the "+strings.ToLower(kindWords(w.Kind)))
	g.add("Name", w.Name)
	g.add("Entry", w.Entry)
	g.add("Host", w.Host)
	g.secret("Value", w.Value)
	g.add("When", seconds(w.At))
	g.add("Frame", w.Frame)
	g.add("Script", w.Script)
	g.stack("Stack, innermost first", w.Stack)
}

func (g *gather) socket(s *pc.Socket) {
	g.Title = "WebSocket " + g.open(s.URL, veiledAddress)
	g.address("Address", s.URL)
	g.add("When", seconds(s.At))
	g.add("Caused by", s.Initiator)
	g.stack("Stack, innermost first", s.Stack)
	g.add("Cookies sent", strings.Join(s.CookiesOut, ", "))
	g.add("Messages", fmt.Sprintf("%d sent (%d bytes), %d received (%d bytes)", s.Sent, s.SentBytes, s.Received, s.ReceivedBytes))
	for _, m := range s.First {
		way := "Received"
		if m.Out {
			way = "Sent"
		}
		g.secret(way+" at "+seconds(m.At), m.Payload)
	}
}

// node shows an element of a page tree with what is above it.
func (g *gather) node(o *opened, c *pc.Capture, p place) bool {
	if p.N >= len(c.Pages) {
		return false
	}
	snap := c.Pages[p.N]
	page, err := o.Page(snap.Tree)
	if err != nil || p.Node >= len(page.Nodes) {
		return false
	}
	g.Title = "The page " + markWords(snap.Mark)
	g.add("When", seconds(snap.At))
	g.address("Address", page.URL)
	g.add("Title", page.Title)
	g.add("Language", page.Lang)
	if snap.Screen != "" {
		g.Related = append(g.Related, related{"The picture", fmt.Sprintf("/bundles/%s/screens/%s/%d", o.Digest(), c.Scenario, p.N)})
	}
	if p.Node < 0 {
		return true
	}
	g.Ref += fmt.Sprintf("#%d", p.Node)
	n := page.Nodes[p.Node]
	g.Title = "An element of the page: " + n.Tag
	var attrs []string
	for _, k := range slices.Sorted(maps.Keys(n.Attrs)) {
		attrs = append(attrs, k+"="+n.Attrs[k])
	}
	g.block("Text", textOf(page, p.Node))
	g.block("Attributes", strings.Join(attrs, "\n"))
	if n.Box != nil {
		g.add("Box", fmt.Sprintf("left %.0f, top %.0f, width %.0f, height %.0f", n.Box.X, n.Box.Y, n.Box.W, n.Box.H))
	}
	if n.Style != nil {
		g.add("Style", fmt.Sprintf("text %s on %s, %.0f pixels, weight %s, cursor %s", n.Style.Color, n.Style.Background, n.Style.FontPx, n.Style.Weight, n.Style.Cursor))
	}
	var up []string
	for i := n.Parent; i >= 0 && i < len(page.Nodes) && len(up) < 12; i = page.Nodes[i].Parent {
		up = append(up, page.Nodes[i].Tag)
	}
	slices.Reverse(up)
	g.add("Within", strings.Join(up, " › "))
	for _, a := range c.Access {
		if a.Page == p.N && a.Node == p.Node {
			g.add("Told to assistive technology", fmt.Sprintf("%s “%s”", a.Role, a.Name))
		}
	}
	return true
}

// textOf is the text under a node. A parent always comes before its child.
func textOf(page *pc.Page, root int) string {
	under := map[int]bool{root: true}
	var out []string
	for i := root; i < len(page.Nodes) && len(out) < 200; i++ {
		n := page.Nodes[i]
		if i != root && !under[n.Parent] {
			continue
		}
		under[i] = true
		if t := strings.TrimSpace(n.Text); t != "" {
			out = append(out, t)
		}
	}
	return strings.Join(out, " ")
}

func indented(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) == nil {
		if b, err := json.MarshalIndent(v, "", "  "); err == nil {
			return string(b)
		}
	}
	return string(raw)
}

func orWord(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
