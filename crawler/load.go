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
	text := ""
	if p != nil {
		text = strings.ToLower(p.Title + " \n" + visibleText(p, 5000))
	}
	if wall := botWall(main, text); wall != "" {
		return pc.Load{Outcome: pc.Blocked, Reason: wall}
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
	if parked(text) {
		return pc.Load{Outcome: pc.NotASite, Reason: "parked"}
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

// botWall recognises pages that are shown instead of the site to visitors who
// may be robots. An error status is part of each mark, except where the wording
// stands for itself: an article about captchas must stay an article.
func botWall(main *pc.Request, text string) string {
	h := main.Headers
	if h["cf-mitigated"] != "" || h["x-datadome"] != "" && main.Status == 403 {
		return "bot-wall"
	}
	short := len(text) < 1500
	bad := main.Status == 403 || main.Status == 429 || main.Status == 503 || main.Status == 405
	if says(text, "just a moment...", "checking your browser before", "verify you are human", "verifying you are human", "are you a robot", "attention required! | cloudflare",
		"pardon our interruption", "access to this page has been denied", "press & hold", "request unsuccessful. incapsula", "ddos protection by", "complete the security check", "unusual traffic from your computer") && (short || bad) {
		return "bot-wall"
	}
	if bad && says(text, "captcha") {
		return "captcha"
	}
	if bad && says(text, "not available in your country", "not available in your region", "unavailable in your location", "geo-restricted") {
		return "geo-block"
	}
	return ""
}

func parked(text string) bool {
	return len(text) < 3000 && says(text, "domain is for sale", "domain name is for sale", "buy this domain", "this domain is parked", "domain has been parked", "parked free, courtesy of", "domain has expired", "this domain has been registered",
		"domain may be for sale", "website coming soon | ", "is parked free", "future home of something quite cool")
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
