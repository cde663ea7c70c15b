package crawler

import (
	"slices"
	"strings"

	pc "pecrawler"
)

// sign is one way to tell a page that stands in for a site: everything that it
// names must be seen. Wording alone proves nothing on a page that has more to
// say, because an article about bot walls is an article; so signs by wording
// want a bare page, or an error status.
type sign struct {
	by      string // whose it is, for who reads this table
	outcome pc.Outcome
	reason  string

	header string   // a header of the answer: "name", or "name: part of its value"
	status []int    // one of these
	words  []string // one of these in title or text, lower case
	title  []string // the title begins with one of these
	loads  []string // one of these in the address of a script or frame
	bare   bool     // only on a page with little text, few links and nothing to fill in
}

// refusals are the statuses with which a server sends robots away.
var refusals = []int{403, 405, 429, 503}

// signs are tried in this order. None is ever answered or got round: the visit
// ends there.
var signs = []sign{
	// Bot walls that say so in a header.
	{by: "Cloudflare", outcome: pc.Blocked, reason: "bot-wall", header: "cf-mitigated"},
	{by: "AWS WAF", outcome: pc.Blocked, reason: "captcha", header: "x-amzn-waf-action: captcha"},
	{by: "AWS WAF", outcome: pc.Blocked, reason: "bot-wall", header: "x-amzn-waf-action: challenge"},
	{by: "DataDome", outcome: pc.Blocked, reason: "bot-wall", header: "x-datadome", status: refusals},
	{by: "DataDome", outcome: pc.Blocked, reason: "bot-wall", header: "x-dd-b", status: refusals},
	{by: "Kasada", outcome: pc.Blocked, reason: "bot-wall", header: "x-kpsdk-ct", status: refusals},
	{by: "Kasada", outcome: pc.Blocked, reason: "bot-wall", header: "x-kpsdk-r", status: refusals},
	{by: "Sucuri", outcome: pc.Blocked, reason: "bot-wall", header: "server: sucuri", status: refusals},
	{by: "Akamai", outcome: pc.Blocked, reason: "bot-wall", header: "server: akamaighost", status: []int{403}},
	{by: "Imperva", outcome: pc.Blocked, reason: "bot-wall", header: "x-iinfo", status: []int{403}},

	// And by what they load.
	{by: "Cloudflare", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"/cdn-cgi/challenge-platform/h/"}, status: refusals},
	{by: "Cloudflare", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"challenges.cloudflare.com/"}, bare: true},
	{by: "DataDome", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"geo.captcha-delivery.com", "ct.captcha-delivery.com"}, bare: true},
	{by: "HUMAN", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"captcha.px-cdn.net", "captcha.px-cloud.net", "captcha.perimeterx.net"}, bare: true},
	{by: "Imperva", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"/_incapsula_resource"}, bare: true},
	{by: "Kasada", outcome: pc.Blocked, reason: "bot-wall", loads: []string{"/ips.js?kp_uidz="}, bare: true},
	{by: "AWS WAF", outcome: pc.Blocked, reason: "bot-wall", loads: []string{".awswaf.com/"}, bare: true},

	// Shown only elsewhere.
	{by: "the law", outcome: pc.Blocked, reason: "geo-block", status: []int{451}},
	{by: "site", outcome: pc.Blocked, reason: "geo-block", words: foreign, status: refusals},
	{by: "site", outcome: pc.Blocked, reason: "geo-block", words: foreign, bare: true},

	// Bot walls by wording.
	{by: "any", outcome: pc.Blocked, reason: "bot-wall", words: suspicion, status: refusals},
	{by: "any", outcome: pc.Blocked, reason: "bot-wall", words: suspicion, bare: true},
	{by: "Akamai", outcome: pc.Blocked, reason: "bot-wall", words: []string{"errors.edgesuite.net"}, title: []string{"access denied"}},

	// A puzzle by itself.
	{by: "any", outcome: pc.Blocked, reason: "captcha", words: []string{"captcha"}, status: refusals},
	{by: "hCaptcha, reCAPTCHA", outcome: pc.Blocked, reason: "captcha", loads: []string{"hcaptcha.com/captcha/", "/recaptcha/api2/anchor", "/recaptcha/enterprise/anchor", "arkoselabs.com/fc/"}, bare: true},

	// Nobody's site.
	{by: "hosts", outcome: pc.NotASite, reason: "parked", words: []string{"this account has been suspended", "account has been suspended by", "this website has been suspended", "website is currently suspended", "this site has been suspended"}, bare: true},
	{by: "cPanel", outcome: pc.NotASite, reason: "parked", title: []string{"account suspended", "website suspended", "default web site page"}, bare: true},
	{by: "hosts", outcome: pc.NotASite, reason: "parked", status: []int{509}},
	{by: "Sedo", outcome: pc.NotASite, reason: "parked", loads: []string{"sedoparking.com", "/parking.php?"}},
	{by: "Bodis", outcome: pc.NotASite, reason: "parked", loads: []string{".bodis.com/", "//parking.bodiscdn.com/"}},
	{by: "GoDaddy", outcome: pc.NotASite, reason: "parked", loads: []string{"/parking-lander/", "/parked-domain-lander/"}},
	{by: "ParkingCrew", outcome: pc.NotASite, reason: "parked", loads: []string{"parkingcrew.net", "d38psrni17bvxu.cloudfront.net"}},
	{by: "brokers", outcome: pc.NotASite, reason: "parked", words: []string{"domain is for sale", "domain name is for sale", "domain may be for sale", "buy this domain", "inquire about this domain", "make an offer on this domain"}, bare: true},
	{by: "registrars", outcome: pc.NotASite, reason: "parked", words: []string{"this domain is parked", "domain has been parked", "parked free, courtesy of", "is parked free", "domain has expired", "this domain has been registered", "is registered at namecheap",
		"registered and parked", "domain parking page", "future home of something quite cool", "this domain is registered, but may still be available"}, bare: true},
	{by: "registrars", outcome: pc.NotASite, reason: "parked", title: []string{"coming soon", "website coming soon", "under construction", "site under construction", "parked domain", "domain parked"}, bare: true},
	{by: "nginx", outcome: pc.NotASite, reason: "parked", title: []string{"welcome to nginx"}},
	{by: "Apache", outcome: pc.NotASite, reason: "parked", title: []string{"apache2 ubuntu default page", "apache2 debian default page", "test page for the apache http server", "http server test page"}},
	{by: "Apache", outcome: pc.NotASite, reason: "parked", words: []string{"\nit works! "}, bare: true},
	{by: "IIS", outcome: pc.NotASite, reason: "parked", title: []string{"iis windows", "iis7", "microsoft internet information services"}},
	{by: "Plesk", outcome: pc.NotASite, reason: "parked", title: []string{"domain default page", "web server's default page"}},
}

