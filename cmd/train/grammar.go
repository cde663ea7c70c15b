package main

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed grammar/*.txt
var grammars embed.FS

// row is one text with its role.
type row struct {
	source, lang, role, text string
}

// most is how many sentences are made of a template that has no number.
const most = 100

var (
	templateHead = regexp.MustCompile(`^([a-z]+)(?: x(\d+))?: (.*)$`)
	slot         = regexp.MustCompile(`\{([a-z]+)\}`)
)

// ourGrammar makes the sentences of the project's own grammars.
func ourGrammar(roles []string) ([]row, error) {
	files, err := grammars.ReadDir("grammar")
	if err != nil {
		return nil, err
	}
	var out []row
	for _, f := range files {
		name := "grammar/" + f.Name()
		raw, err := grammars.ReadFile(name)
		if err != nil {
			return nil, err
		}
		rs, err := sentences(name, string(raw), roles)
		if err != nil {
			return nil, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

// sentences makes those of one file; its path is their source.
func sentences(file, text string, roles []string) ([]row, error) {
	source := strings.ReplaceAll(strings.TrimSuffix(file, ".txt"), "/", "-")
	var out []row
	lang := ""
	slots := map[string][]string{}
	// Names may be used before they are set, so they are read first, language by language.
	lines := strings.Split(text, "\n")
	for at, line := range lines {
		fault := func(format string, a ...any) error {
			return fmt.Errorf("%s:%d: %w", file, at+1, fmt.Errorf(format, a...))
		}
		head := templateHead.FindStringSubmatch(line)
		switch k, v, set := strings.Cut(line, "="); {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "lang "):
			lang = strings.TrimPrefix(line, "lang ")
			slots = map[string][]string{}
			for _, l := range lines[at+1:] {
				if strings.HasPrefix(l, "lang ") {
					break
				}
				if k, v, ok := strings.Cut(l, "="); ok && templateHead.FindString(l) == "" && !strings.HasPrefix(l, "#") {
					slots[strings.TrimSpace(k)] = alternatives(v)
				}
			}
		case head != nil:
			if !slices.Contains(roles, head[1]) {
				return nil, fault("%q is none of %v", head[1], roles)
			}
			n := most
			if head[2] != "" {
				n, _ = strconv.Atoi(head[2])
			}
			for _, template := range alternatives(head[3]) {
				made, err := expand(template, slots, n)
				if err != nil {
					return nil, fault("%w", err)
				}
				for _, s := range made {
					out = append(out, row{source, lang, head[1], s})
				}
			}
		case !set || strings.TrimSpace(k) == "" || v == "":
			return nil, fault("%q is neither NAME = alternatives nor ROLE: sentences", line)
		}
	}
	return out, nil
}

func alternatives(s string) []string {
	var out []string
	for _, a := range strings.Split(s, "|") {
		out = append(out, strings.TrimSpace(a))
	}
	return out
}

// expand makes at most n different sentences of a template, spread evenly over
// all that there are.
func expand(template string, slots map[string][]string, n int) ([]string, error) {
	var lists [][]string
	all := uint64(1)
	for _, m := range slot.FindAllStringSubmatch(template, -1) {
		l, ok := slots[m[1]]
		if !ok {
			return nil, fmt.Errorf("{%s} is not set", m[1])
		}
		lists = append(lists, l)
		all *= uint64(len(l))
	}
	seen := map[string]bool{}
	var out []string
	// A step that has no divisor in common with the number of sentences reaches each of them once.
	step := all*6180339887/10000000000 | 1
	for gcd(step, all) != 1 {
		step += 2
	}
	for i, at := uint64(0), uint64(0); i < all && len(out) < n; i, at = i+1, (at+step)%all {
		k, next := at, 0
		s := slot.ReplaceAllStringFunc(template, func(string) string {
			l := lists[next]
			next++
			w := l[k%uint64(len(l))]
			k /= uint64(len(l))
			return w
		})
		s = strings.Join(strings.Fields(s), " ")
		if s != "" && !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out, nil
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
