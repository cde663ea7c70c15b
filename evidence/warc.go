package evidence

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	pc "pecrawler"
)

// warcWriter writes WARC 1.1 records, each a gzip member of its own, and keeps
// the index of what can be looked up.
type warcWriter struct {
	out    bytes.Buffer
	bundle string // digest: it makes the records' ids
	count  int
	index  []cdxLine
}

// warcRecord is one record. Texts from pages stand in the block, or in headers
// without control characters.
type warcRecord struct {
	kind    string // warcinfo, request, response, resource
	uri     string // WARC-Target-URI
	at      time.Time
	media   string // Content-Type of the block
	block   []byte
	payload []byte // what of the block is the payload; nil: no digest
	more    [][2]string
}

// cdxLine is a line of the index (CDXJ).
type cdxLine struct {
	key  string // SURT and timestamp
	data cdxData
}

type cdxData struct {
	URL      string `json:"url"`
	MIME     string `json:"mime"`
	Status   string `json:"status"`
	Digest   string `json:"digest"`
	Length   string `json:"length"` // bytes of the gzip member
	Offset   string `json:"offset"` // where it begins in the file
	Filename string `json:"filename"`
}

const warcName = "data.warc.gz"

// recordID is a URN that is the same whenever the same bundle is written.
func (w *warcWriter) recordID(n int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s %d", w.bundle, n))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80 // a UUID of version 8: of our own making
	x := hex.EncodeToString(h[:16])
	return fmt.Sprintf("<urn:uuid:%s-%s-%s-%s-%s>", x[:8], x[8:12], x[12:16], x[16:20], x[20:])
}

// add writes a record and returns its id, the offset of its gzip member and the
// member's length in bytes.
func (w *warcWriter) add(r warcRecord) (id string, offset, length int, err error) {
	id = w.recordID(w.count)
	w.count++
	var head bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&head, "%s: %s\r\n", name, headerText(value)) }
	head.WriteString("WARC/1.1\r\n")
	field("WARC-Type", r.kind)
	field("WARC-Record-ID", id)
	field("WARC-Date", r.at.UTC().Format("2006-01-02T15:04:05.000Z"))
	if r.uri != "" {
		field("WARC-Target-URI", r.uri)
	}
	for _, m := range r.more {
		field(m[0], m[1])
	}
	field("WARC-Block-Digest", sumOf(r.block))
	if r.payload != nil {
		field("WARC-Payload-Digest", sumOf(r.payload))
	}
	field("Content-Type", r.media)
	field("Content-Length", fmt.Sprint(len(r.block)))
	head.WriteString("\r\n")

	offset = w.out.Len()
	gz := gzip.NewWriter(&w.out)
	for _, b := range [][]byte{head.Bytes(), r.block, []byte("\r\n\r\n")} {
		if _, err := gz.Write(b); err != nil {
			return "", 0, 0, err
		}
	}
	if err := gz.Close(); err != nil {
		return "", 0, 0, err
	}
	return id, offset, w.out.Len() - offset, nil
}

// addIndexed writes a record that can be looked up by its URI.
func (w *warcWriter) addIndexed(r warcRecord, mime string, status int) (id string, err error) {
	id, offset, length, err := w.add(r)
	if err != nil {
		return "", err
	}
	w.index = append(w.index, cdxLine{surt(r.uri) + " " + r.at.UTC().Format("20060102150405"),
		cdxData{r.uri, mime, fmt.Sprint(status), sumOf(r.payload), fmt.Sprint(length), fmt.Sprint(offset), warcName}})
	return id, nil
}

// cdx is the index, sorted as its readers want it.
func (w *warcWriter) cdx() ([]byte, error) {
	slices.SortStableFunc(w.index, func(a, b cdxLine) int { return strings.Compare(a.key, b.key) })
	var out bytes.Buffer
	for _, l := range w.index {
		data, err := json.Marshal(l.data)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s %s\n", l.key, data)
	}
	return out.Bytes(), nil
}

