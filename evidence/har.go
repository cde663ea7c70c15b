package evidence

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	pc "pecrawler"
)

// The HAR 1.2 document, as far as a capture can fill it. What is not known is
// -1 for a number and "" for a text; fields that begin with "_" are ours or
// Chrome's and stand for what HAR has no word for.
type (
	harFile struct {
		Log harLog `json:"log"`
	}
	harLog struct {
		Version string     `json:"version"`
		Creator harProgram `json:"creator"`
		Browser harProgram `json:"browser"`
		Pages   []harPage  `json:"pages"`
		Entries []harEntry `json:"entries"`
		Comment string     `json:"comment"`
		Bundle  string     `json:"_bundle"`
		Visit   pc.Visit   `json:"_visit"`
	}
	harProgram struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	}
	harPage struct {
		Started     time.Time      `json:"startedDateTime"`
		ID          string         `json:"id"`
		Title       string         `json:"title"`
		PageTimings harPageTimings `json:"pageTimings"`
	}
	harPageTimings struct { // milliseconds
		OnContentLoad int64 `json:"onContentLoad"`
		OnLoad        int64 `json:"onLoad"`
	}
	harEntry struct {
		Page       string        `json:"pageref"`
		Started    time.Time     `json:"startedDateTime"`
		Time       int64         `json:"time"` // milliseconds; 0: how long it took was not recorded
		Request    harRequest    `json:"request"`
		Response   harResponse   `json:"response"`
		Cache      struct{}      `json:"cache"`
		Timings    harTimings    `json:"timings"`
		ServerIP   string        `json:"serverIPAddress,omitempty"`
		Initiator  harInitiator  `json:"_initiator"`
		Type       string        `json:"_resourceType,omitempty"`
		Ref        pc.Ref        `json:"_ref"`
		Scenario   pc.Scenario   `json:"_scenario"`
		Phase      pc.Phase      `json:"_phase"`
		Frame      string        `json:"_frame,omitempty"`
		RedirectOf pc.Ref        `json:"_redirectOf,omitempty"`
		Failed     string        `json:"_failed,omitempty"`
		Blocked    []harRejected `json:"_blockedCookies,omitempty"`
	}
	harRequest struct {
		Method      string       `json:"method"`
		URL         string       `json:"url"`
		HTTPVersion string       `json:"httpVersion"`
		Cookies     []harCookie  `json:"cookies"`
		Headers     []harPair    `json:"headers"`
		QueryString []harPair    `json:"queryString"`
		PostData    *harPostData `json:"postData,omitempty"`
		HeadersSize int          `json:"headersSize"`
		BodySize    int          `json:"bodySize"`
		Comment     string       `json:"comment,omitempty"`
	}
	harPostData struct {
		MIME    string    `json:"mimeType"`
		Params  []harPair `json:"params"`
		Text    string    `json:"text"`
		Comment string    `json:"comment"`
	}
	harResponse struct {
		Status      int         `json:"status"`
		StatusText  string      `json:"statusText"`
		HTTPVersion string      `json:"httpVersion"`
		Cookies     []harCookie `json:"cookies"`
		Headers     []harPair   `json:"headers"`
		Content     harContent  `json:"content"`
		RedirectURL string      `json:"redirectURL"`
		HeadersSize int         `json:"headersSize"`
		BodySize    int         `json:"bodySize"`
		Received    int64       `json:"_transferSize"` // bytes over the network, headers included
		Error       string      `json:"_error,omitempty"`
	}
	harContent struct {
		Size     int    `json:"size"`
		MIME     string `json:"mimeType"`
		Text     string `json:"text,omitempty"`
		Encoding string `json:"encoding,omitempty"`
		Comment  string `json:"comment,omitempty"`
	}
	harPair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	harCookie struct {
		Name     string    `json:"name"`
		Value    string    `json:"value"`
		Path     string    `json:"path,omitempty"`
		Domain   string    `json:"domain,omitempty"`
		Expires  time.Time `json:"expires,omitzero"`
		HTTPOnly bool      `json:"httpOnly,omitempty"`
		Secure   bool      `json:"secure,omitempty"`
		SameSite string    `json:"sameSite,omitempty"`
		Comment  string    `json:"comment,omitempty"`
	}
	harRejected struct {
		Line    string   `json:"line"`
		Reasons []string `json:"reasons"`
	}
	harTimings struct { // milliseconds
		Send    int64 `json:"send"`
		Wait    int64 `json:"wait"`
		Receive int64 `json:"receive"`
	}
	harInitiator struct { // as Chrome's developer tools write and read it
		Type  string    `json:"type"`
		URL   string    `json:"url,omitempty"`
		Stack *harStack `json:"stack,omitempty"`
	}
	harStack struct {
		Frames []harFrame `json:"callFrames"`
	}
	harFrame struct { // lines and columns count from 0
		Function string `json:"functionName"`
		Script   string `json:"scriptId"`
		URL      string `json:"url"`
		Line     int    `json:"lineNumber"`
		Column   int    `json:"columnNumber"`
	}
)

