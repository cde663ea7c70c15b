package classifier_test

import (
	"slices"
	"testing"

	pc "pecrawler"
)

const (
	uuid  = "3f0c9d1e-5a77-4b1c-9d52-0c8ab61e77f4"
	other = "9d52b61e-0c8a-4b1c-5a77-3f0c9d1e77f4"
	ga    = "123456789.1795568301"
)

func ask(url string, more ...func(*pc.Request)) pc.Request {
	r := pc.Request{URL: url, Method: "GET", Type: "Image", At: 900, RedirectOf: -1, Status: 200, Initiator: "https://x.example/", Frame: "https://x.example/"}
	for _, m := range more {
		m(&r)
	}
	return r
}

func post(body string) func(*pc.Request) {
	return func(r *pc.Request) { r.Method, r.Type, r.Body = "POST", "Ping", body }
}
func after(id int) func(*pc.Request)      { return func(r *pc.Request) { r.RedirectOf = id } }
func typed(t string) func(*pc.Request)    { return func(r *pc.Request) { r.Type = t } }
func sending(c string) func(*pc.Request)  { return func(r *pc.Request) { r.CookiesOut = []string{c} } }
func answered(s int) func(*pc.Request)    { return func(r *pc.Request) { r.Status = s } }
func failed(why string) func(*pc.Request) { return func(r *pc.Request) { r.Status, r.Failed = 0, why } }

func kept(host, name, value string, days int64) pc.StorageItem {
	return pc.StorageItem{Kind: pc.Cookie, Host: host, Name: name, Value: value, Lifetime: days * 86400, Request: -1, First: pc.MarkSettled, At: 1000}
}

func local(name, value string) pc.StorageItem {
	it := kept("x.example", name, value, 0)
	it.Kind = pc.LocalStorage
	return it
}

// reads are what a script that measures the device asks for.
func reads(script string, apis ...string) []pc.Read {
	var out []pc.Read
	for _, api := range append(apis, "Screen.width", "Screen.height", "Navigator.platform", "Navigator.languages", "Intl.DateTimeFormat.resolvedOptions") {
		out = append(out, pc.Read{API: api, Script: script, Count: 1, At: 500})
	}
	return out
}

