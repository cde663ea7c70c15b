package classifier

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// aftermath finds what a refusal was followed by: statistics that recognise the
// visitor all the same, and a memory that is too short for it.
func aftermath(a *pc.Annotations, capt *pc.Capture) {
	if capt == nil || !capt.Load.OK() {
		return
	}
	acted, chosen := capt.Mark(pc.MarkActed)
	reload, loaded := capt.Mark(pc.MarkReload)
	if !chosen || !loaded {
		return
	}
	a.Signals = append(a.Signals, statisticsAfter(capt, a, acted, reload)...)
	if s, ok := shortMemory(capt, a, acted); ok {
		a.Signals = append(a.Signals, s)
	}
}

// statisticsAfter finds the statistics tools that use an identifier at the loads
// after the choice. Right after the press a queue may still be emptied, so
// nothing before the reload counts as use.
func statisticsAfter(capt *pc.Capture, a *pc.Annotations, acted, reload int64) []pc.Signal {
	type tool struct {
		before bool
		refs   []pc.Ref
		at     int64
		host   string
		conf   float64
	}
	tools := map[string]*tool{}
	of := func(p *pc.Purpose) *tool {
		key := p.Entity
		if key == "" {
			key = p.Host + " " + p.Name
		}
		if tools[key] == nil {
			tools[key] = &tool{host: p.Host}
		}
		return tools[key]
	}
	later := []pc.MarkName{pc.MarkReload, pc.MarkInner}
	for i := range a.Storage {
		p := &a.Storage[i]
		k, ok := indexIn(p.Ref, capt.Scenario, "storage", len(capt.Storage))
		if !ok || p.Class != pc.ConditionalStatistics || p.Confidence < .8 || !p.CarriesID {
			continue
		}
		it, t := &capt.Storage[k], of(p)
		if it.First == pc.MarkSettled || it.At < acted {
			t.before = true
		}
		if it.Gone != "" {
			continue
		}
		used, at := slices.Contains(later, it.First), it.At
		for _, m := range later {
			used = used || slices.Contains(it.Changed, m)
		}
		for n := range capt.Requests {
			if r := &capt.Requests[n]; r.At >= reload && len(t.refs) < 20 && sends(r, it.Value) {
				used, at = true, max(at, r.At)
				t.refs = append(t.refs, pc.Ref(fmt.Sprintf("%s/requests/%d", capt.Scenario, n)))
			}
		}
		if used {
			t.refs, t.at, t.conf = append(t.refs, p.Ref), max(t.at, at), max(t.conf, p.Confidence)
		}
	}
	for i := range a.Requests {
		p := &a.Requests[i]
		k, ok := indexIn(p.Ref, capt.Scenario, "requests", len(capt.Requests))
		if !ok || p.Class != pc.ConditionalStatistics || p.Confidence < .8 || !p.CarriesID {
			continue
		}
		t := of(p)
		switch at := capt.Requests[k].At; {
		case at < acted:
			t.before = t.before || lasting(capt, &capt.Requests[k])
		case at >= reload && lasting(capt, &capt.Requests[k]):
			t.refs, t.at, t.conf = append(t.refs, p.Ref), max(t.at, at), max(t.conf, p.Confidence)
		}
	}
	switched := slices.ContainsFunc(capt.Acts, func(act pc.Act) bool {
		return capt.Own(&act) && act.Purpose == pc.ActToggle && act.Effect != "none" && statWords.MatchString(act.Text)
	})
	var out []pc.Signal
	for _, name := range slices.Sorted(maps.Keys(tools)) {
		t := tools[name]
		if len(t.refs) == 0 {
			continue
		}
		slices.Sort(t.refs)
		s := pc.Signal{Kind: pc.SignalStatBegins, Scenario: capt.Scenario, Phase: pc.PhaseReject, At: t.at, Host: t.host, Entity: name, Class: pc.ConditionalStatistics,
			Claim: pc.Claim{Confidence: min(t.conf, .95), Basis: "behaviour", Why: fmt.Sprintf("statistics of %s began after the refusal, and at the next loads they recognise the visitor", name), Refs: slices.Compact(t.refs)}}
		if t.before {
			// A general refusal may leave alone what is on under the exception; a switch does not.
			s.Kind = pc.SignalStatGoesOn
			if !switched {
				s.Confidence = .7
			}
			s.Why = fmt.Sprintf("statistics of %s were on before the refusal, and at the loads after it they still recognise the visitor", name)
		}
		out = append(out, s)
	}
	return out
}

