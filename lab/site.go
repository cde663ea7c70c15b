package lab

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed sites
var siteFiles embed.FS

// Truth is what is true of a site: what a sweep has to say of it.
type Truth struct {
	Outcome string   `yaml:"outcome" json:"outcome"`
	Reason  string   `yaml:"reason" json:"reason,omitempty"`
	Overall string   `yaml:"overall" json:"overall"`
	Banner  bool     `yaml:"banner" json:"banner"`
	Fails   []string `yaml:"fails" json:"fails"` // rules that must fail, and no other may
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
	Lang    string   `yaml:"lang" json:"-"`
	Colour  string   `yaml:"colour" json:"-"`
	Items   []string `yaml:"items" json:"-"` // "title | text"
	CMP     string   `yaml:"cmp" json:"cmp,omitempty"`
	About   string   `yaml:"about" json:"about"` // what is true of it, for people
	Truth   Truth    `yaml:"truth" json:"truth"`

	Cookies []string          `yaml:"cookies" json:"-"` // Set-Cookie lines of every page
	Headers map[string]string `yaml:"headers" json:"-"`
	Status  int               `yaml:"status" json:"-"` // 0: 200
	Fault   Fault             `yaml:"fault" json:"-"`
	Raw     bool              `yaml:"raw" json:"-"` // the body is the whole answer
	Robots  string            `yaml:"robots" json:"-"`

	head, body string
}

// Sites reads the sites that are built in, by host name. The error names the file.
func Sites() ([]*Site, error) {
	files, err := siteFiles.ReadDir("sites")
	if err != nil {
		return nil, err
	}
	var out []*Site
	for _, f := range files {
		raw, err := siteFiles.ReadFile(path.Join("sites", f.Name()))
		if err != nil {
			return nil, err
		}
		s, err := parseSite(raw)
		if err != nil {
			return nil, fmt.Errorf("lab/sites/%s: %w", f.Name(), err)
		}
		if want := s.Host + ".html"; f.Name() != want {
			return nil, fmt.Errorf("lab/sites/%s: the host is %s, so the file is called %s", f.Name(), s.Host, want)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *Site) int { return strings.Compare(a.Host, b.Host) })
	return out, nil
}

// parseSite reads front matter between two lines of ---, then the head part
// and, after the line <!-- body -->, the body part.
func parseSite(raw []byte) (*Site, error) {
	_, rest, ok := bytes.Cut(raw, []byte("---\n"))
	if !ok {
		return nil, fmt.Errorf("no front matter")
	}
	front, rest, ok := bytes.Cut(rest, []byte("\n---\n"))
	if !ok {
		return nil, fmt.Errorf("the front matter does not end")
	}
	s := &Site{Lang: "en-GB", Colour: "#1d3557"}
	dec := yaml.NewDecoder(bytes.NewReader(front))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, err
	}
	if s.Host == "" || s.About == "" || s.Truth.Outcome == "" || s.Truth.Overall == "" {
		return nil, fmt.Errorf("host, about, truth.outcome and truth.overall are needed")
	}
	head, body, ok := strings.Cut(string(rest), "<!-- body -->\n")
	if !ok {
		head, body = "", string(rest)
	}
	s.head, s.body = head, body
	return s, nil
}

// web answers for a site or a vendor.
func (l *Lab) web(w http.ResponseWriter, r *http.Request) {
	host := hostOf(r.Host)
	if s := l.sites[host]; s != nil && s.Fault != FaultDNS {
		l.site(w, r, s)
		return
	}
	if h := l.vendors[host]; h != nil {
		h.ServeHTTP(w, r)
		return
	}
	noName(w, host)
}

