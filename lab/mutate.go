package lab

import (
	"embed"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed mutations
var mutationFiles embed.FS

// Mutation turns a lawful recipe into one with exactly one fault. It is one
// file, mutations/<name>.yaml.
type Mutation struct {
	Name  string   `yaml:"-"`
	About string   `yaml:"about"` // the fault, in a sentence
	Fails []string `yaml:"fails"` // the rules that must fail, and no other may
	// Overall is the last word that must come out: flagged when left out. "not-flagged"
	// is for what only a human may decide.
	Overall string `yaml:"overall"`

	Knobs       []string `yaml:"knobs"`       // turned
	Early       []string `yaml:"early"`       // trackers that now start before any choice
	Traits      []string `yaml:"traits"`      // that the site must have, so that the fault is the only one
	Advertising []string `yaml:"advertising"` // in place of the recipe's own; left out: kept
	Statistics  []string `yaml:"statistics"`  // the same
	NoBanner    bool     `yaml:"nobanner"`    // the consent manager is taken away, and what it started starts at once
	Banners     []string `yaml:"banners"`     // the consent managers that it applies to; empty: all that have the knobs
	Place       Place    `yaml:"place"`       // where the banner must stand; "top" when left out
	Fits        []string `yaml:"fits"`        // layouts; empty: all
}

func mutations(c *catalog) ([]*Mutation, error) {
	files, err := mutationFiles.ReadDir("mutations")
	if err != nil {
		return nil, err
	}
	var out []*Mutation
	for _, f := range files {
		raw, err := mutationFiles.ReadFile("mutations/" + f.Name())
		if err != nil {
			return nil, err
		}
		m := &Mutation{Name: strings.TrimSuffix(f.Name(), ".yaml"), Overall: "flagged", Place: PlaceTop}
		dec := yaml.NewDecoder(strings.NewReader(string(raw)))
		dec.KnownFields(true)
		if err := dec.Decode(m); err != nil {
			return nil, fmt.Errorf("lab/mutations/%s: %w", f.Name(), err)
		}
		if m.About == "" || len(m.Fails) == 0 {
			return nil, fmt.Errorf("lab/mutations/%s: about and fails are needed", f.Name())
		}
		out = append(out, m)
	}
	return out, nil
}

// Mutations are all mutations, by name.
func Mutations() ([]*Mutation, error) {
	c, err := loadCatalog()
	if err != nil {
		return nil, err
	}
	return c.mutations, nil
}

// applies tells whether a consent manager can have the fault.
func (m *Mutation) applies(b *Part) bool {
	if len(m.Banners) > 0 && !slices.Contains(m.Banners, b.Name) {
		return false
	}
	for _, k := range m.Knobs {
		if !slices.Contains(runtimeKnobs, k) && !slices.Contains(b.Knobs, k) {
			return false
		}
	}
	return m.layout(b) != ""
}

func (m *Mutation) layout(b *Part) string {
	for _, l := range slices.Sorted(maps.Keys(b.Layouts)) {
		if len(m.Fits) == 0 || slices.Contains(m.Fits, l) {
			return l
		}
	}
	return ""
}

// mutants are one site for every mutation and every consent manager that it
// applies to, and one for a mutation that takes the consent manager away.
func (c *catalog) mutants(seed uint64) []*Spec {
	var out []*Spec
	banners := slices.Sorted(maps.Keys(c.parts[KindBanner]))
	for _, m := range c.mutations {
		for _, name := range banners {
			b := c.parts[KindBanner][name]
			if !m.applies(b) {
				continue
			}
			s := c.recipe(seed, m.number(name), name)
			c.mutate(s, m)
			out = append(out, s)
			if m.NoBanner {
				break
			}
		}
	}
	return out
}

// number is that of the fault's site with a consent manager. It lies behind those
// of the lawful sites, and stays the same when other faults are added, so that
// old evidence can still be compared with the truth.
func (m *Mutation) number(banner string) int {
	h := fnv.New32a()
	h.Write([]byte(m.Name + " " + banner))
	return 100_000 + int(h.Sum32()%900_000)
}

// mutate gives a lawful recipe the fault.
func (c *catalog) mutate(s *Spec, m *Mutation) {
	s.Mutation = m.Name
	b := c.parts[KindBanner][s.Banner]
	s.Place, s.DelayMS = m.Place, 0
	if len(m.Fits) > 0 && !slices.Contains(m.Fits, s.Layout) {
		s.Layout = m.layout(b)
	}
	s.Traits = slices.DeleteFunc(slices.Clone(s.Traits), func(t string) bool { return c.parts[KindTrait][t].Front })
	// A fault needs something that consent was needed for.
	if m.Advertising != nil {
		s.Advertising = m.Advertising
	} else if !slices.Contains(s.Advertising, "meta") {
		// That the lists know a tracker is measured elsewhere; here it is the rule.
		s.Advertising = append(slices.Clone(s.Advertising), "meta")
	}
	if m.Statistics != nil {
		s.Statistics = m.Statistics
		s.Traits = slices.DeleteFunc(s.Traits, func(t string) bool {
			return slices.ContainsFunc(m.Statistics, func(n string) bool { return c.shares(c.parts[KindTrait][t], c.parts[KindTracker][n]) })
		})
	}
	s.Advanced = false
	s.Knobs = append(s.Knobs, m.Knobs...)
	s.Early = append(s.Early, m.Early...)
	for _, t := range m.Traits {
		if slices.Contains(s.Traits, t) {
			continue
		}
		p := c.parts[KindTrait][t]
		s.Traits = slices.DeleteFunc(s.Traits, func(o string) bool { return c.shares(c.parts[KindTrait][o], p) })
		s.Traits = append(s.Traits, t)
		s.Statistics = slices.DeleteFunc(slices.Clone(s.Statistics), func(n string) bool { return c.shares(c.parts[KindTracker][n], p) })
	}
	// Early means now; waiting for the choice as well would say nothing.
	s.Advertising = slices.DeleteFunc(slices.Clone(s.Advertising), func(t string) bool { return slices.Contains(s.Early, t) })
	if m.NoBanner {
		s.Early = slices.Concat(s.Early, s.Advertising)
		s.Banner, s.Layout, s.Place, s.Statistics, s.Advertising, s.Knobs = "", "", "", nil, nil, nil
	}
}
