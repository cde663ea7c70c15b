package review

import (
	"regexp"
	"strconv"
	"strings"

	pc "pecrawler"
)

// A reference that can be an anchor and an address: "idle/storage/3",
// "idle/pages/0#120".
var refForm = regexp.MustCompile(`^([a-z]+)/([a-z]+)/([0-9]{1,9})(?:#([0-9]{1,9}))?$`)

// place is a reference taken apart.
type place struct {
	Scenario pc.Scenario
	Kind     string
	N        int
	Node     int // -1: none
}

func placeOf(r pc.Ref) (place, bool) {
	m := refForm.FindStringSubmatch(string(r))
	if m == nil {
		return place{}, false
	}
	p := place{Scenario: pc.Scenario(m[1]), Kind: m[2], Node: -1}
	p.N, _ = strconv.Atoi(m[3]) // the form has digits only
	if m[4] != "" {
		p.Node, _ = strconv.Atoi(m[4])
	}
	return p, true
}

// anchor is the id of what a reference names on a site's page; "" when it is none.
func anchor(r pc.Ref) string {
	if !refForm.MatchString(string(r)) {
		return ""
	}
	return "ref-" + strings.NewReplacer("/", "-", "#", "-").Replace(string(r))
}

// rawPath is where a reference's raw evidence is shown.
func rawPath(bundle string, r pc.Ref) string {
	p, ok := placeOf(r)
	if !ok || bundle == "" {
		return ""
	}
	s := "/bundles/" + bundle + "/" + string(p.Scenario) + "/" + p.Kind + "/" + strconv.Itoa(p.N)
	if p.Node >= 0 {
		s += "?node=" + strconv.Itoa(p.Node)
	}
	return s
}