const notRecorded = "not recorded"

// WriteHAR writes the requests of a bundle as HAR 1.2, a page for each load of
// each scenario. It leaves out nothing that the captures say of requests, and
// says of what it cannot fill that it was not recorded.
func WriteHAR(w io.Writer, b *Bundle) error {
	log := harLog{Version: "1.2", Creator: harProgram{"pecrawler", "unknown"}, Browser: harProgram{"Chrome", "unknown"}, Pages: []harPage{}, Entries: []harEntry{},
		Comment: "Requests of a sealed bundle; times per phase, request headers and values of sent cookies were not recorded.", Bundle: b.Digest(), Visit: b.Visit()}
	for _, s := range pc.EveryScenario {
		c := b.Captures()[s]
		if c == nil {
			continue
		}
		log.Creator.Version = c.Environment.Tool
		log.Browser.Version = strings.TrimPrefix(c.Environment.Chrome, "Chrome/")
		loads := loadsOf(c)
		for _, l := range loads {
			log.Pages = append(log.Pages, l.har(c))
		}
		for i := range c.Requests {
			log.Entries = append(log.Entries, harOf(b, c, loads, &c.Requests[i]))
		}
	}
	slices.SortStableFunc(log.Entries, func(a, b harEntry) int { return a.Started.Compare(b.Started) })
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	if err := enc.Encode(harFile{log}); err != nil {
		return fmt.Errorf("write HAR of %s: %w", b.Digest(), err)
	}
	return nil
}

// load is one load of a document in a capture: the first, the reload, the inner page.
type load struct {
	id   string
	name pc.MarkName
	at   int64 // milliseconds since the capture began
}

func loadsOf(c *pc.Capture) []load {
	loads := []load{{string(c.Scenario) + "/first", "first", 0}}
	for _, name := range []pc.MarkName{pc.MarkReload, pc.MarkInner} {
		if at, ok := c.Mark(name); ok {
			loads = append(loads, load{string(c.Scenario) + "/" + string(name), name, at})
		}
	}
	return loads
}

func (l load) har(c *pc.Capture) harPage {
	p := harPage{Started: since(c, l.at), ID: l.id, PageTimings: harPageTimings{-1, -1}}
	address := c.FinalURL
	if l.at == 0 {
		if at, ok := c.Mark(pc.MarkLoad); ok {
			p.PageTimings.OnLoad = at
		}
	} else if i := slices.IndexFunc(c.Requests, func(r pc.Request) bool { return r.At >= l.at && r.Type == "Document" }); i >= 0 {
		address = c.Requests[i].URL
	}
	p.Title = fmt.Sprintf("%s, %s load: %s", c.Scenario, l.name, address)
	return p
}

// loadAt is the load to which a request belongs.
func loadAt(loads []load, at int64) load {
	last := loads[0]
	for _, l := range loads[1:] {
		if l.at <= at && l.at >= last.at {
			last = l
		}
	}
	return last
}

func since(c *pc.Capture, at int64) time.Time {
	return c.Started.Add(time.Duration(at) * time.Millisecond).UTC()
}

func refOf(s pc.Scenario, request int) pc.Ref {
	return pc.Ref(fmt.Sprintf("%s/requests/%d", s, request))
}

func harOf(b *Bundle, c *pc.Capture, loads []load, r *pc.Request) harEntry {
	timings := harTimings{-1, -1, -1}
	if r.Took > 0 { // what it took is one sum; HAR wants it to be that of its parts
		timings = harTimings{0, r.Took, 0}
	}
	e := harEntry{
		Page: loadAt(loads, r.At).id, Started: since(c, r.At), Time: r.Took, Timings: timings, ServerIP: r.RemoteIP, Type: strings.ToLower(r.Type),
		Ref: refOf(c.Scenario, r.ID), Scenario: c.Scenario, Phase: c.PhaseAt(r.At), Frame: r.Frame, Failed: r.Failed,
		Request:   harRequestOf(r),
		Response:  harResponseOf(b, c.Scenario, r),
		Initiator: harInitiatorOf(r),
	}
	if r.RedirectOf >= 0 {
		e.RedirectOf = refOf(c.Scenario, r.RedirectOf)
	}
	for _, s := range r.SetCookies {
		if len(s.Blocked) > 0 {
			e.Blocked = append(e.Blocked, harRejected{s.Line, s.Blocked})
		}
	}
	return e
}

