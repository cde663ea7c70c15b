package rules

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	pc "pecrawler"
)

const exceptionsFile = "exceptions.yaml"

// Exempted is the class that rules see in place of a class that an exception takes out.
const Exempted = "conditional-instrument"

// Exception takes a purpose out of what needs consent, from a day on: what an
// instrument under regulation 6A may do. It is a line of data in
// pecr/exceptions.yaml; no rule and no code changes for it.
type Exception struct {
	Class pc.Class `yaml:"class"` // of storage and requests
	Sub   string   `yaml:"sub"`   // sub-purpose; "": all of the class
	From  string   `yaml:"from"`  // first day in force, by the capture's date
	Until string   `yaml:"until"` // first day no longer in force; "": open
	Cite  string   `yaml:"cite"`
}

func readExceptions(raw []byte) ([]Exception, error) {
	var out []Exception
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	dec.KnownFields(true)
	if err := dec.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", exceptionsFile, err)
	}
	for i, e := range out {
		for _, day := range []string{e.From, e.Until} {
			if _, err := time.Parse(time.DateOnly, day); err != nil && (day != "" || e.From == "") {
				return nil, fmt.Errorf("%s: exception %d: %w", exceptionsFile, i+1, err)
			}
		}
		if !e.Class.NonExempt() || e.Cite == "" {
			return nil, fmt.Errorf("%s: exception %d: want a class that needs consent, and the law in cite", exceptionsFile, i+1)
		}
	}
	return out, nil
}

// exempt are the exceptions in force on a day.
type exempt []Exception

func inForce(all []Exception, day time.Time) exempt {
	at := day.Format(time.DateOnly)
	return slices.DeleteFunc(slices.Clone(all), func(e Exception) bool { return at < e.From || e.Until != "" && at >= e.Until })
}

func (x exempt) apply(it *Item) {
	if slices.ContainsFunc(x, func(e Exception) bool { return string(e.Class) == it.Class && (e.Sub == "" || e.Sub == it.Sub) }) {
		it.Class = Exempted
	}
}
