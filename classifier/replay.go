package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	pc "pecrawler"
)

// recorder is a tool that records what a visitor does, with the addresses to
// which it sends that. Where its library comes from is left out: a recorder that
// is only loaded records nothing.
type recorder struct {
	host   string // also its subdomains
	path   *regexp.Regexp
	body   *regexp.Regexp // nil: any; else without it nobody can say whether it records
	entity string
}

// recorders are from the vendors' public descriptions.
var recorders = []recorder{
	{"content.hotjar.io", nil, nil, "Hotjar"},
	{"hotjar.com", regexp.MustCompile(`^/api/v\d+/(client/)?(sites|ws)\b`), regexp.MustCompile(`"(moves|events|dom|mutations)"`), "Hotjar"}, // its measures of itself go elsewhere
	{"hotjar.io", nil, regexp.MustCompile(`"(moves|events|dom|mutations)"`), "Hotjar"},
	{"clarity.ms", regexp.MustCompile(`^/(collect|eus)`), nil, "Microsoft Clarity"},
	{"fullstory.com", regexp.MustCompile(`^/rec/(bundle|page)`), nil, "FullStory"},
	{"mouseflow.com", regexp.MustCompile(`^/(events|data|html|dom)`), nil, "Mouseflow"},
	{"lr-ingest.io", regexp.MustCompile(`^/i\b`), nil, "LogRocket"},
	{"lr-in.com", regexp.MustCompile(`^/i\b`), nil, "LogRocket"},
	{"logrocket.io", regexp.MustCompile(`^/i\b`), nil, "LogRocket"},
	{"lgrckt-in.com", regexp.MustCompile(`^/i\b`), nil, "LogRocket"},
	{"smartlook.cloud", regexp.MustCompile(`^/(rec|records|events)`), nil, "Smartlook"},
	{"contentsquare.net", regexp.MustCompile(`^/(v2/)?(recording|replay|mutation)`), nil, "Contentsquare"},
	{"quantummetric.com", regexp.MustCompile(`^/(horizon|api/replay)`), nil, "Quantum Metric"},
	{"inspectlet.com", regexp.MustCompile(`^/(ginit|adddata|pagedata)`), nil, "Inspectlet"},
	{"luckyorange.com", regexp.MustCompile(`(?i)record|session`), regexp.MustCompile(`(?i)"(moves|events|dom|mutations|mousemove)"`), "Lucky Orange"},
	{"yandex.ru", regexp.MustCompile(`^/webvisor`), nil, "Yandex Metrica"},
	{"posthog.com", regexp.MustCompile(`^/s/`), nil, "PostHog"},
	{"datadoghq.com", regexp.MustCompile(`^/api/v2/replay`), nil, "Datadog"},
	{"browser-intake-datadoghq.com", regexp.MustCompile(`^/api/v2/replay`), nil, "Datadog"},
	{"browser-intake-datadoghq.eu", regexp.MustCompile(`^/api/v2/replay`), nil, "Datadog"},
	{"amplitude.com", regexp.MustCompile(`^/sessions/v2/track`), nil, "Amplitude"},
	{"mixpanel.com", regexp.MustCompile(`^/record`), nil, "Mixpanel"},
	{"sentry.io", regexp.MustCompile(`/envelope/`), regexp.MustCompile(`"type":"replay_(event|recording)"`), "Sentry"},
}

// snapshot finds what rrweb sends, on which many recorders build: the whole tree
// of the page, or changes to it.
var snapshot = regexp.MustCompile(`"type":\s*[23],\s*"data":\s*\{\s*"(node|source)"`)

// recorderOf tells whether something was sent to a recorder. sure is false
// where it was, but not what.
func recorderOf(u *url.URL, body string) (entity string, sure, ok bool) {
	host := strings.ToLower(u.Hostname())
	for i := range recorders {
		r := &recorders[i]
		if host != r.host && !strings.HasSuffix(host, "."+r.host) || r.path != nil && !r.path.MatchString(u.Path) {
			continue
		}
		sure = r.body == nil || r.body.MatchString(body)
		if r.entity == "Sentry" && !sure {
			continue // an error that is reported is no recording
		}
		return r.entity, sure, true
	}
	if snapshot.MatchString(body) {
		return siteOf(host), true, true
	}
	return "", false, false
}

// replays finds recorders that sent something of what the visitor does: not
// those that were loaded only.
func replays(s *sight) []pc.Signal {
	type record struct {
		refs []pc.Ref
		sure bool
		host string
		at   int64
	}
	var out []pc.Signal
	for _, phase := range phases {
		by := map[string]*record{}
		add := func(entity, host string, sure bool, at int64, ref pc.Ref) {
			r := by[entity]
			if r == nil {
				r = &record{host: host}
				by[entity] = r
			}
			if sure && !r.sure { // the first reference is the one that shows it
				r.refs, r.sure, r.host = append([]pc.Ref{ref}, r.refs...), true, host
			} else {
				r.refs = append(r.refs, ref)
			}
			r.at = max(r.at, at)
		}
		for i := range s.hits {
			h := &s.hits[i]
			if h.phase != phase || h.r.Method != "POST" || h.r.Body == "" && h.r.BodySize == 0 {
				continue
			}
			if entity, sure, ok := recorderOf(h.u, h.r.Body); ok {
				add(entity, h.u.Hostname(), sure, h.r.At, s.request(h.i))
			}
		}
		for i := range s.capt.Sockets {
			so := &s.capt.Sockets[i]
			u, err := url.Parse(so.URL)
			if err != nil || so.Sent == 0 || s.capt.PhaseAt(so.At) != phase {
				continue
			}
			body := ""
			for _, m := range so.First {
				if m.Out {
					body += m.Payload + "\n"
				}
			}
			if entity, sure, ok := recorderOf(u, body); ok {
				add(entity, u.Hostname(), sure, so.At, pc.Ref(fmt.Sprintf("%s/sockets/%d", s.capt.Scenario, i)))
			}
		}
		for _, entity := range sortedKeys(by) {
			r := by[entity]
			sig := s.signal(pc.SignalReplay, phase, r.at, r.refs)
			sig.Host, sig.Entity, sig.Class = r.host, entity, pc.NonExemptOther
			sig.Confidence, sig.Why = .95, fmt.Sprintf("the recorder of %s sent what it had recorded of this visit to %s", entity, r.host)
			if !r.sure {
				sig.Confidence, sig.Why = .6, fmt.Sprintf("the recorder of %s reported to %s, but nothing recorded is seen in it", entity, r.host)
			}
			out = append(out, sig)
		}
	}
	return out
}
