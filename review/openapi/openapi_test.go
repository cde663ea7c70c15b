// Package openapi holds what programs are told of the API against the definition of
// OpenAPI 3.1. It is a module of its own, so that the program has none of what
// that needs.
package openapi

import (
	"bytes"
	"os"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// What programs are told of the API is a sound OpenAPI 3.1 document; a fault that
// is planted is found.
func TestOpenAPI(t *testing.T) {
	raw, err := os.ReadFile("../assets/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	faults := func(raw []byte) int {
		t.Helper()
		doc, err := libopenapi.NewDocument(raw)
		if err != nil {
			t.Fatal(err)
		}
		v, errs := validator.NewValidator(doc)
		if len(errs) > 0 {
			t.Logf("%v", errs)
			return len(errs)
		}
		_, found := v.ValidateDocument()
		for _, f := range found {
			t.Logf("%s: %s", f.Message, f.Reason)
		}
		return len(found)
	}
	if n := faults(raw); n > 0 {
		t.Errorf("%d faults", n)
	}
	for was, is := range map[string]string{`"responses"`: `"response"`, `"#/components/schemas/Cases"`: `"#/components/schemas/Nothing"`} {
		if faults(bytes.Replace(raw, []byte(was), []byte(is), 1)) == 0 {
			t.Errorf("%s in place of %s is not found", is, was)
		}
	}
}
