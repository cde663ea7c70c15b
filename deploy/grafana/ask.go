package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// mayBeEmpty are panels of what a sweep on one machine does not have.
func mayBeEmpty(title string) bool {
	return title == "NATS servers" || title == "Time left" // an embedded server; a sweep of minutes
}

// ask puts every expression to a Prometheus that has scraped a sweep in the ten
// minutes before a time, and says which give nothing.
func ask(at string, end time.Time) (asked int, faults []string) {
	for _, b := range boards() {
		for _, p := range b.panels {
			for _, q := range p.queries {
				asked++
				n, err := series(at, strings.ReplaceAll(q.expr, "$__rate_interval", "1m"), end)
				switch {
				case err != nil:
					faults = append(faults, fmt.Sprintf("%s, %s: %s: %v", b.title, p.title, q.expr, err))
				case n == 0 && !mayBeEmpty(p.title):
					faults = append(faults, fmt.Sprintf("%s, %s: %s: no data", b.title, p.title, q.expr))
				}
			}
		}
	}
	return asked, faults
}

// series counts the series with a number in them.
func series(at, expr string, end time.Time) (n int, err error) {
	form := url.Values{"query": {expr}, "step": {"15"}, "start": {strconv.FormatInt(end.Add(-10*time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(end.Unix(), 10)}}
	resp, err := http.PostForm(at+"/api/v1/query_range", form)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var a struct {
		Error string
		Data  struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return 0, err
	}
	if a.Error != "" {
		return 0, fmt.Errorf("%s", a.Error)
	}
	for _, r := range a.Data.Result {
		for _, v := range r.Values {
			if v[1] != "NaN" {
				n++
				break
			}
		}
	}
	return n, nil
}
