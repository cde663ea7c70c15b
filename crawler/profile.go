package crawler

import (
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
)

// A visitor may be another than the ordinary one: on a telephone, or with Global
// Privacy Control switched on. Both are settings of a browser, made before the
// first script of a page; the capture's environment names them.

// gpcScript is what a page can read of Global Privacy Control
// (https://w3c.github.io/gpc/#javascript-property-to-detect-preference).
const gpcScript = `Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true, enumerable: true, configurable: true });`

// The screen of a common telephone, in CSS pixels.
const (
	mobileWidth  = 412
	mobileHeight = 915
)

// userAgent is that of the same version's ordinary browser.
func (c *Config) userAgent(major string) string {
	if c.Mobile {
		return "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + major + ".0.0.0 Mobile Safari/537.36"
	}
	return "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" + major + ".0.0.0 Safari/537.36"
}

// visitor gives a page the visitor's screen and settings, before it runs.
func (t *tab) visitor() []command {
	cfg := &t.b.cfg
	cs := []command{{"Emulation.setDeviceMetricsOverride", emulation.SetDeviceMetricsOverrideParams{Width: int64(cfg.Width), Height: int64(cfg.Height),
		DeviceScaleFactor: 1, ScreenWidth: int64(cfg.Width), ScreenHeight: int64(cfg.Height), Mobile: cfg.Mobile}}}
	if cfg.Mobile {
		cs = append(cs, command{"Emulation.setTouchEmulationEnabled", emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: 5}})
	}
	if cfg.Mobile && strings.Contains(cfg.UserAgent, "Android") {
		_, version, _ := strings.Cut(cfg.UserAgent, "Chrome/")
		major, _, _ := strings.Cut(version, ".")
		cs = append(cs, command{"Emulation.setUserAgentOverride", emulation.SetUserAgentOverrideParams{UserAgent: cfg.UserAgent, AcceptLanguage: cfg.Locale, Platform: "Linux armv81",
			UserAgentMetadata: &emulation.UserAgentMetadata{Platform: "Android", PlatformVersion: "10", Model: "K", Mobile: true, FormFactors: []string{"Mobile"},
				Brands: []*emulation.UserAgentBrandVersion{{Brand: "Chromium", Version: major}, {Brand: "Not:A-Brand", Version: "99"}}}}})
	}
	if cfg.GPC {
		yes := true
		cs = append(cs, command{"Network.setExtraHTTPHeaders", network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Sec-GPC": "1"}}},
			command{"Page.addScriptToEvaluateOnNewDocument", page.AddScriptToEvaluateOnNewDocumentParams{Source: gpcScript, RunImmediately: &yes}})
	}
	return cs
}
