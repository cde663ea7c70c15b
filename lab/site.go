package lab

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed sites
var siteFiles embed.FS

//go:embed themes
var themeFiles embed.FS

//go:embed site.js
var siteScript []byte

// Truth is what is true of a site: what a sweep has to say of it.
type Truth struct {
	Outcome string   `yaml:"outcome" json:"outcome"`
	Reason  string   `yaml:"reason" json:"reason,omitempty"`
	Overall string   `yaml:"overall" json:"overall"`
	Banner  bool     `yaml:"banner" json:"banner"`
	Fails   []string `yaml:"fails" json:"fails"` // rules that must fail, and no other may

	// Known of generated sites, and of those that state it.
	CMP      string         `yaml:"cmp" json:"cmp,omitempty"`
	Kind     string         `yaml:"kind" json:"kind,omitempty"`
	Language string         `yaml:"language" json:"language,omitempty"`
	Controls []ControlTruth `yaml:"controls" json:"controls,omitempty"` // of the first layer
	Items    []Item         `yaml:"-" json:"items,omitempty"`
	Pings    []string       `yaml:"pings" json:"pings,omitempty"` // hosts that may be told at any time that consent is denied
}

// Fault is a way in which a site fails below HTTP.
type Fault string

// The faults.
const (
	FaultReset Fault = "reset" // the connection breaks
	FaultTLS   Fault = "tls"   // the certificate is signed by nobody
	FaultDNS   Fault = "dns"   // the name does not resolve
)

// Site is one site of the test web.
type Site struct {
	Host    string   `yaml:"host" json:"host"`
	Name    string   `yaml:"name" json:"name"`
	Tagline string   `yaml:"tagline" json:"-"`
	Sector  string   `yaml:"sector" json:"sector"`
	Lang    string   `yaml:"lang" json:"lang"`
	Colour  string   `yaml:"colour" json:"-"`
	Theme   string   `yaml:"theme" json:"-"` // a page of themes/
	Items   []string `yaml:"items" json:"-"` // "title | text"
	CMP     string   `yaml:"cmp" json:"cmp,omitempty"`
	About   string   `yaml:"about" json:"about"` // what is true of it, for people
	Truth   Truth    `yaml:"truth" json:"truth"`
	Set     string   `yaml:"-" json:"set"` // written, hostile, lawful or mutant
	Spec    *Spec    `yaml:"-" json:"spec,omitempty"`

	// Runs names the trackers of a site that is written by hand, and the
	// scenarios in which each of them runs.
	Runs map[string][]string `yaml:"runs" json:"-"`

	Serves map[string]Answer `yaml:"serves" json:"-"` // what other parties answer

	Cookies []string          `yaml:"cookies" json:"-"` // Set-Cookie lines of every page; ${…} is expanded
	Headers map[string]string `yaml:"headers" json:"-"`
	Status  int               `yaml:"status" json:"-"` // 0: 200
	Fault   Fault             `yaml:"fault" json:"-"`
	Raw     bool              `yaml:"raw" json:"-"` // the body is the whole answer
	Robots  string            `yaml:"robots" json:"-"`

	// Of hostile sites.
	Stream    string       `yaml:"stream" json:"-"`    // one of the streams is the answer
	Location  string       `yaml:"location" json:"-"`  // every page redirects there
	Addresses []netip.Addr `yaml:"addresses" json:"-"` // what the name resolves to, question by question

	head, body, frame string
	parts             []*Part
	texts             *Texts
	words             words
}

// written reads the sites of a folder that are written by hand, by host name. The error
// names the file.
func written(c *catalog, from embed.FS, dir, set string) ([]*Site, error) {
	files, err := from.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*Site
	for _, f := range files {
		raw, err := from.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		s, err := parseSite(c, raw)
		if err != nil {
			return nil, fmt.Errorf("lab/%s/%s: %w", dir, f.Name(), err)
		}
		if want := s.Host + ".html"; f.Name() != want {
			return nil, fmt.Errorf("lab/%s/%s: the host is %s, so the file is called %s", dir, f.Name(), s.Host, want)
		}
		if s.Set = set; s.Stream != "" && streams[s.Stream] == nil {
			return nil, fmt.Errorf("lab/%s/%s: no stream is called %q", dir, f.Name(), s.Stream)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Site) int { return strings.Compare(a.Host, b.Host) })
	return out, nil
}

