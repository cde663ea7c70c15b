package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sweep of which a run was killed keeps its samples; one that was made before
// samples were taken says so.
func TestMemoryOfSweeps(t *testing.T) {
	dir := t.TempDir()
	lines := strings.Repeat(`{"Visits":7,"Values":[1,2,3,4,5,6,7]}`+"\n", 3) + `{"Visits":9,"Values":[10,2,3,4,5,6,7]}` + "\n" + `{"Visits":1`
	if err := os.WriteFile(filepath.Join(dir, "lawful-1"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := memory(&b, []string{"lawful-1", "mutants"}, func(s string) string { return filepath.Join(dir, s) }); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| lawful-1 | 10 % | 7 | 1 MB |", "| lawful-1 | 100 % | 9 | 10 MB | 2 MB | 3 | 4 | 5 | 6 MB | 7 |", "| mutants | no samples were taken |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}