// Behaviour that is a fault, and beside it the lawful behaviour that looks like it.
func TestSignals(t *testing.T) {
	c := newClassifier(t)
	const fp = "https://cdn.fp.example/v5.js"
	for _, x := range []struct {
		name  string
		kind  pc.SignalKind
		idle  pc.Capture
		twin  []pc.StorageItem // what another fresh profile stored
		class pc.Class         // "": there must be no signal of the kind
		least float64
	}{
		{"an exchange tells another its number", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://match.adsrvr.org/track/cmf", answered(302)), ask("https://ib.adnxs.com/setuid?code="+uuid, after(0))},
			Storage:  []pc.StorageItem{kept("adsrvr.org", "TDID", uuid, 365)}}, nil, pc.NonExemptAdvertising, .9},
		{"a script tells two networks the site's number", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?external_id=" + uuid), ask("https://sslwidget.criteo.com/event?u=" + uuid)},
			Storage:  []pc.StorageItem{local("who", `{"id":"`+uuid+`","n":3}`)}}, nil, pc.NonExemptAdvertising, .9},
		{"a redirect hands on what was not seen to be stored", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://match.adsrvr.org/track/cmf", answered(302)), ask("https://ib.adnxs.com/setuid?code="+uuid, after(0))}}, nil, pc.NonExemptAdvertising, .6},
		{"the number of a session", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?s=" + uuid), ask("https://sslwidget.criteo.com/event?s=" + uuid)},
			Storage:  []pc.StorageItem{kept("x.example", "visit", uuid, 0)}}, nil, "", 0},
		{"the number of a view of the page", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?s=" + uuid), ask("https://sslwidget.criteo.com/event?s=" + uuid)},
			Storage:  []pc.StorageItem{local("last_pageview", uuid)}}, nil, "", 0},
		{"a string of consent", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?gdpr_consent=CQSampleAAAAAAAAAB1ENAAB0123456789"), ask("https://sslwidget.criteo.com/event?gdpr_consent=CQSampleAAAAAAAAAB1ENAAB0123456789")},
			Storage:  []pc.StorageItem{local("keep", "CQSampleAAAAAAAAAB1ENAAB0123456789")}}, nil, "", 0},
		{"an account number, the same for every visitor", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?a=" + uuid), ask("https://sslwidget.criteo.com/event?a=" + uuid)},
			Storage:  []pc.StorageItem{local("config", uuid)}}, []pc.StorageItem{local("config", uuid)}, "", 0},
		{"protection against bots", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?a=" + uuid), ask("https://sslwidget.criteo.com/event?a=" + uuid)},
			Storage:  []pc.StorageItem{kept("x.example", "cf_clearance", uuid, 300)}}, nil, "", 0},
		{"two services of one company", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga), ask("https://googleads.g.doubleclick.net/pagead/1?cid=" + ga)},
			Storage:  []pc.StorageItem{kept("x.example", "_ga", "GA1.1."+ga, 400)}}, nil, "", 0},
		{"monitoring reports the address of a pixel", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://sslwidget.criteo.com/event?u=" + uuid), ask("https://browser-intake-datadoghq.eu/api/v2/rum", post(`{"resource":{"url":"https://sslwidget.criteo.com/event?u=`+uuid+`"}}`))},
			Storage:  []pc.StorageItem{kept("x.example", "cto_bundle", uuid, 400)}}, nil, "", 0},
		{"what never left the device", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://www.facebook.com/tr?a=" + uuid), ask("https://sslwidget.criteo.com/event?a="+uuid, failed("net::ERR_BLOCKED_BY_CLIENT"))},
			Storage:  []pc.StorageItem{local("who", uuid)}}, nil, "", 0},
		{"a login leads through another site", pc.SignalIDSync, pc.Capture{
			Requests: []pc.Request{ask("https://login.example/auth?s="+uuid, typed("Document")), ask("https://pay.example/back?s="+uuid, typed("Document"), after(0))},
			Storage:  []pc.StorageItem{local("who", uuid)}}, nil, "", 0},

		{"a lasting number goes to another company", pc.SignalVisitorID, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga)},
			Storage:  []pc.StorageItem{kept("x.example", "_ga", "GA1.1."+ga, 400)}}, nil, pc.NonExemptOther, .8},
		{"a lasting number stays with the site", pc.SignalVisitorID, pc.Capture{
			Requests: []pc.Request{ask("https://x.example/matomo.php?_id=0a1b2c3d4e5f6789")},
			Storage:  []pc.StorageItem{kept("x.example", "_pk_id.1.1fff", "0a1b2c3d4e5f6789.1795568301.", 393)}}, nil, pc.ConditionalStatistics, .8},
		{"a number of a day", pc.SignalVisitorID, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga)},
			Storage:  []pc.StorageItem{kept("x.example", "_gid", "GA1.1."+ga, 1)}}, nil, "", 0},

		{"statistics and advertising get the same number", pc.SignalStatLinked, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga), ask("https://stats.g.doubleclick.net/g/collect?cid=" + ga)}}, nil, pc.NonExemptAdvertising, .9},
		{"a hit carries a click on an advertisement", pc.SignalStatLinked, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga + "&gclid=EAIaIQobChMI0123456789")}}, nil, pc.NonExemptAdvertising, .9},
		{"both tell of the page, and of nothing else", pc.SignalStatLinked, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?cid=" + ga + "&npa=0&dl=https%3A%2F%2Fx.example%2Fstory-20261125-0815"), ask("https://www.facebook.com/tr?id=1002003004005006&dl=https%3A%2F%2Fx.example%2Fstory-20261125-0815")}}, nil, "", 0},

		{"a denied report without a number", pc.SignalConsentPing, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?gcs=G100&cid=" + ga)}}, nil, pc.Unknown, .9},
		{"a denied report with a kept number", pc.SignalConsentPing, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?gcs=G100&cid=" + ga)},
			Storage:  []pc.StorageItem{local("tag", ga)}}, nil, pc.NonExemptOther, .9},
		{"a denied report with cookies", pc.SignalConsentPing, pc.Capture{
			Requests: []pc.Request{ask("https://googleads.g.doubleclick.net/pagead/1?gcs=G100", sending("IDE"))}}, nil, pc.NonExemptOther, .9},
		{"statistics are allowed", pc.SignalConsentPing, pc.Capture{
			Requests: []pc.Request{ask("https://region1.google-analytics.com/g/collect?gcs=G101&cid=" + ga)}}, nil, "", 0},

		{"movements are sent", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://in.hotjar.com/api/v2/client/sites/1/visit-data", post(`{"session":"1","moves":[]}`))}}, nil, pc.NonExemptOther, .9},
		{"the tree of the page is sent to the site's own host", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://x.example/r", post(`[{"type":2,"data":{"node":{"type":0}}}]`))}}, nil, pc.NonExemptOther, .9},
		{"over a socket", pc.SignalReplay, pc.Capture{
			Sockets: []pc.Socket{{URL: "wss://a.clarity.ms/collect", At: 900, Sent: 2}}}, nil, pc.NonExemptOther, .9},
		{"a visit begins", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://in.hotjar.com/api/v2/client/sites/1/visit-data", post(`{"session":"1"}`))}}, nil, pc.NonExemptOther, .6},
		{"a recorder is loaded", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://static.hotjar.com/c/hotjar-1.js", typed("Script")), ask("https://www.clarity.ms/tag/1", typed("Script"))}}, nil, "", 0},
		{"a recorder measures itself", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://metrics.hotjar.com/?v=6", post(`{"events":[]}`))}}, nil, "", 0},
		{"a fault is reported", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://o1.ingest.sentry.io/api/1/envelope/", post(`{"exception":"no map"}`))}}, nil, "", 0},
		{"statistics of a company that also sells recordings", pc.SignalReplay, pc.Capture{
			Requests: []pc.Request{ask("https://eu.i.posthog.com/e/", post(`{"event":"$pageview"}`))}}, nil, "", 0},

		{"the device is measured and the number sent", pc.SignalFingerprint, pc.Capture{
			Reads:    reads(fp, "HTMLCanvasElement.toDataURL", "OfflineAudioContext.startRendering"),
			Requests: []pc.Request{ask("https://api.fp.example/v", post(`{"visitorId":"e87700f80099","canvas":"data:image/png;base64,iVBOR"}`))}}, nil, pc.Unknown, .9},
		{"something is sent, and what it was is not seen", pc.SignalFingerprint, pc.Capture{
			Reads:    reads(fp, "HTMLCanvasElement.toDataURL", "OfflineAudioContext.startRendering"),
			Requests: []pc.Request{ask("https://api.fp.example/v", post(`QUJDREVG`))}}, nil, pc.Unknown, .6},
		{"against bots", pc.SignalFingerprint, pc.Capture{
			Reads:    reads("https://js.datadome.co/tags.js", "HTMLCanvasElement.toDataURL", "OfflineAudioContext.startRendering"),
			Requests: []pc.Request{ask("https://api-js.datadome.co/js/", post(`{"canvas":"data:image/png;base64,iVBOR"}`))}}, nil, pc.ExemptStrict, .5},
		{"a map draws", pc.SignalFingerprint, pc.Capture{
			Reads:    reads("https://x.example/map.js", "HTMLCanvasElement.toDataURL", "WebGLRenderingContext.getParameter"),
			Requests: []pc.Request{ask("https://tiles.example/t?z=1&x=2", func(r *pc.Request) { r.Initiator = "https://x.example/map.js" })}}, nil, "", 0},
		{"nothing is sent", pc.SignalFingerprint, pc.Capture{
			Reads: reads(fp, "HTMLCanvasElement.toDataURL", "OfflineAudioContext.startRendering")}, nil, "", 0},

		{"a player stores a number", pc.SignalEmbed, pc.Capture{
			Requests: []pc.Request{ask("https://open.spotify.com/embed/track/1", typed("Document"))},
			Storage:  []pc.StorageItem{kept("spotify.com", "sp_t", "0c8ab61e77f43f0c9d1e5a774b1c9d52", 365)}}, nil, pc.NonExemptOther, .9},
		{"a video in its private mode", pc.SignalEmbed, pc.Capture{
			Requests: []pc.Request{ask("https://www.youtube-nocookie.com/embed/1", typed("Document"))},
			Storage:  []pc.StorageItem{kept("youtube-nocookie.com", "dev", "0c8ab61e77f43f0c9d1e5a774b1c9d52", 365)}}, nil, pc.Unknown, .9},
		{"a video that stores nothing", pc.SignalEmbed, pc.Capture{
			Requests: []pc.Request{ask("https://www.youtube-nocookie.com/embed/1", typed("Document"))}}, nil, "", 0},
		{"the video service itself", pc.SignalEmbed, pc.Capture{FinalURL: "https://www.youtube.com/watch",
			Requests: []pc.Request{ask("https://www.youtube.com/embed/1", typed("Document"))},
			Storage:  []pc.StorageItem{kept("youtube.com", "VISITOR", uuid, 180)}}, nil, "", 0},

		{"a name of the site is an alias", pc.SignalCNAME, pc.Capture{
			Hosts:    []pc.Host{{Name: "metrics.x.example", CNAMEs: []string{"site-42.eulerian.net"}}},
			Requests: []pc.Request{ask("https://metrics.x.example/col")}}, nil, pc.NonExemptAdvertising, .9},
		{"the network that delivers the site", pc.SignalCNAME, pc.Capture{
			Hosts:    []pc.Host{{Name: "img.x.example", CNAMEs: []string{"x.cdn.example.net"}}},
			Requests: []pc.Request{ask("https://img.x.example/1.png")}}, nil, "", 0},

		{"a click identifier is kept that our address had", pc.SignalClickID, pc.Capture{FinalURL: "https://x.example/?gclid=EAIaIQobChMI0123456789",
			Requests: []pc.Request{ask("https://x.example/?gclid=EAIaIQobChMI0123456789", typed("Document"))},
			Storage:  []pc.StorageItem{kept("x.example", "_gcl_aw", "GCL.1795568301.EAIaIQobChMI0123456789", 90)}}, nil, pc.Unknown, .9},
		{"a click identifier is kept that a redirect added", pc.SignalClickID, pc.Capture{FinalURL: "https://x.example/?gclid=EAIaIQobChMI0123456789",
			Requests: []pc.Request{ask("https://x.example/", typed("Document"))},
			Storage:  []pc.StorageItem{kept("x.example", "_gcl_aw", "GCL.1795568301.EAIaIQobChMI0123456789", 90)}}, nil, pc.NonExemptAdvertising, .9},

		{"the site's own server takes hits", pc.SignalServerSide, pc.Capture{
			Requests: []pc.Request{ask("https://x.example/sgtm/g/collect?v=2&tid=G-ABC123&en=page_view")}}, nil, pc.Unknown, .9},
	} {
		t.Run(x.name, func(t *testing.T) {
			idle := x.idle
			idle.Scenario, idle.Load = pc.Idle, pc.Load{Outcome: pc.Assessed}
			if idle.FinalURL == "" {
				idle.FinalURL = "https://x.example/"
			}
			for i := range idle.Requests {
				idle.Requests[i].ID = i
			}
			twin := pc.Capture{Scenario: pc.Reject, Load: pc.Load{Outcome: pc.Assessed}, FinalURL: idle.FinalURL, Storage: append(x.twin, kept("x.example", "elsewhere", other, 90))}
			a := c.Annotate(pc.Look{}, map[pc.Scenario]*pc.Capture{pc.Idle: &idle, pc.Reject: &twin}, nil)
			i := slices.IndexFunc(a.Signals, func(s pc.Signal) bool { return s.Kind == x.kind && s.Scenario == pc.Idle })
			if i < 0 {
				if x.class != "" {
					t.Fatalf("no signal, want %s", x.class)
				}
				return
			}
			s := a.Signals[i]
			if s.Class != x.class || s.Confidence < x.least || x.least < .8 && s.Confidence >= .8 {
				t.Errorf("%s (%.2f): %s; want %s (%.2f)", s.Class, s.Confidence, s.Why, x.class, x.least)
			}
			if s.Phase != pc.PhaseBefore || len(s.Refs) == 0 || s.Why == "" {
				t.Errorf("a signal without phase, evidence or reason: %+v", s)
			}
		})
	}
}
