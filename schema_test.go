package pecrawler_test

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	pc "pecrawler"
	"pecrawler/internal/schema"
)

var updateSchemas = flag.Bool("update-schemas", false, "write docs/schema anew from the Go types")

// The schemas in docs/schema are those of the Go types. Others build on them:
// whoever changes a type sees here what changes for them.
func TestSchemas(t *testing.T) {
	g := schema.Generator{Defs: map[string]any{}, Refs: "#/$defs/", Words: words(), Notes: schema.Notes(sources(t)...)}
	verdict := g.Object(reflect.TypeFor[pc.Verdict]())
	verdict["$schema"], verdict["$id"], verdict["title"] = "https://json-schema.org/draft/2020-12/schema", "verdict.schema.json", "Verdict"
	verdict["description"] = "What is known of one site: a line of verdicts.jsonl, a message on pecrawler.verdict.<sweep>.<site> and, about one visit, on pecrawler.result.<sweep>.<site>. Unknown members are to be passed over: later versions add some without raising schema."
	verdict["properties"].(map[string]any)["schema"] = map[string]any{"const": pc.VerdictSchema, "description": "version of this document; also the header Pecrawler-Schema"}
	verdict["$defs"] = g.Defs
	flagged := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "flagged.schema.json", "title": "Flagged site",
		"description": "A message on pecrawler.flagged.<sweep>.<site>: the verdict on a site in which a stable rule failed in enough agreeing visits. An indicator for an investigator, never a finding of law.",
		"allOf":       []any{map[string]any{"$ref": "verdict.schema.json"}}, "properties": map[string]any{"overall": map[string]any{"const": "flagged"}, "visits": map[string]any{"minimum": 1}},
	}
	for name, s := range map[string]any{"verdict": verdict, "flagged": flagged} {
		want, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, '\n')
		path := filepath.Join("docs", "schema", name+".schema.json")
		if *updateSchemas {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what the Go types say (%v): look at the change, raise VerdictSchema if it breaks what others read, and run go test . -run TestSchemas -update-schemas", path, err)
		}
	}
}

// words are the closed lists. A word of the product that is not in its list
// would be a document that breaks its own schema, so the lists are checked
// against the constants of the source.
func words() map[reflect.Type][]string {
	return map[reflect.Type][]string{
		reflect.TypeFor[pc.Outcome]():     {"assessed", "blocked", "unreachable", "not-a-site", "excluded"},
		reflect.TypeFor[pc.Overall]():     {"flagged", "review", "clear", "not-assessed"},
		reflect.TypeFor[pc.RuleOutcome](): {"fail", "unsure", "pass", "not-applicable", "not-in-force", "unavailable"},
		reflect.TypeFor[pc.Scenario]():    {"idle", "reject", "accept", "close", "scroll"},
		reflect.TypeFor[pc.Phase]():       {"before", "reject", "accept", "withdraw"},
		reflect.TypeFor[pc.StorageKind](): {"cookie", "local", "session", "indexeddb", "cache"},
		reflect.TypeFor[pc.Action]():      {"accept", "reject", "settings", "save", "acknowledge", "close", "pay", "toggle", "policy", "vendors", "other"},
		reflect.TypeFor[pc.Class]():       {"exempt-transmission", "exempt-strict", "conditional-statistics", "conditional-appearance", "nonexempt-advertising", "nonexempt-other", "unknown"},
	}
}

func TestSchemaWordsAreTheConstants(t *testing.T) {
	consts := map[string][]string{}
	for _, f := range sources(t) {
		for _, d := range f.Decls {
			gd, ok := d.(*ast.GenDecl)
			if !ok || gd.Tok != token.CONST {
				continue
			}
			for _, s := range gd.Specs {
				vs := s.(*ast.ValueSpec)
				id, ok := vs.Type.(*ast.Ident)
				if !ok {
					continue
				}
				for _, v := range vs.Values {
					if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						consts[id.Name] = append(consts[id.Name], strings.Trim(lit.Value, `"`))
					}
				}
			}
		}
	}
	for typ, want := range words() {
		if got := consts[typ.Name()]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the constants are %q, the schema has %q", typ.Name(), got, want)
		}
	}
}

func sources(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, n := range names {
		if strings.HasSuffix(n, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), n, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
	return out
}