// suspicion is what walls say to whom they take for a robot.
var suspicion = []string{
	"just a moment...", "checking your browser before", "checking if the site connection is secure", "verify you are human", "verifying you are human", "verify that you are human", "verify you are not a robot",
	"are you a robot", "needs to review the security of your connection", "attention required! | cloudflare", "you have been blocked", "ddos protection by", "enable javascript and cookies to continue",
	"pardon our interruption", "access to this page has been denied", "press & hold", "request unsuccessful. incapsula", "incapsula incident id", "sucuri website firewall",
	"complete the security check", "unusual traffic from your computer", "let's confirm you are human", "please confirm you are a human", "please enable js and disable any ad blocker", "bot detection", "automated access to",
}

// foreign is what a site says to visitors of another country.
var foreign = []string{
	"not available in your country", "not available in your region", "not available in your location", "unavailable in your country", "unavailable in your region", "unavailable in your location", "geo-restricted", "geo-blocked",
	"not available to visitors from", "unavailable to visitors from", "access from your country", "from a country belonging to the european economic area", "unavailable in most european countries", "unavailable for legal reasons",
}

// standIn finds the sign that a page is not the site that was asked for.
func standIn(main *pc.Request, p *pc.Page) (pc.Load, bool) {
	var title, text string
	var loads []string
	bare := true
	if p != nil {
		title = strings.ToLower(strings.TrimSpace(p.Title))
		text = title + " \n" + strings.ToLower(visibleText(p, 5000))
		loads = slices.Clone(p.Scripts)
		links := 0
		for i := range p.Nodes {
			n := &p.Nodes[i]
			switch n.Tag {
			case "iframe":
				if src := n.Attrs["src"]; !strings.Contains(src, "size=invisible") { // the badge of a captcha that asks nothing
					loads = append(loads, src)
				}
			case "a":
				links++
			case "textarea", "select":
				bare = bare && n.Box == nil
			case "input":
				fills := !slices.Contains([]string{"hidden", "submit", "button", "checkbox"}, n.Attrs["type"])
				bare = bare && !(fills && n.Box != nil)
			}
		}
		bare = bare && links <= 8 && len(text) < 1500
	}
	for _, s := range signs {
		if s.header != "" {
			name, part, _ := strings.Cut(s.header, ": ")
			if v := main.Headers[name]; v == "" || !strings.Contains(strings.ToLower(v), part) {
				continue
			}
		}
		if s.status != nil && !slices.Contains(s.status, main.Status) ||
			s.words != nil && !says(text, s.words...) ||
			s.title != nil && !slices.ContainsFunc(s.title, func(w string) bool { return strings.HasPrefix(title, w) }) ||
			s.loads != nil && !slices.ContainsFunc(loads, func(l string) bool { return says(strings.ToLower(l), s.loads...) }) ||
			s.bare && !bare {
			continue
		}
		return pc.Load{Outcome: s.outcome, Reason: s.reason}, true
	}
	return pc.Load{}, false
}
