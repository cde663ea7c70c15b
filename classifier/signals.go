package classifier

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// signals finds, in one capture, behaviour that more than one fact shows. The
// purposes of its items have been formed by then. The other captures of the
// visit were made with fresh profiles: what is the same in them tells no
// visitors apart.
func (c *Classifier) signals(capt *pc.Capture, all map[pc.Scenario]*pc.Capture, a *pc.Annotations) []pc.Signal {
	s := c.look(capt, all, a)
	var out []pc.Signal
	for _, detect := range []func(*sight) []pc.Signal{idSync, visitorIDs, statisticsLinked, consentPings, replays, fingerprints, embeds, aliases, clickIDs, serverSide} {
		out = append(out, detect(s)...)
	}
	slices.SortStableFunc(out, func(a, b pc.Signal) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Kind, b.Kind)) })
	return out
}

// sight is a capture as the detectors look at it.
type sight struct {
	c        *Classifier
	capt     *pc.Capture
	site     string
	storage  []pc.Purpose        // by the index of the item
	requests map[int]*pc.Purpose // by the index of the request; those that were classified
	hits     []hit
	compared bool                // with another fresh profile
	numbers  map[string][]number // what was stored that can tell visitors apart, by what a request would carry
}

// hit is a request that left the device and is no part of showing the page.
type hit struct {
	i      int
	r      *pc.Request
	u      *url.URL
	phase  pc.Phase
	party  string // who gets it, see party
	other  bool   // than the site
	class  pc.Class
	tokens []string // what its address and body carry
}

// number is a stored value that can tell visitors apart.
type number struct {
	item  int
	owner string // who keeps it: a party; "" is the site
}

func (c *Classifier) look(capt *pc.Capture, all map[pc.Scenario]*pc.Capture, a *pc.Annotations) *sight {
	s := &sight{c: c, capt: capt, requests: map[int]*pc.Purpose{}, numbers: map[string][]number{}}
	if u, err := url.Parse(capt.FinalURL); err == nil {
		s.site = siteOf(u.Hostname())
	}
	for _, p := range a.Storage {
		if p.Scenario == capt.Scenario {
			s.storage = append(s.storage, p)
		}
	}
	for i := range a.Requests {
		var n int
		if p := &a.Requests[i]; p.Scenario == capt.Scenario {
			if _, err := fmt.Sscanf(string(p.Ref), string(capt.Scenario)+"/requests/%d", &n); err == nil {
				s.requests[n] = p
			}
		}
	}
	s.findNumbers(all)
	for i := range capt.Requests {
		r := &capt.Requests[i]
		u, err := url.Parse(r.URL)
		if err != nil || u.Hostname() == "" || r.PreflightOf != nil || r.From != "" || r.Status == 0 && r.Failed != "" {
			continue // what was not sent told nobody anything
		}
		h := hit{i: i, r: r, u: u, phase: capt.PhaseAt(r.At)}
		h.party, h.other, h.class = s.party(u.Hostname(), u.Path)
		if p := s.requests[i]; p != nil && p.Confidence >= .8 {
			h.class = p.Class
		} else if p != nil {
			h.class = pc.Unknown
		}
		h.tokens = tokens(r)
		s.hits = append(s.hits, h)
	}
	return s
}

// party tells who gets what is sent to a host: a company where the lists know
// it, else the registrable domain. A name of the site that is an alias of an
// advertising network's is that network's.
func (s *sight) party(host, path string) (name string, other bool, class pc.Class) {
	e, known := s.c.host(host, path)
	if siteOf(host) == s.site {
		if e, known = s.alias(host); !known {
			return "", false, pc.Unknown
		}
	}
	if !known {
		return siteOf(host), true, pc.Unknown
	}
	return group(e.entity, host), true, e.class
}

// group names a company so that two of its services are not taken for two parties.
func group(entity, host string) string {
	first, _, _ := strings.Cut(entity, " ")
	switch first {
	case "":
		return siteOf(host)
	case "Google", "Meta", "Microsoft", "Amazon", "Adobe":
		return first
	}
	return entity
}

func (s *sight) request(i int) pc.Ref {
	return pc.Ref(fmt.Sprintf("%s/requests/%d", s.capt.Scenario, i))
}
func (s *sight) item(i int) pc.Ref {
	return pc.Ref(fmt.Sprintf("%s/storage/%d", s.capt.Scenario, i))
}

// most bounds the references of a signal: a chain of thousands says no more than one of twenty.
const most = 20

func (s *sight) signal(kind pc.SignalKind, phase pc.Phase, at int64, refs []pc.Ref) pc.Signal {
	var once []pc.Ref
	for _, r := range refs {
		if !slices.Contains(once, r) && len(once) < most {
			once = append(once, r)
		}
	}
	return pc.Signal{Kind: kind, Scenario: s.capt.Scenario, Phase: phase, At: at, Class: pc.Unknown, Claim: pc.Claim{Basis: "behaviour", Refs: once}}
}

