package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"

	pc "pecrawler"
)

type storageEntry struct {
	name   string
	prefix bool
	class  pc.Class
	sub    string
	entity string
	shape  *regexp.Regexp // nil: any
	what   string
}

type hostEntry struct {
	path   string
	class  pc.Class
	sub    string
	entity string
	what   string
}

// rows splits a list into its fields; dashes are empty.
func rows(name, text string, want int) ([][]string, error) {
	var out [][]string
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != want {
			return nil, fmt.Errorf("%s:%d: %d fields, want %d", name, n, len(f), want)
		}
		for i := range f {
			if f[i] == "-" {
				f[i] = ""
			}
		}
		out = append(out, f)
	}
	return out, nil
}

func validClass(c pc.Class) bool {
	return slices.Contains([]pc.Class{pc.ExemptTransmission, pc.ExemptStrict, pc.ConditionalStatistics, pc.ConditionalAppearance, pc.NonExemptAdvertising, pc.NonExemptOther, pc.Unknown}, c)
}

func (c *Classifier) readStorage(name, text string) error {
	rs, err := rows(name, text, 6)
	if err != nil {
		return err
	}
	for _, f := range rs {
		e := storageEntry{name: strings.TrimSuffix(f[0], "*"), prefix: strings.HasSuffix(f[0], "*"), class: pc.Class(f[1]), sub: f[2], entity: f[3], what: f[5]}
		if !validClass(e.class) {
			return fmt.Errorf("%s: %s: class %q is none of ours", name, f[0], f[1])
		}
		if f[4] != "" {
			if e.shape, err = regexp.Compile(f[4]); err != nil {
				return fmt.Errorf("%s: %s: %w", name, f[0], err)
			}
		}
		c.storage = append(c.storage, e)
	}
	// Exact names first, then the longest beginning.
	slices.SortStableFunc(c.storage, func(a, b storageEntry) int {
		if a.prefix != b.prefix {
			if b.prefix {
				return -1
			}
			return 1
		}
		return len(b.name) - len(a.name)
	})
	return nil
}

func (c *Classifier) readHosts(name, text string) error {
	rs, err := rows(name, text, 6)
	if err != nil {
		return err
	}
	for _, f := range rs {
		e := hostEntry{path: f[1], class: pc.Class(f[2]), sub: f[3], entity: f[4], what: f[5]}
		if !validClass(e.class) {
			return fmt.Errorf("%s: %s: class %q is none of ours", name, f[0], f[2])
		}
		c.hosts[f[0]] = append(c.hosts[f[0]], e)
	}
	return nil
}

// host looks up a host and path; the longest host and path win.
func (c *Classifier) host(host, path string) (hostEntry, bool) {
	for h := strings.ToLower(host); h != ""; {
		best, ok := hostEntry{}, false
		for _, e := range c.hosts[h] {
			if strings.HasPrefix(path, e.path) && (!ok || len(e.path) > len(best.path)) {
				best, ok = e, true
			}
		}
		if ok {
			return best, true
		}
		_, h, _ = strings.Cut(h, ".")
	}
	return hostEntry{}, false
}

// siteOf is the registrable domain of a host; the host itself when it has none.
func siteOf(host string) string {
	if s, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return s
	}
	return host
}

// optOut tells whether a value records that something is off.
func optOut(v string) bool {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "", "0", "no", "false", "off", "deny", "denied", "optout", "opt-out", "opt_out", "none", "rejected", "disabled":
		return true
	}
	return false
}

// identifier tells whether a value can tell visitors apart: long enough, and
// not one of the few values that many would share.
func identifier(v string) bool {
	if len(v) < 10 || len(v) > 2000 || strings.ContainsAny(v, "{[ ") {
		return false
	}
	digits, letters, distinct := 0, 0, map[rune]bool{}
	for _, r := range v {
		distinct[r] = true
		if unicode.IsDigit(r) {
			digits++
		} else if unicode.IsLetter(r) {
			letters++
		}
	}
	return len(distinct) >= 6 && (digits >= 4 || letters >= 16)
}

