package classifier

import (
	"fmt"
	"regexp"
	"strings"

	pc "pecrawler"
)

// cloaks are hosts that names of sites are made aliases of so that a tracker's
// cookies are the site's own, by the vendors' public descriptions.
var cloaks = []hostEntry{
	{path: "eulerian.net", class: pc.NonExemptAdvertising, sub: "measurement", entity: "Eulerian"},
	{path: "dnsdelegation.io", class: pc.NonExemptAdvertising, sub: "targeting", entity: "Criteo"},
	{path: "wizaly.com", class: pc.NonExemptAdvertising, sub: "attribution", entity: "Wizaly"},
	{path: "keyade.com", class: pc.NonExemptAdvertising, sub: "attribution", entity: "Keyade"},
	{path: "affex.org", class: pc.NonExemptAdvertising, sub: "attribution", entity: "Ingenious"},
	{path: "intentmedia.net", class: pc.NonExemptAdvertising, sub: "targeting", entity: "Intent Media"},
	{path: "omtrdc.net", class: pc.Unknown, entity: "Adobe"},
	{path: "data.adobedc.net", class: pc.Unknown, entity: "Adobe"},
	{path: "at-o.net", class: pc.ConditionalStatistics, entity: "Piano"},
	{path: "pardot.com", class: pc.Unknown, entity: "Salesforce"},
	{path: "eloqua.com", class: pc.Unknown, entity: "Oracle"},
}

// alias tells whether a name of the site is an alias of a tracker's host.
func (s *sight) alias(host string) (hostEntry, bool) {
	for i := range s.capt.Hosts {
		h := &s.capt.Hosts[i]
		if !strings.EqualFold(h.Name, host) {
			continue
		}
		for _, cname := range h.CNAMEs {
			cname = strings.ToLower(strings.TrimSuffix(cname, "."))
			if siteOf(cname) == s.site {
				continue
			}
			for _, e := range cloaks {
				if cname == e.path || strings.HasSuffix(cname, "."+e.path) {
					return e, true
				}
			}
			if e, ok := s.c.host(cname, "/"); ok && (e.class.NonExempt() || e.class == pc.ConditionalStatistics) {
				return e, true
			}
		}
	}
	return hostEntry{}, false
}

// aliases finds names of the site under which a tracker is reached.
func aliases(s *sight) []pc.Signal {
	var out []pc.Signal
	seen := map[string]bool{}
	for i := range s.hits {
		h := &s.hits[i]
		if !h.other || siteOf(h.u.Hostname()) != s.site || seen[string(h.phase)+h.u.Hostname()] {
			continue
		}
		seen[string(h.phase)+h.u.Hostname()] = true
		e, _ := s.alias(h.u.Hostname())
		sig := s.signal(pc.SignalCNAME, h.phase, h.r.At, []pc.Ref{s.request(h.i)})
		sig.Basis, sig.Host, sig.Entity, sig.Class, sig.Confidence = "domain-list", h.u.Hostname(), e.entity, e.class, .9
		sig.Why = fmt.Sprintf("%s is a name of the site, but an alias of a host of %s", sig.Host, e.entity)
		out = append(out, sig)
	}
	return out
}

// clickID finds the identifier of an advertising click in an address.
var clickID = regexp.MustCompile(`[?&](gclid|dclid|wbraid|gbraid|fbclid|msclkid|ttclid|li_fat_id|twclid|ScCid|epik|rdt_cid)=([\w.-]{10,})`)

// clickIDs finds identifiers of advertising clicks that were taken from the
// page's address and kept. Where the address under test had one, a visitor need
// not: then only a human can tell.
func clickIDs(s *sight) []pc.Signal {
	var out []pc.Signal
	asked := ""
	if len(s.capt.Requests) > 0 {
		asked = s.capt.Requests[0].URL
	}
	for _, m := range clickID.FindAllStringSubmatch(s.capt.FinalURL, 5) {
		for i := range s.storage {
			it := &s.capt.Storage[i]
			if !strings.Contains(it.Value, m[2]) {
				continue
			}
			sig := s.signal(pc.SignalClickID, s.storage[i].Phase, it.At, []pc.Ref{s.item(i)})
			sig.Entity, sig.Class, sig.Confidence = s.storage[i].Entity, pc.NonExemptAdvertising, .9
			sig.Why = fmt.Sprintf("“%s” of the address, which names an advertising click, is kept as “%s”", m[1], it.Name)
			if strings.Contains(asked, m[2]) {
				sig.Class = pc.Unknown
				sig.Why += "; the address under test had it"
			}
			out = append(out, sig)
		}
	}
	return out
}

// serverSide finds hosts of the site that take what Google's tag sends: what the
// site's own server does with it is not seen.
func serverSide(s *sight) []pc.Signal {
	var out []pc.Signal
	seen := map[string]bool{}
	for i := range s.hits {
		h := &s.hits[i]
		q := h.u.Query()
		tid := q.Get("tid")
		if h.other || q.Get("v") != "2" || !strings.HasPrefix(tid, "G-") && !strings.HasPrefix(tid, "AW-") || !strings.HasSuffix(h.u.Path, "/collect") || seen[string(h.phase)+h.u.Host+h.u.Path] {
			continue
		}
		seen[string(h.phase)+h.u.Host+h.u.Path] = true
		sig := s.signal(pc.SignalServerSide, h.phase, h.r.At, []pc.Ref{s.request(h.i)})
		sig.Host, sig.Entity, sig.Confidence = h.u.Hostname(), "Google", .9
		sig.Why = fmt.Sprintf("%s%s is the site's own, and takes what Google's tag sends", sig.Host, h.u.Path)
		out = append(out, sig)
	}
	return out
}