// lasting tells whether a hit carries a number that is kept: a report that
// statistics are denied makes one anew for each page.
func lasting(capt *pc.Capture, r *pc.Request) bool {
	return len(r.CookiesOut) > 0 || slices.ContainsFunc(capt.Storage, func(it pc.StorageItem) bool { return identifier(it.Value) && sends(r, it.Value) })
}

// sends tells whether a request's address or body carries a stored value, or
// the part of it that tells visitors apart.
func sends(r *pc.Request, value string) bool {
	_, query, _ := strings.Cut(r.URL, "?")
	sent := query + "\n" + r.Body
	parts := strings.FieldsFunc(value, func(c rune) bool { return c == '.' || c == ':' || c == '|' || c == '%' })
	want := []string{value}
	for i, p := range parts {
		switch {
		case len(p) >= 12:
			want = append(want, p)
		case i > 0 && len(p) >= 8 && len(parts[i-1]) >= 8: // Google's is two numbers, and the second alone is a time
			want = append(want, parts[i-1]+"."+p)
		}
	}
	return says(sent, want...)
}

// indexIn reads the number of a reference such as "reject/storage/3".
func indexIn(r pc.Ref, s pc.Scenario, list string, below int) (int, bool) {
	var n int
	if !strings.HasPrefix(string(r), string(s)+"/"+list+"/") {
		return 0, false
	}
	_, err := fmt.Sscanf(string(r)[len(string(s)+"/"+list+"/"):], "%d", &n)
	return n, err == nil && n >= 0 && n < below
}

// memoryName in the name of what was stored at a choice says that it keeps it.
var memoryName = regexp.MustCompile(`(?i)cookie|consent|choice|prefer|privacy|gdpr|cwci|dewis`)

// shortDays is the memory of a refusal below which somebody should look: half of
// what the regulator names as a guideline.
const shortDays = 90

// shortMemory looks at all that the refusal stored or changed. Whatever of it
// lives longest may be the memory, so that has to be short; and something in it
// has to be known, or named, as keeping the choice.
func shortMemory(capt *pc.Capture, a *pc.Annotations, acted int64) (pc.Signal, bool) {
	longest, known := -1, false
	for i := range a.Storage {
		p := &a.Storage[i]
		k, ok := indexIn(p.Ref, capt.Scenario, "storage", len(capt.Storage))
		if !ok || p.Class == pc.ConditionalStatistics || p.Class.NonExempt() || p.Kind == pc.SessionStorage {
			continue
		}
		it := &capt.Storage[k]
		if !(it.First == pc.MarkAfter && it.At >= acted) && !slices.Contains(it.Changed, pc.MarkAfter) {
			continue
		}
		if it.Kind != pc.Cookie {
			return pc.Signal{}, false // without end
		}
		known = known || memoryName.MatchString(it.Name) || strings.Contains(p.Why, "the choice about cookies")
		if longest < 0 || it.Lifetime > capt.Storage[longest].Lifetime {
			longest = k
		}
	}
	// A lifetime is read some seconds after it began.
	if longest < 0 || !known || capt.Storage[longest].Lifetime >= shortDays*86400-3600 {
		return pc.Signal{}, false
	}
	it := &capt.Storage[longest]
	s := pc.Signal{Kind: pc.SignalShortMemory, Scenario: capt.Scenario, Phase: pc.PhaseReject, At: it.At, Host: it.Host, Class: pc.ExemptStrict,
		Claim: pc.Claim{Confidence: .85, Basis: "behaviour", Refs: []pc.Ref{pc.Ref(fmt.Sprintf("%s/storage/%d", capt.Scenario, longest))}}}
	s.Why = fmt.Sprintf("of what the refusal stored, %s lives longest: %.1f days", it.Name, float64(it.Lifetime)/86400)
	if it.Lifetime == 0 {
		s.Why = fmt.Sprintf("what the refusal stored, %s, ends with the browser", it.Name)
	}
	return s, true
}
