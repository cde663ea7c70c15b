package crawler

import (
	"strings"

	pc "pecrawler"
	"pecrawler/crawler/egress"
)

// pageLoad says how the load of the first document went, from what Chrome
// reported and what the page shows. It names bot walls and parked pages, so
// that they are never judged as if they were the site.
func pageLoad(main *pc.Request, navError string, download bool, p *pc.Page) pc.Load {
	if download {
		return pc.Load{Outcome: pc.NotASite, Reason: "download"}
	}
	if main != nil && main.Headers[strings.ToLower(egress.ReasonHeader)] != "" {
		return egressLoad(main.Headers[strings.ToLower(egress.ReasonHeader)], "")
	}
	if navError != "" {
		return netError(navError)
	}
	if main == nil {
		return pc.Load{Outcome: pc.Unreachable, Reason: egress.ReasonTimeout, Detail: "no document arrived"}
	}
	if l, ok := standIn(main, p); ok {
		return l
	}
	if main.Status >= 400 {
		return statusLoad(main.Status)
	}
	if mime := strings.ToLower(main.MIME); mime != "" && !strings.Contains(mime, "html") && mime != "text/plain" {
		return pc.Load{Outcome: pc.NotASite, Reason: "download", Detail: cut(mime, 100)}
	}
	if p == nil {
		return pc.Load{Outcome: pc.Assessed} // shown, but the tree could not be taken: Missing says so
	}
	if empty(p) {
		return pc.Load{Outcome: pc.NotASite, Reason: "empty"}
	}
	return pc.Load{Outcome: pc.Assessed}
}

// netError maps Chrome's network errors to our reasons.
func netError(text string) pc.Load {
	reason := egress.ReasonReset
	switch {
	case strings.Contains(text, "NAME_NOT_RESOLVED"), strings.Contains(text, "ERR_NAME_"):
		reason = egress.ReasonDNS
	case strings.Contains(text, "CERT_"), strings.Contains(text, "SSL_"):
		reason = "tls"
	case strings.Contains(text, "CONNECTION_REFUSED"):
		reason = egress.ReasonRefused
	case strings.Contains(text, "TIMED_OUT"):
		reason = egress.ReasonTimeout
	case strings.Contains(text, "TOO_MANY_REDIRECTS"):
		reason = "redirects"
	case strings.Contains(text, "TUNNEL_CONNECTION_FAILED"), strings.Contains(text, "PROXY_"):
		reason = egress.ReasonUpstream
	}
	return pc.Load{Outcome: pc.Unreachable, Reason: reason, Detail: cut(text, 200)}
}

// empty tells whether the page shows neither text nor a picture nor a control.
func empty(p *pc.Page) bool {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		if n.Box == nil {
			continue
		}
		switch n.Tag {
		case "#text", "img", "svg", "canvas", "video", "iframe", "input", "button", "object", "embed":
			if !n.Box.Empty() {
				return false
			}
		}
	}
	return true
}

func visibleText(p *pc.Page, limit int) string {
	var b strings.Builder
	for i := range p.Nodes {
		if n := &p.Nodes[i]; n.Tag == "#text" && n.Box != nil {
			b.WriteString(strings.TrimSpace(n.Text))
			b.WriteByte(' ')
			if b.Len() > limit {
				break
			}
		}
	}
	return b.String()
}
