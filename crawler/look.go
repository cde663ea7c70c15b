package crawler

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gocolly/colly/v2"
	"github.com/temoto/robotstxt"
	"golang.org/x/net/publicsuffix"

	pc "pecrawler"
	"pecrawler/crawler/egress"
)

// robotsName is the product token that robots.txt files can address.
const robotsName = "pecrawler"

// lookLimit bounds what the plain look reads of a page, in bytes.
const lookLimit = 2 << 20

// look fetches the site once without a browser. It never fails: what went
// wrong is in the Load.
func (c *Crawler) look(ctx context.Context, v pc.Visit) pc.Look {
	l := pc.Look{URL: v.URL, FinalURL: v.URL, Robots: "absent", Load: pc.Load{Outcome: pc.Assessed}}
	proxy, err := egress.Listen(egress.Policy{Allow: c.cfg.Allow, Upstream: c.cfg.Proxy, DNS: c.cfg.DNS}, c.log, c.refused)
	if err != nil {
		l.Load = pc.Load{Outcome: pc.Unreachable, Reason: "no-egress", Detail: err.Error()}
		return l
	}
	defer proxy.Close()
	tr, err := c.transport(proxy)
	if err != nil {
		l.Load = pc.Load{Outcome: pc.Unreachable, Reason: "no-egress", Detail: err.Error()}
		return l
	}
	defer tr.CloseIdleConnections()

	collector := func() *colly.Collector {
		col := colly.NewCollector(colly.StdlibContext(ctx), colly.MaxBodySize(lookLimit), colly.UserAgent(c.agent()))
		col.IgnoreRobotsTxt = true // we read and record it ourselves, see robots
		col.WithTransport(tr)
		col.SetRequestTimeout(25 * time.Second)
		return col
	}
	c.lookPage(collector(), &l)
	if ctx.Err() == nil && l.Status != 0 {
		c.robots(collector(), &l)
	}
	if l.Load.OK() {
		for _, address := range ownPolicies(&l) {
			if ctx.Err() == nil {
				l.Texts = append(l.Texts, readText(collector(), address))
			}
		}
	}
	return l
}

// maxTexts is how many policies are read: one about cookies and one about
// privacy say what there is to say.
const maxTexts = 2

// ownPolicies picks the policies of the site itself, the one about cookies first.
func ownPolicies(l *pc.Look) []string {
	base, err := url.Parse(l.FinalURL)
	if err != nil {
		return nil
	}
	var first, rest []string
	for _, s := range l.Policies {
		u, err := url.Parse(s)
		if err != nil || !sameSite(u.Hostname(), base.Hostname()) {
			continue
		}
		if says(strings.ToLower(u.Path), "cookie", "cwcis") {
			first = append(first, s)
		} else {
			rest = append(rest, s)
		}
	}
	all := append(first, rest...)
	return all[:min(len(all), maxTexts)]
}

// sameSite tells whether two hosts have the registrable domain in common.
func sameSite(a, b string) bool {
	da, errA := publicsuffix.EffectiveTLDPlusOne(a)
	db, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return a == b || errA == nil && errB == nil && da == db
}

// readText reads what a page says to a reader without scripts. A page that
// cannot be read has no status or no text; that is a fact like others.
func readText(col *colly.Collector, address string) pc.Text {
	t := pc.Text{URL: address}
	col.OnResponse(func(r *colly.Response) {
		if r.Headers.Get(egress.ReasonHeader) == "" {
			t.Status = r.StatusCode
		}
	})
	col.OnError(func(r *colly.Response, _ error) {
		if r != nil {
			t.Status = r.StatusCode
		}
	})
	col.OnHTML("html", func(e *colly.HTMLElement) {
		t.Title = cut(strings.TrimSpace(e.DOM.Find("title").First().Text()), 300)
		body := e.DOM.Find("body")
		body.Find("script, style, noscript, template, svg, nav").Remove()
		// Texts of neighbouring elements are words of their own.
		body.Find("*").PrependHtml(" ").AppendHtml(" ")
		t.Text = cut(strings.Join(strings.Fields(body.Text()), " "), 60<<10)
	})
	col.Visit(address) // what went wrong is in the status
	return t
}

