package crawler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"

	pc "pecrawler"
)

const (
	maxPostData = 256 << 10 // of a body that is hashed
	maxContent  = 1 << 20   // of the main document
	maxCookies  = 100       // of one request or response
)

// hopKey names a request within its target: request ids are the target's own.
type hopKey struct {
	s  target.SessionID
	id network.RequestID
}

// hops joins the events of one request id: each redirect is a request of its
// own, and the extra infos come before or after their pair, in the same order.
type hops struct {
	ids       []int // indices into tab.requests
	noExtra   []bool
	sent      []sentExtra
	received  []receivedExtra
	nSent     int // extra infos applied
	nReceived int
}

// What is wanted of the events that make up most of the traffic; the rest of
// them is most of it, and is passed over.
type (
	sent struct {
		RequestID   network.RequestID `json:"requestId"`
		DocumentURL string            `json:"documentURL"`
		Request     struct {
			URL             string                   `json:"url"`
			Method          string                   `json:"method"`
			HasPostData     bool                     `json:"hasPostData"`
			PostDataEntries []*network.PostDataEntry `json:"postDataEntries"`
		} `json:"request"`
		WallTime             cdp.TimeSinceEpoch   `json:"wallTime"`
		Initiator            *network.Initiator   `json:"initiator"`
		RedirectHasExtraInfo bool                 `json:"redirectHasExtraInfo"`
		RedirectResponse     *response            `json:"redirectResponse"`
		Type                 network.ResourceType `json:"type"`
		FrameID              cdp.FrameID          `json:"frameId"`
	}
	sentExtra struct {
		RequestID network.RequestID `json:"requestId"`
		Cookies   []struct {
			Cookie *struct {
				Name string `json:"name"`
			} `json:"cookie"`
			BlockedReasons []network.CookieBlockedReason `json:"blockedReasons"`
		} `json:"associatedCookies"`
	}
	receivedExtra struct {
		RequestID  network.RequestID `json:"requestId"`
		StatusCode int64             `json:"statusCode"`
		Headers    network.Headers   `json:"headers"`
		Blocked    []struct {
			Line    string                           `json:"cookieLine"`
			Reasons []network.SetCookieBlockedReason `json:"blockedReasons"`
		} `json:"blockedCookies"`
		Exempted []struct {
			Line   string `json:"cookieLine"`
			Reason string `json:"exemptionReason"`
		} `json:"exemptedCookies"`
	}
	received struct {
		RequestID network.RequestID    `json:"requestId"`
		Type      network.ResourceType `json:"type"`
		Response  response             `json:"response"`
	}
	response struct {
		Status            int64           `json:"status"`
		MimeType          string          `json:"mimeType"`
		Headers           network.Headers `json:"headers"`
		FromServiceWorker bool            `json:"fromServiceWorker"`
		FromPrefetchCache bool            `json:"fromPrefetchCache"`
		FromDiskCache     bool            `json:"fromDiskCache"`
	}
)

// network records one event of the Network domain, which comes on the reader.
func (t *tab) network(s session, method string, params jsonv2.Value) {
	switch method {
	case "Network.requestWillBeSent":
		if e, ok := decode[sent](params); ok {
			t.sent(s, e)
		}
	case "Network.requestWillBeSentExtraInfo":
		if e, ok := decode[sentExtra](params); ok {
			t.mu.Lock()
			h := t.hop(hopKey{s.id, e.RequestID})
			h.sent = append(h.sent, e)
			t.join(h)
			t.mu.Unlock()
		}
	case "Network.responseReceivedExtraInfo":
		if e, ok := decode[receivedExtra](params); ok {
			t.mu.Lock()
			h := t.hop(hopKey{s.id, e.RequestID})
			h.received = append(h.received, e)
			t.join(h)
			t.mu.Unlock()
		}
	case "Network.requestServedFromCache":
		if e, ok := decode[network.EventRequestServedFromCache](params); ok {
			t.mu.Lock()
			if r := t.last(hopKey{s.id, e.RequestID}); r != nil {
				r.From = "memory-cache"
			}
			t.mu.Unlock()
		}
	case "Network.responseReceived":
		if e, ok := decode[received](params); ok {
			t.mu.Lock()
			if h := t.hop(hopKey{s.id, e.RequestID}); len(h.ids) > 0 {
				t.answered(h.ids[len(h.ids)-1], e.Response)
			}
			k := hopKey{s.id, e.RequestID}
			switch _, open := t.inflight[k]; {
			case open && e.Type == network.ResourceTypeEventSource:
				delete(t.inflight, k) // open for ever by nature
			case open && e.Type == network.ResourceTypeFetch:
				t.inflight[k] = time.Now().Add(time.Second - streamAge) // a page that does not read the answer never finishes it
			}
			t.mu.Unlock()
		}
	case "Network.loadingFinished":
		if e, ok := decode[network.EventLoadingFinished](params); ok {
			k := hopKey{s.id, e.RequestID}
			t.done(k, "", int64(e.EncodedDataLength))
			t.keep(s, k)
		}
	case "Network.loadingFailed":
		if e, ok := decode[network.EventLoadingFailed](params); ok {
			text := e.ErrorText
			if e.BlockedReason != "" {
				text += " " + string(e.BlockedReason)
			}
			t.done(hopKey{s.id, e.RequestID}, text, 0)
		}
	default:
		t.stream(s, method, params)
	}
}

