package lab

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"
)

//go:embed parts
var partFiles embed.FS

// Kind is the folder that a part lies in.
type Kind string

// The kinds of parts.
const (
	KindBanner  Kind = "banners"  // a consent manager
	KindTracker Kind = "trackers" // what runs when the visitor allowed it, or did not
	KindTrait   Kind = "traits"   // what a site does without asking, lawfully
)

// Part is something that a site is put together from. It is one file in
// parts/<kind>/<name>.txtar: what it is, in words; about.yaml, the fields below;
// and what it puts into the page (snippet.js, head.html, body.html)
// or serves. There is no list to edit.
type Part struct {
	Name string `yaml:"-"`
	Kind Kind   `yaml:"-"`
	What string `yaml:"-"` // the comment at the head of the file

	// Of trackers.
	Entity  string `yaml:"entity"`
	Purpose string `yaml:"purpose"` // what it is run for: statistics, advertising or replay; fault: no recipe has it by itself

	// Of every part: what it leaves behind and whom it tells. With consent
	// managers it is what stands there from the choice on.
	Stores  []Item            `yaml:"stores"`
	Sends   []Item            `yaml:"sends"`
	Serves  map[string]Answer `yaml:"serves"`  // pattern of net/http.ServeMux without method; "/..." is on the site's own host
	Cookies []string          `yaml:"cookies"` // Set-Cookie lines of every page; ${…} is expanded
	Names   map[string]string `yaml:"names"`   // subdomain of the site → the host it is an alias of (CNAME)

	// Of consent managers.
	CMP     string            `yaml:"cmp"`     // as a verdict names it; "" when nobody could know
	Layouts map[string]string `yaml:"layouts"` // layout → kind of banner as a verdict names it
	Places  []Place           `yaml:"places"`  // where it can stand besides those that every one can
	Knobs   []string          `yaml:"knobs"`   // what can be done to it, see Spec.Knobs
	Never   []Place           `yaml:"never"`   // places where it does not work
	Langs   []string          `yaml:"langs"`   // languages it speaks; empty: every one of texts/
	Clears  []string          `yaml:"clears"`  // trackers whose cookies it removes even when they are allowed
	// Of traits.
	Banner bool `yaml:"banner"` // it is itself a notice about cookies
	Front  bool `yaml:"front"`  // it stands in front of the page
	Blocks bool `yaml:"blocks"` // and nothing else can be pressed before it is gone

	files map[string]string
}

// Item is a stored value or a host that is told, with what is true of it.
type Item struct {
	Kind  string `yaml:"kind" json:"kind,omitempty"` // cookie, local, session, indexeddb, cache; "": a request
	Name  string `yaml:"name" json:"name,omitempty"` // * stands for anything
	Host  string `yaml:"host" json:"host,omitempty"` // "": the site's own
	Class string `yaml:"class" json:"class"`
	Only  string `yaml:"only" json:"only,omitempty"` // "": as its part runs; chosen: from the choice on; maybe: allowed in every scenario and needed in none
	// When lists the scenarios in which it must be seen, of idle, reject and
	// accept; in no other may it be.
	When []string `yaml:"-" json:"when"`
}

// ControlTruth is a control of the banner's first layer as a visitor reads it.
type ControlTruth struct {
	Text   string `yaml:"text" json:"text"`
	Action string `yaml:"action" json:"action"`
}

// Place says where in the page, or when, a banner stands.
type Place string

// The places. The first six work with every consent manager.
const (
	PlaceTop      Place = "top"     // in the document itself, at once
	PlaceFrame    Place = "frame"   // in a frame of the site
	PlaceForeign  Place = "foreign" // in a frame of another origin
	PlaceLate     Place = "late"    // some seconds after the page
	PlaceScroll   Place = "scroll"  // when the visitor first scrolls
	PlaceMouse    Place = "mouse"   // when the visitor first moves the mouse
	PlaceAnimated Place = "animated"
	PlaceShadow   Place = "shadow"
	PlaceClosed   Place = "closed"  // a closed shadow root
	PlaceDialog   Place = "dialog"  // a modal dialog element
	PlaceElement  Place = "element" // a custom element
)

