package rules

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	pc "pecrawler"
)

//go:embed base.json
var base []byte

// Case is one worked example of a rule: a dossier, and how the rule must end on
// it. Its file in the rule's testdata says in its first lines why that is so,
// and "want: outcome"; then comes dossier.json. What that leaves out is as in
// base.json, a visit to a site that asks lawfully and stores nothing; lists are
// replaced as a whole (RFC 7396).
type Case struct {
	Rule, Name, Why string
	Want            pc.RuleOutcome
	raw             []byte
}

// Dossier is the case's dossier, a new one at each call.
func (c Case) Dossier() *pc.Dossier {
	d := new(pc.Dossier)
	if err := json.Unmarshal(c.raw, d); err != nil {
		panic(err) // it was decoded when the cases were read
	}
	return d
}

// Wanted are the outcomes of which every rule must have a case.
func Wanted() []pc.RuleOutcome { return []pc.RuleOutcome{pc.Fail, pc.Pass, pc.NotApplicable} }

// Cases reads the cases of the built-in rules, by rule and name.
func Cases() ([]Case, error) {
	sub, err := fs.Sub(embedded, "pecr")
	if err != nil {
		return nil, err
	}
	return CasesFS(sub)
}

// CasesFS reads the cases of a folder of rule folders. The error names the file.
func CasesFS(fsys fs.FS) ([]Case, error) {
	files, err := fs.Glob(fsys, "*/testdata/*.txtar")
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, f := range files {
		raw, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		c := Case{Rule: path.Base(path.Dir(path.Dir(f))), Name: strings.TrimSuffix(path.Base(f), ".txtar")}
		if err := c.read(txtar.Parse(raw)); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// Check runs a case and what follows from every failing case without its
// author's work. It returns the faults in words.
func (s *Set) Check(c Case) (faults []string) {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	f, ok := s.finding(c.Rule, c.Dossier())
	if !ok {
		return []string{"there is no such rule, or it is retired"}
	}
	if f.Outcome != c.Want {
		fault("it ends as %s, want %s: %s", f.Outcome, c.Want, f.Message)
		return faults
	}
	if f.Outcome != pc.Fail {
		return nil
	}
	if len(f.Refs) == 0 || f.Confidence <= 0 {
		fault("it fails without evidence or confidence: %v, %v", f.Refs, f.Confidence)
	}
	for _, r := range f.Refs {
		if !resolves(c.Dossier(), r) {
			fault("the reference %s leads nowhere", r)
		}
	}
	early := c.Dossier()
	for _, capt := range early.Captures {
		capt.Started = time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if got, _ := s.finding(c.Rule, early); got.Outcome != pc.NotInForce {
		fault("seen before the law it ends as %s, want not-in-force", got.Outcome)
	}
	shuffled := c.Dossier()
	slices.Reverse(shuffled.Storage)
	slices.Reverse(shuffled.Requests)
	slices.Reverse(shuffled.Banners)
	slices.Reverse(shuffled.Signals)
	slices.Reverse(shuffled.Wording)
	slices.Reverse(shuffled.Consent)
	if got, _ := s.finding(c.Rule, shuffled); !reflect.DeepEqual(got, f) {
		fault("the order of the input changes the finding")
	}
	gone := c.Dossier()
	gone.Captures = nil
	if got, _ := s.finding(c.Rule, gone); got.Outcome != pc.Unavailable {
		fault("without any capture it ends as %s, want unavailable", got.Outcome)
	}
	lost := 0
	for sc := range c.Dossier().Captures {
		for _, a := range []pc.Artifact{pc.ArtifactStorage, pc.ArtifactRequests, pc.ArtifactPage, pc.ArtifactAct, pc.ArtifactConsent, pc.ArtifactSettings} {
			d := c.Dossier()
			d.Captures[sc].Missing = map[pc.Artifact]string{a: "test"}
			switch got, _ := s.finding(c.Rule, d); got.Outcome {
			case pc.Unavailable:
				lost++
			case pc.Pass:
				fault("without %s of %s it passes", a, sc)
			}
		}
	}
	if lost == 0 {
		fault("no missing artifact makes the rule unavailable")
	}
	return faults
}

func (s *Set) finding(rule string, d *pc.Dossier) (pc.Finding, bool) {
	v := view(d, s.exceptions)
	for _, r := range s.rules {
		if r.ID == rule && r.Status != "retired" {
			return r.judge(d, v), true
		}
	}
	return pc.Finding{}, false
}

// resolves tells whether a reference leads to something in the dossier.
func resolves(d *pc.Dossier, r pc.Ref) bool {
	parts := strings.Split(string(r), "/")
	if len(parts) != 3 {
		return false
	}
	i, err := strconv.Atoi(parts[2])
	if parts[0] == "look" { // a policy's text
		return err == nil && parts[1] == "texts" && i < len(d.Look.Texts)
	}
	c := d.Captures[pc.Scenario(parts[0])]
	if c == nil {
		return false
	}
	switch parts[1] {
	case "pages":
		return strings.Contains(parts[2], "#")
	case "consent":
		return err == nil && i < len(c.Consent)
	case "writes":
		return err == nil && i < len(c.Writes)
	case "reads":
		return err == nil && i < len(c.Reads)
	case "sockets":
		return err == nil && i < len(c.Sockets)
	}
	for _, list := range [][]pc.Purpose{d.Storage, d.Requests} {
		if slices.ContainsFunc(list, func(p pc.Purpose) bool { return p.Ref == r }) {
			return true
		}
	}
	return parts[1] == "requests" && err == nil && i < len(c.Requests)
}

// endsOf reads how the cases of a rule end, and nothing else of them.
func endsOf(fsys fs.FS, dir string) (ends []pc.RuleOutcome, err error) {
	files, err := fs.Glob(fsys, path.Join(dir, "testdata", "*.txtar"))
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		raw, err := fs.ReadFile(fsys, f)
		if err != nil {
			return nil, err
		}
		var c Case
		c.head(txtar.Parse(raw))
		ends = append(ends, c.Want)
	}
	return ends, nil
}

func (c *Case) head(a *txtar.Archive) {
	for line := range strings.Lines(string(a.Comment)) {
		if w, ok := strings.CutPrefix(line, "want: "); ok {
			c.Want = pc.RuleOutcome(strings.TrimSpace(w))
			continue
		}
		c.Why = strings.TrimSpace(c.Why + " " + strings.TrimSpace(line))
	}
}

func (c *Case) read(a *txtar.Archive) error {
	c.head(a)
	if c.Want == "" || len(a.Files) != 1 {
		return fmt.Errorf("want one line \"want: \" and one file")
	}
	var on, patch any
	if err := json.Unmarshal(base, &on); err != nil {
		return fmt.Errorf("base.json: %w", err)
	}
	if err := json.Unmarshal(a.Files[0].Data, &patch); err != nil {
		return fmt.Errorf("dossier.json: %w", err)
	}
	raw, err := json.Marshal(merge7396(on, patch))
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields() // a misspelt field would make the case say less than it seems to
	if err := dec.Decode(new(pc.Dossier)); err != nil {
		return fmt.Errorf("dossier.json: %w", err)
	}
	c.raw = raw
	return nil
}

// merge7396 applies a JSON merge patch.
func merge7396(on, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	m, ok := on.(map[string]any)
	if !ok {
		m = map[string]any{}
	}
	for _, k := range slices.Sorted(maps.Keys(p)) {
		if p[k] == nil {
			delete(m, k)
			continue
		}
		m[k] = merge7396(m[k], p[k])
	}
	return m
}