func (t *tab) hop(k hopKey) *hops {
	h := t.hops[k]
	if h == nil {
		h = &hops{}
		t.hops[k] = h
	}
	return h
}

// last is the request that a request id stands for now; nil: not recorded.
func (t *tab) last(k hopKey) *pc.Request {
	h := t.hops[k]
	if h == nil || len(h.ids) == 0 {
		return nil
	}
	return &t.requests[h.ids[len(h.ids)-1]]
}

func (t *tab) sent(s session, e sent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if strings.HasPrefix(e.Request.URL, "data:") || strings.HasPrefix(e.Request.URL, "blob:") && e.Type == network.ResourceTypeImage {
		return // carries its content itself: nothing goes out
	}
	k := hopKey{s.id, e.RequestID}
	h := t.hop(k)
	redirectOf := -1
	if e.RedirectResponse != nil && len(h.ids) > 0 {
		redirectOf = h.ids[len(h.ids)-1]
		t.answered(redirectOf, *e.RedirectResponse)
		h.noExtra[len(h.noExtra)-1] = !e.RedirectHasExtraInfo
	}
	if len(t.requests) >= maxRequests {
		if t.over == "" {
			t.over = "requests"
			t.tell()
			s.Send("Page.stopLoading", nil)
		}
		return
	}
	r := pc.Request{
		ID: len(t.requests), URL: cut(e.Request.URL, maxURL), Method: e.Request.Method, Type: string(e.Type),
		At: int64(e.WallTime.Float64()*1000) - t.started.UnixMilli(), Frame: cut(e.DocumentURL, maxURL), RedirectOf: redirectOf, Worker: t.workers[s.id],
	}
	r.Initiator, r.Stack = initiator(e.Initiator)
	if e.Initiator != nil && e.Initiator.Type == network.InitiatorTypePreflight {
		t.preflights[r.ID] = hopKey{s.id, e.Initiator.RequestID} // which may not have been reported yet
	}
	var body []byte
	for _, p := range e.Request.PostDataEntries {
		body = append(body, p.Bytes...)
	}
	switch {
	case len(body) > 0:
		setBody(&r, body)
	case e.Request.HasPostData: // long, or a blob
		t.fetchBody(s, e.RequestID, r.ID)
	}
	if t.document.id == "" && e.Type == network.ResourceTypeDocument && e.FrameID == cdp.FrameID(t.main) && s.id == t.page.id {
		t.document = k
	}
	t.requests = append(t.requests, r)
	h.ids = append(h.ids, r.ID)
	h.noExtra = append(h.noExtra, false)
	now := time.Now()
	t.inflight[k] = now
	t.lastNet = now
	t.join(h)
}

// initiator says what caused a request, and how it came there.
func initiator(in *network.Initiator) (by string, stack []string) {
	if in == nil {
		return "", nil
	}
	by = cut(in.URL, maxURL)
	for st := in.Stack; st != nil && len(stack) < maxStack; st = st.Parent {
		for _, f := range st.CallFrames {
			if len(stack) < maxStack {
				stack = append(stack, frameLine(f))
			}
			if by == "" {
				by = cut(f.URL, maxURL)
			}
		}
	}
	return by, stack
}

// setBody keeps the beginning of a request's body; of a longer one its size and
// digest too.
func setBody(r *pc.Request, body []byte) {
	r.Body = cut(strings.ToValidUTF8(string(body), "\uFFFD"), maxBody)
	if len(body) > maxBody {
		sum := sha256.Sum256(body)
		r.BodySize, r.BodySHA256 = int64(len(body)), hex.EncodeToString(sum[:])
	}
}

// fetchBody asks for a body that did not come with the request.
func (t *tab) fetchBody(s session, id network.RequestID, request int) {
	if t.fetched++; t.fetched > 50 {
		return
	}
	t.setup.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second) // bounded by itself: the reader has no context
		defer cancel()
		res, err := cdp.Call(ctx, s, network.GetRequestPostData, network.GetRequestPostDataParams{RequestID: id})
		if err != nil || len(res.PostData) == 0 {
			return // the record says POST and shows no body
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		setBody(&t.requests[request], res.PostData)
	})
}

