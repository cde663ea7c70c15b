package review

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"pecrawler/store"
)

// Role is what a person may be to the program. A person can have several; each
// gives what its column of [rights] says and no more: none includes another.
type Role string

// The roles.
const (
	Reader       Role = "reader"       // sees sweeps, sites and their evidence, values masked
	Investigator Role = "investigator" // takes cases and decides
	Lead         Role = "lead"         // settles disagreements, hands out cases, reads the log
	Launcher     Role = "launcher"     // launches and steers sweeps
	Operator     Role = "operator"     // steers sweeps, gives programs their access, and ends sessions
)

// Roles lists them in the order in which documents do.
func Roles() []Role { return []Role{Reader, Investigator, Lead, Launcher, Operator} }

// ParseRoles reads roles that are written one after the other, such as "lead+launcher".
func ParseRoles(s string) ([]Role, error) {
	var out []Role
	for _, w := range strings.Split(s, "+") {
		r := Role(strings.TrimSpace(w))
		if !slices.Contains(Roles(), r) {
			return nil, fmt.Errorf("there is no role %q; want some of %s with + between them", w, roleWords(Roles(), ", "))
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out, nil
}

func roleWords(rs []Role, between string) string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r))
	}
	return strings.Join(out, between)
}

// Person is somebody who may use the pages.
type Person struct {
	Name  string
	Roles []Role
}

// Is tells whether a person has one of some roles.
func (p Person) Is(any ...Role) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool { return slices.Contains(any, r) })
}

// Decides tells whether a person decides on cases, and so may see and take what
// a decision needs: values, and sealed bundles, which hold values.
func (p Person) Decides() bool { return p.Is(Investigator, Lead) }

// May tells whether a person may use a route, by its pattern.
func (p Person) May(pattern string) bool { return p.Is(rights()[pattern]...) }

// Does says in words what a person is.
func (p Person) Does() string {
	if len(p.Roles) == len(Roles()) {
		return "every role"
	}
	return roleWords(p.Roles, ", ")
}

// rights says who may do what: for each route, the roles that may use it. A
// route that is not here is not served (see [New]). Somebody without any role
// may do nothing.
var rights = sync.OnceValue(func() map[string][]Role {
	var (
		everybody = Roles()
		sees      = []Role{Reader, Investigator, Lead}
		decides   = []Role{Investigator, Lead}
		lead      = []Role{Lead}
		figures   = []Role{Reader, Investigator, Lead, Launcher, Operator}
	)
	return map[string][]Role{
		"GET /":               everybody, // what there is nothing at
		"GET /{$}":            figures,
		"POST /sign-out":      everybody,
		"GET /sweeps/{sweep}": {Reader, Investigator, Lead, Launcher},

		"GET /sweeps/{sweep}/sites/{site}":             sees,
		"GET /bundles/{digest}/screens/{scenario}/{n}": sees,
		"GET /bundles/{digest}/whole/{scenario}":       sees,
		"GET /bundles/{digest}/{scenario}/{kind}/{n}":  sees,
		"GET /queue": sees,

		"POST /bundles/{digest}/{scenario}/{kind}/{n}": decides, // shows values
		"GET /bundles/{digest}":                        decides, // holds values
		"GET /bundles/{digest}/har":                    decides,
		"GET /bundles/{digest}/wacz":                   decides,
		"POST /sweeps/{sweep}/sites/{site}/decisions":  decides,
		"POST /sweeps/{sweep}/sites/{site}/take":       decides,
		"POST /sweeps/{sweep}/sites/{site}/release":    decides,
		"POST /queue/next":                             decides,
		"POST /queue/assign":                           decides, // a lead to anybody, others to themselves
		"POST /queue/views":                            sees,    // one's own
		"POST /queue/views/drop":                       sees,
		"GET /revisits.txt":                            {Investigator, Lead, Launcher},

		"GET /follow": sees,
		"GET /sweeps/{sweep}/sites/{site}/follow":                    sees,
		"GET /sweeps/{sweep}/sites/{site}/follow/after/{again}":      sees,
		"POST /sweeps/{sweep}/sites/{site}/follow/begin":             decides,
		"GET /sweeps/{sweep}/sites/{site}/follow/letter":             decides,
		"POST /sweeps/{sweep}/sites/{site}/follow/letter":            decides,
		"GET /sweeps/{sweep}/sites/{site}/follow/letters/{n}/{form}": decides,
		"POST /sweeps/{sweep}/sites/{site}/follow/visit":             decides, // of the one site of the case
		"POST /sweeps/{sweep}/sites/{site}/follow/replies":           decides,
		"GET /sweeps/{sweep}/sites/{site}/follow/replies/{n}":        decides,
		"GET /sweeps/{sweep}/sites/{site}/follow/case.zip":           decides, // holds values

		"GET /audit": lead,

		"GET /launch":                 {Launcher},
		"POST /launch":                {Launcher},
		"POST /launch/go":             {Launcher},
		"POST /launch/repeat":         {Launcher},
		"GET /launches/{sweep}":       figures,
		"GET /schedules":              figures,
		"POST /schedules/{name}/{do}": {Launcher, Operator},
		"POST /launches/{sweep}/{do}": {Launcher, Operator},

		"GET /tokens":         {Lead, Operator},
		"POST /tokens":        {Lead, Operator},
		"POST /tokens/revoke": {Lead, Operator},

		"GET /sessions":      {Lead, Operator},
		"POST /sessions/end": {Lead, Operator},

		"GET /api/openapi.json":                figures,
		"GET /api/sweeps":                      figures,
		"POST /api/sweeps":                     {Launcher}, // by a token: a form has none of its own
		"GET /api/launches/{sweep}":            figures,
		"GET /api/cases":                       sees,
		"GET /api/sweeps/{sweep}/verdicts":     sees,
		"GET /api/sweeps/{sweep}/sites/{site}": sees,
	}
})

// ValidName tells whether somebody can be called this: what the queue and the
// log mean something else by is no name.
func ValidName(s string) bool {
	return s != "" && s != store.Nobody && s != "me" && s != itself && len(s) <= 120 && !strings.HasPrefix(s, tokenPrefix) && strings.TrimSpace(s) == s && clean(s, len(s)) == s && !strings.ContainsAny(s, `<>"`)
}

// tokenPrefix begins the name by which the log knows a program.
const tokenPrefix = "token:"
