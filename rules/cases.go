package rules

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	pc "pecrawler"
)

//go:embed base.json pecr/*/testdata/*.txtar
var caseFiles embed.FS

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

// Cases reads the cases of the built-in rules, by rule and name.
func Cases() ([]Case, error) {
	base, err := caseFiles.ReadFile("base.json")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(caseFiles, "pecr/*/testdata/*.txtar")
	if err != nil {
		return nil, err
	}
	var out []Case
	for _, f := range files {
		raw, err := caseFiles.ReadFile(f)
		if err != nil {
			return nil, err
		}
		c := Case{Rule: path.Base(path.Dir(path.Dir(f))), Name: strings.TrimSuffix(path.Base(f), ".txtar")}
		if err := c.read(base, txtar.Parse(raw)); err != nil {
			return nil, fmt.Errorf("rules/%s: %w", f, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (c *Case) read(base []byte, a *txtar.Archive) error {
	for line := range strings.Lines(string(a.Comment)) {
		if w, ok := strings.CutPrefix(line, "want: "); ok {
			c.Want = pc.RuleOutcome(strings.TrimSpace(w))
			continue
		}
		c.Why = strings.TrimSpace(c.Why + " " + strings.TrimSpace(line))
	}
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