func (c *Crawler) agent() string {
	if c.cfg.UserAgent != "" {
		return c.cfg.UserAgent
	}
	return "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Safari/537.36 " + robotsName
}

func (c *Crawler) transport(p *egress.Proxy) (*http.Transport, error) {
	u, err := url.Parse(p.URL())
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{}
	if c.cfg.CAFile != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		pem, err := os.ReadFile(c.cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the extra CA: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", c.cfg.CAFile)
		}
		conf.RootCAs = pool
	}
	return &http.Transport{
		Proxy:           http.ProxyURL(u),
		TLSClientConfig: conf,
		// The answer to CONNECT says why there is no connection; the error alone would say "Bad Gateway".
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if r := resp.Header.Get(egress.ReasonHeader); r != "" {
				return &egress.Error{Reason: r, Err: errors.New(resp.Status)}
			}
			return nil
		},
	}, nil
}

func (c *Crawler) lookPage(col *colly.Collector, l *pc.Look) {
	col.SetRedirectHandler(func(req *http.Request, via []*http.Request) error {
		l.Redirects = append(l.Redirects, req.URL.String())
		if len(via) >= 15 {
			return errRedirects
		}
		return nil
	})
	take := func(r *colly.Response) {
		l.Status = r.StatusCode
		if r.Request != nil && r.Request.URL != nil {
			l.FinalURL = r.Request.URL.String()
		}
		if r.Headers != nil {
			l.MIME = r.Headers.Get("Content-Type")
			if reason := r.Headers.Get(egress.ReasonHeader); reason != "" { // plain http through the proxy
				l.Load = egressLoad(reason, "")
				l.Status = 0
			}
		}
		l.Bytes = len(r.Body)
	}
	col.OnResponse(func(r *colly.Response) {
		take(r)
		mime, _, _ := strings.Cut(strings.ToLower(l.MIME), ";")
		disp := r.Headers.Get("Content-Disposition")
		if mime != "" && !strings.Contains(mime, "html") && mime != "text/plain" || strings.HasPrefix(strings.ToLower(disp), "attachment") {
			l.Load = pc.Load{Outcome: pc.NotASite, Reason: "download", Detail: mime}
		}
	})
	col.OnError(func(r *colly.Response, err error) {
		if r != nil && r.StatusCode != 0 {
			take(r)
		}
		if l.Load.OK() {
			l.Load = loadError(err, l.Status)
		}
	})
	col.OnHTML("title", func(e *colly.HTMLElement) {
		if l.Title == "" {
			l.Title = cut(strings.TrimSpace(e.Text), 300)
		}
	})
	col.OnHTML("a[href]", func(e *colly.HTMLElement) {
		u, err := url.Parse(e.Request.AbsoluteURL(e.Attr("href")))
		if err != nil {
			return
		}
		sortLink(l, u, e.Text)
	})
	if err := col.Visit(l.URL); err != nil && l.Load.OK() && l.Status == 0 {
		l.Load = loadError(err, 0)
	}
}

var errRedirects = errors.New("more than 15 redirects")

// sortLink files a link of the page under policies or inner pages, at most 20 of each.
func sortLink(l *pc.Look, u *url.URL, text string) {
	base, err := url.Parse(l.FinalURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return
	}
	u.Fragment = ""
	s := u.String()
	if len(s) > 2000 {
		return
	}
	if says(strings.ToLower(u.Path+" "+text), "cookie", "privacy", "cwcis", "preifat") {
		if len(l.Policies) < 20 && !slices.Contains(l.Policies, s) {
			l.Policies = append(l.Policies, s)
		}
		return
	}
	if isInner(base, u) && len(l.Inner) < 20 && !slices.Contains(l.Inner, s) {
		l.Inner = append(l.Inner, s)
	}
}

