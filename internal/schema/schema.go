// Package schema makes JSON Schema (2020-12) of Go types and of the comments
// beside their fields. It is for tests, which hold what others read against the
// types; the program itself has no use for it.
package schema

import (
	"go/ast"
	"reflect"
	"strings"
	"time"
)

// Generator makes the schemas of one document.
type Generator struct {
	Defs  map[string]any            // the structs that were met, by name; it grows
	Refs  string                    // what a reference to one begins with
	Trim  string                    // what the names of types begin with and those of Defs do not
	Words map[reflect.Type][]string // closed lists
	Notes map[string]string         // comments beside fields, by type and field; see [Notes]
}

// Of is the schema of a type, by reference where it is a struct.
func (g Generator) Of(t reflect.Type) map[string]any {
	if w := g.Words[t]; w != nil {
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
		return g.Of(t.Elem())
	case reflect.Slice: // an empty list may be null
		return map[string]any{"type": []any{"array", "null"}, "items": g.Of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": []any{"object", "null"}, "additionalProperties": g.Of(t.Elem())}
	case reflect.Struct:
		name := strings.TrimPrefix(t.Name(), g.Trim)
		if _, ok := g.Defs[name]; !ok {
			g.Defs[name] = nil // a type that holds itself would not end
			g.Defs[name] = g.Object(t)
		}
		return map[string]any{"$ref": g.Refs + name}
	}
	panic("no schema for " + t.String())
}

// Object is the schema of a struct itself.
func (g Generator) Object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []any{}
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		s := g.Of(f.Type)
		if note := g.Notes[t.Name()+"."+f.Name]; note != "" {
			s["description"] = note
		}
		props[name] = s
		if !strings.Contains(opts, "omit") { // omitempty, omitzero
			required = append(required, name)
		}
	}
	return map[string]any{"type": "object", "properties": props, "required": required}
}

// Notes are the comments beside the fields of the structs of some files, which
// were parsed with their comments.
func Notes(files ...*ast.File) map[string]string {
	out := map[string]string{}
	for _, f := range files {
		for n := range ast.Preorder(f) {
			ts, ok := n.(*ast.TypeSpec)
			if !ok {
				continue
			}
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			for _, fd := range st.Fields.List {
				for _, name := range fd.Names {
					if fd.Comment != nil {
						out[ts.Name.Name+"."+name.Name] = strings.TrimSpace(fd.Comment.Text())
					}
				}
			}
		}
	}
	return out
}