// surt is a URL by which an index is sorted: the host from right to left, then
// the rest in lower case, the query's parts in order.
func surt(address string) string {
	u, err := url.Parse(strings.ToLower(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return strings.ReplaceAll(headerText(address), " ", "%20")
	}
	host := strings.Split(withoutWWW(u.Hostname()), ".")
	slices.Reverse(host)
	key := strings.Join(host, ",")
	if p := u.Port(); p != "" && !(u.Scheme == "http" && p == "80") && !(u.Scheme == "https" && p == "443") {
		key += ":" + p
	}
	key += ")" + cmp.Or(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		args := strings.Split(u.RawQuery, "&")
		slices.Sort(args)
		key += "?" + strings.Join(args, "&")
	}
	return strings.ReplaceAll(headerText(key), " ", "%20")
}

// withoutWWW takes "www." or "www1." from the front of a host.
func withoutWWW(host string) string {
	if first, rest, ok := strings.Cut(host, "."); ok && strings.HasPrefix(first, "www") && strings.Trim(first[3:], "0123456789") == "" {
		return rest
	}
	return host
}

// headerText is a text that cannot leave its header line.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// writeWARC writes everything of a bundle into a WARC: the requests and what is
// known of the responses to them, and every file of the bundle as a resource.
func writeWARC(b *Bundle) (*warcWriter, error) {
	w := &warcWriter{bundle: b.Digest()}
	m := b.Manifest()
	info := fmt.Sprintf("software: pecrawler\r\nformat: WARC File Format 1.1\r\ndescription: bundle %s of visit %s; responses whose body was not recorded are marked WARC-Truncated\r\n", b.Digest(), headerText(m.Visit))
	if _, _, _, err := w.add(warcRecord{kind: "warcinfo", at: m.SealedAt, media: "application/warc-fields", block: []byte(info), more: [][2]string{{"WARC-Filename", warcName}}}); err != nil {
		return nil, err
	}
	for _, s := range pc.EveryScenario {
		if c := b.Captures()[s]; c != nil {
			for i := range c.Requests {
				if err := w.exchange(b, c, &c.Requests[i]); err != nil {
					return nil, err
				}
			}
			if err := w.screens(b, c); err != nil {
				return nil, err
			}
		}
	}
	for _, p := range b.files() {
		content, err := b.Part(p)
		if err != nil {
			return nil, err
		}
		if _, err := w.addIndexed(warcRecord{kind: "resource", uri: partURN(b, p), at: m.SealedAt, media: mediaOf(p), block: content, payload: content}, mediaOf(p), 200); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// files are the names of everything in the bundle, what vouches for it first.
func (b *Bundle) files() []string {
	names := []string{manifestName}
	for _, n := range []string{signatureName, stampName} {
		if _, ok := b.parts[n]; ok {
			names = append(names, n)
		}
	}
	for _, p := range b.manifest.Parts {
		names = append(names, p.Name)
	}
	return names
}

// partURN names a file of a bundle.
func partURN(b *Bundle, name string) string {
	return "urn:pecrawler:" + b.Digest() + "/" + (&url.URL{Path: name}).EscapedPath()
}

func mediaOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	case strings.HasSuffix(name, ".jpg"):
		return "image/jpeg"
	case strings.HasSuffix(name, ".tsr"):
		return "application/timestamp-reply"
	}
	return "application/octet-stream"
}

// screens writes the pictures under the name by which readers of web archives
// look for the picture of a page.
func (w *warcWriter) screens(b *Bundle, c *pc.Capture) error {
	for _, s := range c.Pages {
		img, err := b.Part(s.Screen)
		if err != nil {
			continue // it is among the capture's missing artifacts
		}
		if _, err := w.addIndexed(warcRecord{kind: "resource", uri: "urn:view:" + s.URL, at: since(c, s.At), media: mediaOf(s.Screen), block: img, payload: img}, mediaOf(s.Screen), 200); err != nil {
			return err
		}
	}
	return nil
}

// exchange writes a request and, if one was seen, the response.
func (w *warcWriter) exchange(b *Bundle, c *pc.Capture, r *pc.Request) error {
	host, target, ok := splitURL(r.URL)
	if !ok {
		return nil // data: and blob: have no exchange
	}
	at := since(c, r.At)
	ours := [][2]string{{"Pecrawler-Ref", string(refOf(c.Scenario, r.ID))}}
	var with [][2]string
	if r.Status > 0 {
		resp := responseOf(b, c, r, at)
		resp.more = append(resp.more, ours...)
		id, err := w.addIndexed(resp, cmp.Or(r.MIME, "application/octet-stream"), r.Status)
		if err != nil {
			return err
		}
		with = [][2]string{{"WARC-Concurrent-To", id}}
	}
	block := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n\r\n", headerText(r.Method), headerText(target), headerText(host))
	block = append(block, r.Body...)
	_, _, _, err := w.add(warcRecord{kind: "request", uri: r.URL, at: at, media: "application/http; msgtype=request", block: block, payload: []byte(r.Body),
		more: append(append(with, ours...), [2]string{"WARC-Truncated", "unspecified"})}) // its headers were not recorded
	return err
}

// splitURL takes a URL of the web apart into its host and what is asked of it.
// It takes any text after the host as it is, as a page may write it.
func splitURL(address string) (host, target string, ok bool) {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme != "http" && scheme != "https" {
		return "", "", false
	}
	rest, _, _ = strings.Cut(rest, "#")
	if at := strings.IndexAny(rest, "/?"); at >= 0 {
		host, target = rest[:at], rest[at:]
	} else {
		host = rest
	}
	if !strings.HasPrefix(target, "/") {
		target = "/" + target
	}
	return host, target, host != ""
}

// responseOf is a response as it was recorded. Where the body was not kept the
// record says that it is cut, and the headers that speak of the body's form are
// set aside, so that no reader looks for it.
func responseOf(b *Bundle, c *pc.Capture, r *pc.Request, at time.Time) warcRecord {
	rec := warcRecord{kind: "response", uri: r.URL, at: at, media: "application/http; msgtype=response"}
	if r.RemoteIP != "" {
		rec.more = append(rec.more, [2]string{"WARC-IP-Address", r.RemoteIP})
	}
	body, err := b.Part(r.Content)
	if err != nil {
		body = []byte{}
		rec.more = append(rec.more, [2]string{"WARC-Truncated", "unspecified"})
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "HTTP/1.1 %d %s\r\n", r.Status, http.StatusText(r.Status))
	for _, h := range headersOf(r) {
		name := strings.ReplaceAll(headerText(h.Name), ":", "")
		switch strings.ToLower(name) {
		case "transfer-encoding", "content-encoding", "content-length":
			name = "X-Orig-" + name
		}
		fmt.Fprintf(&head, "%s: %s\r\n", name, headerText(h.Value))
	}
	fmt.Fprintf(&head, "Content-Length: %d\r\n\r\n", len(body))
	rec.block, rec.payload = append(head.Bytes(), body...), body
	return rec
}

// textOf is a body as HAR holds it: text, or base64.
func textOf(body []byte) (text, encoding string) {
	if utf8.Valid(body) {
		return string(body), ""
	}
	return base64.StdEncoding.EncodeToString(body), "base64"
}
