package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	pc "pecrawler"
	"pecrawler/classifier"
	"pecrawler/figures"
)

// decisionMarks is how findings and purposes fare with what people decided. It is
// a set to measure with; nothing of it is trained on.
type decisionMarks struct {
	Rows  int
	Rules map[string]*decided
	Items precisionAnd // called non-exempt by this classifier: upheld, of those upheld or dismissed; and upheld items called so
}

type decided struct {
	Upheld  figures.Share // of findings that fail, upheld or dismissed
	Doubted int           // the person could not tell
}

// decisions reads the rows that pecrawler report --decisions writes.
func (a *accuracy) decisions(file string, cls *classifier.Classifier) error {
	if file == "" {
		a.Missing = append(a.Missing, "decisions of reviewers (DECISIONS=file that pecrawler report --decisions wrote)")
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	m := &decisionMarks{Rules: map[string]*decided{}}
	a.Decisions = m
	dec := json.NewDecoder(f)
	for {
		var r struct {
			Rule    string
			Outcome pc.RuleOutcome
			Act     string
			Items   []struct {
				Kind       pc.StorageKind
				Host, Name string
				Class      pc.Class
			}
		}
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: row %d: %w", file, m.Rows+1, err)
		}
		m.Rows++
		if m.Rules[r.Rule] == nil {
			m.Rules[r.Rule] = &decided{}
		}
		d := m.Rules[r.Rule]
		right := r.Act == "uphold"
		switch {
		case !right && r.Act != "dismiss":
			d.Doubted++
			continue
		case r.Outcome == pc.Fail:
			d.Upheld.Count(right)
		}
		for _, i := range r.Items {
			if i.Kind == "" || !i.Class.NonExempt() {
				continue
			}
			host, site := i.Host, "site.example"
			if host == "site" {
				host = site
			}
			now := cls.StorageRow(site, &pc.StorageItem{Kind: i.Kind, Name: i.Name, Host: host, Request: -1}, false).Class.NonExempt()
			m.Items.count(now, right)
		}
	}
}

func (m *decisionMarks) markdown(w io.Writer) {
	if m == nil {
		return
	}
	fmt.Fprintf(w, "\n## What people decided\n\n%d findings that reviewers decided. A dismissal says that a finding should not have been, not which of its items was wrong.\n\n| rule | upheld, of upheld and dismissed | could not tell |\n|---|---|---:|\n", m.Rows)
	for _, id := range slices.Sorted(maps.Keys(m.Rules)) {
		fmt.Fprintf(w, "| %s | %s | %d |\n", id, percent(m.Rules[id].Upheld), m.Rules[id].Doubted)
	}
	fmt.Fprintf(w, "\nStored items of these findings that this classifier calls non-exempt by name and host alone: %s of them are in findings that were upheld; of the items in those it calls so %s.\n", percent(m.Items.Precision), percent(m.Items.Recall))
}
