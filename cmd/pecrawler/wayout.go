package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// wayOut is where visits leave for the internet. Sites show another banner, or
// none, to visitors from elsewhere, and then nothing else that doctor tries is wrong.
type wayOut struct {
	ask     string // URL of whatever says from where it is asked
	country string // that visits are to come from, as two capitals
}

func (w *wayOut) flags(fs *flag.FlagSet) {
	fs.StringVar(&w.ask, "whereabouts", "", "`URL` that answers from which country it is asked, by a line loc=GB or a field country; asked as visits are, by --proxy")
	fs.StringVar(&w.country, "country", "GB", "country that visits are to come from, by its two `letters`")
}

// What such services answer: lines of name=value, JSON, or nothing but the country.
var (
	countrySaid = regexp.MustCompile(`(?m)(?:^|["{,\s])(?:loc|country|country_code|countryCode|country_iso)"?\s*[=:]\s*"?([A-Z]{2})\b|\A\s*([A-Z]{2})\s*\z`)
	addressSaid = regexp.MustCompile(`(?m)(?:^|["{,\s])(?:ip|query|ip_address)"?\s*[=:]\s*"?([0-9a-fA-F.:]{3,45})`)
)

// check asks for the country by the way that visits go.
func (w *wayOut) check(ctx context.Context, proxy *url.URL) (string, error) {
	if w.ask == "" {
		return "", advice{errors.New("nobody was asked from which country visits come; name an address that tells it by --whereabouts")}
	}
	how := &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyURL(proxy)} // of nil: none
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.ask, nil)
	if err != nil {
		return "", fmt.Errorf("--whereabouts: %w", err)
	}
	resp, err := (&http.Client{Transport: how}).Do(req)
	if err != nil {
		return "", fmt.Errorf("the address of --whereabouts does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", fmt.Errorf("the address of --whereabouts stops in the middle: %w", err)
	}
	m := countrySaid.FindStringSubmatch(string(body))
	if resp.StatusCode != http.StatusOK || m == nil {
		return "", fmt.Errorf("the address of --whereabouts answers %s and names no country: it has to have a line loc=GB, or a field country", resp.Status)
	}
	from := cmp.Or(m[1], m[2])
	said := "visits come from " + from
	if a := addressSaid.FindStringSubmatch(string(body)); a != nil {
		said += " (" + a[1] + ")"
	}
	if want := strings.ToUpper(w.country); from != want {
		return "", fmt.Errorf("%s and not from %s, so sites may show them another banner, or none: name a way out that is there by --proxy, or another --country", said, want)
	}
	return said, nil
}
