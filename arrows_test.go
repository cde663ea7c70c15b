package pecrawler_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrows says who may import whom within the module. It is a statement of
// policy: changing it needs an ADR. "" is the root package.
func arrows() map[string][]string {
	return map[string][]string{
		"":                  {},
		"evidence":          {""},
		"crawler":           {"", "crawler/egress"},
		"crawler/egress":    {},
		"rules":             {""},
		"queue":             {""},
		"classifier":        {"", "internal/ngram"},
		"store":             {""},
		"figures":           {""},
		"letter":            {},
		"internal/calendar": {},
		"internal/ngram":    {},
		"internal/pgtest":   {},
		"internal/schema":   {},
		"internal/sitelist": {},
		"internal/pipeline": {"", "rules"},
		"lab":               {"", "figures"},
		"review":            {"", "evidence", "internal/calendar", "internal/sitelist", "letter", "store"},
		"webhook":           {},
		"examples/flagged":  {},
		"examples/webhook":  {},
		"cmd/bench":         {"", "classifier", "crawler", "internal/pgtest", "lab", "queue"},
		"cmd/train":         {"", "classifier", "evidence", "figures", "internal/ngram", "internal/pipeline", "lab", "rules"},
		"deploy/faults":     {},
		"cmd/pecrawler":     {"", "classifier", "crawler", "evidence", "figures", "internal/calendar", "internal/pipeline", "internal/sitelist", "lab", "letter", "queue", "review", "rules", "store", "webhook"},
	}
}

// pure packages are functions of their input: no network, files, randomness, log or clock.
func pure() []string {
	return []string{"", "classifier", "figures", "letter", "rules", "internal/calendar", "internal/ngram", "internal/pipeline"}
}

// owners says which package alone may import a library.
func owners() map[string][]string {
	return map[string][]string{
		"github.com/chromedp/":      {"crawler"},
		"github.com/gocolly/":       {"crawler"},
		"github.com/nats-io/":       {"queue", "examples/flagged"},
		"cel.dev/":                  {"rules"},
		"database/sql":              {"store"},
		"modernc.org/sqlite":        {"store"},
		"github.com/jackc/pgx/":     {"store"},
		"github.com/pressly/goose/": {"store"},
		"gocloud.dev/":              {"evidence"},
	}
}

func TestArrows(t *testing.T) {
	table := arrows()
	seen := map[string]bool{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".") && path != ".") {
			return filepath.SkipDir
		}
		if d.IsDir() && path != "." {
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
				return filepath.SkipDir // a module of its own
			}
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		if pkg == "." {
			pkg = ""
		}
		seen[pkg] = true
		allowed, ok := table[pkg]
		if !ok {
			t.Errorf("%s: the package %q is in no line of the table", path, pkg)
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		for _, imp := range f.Imports {
			name, _ := strconv.Unquote(imp.Path.Value)
			pos := fset.Position(imp.Pos())
			if name == "pecrawler" || strings.HasPrefix(name, "pecrawler/") {
				if rel := strings.TrimPrefix(strings.TrimPrefix(name, "pecrawler"), "/"); !slices.Contains(allowed, rel) {
					t.Errorf("%s: %q may not import %q", pos, pkg, rel)
				}
			}
			for lib, who := range owners() {
				if strings.HasPrefix(name, lib) && !slices.Contains(who, pkg) {
					t.Errorf("%s: only %v may import %s", pos, who, lib)
				}
			}
			if slices.Contains(pure(), pkg) && slices.Contains([]string{"net", "net/http", "os", "os/exec", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"}, name) {
				t.Errorf("%s: %q is pure and may not import %s", pos, pkg, name)
			}
		}
		if slices.Contains(pure(), pkg) {
			ast.Inspect(f, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker"}, sel.Sel.Name) {
					t.Errorf("%s: %q is pure and may not read the clock", fset.Position(n.Pos()), pkg)
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range table {
		if !seen[pkg] {
			t.Errorf("the table names %q, which is no package", pkg)
		}
	}
}
