package review

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	pc "pecrawler"
	"pecrawler/internal/schema"
)

var updateOpenAPI = flag.Bool("update-openapi", false, "write assets/openapi.json anew from the Go types")

// operation is what is said of a route of the API.
type operation struct {
	id, does string
	query    map[string]string // parameter → what it is
	body     bool
	status   int
	answer   any // nil: a document of its own
}

func operations() map[string]operation {
	filter := map[string]string{"limit": "1 to 500; 100 unless given", "offset": "how many are passed over"}
	with := func(more map[string]string) map[string]string {
		for k, v := range filter {
			more[k] = v
		}
		return more
	}
	return map[string]operation{
		"GET /api/openapi.json":                {"document", "This document", nil, false, 200, nil},
		"GET /api/sweeps":                      {"sweeps", "All sweeps, the newest first", nil, false, 200, apiSweeps{}},
		"POST /api/sweeps":                     {"launch", "Launch a sweep of the list that is the body: domains or URLs, one a line, or CSV with a header (url or domain, and optionally rank and sector)", map[string]string{"name": "of the sweep, a to z, 0 to 9 and -; required", "agree": "visits that must agree before a flag, 1 to 10; 2 unless given", "after": "time between two visits of a site: 0s, 1h, 6h, 24h or 168h; 1h unless given", "priority": "1 (first) to 9 (last); 5 unless given", "deadline": "24h, 72h, 168h or 720h from now; none unless given"}, true, 201, apiLaunched{}},
		"GET /api/launches/{sweep}":            {"progress", "How far a launched sweep is", nil, false, 200, apiState{}},
		"GET /api/cases":                       {"cases", "Where the review of flagged sites stands, in the order of the queue", with(map[string]string{"sweep": "of this sweep alone", "status": "undecided, second-reading, disagreement or decided", "overall": "flagged or review", "rule": "that failed or is unsure", "check": "of the regulator: 1, 2 or 3", "q": "part of the site's name", "sort": "reach, confidence, oldest or site; strength unless given"}), false, 200, apiCases{}},
		"GET /api/sweeps/{sweep}/verdicts":     {"verdicts", "The last words on the sites of a sweep, by site", with(map[string]string{"overall": "flagged, review, clear or not-assessed", "rule": "that failed or is unsure", "q": "part of the site's name"}), false, 200, apiVerdicts{}},
		"GET /api/sweeps/{sweep}/sites/{site}": {"verdict", "The last word on one site", nil, false, 200, pc.Verdict{}},
	}
}

// The document that programs are given is that of the routes, the rights and the Go types.
func TestOpenAPI(t *testing.T) {
	doc := document(t)
	want, err := json.MarshalIndent(doc, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *updateOpenAPI {
		if err := os.WriteFile("assets/openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("assets/openapi.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("assets/openapi.json is not what the code says (%v): look at the change, then run go test ./review -run TestOpenAPI -update-openapi", err)
	}
}

func document(t *testing.T) map[string]any {
	t.Helper()
	schemas := map[string]any{}
	raw, err := os.ReadFile("../docs/schema/verdict.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.ReplaceAll(raw, []byte(`"#/$defs/`), []byte(`"#/components/schemas/`))
	var verdict map[string]any
	if err := json.Unmarshal(raw, &verdict); err != nil {
		t.Fatal(err)
	}
	for name, s := range verdict["$defs"].(map[string]any) {
		schemas[name] = s
	}
	for _, k := range []string{"$defs", "$schema", "$id"} {
		delete(verdict, k)
	}
	schemas["Verdict"] = verdict
	source, err := parser.ParseFile(token.NewFileSet(), "api.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	g := schema.Generator{Defs: schemas, Refs: "#/components/schemas/", Trim: "api", Notes: schema.Notes(source)}
	paths := map[string]any{}
	for pattern, roles := range rights() {
		method, path, _ := strings.Cut(pattern, " ")
		if !strings.HasPrefix(path, "/api/") {
			continue
		}
		o, ok := operations()[pattern]
		if !ok {
			t.Errorf("nothing is said of %s", pattern)
			continue
		}
		answer := map[string]any{"type": "object"}
		if o.answer != nil {
			answer = g.Of(reflect.TypeOf(o.answer))
		}
		var params []any
		for _, p := range strings.Split(path, "/") {
			if strings.HasPrefix(p, "{") {
				params = append(params, map[string]any{"name": strings.Trim(p, "{}"), "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
			}
		}
		for name, is := range o.query {
			params = append(params, map[string]any{"name": name, "in": "query", "required": strings.HasSuffix(is, "required"), "description": is, "schema": map[string]any{"type": "string"}})
		}
		slices.SortFunc(params, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		var may []string
		for _, r := range tokenRoles() {
			if slices.Contains(roles, r) {
				may = append(may, string(r))
			}
		}
		op := map[string]any{"operationId": o.id, "summary": o.does, "description": "For tokens of the role " + strings.Join(may, " or ") + ".", "responses": map[string]any{
			fmt.Sprint(o.status): map[string]any{"description": "Done", "content": map[string]any{"application/json": map[string]any{"schema": answer}}},
			"default":            map[string]any{"description": "What was wrong", "content": map[string]any{"application/problem+json": map[string]any{"schema": g.Of(reflect.TypeFor[apiProblem]())}}},
		}}
		if len(params) > 0 {
			op["parameters"] = params
		}
		if o.body {
			text := map[string]any{"schema": map[string]any{"type": "string"}}
			op["requestBody"] = map[string]any{"required": true, "content": map[string]any{"text/plain": text, "text/csv": text}}
		}
		at, _ := paths[path].(map[string]any)
		if at == nil {
			at = map[string]any{}
			paths[path] = at
		}
		at[strings.ToLower(method)] = op
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info":    map[string]any{"title": "pecrawler", "version": fmt.Sprint(pc.VerdictSchema), "description": "What was found about websites, and where its review stands. A verdict is an indicator for an investigator, never a finding of law. Members may be added without a new version.", "license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers": []any{map[string]any{"url": "/"}},
		"paths":   paths,
		"components": map[string]any{"schemas": schemas, "securitySchemes": map[string]any{
			"token": map[string]any{"type": "http", "scheme": "bearer", "description": "Made on the page Programs, by an operator or a lead"},
		}},
		"security": []any{map[string]any{"token": []any{}}},
	}
}
