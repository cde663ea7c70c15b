package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// told is who was told a number, and by which requests.
type told struct {
	parties map[string]bool
	ads     map[string]bool // of these: advertising networks
	sent    bool            // to somebody else than who keeps it
	refs    []pc.Ref
	kept    []pc.Ref
	at      int64
}

func (t *told) by(party string, class pc.Class) {
	t.parties[party] = true
	if class == pc.NonExemptAdvertising {
		t.ads[party] = true
	}
}

// idSync finds identifiers that two parties or more hold: who keeps one and
// those whom it is sent to. The site itself is none of them.
func idSync(s *sight) []pc.Signal {
	var out []pc.Signal
	for _, phase := range phases {
		by := map[string]*told{}
		for i := range s.hits {
			h := &s.hits[i]
			if h.phase != phase || !h.other || h.r.Type == "Document" {
				continue // a login leads through other sites by documents
			}
			for _, tok := range h.tokens {
				for _, n := range s.numbers[tok] {
					t := by[tok]
					if t == nil {
						t = &told{parties: map[string]bool{}, ads: map[string]bool{}}
						by[tok] = t
					}
					if n.owner != "" {
						t.by(n.owner, s.ownerClass(n))
					}
					t.by(h.party, h.class)
					t.sent = t.sent || h.party != n.owner
					t.refs = append(t.refs, s.request(h.i))
					t.kept = append(t.kept, s.item(n.item))
					t.at = max(t.at, h.r.At)
				}
			}
		}
		out = append(out, s.synced(phase, by)...)
		out = append(out, s.handedOn(phase, out)...)
	}
	return out
}

// ownerClass is the purpose of a number to who keeps it: that of the item, or,
// where its name does not tell it, that of the company's business.
func (s *sight) ownerClass(n number) pc.Class {
	if p := s.storage[n.item]; p.Confidence >= .8 && p.Class != pc.NonExemptOther {
		return p.Class
	}
	_, _, class := s.party(s.capt.Storage[n.item].Host, "/")
	return class
}

// synced makes one signal for all numbers that the same parties hold.
func (s *sight) synced(phase pc.Phase, by map[string]*told) []pc.Signal {
	groups := map[string]*told{}
	var order []string
	for _, tok := range sortedKeys(by) {
		t := by[tok]
		if len(t.parties) < 2 || !t.sent {
			continue
		}
		key := named(t.parties)
		if g := groups[key]; g != nil {
			g.refs, g.kept, g.at = append(g.refs, t.refs...), append(g.kept, t.kept...), max(g.at, t.at)
			continue
		}
		groups[key] = t
		order = append(order, key)
	}
	var out []pc.Signal
	for _, key := range order {
		t := groups[key]
		sig := s.signal(pc.SignalIDSync, phase, t.at, slices.Concat(t.refs, t.kept))
		sig.Entity = key
		switch len(t.ads) {
		case 0:
			sig.Confidence, sig.Why = .5, fmt.Sprintf("%s hold the same stored identifier, but none of them is known to advertise", key)
		case 1:
			sig.Class, sig.Confidence = pc.NonExemptAdvertising, .6
			sig.Why = fmt.Sprintf("%s hold the same stored identifier, and %s advertises", key, named(t.ads))
		default:
			sig.Class, sig.Confidence = pc.NonExemptAdvertising, .95
			sig.Why = fmt.Sprintf("%s hold the same stored identifier of this visitor, and they advertise", key)
		}
		if !s.compared && sig.Confidence > .7 {
			sig.Confidence = .7
			sig.Why += "; there was no other visit to see whether it is the same for everybody"
		}
		out = append(out, sig)
	}
	return out
}

// handedOn finds redirects by which one advertising network hands another an
// identifier that was not there before: nothing had to be stored for that, so it
// is held with less confidence.
func (s *sight) handedOn(phase pc.Phase, sure []pc.Signal) []pc.Signal {
	at := map[int]*hit{}
	for i := range s.hits {
		at[s.hits[i].i] = &s.hits[i]
	}
	var out []pc.Signal
	for i := range s.hits {
		to := &s.hits[i]
		from := at[to.r.RedirectOf]
		if to.phase != phase || from == nil || to.r.Type == "Document" || from.party == to.party || from.class != pc.NonExemptAdvertising || to.class != pc.NonExemptAdvertising {
			continue
		}
		if slices.ContainsFunc(sure, func(o pc.Signal) bool { return slices.Contains(o.Refs, s.request(to.i)) }) {
			continue
		}
		if slices.ContainsFunc(to.tokens, func(t string) bool { return telling(t) && !slices.Contains(from.tokens, t) }) {
			sig := s.signal(pc.SignalIDSync, phase, to.r.At, []pc.Ref{s.request(to.i), s.request(from.i)})
			sig.Host, sig.Class, sig.Confidence = to.u.Hostname(), pc.NonExemptAdvertising, .6
			sig.Entity = named(map[string]bool{from.party: true, to.party: true})
			sig.Why = fmt.Sprintf("%s redirects to %s and adds what looks like an identifier; neither was seen to store it", from.party, to.party)
			out = append(out, sig)
		}
	}
	return out
}