// keptLong is from when on an identifier outlives a visit.
const keptLong = 24 * 3600

// consentName finds items that hold a choice: many parties are told of it, lawfully.
var consentName = regexp.MustCompile(`(?i)consent|gdpr|tcf|tcstring|us_?privacy|gpp|optanon|ccpa|cmp|didomi|cookie.?(choice|pref|poli|banner|law)`)

// visitName finds items that hold the number of a visit or of one view of a page,
// wherever they are kept.
var visitName = regexp.MustCompile(`(?i)(^|[^a-z])sess(ion)?([^a-z]|$)|session_?id|page_?view|transaction|auction`)

// consentString finds what the interfaces for consent hand on.
var consentString = regexp.MustCompile(`^(C[O-Z][\w-]{20,}(\.[\w-]+)*|DB[\w-]{3,}~.*|1[YN-]{3})$`)

// findNumbers collects what is stored for longer than the visit and can tell visitors apart.
func (s *sight) findNumbers(all map[pc.Scenario]*pc.Capture) {
	same := map[string]bool{}
	for name, o := range all {
		if o == nil || o == s.capt || name == s.capt.Scenario {
			continue
		}
		s.compared = s.compared || o.Load.OK()
		for i := range o.Storage {
			for _, p := range pieces(o.Storage[i].Value) {
				same[p] = true
			}
		}
	}
	for i := range s.capt.Storage {
		it := &s.capt.Storage[i]
		if i >= len(s.storage) || s.storage[i].Class.Exempt() || consentName.MatchString(it.Name) || visitName.MatchString(it.Name) || len(s.numbers) > 2000 {
			continue
		}
		if it.Kind == pc.SessionStorage || it.Kind == pc.CacheStorage || it.Kind == pc.Cookie && it.Lifetime < keptLong {
			continue // the number of a visit, not of a visitor
		}
		owner, other, _ := s.party(it.Host, "/")
		if !other {
			owner = ""
		}
		for _, p := range pieces(it.Value) {
			if !same[p] && !strings.Contains(s.capt.FinalURL, p) && len(s.numbers[p]) < most {
				s.numbers[p] = append(s.numbers[p], number{i, owner})
			}
		}
	}
}

// pieces are the parts of a stored value that would be sent as an identifier:
// the whole, and of what is put together (JSON, dots as in GA1.1.123.456) the
// parts.
func pieces(value string) []string {
	if len(value) > 4096 {
		value = value[:4096]
	}
	var out []string
	add := func(p string) {
		if telling(p) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	add(value)
	for _, t := range split(value) {
		add(t)
		for rest := t; ; {
			var ok bool
			if _, rest, ok = strings.Cut(rest, "."); !ok {
				break
			}
			add(rest)
		}
		for part := range strings.SplitSeq(t, ".") {
			add(part)
		}
	}
	return out
}

// Times, dates and versions are no identifiers, though they have the digits.
var (
	when    = regexp.MustCompile(`^[a-z]?1[5-9]\d{8}(\d{3}|\d{6})?(\.\d{1,6})?$|^20\d\d-?\d\d`)
	numeric = regexp.MustCompile(`^[\d.]+$`)
	long    = regexp.MustCompile(`\d{9}`)
)

// telling tells whether a part of a value can tell visitors apart.
func telling(p string) bool {
	if !identifier(p) || consentString.MatchString(p) || when.MatchString(p) || strings.Contains(p, "://") || numeric.MatchString(p) && !long.MatchString(p) {
		return false
	}
	digits := 0
	for _, r := range p {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	return digits >= 3 // words have none
}

// split cuts a text, and what it says percent-encoded, into what could be identifiers.
func split(text string) []string {
	out := fields(text)
	for range 2 {
		plain, err := url.QueryUnescape(text)
		if err != nil || plain == text {
			break
		}
		text = plain
		out = append(out, fields(text)...)
	}
	return out
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-_.~", r))
	})
}

// address finds the addresses in a body: monitoring reports what the page loaded,
// and with the addresses what others were sent. That tells, but matches nothing.
var address = regexp.MustCompile(`https?:(\\?/){2}[^\s"'<>]+`)

// tokens are what a request carries that could be an identifier.
func tokens(r *pc.Request) []string {
	_, path, ok := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(r.URL, "https://"), "http://"), "/")
	if !ok {
		path = ""
	}
	var out []string
	for _, t := range split(path + "\n" + address.ReplaceAllString(r.Body, " ")) {
		if len(t) >= 10 {
			out = append(out, t)
		}
	}
	return out
}

// phases are those of the capture, in the order in which they can come.
var phases = []pc.Phase{pc.PhaseBefore, pc.PhaseReject, pc.PhaseAccept, pc.PhaseWithdraw}

// named joins names for a sentence.
func named(names map[string]bool) string {
	list := sortedKeys(names)
	if len(list) > 6 {
		list = append(list[:6], fmt.Sprintf("%d more", len(list)-6))
	}
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