func (c *Classifier) storagePurposes(capt *pc.Capture) []pc.Purpose {
	site := ""
	if u, err := url.Parse(capt.FinalURL); err == nil {
		site = siteOf(u.Hostname())
	}
	out := make([]pc.Purpose, 0, len(capt.Storage))
	for i := range capt.Storage {
		it := &capt.Storage[i]
		p := c.Storage(site, it)
		p.Ref = pc.Ref(fmt.Sprintf("%s/storage/%d", capt.Scenario, i))
		p.CarriesID = identifier(it.Value)
		p.Scenario, p.Phase, p.Refs = capt.Scenario, capt.PhaseAt(it.At), []pc.Ref{p.Ref}
		if it.First == pc.MarkSettled {
			p.Phase = pc.PhaseBefore // the checkpoint closes before the press
		}
		if it.Request >= 0 {
			p.Refs = append(p.Refs, pc.Ref(fmt.Sprintf("%s/requests/%d", capt.Scenario, it.Request)))
		}
		out = append(out, p)
	}
	return out
}

// Storage gives the opinion about one stored item on a site, which is a
// registrable domain.
func (c *Classifier) Storage(site string, it *pc.StorageItem) pc.Purpose {
	return c.storageOf(site, it, true)
}

// StorageRow is [Classifier.Storage] for an item that was written down, perhaps
// without its value, on a site that may be named by any of its hosts.
func (c *Classifier) StorageRow(site string, it *pc.StorageItem, valued bool) pc.Purpose {
	return c.storageOf(siteOf(site), it, valued)
}

func (c *Classifier) storageOf(site string, it *pc.StorageItem, valued bool) pc.Purpose {
	p := pc.Purpose{Kind: it.Kind, Host: it.Host, Name: it.Name, Class: pc.Unknown, Claim: pc.Claim{Basis: "none", Why: "no list knows this name, and nothing else tells its purpose"}}
	other := siteOf(it.Host) != site
	for i := range c.storage {
		e := &c.storage[i]
		if it.Name != e.name && !(e.prefix && strings.HasPrefix(it.Name, e.name)) {
			continue
		}
		if other && e.entity == "" && e.class.Exempt() {
			// Many use the name; what a site needs is not told by what another party calls its own.
			p.Why = fmt.Sprintf("the name is that of “%s”, but it is another party's", e.what)
			break
		}
		advert := e.class.NonExempt()
		switch {
		case advert && valued && optOut(it.Value):
			p.Entity = e.entity
			p.Claim = pc.Claim{Confidence: .6, Basis: "name-list", Why: fmt.Sprintf("the name is that of “%s”, but its value says that it is off", e.what)}
		case advert && valued && e.shape != nil && !e.shape.MatchString(it.Value):
			p.Class, p.Sub, p.Entity = e.class, e.sub, e.entity
			p.Claim = pc.Claim{Confidence: .6, Basis: "name-list", Why: fmt.Sprintf("the name is that of “%s”, but its value has not the shape that is usual there", e.what)}
		default:
			p.Class, p.Sub, p.Entity = e.class, e.sub, e.entity
			conf, why := .97, fmt.Sprintf("the name is that of “%s”", e.what)
			switch {
			case !valued && e.shape != nil:
				conf, why = .9, why+"; its value is not known"
			case e.shape != nil:
				conf, why = .99, why+" and its value has the usual shape"
			}
			if e.class == pc.Unknown { // that it is known does not tell what it is for
				conf = 0
			}
			if e.class == pc.ExemptStrict && other {
				conf, why = .7, why+", though it is another party's"
			}
			p.Claim = pc.Claim{Confidence: conf, Basis: "name-list", Why: why}
		}
		return p
	}
	if e, ok := c.host(it.Host, "/"); ok && other {
		p.Entity = e.entity
		if e.class.NonExempt() && it.Kind == pc.Cookie && identifier(it.Value) && (it.Lifetime > 24*3600) {
			p.Class, p.Sub = e.class, e.sub
			p.Claim = pc.Claim{Confidence: .9, Basis: "domain-list", Why: fmt.Sprintf("its host belongs to %s (%s), its value can tell visitors apart, and it is kept for %d days", e.entity, e.what, it.Lifetime/86400)}
			if e.class == pc.NonExemptAdvertising && !c.advertises(it) {
				return unnamed(p)
			}
			return p
		}
		p.Why = fmt.Sprintf("its host belongs to %s, but nothing tells the purpose of this item", e.entity)
	}
	return c.ofTables(p, it, other, valued)
}

// idParam finds query parameters and fields that carry an identifier of the
// visitor by the vendors' own descriptions. It is constant.
var idParam = regexp.MustCompile(`(?:^|[?&;"{,])"?(?:fbp|fbc|cid|uid|uuid|vid|mid|sid|ttp|external_id|user_id|client_id|anonymous_id|visitor_id|_fbp|dl_fbp|auid|gclaw|li_fat_id|ttclid|fbclid|gclid|msclkid)"?[=:]"?([\w.%-]{8,})`)