// visitorLong is from when on an identifier of statistics is one of months.
const visitorLong = 30 * 24 * 3600

// visitorIDs finds identifiers of the visitor that statistics keep for long, and
// tells whether another party gets them with what the visitor does.
func visitorIDs(s *sight) []pc.Signal {
	var out []pc.Signal
	for _, phase := range phases {
		type use struct {
			refs, own []pc.Ref
			to        map[string]bool
			host      string
			at        int64
		}
		uses := map[int]*use{}
		of := func(i int) *use {
			if uses[i] == nil {
				uses[i] = &use{to: map[string]bool{}}
			}
			return uses[i]
		}
		long := func(i int) bool {
			it := &s.capt.Storage[i]
			return s.storage[i].Class == pc.ConditionalStatistics && (it.Lifetime >= visitorLong || it.Kind == pc.LocalStorage || it.Kind == pc.IndexedDB)
		}
		for k := range s.hits {
			h := &s.hits[k]
			if h.phase != phase {
				continue
			}
			for _, tok := range h.tokens {
				for _, n := range s.numbers[tok] {
					if !long(n.item) {
						continue
					}
					u := of(n.item)
					u.at = max(u.at, h.r.At)
					if h.other {
						u.refs, u.host = append(u.refs, s.request(h.i)), h.u.Hostname()
						u.to[h.party] = true
					} else {
						u.own = append(u.own, s.request(h.i))
					}
				}
			}
		}
		for i := range s.storage { // a cookie of the other party's own goes there with every hit
			it := &s.capt.Storage[i]
			if s.storage[i].Phase != phase || it.Kind != pc.Cookie || !long(i) || len(pieces(it.Value)) == 0 || it.Request < 0 {
				continue
			}
			if party, other, _ := s.party(it.Host, "/"); other {
				u := of(i)
				u.refs, u.host, u.at = append(u.refs, s.request(it.Request)), it.Host, max(u.at, it.At)
				u.to[party] = true
			}
		}
		for _, i := range sortedKeys(uses) {
			u, it := uses[i], &s.capt.Storage[i]
			sig := s.signal(pc.SignalVisitorID, phase, u.at, slices.Concat(u.refs, []pc.Ref{s.item(i)}, u.own))
			sig.Entity, sig.Host = s.storage[i].Entity, u.host
			kept := "without end"
			if it.Lifetime > 0 {
				kept = fmt.Sprintf("for %d days", it.Lifetime/86400)
			}
			if len(u.to) > 0 {
				sig.Class, sig.Confidence = pc.NonExemptOther, .85
				sig.Why = fmt.Sprintf("“%s” is kept %s as the visitor's number for statistics, and %s gets it with what the visitor does", it.Name, kept, named(u.to))
			} else {
				sig.Class, sig.Confidence = pc.ConditionalStatistics, .8
				sig.Why = fmt.Sprintf("“%s” is kept %s as the visitor's number for statistics; only the site itself gets it", it.Name, kept)
			}
			out = append(out, sig)
		}
	}
	return out
}

// linkPath finds the addresses at which Google Analytics tells Google's
// advertising of a visitor.
func linkPath(u *url.URL) bool {
	h := u.Hostname()
	return h == "stats.g.doubleclick.net" && strings.Contains(u.Path, "/collect") || strings.HasPrefix(siteOf(h), "google.") && strings.HasPrefix(u.Path, "/ads/ga-audiences")
}

// visitorParam finds the parameters and fields in which statistics tools send
// the visitor's number.
var visitorParam = regexp.MustCompile(`(?:^|[?&;"{,])"?(?:cid|_id|uid|uuid|vid|mid|client_id|clientId|user_id|anonymous_id|anonymousId|visitor_id|visitorId|distinct_id|device_id)"?[=:]"?([\w.%-]{8,})`)

// adParam finds identifiers of advertising clicks and cookies.
var adParam = regexp.MustCompile(`(?:^|[?&;"{,])"?(?:gclid|dclid|wbraid|gbraid|fbclid|msclkid|ttclid|li_fat_id|gclaw|fbp|_fbp|fbc|auid)"?[=:]"?([\w.%-]{10,})`)

