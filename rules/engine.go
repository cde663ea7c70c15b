package rules

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"
	"go.yaml.in/yaml/v3"

	pc "pecrawler"
)

//go:embed pecr/exceptions.yaml pecr/*/rule.yaml pecr/*/README.md pecr/*/testdata/*.txtar
var embedded embed.FS

// Rule is one rule as its folder states it.
type Rule struct {
	ID       string         `yaml:"id"`      // the folder's name; a noun, names the failing state
	Version  int            `yaml:"version"` // raised by any change of meaning
	Status   string         `yaml:"status"`  // experimental, stable or retired
	Strength string         `yaml:"strength"`
	Check    int            `yaml:"check"`   // the regulator's check 1, 2 or 3; 0: none
	Problem  string         `yaml:"problem"` // one of the regulator's four labels
	Title    string         `yaml:"title"`   // of the lawful state
	Failure  string         `yaml:"failure"` // what a failing page does
	Cites    []string       `yaml:"cites"`
	From     string         `yaml:"from"`  // first day in force, by the capture's date
	Until    string         `yaml:"until"` // first day no longer in force; "": open
	Applies  string         `yaml:"applies"`
	Offend   string         `yaml:"offending"` // list of references; not empty: fail
	Unsure   string         `yaml:"unsure"`    // then unsure in place of fail
	Against  []Speaks       `yaml:"against"`
	Explain  pc.Explanation `yaml:"explain"`
	Readme   string         `yaml:"-"`
	compiled compiledRule   `yaml:"-"`
	digest   [32]byte       `yaml:"-"`
	from     time.Time      `yaml:"-"`
	until    time.Time      `yaml:"-"`
	_        [0]func(Rule)  `yaml:"-"` // rules are not compared
}

// Speaks is a sentence that speaks against the finding, when its condition holds.
type Speaks struct {
	When string `yaml:"when"` // "" is always
	Text string `yaml:"text"`
}

type compiledRule struct {
	applies, offending, unsure cel.Program
	against                    []cel.Program // nil: always
	appliesNeeds, restNeeds    []need
}

// Set is a loaded set of rules.
type Set struct {
	rules      []*Rule
	exceptions []Exception
	digest     string
}

// Load compiles the rules that are built in.
func Load() (*Set, error) {
	sub, err := fs.Sub(embedded, "pecr")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub)
}