// Answer is what a host answers at an address.
type Answer struct {
	File     string            `yaml:"file"`     // a file of the part
	NPM      string            `yaml:"npm"`      // a file of node_modules
	Text     string            `yaml:"text"`     // a body; ${…} is expanded
	Make     string            `yaml:"make"`     // a made-up body, see made
	Type     string            `yaml:"type"`     // media type; guessed from File and NPM
	GIF      bool              `yaml:"gif"`      // one transparent pixel
	Status   int               `yaml:"status"`   // 0: 200, or 204 without a body
	Location string            `yaml:"location"` // a redirect; ${…} is expanded
	Once     []string          `yaml:"once"`     // Set-Cookie lines for who sends no cookie; ${…} is expanded
	Set      []string          `yaml:"set"`      // Set-Cookie lines for everybody
	Headers  map[string]string `yaml:"headers"`
	ETag     bool              `yaml:"etag"` // remembers the visitor by the ETag
}

// parts reads every part, by kind and name. The error names the file.
func parts() (map[Kind]map[string]*Part, error) {
	out := map[Kind]map[string]*Part{KindBanner: {}, KindTracker: {}, KindTrait: {}}
	err := fs.WalkDir(partFiles, "parts", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := partFiles.ReadFile(p)
		if err != nil {
			return err
		}
		part, err := parsePart(p, raw)
		if err != nil {
			return fmt.Errorf("lab/%s: %w", p, err)
		}
		if out[part.Kind] == nil {
			return fmt.Errorf("lab/%s: parts of the kind %q do not exist", p, part.Kind)
		}
		out[part.Kind][part.Name] = part
		return nil
	})
	return out, err
}

func parsePart(file string, raw []byte) (*Part, error) {
	name, ok := strings.CutSuffix(path.Base(file), ".txtar")
	if !ok {
		return nil, errors.New("a part is a .txtar file")
	}
	ar := txtar.Parse(raw)
	p := &Part{Name: name, Kind: Kind(path.Base(path.Dir(file))), What: strings.TrimSpace(string(ar.Comment)), files: map[string]string{}}
	for _, f := range ar.Files {
		p.files[f.Name] = string(f.Data)
	}
	if p.What == "" {
		return nil, errors.New("it does not say what it is, above the first file")
	}
	dec := yaml.NewDecoder(strings.NewReader(p.files["about.yaml"]))
	dec.KnownFields(true)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("about.yaml: %w", err)
	}
	for pattern, a := range p.Serves {
		if a.File != "" && p.files[a.File] == "" {
			return nil, fmt.Errorf("it serves %s at %s, but has no such file", a.File, pattern)
		}
	}
	for _, it := range slices.Concat(p.Stores, p.Sends) {
		if it.Class == "" {
			return nil, fmt.Errorf("the item %s%s has no class", it.Name, it.Host)
		}
	}
	if p.Kind == KindTracker && (p.files["snippet.js"] == "" || p.Purpose == "") {
		return nil, errors.New("a tracker has a purpose and snippet.js")
	}
	if p.Kind == KindBanner && len(p.Layouts) == 0 {
		return nil, errors.New("a consent manager has layouts")
	}
	return p, nil
}

// text is one file of the part, filled in for a site; "" when it has none.
func (p *Part) text(file string, with any) (string, error) {
	src, ok := p.files[file]
	if !ok {
		return "", nil
	}
	t, err := template.New(p.Name+"/"+file).Delims("[[", "]]").Funcs(template.FuncMap{"q": quote}).Parse(src)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, with); err != nil {
		return "", err
	}
	return b.String(), nil
}

// controls are what the part's first layer shows for a site, "text | action" a
// line in controls.txt.
func (p *Part) controls(with any) ([]ControlTruth, error) {
	raw, err := p.text("controls.txt", with)
	if err != nil {
		return nil, err
	}
	out := []ControlTruth{}
	for line := range strings.Lines(raw) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		action, text, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("%s: controls.txt: %q is no action and text", p.Name, line)
		}
		out = append(out, ControlTruth{Text: strings.TrimSpace(text), Action: action})
	}
	return out, nil
}

// quote writes a string as JavaScript (and JSON) does.
func quote(s string) (string, error) {
	raw, err := json.Marshal(s)
	return string(raw), err
}
