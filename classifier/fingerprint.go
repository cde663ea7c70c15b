package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	pc "pecrawler"
)

// defence finds the scripts and hosts of protection against bots and fraud, and
// of login security, by the vendors' public descriptions: the Act names them
// among what is strictly necessary.
var defence = regexp.MustCompile(`(?i)(^|[./])(challenges\.cloudflare\.com|cdn-cgi/challenge-platform|recaptcha|hcaptcha\.com|arkoselabs\.com|funcaptcha\.com|datadome\.co|captcha-delivery\.com|perimeterx\.net|px-(cdn|cloud|client)\.net|` +
	`_incapsula_resource|imperva|akam/\d|stripe\.(com|network)|siftscience\.com|sift\.com|riskified\.com|forter\.com|online-metrix\.net|threatmetrix\.com|kaptcha\.com|kount\.net|signifyd\.com|iesnare\.com|iovation\.com|mpsnare|seondf\.com|deviceinf\.com|` +
	`kasada\.io|nethone\.io|castle\.io|paypal\.com|paypalobjects\.com|adyen\.com|forter|awswaf\.com|geetest\.com|friendlycaptcha|onfido\.com)`)

// trait is a thing that tells one device from another, as far as one API shows
// it. Strong ones take a drawing, a sound or a list of fonts; weak ones are what
// many pages ask for.
func trait(r *pc.Read) (name string, strong bool) {
	iface, method, _ := strings.Cut(r.API, ".")
	switch {
	case strings.HasPrefix(iface, "HTMLCanvas") || strings.HasPrefix(iface, "OffscreenCanvas") && method == "convertToBlob" || method == "getImageData":
		return "canvas", true
	case strings.HasPrefix(iface, "WebGL"):
		// Its limits are asked for by whoever draws; the name of the card is not.
		return "graphics card", method == "getExtension" || method == "readPixels" || r.Detail == "37445" || r.Detail == "37446"
	case strings.HasSuffix(iface, "AudioContext") || iface == "AnalyserNode":
		return "sound", method == "startRendering" || method == "getFloatFrequencyData"
	case method == "measureText" || iface == "FontFaceSet":
		return "fonts", false // strong when many are tried
	case iface == "RTCPeerConnection":
		return "connections", false
	case iface == "Navigator" || iface == "WorkerNavigator" || iface == "Screen" || iface == "NavigatorUAData" || iface == "Intl" || iface == "MediaDevices" || iface == "SpeechSynthesis":
		return r.API, false
	}
	return "", false
}

// manyFonts is how many different fonts nobody measures to lay out a page.
const manyFonts = 20

// measured is data of a measurement in a request.
var measured = regexp.MustCompile(`(?i)data:image/(png|webp)|"?(canvas|webgl|audio|fonts|fingerprint|visitorId|fp_?hash|device_?id|murmur)"?[=:]`)

// fingerprints finds scripts that read what tells one device from another in
// several ways and then sent something. Whether that is for security only a
// human can tell, unless the vendor sells nothing else.
func fingerprints(s *sight) []pc.Signal {
	type reader struct {
		strong map[string]bool
		weak   map[string]bool
		fonts  map[string]bool
		refs   []pc.Ref
		at     int64 // of the first strong read
		last   int64
	}
	by := map[string]*reader{}
	for i := range s.capt.Reads {
		r := &s.capt.Reads[i]
		name, strong := trait(r)
		if name == "" || r.Script == "" {
			continue
		}
		rd := by[r.Script]
		if rd == nil {
			rd = &reader{strong: map[string]bool{}, weak: map[string]bool{}, fonts: map[string]bool{}}
			by[r.Script] = rd
		}
		if name == "fonts" {
			rd.fonts[r.Detail] = true
			strong = len(rd.fonts) >= manyFonts
		}
		rd.last = max(rd.last, r.At)
		if !strong {
			rd.weak[name] = true
			continue
		}
		if !rd.strong[name] {
			rd.refs = append(rd.refs, pc.Ref(fmt.Sprintf("%s/reads/%d", s.capt.Scenario, i)))
		}
		if len(rd.strong) == 0 || r.At < rd.at {
			rd.at = r.At
		}
		rd.strong[name] = true
	}
	var out []pc.Signal
	for _, script := range sortedKeys(by) {
		rd := by[script]
		if len(rd.strong) < 2 || len(rd.weak) < 4 {
			continue // a drawing, a map or a player needs one of them
		}
		h, sure := s.sentAfter(script, rd.at)
		if h == nil {
			continue
		}
		sig := s.signal(pc.SignalFingerprint, h.phase, max(h.r.At, rd.last), append([]pc.Ref{s.request(h.i)}, rd.refs...))
		if h.phase == pc.PhaseBefore {
			sig.At = h.r.At
		}
		sig.Host, sig.Entity = h.u.Hostname(), h.party
		sig.Confidence = .6
		ways := fmt.Sprintf("%s and %d other properties", named(rd.strong), len(rd.weak))
		switch {
		case defence.MatchString(script) || defence.MatchString(h.r.URL) || h.class.Exempt():
			sig.Class, sig.Why = pc.ExemptStrict, fmt.Sprintf("a script read %s and sent something to %s, which protects against bots or fraud", ways, sig.Host)
		case sure:
			sig.Confidence, sig.Why = .9, fmt.Sprintf("a script read %s of the device and then sent what it had found to %s", ways, sig.Host)
		default:
			sig.Why = fmt.Sprintf("a script read %s of the device, and its company's %s was sent something; whether it was that is not seen", ways, sig.Host)
		}
		out = append(out, sig)
	}
	return out
}

// sentAfter finds the request that can have taken what a script read: one with
// the measurement in it, or one of the script or to its own party.
func (s *sight) sentAfter(script string, at int64) (best *hit, sure bool) {
	u, err := url.Parse(script)
	if err != nil {
		return nil, false
	}
	party, other, _ := s.party(u.Hostname(), u.Path)
	for i := range s.hits {
		h := &s.hits[i]
		if h.r.At < at || h.r.Type == "Script" || h.r.Type == "Document" || h.r.Type == "Stylesheet" || h.r.Type == "Font" {
			continue
		}
		_, query, _ := strings.Cut(h.r.URL, "?")
		if query == "" && h.r.Body == "" && h.r.BodySize == 0 {
			continue
		}
		its := other && h.party == party || h.r.Initiator == script || strings.Contains(strings.Join(h.r.Stack, "\n"), script+":")
		if its && measured.MatchString(h.r.Body+"\n"+query) {
			return h, true
		}
		if its && best == nil {
			best = h
		}
	}
	return best, false
}