// isInner tells whether u is another ordinary page of the same host. Pages that
// change a state (login, logout, basket) are left alone.
func isInner(base, u *url.URL) bool {
	if !strings.EqualFold(u.Host, base.Host) || u.Path == base.Path || u.Path == "" || u.Path == "/" {
		return false
	}
	switch strings.ToLower(path.Ext(u.Path)) {
	case "", ".html", ".htm", ".php", ".aspx", ".jsp":
	default:
		return false
	}
	return !says(strings.ToLower(u.Path), "login", "logout", "signin", "sign-in", "signout", "sign-out", "account", "register", "basket", "cart", "checkout", "delete", "unsubscribe", "wp-admin", "download")
}

func says(s string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// robots reads robots.txt of the final host, records what it says about the
// page, and excludes the site when the policy is to honour it.
func (c *Crawler) robots(col *colly.Collector, l *pc.Look) {
	u, err := url.Parse(l.FinalURL)
	if err != nil {
		return
	}
	col.ParseHTTPErrorResponse = true
	col.OnResponse(func(r *colly.Response) {
		if r.Headers.Get(egress.ReasonHeader) != "" {
			l.Robots = "unreadable"
			return
		}
		if r.StatusCode >= 500 { // RFC 9309 would have us stay away; a server that fails there but shows its page is recorded, not obeyed
			l.Robots = "unreadable"
			return
		}
		if r.StatusCode >= 400 {
			return
		}
		data, err := robotstxt.FromBytes(r.Body)
		switch {
		case err != nil:
			l.Robots = "unreadable"
		case data.TestAgent(u.RequestURI(), robotsName):
			l.Robots = "allowed"
		default:
			l.Robots = "disallowed"
		}
	})
	col.OnError(func(_ *colly.Response, _ error) { l.Robots = "unreadable" })
	col.Visit((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/robots.txt"}).String())
	if l.Robots == "disallowed" && c.cfg.HonourRobot && l.Load.OK() {
		l.Load = pc.Load{Outcome: pc.Excluded, Reason: "robots", Detail: "robots.txt of " + u.Host + " disallows this page"}
	}
}

func (c *Crawler) refused(reason string) { c.met.egress.WithLabelValues(reason).Inc() }

// egressLoad is the outcome when the egress proxy made no connection.
func egressLoad(reason, detail string) pc.Load {
	if reason == egress.ReasonDenied {
		return pc.Load{Outcome: pc.Excluded, Reason: reason, Detail: "the address is not public"}
	}
	return pc.Load{Outcome: pc.Unreachable, Reason: reason, Detail: detail}
}

// loadError classifies an error of the plain look.
func loadError(err error, status int) pc.Load {
	if e, ok := errors.AsType[*egress.Error](err); ok {
		return egressLoad(e.Reason, e.Error())
	}
	if status >= 400 {
		return statusLoad(status)
	}
	detail := cut(err.Error(), 300)
	var timeout net.Error
	var (
		hostErr x509.HostnameError
		authErr x509.UnknownAuthorityError
		invErr  x509.CertificateInvalidError
		recErr  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errRedirects):
		return pc.Load{Outcome: pc.Unreachable, Reason: "redirects", Detail: detail}
	case errors.As(err, &hostErr), errors.As(err, &authErr), errors.As(err, &invErr), errors.As(err, &recErr), strings.Contains(detail, "tls:"), strings.Contains(detail, "x509:"):
		return pc.Load{Outcome: pc.Unreachable, Reason: "tls", Detail: detail}
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return pc.Load{Outcome: pc.Unreachable, Reason: egress.ReasonTimeout, Detail: detail}
	}
	return pc.Load{Outcome: pc.Unreachable, Reason: egress.ReasonReset, Detail: detail}
}

// statusLoad is the outcome of an HTTP error status by itself.
func statusLoad(status int) pc.Load {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return pc.Load{Outcome: pc.Blocked, Reason: "login"}
	case http.StatusForbidden:
		return pc.Load{Outcome: pc.Blocked, Reason: "http-403"}
	case http.StatusTooManyRequests:
		return pc.Load{Outcome: pc.Blocked, Reason: "rate-limit"}
	case http.StatusUnavailableForLegalReasons:
		return pc.Load{Outcome: pc.Blocked, Reason: "geo-block"}
	}
	return pc.Load{Outcome: pc.Unreachable, Reason: fmt.Sprintf("http-%d", status)}
}
