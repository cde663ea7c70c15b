package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWayOut(t *testing.T) {
	answer, status := "", http.StatusOK
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.String()
		w.WriteHeader(status)
		w.Write([]byte(answer))
	}))
	defer srv.Close()
	for _, c := range []struct {
		answer, country string
		status          int
		says, fails     string
	}{
		{"fl=1\nip=192.0.2.7\nloc=GB\ntls=TLSv1.3\n", "gb", 200, "visits come from GB (192.0.2.7)", ""},
		{`{"ip": "2001:db8::1", "country": "GB", "city": "Leeds"}`, "GB", 200, "visits come from GB (2001:db8::1)", ""},
		{`{"status":"success","countryCode":"GB","query":"192.0.2.7"}`, "GB", 200, "visits come from GB (192.0.2.7)", ""},
		{"GB\n", "GB", 200, "visits come from GB", ""},
		{"loc=FR\n", "GB", 200, "", "visits come from FR and not from GB"},
		{"loc=FR\n", "FR", 200, "visits come from FR", ""},
		{"<!doctype html><title>Hello</title>", "GB", 200, "", "names no country"},
		{"loc=GB\n", "GB", 403, "", "answers 403 Forbidden"},
		{`{"allocation": "GB"}`, "GB", 200, "", "names no country"},
	} {
		answer, status = c.answer, c.status
		w := wayOut{ask: srv.URL + "/trace", country: c.country}
		said, err := w.check(t.Context(), nil)
		if said != c.says || (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%q: %q, %v", c.answer, said, err)
		}
	}

	// As visits go: by the proxy, which is asked for the whole address.
	answer, status = "loc=GB", http.StatusOK
	w := wayOut{ask: "http://where.example/trace", country: "GB"}
	if said, err := w.check(t.Context(), (&options{proxy: srv.URL}).upstream()); err != nil || asked != "http://where.example/trace" {
		t.Errorf("by a proxy: %q, %v, it was asked for %s", said, err, asked)
	}
	if _, err := (&wayOut{country: "GB"}).check(t.Context(), nil); !errors.As(err, new(advice)) {
		t.Errorf("without an address: %v, want no more than a note", err)
	}
}

func TestUpstreamHasAPort(t *testing.T) {
	for proxy, want := range map[string]string{"http://exit.example": "exit.example:8080", "http://exit.example:3128": "exit.example:3128", "http://[2001:db8::1]": "[2001:db8::1]:8080", "http://u:p@exit.example/": "exit.example:8080"} {
		if got := (&options{proxy: proxy}).upstream().Host; got != want {
			t.Errorf("--proxy %s goes to %s, want %s", proxy, got, want)
		}
	}
	if u := (&options{}).upstream(); u != nil {
		t.Errorf("without --proxy: %v", u)
	}
}