// LoadFS compiles the rules of a folder of rule folders. The error names every
// fault with its file and, where it is known, its line.
func LoadFS(fsys fs.FS) (*Set, error) {
	dirs, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	words := []cel.EnvOption{cel.Variable("site", cel.ObjectType("rules.Site")),
		ext.NativeTypes(reflect.TypeFor[Scene](), reflect.TypeFor[Site](), ext.ParseStructTag("json")), ext.Lists(), ext.Strings(), ext.Bindings()}
	for _, s := range pc.EveryScenario {
		words = append(words, cel.Variable(string(s), cel.ObjectType("rules.Scene")))
	}
	env, err := cel.NewEnv(words...)
	if err != nil {
		return nil, fmt.Errorf("prepare the rule language: %w", err)
	}
	s := &Set{}
	var faults []error
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		r, err := load(fsys, d.Name(), env)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		s.rules = append(s.rules, r)
	}
	raw, err := fs.ReadFile(fsys, exceptionsFile)
	if err == nil {
		s.exceptions, err = readExceptions(raw)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		faults = append(faults, err)
	}
	if len(s.rules) == 0 && len(faults) == 0 {
		faults = append(faults, errors.New("there is no rule"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write(raw)
	for _, r := range s.rules {
		h.Write(r.digest[:])
	}
	s.digest = hex.EncodeToString(h.Sum(nil))[:16]
	return s, nil
}

func load(fsys fs.FS, dir string, env *cel.Env) (*Rule, error) {
	name := path.Join(dir, "rule.yaml")
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &Rule{digest: sha256.Sum256(raw)}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	dec.KnownFields(true)
	if err := dec.Decode(r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	readme, err := fs.ReadFile(fsys, path.Join(dir, "README.md"))
	if err != nil {
		return nil, fmt.Errorf("%s: the law in plain words is missing: %w", name, err)
	}
	r.Readme = string(readme)
	var faults []error
	fault := func(format string, a ...any) { faults = append(faults, fmt.Errorf(name+": "+format, a...)) }
	ends, err := endsOf(fsys, dir)
	if err != nil {
		return nil, err
	}
	for _, o := range Wanted() {
		if !slices.Contains(ends, o) {
			fault("there is no case in %s/testdata that ends as %s", dir, o)
		}
	}
	if r.ID != dir {
		fault("id is %q, the folder is %q", r.ID, dir)
	}
	if r.Version < 1 {
		fault("version must be 1 or more")
	}
	if !slices.Contains([]string{"experimental", "stable", "retired"}, r.Status) {
		fault("status %q: use experimental, stable or retired", r.Status)
	}
	if !slices.Contains([]string{"clear", "likely", "human"}, r.Strength) {
		fault("strength %q: use clear, likely or human", r.Strength)
	}
	if r.Check < 0 || r.Check > 3 {
		fault("check %d: use 1, 2, 3, or 0 for none", r.Check)
	}
	if !slices.Contains([]string{"deceptive or absent choice", "uninformed choice", "undermined choice", "irrevocable choice"}, r.Problem) {
		fault("problem %q is none of the four", r.Problem)
	}
	if r.Title == "" || r.Failure == "" {
		fault("title and failure must say something")
	}
	if e := r.Explain; e.Repeat == "" || e.Developer == "" || e.Public == "" || e.Clears == "" {
		fault("explain must say repeat, developer, public and clears")
	}
	if len(r.Cites) == 0 {
		fault("cites is empty: a finding needs its law")
	}
	if r.from, err = time.Parse(time.DateOnly, r.From); err != nil {
		fault("from: %v", err)
	}
	if r.Until != "" {
		if r.until, err = time.Parse(time.DateOnly, r.Until); err != nil {
			fault("until: %v", err)
		}
	}
	compile := func(field, text string, want *cel.Type) (cel.Program, []need) {
		p, needs, err := compile(env, text, want)
		if err != nil {
			fault("line %d, %s: %v", lineOf(string(raw), field), field, err)
		}
		return p, needs
	}
	var un []need
	r.compiled.applies, r.compiled.appliesNeeds = compile("applies", r.Applies, cel.BoolType)
	r.compiled.offending, r.compiled.restNeeds = compile("offending", r.Offend, cel.ListType(cel.StringType))
	r.compiled.unsure, un = compile("unsure", r.Unsure, cel.BoolType)
	r.compiled.restNeeds = append(r.compiled.restNeeds, un...)
	for _, a := range r.Against {
		if a.Text == "" {
			fault("against: a sentence is empty")
		}
		var p cel.Program
		if a.When != "" {
			p, _ = compile("against", a.When, cel.BoolType)
		}
		r.compiled.against = append(r.compiled.against, p)
	}
	return r, errors.Join(faults...)
}

// Gaps are the texts that whoever writes the rule has still to fill in: they
// stand in [[double brackets]].
func (r *Rule) Gaps() []string {
	texts := []string{r.Title, r.Failure, r.Explain.Repeat, r.Explain.Developer, r.Explain.Public, r.Explain.Clears, r.Readme}
	for _, a := range r.Against {
		texts = append(texts, a.Text)
	}
	return gap.FindAllString(strings.Join(texts, "\n"), -1)
}

var gap = regexp.MustCompile(`\[\[[^\[\]]+\]\]`)

func lineOf(text, field string) int {
	for i, l := range strings.Split(text, "\n") {
		if strings.HasPrefix(l, field+":") {
			return i + 1
		}
	}
	return 0
}

// costLimit bounds an expression: a page with thousands of items must not hold
// the judge for long.
const costLimit = 5_000_000

func compile(env *cel.Env, text string, want *cel.Type) (cel.Program, []need, error) {
	if text == "" {
		return nil, nil, errors.New("is empty")
	}
	a, iss := env.Compile(text)
	if iss.Err() != nil {
		return nil, nil, iss.Err()
	}
	if !want.IsAssignableType(a.OutputType()) {
		return nil, nil, fmt.Errorf("gives %s, want %s", a.OutputType(), want)
	}
	p, err := env.Program(a, cel.CostLimit(costLimit))
	if err != nil {
		return nil, nil, err
	}
	return p, needs(a), nil
}

// needs derives from an expression which artifacts it reads, so that a rule
// cannot forget to ask for one.
func needs(a *cel.Ast) []need {
	table := map[string]pc.Artifact{"storage": pc.ArtifactStorage, "requests": pc.ArtifactRequests, "banner": pc.ArtifactPage, "acts": pc.ArtifactAct, "acted": pc.ArtifactAct,
		"signals": pc.ArtifactRequests, "reads": pc.ArtifactWrites, "consent": pc.ArtifactConsent, "wording": pc.ArtifactPage}
	var out []need
	ast.PreOrderVisit(a.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.SelectKind || e.AsSelect().Operand().Kind() != ast.IdentKind {
			return
		}
		s := pc.Scenario(e.AsSelect().Operand().AsIdent())
		art, ok := table[e.AsSelect().FieldName()]
		if n := (need{s, art}); ok && slices.Contains(pc.EveryScenario, s) && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}))
	return out
}

// Digest names the set: the same rules, the same digest.
func (s *Set) Digest() string { return s.digest }

// Rules returns the rules, by id.
func (s *Set) Rules() []*Rule { return s.rules }

// Judge gives exactly one finding for each rule that is not retired, by id.
func (s *Set) Judge(d *pc.Dossier) []pc.Finding {
	v := view(d, s.exceptions)
	out := []pc.Finding{}
	for _, r := range s.rules {
		if r.Status != "retired" {
			out = append(out, r.judge(d, v))
		}
	}
	return out
}

func (r *Rule) judge(d *pc.Dossier, v map[string]any) (f pc.Finding) {
	f = pc.Finding{Rule: r.ID, Version: r.Version, Status: r.Status, Strength: r.Strength, Check: r.Check, Problem: r.Problem, Cites: r.Cites, Refs: []pc.Ref{}, Against: []string{}, Message: r.Title}
	unavailable := func(why string) pc.Finding {
		f.Outcome, f.Message, f.Refs, f.Confidence = pc.Unavailable, why, []pc.Ref{}, 0
		return f
	}
	defer func() {
		if p := recover(); p != nil { // one broken rule must not cost the others
			f = unavailable(fmt.Sprintf("the rule broke: %v", p))
		}
	}()
	day := captured(d)
	if day.IsZero() {
		return unavailable("the site was not seen")
	}
	if day.Before(r.from) || !r.until.IsZero() && !day.Before(r.until) {
		f.Outcome = pc.NotInForce
		return f
	}
	for _, n := range r.compiled.appliesNeeds {
		if why := n.missing(d); why != "" {
			return unavailable(why)
		}
	}
	applies, err := evalBool(r.compiled.applies, v)
	if err != nil {
		return unavailable(err.Error())
	}
	if !applies {
		f.Outcome, f.Confidence = pc.NotApplicable, 1
		return f
	}
	for _, n := range r.compiled.restNeeds {
		if why := n.missing(d); why != "" {
			return unavailable(why)
		}
	}
	refs, err := evalRefs(r.compiled.offending, v)
	if err != nil {
		return unavailable(err.Error())
	}
	if len(refs) == 0 {
		f.Outcome, f.Confidence = pc.Pass, 1
		return f
	}
	unsure, err := evalBool(r.compiled.unsure, v)
	if err != nil {
		return unavailable(err.Error())
	}
	f.Refs, f.Confidence, f.Message = refs, confidence(v, refs), r.Failure
	for i, a := range r.Against {
		holds := r.compiled.against[i] == nil
		if !holds {
			if holds, err = evalBool(r.compiled.against[i], v); err != nil {
				return unavailable(err.Error())
			}
		}
		if holds {
			f.Against = append(f.Against, a.Text)
		}
	}
	f.Outcome = pc.Fail
	if unsure {
		f.Outcome = pc.Unsure
	}
	f.Observed, f.Explain = observe(d, refs), &r.Explain
	for _, ref := range refs {
		if ref == "" {
			return unavailable("the rule failed without evidence")
		}
	}
	return f
}

// captured is when the site was seen: the start of the first capture.
func captured(d *pc.Dossier) (t time.Time) {
	for _, c := range d.Captures {
		if t.IsZero() || c.Started.Before(t) {
			t = c.Started
		}
	}
	return t
}

// confidence of a finding is that of its best item: one proven tracker is enough.
func confidence(v map[string]any, refs []pc.Ref) float64 {
	best := 0.0
	take := func(ref string, c float64) {
		if slices.Contains(refs, pc.Ref(ref)) {
			best = max(best, c)
		}
	}
	for _, s := range pc.EveryScenario {
		sc := v[string(s)].(*Scene)
		for _, it := range slices.Concat(sc.Storage, sc.Requests) {
			take(it.Ref, it.Confidence)
		}
		for _, c := range sc.Banner.Controls {
			take(c.Ref, c.Confidence)
		}
		take(sc.Banner.Ref, sc.Banner.Confidence)
		for _, sg := range sc.Signals {
			take(sg.Ref, sg.Confidence)
		}
		for _, w := range slices.Concat(sc.Wording, v["site"].(*Site).Wording) {
			take(w.Ref, w.Confidence)
		}
		for _, rd := range sc.Consent {
			take(rd.Ref, rd.Confidence)
		}
		for _, a := range slices.Concat(sc.Acts, sc.Withdrawal) { // what was pressed is a fact; that it belongs to a banner is an opinion
			take(a.Ref, v["idle"].(*Scene).Banner.Confidence)
		}
	}
	return best
}

func evalBool(p cel.Program, v map[string]any) (bool, error) {
	out, _, err := p.Eval(v)
	if err != nil {
		return false, err
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("gives %T, want bool", out.Value())
	}
	return b, nil
}

func evalRefs(p cel.Program, v map[string]any) ([]pc.Ref, error) {
	out, _, err := p.Eval(v)
	if err != nil {
		return nil, err
	}
	list, err := out.ConvertToNative(reflect.TypeFor[[]string]())
	if err != nil {
		return nil, err
	}
	refs := []pc.Ref{}
	for _, s := range list.([]string) {
		refs = append(refs, pc.Ref(s))
	}
	slices.Sort(refs)
	return slices.Compact(refs), nil
}