// parseSite reads front matter between two lines of ---, then the head part
// and, after the line <!-- body -->, the body part.
func parseSite(c *catalog, raw []byte) (*Site, error) {
	_, rest, ok := bytes.Cut(raw, []byte("---\n"))
	if !ok {
		return nil, fmt.Errorf("no front matter")
	}
	front, rest, ok := bytes.Cut(rest, []byte("\n---\n"))
	if !ok {
		return nil, fmt.Errorf("the front matter does not end")
	}
	s := &Site{Lang: "en-GB", Colour: "#1d3557", Theme: "brochure"}
	dec := yaml.NewDecoder(bytes.NewReader(front))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, err
	}
	if s.Host == "" || s.About == "" || s.Truth.Outcome == "" || s.Truth.Overall == "" {
		return nil, fmt.Errorf("host, about, truth.outcome and truth.overall are needed")
	}
	short, _, _ := strings.Cut(s.Lang, "-")
	if s.texts = c.texts[short]; s.texts == nil {
		return nil, fmt.Errorf("no texts in the language %q", s.Lang)
	}
	s.words = (&Spec{Host: s.Host}).words(s.texts)
	head, body, ok := strings.Cut(string(rest), "<!-- body -->\n")
	if !ok {
		head, body = "", string(rest)
	}
	var snippets strings.Builder
	for _, name := range slices.Sorted(maps.Keys(s.Runs)) {
		when := s.Runs[name]
		p := c.parts[KindTracker][name]
		if p == nil {
			return nil, fmt.Errorf("no tracker is called %q", name)
		}
		s.use(p, when...)
		fmt.Fprintf(&snippets, "%q: () => {\n%s},\n", name, p.files["snippet.js"])
	}
	if !s.Raw {
		s.head = own(map[string]any{"knobs": []string{}, "written": true}, snippets.String())
	}
	s.head += head
	s.body = body
	return s, nil
}

// web answers for a site or for another party.
func (l *Lab) web(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Host)
	l.note(r, r.URL.Path)
	if s := l.sites[host]; s != nil && s.Fault != FaultDNS {
		l.site(w, r, s)
		return
	}
	if target, ok := l.aliases[host]; ok {
		r.Host = target
		host = target
	}
	switch {
	case host == frameHost:
		l.choices(w, r)
	case l.hosts[host]:
		r.Host = host
		l.others.ServeHTTP(w, r)
	default:
		noName(w, host)
	}
}

// choices serves the banner of a site in a frame of another origin.
func (l *Lab) choices(w http.ResponseWriter, r *http.Request) {
	if l.common(w, r) {
		return
	}
	s := l.sites[r.URL.Query().Get("of")]
	if s == nil || s.frame == "" || r.URL.Path != "/choices" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, s.frame)
}

// common answers what every origin with a banner serves: the consent managers
// as published, and the site's own script.
func (l *Lab) common(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case strings.HasPrefix(r.URL.Path, "/npm/"):
		// FileServer refuses what lies outside.
		http.StripPrefix("/npm/", http.FileServer(http.Dir(l.modules))).ServeHTTP(w, r)
	case r.URL.Path == "/site.js":
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Write(siteScript)
	case r.URL.Path == "/favicon.ico":
		w.WriteHeader(http.StatusNoContent)
	default:
		return false
	}
	return true
}