// statisticsLinked finds statistics hits that are joined with advertising: the
// same number goes to both, or a hit carries an identifier of advertising.
func statisticsLinked(s *sight) []pc.Signal {
	var out []pc.Signal
	for _, phase := range phases {
		var stats, ads []*hit
		toAds := map[string]*hit{} // by what they carry
		for i := range s.hits {
			h := &s.hits[i]
			if h.phase != phase {
				continue
			}
			switch h.class {
			case pc.ConditionalStatistics:
				stats = append(stats, h)
			case pc.NonExemptAdvertising:
				ads = append(ads, h)
			default:
				if linkPath(h.u) {
					ads = append(ads, h)
				}
			}
		}
		for _, a := range ads {
			for _, tok := range a.tokens {
				if toAds[tok] == nil {
					toAds[tok] = a
				}
			}
		}
		add := func(conf float64, why string, to *hit, others ...*hit) {
			refs, at := []pc.Ref{s.request(to.i)}, to.r.At
			for _, o := range others {
				refs, at = append(refs, s.request(o.i)), max(at, o.r.At)
			}
			sig := s.signal(pc.SignalStatLinked, phase, at, refs)
			sig.Host, sig.Entity, sig.Class, sig.Confidence, sig.Why = to.u.Hostname(), to.party, pc.NonExemptAdvertising, conf, why
			out = append(out, sig)
		}
		for _, h := range stats {
			sent := sentText(h.r)
			for _, m := range visitorParam.FindAllStringSubmatch(sent, 20) {
				id, err := url.QueryUnescape(m[1])
				if err != nil || !identifier(id) || when.MatchString(id) {
					continue
				}
				if ad := toAds[id]; ad != nil {
					add(.9, fmt.Sprintf("the visitor's number in a statistics hit to %s is also sent to %s, which advertises", h.u.Hostname(), ad.u.Hostname()), ad, h)
					break
				}
			}
			if m := adParam.FindStringSubmatch(sent); m != nil && telling(m[1]) {
				add(.9, fmt.Sprintf("a statistics hit to %s carries an identifier of advertising", h.u.Hostname()), h)
				continue
			}
			for _, tok := range h.tokens {
				if i := slices.IndexFunc(s.numbers[tok], func(n number) bool {
					return s.ownerClass(n) == pc.NonExemptAdvertising && s.storage[n.item].Confidence >= .8
				}); i >= 0 {
					add(.9, fmt.Sprintf("a statistics hit to %s carries an identifier that is stored for advertising", h.u.Hostname()), h)
					out[len(out)-1].Refs = append(out[len(out)-1].Refs, s.item(s.numbers[tok][i].item))
					break
				}
			}
		}
		for _, a := range ads {
			if linkPath(a.u) && !slices.ContainsFunc(out, func(o pc.Signal) bool { return slices.Contains(o.Refs, s.request(a.i)) }) {
				if state, ok := consentMode(a.u); ok && state == "denied" {
					continue
				}
				add(.9, fmt.Sprintf("%s is where the statistics tool tells the same company's advertising of the visitor", a.u.Hostname()), a)
			}
		}
	}
	return out
}

// deniedPing reads from an address whether the tag says that consent is denied
// for what the address serves.
func deniedPing(u *url.URL, class pc.Class) bool {
	q := u.Query()
	if g := q.Get("gcs"); len(g) >= 4 && strings.HasPrefix(g, "G1") {
		if class == pc.ConditionalStatistics {
			return g[3] == '0'
		}
		return g[2] == '0'
	}
	return siteOf(u.Hostname()) == "bing.com" && strings.EqualFold(q.Get("asc"), "D")
}

// consentPings finds tags that report while they say that consent is denied. A
// report that carries a kept identifier all the same is more than a report.
func consentPings(s *sight) []pc.Signal {
	type ping struct {
		refs, carry []pc.Ref
		what        string
		party       string
		at          int64
	}
	var out []pc.Signal
	for _, phase := range phases {
		pings := map[string]*ping{}
		for i := range s.hits {
			h := &s.hits[i]
			class := h.class
			if e, ok := s.c.host(h.u.Hostname(), h.u.Path); ok {
				class = e.class // the purpose of the request was doubted because of the ping
			}
			if h.phase != phase || !h.other || !deniedPing(h.u, class) {
				continue
			}
			p := pings[h.u.Hostname()]
			if p == nil {
				p = &ping{party: h.party}
				pings[h.u.Hostname()] = p
			}
			p.at = max(p.at, h.r.At)
			p.refs = append(p.refs, s.request(h.i))
			if len(h.r.CookiesOut) > 0 {
				p.carry, p.what = append(p.carry, s.request(h.i)), "cookies"
			}
			for _, tok := range h.tokens {
				for _, n := range s.numbers[tok] {
					p.carry, p.what = append(p.carry, s.request(h.i), s.item(n.item)), fmt.Sprintf("the stored “%s”", s.capt.Storage[n.item].Name)
				}
			}
		}
		for _, host := range sortedKeys(pings) {
			p := pings[host]
			sig := s.signal(pc.SignalConsentPing, phase, p.at, slices.Concat(p.carry, p.refs))
			sig.Host, sig.Entity, sig.Confidence = host, p.party, .95
			sig.Why = fmt.Sprintf("a tag tells %s that consent is denied; no kept identifier goes with it", host)
			if len(p.carry) > 0 {
				sig.Class, sig.Confidence = pc.NonExemptOther, .9
				sig.Why = fmt.Sprintf("a tag tells %s that consent is denied, and sends %s with it all the same", host, p.what)
			}
			out = append(out, sig)
		}
	}
	return out
}

// sentText is what a request says, for patterns of parameters and fields.
func sentText(r *pc.Request) string {
	_, q, _ := strings.Cut(r.URL, "?")
	return "?" + q + "\n" + r.Body
}
