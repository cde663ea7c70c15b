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
	"time"

	pc "pecrawler"
)

var updateSchemas = flag.Bool("update-schemas", false, "write docs/schema anew from the Go types")

// The schemas in docs/schema are those of the Go types. Others build on them:
// whoever changes a type sees here what changes for them.
func TestSchemas(t *testing.T) {
	g := generator{defs: map[string]any{}, notes: notes(t)}
	verdict := g.object(reflect.TypeFor[pc.Verdict]())
	verdict["$schema"], verdict["$id"], verdict["title"] = "https://json-schema.org/draft/2020-12/schema", "verdict.schema.json", "Verdict"
	verdict["description"] = "What is known of one site: a line of verdicts.jsonl, a message on pecrawler.verdict.<sweep>.<site> and, about one visit, on pecrawler.result.<sweep>.<site>. Unknown members are to be passed over: later versions add some without raising schema."
	verdict["properties"].(map[string]any)["schema"] = map[string]any{"const": pc.VerdictSchema, "description": "version of this document; also the header Pecrawler-Schema"}
	verdict["$defs"] = g.defs
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

// notes are the comments beside the fields, by type and field.
func notes(t *testing.T) map[string]string {
	out := map[string]string{}
	for _, f := range sources(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, fd := range st.Fields.List {
				for _, name := range fd.Names {
					if fd.Comment != nil {
						out[ts.Name.Name+"."+name.Name] = strings.TrimSpace(fd.Comment.Text())
					}
				}
			}
			return true
		})
	}
	return out
}

type generator struct {
	defs  map[string]any
	notes map[string]string
}

func (g generator) of(t reflect.Type) map[string]any {
	if w := words()[t]; w != nil {
		enum := []any{}
		for _, s := range w {
			enum = append(enum, s)
		}
		return map[string]any{"enum": enum}
	}
	if t == reflect.TypeFor[time.Time]() {
		return map[string]any{"type": "string", "format": "date-time"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Slice: // an empty list may be null
		return map[string]any{"type": []any{"array", "null"}, "items": g.of(t.Elem())}
	case reflect.Struct:
		if _, ok := g.defs[t.Name()]; !ok {
			g.defs[t.Name()] = nil // a type that holds itself would not end
			g.defs[t.Name()] = g.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	}
	panic("no schema for " + t.String())
}

func (g generator) object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []any{}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := g.of(f.Type)
		if note := g.notes[t.Name()+"."+f.Name]; note != "" {
			s["description"] = note
		}
		props[name] = s
		if !strings.Contains(opts, "omitempty") {
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required}
}