func (l *Lab) site(w http.ResponseWriter, r *http.Request, s *Site) {
	if r.URL.Scheme == "http" {
		http.Redirect(w, r, "https://"+s.Host+r.URL.RequestURI(), http.StatusMovedPermanently)
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/npm/"):
		// The consent managers as published; FileServer refuses what lies outside.
		http.StripPrefix("/npm/", http.FileServer(http.Dir(l.modules))).ServeHTTP(w, r)
		return
	case r.URL.Path == "/robots.txt":
		if s.Robots == "" {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, s.Robots)
		return
	case r.URL.Path == "/favicon.ico":
		w.WriteHeader(http.StatusNoContent)
		return
	case r.URL.Path == "/matomo.js", r.URL.Path == "/tags.js":
		script(r.URL.Path[1:]).ServeHTTP(w, r)
		return
	case r.URL.Path == "/matomo.php":
		w.WriteHeader(http.StatusNoContent)
		return
	}
	for _, c := range s.Cookies {
		w.Header().Add("Set-Cookie", strings.ReplaceAll(c, "RANDOM", randomHex(16)))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	for k, v := range s.Headers {
		w.Header().Set(k, v)
	}
	if s.Status != 0 {
		w.WriteHeader(s.Status)
	}
	if s.Raw {
		fmt.Fprint(w, s.body)
		return
	}
	p := page{Site: s, Head: template.HTML(s.head), Body: template.HTML(s.body), Path: r.URL.Path}
	for _, it := range s.Items {
		title, text, _ := strings.Cut(it, " | ")
		p.Cards = append(p.Cards, card{title, text})
	}
	if err := pageTmpl.Execute(w, p); err != nil {
		l.log.Error("page of the test web", "host", s.Host, "err", err)
	}
}

type card struct{ Title, Text string }

type page struct {
	*Site
	Head, Body template.HTML // of our own files
	Path       string
	Cards      []card
}

var pageTmpl = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="{{.Lang}}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Name}}</title>
<style>
:root{--c:{{.Colour}}}*{box-sizing:border-box}
body{margin:0;font:17px/1.55 "Liberation Sans",Arial,sans-serif;color:#222;background:#fff}
header.site{background:var(--c);color:#fff;padding:18px 6vw;display:flex;justify-content:space-between;align-items:center;flex-wrap:wrap}
header.site a{color:#fff;text-decoration:none;margin-left:26px}header.site .logo{font-size:24px;font-weight:bold;margin:0}
.hero{padding:56px 6vw;background:linear-gradient(120deg,color-mix(in srgb,var(--c) 12%,#fff),#fff)}
.hero h1{font-size:40px;line-height:1.15;margin:0 0 12px;max-width:18em}.hero p{max-width:42em;font-size:19px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:22px;padding:36px 6vw}
.card{border:1px solid #ddd;border-radius:6px;overflow:hidden}.card .pic{height:120px;background:color-mix(in srgb,var(--c) 45%,#e9e4da)}
.card h2{font-size:19px;margin:14px 16px 4px}.card p{margin:0 16px 16px}
main section.text{padding:10px 6vw 40px;max-width:60em}
footer.site{background:#f1f1ef;padding:26px 6vw;font-size:15px}footer.site a{margin-right:20px;color:#333}
</style>
{{.Head}}
</head>
<body>
<header class="site"><a class="logo" href="/">{{.Name}}</a><nav><a href="/about">About us</a><a href="/visit">Visit</a><a href="/contact">Contact</a></nav></header>
<main>
{{if eq .Path "/"}}<div class="hero"><h1>{{.Name}}</h1><p>{{.Tagline}}</p></div>
<div class="cards">{{range .Cards}}<article class="card"><div class="pic"></div><h2>{{.Title}}</h2><p>{{.Text}}</p></article>{{end}}</div>
{{else if eq .Path "/cookies"}}<section class="text"><h1>Cookies on this site</h1><p>This page says what we keep on your device, what for and for how long, and who else receives it. You can change your choice at any time.</p></section>
{{else}}<section class="text"><h1>{{.Name}}: {{.Path}}</h1><p>{{.Tagline}} We have been here for a long time and look forward to hearing from you. Our team answers letters within three working days.</p></section>{{end}}
</main>
<footer class="site"><a href="/cookies">Cookie policy</a><a href="/privacy">Privacy notice</a><a href="/about">About</a><span>{{.Name}}, a site of the test web.</span></footer>
{{.Body}}
</body>
</html>
`))

var indexTmpl = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en-GB"><head><meta charset="utf-8"><title>The test web</title>
<style>body{font:16px/1.5 "Liberation Sans",Arial,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}table{border-collapse:collapse}td,th{border-bottom:1px solid #ccc;padding:.4rem .8rem;text-align:left;vertical-align:top}code{background:#eee;padding:.1rem .3rem}</style></head>
<body><h1>The test web</h1>
<p>Proxy: <code>{{.Proxy}}</code>. <a href="/ca.pem">Certificate authority</a>, <a href="/sites.csv">list of sites</a>, <a href="/truth.json">what is true of them</a>.</p>
<table><thead><tr><th scope="col">Site</th><th scope="col">Consent manager</th><th scope="col">What is true</th><th scope="col">Outcome</th><th scope="col">Last word</th><th scope="col">Failing rules</th></tr></thead>
<tbody>{{range .Sites}}<tr><th scope="row">{{.Host}}</th><td>{{.CMP}}</td><td>{{.About}}</td><td>{{.Truth.Outcome}} {{.Truth.Reason}}</td><td>{{.Truth.Overall}}</td><td>{{range .Truth.Fails}}{{.}}<br>{{end}}</td></tr>{{end}}</tbody></table>
</body></html>
`))
