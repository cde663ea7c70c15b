package classifier

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
)

// platform is another party's content that pages hold in a frame.
type platform struct {
	host    string // also its subdomains
	path    string // beginning of it
	what    string
	private *regexp.Regexp // of the address: the mode that promises to store less; nil: there is none
}

// platforms are from the vendors' public descriptions.
var platforms = []platform{
	{"youtube-nocookie.com", "/embed", "video", regexp.MustCompile(`.`)},
	{"youtube.com", "/embed", "video", nil},
	{"player.vimeo.com", "/video", "video", regexp.MustCompile(`[?&]dnt=(1|true)`)},
	{"dailymotion.com", "/", "video", nil},
	{"players.brightcove.net", "/", "video", nil},
	{"fast.wistia.net", "/embed", "video", regexp.MustCompile(`doNotTrack=true`)},
	{"player.twitch.tv", "/", "video", nil},
	{"tiktok.com", "/embed", "post", nil},
	{"open.spotify.com", "/embed", "player", nil},
	{"w.soundcloud.com", "/player", "player", nil},
	{"embed.podcasts.apple.com", "/", "player", nil},
	{"google.com", "/maps", "map", nil},
	{"google.co.uk", "/maps", "map", nil},
	{"maps.google.com", "/", "map", nil},
	{"openstreetmap.org", "/export/embed", "map", nil},
	{"bing.com", "/maps/embed", "map", nil},
	{"facebook.com", "/plugins", "post", nil},
	{"instagram.com", "/", "post", nil},
	{"platform.twitter.com", "/", "post", nil},
	{"platform.x.com", "/", "post", nil},
	{"linkedin.com", "/embed", "post", nil},
	{"assets.pinterest.com", "/", "post", nil},
	{"reddit.com", "/", "post", nil},
}

func platformOf(u *url.URL) *platform {
	host := strings.ToLower(u.Hostname())
	for i := range platforms {
		p := &platforms[i]
		if (host == p.host || strings.HasSuffix(host, "."+p.host)) && strings.HasPrefix(u.Path, p.path) {
			return p
		}
	}
	return nil
}

// embeds finds frames with a video, map or post of another party that stored
// something. Class is nonexempt-other where an identifier was stored for long,
// and unknown where it was anything less or the private mode was used.
func embeds(s *sight) []pc.Signal {
	var out []pc.Signal
	seen := map[string]bool{}
	for k := range s.hits {
		h := &s.hits[k]
		p := platformOf(h.u)
		if p == nil || h.r.Type != "Document" || !h.other || siteOf(h.u.Hostname()) == s.site || seen[string(h.phase)+h.u.Hostname()] {
			continue
		}
		var refs []pc.Ref
		var names []string
		at, strongest := h.r.At, false
		for i := range s.storage {
			it := &s.capt.Storage[i]
			if s.storage[i].Phase != h.phase || !s.embedded(h, it) || s.storage[i].Class.Exempt() || optOut(it.Value) {
				continue
			}
			refs, names, at = append(refs, s.item(i)), append(names, it.Name), max(at, it.At)
			long := it.Kind == pc.Cookie && it.Lifetime >= keptLong || it.Kind == pc.LocalStorage || it.Kind == pc.IndexedDB
			if long && len(pieces(it.Value)) > 0 {
				strongest = true
			}
		}
		if len(refs) == 0 {
			continue
		}
		seen[string(h.phase)+h.u.Hostname()] = true
		// Where the item was first seen may lie after the phase: what was done then is what counts.
		sig := s.signal(pc.SignalEmbed, h.phase, h.r.At, append([]pc.Ref{s.request(h.i)}, refs...))
		sig.Host, sig.Entity, sig.Confidence = h.u.Hostname(), h.party, .9
		slices.Sort(names)
		if len(names) > 4 {
			names = append(names[:4], "others")
		}
		sig.Why = fmt.Sprintf("a frame with a %s of %s was loaded and stored %s", p.what, sig.Host, strings.Join(slices.Compact(names), ", "))
		private := p.private != nil && p.private.MatchString(h.r.URL)
		switch {
		case private:
			sig.Why += "; it was asked for in its private mode"
		case strongest:
			sig.Class = pc.NonExemptOther
			sig.Why += "; that can tell visitors apart and is kept"
		default:
			sig.Why += "; nothing of it tells visitors apart for long"
		}
		out = append(out, sig)
	}
	return out
}

// embedded tells whether an item belongs to what a frame brought: it lies at the
// frame's site, or a request of that frame or a script of its site set it.
func (s *sight) embedded(h *hit, it *pc.StorageItem) bool {
	if siteOf(it.Host) == s.site {
		return false
	}
	if siteOf(it.Host) == siteOf(h.u.Hostname()) {
		return true
	}
	return it.Request >= 0 && it.Request < len(s.capt.Requests) && s.capt.Requests[it.Request].Frame == h.r.URL
}
