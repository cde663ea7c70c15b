package crawler

import (
	"strings"
	"testing"

	pc "pecrawler"
)

// shown makes a page of a title, a text, and elements as "tag attr=value".
func shown(title, text string, elements ...string) *pc.Page {
	box := &pc.Box{W: 300, H: 40}
	p := &pc.Page{Title: title, Nodes: []pc.Node{{Parent: -1, Tag: "body", Box: box}, {Parent: 0, Tag: "#text", Text: text, Box: box}}}
	for _, e := range elements {
		tag, attr, _ := strings.Cut(e, " ")
		k, v, _ := strings.Cut(attr, "=")
		if tag == "script" {
			p.Scripts = append(p.Scripts, v)
			continue
		}
		p.Nodes = append(p.Nodes, pc.Node{Parent: 0, Tag: tag, Attrs: map[string]string{k: v}, Box: box})
	}
	return p
}

func TestStandIns(t *testing.T) {
	long := strings.Repeat("They tell people from programs by puzzles, and visitors grumble. ", 40)
	links := make([]string, 30)
	for i := range links {
		links[i] = "a href=/page"
	}
	for _, tt := range []struct {
		name   string
		status int
		header string // "name: value"
		page   *pc.Page
		want   string // outcome/reason
	}{
		// Walls.
		{"Cloudflare header", 503, "cf-mitigated: challenge", shown("Just a moment...", ""), "blocked/bot-wall"},
		{"Cloudflare words", 403, "", shown("Just a moment...", "Verifying you are human. This may take a few seconds."), "blocked/bot-wall"},
		{"Cloudflare 1020", 403, "", shown("Access denied | shop.example used Cloudflare to restrict access", "Sorry, you have been blocked"), "blocked/bot-wall"},
		{"Turnstile by itself", 200, "", shown("Welcome", "One step before the shop", "iframe src=https://challenges.cloudflare.com/turnstile/v0/x"), "blocked/bot-wall"},
		{"Akamai", 403, "server: AkamaiGHost", shown("Access Denied", "You don't have permission to access this server. Reference #18.1"), "blocked/bot-wall"},
		{"Akamai link", 403, "", shown("Access Denied", "You don't have permission. Reference #18.1 https://errors.edgesuite.net/18.1"), "blocked/bot-wall"},
		{"DataDome", 403, "x-datadome: protected", shown("shop.example", "Please enable JS and disable any ad blocker"), "blocked/bot-wall"},
		{"DataDome frame", 200, "", shown("shop.example", "", "iframe src=https://geo.captcha-delivery.com/captcha/?x"), "blocked/bot-wall"},
		{"HUMAN", 403, "", shown("Access to this page has been denied", "Press & Hold to confirm you are a human (and not a bot)."), "blocked/bot-wall"},
		{"HUMAN script", 200, "", shown("shop.example", "Before we continue", "script src=https://captcha.px-cdn.net/PX1/captcha.js"), "blocked/bot-wall"},
		{"Imperva", 200, "", shown("", "Request unsuccessful. Incapsula incident ID: 1-2"), "blocked/bot-wall"},
		{"Imperva frame", 200, "", shown("", "", "iframe src=https://shop.example/_Incapsula_Resource?CWUDNSAI=1"), "blocked/bot-wall"},
		{"AWS WAF challenge", 202, "x-amzn-waf-action: challenge", shown("", ""), "blocked/bot-wall"},
		{"AWS WAF captcha", 405, "x-amzn-waf-action: captcha", shown("Human Verification", ""), "blocked/captcha"},
		{"Kasada", 429, "x-kpsdk-ct: 0abc", shown("", ""), "blocked/bot-wall"},
		{"Sucuri", 403, "server: Sucuri/Cloudproxy", shown("Sucuri WebSite Firewall - Access Denied", "Access Denied"), "blocked/bot-wall"},
		{"hCaptcha", 200, "", shown("One more step", "Please solve this", "iframe src=https://newassets.hcaptcha.com/captcha/v1/x/static/hcaptcha.html"), "blocked/captcha"},
		{"reCAPTCHA", 429, "", shown("Sorry", "Our systems have detected unusual traffic from your computer network.", "iframe src=https://www.google.com/recaptcha/api2/anchor?k=1"), "blocked/bot-wall"},
		{"captcha with a refusal", 403, "", shown("One more step", "Complete the captcha"), "blocked/captcha"},
		// Elsewhere.
		{"451", 451, "", shown("451: Unavailable due to legal reasons", long), "blocked/geo-block"},
		{"EEA", 200, "", shown("The Daily", "We recognise you are attempting to access this website from a country belonging to the European Economic Area and cannot grant access."), "blocked/geo-block"},
		{"country", 403, "", shown("Sorry", "This service is not available in your country"), "blocked/geo-block"},
		// By status alone.
		{"password", 401, "", shown("401", "Members only"), "blocked/login"},
		{"403 without a word", 403, "", shown("", "Forbidden"), "blocked/http-403"},
		{"429 without a word", 429, "", shown("", "Slow down"), "blocked/rate-limit"},
		{"500", 500, "", shown("Error", "Something broke"), "unreachable/http-500"},
		// Nobody's.
		{"Sedo", 200, "", shown("name.example", "Related searches", "script src=https://img.sedoparking.com/js/x.js"), "not-a-site/parked"},
		{"Bodis", 200, "", shown("name.example", "Related", "iframe src=https://www.bodis.com/x"), "not-a-site/parked"},
		{"GoDaddy", 200, "", shown("name.example", "name.example is parked free, courtesy of GoDaddy.com"), "not-a-site/parked"},
		{"GoDaddy lander", 200, "", shown("", "", "script src=https://img1.wsimg.com/parking-lander/static/js/main.js"), "not-a-site/parked"},
		{"Namecheap", 200, "", shown("name.example - Registered at Namecheap.com", "name.example is registered at Namecheap. Please check back later"), "not-a-site/parked"},
		{"coming soon", 200, "", shown("Coming Soon", "We are working on it"), "not-a-site/parked"},
		{"nginx", 200, "", shown("Welcome to nginx!", "If you see this page, the nginx web server is successfully installed"), "not-a-site/parked"},
		{"Apache", 200, "", shown("Apache2 Ubuntu Default Page: It works", long), "not-a-site/parked"},
		{"Apache, short", 200, "", shown("", "It works!"), "not-a-site/parked"},
		{"IIS", 200, "", shown("IIS Windows Server", ""), "not-a-site/parked"},
		{"Plesk", 200, "", shown("Web Server's Default Page", "This page is generated by Plesk"), "not-a-site/parked"},
		{"cPanel", 200, "", shown("Default Web Site Page", "Sorry! If you are the owner of this website, please contact your hosting provider"), "not-a-site/parked"},
		{"suspended", 200, "", shown("Account Suspended", "Contact your hosting provider for more information"), "not-a-site/parked"},
		{"suspended, 403", 403, "", shown("Site", "This account has been suspended."), "not-a-site/parked"},

		// And what is none of it.
		{"article about captchas", 200, "", shown("Why we verify you are human: the captcha at thirty", long+"Press & hold. Just a moment... Are you a robot?", links...), "assessed/"},
		{"short article", 200, "", shown("Are you a robot?", "Captchas annoy everybody, a study says. Read on.", links...), "assessed/"},
		{"page with a badge", 200, "", shown("Contact us", long, append(links, "iframe src=https://www.google.com/recaptcha/api2/anchor?size=invisible")...), "assessed/"},
		{"small page with a badge", 200, "", shown("Plumber", "Call Bob", "a href=/", "iframe src=https://www.google.com/recaptcha/api2/anchor?k=1&size=invisible", "iframe src=https://www.google.com/recaptcha/api2/bframe?k=1"), "assessed/"},
		{"login with a captcha", 200, "", shown("Log in", "Your name and password", "input type=text", "input type=password", "iframe src=https://www.google.com/recaptcha/api2/anchor?k=1"), "assessed/"},
		{"form behind Turnstile", 200, "", shown("Book a table", "Name, number, time", "input type=text", "iframe src=https://challenges.cloudflare.com/turnstile/v0/x"), "assessed/"},
		{"Cloudflare's script on a page", 200, "server: cloudflare", shown("Shop", "Lamps", append(links, "script src=/cdn-cgi/challenge-platform/h/b/scripts/jsd/main.js")...), "assessed/"},
		{"Akamai's site", 200, "server: AkamaiGHost", shown("Shop", "Lamps and rugs"), "assessed/"},
		{"Imperva's site", 200, "x-iinfo: 1-2", shown("Shop", "Lamps and rugs"), "assessed/"},
		{"video not for your country", 200, "", shown("News", long+"This video is not available in your country.", links...), "assessed/"},
		{"film to come", 200, "", shown("Coming soon: films of the summer", long, links...), "assessed/"},
		{"estate agent", 200, "", shown("Houses", "This domain is for sale, and so are 40 houses", links...), "assessed/"},
		{"about servers", 200, "", shown("How to install nginx", "Welcome to nginx! is what you see at first"), "assessed/"},
		{"football", 200, "", shown("Sport", "The captain has been suspended for three matches", links...), "assessed/"},
	} {
		main := &pc.Request{Status: tt.status, MIME: "text/html", Headers: map[string]string{}}
		if name, v, ok := strings.Cut(tt.header, ": "); ok {
			main.Headers[name] = v
		}
		if l := pageLoad(main, "", false, tt.page); string(l.Outcome)+"/"+l.Reason != tt.want {
			t.Errorf("%s: %s/%s, want %s", tt.name, l.Outcome, l.Reason, tt.want)
		}
	}
}