func harRequestOf(r *pc.Request) harRequest {
	q := harRequest{Method: r.Method, URL: r.URL, HTTPVersion: "unknown", Cookies: []harCookie{}, Headers: []harPair{}, QueryString: queryOf(r.URL),
		HeadersSize: -1, BodySize: -1, Comment: "headers: " + notRecorded}
	for _, name := range r.CookiesOut {
		q.Cookies = append(q.Cookies, harCookie{Name: name, Comment: "value: " + notRecorded})
	}
	if r.Body != "" {
		q.PostData = &harPostData{Params: []harPair{}, Text: r.Body, Comment: "at most the first 4 KiB; type: " + notRecorded}
	}
	return q
}

// queryOf splits a query as it stands in the URL; what cannot be decoded is
// given as it is.
func queryOf(address string) []harPair {
	pairs := []harPair{}
	_, rest, _ := strings.Cut(address, "?")
	rest, _, _ = strings.Cut(rest, "#")
	for f := range strings.SplitSeq(rest, "&") {
		if f == "" {
			continue
		}
		name, value, _ := strings.Cut(f, "=")
		pairs = append(pairs, harPair{unescape(name), unescape(value)})
	}
	return pairs
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func harResponseOf(b *Bundle, s pc.Scenario, r *pc.Request) harResponse {
	p := harResponse{Status: r.Status, StatusText: http.StatusText(r.Status), HTTPVersion: "unknown", Cookies: []harCookie{}, Headers: headersOf(r),
		Content: harContent{Size: -1, MIME: r.MIME, Comment: "body: " + notRecorded}, HeadersSize: -1, BodySize: -1, Received: r.Bytes, Error: r.Failed}
	for _, h := range p.Headers {
		switch strings.ToLower(h.Name) {
		case "location":
			p.RedirectURL = h.Value
		case "set-cookie":
			if c, err := http.ParseSetCookie(h.Value); err == nil {
				p.Cookies = append(p.Cookies, harCookie{Name: c.Name, Value: c.Value, Path: c.Path, Domain: c.Domain, Expires: c.Expires, HTTPOnly: c.HttpOnly, Secure: c.Secure, SameSite: sameSite(c.SameSite)})
			}
		}
	}
	if body, err := b.Part(r.Content); err == nil {
		p.Content = harContent{Size: len(body), MIME: r.MIME}
		p.Content.Text, p.Content.Encoding = textOf(body)
	}
	return p
}

// headersOf are the response's headers by name, each Set-Cookie line as one.
func headersOf(r *pc.Request) []harPair {
	pairs := []harPair{}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		if len(r.SetCookies) > 0 && strings.EqualFold(name, "set-cookie") {
			continue
		}
		pairs = append(pairs, harPair{name, r.Headers[name]})
	}
	for _, s := range r.SetCookies {
		pairs = append(pairs, harPair{"set-cookie", s.Line})
	}
	return pairs
}

func sameSite(s http.SameSite) string {
	switch s {
	case http.SameSiteLaxMode:
		return "Lax"
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteNoneMode:
		return "None"
	}
	return ""
}

func harInitiatorOf(r *pc.Request) harInitiator {
	i := harInitiator{Type: "other", URL: r.Initiator}
	if r.Initiator != "" {
		i.Type = "parser"
	}
	if len(r.Stack) > 0 {
		i.Type, i.Stack = "script", &harStack{}
		for _, f := range r.Stack {
			i.Stack.Frames = append(i.Stack.Frames, frameOf(f))
		}
	}
	return i
}

// frameOf reads a line of a stack, "function url:line:column", which counts from 1.
func frameOf(s string) harFrame {
	var f harFrame
	rest := s
	for _, n := range []*int{&f.Column, &f.Line} {
		at := strings.LastIndexByte(rest, ':')
		v, err := strconv.Atoi(rest[at+1:])
		if at < 0 || err != nil {
			return harFrame{URL: s}
		}
		*n, rest = v, rest[:at]
	}
	f.Line, f.Column = max(f.Line-1, 0), max(f.Column-1, 0)
	at := strings.LastIndexByte(rest, ' ')
	f.Function, f.URL = rest[:max(at, 0)], rest[at+1:]
	return f
}