func (l *Lab) site(w http.ResponseWriter, r *http.Request, s *Site) {
	if r.URL.Scheme == "http" {
		http.Redirect(w, r, "https://"+s.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	}
	if l.common(w, r) {
		return
	}
	if h, pattern := l.own.Handler(r); pattern != "" {
		h.ServeHTTP(w, r)
		return
	}
	switch {
	case r.URL.Path == "/robots.txt":
		if s.Robots == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, s.Robots)
		return
	case strings.HasPrefix(r.URL.Path, "/pictures/"):
		w.Header().Set("Content-Type", "image/svg+xml")
		fmt.Fprint(w, picture(s.Host+r.URL.Path, s.Colour))
		return
	case r.URL.Path == "/choices" && s.frame != "":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, s.frame)
		return
	case path.Ext(r.URL.Path) != "":
		http.NotFound(w, r)
		return
	}
	for _, c := range s.Cookies {
		name, _, _ := strings.Cut(c, "=")
		if _, err := r.Cookie(name); err != nil {
			w.Header().Add("Set-Cookie", expand(c, r))
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for k, v := range s.Headers {
		w.Header().Set(k, v)
	}
	switch {
	case s.Stream != "":
		streams[s.Stream](w, r)
		return
	case s.Location != "":
		http.Redirect(w, r, s.Location, http.StatusFound)
		return
	}
	if s.Status != 0 {
		w.WriteHeader(s.Status)
	}
	if s.Raw {
		fmt.Fprint(w, s.body)
		return
	}
	if err := themes.ExecuteTemplate(w, s.Theme+".html", s.page(r.URL.Path)); err != nil {
		l.log.Error("page of the test web", "host", s.Host, "err", err)
	}
}

type card struct {
	Title, Text, Picture string
}

// page is what a theme is filled in with.
type page struct {
	*Site
	Head, Body       template.HTML // of our own files
	Path             string
	Home, Cookie     bool
	Nav, Paragraphs  []string
	Footer           []string
	Hero, Lead, More string
	CookiesLead      string
	W                words
	Cards            []card
}

// Withdrawable tells whether the site's own pages offer to withdraw consent.
func (s *Site) Withdrawable() bool {
	if s.Spec == nil {
		return s.Set == "written" && s.Truth.Banner && slices.ContainsFunc(s.parts, func(p *Part) bool { return p.Purpose == "advertising" })
	}
	return s.Spec.Banner != "" && !s.Spec.Has("withdrawal-missing")
}

// Told is what the policy says of the site's own: what is kept after consent, and
// the statistics under the exception.
func (s *Site) Told() []string {
	var out []string
	if s.Spec == nil {
		if s.Withdrawable() {
			return []string{s.words.Keeps}
		}
		return nil
	}
	if s.Spec.Banner != "" && !s.Spec.Has("policy-says-little") {
		out = append(out, s.words.Keeps)
	}
	if (slices.Contains(s.Spec.Traits, "quiet-statistics") || slices.Contains(s.Spec.Traits, "own-statistics")) && !s.Spec.Has("statistics-unsaid") {
		out = append(out, s.words.StatNotice)
	}
	return out
}

func (s *Site) page(at string) page {
	t := &s.texts.Page
	r := (&Spec{Host: s.Host}).rng("page")
	p := page{Site: s, Head: template.HTML(s.head), Body: template.HTML(s.body), Path: at, Home: at == "/", Cookie: at == "/cookies", Nav: t.Nav[:3+r.IntN(len(t.Nav)-2)], Footer: t.Footer,
		Hero: pick(r, t.Hero), Lead: s.Tagline, More: t.More, CookiesLead: t.CookiesLead, W: s.words}
	if s.Spec != nil && s.Spec.Has("policy-says-little") {
		p.CookiesLead = ""
	}
	if p.Lead == "" {
		p.Lead = pick(r, t.Lead)
	}
	items := s.Items
	if len(items) == 0 {
		for _, i := range r.Perm(len(t.Cards))[:3+r.IntN(len(t.Cards)-2)] {
			items = append(items, t.Cards[i])
		}
	}
	for i, it := range items {
		title, text, _ := strings.Cut(it, " | ")
		p.Cards = append(p.Cards, card{title, text, fmt.Sprintf("/pictures/%d.svg", i)})
	}
	for _, i := range r.Perm(len(t.Paragraphs)) {
		p.Paragraphs = append(p.Paragraphs, t.Paragraphs[i])
	}
	return p
}

// themes are the looks of sites: what web pages of some sort have in common.
var themes = template.Must(template.New("").ParseFS(themeFiles, "themes/*"))

// picture is a landscape in the site's colours, always the same for a name.
func picture(name, colour string) string {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 2))
	hue := r.IntN(360)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 480 270" preserveAspectRatio="xMidYMid slice"><defs><linearGradient id="s" x2="0" y2="1"><stop stop-color="hsl(%d 60%% 78%%)"/><stop offset="1" stop-color="hsl(%d 70%% 92%%)"/></linearGradient></defs><rect width="480" height="270" fill="url(#s)"/><circle cx="%d" cy="%d" r="%d" fill="#fff8e0" opacity=".9"/>`,
		hue, (hue+30)%360, 60+r.IntN(360), 40+r.IntN(60), 18+r.IntN(16))
	for layer := range 3 {
		y := 130 + layer*40
		fmt.Fprintf(&b, `<path d="M0 %d`, y+r.IntN(30))
		for x := 80; x <= 480; x += 80 {
			fmt.Fprintf(&b, ` Q%d %d %d %d`, x-40, y-45+r.IntN(60), x, y+r.IntN(30))
		}
		fmt.Fprintf(&b, ` V270 H0Z" fill="%s" opacity="%.2f"/>`, template.HTMLEscapeString(colour), .25+.25*float64(layer))
	}
	b.WriteString(`</svg>`)
	return b.String()
}