// keep fetches what answered the first document, while the browser has it.
func (t *tab) keep(s session, k hopKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.last(k)
	if k != t.document || t.content != nil || r == nil {
		return
	}
	t.content = []byte{} // asked for
	id := r.ID
	t.setup.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // bounded by itself: the reader has no context
		defer cancel()
		res, err := cdp.Call(ctx, s, network.GetResponseBody, network.GetResponseBodyParams{RequestID: k.id})
		if err != nil || len(res.Body) == 0 || len(res.Body) > maxContent {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.content, t.contentOf = res.Body, id
	})
}

// linkPreflights names for each preflight the request that it asks leave for.
func (t *tab) linkPreflights(requests []pc.Request) {
	for id, k := range t.preflights {
		if h := t.hops[k]; h != nil && len(h.ids) > 0 {
			requests[id].PreflightOf = &h.ids[0]
		}
	}
}

// addContent adds what answered the first document to the bundle.
func (r *run) addContent() error {
	t := r.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.content) == 0 {
		return nil
	}
	q := &t.requests[t.contentOf]
	q.Content = fmt.Sprintf("%s/bodies/%d.html", r.scenario, q.ID)
	return r.sink.Add(q.Content, t.content)
}

// join applies the extra infos to the hops that they belong to.
func (t *tab) join(h *hops) {
	skip := func(i int) int {
		for i < len(h.ids)-1 && h.noExtra[i] {
			i++
		}
		return i
	}
	for len(h.sent) > 0 {
		h.nSent = skip(h.nSent)
		if h.nSent >= len(h.ids) {
			break
		}
		r := &t.requests[h.ids[h.nSent]]
		for _, a := range h.sent[0].Cookies {
			switch {
			case a.Cookie == nil:
			case len(a.BlockedReasons) == 0:
				r.CookiesOut = append(r.CookiesOut, a.Cookie.Name)
			case len(r.CookiesKept) < maxCookies:
				r.CookiesKept = append(r.CookiesKept, pc.KeptCookie{Name: cut(a.Cookie.Name, 500), Reasons: texts(a.BlockedReasons)})
			}
		}
		h.sent = h.sent[1:]
		h.nSent++
	}
	for len(h.received) > 0 {
		h.nReceived = skip(h.nReceived)
		if h.nReceived >= len(h.ids) {
			break
		}
		r := &t.requests[h.ids[h.nReceived]]
		e := h.received[0]
		if r.Status == 0 {
			r.Status = int(e.StatusCode)
		}
		blocked, exempted := map[string][]string{}, map[string]string{}
		for _, b := range e.Blocked {
			blocked[b.Line] = append(blocked[b.Line], texts(b.Reasons)...)
		}
		for _, x := range e.Exempted {
			exempted[x.Line] = x.Reason
		}
		for name, v := range e.Headers {
			if !strings.EqualFold(name, "set-cookie") {
				continue
			}
			lines, _ := v.(string)
			for line := range strings.SplitSeq(lines, "\n") {
				if len(r.SetCookies) < maxCookies {
					r.SetCookies = append(r.SetCookies, pc.SetCookie{Line: cut(line, 5<<10), Blocked: blocked[line], Exempted: exempted[line]})
				}
			}
		}
		h.received = h.received[1:]
		h.nReceived++
	}
}

func texts[S ~string](reasons []S) []string {
	var out []string
	for _, r := range reasons {
		out = append(out, string(r))
	}
	return out
}

func (t *tab) answered(i int, resp response) {
	r := &t.requests[i]
	r.Status, r.MIME = int(resp.Status), resp.MimeType
	switch {
	case resp.FromServiceWorker:
		r.From = "service-worker"
	case resp.FromPrefetchCache:
		r.From = "prefetch-cache"
	case resp.FromDiskCache:
		r.From = "disk-cache"
	}
	r.Headers = map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(resp.Headers)) {
		if v, ok := resp.Headers[name].(string); ok && !strings.EqualFold(name, "set-cookie") && len(r.Headers) < 40 {
			r.Headers[strings.ToLower(name)] = cut(v, maxHeader)
		}
	}
	t.lastNet = time.Now()
}

func (t *tab) done(k hopKey, failed string, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.inflight, k)
	if r := t.last(k); r != nil {
		r.Bytes = bytes
		r.Took = max(t.at()-r.At, 0)
		if failed != "" {
			r.Failed = failed
		}
	}
	t.lastNet = time.Now()
}

// frameLine writes one line of a stack.
func frameLine(f *runtime.CallFrame) string {
	return fmt.Sprintf("%s %s:%d:%d", cut(f.FunctionName, 100), cut(f.URL, 500), f.LineNumber+1, f.ColumnNumber+1)
}
