package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/internal/ngram"
)

// modelFile is where the model lies that is part of the program.
var modelFile = filepath.Join("classifier", "lists", "controls.model")

func roles() []string {
	var out []string
	for _, a := range pc.Actions {
		out = append(out, string(a))
	}
	return out
}

// options are those of the model that is part of the program. Sure is what fits
// best the rows that a model was not shown, in five folds by text: mean loss .271,
// where 1 has .300 and 1.6 has .283.
func options() ngram.Options {
	return ngram.Options{Bits: 15, Epochs: 12, Rate: .25, Decay: 1e-6, Smooth: .05, Sure: 1.3}
}

// alone are words that autoconsent's patterns take for a refusal, and that on
// most pages are the heading of a category.
var alone = regexp.MustCompile(`^(?:strictly )?(?:necessary|essential|essentials|functional|required|minimal)(?: cookies)?$`)

// controlRows is all that the model is trained on.
func controlRows(ctx context.Context, cache string) ([]row, error) {
	cat, err := catalogues(ctx, cache)
	if err != nil {
		return nil, err
	}
	ours, err := ourGrammar(roles())
	if err != nil {
		return nil, err
	}
	texts, err := labTexts()
	if err != nil {
		return nil, err
	}
	rows := slices.Concat(ours, texts)
	ourWords := map[string]string{}
	for _, r := range ours {
		if r.source != "grammar-en-off" {
			ourWords[fold(r.text)] = r.role
		}
	}
	for _, r := range cat {
		said, known := ourWords[fold(r.text)]
		switch {
		case known && said != r.role: // two readings of the same words: our own is reviewed
			continue
		case r.source == "autoconsent" && alone.MatchString(r.text):
			continue
		case offBanner(r.source) && !slices.Contains(spoken, r.lang) && r.lang != "en":
			continue
		}
		rows = append(rows, r)
	}
	// One text of one role counts once, wherever it is from, and in the same order always.
	slices.SortStableFunc(rows, func(a, b row) int {
		return strings.Compare(a.role+"\x00"+fold(a.text), b.role+"\x00"+fold(b.text))
	})
	rows = slices.CompactFunc(rows, func(a, b row) bool { return a.role == b.role && fold(a.text) == fold(b.text) })
	return rows, nil
}

// spoken are the languages beside English of which texts off banners are shown to the model.
var spoken = []string{"cy", "de", "fr", "es", "it", "nl", "pl", "pt", "ro", "sv", "da", "no", "fi", "cs", "hu", "bg", "el", "ga", "uk", "sk", "hr"}

func fold(s string) string { return strings.Join(ngram.Words(s), " ") }

// labTexts are the texts of the test web's own banners and pages.
func labTexts() ([]row, error) {
	files, err := filepath.Glob(filepath.Join("lab", "texts", "*.yaml"))
	if err != nil {
		return nil, err
	}
	var out []row
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var t struct {
			Banner map[string]any
			Page   map[string]any
		}
		if err := yaml.Unmarshal(raw, &t); err != nil {
			return nil, fmt.Errorf("%s: %w", f, err)
		}
		lang := strings.TrimSuffix(filepath.Base(f), ".yaml")
		add := func(role string, v any) {
			texts, ok := v.([]any)
			if !ok {
				texts = []any{v}
			}
			for _, x := range texts {
				if s, ok := x.(string); ok {
					s, _, _ = strings.Cut(s, "|")
					out = append(out, row{"lab", lang, role, strings.TrimSpace(s)})
				}
			}
		}
		for _, k := range []string{"accept", "reject", "settings", "save", "close", "pay"} {
			add(k, t.Banner[k])
		}
		add("acknowledge", t.Banner["ok"])
		add("policy", t.Banner["policy"])
		add("policy", t.Banner["privacy"])
		add("reject", t.Banner["sure_yes"])
		add("settings", t.Banner["reopen"])
		for _, k := range []string{"necessary", "statistics", "advertising", "object"} {
			add("toggle", t.Banner[k])
		}
		for _, k := range []string{"nav", "hero", "cards"} {
			add("other", t.Page[k])
		}
	}
	return out, nil
}

// weighed makes rows for training. Of what is no choice there is most, and of
// Welsh there is little.
func weighed(rows []row, cls *classifier.Classifier) []ngram.Row {
	var out []ngram.Row
	for _, r := range rows {
		w := 1.0
		if r.role == "other" {
			w = .6
		}
		if r.lang == "cy" {
			w *= 1.5
		}
		out = append(out, ngram.Row{Text: r.text, Class: r.role, Hints: cls.Hints(r.text), Weight: w})
	}
	return out
}

func trainControls(ctx context.Context, cache string) error {
	rows, err := controlRows(ctx, cache)
	if err != nil {
		return err
	}
	cls, err := classifier.New()
	if err != nil {
		return err
	}
	m, err := fit(rows, cls)
	if err != nil {
		return err
	}
	raw := m.Bytes()
	if err := os.WriteFile(modelFile, raw, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%s: %d rows, %d bytes\n", modelFile, len(rows), len(raw))
	return nil
}

// fit trains the model. The phrases of the present classifier are among what it learns from.
func fit(rows []row, cls *classifier.Classifier) (*ngram.Model, error) {
	return ngram.Train(weighed(rows, cls), roles(), options())
}
