package crawler

import (
	"strings"

	jsonv2 "github.com/chromedp/cdproto/cdp/jsonv2"
	"github.com/chromedp/cdproto/network"

	pc "pecrawler"
)

const (
	maxSockets  = 200
	maxMessages = 10_000  // on all sockets and event streams; what comes later is not counted
	maxFirst    = 10      // messages of a socket that are kept
	maxPayload  = 1 << 10 // of one
)

// stream records what goes through WebSockets and event streams.
func (t *tab) stream(s session, method string, params jsonv2.Value) {
	switch method {
	case "Network.webSocketCreated":
		e, ok := decode[network.EventWebSocketCreated](params)
		if !ok {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.sockets) >= maxSockets {
			return
		}
		k := pc.Socket{ID: len(t.sockets), URL: cut(e.URL, maxURL), Worker: t.workers[s.id], At: t.at()}
		k.Initiator, k.Stack = initiator(e.Initiator)
		t.socket[hopKey{s.id, e.RequestID}] = k.ID
		t.sockets = append(t.sockets, k)
	case "Network.webSocketWillSendHandshakeRequest":
		if e, ok := decode[network.EventWebSocketWillSendHandshakeRequest](params); ok {
			t.onSocket(hopKey{s.id, e.RequestID}, func(k *pc.Socket) { cookiesSent(k, e.Request.Headers) })
		}
	case "Network.webSocketHandshakeResponseReceived":
		if e, ok := decode[network.EventWebSocketHandshakeResponseReceived](params); ok {
			t.onSocket(hopKey{s.id, e.RequestID}, func(k *pc.Socket) { handshake(k, e.Response) })
		}
	case "Network.webSocketFrameSent":
		t.message(s, params, true)
	case "Network.webSocketFrameReceived":
		t.message(s, params, false)
	case "Network.webSocketFrameError":
		if e, ok := decode[network.EventWebSocketFrameError](params); ok {
			t.onSocket(hopKey{s.id, e.RequestID}, func(k *pc.Socket) { k.Failed = cut(e.ErrorMessage, 300) })
		}
	case "Network.eventSourceMessageReceived":
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.messages++; t.messages > maxMessages {
			return
		}
		if e, ok := decode[network.EventEventSourceMessageReceived](params); ok {
			if r := t.last(hopKey{s.id, e.RequestID}); r != nil {
				r.Events++
			}
		}
	}
}

func (t *tab) onSocket(k hopKey, do func(*pc.Socket)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, ok := t.socket[k]; ok {
		do(&t.sockets[i])
	}
}

// handshake records what the server answered, and the cookies that came with it.
func handshake(k *pc.Socket, resp *network.WebSocketResponse) {
	k.Status = int(resp.Status)
	for name, v := range resp.Headers {
		if lines, ok := v.(string); ok && strings.EqualFold(name, "set-cookie") {
			for line := range strings.SplitSeq(lines, "\n") {
				if len(k.SetCookies) < maxCookies {
					k.SetCookies = append(k.SetCookies, pc.SetCookie{Line: cut(line, 5<<10)})
				}
			}
		}
	}
	if k.CookiesOut == nil { // one of the two events has them, not always the same
		cookiesSent(k, resp.RequestHeaders)
	}
}

func cookiesSent(k *pc.Socket, headers network.Headers) {
	for name, v := range headers {
		if line, ok := v.(string); ok && strings.EqualFold(name, "cookie") {
			for pair := range strings.SplitSeq(line, ";") {
				if name, _ := cookiePair(pair); len(k.CookiesOut) < maxCookies {
					k.CookiesOut = append(k.CookiesOut, name)
				}
			}
		}
	}
}

func (t *tab) message(s session, params jsonv2.Value, out bool) {
	t.mu.Lock()
	t.messages++
	flood := t.messages > maxMessages
	t.mu.Unlock()
	if flood {
		return
	}
	e, ok := decode[network.EventWebSocketFrameSent](params) // the same fields either way
	if !ok {
		return
	}
	t.onSocket(hopKey{s.id, e.RequestID}, func(k *pc.Socket) {
		n := int64(len(e.Response.PayloadData))
		if out {
			k.Sent++
			k.SentBytes += n
		} else {
			k.Received++
			k.ReceivedBytes += n
		}
		if len(k.First) < maxFirst {
			k.First = append(k.First, pc.Message{At: t.at(), Out: out, Payload: cut(strings.ToValidUTF8(string(e.Response.PayloadData), "\uFFFD"), maxPayload)})
		}
	})
}
