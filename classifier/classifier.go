// Package classifier forms opinions about captures: where the consent banner
// is, what its controls do, what stored items and requests are for. It is a
// function of its input (no clock, files or network), and every opinion carries
// confidence, basis and references, in words that a case officer can repeat.
//
// Banners are found by an additive score whose terms are named in the claim:
// see banner.go. Controls are read by facts of the DOM first, then by their
// text: by phrases, and by a linear model of words where a phrase is not all that
// is said, see text.go; it is made by cmd/train. What authors call a control
// in attributes is asked where its text says nothing, see attributes.go. Purposes are looked up in lists of our own
// (storage.tsv, hosts.tsv) with a check of the value's shape, then by patterns of
// names that sites need, then in tables of others (names.tsv, owners.tsv), see
// tables.go, else they are unknown. Unknown never flags: it is an answer, not a failure.
package classifier

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	pc "pecrawler"
	"pecrawler/internal/ngram"
)

//go:embed lists/*
var lists embed.FS

// version is raised by any change of what the classifier says.
const version = "10"

// Classifier holds the compiled lists. It is safe for concurrent use.
type Classifier struct {
	phrases []phrase
	storage []storageEntry
	hosts   map[string][]hostEntry
	digest  string
	hints   []string       // words of an id or class that speak of consent
	icon    *regexp.Regexp // one of a button to come back
	ways    []way
	model   *ngram.Model // reads the texts of controls

	attributes []attributeWords // by which authors name controls, see attributes.go

	names      map[string]tableName // of others' tables, see tables.go
	beginnings []beginning
	owners     map[string]owner
}

// New compiles the built-in lists. The error names the file and line of a fault.
func New() (*Classifier, error) {
	c := &Classifier{phrases: grammar(), hosts: map[string][]hostEntry{}, names: map[string]tableName{}, owners: map[string]owner{}, ways: ways(),
		hints: strings.Split(hintWords, "|"), icon: regexp.MustCompile(`(?i)` + icons)}
	h := sha256.New()
	for _, list := range []struct {
		name string
		read func(name, text string) error
	}{{"storage.tsv", c.readStorage}, {"hosts.tsv", c.readHosts}, {"names.tsv", c.readNames}, {"owners.tsv", c.readOwners}, {"attributes.tsv", c.readAttributes}} {
		raw, err := lists.ReadFile("lists/" + list.name)
		if err != nil {
			return nil, fmt.Errorf("read list: %w", err)
		}
		h.Write(raw)
		if err := list.read(list.name, string(raw)); err != nil {
			return nil, err
		}
	}
	raw, err := lists.ReadFile("lists/controls.model")
	if err != nil {
		return nil, fmt.Errorf("read model: %w", err)
	}
	h.Write(raw)
	if c.model, err = ngram.Read(raw); err != nil {
		return nil, fmt.Errorf("controls.model: %w", err)
	}
	if want := len(pc.Actions); len(c.model.Classes) != want {
		return nil, fmt.Errorf("controls.model: it knows %d actions, want %d", len(c.model.Classes), want)
	}
	c.digest = hex.EncodeToString(h.Sum(nil))[:12]
	return c, nil
}

// Version names what the classifier says: the same version and lists, the same opinions.
func (c *Classifier) Version() string { return version }

// Lists names the content of the lists.
func (c *Classifier) Lists() string { return "lists-" + c.digest }

// Annotate forms the opinions about the captures of one visit. page decodes a
// page tree of the bundle; one that cannot be decoded gives no banner, and the
// rules know from the capture what is missing.
func (c *Classifier) Annotate(look pc.Look, captures map[pc.Scenario]*pc.Capture, page func(path string) (*pc.Page, error)) pc.Annotations {
	a := pc.Annotations{Classifier: version, Lists: c.Lists(), Banners: []pc.Banner{}, Storage: []pc.Purpose{}, Requests: []pc.Purpose{}}
	read := c.reader(page)
	for _, s := range pc.EveryScenario {
		capt := captures[s]
		if capt == nil || !capt.Load.OK() {
			continue
		}
		if b, ok := c.bannerOf(capt, read); ok {
			a.Banners = append(a.Banners, b)
		}
		a.Storage = append(a.Storage, c.storagePurposes(capt)...)
		a.Requests = append(a.Requests, c.requestPurposes(capt)...)
		a.Consent = append(a.Consent, readings(capt)...)
		a.Signals = append(a.Signals, c.signals(capt, captures, &a)...)
	}
	c.wording(&a, look)
	aftermath(&a, captures[pc.Reject])
	c.information(&a, look, captures, read)
	return a
}

// reader reads each page tree once, however often it is asked for: to decode one
// of 100,000 nodes takes longer than to form the opinions.
func (c *Classifier) reader(page func(path string) (*pc.Page, error)) func(path string) (*tree, error) {
	trees := map[string]*tree{}
	return func(path string) (*tree, error) {
		if t, ok := trees[path]; ok {
			return t, nil
		}
		p, err := page(path)
		if err != nil {
			return nil, err
		}
		trees[path] = c.newTree(p)
		return trees[path], nil
	}
}

// bannerOf finds the banner of a scenario before any choice, with the controls
// of the layers that were opened, also of those that were only opened to see them.
func (c *Classifier) bannerOf(capt *pc.Capture, read func(path string) (*tree, error)) (pc.Banner, bool) {
	var banner pc.Banner
	found := false
	for i, snap := range capt.Pages {
		if snap.Mark != pc.MarkSettled && snap.Mark != pc.MarkOpened {
			continue
		}
		t, err := read(snap.Tree)
		if err != nil {
			continue
		}
		b, ok := c.bannerIn(t, snap.Layer)
		if !ok {
			continue
		}
		at := func(node int) pc.Ref { return pc.Ref(fmt.Sprintf("%s/pages/%d#%d", capt.Scenario, i, node)) }
		for k := range b.Controls {
			b.Controls[k].Refs = []pc.Ref{at(b.Controls[k].Node)}
		}
		if !found {
			found = true
			banner = b
			banner.Scenario = capt.Scenario
			banner.Refs = []pc.Ref{at(b.Node)}
			continue
		}
		for _, ct := range b.Controls {
			if snap.Layer > 1 && !slices.ContainsFunc(banner.Controls, func(o pc.Control) bool { return o.Text == ct.Text && o.Action == ct.Action }) {
				banner.Controls = append(banner.Controls, ct)
			}
		}
	}
	return banner, found
}
