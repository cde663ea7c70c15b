package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// makeLists makes the small tables that are part of the program of the packages
// that know names of stored items and owners of hosts.
func makeLists(cache string) error {
	if err := makeNames(cache); err != nil {
		return err
	}
	return makeOwners(cache)
}

// makeNames writes what the Open Cookie Database calls the purpose of each name.
// What two platforms call differently is written with a question mark.
func makeNames(cache string) error {
	from := filepath.Join(cache, "node_modules", "@slashgear", "gdpr-cookie-scanner", "dist", "data", "open-cookie-database.json")
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var db map[string][]struct {
		Category, Cookie, Domain, WildcardMatch string
	}
	if err := json.Unmarshal(raw, &db); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	type name struct {
		kinds, platforms, domains map[string]bool
	}
	names := map[string]*name{}
	for platform, rows := range db {
		for _, r := range rows {
			n := strings.TrimSpace(r.Cookie)
			if n == "" || strings.ContainsAny(n, "\t\n ") || len(n) > 80 {
				continue
			}
			if r.WildcardMatch == "1" {
				n += "*"
			}
			if names[n] == nil {
				names[n] = &name{map[string]bool{}, map[string]bool{}, map[string]bool{}}
			}
			x := names[n]
			x.kinds[strings.ToLower(r.Category)] = true
			x.platforms[strings.Join(strings.Fields(platform), " ")] = true
			for _, d := range strings.FieldsFunc(strings.ToLower(r.Domain), func(c rune) bool {
				return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-'
			}) {
				if d = strings.Trim(d, ".-"); strings.Contains(d, ".") && !strings.Contains(d, "..") {
					x.domains[strings.TrimPrefix(d, "www.")] = true
				}
			}
		}
	}
	var b strings.Builder
	b.WriteString("# Purposes of names as the Open Cookie Database has them (Apache-2.0, github.com/jkwakman/Open-Cookie-Database), made by cmd/train lists. Tab separated.\n# name (a trailing * matches any ending)	what it is called; ? where platforms differ	platforms	domains\n")
	for _, n := range slices.Sorted(maps.Keys(names)) {
		x := names[n]
		kind := "?"
		if len(x.kinds) == 1 {
			kind = slices.Collect(maps.Keys(x.kinds))[0]
		}
		platforms, domains := slices.Sorted(maps.Keys(x.platforms)), slices.Sorted(maps.Keys(x.domains))
		if len(platforms) > 3 {
			platforms = platforms[:3]
		}
		if len(domains) == 0 {
			domains = []string{"-"}
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\n", n, kind, strings.Join(platforms, ", "), strings.Join(domains, " "))
	}
	return writeList("names.tsv", b.String())
}

// makeOwners writes who owns a domain, and what that firm mostly does.
func makeOwners(cache string) error {
	from := filepath.Join(cache, "node_modules", "third-party-web", "dist", "entities-nostats.json")
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var es []struct {
		Name, Category string
		Domains        []string
	}
	if err := json.Unmarshal(raw, &es); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	var lines []string
	for _, e := range es {
		var ds []string
		for _, d := range e.Domains {
			ds = append(ds, strings.TrimPrefix(strings.ToLower(d), "*."))
		}
		slices.Sort(ds)
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\n", strings.Join(strings.Fields(e.Name), " "), e.Category, strings.Join(slices.Compact(ds), " ")))
	}
	slices.Sort(lines)
	return writeList("owners.tsv", "# Owners of domains and what they mostly do, as third-party-web has them (MIT, github.com/patrickhulce/third-party-web), made by cmd/train lists. Tab separated.\n# entity	category	domains (also their subdomains)\n"+strings.Join(lines, ""))
}

func writeList(name, text string) error {
	to := filepath.Join("classifier", "lists", name)
	fmt.Fprintf(os.Stderr, "%s: %d bytes\n", to, len(text))
	return os.WriteFile(to, []byte(text), 0o644)
}
