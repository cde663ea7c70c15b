package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// mayBeEmpty are panels of what a sweep of some minutes does not have.
func mayBeEmpty(title string) bool {
	return title == "NATS servers" || title == "Time left" // an embedded server; nothing to go by yet
}

// mostLines of a panel are written down.
const mostLines = 5

// ask puts every expression to a Prometheus that has scraped a sweep in the ten
// minutes before a time, writes down what each panel shows, and returns which have
// nothing to show or are wrong.
func ask(w io.Writer, at string, end time.Time) (asked int, faults []string) {
	for _, b := range boards() {
		fmt.Fprintf(w, "## %s\n\n%s\n\n| panel | line | last | least | most |\n|---|---|---:|---:|---:|\n", b.title, b.about)
		for _, p := range b.panels {
			for _, q := range p.queries {
				asked++
				lines, err := shown(at, q, end)
				switch {
				case err != nil:
					faults = append(faults, fmt.Sprintf("%s, %s: %s: %v", b.title, p.title, q.expr, err))
				case len(lines) == 0 && !mayBeEmpty(p.title):
					faults = append(faults, fmt.Sprintf("%s, %s: %s: no data", b.title, p.title, q.expr))
				}
				for i, l := range lines {
					if i == mostLines {
						fmt.Fprintf(w, "| %s | and %d more | | | |\n", p.title, len(lines)-i)
						break
					}
					fmt.Fprintf(w, "| %s | %s | %.4g | %.4g | %.4g |\n", p.title, strings.ReplaceAll(l.name, "|", `\|`), l.last, l.least, l.most)
				}
				if len(lines) == 0 {
					fmt.Fprintf(w, "| %s | no data | | | |\n", p.title)
				}
			}
		}
		fmt.Fprintln(w)
	}
	return asked, faults
}

// line is one line of a graph.
type line struct {
	name              string
	last, least, most float64
}

// shown is what a query shows, without lines that have no number in them.
func shown(at string, q query, end time.Time) ([]line, error) {
	form := url.Values{"query": {strings.ReplaceAll(q.expr, "$__rate_interval", "1m")}, "step": {"15"}, "start": {strconv.FormatInt(end.Add(-10*time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(end.Unix(), 10)}}
	resp, err := http.PostForm(at+"/api/v1/query_range", form)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var a struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return nil, err
	}
	if a.Error != "" {
		return nil, fmt.Errorf("%s", a.Error)
	}
	var out []line
	for _, r := range a.Data.Result {
		var all []float64
		for _, v := range r.Values {
			text, _ := v[1].(string)
			if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) {
				all = append(all, n)
			}
		}
		if len(all) > 0 {
			out = append(out, line{legend(q.legend, r.Metric), all[len(all)-1], slices.Min(all), slices.Max(all)})
		}
	}
	slices.SortFunc(out, func(a, b line) int { return cmp.Compare(a.name, b.name) })
	return out, nil
}

// legend is the name of a line as Grafana writes it.
func legend(form string, labels map[string]string) string {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		form = strings.ReplaceAll(form, "{{"+k+"}}", labels[k])
	}
	return form
}
