package lab

import (
	"fmt"
	"io"
	"maps"
	"slices"

	pc "pecrawler"
)

// Slice is how some of the sites were read: a site must not fare worse because
// of its consent manager, its layout, its language or what kind of site it is.
type Slice struct {
	Sites       int   `json:"sites"`
	Found, None Share // a banner where there is one, and none where there is none
	Roles       Share // controls of the first layer
	Purposes    Share // items in the class that is true, of those that got an answer
	Unanswered  Share // items called unknown, which flags nobody: much of the test web's advertising is of firms that are invented
	Harsh       Share // exempt items called non-exempt: the lower the better
}

// slices are the slices that a site belongs to; the first is of all sites.
func (s *Score) slices(x *Site) []*Slice {
	of := map[string]string{"all": "sites", "consent manager": x.Truth.CMP, "language": x.Lang, "kind of site": x.Sector}
	if x.Spec != nil {
		of["consent manager"], of["layout"], of["place"] = x.Spec.Banner, x.Spec.Layout, string(x.Spec.Place)
	}
	var out []*Slice
	for _, by := range dimensions {
		name, told := of[by]
		if !told {
			continue
		}
		if name == "" {
			name = "none"
		}
		if s.Slices[by] == nil {
			s.Slices[by] = map[string]*Slice{}
		}
		if s.Slices[by][name] == nil {
			s.Slices[by][name] = &Slice{}
		}
		out = append(out, s.Slices[by][name])
	}
	return out
}

// dimensions are what sites are sliced by.
var dimensions = []string{"all", "consent manager", "layout", "place", "language", "kind of site"}

func (x *Slice) purpose(is, said string) {
	x.Unanswered.Count(said == string(pc.Unknown))
	if said != string(pc.Unknown) {
		x.Purposes.Count(said == is)
	}
	if pc.Class(is).Exempt() {
		x.Harsh.Count(pc.Class(said).NonExempt())
	}
}

func (x *Slice) banner(is bool, v *pc.Verdict) {
	x.Sites++
	if is {
		x.Found.Count(v.Banner.Present)
	} else {
		x.None.Count(!v.Banner.Present)
	}
}

// MarkdownSlices writes the slices for people.
func (s *Score) MarkdownSlices(w io.Writer) {
	cell := func(x Share) string {
		if x.N == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f %% (%d of %d)", 100*x.Value(), x.K, x.N)
	}
	fmt.Fprintf(w, "| by | | sites | banner found | none found where none is | roles of controls | purposes, of those answered | unknown | exempt called non-exempt |\n|---|---|---:|---|---|---|---|---|---|\n")
	for _, by := range dimensions {
		for _, name := range slices.Sorted(maps.Keys(s.Slices[by])) {
			x := s.Slices[by][name]
			fmt.Fprintf(w, "| %s | %s | %d | %s | %s | %s | %s | %s | %s |\n", by, name, x.Sites, cell(x.Found), cell(x.None), cell(x.Roles), cell(x.Purposes), cell(x.Unanswered), cell(x.Harsh))
		}
	}
}