func (c *Classifier) requestPurposes(capt *pc.Capture) []pc.Purpose {
	site := ""
	if u, err := url.Parse(capt.FinalURL); err == nil {
		site = siteOf(u.Hostname())
	}
	var ids []string // stored values that can tell visitors apart
	for _, it := range capt.Storage {
		if identifier(it.Value) && len(ids) < 200 {
			ids = append(ids, it.Value)
		}
	}
	out := []pc.Purpose{}
	for i := range capt.Requests {
		r := &capt.Requests[i]
		u, err := url.Parse(r.URL)
		if err != nil || u.Hostname() == "" || r.Type == "Document" && r.Initiator == "" {
			continue
		}
		third := siteOf(u.Hostname()) != site
		e, known := c.host(u.Hostname(), u.Path)
		if !third && !known {
			continue
		}
		p := pc.Purpose{Ref: pc.Ref(fmt.Sprintf("%s/requests/%d", capt.Scenario, i)), Scenario: capt.Scenario, Phase: capt.PhaseAt(r.At), Host: u.Hostname(), Class: pc.Unknown,
			Claim: pc.Claim{Basis: "none", Why: "no list knows this host"}}
		p.Refs = []pc.Ref{p.Ref}
		if known {
			p.Class, p.Sub, p.Entity = e.class, e.sub, e.entity
			p.Claim = pc.Claim{Confidence: .95, Basis: "domain-list", Why: fmt.Sprintf("the address belongs to %s: %s", e.entity, e.what), Refs: p.Refs}
			if e.class == pc.Unknown {
				p.Confidence = 0
			}
		}
		if o, ok := c.ownerOf(u.Hostname()); ok && !known {
			p.Entity = o.entity
			p.Why = fmt.Sprintf("its host belongs to %s (%s, by third-party-web), which does not tell what the request is for", o.entity, o.kind)
		}
		p.CarriesID = carriesID(r, ids)
		if state, ok := consentMode(u); ok && state == "denied" && p.Class.NonExempt() && !p.CarriesID {
			p.Class = pc.Unknown
			p.Claim = pc.Claim{Basis: "behaviour", Why: "the tag says that consent is denied, and the request carries no identifier", Refs: p.Refs}
		}
		if p.Class == pc.ConditionalStatistics && p.CarriesID && passing(r, u, ids) {
			p.CarriesID = false
			p.Why += "; it says that statistics are denied, and its client number is kept nowhere"
		}
		if r.Status == 0 && r.Failed != "" && p.Class != pc.Unknown {
			p.Confidence = min(p.Confidence, .6)
			p.Why += "; but the request failed: " + r.Failed
		}
		out = append(out, p)
	}
	return out
}

// carriesID tells whether a request sends or brings an identifier.
func carriesID(r *pc.Request, ids []string) bool {
	sent := r.URL
	if _, q, ok := strings.Cut(r.URL, "?"); ok {
		sent = "?" + q
	}
	sent += "\n" + r.Body
	if m := idParam.FindStringSubmatch(sent); m != nil && identifier(strings.ReplaceAll(m[1], "%", "")) {
		return true
	}
	plain, err := url.QueryUnescape(sent)
	if err != nil {
		plain = sent
	}
	for _, id := range ids {
		if strings.Contains(plain, id) {
			return true
		}
	}
	for _, sc := range r.SetCookies {
		_, v, _ := strings.Cut(sc.Line, "=")
		v, _, _ = strings.Cut(v, ";")
		if len(sc.Blocked) == 0 && identifier(v) {
			return true
		}
	}
	return len(r.CookiesOut) > 0
}

// passing tells of a hit of Google's tag that says statistics are denied: its
// client number is made anew for each page, unless it is stored after all.
func passing(r *pc.Request, u *url.URL, ids []string) bool {
	q := u.Query()
	g, cid := q.Get("gcs"), q.Get("cid")
	return len(g) == 4 && g[:2] == "G1" && g[3] == '0' && len(r.CookiesOut) == 0 && len(r.SetCookies) == 0 &&
		!slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(id, cid) && cid != "" })
}

// consentMode reads Google's consent state from an address: granted or denied
// for advertising storage.
func consentMode(u *url.URL) (string, bool) {
	g := u.Query().Get("gcs")
	if len(g) < 4 || !strings.HasPrefix(g, "G1") {
		return "", false
	}
	if g[2] == '1' {
		return "granted", true
	}
	return "denied", true
}
